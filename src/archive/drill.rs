//! Restores the newest backup as a test, so that a real restore is no surprise.

use super::Source;
use super::folder::{Folder, list};
use super::partial::Partial;
use super::reading::VerifyOptions;
use super::verify::{Keep, open, read_back};
use crate::error::{Error, ErrorKind, Result};
use crate::files;
use crate::migration;
use crate::sqlite::{self, FileLock};
use crate::time::seconds;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::time::{Duration, Instant};

/// A test restore that succeeded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DrillReport {
    /// The name of the backup.
    pub backup: String,
    /// When it was restored, by the store's clock.
    pub at: DateTime<Utc>,
    /// How long it took, which is about as long as a restore takes. In JSON a number of seconds.
    #[serde(with = "seconds")]
    pub took: Duration,
    /// How many rows were restored, in all tables.
    pub rows: u64,
}

/// Restores the newest backup of the store into a temporary folder, opens it as this program would, and
/// deletes it.
pub(super) fn drill(
    folder: &Folder,
    path: &Path,
    source: &Source<'_>,
    store: Option<&str>,
    closing: impl Fn() -> bool + Send + Sync + std::panic::RefUnwindSafe + 'static,
) -> Result<DrillReport> {
    let started = Instant::now();
    let (settings, program) = (source.settings, &source.program);
    let newest = list(path)?
        .backups
        .into_iter()
        .rfind(|backup| backup.manifest.store_id.as_deref() == store)
        .ok_or_else(|| Error::not_found("backup", format_args!("backup in {}", path.display())))?;
    // An unsigned backup is not skipped: the drill is there to report it.
    let reading = VerifyOptions::as_made(settings).deadline_of(source);
    let opened = open(&newest.path, &reading)?;
    let place = match newest.manifest.is_encrypted() {
        false => folder.begin_drill()?,
        true => Partial::unsealed(source.path)?,
    };
    let file = place.path().join("restored.db");
    // The file is opened again by its name below. The next drill removes what a killed one leaves.
    let backup = read_back(opened, &file, Keep::File, reading, settings.pace, closing)?;
    // Applies pending steps as opening would, so that a step that fails on this content is found early.
    let file = sqlite::resolve(&file)?;
    let lock = FileLock::acquire(&file)?;
    let mut conn = migration::connect(&file, program)?;
    migration::make_again(&mut conn, program)?;
    migration::apply(program.schemas, &mut conn, program)?;
    migration::opened(&mut conn, program)?;
    drop((conn, lock));
    let contents = backup
        .manifest
        .contents
        .ok_or_else(|| Error::new(ErrorKind::BadBackup, "it lists no contents"))?;
    Ok(DrillReport {
        backup: backup.manifest.name,
        at: program.clock.now(),
        took: started.elapsed(),
        rows: contents.rows.values().sum(),
    })
}

/// The last successful drill is written down here, so that the next one is due a period after it,
/// however often the bot restarts.
const NOTE: &str = ".drill.json";

/// Many times the size of a note.
const MAX_BYTES: u64 = 64 << 10;

/// Writes the note into the folder of the backups of `database`.
pub(super) fn note(path: &Path, database: &Path, report: &DrillReport) -> Result<()> {
    let written = serde_json::to_vec_pretty(report)
        .map_err(|e| Error::new(ErrorKind::Io, e.to_string()))
        .and_then(|text| files::replace(&path.join(NOTE), &text, database));
    written.map_err(|error| {
        let kind = error.kind();
        error.because(
            kind,
            "the drill succeeded, but its result could not be saved",
        )
    })
}

/// Returns the last note. One that cannot be read counts as missing: the drill is then due.
pub(super) fn noted(path: &Path) -> Option<DrillReport> {
    let text = files::read(&path.join(NOTE), MAX_BYTES).ok()??;
    serde_json::from_slice(&text).ok()
}
