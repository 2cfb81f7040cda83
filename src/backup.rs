//! Backups that are proven to restore.
//!
//! A backup is taken from a running store, on one snapshot; it is compressed, read back, opened and
//! checked, and only then it gets its name. It is a folder with two files: the database, compressed
//! with zstd (and encrypted with `age`, if asked), and a manifest in JSON.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> botstore::Result<()> {
//! # let folder = tempfile::tempdir().unwrap();
//! # let path = folder.path().join("bot.db");
//! use botstore::Store;
//! use botstore::backup::{self, IfExists, VerifyOptions, TakeBackup};
//!
//! let store = Store::open(&path).await?;
//! let backup = store.back_up(TakeBackup::default()).await?;
//! store.close().await?;
//!
//! let restored = backup::restore(&path, backup.path, IfExists::MoveAside, VerifyOptions::default())?;
//! assert!(restored.replaced.is_some_and(|old| old.exists()));
//! # Ok(()) }
//! ```
//!
//! How to make them on a schedule, which are kept and how to encrypt them is in [`Backups`]; what to
//! do on a bad day is in [`guide::operations`](crate::guide::operations).
//!
//! The functions here work on files and block; the database that they are about is not open in any
//! store, unless they say otherwise. A [`Store`](crate::Store) takes [`TakeBackup`] and [`RunDrill`].

#[cfg(feature = "encryption")]
pub use crate::archive::{AgeIdentity, AgeRecipient, BackupKey, Unproven, list_signed};
pub use crate::archive::{
    Backup, Backups, Checksum, ClearAmongEncrypted, Contents, DrillReport, IfExists, Listing,
    Manifest, Mode, NotRemoved, OnProgress, Pace, Progress, Reason, Restored, Retention,
    RetentionPlan, RunDrill, Stage, TakeBackup, VerifyOptions, list, prune, verify,
};

use crate::archive;
use crate::config::Config;
use crate::error::Result;
use crate::opening;
use std::path::Path;

/// Makes a backup of a file as it is, without migrating it: of one moment, whoever writes to it meanwhile.
/// A store that has it open goes on, in whatever process; then the pace is that of the settings, and its WAL
/// cannot start over while the file is copied. Where no store has it open, none can open it before this is
/// done.
///
/// # Errors
/// [`NotFound`](crate::ErrorKind::NotFound) for a file that is not there,
/// [`ForeignFile`](crate::ErrorKind::ForeignFile) and the others with which opening refuses a file,
/// [`ReadOnly`](crate::ErrorKind::ReadOnly) where this process may not lock it,
/// [`Busy`](crate::ErrorKind::Busy) while another program keeps it locked, and those of [`TakeBackup`].
pub fn take(config: impl Into<Config>, request: TakeBackup) -> Result<Backup> {
    let config = opening::complete(config)?;
    let taken = archive::take(&config.backup_source(&config.path), request);
    config.sqlite_settings().explain(taken)
}

/// Puts a backup in the place of the file that `config` names, which no store may have open.
///
/// Everything that [`verify`](verify()) checks is checked first, and that this program can open
/// what comes out. Until then nothing at the destination has changed. If the new file cannot be put in its
/// place, because the system does not let the old one be moved, the old one is as it was. A place that
/// something is mounted on, such as a single file in a container, is written into instead; that takes room
/// for a copy of the old file beside it.
///
/// # Errors
/// [`ReadOnly`](crate::ErrorKind::ReadOnly) for a file that cannot be replaced: immutable, of another
/// account in a sticky folder, or in a folder that cannot be written;
/// [`AlreadyOpen`](crate::ErrorKind::AlreadyOpen) for a store that is open;
/// [`Conflict`](crate::ErrorKind::Conflict) when a file is there and `existing` refuses;
/// [`Untrusted`](crate::ErrorKind::Untrusted) when something in it is refused by
/// [`Config::unknown_triggers`]; [`ForeignFile`](crate::ErrorKind::ForeignFile), [`NewerSchema`](crate::ErrorKind::NewerSchema) and
/// [`ChangedMigration`](crate::ErrorKind::ChangedMigration) when this program could not open what is in the
/// backup; those of [`verify`](verify()).
///
/// ```no_run
/// use botstore::backup::{self, IfExists, VerifyOptions};
///
/// let newest = backup::list("bot.db.backups")?.backups.pop().expect("a backup");
/// let restored = backup::restore("bot.db", newest.path, IfExists::MoveAside, VerifyOptions::default())?;
/// println!("the old file is in {:?}", restored.replaced);
/// # Ok::<(), botstore::Error>(())
/// ```
pub fn restore(
    config: impl Into<Config>,
    backup: impl AsRef<Path>,
    existing: IfExists,
    reading: VerifyOptions,
) -> Result<Restored> {
    let config = opening::complete(config)?;
    let source = config.backup_source(&config.path);
    archive::restore(&source, backup.as_ref(), existing, reading)
}
