//! Saves sessions.

use super::{Session, get, owns, unknown};
use crate::domain::audit::{Change, SESSION_CREATED};
use crate::domain::when::When;
use crate::domain::{SessionId, Usd, UserId, users, validate};
use crate::error::{Error, Result, quote};
use crate::operation::{Mutation, WriteTx};
use crate::texts::Texts;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Begins a session, and counts it on the user. Recorded in the [audit log](crate::audit), as [`SESSION_CREATED`].
///
/// An id is unique in the file, for all users. If another user has the id, the answer is the same as for any
/// request about another user's session: `NotFound`, with the field `session_id`. A user who asks for a taken id
/// can tell that it is taken, so use ids that nobody can guess, such as UUIDs.
///
/// # Errors
/// [`NotFound`](crate::ErrorKind::NotFound) for an unknown user, or an id that another user has;
/// [`Conflict`](crate::ErrorKind::Conflict) if the user has a session with this id;
/// [`Invalid`](crate::ErrorKind::Invalid) for an id or path that is empty or longer than 4 KiB, or a time in the
/// future or before 1970.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// # store.write(botstore::users::EnsureUser::new(42, "ada")).await?;
/// use botstore::sessions::CreateSession;
///
/// let session = store.write(CreateSession::new(42, "s-1", "/srv")).await?;
/// assert_eq!(session.message_count, 0);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CreateSession {
    /// Its id, unique in the file.
    pub session_id: SessionId,
    /// Its owner.
    pub user_id: UserId,
    /// What it is about.
    pub project_path: String,
    /// When it began, for imported history.
    #[serde(default)]
    pub at: Option<DateTime<Utc>>,
    /// Who did it, if it was not the owner: an administrator, for the audit log.
    #[serde(default)]
    pub by: Option<UserId>,
}

impl CreateSession {
    /// A session of this user with this id, about this project.
    pub fn new(
        user_id: impl Into<UserId>,
        session_id: impl Into<SessionId>,
        project_path: impl Into<String>,
    ) -> Self {
        Self {
            user_id: user_id.into(),
            session_id: session_id.into(),
            project_path: project_path.into(),
            at: None,
            by: None,
        }
    }

    /// When the session began, for history that a bot imports: from 1970 to now. Its last use is the same time,
    /// and its user was there then: see [`SaveMessage::at`](crate::messages::SaveMessage::at).
    pub fn at(mut self, at: DateTime<Utc>) -> Self {
        self.at = Some(at);
        self
    }

    /// Who did it, if it was not the owner: an administrator, for the [audit log](crate::audit).
    pub fn by(mut self, by: impl Into<UserId>) -> Self {
        self.by = Some(by.into());
        self
    }
}

impl Mutation for CreateSession {
    type Output = Session;

    fn apply(&self, tx: &WriteTx<'_>) -> Result<Session> {
        validate::not_empty("session_id", &self.session_id)?;
        validate::not_empty("project_path", &self.project_path)?;
        let when = When::of(tx, self.at)?;
        users::exists(tx, self.user_id)?;
        if !insert(
            tx,
            self.user_id,
            &self.session_id,
            &self.project_path,
            when.text(),
        )? {
            owns(tx, &self.session_id, self.user_id)?;
            let session_id = quote(&self.session_id);
            return Err(Error::conflict(
                "session_id",
                format_args!("session {session_id}"),
            ));
        }
        if when.is_history() {
            users::was_there(tx, self.user_id, &when)?;
        }
        created(self.user_id, &self.session_id, self.by)
            .at(when.text())
            .record(tx)?;
        get(tx, &self.session_id, self.user_id)?.ok_or_else(|| unknown(&self.session_id))
    }

    fn texts(&self, texts: &mut Texts) {
        texts.name("session_id", self.session_id.as_str());
        texts.name("project_path", self.project_path.as_str());
    }
}

/// Begins a session of an existing user, and counts it. False if any user has a session with this id.
pub(super) fn insert(
    tx: &WriteTx<'_>,
    user_id: UserId,
    session_id: &SessionId,
    project_path: &str,
    at: &str,
) -> Result<bool> {
    let inserted = tx.execute(
        "INSERT INTO sessions (session_id, user_id, project_path, created_at, last_used,
                               total_cost, total_turns, message_count, is_active)
         VALUES (?1, ?2, ?3, ?4, ?4, 0.0, 0, 0, 1)
         ON CONFLICT (session_id) DO NOTHING",
        (session_id, user_id, project_path, at),
    )?;
    if inserted == 1 {
        begin(tx, user_id, session_id)?;
    }
    Ok(inserted == 1)
}

/// Counts a session that was just made. Members of an earlier one of this id are none of it: another program may
/// have deleted that one with foreign keys off.
fn begin(tx: &WriteTx<'_>, user_id: UserId, session_id: &SessionId) -> Result<()> {
    let sql = "DELETE FROM botstore_session_member INDEXED BY botstore_session_member_session
               WHERE session_id = ?1";
    tx.execute(sql, [session_id])?;
    tx.execute(
        "UPDATE users SET session_count = coalesce(session_count, 0) + 1 WHERE user_id = ?1",
        [user_id],
    )?;
    Ok(())
}

/// The record of a session that was just made. One that an interaction begins has the interaction's instead: a second
/// row with each first message would say no more.
pub(super) fn created<'a>(
    user_id: UserId,
    session_id: &str,
    by: Option<UserId>,
) -> Change<'a, UserId> {
    Change::new(SESSION_CREATED, user_id)
        .with("session_id", session_id)
        .by(by)
}

/// Saves the state of a live session as the bot has it in memory: its totals replace those in the file. Creates
/// a session that is missing, and counts it on the user. Makes a session that has ended active again.
///
/// For a bot that keeps its own totals. A bot that saves each exchange with
/// [`SaveInteraction`](crate::interactions::SaveInteraction) need not, since that keeps the totals: use only one
/// of the two.
///
/// # Errors
/// [`NotFound`](crate::ErrorKind::NotFound) for an unknown user, or a session of another user;
/// [`Invalid`](crate::ErrorKind::Invalid) for an id or path that is empty or longer than 4 KiB, a cost outside 0
/// to 1,000,000,000 dollars, or a count above 1,000,000,000,000.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// # store.write(botstore::users::EnsureUser::new(42, "ada")).await?;
/// use botstore::sessions::SaveSession;
///
/// let totals = SaveSession::new(42, "s-1", "/srv").total_turns(3).message_count(2);
/// assert_eq!(store.write(totals).await?.message_count, 2);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SaveSession {
    /// The id.
    pub session_id: SessionId,
    /// Its owner.
    pub user_id: UserId,
    /// The project of a new session. An existing session keeps the one it has.
    pub project_path: String,
    /// What it has cost so far, in US dollars.
    pub total_cost: Usd,
    /// Turns so far.
    pub total_turns: u64,
    /// Messages so far.
    pub message_count: u64,
    /// Who did it, if it was not the owner: an administrator, for the audit log.
    #[serde(default)]
    pub by: Option<UserId>,
}

impl SaveSession {
    /// A session of this user with this id, about this project; nothing has happened in it yet.
    pub fn new(
        user_id: impl Into<UserId>,
        session_id: impl Into<SessionId>,
        project_path: impl Into<String>,
    ) -> Self {
        Self {
            user_id: user_id.into(),
            session_id: session_id.into(),
            project_path: project_path.into(),
            total_cost: Usd::ZERO,
            total_turns: 0,
            message_count: 0,
            by: None,
        }
    }

    /// What it has cost so far, in US dollars.
    pub fn total_cost(mut self, total_cost: Usd) -> Self {
        self.total_cost = total_cost;
        self
    }

    /// Turns so far.
    pub fn total_turns(mut self, total_turns: u64) -> Self {
        self.total_turns = total_turns;
        self
    }

    /// Messages so far.
    pub fn message_count(mut self, message_count: u64) -> Self {
        self.message_count = message_count;
        self
    }

    /// Who did it, if it was not the owner: an administrator, for the [audit log](crate::audit).
    pub fn by(mut self, by: impl Into<UserId>) -> Self {
        self.by = Some(by.into());
        self
    }
}

impl Mutation for SaveSession {
    type Output = Session;

    fn apply(&self, tx: &WriteTx<'_>) -> Result<Session> {
        validate::not_empty("session_id", &self.session_id)?;
        validate::not_empty("project_path", &self.project_path)?;
        validate::cost("total_cost", self.total_cost)?;
        let turns = validate::count("total_turns", self.total_turns)?;
        let messages = validate::count("message_count", self.message_count)?;
        users::exists(tx, self.user_id)?;
        let updated = tx.execute(
            "UPDATE sessions SET last_used = ?3, total_cost = ?4, total_turns = ?5,
                                 message_count = ?6, is_active = 1
             WHERE session_id = ?1 AND user_id = ?2",
            (
                &self.session_id,
                self.user_id,
                tx.now_text(),
                self.total_cost.dollars(),
                turns,
                messages,
            ),
        )?;
        if updated == 0 {
            let inserted = tx.execute(
                "INSERT INTO sessions (session_id, user_id, project_path, created_at, last_used,
                                       total_cost, total_turns, message_count, is_active)
                 VALUES (?1, ?2, ?3, ?4, ?4, ?5, ?6, ?7, 1)
                 ON CONFLICT (session_id) DO NOTHING",
                (
                    &self.session_id,
                    self.user_id,
                    &self.project_path,
                    tx.now_text(),
                    self.total_cost.dollars(),
                    turns,
                    messages,
                ),
            )?;
            if inserted == 0 {
                return Err(unknown(&self.session_id));
            }
            begin(tx, self.user_id, &self.session_id)?;
            created(self.user_id, &self.session_id, self.by).record(tx)?;
        }
        get(tx, &self.session_id, self.user_id)?.ok_or_else(|| unknown(&self.session_id))
    }

    fn texts(&self, texts: &mut Texts) {
        texts.name("session_id", self.session_id.as_str());
        texts.name("project_path", self.project_path.as_str());
    }
}
