//! `backup`, `backups`, `verify`, `restore` and `prune`.

use crate::answer::{Answer, Exit, Outcome, error_json};
use crate::file::{existing, named};
use crate::keys::{Keys, Sealing, Signing};
use crate::objects;
use crate::progress::show;
use crate::text::{self, Column, Facts};
use botstore::backup::{
    self, Backup, Backups, Contents, IfExists, Mode, Retention, RetentionPlan, TakeBackup,
};
use botstore::{Config, Result, UnknownTriggers};
use clap::Args;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Makes a backup of a file that no bot has open
///
/// As the file is: nothing is migrated. It is read back and checked before it counts. A bot that has
/// the file open makes backups itself.
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Take {
    /// The database
    #[arg(value_parser = named())]
    file: PathBuf,
    /// The folder to put it in [default: FILE.backups]
    #[arg(long, value_name = "FOLDER", value_parser = named())]
    to: Option<PathBuf>,
    /// Writes the copy anew, without anything that was deleted; slower
    #[arg(long)]
    compact: bool,
    /// How hard zstd tries
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(i32).range(1..=22))]
    level: i32,
    #[command(flatten)]
    sealing: Sealing,
    #[command(flatten)]
    signing: Signing,
}

/// Lists the backups in a folder
///
/// Reads what they say of themselves; `verify` reads all of one. Exit code 3 if there is one that
/// cannot be used.
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct List {
    /// A folder of backups, or the database that they are of
    #[arg(value_name = "FOLDER|FILE", value_parser = named())]
    of: PathBuf,
    #[command(flatten)]
    signing: Signing,
}

/// Reads a backup back, all of it
///
/// Decrypts, decompresses, opens and checks it, and compares it with what it says of itself.
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Verify {
    /// The backup's folder
    #[arg(value_parser = named())]
    backup: PathBuf,
    #[command(flatten)]
    keys: Keys,
    /// Where it is unpacked and removed again [default: the system's folder for temporary files]
    #[arg(long, value_name = "FOLDER", value_parser = named())]
    scratch: Option<PathBuf>,
}

/// Puts a backup in a file's place
///
/// It is read back and checked beside its place first; until then nothing has changed there. It
/// brings back what was so when it was made: tokens that were revoked and users who were banned since
/// are good again.
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Restore {
    /// The backup's folder
    #[arg(value_parser = named())]
    backup: PathBuf,
    /// The database that it becomes
    #[arg(long, value_name = "FILE", value_parser = named())]
    to: PathBuf,
    /// Moves a file that is there aside; nothing is deleted
    #[arg(long)]
    replace: bool,
    /// Revokes all tokens in it before it takes its place
    #[arg(long)]
    revoke_tokens: bool,
    /// Refuses a backup with triggers, views or the like that no step of this program made; without
    /// this they are listed
    #[arg(long)]
    refuse_unknown: bool,
    #[command(flatten)]
    keys: Keys,
}

/// Removes old backups
///
/// One that any of the rules keeps is kept; so is the newest, and those of other databases.
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Prune {
    /// A folder of backups, or the database that they are of
    #[arg(value_name = "FOLDER|FILE", value_parser = named())]
    of: PathBuf,
    /// Only tells what would go
    #[arg(long)]
    dry_run: bool,
    /// Keeps the last so many [default: 7]
    #[arg(long, value_name = "BACKUPS")]
    last: Option<usize>,
    /// Keeps those from before the last so many upgrades [default: 3]
    #[arg(long, value_name = "BACKUPS")]
    before_upgrade: Option<usize>,
    /// Keeps one for each of the last so many hours [default: 24]
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
        let request = TakeBackup::default().mode(mode).on_progress(show()?);
        let config = Config::new(self.file).backups(settings);
        let backup = backup::take(config, request)?;
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
            text += "no backups\n";
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
        let unusable = |(path, error): &(PathBuf, botstore::Error)| json!({ "path": text::path(path), "error": error_json(error) });
        Ok(Answer {
            text,
            json: json!({
                "folder": text::path(&folder),
                "backups": listing.backups.iter().map(json_of).collect::<Vec<_>>(),
                "unusable": listing.unusable.iter().map(unusable).collect::<Vec<_>>(),
            }),
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
        let backup = backup::verify(self.backup, reading.on_progress(show()?))?;
        let text = text_of(&backup) + "verified      all of it was read back and is good\n";
        Ok(Answer::fine(text, json_of(&backup)))
    }
}

impl Restore {
    pub(crate) fn run(self) -> Outcome {
        let existing = match self.replace {
            true => IfExists::MoveAside,
            false => IfExists::Refuse,
        };
        let mut reading = self.keys.reading()?.on_progress(show()?);
        if self.revoke_tokens {
            reading = reading.revoke_tokens();
        }
        let unknown = match self.refuse_unknown {
            true => UnknownTriggers::Refuse,
            false => UnknownTriggers::Allow,
        };
        let config = Config::new(self.to).unknown_triggers(unknown);
        let restored = backup::restore(config, self.backup, existing, reading)?;
        let mut facts = Facts::default();
        facts.add("restored", restored.path.display());
        if let Some(replaced) = &restored.replaced {
            facts.add("moved aside", replaced.display());
        }
        if let Some(revoked) = restored.revoked_tokens {
            facts.add("revoked", text::count(revoked, "token"));
        }
        let json = json!({
            "path": text::path(&restored.path),
            "replaced": restored.replaced.as_deref().map(text::path),
            "revoked_tokens": restored.revoked_tokens,
            "unknown_objects": restored.unknown_objects,
            "backup": json_of(&restored.backup),
        });
        Ok(Answer::fine(
            facts.into_text()
                + &text_of(&restored.backup)
                + &objects::text(&restored.unknown_objects),
            json,
        ))
    }
}

impl Prune {
    pub(crate) fn run(&self) -> Outcome {
        let folder = folder_of(&self.of)?;
        let plan = match self.dry_run {
            true => RetentionPlan::of(&folder, self.retention())?,
            false if folder.exists() => backup::prune(&folder, self.retention())?,
            false => RetentionPlan::default(),
        };
        let gone = |backup: &&Backup| self.dry_run || !backup.path.exists();
        let (removed, stays): (Vec<_>, Vec<_>) = plan.remove.iter().partition(gone);
        let mut facts = Facts::default();
        facts.add("kept", text::count(plan.keep.len() as u64, "backup"));
        let word = match self.dry_run {
            true => "would remove",
            false => "removed",
        };
        for backup in &removed {
            facts.add(word, &backup.manifest.name);
        }
        for backup in &stays {
            facts.add("not removed", &backup.manifest.name);
        }
        let all = |backups: &[&Backup]| backups.iter().map(|b| json_of(b)).collect::<Vec<_>>();
        Ok(Answer {
            text: facts.into_text(),
            json: json!({
                "dry_run": self.dry_run,
                "kept": plan.keep.iter().map(json_of).collect::<Vec<_>>(),
                "removed": all(&removed),
                "not_removed": all(&stays),
            }),
            exit: match stays.is_empty() {
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

/// The folder itself, or that of a database's backups.
fn folder_of(path: &Path) -> Result<PathBuf> {
    let path = existing(path)?;
    Ok(match path.is_dir() {
        true => path,
        false => Backups::default().folder_of(&path),
    })
}

pub(crate) fn json_of(backup: &Backup) -> Value {
    json!({ "path": text::path(&backup.path), "manifest": backup.manifest })
}

fn rows_in(contents: &Contents) -> u64 {
    contents.rows.values().sum()
}

fn text_of(backup: &Backup) -> String {
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
