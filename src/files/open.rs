//! The one way in which this crate opens files.
//!
//! Somebody else may be able to write into the folder: the folder of the backups may be on another's
//! disk, and sometimes the database's is. So these functions do not follow a link as the last part of a
//! path, open only regular files, empty nothing that is not ours, create with `O_EXCL`, bound what they
//! read, and never wait: a FIFO without a writer would block its reader for ever. Folders *above* may
//! be links, because their owner made them.
//!
//! `openat` from an open folder was turned down: SQLite opens by path, so an attacker who swaps a
//! folder between two calls could still mislead it. The attacker gains a new file of ours in the other
//! folder; nothing that existed there changes.

use super::kind::{Kind, is_other, is_taken, kind_of, refuse_other_than_plain, refuse_second_name};
#[cfg(unix)]
use super::owner::is_root;
use super::owner::{give_to_owner_of, refuse_strangers_link, why_denied};
use crate::error::{Error, ErrorKind, Result};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

/// Opens a regular file to read it; returns `None` if nothing is there.
///
/// # Errors
/// [`ForeignFile`](ErrorKind::ForeignFile) for anything but a regular file.
pub(crate) fn open(path: &Path) -> Result<Option<File>> {
    if kind_of(path)?.is_none() {
        return Ok(None);
    }
    match open_plain(path, OpenOptions::new().read(true)) {
        Err(error) if !is_taken(path) => {
            // It was removed just now.
            tracing::debug!(%error, "a file is gone");
            Ok(None)
        }
        opened => opened.map(Some),
    }
}

/// Reads a regular file, up to `at_most` bytes; returns `None` if nothing is there. A longer file is
/// cut off; the caller's parser notices that.
///
/// # Errors
/// [`ForeignFile`](ErrorKind::ForeignFile) for anything but a regular file.
pub(crate) fn read(path: &Path, at_most: u64) -> Result<Option<Vec<u8>>> {
    let Some(file) = open(path)? else {
        return Ok(None);
    };
    let mut bytes = Vec::new();
    file.take(at_most)
        .read_to_end(&mut bytes)
        .map_err(|e| cannot("read", path, e))?;
    Ok(Some(bytes))
}

/// Opens a regular file that the operator named; the name may be a link.
#[cfg(feature = "encryption")]
pub(crate) fn open_named(path: &Path) -> Result<File> {
    let resolved = path.canonicalize().map_err(|e| cannot("read", path, e))?;
    open(&resolved)?.ok_or_else(|| cannot("read", path, io::ErrorKind::NotFound.into()))
}

/// Reads an open file, up to `at_most` bytes: one more if the file is longer.
#[cfg(feature = "encryption")]
pub(crate) fn read_opened(file: File, path: &Path, at_most: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(at_most + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| cannot("read", path, e))?;
    Ok(bytes)
}

/// Opens an existing regular file to read and write it. Opening changes nothing in it.
pub(super) fn open_to_write(path: &Path) -> Result<File> {
    open_plain(path, OpenOptions::new().read(true).write(true))
}

/// Opens a lock file as it is, or creates an empty one of mode 0600. One that root creates gets the
/// owner of `like`, or of its folder, so that it does not lock out the bot's account. SQLite does the
/// same with a `-wal` that it creates beside a database.
///
/// # Errors
/// [`ForeignFile`](ErrorKind::ForeignFile) for anything but a regular file, and for a file with a
/// second name: writing would change that one too.
pub(crate) fn open_lock(path: &Path, like: &Path) -> Result<File> {
    if kind_of(path)?.is_none() {
        match try_create(path) {
            Ok(new) => {
                give_to_owner_of(&new, like);
                return Ok(new);
            }
            // Another process was quicker.
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(cannot("create", path, e)),
        }
    }
    let file = open_to_write(path)?;
    let data = file.metadata().map_err(|e| cannot("look at", path, e))?;
    refuse_second_name(path, &data)?;
    Ok(file)
}

/// Creates an empty file of mode 0600, to write and read.
///
/// # Errors
/// [`ForeignFile`](ErrorKind::ForeignFile) if anything exists there.
pub(crate) fn create(path: &Path) -> Result<File> {
    try_create(path).map_err(|e| match (e.kind(), kind_of(path)) {
        (io::ErrorKind::AlreadyExists, Ok(Some(kind))) => {
            let why = format!("cannot create {}: {kind} is there already", path.display());
            Error::new(ErrorKind::ForeignFile, why)
        }
        _ => cannot("create", path, e),
    })
}

/// Does the same, unless a regular file exists, which stays as it is. A file that root creates gets the
/// owner of the folder.
pub(crate) fn create_if_missing(path: &Path) -> Result<()> {
    if kind_of(path)?.is_some() {
        return refuse_other_than_plain(path);
    }
    match try_create(path) {
        Ok(new) => give_to_owner_of(&new, super::folder_of(path)),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
        Err(e) => return Err(cannot("create", path, e)),
    }
    refuse_other_than_plain(path)
}

/// Replaces a file by one with these bytes, synced when this returns. Writes under another name first,
/// so that nobody reads a part of it.
pub(crate) fn replace(path: &Path, bytes: &[u8], like: &Path) -> Result<()> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(".partial");
    let draft = PathBuf::from(draft);
    remove(&draft)?;
    let mut file = create(&draft)?;
    give_to_owner_of(&file, like);
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&draft, path))
        .map_err(|e| cannot("write", path, e))?;
    super::sync_folder(super::folder_of(path))
}

/// Removes what is at the path; a link itself, not its target. A folder is refused.
pub(crate) fn remove(path: &Path) -> Result<()> {
    match kind_of(path)? {
        None => return Ok(()),
        Some(Kind::Folder) => return Err(is_other(path, Kind::Folder, Kind::Plain)),
        Some(_) => {}
    }
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(cannot("remove", path, e)),
        _ => Ok(()),
    }
}

/// Removes what is at the path; a folder with its contents.
pub(crate) fn remove_all(path: &Path) -> Result<()> {
    match kind_of(path)? {
        Some(Kind::Folder) => fs::remove_dir_all(path).map_err(|e| cannot("clear", path, e)),
        _ => remove(path),
    }
}

/// Creates the folder with mode 0700, and the missing ones above it. A folder that root creates gets
/// the owner of `like`, or of the folder above. An existing folder may be a link to one.
pub(crate) fn create_folder(path: &Path, like: Option<&Path>) -> Result<()> {
    match fs::metadata(path) {
        Ok(data) if data.is_dir() => return refuse_strangers_link(path),
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(cannot("create", path, e)),
        // A dangling link is not given a target.
        Ok(_) => return no_folder(path),
        Err(_) if is_taken(path) => return no_folder(path),
        Err(_) => {}
    }
    if let Some(above) = path.parent().filter(|above| !above.as_os_str().is_empty()) {
        create_folder(above, like)?;
    }
    match make_folder(path, like) {
        // Another process was quicker.
        Err(_) if path.is_dir() => Ok(()),
        made => made.map_err(|e| cannot("create", path, e)),
    }
}

fn no_folder(path: &Path) -> Result<()> {
    let kind = kind_of(path)?.unwrap_or(Kind::Unknown);
    let what = match kind {
        Kind::Link => format!("{kind} that does not lead to a folder"),
        _ => kind.to_string(),
    };
    let why = format!("{} is {what}, but must be a folder", path.display());
    Err(Error::new(ErrorKind::Io, why))
}

/// Creates a folder with mode 0700. One that root creates gets the owner of `like`, or of the folder
/// above.
///
/// # Errors
/// [`Io`](ErrorKind::Io) if anything exists there.
pub(crate) fn create_new_folder(path: &Path, like: Option<&Path>) -> Result<()> {
    make_folder(path, like).map_err(|e| cannot("create", path, e))
}

/// Does the same, unless a folder exists; a link to one is refused.
pub(crate) fn create_own_folder(path: &Path, like: Option<&Path>) -> Result<()> {
    match kind_of(path)? {
        Some(Kind::Folder) => Ok(()),
        Some(other) => Err(is_other(path, other, Kind::Folder)),
        None => create_new_folder(path, like),
    }
}

fn make_folder(path: &Path, like: Option<&Path>) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)?;
    #[cfg(unix)]
    if is_root() {
        use rustix::fs::OFlags;
        let like = like.unwrap_or_else(|| super::folder_of(path));
        give_to_owner_of(
            &flagged(OFlags::DIRECTORY | OFlags::NOFOLLOW).open(path)?,
            like,
        );
    }
    #[cfg(not(unix))]
    let _ = like;
    Ok(())
}

/// Opens a folder, and nothing else, to sync it.
#[cfg(unix)]
pub(super) fn open_folder(path: &Path) -> io::Result<File> {
    flagged(rustix::fs::OFlags::DIRECTORY).open(path)
}

fn try_create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn open_plain(path: &Path, options: &mut OpenOptions) -> Result<File> {
    // Checked first, because opening a device may already have an effect.
    refuse_other_than_plain(path)?;
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        std::os::unix::fs::OpenOptionsExt::custom_flags(options, bits(flags));
    }
    let file = match options.open(path) {
        Ok(file) => file,
        Err(e) => {
            refuse_other_than_plain(path)?;
            return Err(cannot("open", path, e));
        }
    };
    // Checked again, because the path may have changed before it was opened.
    let data = file.metadata().map_err(|e| cannot("look at", path, e))?;
    match Kind::of(data.file_type()) {
        Kind::Plain => Ok(file),
        other => Err(is_other(path, other, Kind::Plain)),
    }
}

#[cfg(unix)]
fn flagged(flags: rustix::fs::OFlags) -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true);
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, bits(flags));
    options
}

#[cfg(unix)]
fn bits(flags: rustix::fs::OFlags) -> i32 {
    flags.bits() as i32
}

/// Makes the one error for a file or folder that the system does not let us use. If that is because of
/// its owner, the sentence says so.
pub(crate) fn cannot(what: &str, path: &Path, error: io::Error) -> Error {
    let whose = match error.kind() {
        io::ErrorKind::PermissionDenied => why_denied(path),
        _ => String::new(),
    };
    let failed = Error::io(format_args!("cannot {what} {}", path.display()), error);
    match whose.is_empty() {
        true => failed,
        false => failed.with_advice(whose),
    }
}
