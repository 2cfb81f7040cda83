//! Checks the whole file: is it damaged, and do its counters agree with its rows?
//!
//! Damage is what SQLite's own check reports: restore a backup. A counter that differs from the sum of its rows
//! is not damage; statistics here are sums of rows, and use no counter. Two kinds of file have such counters:
//! one taken over from the Python bot, which lost updates; and one whose bot keeps its sessions' totals itself
//! with [`SaveSession`](super::sessions::SaveSession).

mod orphans;

pub use super::odd::{OddValue, RepairedValues, ValueRepair};

use super::columns::{amount, count, id, integer, text};
use super::{Usd, odd};
use crate::error::{ErrorKind, Result};
use crate::operation::{Lane, Query, ReadTx};
use crate::sqlite;
use rusqlite::Row;
use serde::{Deserialize, Serialize};

/// How many findings of each kind are listed one by one.
pub const MAX_FINDINGS: usize = 100;

/// Sums of the same costs in another order differ by less, in US dollars.
const COST_TOLERANCE: f64 = 1e-6;

/// Checks the whole file, its indexes and references, and compares its counters with its rows. Reads everything,
/// so set a long [`analytics_deadline`](crate::Config::analytics_deadline), or run it in
/// [`snapshot`](crate::snapshot), which has none.
///
/// For administrators: the answer is about all users.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// use botstore::integrity::CheckFile;
///
/// let report = store.read(CheckFile::new()).await?;
/// assert!(!report.is_damaged() && !report.differs());
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CheckFile;

impl CheckFile {
    /// The whole file.
    pub fn new() -> Self {
        Self
    }
}

/// The answer to [`CheckFile`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CheckReport {
    /// What SQLite's integrity check reports. If the file is damaged, nothing else is checked.
    pub damage: Findings<String>,
    /// Rows that refer to a row that does not exist. No store makes any; the Python bot could.
    pub orphans: Findings<Orphan>,
    /// Counters that differ from the sum of their rows.
    pub differences: Findings<Difference>,
    /// Id counters so large that no bot has counted that far: their tables soon run out of ids, or have none
    /// left.
    pub ids: Findings<IdCounter>,
    /// Values that their columns should not hold. A row with one is shown with a replacement. It is left out if
    /// the value is the owner or the day.
    #[serde(default)]
    pub odd_values: Findings<OddValue>,
}

impl CheckReport {
    /// Whether the file is damaged.
    pub fn is_damaged(&self) -> bool {
        self.damage.total > 0
    }

    /// Whether a check other than the one for damage found something.
    pub fn differs(&self) -> bool {
        self.orphans.total > 0
            || self.differences.total > 0
            || self.ids.total > 0
            || self.odd_values.total > 0
    }
}

/// The number of findings, and the first of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Findings<T> {
    /// The number of all findings. SQLite's check stops at [`MAX_FINDINGS`] findings of damage.
    pub total: u64,
    /// The first [`MAX_FINDINGS`].
    pub first: Vec<T>,
}

impl<T> Default for Findings<T> {
    fn default() -> Self {
        Self {
            total: 0,
            first: Vec::new(),
        }
    }
}

impl<T> Findings<T> {
    pub(super) fn add(&mut self, finding: T) {
        self.total += 1;
        if self.first.len() < MAX_FINDINGS {
            self.first.push(finding);
        }
    }
}

/// A row that refers to a row that does not exist.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Orphan {
    /// The row's table.
    pub table: String,
    /// The row's rowid; `None` in a table without rowids.
    pub rowid: Option<i64>,
    /// The table to which it refers.
    pub parent: String,
}

impl Orphan {
    /// A row of a table with rowids, for a test of your own.
    pub fn new(table: impl Into<String>, rowid: i64, parent: impl Into<String>) -> Self {
        Self {
            table: table.into(),
            rowid: Some(rowid),
            parent: parent.into(),
        }
    }
}

/// A counter that differs from the sum of its rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Difference {
    /// The table and column of the counter, such as `users.total_cost`.
    pub counter: String,
    /// Whose counter it is: the user's or session's id, and the day.
    pub of: String,
    /// The counter's value.
    pub stored: f64,
    /// The sum of the rows.
    pub counted: f64,
}

impl Difference {
    /// A difference, for a test of your own.
    pub fn new(
        counter: impl Into<String>,
        of: impl Into<String>,
        stored: f64,
        counted: f64,
    ) -> Self {
        Self {
            counter: counter.into(),
            of: of.into(),
            stored,
            counted,
        }
    }
}

/// An id counter that has reached 2⁶², half of all ids. No bot gets there by counting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct IdCounter {
    /// The table.
    pub table: String,
    /// The last id that the table gave, by SQLite's `sqlite_sequence`. After 2⁶³−1 it has none left.
    pub last: i64,
    /// The largest id in the table.
    pub largest: i64,
}

impl Query for CheckFile {
    const LANE: Lane = Lane::Analytics;
    type Output = CheckReport;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<CheckReport> {
        let damage = damage(tx)?;
        if damage.total > 0 {
            return Ok(CheckReport {
                damage,
                ..CheckReport::default()
            });
        }
        let mut differences = Findings::default();
        users(tx, &mut differences)?;
        sessions(tx, &mut differences)?;
        Ok(CheckReport {
            damage,
            orphans: orphans(tx)?,
            differences,
            ids: ids(tx)?,
            odd_values: odd::values(tx)?,
        })
    }
}

fn damage(tx: &ReadTx<'_>) -> Result<Findings<String>> {
    let mut damage = Findings::default();
    let checked = tx.all("PRAGMA integrity_check(100)", [], |row| {
        let line = text(row, 0)?;
        if line != "ok" {
            damage.add(line);
        }
        Ok(())
    });
    match checked {
        // The file is so damaged that the check itself fails.
        Err(error) if error.kind() == ErrorKind::Corrupt => damage.add(error.to_string()),
        checked => drop(checked?),
    }
    if sqlite::ends_in_a_page(tx.conn())? {
        damage.add("the file ends in the middle of a page: the rest of it was cut off".to_owned());
    }
    Ok(damage)
}

fn ids(tx: &ReadTx<'_>) -> Result<Findings<IdCounter>> {
    const HALF: i64 = 1 << 62;
    let mut found = Findings::default();
    for counter in sqlite::id_counters(tx.conn())? {
        if counter.reached() >= HALF {
            found.add(IdCounter {
                last: counter.last.unwrap_or(0),
                largest: counter.largest.unwrap_or(0),
                table: counter.table,
            });
        }
    }
    Ok(found)
}

fn orphans(tx: &ReadTx<'_>) -> Result<Findings<Orphan>> {
    let mut orphans = Findings::default();
    tx.all("PRAGMA foreign_key_check", [], |row| {
        orphans.add(Orphan {
            table: text(row, 0)?,
            rowid: id(row, 1)?,
            parent: text(row, 2)?,
        });
        Ok(())
    })?;
    orphans::undeclared(tx, &mut orphans)?;
    Ok(orphans)
}

/// The count and the cost of messages.
#[derive(Clone, Copy, Default)]
struct Sums {
    messages: u64,
    cost: Usd,
}

impl Sums {
    fn read(row: &Row<'_>, column: usize) -> Result<Self> {
        Ok(Self {
            messages: count(row, column)?,
            cost: amount(row, column + 1)?,
        })
    }
}

impl Findings<Difference> {
    /// As floating-point numbers, so that one list has all differences.
    fn compare_counts(&mut self, counter: &str, of: &str, stored: u64, counted: u64) {
        if stored != counted {
            self.differ(counter, of, stored as f64, counted as f64);
        }
    }

    fn compare_costs(&mut self, counter: &str, of: &str, stored: Usd, counted: Usd) {
        let (stored, counted) = (stored.dollars(), counted.dollars());
        if (stored - counted).abs() > COST_TOLERANCE * counted.abs().max(1.0) {
            self.differ(counter, of, stored, counted);
        }
    }

    fn differ(&mut self, counter: &str, of: &str, stored: f64, counted: f64) {
        self.add(Difference {
            counter: counter.to_owned(),
            of: of.to_owned(),
            stored,
            counted,
        });
    }
}

/// Users and their days, one user at a time, so that a long history takes little memory.
fn users(tx: &ReadTx<'_>, found: &mut Findings<Difference>) -> Result<()> {
    let sql = "SELECT user_id, message_count, total_cost, session_count,
                      (SELECT count(*) FROM sessions s WHERE s.user_id = u.user_id)
               FROM users u ORDER BY user_id";
    tx.all(sql, [], |row| {
        let user_id = integer(row, 0)?;
        let (stored, counted) = (Sums::read(row, 1)?, days(tx, user_id, found)?);
        let (has, sessions) = (count(row, 3)?, count(row, 4)?);
        let of = user_id.to_string();
        found.compare_counts(
            "users.message_count",
            &of,
            stored.messages,
            counted.messages,
        );
        found.compare_costs("users.total_cost", &of, stored.cost, counted.cost);
        found.compare_counts("users.session_count", &of, has, sessions);
        Ok(())
    })?;
    Ok(())
}

/// Compares a user's days; returns the sum over their messages. A day may count more than its messages, since
/// [`AddCost`](super::costs::AddCost) counts requests that are no messages; but never less.
fn days(tx: &ReadTx<'_>, user_id: i64, found: &mut Findings<Difference>) -> Result<Sums> {
    let sql = "SELECT m.day, m.messages, m.cost, c.request_count, c.daily_cost
               FROM (SELECT coalesce(substr(timestamp, 1, 10), '') AS day,
                            count(*) AS messages,
                            sum(CASE WHEN abs(0.0 + cost) < 1e18 THEN 0.0 + cost END) AS cost
                     FROM messages WHERE user_id = ?1 GROUP BY day) m
               LEFT JOIN cost_tracking c ON c.user_id = ?1 AND c.date = m.day";
    let mut total = Sums::default();
    tx.all(sql, [user_id], |row| {
        let day = text(row, 0)?;
        let (counted, stored) = (Sums::read(row, 1)?, Sums::read(row, 3)?);
        let of = format!("{user_id} on {day}");
        if stored.messages < counted.messages {
            let counter = "cost_tracking.request_count";
            found.compare_counts(counter, &of, stored.messages, counted.messages);
        }
        if stored.cost < counted.cost {
            let counter = "cost_tracking.daily_cost";
            found.compare_costs(counter, &of, stored.cost, counted.cost);
        }
        total.messages += counted.messages;
        total.cost += counted.cost;
        Ok(())
    })?;
    Ok(total)
}

fn sessions(tx: &ReadTx<'_>, found: &mut Findings<Difference>) -> Result<()> {
    let sql = "SELECT session_id, message_count, total_cost,
                      (SELECT count(*) FROM messages m WHERE m.session_id = s.session_id),
                      (SELECT sum(CASE WHEN abs(0.0 + cost) < 1e18 THEN 0.0 + cost END)
                       FROM messages m WHERE m.session_id = s.session_id)
               FROM sessions s ORDER BY rowid";
    tx.all(sql, [], |row| {
        let of = text(row, 0)?;
        let (stored, counted) = (Sums::read(row, 1)?, Sums::read(row, 3)?);
        found.compare_counts(
            "sessions.message_count",
            &of,
            stored.messages,
            counted.messages,
        );
        found.compare_costs("sessions.total_cost", &of, stored.cost, counted.cost);
        Ok(())
    })?;
    Ok(())
}
