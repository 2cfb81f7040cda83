//! Creates sessions that are missing.

use super::save::{created, insert};
use super::{Session, get, may_use, unknown};
use crate::domain::{SessionId, UserId, users, validate};
use crate::error::{Error, ErrorKind, Result, quote};
use crate::operation::{Mutation, ReadTx, WriteTx};
use crate::texts::Texts;
use serde::{Deserialize, Serialize};

/// Gets a session, and begins it if it is missing. A new session is counted on the user. An existing one keeps
/// what it has, its project too, and one that has ended stays ended ([`Session::is_active`]): the next message
/// that is saved into it makes it active again. A new one is recorded in the [audit log](crate::audit), as
/// [`SESSION_CREATED`](crate::audit::SESSION_CREATED).
///
/// # Errors
/// [`NotFound`](crate::ErrorKind::NotFound) for an unknown user, or an id that another user has, as with
/// [`CreateSession`](super::CreateSession); [`Invalid`](crate::ErrorKind::Invalid) for an id or path that is
/// empty or longer than 4 KiB.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// use botstore::sessions::EnsureSession;
/// # store.write(botstore::users::EnsureUser::new(42, "ada")).await?;
///
/// let begun = store.write(EnsureSession::new(42, "s-1", "/srv/api")).await?;
/// let again = store.write(EnsureSession::new(42, "s-1", "/srv/api")).await?;
/// assert_eq!(begun, again);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EnsureSession {
    /// Its id, unique in the file.
    pub session_id: SessionId,
    /// Its owner.
    pub user_id: UserId,
    /// The project of a new session.
    pub project_path: String,
    /// Who did it, if it was not the owner: an administrator, for the audit log.
    #[serde(default)]
    pub by: Option<UserId>,
}

impl EnsureSession {
    /// The session of this user with this id; a new one is about this project.
    pub fn new(
        user_id: impl Into<UserId>,
        session_id: impl Into<SessionId>,
        project_path: impl Into<String>,
    ) -> Self {
        Self {
            user_id: user_id.into(),
            session_id: session_id.into(),
            project_path: project_path.into(),
            by: None,
        }
    }

    /// Who did it, if it was not the owner: an administrator, for the [audit log](crate::audit).
    pub fn by(mut self, by: impl Into<UserId>) -> Self {
        self.by = Some(by.into());
        self
    }
}

impl Mutation for EnsureSession {
    type Output = Session;

    fn apply(&self, tx: &WriteTx<'_>) -> Result<Session> {
        validate::not_empty("session_id", &self.session_id)?;
        validate::not_empty("project_path", &self.project_path)?;
        if let Some(there) = get(tx, &self.session_id, self.user_id)? {
            return Ok(there);
        }
        users::exists(tx, self.user_id)?;
        // A session that still has this id is another user's.
        let is_new = insert(
            tx,
            self.user_id,
            &self.session_id,
            &self.project_path,
            tx.now_text(),
        )?;
        if is_new {
            created(self.user_id, &self.session_id, self.by).record(tx)?;
        }
        get(tx, &self.session_id, self.user_id)?.ok_or_else(|| unknown(&self.session_id))
    }

    fn texts(&self, texts: &mut Texts) {
        texts.name("session_id", self.session_id.as_str());
        texts.name("project_path", self.project_path.as_str());
    }
}

/// What happens to a message for a session that has ended or expired.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum IntoEnded {
    /// The message is saved, and the session is active again.
    #[default]
    Revive,
    /// The message is refused with [`Conflict`](crate::ErrorKind::Conflict) and the field `session_id`, and the
    /// session stays ended.
    Refuse,
}

/// Creates the session and its user, if no session has this id. `at` is a time as the file spells it.
pub(in crate::domain) fn ensure(
    tx: &WriteTx<'_>,
    user_id: UserId,
    session_id: &SessionId,
    project_path: &str,
    at: &str,
) -> Result<()> {
    // Checked before the user is created, which would have to be undone if the session is another user's.
    let sql = "SELECT 1 FROM sessions WHERE session_id = ?1";
    if tx.maybe(sql, [session_id], |_| Ok(()))?.is_some() {
        return may_use(tx, session_id, user_id);
    }
    users::ensure(tx, user_id, at)?;
    insert(tx, user_id, session_id, project_path, at)?;
    Ok(())
}

/// The error of a session that takes no message: it is unknown, not this user's, or ended.
pub(in crate::domain) fn refused<T>(
    tx: &ReadTx<'_>,
    user_id: UserId,
    session_id: &SessionId,
) -> Result<T> {
    users::exists(tx, user_id)?;
    may_use(tx, session_id, user_id)?;
    let session_id = quote(session_id);
    let why = format!("session {session_id} has ended; nothing was saved");
    Err(Error::new(ErrorKind::Conflict, why).with_field("session_id"))
}
