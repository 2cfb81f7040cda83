//! Which other processes read a file.

use super::beside;
use std::path::Path;

/// The processes, but for this one, that read a snapshot of the file. Empty where the system does not
/// say.
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

/// A file as `/proc/locks` names it.
#[cfg(target_os = "linux")]
fn inode(file: &Path) -> Option<String> {
    use std::os::linux::fs::MetadataExt;
    let data = file.metadata().ok()?;
    let device = data.st_dev();
    // As glibc takes a device's number apart.
    let major = (device >> 8 & 0xfff) | (device >> 32 & !0xfff);
    let minor = (device & 0xff) | (device >> 12 & !0xff);
    Some(format!("{major:02x}:{minor:02x}:{}", data.st_ino()))
}

#[cfg(not(target_os = "linux"))]
fn inode(_: &Path) -> Option<String> {
    None
}

/// The process of a line such as `7: POSIX  ADVISORY  READ 4711 fd:00:1234 124 124`, if it reads.
fn reader(line: &str, inode: &str) -> Option<u32> {
    let words: Vec<_> = line.split_whitespace().collect();
    let [_, "POSIX", _, "READ", process, file, first, _] = words[..] else {
        return None;
    };
    let first: u64 = first.parse().ok()?;
    ((123..=127).contains(&first) && file == inode)
        .then(|| process.parse().ok())
        .flatten()
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
