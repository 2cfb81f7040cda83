//! Files and folders beside the database: private to their owner, synced, and with room to spare.

mod identity;
mod kind;
mod mounts;
mod open;
mod owner;
mod stamp;

pub(crate) use identity::{AtPath, FileId, at_path, led_to};
pub(crate) use kind::{Kind, is_taken, kind_of, refuse_other_than_own, refuse_other_than_plain};
pub(crate) use mounts::{is_mount_point, is_mounted_elsewhere, network_file_system};
pub(crate) use open::{
    create, create_folder, create_if_missing, create_new_folder, create_own_folder, open,
    open_lock, read, remove, remove_all, replace,
};
#[cfg(feature = "encryption")]
pub(crate) use open::{open_named, read_opened};
pub(crate) use owner::{give_to_owner_of, is_open_to_others, refuse_strangers_link};
pub(crate) use stamp::Stamp;

use crate::error::{Error, ErrorKind, Result};
use std::path::Path;

/// Makes what was created, renamed or removed in a folder durable.
pub(crate) fn sync_folder(path: &Path) -> Result<()> {
    // A folder cannot be opened for syncing on every system; on those a rename is durable anyway.
    #[cfg(unix)]
    open::open_folder(path)
        .and_then(|folder| folder.sync_all())
        .map_err(|e| Error::io(format_args!("cannot sync {}", path.display()), e))?;
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
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
    fs4::available_space(path)
        .map_err(|e| Error::io(format_args!("cannot ask how full {} is", path.display()), e))
}
