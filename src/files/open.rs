//! The one way to open what lies in a folder, for all of this crate.
//!
//! Somebody else may be able to write into the folder: into that of the backups, which may be on
//! another's disk, and sometimes into the database's. So the name in a folder is never followed if it
//! is a link, only plain files are opened, nothing is emptied before it is ours, what is new is made
//! with `O_EXCL`, what is read is bounded, and nothing waits: a FIFO without a writer would hold its
//! reader for ever. Folders *above* may be links, which are their owner's own words.
//!
//! `openat` from a folder that is held open was turned down: SQLite opens by path, so somebody who
//! swaps a folder for another between two calls could still mislead it. What he gains is a new file
//! of ours in that other folder; nothing that was there before changes.

use super::kind::{Kind, is_other, is_taken, kind_of, refuse_other_than_plain, refuse_second_name};
#[cfg(unix)]
use super::owner::is_root;
use super::owner::{give_to_owner_of, refuse_strangers_link, who_may};
use crate::error::{Error, ErrorKind, Result};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

/// Opens a plain file to read it; `None` if nothing is there.
///
/// # Errors
/// [`ForeignFile`](ErrorKind::ForeignFile) for what is no plain file.
pub(crate) fn open(path: &Path) -> Result<Option<File>> {
    if kind_of(path)?.is_none() {
        return Ok(None);
    }
    match open_plain(path, OpenOptions::new().read(true)) {
        Err(error) if !is_taken(path) => {
            // It went just now.
            tracing::debug!(%error, "a file is gone");
            Ok(None)
        }
        opened => opened.map(Some),
    }
}

/// Reads a plain file, up to so many bytes; `None` if nothing is there. What is longer than it can be is
/// cut off, which whoever makes sense of it finds out.
///
/// # Errors
/// [`ForeignFile`](ErrorKind::ForeignFile) for what is no plain file.
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

/// Opens a plain file that the operator has named: that name may be a link.
#[cfg(feature = "encryption")]
pub(crate) fn open_named(path: &Path) -> Result<File> {
    let resolved = path.canonicalize().map_err(|e| cannot("read", path, e))?;
    open(&resolved)?.ok_or_else(|| cannot("read", path, io::ErrorKind::NotFound.into()))
}

/// Reads what has been opened, up to so many bytes: one more if there are more.
#[cfg(feature = "encryption")]
pub(crate) fn read_opened(file: File, path: &Path, at_most: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(at_most + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| cannot("read", path, e))?;
    Ok(bytes)
}

/// Opens a lock file as it is, or makes an empty one of mode 0600. One that root makes gets the owner
/// of `like`, so that it does not lock out the account that the bot runs as; SQLite does the same with
/// a `-wal` that it makes beside a database.
///
/// # Errors
/// [`ForeignFile`](ErrorKind::ForeignFile) for what is no plain file, or has another name too: what is
/// written into it would be written there.
pub(crate) fn open_lock(path: &Path, like: &Path) -> Result<File> {
    if kind_of(path)?.is_none() {
        match try_create(path) {
            Ok(new) => {
                give_to_owner_of(&new, like);
                return Ok(new);
            }
            // Somebody else was quicker.
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(cannot("create", path, e)),
        }
    }
    let file = open_plain(path, OpenOptions::new().read(true).write(true))?;
    let data = file.metadata().map_err(|e| cannot("look at", path, e))?;
    refuse_second_name(path, &data)?;
    Ok(file)
}

/// A new, empty file of mode 0600, to write and read.
///
/// # Errors
/// [`ForeignFile`](ErrorKind::ForeignFile) if anything is there.
pub(crate) fn create(path: &Path) -> Result<File> {
    try_create(path).map_err(|e| match (e.kind(), kind_of(path)) {
        (io::ErrorKind::AlreadyExists, Ok(Some(kind))) => {
            let why = format!("cannot create {}: {kind} is there already", path.display());
            Error::new(ErrorKind::ForeignFile, why)
        }
        _ => cannot("create", path, e),
    })
}

/// The same, unless a plain file is there, which stays as it is.
pub(crate) fn create_if_missing(path: &Path) -> Result<()> {
    if kind_of(path)?.is_some() {
        return refuse_other_than_plain(path);
    }
    match try_create(path) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(cannot("create", path, e)),
        _ => refuse_other_than_plain(path),
    }
}

/// Puts a file with these bytes in the place of what is there, on the disk when this returns. Under a
/// name of its own first, so that nobody ever reads a part of it.
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

/// Removes what is at the path, and not what it leads to. A folder is refused.
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

/// Removes what is at the path, with what is in it if it is a folder.
pub(crate) fn remove_all(path: &Path) -> Result<()> {
    match kind_of(path)? {
        Some(Kind::Folder) => fs::remove_dir_all(path).map_err(|e| cannot("clear", path, e)),
        _ => remove(path),
    }
}

/// Creates the folder with mode 0700, and those above it, if they are missing. What root makes gets
/// the owner of `like`. The folder may be a link to one.
pub(crate) fn create_folder(path: &Path, like: Option<&Path>) -> Result<()> {
    match fs::metadata(path) {
        Ok(data) if data.is_dir() => return refuse_strangers_link(path),
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(cannot("create", path, e)),
        // A link that leads nowhere is not made to lead somewhere.
        Ok(_) => return no_folder(path),
        Err(_) if is_taken(path) => return no_folder(path),
        Err(_) => {}
    }
    if let Some(above) = path.parent().filter(|above| !above.as_os_str().is_empty()) {
        create_folder(above, like)?;
    }
    match make_folder(path, like) {
        // Somebody else was quicker.
        Err(_) if path.is_dir() => Ok(()),
        made => made.map_err(|e| cannot("create", path, e)),
    }
}

fn no_folder(path: &Path) -> Result<()> {
    let kind = kind_of(path)?.unwrap_or(Kind::Unknown);
    let what = match kind {
        Kind::Link => format!("{kind} that leads to no folder"),
        _ => kind.to_string(),
    };
    let why = format!("{} is {what}, and has to be a folder", path.display());
    Err(Error::new(ErrorKind::Io, why))
}

/// A new folder with mode 0700. What root makes gets the owner of `like`.
///
/// # Errors
/// [`Io`](ErrorKind::Io) if anything is there.
pub(crate) fn create_new_folder(path: &Path, like: Option<&Path>) -> Result<()> {
    make_folder(path, like).map_err(|e| cannot("create", path, e))
}

/// The same, unless a folder is there, and not a link to one.
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
    if let (Some(like), true) = (like, is_root()) {
        use rustix::fs::OFlags;
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
    // To open a device may already do something.
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
    // What was looked at before need not be what was opened.
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

/// What the system said when this was done to what is at the path. Of who may not do it, the error says
/// who could.
pub(crate) fn cannot(what: &str, path: &Path, error: io::Error) -> Error {
    let forbidden = error.kind() == io::ErrorKind::PermissionDenied;
    let error = Error::io(format_args!("cannot {what} {}", path.display()), error);
    match forbidden {
        true => error.with_advice(who_may(path)),
        false => error,
    }
}
