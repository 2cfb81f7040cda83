//! Executors whose wakers panic: each harms only its own task.

use crate::common::{
    HoldReader, HoldWriter, Numbers, Probe, Put, answered, hold, hold_writer, until,
    until_in_flight,
};
use crate::hostile;
use crate::load::Told;
use crate::trial::trial;
use botstore::{Config, ErrorKind, Store};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

/// Polls with a waker that panics.
#[derive(Clone, Default)]
pub(crate) struct Evil(Arc<AtomicUsize>);

struct EvilWaker(Evil);

impl Wake for EvilWaker {
    fn wake(self: Arc<Self>) {
        self.0.0.fetch_add(1, SeqCst);
        panic!("{}", hostile::MESSAGE);
    }
}

impl Evil {
    pub(crate) fn polls<T>(&self, request: Pin<&mut impl Future<Output = T>>) -> Option<T> {
        hostile::keep_quiet();
        let waker = Waker::from(Arc::new(EvilWaker(self.clone())));
        match request.poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(answer) => Some(answer),
            Poll::Pending => None,
        }
    }

    /// How often it was woken.
    pub(crate) fn wakes(&self) -> usize {
        self.0.load(SeqCst)
    }
}

#[tokio::test]
async fn of_one_who_waits_for_room_beside_one_who_is_answered() {
    let _alone = crate::alone().await;
    let trial = trial(|config, _| config.max_in_flight(1)).await;
    let store = &trial.store.clone();
    let evil = Evil::default();
    let (writer, held) = hold_writer(store).await;
    let mut waits = pin!(store.write(Put::new(1)));
    assert!(evil.polls(waits.as_mut()).is_none());
    writer.release();
    // It was committed, and hears so.
    answered(held).await.unwrap().unwrap();
    until("its waker is woken", async || evil.wakes() > 0).await;
    until("its answer", async || match evil.polls(waits.as_mut()) {
        Some(answer) => answer.unwrap() == 1,
        None => false,
    })
    .await;
    assert_eq!(trial.all_restarts().await, 0);
    trial.works(2).await;
    trial.ends(&Told::default()).await.unwrap();
}

#[tokio::test]
async fn of_one_who_waits_for_a_reader_beside_others_whose_deadline_passes() {
    let _alone = crate::alone().await;
    let trial = trial(|config, _| {
        config
            .readers(1)
            .interactive_deadline(Duration::from_millis(100))
    })
    .await;
    let store = &trial.store.clone();
    let (first, second) = (Evil::default(), Evil::default());
    let (mut held, holding) = loop {
        let (hold, holding) = hold();
        let holding = Arc::new(holding);
        let mut held = Box::pin(store.read(HoldReader(hold)));
        assert!(first.polls(held.as_mut()).is_none());
        // On a busy machine its deadline may pass before it begins.
        if holding.has_started().await {
            break (held, holding);
        }
    };
    let mut waits = pin!(store.read(Numbers));
    assert!(second.polls(waits.as_mut()).is_none());
    let mut told = None;
    for _ in 0..7 {
        // More ticks than an actor may panic, while the reader is held.
        let error = answered(store.read(Numbers)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Deadline);
        told = told.or_else(|| first.polls(held.as_mut()));
        if second.polls(waits.as_mut()).is_some() {
            waits.set(store.read(Numbers));
            assert!(second.polls(waits.as_mut()).is_none());
        }
    }
    let error = told.expect("its deadline has passed").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Deadline);
    assert!(second.wakes() > 0);
    holding.release();
    assert_eq!(trial.all_restarts().await, 0);
    until("the reader is free", async || {
        store.read(Numbers).await.is_ok()
    })
    .await;
    trial.ends(&Told::default()).await.unwrap();
}

#[tokio::test]
async fn of_one_who_waits_for_the_store_to_open_and_of_one_who_closes_it_beside_others() {
    let _alone = crate::alone().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let evil = Evil::default();
    let mut opens = pin!(Store::open(Config::new(&path).schema::<Probe>()));
    let mut store = None;
    until("it is open", async || {
        store = evil.polls(opens.as_mut());
        store.is_some()
    })
    .await;
    let store = store.unwrap().unwrap();
    answered(store.write(Put::new(1))).await.unwrap();
    // Those who wait for room while it closes.
    let (hold, holding) = hold();
    let holding = Arc::new(holding);
    let held = tokio::spawn({
        let store = store.clone();
        async move { store.write(HoldWriter(hold)).await }
    });
    holding.started().await;
    until_in_flight(&store, 1).await;
    let (evil, other) = (Evil::default(), store.clone());
    let mut closes = pin!(other.close());
    assert!(evil.polls(closes.as_mut()).is_none());
    let others: Vec<_> = (0..20)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.close().await })
        })
        .collect();
    tokio::task::yield_now().await;
    holding.release();
    answered(held).await.unwrap().unwrap();
    for other in others {
        answered(other).await.unwrap().unwrap();
    }
    until("it is closed", async || match evil.polls(closes.as_mut()) {
        Some(closed) => closed.is_ok(),
        None => false,
    })
    .await;
}

#[tokio::test]
async fn of_one_who_waits_for_room_when_the_store_closes() {
    let _alone = crate::alone().await;
    let trial = trial(|config, _| config.max_in_flight(1)).await;
    let store = &trial.store.clone();
    let evil = Evil::default();
    let (writer, held) = hold_writer(store).await;
    let mut waits = pin!(store.write(Put::new(1)));
    assert!(evil.polls(waits.as_mut()).is_none());
    let others: Vec<_> = (2..5)
        .map(|number| {
            let store = store.clone();
            tokio::spawn(async move { store.write(Put::new(number)).await })
        })
        .collect();
    tokio::task::yield_now().await;
    let mut closes = pin!(store.close());
    crate::common::is_sent(closes.as_mut());
    // Their wakers are woken while the writer is still held.
    for other in others {
        let error = answered(other).await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Closed);
    }
    writer.release();
    answered(held).await.unwrap().unwrap();
    answered(closes).await.unwrap();
    assert!(evil.wakes() > 0);
    let error = evil
        .polls(waits.as_mut())
        .expect("it is answered")
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    trial.ends(&Told::default()).await.unwrap();
}
