//! Secures every connection before it reads a file, and limits its time and memory: the file may come
//! from anybody, and SQLite evaluates the expressions in its schema.

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

/// The one way to open a database, whoever made it. The connection is told not to trust the file before
/// it reads anything. A path that is no regular file, or that SQLite would damage by opening, is
/// refused.
pub(super) fn open(path: &Path, flags: OpenFlags) -> Result<Connection> {
    refuse_orphans(path)?;
    open_new(path, flags)
}

/// Does the same for a file that was just created and is empty.
pub(super) fn open_new(path: &Path, flags: OpenFlags) -> Result<Connection> {
    refuse_what_is_no_file(path)?;
    open_name(path, flags).map_err(|e| explain_denied(path, e))
}

/// Does the same for a file that nobody changes. Creates no `-wal` and no `-shm` and takes no lock. If
/// the file is changed all the same, what is read may be anything.
pub(super) fn open_immutable(path: &Path) -> Result<Connection> {
    open_as(path, "immutable=1")
}

/// Does the same to find out whether SQLite can read a file without a WAL. Takes no lock either.
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

/// Does the same for a database in memory, to run steps in.
pub(super) fn open_nothing() -> rusqlite::Result<Connection> {
    let conn = Connection::open_in_memory()?;
    harden(&conn)?;
    Ok(conn)
}

fn harden(conn: &Connection) -> rusqlite::Result<()> {
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
    // Only `VACUUM INTO` needs a second file.
    conn.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
    // A call of LIKE cannot be interrupted, and takes time in the product of both lengths.
    conn.set_limit(Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 4096)?;
    Ok(())
}

/// The smallest limit for values, even if the file is smaller: for values that our statements and a
/// host's build.
#[derive(Clone, Copy)]
pub(super) enum Floor {
    /// On a connection that only reads.
    Look = 1 << 20,
    /// On a connection that brings the file up to date.
    Open = 64 << 20,
}

/// Limits values to the size of the file and its WAL. No stored row is larger, but an expression in the
/// schema (a CHECK, an index, a generated column) could compute a value of a gigabyte from nothing. A
/// fixed limit was turned down: it would have to be larger than anything in the files that are in use.
pub(super) fn bound_values(conn: &Connection, path: &Path, floor: Floor) -> Result<()> {
    let bytes = size(path).max(floor as u64);
    let bytes = i32::try_from(bytes).unwrap_or(i32::MAX);
    conn.set_limit(Limit::SQLITE_LIMIT_LENGTH, bytes)?;
    Ok(())
}

/// Removes that limit from a connection of the store's own, which will make the file larger.
pub(crate) fn unbound_values(conn: &Connection) -> Result<()> {
    // SQLite uses the largest limit that it was built for.
    conn.set_limit(Limit::SQLITE_LIMIT_LENGTH, i32::MAX)?;
    Ok(())
}

/// Limits the memory and time of steps from a file, on a database in memory.
pub(crate) fn confine(conn: &mut Connection) -> Result<()> {
    const PAGES: i64 = (64 << 20) / 4096;
    const LIMIT: Duration = Duration::from_secs(10);
    conn.pragma_update(None, "max_page_count", PAGES)?;
    conn.set_limit(Limit::SQLITE_LIMIT_LENGTH, Floor::Look as i32)?;
    mind(conn, Meter::new(Path::new(""), Some(LIMIT)))
}

/// Removes limits and deadline again.
#[cfg(feature = "testing")]
pub(crate) fn trust(conn: &mut Connection) -> Result<()> {
    unbound_values(conn)?;
    Ok(conn.progress_handler(0, None::<fn() -> bool>)?)
}

/// Returns the size of a database and its WAL, in bytes. Opens neither: see [`crate::files::Stamp`].
pub(super) fn size(path: &Path) -> u64 {
    let size = |path: &Path| std::fs::metadata(path).map_or(0, |data| data.len());
    size(path).saturating_add(size(&beside(path, "-wal")))
}

/// Whether the file ends in the middle of a page, so that a part was cut off. SQLite reads the rest of
/// that page as zeros, and reports nothing if the page has no pointers.
pub(crate) fn ends_in_a_page(conn: &Connection) -> Result<bool> {
    let page: i64 = conn.pragma_query_value(None, "page_size", |row| row.get(0))?;
    let sql = "SELECT file FROM pragma_database_list WHERE name = 'main'";
    let path = conn.query_row(sql, [], |row| Ok(named(row.get_ref(0)?)))?;
    let (Some(path), Ok(page @ 1..)) = (path, u64::try_from(page)) else {
        return Ok(false);
    };
    let size = || std::fs::metadata(&path).map_or(0, |data| data.len());
    let first = size();
    // A program that has the file open may have been making it longer.
    Ok(first % page != 0 && size() == first)
}

/// Returns a path as SQLite keeps it, which may not be UTF-8.
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

/// Virtual machine instructions between two calls of SQLite's progress handler: about 10 µs.
const STEPS_BETWEEN_CHECKS: i32 = 1_000;

/// Interrupts SQLite if it works on a file for too long.
pub(crate) fn mind_time(conn: &mut Connection, path: &Path, settings: &Settings) -> Result<()> {
    mind(
        conn,
        Meter::new(path, settings.inspect_deadline).stopped_by(settings.stop),
    )
}

fn mind(conn: &mut Connection, meter: Meter) -> Result<()> {
    Ok(conn.progress_handler(STEPS_BETWEEN_CHECKS, Some(move || meter.is_over()))?)
}

/// Does the same for a connection that brings the file up to date, which may take long.
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

/// Returns the default limit: time to read the whole file many times over.
fn usual(path: &Path) -> Duration {
    Duration::from_secs(20 + size(path) / (4 << 20))
}

/// Measures how long SQLite works on a connection.
///
/// Not elapsed time: an export into a pager, or on a machine that sleeps, does not work meanwhile.
pub(crate) struct Meter {
    began: Instant,
    limit: Duration,
    /// The time of the last check, in nanoseconds; `worked` is the work up to then.
    last: AtomicU64,
    worked: AtomicU64,
    stop: Option<fn() -> bool>,
}

/// The most that counts between two checks: about as long as one of SQLite's functions takes on the
/// largest allowed value.
const LONGEST: u64 = 250_000_000;

impl Meter {
    /// Without a `limit`, uses the default for the file's size.
    pub(crate) fn new(path: &Path, limit: Option<Duration>) -> Self {
        Self {
            began: Instant::now(),
            limit: limit.unwrap_or_else(|| usual(path)),
            last: AtomicU64::new(0),
            worked: AtomicU64::new(0),
            stop: None,
        }
    }

    /// Also ends the work once `stop` answers true.
    pub(crate) fn stopped_by(mut self, stop: Option<fn() -> bool>) -> Self {
        self.stop = stop;
        self
    }

    /// Whether SQLite has worked for too long, or should stop.
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
