//! Folders for unfinished work: a backup before it has its name, and the scratch of an encrypted one.

use super::folder::MANIFEST;
use super::manifest::Manifest;
use super::scratch::{Claim, claim};
use crate::error::{Error, ErrorKind, Result};
use crate::files::{self, Kind};
use crate::sqlite;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// Removes the unencrypted files that a killed process left beside the database, unless a live process
/// works there.
pub(super) fn clear_unsealed(database: &Path) -> Result<()> {
    let path = sqlite::beside(database, UNSEALED);
    match files::kind_of(&path)? {
        // A folder in use is claimed.
        Some(Kind::Folder) => match claim(&path) {
            Ok(Claim::Taken) => Ok(()),
            Ok(Claim::Ours(_claim)) => files::remove_all(&path),
            // The file system cannot lock folders.
            Err(_) => files::remove_all(&path),
        },
        _ => files::remove_all(&path),
    }
}

/// The suffix of the folder for the scratch of encrypted backups, after the database's name.
const UNSEALED: &str = ".unsealed.partial";

/// A folder for unfinished work. Dropping it removes the folder, unless it was published.
pub(super) struct Partial {
    pub(super) name: String,
    path: PathBuf,
    like: Option<PathBuf>,
    /// Shows others that the folder is in use, if its name is shared.
    claim: Option<File>,
}

impl Partial {
    pub(super) fn new(name: String, path: PathBuf, like: Option<PathBuf>) -> Result<Self> {
        files::create_new_folder(&path, like.as_deref())?;
        Ok(Self {
            name,
            path,
            like,
            claim: None,
        })
    }

    /// Creates a folder beside the database for unencrypted scratch files, which must not go where
    /// encrypted backups go: that may be somebody else's disk. A store and a command can work on one
    /// file with different backup folders, but only one at a time has this folder.
    pub(super) fn unsealed(database: &Path) -> Result<Self> {
        let path = sqlite::beside(database, UNSEALED);
        let in_use = || {
            let why = format!(
                "another program is working on an encrypted backup of {}; try again when it is done",
                database.display()
            );
            Error::new(ErrorKind::Busy, why)
        };
        clear_unsealed(database)?;
        if files::is_taken(&path) {
            return Err(in_use());
        }
        let mut partial = Self::new(UNSEALED.to_owned(), path, Some(database.to_owned()))?;
        partial.claim = match claim(&partial.path) {
            Ok(Claim::Ours(claim)) => Some(claim),
            // Another process was quicker, and owns the folder.
            Ok(Claim::Taken) => {
                partial.path = PathBuf::new();
                return Err(in_use());
            }
            Err(_) => None,
        };
        Ok(partial)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Creates a file in it that only its owner can read.
    pub(super) fn file(&self, name: &str) -> Result<(PathBuf, File)> {
        let path = self.path.join(name);
        let file = files::create(&path)?;
        if let Some(like) = &self.like {
            files::give_to_owner_of(&file, like);
        }
        Ok((path, file))
    }

    pub(super) fn remove_file(&self, path: &Path) -> Result<()> {
        fs::remove_file(path).map_err(|e| files::cannot("remove", path, e))
    }

    pub(super) fn write_manifest(&self, manifest: &Manifest) -> Result<()> {
        use std::io::Write;
        let (path, mut file) = self.file(MANIFEST)?;
        file.write_all(manifest.to_text()?.as_bytes())
            .and_then(|()| file.sync_all())
            .map_err(|e| files::cannot("write", &path, e))
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // What cannot be removed now, the next backup removes.
        let _ = fs::remove_dir_all(&self.path);
        if let Some(claim) = &self.claim {
            let _ = claim.unlock();
        }
    }
}
