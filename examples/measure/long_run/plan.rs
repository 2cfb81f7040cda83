//! How long everything takes, by the length of the run.

use std::time::Duration;

/// From here on a row is a minute.
const LONG: Duration = Duration::from_secs(180);

/// Under this, neither latencies nor memory have settled.
const JUDGED: Duration = Duration::from_secs(60);

/// Rows of a run that is not long.
const FEW: u32 = 6;

/// Parts of a row whose p99 are compared: of a minute, ten seconds each.
const PARTS: u32 = 6;

/// At most. With one a minute a larger file would be backed up all the time, and what is judged would
/// be the backup.
const BACKUP_EVERY: Duration = Duration::from_secs(4 * 60);

/// The store looks at its schedules once a second.
pub(crate) const EXPIRE_EVERY: Duration = Duration::from_secs(1);

/// What lies before the run: as far back as dashboards show days.
pub(crate) const MONTH: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The shortest interval that a store takes.
const SHORTEST: Duration = Duration::from_secs(1);

#[derive(Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) span: Duration,
    pub(crate) warm_up: Duration,
    pub(crate) row: Duration,
    pub(crate) part: Duration,
    /// How long a session may be idle.
    pub(crate) idle: Duration,
    pub(crate) backup_every: Duration,
    pub(crate) drill_every: Duration,
    pub(crate) reconcile_every: Duration,
}

impl Plan {
    pub(crate) fn of(span: Duration) -> Self {
        let row = match span >= LONG {
            true => Duration::from_secs(60),
            false => span / FEW,
        };
        let backup_every = (span / FEW).min(BACKUP_EVERY);
        Self {
            span,
            // What the history left to do is done in it: checkpoints, expiry, a backup.
            warm_up: (span / 6).clamp(Duration::from_secs(1), Duration::from_secs(20)),
            row,
            part: row / PARTS,
            idle: row / 2,
            backup_every,
            drill_every: 2 * backup_every,
            reconcile_every: (2 * row).max(SHORTEST),
        }
    }

    /// Whether latencies and memory are judged.
    pub(crate) fn is_judged(&self) -> bool {
        self.span >= JUDGED
    }
}
