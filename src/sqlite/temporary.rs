//! Where SQLite keeps what is too large for its cache while one statement runs: the rows that an index is
//! made of while they are sorted, and the pages that a statement has changed, should it fail.
//!
//! A store keeps them in memory: its statements are small, and a disk of temporary files that is full or
//! not there must not fail one. What brings a file up to date touches all of its rows. Three quarters of
//! the file's size were in memory then, and a bot on a small machine could not open its own history.
//!
//! In files always was turned down for the same reason; so was `temp_store_directory`, with which they
//! could be beside the database: it is one for the whole process, and the host's.

use super::look::size;
use crate::error::Result;
use crate::files;
use rusqlite::Connection;
use std::path::{Path, PathBuf};

/// Has SQLite keep it in temporary files, which have no name and are their owner's alone. In memory after
/// all, if there is no folder for them with enough room.
pub(crate) fn use_temporary_files(conn: &Connection, database: &Path) -> Result<()> {
    // The largest index is sorted twice over.
    let needed = size(database) / 2;
    if !cfg!(unix) || has_room(folder().as_deref(), needed) {
        return Ok(conn.pragma_update(None, "temp_store", "FILE")?);
    }
    // In so many megabytes it does not matter, and no one need be told.
    const MATTERS: u64 = 64 << 20;
    if needed >= MATTERS {
        tracing::info!(
            needed,
            "no folder for temporary files has this many bytes free (SQLITE_TMPDIR names one): if the \
             file has steps to go, they take memory instead"
        );
    }
    Ok(())
}

/// Has SQLite keep it in memory. What is temporary in this connection, such as triggers, is gone then.
pub(crate) fn use_memory(conn: &Connection) -> Result<()> {
    Ok(conn.pragma_update(None, "temp_store", "MEMORY")?)
}

fn has_room(folder: Option<&Path>, needed: u64) -> bool {
    folder.is_some_and(|folder| files::free_bytes(folder).is_ok_and(|free| free > needed))
}

/// The folder that SQLite takes: <https://sqlite.org/tempfiles.html>, 5.
fn folder() -> Option<PathBuf> {
    let named = ["SQLITE_TMPDIR", "TMPDIR"]
        .into_iter()
        .filter_map(std::env::var_os);
    let usual = ["/var/tmp", "/usr/tmp", "/tmp", "."];
    first(named.map(PathBuf::from).chain(usual.map(PathBuf::from)))
}

/// The first in which a file can be made.
fn first(mut folders: impl Iterator<Item = PathBuf>) -> Option<PathBuf> {
    folders.find(|folder| folder.is_dir() && files::may_make_files_in(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn temporary_files_need_a_folder_with_room() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let there = folder.path().to_owned();
        let found = |folders: &[&PathBuf]| first(folders.iter().map(|&folder| folder.clone()));
        assert_eq!(
            found(&[&file, &there.join("none"), &there]),
            Some(there.clone())
        );
        assert_eq!(found(&[&file, &there.join("none")]), None);
        assert!(has_room(Some(&there), 0));
        assert!(!has_room(Some(&there), u64::MAX));
        assert!(!has_room(None, 0));
    }
}
