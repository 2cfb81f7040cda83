//! How many bytes the texts of a message may have, the one place that decides; and an answer, which
//! `domain::page` sees to.
//!
//! A message names its texts once, in [`Mutation::texts`](crate::Mutation::texts) or
//! [`Query::texts`](crate::Query::texts). From that come its bounds and its weight. They are asked for on
//! the caller's side, before the message takes room, and again for each message that another one
//! makes or asks in its transaction, which no caller's side has seen. Checks in each `apply` were
//! turned down: they would come after the message has waited in the queue with all its bytes, and a
//! new message could do without.

use crate::error::{Error, Result};
use crate::json;
use serde_json::Value;

/// The most bytes that a name, an id, a key or a path in a message may have: 4 KiB.
pub const MAX_NAME_BYTES: usize = 4096;

/// What a store lets its messages, and the answers to them, have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// [`Config::max_text_bytes`](crate::Config::max_text_bytes).
    pub(crate) max_text_bytes: usize,
    /// [`Config::max_answer_bytes`](crate::Config::max_answer_bytes).
    pub(crate) max_answer_bytes: usize,
}

impl Limits {
    pub(crate) const DEFAULT: Self = Self {
        max_text_bytes: 16 * 1024 * 1024,
        max_answer_bytes: 16 * 1024 * 1024,
    };

    /// Refuses what `name_them` names if one of the texts is too large.
    pub(crate) fn check(self, name_them: impl FnOnce(&mut Texts)) -> Result<()> {
        let mut texts = Texts::new(Some(self));
        name_them(&mut texts);
        texts.refused.map_or(Ok(()), Err)
    }
}

/// How many bytes of memory the texts hold that `name_them` names.
pub(crate) fn weigh(name_them: impl FnOnce(&mut Texts)) -> usize {
    let mut texts = Texts::new(None);
    name_them(&mut texts);
    texts.bytes
}

fn too_large(field: &'static str, most: usize, bytes: usize) -> Error {
    let why = format!("must have at most {most} bytes, and has {bytes}");
    Error::invalid(field, &why)
}

/// Refuses a name that the file does not hold if it is too long for any message to bring it there.
pub(crate) fn not_held(field: &'static str, name: &str) -> Result<()> {
    match name.len() > MAX_NAME_BYTES {
        true => Err(too_large(field, MAX_NAME_BYTES, name.len())),
        false => Ok(()),
    }
}

/// Is told the texts of a message, each by the name of its field, in bytes and not in characters.
///
/// A message with a text that is too large is refused with [`Invalid`](crate::ErrorKind::Invalid)
/// and the name of the field, before it takes room in the store.
///
/// ```
/// use botstore::{Mutation, Result, Texts, WriteTx};
///
/// struct AddNote { topic: String, body: Option<String> }
///
/// impl Mutation for AddNote {
///     type Output = i64;
///
///     fn apply(&self, tx: &WriteTx<'_>) -> Result<i64> {
///         let sql = "INSERT INTO notes (topic, body) VALUES (?1, ?2)";
///         tx.insert(sql, (&self.topic, &self.body))
///     }
///
///     fn texts(&self, texts: &mut Texts) {
///         texts.name("topic", self.topic.as_str());
///         texts.text("body", self.body.as_deref());
///     }
/// }
/// ```
#[derive(Debug)]
pub struct Texts {
    /// `None` where only the weight is asked for.
    limits: Option<Limits>,
    bytes: usize,
    /// The first that is too large.
    refused: Option<Error>,
}

impl Texts {
    fn new(limits: Option<Limits>) -> Self {
        Self {
            limits,
            bytes: 0,
            refused: None,
        }
    }

    /// A name, an id, a key or a path: at most [`MAX_NAME_BYTES`].
    pub fn name<'t>(&mut self, field: &'static str, name: impl Into<Option<&'t str>>) {
        let bytes = name.into().map_or(0, str::len);
        self.bytes = self.bytes.saturating_add(bytes);
        self.at_most(MAX_NAME_BYTES, field, bytes);
    }

    /// A name that a question looks for. An old file may hold one that is too long for a message to bring
    /// into it, and must be read all the same: so this one may be as large as a text, and [`not_held`]
    /// refuses it when it was looked for in vain.
    pub(crate) fn looked_for<'t>(&mut self, field: &'static str, name: impl Into<Option<&'t str>>) {
        let bytes = name.into().map_or(0, str::len);
        self.bytes = self.bytes.saturating_add(bytes);
        self.together(field, bytes);
    }

    /// What the names of a message come to in one text: at most what a text may have, and at least
    /// what one name may.
    pub(crate) fn together(&mut self, field: &'static str, bytes: usize) {
        self.at_most(self.max_text_bytes().max(MAX_NAME_BYTES), field, bytes);
    }

    /// What somebody said or a program printed: at most
    /// [`Config::max_text_bytes`](crate::Config::max_text_bytes).
    pub fn text<'t>(&mut self, field: &'static str, text: impl Into<Option<&'t str>>) {
        let bytes = text.into().map_or(0, str::len);
        self.bytes = self.bytes.saturating_add(bytes);
        self.at_most(self.max_text_bytes(), field, bytes);
    }

    /// A JSON value: nested at most 127 levels deep, which is what can be read again, and as text at
    /// most [`Config::max_text_bytes`](crate::Config::max_text_bytes).
    pub fn json<'t>(&mut self, field: &'static str, value: impl Into<Option<&'t Value>>) {
        let Some(value) = value.into() else { return };
        match json::memory(value) {
            Some(bytes) => self.bytes = self.bytes.saturating_add(bytes),
            None => return self.refuse(json::too_deep(field)),
        }
        if self.limits.is_some() && self.refused.is_none() {
            self.at_most(self.max_text_bytes(), field, json::written(value));
        }
    }

    fn max_text_bytes(&self) -> usize {
        self.limits
            .map_or(usize::MAX, |limits| limits.max_text_bytes)
    }

    fn at_most(&mut self, most: usize, field: &'static str, bytes: usize) {
        if self.limits.is_some() && bytes > most {
            self.refuse(too_large(field, most, bytes));
        }
    }

    fn refuse(&mut self, error: Error) {
        self.refused.get_or_insert(error);
    }
}
