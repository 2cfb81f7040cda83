//! A store's whole run on a disk that may fail at any moment of it: opening, callers at once, reads,
//! a backup, checkpoints, closing. Every answer is held against what the callers were told.

pub(crate) use crate::common::answered as answer;
use crate::common::patient;
use crate::copy::{copy, copy_as_killed, with};
use crate::disk;
use botstore::backup::{Backups, Pace, TakeBackup};
use botstore::interactions::SaveInteraction;
use botstore::rusqlite::{Connection, OpenFlags, Row};
use botstore::sessions::CreateSession;
use botstore::testing::usd;
use botstore::tools::ToolCall;
use botstore::users::{EnsureUser, GetUser};
use botstore::{BeforeUpgrade, Config, Error, ErrorKind, Result, Store, analytics};
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use tokio::task::JoinSet;

const USER: i64 = 7;
const CALLERS: u64 = 6;
const ROUNDS: u64 = 3;

/// A part of a power of two, so that sums are exact in any order.
const COST: f64 = 1.0 / 64.0;

/// What callers were told of their interactions.
#[derive(Default)]
pub(crate) struct Told {
    pub(crate) saved: Vec<u64>,
    pub(crate) refused: Vec<(u64, Error)>,
}

impl Told {
    fn take(&mut self, number: u64, answer: Result<()>) {
        match answer {
            Ok(()) => self.saved.push(number),
            Err(error) => self.refused.push((number, error)),
        }
    }
}

/// Few pages in memory and a short log, so that there are many reads and checkpoints.
pub(crate) fn config(path: &Path) -> Config {
    let backups = path.with_extension("backups");
    patient(Config::new(path))
        .readers(1)
        .cache_bytes(64 << 10)
        .checkpoint_at_bytes(64 << 10)
        .wal_ceiling_bytes(256 << 10)
        .before_upgrade(BeforeUpgrade::Skip)
        .backups(Backups::default().folder(backups).pace(Pace::Fast))
}

pub(crate) fn interaction(number: u64) -> SaveInteraction {
    SaveInteraction::new(USER, "s", format!("#{number}"))
        .response("It does the following. ".repeat(300))
        .cost(usd(COST))
        .tools(vec![ToolCall::new("Read"), ToolCall::new("Bash")])
        .idempotency_key(format!("update-{number}"))
}

/// A new file with a user, a session and an interaction, closed.
pub(crate) async fn prepare(path: &Path) {
    let store = Store::open(config(path)).await.unwrap();
    store.write(EnsureUser::new(USER, None)).await.unwrap();
    let session = CreateSession::new(USER, "s", "/srv");
    store.write(session).await.unwrap();
    store.write(interaction(0)).await.unwrap();
    store.close().await.unwrap();
}

/// Opens the file that `prepare` made. From here on nothing happens in it but what the test does: the
/// supervisor's first look at its schedules, which writes, is over.
pub(crate) async fn opened(config: Config) -> Store {
    let store = answer(Store::open(config)).await.unwrap();
    answer(store.run_due()).await.unwrap();
    store
}

/// What a disk may be blamed for.
pub(crate) fn is_the_disks(error: &Error) -> bool {
    use ErrorKind::*;
    matches!(error.kind(), DiskFull | Io | InDoubt | Corrupt | ReadOnly)
}

/// The whole run, on the file that `prepare` made.
pub(crate) async fn run(path: &Path) -> Told {
    let mut told = Told::default();
    told.saved.push(0);
    let store = match answer(Store::open(config(path))).await {
        Ok(store) => store,
        Err(error) => {
            assert!(is_the_disks(&error), "{error}");
            disk::heal();
            answer(Store::open(config(path))).await.unwrap()
        }
    };
    for round in 0..ROUNDS {
        let mut callers = JoinSet::new();
        for number in (0..CALLERS).map(|caller| 1 + round * CALLERS + caller) {
            let store = store.clone();
            callers.spawn(async move { (number, store.write(interaction(number)).await) });
        }
        while let Some(caller) = answer(callers.join_next()).await {
            let (number, saved) = caller.unwrap();
            told.take(number, saved.map(drop));
        }
        if !told.refused.is_empty() {
            what_a_killed_process_leaves(path, &told);
        }
        look(&store, &told).await;
    }
    if let Err(error) = answer(store.back_up(TakeBackup::default())).await {
        assert!(is_the_disks(&error), "{error}");
    }
    // Otherwise it breaks while the store closes.
    if disk::has_failed() {
        disk::heal();
    }
    works_again(&store, &mut told).await;
    if let Err(error) = answer(store.close()).await {
        assert!(is_the_disks(&error), "{error}");
    }
    told
}

/// Reads in both lanes: right, or refused by the disk.
async fn look(store: &Store, told: &Told) {
    let saved = told.saved.len() as u64;
    match answer(store.read(GetUser::new(USER))).await {
        Ok(user) => assert_eq!(user.unwrap().message_count, saved),
        Err(error) => assert!(is_the_disks(&error), "{error}"),
    }
    match answer(store.read(analytics::SystemStats::new())).await {
        Ok(statistics) => assert_eq!(statistics.total_messages, saved),
        Err(error) => assert!(is_the_disks(&error), "{error}"),
    }
}

/// What was refused can be sent again, and leads to one each.
async fn works_again(store: &Store, told: &mut Told) {
    // Failures are in the past, but for the few calls that a run's end has.
    let refused = std::mem::take(&mut told.refused);
    for (number, before) in refused {
        assert!(is_the_disks(&before), "{before}");
        let mut again = answer(store.write(interaction(number))).await;
        if again.is_err() {
            again = answer(store.write(interaction(number))).await;
        }
        let again = again.map(drop);
        assert!(again.is_ok(), "it was {before}, and healed it is {again:?}");
        told.take(number, again);
    }
    look(store, told).await;
}

/// Holds the file as it is now, and what would be found if the process died now, against what the
/// callers were told.
fn what_a_killed_process_leaves(path: &Path, told: &Told) {
    let (_folder, copy) = copied(path);
    holds(&copy, told);
}

/// What a process that is killed now would leave.
pub(crate) fn copied(path: &Path) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("copy.db");
    copy_as_killed(path, &to);
    (folder, to)
}

/// A copy of this database, which nobody has open, with the WAL that is beside that one.
pub(crate) fn with_log_of(database: &Path, log_of: &Path) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("copy.db");
    copy(database, &to);
    copy(&with(log_of, "-wal"), &with(&to, "-wal"));
    (folder, to)
}

/// Whether the closed file holds what was saved, once and whole, and nothing that was refused.
pub(crate) fn holds(path: &Path, told: &Told) {
    let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap();
    let count = |sql: &str| -> i64 { conn.query_row(sql, [], |row| row.get(0)).unwrap() };
    let text = |row: &Row<'_>| row.get::<_, String>(0);
    let verdict = conn.query_row("PRAGMA integrity_check", [], text).unwrap();
    assert_eq!(verdict, "ok");
    let with_prompt = |number: u64| {
        let sql = format!("SELECT count(*) FROM messages WHERE prompt = '#{number}'");
        count(&sql)
    };
    for &number in &told.saved {
        assert_eq!(with_prompt(number), 1, "{number} was acknowledged");
    }
    for (number, error) in &told.refused {
        let most = i64::from(error.kind() == ErrorKind::InDoubt);
        assert!(
            with_prompt(*number) <= most,
            "{number} was refused: {error}"
        );
    }
    let messages = count("SELECT count(*) FROM messages");
    assert_eq!(count("SELECT count(*) FROM tool_usage"), 2 * messages);
    assert_eq!(count("SELECT count(*) FROM botstore_update"), messages);
    assert_eq!(count("SELECT message_count FROM users"), messages);
    assert_eq!(count("SELECT message_count FROM sessions"), messages);
    assert_eq!(
        count("SELECT sum(request_count) FROM cost_tracking"),
        messages
    );
    let cost = |sql: &str| -> f64 { conn.query_row(sql, [], |row| row.get(0)).unwrap() };
    assert_eq!(cost("SELECT total_cost FROM users"), COST * messages as f64);
}
