//! Files that file servers, desktops and file systems put into every folder, and that are nobody's
//! data.

use std::ffi::OsStr;

/// Whole names in lower case: systems differ in their capitals.
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
    // ext2 to ext4: the finds of a file system check.
    "lost+found",
];

/// Beginnings of names: the resource fork of a file on a disk without forks (macOS), a file that was
/// removed while it was open (NFS, FUSE), a lock on a document (LibreOffice), a wastebasket
/// (freedesktop.org).
const BEGINNINGS: [&str; 5] = ["._", ".nfs", ".fuse_hidden", ".~lock", ".trash-"];

/// Whether a file of this name in one of our folders can be ignored, and removed with the folder.
pub(crate) fn is_nobodys(name: &OsStr) -> bool {
    // A name that is not UTF-8 is none of these.
    let name = name.to_string_lossy().to_ascii_lowercase();
    NAMES.contains(&name.as_str()) || BEGINNINGS.iter().any(|begins| name.starts_with(begins))
}
