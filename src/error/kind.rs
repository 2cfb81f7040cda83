//! The kinds of failures.

use std::fmt;

/// Why an operation failed, in a form that a program can act on.
///
/// More kinds may be added, so a `match` needs a `_` arm. Services can use [`http_status`](Self::http_status)
/// instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A value of the message is not acceptable; [`Error::field`](crate::Error::field) names it. Nothing was
    /// changed.
    Invalid,
    /// The row that the message refers to does not exist; [`Error::field`](crate::Error::field) names the value
    /// that refers to it.
    NotFound,
    /// A row with this key exists already.
    Conflict,
    /// The caller lacks the permission. This crate has no such rule; the kind is for a host's own.
    Forbidden,
    /// The caller has used up a budget or a quota. This crate never returns it: its limits answer with
    /// [`Decision::Denied`](crate::limits::Decision::Denied), which a host may turn into this. Unlike
    /// [`Overloaded`](Self::Overloaded) it does not pass by itself.
    LimitReached,
    /// The limit of requests in flight is reached, and the caller asked not to wait.
    Overloaded,
    /// The operation ran past its deadline, or the store was closing, and it was interrupted. Also for a stalled
    /// backup.
    Deadline,
    /// The store is closing or closed. The request was not carried out.
    Closed,
    /// An actor of the store has panicked too often and is not started again. The request was not carried
    /// out. Open the store again; see [`Config::max_restarts`](crate::Config::max_restarts).
    Unavailable,
    /// Another program holds SQLite's write lock for longer than the busy timeout; or keeps changing a file that
    /// this one only reads and cannot lock; or the file is being restored.
    Busy,
    /// There is no room for what was to be written: on the disk, within a quota, or below the largest size of a
    /// file. [`Error::advice`](crate::Error::advice) says which. Nothing was changed.
    DiskFull,
    /// The table has no id left: its counter of ids is at the largest number, which no bot reaches by counting;
    /// somebody has set it. Nothing was changed.
    NoIdsLeft,
    /// The operating system refused to read, write, sync or open a file.
    Io,
    /// The process, or the whole system, has reached its limit of open files. Nothing was changed.
    TooManyFiles,
    /// It is not known whether the change was made. For a message to an actor: its sender stopped waiting, and the
    /// message may still be carried out. Otherwise the disk failed in the middle of a commit, and has not let the
    /// store make sure of it since: the change is not visible now, but if the process ends before the store has
    /// written again, the next opening may find it. To send the change again safely, use an idempotency key.
    InDoubt,
    /// The file is damaged, or holds a value that its schema does not allow. Restore a backup.
    Corrupt,
    /// The file or its folder cannot be written, or not even be read: its owner and mode do not let this account,
    /// or the disk is mounted read-only. [`Error::advice`](crate::Error::advice) says which.
    ReadOnly,
    /// The file that the store has open, or its WAL, no longer has its name: it was moved, removed or replaced.
    /// Nothing more is written; reads go on. See [`FileProblem`](crate::FileProblem). Opening returns it for a
    /// file beside which another file's WAL lies. Closing such a store returns it too, and names the file in which
    /// all that the store had is saved.
    Replaced,
    /// Another store, in this process or another, has the file open, under this name or another.
    AlreadyOpen,
    /// The file is not an SQLite database, or a database of another program; or something that is not a plain file
    /// has the name of one of this crate's files.
    ForeignFile,
    /// The file was written by a newer version of this program.
    NewerSchema,
    /// The file lacks steps of this program's schemas, and a call that only reads does not apply them.
    OlderSchema,
    /// A migration step that the file has applied has another text in this program.
    ChangedMigration,
    /// A migration step failed. The file is as it was before that step.
    Migration,
    /// The file contains something that would run and that is not permitted: the SQL of a step that this program
    /// does not know, or a trigger if [`Config::unknown_triggers`](crate::Config::unknown_triggers) refuses those.
    /// Or what its schema computes is larger than the file. Nothing was changed.
    Untrusted,
    /// A backup is damaged, incomplete, or not what its manifest says. Use another one.
    BadBackup,
    /// A backup does not prove its origin: it was forged or relabelled, or it has no proof and one was required.
    /// Use another one.
    NotAuthentic,
    /// A backup is encrypted, and no secret was given, or one that does not open it.
    WrongKey,
    /// An unencrypted backup was to go among encrypted ones of the same store. Nothing was written.
    NeedsRecipient,
    /// The call was asked to stop, and did. It left nothing behind but the finished steps of a migration.
    Cancelled,
    /// The operation's own code panicked. Nothing was changed.
    Panicked,
    /// The program is linked with an SQLite that is too old for the store.
    OldSqlite,
    /// The operation asked for something that operations may not do, or SQLite refused its SQL.
    Sql,
}

impl ErrorKind {
    /// Every kind, in the order of this page: for tests that must not miss one.
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

    /// The HTTP status by which a web service reports it.
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
