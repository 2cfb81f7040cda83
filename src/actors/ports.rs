//! Actors that take operations as messages, for whoever holds a `Recipient`.
//!
//! They only pass on: the workers block in SQLite, and a mailbox in front of a blocked worker
//! would know no bound. An operation that is sent to a port and waited for has the same guarantees
//! as one that goes through the [`Store`](crate::Store). A mailbox cannot make its senders wait,
//! so a port holds as many operations as may be in flight again, and tells the rest `Overloaded`.

use super::Dispatch;
use crate::error::{Error, ErrorKind, Result};
use crate::operation::{Mutation, Query};
use actix::{Actor, Context, Handler, ResponseFuture};
use std::sync::Arc;

/// Takes any [`Mutation`] as an actix message and answers after its commit, or
/// [`Overloaded`](ErrorKind::Overloaded) when as many as may be in flight are waiting at it.
pub struct MutationPort(Port);

/// Takes any [`Query`] as an actix message, likewise.
pub struct QueryPort(Port);

struct Port {
    dispatch: Arc<Dispatch>,
    /// One reference for each operation that it holds.
    held: Arc<()>,
    most: usize,
}

impl Port {
    /// A place for one more operation.
    fn place(&self) -> Result<Arc<()>> {
        if Arc::strong_count(&self.held) > self.most {
            return Err(Error::new(
                ErrorKind::Overloaded,
                "as many requests as the store's port may hold are waiting; try again in a moment",
            ));
        }
        Ok(Arc::clone(&self.held))
    }
}

/// The two ports of a store, each for so many operations beside those in flight.
pub(super) fn ports(dispatch: &Arc<Dispatch>, max_in_flight: usize) -> (MutationPort, QueryPort) {
    let port = || Port {
        dispatch: Arc::clone(dispatch),
        held: Arc::new(()),
        most: 2 * max_in_flight,
    };
    (MutationPort(port()), QueryPort(port()))
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
        let dispatch = Arc::clone(&self.0.dispatch);
        let place = self.0.place().map_err(|e| e.in_operation(M::name()));
        Box::pin(async move {
            let _place = place?;
            dispatch.write(mutation).await
        })
    }
}

impl<Q: Query> Handler<Q> for QueryPort {
    type Result = ResponseFuture<Q::Result>;

    fn handle(&mut self, query: Q, _ctx: &mut Self::Context) -> Self::Result {
        let dispatch = Arc::clone(&self.0.dispatch);
        let place = self.0.place().map_err(|e| e.in_operation(Q::name()));
        Box::pin(async move {
            let _place = place?;
            dispatch.read(query).await
        })
    }
}
