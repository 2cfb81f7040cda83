//! Changes and questions that are closures: for what is asked at one place only and needs no type.

use super::Store;
use crate::engine::Entry;
use crate::error::Result;
use crate::operation::{Closure, Lane, ReadTx, WriteTx};
#[cfg(doc)]
use crate::{Config, Error, ErrorKind, Mutation, Query};
use std::fmt;
use std::pin::Pin;

impl Store {
    /// Makes the change that a closure describes, with every promise of [`write`](Self::write): it is all
    /// made or not at all, shares a commit with its neighbours, has a deadline and counts for the limits.
    /// `name` is in errors, events and logs, as a type's name is of a [`Mutation`].
    ///
    /// Nothing happens until it is awaited. **The closure may run more than once** before its commit, since
    /// a batch in which a neighbour fails is run again. So it takes what it has captured by reference and
    /// does nothing outside the transaction: whatever is to be sent is what it returns.
    ///
    /// What the closure captures counts by its own size against [`Config::max_in_flight_bytes`]; say by
    /// [`bytes`](Transact::bytes) how much it owns beside that. A message of a type of its own
    /// ([`Mutation`]) is for a change that is bounded by [`texts`](Mutation::texts), sent by an actor that
    /// does not know the store, or put on a schedule by its type.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> botstore::Result<()> {
    /// # let store = botstore::testing::TestStore::open().await?;
    /// use botstore::prelude::*;
    ///
    /// store.write(EnsureUser::new(42, Some("ada"))).await?;
    /// let name = String::from("Ada");
    /// let renamed = store
    ///     .transact("rename", move |tx| {
    ///         tx.execute("UPDATE users SET telegram_username = ?2 WHERE user_id = ?1", (42, &name))
    ///     })
    ///     .await?;
    /// assert_eq!(renamed, 1);
    /// # store.close().await }
    /// ```
    ///
    /// # Errors
    /// The closure's own, and those of [`write`](Self::write), with this name
    /// ([`Error::operation`]).
    pub fn transact<F, T>(&self, name: &'static str, change: F) -> Transact<'_, F>
    where
        F: Fn(&WriteTx<'_>) -> Result<T> + Send + 'static,
        T: Send + 'static,
    {
        Transact {
            store: self,
            closure: Closure::new(name, change),
            entry: Entry::Waits,
        }
    }

    /// Asks the question that a closure describes, with every promise of [`read`](Self::read): one
    /// snapshot, read only, which has every change whose `Ok` came before; a deadline; the limits.
    /// `name` is in errors, events and logs.
    ///
    /// Nothing happens until it is awaited. Readers of the interactive [lane](Ask::lane) answer it; put
    /// what may read many rows on the other. Its answer is never kept in the row cache: that takes a
    /// [`Query`] of its own.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> botstore::Result<()> {
    /// # let store = botstore::testing::TestStore::open().await?;
    /// use botstore::prelude::*;
    ///
    /// let users: i64 = store
    ///     .ask("count users", |tx| {
    ///         tx.one("SELECT count(*) FROM users", [], |row| Ok(row.get(0)?))
    ///     })
    ///     .lane(Lane::Analytics)
    ///     .await?;
    /// assert_eq!(users, 0);
    /// # store.close().await }
    /// ```
    ///
    /// # Errors
    /// The closure's own, and those of [`read`](Self::read), with this name
    /// ([`Error::operation`]).
    pub fn ask<F, T>(&self, name: &'static str, question: F) -> Ask<'_, F>
    where
        F: Fn(&ReadTx<'_>) -> Result<T> + Send + 'static,
        T: Send + 'static,
    {
        Ask {
            store: self,
            closure: Closure::new(name, question),
            entry: Entry::Waits,
            lane: Lane::Interactive,
        }
    }
}

/// A change that has not been made yet: await it. See [`Store::transact`].
///
/// Where a [`Future`] is asked for and this does not do, such as in a list of them, call
/// [`into_future`](IntoFuture::into_future).
#[must_use = "nothing is changed until it is awaited"]
pub struct Transact<'s, F> {
    store: &'s Store,
    closure: Closure<F>,
    entry: Entry<'static>,
}

impl<F> Transact<'_, F> {
    /// How many bytes what the closure has captured owns beside its own size: the lengths of its texts
    /// and lists. Counts against [`Config::max_in_flight_bytes`]. Default: 0.
    pub fn bytes(mut self, owned: usize) -> Self {
        self.closure.owns = owned;
        self
    }

    /// Answers [`Overloaded`](ErrorKind::Overloaded) at once where it would wait for room, as
    /// [`Store::try_write`] does.
    pub fn at_once(mut self) -> Self {
        self.entry = Entry::AtOnce;
        self
    }
}

/// A question that has not been asked yet: await it. See [`Store::ask`].
///
/// Where a [`Future`] is asked for and this does not do, such as in a list of them, call
/// [`into_future`](IntoFuture::into_future).
#[must_use = "nothing is asked until it is awaited"]
pub struct Ask<'s, F> {
    store: &'s Store,
    closure: Closure<F>,
    entry: Entry<'static>,
    lane: Lane,
}

impl<F> Ask<'_, F> {
    /// How many bytes what the closure has captured owns beside its own size, as
    /// [`Transact::bytes`]. Default: 0.
    pub fn bytes(mut self, owned: usize) -> Self {
        self.closure.owns = owned;
        self
    }

    /// Which readers answer it, and so which deadline it has, as [`Query::LANE`]. Default:
    /// [`Lane::Interactive`].
    pub fn lane(mut self, lane: Lane) -> Self {
        self.lane = lane;
        self
    }

    /// Answers [`Overloaded`](ErrorKind::Overloaded) at once where it would wait for room, as
    /// [`Store::try_read`] does.
    pub fn at_once(mut self) -> Self {
        self.entry = Entry::AtOnce;
        self
    }
}

/// On its way. One allocation more than [`Store::write`] has, so that the type can be named.
type Answer<'s, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 's>>;

impl<'s, F, T> IntoFuture for Transact<'s, F>
where
    F: Fn(&WriteTx<'_>) -> Result<T> + Send + 'static,
    T: Send + 'static,
{
    type Output = Result<T>;
    type IntoFuture = Answer<'s, T>;

    fn into_future(self) -> Self::IntoFuture {
        let handle = &self.store.inner.handle;
        Box::pin(handle.write_as(self.closure.name, self.closure, self.entry))
    }
}

impl<'s, F, T> IntoFuture for Ask<'s, F>
where
    F: Fn(&ReadTx<'_>) -> Result<T> + Send + 'static,
    T: Send + 'static,
{
    type Output = Result<T>;
    type IntoFuture = Answer<'s, T>;

    fn into_future(self) -> Self::IntoFuture {
        let handle = &self.store.inner.handle;
        let name = self.closure.name;
        Box::pin(handle.read_as(name, self.lane, self.closure, self.entry))
    }
}

impl<F> fmt::Debug for Transact<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Transact");
        shown
            .field("name", &self.closure.name)
            .finish_non_exhaustive()
    }
}

impl<F> fmt::Debug for Ask<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Ask");
        shown
            .field("name", &self.closure.name)
            .finish_non_exhaustive()
    }
}
