//! The one error type: which operation failed, what kind of failure it was, and a sentence that a
//! person can act on.

mod quote;
mod sqlite;

pub(crate) use quote::{excerpt, quote};
pub(crate) use sqlite::may_be_logged;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// What every fallible call of this crate returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation failed, in a form that a program can act on.
///
/// More kinds may come, so a `match` needs a `_` arm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A value of the message is not acceptable; [`Error::field`] names it. Nothing was changed.
    Invalid,
    /// The row that the message refers to is not there; [`Error::field`] names which.
    NotFound,
    /// A row with this key is already there.
    Conflict,
    /// The bound on requests in flight is reached and the caller asked not to wait.
    Overloaded,
    /// The query ran past its deadline and was interrupted.
    Deadline,
    /// The store is closing or closed. A request with this answer was not carried out.
    Closed,
    /// An actor of the store has panicked too often and is not started again. The request was not carried
    /// out. Open the store again; see [`Config::max_restarts`](crate::Config::max_restarts).
    Unavailable,
    /// Another program holds SQLite's write lock for longer than the busy timeout; or it changes a file
    /// all the time that this one only reads and cannot lock, or the file is being restored.
    Busy,
    /// There is no room left for what was to be written. Nothing was changed.
    DiskFull,
    /// The table has no id left to give: its counter of ids stands at the largest number, where no bot
    /// gets to by counting. Somebody has written to it. Nothing was changed.
    NoIdsLeft,
    /// The operating system refused to read, write, sync or open a file.
    Io,
    /// Whether the change was made is not known. With a message to an actor: its sender has waited for no
    /// longer, and it may still be carried out. Otherwise the disk failed in the middle of a commit and has
    /// not let the store make sure of it since: the change is not there now; should the process end before the store has written again, the
    /// next opening may find it there. To send it again safely, send it with an idempotency key.
    InDoubt,
    /// The file is damaged, or holds a value that cannot be what the schema says. Restore a backup.
    Corrupt,
    /// The file, or the folder that it is in, cannot be written.
    ReadOnly,
    /// Another file has the name of the one that the store has open, or none has: it was moved, removed
    /// or replaced, or its WAL was. Nothing more is written; reads go on. See
    /// [`FileProblem`](crate::FileProblem). Also of a file beside which another's WAL lies, and of
    /// closing such a store, which says where it has saved all that it had.
    Replaced,
    /// Another store, in this process or another, has the file open, by this name or another.
    AlreadyOpen,
    /// The file is not an SQLite database, or one that this crate's tables do not belong in; or what
    /// has the name of one of this crate's files is no plain file.
    ForeignFile,
    /// The file was written by a newer version of this program.
    NewerSchema,
    /// The file does not have all steps of this program's schemas, and what only reads applies none.
    OlderSchema,
    /// A migration step that the file has applied reads differently in this program.
    ChangedMigration,
    /// A migration step failed. The file is as it was before that step.
    Migration,
    /// The file brings something along that would be run, and nobody has said that it may: the SQL of a
    /// step that this program does not know, or a trigger where
    /// [`Config::unknown_triggers`](crate::Config::unknown_triggers) refuses those. Nothing was
    /// changed. Also when what its schema computes is larger than the file itself.
    Untrusted,
    /// A backup is damaged, incomplete, or not what its manifest says. Use another one.
    BadBackup,
    /// A backup does not prove that it is what it says: it was forged or relabelled, or it carries no
    /// proof where one was asked for. Use another one.
    NotAuthentic,
    /// A backup is encrypted, and the secret that was given, if any, does not open it.
    WrongKey,
    /// A backup in the clear was to go among encrypted ones of the same store. Nothing was written.
    NeedsRecipient,
    /// It was asked to stop, and did. It left nothing behind.
    Cancelled,
    /// The operation's own code panicked. Nothing was changed.
    Panicked,
    /// The program is linked with an SQLite that is too old for the store.
    OldSqlite,
    /// The operation asked for something that operations may not do, or SQLite refused its SQL.
    Sql,
}

impl ErrorKind {
    fn label(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::NotFound => "not found",
            Self::Conflict => "conflict",
            Self::Overloaded => "overloaded",
            Self::Deadline => "deadline exceeded",
            Self::Closed => "closed",
            Self::Unavailable => "unavailable",
            Self::Busy => "busy",
            Self::DiskFull => "disk full",
            Self::NoIdsLeft => "no ids left",
            Self::Io => "I/O error",
            Self::InDoubt => "in doubt",
            Self::Corrupt => "corrupt",
            Self::ReadOnly => "read-only",
            Self::Replaced => "file replaced",
            Self::AlreadyOpen => "already open",
            Self::ForeignFile => "foreign file",
            Self::NewerSchema => "newer schema",
            Self::OlderSchema => "older schema",
            Self::ChangedMigration => "changed migration",
            Self::Migration => "migration failed",
            Self::Untrusted => "not trusted",
            Self::BadBackup => "bad backup",
            Self::NotAuthentic => "not authentic",
            Self::WrongKey => "wrong key",
            Self::NeedsRecipient => "needs recipient",
            Self::Cancelled => "cancelled",
            Self::Panicked => "panicked",
            Self::OldSqlite => "SQLite too old",
            Self::Sql => "SQL error",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

/// A failure: the operation, the [`ErrorKind`], and a sentence.
///
/// It never holds a prompt, a response or a secret. Of a text that came from a caller or a file, such
/// as a session's id, it quotes 64 characters; a path is shown whole, and a changed migration up to 300
/// bytes. A sentence of more than 1,000 bytes is cut, since errors are logged.
///
/// Cloning is cheap: when a transaction fails as a whole, every caller in it gets the same error.
///
/// ```
/// use botstore::{Error, ErrorKind};
///
/// let error = Error::invalid("cost", "must be a finite number of US dollars, at least 0");
/// assert_eq!(error.kind(), ErrorKind::Invalid);
/// assert_eq!(error.field(), Some("cost"));
/// assert_eq!(error.to_string(), "cost must be a finite number of US dollars, at least 0 (invalid)");
/// ```
#[derive(Clone)]
pub struct Error {
    // One pointer, so that `Result<T>` stays as small as `T` for the common answers.
    inner: Arc<Inner>,
}

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    operation: Option<&'static str>,
    field: Option<&'static str>,
    message: Cow<'static, str>,
    /// Whether SQLite or the system said so of the file, and not an operation of itself.
    of_the_disk: bool,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of this kind with this sentence. Operations of a host use it for their own.
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            inner: Arc::new(Inner {
                kind,
                operation: None,
                field: None,
                message: quote::cut(message),
                of_the_disk: false,
                source: None,
            }),
        }
    }

    /// An error with the whole of a text that a person has to read before they decide; whoever makes
    /// the sentence bounds it.
    pub(crate) fn to_be_read(kind: ErrorKind, sentence: String) -> Self {
        let mut error = Self::new(kind, "");
        Arc::make_mut(&mut error.inner).message = sentence.into();
        error
    }

    /// A value that is not acceptable: `field` is its name, `why` completes the sentence.
    pub fn invalid(field: &'static str, why: &str) -> Self {
        Self::new(
            ErrorKind::Invalid,
            quote::bounded(format_args!("{field} {why}")),
        )
        .with_field(field)
    }

    /// A row that is not there: `field` names the value that led to it, `what` the row.
    pub fn not_found(field: &'static str, what: impl fmt::Display) -> Self {
        let message = quote::bounded(format_args!("there is no {what}"));
        Self::new(ErrorKind::NotFound, message).with_field(field)
    }

    /// A row that is already there: `field` names the key, `what` the row.
    pub fn conflict(field: &'static str, what: impl fmt::Display) -> Self {
        let message = quote::bounded(format_args!("there is already a {what}"));
        Self::new(ErrorKind::Conflict, message).with_field(field)
    }

    /// `tables` are those that have given their last id.
    pub(crate) fn no_ids_left(tables: &[String]) -> Self {
        const NAMED: usize = 10;
        let named = &tables[..tables.len().min(NAMED)];
        Self::new(
            ErrorKind::NoIdsLeft,
            format!(
                "there is no id left to give: the counter in sqlite_sequence, or an id, is the largest \
                 number there is in {named:?}. The disk has room; somebody has written to the file. \
                 Restore a backup, or set them right"
            ),
        )
    }

    pub(crate) fn closed() -> Self {
        Self::new(
            ErrorKind::Closed,
            "the store is closed; this request was not carried out",
        )
    }

    pub(crate) fn io(doing: impl fmt::Display, source: std::io::Error) -> Self {
        use std::io::ErrorKind as Io;
        let kind = match source.kind() {
            Io::StorageFull | Io::QuotaExceeded | Io::FileTooLarge => ErrorKind::DiskFull,
            Io::PermissionDenied | Io::ReadOnlyFilesystem => ErrorKind::ReadOnly,
            _ => ErrorKind::Io,
        };
        Self::new(kind, quote::bounded(format_args!("{doing}: {source}"))).with_source(source)
    }

    fn with_field(mut self, field: &'static str) -> Self {
        self.edit(|inner| inner.field = Some(field));
        self
    }

    fn with_source(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.edit(|inner| inner.source = Some(Arc::new(source)));
        self
    }

    /// The same error, attributed to `operation` unless it already names one.
    pub(crate) fn in_operation(mut self, operation: &'static str) -> Self {
        if self.inner.operation.is_none() {
            self.edit(|inner| inner.operation = Some(operation));
        }
        self
    }

    /// The same failure seen from a higher step: another kind, and words before the sentence.
    pub(crate) fn because(mut self, kind: ErrorKind, doing: impl fmt::Display) -> Self {
        self.edit(|inner| {
            inner.kind = kind;
            inner.message = quote::bounded(format_args!("{doing}: {}", inner.message)).into();
        });
        self
    }

    fn edit(&mut self, change: impl FnOnce(&mut Inner)) {
        change(Arc::make_mut(&mut self.inner));
    }

    /// What kind of failure it was.
    pub fn kind(&self) -> ErrorKind {
        self.inner.kind
    }

    /// The name of the operation that failed, such as `"SaveInteraction"`; `None` for failures
    /// outside any operation, such as opening.
    pub fn operation(&self) -> Option<&'static str> {
        self.inner.operation
    }

    /// The name of the value that was refused or led nowhere, such as `"cost"` or `"session_id"`.
    pub fn field(&self) -> Option<&'static str> {
        self.inner.field
    }

    /// Whether the file or the disk under it is the reason.
    pub(crate) fn is_of_the_disk(&self) -> bool {
        self.inner.of_the_disk
    }

    /// Whether the connection that met it must not be used again: what it holds in memory may
    /// differ from what is in the file.
    pub(crate) fn leaves_in_doubt(&self) -> bool {
        self.inner.of_the_disk && matches!(self.inner.kind, ErrorKind::Io | ErrorKind::Corrupt)
    }

    /// Whether the same request may succeed later without anybody changing it: the store was
    /// overloaded, busy, out of disk, or the query ran out of time.
    pub fn is_transient(&self) -> bool {
        matches!(
            self.kind(),
            ErrorKind::Overloaded | ErrorKind::Busy | ErrorKind::DiskFull | ErrorKind::Deadline
        )
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(operation) = self.inner.operation {
            write!(f, "{operation}: ")?;
        }
        write!(f, "{} ({})", self.inner.message, self.inner.kind)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.inner.kind)
            .field("operation", &self.inner.operation)
            .field("field", &self.inner.field)
            .field("message", &self.inner.message)
            .finish()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.inner.source.as_ref().map(|source| &**source as _)
    }
}

/// An actor that is gone belongs to a store that is closed. One that does not answer in time may do what
/// it was asked all the same.
impl From<actix::MailboxError> for Error {
    fn from(error: actix::MailboxError) -> Self {
        match error {
            actix::MailboxError::Closed => Self::closed(),
            actix::MailboxError::Timeout => Self::new(
                ErrorKind::InDoubt,
                "the message was not answered within the time that its sender waits; it may be carried \
                 out all the same",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentence_names_operation_and_kind_and_keeps_the_first_operation() {
        let error = Error::not_found("user_id", "user 7")
            .in_operation("SaveInteraction")
            .in_operation("Outer");
        assert_eq!(
            error.to_string(),
            "SaveInteraction: there is no user 7 (not found)"
        );
        assert_eq!(error.operation(), Some("SaveInteraction"));
        assert_eq!(error.field(), Some("user_id"));
    }
}
