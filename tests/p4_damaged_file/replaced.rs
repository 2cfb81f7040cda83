//! The files under an open store are moved, removed and replaced.

use crate::copy::{copy, keeps_its_log, with};
use crate::wait::{answered, at_once, until};
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
pub(crate) fn time() -> DateTime<Utc> {
    "2026-11-26T03:04:05Z".parse().unwrap()
}

pub(crate) async fn open(path: &Path) -> Store {
    let config = keeps_its_log(Config::new(path)).clock(FixedClock::at(time()));
    let store = Store::open(config).await.unwrap();
    sign_up(&store).await;
    for number in 0..INTERACTIONS {
        store.write(interaction(number)).await.unwrap();
    }
    store
}

/// How many messages a file has, which nothing is wrong with.
pub(crate) fn messages(path: &Path) -> i64 {
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
pub(crate) async fn told(events: &mut Receiver<StoreEvent>, expected: FileProblem) -> PathBuf {
    loop {
        let event = answered(events.recv()).await.unwrap();
        if let StoreEvent::FileProblem { problem, path, .. } = event {
            assert_eq!(problem, expected);
            return path;
        }
    }
}

/// The copy that closing says it has saved, twice.
pub(crate) fn saved(error: &botstore::Error, events: &mut Receiver<StoreEvent>) -> PathBuf {
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

pub(crate) async fn refuses_to_write_and_reads(store: &Store, problem: FileProblem) {
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

async fn is_told_once_and_saved(done: Done) {
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

#[tokio::test]
async fn a_database_that_is_moved_removed_or_replaced_is_told_once_and_all_of_it_is_saved() {
    at_once(ALL.map(is_told_once_and_saved)).await;
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

/// What is told where another file has the name of this one, and where none has.
type Beside = (&'static str, FileProblem, FileProblem);

const LOG: Beside = ("-wal", FileProblem::WalReplaced, FileProblem::WalRemoved);
const INDEX: Beside = ("-shm", FileProblem::ShmReplaced, FileProblem::ShmRemoved);

async fn loses_nothing((suffix, when_replaced, when_removed): Beside, done: Done) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let store = open(&path).await;
    let mut events = store.events();
    done.to(&with(&path, suffix));
    let problem = match done.leaves_a_name() {
        true => when_replaced,
        false => when_removed,
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

/// The WAL and its index alone: the database has its name, so closing brings all into it.
#[tokio::test]
async fn a_log_or_an_index_that_is_gone_is_told_as_that_and_closing_loses_nothing() {
    let all = [LOG, INDEX].map(|beside| ALL.map(|done| loses_nothing(beside, done)));
    at_once(all.into_iter().flatten()).await;
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
