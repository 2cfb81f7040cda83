//! Controls what an operation or a step does while it runs, and for how long.

mod circles;
mod steps;

pub(crate) use circles::trigger_that_fires_itself;
pub(crate) use steps::{Owners, StepRules, for_steps};

use crate::error::{Error, ErrorKind, Result};
use rusqlite::Connection;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use std::panic::RefUnwindSafe;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// Virtual machine instructions between two calls of SQLite's progress handler: about 10 µs.
const STEPS_BETWEEN_CHECKS: i32 = 1_000;

/// Keeps SQL on a connection from doing what it must not.
///
/// SQLite asks when a statement is prepared. The store's own statements are prepared while the guard is
/// down, and have texts that no operation's statement has. Checking the SQL's first word instead was
/// turned down: SQLite's own parser sees through comments and pragma functions.
pub(crate) struct Authorizer {
    up: Arc<AtomicBool>,
    /// What keeps texts of the store's own statements apart from those of operations.
    nonce: String,
}

impl Authorizer {
    /// Replaces the guard of the connection.
    pub(crate) fn install(
        conn: &mut Connection,
        policy: impl Fn(&AuthContext<'_>) -> Authorization + Send + RefUnwindSafe + 'static,
    ) -> Result<Self> {
        let nonce = unguarded("")?;
        let up = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&up);
        conn.authorizer(Some(move |context: AuthContext<'_>| {
            if asked.load(Ordering::Relaxed) {
                policy(&context)
            } else {
                Authorization::Allow
            }
        }))?;
        Ok(Self { up, nonce })
    }

    /// Runs `guarded` with the guard up.
    pub(crate) fn during<T>(&self, guarded: impl FnOnce() -> T) -> T {
        self.with(true, guarded)
    }

    /// Runs the crate's own part of guarded work without the guard.
    pub(crate) fn aside<T>(&self, trusted: impl FnOnce() -> T) -> T {
        self.with(false, trusted)
    }

    /// The text of one of the store's own statements, which no operation's has: it may stay in the cache.
    pub(crate) fn own(&self, sql: &str) -> String {
        [sql, &self.nonce].concat()
    }

    fn with<T>(&self, up: bool, work: impl FnOnce() -> T) -> T {
        let _back = Back(&self.up, self.up.swap(up, Ordering::Relaxed));
        work()
    }
}

/// Makes every later `INSERT` of a statement do nothing, without reading the rows to insert: a step
/// that fills a table may take minutes. An exception are the rows that a virtual table writes into its
/// own tables when it is created, because it has to find them there.
pub(crate) fn leave_rows_out(conn: &mut Connection) -> Result<()> {
    let virtual_tables = Mutex::new(Vec::new());
    conn.authorizer(Some(move |context: AuthContext<'_>| {
        let mut virtual_tables = virtual_tables
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match context.action {
            AuthAction::CreateVtable { table_name, .. } => {
                virtual_tables.push(format!("{table_name}_"));
                Authorization::Allow
            }
            AuthAction::Insert { table_name }
                if !table_name.starts_with("sqlite_")
                    && !virtual_tables.iter().any(|own| table_name.starts_with(own)) =>
            {
                Authorization::Ignore
            }
            _ => Authorization::Allow,
        }
    }))?;
    Ok(())
}

/// Makes a unique text for one of the store's own statements. The random number in it keeps it apart
/// from any text of an operation: the guard is not asked about a statement in the cache.
pub(crate) fn unguarded(sql: &str) -> Result<String> {
    let mut nonce = [0; 8];
    getrandom::fill(&mut nonce)
        .map_err(|e| Error::new(ErrorKind::Io, format!("no random bytes: {e}")))?;
    Ok(format!("{sql} /* {:x} */", u64::from_ne_bytes(nonce)))
}

/// Puts the guard back as it was.
struct Back<'a>(&'a AtomicBool, bool);

impl Drop for Back<'_> {
    fn drop(&mut self) {
        self.0.store(self.1, Ordering::Relaxed);
    }
}

/// The table in which a file records the steps that it has applied.
const LEDGER: &str = "botstore_ledger";

/// The table in which a file records what those steps found.
const FOUND: &str = "botstore_found";

/// Allows a mutation to change rows, except those in tables that only the store changes.
pub(crate) fn for_mutations(context: &AuthContext<'_>) -> Authorization {
    match context.action {
        AuthAction::Insert { table_name }
        | AuthAction::Update { table_name, .. }
        | AuthAction::Delete { table_name }
            if is_the_stores(table_name, context.accessor) =>
        {
            Authorization::Deny
        }
        AuthAction::Insert { .. } | AuthAction::Update { .. } => Authorization::Allow,
        // SQLite still deletes, but row by row, so that each row is reported; otherwise it does not
        // report a `DELETE` of a whole table. See <https://sqlite.org/c3ref/set_authorizer.html>.
        AuthAction::Delete { .. } => Authorization::Ignore,
        _ => for_queries(context),
    }
}

/// Whether only the store itself changes this table: SQLite's own tables (a `DROP` asks for those
/// first), the ledger, the store's id, and the rollups, which the store's triggers keep. The list names
/// the `botstore_` tables that operations may write, not those that they may not, so that a table of a
/// later step is guarded too.
fn is_the_stores(table: &str, trigger: Option<&str>) -> bool {
    if begins_with(table, "sqlite_") {
        return true;
    }
    if !begins_with(table, OURS) {
        return false;
    }
    match table.to_ascii_lowercase().as_str() {
        // Written by the crate's own operations; cached statements are not checked.
        "botstore_idempotency"
        | "botstore_schedules"
        | "botstore_update"
        | "botstore_external_user"
        | "botstore_session_member"
        | "botstore_session_import"
        | "botstore_timer"
        | "botstore_usage"
        | "botstore_price"
        | "botstore_prompt"
        | "botstore_tool_result"
        | "botstore_attachment"
        | "botstore_feedback"
        | "botstore_message_metadata"
        | "botstore_session_metadata"
        | "botstore_user_metadata"
        | "botstore_limit"
        | "botstore_limit_told"
        | "botstore_reservation"
        | "botstore_spender" => false,
        LEDGER | FOUND | "botstore_store" => true,
        _ => !trigger.is_some_and(|trigger| begins_with(trigger, OURS)),
    }
}

/// The prefix of the store's own tables, indexes and triggers, except the seed's.
const OURS: &str = "botstore_";

/// SQLite compares names without regard to case.
fn begins_with(name: &str, start: &str) -> bool {
    name.get(..start.len())
        .is_some_and(|begin| begin.eq_ignore_ascii_case(start))
}

/// Allows a query to read, and nothing else.
pub(crate) fn for_queries(context: &AuthContext<'_>) -> Authorization {
    let reads = match context.action {
        AuthAction::Select
        | AuthAction::Read { .. }
        | AuthAction::Function { .. }
        | AuthAction::Recursive => true,
        // Pragmas that describe the schema or look for damage; none that sets anything.
        AuthAction::Pragma {
            pragma_name: "page_size",
            pragma_value,
        } => pragma_value.is_none(),
        AuthAction::Pragma { pragma_name, .. } => matches!(
            pragma_name,
            "table_info"
                | "table_xinfo"
                | "table_list"
                | "index_list"
                | "index_info"
                | "index_xinfo"
                | "foreign_key_list"
                | "data_version"
                | "database_list"
                | "integrity_check"
                | "foreign_key_check"
        ),
        _ => false,
    };
    if reads {
        Authorization::Allow
    } else {
        Authorization::Deny
    }
}

/// Interrupts a query at its deadline, or when the store stops all queries.
#[derive(Clone)]
pub(crate) struct Watchdog {
    epoch: Instant,
    /// Nanoseconds after `epoch`; 0 while no query runs.
    deadline: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    interrupted: Arc<AtomicBool>,
}

impl Watchdog {
    /// `stop` ends every running query, whatever its deadline.
    pub(crate) fn new(stop: Arc<AtomicBool>) -> Self {
        Self {
            epoch: Instant::now(),
            deadline: Arc::default(),
            stop,
            interrupted: Arc::default(),
        }
    }

    pub(crate) fn install(&self, conn: &mut Connection) -> Result<()> {
        let watch = self.clone();
        conn.progress_handler(
            STEPS_BETWEEN_CHECKS,
            Some(move || {
                let deadline = watch.deadline.load(Ordering::Relaxed);
                let interrupts = deadline != 0
                    && (watch.stop.load(Ordering::Relaxed)
                        || watch.epoch.elapsed().as_nanos() as u64 > deadline);
                if interrupts {
                    watch.interrupted.store(true, Ordering::Relaxed);
                }
                interrupts
            }),
        )?;
        Ok(())
    }

    /// Runs `query` with this deadline.
    pub(crate) fn until<T>(&self, deadline: Instant, query: impl FnOnce() -> T) -> T {
        let after = deadline.saturating_duration_since(self.epoch).as_nanos();
        self.interrupted.store(false, Ordering::Relaxed);
        self.deadline
            .store((after as u64).max(1), Ordering::Relaxed);
        let answer = query();
        self.deadline.store(0, Ordering::Relaxed);
        answer
    }

    /// Whether the query that runs, or ran last, was interrupted. Its error does not tell: the query may have
    /// passed over it.
    pub(crate) fn has_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }
}
