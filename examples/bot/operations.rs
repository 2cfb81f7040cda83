//! Two changes of the bot's own, made of the crate's: each happens as a whole, or not at all.

use botstore::page::PageRequest;
use botstore::sessions::{CreateSession, EndSession, Session, UserSessions};
use botstore::users::{EnsureUser, ListUsers, SetAllowed, User};
use botstore::{Mutation, Result, WriteTx};

/// Notes who is here. The first user of a new file is allowed to use /admin. An operation of this
/// bot's own, made of the crate's: all of it happens, or nothing.
pub(crate) struct Welcome(pub(crate) EnsureUser);

impl Mutation for Welcome {
    type Output = User;

    fn apply(&self, tx: &WriteTx) -> Result<Self::Output> {
        let known = tx.query(&ListUsers::new().page(PageRequest::first(1)))?;
        let mut user = tx.apply(&self.0)?;
        if known.items.is_empty() {
            tx.apply(&SetAllowed::allow(user.user_id))?;
            user.is_allowed = true;
        }
        Ok(user)
    }
}

/// Ends the user's conversations and begins another.
pub(crate) struct BeginAnew {
    pub(crate) user_id: i64,
    pub(crate) project: String,
}

impl Mutation for BeginAnew {
    type Output = Session;

    fn apply(&self, tx: &WriteTx) -> Result<Self::Output> {
        let user_id = self.user_id;
        let active = tx.query(&UserSessions::new(user_id))?;
        for Session { session_id, .. } in active.items {
            tx.apply(&EndSession::new(user_id, session_id))?;
        }
        tx.apply(&CreateSession::new(
            user_id,
            format!("{user_id}-{}", tx.now().timestamp_micros()),
            self.project.clone(),
        ))
    }
}
