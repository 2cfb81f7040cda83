//! Every way a connection is opened and every PRAGMA that is set. Reasons and alternatives are in
//! `docs/architecture.md`.

use crate::config::{Config, Durability};
use crate::error::{Error, ErrorKind, Result};
use crate::time;
use rusqlite::config::DbConfig;
use rusqlite::functions::FunctionFlags;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, OpenFlags};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// More than there are statements, so that none is prepared twice.
const STATEMENT_CACHE: usize = 256;

/// SQLite's progress handler is asked this often, in virtual machine instructions: about 10 µs.
const STEPS_BETWEEN_CHECKS: i32 = 1_000;

/// The path with `suffix` after its last component: SQLite's way to name the files beside a file.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The claim of one store on a file, held for as long as the store is open.
///
/// A lock file, because SQLite's own exclusive mode would lock our readers out as well. The file
/// stays when the lock goes: removing it would let two stores lock two files of the same name.
pub(crate) struct FileLock(#[allow(dead_code, reason = "held, not read")] File);

impl FileLock {
    pub(crate) fn acquire(database: &Path) -> Result<Self> {
        let path = beside(database, ".lock");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|e| Error::io(format_args!("cannot create {}", path.display()), e))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = file.read_to_string(&mut holder);
                let holder = match holder.trim() {
                    "" => "another store".to_owned(),
                    pid => format!("the store in process {pid}"),
                };
                return Err(Error::new(
                    ErrorKind::AlreadyOpen,
                    format!(
                        "{} is open in {holder}: one store writes to a file at a time",
                        database.display()
                    ),
                ));
            }
            Err(TryLockError::Error(e)) => {
                return Err(Error::io(format_args!("cannot lock {}", path.display()), e));
            }
        }
        // For the sentence above only, so a failure is no reason not to open.
        let _ = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| write!(file, "{}", std::process::id()));
        Ok(Self(file))
    }
}

/// Creates the folder if it is missing, and gives the file's path without links and dots, so that
/// two names of one file meet in one lock.
pub(crate) fn resolve(path: &Path) -> Result<PathBuf> {
    let name = path.file_name().ok_or_else(|| {
        Error::invalid(
            "path",
            &format!("must name a file, which {} does not", path.display()),
        )
    })?;
    if path.is_dir() {
        return Err(Error::new(
            ErrorKind::ForeignFile,
            format!(
                "{} is a folder; name the file to keep in it",
                path.display()
            ),
        ));
    }
    if let Ok(resolved) = path.canonicalize() {
        return Ok(resolved);
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    std::fs::create_dir_all(folder)
        .and_then(|()| folder.canonicalize())
        .map(|folder| folder.join(name))
        .map_err(|e| Error::io(format_args!("cannot create {}", folder.display()), e))
}

/// Opens a connection that may write, creating the file if it is missing. Changes nothing else
/// yet, so that a file that is refused stays as it is.
pub(crate) fn connect(path: &Path, config: &Config) -> Result<Connection> {
    let conn = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )
    .map_err(|e| name_file(e.into(), path))?;
    if conn.is_readonly(rusqlite::MAIN_DB)? {
        return Err(Error::new(
            ErrorKind::ReadOnly,
            format!(
                "{} cannot be written: check its owner and mode",
                path.display()
            ),
        ));
    }
    // Closing would empty a log that its program left into a file that may yet be refused.
    let has_log = beside(path, "-wal").exists();
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, has_log)?;
    conn.busy_timeout(config.busy_timeout)?;
    // The first to read the file, so the first to find that it is no database.
    common(&conn, config).map_err(|e| name_file(e, path))?;
    Ok(conn)
}

/// Makes a connection the one that writes.
pub(crate) fn make_writer(conn: &Connection, path: &Path, config: &Config) -> Result<()> {
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
    // Only a file without tables takes this setting; it lets retention give space back later.
    conn.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    let mode: String = conn
        .query_row("PRAGMA journal_mode=WAL", [], |row| row.get(0))
        .map_err(|e| name_file(e.into(), path))?;
    if !mode.eq_ignore_ascii_case("wal") {
        return Err(Error::new(
            ErrorKind::Io,
            format!(
                "{} cannot have a write-ahead log: the journal mode stays {mode:?}; a network \
                 file system may be the reason",
                path.display()
            ),
        ));
    }
    let synchronous = match config.durability {
        Durability::Full => "FULL",
        Durability::Normal => "NORMAL",
    };
    conn.pragma_update(None, "synchronous", synchronous)?;
    conn.pragma_update(None, "foreign_keys", true)?;
    // Checkpoints are the checkpointer's work; inside a commit they are its tail.
    conn.pragma_update(None, "wal_autocheckpoint", 0)?;
    conn.pragma_update(None, "journal_size_limit", config.wal_ceiling_bytes as i64)?;
    Ok(())
}

/// Opens a connection that can only read.
pub(crate) fn open_reader(path: &Path, config: &Config) -> Result<Connection> {
    let conn = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    conn.busy_timeout(config.busy_timeout)?;
    conn.pragma_update(None, "query_only", true)?;
    if config.mmap_bytes > 0 {
        conn.pragma_update(None, "mmap_size", config.mmap_bytes as i64)?;
    }
    common(&conn, config)?;
    Ok(conn)
}

/// Opens the connection that copies the log into the file, and does nothing else.
pub(crate) fn open_checkpointer(path: &Path) -> Result<Connection> {
    let conn = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    // A checkpoint syncs as `synchronous` says; FULL and NORMAL sync the same here.
    conn.busy_timeout(Duration::ZERO)?;
    conn.pragma_update(None, "wal_autocheckpoint", 0)?;
    Ok(conn)
}

fn common(conn: &Connection, config: &Config) -> Result<()> {
    // Negative means KiB; positive would be pages.
    conn.pragma_update(None, "cache_size", -((config.cache_bytes / 1024) as i64))?;
    conn.pragma_update(None, "temp_store", "MEMORY")?;
    conn.pragma_update(None, "cell_size_check", true)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
    conn.set_prepared_statement_cache_capacity(STATEMENT_CACHE);
    add_functions(conn)
}

/// `botstore_utc(text)`: the one spelling of the time that a text tells; what is not a time comes
/// back as it went in, so that adoption loses nothing.
fn add_functions(conn: &Connection) -> Result<()> {
    conn.create_scalar_function(
        "botstore_utc",
        1,
        FunctionFlags::SQLITE_UTF8
            | FunctionFlags::SQLITE_DETERMINISTIC
            | FunctionFlags::SQLITE_INNOCUOUS,
        |context| {
            Ok(match context.get_raw(0) {
                ValueRef::Text(bytes) => {
                    let text = String::from_utf8_lossy(bytes);
                    let known = time::parse(&text).map(time::format);
                    Value::Text(known.unwrap_or_else(|| text.into_owned()))
                }
                _ => context.get(0)?,
            })
        },
    )?;
    Ok(())
}

pub(crate) fn name_file(error: Error, path: &Path) -> Error {
    let kind = error.kind();
    error.because(kind, path.display())
}

/// Runs a PRAGMA that checkpoints; gives (busy, frames in the log, frames copied so far).
pub(crate) fn checkpoint(conn: &Connection, mode: &str) -> Result<(bool, i64, i64)> {
    let sql = format!("PRAGMA wal_checkpoint({mode})");
    Ok(conn.query_row(&sql, [], |row| {
        Ok((row.get::<_, i64>(0)? != 0, row.get(1)?, row.get(2)?))
    })?)
}

/// Lets the query planner refresh statistics that have gone stale. A bounded sample per index.
pub(crate) fn optimize(conn: &Connection) -> Result<()> {
    Ok(conn.execute_batch("PRAGMA analysis_limit=400; PRAGMA optimize;")?)
}

/// Keeps an operation from doing to its connection what would break its neighbours.
///
/// SQLite asks when a statement is prepared. The store's own statements are prepared while no
/// operation runs, and have texts that no operation's statement has. Checking the SQL's first word
/// instead was turned down: SQLite's own parser sees through comments and pragma functions.
#[derive(Clone, Default)]
pub(crate) struct OperationGuard(Arc<AtomicBool>);

impl OperationGuard {
    pub(crate) fn install(&self, conn: &mut Connection) -> Result<()> {
        let active = Arc::clone(&self.0);
        conn.authorizer(Some(move |context: AuthContext<'_>| {
            if !active.load(Ordering::Relaxed) || is_for_operations(&context.action) {
                Authorization::Allow
            } else {
                Authorization::Deny
            }
        }))?;
        Ok(())
    }

    /// Runs `operation` with the guard up.
    pub(crate) fn during<T>(&self, operation: impl FnOnce() -> T) -> T {
        self.0.store(true, Ordering::Relaxed);
        let _down = Lower(&self.0);
        operation()
    }
}

struct Lower<'a>(&'a AtomicBool);

impl Drop for Lower<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

fn is_for_operations(action: &AuthAction<'_>) -> bool {
    match action {
        AuthAction::Select
        | AuthAction::Read { .. }
        | AuthAction::Insert { .. }
        | AuthAction::Update { .. }
        | AuthAction::Delete { .. }
        | AuthAction::Function { .. }
        | AuthAction::Recursive => true,
        // What tells of the schema, not what sets something.
        AuthAction::Pragma { pragma_name, .. } => matches!(
            *pragma_name,
            "table_info"
                | "table_xinfo"
                | "table_list"
                | "index_list"
                | "index_info"
                | "index_xinfo"
                | "foreign_key_list"
                | "data_version"
        ),
        _ => false,
    }
}

/// Interrupts a query that runs past its deadline, or past the store's.
#[derive(Clone)]
pub(crate) struct Watchdog {
    epoch: Instant,
    /// Nanoseconds after `epoch`; 0 while no query runs.
    deadline: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

impl Watchdog {
    /// `stop` ends every query that runs, whatever its deadline.
    pub(crate) fn new(stop: Arc<AtomicBool>) -> Self {
        Self {
            epoch: Instant::now(),
            deadline: Arc::default(),
            stop,
        }
    }

    pub(crate) fn install(&self, conn: &mut Connection) -> Result<()> {
        let watch = self.clone();
        conn.progress_handler(
            STEPS_BETWEEN_CHECKS,
            Some(move || {
                let deadline = watch.deadline.load(Ordering::Relaxed);
                deadline != 0
                    && (watch.stop.load(Ordering::Relaxed)
                        || watch.epoch.elapsed().as_nanos() as u64 > deadline)
            }),
        )?;
        Ok(())
    }

    /// Runs `query` with this deadline.
    pub(crate) fn until<T>(&self, deadline: Instant, query: impl FnOnce() -> T) -> T {
        let after = deadline.saturating_duration_since(self.epoch).as_nanos();
        self.deadline
            .store((after as u64).max(1), Ordering::Relaxed);
        let answer = query();
        self.deadline.store(0, Ordering::Relaxed);
        answer
    }
}

/// Counts the frames in the log after each commit, as SQLite reports them.
pub(crate) fn watch_wal(conn: &mut Connection, frames: Arc<AtomicI64>) -> Result<()> {
    conn.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, count| {
        frames.store(i64::from(count), Ordering::Relaxed);
        Ok(())
    }))?;
    Ok(())
}
