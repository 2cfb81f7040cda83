//! A store with a short log, and writes that make it grow.

use crate::common::{HANG, PutMany, answered, probe_store};
use botstore::testing::TestStore;
use botstore::{Config, Durability, Store, StoreEvent, WalHolder};
use std::cell::Cell;
use std::time::Instant;
use tokio::sync::broadcast::Receiver;

pub(crate) const CEILING: u64 = 1024 * 1024;

/// Rows of one group of [`Writes`].
pub(crate) const ROWS: i64 = 200;

/// After so many more writes, some 230 MB, a WAL that nobody holds up any more has started over.
const CATCHES_UP: i64 = 4_000;

pub(crate) async fn low_ceiling() -> TestStore {
    low_ceiling_with(|config| config).await
}

pub(crate) async fn low_ceiling_with(configure: impl FnOnce(Config) -> Config) -> TestStore {
    let store = probe_store(|config| {
        let config = configure(config);
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
        answered(written).await.unwrap();
    }

    /// Writes until this is so.
    pub(crate) async fn until(&self, so: impl AsyncFn() -> bool) {
        let began = Instant::now();
        while !so().await {
            assert!(began.elapsed() < HANG, "{} bytes", self.log().await);
            self.one().await;
        }
    }

    pub(crate) async fn log(&self) -> u64 {
        self.store.health().await.unwrap().wal_bytes
    }

    pub(crate) async fn restarts(&self) -> u64 {
        self.store.health().await.unwrap().writer.wal_restarts
    }

    /// Writes until the WAL is back under its ceiling, and sees that it goes on starting over. (How far
    /// it grows before it does is for whoever copies it, and for the machine, which may let him lie.)
    pub(crate) async fn until_the_log_is_short(&self) {
        let first = self.next.get();
        self.until(async || self.log().await <= CEILING).await;
        // However fast they come, it catches up with them.
        let writes = (self.next.get() - first) / ROWS;
        assert!(writes < CATCHES_UP, "it grew on for {writes} writes");
        let before = self.restarts().await;
        self.until(async || self.restarts().await >= before + 3)
            .await;
        self.until(async || self.log().await <= CEILING).await;
    }
}

/// What was told of the WAL since the last time that this was asked.
pub(crate) fn told(events: &mut Receiver<StoreEvent>) -> Vec<StoreEvent> {
    let all = std::iter::from_fn(|| events.try_recv().ok());
    let of_the_log = all.filter(|event| matches!(event, StoreEvent::WalOverCeiling { .. }));
    of_the_log.collect()
}

/// Who is said to hold the WAL up, which is told once.
pub(crate) fn holders(events: &mut Receiver<StoreEvent>) -> Vec<WalHolder> {
    let mut told = told(events);
    assert_eq!(told.len(), 1, "{told:?}");
    let Some(StoreEvent::WalOverCeiling {
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
