//! Tries the newest backup out, so that a restore is no surprise.

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

/// A restore that was tried out and went well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DrillReport {
    /// The name of the backup.
    pub backup: String,
    /// When it was tried, by the store's clock.
    pub at: DateTime<Utc>,
    /// How long it took: about what a restore takes. In JSON a number of seconds.
    #[serde(with = "seconds")]
    pub took: Duration,
    /// How many rows came out, in all tables.
    pub rows: u64,
}

/// Restores the newest backup of the store into a temporary folder, opens it as this program would,
/// and throws it away.
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
    // One that is not signed is not passed over: a drill is there to tell of it.
    let reading = VerifyOptions::as_made(settings).deadline_of(source);
    let opened = open(&newest.path, &reading)?;
    let place = match newest.manifest.is_encrypted() {
        false => folder.begin_drill()?,
        true => Partial::unsealed(source.path)?,
    };
    let file = place.path().join("restored.db");
    // It is opened once more below, by its name; what a killed drill leaves, the next one clears.
    let backup = read_back(opened, &file, Keep::File, reading, settings.pace, closing)?;
    // As opening would, so that a step that fails on this content is known of before it counts.
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
        .ok_or_else(|| Error::new(ErrorKind::BadBackup, "it tells of no contents"))?;
    Ok(DrillReport {
        backup: backup.manifest.name,
        at: program.clock.now(),
        took: started.elapsed(),
        rows: contents.rows.values().sum(),
    })
}

/// Where the last drill that went well is written down, so that the next is due a period after it
/// however often the bot starts anew.
const NOTE: &str = ".drill.json";

/// Many times as long as one is.
const MAX_BYTES: u64 = 64 << 10;

/// Writes it into the folder of the backups of `database`.
pub(super) fn note(path: &Path, database: &Path, report: &DrillReport) -> Result<()> {
    let written = serde_json::to_vec_pretty(report)
        .map_err(|e| Error::new(ErrorKind::Io, e.to_string()))
        .and_then(|text| files::replace(&path.join(NOTE), &text, database));
    written.map_err(|error| {
        let kind = error.kind();
        error.because(kind, "the drill went well, but could not be written down")
    })
}

/// A note that cannot be read is none: then the drill is due.
pub(super) fn noted(path: &Path) -> Option<DrillReport> {
    let text = files::read(&path.join(NOTE), MAX_BYTES).ok()??;
    serde_json::from_slice(&text).ok()
}
