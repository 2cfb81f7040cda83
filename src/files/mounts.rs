//! The mounts that the system reports: proc(5), `/proc/self/mountinfo`.

use std::path::{Path, PathBuf};

/// Returns the kind of network file system that `path` is on; `None` if it is on none, or the system
/// does not say. On such a system locks and syncs are what the server makes of them, and the WAL's
/// index is not shared memory. See <https://sqlite.org/wal.html>.
pub(crate) fn network_file_system(path: &Path) -> Option<String> {
    let mounts = mounts();
    nearest(&mounts, path)
        .filter(|mount| is_network(&mount.kind))
        .map(|mount| mount.kind.clone())
}

/// Whether the file itself is a mount point, as with `docker run -v ./bot.db:/app/bot.db`. Its
/// neighbours inside the container are not its neighbours outside.
pub(crate) fn is_mount_point(path: &Path) -> bool {
    is_mount_root(path).unwrap_or_else(|| {
        let mounts = mounts();
        nearest(&mounts, path).is_some_and(|mount| mount.place == path)
    })
}

/// Asks with one call, on Linux since 5.8: some machines have thousands of mounts.
#[cfg(target_os = "linux")]
fn is_mount_root(path: &Path) -> Option<bool> {
    use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};
    const ROOT: StatxAttributes = StatxAttributes::MOUNT_ROOT;
    let data = statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::empty()).ok()?;
    let is_known = data.stx_attributes_mask.contains(ROOT);
    is_known.then(|| data.stx_attributes.contains(ROOT))
}

#[cfg(not(target_os = "linux"))]
fn is_mount_root(_: &Path) -> Option<bool> {
    None
}

/// Whether the file itself is also mounted at another place that this process can see.
pub(crate) fn is_mounted_elsewhere(path: &Path) -> bool {
    elsewhere(&mounts(), path)
}

struct Mount {
    /// The disk, as `major:minor`.
    disk: String,
    /// The part of the disk that is mounted.
    root: PathBuf,
    place: PathBuf,
    kind: String,
}

fn mounts() -> Vec<Mount> {
    let lines = std::fs::read("/proc/self/mountinfo").unwrap_or_default();
    parse(&String::from_utf8_lossy(&lines))
}

/// In each line the third to fifth words are the disk, its part, and the place. The first word after a
/// lone dash is the kind.
fn parse(mounts: &str) -> Vec<Mount> {
    let mounted = mounts.lines().filter_map(|line| {
        let (words, kind) = line.split_once(" - ")?;
        let mut words = words.split(' ').skip(2);
        Some(Mount {
            disk: words.next()?.to_owned(),
            root: unescaped(words.next()?).into(),
            place: unescaped(words.next()?).into(),
            kind: kind.split(' ').next()?.to_owned(),
        })
    });
    mounted.collect()
}

/// mountinfo writes blanks and backslashes in a path as three octal digits.
fn unescaped(path: &str) -> String {
    const ESCAPES: [(&str, &str); 4] = [
        ("\\040", " "),
        ("\\011", "\t"),
        ("\\012", "\n"),
        ("\\134", "\\"),
    ];
    ESCAPES
        .iter()
        .fold(path.to_owned(), |path, (code, letter)| {
            path.replace(code, letter)
        })
}

/// Of two mounts at one place the later hides the earlier.
fn nearest<'a>(mounts: &'a [Mount], path: &Path) -> Option<&'a Mount> {
    let above = mounts.iter().filter(|mount| path.starts_with(&mount.place));
    above.max_by_key(|mount| mount.place.as_os_str().len())
}

fn elsewhere(mounts: &[Mount], path: &Path) -> bool {
    let here = nearest(mounts, path);
    here.is_some_and(|here| {
        let Ok(below) = path.strip_prefix(&here.place) else {
            return false;
        };
        let root = here.root.join(below);
        let same = |other: &&Mount| other.disk == here.disk && other.root == root;
        mounts.iter().filter(same).any(|other| other.place != path)
    })
}

fn is_network(kind: &str) -> bool {
    // FUSE may be anything, but network mounts through it have a name of their own.
    let kind = kind.strip_prefix("fuse.").unwrap_or(kind);
    [
        "nfs",
        "cifs",
        "smb",
        "9p",
        "afs",
        "ceph",
        "glusterfs",
        "lustre",
        "sshfs",
        "s3fs",
        "davfs",
    ]
    .iter()
    .any(|network| kind.starts_with(network))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
31 22 0:27 / /srv/bot rw,relatime shared:9 - nfs4 server:/export rw,vers=4.2
32 22 0:28 / /srv/my\\040share rw - fuse.sshfs me@server:/ rw
33 31 0:29 / /srv/bot/local rw - tmpfs tmpfs rw
34 22 254:0 /home/b\\134t.db /app/bot.db rw - ext4 /dev/vda rw
35 33 0:29 /deep/x.db /srv/x.db rw - tmpfs tmpfs rw";

    #[test]
    fn a_file_on_a_network_file_system_is_told_from_others() {
        let mounts = parse(MOUNTS);
        let kind = |path: &str| {
            let mount = nearest(&mounts, Path::new(path));
            mount
                .map(|mount| &*mount.kind)
                .filter(|kind| is_network(kind))
        };
        assert_eq!(kind("/srv/bot/data/bot.db"), Some("nfs4"));
        assert_eq!(kind("/srv/my share/bot.db"), Some("fuse.sshfs"));
        assert_eq!(kind("/srv/bot/local/bot.db"), None);
        assert_eq!(kind("/srv/bots/bot.db"), None);
        assert_eq!(kind("/home/bot.db"), None);
    }

    #[test]
    fn a_file_that_is_mounted_by_itself_is_told_from_both_of_its_places() {
        let mounts = parse(MOUNTS);
        for (path, point, other) in [
            ("/app/bot.db", true, false),
            ("/home/b\\t.db", false, true),
            ("/home/bot.db", false, false),
            ("/srv/x.db", true, false),
            ("/srv/bot/local/deep/x.db", false, true),
            ("/srv/bot/local/x.db", false, false),
            ("/srv/bot", true, false),
        ] {
            let path = Path::new(path);
            let found = nearest(&mounts, path).unwrap();
            assert_eq!(found.place == path, point, "{path:?}");
            assert_eq!(elsewhere(&mounts, path), other, "{path:?}");
        }
    }
}
