//! The database that a command is about, and where its backups are.

use crate::keys::{Sealing, Signing};
use botstore::backup::Backups;
use botstore::{Config, Error, ErrorKind, Result, schema};
use clap::Args;
use std::path::{Path, PathBuf};

/// A database file.
#[derive(Args)]
pub(crate) struct File {
    /// The database
    #[arg(value_name = "FILE")]
    pub(crate) path: PathBuf,
    /// The folder of its backups [default: FILE.backups]
    #[arg(long, value_name = "FOLDER")]
    backups: Option<PathBuf>,
    #[command(flatten)]
    signing: Signing,
}

impl File {
    pub(crate) fn config(&self) -> Result<Config> {
        let settings = self.signing.settings(self.settings())?;
        Ok(Config::new(&self.path).backups(settings))
    }

    /// For a command that makes a backup of it.
    pub(crate) fn config_to_back_up(&self, sealing: &Sealing) -> Result<Config> {
        let settings = sealing.settings(self.signing.settings(self.settings())?);
        Ok(Config::new(&self.path).backups(settings))
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

/// A path that has to be there, without links and dots.
pub(crate) fn existing(path: &Path) -> Result<PathBuf> {
    let mut found = path.canonicalize();
    if found.is_err() {
        // A restore is just putting another file in its place, or has done so since; or the file is gone,
        // and its log is there.
        schema::plan(path)?;
        found = path.canonicalize();
    }
    found.map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => {
            Error::not_found("path", format_args!("file or folder {}", path.display()))
        }
        _ => {
            let why = format!("cannot look at {}: {e}", path.display());
            Error::new(ErrorKind::Io, why)
        }
    })
}
