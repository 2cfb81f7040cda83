//! P8: a file is opened, or refused with an error that says what to do and left as it is.
//! (The machinery of steps is in `outside_schema.rs`, the Python bot's files in `adoption`.)

#[path = "shared/child.rs"]
mod child;
mod common;
#[path = "shared/copy.rs"]
mod copy;

use botstore::backup::{self, IfExists, VerifyOptions};
use botstore::rusqlite::Connection;
use botstore::schema::{self, Migration, Schema};
use botstore::testing::TestStore;
use botstore::users::{EnsureUser, GetUser};
use botstore::{BeforeUpgrade, Config, ErrorKind, Store};
use child::{Victim, again};
use common::{Probe, kind, wait_until};
use copy::{copy, with};
use std::path::Path;
use std::process::Command;

fn bytes(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap()
}

#[tokio::test]
async fn a_file_of_a_newer_program_is_refused_and_left_as_it_is() {
    let store = TestStore::open().await.unwrap();
    let (_folder, path) = store.into_file().await.unwrap();
    let conn = Connection::open(&path).unwrap();
    conn.execute(
        "INSERT INTO botstore_ledger VALUES ('botstore', 999, 'of_next_year', 'SELECT 1', '', '', '')",
        [],
    )
    .unwrap();
    conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .unwrap();
    drop(conn);
    let before = bytes(&path);
    let error = Store::open(&path).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NewerSchema);
    assert!(error.to_string().contains("999"), "{error}");
    assert_eq!(bytes(&path), before);
}

#[tokio::test]
async fn a_text_file_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.txt");
    std::fs::write(
        &path,
        "Dear diary, today I was opened as a database.\n".repeat(100),
    )
    .unwrap();
    let before = bytes(&path);
    let error = Store::open(&path).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ForeignFile);
    assert!(error.to_string().contains("notes.txt"), "{error}");
    assert_eq!(bytes(&path), before);
}

/// A step that never ends, so that the process can be killed in the middle of it.
struct Slow;

impl Schema for Slow {
    const NAME: &'static str = "slow";
    const MIGRATIONS: &'static [Migration] = &[
        Migration::new(1, "first", "CREATE TABLE first (a)", "DROP TABLE first"),
        Migration::new(
            2,
            "second",
            "CREATE TABLE second (a);
             INSERT INTO second WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000)
                 SELECT i FROM n;
             INSERT INTO second WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)
                 SELECT count(*) FROM n;",
            "DROP TABLE second",
        ),
    ];
}

/// The same as far as a test has the patience to run it.
struct Quick;

impl Schema for Quick {
    const NAME: &'static str = "slow";
    const MIGRATIONS: &'static [Migration] = &[
        Slow::MIGRATIONS[0],
        Migration::new(2, "second", "CREATE TABLE second (a)", "DROP TABLE second"),
    ];
}

#[tokio::test]
async fn a_process_killed_in_a_migration_leaves_a_file_that_opens() {
    if let Some([path]) = child::given() {
        let opened = Store::open(Config::new(path).schema::<Slow>()).await;
        return drop(opened.expect("the migration never ends"));
    }
    let store = TestStore::open().await.unwrap();
    store.write(EnsureUser::new(1, Some("ada"))).await.unwrap();
    let (_folder, path) = store.into_file().await.unwrap();
    let test = a_process_killed_in_a_migration_leaves_a_file_that_opens;
    let mut child = Victim::start(again(&[], test, &[&path]));
    // The first step is in the ledger, so the second is running.
    let step_one = || -> Option<i64> {
        let conn = Connection::open(&path).ok()?;
        let sql = "SELECT count(*) FROM botstore_ledger WHERE schema = 'slow'";
        conn.query_row(sql, [], |row| row.get(0)).ok()
    };
    wait_until("the first step", || {
        assert!(!child.has_ended(), "the child ended by itself");
        step_one() == Some(1)
    });
    child.kill();

    let store = Store::open(Config::new(&path).schema::<Quick>())
        .await
        .unwrap();
    assert!(store.read(GetUser::new(1)).await.unwrap().is_some());
    let steps = store.health().await.unwrap().schemas;
    assert!(steps.iter().any(|s| s.schema == "slow" && s.step == 2));
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_verified_copy_is_made_before_an_upgrade_and_only_then() {
    let store = TestStore::open().await.unwrap();
    store.write(EnsureUser::new(1, Some("ada"))).await.unwrap();
    let (folder, path) = store.into_file().await.unwrap();
    let copies = || {
        let folder = folder.path().join("test.db.backups");
        backup::list(folder).unwrap().backups
    };
    assert!(copies().is_empty(), "a new file needs no copy");
    let again = Store::open(&path).await.unwrap();
    again.close().await.unwrap();
    assert!(copies().is_empty(), "no step, no copy");

    let upgraded = Store::open(Config::new(&path).schema::<Probe>())
        .await
        .unwrap();
    upgraded.close().await.unwrap();
    let copies = copies();
    assert_eq!(copies.len(), 1, "{copies:?}");
    assert!(copies[0].manifest.name.ends_with("-before-upgrade"));
    let restored = folder.path().join("restored.db");
    backup::restore(
        &restored,
        &copies[0].path,
        IfExists::Refuse,
        VerifyOptions::default(),
    )
    .unwrap();
    // The copy is the file as it was: it opens, without the new table.
    let copy = Store::open(Config::new(&restored).before_upgrade(BeforeUpgrade::Skip))
        .await
        .unwrap();
    let user = copy.read(GetUser::new(1)).await.unwrap().unwrap();
    assert_eq!(user.username.as_deref(), Some("ada"));
    let schemas = copy.health().await.unwrap().schemas;
    assert!(schemas.iter().all(|s| s.schema.starts_with("botstore")));
}

#[tokio::test]
async fn a_second_store_is_refused_until_the_first_is_closed() {
    let store = TestStore::open().await.unwrap();
    let error = Store::open(store.path()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyOpen);
    let pid = std::process::id().to_string();
    assert!(error.to_string().contains(&pid), "{error}");
    // The same file by another name.
    let link = store.folder().join("link.db");
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(store.path(), &link).unwrap();
        assert_eq!(kind(Store::open(&link).await), ErrorKind::AlreadyOpen);
    }
    store.close().await.unwrap();
    let second = Store::open(store.path()).await.unwrap();
    second.close().await.unwrap();
}

/// Everything that takes a configuration; without an answer, since only the path is of interest.
fn each_way_in(name: &str) -> Vec<(&'static str, Option<ErrorKind>)> {
    fn kind_of<T>(done: botstore::Result<T>) -> Option<ErrorKind> {
        done.err().map(|error| error.kind())
    }
    vec![
        ("status", kind_of(botstore::status(name))),
        ("snapshot", kind_of(botstore::snapshot(name, |_| Ok(())))),
        ("plan", kind_of(schema::plan(name))),
        ("unknown_objects", kind_of(schema::unknown_objects(name))),
        ("apply", kind_of(schema::apply(name))),
        (
            "apply_to",
            kind_of(schema::apply_to(name, "botstore", schema_end())),
        ),
        (
            "rollback",
            kind_of(schema::rollback(name, "botstore", schema_end())),
        ),
        (
            "take",
            kind_of(backup::take(name, backup::TakeBackup::default())),
        ),
        ("Plain", kind_of(botstore::testing::Plain::open(name))),
    ]
}

/// The last step of the bot's tables.
fn schema_end() -> u32 {
    let steps = schema::plan("a-file-that-is-not-there.db").unwrap().steps;
    let steps = steps.iter().filter(|step| step.schema == "botstore");
    steps.map(|step| step.step).max().unwrap()
}

#[tokio::test]
async fn a_url_of_the_python_bot_names_the_same_file_wherever_one_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bot.db");
    let path = path.to_str().unwrap();
    for scheme in ["sqlite:///", "sqlite:", "sqlite+aiosqlite:///"] {
        let name = format!("{scheme}{path}");
        let store = Store::open(&name).await.unwrap();
        assert_eq!(
            store.path(),
            Path::new(path).canonicalize().unwrap(),
            "{name}"
        );
        assert_eq!(kind(Store::open(path).await), ErrorKind::AlreadyOpen);
        store.close().await.unwrap();
        for (way, error) in each_way_in(&name) {
            assert_eq!(error, None, "{way} of {name}");
        }
        let backups = backup::list(format!("{path}.backups")).unwrap().backups;
        let to = format!("{scheme}{path}.{}", scheme.len());
        let restore = |to: &str| {
            backup::restore(
                to,
                &backups[0].path,
                IfExists::Refuse,
                VerifyOptions::default(),
            )
        };
        restore(&to).unwrap();
        assert!(Path::new(&format!("{path}.{}", scheme.len())).exists());
    }
    let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    let is_the_bots =
        |name: &std::fs::DirEntry| name.file_name().to_string_lossy().starts_with("bot.db");
    assert!(names.into_iter().all(|name| is_the_bots(&name.unwrap())));
}

#[tokio::test]
async fn what_is_no_path_is_refused_and_made_no_folder_of() {
    let listed = || {
        let names = std::fs::read_dir(".")
            .unwrap()
            .map(|name| name.unwrap().file_name());
        std::collections::BTreeSet::from_iter(names)
    };
    let before = listed();
    for name in [
        "file:bot.db",
        "file:///srv/bot.db?mode=ro",
        "sqlite:///data/bot.db?mode=ro",
        "postgresql://bot@localhost/bot",
        "sqlite:///:memory:",
        "sqlite://",
        "~nobody-of-this-name/bot.db",
    ] {
        let error = Store::open(name).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.field()),
            (ErrorKind::Invalid, Some("path")),
            "{error}"
        );
        for (way, error) in each_way_in(name) {
            assert_eq!(error, Some(ErrorKind::Invalid), "{way} of {name}");
        }
        let elsewhere = Config::new("bot-beside.db");
        let elsewhere = elsewhere.backups(backup::Backups::default().folder(name));
        if !name.ends_with(":memory:") && name != "sqlite://" {
            assert_eq!(
                kind(Store::open(elsewhere).await),
                ErrorKind::Invalid,
                "{name}"
            );
        }
    }
    let new: Vec<_> = listed().difference(&before).cloned().collect();
    assert!(new.is_empty(), "{new:?}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_link_to_a_file_that_is_not_there_yet_is_a_name_of_that_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data").join("bot.db");
    let link = folder.path().join("link.db");
    std::os::unix::fs::symlink("data/bot.db", &link).unwrap();
    let store = Store::open(&link).await.unwrap();
    assert_eq!(store.path(), path.canonicalize().unwrap());
    assert_eq!(kind(Store::open(&path).await), ErrorKind::AlreadyOpen);
    store.write(EnsureUser::new(1, Some("ada"))).await.unwrap();
    store.close().await.unwrap();
    // A restore that was killed between moving the old file away and the new one in.
    let beside = |suffix: &str| folder.path().join(format!("data/bot.db{suffix}"));
    std::fs::rename(&path, beside(".restoring.db")).unwrap();
    std::fs::write(beside(".restoring"), ".replaced-1").unwrap();
    let store = Store::open(&link).await.unwrap();
    assert!(store.read(GetUser::new(1)).await.unwrap().is_some());
    store.close().await.unwrap();

    let (one, two) = (folder.path().join("one"), folder.path().join("two"));
    std::os::unix::fs::symlink(&one, &two).unwrap();
    std::os::unix::fs::symlink(&two, &one).unwrap();
    assert_eq!(kind(Store::open(&one).await), ErrorKind::Io);
}

#[cfg(unix)]
#[tokio::test]
async fn a_closed_store_opens_again_at_once_while_the_program_starts_others() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bot.db");
    let over = std::sync::atomic::AtomicBool::new(false);
    let starts = || {
        while !over.load(std::sync::atomic::Ordering::Relaxed) {
            Command::new("true").status().unwrap();
        }
    };
    let open_and_close = async || -> botstore::Result<()> {
        for _ in 0..20 {
            Store::open(&path).await?.close().await?;
        }
        Ok(())
    };
    let result = std::thread::scope(|scope| {
        (0..4).for_each(|_| drop(scope.spawn(starts)));
        let runtime = tokio::runtime::Handle::current();
        let result = scope.spawn(move || runtime.block_on(open_and_close()));
        let result = result.join();
        over.store(true, std::sync::atomic::Ordering::Relaxed);
        result
    });
    result.unwrap().unwrap();
}

/// Whoever was killed before the file had a log, while its first tables were made, leaves a journal.
#[tokio::test]
async fn a_file_with_a_change_that_was_cut_short_is_looked_at_as_it_was_before() {
    let (folder, path) = TestStore::open().await.unwrap().into_file().await.unwrap();
    let conn = Connection::open(&path).unwrap();
    conn.execute_batch(
        "PRAGMA journal_mode = DELETE; PRAGMA cache_size = 1; BEGIN;
         UPDATE botstore_ledger SET up_sql = hex(zeroblob(100000));",
    )
    .unwrap();
    let killed = folder.path().join("killed.db");
    for suffix in ["", "-journal"] {
        copy(&with(&path, suffix), &with(&killed, suffix));
    }
    let status = botstore::status(&killed).unwrap();
    assert!(status.plan.unwrap().steps.is_empty());
    Store::open(&killed).await.unwrap().close().await.unwrap();
}
