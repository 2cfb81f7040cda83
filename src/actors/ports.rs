//! Actors that take operations as messages, for whoever holds a `Recipient`.
//!
//! They only pass on: the workers block in SQLite, and a mailbox in front of a blocked worker
//! would know no bound. An operation that is sent to a port and waited for has the same guarantees
//! as one that goes through the [`Store`](crate::Store). A mailbox cannot make its senders wait,
//! so a port holds as many operations, and bytes, as may be in flight again, and tells the rest
//! `Overloaded`.

use super::Dispatch;
use super::room::Room;
use crate::config::Config;
use crate::error::Result;
use crate::operation::{Mutation, Query};
use actix::{Actor, Context, Handler, Message, ResponseFuture};
use std::sync::Arc;

/// A [`Mutation`] as an actix message, so that a bot's actor can hold a
/// `Recipient<Write<SaveInteraction>>`, and a test can put a mock behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Write<M>(pub M);

/// A [`Query`] as an actix message, likewise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Read<Q>(pub Q);

impl<M: Mutation> Message for Write<M> {
    type Result = Result<M::Output>;
}

impl<Q: Query> Message for Read<Q> {
    type Result = Result<Q::Output>;
}

/// Takes any [`Mutation`] as an actix message and answers after its commit, or
/// [`Overloaded`](crate::ErrorKind::Overloaded) when as many as may be in flight are waiting at it.
pub struct Mutations(Port);

/// Takes any [`Query`] as an actix message, likewise.
pub struct Queries(Port);

struct Port {
    dispatch: Arc<Dispatch>,
    room: Arc<Room>,
}

/// The two ports of a store, each for as much again as may be in flight.
pub(super) fn ports(dispatch: &Arc<Dispatch>, config: &Config) -> (Mutations, Queries) {
    let port = || Port {
        dispatch: Arc::clone(dispatch),
        // What is in flight has come through here too, and keeps its place until it is answered.
        room: Arc::new(Room::new(
            config.max_in_flight.saturating_mul(2),
            config.max_in_flight_bytes.saturating_mul(2),
        )),
    };
    (Mutations(port()), Queries(port()))
}

impl Actor for Mutations {
    type Context = Context<Self>;
}

impl Actor for Queries {
    type Context = Context<Self>;
}

impl<M: Mutation> Handler<Write<M>> for Mutations {
    type Result = ResponseFuture<Result<M::Output>>;

    fn handle(&mut self, Write(mutation): Write<M>, _ctx: &mut Self::Context) -> Self::Result {
        let dispatch = Arc::clone(&self.0.dispatch);
        let room = Arc::clone(&self.0.room);
        Box::pin(async move {
            // In here, because a host's code that panics ends the task and not the port.
            let mutation = dispatch.admit_mutation(mutation)?;
            let place = room.try_enter(mutation.size_bytes());
            let _place = place.map_err(|e| e.in_operation(M::name()))?;
            dispatch.write_admitted(mutation).await
        })
    }
}

impl<Q: Query> Handler<Read<Q>> for Queries {
    type Result = ResponseFuture<Result<Q::Output>>;

    fn handle(&mut self, Read(query): Read<Q>, _ctx: &mut Self::Context) -> Self::Result {
        let dispatch = Arc::clone(&self.0.dispatch);
        let room = Arc::clone(&self.0.room);
        Box::pin(async move {
            let query = dispatch.admit_query(query)?;
            let place = room.try_enter(query.size_bytes());
            let _place = place.map_err(|e| e.in_operation(Q::name()))?;
            dispatch.read_admitted(query).await
        })
    }
}
