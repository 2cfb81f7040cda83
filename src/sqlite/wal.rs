//! The WAL of an open file: how long it is, how much of it is in the file, and whether it has started
//! over.

use super::{authorizer, beside};
use crate::error::Result;
use crate::files;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, Statement};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// Checkpoints in one of SQLite's modes; gives (busy, frames in the WAL, frames copied so far).
pub(crate) fn checkpoint(conn: &Connection, mode: &str) -> Result<(bool, i64, i64)> {
    run(&mut conn.prepare(&format!("PRAGMA wal_checkpoint({mode})"))?)
}

fn run(checkpoint: &mut Statement<'_>) -> Result<(bool, i64, i64)> {
    Ok(checkpoint.query_row([], |row| {
        Ok((row.get::<_, i64>(0)? != 0, row.get(1)?, row.get(2)?))
    })?)
}

/// Has closing this connection leave the WAL as it is. Otherwise the last one to be closed copies the WAL
/// and removes it: also when it has just failed to, which is after a sync that failed when SQLite counts
/// as copied what is on no disk.
pub(crate) fn disable_checkpoint_on_close(conn: &Connection) -> Result<()> {
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    Ok(())
}

/// Has closing this connection, if it is the last, remove the WAL, which is empty.
pub(crate) fn enable_checkpoint_on_close(conn: &Connection) -> Result<()> {
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
    Ok(())
}

/// What the WAL holds after a commit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WalState {
    /// Frames (pages) in it.
    pub(crate) frames: i64,
    /// How many of them are in the file, too.
    pub(crate) copied: i64,
    /// Whether it has started over since the last look.
    pub(crate) restarted: bool,
}

/// Looks at the WAL after each batch.
///
/// SQLite's hook for commits was turned down: it tells neither what is copied nor of a restart, and
/// its form in rusqlite changed between versions that this crate is to work with.
pub(crate) struct WalWatch {
    path: PathBuf,
    ask: String,
    /// Kept open, which saves a path look-up a batch. SQLite locks the database and the `-shm`, never
    /// the WAL, so to open and close it drops no lock.
    file: Option<File>,
    /// At the last look.
    generation: Option<Generation>,
    frames: i64,
}

/// Which one in the file's row of WALs it is: its checkpoint sequence number and its salts. SQLite
/// changes them when the WAL starts over, and at no other time. See
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

    /// The connection that writes is a new one, and may have made a new WAL.
    pub(crate) fn reopen(&mut self) {
        self.file = None;
    }

    /// What the WAL holds, or nothing while SQLite is busy with it. Under 3 µs.
    pub(crate) fn look(&mut self, conn: &Connection) -> Result<Option<WalState>> {
        let (busy, frames, copied) = run(&mut *conn.prepare_cached(&self.ask)?)?;
        if busy || frames < 0 {
            return Ok(None);
        }
        // A WAL whose header cannot be read has started over if it is shorter: that is all that the
        // numbers tell, for the first commit after a restart may be longer than all before.
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

/// Whether there is no frame of this WAL where one was, of so many `frame` bytes each and `bytes` in all: each
/// has the salts of the header. Looks at the last, and at some before it, since what is written after a cut
/// hides it from who looks at the end alone. Of a WAL that cannot be read nothing is said.
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
            // Zeros are what is in a hole, and no salts.
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
