//! The one error type: which operation failed, what kind of failure it was, and a sentence that a
//! person can act on.

mod kind;
mod quote;
mod shown;
mod sqlite;
mod system;

pub use kind::ErrorKind;
pub(crate) use quote::{excerpt, quote};

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use system::Meaning;

/// What every fallible call of this crate returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure: the operation, the [`ErrorKind`], and a sentence.
///
/// It never holds a prompt, a response or a secret. Of a text that came from a caller or a file, such
/// as a session's id, it quotes 64 characters; a path is shown whole, and a changed migration up to 300
/// bytes. A sentence of more than 1,000 bytes is cut, since errors are logged.
///
/// It is shown with its [advice](Error::advice), if it has some, and without that by `{:#}`. `{:?}` gives the
/// same sentence, because that is what a program prints whose `main` returns it; `{:#?}` gives the parts.
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
///
/// A host's operations return errors of their own making, with whatever lies beneath:
///
/// ```
/// use botstore::{Error, ErrorKind, Result};
///
/// fn limit(text: &str) -> Result<u32> {
///     text.parse().map_err(|source| {
///         Error::new(ErrorKind::Invalid, "the limit is no number").with_field("limit").with_source(source)
///     })
/// }
/// let error = limit("ten").unwrap_err();
/// assert_eq!(error.field(), Some("limit"));
/// assert_eq!(error.kind().http_status(), 400);
/// assert_eq!(format!("{error:?}"), "the limit is no number (invalid): invalid digit found in string");
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
    advice: Cow<'static, str>,
    /// Whether SQLite or the system said so of the file, and not an operation of itself.
    of_the_disk: bool,
    /// Whether the connection that met it must not be used again.
    leaves_in_doubt: bool,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of this kind with this sentence, which says what is wrong, without a full stop and
    /// without the kind. For a host's operations as for ours.
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            inner: Arc::new(Inner {
                kind,
                operation: None,
                field: None,
                message: quote::cut(message),
                advice: Cow::Borrowed(""),
                of_the_disk: false,
                leaves_in_doubt: false,
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

    /// Somebody asks for what they may not: `why` is the sentence. For a host's own rules; this crate has
    /// none.
    pub fn forbidden(why: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Forbidden, why)
    }

    /// Somebody has had as much as they may have, of money or of anything else: `why` is the sentence. For
    /// a host's own budgets; this crate has none.
    pub fn limit_reached(why: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::LimitReached, why)
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

    /// What the operating system said when this was done, such as `"cannot write out.json"`: with the
    /// kind that it has and what to do about it, as this crate's own calls give it.
    ///
    /// [`DiskFull`](ErrorKind::DiskFull) for ENOSPC, EDQUOT and EFBIG, [`ReadOnly`](ErrorKind::ReadOnly)
    /// for EACCES, EPERM and EROFS, [`TooManyFiles`](ErrorKind::TooManyFiles) for EMFILE and ENFILE, and
    /// [`Io`](ErrorKind::Io) for the rest.
    ///
    /// ```
    /// use botstore::{Error, ErrorKind};
    ///
    /// let error = std::fs::read("no-such-file").map_err(|e| Error::io("cannot read no-such-file", e));
    /// let error = error.unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Io);
    /// assert!(error.advice().is_some_and(|advice| advice.contains("path")));
    /// ```
    pub fn io(doing: impl fmt::Display, source: std::io::Error) -> Self {
        let Meaning { kind, advice } = system::meaning(&source);
        Self::new(kind, quote::bounded(format_args!("{doing}: {source}")))
            .with_advice(advice)
            .with_source(source)
    }

    /// The same error, with what to do about it: see [`advice`](Self::advice). A sentence without a full
    /// stop, of 400 bytes at most; what is more is cut.
    #[must_use]
    pub fn with_advice(mut self, advice: impl Into<Cow<'static, str>>) -> Self {
        let advice = quote::cut_to(quote::ADVICE_BYTES, advice);
        self.edit(|inner| inner.advice = advice);
        self
    }

    /// The same error, with the name of the value that was refused or led nowhere.
    #[must_use]
    pub fn with_field(mut self, field: &'static str) -> Self {
        self.edit(|inner| inner.field = Some(field));
        self
    }

    /// The same error, with what lies beneath it. Its words are not added to the sentence: a report of
    /// the chain has them after it. Where the sentence has them already, they are not said again.
    #[must_use]
    pub fn with_source(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
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

    /// The same failure seen from a higher step: another kind, and words before the sentence. What to do
    /// about it may be something else then, so with another kind the advice goes.
    pub(crate) fn because(mut self, kind: ErrorKind, doing: impl fmt::Display) -> Self {
        self.edit(|inner| {
            if inner.kind != kind {
                inner.advice = Cow::Borrowed("");
            }
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

    /// What to do about it, where that follows from what has happened and not from the
    /// [kind](Self::kind) alone: for people, in one sentence. A bot should show it to its admin.
    ///
    /// ```
    /// use botstore::{Error, ErrorKind};
    ///
    /// let error = Error::new(ErrorKind::Conflict, "there is a file at out.json").with_advice("choose another name");
    /// assert_eq!(error.advice(), Some("choose another name"));
    /// assert_eq!(error.to_string(), "there is a file at out.json; choose another name (conflict)");
    /// assert_eq!(format!("{error:#}"), "there is a file at out.json (conflict)");
    /// ```
    pub fn advice(&self) -> Option<&str> {
        Some(&*self.inner.advice).filter(|advice| !advice.is_empty())
    }

    /// What lies beneath it, such as the [`rusqlite::Error`], for a program to look into:
    /// `downcast_ref`. Also where [`source`](std::error::Error::source) leaves it out because the sentence
    /// has its words.
    ///
    /// ```
    /// use botstore::{Error, rusqlite};
    ///
    /// let error = Error::from(rusqlite::Error::InvalidQuery);
    /// assert!(error.cause().is_some_and(|cause| cause.is::<rusqlite::Error>()));
    /// assert!(std::error::Error::source(&error).is_none());
    /// ```
    pub fn cause(&self) -> Option<&(dyn std::error::Error + Send + Sync + 'static)> {
        self.inner.source.as_deref()
    }

    /// Whether the file or the disk under it is the reason.
    pub(crate) fn is_of_the_disk(&self) -> bool {
        self.inner.of_the_disk
    }

    /// Whether the connection that met it must not be used again: what it holds in memory may
    /// differ from what is in the file.
    pub(crate) fn leaves_in_doubt(&self) -> bool {
        self.inner.leaves_in_doubt
    }

    /// Whether the same request may succeed later without anybody changing it: the store was
    /// overloaded, busy, out of disk, out of files to open, or the query ran out of time.
    pub fn is_transient(&self) -> bool {
        matches!(
            self.kind(),
            ErrorKind::Overloaded
                | ErrorKind::Busy
                | ErrorKind::DiskFull
                | ErrorKind::TooManyFiles
                | ErrorKind::Deadline
        )
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
