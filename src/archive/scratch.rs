//! Where a backup is unpacked that is only looked at: a private folder among temporary files, which
//! others can see and the system may never empty.

use crate::error::Result;
use crate::files;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// What the names of such folders begin with.
const PREFIX: &str = "botstore-verify-";

/// How often a new folder is made when somebody has cleared it away before it was claimed.
const TRIES: u32 = 16;

/// A folder of mode 0700 that goes when this is dropped. If the process is killed before, the next
/// one to come by removes it: nobody has claimed it then.
pub(super) struct Scratch {
    // In this order: nobody may take it for abandoned while it is removed.
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
                // Where folders cannot be locked nobody clears them either.
                Err(_) => {
                    let _claim = None;
                    return Ok(Self { folder, _claim });
                }
            }
        }
        Err(failed(io::Error::other("each new folder was cleared away")))
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// What came of claiming a folder.
pub(super) enum Claim {
    /// It is ours for as long as the file is open.
    Ours(File),
    /// Somebody has claimed it, or it is gone.
    Taken,
}

/// Claims a folder for as long as the file is open, by a lock on the folder itself. A lock file in it
/// was turned down: there would be a moment in which the folder is there and the lock is not.
#[cfg(unix)]
pub(super) fn claim(folder: &Path) -> io::Result<Claim> {
    use std::fs::TryLockError;
    use std::os::unix::fs::MetadataExt as _;
    // The dot lets nothing but a folder be opened: a FIFO would wait for somebody to write.
    let file = match File::open(folder.join(".")) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Claim::Taken),
        opened => opened?,
    };
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => return Ok(Claim::Taken),
        Err(TryLockError::Error(e)) => return Err(e),
        Ok(()) => {}
    }
    // Another one of that name, or none, if it was cleared away meanwhile. Links are not followed.
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

/// Removes the folders in a place that processes of this account have left there when they were
/// killed. What cannot be removed stays; it is no reason not to do what is asked.
#[cfg(unix)]
pub(super) fn clear(place: &Path) {
    use std::os::unix::fs::MetadataExt as _;
    // The account, as the place's file system has it.
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
                Ok(()) => tracing::info!(path = %path.display(), "removed what was left unpacked"),
                Err(error) => {
                    tracing::warn!(path = %path.display(), %error, "what was left unpacked stays");
                }
            }
        }
    }
}

#[cfg(not(unix))]
pub(super) fn clear(_: &Path) {}
