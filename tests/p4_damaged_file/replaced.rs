//! The files under an open store are moved, removed and replaced.

use crate::child::{Victim, again, given, succeed_with_mounts};
use crate::copy::{copy, keeps_its_log, with};
use crate::wait::{answered, until};
use crate::{INTERACTIONS, interaction, sign_up};
use botstore::backup::TakeBackup;
use botstore::rusqlite::Connection;
use botstore::testing::FixedClock;
use botstore::{Config, ErrorKind, FileProblem, Store, StoreEvent};
use chrono::{DateTime, Utc};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use tokio::sync::broadcast::Receiver;

/// The store's time: closing names what it saves by it.
fn time() -> DateTime<Utc> {
    "2026-11-26T03:04:05Z".parse().unwrap()
}

async fn open(path: &Path) -> Store {
    let config = keeps_its_log(Config::new(path)).clock(FixedClock::at(time()));
    let store = Store::open(config).await.unwrap();
    sign_up(&store).await;
    for number in 0..INTERACTIONS {
        store.write(interaction(number)).await.unwrap();
    }
    store
}

/// How many messages a file has, which nothing is wrong with.
fn messages(path: &Path) -> i64 {
    let conn = Connection::open(path).unwrap();
    let ask = |sql: &str| conn.query_row(sql, [], |row| row.get::<_, String>(0));
    assert_eq!(ask("PRAGMA integrity_check").unwrap(), "ok");
    ask("SELECT count(*) || '' FROM messages")
        .unwrap()
        .parse()
        .unwrap()
}

/// What is done to a file while a store has it open.
#[derive(Clone, Copy, Debug)]
enum Done {
    Removed,
    MovedAway,
    /// By a file that an earlier copy made.
    ReplacedByACopy,
    ReplacedByNothing,
    /// It is in another folder, and a link to it has its name.
    ReplacedByALink,
    ReplacedByAFolder,
}

const ALL: [Done; 6] = [
    Done::Removed,
    Done::MovedAway,
    Done::ReplacedByACopy,
    Done::ReplacedByNothing,
    Done::ReplacedByALink,
    Done::ReplacedByAFolder,
];

impl Done {
    fn to(self, file: &Path) {
        let away = with(file, ".away");
        match self {
            Self::Removed => fs::remove_file(file).unwrap(),
            Self::MovedAway => fs::rename(file, away).unwrap(),
            Self::ReplacedByACopy => {
                copy(file, &away);
                fs::rename(away, file).unwrap();
            }
            Self::ReplacedByNothing => {
                fs::File::create(&away).unwrap();
                fs::rename(away, file).unwrap();
            }
            Self::ReplacedByALink => {
                fs::rename(file, &away).unwrap();
                symlink(away, file).unwrap();
            }
            Self::ReplacedByAFolder => {
                fs::remove_file(file).unwrap();
                fs::create_dir(file).unwrap();
            }
        }
    }

    fn leaves_a_name(self) -> bool {
        !matches!(self, Self::Removed | Self::MovedAway)
    }
}

/// The problems that are told until one of them is this.
async fn told(events: &mut Receiver<StoreEvent>, expected: FileProblem) -> PathBuf {
    loop {
        let event = answered(events.recv()).await.unwrap();
        if let StoreEvent::FileProblem { problem, path, .. } = event {
            assert_eq!(problem, expected);
            return path;
        }
    }
}

/// The copy that closing says it has saved, twice.
fn saved(error: &botstore::Error, events: &mut Receiver<StoreEvent>) -> PathBuf {
    assert_eq!(error.kind(), ErrorKind::Replaced, "{error}");
    let mut saved = Vec::new();
    while let Ok(event) = events.try_recv() {
        match event {
            StoreEvent::CopySaved { path, .. } => saved.push(path),
            StoreEvent::FileProblem { problem, .. } => panic!("told again: {problem:?}"),
            _ => {}
        }
    }
    assert_eq!(saved.len(), 1, "{saved:?}");
    assert!(
        error.to_string().contains(saved[0].to_str().unwrap()),
        "{error}"
    );
    let mode = fs::metadata(&saved[0]).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    saved.remove(0)
}

async fn refuses_to_write_and_reads(store: &Store, problem: FileProblem) {
    until("it is in health", async || {
        let health = store.health().await.unwrap();
        health.file_problems == [problem] && !health.ok
    })
    .await;
    for _ in 0..2 {
        let refused = store.write(interaction(-1)).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Replaced, "{refused}");
        assert!(
            refused.to_string().contains(&problem.to_string()),
            "{refused}"
        );
        assert!(!refused.is_transient());
    }
    let read = store.read(crate::Everything).await.unwrap();
    assert_eq!(read as i64, INTERACTIONS);
}

#[tokio::test]
async fn a_database_that_is_moved_removed_or_replaced_is_told_once_and_all_of_it_is_saved() {
    for done in ALL {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.db");
        let store = open(&path).await;
        let mut events = store.events();
        done.to(&path);
        let expected = match done.leaves_a_name() {
            true => FileProblem::DatabaseReplaced,
            false => FileProblem::DatabaseRemoved,
        };
        assert_eq!(told(&mut events, expected).await, store.path(), "{done:?}");
        refuses_to_write_and_reads(&store, expected).await;
        // From no file that has only the name.
        let backup = store.back_up(TakeBackup::default()).await;
        assert_eq!(backup.unwrap_err().kind(), ErrorKind::Replaced);

        // A link leads to the old file, into which its log is copied.
        let content = || (!path.is_symlink()).then(|| fs::read(&path).ok());
        let before = content();
        let error = store.close().await.unwrap_err();
        let copy = saved(&error, &mut events);
        assert_eq!(
            copy,
            with(store.path(), ".saved-20261126T030405Z"),
            "{done:?}"
        );
        assert_eq!(messages(&copy), INTERACTIONS, "{done:?}");
        assert!(content() == before, "{done:?}");
        // What was its log is laid over nothing.
        let log = fs::metadata(with(&path, "-wal")).map_or(0, |log| log.len());
        assert_eq!(log, 0, "{done:?}");
    }
}

#[tokio::test]
async fn what_took_the_databases_name_is_a_file_of_its_own_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let yesterday = folder.path().join("yesterday.db");
    let store = open(&path).await;
    store.close().await.unwrap();
    copy(&path, &yesterday);
    let store = Store::open(keeps_its_log(Config::new(&path)))
        .await
        .unwrap();
    store.write(interaction(INTERACTIONS)).await.unwrap();
    fs::rename(&yesterday, &path).unwrap();
    let mut events = store.events();
    told(&mut events, FileProblem::DatabaseReplaced).await;
    let error = store.close().await.unwrap_err();
    assert_eq!(messages(&saved(&error, &mut events)), INTERACTIONS + 1);
    let store = Store::open(&path).await.unwrap();
    let read = store.read(crate::Everything).await.unwrap();
    assert_eq!(read as i64, INTERACTIONS);
    store.close().await.unwrap();
    assert_eq!(messages(&path), INTERACTIONS);
}

/// As `: > x.db` does, or a copy into it for which there is no room.
#[tokio::test]
async fn a_database_that_is_emptied_in_its_place_is_saved_from_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let store = open(&path).await;
    let mut events = store.events();
    // By another process: to close it in this one would drop the store's locks.
    let cut = Command::new("truncate")
        .args(["-s", "0"])
        .arg(&path)
        .status();
    assert!(cut.unwrap().success());
    told(&mut events, FileProblem::DatabaseEmptied).await;
    refuses_to_write_and_reads(&store, FileProblem::DatabaseEmptied).await;
    let error = store.close().await.unwrap_err();
    assert_eq!(messages(&saved(&error, &mut events)), INTERACTIONS);
    let refused = Store::open(&path).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Corrupt, "{refused}");
}

/// What was in the file alone is lost, and closing does not call the rest the whole.
#[tokio::test]
async fn a_copy_that_is_not_whole_is_not_called_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    open(&path).await.close().await.unwrap();
    let store = Store::open(keeps_its_log(Config::new(&path)))
        .await
        .unwrap();
    let mut events = store.events();
    let cut = Command::new("truncate")
        .args(["-s", "0"])
        .arg(&path)
        .status();
    assert!(cut.unwrap().success());
    told(&mut events, FileProblem::DatabaseEmptied).await;
    let error = store.close().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert!(error.to_string().contains(".saved-"), "{error}");
    assert!(error.to_string().contains("restore a backup"), "{error}");
}

#[tokio::test]
async fn a_folder_that_is_moved_away_with_the_database_in_it_is_no_loss() {
    let folder = tempfile::tempdir().unwrap();
    let (data, away) = (folder.path().join("data"), folder.path().join("away"));
    let store = open(&data.join("x.db")).await;
    let mut events = store.events();
    fs::rename(&data, &away).unwrap();
    loop {
        let event = answered(events.recv()).await.unwrap();
        if matches!(
            event,
            StoreEvent::FileProblem {
                problem: FileProblem::ShmRemoved,
                ..
            }
        ) {
            break;
        }
    }
    let error = store.close().await.unwrap_err();
    assert_eq!(messages(&saved(&error, &mut events)), INTERACTIONS);
    assert_eq!(messages(&away.join("x.db")), INTERACTIONS, "with its WAL");
}

#[tokio::test]
async fn a_copy_is_saved_over_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let store = open(&path).await;
    let taken = with(store.path(), ".saved-20261126T030405Z");
    symlink("/dev/null", &taken).unwrap();
    fs::remove_file(&path).unwrap();
    let mut events = store.events();
    told(&mut events, FileProblem::DatabaseRemoved).await;
    let error = store.close().await.unwrap_err();
    assert_eq!(saved(&error, &mut events), with(&taken, "-1"));
    assert!(taken.is_symlink());
}

/// Closing sees it by itself, however short the store lived after it.
#[tokio::test]
async fn what_happens_right_before_closing_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let store = open(&path).await;
    let mut events = store.events();
    fs::remove_file(&path).unwrap();
    let error = store.close().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Replaced, "{error}");
    let copy = std::iter::from_fn(|| events.try_recv().ok()).find_map(|event| match event {
        StoreEvent::CopySaved { path, .. } => Some(path),
        _ => None,
    });
    assert_eq!(messages(&copy.expect("a copy")), INTERACTIONS);
}

/// The WAL and its index alone: the database has its name, so closing brings all into it.
#[tokio::test]
async fn a_log_or_an_index_that_is_gone_is_told_as_that_and_closing_loses_nothing() {
    for (suffix, replaced, removed) in [
        ("-wal", FileProblem::WalReplaced, FileProblem::WalRemoved),
        ("-shm", FileProblem::ShmReplaced, FileProblem::ShmRemoved),
    ] {
        for done in ALL {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("x.db");
            let store = open(&path).await;
            let mut events = store.events();
            done.to(&with(&path, suffix));
            let problem = match done.leaves_a_name() {
                true => replaced,
                false => removed,
            };
            told(&mut events, problem).await;
            refuses_to_write_and_reads(&store, problem).await;
            let closed = store.close().await;
            let at = match (problem, closed) {
                (FileProblem::WalReplaced, Err(error)) => saved(&error, &mut events),
                (_, Ok(())) => path.clone(),
                (_, Err(error)) => panic!("{suffix} {done:?}: {error}"),
            };
            // What has the log's name is another's, who may need it.
            let alone = folder.path().join("alone.db");
            copy(&at, &alone);
            assert_eq!(messages(&alone), INTERACTIONS, "{suffix} {done:?}");
        }
    }
}

/// It comes back, and nothing has happened.
#[tokio::test]
async fn a_database_that_is_put_back_is_written_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let store = open(&path).await;
    let mut events = store.events();
    fs::rename(&path, folder.path().join("away")).unwrap();
    told(&mut events, FileProblem::DatabaseRemoved).await;
    store.write(interaction(-1)).await.unwrap_err();
    fs::rename(folder.path().join("away"), &path).unwrap();
    until("it is seen", async || store.health().await.unwrap().ok).await;
    store.write(interaction(0)).await.unwrap();
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_second_name_is_a_warning_for_as_long_as_there_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let store = open(&path).await;
    let mut events = store.events();
    let other = folder.path().join("other.db");
    fs::hard_link(&path, &other).unwrap();
    let is_linked = |health: &botstore::Health| {
        matches!(
            health.file_problems[..],
            [FileProblem::HardLinked { names: 2, .. }]
        )
    };
    loop {
        let event = answered(events.recv()).await.unwrap();
        if let StoreEvent::FileProblem { problem, .. } = event {
            assert!(problem.to_string().contains("2 names"), "{problem}");
            break;
        }
    }
    let health = store.health().await.unwrap();
    assert!(health.ok && is_linked(&health), "{health:?}");
    store.write(interaction(0)).await.unwrap();
    fs::remove_file(&other).unwrap();
    assert_eq!(store.health().await.unwrap().file_problems, []);
    fs::hard_link(&path, &other).unwrap();
    store.close().await.unwrap();

    // It opens, and whoever subscribes first is told.
    let store = Store::open(&path).await.unwrap();
    assert!(is_linked(&store.health().await.unwrap()));
    let status = botstore::status(&path).unwrap();
    assert_eq!(status.file_problems.len(), 1);
    store.run_due().await.unwrap();
    let mut events = store.events();
    loop {
        let event = answered(events.recv()).await.unwrap();
        if matches!(event, StoreEvent::FileProblem { .. }) {
            break;
        }
    }
    store.close().await.unwrap();
}

/// As when a release is put in the place of the one before.
#[tokio::test]
async fn a_link_that_leads_to_another_file_is_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let leads_to = |to: Option<&str>, link: &Path| {
        let new = at("new-link");
        match to {
            Some(to) => {
                symlink(to, &new).unwrap();
                fs::rename(new, link).unwrap();
            }
            None => fs::remove_file(link).unwrap(),
        }
    };
    for (link, path, one, other) in [
        ("x.db", "x.db", "one.db", "other.db"),
        ("current", "current/x.db", "one", "other"),
    ] {
        let (link, path) = (at(link), at(path));
        if link != path {
            fs::create_dir(at(one)).unwrap();
            fs::create_dir(at(other)).unwrap();
            fs::write(at("other/x.db"), "").unwrap();
        } else {
            fs::write(at(other), "").unwrap();
        }
        leads_to(Some(one), &link);
        let store = open(&path).await;
        for to in [Some(other), None] {
            let mut events = store.events();
            leads_to(to, &link);
            if to.is_some() {
                told(&mut events, FileProblem::PathLeadsElsewhere).await;
            }
            let health = store.health().await.unwrap();
            assert_eq!(health.file_problems, [FileProblem::PathLeadsElsewhere]);
            assert!(health.ok);
            store.write(interaction(0)).await.unwrap();
        }
        leads_to(Some(one), &link);
        assert_eq!(store.health().await.unwrap().file_problems, []);
        store.close().await.unwrap();
        assert_eq!(messages(&path), INTERACTIONS + 2);
    }
}

#[tokio::main(flavor = "current_thread")]
async fn write_and_wait_to_be_killed(path: &Path) {
    let store = open(path).await;
    println!("written");
    std::thread::park();
    drop(store);
}

/// The log is not laid over the file that has the name now; and put back, nothing is lost.
#[test]
fn the_log_of_a_killed_store_is_not_laid_over_the_file_that_replaced_its_own() {
    if let Some([path]) = given() {
        return write_and_wait_to_be_killed(path.as_ref());
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let open_it = || runtime.block_on(async { Store::open(&path).await });
    let yesterday = folder.path().join("yesterday.db");
    runtime.block_on(async { open_it_and_close(&path).await });
    copy(&path, &yesterday);
    let child = again(
        &[],
        the_log_of_a_killed_store_is_not_laid_over_the_file_that_replaced_its_own,
        &[&path],
    );
    let mut victim = Victim::start(child);
    assert!(victim.says("written"));
    let old = folder.path().join("old.db");
    fs::rename(&path, &old).unwrap();
    fs::rename(&yesterday, &path).unwrap();
    victim.kill();
    let picture = || {
        let read = |suffix| fs::read(with(&path, suffix)).unwrap();
        (read(""), read("-wal"))
    };
    let before = picture();
    for refused in [
        open_it().map(|_| ()).unwrap_err(),
        botstore::status(&path).map(|_| ()).unwrap_err(),
        botstore::schema::plan(&path).map(|_| ()).unwrap_err(),
        botstore::snapshot(&path, |_| Ok(())).unwrap_err(),
        botstore::backup::take(&path, TakeBackup::default())
            .map(|_| ())
            .unwrap_err(),
    ] {
        assert_eq!(refused.kind(), ErrorKind::Replaced, "{refused}");
    }
    assert!(picture() == before);
    // Back under its name, it is whole.
    fs::rename(&path, &yesterday).unwrap();
    fs::rename(&old, &path).unwrap();
    runtime.block_on(async { open_it_and_close(&path).await });
    assert_eq!(messages(&path), INTERACTIONS);
}

async fn open_it_and_close(path: &Path) {
    let store = Store::open(path).await.unwrap();
    store.close().await.unwrap();
}

/// A copy of both files, which a backup by hand of a killed bot is, has other numbers and opens.
#[test]
fn a_killed_stores_files_open_where_they_were_copied_to_together() {
    if let Some([path]) = given() {
        return write_and_wait_to_be_killed(path.as_ref());
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let this = a_killed_stores_files_open_where_they_were_copied_to_together;
    let mut victim = Victim::start(again(&[], this, &[&path]));
    assert!(victim.says("written"));
    victim.kill();
    let elsewhere = tempfile::tempdir().unwrap();
    let copied = Command::new("cp")
        .arg("-r")
        .arg(folder.path())
        .arg(elsewhere.path())
        .status();
    assert!(copied.unwrap().success());
    let copies = elsewhere.path().join(folder.path().file_name().unwrap());
    // Copied back over the originals, in any order, too.
    for suffix in ["-wal", ""] {
        let back = with(&path, ".back");
        copy(&with(&copies.join("x.db"), suffix), &back);
        fs::rename(back, with(&path, suffix)).unwrap();
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    for path in [path, copies.join("x.db")] {
        runtime.block_on(async { open_it_and_close(&path).await });
        assert_eq!(messages(&path), INTERACTIONS);
    }
}

/// As in a container whose image has the bot, and where the file alone is mounted.
#[test]
fn a_database_that_is_mounted_by_itself_is_told() {
    if let Some([path]) = given() {
        return is_told_of_the_mount(path.as_ref());
    }
    let folder = tempfile::tempdir().unwrap();
    let (host, app) = (folder.path().join("host.db"), folder.path().join("app"));
    fs::create_dir(&app).unwrap();
    let inside = app.join("x.db");
    fs::write(&host, "").unwrap();
    fs::write(&inside, "").unwrap();
    succeed_with_mounts(
        a_database_that_is_mounted_by_itself_is_told,
        &[(&host, &inside)],
        &[&inside],
    );
}

#[tokio::main(flavor = "current_thread")]
async fn is_told_of_the_mount(path: &Path) {
    let store = open(path).await;
    let health = store.health().await.unwrap();
    assert!(health.ok);
    assert_eq!(health.file_problems, [FileProblem::MountPoint]);
    told(&mut store.events(), FileProblem::MountPoint).await;
    store.close().await.unwrap();
    assert_eq!(
        botstore::status(path).unwrap().file_problems,
        [FileProblem::MountPoint]
    );
}
