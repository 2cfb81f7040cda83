//! How many bytes the texts of a message may have: the one place that decides. `domain::page` bounds an answer.
//!
//! A message names its texts once, in [`Mutation::texts`](crate::Mutation::texts) or
//! [`Query::texts`](crate::Query::texts). Its bounds and its weight both follow from that. They are computed on
//! the caller's side, before the message takes room. A message that another message applies or queries in its
//! transaction has passed no caller's side, so its bounds are checked there. Checks in each `apply` were turned
//! down: they would come after the message has waited in the queue with all its bytes, and a new message could
//! lack them.

use crate::error::{Error, Result};
use crate::json;
use serde_json::Value;

/// The most bytes that a name, an id, a key or a path in a message may have: 4 KiB.
pub const MAX_NAME_BYTES: usize = 4096;

/// The largest texts of a store's messages, and the largest answers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// [`Config::max_text_bytes`](crate::Config::max_text_bytes).
    pub(crate) max_text_bytes: usize,
    /// [`Config::max_answer_bytes`](crate::Config::max_answer_bytes).
    pub(crate) max_answer_bytes: usize,
    /// [`Config::max_tool_result_bytes`](crate::Config::max_tool_result_bytes).
    pub(crate) max_tool_result_bytes: usize,
}

impl Limits {
    pub(crate) const DEFAULT: Self = Self {
        max_text_bytes: 16 * 1024 * 1024,
        max_answer_bytes: 16 * 1024 * 1024,
        max_tool_result_bytes: 64 * 1024,
    };

    /// Fails if one of the texts that `name_them` names is too large.
    pub(crate) fn check(self, name_them: impl FnOnce(&mut Texts)) -> Result<()> {
        let mut texts = Texts::new(Some(self));
        name_them(&mut texts);
        texts.refused.map_or(Ok(()), Err)
    }
}

/// The bytes of memory in the texts that `name_them` names.
pub(crate) fn weigh(name_them: impl FnOnce(&mut Texts)) -> usize {
    let mut texts = Texts::new(None);
    name_them(&mut texts);
    texts.bytes
}

/// The longest beginning of a text that has at most so many bytes, and no half character at its end.
pub(crate) fn beginning(text: &str, most: usize) -> &str {
    let ends = |at: &usize| text.is_char_boundary(*at);
    let end = (0..=most.min(text.len())).rev().find(ends);
    &text[..end.unwrap_or(0)]
}

fn too_large(field: &'static str, most: usize, bytes: usize) -> Error {
    let why = format!("must have at most {most} bytes, and has {bytes}");
    Error::invalid(field, &why)
}

/// Refuses a name that was not found and is longer than any message may store.
pub(crate) fn not_held(field: &'static str, name: &str) -> Result<()> {
    match name.len() > MAX_NAME_BYTES {
        true => Err(too_large(field, MAX_NAME_BYTES, name.len())),
        false => Ok(()),
    }
}

/// Collects the texts of a message, each with the name of its field. Lengths are in bytes, not characters.
///
/// A message with a text that is too large fails with [`Invalid`](crate::ErrorKind::Invalid) and the name of the
/// field, before it takes room in the store.
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
    /// `None` if only the weight is computed.
    limits: Option<Limits>,
    bytes: usize,
    /// The error of the first text that is too large.
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

    /// A name that a query looks for. An old file may hold a name that is too long for a message to store, and
    /// that name must be found all the same. So this name may be as large as a text, and [`not_held`] refuses it
    /// if it was not found.
    pub(crate) fn looked_for<'t>(&mut self, field: &'static str, name: impl Into<Option<&'t str>>) {
        let bytes = name.into().map_or(0, str::len);
        self.bytes = self.bytes.saturating_add(bytes);
        self.together(field, bytes);
    }

    /// The same for several names in one text, which together may have so many bytes in any store.
    pub(crate) fn names_looked_for(&mut self, field: &'static str, names: &str, bytes: usize) {
        self.bytes = self.bytes.saturating_add(names.len());
        self.at_most(self.max_text_bytes().max(bytes), field, names.len());
    }

    /// The length of a message's names in one text. The limit is that of a text, but at least that of one name.
    pub(crate) fn together(&mut self, field: &'static str, bytes: usize) {
        self.at_most(self.max_text_bytes().max(MAX_NAME_BYTES), field, bytes);
    }

    /// A text that somebody wrote or a program printed: at most
    /// [`Config::max_text_bytes`](crate::Config::max_text_bytes).
    pub fn text<'t>(&mut self, field: &'static str, text: impl Into<Option<&'t str>>) {
        let bytes = text.into().map_or(0, str::len);
        self.bytes = self.bytes.saturating_add(bytes);
        self.at_most(self.max_text_bytes(), field, bytes);
    }

    /// A text of which the file gets only the beginning: of any length. It counts for in flight as a whole.
    pub(crate) fn cut<'t>(&mut self, text: impl Into<Option<&'t str>>) {
        let bytes = text.into().map_or(0, str::len);
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// A JSON value: at most 127 levels deep, which is the most that can be read again, and as text at most
    /// [`Config::max_text_bytes`](crate::Config::max_text_bytes).
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
