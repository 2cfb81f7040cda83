//! `restore`: chooses a backup, and reports the result.

use crate::answer::{Answer, Outcome};
use crate::backups::{Unusable, folder_of, json_of, text_of, unusable};
use crate::file::{config, named};
use crate::keys::Keys;
use crate::objects;
use crate::paths;
use crate::progress::show;
use crate::text::{self, Facts};
use botstore::backup::{self, Backup, Backups, IfExists};
use botstore::{Error, ErrorKind, Result, UnknownTriggers};
use clap::Args;
use serde_json::json;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Puts a backup in a file's place
///
/// The backup is read back and checked beside its place; until then nothing changes there. A file that
/// is a mount point cannot be moved aside and is overwritten; any other that cannot be moved is
/// refused. A restore brings back the state when the backup was made: tokens that were revoked and
/// users who were banned since are valid again.
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Restore {
    /// The backup's folder; with --latest a folder of backups, or their database [default then:
    /// FILE.backups]
    #[arg(required_unless_present = "latest", value_parser = named())]
    backup: Option<PathBuf>,
    /// The database that it becomes
    #[arg(long, value_name = "FILE", value_parser = named())]
    to: PathBuf,
    /// Takes the newest usable backup
    #[arg(long)]
    latest: bool,
    /// Moves an existing file aside; nothing is deleted
    #[arg(long)]
    replace: bool,
    /// Revokes all tokens in it before it takes its place
    #[arg(long)]
    revoke_tokens: bool,
    /// Refuses a backup with triggers, views or other code that no step of this program made; without
    /// this option it is only listed
    #[arg(long)]
    refuse_unknown: bool,
    #[command(flatten)]
    keys: Keys,
}

impl Restore {
    pub(crate) fn run(self) -> Outcome {
        let existing = match self.replace {
            true => IfExists::MoveAside,
            false => IfExists::Refuse,
        };
        let mut reading = self.keys.reading()?.on_progress(show());
        if self.revoke_tokens {
            reading = reading.revoke_tokens();
        }
        let unknown = match self.refuse_unknown {
            true => UnknownTriggers::Refuse,
            false => UnknownTriggers::Allow,
        };
        let (backup, skipped) = self.choose()?;
        let config = config(&self.to).unknown_triggers(unknown);
        let restored = backup::restore(config, backup, existing, reading)?;
        let mut facts = Facts::default();
        facts.add("restored", restored.path.display());
        for (path, error) in &skipped {
            facts.add_lines("skipped", format_args!("{}: {error}", path.display()));
        }
        if let Some(replaced) = &restored.replaced {
            facts.add("moved aside", replaced.display());
        }
        if let Some(revoked) = restored.revoked_tokens {
            facts.add("revoked", text::count(revoked, "token"));
        }
        let json = json!({
            "skipped": skipped.iter().map(unusable).collect::<Vec<_>>(),
            "revoked_tokens": restored.revoked_tokens,
            "unknown_objects": restored.unknown_objects,
            "backup": json_of(&restored.backup),
        });
        let json = paths::with(json, "path", &restored.path);
        let json = paths::with_maybe(json, "replaced", restored.replaced.as_deref());
        Ok(Answer::fine(
            facts.into_text()
                + &text_of(&restored.backup)
                + &objects::text(&restored.unknown_objects),
            json,
        ))
    }
}

impl Restore {
    /// Returns the backup to restore, and newer ones that cannot be used.
    fn choose(&self) -> Result<(PathBuf, Vec<Unusable>)> {
        match (&self.backup, self.latest) {
            (Some(backup), false) => Ok((backup.clone(), Vec::new())),
            (of, _) => self.newest_of(of.as_deref()),
        }
    }

    fn newest_of(&self, of: Option<&Path>) -> Result<(PathBuf, Vec<Unusable>)> {
        let folder = match of {
            Some(of) => folder_of(of)?,
            // The database itself may be gone.
            None => {
                let to = self.to.canonicalize();
                Backups::default().folder_of(to.as_ref().unwrap_or(&self.to))
            }
        };
        let mut listing = match self.keys.key()? {
            Some(key) => backup::list_signed(&folder, &key)?,
            None => backup::list(&folder)?,
        };
        let stores = |backups: &[Backup]| {
            let ids = backups.iter().filter_map(|b| b.manifest.store_id.clone());
            ids.collect::<BTreeSet<_>>().len()
        };
        if stores(&listing.backups) > 1 {
            let own = botstore::status(&self.to)
                .ok()
                .and_then(|status| status.store_id);
            let own = own.ok_or_else(|| {
                let why = format!(
                    "the backups in {} are of several databases, and it is unknown which of these {} \
                     was: name the backup",
                    folder.display(),
                    self.to.display()
                );
                Error::new(ErrorKind::Invalid, why)
            })?;
            let is_own = |b: &Backup| b.manifest.store_id.as_ref() == Some(&own);
            listing.backups.retain(is_own);
        }
        let newest = listing.backups.pop().ok_or_else(|| {
            let what = format_args!("usable backup in {}", folder.display());
            Error::not_found("backup", what)
        })?;
        let newer = |(path, _): &Unusable| path.file_name() > newest.path.file_name();
        listing.unusable.retain(newer);
        Ok((newest.path, listing.unusable))
    }
}
