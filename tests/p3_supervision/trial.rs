//! A store on a file of its own that is opened again, and what its actors say of themselves.

use crate::common::{Numbers, Probe, Put, answered, patient, until};
use crate::load::Told;
use botstore::testing::FixedClock;
use botstore::{ActorHealth, Config, Error, ErrorKind, Role, Store, StoreEvent};
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use tokio::sync::broadcast::Receiver;

pub(crate) struct Trial {
    pub(crate) store: Store,
    pub(crate) clock: FixedClock,
    pub(crate) path: PathBuf,
    pub(crate) folder: TempDir,
    pub(crate) events: Receiver<StoreEvent>,
}

/// Opens a file that has the tables and is not new: its WAL is short.
pub(crate) async fn trial(configure: impl FnOnce(Config, &Path) -> Config) -> Trial {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let plain = Config::new(&path).schema::<Probe>();
    let new = Store::open(plain.clone()).await.unwrap();
    new.close().await.unwrap();
    drop(new);
    let clock = FixedClock::at(chrono::Utc::now());
    let config = patient(plain).clock(clock.clone());
    let store = answered(Store::open(configure(config, folder.path())))
        .await
        .unwrap();
    let events = store.events();
    Trial {
        store,
        clock,
        path,
        folder,
        events,
    }
}

impl Trial {
    pub(crate) async fn actors(&self) -> Vec<ActorHealth> {
        self.store.health().await.unwrap().actors
    }

    /// How often actors of this role were started again.
    pub(crate) async fn restarts(&self, role: Role) -> u64 {
        let actors = self.actors().await;
        let of_role = actors.iter().filter(|actor| actor.role == role);
        of_role.map(|actor| actor.restarts).sum()
    }

    /// How often all of them were.
    pub(crate) async fn all_restarts(&self) -> u64 {
        self.actors().await.iter().map(|actor| actor.restarts).sum()
    }

    pub(crate) async fn until_restarted(&self, role: Role, times: u64) {
        until("it is started again", async || {
            self.restarts(role).await >= times
        })
        .await;
    }

    /// Whether it writes and reads.
    pub(crate) async fn works(&self, number: i64) {
        answered(self.store.write(Put::new(number))).await.unwrap();
        let numbers = answered(self.store.read(Numbers)).await.unwrap();
        assert!(numbers.contains(&number));
        assert!(self.actors().await.iter().all(|actor| actor.running));
    }

    /// Waits for an event.
    pub(crate) async fn told(&mut self, is_it: impl Fn(&StoreEvent) -> bool) {
        while !is_it(&answered(self.events.recv()).await.unwrap()) {}
    }

    /// Closes it and holds its file against what callers were told.
    pub(crate) async fn ends(self, told: &Told) -> Result<(), Error> {
        let closed = answered(self.store.close()).await;
        drop(self.store);
        told.is_what_is_in(&self.path);
        // And it can be opened again.
        let again = Config::new(&self.path).schema::<Probe>();
        let again = answered(Store::open(again)).await.unwrap();
        assert!(again.health().await.unwrap().ok);
        answered(again.write(Put::new(-1_000_000))).await.unwrap();
        answered(again.close()).await.unwrap();
        told.is_what_is_in(&self.path);
        closed
    }
}

/// A request that is refused since an actor was given up.
#[track_caller]
pub(crate) fn is_unavailable<T: std::fmt::Debug>(answer: botstore::Result<T>) {
    let error = answer.expect_err("an actor was given up");
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.to_string().contains("open it again"), "{error}");
}
