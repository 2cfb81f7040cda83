//! P3 in every place where a host's code runs: whoever asked is answered, or hears the panic himself
//! where it is in his own task; the actors live on; and all of the room is given back. (The clock,
//! and what a panic leaves behind, are in `p3_panics_beside_operations`. A host has no connection,
//! so it registers no SQL functions; and a schema's texts are constants, which cannot panic.)

mod common;
#[path = "common/hostile.rs"]
mod hostile;

use actix::{Actor, Context, Handler};
use botstore::backup::TakeBackup;
use botstore::testing::TestStore;
use botstore::{Cacheable, ErrorKind, Mutation, Query, ReadTx, Result, Store, StoreEvent, WriteTx};
use common::{Numbers, Put, answered, hold_writer, kind, probe_store, until, until_in_flight};
use hostile::{Bomb, MESSAGE, Place, Read, Scan, Write, keep_quiet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// So little that it shows when some is lost. The tests use the `try_` calls, which say so, where the
/// others would wait.
const ROOM: usize = 8;
const ROUNDS: i64 = 1_000;

async fn small_store() -> TestStore {
    keep_quiet();
    probe_store(|config| config.max_in_flight(ROOM)).await
}

/// As many requests as configured are taken in, and not one more; everybody is at work.
async fn is_whole(store: &Store) {
    let health = store.health().await.unwrap();
    assert!(health.ok, "{health:?}");
    // What nobody waits for any more may still be under way.
    until("no query is in flight", async || {
        let health = store.health().await.unwrap();
        health.interactive.in_flight + health.analytics.in_flight == 0
    })
    .await;
    let (holding, held) = hold_writer(store).await;
    let mut taken = Vec::new();
    for number in 1..ROOM {
        let good = store.clone();
        let put = Put::new(-1_000_000 - number as i64);
        taken.push(tokio::spawn(async move { good.try_write(put).await }));
        until_in_flight(store, number + 1).await;
    }
    let refused = store.try_write(Put::new(0)).await;
    assert_eq!(kind(refused), ErrorKind::Overloaded);
    holding.release();
    held.await.unwrap().unwrap();
    for put in taken {
        put.await.unwrap().unwrap();
    }
    assert_eq!(store.health().await.unwrap().writer.in_flight_bytes, 0);
    let port = store.mutations().send(botstore::Write(Put::new(-1))).await;
    assert_eq!(port.unwrap().unwrap(), -1);
    store
        .queries()
        .send(botstore::Read(Numbers))
        .await
        .unwrap()
        .unwrap();
}

/// The numbers that the tests' own good operations wrote.
async fn kept(store: &Store) -> Vec<i64> {
    let numbers = store.read(Numbers).await.unwrap();
    numbers.into_iter().filter(|&number| number >= 0).collect()
}

#[tokio::test]
async fn in_apply_and_in_fetch_on_both_lanes() {
    let store = small_store().await;
    for number in 0..ROUNDS {
        for place in Place::IN_THE_RUN {
            let (write, read, scan) = tokio::join!(
                store.try_write(Write::new(number, place)),
                store.try_read(Read::new(place)),
                store.try_read(Scan(Read::new(place))),
            );
            for answer in [write, read, scan] {
                assert_eq!(kind(answer), ErrorKind::Panicked, "{place:?}");
            }
        }
    }
    assert!(kept(&store).await.is_empty());
    is_whole(&store).await;
}

#[tokio::test]
async fn in_drop_of_an_operation_which_is_carried_out() {
    let store = small_store().await;
    for number in 0..ROUNDS {
        let all = async {
            tokio::join!(
                store.try_write(Write::new(number, Place::Drop)),
                store.try_read(Read::new(Place::Drop)),
                store.try_read(Scan(Read::new(Place::Drop))),
            )
        };
        let (write, read, scan) = answered(all).await;
        assert_eq!(write.unwrap(), number);
        read.unwrap();
        scan.unwrap();
    }
    assert_eq!(kept(&store).await, Vec::from_iter(0..ROUNDS));
    is_whole(&store).await;
}

#[tokio::test]
async fn in_drop_of_an_errors_source() {
    let store = small_store().await;
    for number in 0..ROUNDS {
        let (write, read) = tokio::join!(
            store.try_write(Write::new(number, Place::ErrorsSource)),
            store.try_read(Read::new(Place::ErrorsSource)),
        );
        for answer in [write, read] {
            let error = answer.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Sql);
            // Whoever lets go of it last has the panic: mostly the one who was told.
            let dropped = std::panic::AssertUnwindSafe(|| drop(error));
            let _ = std::panic::catch_unwind(dropped);
        }
    }
    assert!(kept(&store).await.is_empty());
    is_whole(&store).await;
}

/// Its answer panics when it is dropped.
struct Answer;

impl Mutation for Answer {
    type Output = Bomb;

    fn apply(&self, _tx: &WriteTx<'_>) -> Result<Bomb> {
        Ok(Bomb)
    }
}

impl Query for Answer {
    type Output = Bomb;

    fn fetch(&self, _tx: &ReadTx<'_>) -> Result<Bomb> {
        Ok(Bomb)
    }
}

#[tokio::test]
async fn in_drop_of_an_answer_that_nobody_takes() {
    let store = small_store().await;
    for round in 0..ROUNDS as u64 {
        // Given up before, while and after it runs. An answer that comes in that very moment is
        // dropped by the one who gives it up: his own task unwinds, and nobody else's.
        let patience = Duration::from_micros(round % 40 * 10);
        let (writing, reading) = (Store::clone(&store), Store::clone(&store));
        let gives_up = tokio::spawn(tokio::time::timeout(patience, async move {
            writing.try_write(Answer).await.map(std::mem::forget)
        }));
        let _ = gives_up.await;
        let gives_up = tokio::spawn(tokio::time::timeout(patience, async move {
            reading.try_read(Answer).await.map(std::mem::forget)
        }));
        let _ = gives_up.await;
        // And by a port, which has nobody to give it to.
        store.mutations().do_send(botstore::Write(Answer));
        store.queries().do_send(botstore::Read(Answer));
    }
    // What comes last to a port comes last out of it; until then it may have no place.
    answered(async {
        let (mutations, queries) = (store.mutations(), store.queries());
        while mutations
            .send(botstore::Write(Put::new(1)))
            .await
            .unwrap()
            .is_err()
        {
            tokio::task::yield_now().await;
        }
        while queries
            .send(botstore::Read(Numbers))
            .await
            .unwrap()
            .is_err()
        {
            tokio::task::yield_now().await;
        }
    })
    .await;
    is_whole(&store).await;
}

/// Panics in what the caller's own task asks of it, or in its port's.
struct Heavy;

impl Mutation for Heavy {
    type Output = ();

    fn apply(&self, _tx: &WriteTx<'_>) -> Result<()> {
        Ok(())
    }

    fn size_bytes(&self) -> usize {
        panic!("{MESSAGE}")
    }
}

struct Nameless;

impl Mutation for Nameless {
    type Output = ();

    fn apply(&self, _tx: &WriteTx<'_>) -> Result<()> {
        Ok(())
    }

    fn name() -> &'static str {
        panic!("{MESSAGE}")
    }
}

struct Keepless;

impl Query for Keepless {
    type Output = i64;

    fn fetch(&self, _tx: &ReadTx<'_>) -> Result<i64> {
        Ok(1)
    }

    fn cacheable(&self) -> Option<Cacheable<'_, i64>> {
        panic!("{MESSAGE}")
    }
}

/// An answer that panics when the store makes itself a copy of it.
#[derive(Debug)]
struct Unique;

impl Clone for Unique {
    fn clone(&self) -> Self {
        panic!("{MESSAGE}")
    }
}

struct Uncopied(i64);

impl Query for Uncopied {
    type Output = Unique;

    fn fetch(&self, _tx: &ReadTx<'_>) -> Result<Unique> {
        Ok(Unique)
    }

    fn cacheable(&self) -> Option<Cacheable<'_, Unique>> {
        Some(Cacheable::row("probe", self.0))
    }
}

/// Whether a task of its own panics in this.
async fn unwinds<T: Send + 'static>(request: impl Future<Output = T> + Send + 'static) -> bool {
    tokio::spawn(request).await.is_err_and(|e| e.is_panic())
}

#[tokio::test]
async fn in_the_callers_own_task_which_unwinds_and_costs_no_room() {
    let store = small_store().await;
    for round in 0..ROUNDS {
        let [a, b, c, d] = [(); 4].map(|()| Store::clone(&store));
        assert!(unwinds(async move { a.try_write(Heavy).await }).await);
        assert!(unwinds(async move { b.try_write(Nameless).await }).await);
        assert!(unwinds(async move { c.try_read(Keepless).await }).await);
        assert_eq!(kind(d.try_read(Uncopied(round)).await), ErrorKind::Panicked);
    }
    is_whole(&store).await;
}

#[actix::test]
async fn in_a_ports_task_whose_sender_hears_that_there_is_no_answer() {
    let store = small_store().await;
    let (mutations, queries) = (store.mutations(), store.queries());
    for number in 0..ROUNDS {
        answered(mutations.send(botstore::Write(Heavy)))
            .await
            .unwrap_err();
        answered(mutations.send(botstore::Write(Nameless)))
            .await
            .unwrap_err();
        answered(queries.send(botstore::Read(Keepless)))
            .await
            .unwrap_err();
        for place in Place::IN_THE_RUN {
            let answer = answered(mutations.send(botstore::Write(Write::new(number, place)))).await;
            assert_eq!(kind(answer.unwrap()), ErrorKind::Panicked);
        }
        let answer = answered(queries.send(botstore::Read(Read::new(Place::Row)))).await;
        assert_eq!(kind(answer.unwrap()), ErrorKind::Panicked);
    }
    assert!(kept(&store).await.is_empty());
    is_whole(&store).await;
}

/// Gives an answer to its schedule, which has no use for it.
struct Unheard;

impl Mutation for Unheard {
    type Output = DropBomb;

    fn apply(&self, tx: &WriteTx<'_>) -> Result<DropBomb> {
        tx.apply(&Put::new(1))?;
        Ok(DropBomb)
    }
}

/// Panics when it is dropped.
struct DropBomb;

impl Drop for DropBomb {
    fn drop(&mut self) {
        panic!("{MESSAGE}")
    }
}

#[tokio::test]
async fn in_the_answer_to_a_schedule_which_has_run_all_the_same() {
    keep_quiet();
    let hour = Duration::from_secs(3600);
    let store = probe_store(|config| {
        let config = config.max_in_flight(ROOM);
        config.every(hour, || Unheard).every(hour, || Put::new(9))
    })
    .await;
    store.clock().advance(hour);
    store.run_due().await.unwrap();
    assert_eq!(kept(&store).await, [1, 9]);
    store.run_due().await.unwrap();
    assert_eq!(kept(&store).await, [1, 9]);
    let health = store.health().await.unwrap();
    assert!(health.ok && health.actors.iter().all(|actor| actor.restarts == 0));
    is_whole(&store).await;
}

/// Counts what it is told; one of them panics at the first.
struct Subscriber(Arc<AtomicUsize>, Place);

impl Actor for Subscriber {
    type Context = Context<Self>;
}

impl Handler<StoreEvent> for Subscriber {
    type Result = ();

    fn handle(&mut self, _: StoreEvent, _ctx: &mut Self::Context) {
        self.1.panic_if(Place::First);
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[actix::test]
async fn in_a_subscriber_which_ends_only_itself() {
    let store = small_store().await;
    let told = Arc::new(AtomicUsize::new(0));
    for place in [Place::First, Place::Last] {
        let subscriber = Subscriber(Arc::clone(&told), place);
        store.subscribe(subscriber.start().recipient());
    }
    for round in 1..=3 {
        store.back_up(TakeBackup::default()).await.unwrap();
        while told.load(Ordering::SeqCst) < round {
            tokio::task::yield_now().await;
        }
    }
    is_whole(&store).await;
}
