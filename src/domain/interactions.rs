//! A whole exchange with everything that belongs to it, in one transaction.

use super::audit::{self, NewEvent};
use super::messages::{self, NewMessage};
use super::tools::ToolCall;
use super::{MessageId, SessionId, Usd, UserId, columns, page, sessions, validate};
use crate::error::Result;
use crate::limits::{self, Texts};
use crate::operation::{Mutation, Piece, ReadTx, WriteTx};
use crate::time::Timestamp;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::time::Duration;

/// Saves one exchange between a user and the bot: the message, its tool uses, the cost of the day,
/// the counters of user and session, and an audit row. All of it, or nothing.
///
/// Sent again with the same `idempotency_key`, it changes nothing and gives the first receipt: so
/// a caller that timed out, or whose framework delivers an update twice, just sends it again. A
/// key belongs to the user; it is forgotten when [`SweepKeys`] says so.
///
/// A session that has ended, or has expired, is active again.
///
/// # Errors
/// [`NotFound`](crate::ErrorKind::NotFound) for an unknown user or session, or another user's
/// session that is not [shared](crate::sessions::ShareSession) with this one; [`Invalid`](crate::ErrorKind::Invalid) for a cost that is not one, an empty session
/// id, tool name or idempotency key, a tool input nested deeper than 127 levels, or a text that is too
/// large: [`Config::max_text_bytes`](crate::Config::max_text_bytes) says how large each text may be, and
/// the names of all tools together; ids, names and keys may have 4 KiB.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// use botstore::interactions::SaveInteraction;
/// use botstore::{Usd, tools::ToolCall};
/// # use botstore::{sessions::CreateSession, users::EnsureUser};
/// # store.write(EnsureUser::new(42, None)).await?;
/// # store.write(CreateSession::new(42, "s-1", "/srv/api")).await?;
///
/// let receipt = store
///     .write(
///         SaveInteraction::new(42, "s-1", "What is in this folder?")
///             .response("A README and some sources.")
///             .cost(Usd::from_dollars(0.0125)?)
///             .tool(ToolCall::new("LS"))
///             .idempotency_key("update-1001"),
///     )
///     .await?;
/// assert_eq!(receipt.message_id, 1);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SaveInteraction {
    /// Who talked to the bot.
    pub user_id: UserId,
    /// In which session: one of the user's own, or one that is shared with the user.
    pub session_id: SessionId,
    /// What the user said.
    pub prompt: String,
    /// What the bot answered, if it did.
    #[serde(default)]
    pub response: Option<String>,
    /// What it cost, in US dollars: from 0.
    #[serde(default)]
    pub cost: Usd,
    /// How long the answer took, in milliseconds.
    #[serde(default)]
    pub duration_ms: Option<u64>,
    /// How many turns the model took.
    #[serde(default)]
    pub turns: u32,
    /// What went wrong, if something did; then the audit row is one of a failure.
    #[serde(default)]
    pub error: Option<String>,
    /// The tools that were used, in order.
    #[serde(default)]
    pub tools: Vec<ToolCall>,
    /// Where the user came from, if that is known, for the audit row.
    #[serde(default)]
    pub ip_address: Option<String>,
    /// What makes this exchange the same when it is sent again, such as the messenger's update id.
    #[serde(default)]
    pub idempotency_key: Option<String>,
    /// Whose session it is, if the user is to become a member of it.
    #[serde(default)]
    pub joining: Option<UserId>,
}

impl SaveInteraction {
    /// What this user said in this session. Without an answer, for nothing, with no tools.
    pub fn new(
        user_id: impl Into<UserId>,
        session_id: impl Into<SessionId>,
        prompt: impl Into<String>,
    ) -> Self {
        Self {
            user_id: user_id.into(),
            session_id: session_id.into(),
            prompt: prompt.into(),
            response: None,
            cost: Usd::ZERO,
            duration_ms: None,
            turns: 0,
            error: None,
            tools: Vec::new(),
            ip_address: None,
            idempotency_key: None,
            joining: None,
        }
    }

    /// What the bot answered, if it did.
    pub fn response(mut self, response: impl Into<String>) -> Self {
        self.response = Some(response.into());
        self
    }

    /// What it cost, in US dollars: from 0.
    pub fn cost(mut self, cost: Usd) -> Self {
        self.cost = cost;
        self
    }

    /// How long the answer took, in milliseconds.
    pub fn duration_ms(mut self, duration_ms: u64) -> Self {
        self.duration_ms = Some(duration_ms);
        self
    }

    /// How many turns the model took.
    pub fn turns(mut self, turns: u32) -> Self {
        self.turns = turns;
        self
    }

    /// What went wrong, if something did; then the audit row is one of a failure.
    pub fn error(mut self, error: impl Into<String>) -> Self {
        self.error = Some(error.into());
        self
    }

    /// The tools that were used, in order.
    pub fn tools(mut self, tools: Vec<ToolCall>) -> Self {
        self.tools = tools;
        self
    }

    /// One tool more that was used.
    pub fn tool(mut self, tool: ToolCall) -> Self {
        self.tools.push(tool);
        self
    }

    /// Where the user came from, if that is known, for the audit row.
    pub fn ip_address(mut self, ip_address: impl Into<String>) -> Self {
        self.ip_address = Some(ip_address.into());
        self
    }

    /// What makes this exchange the same when it is sent again, such as the messenger's update id.
    pub fn idempotency_key(mut self, idempotency_key: impl Into<String>) -> Self {
        self.idempotency_key = Some(idempotency_key.into());
        self
    }

    /// Makes the user a member of the session, which is this owner's, if they are none: what
    /// [`ShareSession`](crate::sessions::ShareSession) does, in the same transaction. For a group, whose members join as
    /// they speak. One whom [`UnshareSession`](crate::sessions::UnshareSession) has removed joins again so.
    ///
    /// Not for a session id that a user has typed: whoever can name the session gets in.
    pub fn joining(mut self, owner: impl Into<UserId>) -> Self {
        self.joining = Some(owner.into());
        self
    }
}

/// What [`SaveInteraction`] did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Receipt {
    /// The id of the message.
    pub message_id: MessageId,
    /// When it was saved.
    pub recorded_at: DateTime<Utc>,
}

impl Receipt {
    /// A receipt, for a test of your own.
    pub fn new(message_id: impl Into<MessageId>, recorded_at: DateTime<Utc>) -> Self {
        Self {
            message_id: message_id.into(),
            recorded_at,
        }
    }
}

/// What the audit row of an interaction tells. No prompt, no response.
#[derive(Serialize)]
struct AuditData<'a> {
    session_id: &'a str,
    message_id: MessageId,
    cost: Usd,
    duration_ms: Option<u64>,
    num_turns: u32,
    is_error: bool,
    tools_used: Vec<&'a str>,
}

impl Mutation for SaveInteraction {
    type Output = Receipt;

    fn apply(&self, tx: &WriteTx<'_>) -> Result<Receipt> {
        self.tools.iter().try_for_each(ToolCall::check)?;
        if let Some(key) = &self.idempotency_key {
            validate::not_empty("idempotency_key", key)?;
            if let Some(first) = first_receipt(tx, self.user_id, key)? {
                return Ok(first);
            }
        }
        if let Some(owner) = self.joining {
            sessions::join(tx, &self.session_id, owner, self.user_id)?;
        }
        let message_id = messages::save(
            tx,
            &NewMessage {
                user_id: self.user_id,
                session_id: &self.session_id,
                prompt: &self.prompt,
                response: self.response.as_deref(),
                cost: self.cost,
                duration_ms: self.duration_ms,
                turns: self.turns,
                error: self.error.as_deref(),
            },
        )?;
        for tool in &self.tools {
            tool.save(tx, &self.session_id, Some(message_id))?;
        }
        let data = AuditData {
            session_id: &self.session_id,
            message_id,
            cost: self.cost,
            duration_ms: self.duration_ms,
            num_turns: self.turns,
            is_error: self.error.is_some(),
            tools_used: self.tools.iter().map(|t| t.tool_name.as_str()).collect(),
        };
        audit::save(
            tx,
            &NewEvent {
                user_id: self.user_id,
                event_type: audit::INTERACTION,
                event_data: Some(audit::to_cell(&data)?),
                success: self.error.is_none(),
                ip_address: self.ip_address.as_deref(),
            },
        )?;
        let receipt = Receipt {
            message_id,
            recorded_at: tx.now(),
        };
        if let Some(key) = &self.idempotency_key {
            keep_receipt(tx, self.user_id, key, &receipt)?;
        }
        Ok(receipt)
    }

    fn texts(&self, texts: &mut Texts) {
        texts.name("session_id", self.session_id.as_str());
        texts.text("prompt", self.prompt.as_str());
        texts.text("response", self.response.as_deref());
        texts.text("error", self.error.as_deref());
        texts.name("ip_address", self.ip_address.as_deref());
        texts.name("idempotency_key", self.idempotency_key.as_deref());
        for tool in &self.tools {
            tool.texts(texts);
        }
        // The audit row has the names of all of them in one text.
        let names = self.tools.iter().map(|tool| tool.tool_name.len()).sum();
        texts.together("tools", names);
    }

    fn take_json(&mut self, taken: &mut Vec<Value>) {
        taken.extend(self.tools.iter_mut().filter_map(|t| t.tool_input.take()));
    }

    fn size_bytes(&self) -> usize {
        size_of_val(self) + size_of_val(&*self.tools) + limits::weigh(|texts| self.texts(texts))
    }
}

fn first_receipt(tx: &ReadTx<'_>, user_id: UserId, key: &str) -> Result<Option<Receipt>> {
    tx.maybe(
        "SELECT message_id, recorded_at FROM botstore_idempotency
         WHERE user_id = ?1 AND idempotency_key = ?2",
        (user_id, key),
        |row| {
            Ok(Receipt {
                message_id: columns::integer(row, 0)?.into(),
                recorded_at: columns::time(row, 1)?,
            })
        },
    )
}

fn keep_receipt(tx: &WriteTx<'_>, user_id: UserId, key: &str, receipt: &Receipt) -> Result<()> {
    tx.execute(
        "INSERT INTO botstore_idempotency (user_id, idempotency_key, message_id, recorded_at)
         VALUES (?1, ?2, ?3, ?4)",
        (user_id, key, receipt.message_id, tx.now_text()),
    )?;
    Ok(())
}

/// Forgets idempotency keys older than this; gives how many. In pieces of at most 10,000, oldest first, that aim
/// at 20 ms each: others' changes get in between. When it fails or is given up, those that were forgotten stay
/// so. As a part of another mutation it is made in one piece.
///
/// It goes by the time that it is for sure: while the clock is ahead of the time that has passed, it waits
/// ([`Config::clock_jump_wait`](crate::Config::clock_jump_wait)).
///
/// For administrators: it changes what is everybody's.
///
/// The store sends it by itself: see
/// [`Config::idempotency_retention`](crate::Config::idempotency_retention).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SweepKeys {
    /// How old a key may grow.
    pub older_than: Duration,
}

impl SweepKeys {
    /// Keys older than this.
    pub const fn new(older_than: Duration) -> Self {
        Self { older_than }
    }
}

impl Mutation for SweepKeys {
    type Output = usize;

    fn apply(&self, tx: &WriteTx<'_>) -> Result<usize> {
        let Some(before) = page::ago(tx.sure_now()?, self.older_than) else {
            return Ok(0);
        };
        let before = Timestamp(before).to_string();
        tx.in_pieces(|_, rows| {
            let changed = tx.execute(
                "DELETE FROM botstore_idempotency WHERE (user_id, idempotency_key) IN
                     (SELECT user_id, idempotency_key FROM botstore_idempotency
                      WHERE recorded_at < ?1 ORDER BY recorded_at LIMIT ?2)",
                (&before, rows),
            )?;
            // Those that are left are the oldest: the next piece begins with them.
            let next = (changed == rows as usize).then_some(None);
            Ok(Piece { changed, next })
        })
    }
}
