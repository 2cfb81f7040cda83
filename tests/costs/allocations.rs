//! What an operation costs its caller in allocations: the message, its place in the queue, the reply.

use crate::common::{Holding, Numbers, Put, hold_reader, hold_writer, probe_store};
use allocation_counter::measure;
use std::future::Future;
use std::task::{Context, Waker};
use tokio::task::unconstrained;

/// As many as wait in the queue of a worker that is held.
const OPERATIONS: u64 = 1_000;

/// Room for the blocks that a queue grows by, of some thirty places each; not for another one an
/// operation.
fn bound(each: u64) -> u64 {
    OPERATIONS * each + OPERATIONS / 10
}

/// Starts them all and counts what that allocates; then has them answered and waits for each.
async fn started_together<T>(
    asked: Vec<impl Future<Output = botstore::Result<T>>>,
    worker: &Holding,
) -> u64 {
    let mut asked: Vec<_> = asked
        .into_iter()
        .map(|f| Box::pin(unconstrained(f)))
        .collect();
    let mut context = Context::from_waker(Waker::noop());
    let counted = measure(|| {
        for future in &mut asked {
            assert!(future.as_mut().poll(&mut context).is_pending());
        }
    });
    worker.release();
    for future in asked {
        future.await.expect("every operation succeeds");
    }
    counted.count_total
}

#[tokio::test]
async fn a_mutation_takes_four_allocations_to_the_writer_and_back() {
    let store = probe_store(|config| config).await;
    let (writer, held) = hold_writer(&store).await;
    let puts = (0..OPERATIONS as i64).map(|number| store.write(Put::new(number)));
    let counted = started_together(puts.collect(), &writer).await;
    held.await.expect("it runs").expect("it succeeds");
    assert!(counted >= OPERATIONS, "{counted}: they share nothing");
    assert!(counted <= bound(4), "{counted} for {OPERATIONS} mutations");
    store.close().await.expect("closes");
}

#[tokio::test]
async fn a_query_takes_two_allocations_to_a_reader_and_back() {
    let store = probe_store(|config| config.readers(1)).await;
    let (reader, held) = hold_reader(&store).await;
    let counts = (0..OPERATIONS).map(|_| store.read(Numbers));
    let counted = started_together(counts.collect(), &reader).await;
    held.await.expect("it runs").expect("it succeeds");
    assert!(counted >= OPERATIONS, "{counted}: they share nothing");
    assert!(counted <= bound(2), "{counted} for {OPERATIONS} queries");
    store.close().await.expect("closes");
}
