//! The state of a file, seen from outside, whichever process has it open.

use crate::archive::{self, Backup, DrillReport, Inventory};
use crate::config::Config;
use crate::error::{ErrorKind, Result};
use crate::files;
use crate::migration::{self, Plan, SchemaStep, UnknownObjects};
use crate::opening;
use crate::operation::ReadTx;
use crate::sqlite::{self, FileLock, FileProblem, OpenIn, beside};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The state of a file: what [`Health`](crate::Health) is for an open store, as far as it can be seen from
/// outside.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FileStatus {
    /// The file's path, with links and dots resolved.
    pub path: PathBuf,
    /// Which process has it open.
    pub open_in: OpenIn,
    /// Its size, in bytes.
    pub file_bytes: u64,
    /// The size of the WAL beside it, in bytes.
    pub wal_bytes: u64,
    /// The free space on its disk, in bytes; `None` if the system does not say.
    pub free_bytes: Option<u64>,
    /// The kind of network file system that the file is on, if it is on one: see
    /// [`Health::network_file_system`](crate::Health::network_file_system).
    pub network_file_system: Option<String>,
    /// Which of the database, its WAL and its lock file other accounts than their owner's can read or write.
    /// This crate makes its files with mode 0600, and does not change the mode of files that already exist.
    pub open_to_others: Vec<PathBuf>,
    /// Problems with the place of its files, such as a second name of the file.
    pub file_problems: Vec<FileProblem>,
    /// What opening the file would apply, or why opening would refuse it.
    pub plan: Result<Plan>,
    /// The store's random number; `None` for a file that no store has given one yet.
    pub store_id: Option<String>,
    /// The last applied step of each schema.
    pub schemas: Vec<SchemaStep>,
    /// What is in the file's schema that no applied step made.
    pub unknown_objects: UnknownObjects,
    /// The number of rows in each table; virtual tables and views have no rows of their own, and are left out.
    pub rows: BTreeMap<String, u64>,
    /// The folder of its backups.
    pub backups: PathBuf,
    /// The newest usable backup of this file.
    pub last_backup: Option<Backup>,
    /// The last drill that succeeded.
    pub last_drill: Option<DrillReport>,
}

/// Reads the state of a file without opening a store, also while a store has it open. Changes nothing. Counts
/// the rows of each table.
///
/// # Errors
/// [`NotFound`](ErrorKind::NotFound) for a file that does not exist; [`ForeignFile`](ErrorKind::ForeignFile) and
/// [`Corrupt`](ErrorKind::Corrupt) for a file that cannot be read as a database; [`Busy`](ErrorKind::Busy) as
/// for [`schema::plan`](crate::schema::plan()); [`Io`](ErrorKind::Io).
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("bot.db");
/// use botstore::{OpenIn, Store};
///
/// let store = Store::open(&path).await?;
/// let status = botstore::status(&path)?;
/// assert_eq!(status.open_in, OpenIn::Process(std::process::id()));
/// assert!(status.plan?.steps.is_empty());
/// # store.close().await
/// # }
/// ```
pub fn status(config: impl Into<Config>) -> Result<FileStatus> {
    let config = opening::complete(config)?;
    sqlite::refuse_unsettled(&config.path)?;
    let path = sqlite::existing(&config.path)?;
    // Before the inspection, which puts a WAL with the file's mode beside it for a moment.
    let open_to_others = sqlite::open_to_others(&path);
    let size = |path: &Path| std::fs::metadata(path).map_or(0, |data| data.len());
    let settings = config.sqlite_settings();
    sqlite::refuse_damaged_wal_unlocked(&path, &settings)?;
    let (plan, original, unknown_objects) = sqlite::inspect(&path, &settings, |conn| {
        let plan = match migration::plan_in(conn, &path, &config.program()) {
            // A database that opening refuses still has a state to report.
            Err(error) if error.kind() == ErrorKind::Corrupt => return Err(error),
            plan => plan,
        };
        let tx = ReadTx::new(conn, config.clock.now());
        Inventory::read(conn)
            .and_then(|original| {
                let unknown_objects = migration::unknown_in(&tx, &config.schemas)?;
                let plan = plan.map(|plan| plan.with_missing(&unknown_objects));
                Ok((plan, original, unknown_objects))
            })
            .map_err(|e| sqlite::name_file(e, &path))
    })?;
    let Inventory {
        store_id,
        schemas,
        mut rows,
    } = original;
    rows.retain(|table, _| !table.starts_with("sqlite_"));
    let backups = config.backups.folder_of(&path);
    // A backup without a number is this file's, too: its first upgrade made it, before the file had one.
    let last_backup = config
        .backups
        .listing(&path)?
        .backups
        .into_iter()
        .rfind(|backup| backup.manifest.store_id.is_none() || backup.manifest.store_id == store_id);
    Ok(FileStatus {
        open_in: FileLock::look(&path)?,
        file_bytes: size(&path),
        wal_bytes: size(&beside(&path, "-wal")),
        free_bytes: files::free_bytes(files::folder_of(&path)).ok(),
        network_file_system: files::network_file_system(&path),
        open_to_others,
        file_problems: sqlite::file_problems(&path),
        plan,
        store_id,
        schemas,
        unknown_objects,
        rows,
        last_backup,
        last_drill: archive::last_drill(&config.backup_source(&path)),
        backups,
        path,
    })
}
