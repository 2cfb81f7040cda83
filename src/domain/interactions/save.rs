//! An exchange on its way into the file.

use super::{Receipt, keys};
use crate::domain::audit::{self, NewEvent};
use crate::domain::messages::{self, NewMessage};
use crate::domain::sessions::{self, IntoEnded};
use crate::domain::tools::ToolCall;
use crate::domain::when::When;
use crate::domain::{MessageId, SessionId, Usd, UserId, users, validate};
use crate::error::Result;
use crate::limits::{self, Texts};
use crate::operation::{Mutation, WriteTx};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Saves one exchange between a user and the bot: the message, its tool uses, the cost of the day,
/// the counters of user and session, and an audit row. All of it, or nothing.
///
/// Sent again with the same `idempotency_key`, it changes nothing and gives the first receipt, which is
/// [`repeated`](field@Receipt::repeated): so a caller that timed out, or whose framework delivers an update twice, just
/// sends it again. It is the same if user, session and prompt are; whatever the bot answered this time, at
/// whatever cost, is not kept. A bot that asks [`FindInteraction`](super::FindInteraction) first does not pay the
/// model twice. A key belongs to the user; it is forgotten when [`SweepKeys`](super::SweepKeys) says so.
///
/// A session that has ended, or has expired, is active again, unless [`into_ended`](Self::into_ended()) says
/// otherwise. Where there is no session, [`creating`](Self::creating()) makes one.
///
/// # Errors
/// [`NotFound`](crate::ErrorKind::NotFound) for an unknown user or session, or another user's
/// session that is not [shared](crate::sessions::ShareSession) with this one;
/// [`Conflict`](crate::ErrorKind::Conflict) for a key under which another prompt, or one in another
/// session, is saved (field `idempotency_key`), and for a session that has ended, if that is to be refused (field
/// `session_id`); [`Invalid`](crate::ErrorKind::Invalid) for a cost that is not one, an empty session
/// id, tool name or idempotency key, a tool input nested deeper than 127 levels, or a text that is too
/// large: [`Config::max_text_bytes`](crate::Config::max_text_bytes) says how large each text may be, and
/// the names of all tools together; ids, names and keys may have 4 KiB. For history that is brought along, also for
/// a time that is still to come, and [`Conflict`](crate::ErrorKind::Conflict) for an exchange that comes before
/// another of its session: see [`at`](Self::at).
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
    /// What the session is about that is made, with its user, if they are not there; nobody is made without.
    #[serde(default)]
    pub creating: Option<String>,
    /// The user's present name, if the messenger tells one: it replaces the stored one.
    #[serde(default)]
    pub username: Option<String>,
    /// What becomes of it if the session has ended.
    #[serde(default)]
    pub into_ended: IntoEnded,
    /// When it was, if that is history: see [`at`](Self::at).
    #[serde(default)]
    pub at: Option<DateTime<Utc>>,
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
            creating: None,
            username: None,
            into_ended: IntoEnded::Revive,
            at: None,
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
    /// they speak. One whom [`UnshareSession`](crate::sessions::UnshareSession) has removed joins again so. With
    /// [`creating`](Self::creating), a session that is not there is made for the owner.
    ///
    /// Not for a session id that a user has typed: whoever can name the session gets in.
    pub fn joining(mut self, owner: impl Into<UserId>) -> Self {
        self.joining = Some(owner.into());
        self
    }

    /// When it was, for history that a bot brings along: from 1970 to now, each session from its first exchange on.
    /// See [`SaveMessage::at`](crate::messages::SaveMessage::at), which says what comes of it; the audit row has this
    /// time, too.
    pub fn at(mut self, at: DateTime<Utc>) -> Self {
        self.at = Some(at);
        self
    }

    /// Makes the session, about this project, and its user, if they are not there: in the same transaction, as
    /// [`EnsureUser`](crate::users::EnsureUser) and [`EnsureSession`](crate::sessions::EnsureSession) do. Costs
    /// nothing where they are.
    pub fn creating(mut self, project_path: impl Into<String>) -> Self {
        self.creating = Some(project_path.into());
        self
    }

    /// The user's present name, if the messenger tells one: it replaces the stored one. With [`at`](Self::at), it
    /// replaces none.
    pub fn username(mut self, username: impl Into<String>) -> Self {
        self.username = Some(username.into());
        self
    }

    /// What becomes of it if the session has ended. By default the session is active again.
    pub fn into_ended(mut self, into_ended: IntoEnded) -> Self {
        self.into_ended = into_ended;
        self
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
            if let Some(first) = keys::first(tx, self, key)? {
                return Ok(first);
            }
        }
        let when = When::of(tx, self.at)?;
        if let Some(owner) = self.joining {
            if let Some(project_path) = &self.creating {
                sessions::ensure(tx, owner, &self.session_id, project_path, when.text())?;
                users::ensure(tx, self.user_id, when.text())?;
            }
            sessions::join(tx, &self.session_id, owner, self.user_id, when.text())?;
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
                creating: self.creating.as_deref(),
                username: self.username.as_deref(),
                into_ended: self.into_ended,
                when: &when,
            },
        )?;
        for tool in &self.tools {
            tool.save(tx, &self.session_id, Some(message_id), &when)?;
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
                when: &when,
            },
        )?;
        let receipt = Receipt::new(message_id, tx.now());
        if let Some(key) = &self.idempotency_key {
            keys::keep(tx, self, key, &receipt)?;
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
        texts.name("creating", self.creating.as_deref());
        texts.name("username", self.username.as_deref());
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
