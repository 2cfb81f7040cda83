//! Backups as files: made, named, listed, checked, deleted by rule, tested and restored. A host sees
//! this as [`backup`](crate::backup).
//!
//! This module knows how a file is opened and which steps it may have. Who makes a backup, and when, is
//! decided elsewhere.

mod artefact;
mod clear;
mod contents;
mod create;
mod drill;
mod folder;
mod keys;
mod mac;
mod manifest;
mod name;
mod partial;
mod reading;
mod restore;
mod retention;
mod scratch;
mod settings;
mod swap;
mod throttle;
mod verify;

pub use clear::ClearAmongEncrypted;
pub use contents::Contents;
pub(crate) use contents::Inventory;
pub(crate) use create::SnapshotObserver;
pub use drill::DrillReport;
#[cfg(feature = "encryption")]
pub use folder::list_signed;
pub use folder::{Backup, Listing, list};
#[cfg(feature = "encryption")]
pub use keys::{AgeIdentity, AgeRecipient};
#[cfg(feature = "encryption")]
pub use mac::BackupKey;
pub use manifest::{Checksum, Manifest, Mode, Reason};
#[cfg(feature = "encryption")]
pub use reading::Unproven;
pub use reading::VerifyOptions;
pub(crate) use restore::restore;
pub use restore::{IfExists, Restored};
pub use retention::{NotRemoved, Retention, RetentionPlan, prune};
pub use settings::Backups;
pub use throttle::{OnProgress, Pace, Progress, Stage};
pub use verify::verify;

use crate::error::{ErrorKind, Result};
use crate::migration::{self, Program};
use crate::sqlite::{self, FileLock};
use actix::Message;
use chrono::{DateTime, Utc};
use create::{Job, Unobserved, create};
use folder::Folder;
use rusqlite::Connection;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;
use swap::Finished;
use throttle::Throttle;

/// Makes a backup. The answer is the finished backup, read back and checked.
///
/// # Errors
/// [`DiskFull`](crate::ErrorKind::DiskFull), before anything is written if it can be foreseen;
/// [`Busy`](crate::ErrorKind::Busy) while another program uses the folder;
/// [`NeedsRecipient`](crate::ErrorKind::NeedsRecipient) when the backup would be unencrypted among
/// encrypted ones ([`ClearAmongEncrypted`]); [`Cancelled`](crate::ErrorKind::Cancelled) when it was
/// stopped, or the store was closed; [`Deadline`](crate::ErrorKind::Deadline) when it made no progress
/// for [`Backups::stall_deadline`]; [`Corrupt`](crate::ErrorKind::Corrupt) when the copy does not pass
/// its checks, which means that the database, or the disk of the backups, is damaged. After all but
/// `Deadline` nothing is left behind; what that leaves goes when the blocked call returns.
#[derive(Default, Message)]
#[rtype(result = "Result<Backup>")]
#[must_use = "a message does nothing until it is sent"]
pub struct TakeBackup {
    mode: Option<Mode>,
    pace: Option<Pace>,
    on_progress: Option<OnProgress>,
}

impl TakeBackup {
    /// How the copy is made. Default: that of the store's [`Backups`].
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = Some(mode);
        self
    }

    /// How much of the time the backup works. Default: the pace of the store's [`Backups`].
    pub fn pace(mut self, pace: Pace) -> Self {
        self.pace = Some(pace);
        self
    }

    /// Reports the progress, at most twenty times a second and also at the start and the end of each
    /// [`Stage`]. `report` runs on the thread that makes the backup, and stops it by returning
    /// [`Break`](ControlFlow::Break).
    pub fn on_progress(
        mut self,
        report: impl FnMut(Progress) -> ControlFlow<()> + Send + 'static,
    ) -> Self {
        self.on_progress = Some(Box::new(report));
        self
    }
}

/// Restores the newest backup into a temporary folder as a test, opens it as this program would,
/// compares it with its manifest, and deletes it.
///
/// # Errors
/// [`NotFound`](crate::ErrorKind::NotFound) when this store has no backup; those of [`verify`] and of
/// opening.
#[derive(Clone, Copy, Debug, Default, Message)]
#[rtype(result = "Result<DrillReport>")]
pub struct RunDrill;

/// The database to back up, and how its backups are made and checked.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    pub(crate) path: &'a Path,
    pub(crate) settings: &'a Backups,
    pub(crate) program: Program<'a>,
}

impl Source<'_> {
    fn inspect_deadline(&self) -> Option<Duration> {
        self.program.sqlite.inspect_deadline
    }

    /// The folder of its backups.
    fn folder(&self) -> PathBuf {
        self.settings.folder_of(self.path)
    }
}

/// Makes a backup of a file as it is, without migrating it and without a store. A store that has the
/// file open is not disturbed: the backup copies inside one read transaction.
pub(crate) fn take(source: &Source<'_>, request: TakeBackup) -> Result<Backup> {
    let path = sqlite::existing(source.path)?;
    let source = Source {
        path: &path,
        ..*source
    };
    let program = &source.program;
    migration::refuse_foreign(&path, program)?;
    let claim = match FileLock::acquire(&path) {
        Ok(lock) => Some(lock),
        // The holder of the lock settles the file. That does not help if it has the file open by
        // another name: then its WAL is not beside this name.
        Err(error) if error.kind() == ErrorKind::AlreadyOpen => match FileLock::is_held(&path)? {
            true => None,
            // The holder has just closed the file, or has it open by another name; `acquire` finds out
            // which.
            false => Some(FileLock::acquire(&path)?),
        },
        Err(error) => return Err(error),
    };
    let pace = match claim {
        Some(_) => {
            settle(&path)?;
            Pace::Fast
        }
        None => source.settings.pace,
    };
    scratch::clear(&std::env::temp_dir());
    sqlite::refuse_damaged_wal_unlocked(&path, &program.sqlite)?;
    let mut conn = sqlite::open_to_back_up(&path, &program.sqlite)?;
    migration::refuse_unknown(&conn, &path, program)?;
    let pace = request.pace.unwrap_or(pace);
    let pacer = Throttle::new(pace, request.on_progress, || false);
    let pacer = pacer
        .limit(source.inspect_deadline())
        .stopped_by(program.sqlite.stop);
    let mode = request.mode.unwrap_or(source.settings.mode);
    let reason = Reason::Manual;
    let made = run(&mut conn, &source, mode, reason, &Unobserved, &pacer);
    made.map(|made| made.backup)
}

/// Cleans up after a killed process: finishes its restore or undoes it, and removes unencrypted files
/// that it unpacked. The caller holds the database's lock.
pub(crate) fn settle(path: &Path) -> Result<()> {
    if let Finished::TakenBack(error) = swap::finish(path)? {
        tracing::warn!(
            path = %path.display(), %error,
            "an interrupted restore could not be finished and was undone: the file is the one from \
             before the restore"
        );
    }
    // A failure here is no reason not to open the file.
    if let Err(error) = partial::clear_unsealed(path) {
        tracing::warn!(path = %path.display(), %error, "unencrypted remains of a backup could not be \
            removed");
    }
    Ok(())
}

/// What started the upgrade of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Upgrading {
    /// A person, who can be asked for what is missing.
    ByHand,
    /// A store that is opening, which should not fail for a setting.
    Opening,
}

/// Makes the backup before a migration. `conn` is the connection that will write. Returns where the
/// backup is if it did not go into its folder: see [`ClearAmongEncrypted::Refuse`].
pub(crate) fn before_upgrade(
    conn: &mut Connection,
    source: &Source<'_>,
    upgrading: Upgrading,
) -> Result<Option<PathBuf>> {
    let pacer = Throttle::new(Pace::Fast, None, || false)
        .limit(source.inspect_deadline())
        .stopped_by(source.program.sqlite.stop);
    let make = |conn: &mut Connection, source: &Source<'_>| {
        let (mode, reason) = (Mode::Pages, Reason::BeforeUpgrade);
        let made = run(conn, source, mode, reason, &Unobserved, &pacer);
        made.map(|made| made.backup)
    };
    let made = match make(conn, source) {
        Err(error)
            if error.kind() == ErrorKind::NeedsRecipient && upgrading == Upgrading::Opening =>
        {
            let folder = sqlite::beside(source.path, ".before-upgrade");
            let beside = Source {
                settings: &source.settings.clone().folder(folder),
                ..*source
            };
            make(conn, &beside).map(|backup| Some(backup.path))
        }
        made => made.map(|_| None),
    };
    if let Ok(Some(copy)) = &made {
        tracing::warn!(
            copy = %copy.display(),
            "the backups are encrypted, but no recipient is set: the backup made before the upgrade is \
             not encrypted, and lies beside the database"
        );
    }
    made.map_err(|error| {
        let kind = error.kind();
        let why = "the backup that comes first could not be made, so the file is as it was";
        error.because(kind, why)
    })
}

/// Makes a backup of an open store with the backup worker's connection. `observer` learns while it
/// holds a snapshot.
pub(crate) fn of_open_store(
    conn: &mut Connection,
    source: &Source<'_>,
    request: TakeBackup,
    reason: Reason,
    observer: &impl SnapshotObserver,
    closing: impl Fn() -> bool + Send + Sync + std::panic::RefUnwindSafe + 'static,
) -> Result<Made> {
    let pace = request.pace.unwrap_or(source.settings.pace);
    let mode = request.mode.unwrap_or(source.settings.mode);
    sqlite::bound_values_to_look(conn, source.path)?;
    let pacer = Throttle::new(pace, request.on_progress, closing).limit(source.inspect_deadline());
    run(conn, source, mode, reason, observer, &pacer)
}

fn run(
    conn: &mut Connection,
    source: &Source<'_>,
    mode: Mode,
    reason: Reason,
    observer: &impl SnapshotObserver,
    pacer: &Throttle,
) -> Result<Made> {
    let (at, settings) = (source.folder(), source.settings);
    let folder = Folder::take(&at, Some(source.path))?;
    clear::refuse(settings, &at, Inventory::store_id(conn)?.as_deref())?;
    pacer.attach(conn, source.path)?;
    let job = Job {
        source: conn,
        database: source.path,
        settings,
        mode,
        reason,
        clock: source.program.clock,
        observer,
        pacer,
    };
    let created = pacer.explain(create(&folder, &at, &job));
    Throttle::detach(conn)?;
    let backup = created?;
    let mut not_removed = folder.left_over();
    if reason == Reason::Scheduled {
        // The backup is made, even if old ones cannot be removed.
        not_removed.extend(retention::apply_after(
            &backup,
            &folder,
            source.path,
            settings,
        ));
    }
    Ok(Made {
        backup,
        not_removed,
    })
}

/// A backup that was made, and what could not be removed from its folder.
pub(crate) struct Made {
    pub(crate) backup: Backup,
    pub(crate) not_removed: Vec<NotRemoved>,
}

/// Removes unfinished backups that a killed process left in the folder, unless a live process works
/// there. Without any it changes nothing.
pub(crate) fn clear_unfinished(source: &Source<'_>) {
    if let Err(error) = Folder::clear(&source.folder(), source.path) {
        tracing::debug!(%error, "remains of interrupted backups could not be removed");
    }
}

/// Runs a drill on the newest backup of an open store.
pub(crate) fn drill_of_open_store(
    conn: &Connection,
    source: &Source<'_>,
    closing: impl Fn() -> bool + Send + Sync + std::panic::RefUnwindSafe + 'static,
) -> Result<DrillReport> {
    let at = source.folder();
    let store = Inventory::store_id(conn)?;
    let folder = Folder::take(&at, Some(source.path))?;
    let report = drill::drill(&folder, &at, source, store.as_deref(), closing)?;
    drill::note(&at, source.path, &report)?;
    Ok(report)
}

/// Returns the last successful drill of the file's backups, run by any program.
pub(crate) fn last_drill(source: &Source<'_>) -> Option<DrillReport> {
    drill::noted(&source.folder())
}

/// Whether the store has any backup.
pub(crate) fn has_any(conn: &Connection, source: &Source<'_>) -> Result<bool> {
    let store = Inventory::store_id(conn)?;
    let listing = list(source.folder())?;
    let of_it = |backup: &Backup| backup.manifest.store_id == store;
    Ok(listing.backups.iter().any(of_it))
}

/// Returns when the newest scheduled backup of the store was made, of those made by `now`; `None` if
/// there is none. One with a later time was made before the clock was set back, or is forged.
pub(crate) fn last_scheduled(
    conn: &Connection,
    source: &Source<'_>,
    now: DateTime<Utc>,
) -> Result<Option<DateTime<Utc>>> {
    let store = Inventory::store_id(conn)?;
    let listing = source.settings.listing(source.path)?;
    let scheduled = listing.backups.into_iter().rfind(|backup| {
        let manifest = &backup.manifest;
        manifest.reason == Reason::Scheduled
            && manifest.store_id == store
            && manifest.taken_at <= now
    });
    Ok(scheduled.map(|backup| backup.manifest.taken_at))
}
