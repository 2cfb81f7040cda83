//! The core vocabulary: a change, a query, and the transaction that each gets.
//!
//! A host declares its own operations in the same way. [`Write`](crate::Write) and [`Read`](crate::Read) carry
//! them as actix messages.

mod cacheable;
mod closure;
pub(crate) mod doubt;
mod lane;
mod name;
pub(crate) mod number;
mod own;
mod pieces;
pub(crate) mod timer;
mod uses;

pub use cacheable::Cacheable;
pub(crate) use cacheable::{Answer, Key};
pub(crate) use closure::Closure;
pub use lane::Lane;
use name::short_name;
pub(crate) use pieces::{Piece, Pieces, Place};
pub use timer::{Timer, TimerId};
pub(crate) use uses::{Use, Uses};

use crate::error::{Error, ErrorKind, Result};
use crate::sqlite::{self, Authorizer};
use crate::texts::{self, Limits, Texts};
use crate::time;
use chrono::{DateTime, Utc};
use rusqlite::{CachedStatement, Connection, Params, Row};
use serde_json::Value;
use std::cell::{Cell, OnceCell};
use std::ops::Deref;

/// A change. The writer runs it inside a transaction that it may share with other callers' changes.
///
/// `apply` takes `&self` and may be called more than once: when another mutation in the same transaction fails,
/// the transaction is rolled back and run again. So `apply` must have no effects outside the transaction. If it
/// returns an error or panics, all of this operation is undone and nothing else.
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
    /// What the caller gets once the change is committed. Name the type here only: `apply` returns
    /// `Result<Self::Output>`.
    type Output: Send + 'static;

    /// Makes the change. Inside another mutation, call it by [`WriteTx::apply`], which checks the limits of
    /// [`texts`](Self::texts).
    fn apply(&self, tx: &WriteTx<'_>) -> Result<Self::Output>;

    /// Names the texts in this message, each with its limit: see [`Texts`]. The default is none.
    ///
    /// Name JSON values too: one that is nested too deeply is then refused before it is sent. On one of the
    /// store's threads it would overflow the stack and end the process.
    fn texts(&self, texts: &mut Texts) {
        let _ = texts;
    }

    /// Takes the JSON values out of a refused message, so that the store can drop them: they may be nested so
    /// deeply that the usual drop would overflow the stack. The default takes none.
    fn take_json(&mut self, taken: &mut Vec<Value>) {
        let _ = taken;
    }

    /// How many bytes this message holds while it waits: counted against
    /// [`Config::max_in_flight_bytes`](crate::Config::max_in_flight_bytes). The default counts the struct itself
    /// and its [`texts`](Self::texts).
    fn size_bytes(&self) -> usize {
        size_of_val(self) + texts::weigh(|texts| self.texts(texts))
    }

    /// The name in errors, events and schedules. The default is the type's name without its path.
    fn name() -> &'static str {
        short_name::<Self>()
    }
}

/// A query. A reader runs it, read-only, inside one snapshot of the file; maybe twice, so it has no other effect.
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
    /// Which readers answer it. Use [`Lane::Analytics`] for a query that may read many rows, so that it never
    /// delays a point read.
    const LANE: Lane = Lane::Interactive;

    /// What the caller gets.
    type Output: Send + 'static;

    /// Answers the query. Inside another operation, call it by [`ReadTx::query`], which checks the limits of
    /// [`texts`](Self::texts).
    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Self::Output>;

    /// Names the texts in this message, as [`Mutation::texts`] does. The default is none.
    fn texts(&self, texts: &mut Texts) {
        let _ = texts;
    }

    /// Takes the JSON values out of a refused message, as [`Mutation::take_json`].
    fn take_json(&mut self, taken: &mut Vec<Value>) {
        let _ = taken;
    }

    /// How many bytes this message holds while it waits, as [`Mutation::size_bytes`].
    fn size_bytes(&self) -> usize {
        size_of_val(self) + texts::weigh(|texts| self.texts(texts))
    }

    /// Says that the answer depends on one row, so that the row cache may keep it on the callers' side until that
    /// row changes. The default keeps no answer.
    fn cacheable(&self) -> Option<Cacheable<'_, Self::Output>> {
        None
    }

    /// The name in errors. The default is the type's name without its path.
    fn name() -> &'static str {
        short_name::<Self>()
    }
}

/// A read transaction: one snapshot of the file, and the time at which it began.
///
/// Statements come from the connection's cache of prepared statements, so write the SQL as one constant text and
/// bind every value. Their plans do not depend on these values: a `LIKE` or `GLOB` whose pattern is bound searches no
/// index, a range such as `name >= ?1 AND name < ?2` does.
pub struct ReadTx<'conn> {
    conn: &'conn Connection,
    now: DateTime<Utc>,
    /// Made when it is first asked for: that takes as long as a short query's SQL.
    now_text: OnceCell<String>,
    limits: Limits,
    /// Whether a transaction was open when this was made; then it must still be open.
    in_transaction: bool,
    /// Where it notes what is used, in an open store.
    uses: Option<&'conn Uses>,
}

impl<'conn> ReadTx<'conn> {
    pub(crate) fn new(conn: &'conn Connection, now: DateTime<Utc>) -> Self {
        Self {
            conn,
            now: time::to_micros(now),
            now_text: OnceCell::new(),
            limits: Limits::DEFAULT,
            in_transaction: !conn.is_autocommit(),
            uses: None,
        }
    }

    /// The same transaction with the store's configured limits.
    pub(crate) fn within(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// A statement from the cache. Refuses one if SQLite has ended the transaction (a full disk,
    /// `ON CONFLICT ROLLBACK`) and the operation has ignored the error: each further change would be committed by
    /// itself.
    fn prepare(&self, sql: &str) -> Result<CachedStatement<'_>> {
        if self.in_transaction && self.conn.is_autocommit() {
            return Err(Error::new(
                ErrorKind::Sql,
                "SQLite ended the transaction after an error that the operation ignored; its changes were \
                 undone",
            ));
        }
        Ok(self.conn.prepare_cached(sql)?)
    }

    /// The store's configured limits.
    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }

    /// The connection itself, for the store's own inspection of its file.
    pub(crate) fn conn(&self) -> &'conn Connection {
        self.conn
    }

    /// The error of a failed statement. SQLite reports "full" both for a disk and for a table without ids.
    fn why(&self, error: rusqlite::Error) -> Error {
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

    /// The time of this transaction by the store's clock, in whole microseconds. It is the same throughout.
    pub fn now(&self) -> DateTime<Utc> {
        self.now
    }

    /// [`now`](Self::now) as the file stores it, ready to be bound.
    pub fn now_text(&self) -> &str {
        self.now_text.get_or_init(|| time::format(self.now))
    }

    /// Returns the first row of the statement.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) if it has none; those of `read`.
    pub fn one<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> Result<T>,
    ) -> Result<T> {
        self.maybe(sql, params, read)?
            .ok_or_else(|| rusqlite::Error::QueryReturnedNoRows.into())
    }

    /// Returns the first row of the statement, if it has one.
    pub fn maybe<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        let mut statement = self.prepare(sql)?;
        let mut rows = statement.query(params)?;
        rows.next().map_err(|e| self.why(e))?.map(read).transpose()
    }

    /// Returns every row of the statement, in its order. Put a `LIMIT` into the statement.
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

    /// Calls `look` with each row of the statement until it returns false.
    pub(crate) fn each_while(
        &self,
        sql: &str,
        params: impl Params,
        mut look: impl FnMut(&Row<'_>) -> Result<bool>,
    ) -> Result<()> {
        let mut statement = self.prepare(sql)?;
        let mut rows = statement.query(params)?;
        while let Some(row) = rows.next().map_err(|e| self.why(e))? {
            if !look(row)? {
                break;
            }
        }
        Ok(())
    }

    /// Runs another query inside this transaction, so that both see the same snapshot.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for a text that is too large ([`Query::texts`]); the query's.
    pub fn query<Q: Query>(&self, query: &Q) -> Result<Q::Output> {
        self.limits.check(|texts| query.texts(texts))?;
        query.fetch(self)
    }
}

/// A write transaction: a [`ReadTx`] that can also change rows.
///
/// SQL that ends the transaction, changes the schema or attaches another file is refused with
/// [`Sql`](crate::ErrorKind::Sql), since it would break the promise made to the other operations in the
/// transaction. Tables come from a [`Schema`](crate::schema::Schema)'s migrations.
///
/// Statistics stay exact under any SQL on the crate's tables. Rows that a `REPLACE` removes fire triggers as rows
/// of a `DELETE` do: the connection has `PRAGMA recursive_triggers=ON`. It has OFF if a trigger in the file, other
/// than the store's, writes its own table, since that trigger would fire itself until SQLite refuses the write.
pub struct WriteTx<'conn> {
    read: ReadTx<'conn>,
    /// The guard of the operation, if there is one.
    guard: Option<&'conn Authorizer>,
    /// What the store knows besides the file, if a store is open.
    around: Option<doubt::Around<'conn>>,
    /// The progress of the mutation that runs.
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

    /// The same transaction with the store's configured limits.
    pub(crate) fn within(self, limits: Limits) -> Self {
        Self {
            read: self.read.within(limits),
            ..self
        }
    }

    /// The same transaction under this guard.
    pub(crate) fn guarded_by(&self, guard: &'conn Authorizer) -> Self {
        Self {
            guard: Some(guard),
            ..Self::new(self.read.conn, self.read.now).within(self.read.limits)
        }
    }

    /// Runs an `INSERT`, `UPDATE` or `DELETE`; returns the number of rows that it changed.
    pub fn execute(&self, sql: &str, params: impl Params) -> Result<usize> {
        let done = self.prepare(sql)?.execute(params);
        done.map_err(|e| self.why(e))
    }

    /// Runs an `INSERT`; returns the new row's id.
    ///
    /// # Errors
    /// [`Conflict`](crate::ErrorKind::Conflict) if a row with its key exists,
    /// [`NotFound`](crate::ErrorKind::NotFound) if a row that it refers to does not.
    pub fn insert(&self, sql: &str, params: impl Params) -> Result<i64> {
        let done = self.prepare(sql)?.insert(params);
        done.map_err(|e| self.why(e))
    }

    /// Makes another change inside this transaction: both happen, or neither.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for a text that is too large ([`Mutation::texts`]); the change's.
    pub fn apply<M: Mutation>(&self, change: &M) -> Result<M::Output> {
        self.limits.check(|texts| change.texts(texts))?;
        // Only a whole mutation can be run again; so a part of one is never left half done.
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
