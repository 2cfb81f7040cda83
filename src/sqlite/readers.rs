//! Which other processes use a file, according to Linux: `/proc/locks` has the locks of all processes
//! that this one can see.

use super::{beside, inspect};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

/// Returns the other processes that read a snapshot of the file. Empty if the system does not say.
///
/// A reader holds a lock on one of five bytes of the WAL's index: 123 to 127, see
/// <https://sqlite.org/walformat.html#wal_locks>.
pub(crate) fn other_readers(path: &Path) -> Vec<u32> {
    let index = beside(path, "-shm");
    let (Some(inode), Ok(locks)) = (inode(&index), std::fs::read_to_string("/proc/locks")) else {
        return Vec::new();
    };
    let mut found: Vec<_> = locks
        .lines()
        .filter_map(|line| reader(line, &inode))
        .filter(|&process| process != std::process::id())
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// Whether another process has the database open with a WAL beside another name, as a host does that
/// opens a file which a container has mounted by itself. A process that has it open by this name, in
/// WAL mode, also holds a lock on this WAL's index.
///
/// Linux does not list processes that this one cannot see, such as the host's in a container. In a
/// container the file is a mount point, which is checked instead.
pub(super) fn is_open_under_another_name(database: &Path) -> bool {
    const TRIES: u32 = 5;
    const PAUSE: Duration = Duration::from_millis(20);
    // A process that has just opened the file may not have locked the index yet.
    for again in 0..TRIES {
        if again > 0 {
            std::thread::sleep(PAUSE);
        }
        let mut holders = lock_holders(database);
        if holders.is_empty() {
            // The system lists the locks in parts. A change between two parts may hide a lock that is
            // held all the while.
            holders = lock_holders(database);
        }
        if holders.is_empty() || !inspect::is_in_wal_mode(database) {
            return false;
        }
        if holders.is_subset(&lock_holders(&beside(database, "-shm"))) {
            return false;
        }
    }
    true
}

/// Returns the other processes that hold a lock on the file.
fn lock_holders(file: &Path) -> BTreeSet<u32> {
    let (Some(inode), Ok(locks)) = (inode(file), std::fs::read_to_string("/proc/locks")) else {
        return BTreeSet::new();
    };
    let locks = locks.lines().filter_map(Lock::parse);
    locks
        .filter(|lock| lock.file == inode && lock.process != std::process::id())
        .map(|lock| lock.process)
        .collect()
}

/// Returns a file as `/proc/locks` names it.
#[cfg(target_os = "linux")]
fn inode(file: &Path) -> Option<String> {
    use std::os::linux::fs::MetadataExt;
    let data = file.metadata().ok()?;
    let device = data.st_dev();
    // Splits the device number as glibc does.
    let major = (device >> 8 & 0xfff) | (device >> 32 & !0xfff);
    let minor = (device & 0xff) | (device >> 12 & !0xff);
    Some(format!("{major:02x}:{minor:02x}:{}", data.st_ino()))
}

#[cfg(not(target_os = "linux"))]
fn inode(_: &Path) -> Option<String> {
    None
}

/// A held lock, from a line such as `7: POSIX  ADVISORY  READ 4711 fd:00:1234 124 124`.
struct Lock<'a> {
    kind: &'a str,
    process: u32,
    file: &'a str,
    first: u64,
}

impl<'a> Lock<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let words: Vec<_> = line.split_whitespace().collect();
        let [_, "POSIX", _, kind, process, file, first, _] = words[..] else {
            return None;
        };
        Some(Self {
            kind,
            process: process.parse().ok()?,
            file,
            first: first.parse().ok()?,
        })
    }
}

/// Returns the process of a line, if it reads this file.
fn reader(line: &str, inode: &str) -> Option<u32> {
    let lock = Lock::parse(line)?;
    let reads = lock.kind == "READ" && (123..=127).contains(&lock.first);
    (reads && lock.file == inode).then_some(lock.process)
}

#[cfg(test)]
mod tests {
    use super::reader;

    #[test]
    fn a_readers_lock_is_told_from_others() {
        let process = |line| reader(line, "fd:00:1234");
        let reads = "7: POSIX  ADVISORY  READ 4711 fd:00:1234 124 124";
        assert_eq!(process(reads), Some(4711));
        for other in [
            "7: POSIX  ADVISORY  READ 4711 fd:00:1235 124 124",
            "7: POSIX  ADVISORY  READ 4711 fd:00:1234 128 128",
            "7: POSIX  ADVISORY  WRITE 4711 fd:00:1234 124 124",
            "7: -> POSIX  ADVISORY  READ 4711 fd:00:1234 124 124",
            "7: FLOCK  ADVISORY  READ 4711 fd:00:1234 0 EOF",
            "",
        ] {
            assert_eq!(process(other), None, "{other}");
        }
    }
}
