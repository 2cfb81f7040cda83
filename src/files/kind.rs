//! What lies at a path, without opening it.

use super::open::cannot;
use crate::error::{Error, ErrorKind, Result};
use std::fmt;
use std::fs::{self, FileType, Metadata};
use std::io;
use std::path::Path;

/// What lies at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Plain,
    Folder,
    Link,
    Fifo,
    Socket,
    Device,
    Unknown,
}

impl Kind {
    pub(super) fn of(kind: FileType) -> Self {
        #[cfg(unix)]
        {
            use std::os::unix::fs::FileTypeExt;
            if kind.is_fifo() {
                return Self::Fifo;
            }
            if kind.is_socket() {
                return Self::Socket;
            }
            if kind.is_block_device() || kind.is_char_device() {
                return Self::Device;
            }
        }
        match kind {
            kind if kind.is_symlink() => Self::Link,
            kind if kind.is_dir() => Self::Folder,
            kind if kind.is_file() => Self::Plain,
            _ => Self::Unknown,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "a plain file",
            Self::Folder => "a folder",
            Self::Link => "a link",
            Self::Fifo => "a FIFO",
            Self::Socket => "a socket",
            Self::Device => "a device",
            Self::Unknown => "neither a file nor a folder",
        })
    }
}

/// Returns what is at the path, without following a link; `None` if nothing is.
pub(crate) fn kind_of(path: &Path) -> Result<Option<Kind>> {
    match fs::symlink_metadata(path) {
        Ok(data) => Ok(Some(Kind::of(data.file_type()))),
        // Nothing is below a path that is not a folder.
        Err(e)
            if matches!(
                e.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(None)
        }
        Err(e) => Err(cannot("look at", path, e)),
    }
}

/// Whether anything is at the path, including a dangling link. A path that cannot be examined counts as
/// taken.
pub(crate) fn is_taken(path: &Path) -> bool {
    !matches!(kind_of(path), Ok(None))
}

/// Refuses anything but a regular file or nothing.
pub(crate) fn refuse_other_than_plain(path: &Path) -> Result<()> {
    match kind_of(path)? {
        None | Some(Kind::Plain) => Ok(()),
        Some(other) => Err(is_other(path, other, Kind::Plain)),
    }
}

/// Does the same, and also refuses a file with a second name. For files that SQLite overwrites whatever
/// they contain.
pub(crate) fn refuse_other_than_own(path: &Path) -> Result<()> {
    refuse_other_than_plain(path)?;
    match fs::symlink_metadata(path) {
        Ok(data) => refuse_second_name(path, &data),
        Err(_) => Ok(()),
    }
}

pub(super) fn refuse_second_name(path: &Path, data: &Metadata) -> Result<()> {
    #[cfg(unix)]
    if std::os::unix::fs::MetadataExt::nlink(data) > 1 {
        let why = format!(
            "{} has another name too (a hard link), so a write to one would change the other",
            path.display()
        );
        return Err(Error::new(ErrorKind::ForeignFile, why));
    }
    #[cfg(not(unix))]
    let _ = (path, data);
    Ok(())
}

pub(super) fn is_other(path: &Path, is: Kind, should_be: Kind) -> Error {
    let why = format!("{} is {is}, but must be {should_be}", path.display());
    Error::new(ErrorKind::ForeignFile, why)
}
