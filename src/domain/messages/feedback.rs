//! What users think of answers.

use super::{get, unknown};
use crate::domain::columns::{id, integer, maybe_text, time};
use crate::domain::page::{self, Page, Room};
use crate::domain::{MessageId, UserId, users};
use crate::error::Result;
use crate::operation::{Mutation, ReadTx, WriteTx};
use crate::texts::Texts;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Says what a user thinks of an answer. Replaces what the same user said before, tag and comment included.
///
/// Who may read a message may rate it: the user who sent it, and whoever may use its session. Each has a word of their
/// own. It goes with the message, and with the user who said it.
///
/// # Errors
/// [`NotFound`](crate::ErrorKind::NotFound) for an unknown message, for one that the user may not read, and for an
/// unknown user;
/// [`Invalid`](crate::ErrorKind::Invalid) for a tag of more than 4 KiB, and for a comment that is too large
/// ([`Config::max_text_bytes`](crate::Config::max_text_bytes)).
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// # let said = botstore::interactions::SaveInteraction::new(42, "s-1", "Hello").creating("/srv");
/// # let message_id = store.write(said).await?.message_id;
/// use botstore::messages::{MessageDetails, RateMessage, Rating};
///
/// store.write(RateMessage::new(42, message_id, Rating::Up)).await?;
/// let wrong = RateMessage::new(42, message_id, Rating::Down).tag("wrong").comment("It is 4.");
/// store.write(wrong).await?; // The last word counts.
/// let details = store.read(MessageDetails::new(42, message_id)).await?.unwrap();
/// assert_eq!(details.feedback.len(), 1);
/// assert_eq!(details.feedback[0].rating, Rating::Down);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RateMessage {
    /// The message.
    pub message_id: MessageId,
    /// Who rates it.
    pub user_id: UserId,
    /// How good it is.
    pub rating: Rating,
    /// A word for why, such as `wrong` or `slow`: at most 4 KiB.
    #[serde(default)]
    pub tag: Option<String>,
    /// What the user says about it.
    #[serde(default)]
    pub comment: Option<String>,
}

/// How good an answer is.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Rating {
    /// Bad: −1 in the file.
    Down,
    /// Neither: 0 in the file. Also for one who takes a thumb back.
    #[default]
    Neutral,
    /// Good: 1 in the file.
    Up,
}

impl RateMessage {
    /// This user's opinion of this message.
    pub fn new(
        user_id: impl Into<UserId>,
        message_id: impl Into<MessageId>,
        rating: Rating,
    ) -> Self {
        Self {
            user_id: user_id.into(),
            message_id: message_id.into(),
            rating,
            tag: None,
            comment: None,
        }
    }

    /// A word for why.
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tag = Some(tag.into());
        self
    }

    /// What the user says about it.
    pub fn comment(mut self, comment: impl Into<String>) -> Self {
        self.comment = Some(comment.into());
        self
    }
}

impl Mutation for RateMessage {
    type Output = ();

    fn apply(&self, tx: &WriteTx<'_>) -> Result<()> {
        if !get::is_visible(tx, self.message_id, self.user_id)? {
            return Err(unknown(self.message_id));
        }
        users::exists(tx, self.user_id)?;
        let rating = match self.rating {
            Rating::Down => -1,
            Rating::Neutral => 0,
            Rating::Up => 1,
        };
        tx.execute(
            "INSERT INTO botstore_feedback (message_id, user_id, rating, tag, comment, at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (message_id, user_id) DO UPDATE SET
                 rating = excluded.rating, tag = excluded.tag, comment = excluded.comment, at = excluded.at",
            (
                self.message_id,
                self.user_id,
                rating,
                &self.tag,
                &self.comment,
                tx.now_text(),
            ),
        )?;
        Ok(())
    }

    fn texts(&self, texts: &mut Texts) {
        texts.name("tag", self.tag.as_deref());
        texts.text("comment", self.comment.as_deref());
    }
}

/// What a user thinks of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Feedback {
    /// Who says it.
    pub user_id: UserId,
    /// How good it is.
    pub rating: Rating,
    /// A word for why.
    pub tag: Option<String>,
    /// What the user says about it.
    pub comment: Option<String>,
    /// When the user said it last.
    pub at: DateTime<Utc>,
}

impl Feedback {
    /// A rating without a comment, for a test of your own.
    pub fn new(user_id: impl Into<UserId>, rating: Rating, at: DateTime<Utc>) -> Self {
        Self {
            user_id: user_id.into(),
            rating,
            tag: None,
            comment: None,
            at,
        }
    }
}

/// What users think of a message, in the order of their first words.
pub(super) fn of_message(
    tx: &ReadTx<'_>,
    room: &mut Room,
    message_id: MessageId,
) -> Result<Page<Feedback>> {
    let sql = "SELECT feedback_id, user_id, rating, tag, comment, at
               FROM botstore_feedback INDEXED BY botstore_feedback_message
               WHERE message_id = ?1 ORDER BY feedback_id LIMIT ?2";
    page::read_all(tx, room, sql, &message_id, |row| {
        let Some(user_id) = id(row, 1)? else {
            return Ok(None);
        };
        Ok(Some(Feedback {
            user_id: user_id.into(),
            rating: match integer(row, 2)? {
                ..0 => Rating::Down,
                0 => Rating::Neutral,
                1.. => Rating::Up,
            },
            tag: maybe_text(row, 3)?,
            comment: maybe_text(row, 4)?,
            at: time(row, 5)?,
        }))
    })
}
