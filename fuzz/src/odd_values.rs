//! Values of any type and encoding in the columns of the bot's tables, as another program may leave them.
//!
//! Unlike [`database_file`](super::database_file), which asks only that failures are told, here nothing fails: every
//! question is answered, the file opens again, the check names what is odd, and saving goes on.

use botstore::testing::usd;
use crate::samples::{self, Sample, config, folder, session};
use arbitrary::{Arbitrary, Unstructured};
use botstore::analytics::{
    Activity, AdminDashboard, Bucket, DailyActivity, Fill, Span, SystemStats, TopUsers,
    UserActivity, UserDashboard, UserStats,
};
use botstore::audit::{RecentAuditLog, UserAuditLog};
use botstore::costs::{AddCost, TotalCosts, UserDailyCosts};
use botstore::integrity::CheckFile;
use botstore::interactions::SaveInteraction;
use botstore::messages::{RecentMessages, UserMessages};
use botstore::page::{Page, PageRequest};
use botstore::rollups::ReconcileRollups;
use botstore::rusqlite::types::{ToSqlOutput, ValueRef};
use botstore::rusqlite::{Connection, ToSql};
use botstore::sessions::{ActiveSessions, SessionFilter, SessionSummary, UserSessions};
use botstore::testing::Plain;
use botstore::tokens::UserTokens;
use botstore::tools::{ToolStats, UserToolUse};
use botstore::users::{AllowedUsers, EnsureUser, GetUser, IsAllowed, ListUsers};
use botstore::{ErrorKind, Query, ReadTx};
use std::fs;
use std::sync::LazyLock;
use std::time::Duration;
use tempfile::TempDir;

static SAMPLE: LazyLock<Sample> = LazyLock::new(samples::database);
static FOLDER: LazyLock<TempDir> = LazyLock::new(folder);

const TABLES: [&str; 7] = [
    "users",
    "sessions",
    "messages",
    "tool_usage",
    "audit_log",
    "user_tokens",
    "cost_tracking",
];

pub fn run(data: &[u8]) {
    let path = FOLDER.path().join("odd.db");
    for beside in ["odd.db", "odd.db-wal", "odd.db-shm"] {
        let _ = fs::remove_file(FOLDER.path().join(beside));
    }
    fs::write(&path, &SAMPLE.file).expect("a file");
    fs::write(path.with_extension("db-wal"), &SAMPLE.log).expect("a log");
    let plain = Plain::open(config(&path)).expect("the sample opens");
    put(plain.connection(), data);
    everything_is_answered(&plain);
    drop(plain);
    let plain = Plain::open(config(&path)).expect("it opens again");
    everything_is_answered(&plain);
    let saved = plain.write(|tx| {
        tx.apply(&EnsureUser::new(99, Some("new")))?;
        tx.apply(&session(99))?;
        // Its id may be another by now.
        tx.apply(&EnsureUser::new(1, None))?;
        tx.apply(&AddCost::new(1, usd(0.5)))?;
        tx.apply(&SaveInteraction::new(99, "s99", "").cost(usd(0.5)))
    });
    saved.expect("saving goes on");
}

/// What a column is given.
#[derive(Debug, Arbitrary)]
enum Cell {
    Null,
    Integer(i64),
    Small(i8),
    Real(f64),
    Endless(bool),
    Text(Vec<u8>),
    Blob(Vec<u8>),
}

impl ToSql for Cell {
    fn to_sql(&self) -> botstore::rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(number) => ValueRef::Integer(*number),
            Self::Small(number) => ValueRef::Integer((*number).into()),
            Self::Real(number) => ValueRef::Real(*number),
            Self::Endless(true) => ValueRef::Real(f64::INFINITY),
            Self::Endless(false) => ValueRef::Real(f64::NEG_INFINITY),
            Self::Text(bytes) => ValueRef::Text(bytes),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

/// What SQLite, a key or a trigger refuses is not there.
fn put(conn: &Connection, script: &[u8]) {
    conn.execute_batch("PRAGMA foreign_keys = OFF")
        .expect("settings");
    let columns: Vec<(&str, String)> = TABLES
        .iter()
        .flat_map(|table| {
            let mut columns = conn
                .prepare("SELECT name FROM pragma_table_info(?1)")
                .expect("SQL");
            let columns = columns
                .query_map([table], |row| row.get(0))
                .expect("columns");
            columns
                .map(|name| (*table, name.expect("a name")))
                .collect::<Vec<_>>()
        })
        .collect();
    let mut script = Unstructured::new(script);
    for _ in 0..24 {
        let Ok((column, row, cell)) = script.arbitrary::<(u8, u8, Cell)>() else {
            break;
        };
        let (table, column) = &columns[usize::from(column) % columns.len()];
        let rows = match row {
            0..128 => format!("WHERE rowid % 8 = {}", row % 8),
            _ => String::new(),
        };
        let _ = conn.execute(
            &format!("UPDATE OR IGNORE {table} SET {column} = ?1 {rows}"),
            [cell],
        );
        if script.is_empty() {
            break;
        }
    }
    conn.execute_batch("PRAGMA foreign_keys = ON")
        .expect("settings");
}

fn answer<Q: Query>(tx: &ReadTx<'_>, question: &Q) -> Q::Output {
    let answer = tx.query(question);
    answer.unwrap_or_else(|error| panic!("{}: {error}", Q::name()))
}

/// Goes through a list, which ends.
fn list<Q: Query<Output = Page<T>>, T>(tx: &ReadTx<'_>, question: impl Fn(PageRequest) -> Q) {
    let mut request = PageRequest::first(5);
    for _ in 0..10_000 {
        match answer(tx, &question(request.clone())).next {
            Some(next) => request = request.after(next),
            None => return,
        }
    }
    panic!("{} has no end", Q::name());
}

fn everything_is_answered(plain: &Plain) {
    let told = plain.read(|tx| {
        let user_id = 1;
        let (by, gaps, span) = (Bucket::Week, Fill::Fill, Span::LastDays(30));
        answer(tx, &GetUser::new(user_id));
        answer(tx, &IsAllowed::new(user_id));
        answer(tx, &SessionSummary::new(user_id));
        answer(tx, &UserDailyCosts::new(user_id, 30));
        answer(tx, &TotalCosts::new(30));
        answer(tx, &UserStats::new(user_id));
        answer(tx, &SystemStats::new());
        answer(tx, &DailyActivity::new(30));
        answer(tx, &Activity::new(span).by(by).gaps(gaps));
        answer(tx, &UserActivity::new(user_id, span).by(by).gaps(gaps));
        answer(tx, &TopUsers::new(10));
        answer(tx, &ToolStats::new(10));
        answer(tx, &UserDashboard::new(user_id));
        answer(tx, &AdminDashboard::default());
        answer(tx, &ReconcileRollups::new());
        let report = answer(tx, &CheckFile::new());
        assert!(!report.is_damaged(), "{:?}", report.damage);
        list(tx, |page| ListUsers::new().page(page));
        list(tx, |page| AllowedUsers::new().page(page));
        list(tx, |page| ActiveSessions::new().page(page));
        list(tx, |page| {
            UserSessions::new(user_id)
                .which(SessionFilter::All)
                .page(page)
        });
        list(tx, |page| UserMessages::new(user_id).page(page));
        list(tx, |page| RecentMessages::new(Duration::MAX).page(page));
        list(tx, |page| UserToolUse::new(user_id).page(page));
        list(tx, |page| UserAuditLog::new(user_id).page(page));
        list(tx, |page| RecentAuditLog::new().page(page));
        list(tx, |page| UserTokens::new(user_id).page(page));
        Ok(())
    });
    // The second that a machine may be too busy for is no matter here.
    told.or_else(|error| match error.kind() {
        ErrorKind::Deadline => Ok(()),
        _ => Err(error),
    })
    .expect("answers");
}
