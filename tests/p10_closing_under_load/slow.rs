//! P10 when mutations are slow by code of their own, which SQLite cannot interrupt: past the deadline
//! those that still wait are refused, so that a full queue does not keep the store open.

use crate::common::{Numbers, Put, hold_writer, probe_store, until_in_flight};
use botstore::{ErrorKind, Mutation, Result, Store, WriteTx};
use std::time::Duration;
use tokio::task::JoinSet;

const GROUP: usize = 16;
const QUEUE: usize = 1_000;

/// Takes its time, as one that computes a password's hash does.
struct Slow(i64);

impl Mutation for Slow {
    type Output = i64;

    fn apply(&self, tx: &WriteTx<'_>) -> Result<i64> {
        std::thread::sleep(Duration::from_millis(5));
        tx.apply(&Put::new(self.0))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_mutations_that_have_not_begun_at_the_deadline_are_refused() {
    let now = Duration::ZERO;
    let store = probe_store(|config| config.close_deadline(now).max_batch(GROUP)).await;
    let (holding, held) = hold_writer(&store).await;
    let mut waiting = JoinSet::new();
    for number in 0..QUEUE {
        let store = Store::clone(&store);
        waiting.spawn(async move { store.write(Slow(number as i64)).await });
    }
    until_in_flight(&store, QUEUE + 1).await;
    let closing = tokio::spawn({
        let store = Store::clone(&store);
        async move { store.close().await }
    });
    while store.read(Numbers).await.is_ok() {
        tokio::task::yield_now().await;
    }
    // It closes, so its deadline has passed when the writer can look up.
    holding.release();
    closing.await.unwrap().unwrap();
    held.await.unwrap().unwrap();
    let mut carried_out = 0;
    while let Some(answer) = waiting.join_next().await {
        match answer.unwrap() {
            Ok(_) => carried_out += 1,
            Err(error) => assert!(
                matches!(error.kind(), ErrorKind::Closed | ErrorKind::Deadline),
                "{error}"
            ),
        }
    }
    // The group that was running, and one that was just beginning.
    assert!(
        carried_out <= 2 * GROUP,
        "{carried_out} were carried out after the deadline"
    );
}
