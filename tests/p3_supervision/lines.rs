//! The subscriber to the log panics once, at each line of each actor in turn, while callers write and
//! read.

use crate::child;
use crate::common::{answered, until};
use crate::load::{Load, Told};
use crate::provoke::*;
use crate::subscriber::{At, panics, panics_once_at};
use crate::trial::{is_unavailable, trial};
use botstore::{ErrorKind, StoreEvent};

pub(crate) const OF_THE_WRITER: &[&str] =
    &[LOST, COMMIT_FAILED, OVER_CEILING, NOT_COPIED, UNCOUNTED];
pub(crate) const OF_THE_CHECKPOINTER: &[&str] = &[CHECKPOINT, CHECKPOINT_FAILED];
pub(crate) const OF_THE_SUPERVISOR: &[&str] = &[
    RUN_FAILED,
    NEARLY_FULL,
    DAMAGED,
    DISK_FAILS,
    DISK_WORKS,
    ROLLUPS,
    CLOCK,
    FILES,
    TIMERS,
    TIMERS_FAILED,
    TIMERS_UNKNOWN,
];
pub(crate) const OF_THE_BACKUPS: &[&str] = &[BACKUP_FAILED, FOLDER, STUCK];
pub(crate) const OF_THE_STORE: &[&str] = &[OPEN, CLOSED];

/// What a store says when it is closed after this, besides `Ok`.
fn may_say(line: &str, error: &botstore::Error) -> bool {
    // A checkpoint could not sync the file, and the WAL is kept.
    let kept = [CHECKPOINT_FAILED, NOT_COPIED].contains(&line) && error.kind() == ErrorKind::Io;
    // The damaged page is not in its way, unless it is to be copied.
    kept || (line == DAMAGED && error.kind() == ErrorKind::Corrupt)
}

async fn survives(line: &'static str) {
    let armed = panics_once_at(line);
    let trial = trial(|config, folder| settings(line, config, folder)).await;
    let load = match line {
        // The writer must be the first to copy the WAL.
        NOT_COPIED => None,
        _ => Some(Load::begin(&trial.store)),
    };
    provoke(line, &trial, &armed, 1).await;
    assert_eq!(armed.hits(line), 1, "{line}");
    match role(line) {
        Some(role) => trial.until_restarted(role, 1).await,
        None => assert_eq!(trial.all_restarts().await, 0, "{line}"),
    }
    until("all are at work", async || {
        trial.actors().await.iter().all(|actor| actor.running)
    })
    .await;
    trial.works(-2).await;
    assert!(trial.all_restarts().await <= 1, "{line}");
    let told = match load {
        Some(load) => load.end().await,
        None => Told::default(),
    };
    let closed = trial.ends(&told).await;
    let well = closed.as_ref().err().is_none_or(|e| may_say(line, e));
    assert!(well, "{line}: {closed:?}");
}

/// In a process of its own: nearly all of them wait for a look of the store's, one a second, and other tests need not
/// wait for that.
async fn survive<T>(test: T, lines: &[&'static str]) {
    if child::given::<1>().is_none() {
        return child::succeed(child::again(&[], test, &["alone".as_ref()]));
    }
    let _alone = crate::alone().await;
    for line in lines {
        survives(line).await;
    }
}

#[tokio::test]
async fn the_writer_survives_a_panic_in_each_of_its_log_lines() {
    let test = the_writer_survives_a_panic_in_each_of_its_log_lines;
    survive(test, OF_THE_WRITER).await;
}

#[tokio::test]
async fn the_checkpointer_survives_a_panic_in_each_of_its_log_lines() {
    let test = the_checkpointer_survives_a_panic_in_each_of_its_log_lines;
    survive(test, OF_THE_CHECKPOINTER).await;
}

#[tokio::test]
async fn the_supervisor_survives_a_panic_in_each_of_its_log_lines() {
    let test = the_supervisor_survives_a_panic_in_each_of_its_log_lines;
    survive(test, OF_THE_SUPERVISOR).await;
}

#[tokio::test]
async fn the_backup_worker_survives_a_panic_in_each_of_its_log_lines() {
    let test = the_backup_worker_survives_a_panic_in_each_of_its_log_lines;
    survive(test, OF_THE_BACKUPS).await;
}

#[tokio::test]
async fn a_store_opens_and_closes_although_the_log_panics_when_it_says_so() {
    let _alone = crate::alone().await;
    let armed = panics(
        &OF_THE_STORE
            .iter()
            .map(|line| At::Line(line, 1))
            .collect::<Vec<_>>(),
    );
    let trial = trial(|config, _| config).await;
    trial.works(1).await;
    // The file was opened and closed before, to be made.
    assert_eq!((armed.hits(OPEN), armed.hits(CLOSED)), (1, 1));
    trial.ends(&Told::default()).await.unwrap();
    let armed = panics(&[At::Line(CLOSED, 1)]);
    let trial = crate::trial::trial(|config, _| config).await;
    answered(trial.store.close()).await.unwrap();
    assert_eq!(armed.hits(CLOSED), 1);
}

#[tokio::test]
async fn a_log_that_panics_at_every_line_is_noticed_before_the_wal_is_long() {
    let _alone = crate::alone().await;
    const CEILING: u64 = 2 << 20;
    let mut trial = trial(|config, _| {
        config
            .checkpoint_at_bytes(64 << 10)
            .wal_ceiling_bytes(CEILING)
    })
    .await;
    let armed = panics(&[At::Every]);
    let load = Load::begin(&trial.store);
    let mut first = -1_000_000;
    until("an actor is given up", async || {
        let count = 100;
        first += count;
        let put = crate::common::PutMany { first, count };
        let written = answered(trial.store.write(put)).await;
        let health = trial.store.health().await.unwrap();
        assert!(health.wal_bytes < 8 * CEILING, "{health:?}");
        match written {
            Ok(()) => false,
            Err(error) => {
                assert!(!health.ok, "{error}");
                error.kind() == ErrorKind::Unavailable
            }
        }
    })
    .await;
    assert!(armed.hits(CHECKPOINT) >= 5);
    is_unavailable(answered(trial.store.write(crate::common::Put::new(-2))).await);
    trial
        .told(|event| matches!(event, StoreEvent::ActorGivenUp { .. }))
        .await;
    let told = load.end().await;
    drop(armed);
    trial.ends(&told).await.unwrap();
}
