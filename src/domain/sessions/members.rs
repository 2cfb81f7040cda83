//! Sessions that several users share: their members besides the owner.

use super::{may_use, owns};
use crate::domain::audit::{Change, SESSION_SHARED, SESSION_UNSHARED};
use crate::domain::columns::{id, time};
use crate::domain::page::{self, Found, Order, Page, PageRequest, Room};
use crate::domain::{SessionId, UserId, users, validate};
use crate::error::{Error, Result};
use crate::operation::{Mutation, Query, ReadTx, WriteTx};
use crate::texts::Texts;
use chrono::{DateTime, Utc};
use rusqlite::Row;
use serde::{Deserialize, Serialize};

/// Makes a user a member of a session. A member may read all of it and save into it. Sharing again, or with the
/// owner, changes nothing. Recorded in the [audit log](crate::audit), as [`SESSION_SHARED`], for the member.
///
/// # Errors
/// [`NotFound`](crate::ErrorKind::NotFound) for a session that is unknown or has another owner (field
/// `session_id`), and for an unknown user to share it with (field `with_user`).
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// use botstore::sessions::{CreateSession, GetSession, ShareSession};
/// # use botstore::users::EnsureUser;
/// # store.write(EnsureUser::new(1, "ada")).await?;
/// # store.write(EnsureUser::new(2, "bob")).await?;
///
/// store.write(CreateSession::new(1, "s-1", "/srv")).await?;
/// assert_eq!(store.read(GetSession::new(2, "s-1")).await?, None);
/// store.write(ShareSession::new(1, "s-1", 2)).await?;
/// assert!(store.read(GetSession::new(2, "s-1")).await?.is_some());
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ShareSession {
    /// The session.
    pub session_id: SessionId,
    /// Its owner.
    pub user_id: UserId,
    /// Who becomes a member.
    pub with_user: UserId,
    /// Who did it, if it was not the owner: an administrator, for the audit log.
    #[serde(default)]
    pub by: Option<UserId>,
}

impl ShareSession {
    /// This session of this owner, with another user.
    pub fn new(
        owner: impl Into<UserId>,
        session_id: impl Into<SessionId>,
        with_user: impl Into<UserId>,
    ) -> Self {
        Self {
            user_id: owner.into(),
            session_id: session_id.into(),
            with_user: with_user.into(),
            by: None,
        }
    }

    /// Who did it, if it was not the owner: an administrator, for the [audit log](crate::audit).
    pub fn by(mut self, by: impl Into<UserId>) -> Self {
        self.by = Some(by.into());
        self
    }
}

impl Mutation for ShareSession {
    type Output = ();

    fn apply(&self, tx: &WriteTx<'_>) -> Result<()> {
        owns(tx, &self.session_id, self.user_id)?;
        if !users::is_known(tx, self.with_user)? {
            let what = format!("user {}", self.with_user);
            return Err(Error::not_found("with_user", what));
        }
        let (owner, at) = (self.user_id, tx.now_text());
        if !add(tx, &self.session_id, owner, self.with_user, at)? {
            return Ok(());
        }
        Change::new(SESSION_SHARED, self.with_user)
            .with("session_id", self.session_id.as_str())
            .with("owner", owner.get())
            .by(self.by)
            .record(tx)
    }

    fn texts(&self, texts: &mut Texts) {
        texts.name("session_id", self.session_id.as_str());
    }
}

/// Makes a user who is about to save into an owner's session a member of it.
pub(in crate::domain) fn join(
    tx: &WriteTx<'_>,
    session_id: &str,
    owner: UserId,
    user_id: UserId,
    at: &str,
) -> Result<()> {
    validate::not_empty("session_id", session_id)?;
    owns(tx, session_id, owner)?;
    users::exists(tx, user_id)?;
    add(tx, session_id, owner, user_id, at)?;
    Ok(())
}

/// Returns whether the user was no member before. An owner is none, and needs no membership.
fn add(
    tx: &WriteTx<'_>,
    session_id: &str,
    owner: UserId,
    user_id: UserId,
    at: &str,
) -> Result<bool> {
    if user_id == owner {
        return Ok(false);
    }
    let added = tx.execute(
        "INSERT INTO botstore_session_member (session_id, user_id, joined_at) VALUES (?1, ?2, ?3)
         ON CONFLICT (session_id, user_id) DO NOTHING",
        (session_id, user_id, at),
    )?;
    Ok(added == 1)
}

/// Ends a user's membership of a session, for the owner or for the member who leaves. What the user has saved
/// stays in it. Changes nothing if the user is no member. Recorded in the [audit log](crate::audit), as
/// [`SESSION_UNSHARED`], for the member.
///
/// # Errors
/// [`NotFound`](crate::ErrorKind::NotFound) for an unknown session, and for one that is neither the user's own
/// nor shared with the user who leaves.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// # store.write(botstore::interactions::SaveInteraction::new(42, "s-1", "Hello").creating("/srv")).await?;
/// use botstore::sessions::UnshareSession;
///
/// store.write(UnshareSession::new(42, "s-1", 7)).await?; // 7 was no member.
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct UnshareSession {
    /// The session.
    pub session_id: SessionId,
    /// Who asks: the owner, or the member who leaves.
    pub user_id: UserId,
    /// Whose membership ends.
    pub with_user: UserId,
    /// Who did it, if it was neither the owner nor the member: an administrator, for the audit log.
    #[serde(default)]
    pub by: Option<UserId>,
}

impl UnshareSession {
    /// Ends a member's membership of this session, for its owner: `UnshareSession::new(owner, "s-1", member)`;
    /// or for the member who leaves: `UnshareSession::new(member, "s-1", member)`.
    pub fn new(
        user_id: impl Into<UserId>,
        session_id: impl Into<SessionId>,
        with_user: impl Into<UserId>,
    ) -> Self {
        Self {
            user_id: user_id.into(),
            session_id: session_id.into(),
            with_user: with_user.into(),
            by: None,
        }
    }

    /// Who did it, if it was neither the owner nor the member: an administrator, for the
    /// [audit log](crate::audit).
    pub fn by(mut self, by: impl Into<UserId>) -> Self {
        self.by = Some(by.into());
        self
    }
}

impl Mutation for UnshareSession {
    type Output = ();

    fn apply(&self, tx: &WriteTx<'_>) -> Result<()> {
        match self.user_id == self.with_user {
            true => may_use(tx, &self.session_id, self.user_id)?,
            false => owns(tx, &self.session_id, self.user_id)?,
        }
        let removed = tx.execute(
            "DELETE FROM botstore_session_member WHERE session_id = ?1 AND user_id = ?2",
            (&self.session_id, self.with_user),
        )?;
        if removed == 0 {
            return Ok(());
        }
        // Without `by`, it was one of the two, and which of them is a part of what happened.
        Change::new(SESSION_UNSHARED, self.with_user)
            .with("session_id", self.session_id.as_str())
            .by(self.by.or(Some(self.user_id)))
            .record(tx)
    }

    fn texts(&self, texts: &mut Texts) {
        texts.name("session_id", self.session_id.as_str());
    }
}

/// A user with whom a session is shared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Member {
    /// The member.
    pub user_id: UserId,
    /// Since when the user is a member.
    pub joined_at: DateTime<Utc>,
}

impl Member {
    /// A member since this time, for a test of your own.
    pub fn new(user_id: impl Into<UserId>, joined_at: DateTime<Utc>) -> Self {
        Self {
            user_id: user_id.into(),
            joined_at,
        }
    }
}

/// Lists the members of a session, latest joined first. The owner is not in the list: see
/// [`Session::user_id`](super::Session::user_id). The owner and the members may ask. Reads a page.
///
/// # Errors
/// [`NotFound`](crate::ErrorKind::NotFound) for an unknown session, or another user's that is not shared with
/// this one.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// # store.write(botstore::interactions::SaveInteraction::new(42, "s-1", "Hello").creating("/srv")).await?;
/// use botstore::sessions::SessionMembers;
///
/// assert!(store.read(SessionMembers::new(42, "s-1")).await?.items.is_empty());
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SessionMembers {
    /// The session.
    pub session_id: SessionId,
    /// Who asks: the owner or a member.
    pub user_id: UserId,
    /// Which page.
    pub page: PageRequest,
}

impl SessionMembers {
    /// The first page of this session's members, of 50, for this user.
    pub fn new(user_id: impl Into<UserId>, session_id: impl Into<SessionId>) -> Self {
        Self {
            user_id: user_id.into(),
            session_id: session_id.into(),
            page: PageRequest::default(),
        }
    }

    /// Which page.
    pub fn page(mut self, page: PageRequest) -> Self {
        self.page = page;
        self
    }
}

impl Query for SessionMembers {
    type Output = Page<Member>;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Page<Member>> {
        may_use(tx, &self.session_id, self.user_id)?;
        let sql = "SELECT member_id, user_id, joined_at
                   FROM botstore_session_member INDEXED BY botstore_session_member_session
                   WHERE session_id = ?3 AND member_id <= ?1 ORDER BY member_id DESC LIMIT ?2";
        let found = (&self.page, Order::NewestFirst, Found::Rows(sql));
        page::read_by_id(
            tx,
            &mut Room::of(tx),
            found,
            &[&self.session_id],
            from_row,
            2,
        )
    }

    fn texts(&self, texts: &mut Texts) {
        texts.looked_for("session_id", self.session_id.as_str());
        self.page.texts(texts);
    }
}

fn from_row(row: &Row<'_>) -> Result<Option<Member>> {
    let Some(user_id) = id(row, 1)? else {
        return Ok(None);
    };
    Ok(Some(Member {
        user_id: user_id.into(),
        joined_at: time(row, 2)?,
    }))
}

/// Which sessions a list of a user's sessions contains.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Whose {
    /// The user's own.
    #[default]
    Own,
    /// Other users' sessions that are shared with the user.
    Shared,
    /// All sessions that the user may read.
    Both,
}
