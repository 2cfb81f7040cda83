//! The database of a command, and where its backups are.

use crate::keys::{Sealing, Signing};
use crate::progress::is_stopped;
use botstore::backup::Backups;
use botstore::{Config, Error, Result, schema};
use clap::Args;
use clap::builder::{PathBufValueParser, TypedValueParser};
use std::path::{Path, PathBuf};
use std::{fs, io};

/// A database file.
#[derive(Args)]
pub(crate) struct File {
    /// The database
    #[arg(value_name = "FILE", value_parser = named())]
    pub(crate) path: PathBuf,
    /// The folder of its backups [default: FILE.backups]
    #[arg(long, value_name = "FOLDER", value_parser = named())]
    backups: Option<PathBuf>,
    #[command(flatten)]
    signing: Signing,
}

impl File {
    pub(crate) fn config(&self) -> Result<Config> {
        let settings = self.signing.settings(self.settings())?;
        Ok(config(&self.path).backups(settings))
    }

    /// The configuration for a command that makes a backup of it.
    pub(crate) fn config_to_back_up(&self, sealing: &Sealing) -> Result<Config> {
        let settings = sealing.settings(self.signing.settings(self.settings())?);
        Ok(config(&self.path).backups(settings))
    }

    /// Returns the folder of its backups.
    pub(crate) fn folder(&self) -> Result<PathBuf> {
        Ok(self.settings().folder_of(&existing(&self.path)?))
    }

    fn settings(&self) -> Backups {
        let settings = Backups::default();
        match &self.backups {
            Some(folder) => settings.folder(folder),
            None => settings,
        }
    }
}

/// Gives a file that root has just created to the owner of the folder; beside the database, to the
/// owner of the database, as the library does.
pub(crate) fn give_away(new: &fs::File, folder: &Path, database: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt as _, fchown};
        let database = database.canonicalize()?;
        let is_beside = folder.canonicalize()?.as_path() == database.parent().unwrap_or(folder);
        let like = fs::metadata(if is_beside { &database } else { folder })?;
        if new.metadata()?.uid() == 0 && like.uid() != 0 {
            fchown(new, Some(like.uid()), Some(like.gid()))?;
        }
    }
    #[cfg(not(unix))]
    let _ = (new, folder, database);
    Ok(())
}

/// The configuration with which every command opens a file: work ends when a signal has come.
pub(crate) fn config(path: &Path) -> Config {
    Config::new(path).stop_when(is_stopped)
}

/// Parses a database name as in a bot's settings: a path, perhaps with `sqlite:///` in front.
pub(crate) fn named() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(|name| Config::new(name).path())
}

/// Returns an existing path, without links and dots.
pub(crate) fn existing(path: &Path) -> Result<PathBuf> {
    let mut found = path.canonicalize();
    if found.is_err() {
        // A restore may just be putting another file in its place, or have done so since. Or the folder
        // may not be accessible, or the file may be gone while its WAL exists. `plan` finds out which.
        schema::plan(path)?;
        found = path.canonicalize();
    }
    found.map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => {
            Error::not_found("path", format_args!("file or folder {}", path.display()))
        }
        _ => Error::io(format_args!("cannot look at {}", path.display()), e),
    })
}
