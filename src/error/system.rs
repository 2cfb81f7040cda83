//! What the operating system's errors mean to a caller. This one table serves the files that this crate opens and
//! those that SQLite opens.
//!
//! SQLite distinguishes a full disk (ENOSPC) from other failures and calls nearly all others an I/O error, so the
//! error number is read as well. It is this thread's `errno`; `sqlite3_system_errno` is the same number, saved
//! when the call returned. That function takes a raw connection, which is `unsafe`; [`io::Error::last_os_error`]
//! is safe, and the conversion of SQLite's error calls it before anything else. Turned down: SQLite's error log,
//! which is one for the whole process and does not report a failed write; and writing a test file beside the
//! database, since a quota may let a small file pass.

use super::ErrorKind;
use std::io;

/// The meaning of a failure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Meaning {
    pub(super) kind: ErrorKind,
    /// What to do about it; empty if there is no advice.
    pub(super) advice: &'static str,
}

impl Meaning {
    pub(super) const fn new(kind: ErrorKind, advice: &'static str) -> Self {
        Self { kind, advice }
    }
}

/// The table.
pub(super) fn meaning(error: &io::Error) -> Meaning {
    use io::ErrorKind as Io;
    let (kind, advice) = match error.kind() {
        Io::StorageFull => (ErrorKind::DiskFull, "make room and try again"),
        Io::QuotaExceeded => (
            ErrorKind::DiskFull,
            "the quota is used up, though the disk may have room: make room within it, or have it \
             raised, and try again",
        ),
        Io::FileTooLarge => (
            ErrorKind::DiskFull,
            "the file may not get any larger: raise the limit of the process (`ulimit -f`, \
             LimitFSIZE=), or move the file to a file system that takes larger ones",
        ),
        Io::ReadOnlyFilesystem => (
            ErrorKind::ReadOnly,
            "the disk is mounted read-only: remount it writable. If nobody mounted it read-only, Linux \
             did so after an error: check the system's log",
        ),
        Io::PermissionDenied => (
            ErrorKind::ReadOnly,
            "check the owner and mode of the file and of its folder, and the account that this program \
             runs as",
        ),
        Io::NotFound => (
            ErrorKind::Io,
            "check the path: it, or a folder above it, does not exist",
        ),
        Io::NotADirectory => (
            ErrorKind::Io,
            "check the path: a part of it that should be a folder is not one",
        ),
        Io::IsADirectory => (ErrorKind::Io, "name a file: there is a folder at the path"),
        Io::AlreadyExists => (ErrorKind::Io, "check what is there, or choose another name"),
        Io::InvalidFilename => (
            ErrorKind::Io,
            "choose a shorter path: the names of the files beside it have to fit as well",
        ),
        Io::StaleNetworkFileHandle => (
            ErrorKind::Io,
            "the share was mounted or exported anew: restart the program",
        ),
        Io::ResourceBusy => (
            ErrorKind::Io,
            "something else uses it: if it is a mount point, unmount it or choose another path",
        ),
        Io::CrossesDevices => (ErrorKind::Io, "keep both places on one disk"),
        Io::OutOfMemory => (ErrorKind::Io, OUT_OF_MEMORY),
        Io::TimedOut | Io::HostUnreachable | Io::NotConnected | Io::NetworkUnreachable => {
            (ErrorKind::Io, "check whether the share answers")
        }
        _ => unnamed(error),
    };
    Meaning::new(kind, advice)
}

pub(super) const OUT_OF_MEMORY: &str = "the system is out of memory";

/// The meaning of errors that the standard library does not name.
#[cfg(unix)]
fn unnamed(error: &io::Error) -> (ErrorKind, &'static str) {
    use rustix::io::Errno;
    let Some(errno) = Errno::from_io_error(error) else {
        return (ErrorKind::Io, "");
    };
    match errno {
        Errno::MFILE => (
            ErrorKind::TooManyFiles,
            "this process has as many files open as it may: raise its limit (`ulimit -n`, \
             LimitNOFILE=), or find out which part of it leaves files open",
        ),
        Errno::NFILE => (
            ErrorKind::TooManyFiles,
            "all processes together have as many files open as the system takes: find the one that \
             leaves files open, or raise fs.file-max",
        ),
        Errno::LOOP => (
            ErrorKind::Io,
            "check the path: a link in it leads in a circle, or there is a link where none is \
             followed",
        ),
        Errno::IO | Errno::NXIO | Errno::NODEV => (
            ErrorKind::Io,
            "the disk fails: check the system's log, and save the data on it",
        ),
        Errno::NOLCK | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL => (
            ErrorKind::Io,
            "the file system lacks what the store needs: keep the file on a disk of this machine",
        ),
        _ => (ErrorKind::Io, ""),
    }
}

#[cfg(not(unix))]
fn unnamed(_: &io::Error) -> (ErrorKind, &'static str) {
    (ErrorKind::Io, "")
}
