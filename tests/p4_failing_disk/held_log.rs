//! The moment after a checkpoint's sync has failed, made as long as it takes: the WAL is kept from it on.

use crate::common::until;
use crate::disk::{self, By, Disk};
use crate::threads;
use crate::trial::{Told, answer, config, holds, interaction, opened, prepare, with_log_of};
use botstore::rusqlite::Connection;
use std::fmt::Debug;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Mutex, Once};
use std::time::Duration;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// The disk of the test whose store is held.
static HOLDS: Mutex<Option<&Disk>> = Mutex::new(None);
static HELD: AtomicBool = AtomicBool::new(false);

/// Holds whoever logs that a checkpoint failed, as a slow disk for the logs does.
struct HoldsUp;

/// While it lives, they are held.
struct Holding;

impl Holding {
    fn begin() -> Self {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| tracing::subscriber::set_global_default(HoldsUp).unwrap());
        HELD.store(false, SeqCst);
        *HOLDS.lock().unwrap() = Some(disk::this());
        Self
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        *HOLDS.lock().unwrap() = None;
    }
}

impl Subscriber for HoldsUp {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::WARN
    }

    fn event(&self, event: &Event<'_>) {
        event.record(&mut Message);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

fn is_held() -> bool {
    let holds = HOLDS.lock().unwrap();
    holds
        .zip(threads::disk())
        .is_some_and(|(held, this)| std::ptr::eq(held, this))
}

struct Message;

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" && format!("{value:?}") == "checkpoint failed" {
            while is_held() {
                HELD.store(true, SeqCst);
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }
}

const MIB: u64 = 1 << 20;
const CEILING: u64 = 6 * MIB;

/// What a WAL of so many bytes has in frames.
fn frames(bytes: u64) -> i64 {
    (bytes / (24 + 4096)) as i64
}

/// A snapshot: what comes after it stays in the WAL.
fn snapshot(path: &Path) -> Connection {
    let reader = Connection::open(path).unwrap();
    let read = "BEGIN; SELECT count(*) FROM messages";
    reader.execute_batch(read).unwrap();
    reader
}

#[tokio::test]
async fn no_moment_passes_between_a_checkpoint_that_could_not_sync_and_the_end_of_all_checkpoints()
{
    disk::begin();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    prepare(&path).await;
    let old_folder = tempfile::tempdir().unwrap();
    let old = old_folder.path().join("old.db");
    std::fs::copy(&path, &old).unwrap();
    let store = opened(config(&path).wal_ceiling_bytes(CEILING)).await;
    let health = async || store.health().await.unwrap();
    let mut told = Told::default();
    told.saved.push(0);
    let mut numbers = 1..;
    let mut write = async || {
        let number = numbers.next().unwrap();
        answer(store.write(interaction(number))).await.unwrap();
        told.saved.push(number);
    };
    // Of a long log a part is copied, and nothing is synced: that comes with the rest, which is more
    // than the writer would copy without being at the ceiling.
    let first = snapshot(&path);
    while health().await.wal_bytes < 2 * MIB {
        write().await;
    }
    let second = snapshot(&path);
    drop(first);
    until("a part is copied", async || {
        write().await;
        let last = health().await.last_checkpoint;
        last.is_some_and(|last| last.copied > frames(MIB))
    })
    .await;
    let copied = health().await.wal_bytes;
    while health().await.wal_bytes < copied + 3 * MIB / 2 {
        write().await;
    }
    let restarts = async || health().await.writer.wal_restarts;
    let before = restarts().await;

    let holding = Holding::begin();
    disk::breaks_at_the_next_checkpoint(By::Anybody);
    drop(second);
    until("a checkpoint that fails", async || {
        write().await;
        HELD.load(SeqCst)
    })
    .await;
    // The checkpointer says so, and nothing else yet. At the ceiling the writer would copy the WAL.
    while health().await.wal_bytes < CEILING + MIB {
        write().await;
        assert_eq!(restarts().await, before, "the log has started over");
    }
    drop(holding);
    disk::heal();
    assert!(!health().await.ok);
    let (_folder, only_the_log) = with_log_of(&old, &path);
    holds(&only_the_log, &told);
    answer(store.close()).await.unwrap_err();
    drop(store);
    let again = opened(config(&path)).await;
    answer(again.close()).await.unwrap();
    holds(&path, &told);
}
