//! Opens every connection and sets every PRAGMA. Reasons and alternatives are in
//! `docs/architecture.md`.

mod authorizer;
mod build;
mod cell;
mod ids;
mod inspect;
mod lock;
mod look;
mod names;
mod open_files;
mod orphans;
mod paths;
mod readers;
mod rescue;
mod settings;
mod statements;
mod tables;
mod temporary;
mod tidy;
mod wal;
mod wal_file;

pub(crate) use authorizer::{
    Authorizer, Owners, StepRules, Watchdog, for_mutations, for_queries, for_steps, leave_rows_out,
    unguarded,
};
pub(crate) use build::warn_of_shared_cache;
pub(crate) use cell::{Cell, cells};
pub(crate) use ids::{id_counters, tables_without_ids};
pub(crate) use inspect::{Inspection, inspect, open_to_back_up};
pub(crate) use lock::FileLock;
pub use lock::OpenIn;
#[cfg(feature = "testing")]
pub(crate) use look::trust;
pub(crate) use look::{Meter, confine, ends_in_a_page, mind_time_opening, unbound_values};
pub(crate) use names::path_of;
pub use open_files::FileProblem;
pub(crate) use open_files::{OpenFiles, file_problems};
pub(crate) use orphans::refuse_orphans;
pub(crate) use paths::{
    BACKUPS, FILES, RESTORING, beside, existing, is_missing, open_to_others, refuse_unsettled,
    resolve,
};
pub(crate) use readers::other_readers;
pub(crate) use rescue::save_copy;
pub use settings::Durability;
pub(crate) use settings::{FileTriggers, Settings};
pub(crate) use tables::has_table;
pub(crate) use temporary::{use_memory, use_temporary_files};
pub(crate) use wal::{
    WalWatch, checkpoint, disable_checkpoint_on_close, enable_checkpoint_on_close,
};
pub(crate) use wal_file::{
    FRAME_OVERHEAD, recover_wal, refuse_damaged_wal, refuse_damaged_wal_unlocked, write_probe,
};

use crate::error::{Error, ErrorKind, Result, quote};
use crate::files;
use crate::time;
use look::{Floor, bound_values, open};
use rusqlite::config::DbConfig;
use rusqlite::functions::FunctionFlags;
use rusqlite::limits::Limit;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, OpenFlags};
use std::path::Path;
use std::time::Duration;

/// Opens a connection that may write, and creates the file if it is missing. This function creates it,
/// not SQLite, so that from the beginning only its owner can read it. SQLite creates the files beside a
/// database with the database's mode and owner. Changes nothing in the file, so that a refused file
/// stays as it is.
pub(crate) fn connect(path: &Path, settings: &Settings) -> Result<Connection> {
    build::refuse_old()?;
    refuse_orphans(path)?;
    files::create_if_missing(path)?;
    set_up(
        look::open_new(path, OpenFlags::SQLITE_OPEN_READ_WRITE),
        path,
        settings,
    )
}

/// Does the same for a file that existed before: a missing one must not be replaced by an empty one.
pub(crate) fn connect_again(path: &Path, settings: &Settings) -> Result<Connection> {
    build::refuse_old()?;
    set_up(
        open(path, OpenFlags::SQLITE_OPEN_READ_WRITE),
        path,
        settings,
    )
}

fn set_up(opened: Result<Connection>, path: &Path, settings: &Settings) -> Result<Connection> {
    let conn = opened.map_err(|e| name_file(e, path))?;
    if conn.is_readonly(rusqlite::MAIN_DB)? {
        return Err(paths::cannot_be_written(path));
    }
    // Closing would empty a WAL, left by another program, into a file that may yet be refused.
    let has_log = beside(path, "-wal").exists();
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, has_log)?;
    conn.busy_timeout(settings.busy_timeout)?;
    bound_values(&conn, path, Floor::Open)?;
    // This reads the file first, so it is the first to notice that it is no database.
    common(&conn, settings).map_err(|e| unreadable(e, path))?;
    // Those that no step made; here they cannot be told from the others.
    let triggers = settings.file_triggers == FileTriggers::Run;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, triggers)?;
    Ok(conn)
}

/// Makes a connection the one that writes.
pub(crate) fn make_writer(conn: &Connection, path: &Path, settings: &Settings) -> Result<()> {
    // Only a file without tables accepts this setting, which later lets retention give space back.
    // Setting it again would write to the file again.
    const INCREMENTAL: i64 = 2;
    let vacuum: i64 = conn.pragma_query_value(None, "auto_vacuum", |row| row.get(0))?;
    if vacuum != INCREMENTAL {
        conn.pragma_update(None, "auto_vacuum", INCREMENTAL)?;
    }
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
    let synchronous = match settings.durability {
        Durability::Full => "FULL",
        Durability::Normal => "NORMAL",
    };
    conn.pragma_update(None, "synchronous", synchronous)?;
    conn.pragma_update(None, "foreign_keys", true)?;
    // Checkpoints are the checkpointer's work; inside a commit they would make that commit slow.
    conn.pragma_update(None, "wal_autocheckpoint", 0)?;
    conn.pragma_update(
        None,
        "journal_size_limit",
        settings.wal_ceiling_bytes as i64,
    )?;
    // Last: a connection that could not be set up must not remove a WAL that others have open.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
    Ok(())
}

/// Makes rows that a `REPLACE` removes fire delete triggers, so that rollups lose these rows too.
/// SQLite has one setting for this and for recursive triggers. So it stays off if a trigger in the file
/// fires itself: that would recurse until SQLite refuses each write of its table.
///
/// Only for operations: steps, and the checks at opening, use no `REPLACE`.
pub(crate) fn fire_triggers_on_replace(conn: &mut Connection) -> Result<()> {
    let circle = authorizer::trigger_that_fires_itself(conn)?;
    if let Some(trigger) = &circle {
        tracing::warn!(
            trigger = %quote(trigger),
            "a trigger may fire itself, so rows that REPLACE removes fire no triggers in this file, \
             and stay in the statistics until these are reconciled"
        );
    }
    Ok(conn.pragma_update(None, "recursive_triggers", circle.is_none())?)
}

/// Opens a connection that can only read.
pub(crate) fn open_reader(path: &Path, settings: &Settings) -> Result<Connection> {
    let conn = open(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    conn.busy_timeout(settings.busy_timeout)?;
    conn.pragma_update(None, "query_only", true)?;
    if settings.mmap_bytes > 0 {
        conn.pragma_update(None, "mmap_size", settings.mmap_bytes as i64)?;
    }
    common(&conn, settings)?;
    Ok(conn)
}

/// Opens a database that was unpacked from a backup, to read and check it. The caller limits the time.
pub(crate) fn open_copy(path: &Path) -> Result<Connection> {
    let conn = open(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    bound_values(&conn, path, Floor::Look)?;
    conn.pragma_update(None, "cell_size_check", true)?;
    Ok(conn)
}

/// Limits the size of values on a connection that has been open for a while: see [`Floor::Look`].
pub(crate) fn bound_values_to_look(conn: &Connection, path: &Path) -> Result<()> {
    bound_values(conn, path, Floor::Look)
}

/// Opens the file that a database is copied into.
pub(crate) fn open_target(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
    open(path, flags)
}

/// Copies a database without deleted rows.
pub(crate) fn vacuum_into(conn: &Connection, to: &Path) -> Result<()> {
    // For SQLite a name is bytes too, but in a UTF-16 database it would convert bytes that are not
    // UTF-8.
    let encoding: String = conn.pragma_query_value(None, "encoding", |row| row.get(0))?;
    if to.to_str().is_none() && !(cfg!(unix) && encoding == "UTF-8") {
        let why = "must have a path in UTF-8 for a compact backup of this file, which is in UTF-16";
        return Err(Error::invalid("folder", why));
    }
    let name = ToSqlOutput::Borrowed(ValueRef::Text(to.as_os_str().as_encoded_bytes()));
    // SQLite attaches the copy while it writes it.
    conn.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 1)?;
    let done = conn.execute("VACUUM INTO ?1", [name]).map_err(Error::from);
    conn.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
    done.map(|_| ())
}

/// Opens an empty database in memory, to see what steps make.
pub(crate) fn in_memory() -> Result<Connection> {
    let conn = look::open_nothing()?;
    add_functions(&conn)?;
    Ok(conn)
}

/// Opens an empty database in memory, to count in. All work there is one transaction, and nothing of it
/// reaches a disk.
pub(crate) fn scratch() -> Result<Connection> {
    let conn = look::open_nothing()?;
    conn.pragma_update(None, "temp_store", "MEMORY")?;
    conn.execute_batch("BEGIN")?;
    Ok(conn)
}

/// Opens the connection that only copies the WAL into the file.
pub(crate) fn open_checkpointer(path: &Path) -> Result<Connection> {
    let conn = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    // A checkpoint syncs as `synchronous` says; FULL and NORMAL sync the same here.
    conn.busy_timeout(Duration::ZERO)?;
    conn.pragma_update(None, "wal_autocheckpoint", 0)?;
    // It may be the last one for a moment, while the writer reopens its own.
    disable_checkpoint_on_close(&conn)?;
    Ok(conn)
}

/// Opens the connection that backups are made from. Not `query_only`: under it `VACUUM INTO` another
/// file counts as writing to this one.
pub(crate) fn open_backup_source(path: &Path, settings: &Settings) -> Result<Connection> {
    let conn = open(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    conn.busy_timeout(settings.busy_timeout)?;
    common(&conn, settings)?;
    Ok(conn)
}

fn common(conn: &Connection, settings: &Settings) -> Result<()> {
    // Negative means KiB; positive would be pages.
    conn.pragma_update(None, "cache_size", -((settings.cache_bytes / 1024) as i64))?;
    conn.pragma_update(None, "temp_store", "MEMORY")?;
    conn.pragma_update(None, "cell_size_check", true)?;
    statements::keep(conn)?;
    add_functions(conn)
}

/// Adds `botstore_utc(time)`, which returns a time in its one spelling. A value that is not a time is
/// returned unchanged, to the byte, so that adoption loses nothing.
fn add_functions(conn: &Connection) -> Result<()> {
    conn.create_scalar_function(
        "botstore_utc",
        1,
        FunctionFlags::SQLITE_UTF8
            | FunctionFlags::SQLITE_DETERMINISTIC
            | FunctionFlags::SQLITE_INNOCUOUS,
        |context| {
            let value = context.get_raw(0);
            let known = time::read(value).map(time::format);
            Ok(known.map_or_else(|| Cell::from(value), Cell::text))
        },
    )?;
    Ok(())
}

/// Turns an error of the first read into one about the file. For some damaged headers SQLite reports an
/// SQL error.
fn unreadable(error: Error, path: &Path) -> Error {
    let error = match error.kind() {
        ErrorKind::Sql => error.because(
            ErrorKind::Corrupt,
            "its header is damaged; restore a backup",
        ),
        _ => error,
    };
    name_file(error, path)
}

/// Adds the file's path. For a file with a bad first page, it distinguishes a damaged database from a
/// file that never was one, by whether a store has opened it.
pub(crate) fn name_file(error: Error, path: &Path) -> Error {
    let corrupt = error.kind() == ErrorKind::Corrupt;
    if corrupt && error.is_no_database() && !lock::has_been_open(path) {
        return Error::new(
            ErrorKind::ForeignFile,
            format!(
                "{} is not a database. If it was one, its first page is damaged: restore a backup",
                path.display()
            ),
        );
    }
    let error = paths::explain_denied(path, too_big_for(error));
    let kind = error.kind();
    error.because(kind, path.display())
}

/// On a connection that is limited to the file's size, a larger value was computed by the schema.
pub(crate) fn too_big_for(error: Error) -> Error {
    match error.is_too_big() {
        true => error.because(
            ErrorKind::Untrusted,
            "the schema computes a value that is larger than the whole file, which no store's schema \
             does",
        ),
        false => error,
    }
}

/// Lets the query planner refresh stale statistics, from a bounded sample of each index.
pub(crate) fn optimize(conn: &Connection) -> Result<()> {
    Ok(conn.execute_batch("PRAGMA analysis_limit=400; PRAGMA optimize;")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(durability: Durability) -> Settings {
        Settings {
            durability,
            file_triggers: FileTriggers::Run,
            busy_timeout: Duration::from_secs(5),
            cache_bytes: 1 << 20,
            mmap_bytes: 0,
            wal_ceiling_bytes: 1 << 20,
            inspect_deadline: None,
            stop: None,
        }
    }

    fn opened(durability: Durability) -> (tempfile::TempDir, Connection) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pragmas.db");
        let settings = settings(durability);
        let conn = connect(&path, &settings).unwrap();
        make_writer(&conn, &path, &settings).unwrap();
        (folder, conn)
    }

    fn pragma(conn: &Connection, name: &str) -> i64 {
        conn.pragma_query_value(None, name, |row| row.get(0))
            .unwrap()
    }

    #[test]
    fn the_writer_syncs_each_commit_unless_told_otherwise() {
        let (_folder, full) = opened(Durability::Full);
        assert_eq!(pragma(&full, "synchronous"), 2);
        let (_folder, normal) = opened(Durability::Normal);
        assert_eq!(pragma(&normal, "synchronous"), 1);
    }

    #[test]
    fn a_new_file_can_give_space_back_and_minds_its_references() {
        let (_folder, conn) = opened(Durability::Full);
        assert_eq!(pragma(&conn, "auto_vacuum"), 2);
        assert_eq!(pragma(&conn, "foreign_keys"), 1);
        assert_eq!(pragma(&conn, "wal_autocheckpoint"), 0);
        assert_eq!(pragma(&conn, "trusted_schema"), 0);
    }

    #[test]
    fn a_reader_can_not_write() {
        let (folder, conn) = opened(Durability::Full);
        conn.execute_batch("CREATE TABLE a (b)").unwrap();
        let path = folder.path().join("pragmas.db");
        let reader = open_reader(&path, &settings(Durability::Full)).unwrap();
        reader.pragma_update(None, "query_only", false).unwrap();
        let error = Error::from(reader.execute("INSERT INTO a VALUES (1)", []).unwrap_err());
        assert_eq!(error.kind(), ErrorKind::ReadOnly);
    }
}
