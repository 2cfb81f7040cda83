//! Files and folders beside the database: private to their owner, synced, and with room to spare.

mod copy;
mod junk;
mod kind;
mod open;
mod owner;
mod place;
mod stamp;

pub(crate) use copy::{copy, copy_into, truncate};
pub(crate) use junk::is_nobodys;
pub(crate) use kind::{Kind, is_taken, kind_of, refuse_other_than_own, refuse_other_than_plain};
pub(crate) use open::{
    cannot, create, create_folder, create_if_missing, create_new_folder, create_own_folder, open,
    open_lock, read, remove, remove_all, replace,
};
#[cfg(feature = "encryption")]
pub(crate) use open::{open_named, read_opened};
pub(crate) use owner::{
    give_to_owner_of, is_open_to_others, make_like, may_read, refuse_strangers_link, why_denied,
};
pub(crate) use place::{is_mount_point, refuse_unmovable};
pub(crate) use stamp::Stamp;

use crate::error::{Error, ErrorKind, Result};
use std::path::Path;

/// Makes what was created, renamed or removed in a folder durable, where the file system can do that.
///
/// One that cannot sync a folder says so by EINVAL or ENOTSUP: SMB mounts, WSL's shares, some FUSE. What
/// is done in it is then as durable as it gets there, and a failure would only keep people from having
/// backups on such a share. So those two, of this call alone, are no errors; any other is, and so is
/// each of them where a file is synced.
pub(crate) fn sync_folder(path: &Path) -> Result<()> {
    // A folder cannot be opened for syncing on every system; on those a rename is durable anyway.
    #[cfg(unix)]
    {
        let folder = open::open_folder(path).map_err(|e| cannot("sync", path, e))?;
        match folder.sync_all() {
            Err(e) if cannot_be_synced(&e) => {
                tracing::debug!(folder = %path.display(), error = %e, "this folder cannot be synced");
            }
            synced => synced.map_err(|e| cannot("sync", path, e))?,
        }
    }
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

#[cfg(unix)]
fn cannot_be_synced(error: &std::io::Error) -> bool {
    use rustix::io::Errno;
    // Two names of one number on Linux, and two numbers elsewhere.
    let unsupported = [Errno::INVAL, Errno::NOTSUP, Errno::OPNOTSUPP];
    Errno::from_io_error(error).is_some_and(|errno| unsupported.contains(&errno))
}

/// The folder that a file is in.
pub(crate) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Refuses to begin what would fill the disk that `folder` is on; `what` takes `needed` bytes.
pub(crate) fn check_room(folder: &Path, needed: u64, what: &str) -> Result<()> {
    let free = free_bytes(folder)?;
    if free >= needed {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::DiskFull,
        format!(
            "{what} takes up to {} MiB in {}, and {} MiB are free",
            needed.div_ceil(1 << 20),
            folder.display(),
            free >> 20
        ),
    ))
}

/// How many bytes are free for this program on the disk that `path` is on.
pub(crate) fn free_bytes(path: &Path) -> Result<u64> {
    fs4::available_space(path).map_err(|e| cannot("ask for the room beside", path, e))
}

/// Whether this program may make files in a folder, as far as its mode says.
pub(crate) fn may_make_files_in(folder: &Path) -> bool {
    #[cfg(unix)]
    {
        use rustix::fs::Access;
        rustix::fs::access(folder, Access::WRITE_OK | Access::EXEC_OK).is_ok()
    }
    #[cfg(not(unix))]
    {
        folder.is_dir()
    }
}

/// The kind of network file system that `path` is on, if it is on one and the system says so: there
/// locks and syncs are what the server makes of them, and the WAL's index is not shared memory. See
/// <https://sqlite.org/wal.html>.
pub(crate) fn network_file_system(path: &Path) -> Option<String> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    file_system(&mounts, path)
        .filter(|kind| is_network(kind))
        .map(str::to_owned)
}

/// The kind of file system that is mounted nearest to `path`. Each line of `mounts` has the place as
/// its fifth word, and the kind as the first after a lone dash: proc(5).
fn file_system<'a>(mounts: &'a str, path: &Path) -> Option<&'a str> {
    let mounted = mounts.lines().filter_map(|line| {
        let (place, kind) = line.split_once(" - ")?;
        // Spaces in it are written so.
        let place = place.split(' ').nth(4)?.replace("\\040", " ");
        let kind = kind.split(' ').next()?;
        path.starts_with(&place).then_some((place.len(), kind))
    });
    // Of two at one place the later hides the earlier.
    mounted
        .max_by_key(|(length, _)| *length)
        .map(|(_, kind)| kind)
}

fn is_network(kind: &str) -> bool {
    // FUSE may be anything, but what people mount over a network with it goes by a name.
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
33 31 0:29 / /srv/bot/local rw - tmpfs tmpfs rw";

    #[test]
    fn a_file_on_a_network_file_system_is_told_from_others() {
        let kind =
            |path: &str| file_system(MOUNTS, Path::new(path)).filter(|kind| is_network(kind));
        assert_eq!(kind("/srv/bot/data/bot.db"), Some("nfs4"));
        assert_eq!(kind("/srv/my share/bot.db"), Some("fuse.sshfs"));
        assert_eq!(kind("/srv/bot/local/bot.db"), None);
        assert_eq!(kind("/srv/bots/bot.db"), None);
        assert_eq!(kind("/home/bot.db"), None);
    }
}
