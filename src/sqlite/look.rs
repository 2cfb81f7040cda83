//! What every connection is told before it reads a file, and how long and how much it may compute:
//! the file may be anybody's, and its schema has expressions that are evaluated.

use super::orphans::refuse_orphans;
use super::paths::{explain_denied, refuse_what_is_no_file};
use super::{Settings, beside};
use crate::error::Result;
use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The one way to open a database, whoever it is of. Nothing has been read of it before it is told
/// not to trust it, and nothing is opened that is no plain file, or that SQLite would do damage to.
pub(super) fn open(path: &Path, flags: OpenFlags) -> Result<Connection> {
    refuse_orphans(path)?;
    open_new(path, flags)
}

/// The same for a file that has just been made, and is empty.
pub(super) fn open_new(path: &Path, flags: OpenFlags) -> Result<Connection> {
    refuse_what_is_no_file(path)?;
    open_name(path, flags).map_err(|e| explain_denied(path, e))
}

/// The same for a file that nobody changes: no `-wal` and no `-shm` are made beside it, no lock is
/// taken, and what is read of a file that is changed all the same may be anything.
pub(super) fn open_immutable(path: &Path) -> Result<Connection> {
    open_as(path, "immutable=1")
}

/// The same for a file of which SQLite is to say whether it can be read without a WAL: no lock is taken
/// either.
pub(super) fn open_unlocked(path: &Path) -> Result<Connection> {
    open_as(path, "nolock=1")
}

fn open_as(path: &Path, parameter: &str) -> Result<Connection> {
    refuse_orphans(path)?;
    refuse_what_is_no_file(path)?;
    let mut uri = "file:".to_owned();
    for &byte in path.as_os_str().as_encoded_bytes() {
        if byte == b'/' || byte.is_ascii_alphanumeric() {
            uri.push(char::from(byte));
        } else {
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri.push('?');
    uri.push_str(parameter);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    open_name(Path::new(&uri), flags).map_err(|e| explain_denied(path, e))
}

fn open_name(name: &Path, flags: OpenFlags) -> Result<Connection> {
    let conn = Connection::open_with_flags(name, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    harden(&conn)?;
    Ok(conn)
}

/// The same for a database in memory, for what steps make.
pub(super) fn open_nothing() -> rusqlite::Result<Connection> {
    let conn = Connection::open_in_memory()?;
    harden(&conn)?;
    Ok(conn)
}

fn harden(conn: &Connection) -> rusqlite::Result<()> {
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
    // No statement of ours reaches for a second file, but for `VACUUM INTO`.
    conn.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
    // One call of LIKE cannot be interrupted, and takes the product of both lengths.
    conn.set_limit(Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 4096)?;
    Ok(())
}

/// What the largest value of a file may be though the file is smaller: what statements of ours and of
/// hosts put together.
#[derive(Clone, Copy)]
pub(super) enum Floor {
    /// On a connection that only looks.
    Look = 1 << 20,
    /// On one that brings the file up to date.
    Open = 64 << 20,
}

/// Bounds values by the size of the file and its WAL. No row in it is larger, whatever a program may
/// have saved, while an expression in its schema (a CHECK, an index, a generated column) could make
/// one of a gigabyte out of nothing. A fixed bound was turned down: it would have to be larger than
/// all that files hold that are in use.
pub(super) fn bound_values(conn: &Connection, path: &Path, floor: Floor) -> Result<()> {
    let bytes = size(path).max(floor as u64);
    let bytes = i32::try_from(bytes).unwrap_or(i32::MAX);
    conn.set_limit(Limit::SQLITE_LIMIT_LENGTH, bytes)?;
    Ok(())
}

/// Takes that bound away on a connection of the store's own, which will make the file larger.
pub(crate) fn unbound_values(conn: &Connection) -> Result<()> {
    // SQLite takes the largest that it was built for.
    conn.set_limit(Limit::SQLITE_LIMIT_LENGTH, i32::MAX)?;
    Ok(())
}

/// Keeps what a file's own steps do on a database in memory small and short.
pub(crate) fn confine(conn: &mut Connection) -> Result<()> {
    const PAGES: i64 = (64 << 20) / 4096;
    const LIMIT: Duration = Duration::from_secs(10);
    conn.pragma_update(None, "max_page_count", PAGES)?;
    conn.set_limit(Limit::SQLITE_LIMIT_LENGTH, Floor::Look as i32)?;
    mind(conn, Meter::new(Path::new(""), Some(LIMIT)))
}

/// Takes bounds and deadline away again.
#[cfg(feature = "testing")]
pub(crate) fn trust(conn: &mut Connection) -> Result<()> {
    unbound_values(conn)?;
    Ok(conn.progress_handler(0, None::<fn() -> bool>)?)
}

/// The size of a database and its WAL, in bytes. Without opening either: see [`crate::files::Stamp`].
pub(super) fn size(path: &Path) -> u64 {
    let size = |path: &Path| std::fs::metadata(path).map_or(0, |data| data.len());
    size(path).saturating_add(size(&beside(path, "-wal")))
}

/// Whether the file ends in the middle of a page: a part of it was cut off. SQLite takes the rest of that
/// page for zeros, and where it has no pointers, says nothing.
pub(crate) fn ends_in_a_page(conn: &Connection) -> Result<bool> {
    let page: i64 = conn.pragma_query_value(None, "page_size", |row| row.get(0))?;
    let sql = "SELECT file FROM pragma_database_list WHERE name = 'main'";
    let path = conn.query_row(sql, [], |row| Ok(named(row.get_ref(0)?)))?;
    let (Some(path), Ok(page @ 1..)) = (path, u64::try_from(page)) else {
        return Ok(false);
    };
    let size = || std::fs::metadata(&path).map_or(0, |data| data.len());
    let first = size();
    // A program that has it open may have been in the middle of making it longer.
    Ok(first % page != 0 && size() == first)
}

/// A path as SQLite keeps it, which may be no UTF-8.
fn named(name: ValueRef<'_>) -> Option<PathBuf> {
    let ValueRef::Text(bytes) = name else {
        return None;
    };
    #[cfg(unix)]
    let path = std::os::unix::ffi::OsStrExt::from_bytes(bytes);
    #[cfg(not(unix))]
    let path = std::ffi::OsStr::new(std::str::from_utf8(bytes).ok()?);
    let path: &std::ffi::OsStr = path;
    (!path.is_empty()).then(|| path.into())
}

/// SQLite's progress handler is asked this often, in virtual machine instructions: about 10 µs.
const STEPS_BETWEEN_CHECKS: i32 = 1_000;

/// Gives up on a file that keeps SQLite at work for too long.
pub(crate) fn mind_time(conn: &mut Connection, path: &Path, settings: &Settings) -> Result<()> {
    mind(
        conn,
        Meter::new(path, settings.inspect_deadline).stopped_by(settings.stop),
    )
}

fn mind(conn: &mut Connection, meter: Meter) -> Result<()> {
    Ok(conn.progress_handler(STEPS_BETWEEN_CHECKS, Some(move || meter.is_over()))?)
}

/// The same for a connection that brings the file up to date, which may take long.
pub(crate) fn mind_time_opening(
    conn: &mut Connection,
    path: &Path,
    settings: &Settings,
) -> Result<()> {
    const OPENING: Duration = Duration::from_secs(10 * 60);
    let limit = settings.inspect_deadline.unwrap_or(OPENING + usual(path));
    mind(
        conn,
        Meter::new(path, Some(limit)).stopped_by(settings.stop),
    )
}

/// How long it may take to read all of a file, many times over.
fn usual(path: &Path) -> Duration {
    Duration::from_secs(20 + size(path) / (4 << 20))
}

/// Adds up for how long SQLite is at work on a connection.
///
/// Not the time on the clock: who exports a file into a pager, or on a machine that sleeps, is not
/// at work meanwhile.
pub(crate) struct Meter {
    began: Instant,
    limit: Duration,
    /// When it was last asked, and the work up to then: in nanoseconds.
    last: AtomicU64,
    worked: AtomicU64,
    stop: Option<fn() -> bool>,
}

/// What counts at most between two looks. One of SQLite's functions, on a value as large as allowed,
/// takes about as long.
const LONGEST: u64 = 250_000_000;

impl Meter {
    /// Without a `limit`, as long as suits the file's size.
    pub(crate) fn new(path: &Path, limit: Option<Duration>) -> Self {
        Self {
            began: Instant::now(),
            limit: limit.unwrap_or_else(|| usual(path)),
            last: AtomicU64::new(0),
            worked: AtomicU64::new(0),
            stop: None,
        }
    }

    /// The same, and it is over as well when `stop` says so.
    pub(crate) fn stopped_by(mut self, stop: Option<fn() -> bool>) -> Self {
        self.stop = stop;
        self
    }

    /// Whether it has been at work for too long, or is to stop.
    pub(crate) fn is_over(&self) -> bool {
        if self.stop.is_some_and(|stop| stop()) {
            return true;
        }
        let now = u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let gap = now.saturating_sub(self.last.swap(now, Ordering::Relaxed));
        let gap = gap.min(LONGEST);
        let worked = self.worked.fetch_add(gap, Ordering::Relaxed) + gap;
        Duration::from_nanos(worked) > self.limit
    }
}
