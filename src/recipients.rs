//! Operations as actix messages, for a holder of a `Recipient`: an actor of the bot that should not know the
//! store, whose test puts a mock in the store's place.
//!
//! The actors here only pass messages on, on the store's own thread, which never blocks. A mailbox cannot make its
//! senders wait. So each actor holds as many further operations, and bytes, as may be in flight, and answers
//! `Overloaded` to the rest. A message whose answer is awaited has the same guarantees as a call of the
//! [`Store`](crate::Store).

use crate::engine::{Entry, Handle, InFlightLimit};
use crate::error::Result;
use crate::operation::{Mutation, Query};
use actix::{Actor, Context, Handler, Message, ResponseFuture, Supervised};
use std::sync::Arc;
use std::time::Duration;

/// How long closing waits for answers to be passed on.
const PASSING_ON: Duration = Duration::from_secs(1);

/// A [`Mutation`] as an actix message.
///
/// ```
/// use actix::Recipient;
/// use botstore::Write;
/// use botstore::users::EnsureUser;
///
/// struct Bot {
///     users: Recipient<Write<EnsureUser>>,
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Write<M>(pub M);

/// A [`Query`] as an actix message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Read<Q>(pub Q);

impl<M: Mutation> Message for Write<M> {
    type Result = Result<M::Output>;
}

impl<Q: Query> Message for Read<Q> {
    type Result = Result<Q::Output>;
}

/// Takes [`Write`] with any [`Mutation`]. Answers after its commit, or with
/// [`Overloaded`](crate::ErrorKind::Overloaded) if too many already wait here. See
/// [`Store::mutations`](crate::Store::mutations).
pub struct Mutations(pub(crate) Arc<Door>);

/// Takes [`Read`] with any [`Query`]. Answers with its result, or with
/// [`Overloaded`](crate::ErrorKind::Overloaded). See [`Store::queries`](crate::Store::queries).
pub struct Queries(pub(crate) Arc<Door>);

/// What both actors hold: the way into the engine, and the limit of messages here.
pub(crate) struct Door {
    handle: Arc<Handle>,
    limit: InFlightLimit,
}

impl Door {
    pub(crate) fn new(handle: &Arc<Handle>) -> Arc<Self> {
        // Twice: what is in flight came through here too, and keeps its place until it is answered.
        let limit = handle.in_flight_limit(2);
        let handle = Arc::clone(handle);
        Arc::new(Self { handle, limit })
    }

    /// Waits until every answer has been passed on, at most a second.
    pub(crate) async fn passes_on(&self) {
        let idle = async {
            while self.limit.in_flight() > 0 {
                tokio::task::yield_now().await;
            }
        };
        let _ = tokio::time::timeout(PASSING_ON, idle).await;
    }
}

impl Actor for Mutations {
    type Context = Context<Self>;
}

impl Actor for Queries {
    type Context = Context<Self>;
}

impl Supervised for Mutations {}

impl Supervised for Queries {}

impl<M: Mutation> Handler<Write<M>> for Mutations {
    type Result = ResponseFuture<Result<M::Output>>;

    fn handle(&mut self, Write(mutation): Write<M>, _ctx: &mut Self::Context) -> Self::Result {
        let door = Arc::clone(&self.0);
        // A task, so that a panic of the host's code in it ends the task and not the actor.
        Box::pin(async move {
            door.handle
                .write(mutation, Entry::Behind(&door.limit))
                .await
        })
    }
}

impl<Q: Query> Handler<Read<Q>> for Queries {
    type Result = ResponseFuture<Result<Q::Output>>;

    fn handle(&mut self, Read(query): Read<Q>, _ctx: &mut Self::Context) -> Self::Result {
        let door = Arc::clone(&self.0);
        Box::pin(async move { door.handle.read(query, Entry::Behind(&door.limit)).await })
    }
}
