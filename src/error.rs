//! The one error type: the operation that failed, the kind of failure, and a sentence that a person can act on.

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
/// It never holds a prompt, a response or a secret. Of a text that came from a caller or a file, such as a
/// session's id, it quotes 64 characters; it shows a path whole, and up to 300 bytes of a changed migration. A
/// sentence of more than 1,000 bytes is cut, since errors are logged.
///
/// `{}` shows the sentence with its [advice](Error::advice), if it has some; `{:#}` leaves the advice out. `{:?}`
/// shows the sentence too, because a program prints that when `main` returns an error; `{:#?}` shows the parts.
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
/// A host's operations return errors of their own, with the error beneath as their source:
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
    /// Whether SQLite or the system reports it of the file, as opposed to an operation's own error.
    of_the_disk: bool,
    /// Whether the connection that got it must not be used again.
    leaves_in_doubt: bool,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// Makes an error of this kind. `message` says what is wrong, without a full stop and without the kind. Hosts'
    /// operations use this too.
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

    /// Makes an error whose sentence is not cut, because a person has to read all of it before they decide; the
    /// caller bounds its length.
    pub(crate) fn to_be_read(kind: ErrorKind, sentence: String) -> Self {
        let mut error = Self::new(kind, "");
        Arc::make_mut(&mut error.inner).message = sentence.into();
        error
    }

    /// A value is not acceptable: `field` is its name, `why` completes the sentence.
    pub fn invalid(field: &'static str, why: &str) -> Self {
        Self::new(
            ErrorKind::Invalid,
            quote::bounded(format_args!("{field} {why}")),
        )
        .with_field(field)
    }

    /// A row does not exist: `field` names the value that referred to it, `what` the row.
    pub fn not_found(field: &'static str, what: impl fmt::Display) -> Self {
        let message = quote::bounded(format_args!("there is no {what}"));
        Self::new(ErrorKind::NotFound, message).with_field(field)
    }

    /// A row exists already: `field` names the key, `what` the row.
    pub fn conflict(field: &'static str, what: impl fmt::Display) -> Self {
        let message = quote::bounded(format_args!("there is already a {what}"));
        Self::new(ErrorKind::Conflict, message).with_field(field)
    }

    /// The caller lacks the permission: `why` is the sentence. For a host's own rules; this crate has none.
    pub fn forbidden(why: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Forbidden, why)
    }

    /// The caller has used up a limit, of money or of anything else: `why` is the sentence. For a host, which may turn
    /// [`Decision::Denied`](crate::limits::Decision::Denied) into it; this crate itself never returns it.
    pub fn limit_reached(why: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::LimitReached, why)
    }

    /// `tables` are those that have used up their ids.
    pub(crate) fn no_ids_left(tables: &[String]) -> Self {
        const NAMED: usize = 10;
        let named = &tables[..tables.len().min(NAMED)];
        Self::new(
            ErrorKind::NoIdsLeft,
            format!(
                "no id is left in {named:?}: the counter in sqlite_sequence, or an id, is the largest \
                 possible number. The disk is not full; another program wrote that number. Restore a \
                 backup, or correct the number"
            ),
        )
    }

    pub(crate) fn closed() -> Self {
        Self::new(
            ErrorKind::Closed,
            "the store is closed; this request was not carried out",
        )
    }

    /// Makes an error of the operating system's. `doing` says what was attempted, such as
    /// `"cannot write out.json"`. The kind and the advice follow from the system's error, as for this crate's own
    /// calls.
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

    /// Returns the same error with [`advice`](Self::advice) on what to do: a sentence without a full stop, cut
    /// after 400 bytes.
    #[must_use]
    pub fn with_advice(mut self, advice: impl Into<Cow<'static, str>>) -> Self {
        let advice = quote::cut_to(quote::ADVICE_BYTES, advice);
        self.edit(|inner| inner.advice = advice);
        self
    }

    /// Returns the same error with the name of the value that was refused or that referred to nothing.
    #[must_use]
    pub fn with_field(mut self, field: &'static str) -> Self {
        self.edit(|inner| inner.field = Some(field));
        self
    }

    /// Returns the same error with the error beneath it. The sentence stays as it is: a report of the whole chain
    /// shows the source after it, unless the sentence already contains the source's words.
    #[must_use]
    pub fn with_source(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.edit(|inner| inner.source = Some(Arc::new(source)));
        self
    }

    /// Returns the same error, attributed to `operation` unless it already names one.
    pub(crate) fn in_operation(mut self, operation: &'static str) -> Self {
        if self.inner.operation.is_none() {
            self.edit(|inner| inner.operation = Some(operation));
        }
        self
    }

    /// Returns the same failure as a higher step sees it: with another kind, and words before the sentence. If the
    /// kind changes, the advice is removed, because it may no longer fit.
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

    /// The kind of failure.
    pub fn kind(&self) -> ErrorKind {
        self.inner.kind
    }

    /// The name of the operation that failed, such as `"SaveInteraction"`; `None` for failures
    /// outside any operation, such as opening.
    pub fn operation(&self) -> Option<&'static str> {
        self.inner.operation
    }

    /// The name of the value that was refused or that referred to nothing, such as `"cost"` or `"session_id"`.
    pub fn field(&self) -> Option<&'static str> {
        self.inner.field
    }

    /// What to do about it, if that follows from the circumstances and not from the [kind](Self::kind) alone: one
    /// sentence for people. A bot should show it to its admin.
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

    /// The error beneath it, such as a [`rusqlite::Error`], for a program to inspect with `downcast_ref`. It is here
    /// even if [`source`](std::error::Error::source) omits it because the sentence has its words.
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

    /// Whether the cause is the file or the disk under it.
    pub(crate) fn is_of_the_disk(&self) -> bool {
        self.inner.of_the_disk
    }

    /// Whether the connection that got it must not be used again: its memory may differ from the file.
    pub(crate) fn leaves_in_doubt(&self) -> bool {
        self.inner.leaves_in_doubt
    }

    /// Whether the same request may succeed later without anybody changing it: the store was overloaded, busy, out
    /// of disk or out of files to open, or the operation ran out of time.
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

/// An actor that is gone belongs to a closed store. An actor that does not answer in time may still carry the
/// message out.
impl From<actix::MailboxError> for Error {
    fn from(error: actix::MailboxError) -> Self {
        match error {
            actix::MailboxError::Closed => Self::closed(),
            actix::MailboxError::Timeout => Self::new(
                ErrorKind::InDoubt,
                "the sender stopped waiting before the message was answered; it may still be carried \
                 out",
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
