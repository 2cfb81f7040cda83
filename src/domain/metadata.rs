//! Free metadata: what only the bot knows how to read, beside users and sessions. That of an interaction is saved
//! with it ([`SaveInteraction::metadata`](super::interactions::SaveInteraction::metadata())).
//!
//! It is one JSON value, which is replaced as a whole: for the settings of a user, such as a language or a model, and
//! the like. What has to be searched, or counted up, belongs into a table of the bot's own.

use super::columns::{self, json_cell};
use super::page::Room;
use super::{MessageId, SessionId, UserId, sessions, users};
use crate::error::Result;
use crate::json;
use crate::operation::{Mutation, Query, ReadTx, WriteTx};
use crate::texts::Texts;
use rusqlite::ToSql;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Sets the metadata of a user, or of a session. Replaces what was there; JSON's `null` removes it.
///
/// # Errors
/// [`NotFound`](crate::ErrorKind::NotFound) for an unknown user; and for a session that is unknown or has another
/// owner, even if it is shared with the user. [`Invalid`](crate::ErrorKind::Invalid) for a value that is nested deeper
/// than 127 levels, or too large as text ([`Config::max_text_bytes`](crate::Config::max_text_bytes)).
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// # store.write(botstore::interactions::SaveInteraction::new(42, "s-1", "Hello").creating("/srv")).await?;
/// use botstore::metadata::{GetMetadata, SetMetadata};
/// use serde_json::json;
///
/// store.write(SetMetadata::new(42, json!({ "language": "de" }))).await?;
/// store.write(SetMetadata::new(42, json!({ "model": "gpt-5" })).session_id("s-1")).await?;
/// let of_user = store.read(GetMetadata::new(42)).await?;
/// assert_eq!(of_user, Some(json!({ "language": "de" })));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SetMetadata {
    /// The user.
    pub user_id: UserId,
    /// The session, whose owner the user must be; `None` for the user's own metadata.
    #[serde(default)]
    pub session_id: Option<SessionId>,
    /// The new value; JSON's `null` for none.
    pub metadata: Value,
}

impl SetMetadata {
    /// This is the metadata of this user.
    pub fn new(user_id: impl Into<UserId>, metadata: Value) -> Self {
        Self {
            user_id: user_id.into(),
            session_id: None,
            metadata,
        }
    }

    /// It is that of this session of the user, and not the user's own.
    pub fn session_id(mut self, session_id: impl Into<SessionId>) -> Self {
        self.session_id = Some(session_id.into());
        self
    }
}

impl Mutation for SetMetadata {
    type Output = ();

    fn apply(&self, tx: &WriteTx<'_>) -> Result<()> {
        json::check("metadata", Some(&self.metadata))?;
        match &self.session_id {
            None => {
                users::exists(tx, self.user_id)?;
                SAVE_OF_USER.save(tx, &self.user_id, &self.metadata)
            }
            Some(session_id) => {
                sessions::owns(tx, session_id, self.user_id)?;
                SAVE_OF_SESSION.save(tx, session_id, &self.metadata)
            }
        }
    }

    fn texts(&self, texts: &mut Texts) {
        texts.name("session_id", self.session_id.as_deref());
        texts.json("metadata", &self.metadata);
    }

    fn take_json(&mut self, taken: &mut Vec<Value>) {
        taken.push(self.metadata.take());
    }
}

/// Gets the metadata of a user, or of a session; `None` if it has none. Also for an unknown user, and for a session
/// that is unknown or another user's that is not [shared](sessions::ShareSession) with this one. A point read.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// # store.write(botstore::users::EnsureUser::new(42, "ada")).await?;
/// use botstore::metadata::GetMetadata;
///
/// assert_eq!(store.read(GetMetadata::new(42)).await?, None);
/// assert_eq!(store.read(GetMetadata::new(42).session_id("s-1")).await?, None);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct GetMetadata {
    /// The user.
    pub user_id: UserId,
    /// The session, whose owner or member the user must be; `None` for the user's own metadata.
    #[serde(default)]
    pub session_id: Option<SessionId>,
}

impl GetMetadata {
    /// The metadata of this user.
    pub fn new(user_id: impl Into<UserId>) -> Self {
        Self {
            user_id: user_id.into(),
            session_id: None,
        }
    }

    /// That of this session, for this user.
    pub fn session_id(mut self, session_id: impl Into<SessionId>) -> Self {
        self.session_id = Some(session_id.into());
        self
    }
}

impl Query for GetMetadata {
    type Output = Option<Value>;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Option<Value>> {
        let room = &mut Room::of(tx);
        let Some(session_id) = &self.session_id else {
            let sql = "SELECT metadata FROM botstore_user_metadata WHERE user_id = ?1";
            return get(tx, room, sql, &self.user_id);
        };
        if !sessions::is_usable(tx, session_id, self.user_id)? {
            crate::texts::not_held("session_id", session_id)?;
            return Ok(None);
        }
        let sql = "SELECT metadata FROM botstore_session_metadata WHERE session_id = ?1";
        get(tx, room, sql, session_id)
    }

    fn texts(&self, texts: &mut Texts) {
        texts.looked_for("session_id", self.session_id.as_deref());
    }
}

fn get(tx: &ReadTx<'_>, room: &mut Room, sql: &str, of: &dyn ToSql) -> Result<Option<Value>> {
    let found = tx.maybe(sql, [of], |row| {
        room.spend(columns::bytes(row));
        columns::json(row, 0)
    })?;
    Ok(found.flatten())
}

/// How metadata is saved.
struct Save {
    replace: &'static str,
    remove: &'static str,
}

const SAVE_OF_USER: Save = Save {
    replace: "INSERT INTO botstore_user_metadata (user_id, metadata) VALUES (?1, ?2)
              ON CONFLICT (user_id) DO UPDATE SET metadata = excluded.metadata",
    remove: "DELETE FROM botstore_user_metadata WHERE user_id = ?1",
};

const SAVE_OF_SESSION: Save = Save {
    replace: "INSERT INTO botstore_session_metadata (session_id, metadata) VALUES (?1, ?2)
              ON CONFLICT (session_id) DO UPDATE SET metadata = excluded.metadata",
    remove: "DELETE FROM botstore_session_metadata WHERE session_id = ?1",
};

impl Save {
    fn save(&self, tx: &WriteTx<'_>, of: &dyn ToSql, metadata: &Value) -> Result<()> {
        match metadata {
            Value::Null => tx.execute(self.remove, [of])?,
            metadata => tx.execute(self.replace, (of, json_cell(metadata)))?,
        };
        Ok(())
    }
}

/// Saves the metadata of a new message.
pub(super) fn save_of_message(
    tx: &WriteTx<'_>,
    message_id: MessageId,
    metadata: Option<&Value>,
) -> Result<()> {
    if let Some(metadata) = metadata.filter(|metadata| !metadata.is_null()) {
        let sql = "INSERT INTO botstore_message_metadata (message_id, metadata) VALUES (?1, ?2)";
        tx.execute(sql, (message_id, json_cell(metadata)))?;
    }
    Ok(())
}

/// The metadata of a message.
pub(super) fn of_message(
    tx: &ReadTx<'_>,
    room: &mut Room,
    message_id: MessageId,
) -> Result<Option<Value>> {
    let sql = "SELECT metadata FROM botstore_message_metadata WHERE message_id = ?1";
    get(tx, room, sql, &message_id)
}
