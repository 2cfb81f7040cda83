//! Work at a time: mutations on a schedule, whose last run the file keeps, and timers, which run once.

mod timers;
mod when;

pub(crate) use timers::{
    AT_ONCE, Blame, DueTimer, FindDue, PutOff, RunTimer, TimerKinds, TryAgain,
};
pub(crate) use when::When;

use crate::error::{Error, ErrorKind, Result};
use crate::json;
use crate::operation::{Mutation, ReadTx, WriteTx};
use crate::panics::caught;
use crate::sqlite;
use crate::time::{self, ClockRecord, Zone};
use chrono::{DateTime, Utc};
use rusqlite::Row;
use std::any::Any;
use std::sync::Arc;

/// When a mutation runs, and how to make it for each run.
#[derive(Clone)]
pub(crate) struct Schedule {
    pub(crate) name: String,
    pub(crate) when: When,
    make: Arc<dyn Fn() -> Work + Send + Sync>,
}

impl Schedule {
    pub(crate) fn new<M: Mutation>(
        name: impl Into<String>,
        when: When,
        make: impl Fn() -> M + Send + Sync + 'static,
    ) -> Self {
        let make = move || {
            let mutation = Scheduled(make());
            let bytes = mutation.0.size_bytes();
            let apply = move |tx: &WriteTx<'_>| {
                let output = apply_whole(&mutation.0, tx);
                let output = output.map_err(|error| error.in_operation(M::name()))?;
                Ok(Box::new(Ran::<M>(output)) as Done)
            };
            let apply = Box::new(apply);
            Work { bytes, apply }
        };
        Self {
            name: name.into(),
            when,
            make: Arc::new(make),
        }
    }

    /// The same schedule in days of this zone.
    pub(crate) fn in_days_of(mut self, zone: Zone) -> Self {
        if let When::DailyAt(_, of) = &mut self.when {
            *of = zone;
        }
        self
    }

    /// Returns the mutation that runs it if it is due.
    ///
    /// # Errors
    /// [`Panicked`](ErrorKind::Panicked) if the host's code that makes the mutation panics.
    pub(crate) fn run(&self) -> Result<RunIfDue> {
        let work = caught(|| (self.make)()).ok_or_else(|| {
            let why = format!("making the scheduled mutation {} panicked", self.name);
            Error::new(ErrorKind::Panicked, why)
        })?;
        let work = Some(work);
        Ok(RunIfDue {
            work,
            ..RunIfDue::ask(&self.name, self.when)
        })
    }
}

/// One run of a mutation, without its type.
struct Work {
    bytes: usize,
    apply: Box<Apply>,
}

type Apply = dyn Fn(&WriteTx<'_>) -> Result<Done> + Send;

/// A mutation that was not checked on a caller's side. Its JSON may be nested so deeply that it has to be taken
/// apart before it is dropped.
struct Scheduled<M: Mutation>(M);

impl<M: Mutation> Drop for Scheduled<M> {
    fn drop(&mut self) {
        json::drop_flat(|values| self.0.take_json(values));
    }
}

/// Not by [`WriteTx::apply`], which would make it a part of another mutation: this one may run in pieces.
fn apply_whole<M: Mutation>(mutation: &M, tx: &WriteTx<'_>) -> Result<M::Output> {
    tx.limits().check(|texts| mutation.texts(texts))?;
    mutation.apply(tx)
}

/// The output of a scheduled mutation: a [`Ran`] of its type.
pub(crate) type Done = Box<dyn Any + Send>;

pub(crate) struct Ran<M: Mutation>(pub(crate) M::Output);

/// The answer to whether something is due.
pub(crate) enum Turn {
    NotBefore(DateTime<Utc>),
    /// It is due. If it is a mutation, it has run, and this is its output.
    Due(Option<Done>),
}

/// Asks whether something is due. If it is, and is a mutation, runs it and records the run in the same
/// transaction: so a run is recorded exactly when it happened.
pub(crate) struct RunIfDue {
    name: String,
    when: When,
    work: Option<Work>,
}

impl RunIfDue {
    /// Asks about something that is not a mutation.
    pub(crate) fn ask(name: &str, when: When) -> Self {
        Self {
            name: name.to_owned(),
            when,
            work: None,
        }
    }
}

impl Mutation for RunIfDue {
    type Output = Turn;

    fn apply(&self, tx: &WriteTx<'_>) -> Result<Turn> {
        if let Some(not_before) = not_before(tx, &self.name, self.when)? {
            return Ok(Turn::NotBefore(not_before));
        }
        let Some(work) = &self.work else {
            return Ok(Turn::Due(None));
        };
        let done = (work.apply)(tx)?;
        // The run counts when all its pieces are done.
        if !tx.is_unfinished() {
            write_down(tx, &self.name)?;
        }
        Ok(Turn::Due(Some(done)))
    }

    fn size_bytes(&self) -> usize {
        size_of_val(self) + self.name.len() + self.work.as_ref().map_or(0, |work| work.bytes)
    }
}

/// Records that something ran.
pub(crate) struct RecordRun {
    pub(crate) name: &'static str,
}

impl Mutation for RecordRun {
    type Output = ();

    fn apply(&self, tx: &WriteTx<'_>) -> Result<()> {
        write_down(tx, self.name)
    }
}

/// The time before which it is not due, if it is not. A name that is new counts as having just run. So does one
/// that ran in the future: the clock was set back, which must not delay the next run by as much.
fn not_before(tx: &WriteTx<'_>, name: &str, when: When) -> Result<Option<DateTime<Utc>>> {
    let now = tx.now();
    // A value that is not a time counts as no run.
    let last = tx.maybe(
        "SELECT last_run_at FROM botstore_schedules WHERE name = ?1",
        [name],
        |row| Ok(time::read(row.get_ref(0)?)),
    )?;
    let last = last.flatten().filter(|&last| last <= now);
    if last.is_none() {
        write_down(tx, name)?;
    }
    let due = when.next(last.unwrap_or(now));
    Ok(Some(due).filter(|&due| due > now))
}

fn write_down(tx: &WriteTx<'_>, name: &str) -> Result<()> {
    write_at(tx, name, tx.now_text())
}

fn write_at(tx: &WriteTx<'_>, name: &str, at: &str) -> Result<()> {
    let rows = tx.execute(
        "INSERT INTO botstore_schedules (name, last_run_at) VALUES (?1, ?2)
         ON CONFLICT (name) DO UPDATE SET last_run_at = excluded.last_run_at",
        (name, at),
    )?;
    tx.bookkeeping(rows);
    Ok(())
}

/// The names under which the file keeps what it knows about the clock. They are not schedules, but times that the
/// store remembers in the schedules' table. A table of their own was turned down: a migration step for two rows.
const BELIEVED: &str = "botstore: the clock was last believed";
const DOUBTED: &str = "botstore: the clock has been doubted since";

/// What the file knows about the clock. An older file without that knows only when something last ran.
pub(crate) fn recorded_clock(tx: &ReadTx<'_>) -> Result<ClockRecord> {
    // A value that is not a time counts as none: it must not keep the store from opening.
    let read = |row: &Row<'_>| Ok(time::read(row.get_ref(0)?));
    // Nor must a missing table, if somebody has dropped it.
    if !sqlite::has_table(tx.conn(), "botstore_schedules")? {
        return Ok(ClockRecord::default());
    }
    let named = |name: &str| {
        let sql = "SELECT last_run_at FROM botstore_schedules WHERE name = ?1";
        tx.maybe(sql, [name], read)
    };
    let believed = match named(BELIEVED)?.flatten() {
        Some(believed) => Some(believed),
        None => tx.one("SELECT max(last_run_at) FROM botstore_schedules", [], read)?,
    };
    Ok(ClockRecord {
        believed,
        doubted_since: named(DOUBTED)?.flatten(),
    })
}

/// Records what is known about the clock.
pub(crate) struct RecordClock(pub(crate) ClockRecord);

impl Mutation for RecordClock {
    type Output = ();

    fn apply(&self, tx: &WriteTx<'_>) -> Result<()> {
        for (name, time) in [(BELIEVED, self.0.believed), (DOUBTED, self.0.doubted_since)] {
            match time {
                Some(time) => write_at(tx, name, &time::format(time))?,
                None => {
                    let sql = "DELETE FROM botstore_schedules WHERE name = ?1";
                    tx.bookkeeping(tx.execute(sql, [name])?);
                }
            }
        }
        Ok(())
    }
}
