//! `backup`, `backups`, `verify` and `prune`.

use crate::answer::{Answer, Exit, Outcome, error_json};
use crate::file::{config, existing, named};
use crate::keys::{Keys, Sealing, Signing};
use crate::paths;
use crate::progress::show;
use crate::text::{self, Column, Facts};
use botstore::backup::{
    self, Backup, Backups, Contents, Mode, NotRemoved, Retention, RetentionPlan, TakeBackup,
};
use botstore::{Error, Result};
use clap::Args;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Makes a backup of a file, also beside a bot that has it open
///
/// The backup is the file as it is, at one moment: nothing is migrated. It is read back and checked
/// before it gets its name. Beside a running bot it works slowly, and the bot's WAL cannot start over
/// while it copies.
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Take {
    /// The database
    #[arg(value_parser = named())]
    file: PathBuf,
    /// The folder to put it in [default: FILE.backups]
    #[arg(long, value_name = "FOLDER", value_parser = named())]
    to: Option<PathBuf>,
    /// Writes the copy anew, without deleted data; slower
    #[arg(long)]
    compact: bool,
    /// The compression level of zstd; high levels take much longer
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(i32).range(1..=22))]
    level: i32,
    #[command(flatten)]
    sealing: Sealing,
    #[command(flatten)]
    signing: Signing,
}

/// Lists the backups in a folder
///
/// Reads only what the backups say about themselves; `verify` reads a backup completely. The exit code
/// is 3 if one of them cannot be used.
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct List {
    /// A folder of backups, or their database
    #[arg(value_name = "FOLDER|FILE", value_parser = named())]
    of: PathBuf,
    #[command(flatten)]
    signing: Signing,
}

/// Reads a backup back completely
///
/// Decrypts, decompresses, opens and checks it, and compares it with its manifest.
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Verify {
    /// The backup's folder
    #[arg(value_parser = named())]
    backup: PathBuf,
    #[command(flatten)]
    keys: Keys,
    /// The folder to unpack into; it is emptied again [default: the system's folder for temporary
    /// files]
    #[arg(long, value_name = "FOLDER", value_parser = named())]
    scratch: Option<PathBuf>,
}

/// Removes old backups
///
/// Keeps a backup that any of the rules keeps, the newest one, and the backups of other databases.
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Prune {
    /// A folder of backups, or their database
    #[arg(value_name = "FOLDER|FILE", value_parser = named())]
    of: PathBuf,
    /// Only shows what would be removed
    #[arg(long)]
    dry_run: bool,
    /// Keeps this many of the newest [default: 7]
    #[arg(long, value_name = "BACKUPS")]
    last: Option<usize>,
    /// Keeps this many of the newest from before an upgrade [default: 3]
    #[arg(long, value_name = "BACKUPS")]
    before_upgrade: Option<usize>,
    /// Keeps one for each of this many last hours [default: 24]
    #[arg(long, value_name = "HOURS")]
    hourly: Option<usize>,
    /// … days [default: 7]
    #[arg(long, value_name = "DAYS")]
    daily: Option<usize>,
    /// … weeks [default: 4]
    #[arg(long, value_name = "WEEKS")]
    weekly: Option<usize>,
    /// … months [default: 12]
    #[arg(long, value_name = "MONTHS")]
    monthly: Option<usize>,
    /// … years [default: 3]
    #[arg(long, value_name = "YEARS")]
    yearly: Option<usize>,
}

impl Take {
    pub(crate) fn run(self) -> Outcome {
        let mut settings = Backups::default().level(self.level);
        if let Some(folder) = self.to {
            settings = settings.folder(folder);
        }
        settings = self.signing.settings(self.sealing.settings(settings))?;
        let mode = match self.compact {
            true => Mode::Compact,
            false => Mode::Pages,
        };
        let request = TakeBackup::default().mode(mode).on_progress(show());
        let backup = backup::take(config(&self.file).backups(settings), request)?;
        Ok(Answer::fine(text_of(&backup), json_of(&backup)))
    }
}

impl List {
    pub(crate) fn run(&self) -> Outcome {
        let folder = folder_of(&self.of)?;
        let listing = match self.signing.key()? {
            Some(key) => backup::list_signed(&folder, &key)?,
            None => backup::list(&folder)?,
        };
        let mut text = format!("{}\n", text::printable(&text::path(&folder)));
        if listing.backups.is_empty() {
            text += match folder.is_dir() {
                true => "no backups\n",
                false => "no backups: there is no such folder\n",
            };
        } else {
            let columns = [
                Column::Text("name"),
                Column::Text("taken"),
                Column::Number("size"),
                Column::Number("database"),
                Column::Number("rows"),
                Column::Text("how"),
            ];
            let rows: Vec<_> = listing.backups.iter().map(cells).collect();
            text += &text::table(columns, &rows);
        }
        for (path, error) in &listing.unusable {
            let name = path.file_name().unwrap_or_default();
            let name = text::printable(&name.display().to_string());
            let why = text::lines(&error.to_string(), "    ");
            text += &format!("\nunusable: {name}\n    {why}\n");
        }
        let json = json!({
            "backups": listing.backups.iter().map(json_of).collect::<Vec<_>>(),
            "unusable": listing.unusable.iter().map(unusable).collect::<Vec<_>>(),
        });
        Ok(Answer {
            text,
            json: paths::with(json, "folder", &folder),
            exit: match listing.unusable.is_empty() {
                true => Exit::Fine,
                false => Exit::Damaged,
            },
        })
    }
}

impl Verify {
    pub(crate) fn run(self) -> Outcome {
        let mut reading = self.keys.reading()?;
        if let Some(folder) = self.scratch {
            reading = reading.scratch(folder);
        }
        let backup = backup::verify(self.backup, reading.on_progress(show()))?;
        let text = text_of(&backup) + "verified      the whole backup was read back and is good\n";
        Ok(Answer::fine(text, json_of(&backup)))
    }
}

/// What has a backup's name but is none, and why.
pub(crate) type Unusable = (PathBuf, Error);

pub(crate) fn unusable((path, error): &Unusable) -> Value {
    paths::with(json!({ "error": error_json(error) }), "path", path)
}

impl Prune {
    pub(crate) fn run(&self) -> Outcome {
        let folder = folder_of(&self.of)?;
        let plan = match self.dry_run {
            true => RetentionPlan::of(&folder, self.retention())?,
            false if folder.exists() => backup::prune(&folder, self.retention())?,
            false => RetentionPlan::default(),
        };
        let stays = |backup: &&Backup| plan.not_removed.iter().any(|n| n.path == backup.path);
        let removed: Vec<_> = plan.remove.iter().filter(|b| !stays(b)).collect();
        let mut facts = Facts::default();
        facts.add("kept", text::count(plan.keep.len() as u64, "backup"));
        let word = match self.dry_run {
            true => "would remove",
            false => "removed",
        };
        for backup in &removed {
            facts.add(word, &backup.manifest.name);
        }
        for stays in &plan.not_removed {
            facts.add_lines("not removed", &stays.why);
        }
        let not_removed = |stays: &NotRemoved| {
            json!({
                "path": text::path(&stays.path),
                "kind": stays.kind.to_string(),
                "why": stays.why,
            })
        };
        Ok(Answer {
            text: facts.into_text(),
            json: json!({
                "dry_run": self.dry_run,
                "kept": plan.keep.iter().map(json_of).collect::<Vec<_>>(),
                "removed": removed.iter().map(|b| json_of(b)).collect::<Vec<_>>(),
                "not_removed": plan.not_removed.iter().map(not_removed).collect::<Vec<_>>(),
            }),
            exit: match plan.not_removed.is_empty() {
                true => Exit::Fine,
                false => Exit::Failed,
            },
        })
    }

    fn retention(&self) -> Retention {
        type Rule = fn(Retention, usize) -> Retention;
        let rules: [(Option<usize>, Rule); 7] = [
            (self.last, Retention::last),
            (self.before_upgrade, Retention::before_upgrade),
            (self.hourly, Retention::hourly),
            (self.daily, Retention::daily),
            (self.weekly, Retention::weekly),
            (self.monthly, Retention::monthly),
            (self.yearly, Retention::yearly),
        ];
        rules.into_iter().fold(
            Retention::default(),
            |retention, (number, rule)| match number {
                Some(number) => rule(retention, number),
                None => retention,
            },
        )
    }
}

/// Returns the folder itself, or the folder of a database's backups.
pub(crate) fn folder_of(path: &Path) -> Result<PathBuf> {
    match existing(path) {
        Ok(path) if path.is_dir() => Ok(path),
        Ok(path) => Ok(Backups::default().folder_of(&path)),
        // If the database is gone, its backups matter all the more.
        Err(error) => match Backups::default().folder_of(path).canonicalize() {
            Ok(folder) if folder.is_dir() => Ok(folder),
            _ => Err(error),
        },
    }
}

pub(crate) fn json_of(backup: &Backup) -> Value {
    paths::with(json!({ "manifest": backup.manifest }), "path", &backup.path)
}

fn rows_in(contents: &Contents) -> u64 {
    contents.rows.values().sum()
}

pub(crate) fn text_of(backup: &Backup) -> String {
    let manifest = &backup.manifest;
    let mut facts = Facts::default();
    facts.add("backup", backup.path.display());
    facts.add("taken", text::time_and_age(manifest.taken_at));
    let size = text::bytes(manifest.artefact.bytes);
    let how = match (manifest.is_encrypted(), manifest.mac.is_some()) {
        (true, true) => ", encrypted and signed",
        (true, false) => ", encrypted",
        (false, true) => ", signed",
        (false, false) => "",
    };
    facts.add("size", format_args!("{size}{how}"));
    if let Some(contents) = &manifest.contents {
        let size = text::bytes(contents.database.bytes);
        let rows = rows_in(contents);
        facts.add("holds", format_args!("a database of {size}, {rows} rows"));
    }
    facts.into_text()
}

fn cells(backup: &Backup) -> [String; 6] {
    let manifest = &backup.manifest;
    let contents = manifest.contents.as_ref();
    let sealed = || "sealed".to_owned();
    let how = match manifest.is_encrypted() {
        true => "encrypted",
        false => "in the clear",
    };
    [
        manifest.name.clone(),
        text::time_and_age(manifest.taken_at),
        text::bytes(manifest.artefact.bytes),
        contents.map_or_else(sealed, |c| text::bytes(c.database.bytes)),
        contents.map_or_else(sealed, |c| rows_in(c).to_string()),
        how.to_owned(),
    ]
}
