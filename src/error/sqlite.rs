//! What SQLite's errors mean to a caller.

use super::system::{self, Meaning};
use super::{Error, ErrorKind, quote};
use rusqlite::ffi::{self, ErrorCode as Code};
use std::io;

/// The most bytes of SQLite's text, which may hold names from the file. Leaves room for advice.
const TEXT_BYTES: usize = 600;

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        // First of all, since any call may change it. See `system`.
        let system = io::Error::last_os_error();
        let error = match error {
            rusqlite::Error::SqliteFailure(code, Some(text)) if text.len() > TEXT_BYTES => {
                let text = quote::bounded_by(TEXT_BYTES, text);
                rusqlite::Error::SqliteFailure(code, Some(text))
            }
            error => error,
        };
        let Verdict {
            meaning: Meaning { kind, advice },
            why,
        } = classify(&error, &system);
        let code = error.sqlite_error().copied();
        let message = match (why, code.is_some_and(is_the_systems) && has_errno(&system)) {
            ("", false) => error.to_string(),
            ("", true) => format!("{error}: {system}"),
            (why, _) => format!("{error}; {why}"),
        };
        let mut classified = Self::new(kind, message)
            .with_advice(advice)
            .with_source(error);
        classified.edit(|inner| {
            inner.of_the_disk = code.is_some_and(is_of_the_disk);
            inner.leaves_in_doubt = code.is_some_and(|code| {
                leaves_in_doubt(code) && !(is_write(code) && kind == ErrorKind::DiskFull)
            });
        });
        classified
    }
}

/// What an SQLite failure means, and an explanation.
struct Verdict {
    meaning: Meaning,
    why: &'static str,
}

impl Verdict {
    fn explained(kind: ErrorKind, why: &'static str) -> Self {
        let meaning = Meaning::new(kind, "");
        Self { meaning, why }
    }

    fn advised(kind: ErrorKind, advice: &'static str) -> Self {
        let meaning = Meaning::new(kind, advice);
        Self { meaning, why: "" }
    }

    fn plain(kind: ErrorKind) -> Self {
        Self::explained(kind, "")
    }
}

/// What a failure means to a caller, and what to do about it.
fn classify(error: &rusqlite::Error, system: &io::Error) -> Verdict {
    match error {
        rusqlite::Error::FromSqlConversionFailure(..) => Verdict::explained(
            ErrorKind::Corrupt,
            "a stored value is not what its column should hold",
        ),
        rusqlite::Error::InvalidColumnType(..) | rusqlite::Error::IntegralValueOutOfRange(..) => {
            Verdict::explained(
                ErrorKind::Sql,
                "a stored value is not of the type that the operation reads",
            )
        }
        rusqlite::Error::QueryReturnedNoRows => Verdict::plain(ErrorKind::NotFound),
        _ => match error.sqlite_error() {
            None => Verdict::plain(ErrorKind::Sql),
            Some(code) => classify_code(*code, system),
        },
    }
}

/// What one of SQLite's own codes means: <https://sqlite.org/rescode.html>.
fn classify_code(code: ffi::Error, system: &io::Error) -> Verdict {
    match (code.code, code.extended_code) {
        (
            Code::ConstraintViolation,
            ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY,
        ) => Verdict::plain(ErrorKind::Conflict),
        (Code::ConstraintViolation, ffi::SQLITE_CONSTRAINT_FOREIGNKEY) => Verdict::explained(
            ErrorKind::NotFound,
            "it refers to a row that does not exist, or removes one that other rows refer to",
        ),
        (Code::ConstraintViolation | Code::TypeMismatch, _) => Verdict::plain(ErrorKind::Invalid),
        (Code::TooBig, _) => Verdict::explained(
            ErrorKind::Invalid,
            "a value exceeds SQLite's limit, or a lower one that the store has set",
        ),
        (Code::DiskFull, _) => Verdict::advised(ErrorKind::DiskFull, "make room and try again"),
        // The index of the WAL could not grow; it is a file like the others.
        (_, ffi::SQLITE_IOERR_SHMSIZE) => match system::meaning(system) {
            meaning if meaning.kind == ErrorKind::DiskFull => Verdict { meaning, why: "" },
            _ => Verdict::advised(ErrorKind::DiskFull, "make room and try again"),
        },
        // The file ends before its last page.
        (Code::DatabaseCorrupt, _) | (_, ffi::SQLITE_IOERR_SHORT_READ) => {
            Verdict::explained(ErrorKind::Corrupt, "restore a backup")
        }
        (Code::NotADatabase, _) => Verdict::explained(
            ErrorKind::Corrupt,
            "its first page is damaged; restore a backup",
        ),
        (Code::DatabaseBusy | Code::DatabaseLocked, _) => {
            Verdict::explained(ErrorKind::Busy, "another program is writing to the file")
        }
        // SQLite gives up after ten seconds, or fifty attempts, in which others were faster each time.
        (Code::FileLockingProtocolFailed | Code::SchemaChanged, _) => Verdict::explained(
            ErrorKind::Busy,
            "other programs constantly open and change the file",
        ),
        (Code::ReadOnly, ffi::SQLITE_READONLY_DBMOVED) => Verdict::advised(
            ErrorKind::ReadOnly,
            "the file was moved or removed while it was open: put it back before the program ends",
        ),
        (Code::ReadOnly | Code::PermissionDenied, _) => Verdict::advised(
            ErrorKind::ReadOnly,
            "the file and its folder must be writable",
        ),
        (Code::OutOfMemory, _) | (_, ffi::SQLITE_IOERR_NOMEM) => {
            Verdict::advised(ErrorKind::Io, system::OUT_OF_MEMORY)
        }
        (Code::SystemIoFailure | Code::CannotOpen, _) => Verdict {
            meaning: system::meaning(system),
            why: "",
        },
        (Code::OperationInterrupted, _) => Verdict::explained(
            ErrorKind::Deadline,
            "it took too long, or the store was closing",
        ),
        (Code::AuthorizationForStatementDenied, _) => Verdict::explained(
            ErrorKind::Sql,
            "a query may only read rows, and a mutation may only change them: transactions, tables and \
             settings belong to the store and its migrations",
        ),
        _ => Verdict::plain(ErrorKind::Sql),
    }
}

/// Whether the system's error number says more than SQLite's code.
fn is_the_systems(code: ffi::Error) -> bool {
    matches!(code.code, Code::SystemIoFailure | Code::CannotOpen)
        && !matches!(
            code.extended_code,
            ffi::SQLITE_IOERR_SHORT_READ | ffi::SQLITE_IOERR_NOMEM
        )
}

fn has_errno(system: &io::Error) -> bool {
    system.raw_os_error().is_some_and(|errno| errno != 0)
}

/// Whether SQLite reports the file or the disk, and not a statement.
fn is_of_the_disk(code: ffi::Error) -> bool {
    leaves_in_doubt(code)
        || matches!(
            code.code,
            Code::DiskFull
                | Code::ReadOnly
                | Code::PermissionDenied
                | Code::DatabaseBusy
                | Code::DatabaseLocked
                | Code::FileLockingProtocolFailed
                | Code::SchemaChanged
        )
        || code.extended_code == ffi::SQLITE_IOERR_SHMSIZE
}

/// Whether, after this error, a connection's memory may differ from the file.
fn leaves_in_doubt(code: ffi::Error) -> bool {
    code.extended_code != ffi::SQLITE_IOERR_SHMSIZE
        && matches!(
            code.code,
            Code::SystemIoFailure
                | Code::CannotOpen
                | Code::OutOfMemory
                | Code::DatabaseCorrupt
                | Code::NotADatabase
        )
}

fn is_write(code: ffi::Error) -> bool {
    code.extended_code == ffi::SQLITE_IOERR_WRITE
}

impl Error {
    /// Whether the system could not sync a file.
    pub(crate) fn is_failed_sync(&self) -> bool {
        let sqlite = self.sqlite().and_then(rusqlite::Error::sqlite_error);
        sqlite.is_some_and(|error| error.extended_code == ffi::SQLITE_IOERR_FSYNC)
    }

    /// Whether SQLite says that the file is no database: it never was one, or its first page is damaged.
    pub(crate) fn is_no_database(&self) -> bool {
        let code = self.sqlite().and_then(rusqlite::Error::sqlite_error_code);
        code == Some(Code::NotADatabase)
    }

    /// Whether SQLite could not open the file, or one that it needs beside it.
    pub(crate) fn is_cannot_open(&self) -> bool {
        let code = self.sqlite().and_then(rusqlite::Error::sqlite_error_code);
        code == Some(Code::CannotOpen)
    }

    /// Whether a value was larger than the connection accepts.
    pub(crate) fn is_too_big(&self) -> bool {
        let code = self.sqlite().and_then(rusqlite::Error::sqlite_error_code);
        code == Some(Code::TooBig)
    }

    /// Whether SQLite reports that there is no room, which it also does for a table that has used up its ids.
    pub(crate) fn is_full(&self) -> bool {
        let code = self.sqlite().and_then(rusqlite::Error::sqlite_error_code);
        code == Some(Code::DiskFull)
    }

    /// Whether SQLite was interrupted while it worked.
    pub(crate) fn is_interrupted(&self) -> bool {
        let code = self.sqlite().and_then(rusqlite::Error::sqlite_error_code);
        code == Some(Code::OperationInterrupted)
    }

    /// Whether a COMMIT that failed with this error may have left its whole transaction in the WAL, where the next
    /// connection that reads the WAL from its beginning would find it: it was written, and then something else
    /// failed, such as the sync. A full disk, a quota and the largest size of a file end the writing earlier.
    pub(crate) fn may_be_logged(&self) -> bool {
        let failed = self.sqlite().and_then(rusqlite::Error::sqlite_error);
        failed.is_some_and(|error| {
            matches!(error.code, Code::SystemIoFailure | Code::OutOfMemory)
                && !(is_write(*error) && self.kind() == ErrorKind::DiskFull)
        })
    }

    fn sqlite(&self) -> Option<&rusqlite::Error> {
        self.inner.source.as_deref()?.downcast_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqlite_codes_become_kinds() {
        let conn = rusqlite::Connection::open_in_memory().expect("open");
        conn.execute_batch(
            "CREATE TABLE a (id INTEGER PRIMARY KEY, n INTEGER NOT NULL CHECK (n > 0));
             CREATE TABLE b (a INTEGER NOT NULL REFERENCES a(id));
             INSERT INTO a VALUES (1, 1);",
        )
        .expect("tables");
        let kind = |sql: &str| Error::from(conn.execute(sql, []).expect_err(sql)).kind();
        assert_eq!(kind("INSERT INTO a VALUES (1, 1)"), ErrorKind::Conflict);
        assert_eq!(kind("INSERT INTO b VALUES (9)"), ErrorKind::NotFound);
        assert_eq!(kind("INSERT INTO a VALUES (2, 0)"), ErrorKind::Invalid);
        assert_eq!(kind("INSERT INTO nowhere VALUES (2)"), ErrorKind::Sql);
    }
}
