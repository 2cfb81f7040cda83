//! Saves messages.

use super::history::LastUse;
use crate::domain::sessions::IntoEnded;
use crate::domain::when::When;
use crate::domain::{MessageId, SessionId, Usd, UserId, costs, sessions, users, validate};
use crate::error::Result;
use crate::operation::{Mutation, WriteTx};
use crate::texts::Texts;
use chrono::{DateTime, Utc};
use rusqlite::ToSql;
use serde::{Deserialize, Serialize};

/// Saves one exchange: the message, and its cost and count on the session, the user and the day. Returns the
/// message's id. For an exchange with neither tools nor an audit row; most bots need
/// [`SaveInteraction`](crate::interactions::SaveInteraction) instead. Makes a session that has ended active
/// again, unless [`into_ended`](Self::into_ended()) says otherwise.
///
/// # Errors
/// [`NotFound`](crate::ErrorKind::NotFound) for an unknown user or session, or another user's session that is
/// not [shared](sessions::ShareSession) with this one. [`Conflict`](crate::ErrorKind::Conflict) for a session
/// that has ended, if [`into_ended`](Self::into_ended()) says so, and for imported history that is out of order:
/// see [`at`](Self::at). [`Invalid`](crate::ErrorKind::Invalid) for a cost outside 0 to 9,000,000 dollars, a
/// duration above 1,000,000,000,000, a time in the future or before 1970, or a text that is too large
/// ([`Config::max_text_bytes`](crate::Config::max_text_bytes)).
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// use botstore::messages::SaveMessage;
///
/// let said = SaveMessage::new(42, "s-1", "Hello").creating("/srv").response("Hi!");
/// assert_eq!(store.write(said).await?, 1);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SaveMessage {
    /// The user who sent it.
    pub user_id: UserId,
    /// Its session.
    pub session_id: SessionId,
    /// The prompt.
    pub prompt: String,
    /// The answer.
    pub response: Option<String>,
    /// What it cost, in US dollars: from 0.
    #[serde(default)]
    pub cost: Usd,
    /// How long the answer took, in milliseconds: at most 1,000,000,000,000.
    pub duration_ms: Option<u64>,
    /// What went wrong.
    pub error: Option<String>,
    /// The project of a session to create, with its user, if the session is missing; `None` creates nothing.
    #[serde(default)]
    pub creating: Option<String>,
    /// The user's current name, if the messenger gives one: it replaces the stored one.
    #[serde(default)]
    pub username: Option<String>,
    /// What happens to the message if the session has ended.
    #[serde(default)]
    pub into_ended: IntoEnded,
    /// When it was sent, for imported history: see [`at`](Self::at).
    #[serde(default)]
    pub at: Option<DateTime<Utc>>,
}

impl SaveMessage {
    /// This prompt of this user in this session. It has no answer, and costs nothing.
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
            error: None,
            creating: None,
            username: None,
            into_ended: IntoEnded::Revive,
            at: None,
        }
    }

    /// The answer.
    pub fn response(mut self, response: impl Into<String>) -> Self {
        self.response = Some(response.into());
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

    /// What went wrong.
    pub fn error(mut self, error: impl Into<String>) -> Self {
        self.error = Some(error.into());
        self
    }

    /// Creates the session, about this project, and its user, if the session is missing.
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

    /// What happens to the message if the session has ended. By default the session becomes active again.
    pub fn into_ended(mut self, into_ended: IntoEnded) -> Self {
        self.into_ended = into_ended;
        self
    }
}

impl SaveMessage {
    /// When the message was sent, for history that a bot imports: from 1970 to now. Import session by session,
    /// each in the order of time: a message that is older than another of its session is a
    /// [`Conflict`](crate::ErrorKind::Conflict).
    ///
    /// The file then looks as if the store had been there. The message and its tool uses have this time, and its
    /// cost and the statistics count on that day. The session's `created_at` and the user's `first_seen` become
    /// this time if they are later; `last_used` and `last_active` do if they are earlier. A session that has
    /// ended stays ended. For a session that was last used long ago, import its creation too:
    /// [`CreateSession::at`](crate::sessions::CreateSession::at).
    ///
    /// Lists are in the order in which messages were saved. So imported messages follow one another session by
    /// session, in the order of the import.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> botstore::Result<()> {
    /// # let store = botstore::testing::TestStore::open().await?;
    /// use botstore::messages::SaveMessage;
    /// use botstore::sessions::{CreateSession, GetSession};
    /// use botstore::users::EnsureUser;
    /// use chrono::{TimeZone, Utc};
    ///
    /// let began = Utc.with_ymd_and_hms(2024, 5, 1, 9, 0, 0).unwrap();
    /// let said = Utc.with_ymd_and_hms(2024, 5, 1, 9, 2, 30).unwrap();
    /// store.write(EnsureUser::new(42, "ada").at(began)).await?;
    /// store.write(CreateSession::new(42, "s-1", "/srv").at(began)).await?;
    /// store.write(SaveMessage::new(42, "s-1", "Hello").at(said)).await?;
    /// let session = store.read(GetSession::new(42, "s-1")).await?.unwrap();
    /// assert_eq!((session.created_at, session.last_used), (began, said));
    /// # Ok(()) }
    /// ```
    pub fn at(mut self, at: DateTime<Utc>) -> Self {
        self.at = Some(at);
        self
    }
}

impl Mutation for SaveMessage {
    type Output = MessageId;

    fn apply(&self, tx: &WriteTx<'_>) -> Result<MessageId> {
        save(
            tx,
            &NewMessage {
                user_id: self.user_id,
                session_id: &self.session_id,
                prompt: &self.prompt,
                response: self.response.as_deref(),
                cost: self.cost,
                duration_ms: self.duration_ms,
                turns: 0,
                error: self.error.as_deref(),
                creating: self.creating.as_deref(),
                joining: None,
                username: self.username.as_deref(),
                into_ended: self.into_ended,
                when: &When::of(tx, self.at)?,
            },
        )
    }

    fn texts(&self, texts: &mut Texts) {
        texts.name("session_id", self.session_id.as_str());
        texts.text("prompt", self.prompt.as_str());
        texts.text("response", self.response.as_deref());
        texts.text("error", self.error.as_deref());
        texts.name("creating", self.creating.as_deref());
        texts.name("username", self.username.as_deref());
    }
}

/// A message to save.
pub(in crate::domain) struct NewMessage<'a> {
    pub(in crate::domain) user_id: UserId,
    pub(in crate::domain) session_id: &'a SessionId,
    pub(in crate::domain) prompt: &'a str,
    pub(in crate::domain) response: Option<&'a str>,
    pub(in crate::domain) cost: Usd,
    pub(in crate::domain) duration_ms: Option<u64>,
    pub(in crate::domain) turns: u32,
    pub(in crate::domain) error: Option<&'a str>,
    pub(in crate::domain) creating: Option<&'a str>,
    /// The session's owner, if the user is to become a member.
    pub(in crate::domain) joining: Option<UserId>,
    pub(in crate::domain) username: Option<&'a str>,
    pub(in crate::domain) into_ended: IntoEnded,
    pub(in crate::domain) when: &'a When<'a>,
}

/// Writes the message and counts it on session, user and day. Whatever may fail comes first, so that a failure
/// leaves nothing to undo.
pub(in crate::domain) fn save(tx: &WriteTx<'_>, new: &NewMessage<'_>) -> Result<MessageId> {
    validate::not_empty("session_id", new.session_id)?;
    let duration_ms = new
        .duration_ms
        .map(|ms| validate::count("duration_ms", ms))
        .transpose()?;
    validate::request_cost("cost", new.cost)?;
    new.creating
        .map_or(Ok(()), |path| validate::not_empty("creating", path))?;
    let history = new.when.is_history();
    if history {
        // Before it is asked what came later in the session.
        admit(tx, new)?;
    }
    let history = history.then(|| LastUse::of_history(tx, new)).transpose()?;
    let now = new.when.text();
    let (session_used, user_used): (&dyn ToSql, &dyn ToSql) = match &history {
        Some(last_use) => (&last_use.session, &last_use.user),
        None => (&now, &now),
    };
    // First as if it were active, which it nearly always is: `RETURNING` would say so too, but SQLite makes a table
    // for it each time.
    let use_session = |into_ended: IntoEnded| -> Result<bool> {
        let used = tx.execute(
            "UPDATE sessions
             SET last_used = ?3, total_cost = (round(coalesce(total_cost, 0.0) * 1e9) + ?4) / 1e9,
                 total_turns = coalesce(total_turns, 0) + ?5,
                 message_count = coalesce(message_count, 0) + 1
             WHERE session_id = ?1
               AND (user_id = ?2 OR EXISTS (SELECT 1 FROM botstore_session_member m
                                            WHERE m.session_id = ?1 AND m.user_id = ?2))
               AND (?6 OR is_active IS 1)
               AND (?7 IS NULL OR user_id = ?7)",
            (
                new.session_id,
                new.user_id,
                session_used,
                new.cost.nanos(),
                new.turns,
                into_ended == IntoEnded::Revive,
                new.joining,
            ),
        )?;
        Ok(used > 0)
    };
    let is_active = use_session(IntoEnded::Refuse)?;
    let is_used =
        is_active || (new.into_ended == IntoEnded::Revive && use_session(IntoEnded::Revive)?);
    if !is_used {
        // Only if the UPDATE found no session: a message for an existing one, from a member, needs no lookup.
        if let (None, None) = (new.creating, new.joining) {
            return sessions::refused(tx, new.user_id, new.session_id);
        }
        admit(tx, new)?;
        let (creating, joining) = (None, None);
        let admitted = NewMessage {
            creating,
            joining,
            ..*new
        };
        return save(tx, &admitted);
    }
    if !is_active && history.is_none() {
        // A conversation that continues has not ended. This is a statement of its own: as part of the UPDATE
        // above, it would write the index of active sessions with each message.
        let sql = "UPDATE sessions SET is_active = 1 WHERE session_id = ?1";
        tx.execute(sql, [new.session_id])?;
    }
    let count_on_user = || {
        tx.execute(
            "UPDATE users
             SET last_active = ?2, total_cost = (round(coalesce(total_cost, 0.0) * 1e9) + ?3) / 1e9,
                 message_count = coalesce(message_count, 0) + 1
             WHERE user_id = ?1",
            (new.user_id, user_used, new.cost.nanos()),
        )
    };
    if count_on_user()? == 0 {
        // Another program may have left a session, or a member, without a user.
        match new.creating {
            None => users::exists(tx, new.user_id)?,
            Some(_) => users::ensure(tx, new.user_id, now)?,
        }
        count_on_user()?;
    }
    if let Some(username) = new.username {
        users::rename(tx, new.user_id, username, new.when)?;
    }
    costs::add(tx, new.user_id, new.cost, new.when)?;
    let message_id = tx.insert(
        "INSERT INTO messages (session_id, user_id, timestamp, prompt, response, cost,
                               duration_ms, error)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        (
            new.session_id,
            new.user_id,
            new.when.text(),
            new.prompt,
            new.response,
            new.cost.dollars(),
            duration_ms,
            new.error,
        ),
    )?;
    Ok(message_id.into())
}

/// Makes what the message needs and asks for, where it is missing: the session and its owner, the user, and the
/// user's membership.
fn admit(tx: &WriteTx<'_>, new: &NewMessage<'_>) -> Result<()> {
    let (session_id, user_id, at) = (new.session_id, new.user_id, new.when.text());
    let owner = new.joining.unwrap_or(user_id);
    if let Some(project_path) = new.creating {
        sessions::ensure(tx, owner, session_id, project_path, at)?;
    }
    if new.joining.is_some() {
        if new.creating.is_some() {
            users::ensure(tx, user_id, at)?;
        }
        sessions::join(tx, session_id, owner, user_id, at)?;
    }
    Ok(())
}
