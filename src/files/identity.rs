//! Which file lies at a path. By `stat` alone: see [`Stamp`](super::Stamp).

use std::fs::{File, Metadata};
use std::io;
use std::path::Path;

/// The disk and the number of a file on it. Another file may take the same name, and one file may have
/// several. Where the system does not tell files apart, all of them are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileId {
    disk: u64,
    number: u64,
    /// When it was made, in nanoseconds; 0 where the file system does not tell. A number is used again.
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

    /// What to know it by later: its number on its disk, and when it was made. The disk's own number may be
    /// another after the machine has started again.
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
    /// A file, or whatever else has the name; a link counts as itself.
    File {
        id: FileId,
        /// How many names it has.
        names: u64,
        bytes: u64,
    },
    /// The system does not say, as with a share that does not answer: nothing follows from that.
    Unknown,
}

/// What lies at the path.
pub(crate) fn at_path(path: &Path) -> AtPath {
    from(std::fs::symlink_metadata(path))
}

/// What the path leads to, if links are followed.
pub(crate) fn led_to(path: &Path) -> AtPath {
    from(std::fs::metadata(path))
}

/// Which file an open one is, if the system says so.
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
