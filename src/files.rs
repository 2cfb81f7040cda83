//! Files and folders beside the database: private to their owner, synced, and with room to spare.

use crate::error::{Error, ErrorKind, Result};
use std::fs::{DirBuilder, File, OpenOptions};
use std::path::Path;

/// Creates the folder with mode 0700, and those above it, if they are missing.
pub(crate) fn create_folder(path: &Path) -> Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(path)
        .map_err(|e| Error::io(format_args!("cannot create {}", path.display()), e))
}

/// An empty file to write, with mode 0600 if it is new.
pub(crate) fn private_file(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
        .open(path)
        .map_err(|e| Error::io(format_args!("cannot create {}", path.display()), e))
}

/// Makes what was created, renamed or removed in a folder durable.
pub(crate) fn sync_folder(path: &Path) -> Result<()> {
    // A folder cannot be opened for syncing on every system; on those a rename is durable anyway.
    if !cfg!(unix) {
        return Ok(());
    }
    File::open(path)
        .and_then(|folder| folder.sync_all())
        .map_err(|e| Error::io(format_args!("cannot sync {}", path.display()), e))
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
