//! Messages that a bot sends itself at a later time, such as a user's reminders. The file holds them, so they
//! outlive the process. The store's supervisor runs them.
//!
//! A timer's mutation and the removal of the timer are one transaction. So it runs exactly once, whatever is
//! killed and when, and changes the file once. A mutation cannot send anything by itself: see
//! `docs/operations.md`, *Timers*.

mod list;

pub use list::{PendingTimer, Timers};

use super::page;
use crate::error::{Error, Result};
use crate::operation::{self, Mutation, Timer, TimerId, WriteTx};
use crate::texts::Texts;
use crate::time::Timestamp;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;
use std::time::Duration;

/// Runs a mutation at a time, once; returns the timer's id. A time in the past runs within a second. A delay of
/// a second is usual; if no store has the file open at that time, the timer runs when one opens it.
///
/// `At` is itself a mutation: after `tx.apply(&At::new(…))` inside one of your own, the timer exists if that
/// commits.
///
/// # Errors
/// [`Invalid`](crate::ErrorKind::Invalid) for a message that cannot be kept: as JSON it is larger than
/// [`Config::max_text_bytes`](crate::Config::max_text_bytes), or deeper than 127 levels, or its own type cannot
/// read it back. Also for a time after the year 9999.
///
/// ```
/// # use botstore::{Mutation, Result, Timer, WriteTx, users::Touch};
/// # use serde::{Deserialize, Serialize};
/// #[derive(Serialize, Deserialize)]
/// struct Wake { user_id: i64 }
///
/// impl Timer for Wake {
///     const NAME: &'static str = "wake";
/// }
/// # impl Mutation for Wake {
/// #     type Output = ();
/// #     fn apply(&self, tx: &WriteTx<'_>) -> Result<()> {
/// #         tx.apply(&Touch::new(self.user_id))
/// #     }
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<()> {
/// # use botstore::testing::TestStore;
/// use botstore::timers::{After, At, CancelTimer};
/// use std::time::Duration;
///
/// let store = TestStore::open_with(|config| config.timer::<Wake>()).await?;
/// # store.write(botstore::users::EnsureUser::new(42, None)).await?;
/// let tomorrow = store.now() + Duration::from_secs(24 * 3600);
/// let timer_id = store.write(At::new(tomorrow, Wake { user_id: 42 })).await?;
/// assert!(store.write(CancelTimer::new(timer_id)).await?);
///
/// store.write(After::new(Duration::from_secs(600), Wake { user_id: 42 })).await?;
/// store.clock().advance(Duration::from_secs(600));
/// assert!(store.run_due().await? >= 1); // Duties of the store itself count as well.
/// # Ok(()) }
/// ```
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct At {
    /// When it runs.
    pub at: DateTime<Utc>,
    /// The message's [`Timer::NAME`].
    pub name: String,
    /// The message, as stored in the file.
    pub message: Value,
    #[serde(skip)]
    refused: Refused,
}

impl At {
    /// Runs this message at this time. A message that cannot be kept is refused when this is sent.
    pub fn new<T: Timer>(at: DateTime<Utc>, timer: T) -> Self {
        let (message, refused) = Refused::or_kept(timer);
        Self {
            at,
            name: T::NAME.to_owned(),
            message,
            refused,
        }
    }
}

/// The same, so long after the moment at which it is kept. It counts from the time that is for sure
/// ([`WriteTx::sure_now`]): while the clock is ahead and not believed, it runs after as much time has passed, also
/// when the clock is put right meanwhile. When that clock is believed, after
/// [`Config::clock_jump_wait`](crate::Config::clock_jump_wait), what was set since it jumped may run early, by as much
/// as it was ahead.
///
/// # Errors
/// Those of [`At`]; [`Panicked`](crate::ErrorKind::Panicked) when the clock panics, which is a host's.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct After {
    /// How long after that moment. It is kept in microseconds.
    pub after: Duration,
    /// The message's [`Timer::NAME`].
    pub name: String,
    /// The message, as stored in the file.
    pub message: Value,
    #[serde(skip)]
    refused: Refused,
}

impl After {
    /// Runs this message after this time. A message that cannot be kept is refused when this is sent.
    pub fn new<T: Timer>(after: Duration, timer: T) -> Self {
        let (message, refused) = Refused::or_kept(timer);
        Self {
            after,
            name: T::NAME.to_owned(),
            message,
            refused,
        }
    }
}

/// The error of a message that cannot be kept, if it cannot.
#[derive(Clone, Default)]
struct Refused(Option<Error>);

impl Refused {
    fn or_kept<T: Timer>(timer: T) -> (Value, Self) {
        match operation::timer::kept(timer) {
            Ok(message) => (message, Self(None)),
            Err(error) => (Value::Null, Self(Some(error))),
        }
    }
}

/// All messages that cannot be kept are equal.
impl PartialEq for Refused {
    fn eq(&self, other: &Self) -> bool {
        self.0.is_some() == other.0.is_some()
    }
}

/// Leaves out the message, which may be a user's text.
impl fmt::Debug for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("At");
        shown.field("at", &self.at).field("name", &self.name);
        shown.finish_non_exhaustive()
    }
}

impl fmt::Debug for After {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("After");
        shown.field("after", &self.after).field("name", &self.name);
        shown.finish_non_exhaustive()
    }
}

impl Mutation for At {
    type Output = TimerId;

    fn apply(&self, tx: &WriteTx<'_>) -> Result<TimerId> {
        let at = Some(self.at).filter(|at| *at <= page::latest());
        let (field, set_at) = ("at", Timestamp(tx.now()));
        keep(
            tx,
            &self.refused,
            (field, at, set_at),
            &self.name,
            &self.message,
        )
    }

    fn texts(&self, texts: &mut Texts) {
        texts.name("name", self.name.as_str());
        texts.json("message", &self.message);
    }

    fn take_json(&mut self, taken: &mut Vec<Value>) {
        taken.push(self.message.take());
    }
}

impl Mutation for After {
    type Output = TimerId;

    fn apply(&self, tx: &WriteTx<'_>) -> Result<TimerId> {
        // Not the clock, which may be a day ahead for a moment: when it is put right, what is then due tomorrow
        // would be a day late. To count such timers anew when the clock goes back was turned down: a clock that
        // begins in 1970 would have all of them run when it is set.
        let now = tx.sure_now()?;
        let after = TimeDelta::from_std(self.after).ok();
        let at = after.and_then(|after| now.checked_add_signed(after));
        let at = at.filter(|at| *at <= page::latest());
        let (field, set_at) = ("after", Timestamp(now));
        keep(
            tx,
            &self.refused,
            (field, at, set_at),
            &self.name,
            &self.message,
        )
    }

    fn texts(&self, texts: &mut Texts) {
        texts.name("name", self.name.as_str());
        texts.json("message", &self.message);
    }

    fn take_json(&mut self, taken: &mut Vec<Value>) {
        taken.push(self.message.take());
    }
}

fn keep(
    tx: &WriteTx<'_>,
    refused: &Refused,
    (field, at, set_at): (&'static str, Option<DateTime<Utc>>, Timestamp),
    name: &str,
    message: &Value,
) -> Result<TimerId> {
    if let Some(error) = &refused.0 {
        return Err(error.clone());
    }
    if name.is_empty() {
        return Err(Error::invalid("name", "must not be empty"));
    }
    let at = at.ok_or_else(|| Error::invalid(field, "must be before the year 10000"))?;
    let timer_id = tx.insert(
        "INSERT INTO botstore_timer (name, message, due_at, created_at, try_at)
         VALUES (?1, ?2, ?3, ?4, ?3)",
        (name, message.to_string(), Timestamp(at), set_at),
    )?;
    tx.timers_changed();
    Ok(timer_id.into())
}

/// Removes a timer, so that it does not run; returns whether it existed. A timer that has run, or was cancelled,
/// does not exist any more.
///
/// For administrators: it does not check whose timer it is. If a user gives the number, check that first.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// use botstore::{TimerId, timers::CancelTimer};
///
/// let was_there = store.write(CancelTimer::new(TimerId::new(1))).await?;
/// assert!(!was_there);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CancelTimer {
    /// The timer.
    pub timer_id: TimerId,
}

impl CancelTimer {
    /// This timer.
    pub fn new(timer_id: impl Into<TimerId>) -> Self {
        Self {
            timer_id: timer_id.into(),
        }
    }
}

impl Mutation for CancelTimer {
    type Output = bool;

    fn apply(&self, tx: &WriteTx<'_>) -> Result<bool> {
        let sql = "DELETE FROM botstore_timer WHERE timer_id = ?1";
        Ok(tx.execute(sql, [self.timer_id])? > 0)
    }
}
