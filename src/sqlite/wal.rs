//! The WAL of an open file: how long it is, how much of it is copied into the file, and whether it has
//! started over.

use super::{authorizer, beside};
use crate::error::Result;
use crate::files;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, Statement};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// Runs a checkpoint in one of SQLite's modes; returns (busy, frames in the WAL, frames copied so far).
pub(crate) fn checkpoint(conn: &Connection, mode: &str) -> Result<(bool, i64, i64)> {
    run(&mut conn.prepare(&format!("PRAGMA wal_checkpoint({mode})"))?)
}

fn run(checkpoint: &mut Statement<'_>) -> Result<(bool, i64, i64)> {
    Ok(checkpoint.query_row([], |row| {
        Ok((row.get::<_, i64>(0)? != 0, row.get(1)?, row.get(2)?))
    })?)
}

/// Makes closing this connection leave the WAL as it is. Otherwise the last connection to close copies
/// the WAL and removes it, even after a copy has failed: after a failed sync SQLite counts frames as
/// copied that are on no disk.
pub(crate) fn disable_checkpoint_on_close(conn: &Connection) -> Result<()> {
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    Ok(())
}

/// Makes closing this connection, if it is the last, remove the WAL, which is empty.
pub(crate) fn enable_checkpoint_on_close(conn: &Connection) -> Result<()> {
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
    Ok(())
}

/// The state of the WAL after a commit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WalState {
    /// Frames (pages) in the WAL.
    pub(crate) frames: i64,
    /// How many of them are also in the file.
    pub(crate) copied: i64,
    /// Whether the WAL has started over since the last look.
    pub(crate) restarted: bool,
}

/// Looks at the WAL after each batch.
///
/// SQLite's commit hook was turned down: it reports neither copied frames nor a restart, and its form
/// in rusqlite changed between versions that this crate must support.
pub(crate) struct WalWatch {
    path: PathBuf,
    ask: String,
    /// Kept open, which saves a path look-up for each batch. SQLite locks the database and the `-shm`,
    /// never the WAL, so opening and closing the WAL drops no lock.
    file: Option<File>,
    /// At the last look.
    generation: Option<Generation>,
    frames: i64,
}

/// Identifies one run of the WAL: its checkpoint sequence number and its salts. SQLite changes them
/// when the WAL starts over, and at no other time. See
/// <https://sqlite.org/fileformat2.html#the_write_ahead_log>.
type Generation = [u8; 12];
const GENERATION_AT: u64 = 12;

impl WalWatch {
    pub(crate) fn new(database: &Path) -> Result<Self> {
        Ok(Self {
            path: beside(database, "-wal"),
            ask: authorizer::unguarded("PRAGMA wal_checkpoint(NOOP)")?,
            file: None,
            generation: None,
            frames: 0,
        })
    }

    /// The writer has a new connection, which may have created a new WAL.
    pub(crate) fn reopen(&mut self) {
        self.file = None;
    }

    /// Returns the state of the WAL; `None` while SQLite is busy with it. Takes under 3 µs.
    pub(crate) fn look(&mut self, conn: &Connection) -> Result<Option<WalState>> {
        let (busy, frames, copied) = run(&mut *conn.prepare_cached(&self.ask)?)?;
        if busy || frames < 0 {
            return Ok(None);
        }
        // If the header cannot be read, a shorter WAL has started over. The numbers show no more than
        // that: the first commit after a restart may be longer than all before.
        let generation = self.read_generation();
        let differs =
            matches!((generation, self.generation), (Some(now), Some(then)) if now != then);
        let restarted = differs || frames < self.frames;
        self.generation = generation.or(self.generation);
        self.frames = frames;
        Ok(Some(WalState {
            frames,
            copied,
            restarted,
        }))
    }

    fn read_generation(&mut self) -> Option<Generation> {
        if self.file.is_none() {
            self.file = files::open(&self.path).ok().flatten();
        }
        let file = self.file.as_mut()?;
        let mut generation = Generation::default();
        file.seek(SeekFrom::Start(GENERATION_AT)).ok()?;
        file.read_exact(&mut generation).ok()?;
        Some(generation)
    }
}

/// Whether the WAL lacks a frame where one was, given the size of a `frame` and of all of them in
/// `bytes`. Each frame has the salts of the header. Checks the last frame and some before it, since
/// writes after a cut hide it from a check of the end alone. Returns false for a WAL that cannot be
/// read.
pub(super) fn lacks_a_frame(log: &Path, bytes: u64, frame: u64) -> bool {
    const HEADER_BYTES: u64 = 32;
    const SALTS_AT: u64 = 16;
    const SALTS_IN_FRAME_AT: u64 = 8;
    const LOOKS: u64 = 16;
    let Ok(Some(mut file)) = files::open(log) else {
        return false;
    };
    let mut salts = |at| {
        let mut salts = [0; 8];
        file.seek(SeekFrom::Start(at))?;
        file.read_exact(&mut salts).map(|()| salts)
    };
    let frames = bytes / frame.max(1);
    let mut all_there = || -> std::io::Result<bool> {
        let header = salts(SALTS_AT)?;
        for look in 1..=LOOKS {
            let before = (frames * look / LOOKS).saturating_sub(1);
            let at = HEADER_BYTES + before * frame + SALTS_IN_FRAME_AT;
            // A hole reads as zeros, which are no salts.
            if header == [0; 8] || salts(at)? != header {
                return Ok(false);
            }
        }
        Ok(true)
    };
    match all_there() {
        Ok(all_there) => !all_there,
        Err(error) => error.kind() == std::io::ErrorKind::UnexpectedEof,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restart_is_seen_although_the_wal_is_longer_than_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.db");
        let conn = Connection::open(&path).unwrap();
        let grow = |rows: u32| {
            let sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
                       INSERT INTO t SELECT randomblob(4000) FROM n";
            conn.execute(sql, [rows]).unwrap();
        };
        conn.execute_batch(
            "PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0; CREATE TABLE t (a)",
        )
        .unwrap();
        let mut watch = WalWatch::new(&path).unwrap();
        let first = watch.look(&conn).unwrap().unwrap();
        assert!(!first.restarted && first.copied == 0, "{first:?}");
        grow(3);
        let grown = watch.look(&conn).unwrap().unwrap();
        assert!(!grown.restarted && grown.frames > first.frames, "{grown:?}");
        for rows in [50, 100] {
            let before = watch.look(&conn).unwrap().unwrap();
            assert!(!before.restarted, "it is told once");
            checkpoint(&conn, "PASSIVE").unwrap();
            let copied = watch.look(&conn).unwrap().unwrap();
            assert_eq!(copied.copied, copied.frames);
            assert!(!copied.restarted, "it starts over with the next commit");
            grow(rows);
            let after = watch.look(&conn).unwrap().unwrap();
            assert!(after.frames > before.frames, "{after:?} {before:?}");
            assert!(after.restarted && after.copied == 0, "{after:?}");
        }
        grow(1);
        assert!(!watch.look(&conn).unwrap().unwrap().restarted);
    }
}
