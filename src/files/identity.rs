//! Which file is at a path. Uses `stat` alone: see [`Stamp`](super::Stamp).

use std::fs::{File, Metadata};
use std::io;
use std::path::Path;

/// The disk, and the number of a file on it. Another file may later take the same name, and one file
/// may have several names. On a system that does not tell files apart, all are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileId {
    disk: u64,
    number: u64,
    /// When the file was created, in nanoseconds; 0 if the file system does not know. Distinguishes
    /// files that reuse a number.
    born: u64,
}

impl FileId {
    #[cfg(unix)]
    pub(super) fn of(data: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        Self {
            disk: data.dev(),
            number: data.ino(),
            born: born(data),
        }
    }

    #[cfg(not(unix))]
    pub(super) fn of(_: &Metadata) -> Self {
        Self {
            disk: 0,
            number: 0,
            born: 0,
        }
    }

    /// A mark to recognise the file by later, from its number and its creation time. Without the disk's
    /// number, which may change when the machine restarts.
    pub(crate) fn mark(self) -> u64 {
        self.number ^ self.born.rotate_left(24)
    }
}

#[cfg(unix)]
fn born(data: &Metadata) -> u64 {
    let born = data.created().ok();
    let born = born.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    born.map_or(0, |born| born.as_nanos() as u64)
}

/// What lies at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AtPath {
    Nothing,
    /// A file, or anything else of that name; a link counts as itself.
    File {
        id: FileId,
        /// How many hard links it has.
        names: u64,
        bytes: u64,
    },
    /// The system does not answer, as with a share that hangs. Nothing follows from that.
    Unknown,
}

/// Returns what is at the path.
pub(crate) fn at_path(path: &Path) -> AtPath {
    from(std::fs::symlink_metadata(path))
}

/// Returns what is at the path after following links.
pub(crate) fn led_to(path: &Path) -> AtPath {
    from(std::fs::metadata(path))
}

/// Returns the identity of an open file, if the system knows it.
pub(crate) fn id_of(file: &File) -> Option<FileId> {
    file.metadata().ok().map(|data| FileId::of(&data))
}

fn from(data: io::Result<Metadata>) -> AtPath {
    match data {
        Ok(data) => AtPath::File {
            id: FileId::of(&data),
            names: names(&data),
            bytes: data.len(),
        },
        Err(e) => match e.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => AtPath::Nothing,
            _ => AtPath::Unknown,
        },
    }
}

#[cfg(unix)]
fn names(data: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::nlink(data)
}

#[cfg(not(unix))]
fn names(_: &Metadata) -> u64 {
    1
}
