//! The keys of backups: for whom a backup is encrypted, who signs it, and what it has to prove.

use botstore::Result;
use botstore::backup::{
    AgeIdentity, AgeRecipient, BackupKey, Backups, ClearAmongEncrypted, Unproven, VerifyOptions,
};
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Options of a command that makes a backup.
#[derive(Args)]
pub(crate) struct Sealing {
    /// Encrypts the backup for the holder of this age key; may be repeated
    #[arg(long, value_name = "AGE1…")]
    recipient: Vec<AgeRecipient>,
    /// Makes an unencrypted backup even if the newest one is encrypted
    #[arg(long, conflicts_with = "recipient")]
    clear: bool,
}

impl Sealing {
    pub(crate) fn settings(&self, settings: Backups) -> Backups {
        let recipients = self.recipient.iter().cloned();
        let settings = recipients.fold(settings, Backups::recipient);
        match self.clear {
            true => settings.clear_among_encrypted(ClearAmongEncrypted::Allow),
            false => settings,
        }
    }
}

/// Options of a command that signs backups, or requires signed ones.
#[derive(Args)]
pub(crate) struct Signing {
    /// The key that signs backups: new ones are signed with it, and those that it has not signed are
    /// refused. A file that only you can read; to make one:
    /// (umask 077; openssl rand -hex 32 > FILE)
    #[arg(long, value_name = "FILE", verbatim_doc_comment)]
    key: Option<PathBuf>,
}

impl Signing {
    pub(crate) fn key(&self) -> Result<Option<BackupKey>> {
        self.key.as_ref().map(BackupKey::from_file).transpose()
    }

    pub(crate) fn settings(&self, settings: Backups) -> Result<Backups> {
        Ok(match self.key()? {
            Some(key) => settings.key(key),
            None => settings,
        })
    }
}

/// Options of a command that reads a backup.
#[derive(Args)]
pub(crate) struct Keys {
    /// A file with the secret age key of an encrypted backup; may be repeated. With it, a backup that
    /// is not encrypted for it is refused
    #[arg(long, value_name = "FILE")]
    identity: Vec<PathBuf>,
    /// Reads a backup although --identity would refuse it; may be repeated
    #[arg(long, value_name = "WHAT")]
    accept: Vec<Accepted>,
    #[command(flatten)]
    signing: Signing,
}

#[derive(Clone, Copy, ValueEnum)]
enum Accepted {
    /// A backup that is not encrypted
    Clear,
    /// An encrypted backup of format 1, whose name and time anybody could have changed
    #[value(name = "format-1")]
    Format1,
}

impl Keys {
    /// Returns the key that signed backups, if one is named.
    pub(crate) fn key(&self) -> Result<Option<BackupKey>> {
        self.signing.key()
    }

    pub(crate) fn reading(&self) -> Result<VerifyOptions> {
        let mut reading = VerifyOptions::default();
        for path in &self.identity {
            reading = reading.identity(AgeIdentity::from_file(path)?);
        }
        for accepted in &self.accept {
            reading = reading.accept(match accepted {
                Accepted::Clear => Unproven::Clear,
                Accepted::Format1 => Unproven::Format1,
            });
        }
        Ok(match self.signing.key()? {
            Some(key) => reading.key(key),
            None => reading,
        })
    }
}
