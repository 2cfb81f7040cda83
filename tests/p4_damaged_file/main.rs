//! P4, on a file that is damaged: whoever meets the damage hears `Corrupt` and what to do, the rest
//! goes on, and nothing panics. And on one that is not the file that was opened: it was replaced or removed,
//! it has other names, or the process is another.

#[cfg(unix)]
mod afterwards;
#[path = "../shared/child.rs"]
mod child;
#[path = "../shared/copy.rs"]
mod copy;
#[cfg(unix)]
mod cut;
mod file;
#[cfg(unix)]
mod forked;
mod lock_name;
mod log;
#[cfg(unix)]
mod names;
#[cfg(unix)]
mod noted;
#[cfg(unix)]
mod read_only;
#[cfg(unix)]
mod replaced;
#[path = "../shared/wait.rs"]
mod wait;
#[cfg(unix)]
mod warned;

use botstore::interactions::SaveInteraction;
use botstore::sessions::CreateSession;
use botstore::testing::usd;
use botstore::users::EnsureUser;
use botstore::{Query, ReadTx, Result, Store};
use copy::{copy, with};
use std::fs::OpenOptions;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

pub(crate) const INTERACTIONS: i64 = 60;

pub(crate) fn interaction(number: i64) -> SaveInteraction {
    SaveInteraction::new(1, "s", format!("#{number} "))
        .response("It does the following. ".repeat(40))
        .cost(usd(0.25))
}

pub(crate) async fn sign_up(store: &Store) {
    store.write(EnsureUser::new(1, Some("ada"))).await.unwrap();
    let session = CreateSession::new(1, "s", "/srv");
    store.write(session).await.unwrap();
}

/// A copy of a file with what is beside it.
pub(crate) fn copied(from: &Path) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("x.db");
    for suffix in ["", "-wal", ".lock"] {
        copy(&with(from, suffix), &with(&to, suffix));
    }
    (folder, to)
}

/// Changes bytes of a file in place. The file stays open, for the sake of a store's locks.
pub(crate) fn change(path: &Path, at: u64, length: usize, change: impl Fn(u8) -> u8) {
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .unwrap();
    let mut bytes = vec![0; length];
    file.seek(SeekFrom::Start(at)).unwrap();
    file.read_exact(&mut bytes).unwrap();
    bytes.iter_mut().for_each(|byte| *byte = change(*byte));
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(&bytes).unwrap();
    std::mem::forget(file);
}

/// Reads every message there is.
pub(crate) struct Everything;

impl Query for Everything {
    type Output = usize;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<usize> {
        let sql = "SELECT length(prompt) + length(response) FROM messages";
        let lengths: Vec<Option<i64>> = tx.all(sql, [], |row| Ok(row.get(0)?))?;
        Ok(lengths.len())
    }
}
