//! `check --repair`: mends odd values and rollups, without losing anything.

use crate::changing::with_store;
use crate::file::give_away;
use crate::paths;
use crate::progress::show;
use crate::text::{self, Facts};
use botstore::backup::{self, Backup, TakeBackup};
use botstore::integrity::{RepairedValues, ValueRepair};
use botstore::users::RecountUserTotals;
use botstore::{Config, Error, ErrorKind, OpenIn, Result, Store};
use serde_json::{Value, json};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Which values a repair replaces; it makes a backup before that.
#[derive(Clone, Copy)]
pub(crate) struct ToMend {
    pub(crate) odd_values: bool,
    pub(crate) user_totals: bool,
}

/// What a repair has done.
#[derive(Default)]
pub(crate) struct Mended {
    values: RepairedValues,
    /// How many users had other totals than their rows say.
    totals: Option<usize>,
    backup: Option<PathBuf>,
    report: Option<PathBuf>,
}

impl Mended {
    pub(crate) fn json(&self) -> Value {
        let json = json!({ "repaired": self.values.written, "left": self.values.left });
        let json = paths::with_maybe(json, "backup", self.backup.as_deref());
        paths::with_maybe(json, "report", self.report.as_deref())
    }

    /// How many users' totals were corrected, if that was asked for.
    pub(crate) fn totals(&self) -> Option<usize> {
        self.totals
    }

    pub(crate) fn add_to(&self, facts: &mut Facts) {
        if let Some(backup) = &self.backup {
            facts.add("backup", backup.display());
            if self.values.written > 0 {
                facts.add("repaired", text::count(self.values.written, "value"));
            }
            if self.values.left > 0 {
                facts.add("left", text::count(self.values.left, "value"));
            }
        }
        if let Some(users) = self.totals {
            facts.add(
                "totals",
                format!("of {}, corrected", text::count(users as u64, "user")),
            );
        }
        if let Some(report) = &self.report {
            facts.add("old values", report.display());
        }
    }
}

/// Mends the rollups; before that, if values are to be replaced, makes a backup and mends odd values. Users' totals come
/// last, since they are counted from the rollups.
pub(crate) fn mend(file: &Path, config: Config, values: ToMend) -> Result<Mended> {
    if botstore::status(config.clone())?.open_in != OpenIn::Nothing {
        // Checked before a backup is made, because a backup is possible beside a bot.
        let why = format!(
            "{} is open: a repair needs the file to itself",
            file.display()
        );
        return Err(Error::new(ErrorKind::AlreadyOpen, why));
    }
    let backup = match values.odd_values || values.user_totals {
        true => {
            let request = TakeBackup::default().on_progress(show());
            Some(backup::take(config.clone(), request)?)
        }
        false => None,
    };
    // A count of ten million messages takes longer than the deadline of a dashboard.
    let config = config.analytics_deadline(Duration::from_secs(3_600));
    with_store(config, async |store| {
        mend_in(store, file, backup, values).await
    })
}

async fn mend_in(
    store: &Store,
    file: &Path,
    backup: Option<Backup>,
    values: ToMend,
) -> Result<Mended> {
    let mut mended = Mended::default();
    if let Some(backup) = backup {
        let mut report = Report::beside(&backup, file);
        if values.odd_values {
            mended.values = store.repair_values(|values| report.keep(values)).await?;
        }
        mended.backup = Some(backup.path);
        mended.report = report.file.map(|_| report.path);
    }
    store.repair_rollups().await?;
    if values.user_totals {
        mended.totals = Some(store.write(RecountUserTotals::everyone()).await?);
    }
    Ok(mended)
}

/// The report of replaced values, one JSON object a line. It is created with the first value.
struct Report {
    path: PathBuf,
    database: PathBuf,
    file: Option<File>,
}

impl Report {
    /// Puts the report beside the backup. If the backup is encrypted, puts it beside the database,
    /// since the report is not encrypted.
    fn beside(backup: &Backup, database: &Path) -> Self {
        let beside = match backup.manifest.contents.is_some() {
            true => backup.path.clone(),
            false => {
                let name = backup.path.file_name().unwrap_or_default();
                let mut path = database.as_os_str().to_owned();
                path.push(".");
                path.push(name);
                path.into()
            }
        };
        let mut path = beside.into_os_string();
        path.push(".odd-values.jsonl");
        let path = path.into();
        Self {
            path,
            database: database.to_owned(),
            file: None,
        }
    }

    /// Writes and syncs the values before anything is changed.
    fn keep(&mut self, values: &[ValueRepair]) -> Result<()> {
        let failed =
            |e: std::io::Error| Error::io(format_args!("cannot write {}", self.path.display()), e);
        let mut lines = Vec::new();
        for value in values {
            let line = serde_json::to_string(value);
            lines.extend(line.map_err(|e| failed(e.into()))?.into_bytes());
            lines.push(b'\n');
        }
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(private(&self.path, &self.database).map_err(failed)?),
        };
        let written = file.write_all(&lines).and_then(|()| file.sync_all());
        written.map_err(failed)
    }
}

/// Creates a file that only the database's owner can read, like the backup, wherever it is. It has its
/// name from the beginning, so that a killed repair leaves its report where an operator looks.
fn private(path: &Path, database: &Path) -> std::io::Result<File> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let in_folder = folder.unwrap_or(Path::new("."));
    let made = tempfile::NamedTempFile::new_in(in_folder)?;
    let database = database.canonicalize()?;
    give_away(
        made.as_file(),
        database.parent().unwrap_or(in_folder),
        &database,
    )?;
    let file = made.persist_noclobber(path).map_err(|e| e.error)?;
    if let Some(folder) = folder {
        // Syncs its name too. Not every file system can sync a folder.
        let _ = File::open(folder).and_then(|folder| folder.sync_all());
    }
    Ok(file)
}
