//! The names of a database and of the files beside it.

use super::orphans::refuse_orphans;
use crate::error::{Error, ErrorKind, Result};
use crate::files::{self, Kind};
use std::path::{Path, PathBuf};

/// The suffix of the note of a restore under way.
pub(crate) const RESTORING: &str = ".restoring";

/// The suffix of the folder of a database's backups, unless the settings name another.
pub(crate) const BACKUPS: &str = ".backups";

/// The suffixes of the files that are one database: itself, its WAL, the WAL's index, and the rollback
/// journal of a change from before there was a WAL.
pub(crate) const FILES: [&str; 4] = ["", "-wal", "-shm", "-journal"];

/// More links in a row than anybody uses.
const MAX_LINKS: u32 = 40;

/// Returns the path with `suffix` after its last component, as SQLite names the files beside a
/// database.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Creates the folder if it is missing, and returns the file's path without links and dots, so that two
/// names of one file share one lock.
///
/// The file's own name may be a link, even to a file that does not exist yet: an operator makes one to
/// put the file on another disk before the bot first starts. A link made by another account is refused:
/// see [`files::refuse_strangers_link`].
pub(crate) fn resolve(path: &Path) -> Result<PathBuf> {
    let path = follow(path)?;
    let name = path.file_name().unwrap_or_default();
    let folder = files::folder_of(&path);
    files::create_folder(folder, None)?;
    let folder = folder
        .canonicalize()
        .map_err(|e| files::cannot("find", folder, e))?;
    Ok(folder.join(name))
}

/// Returns the path that the file's own name leads to, if it is a link. Creates nothing.
fn follow(path: &Path) -> Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        if path.file_name().is_none() {
            let why = format!("must name a file, which {} does not", path.display());
            return Err(Error::invalid("path", &why));
        }
        let folder = files::folder_of(&path);
        match files::kind_of(&path)? {
            None | Some(Kind::Plain) => return Ok(path),
            Some(Kind::Link) => {
                files::refuse_strangers_link(&path)?;
                let target = path
                    .read_link()
                    .map_err(|e| files::cannot("read", &path, e))?;
                path = folder.join(target);
            }
            Some(Kind::Folder) => {
                return Err(Error::new(
                    ErrorKind::ForeignFile,
                    format!(
                        "{} is a folder, but must be a file: name a file in it",
                        path.display()
                    ),
                ));
            }
            Some(_) => files::refuse_other_than_plain(&path)?,
        }
    }
    let why = format!("{} is a link in a circle", path.display());
    let advice = "check the path: a link in it leads in a circle";
    Err(Error::new(ErrorKind::Io, why).with_advice(advice))
}

/// Refuses a database if a file beside it, with one of SQLite's names, is no regular file or has a
/// second name. SQLite would wait for a FIFO, and write into the second name too.
///
/// Called before SQLite opens the database. A file put there in between is not noticed; SQLite itself
/// follows no links there (`O_NOFOLLOW`).
pub(super) fn refuse_what_is_no_file(database: &Path) -> Result<()> {
    files::refuse_other_than_plain(database)?;
    FILES[1..]
        .iter()
        .try_for_each(|suffix| files::refuse_other_than_own(&beside(database, suffix)))
}

/// What to do with a database beside which no file can be created.
pub(super) const COPY_BOTH: &str =
    "copy the file and its -wal to a folder of your own, and open it there";

/// Explains SQLite's error for a database that this process may not open or write, and says who owns
/// it. SQLite itself only says "unable to open database file", whichever file it means, even one that
/// it cannot create beside the database.
pub(super) fn explain_denied(database: &Path, error: Error) -> Error {
    let cannot_open = error.is_cannot_open();
    let is_read_only = error.kind() == ErrorKind::ReadOnly && error.is_of_the_disk();
    let whose = match is_read_only || cannot_open {
        true => why_denied(database),
        false => String::new(),
    };
    if whose.is_empty() {
        return error;
    }
    let advice = match cannot_open && files::may_read(database) {
        true => {
            format!("{COPY_BOTH}; or: {whose}")
        }
        false => whose,
    };
    let why = format!("cannot use {}", database.display());
    Error::new(ErrorKind::ReadOnly, why).with_advice(advice)
}

/// The error for an open database that SQLite will not write.
pub(super) fn cannot_be_written(database: &Path) -> Error {
    let advice = match why_denied(database) {
        whose if whose.is_empty() => "check its owner and mode".to_owned(),
        whose => whose,
    };
    let why = format!("{} cannot be written", database.display());
    Error::new(ErrorKind::ReadOnly, why).with_advice(advice)
}

/// Says who owns the first of a database's files, or its folder, that this process may not change;
/// empty if there is none.
fn why_denied(database: &Path) -> String {
    let there = |file: &PathBuf| file.symlink_metadata().is_ok();
    let files = FILES.iter().map(|suffix| beside(database, suffix));
    // For a missing file the folder counts.
    let mut reasons = files
        .enumerate()
        .filter(|(at, file)| *at == 0 || there(file))
        .map(|(_, file)| files::why_denied(&file));
    reasons.find(|why| !why.is_empty()).unwrap_or_default()
}

/// Returns those of the database, its WAL and its lock that accounts other than their owner can read or
/// write. Files that this crate creates have mode 0600; an existing file keeps its mode.
pub(crate) fn open_to_others(database: &Path) -> Vec<PathBuf> {
    ["", "-wal", ".lock"]
        .iter()
        .map(|suffix| beside(database, suffix))
        .filter(|file| files::is_open_to_others(file))
        .collect()
}

/// Returns the path, as [`resolve`] does, of a file that must exist. It must not be empty if a file
/// beside it shows that it had content: see [`refuse_orphans`].
pub(crate) fn existing(path: &Path) -> Result<PathBuf> {
    // During a restore, or after one that was cut short, the file may be missing; opening it finishes
    // the restore first.
    let restoring = || files::is_taken(&beside(path, RESTORING));
    if !restoring() {
        refuse_orphans(&follow(path)?)?;
    }
    if !is_there(path)? && !restoring() && !is_there(path)? {
        return Err(Error::not_found(
            "path",
            format_args!("file {}", path.display()),
        ));
    }
    resolve(path)
}

/// Whether the file exists. Fails if the system does not let this process look.
fn is_there(path: &Path) -> Result<bool> {
    path.try_exists()
        .map_err(|e| files::cannot("look at", path, e))
}

/// Whether the file is missing, and not only for the moment in which a restore replaces it.
///
/// # Errors
/// [`Busy`](ErrorKind::Busy) in that moment.
pub(crate) fn is_missing(path: &Path) -> Result<bool> {
    if is_there(path)? {
        return Ok(false);
    }
    refuse_unsettled(path)?;
    refuse_orphans(&follow(path)?)?;
    // The restore may have ended just before.
    Ok(!is_there(path)?)
}

/// Refuses to read a file whose restore is under way: it may be neither the old nor the new one. A
/// program that takes the file's lock finishes such a restore; one that only reads must not.
pub(crate) fn refuse_unsettled(path: &Path) -> Result<()> {
    if files::kind_of(&beside(path, RESTORING))?.is_none() {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Busy,
        format!(
            "a restore of {} is running or was interrupted: wait until it is done, or, if it was \
             interrupted, open the file with the bot or run `botstore migrate` on it; both finish the \
             restore, or undo it if it cannot be finished",
            path.display()
        ),
    ))
}
