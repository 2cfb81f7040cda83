//! Operations as plain actix messages: a bot's actor holds recipients, its test a mock.

use crate::common::{
    HANG, HoldWriter, Numbers, Put, answered, hold, hold_writer, kind, probe_store, until,
};
use actix::{Actor, Context, Handler, Message, Recipient, ResponseFuture};
use botstore::interactions::{Receipt, SaveInteraction};
use botstore::sessions::CreateSession;
use botstore::testing::TestStore;
use botstore::users::{EnsureUser, GetUser, User};
use botstore::{Config, ErrorKind, Read, Result, Store, Write};
use std::time::Duration;
use tokio::task::JoinSet;

/// A bot that knows no store.
struct Bot {
    save: Recipient<Write<SaveInteraction>>,
}

impl Actor for Bot {
    type Context = Context<Self>;
}

#[derive(Message)]
#[rtype(result = "Result<Receipt>")]
struct Hear(&'static str);

impl Handler<Hear> for Bot {
    type Result = ResponseFuture<Result<Receipt>>;

    fn handle(&mut self, hear: Hear, _: &mut Self::Context) -> Self::Result {
        let saved = self.save.send(Write(SaveInteraction::new(1, "s", hear.0)));
        Box::pin(async move { saved.await.expect("the port lives as long as the store") })
    }
}

#[actix::test]
async fn a_bot_that_holds_a_recipient_saves_through_the_store() {
    let store = TestStore::open().await.unwrap();
    store.write(EnsureUser::new(1, Some("ada"))).await.unwrap();
    let session = CreateSession::new(1, "s", "/");
    store.write(session).await.unwrap();
    let save = store.mutations().recipient();
    let bot = Bot { save }.start();
    let receipt = bot.send(Hear("hello")).await.unwrap().unwrap();
    assert_eq!(receipt.message_id, 1);
    let users: Recipient<Read<GetUser>> = store.queries().recipient();
    let user = users.send(Read(GetUser::new(1))).await.unwrap().unwrap();
    assert_eq!(user.map(|user: User| user.message_count), Some(1));
}

struct Mock;

impl Actor for Mock {
    type Context = Context<Self>;
}

impl Handler<Write<SaveInteraction>> for Mock {
    type Result = Result<Receipt>;

    fn handle(&mut self, _: Write<SaveInteraction>, _: &mut Self::Context) -> Self::Result {
        Err(botstore::Error::new(ErrorKind::DiskFull, "of a mock"))
    }
}

#[actix::test]
async fn a_mock_stands_in_for_the_store() {
    let save = Mock.start().recipient();
    let bot = Bot { save }.start();
    let error = bot.send(Hear("hello")).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DiskFull);
}

#[actix::test]
async fn a_message_to_a_port_waits_for_room_as_a_call_does() {
    let store = probe_store(|config| config.max_in_flight(1)).await;
    let (held, holding) = hold();
    let holding = std::sync::Arc::new(holding);
    let first = store.mutations().send(Write(HoldWriter(held)));
    let first = actix::spawn(first);
    holding.started().await;
    let second = actix::spawn(store.mutations().send(Write(Put::new(1))));
    // A port takes its messages in order and holds two of them here: it has the second when it refuses
    // a third.
    let third = answered(store.mutations().send(Write(Put::new(2)))).await;
    assert_eq!(kind(third.unwrap()), ErrorKind::Overloaded);
    assert!(!second.is_finished());
    assert_eq!(store.health().await.unwrap().writer.in_flight, 1);
    holding.release();
    first.await.unwrap().unwrap().unwrap();
    second.await.unwrap().unwrap().unwrap();
    assert_eq!(store.read(Numbers).await.unwrap(), [1]);
}

#[actix::test]
async fn a_message_that_nobody_waits_for_is_carried_out() {
    let store = probe_store(|config| config).await;
    store.mutations().do_send(Write(Put::new(7)));
    until("it is carried out", async || {
        store.read(Numbers).await.unwrap() == [7]
    })
    .await;
}

#[test]
fn a_store_is_for_every_thread() {
    fn shared<T: Clone + Send + Sync + 'static>() {}
    shared::<Store>();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_holds_no_more_bytes_than_may_be_in_flight_again() {
    const MIB: usize = 1024 * 1024;
    const MOST_BYTES: usize = 4 * MIB;
    const SENT: usize = 40;
    let store = probe_store(|config: Config| config.max_in_flight_bytes(MOST_BYTES)).await;
    let port = store.mutations();
    let (holding, held) = hold_writer(&store).await;
    let mut sent = JoinSet::new();
    for _ in 0..SENT {
        let large = SaveInteraction::new(1, "nobody's", "x".repeat(MIB));
        sent.spawn(port.send(Write(large)));
    }
    // What is over the bound is told so at once, while the writer is held; the rest waits.
    while sent.len() * MIB > 2 * MOST_BYTES {
        let refused = answered(sent.join_next()).await.unwrap();
        assert_eq!(kind(refused.unwrap().unwrap()), ErrorKind::Overloaded);
    }
    holding.release();
    held.await.unwrap().unwrap();
    while let Some(answer) = answered(sent.join_next()).await {
        let answer = kind(answer.unwrap().unwrap());
        assert!([ErrorKind::Overloaded, ErrorKind::NotFound].contains(&answer));
    }
}

/// What a bot's actor does with an answer, by `?`.
async fn put_within(store: &Store, number: i64, patience: Duration) -> Result<i64> {
    store
        .mutations()
        .send(Write(Put::new(number)))
        .timeout(patience)
        .await?
}

#[actix::test]
async fn a_sender_that_does_not_wait_for_the_answer_is_in_doubt_and_not_refused() {
    let store = probe_store(|config| config).await;
    let (writer, held) = hold_writer(&store).await;
    let in_flight = async || store.health().await.unwrap().writer.in_flight;
    let mut number = 0;
    let mut patience = Duration::from_millis(1);
    // A message that nobody waits for any more before it is read is dropped: on a busy machine the first may be.
    while in_flight().await < 2 {
        number += 1;
        let error = answered(put_within(&store, number, patience)).await;
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InDoubt, "{error}");
        patience *= 2;
    }
    writer.release();
    held.await.unwrap().unwrap();
    until("it is carried out all the same", async || {
        !store.read(Numbers).await.unwrap().is_empty()
    })
    .await;
    store.close().await.unwrap();
    // And one whose store is closed is refused.
    let error = answered(put_within(&store, -1, HANG)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
}
