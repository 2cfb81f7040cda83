//! A store that its owner closes, or lets go of.

use crate::common::{Numbers, is_sent, until};
use crate::load::{Door, Load, in_time, open};
use botstore::ErrorKind;
use std::time::Instant;

#[tokio::test(flavor = "multi_thread")]
async fn closing_answers_everybody_within_its_deadline() {
    let (_folder, store) = open().await;
    let load = Load::start(&store, Door::Handle(store.clone())).await;
    let began = Instant::now();
    let (a, b) = tokio::join!(store.close(), store.close());
    a.unwrap();
    b.unwrap();
    in_time(began);
    let ledger = load.ends().await;
    ledger.is_settled();
    ledger.agrees_with(store.path()).await;
}

/// The thread that drops it, and waits, is the only one of the runtime on which they all wait.
#[tokio::test]
async fn dropping_the_last_handle_answers_everybody_at_the_ports() {
    let (_folder, store) = open().await;
    let path = store.path().to_owned();
    let load = Load::start(&store, Door::ports(&store)).await;
    let began = Instant::now();
    drop(store);
    in_time(began);
    let ledger = load.ends().await;
    ledger.is_settled();
    ledger.agrees_with(&path).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_close_that_is_given_up_goes_on() {
    let (_folder, store) = open().await;
    let path = store.path().to_owned();
    let load = Load::start(&store, Door::Handle(store.clone())).await;
    let began = Instant::now();
    let mut closing = Box::pin(store.close());
    is_sent(closing.as_mut());
    until("it closes", async || {
        let refused = store.read(Numbers).await.err();
        refused.is_some_and(|error| error.kind() == ErrorKind::Closed)
    })
    .await;
    drop(closing);
    drop(store);
    let ledger = load.ends().await;
    in_time(began);
    ledger.is_settled();
    ledger.agrees_with(&path).await;
}
