//! What SQLite's errors mean to a caller.

use super::{Error, ErrorKind, quote};
use rusqlite::ffi::{self, ErrorCode as Code};

/// The most bytes of what SQLite says, which may hold names of the file's. Room is left for advice.
const SAID_BYTES: usize = 600;

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        let error = match error {
            rusqlite::Error::SqliteFailure(code, Some(said)) if said.len() > SAID_BYTES => {
                let said = quote::bounded_by(SAID_BYTES, said);
                rusqlite::Error::SqliteFailure(code, Some(said))
            }
            error => error,
        };
        let (kind, advice) = classify(&error);
        let from_sqlite = error.sqlite_error().is_some();
        let message = if advice.is_empty() {
            error.to_string()
        } else {
            format!("{error}; {advice}")
        };
        let mut classified = Self::new(kind, message).with_source(error);
        let of_the_disk = matches!(
            kind,
            ErrorKind::DiskFull
                | ErrorKind::Io
                | ErrorKind::Corrupt
                | ErrorKind::ReadOnly
                | ErrorKind::Busy
        );
        classified.edit(|inner| inner.of_the_disk = of_the_disk && from_sqlite);
        classified
    }
}

/// What an SQLite failure means to a caller, and what to do about it.
/// Codes: <https://sqlite.org/rescode.html>.
fn classify(error: &rusqlite::Error) -> (ErrorKind, &'static str) {
    match error {
        rusqlite::Error::FromSqlConversionFailure(..) => (
            ErrorKind::Corrupt,
            "a stored value is not what its column should hold",
        ),
        rusqlite::Error::InvalidColumnType(..) | rusqlite::Error::IntegralValueOutOfRange(..) => (
            ErrorKind::Sql,
            "a stored value is not of the type that the operation reads",
        ),
        rusqlite::Error::QueryReturnedNoRows => (ErrorKind::NotFound, ""),
        _ => {
            let Some(code) = error.sqlite_error() else {
                return (ErrorKind::Sql, "");
            };
            match (code.code, code.extended_code) {
                (
                    Code::ConstraintViolation,
                    ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY,
                ) => (ErrorKind::Conflict, ""),
                (Code::ConstraintViolation, ffi::SQLITE_CONSTRAINT_FOREIGNKEY) => (
                    ErrorKind::NotFound,
                    "it refers to a row that is not there, or takes away one that others refer to",
                ),
                (Code::ConstraintViolation | Code::TooBig | Code::TypeMismatch, _) => {
                    (ErrorKind::Invalid, "")
                }
                // The index of the WAL could not grow, and it is a file like another.
                (Code::DiskFull, _) | (_, ffi::SQLITE_IOERR_SHMSIZE) => {
                    (ErrorKind::DiskFull, "make room and try again")
                }
                // A file that ends before its last page.
                (Code::DatabaseCorrupt, _) | (_, ffi::SQLITE_IOERR_SHORT_READ) => {
                    (ErrorKind::Corrupt, "restore a backup")
                }
                (Code::NotADatabase, _) => (
                    ErrorKind::Corrupt,
                    "its first page is damaged; restore a backup",
                ),
                (Code::DatabaseBusy | Code::DatabaseLocked, _) => {
                    (ErrorKind::Busy, "another program is writing to the file")
                }
                // Others were quicker each time, for ten seconds or fifty times.
                (Code::FileLockingProtocolFailed | Code::SchemaChanged, _) => (
                    ErrorKind::Busy,
                    "other programs open and change the file all the time",
                ),
                (Code::ReadOnly | Code::PermissionDenied, _) => (
                    ErrorKind::ReadOnly,
                    "the file and its folder must be writable",
                ),
                (Code::SystemIoFailure | Code::CannotOpen | Code::OutOfMemory, _) => {
                    (ErrorKind::Io, "")
                }
                (Code::OperationInterrupted, _) => (
                    ErrorKind::Deadline,
                    "it took too long, or the store was closing",
                ),
                (Code::AuthorizationForStatementDenied, _) => (
                    ErrorKind::Sql,
                    "a query may read rows, a mutation may change them, nothing else: \
                     transactions, tables and settings belong to the store and its migrations",
                ),
                _ => (ErrorKind::Sql, ""),
            }
        }
    }
}

impl Error {
    /// Whether the system could not sync a file.
    pub(crate) fn is_failed_sync(&self) -> bool {
        let sqlite = self.sqlite().and_then(rusqlite::Error::sqlite_error);
        sqlite.is_some_and(|error| error.extended_code == ffi::SQLITE_IOERR_FSYNC)
    }

    /// Whether SQLite says that the file is no database: it never was one, or its first page is
    /// damaged.
    pub(crate) fn is_no_database(&self) -> bool {
        let code = self.sqlite().and_then(rusqlite::Error::sqlite_error_code);
        code == Some(Code::NotADatabase)
    }

    /// Whether SQLite could not open a file, or one that it needs beside it.
    pub(crate) fn is_cannot_open(&self) -> bool {
        let code = self.sqlite().and_then(rusqlite::Error::sqlite_error_code);
        code == Some(Code::CannotOpen)
    }

    /// Whether a value was larger than the connection takes.
    pub(crate) fn is_too_big(&self) -> bool {
        let code = self.sqlite().and_then(rusqlite::Error::sqlite_error_code);
        code == Some(Code::TooBig)
    }

    fn sqlite(&self) -> Option<&rusqlite::Error> {
        self.inner.source.as_deref()?.downcast_ref()
    }
}

/// Whether a COMMIT that failed so may have left all of its transaction in the WAL, where the next
/// to read the WAL from its beginning would find it: it was written, and then something else failed,
/// such as the sync. A full disk ends the writing before.
pub(crate) fn may_be_logged(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(Code::SystemIoFailure | Code::OutOfMemory)
    )
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
