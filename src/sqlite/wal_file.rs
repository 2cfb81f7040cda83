//! Handles what an earlier process, or a failed commit, has left in the WAL.
//! Format: <https://sqlite.org/fileformat2.html#the_write_ahead_log>.

use super::{Durability, Settings, beside, checkpoint};
use crate::error::{Error, ErrorKind, Result};
use crate::files::{self, Stamp};
use rusqlite::Connection;
use std::io::{self, BufReader, Read};
use std::path::Path;

const HEADER_BYTES: usize = 32;
const FRAME_HEADER_BYTES: usize = 24;

/// The bytes that a frame adds to its page in the WAL.
pub(crate) const FRAME_OVERHEAD: u64 = FRAME_HEADER_BYTES as u64;

/// Commits a change without effect, which rewrites the first page. That proves that the file can be
/// written. It also overwrites what a failed commit has left at the WAL's end, so that nobody who reads
/// the WAL from its beginning finds that.
///
/// Emptying the WAL instead was turned down: a reader may be in the middle of it.
pub(crate) fn write_probe(conn: &Connection) -> Result<()> {
    conn.execute_batch("BEGIN IMMEDIATE")?;
    let written = conn
        .pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0))
        .and_then(|version| conn.pragma_update(None, "user_version", version))
        .and_then(|()| conn.execute_batch("COMMIT"))
        .map_err(Error::from);
    if written.is_err() && !conn.is_autocommit() {
        // If this fails too, the connection is not used again anyway.
        let _ = conn.execute_batch("ROLLBACK");
    }
    written
}

/// Copies what an earlier process left in the WAL into the file, before anything new is written. If
/// that process died of a failed sync, readable parts of the WAL may not be on the disk, and another
/// sync need not write them: see <https://lwn.net/Articles/752063/>.
pub(crate) fn recover_wal(conn: &Connection) -> Result<()> {
    // Frames that another program still reads stay in the WAL, as always.
    checkpoint(conn, "PASSIVE").map(|_| ())
}

/// Refuses a file whose WAL is damaged in the middle, on the connection that is to write to it. SQLite
/// takes the first broken frame for the end of the WAL, and would silently skip the commits after it.
pub(crate) fn refuse_damaged_wal(
    conn: &Connection,
    path: &Path,
    settings: &Settings,
) -> Result<()> {
    let log = beside(path, "-wal");
    if damage(&log)?.is_none() {
        return Ok(());
    }
    // Another program may have been writing to it just now. If one still has the file open, SQLite
    // knows the WAL from its index, and does not search for its end.
    if conn.execute_batch("BEGIN IMMEDIATE").is_err() {
        return Ok(());
    }
    let found = damage(&log);
    conn.execute_batch("ROLLBACK")?;
    found?.map_or(Ok(()), |damage| damage.refuse(&log, settings.durability))
}

/// Does the same for a reader, which must not take a lock.
pub(crate) fn refuse_damaged_wal_unlocked(path: &Path, settings: &Settings) -> Result<()> {
    let log = beside(path, "-wal");
    let before = Stamp::of(&log);
    let found = damage(&log)?;
    // A WAL that is being written differs each time, and so does its stamp.
    if found.is_none() || damage(&log)? != found || Stamp::of(&log) != before {
        return Ok(());
    }
    found.map_or(Ok(()), |damage| damage.refuse(&log, settings.durability))
}

/// Where a WAL is damaged, and how many commits that makes unreadable.
#[derive(Debug, PartialEq)]
struct Damage {
    /// Counted from 1; 0 for the WAL's header.
    frame: u64,
    /// A lower bound.
    commits: u64,
}

impl Damage {
    fn refuse(&self, log: &Path, durability: Durability) -> Result<()> {
        let Self { frame, commits } = self;
        match durability {
            Durability::Full => Err(Error::new(
                ErrorKind::Corrupt,
                format!(
                    "{} is damaged in frame {frame}, and at least {commits} commits from there on \
                     cannot be read; restore a backup. (If the power failed while the file was \
                     written with Durability::Normal, or by a program with synchronous=NORMAL, or \
                     if those commits may be lost: open it once with Durability::Normal, and check \
                     it then.)",
                    log.display()
                ),
            )),
            // Then a power failure may have hit while pages of many commits were on their way to the
            // disk.
            Durability::Normal => {
                tracing::warn!(frame, commits, "commits at the log's end cannot be read");
                Ok(())
            }
        }
    }
}

/// Looks for damage that cannot come from a process or a machine that stopped while writing. A commit
/// only begins when the last one is on the disk, so an interruption leaves at most one commit
/// unfinished.
fn damage(log: &Path) -> Result<Option<Damage>> {
    files::refuse_other_than_own(log)?;
    let Some(file) = files::open(log)? else {
        return Ok(None);
    };
    search(BufReader::with_capacity(1 << 16, file)).map_err(|e| files::cannot("read", log, e))
}

fn search(mut log: impl Read) -> io::Result<Option<Damage>> {
    let mut header = [0; HEADER_BYTES];
    // The header is on the disk before the first frame is written.
    if !fill(&mut log, &mut header)? {
        return Ok(None);
    }
    let sum_words = match word(&header, 0) {
        0x377f_0682 => u32::from_le_bytes,
        0x377f_0683 => u32::from_be_bytes,
        _ => return after_header(log),
    };
    let mut sum = Sum {
        word: sum_words,
        state: (0, 0),
    };
    sum.add(&header[..24]);
    let page_bytes = word(&header, 8) as usize;
    let sound = sum.state == (word(&header, 24), word(&header, 28))
        && page_bytes.is_power_of_two()
        && (512..=65536).contains(&page_bytes);
    if !sound {
        return after_header(log);
    }
    let salts = &header[16..24];
    let mut frame = vec![0; FRAME_HEADER_BYTES + page_bytes];
    let (mut number, mut broken, mut chain, mut commits) = (0, 0, 0, 0);
    while fill(&mut log, &mut frame)? {
        number += 1;
        let ours = frame[8..16] == *salts;
        let stored = (word(&frame, 16), word(&frame, 20));
        sum.add(&frame[..8]);
        sum.add(&frame[FRAME_HEADER_BYTES..]);
        let follows = ours && sum.state == stored;
        // From here on each frame is compared with the checksum that the one before states. After
        // damage there is a chain of many commits, while the remains of a failed commit are a chain of
        // their own, with one end.
        sum.state = stored;
        if broken == 0 {
            if follows {
                continue;
            }
            broken = number;
        }
        let ends_commit = ours && word(&frame, 4) != 0;
        chain = if follows { chain } else { 0 } + u64::from(ends_commit);
        commits = commits.max(chain);
    }
    Ok((commits > 1).then_some(Damage {
        frame: broken,
        commits,
    }))
}

/// Handles a WAL with a damaged header: nothing in it can be read.
fn after_header(mut log: impl Read) -> io::Result<Option<Damage>> {
    let mut frame_header = [0; FRAME_HEADER_BYTES];
    let has_frames = fill(&mut log, &mut frame_header)?;
    Ok(has_frames.then_some(Damage {
        frame: 0,
        commits: 1,
    }))
}

/// Returns false if fewer bytes are left.
fn fill(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match from.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(e) => Err(e),
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes[at..at + 4]
        .iter()
        .fold(0, |word, &byte| word << 8 | u32::from(byte))
}

/// The WAL's running checksum.
struct Sum {
    word: fn([u8; 4]) -> u32,
    state: (u32, u32),
}

impl Sum {
    fn add(&mut self, bytes: &[u8]) {
        let (word, (mut a, mut b)) = (self.word, self.state);
        let (pairs, _) = bytes.as_chunks();
        for &[x0, x1, x2, x3, y0, y1, y2, y3] in pairs {
            a = a.wrapping_add(word([x0, x1, x2, x3])).wrapping_add(b);
            b = b.wrapping_add(word([y0, y1, y2, y3])).wrapping_add(a);
        }
        self.state = (a, b);
    }
}
