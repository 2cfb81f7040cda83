//! A file that lives through many rounds, and what was sent to it.

use crate::Failure;
use crate::ledger::Ledger;
use crate::lines::Line;
use crate::verify::{self, Found};
use botstore::backup::{self, VerifyOptions};
use botstore::rusqlite::{self, Connection, OpenFlags};
use std::fs;
use std::path::{Path, PathBuf};

pub(crate) struct File {
    /// For the file, its backups, and how it was found after the last kill.
    folder: PathBuf,
    pub(crate) path: PathBuf,
    pub(crate) ledger: Ledger,
}

impl File {
    pub(crate) fn new(folder: PathBuf, seed: u64) -> std::io::Result<Self> {
        fs::create_dir(&folder)?;
        Ok(Self {
            path: folder.join("bot.db"),
            folder,
            ledger: Ledger::new(seed),
        })
    }

    pub(crate) fn remove(self) -> std::io::Result<()> {
        fs::remove_dir_all(self.folder)
    }

    /// Copies the file as it was found, since looking at it recovers its WAL. Gives the size of the
    /// log.
    pub(crate) fn set_aside(&self) -> std::io::Result<u64> {
        let found = self.folder.join("as-found");
        if found.exists() {
            fs::remove_dir_all(&found)?;
        }
        fs::create_dir(&found)?;
        for suffix in ["", "-wal"] {
            let from = beside(&self.path, suffix);
            if from.exists() {
                fs::copy(from, beside(&found.join("bot.db"), suffix))?;
            }
        }
        let log = beside(&self.path, "-wal").metadata();
        Ok(log.map_or(0, |data| data.len()))
    }

    /// Looks with plain SQLite. A file that was never open may be missing.
    pub(crate) fn look(&self) -> rusqlite::Result<Found> {
        if !self.path.exists() && !self.ledger.opened {
            return Ok(Found::default());
        }
        // One that may only read would leave a WAL beside a closed file.
        let conn = Connection::open_with_flags(&self.path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        Ok(verify::look(&conn, &self.ledger))
    }

    /// What a store must have taken away when it was closed, and did not.
    pub(crate) fn left_open(&self) -> impl Iterator<Item = String> {
        let left = ["-wal", "-shm"].into_iter();
        let left = left.filter(|suffix| beside(&self.path, suffix).exists());
        left.map(|suffix| format!("the closed store left its {suffix} file"))
    }

    /// What is wrong with the backups: each that was told to be made is there, and the newest is
    /// good. Then they go, but not what is unfinished: that is the next backup's to clear away.
    pub(crate) fn backups(&self, said: &[Line]) -> Result<(u32, Vec<String>), Failure> {
        let listing = backup::list(beside(&self.path, ".backups"))?;
        let unusable = listing.unusable.iter();
        let mut problems: Vec<_> = unusable
            .map(|it| format!("a backup cannot be used: {it:?}"))
            .collect();
        for line in said {
            let Line::BackedUp(told) = line else { continue };
            let is_there = |it: &backup::Backup| it.manifest.name == *told;
            if !listing.backups.iter().any(is_there) {
                problems.push(format!("backup {told} was made and is not there"));
            }
        }
        let newest = listing.backups.last();
        if let Some(newest) = newest
            && let Err(error) = backup::verify(&newest.path, VerifyOptions::default())
        {
            problems.push(error.to_string());
        }
        for backup in &listing.backups {
            if problems.is_empty() {
                fs::remove_dir_all(&backup.path)?;
            }
        }
        Ok((newest.map_or(0, |_| 1), problems))
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
