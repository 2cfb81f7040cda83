//! What kinds of failures there are.

use std::fmt;

/// Why an operation failed, in a form that a program can act on.
///
/// More kinds may come, so a `match` needs a `_` arm. [`http_status`](Self::http_status) is the arm that
/// services need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A value of the message is not acceptable; [`Error::field`](crate::Error::field) names it. Nothing was changed.
    Invalid,
    /// The row that the message refers to is not there; [`Error::field`](crate::Error::field) names which.
    NotFound,
    /// A row with this key is already there.
    Conflict,
    /// The caller may not do that. This crate has no such rule; it is for a host's own.
    Forbidden,
    /// The caller has used up what they may have: a budget, a quota. This crate has none; it is for a
    /// host's own, and no [`Overloaded`](Self::Overloaded), which passes by itself.
    LimitReached,
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
    /// There is no room left for what was to be written: on the disk, within a quota, or below the
    /// largest size that a file may have. [`Error::advice`](crate::Error::advice) says which. Nothing was changed.
    DiskFull,
    /// The table has no id left to give: its counter of ids stands at the largest number, where no bot
    /// gets to by counting. Somebody has written to it. Nothing was changed.
    NoIdsLeft,
    /// The operating system refused to read, write, sync or open a file.
    Io,
    /// The process, or the whole system, has as many files open as it may, so that no other can be
    /// opened. Nothing was changed.
    TooManyFiles,
    /// Whether the change was made is not known. With a message to an actor: its sender has waited for no
    /// longer, and it may still be carried out. Otherwise the disk failed in the middle of a commit and has
    /// not let the store make sure of it since: the change is not there now; should the process end before the store has written again, the
    /// next opening may find it there. To send it again safely, send it with an idempotency key.
    InDoubt,
    /// The file is damaged, or holds a value that cannot be what the schema says. Restore a backup.
    Corrupt,
    /// The file, or the folder that it is in, cannot be written, or not even be read: its owner and mode
    /// do not let this account, or the disk is mounted to be read only. [`Error::advice`](crate::Error::advice) says which.
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
    /// Every kind there is, for tests that must not miss one. In the order of this page.
    pub const ALL: &'static [Self] = &[
        Self::Invalid,
        Self::NotFound,
        Self::Conflict,
        Self::Forbidden,
        Self::LimitReached,
        Self::Overloaded,
        Self::Deadline,
        Self::Closed,
        Self::Unavailable,
        Self::Busy,
        Self::DiskFull,
        Self::NoIdsLeft,
        Self::Io,
        Self::TooManyFiles,
        Self::InDoubt,
        Self::Corrupt,
        Self::ReadOnly,
        Self::Replaced,
        Self::AlreadyOpen,
        Self::ForeignFile,
        Self::NewerSchema,
        Self::OlderSchema,
        Self::ChangedMigration,
        Self::Migration,
        Self::Untrusted,
        Self::BadBackup,
        Self::NotAuthentic,
        Self::WrongKey,
        Self::NeedsRecipient,
        Self::Cancelled,
        Self::Panicked,
        Self::OldSqlite,
        Self::Sql,
    ];

    /// The status with which a web service tells its client of it.
    ///
    /// | status | kinds | what a client does |
    /// |---|---|---|
    /// | 400 Bad Request | `Invalid` | sends something else |
    /// | 403 Forbidden | `Forbidden` | asks for permission |
    /// | 404 Not Found | `NotFound` | looks for something else |
    /// | 409 Conflict | `Conflict` | chooses another key, or takes what is there |
    /// | 429 Too Many Requests | `LimitReached` | waits for its next budget |
    /// | 503 Service Unavailable | `Overloaded` `Busy` `TooManyFiles` `Closed` `Unavailable` `Replaced` `Cancelled` | tries again later; nothing was changed |
    /// | 504 Gateway Timeout | `Deadline` | tries again later, or asks for less |
    /// | 507 Insufficient Storage | `DiskFull` | tries again later; the operator makes room |
    /// | 500 Internal Server Error | all others | reports it |
    ///
    /// `InDoubt` is 500 and not 503: a client that tries again without an idempotency key may have its
    /// change made twice.
    pub fn http_status(self) -> u16 {
        match self {
            Self::Invalid => 400,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::Conflict => 409,
            Self::LimitReached => 429,
            Self::Overloaded
            | Self::Busy
            | Self::TooManyFiles
            | Self::Closed
            | Self::Unavailable
            | Self::Replaced
            | Self::Cancelled => 503,
            Self::Deadline => 504,
            Self::DiskFull => 507,
            Self::NoIdsLeft
            | Self::Io
            | Self::InDoubt
            | Self::Corrupt
            | Self::ReadOnly
            | Self::AlreadyOpen
            | Self::ForeignFile
            | Self::NewerSchema
            | Self::OlderSchema
            | Self::ChangedMigration
            | Self::Migration
            | Self::Untrusted
            | Self::BadBackup
            | Self::NotAuthentic
            | Self::WrongKey
            | Self::NeedsRecipient
            | Self::Panicked
            | Self::OldSqlite
            | Self::Sql => 500,
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::NotFound => "not found",
            Self::Conflict => "conflict",
            Self::Forbidden => "forbidden",
            Self::LimitReached => "limit reached",
            Self::Overloaded => "overloaded",
            Self::Deadline => "deadline exceeded",
            Self::Closed => "closed",
            Self::Unavailable => "unavailable",
            Self::Busy => "busy",
            Self::DiskFull => "disk full",
            Self::NoIdsLeft => "no ids left",
            Self::Io => "I/O error",
            Self::TooManyFiles => "too many open files",
            Self::InDoubt => "in doubt",
            Self::Corrupt => "corrupt",
            Self::ReadOnly => "read-only",
            Self::Replaced => "replaced",
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
