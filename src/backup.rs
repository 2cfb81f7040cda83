//! Backups that are proven to restore.
//!
//! A backup is taken from a running store, on one snapshot. It is compressed, read back, opened and checked, and
//! only then gets its name. It is a folder with two files: the database, compressed with zstd (and encrypted with
//! `age`, if asked), and a manifest in JSON.
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
//! [`Backups`] describes how to make them on a schedule, which ones are kept, and how to encrypt them;
//! [`guide::operations`](crate::guide::operations) describes what to do in an emergency.
//!
//! The functions here work on files and block. Unless they say otherwise, no store may have the database open. A
//! [`Store`](crate::Store) takes [`TakeBackup`] and [`RunDrill`].

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

/// Makes a backup of a file as it is, without migrating it. The backup shows one moment, even if other programs
/// write meanwhile. A store that has the file open goes on, in any process; the backup then keeps to the pace of
/// the settings, and the WAL cannot start over while the file is copied. If no store has it open, none can open it
/// until this is done.
///
/// # Errors
/// [`NotFound`](crate::ErrorKind::NotFound) for a missing file, [`ForeignFile`](crate::ErrorKind::ForeignFile) and
/// the other errors with which opening refuses a file, [`ReadOnly`](crate::ErrorKind::ReadOnly) if this process
/// may not lock it, [`Busy`](crate::ErrorKind::Busy) while another program keeps it locked, and those of
/// [`TakeBackup`].
pub fn take(config: impl Into<Config>, request: TakeBackup) -> Result<Backup> {
    let config = opening::complete(config)?;
    let taken = archive::take(&config.backup_source(&config.path), request);
    config.sqlite_settings().explain(taken)
}

/// Replaces the file that `config` names by a backup. No store may have the file open.
///
/// First checks everything that [`verify`](verify()) checks, and that this program can open the result. Until then
/// nothing at the destination has changed. If the system does not let the old file be moved, the old file stays as
/// it was. If something is mounted on the path, such as a single file in a container, the restore writes into that
/// file instead; this takes room for a copy of the old file beside it.
///
/// # Errors
/// [`ReadOnly`](crate::ErrorKind::ReadOnly) for a file that cannot be replaced: immutable, of another account in a
/// sticky folder, or in a folder that cannot be written; [`AlreadyOpen`](crate::ErrorKind::AlreadyOpen) if a store
/// has it open; [`Conflict`](crate::ErrorKind::Conflict) if a file is there and `existing` refuses to replace it;
/// [`Untrusted`](crate::ErrorKind::Untrusted) if [`Config::unknown_triggers`] refuses something in the backup;
/// [`ForeignFile`](crate::ErrorKind::ForeignFile), [`NewerSchema`](crate::ErrorKind::NewerSchema) and
/// [`ChangedMigration`](crate::ErrorKind::ChangedMigration) if this program could not open the result; those of
/// [`verify`](verify()).
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
