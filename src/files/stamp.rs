//! Whether a file has changed, found out without opening it. Opening and closing a database other than
//! with SQLite would drop the locks that this process holds on it:
//! <https://sqlite.org/howtocorrupt.html>, 2.2.

use super::FileId;
use std::fs::Metadata;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// The metadata of a file at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    identity: FileId,
    bytes: u64,
    modified: Option<SystemTime>,
    changed: Option<SystemTime>,
}

impl Stamp {
    /// Returns `None` if there is no file, or the system does not answer.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let data = std::fs::symlink_metadata(path).ok()?;
        let modified = data.modified().ok();
        Some(Self {
            identity: FileId::of(&data),
            bytes: data.len(),
            modified,
            // Programs can set the modification time, as `cp -p` does, but not the change time.
            changed: changed(&data).or(modified),
        })
    }

    /// Whether it is the same file, even with another content.
    pub(crate) fn is_same_file(&self, other: &Self) -> bool {
        self.identity == other.identity
    }

    /// Returns how long after `now` every change is sure to give the file another stamp. File systems
    /// take the time from a clock with ticks of up to 10 ms, and some cut off the fraction of a second,
    /// so a second change in the same tick does not show.
    pub(crate) fn settles_in(&self, now: SystemTime) -> Duration {
        const TICK: Duration = Duration::from_millis(20);
        // FAT has the coarsest times.
        const WHOLE_SECONDS: Duration = Duration::from_secs(2);
        let Some(changed) = self.changed else {
            return Duration::ZERO;
        };
        let since_epoch = changed.duration_since(SystemTime::UNIX_EPOCH);
        let tick = match since_epoch.map(|time| time.subsec_nanos()) {
            Ok(0) => WHOLE_SECONDS,
            _ => TICK,
        };
        // If the clock was set back, this time does not come again.
        let age = now.duration_since(changed).unwrap_or(tick);
        tick.saturating_sub(age)
    }
}

#[cfg(unix)]
fn changed(data: &Metadata) -> Option<SystemTime> {
    use std::os::unix::fs::MetadataExt;
    let seconds = Duration::from_secs(u64::try_from(data.ctime()).ok()?);
    let nanos = Duration::from_nanos(u64::try_from(data.ctime_nsec()).ok()?);
    SystemTime::UNIX_EPOCH.checked_add(seconds + nanos)
}

#[cfg(not(unix))]
fn changed(_: &Metadata) -> Option<SystemTime> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(changed: Duration) -> Stamp {
        let here = std::fs::symlink_metadata(".").unwrap();
        let changed = Some(SystemTime::UNIX_EPOCH + changed);
        Stamp {
            identity: FileId::of(&here),
            bytes: 0,
            modified: changed,
            changed,
        }
    }

    #[test]
    fn a_stamp_settles_when_the_file_systems_clock_has_gone_on() {
        let at = |nanos| SystemTime::UNIX_EPOCH + Duration::new(100, nanos);
        let fine = stamp(Duration::new(100, 500_000));
        assert_eq!(fine.settles_in(at(500_000)), Duration::from_millis(20));
        assert_eq!(fine.settles_in(at(10_500_000)), Duration::from_millis(10));
        assert_eq!(fine.settles_in(at(20_500_000)), Duration::ZERO);
        let coarse = stamp(Duration::new(100, 0));
        assert_eq!(coarse.settles_in(at(0)), Duration::from_secs(2));
        let from_the_future = stamp(Duration::new(101, 1));
        assert_eq!(from_the_future.settles_in(at(0)), Duration::ZERO);
    }
}
