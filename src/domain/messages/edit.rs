//! Edits messages.

use super::get::get;
use super::{ChatMessage, unknown};
use crate::domain::columns::{amount, cell};
use crate::domain::{MessageId, Usd, UserId, costs, validate};
use crate::operation::{Mutation, WriteTx};
use crate::sqlite::Cell;
use crate::texts::Texts;
use rusqlite::ToSql;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The change of an optional value. In JSON it is a [merge patch](https://www.rfc-editor.org/rfc/rfc7396): a
/// missing field keeps the value, `null` clears it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Edit<T> {
    /// Keeps the value.
    #[default]
    Keep,
    /// Replaces the value by this one.
    Set(T),
    /// Removes the value.
    Clear,
}

impl<T: Serialize> Serialize for Edit<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.new_value().1.serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Edit<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::deserialize(deserializer).map(Self::of)
    }
}

impl<T> Edit<T> {
    fn is_keep(&self) -> bool {
        matches!(self, Self::Keep)
    }

    fn of(value: Option<T>) -> Self {
        value.map_or(Self::Clear, Self::Set)
    }

    /// Whether the value changes, and the new value.
    fn new_value(&self) -> (bool, Option<&T>) {
        match self {
            Self::Keep => (false, None),
            Self::Set(value) => (true, Some(value)),
            Self::Clear => (true, None),
        }
    }
}

/// Changes a message of a user: for an answer that comes in parts, or a prompt that its user has edited. What no
/// setter names stays. Returns the changed message.
///
/// A new cost replaces the old one in the counters of session, user and day. From then on it is the provider's, and no
/// [`Reprice`](crate::prices::Reprice) changes it, even if it is the same as before. The message's audit row stays, and
/// so do the times of last use: an edit is no conversation.
///
/// # Errors
/// [`NotFound`](crate::ErrorKind::NotFound) for an unknown message, or another user's;
/// [`Invalid`](crate::ErrorKind::Invalid) for a cost outside 0 to 9,000,000 dollars, a duration above
/// 1,000,000,000,000, or a text that is too large ([`Config::max_text_bytes`](crate::Config::max_text_bytes)).
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// # use botstore::{Usd, sessions::CreateSession, users::EnsureUser};
/// # store.write(EnsureUser::new(42, None)).await?;
/// # store.write(CreateSession::new(42, "s-1", "/srv")).await?;
/// use botstore::messages::{EditMessage, SaveMessage};
///
/// let question = SaveMessage::new(42, "s-1", "Hello").error("the model is overloaded");
/// let message_id = store.write(question).await?;
/// let answered = EditMessage::new(42, message_id)
///     .response("Hi!")
///     .cost(Usd::from_dollars(0.002)?)
///     .error(None);
/// let message = store.write(answered).await?;
/// assert_eq!(message.response.as_deref(), Some("Hi!"));
/// assert_eq!(message.error, None);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EditMessage {
    /// The message.
    pub message_id: MessageId,
    /// Who must have sent it.
    pub user_id: UserId,
    /// The new prompt, if it changes.
    #[serde(default)]
    pub prompt: Option<String>,
    /// The answer.
    #[serde(default, skip_serializing_if = "Edit::is_keep")]
    pub response: Edit<String>,
    /// The new cost, in US dollars, if it changes: from 0.
    #[serde(default)]
    pub cost: Option<Usd>,
    /// How long the answer took, in milliseconds: at most 1,000,000,000,000.
    #[serde(default, skip_serializing_if = "Edit::is_keep")]
    pub duration_ms: Edit<u64>,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "Edit::is_keep")]
    pub error: Edit<String>,
}

impl EditMessage {
    /// This message of this user, unchanged until a setter is called.
    pub fn new(user_id: impl Into<UserId>, message_id: impl Into<MessageId>) -> Self {
        Self {
            user_id: user_id.into(),
            message_id: message_id.into(),
            prompt: None,
            response: Edit::Keep,
            cost: None,
            duration_ms: Edit::Keep,
            error: Edit::Keep,
        }
    }

    /// The new prompt.
    pub fn prompt(mut self, prompt: impl Into<String>) -> Self {
        self.prompt = Some(prompt.into());
        self
    }

    /// The new answer; `None` removes it.
    pub fn response<'a>(mut self, response: impl Into<Option<&'a str>>) -> Self {
        self.response = Edit::of(response.into().map(str::to_owned));
        self
    }

    /// The new cost, in US dollars: from 0.
    pub fn cost(mut self, cost: Usd) -> Self {
        self.cost = Some(cost);
        self
    }

    /// The new duration of the answer, in milliseconds: at most 1,000,000,000,000; `None` removes it.
    pub fn duration_ms(mut self, duration_ms: impl Into<Option<u64>>) -> Self {
        self.duration_ms = Edit::of(duration_ms.into());
        self
    }

    /// The new error; `None` removes it.
    pub fn error<'a>(mut self, error: impl Into<Option<&'a str>>) -> Self {
        self.error = Edit::of(error.into().map(str::to_owned));
        self
    }
}

impl Mutation for EditMessage {
    type Output = ChatMessage;

    fn apply(&self, tx: &WriteTx<'_>) -> crate::Result<ChatMessage> {
        if let Some(cost) = self.cost {
            validate::request_cost("cost", cost)?;
        }
        if let Edit::Set(duration_ms) = self.duration_ms {
            validate::count("duration_ms", duration_ms)?;
        }
        let before = tx
            .maybe(
                "SELECT session_id, substr(timestamp, 1, 10), cost FROM messages
                 WHERE message_id = ?1 AND user_id = ?2",
                (self.message_id, self.user_id),
                |row| Ok((cell(row, 0)?, cell(row, 1)?, amount(row, 2)?)),
            )?
            .ok_or_else(|| unknown(self.message_id))?;
        self.edit_texts(tx)?;
        self.edit_numbers(tx)?;
        if let Some(cost) = self.cost {
            self.count(tx, &before, cost)?;
        }
        get(tx, self.message_id)?.ok_or_else(|| unknown(self.message_id))
    }

    fn texts(&self, texts: &mut Texts) {
        texts.text("prompt", self.prompt.as_deref());
        texts.text("response", self.response.new_value().1.map(String::as_str));
        texts.text("error", self.error.new_value().1.map(String::as_str));
    }
}

impl EditMessage {
    /// A statement of its own: one that also names a counted column runs that column's triggers.
    fn edit_texts(&self, tx: &WriteTx<'_>) -> crate::Result<()> {
        let (changes, response) = self.response.new_value();
        if self.prompt.is_some() || changes {
            tx.execute(
                "UPDATE messages SET prompt = coalesce(?2, prompt),
                                     response = CASE WHEN ?3 THEN ?4 ELSE response END
                 WHERE message_id = ?1",
                (self.message_id, &self.prompt, changes, response),
            )?;
        }
        Ok(())
    }

    fn edit_numbers(&self, tx: &WriteTx<'_>) -> crate::Result<()> {
        let (is_timed, duration_ms) = self.duration_ms.new_value();
        let duration_ms = duration_ms.and_then(|ms| i64::try_from(*ms).ok());
        let (fails, error) = self.error.new_value();
        if self.cost.is_some() || is_timed || fails {
            tx.execute(
                "UPDATE messages SET cost = coalesce(?2, cost),
                                     duration_ms = CASE WHEN ?3 THEN ?4 ELSE duration_ms END,
                                     error = CASE WHEN ?5 THEN ?6 ELSE error END
                 WHERE message_id = ?1",
                (
                    self.message_id,
                    self.cost.map(Usd::dollars),
                    is_timed,
                    duration_ms,
                    fails,
                    error,
                ),
            )?;
        }
        if let Some(cost) = self.cost {
            // A trigger does it for another cost, whoever writes that. Who says the same cost says it, too.
            tx.execute(
                "UPDATE botstore_usage SET cost_nanos = ?2, cost_source = 'provider'
                 WHERE usage_id = ?1 AND cost_source IS NOT 'provider'",
                (self.message_id, cost.nanos()),
            )?;
        }
        Ok(())
    }

    /// Counts the new cost in place of the old one.
    fn count(&self, tx: &WriteTx<'_>, before: &(Cell, Cell, Usd), cost: Usd) -> crate::Result<()> {
        let (session_id, day, old) = before;
        let more = cost.nanos().saturating_sub(old.nanos());
        count_more(tx, (session_id, &self.user_id, day), more)
    }
}

/// Adds nano-dollars, which may be negative, to what a message's session, its user and the user's day cost.
pub(in crate::domain) fn count_more(
    tx: &WriteTx<'_>,
    (session_id, user_id, day): (&Cell, &dyn ToSql, &Cell),
    more: i64,
) -> crate::Result<()> {
    tx.execute(
        "UPDATE sessions
         SET total_cost = max(0.0, round(coalesce(total_cost, 0.0) * 1e9) + ?2) / 1e9
         WHERE session_id = ?1",
        (session_id, more),
    )?;
    tx.execute(
        "UPDATE users
         SET total_cost = max(0.0, round(coalesce(total_cost, 0.0) * 1e9) + ?2) / 1e9
         WHERE user_id = ?1",
        (user_id, more),
    )?;
    costs::recount(tx, user_id, day, (more, 0))
}
