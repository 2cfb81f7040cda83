//! A private folder, among temporary files, into which a backup is unpacked for a check. Others can see
//! it, and the system may never empty it.

use crate::error::Result;
use crate::files;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The beginning of the names of such folders.
const PREFIX: &str = "botstore-verify-";

/// How often a new folder is tried when another process removes it before it is claimed.
const TRIES: u32 = 16;

/// A folder of mode 0700 that is removed on drop. If the process is killed, nobody claims the folder
/// any more, and the next check removes it.
pub(super) struct Scratch {
    // In this order: the claim must last until the folder is removed.
    folder: TempDir,
    _claim: Option<File>,
}

impl Scratch {
    pub(super) fn new_in(place: &Path) -> Result<Self> {
        clear(place);
        let failed = |e| files::cannot("write into", place, e);
        let mut builder = tempfile::Builder::new();
        builder.prefix(PREFIX);
        for _ in 0..TRIES {
            let folder = builder.tempdir_in(place).map_err(failed)?;
            match claim(folder.path()) {
                Ok(Claim::Ours(claim)) => {
                    let _claim = Some(claim);
                    return Ok(Self { folder, _claim });
                }
                Ok(Claim::Taken) => {}
                // Where folders cannot be locked, nothing removes them either.
                Err(_) => {
                    let _claim = None;
                    return Ok(Self { folder, _claim });
                }
            }
        }
        Err(failed(io::Error::other(
            "another program removed each new folder",
        )))
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// The result of claiming a folder.
pub(super) enum Claim {
    /// The folder is ours for as long as the file is open.
    Ours(File),
    /// Another process has claimed it, or it is gone.
    Taken,
}

/// Claims a folder for as long as the file is open, with a lock on the folder itself. A lock file in it
/// was turned down: for a moment the folder would exist without the lock.
#[cfg(unix)]
pub(super) fn claim(folder: &Path) -> io::Result<Claim> {
    use std::fs::TryLockError;
    use std::os::unix::fs::MetadataExt as _;
    // The dot makes `open` fail for anything but a folder: opening a FIFO would wait for a writer.
    let file = match File::open(folder.join(".")) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Claim::Taken),
        opened => opened?,
    };
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => return Ok(Claim::Taken),
        Err(TryLockError::Error(e)) => return Err(e),
        Ok(()) => {}
    }
    // The name may be another folder now, or gone, if this one was removed meanwhile. Links are not
    // followed.
    let claimed = file.metadata()?;
    let same = |now: fs::Metadata| (now.dev(), now.ino()) == (claimed.dev(), claimed.ino());
    Ok(match fs::symlink_metadata(folder).is_ok_and(same) {
        true => Claim::Ours(file),
        false => Claim::Taken,
    })
}

#[cfg(not(unix))]
pub(super) fn claim(_: &Path) -> io::Result<Claim> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Removes the folders in `place` that killed processes of this account left there. What cannot be
/// removed stays, without an error.
#[cfg(unix)]
pub(super) fn clear(place: &Path) {
    use std::os::unix::fs::MetadataExt as _;
    // The account's id as the file system of `place` shows it.
    let probe = tempfile::tempfile_in(place).and_then(|probe| probe.metadata());
    let (Ok(probe), Ok(entries)) = (probe, fs::read_dir(place)) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let named = name.to_str().is_some_and(|name| name.starts_with(PREFIX));
        let path = entry.path();
        let ours = |data: fs::Metadata| data.is_dir() && data.uid() == probe.uid();
        if !named || !fs::symlink_metadata(&path).is_ok_and(ours) {
            continue;
        }
        if let Ok(Claim::Ours(_claim)) = claim(&path) {
            match fs::remove_dir_all(&path) {
                Ok(()) => tracing::info!(path = %path.display(), "removed the unpacked files of a \
                    process that has ended"),
                Err(error) => {
                    tracing::warn!(path = %path.display(), %error, "the unpacked files of a process \
                        that has ended could not be removed");
                }
            }
        }
    }
}

#[cfg(not(unix))]
pub(super) fn clear(_: &Path) {}
