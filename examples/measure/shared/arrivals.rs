//! Requests that arrive by the clock, whatever becomes of those before them: an open loop.
//!
//! Callers that wait for an answer before they ask again slow down with the store, and so never
//! show what happens when the world does not.

use std::time::{Duration, Instant};

/// The pause between two looks at the clock. What is due by then arrives together.
pub const TICK: Duration = Duration::from_millis(1);

/// How late an arrival may be made. One that the generator cannot make within this is given up and
/// counted: made later, it would only add the generator's own queue to what is measured.
const PATIENCE: Duration = Duration::from_millis(100);

/// The arrivals of a span of time, evenly spread.
pub struct Arrivals {
    started: Instant,
    span: Duration,
    per_second: f64,
    /// When they were last looked for.
    looked: Instant,
    late: Duration,
    next: u64,
    missed: u64,
}

impl Arrivals {
    pub fn new(per_second: f64, span: Duration) -> Self {
        let now = Instant::now();
        Self {
            started: now,
            span,
            per_second,
            looked: now,
            late: Duration::ZERO,
            next: 0,
            missed: 0,
        }
    }

    /// Those that could not be made in time.
    pub fn missed(&self) -> u64 {
        self.missed
    }

    /// How late the last tick was: what the machine kept this program waiting, which has nothing to do
    /// with the store.
    pub fn late(&self) -> Duration {
        self.late
    }

    pub fn is_over(&self) -> bool {
        self.started.elapsed() >= self.span
    }

    /// What arrives with this tick: the number of each, and when it should have been made. That is
    /// not before this tick was due, but it is if the tick came late: a generator that was held up
    /// must not hide how long its requests had to wait.
    pub fn tick(&mut self) -> impl Iterator<Item = (u64, Instant)> + use<> {
        let now = Instant::now();
        let due = (self.looked + TICK).min(now);
        self.late = now - due;
        self.looked = now;
        let elapsed = now.duration_since(self.started).min(self.span);
        let given_up = self.number_at(elapsed.saturating_sub(PATIENCE));
        self.missed += given_up.saturating_sub(self.next);
        let first = self.next.max(given_up);
        self.next = first.max(self.number_at(elapsed));
        let (started, per_second) = (self.started, self.per_second);
        (first..self.next).map(move |number| {
            let at = Duration::from_secs_f64(number as f64 / per_second);
            (number, (started + at).max(due))
        })
    }

    fn number_at(&self, elapsed: Duration) -> u64 {
        (elapsed.as_secs_f64() * self.per_second).ceil() as u64
    }
}
