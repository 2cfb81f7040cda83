//! The core vocabulary: what a change is, what a question is, and the transaction that each gets.
//!
//! A host declares its own operations in the same way as this crate does; nothing lists the operations
//! that there are. As actix messages they travel in [`Write`](crate::Write) and [`Read`](crate::Read).

mod cacheable;
mod closure;
pub(crate) mod doubt;
mod lane;
pub(crate) mod number;
mod pieces;
pub(crate) mod timer;

pub use cacheable::Cacheable;
pub(crate) use cacheable::{Answer, Key};
pub(crate) use closure::Closure;
pub use lane::Lane;
pub(crate) use pieces::{Piece, Pieces, Place};
pub use timer::{Timer, TimerId};

use crate::error::{Error, ErrorKind, Result};
use crate::limits::{self, Limits, Texts};
use crate::sqlite::{self, Authorizer};
use crate::time;
use chrono::{DateTime, Utc};
use rusqlite::{CachedStatement, Connection, Params, Row};
use serde_json::Value;
use std::cell::Cell;
use std::ops::Deref;

/// A change. Runs on the writer, inside a transaction that it may share with other callers' changes.
///
/// `apply` takes `&self` and may be called more than once: when a neighbour in the same transaction
/// fails, the transaction is rolled back and run again. So it must not have effects outside the
/// transaction. Returning an error, or panicking, undoes all of this operation and nothing else.
///
/// ```
/// use botstore::{Mutation, Result, WriteTx};
///
/// struct ForgetNotes { user_id: i64 }
///
/// impl Mutation for ForgetNotes {
///     type Output = usize;
///     fn apply(&self, tx: &WriteTx<'_>) -> Result<Self::Output> {
///         tx.execute("DELETE FROM notes WHERE user_id = ?1", [self.user_id])
///     }
/// }
/// ```
pub trait Mutation: Send + 'static {
    /// What the caller gets once the change is committed. Say it here only: `apply` gives
    /// `Result<Self::Output>`.
    type Output: Send + 'static;

    /// Makes the change. Inside another mutation, call it by [`WriteTx::apply`], which keeps the
    /// bounds of [`texts`](Self::texts).
    fn apply(&self, tx: &WriteTx<'_>) -> Result<Self::Output>;

    /// Names the texts in this message, each with its bound: see [`Texts`]. The default is none.
    ///
    /// Name JSON values too: one that is nested too deeply is then refused before it is sent. On one
    /// of the store's threads it would overflow the stack, and end the process.
    fn texts(&self, texts: &mut Texts) {
        let _ = texts;
    }

    /// Takes the JSON values out of a message that is refused, to be dropped: they may be nested so
    /// deeply that dropping them in the usual way would overflow the stack. The default is none.
    fn take_json(&mut self, taken: &mut Vec<Value>) {
        let _ = taken;
    }

    /// How many bytes this message holds while it waits, for the store's bound on memory. The
    /// default counts the struct itself and its [`texts`](Self::texts).
    fn size_bytes(&self) -> usize {
        size_of_val(self) + limits::weigh(|texts| self.texts(texts))
    }

    /// The name in errors, events and schedules. The default is the type's own, without its path.
    fn name() -> &'static str {
        short_name::<Self>()
    }
}

/// A question. Runs on any reader, read-only, inside one snapshot of the file.
///
/// ```
/// use botstore::{Query, ReadTx, Result};
///
/// struct Notes { user_id: i64 }
///
/// impl Query for Notes {
///     type Output = Vec<String>;
///     fn fetch(&self, tx: &ReadTx<'_>) -> Result<Self::Output> {
///         tx.all(
///             "SELECT body FROM notes WHERE user_id = ?1 ORDER BY note_id LIMIT 100",
///             [self.user_id],
///             |row| Ok(row.get(0)?),
///         )
///     }
/// }
/// ```
pub trait Query: Send + 'static {
    /// Which readers answer it. [`Lane::Analytics`] for whatever may read many rows, so that it
    /// never stands in front of a point read.
    const LANE: Lane = Lane::Interactive;

    /// What the caller gets.
    type Output: Send + 'static;

    /// Answers the question. Inside another operation, call it by [`ReadTx::query`], which keeps the
    /// bounds of [`texts`](Self::texts).
    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Self::Output>;

    /// Names the texts in this message, as [`Mutation::texts`] does. The default is none.
    fn texts(&self, texts: &mut Texts) {
        let _ = texts;
    }

    /// Takes the JSON values out of a message that is refused, as [`Mutation::take_json`].
    fn take_json(&mut self, taken: &mut Vec<Value>) {
        let _ = taken;
    }

    /// How many bytes this message holds while it waits, as [`Mutation::size_bytes`].
    fn size_bytes(&self) -> usize {
        size_of_val(self) + limits::weigh(|texts| self.texts(texts))
    }

    /// Says that the answer hangs on one row, and so may be kept on the callers' side until that
    /// row changes. The default is that it is asked for each time.
    fn cacheable(&self) -> Option<Cacheable<'_, Self::Output>> {
        None
    }

    /// The name in errors. The default is the type's own, without its path.
    fn name() -> &'static str {
        short_name::<Self>()
    }
}

/// `SaveInteraction` for `botstore::domain::interactions::SaveInteraction`.
fn short_name<T: ?Sized>() -> &'static str {
    let full = std::any::type_name::<T>();
    let path = full.split('<').next().unwrap_or(full);
    path.rsplit("::").next().unwrap_or(path)
}

/// A read transaction: one snapshot of the file, and the time at which it began.
///
/// Every statement goes through the connection's cache of prepared statements, so write the SQL as
/// one constant text and bind every value.
pub struct ReadTx<'conn> {
    conn: &'conn Connection,
    now: DateTime<Utc>,
    now_text: String,
    limits: Limits,
    /// Whether a transaction was open when this was made, and so has to be.
    in_transaction: bool,
}

impl<'conn> ReadTx<'conn> {
    pub(crate) fn new(conn: &'conn Connection, now: DateTime<Utc>) -> Self {
        let now = time::to_micros(now);
        Self {
            conn,
            now,
            now_text: time::format(now),
            limits: Limits::DEFAULT,
            in_transaction: !conn.is_autocommit(),
        }
    }

    /// The same transaction, with the bounds that the store was configured with.
    pub(crate) fn within(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// A statement from the cache. Refused when SQLite has ended the transaction (a full disk,
    /// `ON CONFLICT ROLLBACK`) and the operation goes on all the same: what it changes from here on
    /// would be committed statement by statement.
    fn prepare(&self, sql: &str) -> Result<CachedStatement<'_>> {
        if self.in_transaction && self.conn.is_autocommit() {
            return Err(Error::new(
                ErrorKind::Sql,
                "SQLite has ended the transaction after an error that the operation passed over; \
                 nothing of it was changed",
            ));
        }
        Ok(self.conn.prepare_cached(sql)?)
    }

    /// The bounds that the store was configured with.
    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }

    /// The connection itself, for the store's own look at its file.
    pub(crate) fn conn(&self) -> &'conn Connection {
        self.conn
    }

    /// What a failing statement means. SQLite says "full" of a disk and of a table without ids alike.
    fn told(&self, error: rusqlite::Error) -> Error {
        let error = Error::from(error);
        if !error.is_full() {
            return error;
        }
        let tables = sqlite::tables_without_ids(self.conn);
        match tables.is_empty() {
            true => error,
            false => Error::no_ids_left(&tables),
        }
    }

    /// The time of this transaction, from the store's clock: the same for all of it, in whole
    /// microseconds.
    pub fn now(&self) -> DateTime<Utc> {
        self.now
    }

    /// [`now`](Self::now) as the file spells it, ready to be bound.
    pub fn now_text(&self) -> &str {
        &self.now_text
    }

    /// The one row that the statement gives.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) if it gives none; whatever `read` says.
    pub fn one<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> Result<T>,
    ) -> Result<T> {
        self.maybe(sql, params, read)?
            .ok_or_else(|| rusqlite::Error::QueryReturnedNoRows.into())
    }

    /// The first row that the statement gives, if it gives any.
    pub fn maybe<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        let mut statement = self.prepare(sql)?;
        let mut rows = statement.query(params)?;
        rows.next().map_err(|e| self.told(e))?.map(read).transpose()
    }

    /// Every row that the statement gives, in its order. Put a `LIMIT` into the statement.
    pub fn all<T>(
        &self,
        sql: &str,
        params: impl Params,
        mut read: impl FnMut(&Row<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        let mut found = Vec::new();
        self.each_while(sql, params, |row| {
            found.push(read(row)?);
            Ok(true)
        })?;
        Ok(found)
    }

    /// Looks at each row that the statement gives, until `look` says that it has enough.
    pub(crate) fn each_while(
        &self,
        sql: &str,
        params: impl Params,
        mut look: impl FnMut(&Row<'_>) -> Result<bool>,
    ) -> Result<()> {
        let mut statement = self.prepare(sql)?;
        let mut rows = statement.query(params)?;
        while let Some(row) = rows.next().map_err(|e| self.told(e))? {
            if !look(row)? {
                break;
            }
        }
        Ok(())
    }

    /// Asks another query inside this transaction, so that both see the same snapshot.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for a text that is too large ([`Query::texts`]); those
    /// of the query.
    pub fn query<Q: Query>(&self, query: &Q) -> Result<Q::Output> {
        self.limits.check(|texts| query.texts(texts))?;
        query.fetch(self)
    }
}

/// A write transaction: everything that a [`ReadTx`] can, and changes.
///
/// It gives no way to end the transaction, to change the schema or to attach another file: those
/// are refused with [`Sql`](crate::ErrorKind::Sql), since they would break the promise made to the
/// other operations in it. Tables come from a [`Schema`](crate::schema::Schema)'s migrations.
///
/// Statistics stay exact under any SQL on the crate's tables. Rows that a `REPLACE` removes fire triggers as those
/// of a `DELETE` do: the connection has `PRAGMA recursive_triggers=ON`, and OFF where a trigger in the file, other
/// than the store's, writes the table that it is on, since that would fire itself until SQLite refuses the write.
pub struct WriteTx<'conn> {
    read: ReadTx<'conn>,
    /// What watches over the operation, if anything does.
    guard: Option<&'conn Authorizer>,
    /// What the store knows beside the file, if one is open.
    around: Option<doubt::Around<'conn>>,
    /// How far the mutation is that runs.
    pieces: Cell<Pieces>,
}

impl<'conn> WriteTx<'conn> {
    pub(crate) fn new(conn: &'conn Connection, now: DateTime<Utc>) -> Self {
        Self {
            read: ReadTx::new(conn, now),
            guard: None,
            around: None,
            pieces: Cell::default(),
        }
    }

    /// The same transaction, with the bounds that the store was configured with.
    pub(crate) fn within(self, limits: Limits) -> Self {
        Self {
            read: self.read.within(limits),
            ..self
        }
    }

    /// The same transaction, while this guard is up.
    pub(crate) fn guarded_by(&self, guard: &'conn Authorizer) -> Self {
        Self {
            guard: Some(guard),
            ..Self::new(self.read.conn, self.read.now).within(self.read.limits)
        }
    }

    /// Does what only the store itself may do.
    pub(crate) fn as_the_store<T>(&self, work: impl FnOnce(&Self) -> Result<T>) -> Result<T> {
        let Some(guard) = self.guard else {
            return work(self);
        };
        let done = guard.aside(|| work(self));
        // A statement that is prepared is not asked about again, whoever uses its text next.
        self.read.conn.flush_prepared_statement_cache();
        done
    }

    /// Runs an `INSERT`, `UPDATE` or `DELETE`; gives the number of rows that it changed.
    pub fn execute(&self, sql: &str, params: impl Params) -> Result<usize> {
        let done = self.prepare(sql)?.execute(params);
        done.map_err(|e| self.told(e))
    }

    /// Runs an `INSERT`; gives the new row's id.
    ///
    /// # Errors
    /// [`Conflict`](crate::ErrorKind::Conflict) if a row with its key is there,
    /// [`NotFound`](crate::ErrorKind::NotFound) if a row that it refers to is not.
    pub fn insert(&self, sql: &str, params: impl Params) -> Result<i64> {
        let done = self.prepare(sql)?.insert(params);
        done.map_err(|e| self.told(e))
    }

    /// Makes another change inside this transaction: both happen, or neither.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for a text that is too large ([`Mutation::texts`]);
    /// those of the change.
    pub fn apply<M: Mutation>(&self, change: &M) -> Result<M::Output> {
        self.limits.check(|texts| change.texts(texts))?;
        // Only all of a mutation can be run again, so that a part is never left half done.
        let pieces = self.pieces.take();
        let done = change.apply(self);
        self.pieces.set(pieces);
        done
    }
}

impl<'conn> Deref for WriteTx<'conn> {
    type Target = ReadTx<'conn>;

    fn deref(&self) -> &Self::Target {
        &self.read
    }
}

#[cfg(test)]
mod tests {
    use super::short_name;

    #[test]
    fn names_have_neither_path_nor_type_parameters() {
        struct Wrapped<T>(T);
        assert_eq!(short_name::<String>(), "String");
        assert_eq!(short_name::<Wrapped<Vec<u8>>>(), "Wrapped");
        let _ = Wrapped(1).0;
    }
}
