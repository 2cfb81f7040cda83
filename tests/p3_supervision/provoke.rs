//! How each log line of the engine comes about: for real, by a disk that fails, a lock that another
//! program holds, a page that is damaged.

use crate::common::{HoldAnalytics, Put, PutMany, Then, WhoWrites, answered, hold, until};
use crate::copy::keeps_its_log;
use crate::disk::{self, By, Call, Lasting, Silence};
use crate::subscriber::Armed;
use crate::trial::Trial;
use botstore::backup::{Backups, TakeBackup};
use botstore::rusqlite::Connection;
use botstore::{
    Config, ErrorKind, Mutation, Query, ReadTx, Result, Role, StoreEvent, Timer, WriteTx,
};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub(crate) const LOST: &str = "a transaction was lost";
pub(crate) const COMMIT_FAILED: &str = "a commit failed";
pub(crate) const OVER_CEILING: &str = "the WAL is over its ceiling";
pub(crate) const NOT_COPIED: &str = "the WAL could not be copied";
pub(crate) const UNCOUNTED: &str = "rows could not be counted for statistics; they wait";
pub(crate) const CHECKPOINT: &str = "checkpoint";
pub(crate) const CHECKPOINT_FAILED: &str = "checkpoint failed";
pub(crate) const RUN_FAILED: &str = "a scheduled run failed";
pub(crate) const TIMERS: &str = "due timers could not be read";
pub(crate) const TIMERS_FAILED: &str = "timers failed, and are kept";
pub(crate) const TIMERS_UNKNOWN: &str = "timers of this name are not registered; they are kept";
pub(crate) const NEARLY_FULL: &str = "the disk is nearly full";
pub(crate) const DAMAGED: &str = "the file is damaged";
pub(crate) const DISK_FAILS: &str = "the disk fails";
pub(crate) const DISK_WORKS: &str = "the disk works again";
pub(crate) const FILES: &str = "something is wrong with the place of the database's files";
pub(crate) const ROLLUPS: &str = "the rollups differ from a full count";
pub(crate) const CLOCK: &str = "the clock is ahead of the time that has passed";
pub(crate) const STUCK: &str = "the backup worker is stuck";
pub(crate) const BACKUP_FAILED: &str = "a backup or a drill failed";
pub(crate) const FOLDER: &str = "the folder of backups cannot be read";
pub(crate) const RESTARTED: &str = "an actor panicked and was restarted";
pub(crate) const GIVEN_UP: &str = "an actor panicked too often and is not restarted";
pub(crate) const OPEN: &str = "the store is open";
pub(crate) const CLOSED: &str = "the store is closed";

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const HOUR: Duration = Duration::from_secs(3_600);
const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

/// A timer that never works.
#[derive(serde::Serialize, serde::Deserialize)]
struct Fails;

impl Mutation for Fails {
    type Output = ();

    fn apply(&self, _: &WriteTx<'_>) -> Result<()> {
        Err(botstore::Error::invalid("timer", "never works"))
    }
}

impl Timer for Fails {
    const NAME: &'static str = "fails";
}

/// The settings with which a line can come about.
pub(crate) fn settings(line: &str, config: Config, folder: &Path) -> Config {
    // In the place of this folder there is a file.
    let no_folder = || Backups::default().folder(folder.join("x.db").join("backups"));
    match line {
        LOST | DISK_FAILS | DISK_WORKS | TIMERS => config.busy_timeout(Duration::ZERO),
        TIMERS_FAILED => config.timer::<Fails>(),
        COMMIT_FAILED => keeps_its_log(config),
        OVER_CEILING | NOT_COPIED => config.checkpoint_at_bytes(MIB).wal_ceiling_bytes(MIB),
        CHECKPOINT | CHECKPOINT_FAILED => config.checkpoint_at_bytes(64 * KIB),
        RUN_FAILED => config.every(SECOND, || Put::then(-1, Then::Fail)),
        NEARLY_FULL => config.disk_low_bytes(u64::MAX),
        ROLLUPS => config.reconcile_every(HOUR),
        BACKUP_FAILED => config.backups(no_folder()),
        FOLDER => config.backups(no_folder().every(HOUR)),
        STUCK => {
            let backups = Backups::default().folder(folder.join("share"));
            config.backups(backups.stall_deadline(SECOND))
        }
        _ => config,
    }
}

/// Whose line it is; `None` where the actor is not at risk: where whoever panics is a task beside it, or
/// where the store's own thread catches it.
pub(crate) fn role(line: &str) -> Option<Role> {
    Some(match line {
        LOST | COMMIT_FAILED | OVER_CEILING | NOT_COPIED | UNCOUNTED => Role::Writer,
        CHECKPOINT | CHECKPOINT_FAILED => Role::Checkpointer,
        RUN_FAILED | NEARLY_FULL | DAMAGED | DISK_FAILS | DISK_WORKS | ROLLUPS | CLOCK | FILES
        | TIMERS | TIMERS_FAILED | TIMERS_UNKNOWN => Role::Supervisor,
        BACKUP_FAILED | FOLDER => Role::Backups,
        _ => return None,
    })
}

/// Another program's lock, until it is dropped.
pub(crate) fn lock(trial: &Trial) -> Connection {
    let other = Connection::open(&trial.path).unwrap();
    other.busy_timeout(crate::common::HANG).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    other
}

/// Has the line come about, in an open store that callers use, until the subscriber has panicked so
/// often.
pub(crate) async fn provoke(line: &'static str, trial: &Trial, armed: &Armed, times: usize) {
    let store = &trial.store;
    let panicked = async |what: &str| {
        until(what, async || armed.hits(line) >= times).await;
    };
    match line {
        LOST | DISK_FAILS => {
            for time in 1..=times {
                // What is written next is written by a new connection, which would wait for the lock
                // before it has a transaction to lose.
                until("it writes", async || {
                    let write = store.write(Touch);
                    answered(write).await.is_ok() || time > 1 && armed.hits(line) >= times
                })
                .await;
                let lock = lock(trial);
                until("somebody waits for the lock in vain", async || {
                    armed.hits(line) >= time
                })
                .await;
                drop(lock);
            }
        }
        DISK_WORKS => {
            let mut events = store.events();
            let lock = lock(trial);
            // The supervisor has to have seen it.
            let is_it = |event| matches!(event, StoreEvent::Failing(_));
            while !is_it(answered(events.recv()).await.unwrap()) {}
            drop(lock);
            panicked("it works again").await;
        }
        COMMIT_FAILED => {
            for time in 1..=times {
                disk::breaks_now(Call::Sync, Lasting::Once, libc::EIO);
                until("a commit fails", async || armed.hits(line) >= time).await;
            }
            disk::heal();
        }
        OVER_CEILING => {
            let (hold, holding) = hold();
            let holding = Arc::new(holding);
            let held = tokio::spawn({
                let store = store.clone();
                async move { store.read(HoldAnalytics(hold)).await }
            });
            holding.started().await;
            let _ = answered(store.write(many())).await;
            panicked("the log grows").await;
            holding.release();
            held.await.unwrap().unwrap();
        }
        NOT_COPIED => {
            let writer = answered(store.write(WhoWrites)).await.unwrap();
            disk::breaks_at_the_next_checkpoint(By::Only(writer));
            let _ = answered(store.write(many())).await;
            panicked("the writer copies the log").await;
            disk::heal();
        }
        UNCOUNTED => {
            let other = Connection::open(&trial.path).unwrap();
            other.busy_timeout(crate::common::HANG).unwrap();
            other
                .execute_batch(
                    "PRAGMA foreign_keys = OFF;
                     CREATE TRIGGER refuses BEFORE UPDATE ON botstore_counted BEGIN
                         SELECT RAISE(ABORT, 'no'); END;
                     WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
                     INSERT INTO messages (session_id, user_id, prompt) SELECT 'elsewhere', 0, '' FROM n;",
                )
                .unwrap();
            until("rows are counted in vain", async || {
                let _ = answered(store.write(many())).await;
                armed.hits(line) >= times
            })
            .await;
            let gone = "DROP TRIGGER refuses; DELETE FROM messages WHERE session_id = 'elsewhere'";
            other.execute_batch(gone).unwrap();
        }
        CHECKPOINT => panicked("a checkpoint").await,
        CHECKPOINT_FAILED => {
            // If the writer, which copies the WAL too, failed, nobody would try again.
            let writer = answered(store.write(WhoWrites)).await.unwrap();
            disk::breaks_at_the_next_checkpoint(By::AnybodyBut(writer));
            panicked("a checkpoint fails").await;
            disk::heal();
        }
        RUN_FAILED => {
            until("the run fails", async || {
                trial.clock.advance(SECOND);
                if let Err(error) = answered(store.run_due()).await {
                    is_no_closed_store(Err::<(), _>(error));
                }
                armed.hits(line) >= times
            })
            .await;
        }
        TIMERS => {
            for time in 1..=times {
                let lock = lock(trial);
                until("they are looked at in vain", async || {
                    let _ = answered(store.run_due()).await;
                    armed.hits(line) >= time
                })
                .await;
                drop(lock);
            }
        }
        TIMERS_FAILED | TIMERS_UNKNOWN => {
            let other = Connection::open(&trial.path).unwrap();
            other.busy_timeout(crate::common::HANG).unwrap();
            for time in 1..=times {
                let name = match line {
                    TIMERS_FAILED => Fails::NAME.to_owned(),
                    _ => format!("nobody's {time}"),
                };
                let sql = "INSERT INTO botstore_timer (name, message, due_at, created_at, try_at)
                           VALUES (?1, 'null', ?2, ?2, ?2)";
                let past = "2020-01-01T00:00:00.000000+00:00";
                other.execute(sql, [&*name, past]).unwrap();
                until("it is told", async || {
                    let _ = answered(store.run_due()).await;
                    armed.hits(line) >= time
                })
                .await;
            }
        }
        ROLLUPS => {
            let _ = answered(store.run_due()).await;
            let other = Connection::open(&trial.path).unwrap();
            other.busy_timeout(crate::common::HANG).unwrap();
            let sql = "INSERT INTO botstore_day VALUES (0, '2020-01-01', 1, 1, 0, 0, 0, 0)";
            other.execute(sql, []).unwrap();
            until("they are compared", async || {
                trial.clock.advance(HOUR);
                let _ = answered(store.run_due()).await;
                armed.hits(line) >= times
            })
            .await;
        }
        CLOCK => {
            for time in 1..=times {
                let now = trial.store.now();
                trial.clock.set(now + HOUR);
                until("it is seen", async || armed.hits(line) >= time).await;
                trial.clock.set(now);
                until("it is right again", async || {
                    store.health().await.unwrap().clock_ahead.is_none()
                })
                .await;
            }
        }
        FILES => {
            for time in 1..=times {
                // One more name is something new.
                let name = trial.folder.path().join(format!("name-{time}"));
                std::fs::hard_link(&trial.path, name).unwrap();
                until("it is told", async || armed.hits(line) >= time).await;
            }
        }
        DAMAGED => {
            damage(trial);
            answered(store.read(AllSessions)).await.unwrap_err();
            panicked("the supervisor sees the damage").await;
        }
        BACKUP_FAILED => {
            for _ in 0..times {
                let answer = answered(store.back_up(TakeBackup::default())).await;
                is_no_closed_store(answer);
            }
        }
        STUCK => {
            let share = trial.folder.path().join("share");
            disk::does_not_answer(&share, Silence::Writing);
            let answer = answered(store.back_up(TakeBackup::default())).await;
            is_no_closed_store(answer);
            disk::answers(&share);
        }
        // They come by themselves.
        NEARLY_FULL | FOLDER | OPEN => panicked("it comes").await,
        _ => panic!("nobody knows how this comes about: {line}"),
    }
}

/// Whoever waited for the actor that panicked hears so, and not that the store is closed.
fn is_no_closed_store<T>(answer: Result<T>) {
    let kind = answer.err().expect("it is refused").kind();
    let expected = [ErrorKind::Panicked, ErrorKind::Unavailable];
    assert!(expected.contains(&kind), "{kind:?}");
}

/// Has something to commit, and changes nothing.
struct Touch;

impl Mutation for Touch {
    type Output = ();

    fn apply(&self, tx: &WriteTx<'_>) -> Result<()> {
        tx.execute("UPDATE probe SET text = text WHERE number < 0", [])?;
        Ok(())
    }
}

/// Reads every session.
struct AllSessions;

impl Query for AllSessions {
    type Output = Option<i64>;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Option<i64>> {
        let sql = "SELECT sum(length(project_path)) FROM sessions NOT INDEXED";
        tx.one(sql, [], |row| Ok(row.get(0)?))
    }
}

/// More than the ceiling.
fn many() -> PutMany {
    PutMany {
        first: 1,
        count: 8_000,
    }
}

/// Damages the page on which the sessions begin. The file stays open, for the sake of the store's locks.
fn damage(trial: &Trial) {
    let page: i64 = {
        let conn = Connection::open(&trial.path).unwrap();
        let sql = "SELECT rootpage FROM sqlite_schema WHERE name = 'sessions'";
        conn.query_row(sql, [], |row| row.get(0)).unwrap()
    };
    let mut file = std::fs::OpenOptions::new();
    let mut file = file.write(true).open(&trial.path).unwrap();
    let at = (page as u64 - 1) * 4096;
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(&[0xff; 8]).unwrap();
    std::mem::forget(file);
}
