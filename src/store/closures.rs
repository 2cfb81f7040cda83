//! Changes and queries as closures: for what is needed at one place only and takes no type of its own.

use super::Store;
use crate::engine::Entry;
use crate::error::Result;
use crate::operation::{Closure, Lane, ReadTx, WriteTx};
#[cfg(doc)]
use crate::{Config, Error, ErrorKind, Mutation, Query};
use std::fmt;
use std::pin::Pin;

impl Store {
    /// Makes the change that a closure describes, with every promise of [`write`](Self::write): all of it or
    /// nothing is done, it shares a commit with other mutations, has a deadline and counts towards the limits.
    /// Errors, events and logs show `name`, as they show a [`Mutation`]'s name.
    ///
    /// Nothing happens until it is awaited. **The closure may run more than once** before its commit, because a
    /// batch in which another mutation fails is run again. So it takes its captures by reference and does nothing
    /// outside the transaction: it returns what the bot is to send.
    ///
    /// The closure's own size counts against [`Config::max_in_flight_bytes`]; add what it owns beyond that with
    /// [`bytes`](Transact::bytes). Use a type of your own ([`Mutation`]) for a change that is bounded by
    /// [`texts`](Mutation::texts), sent by an actor that does not know the store, or put on a schedule by its
    /// type.
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
    /// The closure's own, and those of [`write`](Self::write), with this name ([`Error::operation`]).
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

    /// Answers the query that a closure describes, with every promise of [`read`](Self::read): one read-only
    /// snapshot that includes every change whose `Ok` came before; a deadline; the limits. Errors, events and logs
    /// show `name`.
    ///
    /// Nothing happens until it is awaited. Readers of the interactive [lane](Ask::lane) answer it; use the
    /// analytics lane for a query that may read many rows. The row cache never keeps the answer: that takes a type
    /// of its own ([`Query`]). The closure may run twice ([`Config::point_reads`]), so it has no effect besides its
    /// answer.
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
    /// The closure's own, and those of [`read`](Self::read), with this name ([`Error::operation`]).
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
/// Where a [`Future`] is required, such as in a list of futures, call [`into_future`](IntoFuture::into_future).
#[must_use = "nothing is changed until it is awaited"]
pub struct Transact<'s, F> {
    store: &'s Store,
    closure: Closure<F>,
    entry: Entry<'static>,
}

impl<F> Transact<'_, F> {
    /// Sets how many bytes the closure's captures own beyond its own size: the lengths of its texts and lists.
    /// Counts against [`Config::max_in_flight_bytes`]. Default: 0.
    pub fn bytes(mut self, owned: usize) -> Self {
        self.closure.owns = owned;
        self
    }

    /// Returns [`Overloaded`](ErrorKind::Overloaded) at once instead of waiting, as [`Store::try_write`] does.
    pub fn at_once(mut self) -> Self {
        self.entry = Entry::AtOnce;
        self
    }
}

/// A query that has not been sent yet: await it. See [`Store::ask`].
///
/// Where a [`Future`] is required, such as in a list of futures, call [`into_future`](IntoFuture::into_future).
#[must_use = "nothing is asked until it is awaited"]
pub struct Ask<'s, F> {
    store: &'s Store,
    closure: Closure<F>,
    entry: Entry<'static>,
    lane: Lane,
}

impl<F> Ask<'_, F> {
    /// Sets how many bytes the closure's captures own beyond its own size, as [`Transact::bytes`]. Default: 0.
    pub fn bytes(mut self, owned: usize) -> Self {
        self.closure.owns = owned;
        self
    }

    /// Sets which readers answer, and so which deadline applies, as [`Query::LANE`]. Default:
    /// [`Lane::Interactive`].
    pub fn lane(mut self, lane: Lane) -> Self {
        self.lane = lane;
        self
    }

    /// Returns [`Overloaded`](ErrorKind::Overloaded) at once instead of waiting, as [`Store::try_read`] does.
    pub fn at_once(mut self) -> Self {
        self.entry = Entry::AtOnce;
        self
    }
}

/// A boxed future: one allocation more than [`Store::write`], so that the type can be named.
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
