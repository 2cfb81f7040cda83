//! Where SQLite keeps data that is too large for its cache while one statement runs: the rows of a new
//! index while they are sorted, and the pages that a statement has changed, in case it fails.
//!
//! A store keeps them in memory: its statements are small, and must not fail because the disk of
//! temporary files is full or missing. Bringing a file up to date touches all of its rows. In memory
//! that took three quarters of the file's size, and a bot on a small machine could not open its own
//! history. So files are used then.
//!
//! Always using files was turned down for the first of these reasons. So was `temp_store_directory`,
//! which could put them beside the database: it applies to the whole process, and belongs to the host.

use super::look::size;
use crate::error::Result;
use crate::files;
use rusqlite::Connection;
use std::path::{Path, PathBuf};

/// Lets SQLite use temporary files, which have no name and which only their owner can read. Uses memory
/// instead if no folder for them has enough room.
pub(crate) fn use_temporary_files(conn: &Connection, database: &Path) -> Result<()> {
    // The largest index is sorted twice over.
    let needed = size(database) / 2;
    if !cfg!(unix) || has_room(folder().as_deref(), needed) {
        return Ok(conn.pragma_update(None, "temp_store", "FILE")?);
    }
    // Below this size memory does not matter, and no warning is needed.
    const MATTERS: u64 = 64 << 20;
    if needed >= MATTERS {
        tracing::info!(
            needed,
            "no folder for temporary files has this many bytes free (SQLITE_TMPDIR names one): if the \
             file has pending steps, they use memory instead"
        );
    }
    Ok(())
}

/// Makes SQLite use memory. This drops the connection's temporary objects, such as triggers.
pub(crate) fn use_memory(conn: &Connection) -> Result<()> {
    Ok(conn.pragma_update(None, "temp_store", "MEMORY")?)
}

fn has_room(folder: Option<&Path>, needed: u64) -> bool {
    folder.is_some_and(|folder| files::free_bytes(folder).is_ok_and(|free| free > needed))
}

/// Returns the folder that SQLite uses: <https://sqlite.org/tempfiles.html>, 5.
fn folder() -> Option<PathBuf> {
    let named = ["SQLITE_TMPDIR", "TMPDIR"]
        .into_iter()
        .filter_map(std::env::var_os);
    let usual = ["/var/tmp", "/usr/tmp", "/tmp", "."];
    first(named.map(PathBuf::from).chain(usual.map(PathBuf::from)))
}

/// Returns the first folder in which a file can be created.
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
