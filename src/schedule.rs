//! Work that comes again: a mutation and how often. When it last ran is kept in the file.

use crate::error::{Error, ErrorKind, Result};
use crate::json;
use crate::operation::{Mutation, WriteTx};
use crate::panics::caught;
use crate::time;
use chrono::{DateTime, Utc};
use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

/// A mutation, made anew for each run, and the time between two runs.
#[derive(Clone)]
pub(crate) struct Schedule {
    pub(crate) name: String,
    pub(crate) every: Duration,
    make: Arc<dyn Fn() -> Work + Send + Sync>,
}

impl Schedule {
    pub(crate) fn new<M: Mutation>(
        name: impl Into<String>,
        every: Duration,
        make: impl Fn() -> M + Send + Sync + 'static,
    ) -> Self {
        let make = move || {
            let mutation = Scheduled(make());
            let bytes = mutation.0.size_bytes();
            let apply = move |tx: &WriteTx<'_>| {
                let output = tx.apply(&mutation.0);
                let output = output.map_err(|error| error.in_operation(M::name()))?;
                Ok(Box::new(Ran::<M>(output)) as Done)
            };
            let apply = Box::new(apply);
            Work { bytes, apply }
        };
        Self {
            name: name.into(),
            every,
            make: Arc::new(make),
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
        let work = Some(work);
        Ok(RunIfDue {
            work,
            ..RunIfDue::ask(&self.name, self.every)
        })
    }
}

/// One run of a mutation, without its type.
struct Work {
    bytes: usize,
    apply: Box<Apply>,
}

type Apply = dyn Fn(&WriteTx<'_>) -> Result<Done> + Send;

/// A mutation that no caller has checked. What it has in JSON may be nested so deeply that it has to be
/// taken apart.
struct Scheduled<M: Mutation>(M);

impl<M: Mutation> Drop for Scheduled<M> {
    fn drop(&mut self) {
        json::drop_flat(|values| self.0.take_json(values));
    }
}

/// What a scheduled mutation gave: a [`Ran`] of its type.
pub(crate) type Done = Box<dyn Any + Send>;

pub(crate) struct Ran<M: Mutation>(pub(crate) M::Output);

/// What came of asking whether something is due.
pub(crate) enum Turn {
    NotBefore(DateTime<Utc>),
    /// It is due and, if it is a mutation, it has run.
    Due(Option<Done>),
}

/// Asks whether something is due. If it is, and is a mutation, runs it and writes down that it ran, in one
/// transaction: so that a run counts exactly when it happened.
pub(crate) struct RunIfDue {
    name: String,
    every: Duration,
    work: Option<Work>,
}

impl RunIfDue {
    /// Of what is no mutation.
    pub(crate) fn ask(name: &str, every: Duration) -> Self {
        Self {
            name: name.to_owned(),
            every,
            work: None,
        }
    }
}

impl Mutation for RunIfDue {
    type Output = Turn;

    fn apply(&self, tx: &WriteTx<'_>) -> Result<Turn> {
        if let Some(not_before) = not_before(tx, &self.name, self.every)? {
            return Ok(Turn::NotBefore(not_before));
        }
        let Some(work) = &self.work else {
            return Ok(Turn::Due(None));
        };
        let done = (work.apply)(tx)?;
        write_down(tx, &self.name)?;
        Ok(Turn::Due(Some(done)))
    }

    fn size_bytes(&self) -> usize {
        size_of_val(self) + self.name.len() + self.work.as_ref().map_or(0, |work| work.bytes)
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
    // What is no time says that it has not run.
    let last = tx.maybe(
        "SELECT last_run_at FROM botstore_schedules WHERE name = ?1",
        [name],
        |row| Ok(time::read(row.get_ref(0)?)),
    )?;
    let last = last.flatten().filter(|&last| last <= now);
    if last.is_none() {
        write_down(tx, name)?;
    }
    let due = time::after(last.unwrap_or(now), every);
    Ok(Some(due).filter(|&due| due > now))
}

fn write_down(tx: &WriteTx<'_>, name: &str) -> Result<()> {
    tx.execute(
        "INSERT INTO botstore_schedules (name, last_run_at) VALUES (?1, ?2)
         ON CONFLICT (name) DO UPDATE SET last_run_at = excluded.last_run_at",
        (name, tx.now_text()),
    )?;
    Ok(())
}
