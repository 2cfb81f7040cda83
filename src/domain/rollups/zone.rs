//! The zone in whose days the file counts: rows of `botstore_zone`, since other programs' changes of counted rows fire
//! the triggers, which can look up an offset but know no zone.

use super::facts::{self, CURRENT};
use super::generations::{self, Generations};
use super::{count, usage};
use crate::domain::{columns, limits};
use crate::error::{Result, quote};
use crate::operation::{ReadTx, WriteTx};
use crate::sqlite::{self, Cell, cells};
use crate::time::Zone;
use chrono::{
    DateTime, Datelike, Days, FixedOffset, NaiveDate, NaiveDateTime, Offset, TimeDelta, Utc,
};
use rusqlite::{Connection, TransactionBehavior};

/// From when on the first offset of a zone is taken: always.
const ALWAYS: &str = "0000-01-01 00:00:00";

/// No day is earlier, as the file spells days: what is no time has the day ''.
pub(in crate::domain) const FIRST_DAY: &str = "0001-01-01";

/// No day is later, as the file spells days: the calendar's last. One of year 10,000 begins with a sign.
pub(in crate::domain) const LAST_DAY: &str = "9999-12-31";

/// How the table spells a time.
pub(super) const SPELLING: &str = "%Y-%m-%d %H:%M:%S";

/// No zone's clock is behind UTC by as much.
const LONGEST_LEAD: TimeDelta = TimeDelta::days(2);

/// More rows than any zone has.
const MOST_ROWS: usize = 1_000;

/// A row: since when, the offset in seconds, and the zone's name.
type Row = Vec<Cell>;

/// Whether a zone by which rows are to be counted anew is begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recounts {
    /// Yes: by a store that stays open, and counts beside its work.
    InBackground,
    /// No: by who opens the file for a moment.
    Never,
}

/// The zones of a file that is opened.
pub(crate) struct Zones {
    /// The one that is wanted.
    pub(crate) wanted: Zone,
    /// Its name, if rows are still counted by another one.
    pub(crate) next: Option<String>,
}

/// Brings the file's zone to the one that is wanted, or if none is, to what this program knows of the file's own. If a
/// row that is counted may be of another day then, a generation begins that is to be counted by that zone, and until it
/// is, answers have the days of the zone before. It is discarded if yet another zone is wanted meanwhile.
///
/// New rules for a zone mostly change the offset at a time that is still to come, and then nothing is counted.
pub(crate) fn agree_on_zone(
    conn: &mut Connection,
    wanted: Option<Zone>,
    now: DateTime<Utc>,
    recounts: Recounts,
) -> Result<Zones> {
    // Not deferred: another program may write between what is read and what is written.
    let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let tx = WriteTx::new(&transaction, now);
    let wanted = agree(&tx, wanted, recounts)?;
    let next = match Generations::of(&tx)?.and_then(|found| found.next) {
        Some(next) => Some(name(&rows(&tx, next)?).unwrap_or_default().to_owned()),
        None => None,
    };
    transaction.commit()?;
    Ok(Zones { wanted, next })
}

fn agree(tx: &WriteTx<'_>, wanted: Option<Zone>, recounts: Recounts) -> Result<Zone> {
    let generations = match Generations::of(tx)? {
        Some(found) => found,
        // Somebody has deleted them: nothing says to which the counts belong.
        None => {
            count::forget(tx, &count::BOT)?;
            count::forget(tx, &usage::LLM)?;
            let found = Generations::of(tx)?;
            found.unwrap_or(Generations {
                current: 0,
                next: None,
            })
        }
    };
    generations::discard_others(tx)?;
    let old = rows(tx, generations.current)?;
    // Nobody has had an answer from counts that were never finished.
    let is_unfinished = count::are_missing(tx, &count::BOT)?;
    let next = match generations.next {
        Some(next) => Some((next, rows(tx, next)?)),
        None => None,
    };
    // The file's own zone is the one that it is to have, unless somebody has deleted its rows.
    let own = match &next {
        Some((_, rows)) if !rows.is_empty() => rows,
        _ => &old,
    };
    let known = || match name(own) {
        Some(name) => Zone::named(name).ok(),
        None => Some(Zone::UTC),
    };
    let Some(zone) = wanted.or_else(known) else {
        let zone = shown_zone(tx);
        let unknown = quote(name(own).unwrap_or_default());
        tracing::warn!(%unknown, %zone, "this program does not know the file's time zone; its offsets stay");
        return Ok(zone);
    };
    let new = rows_of(zone);
    if let Some((next, rows)) = next {
        if !is_unfinished && (rows == new || recounts == Recounts::Never) {
            return Ok(zone);
        }
        generations::end(tx, next)?;
        tracing::info!("the file was being counted by a time zone that is not wanted any more");
    }
    if old == new {
        return Ok(zone);
    }
    let is_recounted = match first_difference(&old, &new) {
        Some(since) => are_counted_after(tx, &since)?,
        None => false,
    };
    if is_recounted && !is_unfinished {
        if recounts == Recounts::Never {
            let file = shown_zone(tx);
            tracing::info!(%zone, %file, "the file stays in its time zone until a store opens it");
            return Ok(zone);
        }
        if let Some(next) = generations::begin(tx)? {
            write_rows(tx, next, &new)?;
            let before = shown_zone(tx);
            tracing::info!(%zone, %before, "the file is counted by another time zone, or other rules for it");
            return Ok(zone);
        }
    }
    write_rows(tx, generations.current, &new)?;
    // Their periods begin at other times now.
    limits::forget(tx)?;
    if is_recounted {
        count::forget(tx, &count::BOT)?;
        count::forget(tx, &usage::LLM)?;
    }
    tracing::info!(%zone, is_recounted, "the file has another time zone, or other rules for it");
    Ok(zone)
}

/// A generation's rows, of whatever types somebody may have written.
fn rows(tx: &ReadTx<'_>, generation: i64) -> Result<Vec<Row>> {
    let sql = "SELECT since, offset_seconds, zone FROM botstore_zone WHERE generation = ?1
               ORDER BY since LIMIT ?2";
    tx.all(sql, [generation, MOST_ROWS as i64], |row| cells(row, 0..3))
}

/// Replaces a generation's rows.
fn write_rows(tx: &WriteTx<'_>, generation: i64, rows: &[Row]) -> Result<()> {
    let old = "DELETE FROM botstore_zone WHERE generation = ?1";
    tx.execute(old, [generation])?;
    for row in rows {
        let [since, seconds, zone] = &row[..] else {
            continue;
        };
        let sql = "INSERT INTO botstore_zone (generation, since, offset_seconds, zone) VALUES (?1, ?2, ?3, ?4)";
        tx.execute(sql, (generation, since, seconds, zone))?;
    }
    Ok(())
}

/// The rows of a zone.
fn rows_of(zone: Zone) -> Vec<Row> {
    let name = zone.to_string();
    let offsets = zone.offsets();
    let rows = offsets.iter().enumerate().map(|(at, since)| {
        let from = match at {
            0 => ALWAYS.to_owned(),
            _ => since.at.format(SPELLING).to_string(),
        };
        let seconds = Cell::Integer(since.offset.local_minus_utc().into());
        vec![Cell::text(from), seconds, Cell::text(&name)]
    });
    rows.collect()
}

/// The name in the rows; `None` if there is no row.
fn name(rows: &[Row]) -> Option<&str> {
    rows.last().map(|row| match row.last() {
        Some(Cell::Text(name)) => std::str::from_utf8(name).unwrap_or_default(),
        _ => "",
    })
}

/// Since when rows may mean other days; `None` if they do not.
fn first_difference(old: &[Row], new: &[Row]) -> Option<String> {
    // Without the names: two may mean the same zone.
    let same = old
        .iter()
        .zip(new)
        .take_while(|(old, new)| old[..2] == new[..2]);
    let same = same.count();
    let since = |rows: &[Row]| {
        rows.get(same).map(|row| match row.first() {
            Some(Cell::Text(since)) => String::from_utf8_lossy(since).into_owned(),
            _ => ALWAYS.to_owned(),
        })
    };
    [since(old), since(new)].into_iter().flatten().min()
}

/// Whether a row that is counted may have a time after this.
fn are_counted_after(tx: &ReadTx<'_>, since: &str) -> Result<bool> {
    let since = NaiveDateTime::parse_from_str(since, SPELLING).ok();
    let day = since.and_then(|since| since.checked_sub_signed(LONGEST_LEAD));
    // Texts of years before 1 are not in the order of days.
    let day = day.filter(|day| day.year() > 0);
    let day = day.map_or_else(String::new, |day| day.date().to_string());
    for table in ["botstore_day", "botstore_model_day"] {
        let sql = format!(
            "SELECT EXISTS (SELECT 1 FROM {table} WHERE generation = {CURRENT} AND day >= ?1)"
        );
        if sqlite::has_table(tx.conn(), table)?
            && tx.one(&sql, [&day], |row| columns::flag(row, 0))?
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The zone in whose days the file counts. For a name that this program does not know, its offset now, and for a file
/// that does not say, UTC: neither must keep a store from opening, or an answer from being given.
pub(crate) fn shown_zone(tx: &ReadTx<'_>) -> Zone {
    zone_of_days(tx).0
}

/// The same zone, and whether it is the one by which rows are counted: not if this program does not know its name.
pub(in crate::domain) fn zone_of_days(tx: &ReadTx<'_>) -> (Zone, bool) {
    let sql = format!(
        "SELECT zone FROM botstore_zone WHERE generation = {CURRENT} ORDER BY since DESC LIMIT 1"
    );
    match tx.maybe(&sql, [], |row| columns::text(row, 0)) {
        Ok(Some(name)) => match Zone::named(&name) {
            Ok(zone) => (zone, true),
            Err(_) => (Zone::Fixed(offset_now(tx)), false),
        },
        // Without a row, days are counted by no offset.
        Ok(None) => (Zone::UTC, true),
        Err(_) => (Zone::UTC, false),
    }
}

fn offset_now(tx: &ReadTx<'_>) -> FixedOffset {
    let sql = format!(
        "SELECT offset_seconds FROM botstore_zone
         WHERE generation = {CURRENT} AND since <= datetime(substr(?1, 1, 19)) ORDER BY since DESC LIMIT 1"
    );
    let seconds = tx.maybe(&sql, [tx.now_text()], |row| columns::integer(row, 0));
    let seconds = seconds.ok().flatten().unwrap_or(0);
    let offset = i32::try_from(seconds).ok().and_then(FixedOffset::east_opt);
    offset.unwrap_or_else(|| Utc.fix())
}

/// Whether the file's days are those of UTC.
pub(in crate::domain) fn is_utc(tx: &ReadTx<'_>) -> Result<bool> {
    let sql = format!(
        "SELECT NOT EXISTS (SELECT 1 FROM botstore_zone WHERE generation = {CURRENT} AND offset_seconds <> 0)"
    );
    tx.one(&sql, [], |row| columns::flag(row, 0))
}

/// Today, by the bot's clock.
pub(in crate::domain) fn today(tx: &ReadTx<'_>) -> Result<NaiveDate> {
    let sql = format!("SELECT {}", facts::day("?1"));
    let today = tx.one(&sql, [tx.now_text()], |row| columns::day(row, 0))?;
    Ok(today.unwrap_or_else(|| tx.now().date_naive()))
}

/// The day this many days before today, as the file spells it.
pub(in crate::domain) fn first_day(tx: &ReadTx<'_>, days: u32) -> Result<String> {
    let first = today(tx)?.checked_sub_days(Days::new(days.into()));
    // Texts of years before 1 are not in the order of days.
    let first = first.filter(|first| first.year() > 0);
    Ok(first.map_or_else(|| FIRST_DAY.to_owned(), |first| first.to_string()))
}
