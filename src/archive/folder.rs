//! The folder of the backups: its names, its contents, and how a backup is added and removed.
//!
//! A backup is a folder of its own with two files in it. One rename publishes it and one rename removes
//! it, so it is there whole or not at all. An unfinished one has a name that ends in `.partial`, and
//! the next backup removes it.
//!
//! The folder may be on somebody else's disk, so nothing in it is trusted to be what its name says: see
//! [`crate::files`].

use super::artefact;
use super::mac::BackupKey;
use super::manifest::{MAX_BYTES, Manifest, Reason};
use super::name::Name;
use super::partial::Partial;
use super::retention::NotRemoved;
use crate::error::{Error, ErrorKind, Result, quote};
use crate::files::{self, Kind, sync_folder};
use crate::sqlite::{self, name_file};
use chrono::{DateTime, Utc};
use std::collections::HashSet;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

const PARTIAL: &str = ".partial";
pub(super) const MANIFEST: &str = "manifest.json";

/// A finished backup: its folder and its manifest.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Backup {
    /// Its folder.
    pub path: PathBuf,
    /// What it says about itself.
    pub manifest: Manifest,
}

impl Backup {
    /// Reads the manifest of the backup in this folder, without reading the artefact.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) when there is none; [`BadBackup`](ErrorKind::BadBackup) when
    /// the manifest is damaged or another backup's, or when the artefact has another size than it says.
    pub fn at(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref().to_owned();
        let bad = |why: String| name_file(Error::new(ErrorKind::BadBackup, why), &path);
        let manifest = read_manifest(&path)?;
        let name = path
            .canonicalize()
            .map_err(|e| Error::io(path.display(), e))?;
        if name.file_name().is_none_or(|n| n != manifest.name.as_str()) {
            let name = quote(&manifest.name);
            return Err(bad(format!("its manifest belongs to {name}")));
        }
        let artefact = path.join(artefact_name(manifest.is_encrypted()));
        files::refuse_other_than_plain(&artefact).map_err(|e| bad_backup(e, &path))?;
        let found = fs::symlink_metadata(&artefact).map(|data| data.len());
        let expected = manifest.artefact.bytes;
        match found {
            Ok(bytes) if bytes == expected => Ok(Self { path, manifest }),
            Ok(bytes) => Err(bad(format!(
                "{} has {bytes} bytes, but {expected} by its manifest",
                artefact.display()
            ))),
            Err(e) => Err(bad(format!("{} cannot be found: {e}", artefact.display()))),
        }
    }

    /// Whether the compressed file still has its checksum. Reads all of it.
    pub(super) fn is_sound(&self) -> bool {
        let file = files::open(&self.artefact()).ok().flatten();
        let read = file.and_then(|file| artefact::checksum(file).ok());
        read.is_some_and(|read| read == self.manifest.artefact)
    }

    /// Refuses a backup that none of the keys has signed; without keys it refuses nothing.
    pub(super) fn prove(&self, keys: &[BackupKey]) -> Result<()> {
        let proven = self.manifest.prove(keys);
        proven.map_err(|e| name_file(e, &self.path))
    }

    /// The compressed file.
    pub fn artefact(&self) -> PathBuf {
        self.path.join(artefact_name(self.manifest.is_encrypted()))
    }
}

fn read_manifest(folder: &Path) -> Result<Manifest> {
    let text = files::read(&folder.join(MANIFEST), MAX_BYTES).map_err(|e| bad_backup(e, folder))?;
    let text = text.ok_or_else(|| {
        Error::not_found("backup", format_args!("backup at {}", folder.display()))
    })?;
    Manifest::from_text(&text).map_err(|e| name_file(e, folder))
}

/// A file of another kind than a backup has makes it a bad backup.
fn bad_backup(error: Error, backup: &Path) -> Error {
    match error.kind() {
        ErrorKind::ForeignFile => error.because(ErrorKind::BadBackup, backup.display()),
        _ => error,
    }
}

pub(super) fn artefact_name(encrypted: bool) -> &'static str {
    match encrypted {
        false => "database.zst",
        true => "database.zst.age",
    }
}

/// What a folder of backups contains.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Listing {
    /// The backups, oldest first. Their artefacts have the right size; [`verify`](super::verify) finds
    /// out whether they can be read back.
    pub backups: Vec<Backup>,
    /// What is named like a backup and is none, and why.
    pub unusable: Vec<(PathBuf, Error)>,
}

/// Lists the backups in a folder, oldest first. Reads only their manifests. A missing folder holds
/// none.
///
/// # Errors
/// [`Io`](ErrorKind::Io) when the folder cannot be read.
pub fn list(folder: impl AsRef<Path>) -> Result<Listing> {
    let mut listing = Listing::default();
    for name in names(folder.as_ref())? {
        let path = folder.as_ref().join(name.to_string());
        match in_folder(&path) {
            Ok(backup) => listing.backups.push(backup),
            Err(error) => listing.unusable.push((path, error)),
        }
    }
    Ok(listing)
}

/// Lists the backups in a folder like [`list`], but counts those that the key has not signed as
/// [unusable](Listing::unusable).
///
/// # Errors
/// [`Io`](ErrorKind::Io) when the folder cannot be read.
#[cfg(feature = "encryption")]
pub fn list_signed(folder: impl AsRef<Path>, key: &BackupKey) -> Result<Listing> {
    list_proven(folder.as_ref(), std::slice::from_ref(key))
}

/// The backups that one of the keys has signed; all of them if there are no keys.
pub(super) fn list_proven(folder: &Path, keys: &[BackupKey]) -> Result<Listing> {
    let mut listing = list(folder)?;
    for backup in std::mem::take(&mut listing.backups) {
        match backup.prove(keys) {
            Ok(()) => listing.backups.push(backup),
            Err(error) => listing.unusable.push((backup.path, error)),
        }
    }
    Ok(listing)
}

/// Reads a backup whose name was found in a folder. Unlike a path that the operator gave, it may not be
/// a link.
fn in_folder(path: &Path) -> Result<Backup> {
    match files::kind_of(path)? {
        Some(Kind::Folder) | None => Backup::at(path),
        Some(other) => {
            let why = format!("{} is {other}, but a backup is a folder", path.display());
            Err(Error::new(ErrorKind::BadBackup, why))
        }
    }
}

/// The names of backups in a folder, in the order in which the backups were made.
fn names(folder: &Path) -> Result<Vec<Name>> {
    files::refuse_strangers_link(folder)?;
    let all = all_names(folder)?;
    let mut names: Vec<_> = all.iter().filter_map(|name| Name::parse(name)).collect();
    names.sort_by_cached_key(|name| (name.order(), name.to_string()));
    Ok(names)
}

/// All names in a folder that are valid UTF-8.
fn all_names(folder: &Path) -> Result<HashSet<String>> {
    let failed = |e| files::cannot("list", folder, e);
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(HashSet::new()),
        Err(e) => return Err(failed(e)),
    };
    let mut names = HashSet::new();
    for entry in entries {
        names.extend(entry.map_err(failed)?.file_name().into_string().ok());
    }
    Ok(names)
}

/// Whether a backup is of this store. One without an id counts: it was made before the first upgrade
/// gave the file its id.
pub(super) fn is_of(backup: &Backup, store: Option<&str>) -> bool {
    let of = backup.manifest.store_id.as_deref();
    of.is_none() || of == store
}

/// A folder locked by this process: while it is held, no other makes or removes backups there.
pub(super) struct Folder {
    path: PathBuf,
    lock: File,
    /// The database whose owner gets the files that root creates here.
    like: Option<PathBuf>,
    /// Unfinished backups that could not be removed.
    left_over: Vec<NotRemoved>,
}

/// Unlocks before closing, as the lock of a database does: a child process that is just being started
/// could keep the lock if the file were only closed.
impl Drop for Folder {
    fn drop(&mut self) {
        let _ = self.lock.unlock();
    }
}

impl Folder {
    /// Locks the folder, creating it if it is missing, and removes unfinished backups. Files that root
    /// creates in it get the owner of the database, if one is named: otherwise a backup that root made
    /// would keep the bot from making the next.
    ///
    /// An unfinished backup that cannot be removed is no error: see [`left_over`](Self::left_over).
    /// Some file servers, for example, keep a file that another process still has open.
    pub(super) fn take(path: &Path, database: Option<&Path>) -> Result<Self> {
        files::create_folder(path, database)?;
        let lock = path.join(".lock");
        let file = files::open_lock(&lock, database.unwrap_or(path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::new(
                    ErrorKind::Busy,
                    format!(
                        "another program is making, checking or removing backups in {}; \
                         try again when it is done",
                        path.display()
                    ),
                ));
            }
            Err(TryLockError::Error(e)) => {
                return Err(files::cannot("lock", &lock, e));
            }
        }
        let mut folder = Self {
            path: path.to_owned(),
            lock: file,
            like: database.map(Path::to_owned),
            left_over: Vec::new(),
        };
        folder.clear_partials()?;
        Ok(folder)
    }

    /// Removes unfinished backups of `database`; does nothing if there are none.
    pub(super) fn clear(path: &Path, database: &Path) -> Result<()> {
        files::refuse_strangers_link(path)?;
        match all_names(path)?.iter().any(|name| is_cut_short(name)) {
            true => Self::take(path, Some(database)).map(drop),
            false => Ok(()),
        }
    }

    fn clear_partials(&mut self) -> Result<()> {
        for name in all_names(&self.path)? {
            if !is_cut_short(&name) {
                continue;
            }
            let path = self.path.join(name);
            if let Err(error) = files::remove_all(&path) {
                tracing::warn!(path = %path.display(), %error, "remains of an interrupted backup could \
                    not be removed");
                self.left_over.push(NotRemoved::new(&path, &error));
            }
        }
        Ok(())
    }

    /// Unfinished backups that could not be removed when the folder was locked.
    pub(super) fn left_over(&self) -> Vec<NotRemoved> {
        self.left_over.clone()
    }

    /// Creates a folder for a new backup of this store. Its name sorts after those of the store's other
    /// backups, even when the clock was set back or stands still. Folders that are only named like a
    /// backup do not influence that order, and their names are not used again.
    pub(super) fn begin(
        &self,
        now: DateTime<Utc>,
        reason: Reason,
        store: Option<&str>,
    ) -> Result<Partial> {
        let own = list(&self.path)?.backups.into_iter();
        let last = own.rev().find(|backup| is_of(backup, store));
        let last = last.and_then(|last| Name::parse(&last.manifest.name));
        let taken = all_names(&self.path)?;
        let name = Name::next(last, now, reason, |name| taken.contains(name))?;
        self.partial(name.to_string())
    }

    /// Creates a folder for a drill.
    pub(super) fn begin_drill(&self) -> Result<Partial> {
        self.partial(DRILL.to_owned())
    }

    fn partial(&self, name: String) -> Result<Partial> {
        let path = self.path.join(format!("{name}{PARTIAL}"));
        Partial::new(name, path, self.like.clone())
    }

    /// Gives the backup its final name. The files in its folder are already synced.
    pub(super) fn publish(&self, partial: &Partial) -> Result<PathBuf> {
        let finished = self.path.join(&partial.name);
        sync_folder(partial.path())?;
        fs::rename(partial.path(), &finished)
            .map_err(|e| files::cannot("rename", partial.path(), e))?;
        sync_folder(&self.path)?;
        Ok(finished)
    }

    /// Removes a backup and nothing else: a folder that also holds another file stays. Files that a
    /// file server puts into every folder do not count.
    pub(super) fn remove(&self, backup: &Backup) -> Result<()> {
        let failed = |e| files::cannot("remove", &backup.path, e);
        let own = [MANIFEST, artefact_name(backup.manifest.is_encrypted())];
        for entry in fs::read_dir(&backup.path).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            if !own.iter().any(|own| name == *own) && !files::is_nobodys(&name) {
                let why = format!(
                    "{} was not removed, because it also holds {}, which is not part of the backup: \
                     move that elsewhere",
                    backup.path.display(),
                    name.display()
                );
                return Err(Error::new(ErrorKind::ForeignFile, why));
            }
        }
        let partial = sqlite::beside(&backup.path, PARTIAL);
        fs::rename(&backup.path, &partial).map_err(failed)?;
        // The large files first: the rest may be in use, or be created again meanwhile.
        for own in own {
            files::remove(&partial.join(own))?;
        }
        files::remove_all(&partial)?;
        sync_folder(&self.path)
    }
}

/// Whether this is the name of an unfinished backup, which the next holder of the folder removes.
fn is_cut_short(name: &str) -> bool {
    let whole = name.strip_suffix(PARTIAL);
    whole.is_some_and(|name| name == DRILL || Name::parse(name).is_some())
}

const DRILL: &str = "drill";
