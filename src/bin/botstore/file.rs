//! The database that a command is about, and where its backups are.

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

    /// For a command that makes a backup of it.
    pub(crate) fn config_to_back_up(&self, sealing: &Sealing) -> Result<Config> {
        let settings = sealing.settings(self.signing.settings(self.settings())?);
        Ok(config(&self.path).backups(settings))
    }

    /// The folder of its backups.
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

/// Gives a file that root has just made to the account that the folder is of; and beside the database to that
/// of the database, as the library does with all that it makes there.
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

/// How every command opens a file: it ends when it is asked to stop.
pub(crate) fn config(path: &Path) -> Config {
    Config::new(path).stop_when(is_stopped)
}

/// What a bot's settings may name its database by: a path, or `sqlite:///` in front of one.
pub(crate) fn named() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(|name| Config::new(name).path())
}

/// A path that has to be there, without links and dots.
pub(crate) fn existing(path: &Path) -> Result<PathBuf> {
    let mut found = path.canonicalize();
    if found.is_err() {
        // A restore is just putting another file in its place, or has done so since; or the folder may not
        // be looked into; or the file is gone, and its WAL is there.
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
