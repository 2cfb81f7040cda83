//! One session.

use super::{Session, find, from_row};
use crate::domain::{SessionId, UserId};
use crate::error::Result;
use crate::operation::{Cacheable, Query, ReadTx};
use crate::texts::{self, Texts};
use serde::{Deserialize, Serialize};

/// Finds the row of a session, for the row cache.
const ROW_OF: &str = "SELECT rowid FROM sessions WHERE session_id = ?1";

fn owned_bytes(session: &Option<Session>) -> usize {
    session.as_ref().map_or(0, Session::owned_bytes)
}

/// Gets a session; `None` if it is unknown, or another user's that is not [shared](super::ShareSession) with this one.
/// A point read; the owner's answer is cached until the session changes.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// # store.write(botstore::interactions::SaveInteraction::new(42, "s-1", "Hello").creating("/srv")).await?;
/// use botstore::sessions::GetSession;
///
/// let session = store.read(GetSession::new(42, "s-1")).await?;
/// assert!(session.is_some_and(|session| session.is_active));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct GetSession {
    /// The session.
    pub session_id: SessionId,
    /// Who asks: its owner or a member.
    pub user_id: UserId,
}

impl GetSession {
    /// This session, for this user.
    pub fn new(user_id: impl Into<UserId>, session_id: impl Into<SessionId>) -> Self {
        Self {
            user_id: user_id.into(),
            session_id: session_id.into(),
        }
    }
}

impl Query for GetSession {
    type Output = Option<Session>;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Option<Session>> {
        find(tx, &self.session_id, self.user_id)
    }

    fn cacheable(&self) -> Option<Cacheable<'_, Option<Session>>> {
        let kept = Cacheable::text("sessions", &self.session_id, ROW_OF, self.user_id.get());
        // The answer for another user depends on a membership's row too, so it is not cached.
        let kept = kept.only_if(|session: &Option<Session>, asker| {
            session.as_ref().is_some_and(|s| s.user_id == asker)
        });
        Some(kept.bytes(owned_bytes))
    }

    fn texts(&self, texts: &mut Texts) {
        texts.looked_for("session_id", self.session_id.as_str());
    }
}

/// Gets any session, whoever owns it; `None` if it is unknown. A point read; the answer is cached until the session
/// changes. Other questions about the session name its owner, as the answer does.
///
/// For administrators: it asks nobody's permission.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// # store.write(botstore::interactions::SaveInteraction::new(42, "s-1", "Hello").creating("/srv")).await?;
/// use botstore::sessions::{GetAnySession, SessionHistory};
///
/// let session = store.read(GetAnySession::new("s-1")).await?.unwrap();
/// assert_eq!(session.user_id, 42);
/// let history = store.read(SessionHistory::new(session.user_id, "s-1")).await?;
/// # assert!(history.is_some());
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct GetAnySession {
    /// The session.
    pub session_id: SessionId,
}

impl GetAnySession {
    /// This session.
    pub fn new(session_id: impl Into<SessionId>) -> Self {
        Self {
            session_id: session_id.into(),
        }
    }
}

impl Query for GetAnySession {
    type Output = Option<Session>;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Option<Session>> {
        let found = tx.maybe(
            "SELECT session_id, user_id, project_path, created_at, last_used,
                    total_cost, total_turns, message_count, is_active
             FROM sessions WHERE session_id = ?1",
            [&self.session_id],
            from_row,
        )?;
        let found = found.flatten();
        if found.is_none() {
            texts::not_held("session_id", &self.session_id)?;
        }
        Ok(found)
    }

    fn cacheable(&self) -> Option<Cacheable<'_, Option<Session>>> {
        // Every asker gets the same answer.
        let kept = Cacheable::text("sessions", &self.session_id, ROW_OF, 0);
        Some(kept.bytes(owned_bytes))
    }

    fn texts(&self, texts: &mut Texts) {
        texts.looked_for("session_id", self.session_id.as_str());
    }
}
