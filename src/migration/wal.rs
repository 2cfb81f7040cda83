//! Keeps the WAL small while work is done in pieces: there is no checkpointer yet.

use crate::error::Result;
use crate::sqlite;
use rusqlite::Connection;

/// See the [module](self).
pub(super) struct Wal<'a> {
    conn: &'a Connection,
    page_bytes: i64,
    ceiling_bytes: i64,
    frames: i64,
}

impl<'a> Wal<'a> {
    pub(super) fn new(conn: &'a Connection, ceiling_bytes: u64) -> Result<Self> {
        let mut wal = Self {
            conn,
            page_bytes: conn.pragma_query_value(None, "page_size", |row| row.get(0))?,
            ceiling_bytes: i64::try_from(ceiling_bytes).unwrap_or(i64::MAX),
            frames: 0,
        };
        wal.after_a_piece()?;
        Ok(wal)
    }

    /// Returns how many frames hold this many bytes, at least one.
    pub(super) fn frames_in(&self, bytes: i64) -> i64 {
        (bytes / self.page_bytes).max(1)
    }

    /// Copies the WAL into the file if the part that is not copied has reached the ceiling. The next
    /// piece then starts the WAL over, unless another program still reads from it. Returns how many
    /// frames were added since the last call.
    pub(super) fn after_a_piece(&mut self) -> Result<i64> {
        let (_, frames, copied) = sqlite::checkpoint(self.conn, "NOOP")?;
        let came = match frames < self.frames {
            true => frames,
            false => frames - self.frames,
        };
        self.frames = frames;
        if frames - copied >= self.frames_in(self.ceiling_bytes) {
            let done = sqlite::checkpoint(self.conn, "PASSIVE");
            if done.is_err() {
                // SQLite may believe that frames are copied that are on no disk: the WAL has to stay.
                sqlite::disable_checkpoint_on_close(self.conn)?;
            }
            done?;
        }
        Ok(came)
    }
}
