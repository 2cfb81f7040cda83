//! Work that comes again: a mutation and how often. When it last ran is kept in the file.

use crate::error::{Error, ErrorKind, Result};
use crate::limits::Texts;
use crate::operation::{Mutation, ReadTx, WriteTx};
use crate::panics::caught;
use crate::time::{ClockRecord, Timestamp};
use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::Row;
use serde_json::Value;
use std::any::{Any, TypeId};
use std::sync::Arc;
use std::time::Duration;

/// A mutation, made anew for each run, and the time between two runs.
#[derive(Clone)]
pub(crate) struct Schedule {
    pub(crate) name: String,
    pub(crate) every: Duration,
    make: Arc<dyn Fn() -> Box<dyn Work> + Send + Sync>,
}

impl Schedule {
    pub(crate) fn new<M: Mutation>(
        name: impl Into<String>,
        every: Duration,
        make: impl Fn() -> M + Send + Sync + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            every,
            make: Arc::new(move || Box::new(make())),
        }
    }

    /// The mutation that runs it if it is due.
    ///
    /// # Errors
    /// [`Panicked`](ErrorKind::Panicked) when making it panics, which is a host's code.
    pub(crate) fn run(&self) -> Result<RunIfDue> {
        let work = caught(|| (self.make)()).ok_or_else(|| {
            let why = format!("making the scheduled mutation {} panicked", self.name);
            Error::new(ErrorKind::Panicked, why)
        })?;
        Ok(RunIfDue {
            name: self.name.clone(),
            every: self.every,
            work,
        })
    }
}

/// A mutation without its type.
trait Work: Send {
    fn name(&self) -> &'static str;
    fn apply(&self, tx: &WriteTx<'_>) -> Result<Done>;
    fn texts(&self, texts: &mut Texts);
    fn take_json(&mut self, taken: &mut Vec<Value>);
    fn size_bytes(&self) -> usize;
}

/// What a scheduled mutation gave.
pub(crate) struct Done {
    /// The mutation's type.
    pub(crate) mutation: TypeId,
    pub(crate) output: Box<dyn Any + Send>,
}

impl<M: Mutation> Work for M {
    fn name(&self) -> &'static str {
        M::name()
    }

    fn apply(&self, tx: &WriteTx<'_>) -> Result<Done> {
        Ok(Done {
            mutation: TypeId::of::<M>(),
            // Not by `tx.apply`, as a part of another: it may be made in pieces.
            output: Box::new(Mutation::apply(self, tx)?),
        })
    }

    fn texts(&self, texts: &mut Texts) {
        Mutation::texts(self, texts);
    }

    fn take_json(&mut self, taken: &mut Vec<Value>) {
        Mutation::take_json(self, taken);
    }

    fn size_bytes(&self) -> usize {
        Mutation::size_bytes(self)
    }
}

/// What came of asking whether something is due.
pub(crate) enum Turn {
    NotBefore(DateTime<Utc>),
    /// It is due and, if it is a mutation, it has run.
    Due(Option<Done>),
}

/// Runs a mutation if it is due, and writes down that it ran, in one transaction: so that a run counts
/// exactly when it happened.
pub(crate) struct RunIfDue {
    name: String,
    every: Duration,
    work: Box<dyn Work>,
}

impl Mutation for RunIfDue {
    type Output = Turn;

    fn apply(&self, tx: &WriteTx<'_>) -> Result<Turn> {
        if let Some(not_before) = not_before(tx, &self.name, self.every)? {
            return Ok(Turn::NotBefore(not_before));
        }
        let done = self.work.apply(tx);
        let done = done.map_err(|error| error.in_operation(self.work.name()))?;
        // It counts when it is done.
        if !tx.is_unfinished() {
            write_down(tx, &self.name)?;
        }
        Ok(Turn::Due(Some(done)))
    }

    fn texts(&self, texts: &mut Texts) {
        self.work.texts(texts);
    }

    fn take_json(&mut self, taken: &mut Vec<Value>) {
        self.work.take_json(taken);
    }

    fn size_bytes(&self) -> usize {
        size_of_val(self) + self.name.len() + self.work.size_bytes()
    }
}

/// Whether something is due that is not a mutation.
pub(crate) struct IsDue {
    pub(crate) name: &'static str,
    pub(crate) every: Duration,
}

impl Mutation for IsDue {
    type Output = Turn;

    fn apply(&self, tx: &WriteTx<'_>) -> Result<Turn> {
        let not_before = not_before(tx, self.name, self.every)?;
        Ok(not_before.map_or(Turn::Due(None), Turn::NotBefore))
    }
}

/// Writes down that something ran.
pub(crate) struct RecordRun {
    pub(crate) name: &'static str,
}

impl Mutation for RecordRun {
    type Output = ();

    fn apply(&self, tx: &WriteTx<'_>) -> Result<()> {
        write_down(tx, self.name)
    }
}

/// Until when it is not due. The first time that it is heard of, it counts as having run. So it does when
/// it ran in the future: the clock was set back, and must not put the next run off by as much.
fn not_before(tx: &WriteTx<'_>, name: &str, every: Duration) -> Result<Option<DateTime<Utc>>> {
    let now = tx.now();
    let last = last_run(tx, name)?.filter(|&last| last <= now);
    if last.is_none() {
        write_down(tx, name)?;
    }
    let due = TimeDelta::from_std(every)
        .ok()
        .and_then(|every| last.unwrap_or(now).checked_add_signed(every))
        .unwrap_or(DateTime::<Utc>::MAX_UTC);
    Ok(Some(due).filter(|&due| due > now))
}

fn last_run(tx: &ReadTx<'_>, name: &str) -> Result<Option<DateTime<Utc>>> {
    tx.maybe(
        "SELECT last_run_at FROM botstore_schedules WHERE name = ?1",
        [name],
        |row| Ok(row.get::<_, Timestamp>(0)?.0),
    )
}

fn write_down(tx: &WriteTx<'_>, name: &str) -> Result<()> {
    write_at(tx, name, tx.now_text())
}

fn write_at(tx: &WriteTx<'_>, name: &str, at: &str) -> Result<()> {
    tx.execute(
        "INSERT INTO botstore_schedules (name, last_run_at) VALUES (?1, ?2)
         ON CONFLICT (name) DO UPDATE SET last_run_at = excluded.last_run_at",
        (name, at),
    )?;
    Ok(())
}

/// The names under which the file has what it knows of the clock: no schedule of its own, but a time that the
/// store remembers, as those are. A table for it was turned down: it would be a step for two rows.
const BELIEVED: &str = "botstore: the clock was last believed";
const DOUBTED: &str = "botstore: the clock has been doubted since";

/// What the file knows of the clock. One from before it was written down knows when something last ran.
pub(crate) fn recorded_clock(tx: &ReadTx<'_>) -> Result<ClockRecord> {
    // What cannot be read as a time is none: it must not keep the store from opening.
    let read = |row: &Row<'_>| Ok(row.get::<_, Option<Timestamp>>(0).ok().flatten());
    let named = |name: &str| {
        let sql = "SELECT last_run_at FROM botstore_schedules WHERE name = ?1";
        tx.maybe(sql, [name], read)
    };
    let believed = match named(BELIEVED)?.flatten() {
        Some(believed) => Some(believed),
        None => tx.one("SELECT max(last_run_at) FROM botstore_schedules", [], read)?,
    };
    Ok(ClockRecord {
        believed: believed.map(|time| time.0),
        doubted_since: named(DOUBTED)?.flatten().map(|time| time.0),
    })
}

/// Writes down what is known of the clock.
pub(crate) struct RecordClock(pub(crate) ClockRecord);

impl Mutation for RecordClock {
    type Output = ();

    fn apply(&self, tx: &WriteTx<'_>) -> Result<()> {
        for (name, time) in [(BELIEVED, self.0.believed), (DOUBTED, self.0.doubted_since)] {
            match time {
                Some(time) => write_at(tx, name, &Timestamp(time).to_string())?,
                None => {
                    let sql = "DELETE FROM botstore_schedules WHERE name = ?1";
                    tx.execute(sql, [name])?;
                }
            }
        }
        Ok(())
    }
}
