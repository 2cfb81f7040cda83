//! A database whose content is gone, with something beside it that says so: no command takes it for a new
//! one, and none removes what is left.

use crate::support::{Place, on};
use botstore::{ErrorKind, Store, backup, schema};
use std::fs;
use std::path::Path;

/// What has become of the database.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Is {
    Empty,
    Gone,
}

/// What lies beside it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Beside {
    Nothing,
    /// The WAL of a bot that was killed, without a lock.
    Wal,
    /// The rollback journal of another program that was killed.
    Journal,
    /// One that a program left while it made the database.
    NewJournal,
    /// A lock that says that a store has had it open.
    Lock,
    Backups,
    /// A folder in which no backup is whole.
    NoBackups,
    EmptyWal,
}

const ALL: [Beside; 8] = [
    Beside::Nothing,
    Beside::Wal,
    Beside::Journal,
    Beside::NewJournal,
    Beside::Lock,
    Beside::Backups,
    Beside::NoBackups,
    Beside::EmptyWal,
];

/// Sets a limit.
const A_LIMIT: [&str; 10] = [
    "limits",
    "set",
    "--scope",
    "each-user",
    "--of",
    "cost",
    "--max",
    "2",
    "--per",
    "day",
];

/// The commands that look, and those that open it to change it. None of them is given what would set it
/// right.
const COMMANDS: [&[&str]; 12] = [
    &["status"],
    &["check"],
    &["export"],
    &["dashboard"],
    &["usage"],
    &["limits"],
    &A_LIMIT,
    &["backup"],
    &["migrate", "--plan"],
    &["migrate"],
    &["rollback", "--to", "1"],
    &["check", "--repair"],
];

/// Whether it has to be refused: whoever wants to begin anew removes the database, and may leave lock and
/// backups.
fn is_refused(is: Is, beside: Beside) -> bool {
    match beside {
        Beside::Wal | Beside::Journal => true,
        Beside::Lock | Beside::Backups => is == Is::Empty,
        Beside::Nothing | Beside::NewJournal | Beside::NoBackups | Beside::EmptyWal => false,
    }
}

fn journal(pages: u32) -> Vec<u8> {
    let mut journal = b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7".to_vec();
    for word in [0, 1, pages, 512, 4096] {
        journal.extend(u32::to_be_bytes(word));
    }
    journal.resize(512, 0);
    journal
}

fn put_beside(place: &Place, beside: Beside, wal: &[u8]) {
    let write = |name: &str, bytes: &[u8]| fs::write(place.path(name), bytes).unwrap();
    match beside {
        Beside::Nothing => {}
        Beside::Wal => write("bot.db-wal", wal),
        Beside::EmptyWal => write("bot.db-wal", b""),
        Beside::Journal => write("bot.db-journal", &journal(7)),
        Beside::NewJournal => write("bot.db-journal", &journal(0)),
        Beside::Lock => write("bot.db.lock", b"4711 opened"),
        Beside::Backups => {
            let other = Place::filled(1);
            let made = other.back_up(&[]);
            let folder = place.path("bot.db.backups");
            fs::create_dir(&folder).unwrap();
            fs::rename(&made, folder.join(made.file_name().unwrap())).unwrap();
        }
        Beside::NoBackups => {
            fs::create_dir_all(place.path("bot.db.backups/x.partial")).unwrap();
            write("bot.db.backups/.lock", b"");
        }
    }
}

/// A WAL with acknowledged rows in it.
#[tokio::main]
async fn wal_of_a_killed_bot() -> Vec<u8> {
    let place = Place::new();
    let store = place.open().await;
    store
        .write(botstore::users::EnsureUser::new(1, Some("ada")))
        .await
        .unwrap();
    let wal = fs::read(place.path("bot.db-wal")).unwrap();
    store.close().await.unwrap();
    assert!(wal.len() > 4096);
    wal
}

fn set_up(is: Is, beside: Beside, wal: &[u8]) -> Place {
    let place = Place::new();
    put_beside(&place, beside, wal);
    if is == Is::Empty {
        fs::write(&place.file, b"").unwrap();
    }
    place
}

#[test]
fn no_command_takes_an_emptied_database_for_a_new_one_or_removes_what_is_beside_it() {
    let wal = wal_of_a_killed_bot();
    for is in [Is::Empty, Is::Gone] {
        for beside in ALL.into_iter().filter(|beside| is_refused(is, *beside)) {
            let place = set_up(is, beside, &wal);
            let before = place.picture();
            for command in COMMANDS {
                let ran = on(command[0], &place.file, &command[1..]);
                let what = format!("{is:?} {beside:?} {command:?}: {}{}", ran.out, ran.err);
                assert_eq!(ran.code, 3, "{what}");
                let says = match is {
                    Is::Empty => "is empty",
                    Is::Gone => "is gone",
                };
                assert!(ran.err.contains(says), "{what}");
                assert!(unchanged(&before, &place), "{what}");
            }
        }
    }
}

/// All that was there is as it was. A lock may have come.
fn unchanged(before: &[(std::path::PathBuf, Vec<u8>)], place: &Place) -> bool {
    let now = place.picture();
    let lock = |path: &Path| path.extension().is_some_and(|end| end == "lock");
    let same = |file: &&(std::path::PathBuf, Vec<u8>)| !lock(&file.0);
    before.iter().filter(same).eq(now.iter().filter(same))
}

#[test]
fn neither_does_a_program() {
    let wal = wal_of_a_killed_bot();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    for is in [Is::Empty, Is::Gone] {
        for beside in ALL {
            let place = set_up(is, beside, &wal);
            let (file, before) = (&place.file, place.picture());
            let open = || {
                runtime.block_on(async {
                    let store = Store::open(file).await?;
                    store.close().await
                })
            };
            if !is_refused(is, beside) {
                let what = format!("{is:?} {beside:?}");
                schema::plan(file).expect(&what);
                open().expect(&what);
                continue;
            }
            let refused = [
                schema::plan(file).map(|_| ()),
                schema::unknown_objects(file).map(|_| ()),
                schema::apply(file).map(|_| ()),
                schema::apply_to(file, "botstore", 1).map(|_| ()),
                schema::rollback(file, "botstore", 1).map(|_| ()),
                botstore::status(file).map(|_| ()),
                botstore::snapshot(file, |_| Ok(())),
                backup::take(file, Default::default()).map(|_| ()),
                open(),
                // What one of them made does not change the next one's mind.
                open(),
            ];
            for (at, refused) in refused.into_iter().enumerate() {
                let error = refused.expect_err(&format!("{is:?} {beside:?} {at}"));
                assert_eq!(
                    error.kind(),
                    ErrorKind::Corrupt,
                    "{is:?} {beside:?} {at}: {error}"
                );
                assert!(error.to_string().contains("estore a backup"), "{error}");
            }
            assert!(unchanged(&before, &place), "{is:?} {beside:?}");
        }
    }
}

/// What the sentences advise.
#[test]
fn the_ways_out_lead_out() {
    let wal = wal_of_a_killed_bot();
    for is in [Is::Empty, Is::Gone] {
        for beside in ALL.into_iter().filter(|beside| is_refused(is, *beside)) {
            let good = Place::filled(3);
            let backup = good.back_up(&[]);
            let place = set_up(is, beside, &wal);
            let to = ["--to", place.file.to_str().unwrap(), "--replace"];
            on("restore", &backup, &to).came_to(0);
            let shown = on("dashboard", &place.file, &["--json"]).came_to(0).json();
            assert_eq!(shown["stats"]["total_messages"], 3, "{is:?} {beside:?}");

            // To begin anew.
            let place = set_up(is, beside, &wal);
            for suffix in ["", "-wal", "-journal"] {
                let _ = fs::remove_file(place.path(&format!("bot.db{suffix}")));
            }
            place.fill(1);
            on("check", &place.file, &[]).came_to(0);
        }
    }
}
