//! Messages on their way into the file.

use super::history::LastUse;
use crate::domain::columns::flag;
use crate::domain::sessions::IntoEnded;
use crate::domain::when::When;
use crate::domain::{MessageId, SessionId, Usd, UserId, costs, sessions, users, validate};
use crate::error::Result;
use crate::limits::Texts;
use crate::operation::{Mutation, WriteTx};
use chrono::{DateTime, Utc};
use rusqlite::ToSql;
use serde::{Deserialize, Serialize};

/// Saves one exchange: the message, and its cost and count on the session, the user and the day.
/// For what has neither tools nor an audit row; usually
/// [`SaveInteraction`](crate::interactions::SaveInteraction) is meant. Gives the message's id. A session that
/// has ended is active again, unless [`into_ended`](Self::into_ended()) says otherwise.
///
/// # Errors
/// [`NotFound`](crate::ErrorKind::NotFound) for an unknown user or session, or another user's
/// session that is not [shared](sessions::ShareSession) with this one; [`Conflict`](crate::ErrorKind::Conflict) for
/// a session that has ended, if [`into_ended`](Self::into_ended()) says so, and for a message of history that comes
/// before another of its session: see [`at`](Self::at); [`Invalid`](crate::ErrorKind::Invalid) for a cost that is
/// not one, a time that is still to come, or a text that is too large
/// ([`Config::max_text_bytes`](crate::Config::max_text_bytes)).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SaveMessage {
    /// Who said it.
    pub user_id: UserId,
    /// In which session.
    pub session_id: SessionId,
    /// What was said.
    pub prompt: String,
    /// What was answered.
    pub response: Option<String>,
    /// What it cost, in US dollars: from 0.
    #[serde(default)]
    pub cost: Usd,
    /// How long the answer took, in milliseconds: at most 1,000,000,000,000.
    pub duration_ms: Option<u64>,
    /// What went wrong.
    pub error: Option<String>,
    /// What the session is about that is made, with its user, if they are not there; nobody is made without.
    #[serde(default)]
    pub creating: Option<String>,
    /// The user's present name, if the messenger tells one: it replaces the stored one.
    #[serde(default)]
    pub username: Option<String>,
    /// What becomes of the message if the session has ended.
    #[serde(default)]
    pub into_ended: IntoEnded,
    /// When it was, if that is history: see [`at`](Self::at).
    #[serde(default)]
    pub at: Option<DateTime<Utc>>,
}

impl SaveMessage {
    /// What this user said in this session. Without an answer, for nothing.
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

    /// What was answered.
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

    /// Makes the session, about this project, and its user, if they are not there.
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

    /// What becomes of the message if the session has ended. By default the session is active again.
    pub fn into_ended(mut self, into_ended: IntoEnded) -> Self {
        self.into_ended = into_ended;
        self
    }
}

impl SaveMessage {
    /// When it was, for history that a bot brings along: from 1970 to now. Session by session, each from its first
    /// message on: one that comes before another of its session is a [`Conflict`](crate::ErrorKind::Conflict).
    ///
    /// Everything is then as if the store had been there: the message and its tool uses have this time, its cost
    /// counts on that day, and so do the statistics. The session began then, if it says later, and the user was
    /// first seen then; both were last used then, if they say earlier. A session that has ended stays so. To have
    /// a session that was last used long ago, create it with its own time as well:
    /// [`CreateSession::at`](crate::sessions::CreateSession::at).
    ///
    /// Lists are in the order in which messages were saved. So those of several sessions follow one another session
    /// by session, as they were brought along.
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

/// A message on its way into the file.
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
    pub(in crate::domain) username: Option<&'a str>,
    pub(in crate::domain) into_ended: IntoEnded,
    pub(in crate::domain) when: &'a When<'a>,
}

/// Writes the message and counts it on session, user and day. What may fail comes first, so that a
/// failure has nothing to undo.
pub(in crate::domain) fn save(tx: &WriteTx<'_>, new: &NewMessage<'_>) -> Result<MessageId> {
    validate::not_empty("session_id", new.session_id)?;
    validate::cost("cost", new.cost)?;
    new.creating
        .map_or(Ok(()), |path| validate::not_empty("creating", path))?;
    let duration_ms = new
        .duration_ms
        .map(|ms| validate::count("duration_ms", ms))
        .transpose()?;
    let history = new.when.is_history();
    if let Some(project_path) = new.creating.filter(|_| history) {
        // Before it is asked what came later in it.
        let at = new.when.text();
        sessions::ensure(tx, new.user_id, new.session_id, project_path, at)?;
    }
    let history = history.then(|| LastUse::of_history(tx, new)).transpose()?;
    let now = new.when.text();
    let (session_used, user_used): (&dyn ToSql, &dyn ToSql) = match &history {
        Some(last_use) => (&last_use.session, &last_use.user),
        None => (&now, &now),
    };
    let is_active = tx.maybe(
        "UPDATE sessions
         SET last_used = ?3, total_cost = (round(coalesce(total_cost, 0.0) * 1e9) + ?4) / 1e9,
             total_turns = coalesce(total_turns, 0) + ?5,
             message_count = coalesce(message_count, 0) + 1
         WHERE session_id = ?1
           AND (user_id = ?2 OR EXISTS (SELECT 1 FROM botstore_session_member m
                                        WHERE m.session_id = ?1 AND m.user_id = ?2))
           AND (?6 OR is_active IS 1)
         RETURNING is_active IS 1",
        (
            new.session_id,
            new.user_id,
            session_used,
            new.cost.nanos(),
            new.turns,
            new.into_ended == IntoEnded::Revive,
        ),
        |row| flag(row, 0),
    )?;
    let Some(is_active) = is_active else {
        let Some(project_path) = new.creating else {
            return sessions::refused(tx, new.user_id, new.session_id);
        };
        // Asked for only here: where the session is there, nothing is looked for.
        sessions::ensure(
            tx,
            new.user_id,
            new.session_id,
            project_path,
            new.when.text(),
        )?;
        let creating = None;
        return save(tx, &NewMessage { creating, ..*new });
    };
    if !is_active && history.is_none() {
        // A conversation that goes on has not ended. By itself, since the index of active sessions would be
        // written with each message if it were part of the change above.
        let sql = "UPDATE sessions SET is_active = 1 WHERE session_id = ?1";
        tx.execute(sql, [new.session_id])?;
    }
    tx.execute(
        "UPDATE users
         SET last_active = ?2, total_cost = (round(coalesce(total_cost, 0.0) * 1e9) + ?3) / 1e9,
             message_count = coalesce(message_count, 0) + 1
         WHERE user_id = ?1",
        (new.user_id, user_used, new.cost.nanos()),
    )?;
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
