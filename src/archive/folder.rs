//! The folder of the backups: their names, what is in it, and how one comes and goes.
//!
//! A backup is a folder of its own with two files in it, so that one rename makes it appear and
//! one makes it go: it is there whole or not at all. What is not finished has a name that ends in
//! `.partial`, and the next backup clears it away.
//!
//! It may be somebody else's disk, so nothing in it is taken for what its name says: see
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

/// A finished backup: where it is and what it says of itself.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Backup {
    /// Its folder.
    pub path: PathBuf,
    /// What it says of itself.
    pub manifest: Manifest,
}

impl Backup {
    /// Reads the backup in a folder of that name, without reading its artefact.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) when there is none, [`BadBackup`](ErrorKind::BadBackup)
    /// when its manifest is damaged, is another's, or its artefact is not of the size that it says.
    pub fn at(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref().to_owned();
        let bad = |why: String| name_file(Error::new(ErrorKind::BadBackup, why), &path);
        let manifest = read_manifest(&path)?;
        let name = path
            .canonicalize()
            .map_err(|e| Error::io(path.display(), e))?;
        if name.file_name().is_none_or(|n| n != manifest.name.as_str()) {
            let name = quote(&manifest.name);
            return Err(bad(format!("its manifest is that of {name}")));
        }
        let artefact = path.join(artefact_name(manifest.is_encrypted()));
        files::refuse_other_than_plain(&artefact).map_err(|e| bad_backup(e, &path))?;
        let is = fs::symlink_metadata(&artefact).map(|data| data.len());
        let says = manifest.artefact.bytes;
        match is {
            Ok(is) if is == says => Ok(Self { path, manifest }),
            Ok(is) => Err(bad(format!(
                "{} has {is} bytes, and its manifest says {says}",
                artefact.display()
            ))),
            Err(e) => Err(bad(format!("{} is not to be had: {e}", artefact.display()))),
        }
    }

    /// Whether the compressed file is still the one that was verified. Reads all of it.
    pub(super) fn is_sound(&self) -> bool {
        let file = files::open(&self.artefact()).ok().flatten();
        let read = file.and_then(|file| artefact::checksum(file).ok());
        read.is_some_and(|read| read == self.manifest.artefact)
    }

    /// Refuses one that none of the keys has signed, if there are keys.
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

/// What is not as a backup's files are makes it a bad one.
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

/// What a folder holds.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Listing {
    /// The backups, oldest first. Their artefacts have the right size; whether they can be read
    /// back, [`verify`](super::verify) tells.
    pub backups: Vec<Backup>,
    /// What has a backup's name and is none, and why.
    pub unusable: Vec<(PathBuf, Error)>,
}

/// The backups in a folder, oldest first. Reads their manifests only. A folder that is not there
/// holds none.
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

/// The same with a key: those that it has not signed count among what is
/// [unusable](Listing::unusable).
///
/// # Errors
/// [`Io`](ErrorKind::Io) when the folder cannot be read.
#[cfg(feature = "encryption")]
pub fn list_signed(folder: impl AsRef<Path>, key: &BackupKey) -> Result<Listing> {
    list_proven(folder.as_ref(), std::slice::from_ref(key))
}

/// The backups that one of the keys has signed, if there are keys.
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

/// A backup whose name was found in a folder, and not told by the operator, whose word may be a link.
fn in_folder(path: &Path) -> Result<Backup> {
    match files::kind_of(path)? {
        Some(Kind::Folder) | None => Backup::at(path),
        Some(other) => {
            let why = format!("{} is {other}, and a backup is a folder", path.display());
            Err(Error::new(ErrorKind::BadBackup, why))
        }
    }
}

/// The names in a folder that are those of backups, in the order in which they were made.
fn names(folder: &Path) -> Result<Vec<Name>> {
    files::refuse_strangers_link(folder)?;
    let all = all_names(folder)?;
    let mut names: Vec<_> = all.iter().filter_map(|name| Name::parse(name)).collect();
    names.sort_by_cached_key(|name| (name.order(), name.to_string()));
    Ok(names)
}

/// All names in a folder that are text.
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

/// Whether a backup is of this store. One made before the file had a number was made by its first
/// upgrade.
pub(super) fn is_of(backup: &Backup, store: Option<&str>) -> bool {
    let of = backup.manifest.store_id.as_deref();
    of.is_none() || of == store
}

/// A folder that this process alone makes backups in, while it is held.
pub(super) struct Folder {
    path: PathBuf,
    lock: File,
    /// The database whose owner gets what root makes here.
    like: Option<PathBuf>,
    /// What was cut short here and could not be removed.
    left_over: Vec<NotRemoved>,
}

/// As with the lock of a database: closing the file alone could leave the lock to a process that
/// this one is just starting.
impl Drop for Folder {
    fn drop(&mut self) {
        let _ = self.lock.unlock();
    }
}

impl Folder {
    /// Takes the folder, creating it if it is missing, and clears away what was cut short. What root
    /// makes in it gets the owner of the database, if one is named: otherwise a backup that root has
    /// made would keep the bot from making the next.
    ///
    /// What cannot be cleared away, such as the other half of a file that somebody still has open, is no
    /// reason not to go on: see [`left_over`](Self::left_over).
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

    /// Clears away what was cut short in the folder of the backups of `database`, if there is anything.
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
                tracing::warn!(path = %path.display(), %error, "what was cut short stays");
                self.left_over.push(NotRemoved::new(&path, &error));
            }
        }
        Ok(())
    }

    /// What was cut short in the folder, and could not be removed when this was taken.
    pub(super) fn left_over(&self) -> Vec<NotRemoved> {
        self.left_over.clone()
    }

    /// A folder for a new backup of this store. Its name comes after those of its others, also when the
    /// clock was set back, or stands: names sort in the order in which backups were made. What only has
    /// a backup's name has no say in that, and whatever is there keeps its name to itself.
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

    /// A folder for trying a backup out.
    pub(super) fn begin_drill(&self) -> Result<Partial> {
        self.partial(DRILL.to_owned())
    }

    fn partial(&self, name: String) -> Result<Partial> {
        let path = self.path.join(format!("{name}{PARTIAL}"));
        Partial::new(name, path, self.like.clone())
    }

    /// Gives the backup its name. Whatever is in its folder is synced by now.
    pub(super) fn publish(&self, partial: &Partial) -> Result<PathBuf> {
        let finished = self.path.join(&partial.name);
        sync_folder(partial.path())?;
        fs::rename(partial.path(), &finished)
            .map_err(|e| files::cannot("rename", partial.path(), e))?;
        sync_folder(&self.path)?;
        Ok(finished)
    }

    /// Removes a backup and nothing else: a folder that holds another file as well stays, unless that is
    /// nobody's, as what a file server puts into every folder.
    pub(super) fn remove(&self, backup: &Backup) -> Result<()> {
        let failed = |e| files::cannot("remove", &backup.path, e);
        let own = [MANIFEST, artefact_name(backup.manifest.is_encrypted())];
        for entry in fs::read_dir(&backup.path).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            if !own.iter().any(|own| name == *own) && !files::is_nobodys(&name) {
                let why = format!(
                    "{} also holds {}, which is not the backup's, so it stays: move that elsewhere",
                    backup.path.display(),
                    name.display()
                );
                return Err(Error::new(ErrorKind::ForeignFile, why));
            }
        }
        let partial = sqlite::beside(&backup.path, PARTIAL);
        fs::rename(&backup.path, &partial).map_err(failed)?;
        // First what takes the room: of the rest, some may be in use, or made again meanwhile.
        for own in own {
            files::remove(&partial.join(own))?;
        }
        files::remove_all(&partial)?;
        sync_folder(&self.path)
    }
}

/// Whether it is the name of what the next to take the folder clears away.
fn is_cut_short(name: &str) -> bool {
    let whole = name.strip_suffix(PARTIAL);
    whole.is_some_and(|name| name == DRILL || Name::parse(name).is_some())
}

const DRILL: &str = "drill";
