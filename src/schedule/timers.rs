//! The timers in the file, and what the supervisor does with them.
//!
//! Its `try_at` says in which of two states a timer is: it is tried at that time, or it waits (NULL) until a store
//! is opened in which its name is registered. So timers that cannot run are not among those that are due, however
//! many there are, and delay none.

use crate::error::{Error, ErrorKind, Result, quote};
use crate::operation::{Mutation, Timer, TimerId, WriteTx, timer};
use crate::texts::MAX_NAME_BYTES;
use crate::time::{self, Timestamp};
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How many timers are handled together.
pub(crate) const AT_ONCE: usize = 250;

/// How many times a timer is tried before it waits for the next opening.
const TRIES: i64 = 10;

/// How long after the first failure a timer is tried again. The pause doubles with each further failure.
const FIRST_PAUSE: Duration = Duration::from_secs(60);

/// The longest of these pauses.
const LONGEST_PAUSE: Duration = Duration::from_secs(60 * 60);

/// Runs one message of a type that is forgotten here.
type Run = fn(&str, &WriteTx<'_>) -> Result<()>;

/// The registered types of timers, by name.
#[derive(Clone, Default)]
pub(crate) struct TimerKinds {
    by_name: BTreeMap<&'static str, Run>,
    /// The first name that was registered twice.
    twice: Option<&'static str>,
}

impl TimerKinds {
    pub(crate) fn add<T: Timer>(&mut self) {
        let run: Run = |message, tx| {
            let message = timer::read::<T>(message)?;
            let done = tx.apply(&message);
            done.map(drop)
                .map_err(|error| error.in_operation(T::name()))
        };
        if self.by_name.insert(T::NAME, run).is_some() {
            self.twice.get_or_insert(T::NAME);
        }
    }

    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for a name that is registered twice, or too long or empty.
    pub(crate) fn check(&self) -> Result<()> {
        if let Some(name) = self.twice {
            let why = format!(
                "has the name {} twice; two types need two names",
                quote(name)
            );
            return Err(Error::invalid("timer", &why));
        }
        let fits = |name: &&str| (1..=MAX_NAME_BYTES).contains(&name.len());
        match self.by_name.keys().all(fits) {
            true => Ok(()),
            false => Err(Error::invalid(
                "timer",
                "must have a NAME of 1 to 4096 bytes",
            )),
        }
    }

    fn run(&self, name: &str) -> Option<Run> {
        self.by_name.get(name).copied()
    }
}

/// Makes waiting timers with a registered name due again: this program may be another one, which knows them or can
/// run them. Returns how many, [`AT_ONCE`] at most.
pub(crate) struct TryAgain(pub(crate) TimerKinds);

impl Mutation for TryAgain {
    type Output = usize;

    fn apply(&self, tx: &WriteTx<'_>) -> Result<usize> {
        let mut again = 0;
        for name in self.0.by_name.keys() {
            again += tx.execute(
                "UPDATE botstore_timer SET try_at = due_at, failures = 0 WHERE timer_id IN
                 (SELECT timer_id FROM botstore_timer INDEXED BY botstore_timer_waits
                  WHERE name = ?1 AND try_at IS NULL LIMIT ?2)",
                (name, (AT_ONCE - again) as i64),
            )?;
            if again == AT_ONCE {
                break;
            }
        }
        Ok(again)
    }
}

/// A timer that is due.
pub(crate) struct DueTimer {
    pub(crate) timer_id: TimerId,
    pub(crate) name: String,
    pub(crate) due_at: DateTime<Utc>,
}

/// The result of [`FindDue`].
#[derive(Default)]
pub(crate) struct DueTimers {
    /// In the order in which they are to run, [`AT_ONCE`] at most.
    pub(crate) timers: Vec<DueTimer>,
    /// How many timers there were of each unregistered name. They wait from now on.
    pub(crate) unknown: BTreeMap<String, usize>,
    /// When the first of the other timers is due.
    pub(crate) next: Option<DateTime<Utc>>,
    /// Whether more may be due.
    pub(crate) is_full: bool,
}

/// Finds due timers, and makes those with an unregistered name wait. Uses the time that is certain, since a run
/// cannot be undone. It is a mutation, so that it sees all timers that were reported before.
pub(crate) struct FindDue(pub(crate) TimerKinds);

impl Mutation for FindDue {
    type Output = DueTimers;

    fn apply(&self, tx: &WriteTx<'_>) -> Result<DueTimers> {
        let now = Timestamp(tx.sure_now()?);
        let due = tx.all(
            "SELECT timer_id, name, due_at FROM botstore_timer INDEXED BY botstore_timer_try
             WHERE try_at <= ?1 ORDER BY try_at, timer_id LIMIT ?2",
            (now, AT_ONCE as i64),
            |row| {
                Ok(DueTimer {
                    timer_id: row.get(0)?,
                    name: String::from_utf8_lossy(bytes(row.get_ref(1)?)).into_owned(),
                    due_at: time::read(row.get_ref(2)?).unwrap_or_default(),
                })
            },
        )?;
        let mut found = DueTimers {
            is_full: due.len() == AT_ONCE,
            ..DueTimers::default()
        };
        for timer in due {
            if self.0.run(&timer.name).is_some() {
                found.timers.push(timer);
                continue;
            }
            let sql = "UPDATE botstore_timer SET try_at = NULL WHERE timer_id = ?1";
            tx.execute(sql, [timer.timer_id])?;
            *found.unknown.entry(timer.name).or_default() += 1;
        }
        // A value that is not a time is ignored; the file is looked at again every minute.
        let next = tx.maybe(
            "SELECT try_at FROM botstore_timer INDEXED BY botstore_timer_try
             WHERE try_at > ?1 ORDER BY try_at LIMIT 1",
            [now],
            |row| Ok(time::read(row.get_ref(0)?)),
        )?;
        found.next = next.flatten();
        Ok(found)
    }
}

/// A text, whatever type it has in the file.
fn bytes(value: rusqlite::types::ValueRef<'_>) -> &[u8] {
    value.as_bytes().unwrap_or_default()
}

/// Runs one timer and removes it: both, or neither. Returns whether it was still there and due.
pub(crate) struct RunTimer {
    pub(crate) timer_id: TimerId,
    pub(crate) kinds: TimerKinds,
    pub(crate) blame: Blame,
}

/// Whether it was the message that failed in the last run of a timer, and not what is around it. The error does not
/// tell: a message may fail with any, and panic as the store's own actors do.
#[derive(Clone, Default)]
pub(crate) struct Blame(Arc<AtomicBool>);

impl Blame {
    fn set(&self, is_the_messages: bool) {
        self.0.store(is_the_messages, Ordering::SeqCst);
    }

    /// Who is to blame for this error. What SQLite says of the disk is so whoever hears it; but a damaged page stays
    /// as it is, and only the messages that come upon it fail.
    pub(crate) fn fault(&self, error: &Error) -> Fault {
        let of_the_disk = error.is_of_the_disk() && error.kind() != ErrorKind::Corrupt;
        match self.0.load(Ordering::SeqCst) && !of_the_disk {
            true => Fault::Message,
            false => Fault::Store,
        }
    }
}

impl Mutation for RunTimer {
    type Output = bool;

    fn apply(&self, tx: &WriteTx<'_>) -> Result<bool> {
        self.blame.set(false);
        // First, so that the message sees the table without it.
        let timer = tx.maybe(
            "DELETE FROM botstore_timer WHERE timer_id = ?1 AND try_at <= ?2 RETURNING name, message",
            (self.timer_id, Timestamp(tx.sure_now()?)),
            |row| {
                let name = String::from_utf8_lossy(bytes(row.get_ref(0)?)).into_owned();
                let message = String::from_utf8_lossy(bytes(row.get_ref(1)?)).into_owned();
                Ok((name, message))
            },
        )?;
        let Some((name, message)) = timer else {
            return Ok(false);
        };
        // A panic leaves it so.
        self.blame.set(true);
        let run = self.kinds.run(&name).ok_or_else(|| {
            let what = format!("timer named {} in this program", quote(&name));
            Error::not_found("name", what)
        })?;
        run(&message, tx)?;
        self.blame.set(false);
        Ok(true)
    }
}

/// What was at fault when a timer failed.
pub(crate) enum Fault {
    /// The message's own code: it gets [`TRIES`] tries.
    Message,
    /// The disk or the store, such as an actor that was started again: that is no fault of the message's.
    Store,
}

/// Postpones a timer that has failed. Returns its failures and when it is tried again; `None` if it is gone.
pub(crate) struct PutOff {
    pub(crate) timer_id: TimerId,
    pub(crate) fault: Fault,
}

impl Mutation for PutOff {
    type Output = Option<(u64, Option<DateTime<Utc>>)>;

    fn apply(&self, tx: &WriteTx<'_>) -> Result<Self::Output> {
        let before = tx.maybe(
            "SELECT max(0, CAST(failures AS INTEGER)) FROM botstore_timer WHERE timer_id = ?1",
            [self.timer_id],
            |row| Ok(row.get::<_, i64>(0)?),
        )?;
        let Some(before) = before else {
            return Ok(None);
        };
        let (failures, pause) = match self.fault {
            Fault::Message => {
                let failures = before.saturating_add(1);
                (failures, pause(failures))
            }
            Fault::Store => (before, Some(FIRST_PAUSE)),
        };
        let now = tx.sure_now()?;
        let try_at = pause.map(|pause| time::after(now, pause));
        tx.execute(
            "UPDATE botstore_timer SET failures = ?2, try_at = ?3 WHERE timer_id = ?1",
            (self.timer_id, failures, try_at.map(Timestamp)),
        )?;
        Ok(Some((failures.unsigned_abs(), try_at)))
    }
}

/// How long after this many failures a timer is tried again, if it is.
fn pause(failures: i64) -> Option<Duration> {
    let doublings = (failures - 1).clamp(0, TRIES) as u32;
    (failures < TRIES).then(|| (FIRST_PAUSE * 2_u32.pow(doublings)).min(LONGEST_PAUSE))
}
