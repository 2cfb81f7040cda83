//! The names of a database and of what lies beside it.

use crate::error::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};

/// What the note of a restore under way has after the file's name.
pub(crate) const RESTORING: &str = ".restoring";

/// The path with `suffix` after its last component: SQLite's way to name the files beside a file.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Creates the folder if it is missing, and gives the file's path without links and dots, so that
/// two names of one file meet in one lock.
pub(crate) fn resolve(path: &Path) -> Result<PathBuf> {
    let name = path.file_name().ok_or_else(|| {
        Error::invalid(
            "path",
            &format!("must name a file, which {} does not", path.display()),
        )
    })?;
    if path.is_dir() {
        return Err(Error::new(
            ErrorKind::ForeignFile,
            format!(
                "{} is a folder; name the file to keep in it",
                path.display()
            ),
        ));
    }
    match (path.canonicalize(), path.read_link()) {
        (Ok(resolved), _) => return Ok(resolved),
        // A link to a file that is not there yet, or not at this moment, names that file. (Links
        // that lead in a circle fail otherwise.)
        (Err(e), Ok(target)) if e.kind() == std::io::ErrorKind::NotFound => {
            return resolve(&path.parent().unwrap_or(Path::new("")).join(target));
        }
        _ => {}
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    std::fs::create_dir_all(folder)
        .and_then(|()| folder.canonicalize())
        .map(|folder| folder.join(name))
        .map_err(|e| Error::io(format_args!("cannot create {}", folder.display()), e))
}

/// The path, as [`resolve`] gives it, of a file that has to be there.
pub(crate) fn existing(path: &Path) -> Result<PathBuf> {
    // In the middle of a restore that was cut short there may be none, and whoever opens it finishes
    // that first.
    if !path.exists() && !beside(path, RESTORING).exists() {
        return Err(Error::not_found(
            "path",
            format_args!("file {}", path.display()),
        ));
    }
    resolve(path)
}

/// Refuses to look at a file whose restore is under way: what is there may be neither the old one
/// nor the new one. Whoever takes the file's lock finishes such a restore; who only looks must not.
pub(crate) fn refuse_unsettled(path: &Path) -> Result<()> {
    if !beside(path, RESTORING).exists() {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Busy,
        format!(
            "a restore of {} is under way or was cut short: run it again, or open the file with the \
             bot, which finishes it",
            path.display()
        ),
    ))
}
