//! Work that comes again: a mutation and how often. When it last ran is kept in the file.

use crate::actors::Dispatch;
use crate::error::{Error, ErrorKind, Result};
use crate::events::StoreEvent;
use crate::limits::Texts;
use crate::operation::{Mutation, ReadTx, WriteTx};
use crate::time::Timestamp;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

type Run = Pin<Box<dyn Future<Output = Result<Turn>> + Send>>;

/// A mutation, made anew for each run, and the time between two runs.
#[derive(Clone)]
pub(crate) struct Schedule {
    name: String,
    interval: Duration,
    run: Arc<dyn Fn(Arc<Dispatch>, String, TimeDelta) -> Run + Send + Sync>,
}

impl Schedule {
    pub(crate) fn new<M: Mutation>(
        interval: Duration,
        make: impl Fn() -> M + Send + Sync + 'static,
    ) -> Self {
        Self {
            name: M::name().to_owned(),
            interval,
            run: Arc::new(move |dispatch, name, interval| {
                // A host's code, which must not end the supervisor's look at the other schedules.
                let made = catch_unwind(AssertUnwindSafe(&make));
                Box::pin(async move {
                    let work = made.map_err(|payload| {
                        std::mem::forget(payload);
                        let why = "making the scheduled mutation panicked";
                        Error::new(ErrorKind::Panicked, why).in_operation(M::name())
                    })?;
                    let turn = TakeTurn {
                        name,
                        interval,
                        work,
                    };
                    dispatch.write(turn).await
                })
            }),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn interval(&self) -> Duration {
        self.interval
    }

    /// Runs the mutation if its time has come.
    pub(crate) fn run_if_due(&self, dispatch: Arc<Dispatch>) -> Run {
        // An interval too long for the calendar never comes.
        let interval = TimeDelta::from_std(self.interval).unwrap_or(TimeDelta::MAX);
        (self.run)(dispatch, self.name.clone(), interval)
    }

    /// Gives schedules of the same mutation names of their own: `ExpireIdle`, `ExpireIdle#2`.
    pub(crate) fn number(schedules: &mut [Schedule]) {
        for at in 0..schedules.len() {
            let same = schedules[..at]
                .iter()
                .filter(|s| s.name.split('#').next() == Some(&schedules[at].name))
                .count();
            if same > 0 {
                schedules[at].name = format!("{}#{}", schedules[at].name, same + 1);
            }
        }
    }
}

/// What came of asking whether a schedule is due.
#[derive(Clone, Debug)]
pub(crate) struct Turn {
    pub(crate) ran: bool,
    pub(crate) due_at: DateTime<Utc>,
    pub(crate) event: Option<StoreEvent>,
}

/// Does the work if it is due, and writes down that it ran, in one transaction: so that a run
/// counts exactly when it happened.
struct TakeTurn<M> {
    name: String,
    interval: TimeDelta,
    work: M,
}

impl<M: Mutation> Mutation for TakeTurn<M> {
    type Output = Turn;

    fn apply(&self, tx: &WriteTx<'_>) -> Result<Turn> {
        let now = tx.now();
        let after = |time: DateTime<Utc>| {
            time.checked_add_signed(self.interval)
                .unwrap_or(DateTime::<Utc>::MAX_UTC)
        };
        // The first time that it is heard of, it counts as having run. So it does when it ran in
        // the future: the clock was set back, and must not put the next run off by as much.
        let last = last_run(tx, &self.name)?.filter(|&last| last <= now);
        let mut event = None;
        if let Some(last) = last {
            if after(last) > now {
                return Ok(Turn {
                    ran: false,
                    due_at: after(last),
                    event,
                });
            }
            event = M::event(&tx.make(&self.work)?);
        }
        tx.execute(
            "INSERT INTO botstore_schedules (name, last_run_at) VALUES (?1, ?2)
             ON CONFLICT (name) DO UPDATE SET last_run_at = excluded.last_run_at",
            (&self.name, tx.now_text()),
        )?;
        Ok(Turn {
            ran: last.is_some(),
            due_at: after(now),
            event,
        })
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

    fn name() -> &'static str {
        M::name()
    }
}

fn last_run(tx: &ReadTx<'_>, name: &str) -> Result<Option<DateTime<Utc>>> {
    tx.maybe(
        "SELECT last_run_at FROM botstore_schedules WHERE name = ?1",
        [name],
        |row| Ok(row.get::<_, Timestamp>(0)?.0),
    )
}
