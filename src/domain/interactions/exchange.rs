//! What an exchange may say.

use crate::domain::limits::ReservationId;
use crate::domain::messages::Attachment;
use crate::domain::sessions::IntoEnded;
use crate::domain::tools::ToolCall;
use crate::domain::usage::Usage;
use crate::domain::{SessionId, Usd, UserId};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Saves one exchange between a user and the bot: the message, its tool uses, the cost of the day, the counters
/// of user and session, and an audit row. All of it, or nothing.
///
/// Sent again with the same `idempotency_key`, it changes nothing and returns the first receipt, marked as
/// [`repeated`](field@super::Receipt::repeated). So a caller that timed out, or whose framework delivers an update
/// twice, just sends it again. Two exchanges are the same if user, session and prompt are; the repeated one's
/// answer and cost are not saved. A bot that asks [`FindInteraction`](super::FindInteraction) first does not pay
/// the model twice. A key belongs to the user, and is forgotten by [`SweepKeys`](super::SweepKeys).
///
/// A session that has ended or expired becomes active again, unless [`into_ended`](Self::into_ended()) says
/// otherwise. A missing session is created by [`creating`](Self::creating()).
///
/// # Errors
/// [`NotFound`](crate::ErrorKind::NotFound) for an unknown user or session, another user's session that is
/// not [shared](crate::sessions::ShareSession) with this one, and a reservation that was never given, or to another user. [`Conflict`](crate::ErrorKind::Conflict) for a key
/// that already has another prompt or session (field `idempotency_key`); for a session that has ended, if
/// [`into_ended`](Self::into_ended()) refuses it (field `session_id`); and for imported history that is out of
/// order: see [`at`](Self::at). [`Invalid`](crate::ErrorKind::Invalid) for a cost outside 0 to 9,000,000
/// dollars, a duration above 1,000,000,000,000, an empty session id, tool name or idempotency key, a tool input or metadata
/// nested deeper than 127 levels, a time in the future or before 1970, or a text that is too large:
/// [`Config::max_text_bytes`](crate::Config::max_text_bytes) limits each text, and the names of all tools
/// together; ids, names and keys may have 4 KiB. Also for a [`Usage`] with a number above 1,000,000,000,000, with
/// another cost than the exchange, or with tokens that cost more than 9,000,000 dollars by their
/// [price](crate::prices).
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
    /// The user who talked to the bot.
    pub user_id: UserId,
    /// Its session: the user's own, or one that is shared with the user.
    pub session_id: SessionId,
    /// What the user said.
    pub prompt: String,
    /// What the bot answered, if it did.
    #[serde(default)]
    pub response: Option<String>,
    /// What it cost, in US dollars: from 0.
    #[serde(default)]
    pub cost: Usd,
    /// How long the answer took, in milliseconds: at most 1,000,000,000,000.
    #[serde(default)]
    pub duration_ms: Option<u64>,
    /// How many turns the model took.
    #[serde(default)]
    pub turns: u32,
    /// What went wrong, if something did; the audit row then records a failure.
    #[serde(default)]
    pub error: Option<String>,
    /// The tools that were used, in order.
    #[serde(default)]
    pub tools: Vec<ToolCall>,
    /// The user's IP address for the audit row, if it is known.
    #[serde(default)]
    pub ip_address: Option<String>,
    /// Identifies this exchange if it is sent again, such as the messenger's update id.
    #[serde(default)]
    pub idempotency_key: Option<String>,
    /// The project of a session to create, with its user, if the session is missing; `None` creates nothing.
    #[serde(default)]
    pub creating: Option<String>,
    /// The user's current name, if the messenger gives one: it replaces the stored one.
    #[serde(default)]
    pub username: Option<String>,
    /// What happens to the exchange if the session has ended.
    #[serde(default)]
    pub into_ended: IntoEnded,
    /// When the exchange was, for imported history: see [`at`](Self::at).
    #[serde(default)]
    pub at: Option<DateTime<Utc>>,
    /// The session's owner, if the user is to become a member: see [`joining`](Self::joining()).
    #[serde(default)]
    pub joining: Option<UserId>,
    /// What the request to the model used, if there was one.
    #[serde(default)]
    pub usage: Option<Box<Usage>>,
    /// The files that came with it, in order.
    #[serde(default)]
    pub attachments: Vec<Attachment>,
    /// What else the bot wants to know of it.
    #[serde(default)]
    pub metadata: Option<Value>,
    /// What was reserved for the request: see [`reservation`](Self::reservation()).
    #[serde(default)]
    pub reservation: Option<ReservationId>,
}

impl SaveInteraction {
    /// This prompt of this user in this session. It has no answer, no tools, and costs nothing.
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
            usage: None,
            attachments: Vec::new(),
            metadata: None,
            reservation: None,
        }
    }

    /// What the bot answered, if it did.
    pub fn response(mut self, response: impl Into<String>) -> Self {
        self.response = Some(response.into());
        self
    }

    /// What the request to the model used. Its cost, if it has one, is that of the exchange. If neither has one, the
    /// exchange costs what tokens and [`prices`](crate::prices) say; without a price its cost is not known, and
    /// counts as 0.
    pub fn usage(mut self, usage: Usage) -> Self {
        self.usage = Some(Box::new(usage));
        self
    }

    /// What was reserved for the request ([`Reserve`](crate::limits::Reserve)). It holds nothing any more then, and the
    /// exchange counts with what it cost. [`Receipt::reservation`](super::Receipt::reservation) says what became of it.
    ///
    /// An exchange is never refused because of its reservation: its money is spent. One whose reservation has expired or
    /// was released is saved like any other. So is another exchange with a reservation that is settled. The same
    /// exchange sent again, with the same session and prompt, changes nothing, and gets the first receipt, with an
    /// idempotency key or without. Without one, as long as the store remembers the reservation: for two days, and the
    /// last 100,000. A forgotten one counts as expired, whoever names it.
    pub fn reservation(mut self, reservation: impl Into<ReservationId>) -> Self {
        self.reservation = Some(reservation.into());
        self
    }

    /// What it cost, in US dollars: from 0.
    pub fn cost(mut self, cost: Usd) -> Self {
        self.cost = cost;
        self
    }

    /// How long the answer took, in milliseconds: at most 1,000,000,000,000.
    pub fn duration_ms(mut self, duration_ms: u64) -> Self {
        self.duration_ms = Some(duration_ms);
        self
    }

    /// How many turns the model took.
    pub fn turns(mut self, turns: u32) -> Self {
        self.turns = turns;
        self
    }

    /// What went wrong, if something did; the audit row then records a failure.
    pub fn error(mut self, error: impl Into<String>) -> Self {
        self.error = Some(error.into());
        self
    }

    /// The tools that were used, in order.
    pub fn tools(mut self, tools: Vec<ToolCall>) -> Self {
        self.tools = tools;
        self
    }

    /// Adds one tool that was used.
    pub fn tool(mut self, tool: ToolCall) -> Self {
        self.tools.push(tool);
        self
    }

    /// Adds a file that came with the prompt or the answer.
    pub fn attachment(mut self, attachment: Attachment) -> Self {
        self.attachments.push(attachment);
        self
    }

    /// The files that came with the prompt and the answer, in order.
    pub fn attachments(mut self, attachments: Vec<Attachment>) -> Self {
        self.attachments = attachments;
        self
    }

    /// What else the bot wants to know of it: any JSON value but `null`, which is none. The store does not look into it.
    pub fn metadata(mut self, metadata: Value) -> Self {
        self.metadata = Some(metadata);
        self
    }

    /// The user's IP address for the audit row, if it is known.
    pub fn ip_address(mut self, ip_address: impl Into<String>) -> Self {
        self.ip_address = Some(ip_address.into());
        self
    }

    /// Identifies this exchange if it is sent again, such as the messenger's update id.
    pub fn idempotency_key(mut self, idempotency_key: impl Into<String>) -> Self {
        self.idempotency_key = Some(idempotency_key.into());
        self
    }

    /// Makes the user a member of this owner's session, as [`ShareSession`](crate::sessions::ShareSession) does,
    /// in the same transaction. For a group, whose members join when they first speak. A member whom
    /// [`UnshareSession`](crate::sessions::UnshareSession) has removed joins again. With
    /// [`creating`](Self::creating), a missing session is created for the owner.
    ///
    /// Not for a session id that a user has typed: each user who can name the session gets in.
    pub fn joining(mut self, owner: impl Into<UserId>) -> Self {
        self.joining = Some(owner.into());
        self
    }

    /// When the exchange was, for history that a bot imports: from 1970 to now, session by session, each in the
    /// order of time. [`SaveMessage::at`](crate::messages::SaveMessage::at) describes the effects; the audit row
    /// has this time, too.
    pub fn at(mut self, at: DateTime<Utc>) -> Self {
        self.at = Some(at);
        self
    }

    /// Creates the session, about this project, and its user, if the session is missing. Does so in the same
    /// transaction, as [`EnsureUser`](crate::users::EnsureUser) and
    /// [`EnsureSession`](crate::sessions::EnsureSession) do. Costs nothing if the session exists.
    pub fn creating(mut self, project_path: impl Into<String>) -> Self {
        self.creating = Some(project_path.into());
        self
    }

    /// The user's current name, if the messenger gives one: it replaces the stored one, unless [`at`](Self::at) makes
    /// it history.
    pub fn username(mut self, username: impl Into<String>) -> Self {
        self.username = Some(username.into());
        self
    }

    /// What happens to the exchange if the session has ended. By default the session becomes active again.
    pub fn into_ended(mut self, into_ended: IntoEnded) -> Self {
        self.into_ended = into_ended;
        self
    }
}
