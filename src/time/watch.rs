//! Whether the clock can be trusted for what cannot be undone.
//!
//! A board without a battery, a resumed virtual machine, a wrong NTP server: for a moment the clock shows a time
//! years later. What is done at that time and cannot be undone (ended sessions, deleted keys) would stay wrong. So
//! the clock is compared with one that is never set ([`Clock::instant`]). If it runs ahead, the store waits. Once
//! it has kept its lead for long enough, it is right: the machine slept, or was off for a year. Until then, time
//! continues from the last trusted time.

use super::{Clock, to_micros};
use crate::error::{Error, ErrorKind, Result};
use crate::panics::caught;
use chrono::{DateTime, TimeDelta, Utc};
use parking_lot::Mutex;
use std::time::{Duration, Instant};

/// How far the clock may deviate from the time that has passed since the last look.
const TOLERANCE: TimeDelta = TimeDelta::minutes(5);

/// The same at opening, when it is not known how long the store was closed: a night raises no doubt.
const CLOSED_FOR: TimeDelta = TimeDelta::days(1);

/// How old a doubt may be that continues at opening, for programs that never run for long.
const GOES_ON: TimeDelta = TimeDelta::days(60);

/// Two readings within this time count as one.
const AT_ONCE: Duration = Duration::from_secs(1);

/// What a file knows about the clock.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ClockRecord {
    /// The time when the clock was last trusted.
    pub(crate) believed: Option<DateTime<Utc>>,
    /// What the clock showed when it was first doubted, if it still is.
    pub(crate) doubted_since: Option<DateTime<Utc>>,
}

pub(crate) struct ClockWatch {
    wait: Duration,
    state: Mutex<Option<State>>,
    record: ClockRecord,
}

#[derive(Clone, Copy)]
struct State {
    /// The trusted time at the instant `at`.
    believed: DateTime<Utc>,
    at: Instant,
    /// How far ahead of that the clock may be.
    slack: TimeDelta,
    doubt: Option<Doubt>,
}

/// The clock shows another time than the time that has passed.
#[derive(Clone, Copy)]
struct Doubt {
    /// How far ahead it is; negative if it was set back.
    ahead: TimeDelta,
    since: Instant,
    /// How long the doubt had lasted before `since`, in an earlier opening.
    before: Duration,
    /// What the clock showed when the doubt began.
    began: DateTime<Utc>,
}

impl ClockWatch {
    /// `wait` is how long the clock has to keep its lead before it is trusted.
    pub(crate) fn new(wait: Duration, record: ClockRecord) -> Self {
        let state = Mutex::new(None);
        Self {
            wait,
            state,
            record,
        }
    }

    /// Reads the clock; returns the latest time that is certain.
    ///
    /// # Errors
    /// [`Panicked`](ErrorKind::Panicked) if the clock, which may be the host's code, panics.
    pub(crate) fn look(&self, clock: &dyn Clock) -> Result<DateTime<Utc>> {
        let (now, at) = reading(clock)?;
        let mut state = self.state.lock();
        let state = state.get_or_insert_with(|| State::opened(self.record, now, at));
        Ok(state.look(now, at, self.wait))
    }

    /// How far the clock is ahead of the time that has passed, while it is in doubt.
    pub(crate) fn ahead(&self) -> Option<Duration> {
        let doubt = (*self.state.lock())?.doubt?;
        doubt.ahead.to_std().ok()
    }

    /// What the file is to know about the clock.
    pub(crate) fn record(&self) -> ClockRecord {
        let Some(state) = *self.state.lock() else {
            return self.record;
        };
        let doubt = state.doubt.filter(|doubt| doubt.ahead > TimeDelta::zero());
        ClockRecord {
            believed: Some(state.believed),
            doubted_since: doubt.map(|doubt| doubt.began),
        }
    }
}

impl State {
    fn opened(record: ClockRecord, now: DateTime<Utc>, at: Instant) -> Self {
        let Some(believed) = record.believed else {
            return Self {
                believed: now,
                at,
                slack: TOLERANCE,
                doubt: None,
            };
        };
        let waited = record.doubted_since.and_then(|began| {
            let waited = now.signed_duration_since(began);
            let goes_on = waited <= GOES_ON;
            Some((began, waited.to_std().ok().filter(|_| goes_on)?))
        });
        Self {
            believed,
            at,
            slack: CLOSED_FOR,
            doubt: waited.map(|(began, before)| Doubt {
                ahead: now.signed_duration_since(believed),
                since: at,
                before,
                began,
            }),
        }
    }

    fn look(&mut self, now: DateTime<Utc>, at: Instant, wait: Duration) -> DateTime<Utc> {
        let passed = at.saturating_duration_since(self.at);
        let passed = TimeDelta::from_std(passed).unwrap_or(TimeDelta::MAX);
        let expected = self.believed.checked_add_signed(passed).unwrap_or(now);
        let ahead = now.signed_duration_since(expected);
        if -TOLERANCE <= ahead && ahead <= self.slack {
            return self.believe(now, at);
        }
        let same = self
            .doubt
            .filter(|doubt| (ahead - doubt.ahead).abs() <= TOLERANCE);
        let doubt = same.map(|doubt| Doubt { ahead, ..doubt }).unwrap_or(Doubt {
            ahead,
            since: at,
            before: Duration::ZERO,
            began: now,
        });
        if doubt.before + at.saturating_duration_since(doubt.since) >= wait {
            return self.believe(now, at);
        }
        self.doubt = Some(doubt);
        now.min(expected)
    }

    fn believe(&mut self, now: DateTime<Utc>, at: Instant) -> DateTime<Utc> {
        *self = Self {
            believed: now,
            at,
            slack: TOLERANCE,
            doubt: None,
        };
        now
    }
}

/// What the clock shows, and at which instant. Reads again if long passed between the two: the machine was busy or
/// slept, or a test has just advanced the clock.
fn reading(clock: &dyn Clock) -> Result<(DateTime<Utc>, Instant)> {
    let asked = caught(|| {
        let mut before = clock.instant();
        for _ in 0..3 {
            let now = clock.now();
            let after = clock.instant();
            if after.saturating_duration_since(before) <= AT_ONCE {
                return (now, after);
            }
            before = after;
        }
        (clock.now(), clock.instant())
    });
    let (now, at) = asked.ok_or_else(|| {
        let why = "the host's clock panicked; nothing was changed";
        Error::new(ErrorKind::Panicked, why)
    })?;
    Ok((to_micros(now), at))
}
