//! A backup in the middle of the load, restored when it is over: it holds exactly what was
//! committed up to one moment.

use crate::callers::Run;
use crate::verify::{self, Found};
use crate::{Args, Failure};
use botstore::Store;
use botstore::backup::{self, Backup, IfExists, TakeBackup, VerifyOptions};
use botstore::rusqlite::{Connection, OpenFlags};
use std::path::Path;
use std::time::{Duration, Instant};

/// A backup that was made while callers wrote.
pub(crate) struct Taken {
    backup: Backup,
    /// The last message that was acknowledged before it began.
    acknowledged_before: i64,
    took: Duration,
    /// Interactions acknowledged while it was made.
    pub(crate) meanwhile: i64,
}

/// Makes a backup; `acknowledged` tells the last message that was acknowledged so far.
pub(crate) async fn take(store: &Store, acknowledged: impl Fn() -> i64) -> Result<Taken, Failure> {
    let before = acknowledged();
    let started = Instant::now();
    let backup = store.back_up(TakeBackup::default()).await?;
    Ok(Taken {
        backup,
        acknowledged_before: before,
        took: started.elapsed(),
        meanwhile: acknowledged() - before,
    })
}

/// What the restored backup holds.
pub(crate) struct Prefix {
    pub(crate) found: Found,
    pub(crate) took: Duration,
    pub(crate) meanwhile: i64,
    pub(crate) bytes: u64,
}

/// Restores the backup and looks for every interaction up to its last one, and for nothing else.
/// One writer gives message ids in the order of its commits.
pub(crate) fn compare(
    taken: &Taken,
    folder: &Path,
    args: &Args,
    run: &Run,
) -> Result<Prefix, Failure> {
    let path = folder.join("restored.db");
    backup::restore(
        &path,
        &taken.backup.path,
        IfExists::Refuse,
        VerifyOptions::default(),
    )?;
    let conn = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let sql = "SELECT coalesce(max(message_id), 0) FROM messages";
    let last: i64 = conn.query_row(sql, [], |row| row.get(0))?;
    drop(conn);
    let receipts: Vec<_> = run
        .receipts
        .iter()
        .map(|receipt| receipt.clone().filter(|r| r.message_id.get() <= last))
        .collect();
    let mut found = verify::compare(&path, args, &receipts)?;
    if last < taken.acknowledged_before {
        found.problems.push(format!(
            "the backup ends at message {last}, and {} was acknowledged before it began",
            taken.acknowledged_before
        ));
    }
    Ok(Prefix {
        found,
        took: taken.took,
        meanwhile: taken.meanwhile,
        bytes: taken.backup.manifest.artefact.bytes,
    })
}
