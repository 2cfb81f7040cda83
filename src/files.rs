//! Files and folders beside the database: private to their owner, synced, and with room to spare.

mod copy;
mod identity;
mod junk;
mod kind;
mod mounts;
mod open;
mod owner;
mod place;
mod stamp;

pub(crate) use copy::{copy, copy_into, truncate};
pub(crate) use identity::{AtPath, FileId, at_path, id_of, led_to};
pub(crate) use junk::is_nobodys;
pub(crate) use kind::{Kind, is_taken, kind_of, refuse_other_than_own, refuse_other_than_plain};
pub(crate) use mounts::{is_mount_point, is_mounted_elsewhere, network_file_system};
pub(crate) use open::{
    cannot, create, create_folder, create_if_missing, create_new_folder, create_own_folder, open,
    open_lock, read, remove, remove_all, replace,
};
#[cfg(feature = "encryption")]
pub(crate) use open::{open_named, read_opened};
pub(crate) use owner::{
    give_to_owner_of, is_open_to_others, make_like, may_read, refuse_strangers_link, why_denied,
};
pub(crate) use place::refuse_unmovable;
pub(crate) use stamp::Stamp;

use crate::error::{Error, ErrorKind, Result};
use std::path::Path;

/// Makes files that were created, renamed or removed in a folder durable, if the file system can.
///
/// A file system that cannot sync a folder answers EINVAL or ENOTSUP: SMB mounts, WSL's shares, some
/// FUSE. These two errors of this call are ignored: changes on such a share are then as durable as they
/// get there, and an error would only prevent backups on it. Every other error is reported, and so are
/// these two when a file is synced.
pub(crate) fn sync_folder(path: &Path) -> Result<()> {
    // On some systems a folder cannot be opened for syncing; there a rename is durable anyway.
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
    // NOTSUP and OPNOTSUPP have the same number on Linux, and different ones elsewhere.
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

/// Fails if `what`, which takes `needed` bytes, would fill the disk that `folder` is on.
pub(crate) fn check_room(folder: &Path, needed: u64, what: &str) -> Result<()> {
    let free = free_bytes(folder)?;
    if free >= needed {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::DiskFull,
        format!(
            "{what} needs up to {} MiB in {}, but only {} MiB are free",
            needed.div_ceil(1 << 20),
            folder.display(),
            free >> 20
        ),
    ))
}

/// Returns how many bytes are free for this program on the disk that `path` is on.
pub(crate) fn free_bytes(path: &Path) -> Result<u64> {
    fs4::available_space(path).map_err(|e| cannot("determine the free space beside", path, e))
}

/// Whether this program may create files in a folder, judging by its mode.
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
