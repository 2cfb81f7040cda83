//! What file servers, desktops and file systems put into every folder, and that is nobody's data.

use std::ffi::OsStr;

/// Whole names. Those with capitals are written in several ways.
const NAMES: [&str; 17] = [
    // macOS.
    ".ds_store",
    ".localized",
    ".apdisk",
    ".fseventsd",
    ".spotlight-v100",
    ".temporaryitems",
    ".trashes",
    "icon\r",
    // KDE.
    ".directory",
    // Windows.
    "thumbs.db",
    "ehthumbs.db",
    "desktop.ini",
    // Synology and QNAP.
    "@eadir",
    "@synoeastream",
    "@synoresource",
    ".@__thumb",
    // ext2 to ext4: what a check of the file system has found.
    "lost+found",
];

/// How names begin: the other half of a file on a disk that knows no forks (macOS), a file that was
/// removed while somebody had it open (NFS, FUSE), somebody's lock on a document (LibreOffice), a wastebasket
/// (freedesktop.org).
const BEGINNINGS: [&str; 5] = ["._", ".nfs", ".fuse_hidden", ".~lock", ".trash-"];

/// Whether what has this name in a folder of ours may be passed over, and goes with the folder.
pub(crate) fn is_nobodys(name: &OsStr) -> bool {
    // What is no UTF-8 is none of these.
    let name = name.to_string_lossy().to_ascii_lowercase();
    NAMES.contains(&name.as_str()) || BEGINNINGS.iter().any(|begins| name.starts_with(begins))
}
