//! Which backups are kept: the last few, and one for each of the last hours, days, weeks, months and
//! years (grandfather, father, son).

use super::folder::{Backup, Folder, Listing, is_of, list};
use super::manifest::Reason;
use super::settings::Backups;
use crate::error::{Error, ErrorKind, Result};
use chrono::{DateTime, Datelike, Timelike, Utc};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// How many backups are kept. A backup that any of the rules keeps is kept.
///
/// "One for each of the last 7 days" means the newest backup of each of the last 7 days that have any,
/// in UTC; weeks are those of ISO 8601. A manual backup counts like a scheduled one. The newest backup,
/// and the newest undamaged one, are always kept.
///
/// ```
/// use botstore::backup::Retention;
///
/// let keep = Retention::default().last(3).hourly(0).daily(14);
/// # let _ = keep;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a retention does nothing until it is in the settings"]
pub struct Retention {
    last: usize,
    before_upgrade: usize,
    hourly: usize,
    daily: usize,
    weekly: usize,
    monthly: usize,
    yearly: usize,
}

impl Default for Retention {
    /// The last 7, the last 3 from before an upgrade, and one for each of the last 24 hours, 7 days, 4
    /// weeks, 12 months and 3 years: at most 60.
    fn default() -> Self {
        Self {
            last: 7,
            before_upgrade: 3,
            hourly: 24,
            daily: 7,
            weekly: 4,
            monthly: 12,
            yearly: 3,
        }
    }
}

impl Retention {
    /// How many of the newest backups are kept. At least 1; default 7.
    pub fn last(mut self, backups: usize) -> Self {
        self.last = backups;
        self
    }

    /// How many of the newest backups from before an upgrade are kept. Default 3.
    pub fn before_upgrade(mut self, backups: usize) -> Self {
        self.before_upgrade = backups;
        self
    }

    /// For how many of the last hours one backup is kept. Default 24.
    pub fn hourly(mut self, hours: usize) -> Self {
        self.hourly = hours;
        self
    }

    /// For how many of the last days one backup is kept. Default 7.
    pub fn daily(mut self, days: usize) -> Self {
        self.daily = days;
        self
    }

    /// For how many of the last weeks one backup is kept. Default 4.
    pub fn weekly(mut self, weeks: usize) -> Self {
        self.weekly = weeks;
        self
    }

    /// For how many of the last months one backup is kept. Default 12.
    pub fn monthly(mut self, months: usize) -> Self {
        self.monthly = months;
        self
    }

    /// For how many of the last years one backup is kept. Default 3.
    pub fn yearly(mut self, years: usize) -> Self {
        self.yearly = years;
        self
    }

    pub(super) fn check(self) -> Result<()> {
        if self.last == 0 {
            return Err(Error::invalid("last", "must keep at least one backup"));
        }
        Ok(())
    }

    /// Returns the positions of the backups to keep, in a list that is sorted by time.
    fn keeps(self, backups: &[&Backup]) -> BTreeSet<usize> {
        let newest_first = || backups.iter().enumerate().rev();
        let mut kept: BTreeSet<usize> = newest_first().take(self.last).map(|(at, _)| at).collect();
        kept.extend(
            newest_first()
                .filter(|(_, backup)| backup.manifest.reason == Reason::BeforeUpgrade)
                .take(self.before_upgrade)
                .map(|(at, _)| at),
        );
        let rules: [(usize, Period); 5] = [
            (self.hourly, |t| (t.num_days_from_ce(), t.hour())),
            (self.daily, |t| (t.num_days_from_ce(), 0)),
            (self.weekly, |t| (t.iso_week().year(), t.iso_week().week())),
            (self.monthly, |t| (t.year(), t.month())),
            (self.yearly, |t| (t.year(), 0)),
        ];
        for (count, period) in rules {
            let mut periods = BTreeSet::new();
            for (at, backup) in newest_first() {
                if periods.len() == count {
                    break;
                }
                if periods.insert(period(backup.manifest.taken_at)) {
                    kept.insert(at);
                }
            }
        }
        kept
    }
}

/// Returns the period that contains a time.
type Period = fn(DateTime<Utc>) -> (i32, u32);

/// Which backups in a folder a [`Retention`] keeps, and which it does not.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct RetentionPlan {
    /// The backups to keep, oldest first.
    pub keep: Vec<Backup>,
    /// The backups to remove, oldest first.
    pub remove: Vec<Backup>,
    /// What could not be removed, and why. Empty for a plan that was not carried out.
    pub not_removed: Vec<NotRemoved>,
}

/// What could not be removed from a folder of backups.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NotRemoved {
    /// A backup, or the remains of an unfinished one.
    pub path: PathBuf,
    /// The kind of the error: [`ForeignFile`](ErrorKind::ForeignFile) for a backup folder that also
    /// holds another file.
    pub kind: ErrorKind,
    /// Why it was not removed, in a sentence.
    pub why: String,
}

impl NotRemoved {
    pub(super) fn new(path: &Path, error: &Error) -> Self {
        Self {
            path: path.to_owned(),
            kind: error.kind(),
            why: error.to_string(),
        }
    }
}

impl RetentionPlan {
    /// Plans what would be removed, without removing anything. Only backups of the same store as the
    /// newest one count, and backups without a store's id; everything else in the folder is left alone.
    /// Reads the newest backup, and older ones until it finds an undamaged one.
    ///
    /// # Errors
    /// [`Io`](crate::ErrorKind::Io) when the folder cannot be read.
    pub fn of(folder: impl AsRef<Path>, retention: Retention) -> Result<Self> {
        retention.check()?;
        let Listing { backups, .. } = list(folder)?;
        let newest = backups.last();
        let store = newest.and_then(|newest| newest.manifest.store_id.clone());
        Ok(Self::among(
            backups,
            retention,
            store.as_deref(),
            Backup::is_sound,
        ))
    }

    /// The plan for the backups of this store only. Those without a store's id count too: they were
    /// made before the store's first upgrade.
    fn among(
        backups: Vec<Backup>,
        retention: Retention,
        store: Option<&str>,
        is_sound: fn(&Backup) -> bool,
    ) -> Self {
        let own: Vec<&Backup> = backups.iter().filter(|of| is_of(of, store)).collect();
        let mut kept = retention.keeps(&own);
        // The last undamaged one is always kept.
        kept.extend(own.iter().rposition(|backup| is_sound(backup)));
        let removed: BTreeSet<_> = own
            .iter()
            .enumerate()
            .filter(|(at, _)| !kept.contains(at))
            .map(|(_, backup)| backup.path.clone())
            .collect();
        let (remove, keep) = backups
            .into_iter()
            .partition(|backup| removed.contains(&backup.path));
        Self {
            keep,
            remove,
            not_removed: Vec::new(),
        }
    }
}

/// Removes what the retention does not keep, of the same store as a backup that was just verified.
/// Returns what could not be removed.
pub(super) fn apply_after(
    made: &Backup,
    folder: &Folder,
    database: &Path,
    settings: &Backups,
) -> Vec<NotRemoved> {
    let store = made.manifest.store_id.as_deref();
    let backups = match settings.listing(database) {
        Ok(listing) => listing.backups,
        Err(error) => return vec![NotRemoved::new(&settings.folder_of(database), &error)],
    };
    // The newest is the one that was just made and verified, so it is not read again.
    let plan = RetentionPlan::among(backups, settings.retention, store, |_| true);
    carry_out(&plan, folder)
}

fn carry_out(plan: &RetentionPlan, folder: &Folder) -> Vec<NotRemoved> {
    let mut not_removed = Vec::new();
    for backup in &plan.remove {
        match folder.remove(backup) {
            Ok(()) => tracing::info!(backup = %backup.path.display(), "removed an old backup"),
            Err(error) => {
                tracing::warn!(backup = %backup.path.display(), %error, "an old backup could not be \
                    removed");
                not_removed.push(NotRemoved::new(&backup.path, &error));
            }
        }
    }
    not_removed
}

/// Removes from a folder what the retention does not keep. Returns what was kept, what was to be
/// removed, and what could not be removed.
///
/// # Errors
/// [`Busy`](crate::ErrorKind::Busy) while another program makes, tests or removes backups there;
/// [`Io`](crate::ErrorKind::Io).
pub fn prune(folder: impl AsRef<Path>, retention: Retention) -> Result<RetentionPlan> {
    retention.check()?;
    let taken = Folder::take(folder.as_ref(), None)?;
    let mut plan = RetentionPlan::of(folder, retention)?;
    plan.not_removed = taken.left_over();
    plan.not_removed.extend(carry_out(&plan, &taken));
    Ok(plan)
}
