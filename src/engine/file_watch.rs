//! Whether the open files still have their names: reports a problem, and acts on it when the store closes.

use super::shared::Shared;
use crate::error::{Error, ErrorKind, Result};
use crate::events::StoreEvent;
use crate::sqlite::{self, FileLock, FileProblem};
use rusqlite::Connection;

/// The problems that the supervisor has reported.
#[derive(Default)]
pub(super) struct FileWatch {
    reported: Vec<FileProblem>,
}

impl FileWatch {
    /// Reports each problem once for as long as it lasts. If one is bad, nothing is written from this look on.
    pub(super) fn look(&mut self, shared: &Shared) {
        let lock = keep_lock(shared);
        let mut found = shared.file_problems();
        found.extend(lock);
        let reported = std::mem::replace(&mut self.reported, found);
        let is_news = |problem: &&FileProblem| !reported.contains(problem);
        let news = || self.reported.iter().filter(is_news);
        for &problem in news() {
            let path = shared.path.clone();
            let event = StoreEvent::FileProblem { problem, path };
            shared.subscribers.send_or_keep(event);
        }
        let path = shared.path.display();
        for problem in news() {
            tracing::warn!(%path, %problem, "something is wrong with the place of the database's files");
        }
    }
}

/// Restores the lock's name if it is missing, as long as the files beside it are this store's. Returns a warning,
/// if there is one.
fn keep_lock(shared: &Shared) -> Option<FileProblem> {
    let lock = shared.lock.upgrade()?;
    if shared
        .files
        .compare()
        .iter()
        .any(FileProblem::stops_writing)
    {
        return None;
    }
    match lock.keep_name(&shared.path) {
        Some(FileProblem::LockTaken) => {
            shared.files.note_taken_lock();
            None
        }
        problem => problem,
    }
}

/// Whether closing has to save the connection's contents in a new file: in the files with the old names they would
/// be lost, or mixed up with what is there.
pub(super) fn must_be_saved(shared: &Shared) -> bool {
    use FileProblem::{DatabaseEmptied, DatabaseRemoved, DatabaseReplaced, WalCut, WalReplaced};
    let bad = [
        DatabaseReplaced,
        DatabaseRemoved,
        DatabaseEmptied,
        WalReplaced,
        WalCut,
    ];
    shared
        .files
        .compare()
        .iter()
        .any(|found| bad.contains(found))
}

/// Whether the open WAL is to be emptied into the open database: otherwise the next program that opens the file
/// that has the name now would apply that WAL to it. The WAL is emptied and not removed, as another program may
/// have opened it since.
fn may_empty_the_wal(shared: &Shared) -> bool {
    use FileProblem::{DatabaseEmptied, WalCut, WalRemoved, WalReplaced};
    let not_ours = [DatabaseEmptied, WalReplaced, WalRemoved, WalCut];
    let found = shared.files.compare();
    shared.disk.allows_checkpoints() && !found.iter().any(|found| not_ours.contains(found))
}

/// Saves all that the connection has, and closes it. Always returns an error, which names the new file.
pub(super) fn save_and_close(conn: Connection, shared: &Shared, lock: &FileLock) -> Result<()> {
    let path = shared.path.display();
    let saved = sqlite::save_copy(&conn, &shared.path, shared.now(), &shared.saving);
    let saved = saved.map_err(|error| {
        let kind = error.kind();
        let why = format!(
            "the files of {path} were replaced, removed, emptied or cut under the store, and its data \
             could not be saved completely; its WAL stays as it is"
        );
        error.because(kind, why)
    })?;
    // If the WAL cannot be emptied, the lock's note keeps stores from opening the other file.
    let emptied = may_empty_the_wal(shared)
        && matches!(sqlite::checkpoint(&conn, "TRUNCATE"), Ok((false, ..)));
    if emptied {
        lock.note_closed();
    }
    conn.flush_prepared_statement_cache();
    drop(conn);
    let copy = saved.display();
    let sentence = match shared.files.known().contains(&FileProblem::WalCut) {
        true => format!(
            "the WAL of {path} was cut under the store; what could be read of it is saved in {copy}, \
             an ordinary database. The file with the old name lacks that WAL's changes: compare both \
             with the newest backup, and keep the one that you want"
        ),
        false => format!(
            "the files of {path} were replaced, removed or emptied under the store; all its data is \
             saved in {copy}, an ordinary database. The file that now has the old name was not \
             touched: compare the two, and keep the one that you want"
        ),
    };
    let event = StoreEvent::CopySaved { path: saved };
    shared.subscribers.send_or_keep(event);
    Err(Error::new(ErrorKind::Replaced, sentence))
}
