//! A store with a short log, and writes that make it grow.

use crate::common::{PutMany, probe_store};
use botstore::testing::TestStore;
use botstore::{Durability, LogHolder, Store, StoreEvent};
use std::cell::Cell;
use std::time::{Duration, Instant};
use tokio::sync::broadcast::Receiver;

pub(crate) const CEILING: u64 = 1024 * 1024;

/// One group of [`Writes`], and what SQLite adds: the log may go over its ceiling by so much.
pub(crate) const GROUP: u64 = 256 * 1024;
pub(crate) const ROWS: i64 = 200;

/// How long an endless query runs here.
pub(crate) const DEADLINE: Duration = Duration::from_secs(1);

/// Longer than any of this takes; when it has passed, the store hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) async fn low_ceiling() -> TestStore {
    let store = probe_store(|config| {
        let config = config.interactive_deadline(DEADLINE);
        let config = config.analytics_deadline(DEADLINE);
        let config = config.wal_ceiling_bytes(CEILING);
        let config = config.checkpoint_at_bytes(CEILING / 4);
        let config = config.readers(2).analytics_readers(2);
        config.durability(Durability::Normal)
    })
    .await;
    let writes = Writes::from(&store, -20_000);
    for _ in 0..50 {
        writes.one().await;
    }
    store
}

/// Groups of rows, one after the other.
pub(crate) struct Writes<'a> {
    store: &'a Store,
    pub(crate) next: Cell<i64>,
}

impl<'a> Writes<'a> {
    /// From this number on.
    pub(crate) fn from(store: &'a Store, first: i64) -> Self {
        let next = Cell::new(first);
        Self { store, next }
    }

    pub(crate) async fn one(&self) {
        let first = self.next.get();
        self.next.set(first + ROWS);
        let written = self.store.write(PutMany { first, count: ROWS });
        let written = tokio::time::timeout(PATIENCE, written).await;
        written.expect("writes go on").unwrap();
    }

    /// Writes until this is so.
    pub(crate) async fn until(&self, so: impl AsyncFn() -> bool) {
        let began = Instant::now();
        while !so().await {
            assert!(began.elapsed() < PATIENCE, "{} bytes", self.log().await);
            self.one().await;
        }
    }

    pub(crate) async fn log(&self) -> u64 {
        self.store.health().await.unwrap().wal_bytes
    }

    /// Writes until the log is back under its ceiling, and sees it stay there.
    pub(crate) async fn until_the_log_is_short(&self) {
        self.until(async || self.log().await <= CEILING + GROUP)
            .await;
        for _ in 0..50 {
            self.one().await;
            let bytes = self.log().await;
            assert!(bytes <= CEILING + GROUP, "it grew to {bytes} bytes again");
        }
    }
}

/// What was told of the log since the last time that this was asked.
pub(crate) fn told(events: &mut Receiver<StoreEvent>) -> Vec<StoreEvent> {
    let all = std::iter::from_fn(|| events.try_recv().ok());
    let of_the_log = all.filter(|event| matches!(event, StoreEvent::LogOverCeiling { .. }));
    of_the_log.collect()
}

/// Who is said to hold the log up, which is told once.
pub(crate) fn holders(events: &mut Receiver<StoreEvent>) -> Vec<LogHolder> {
    let mut told = told(events);
    assert_eq!(told.len(), 1, "{told:?}");
    let Some(StoreEvent::LogOverCeiling {
        bytes,
        ceiling_bytes,
        held_by,
    }) = told.pop()
    else {
        panic!("{told:?}");
    };
    assert_eq!(ceiling_bytes, CEILING);
    assert!(bytes >= CEILING, "{bytes}");
    held_by
}
