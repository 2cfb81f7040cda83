//! Actors that take operations as messages, for whoever holds a `Recipient`.
//!
//! They only pass on: the workers block in SQLite, and a mailbox in front of a blocked worker
//! would know no bound. So an operation sent to a port has the same guarantees as one that goes
//! through the [`Store`](crate::Store).

use super::Dispatch;
use crate::operation::{Mutation, Query};
use actix::{Actor, Context, Handler, ResponseFuture};
use std::sync::Arc;

/// Takes any [`Mutation`] as an actix message and answers after its commit.
pub struct MutationPort {
    pub(super) dispatch: Arc<Dispatch>,
}

/// Takes any [`Query`] as an actix message.
pub struct QueryPort {
    pub(super) dispatch: Arc<Dispatch>,
}

impl Actor for MutationPort {
    type Context = Context<Self>;
}

impl Actor for QueryPort {
    type Context = Context<Self>;
}

impl<M: Mutation> Handler<M> for MutationPort {
    type Result = ResponseFuture<M::Result>;

    fn handle(&mut self, mutation: M, _ctx: &mut Self::Context) -> Self::Result {
        let dispatch = Arc::clone(&self.dispatch);
        Box::pin(async move { dispatch.write(mutation).await })
    }
}

impl<Q: Query> Handler<Q> for QueryPort {
    type Result = ResponseFuture<Q::Result>;

    fn handle(&mut self, query: Q, _ctx: &mut Self::Context) -> Self::Result {
        let dispatch = Arc::clone(&self.dispatch);
        Box::pin(async move { dispatch.read(query).await })
    }
}
