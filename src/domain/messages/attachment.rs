//! Files that came with a prompt or an answer.

use crate::domain::columns::{bytes_of, maybe_count, maybe_text, text};
use crate::domain::page::{self, Page, Room};
use crate::domain::{MessageId, validate};
use crate::error::Result;
use crate::operation::{ReadTx, WriteTx};
use crate::texts::Texts;
use serde::{Deserialize, Serialize};

/// A file that came with a prompt or an answer: what it is and where it is, not what is in it. The store keeps no
/// files: a messenger has those of its users, and a bot has its own in a folder or a bucket.
///
/// ```
/// use botstore::interactions::SaveInteraction;
/// use botstore::messages::{Attachment, Direction};
///
/// let photo = Attachment::new("photo").mime("image/jpeg").bytes(48_213).platform_file_id("AgACAgIAAx");
/// let chart = Attachment::new("image").direction(Direction::Out).name("chart.png");
/// let said = SaveInteraction::new(42, "s-1", "What is this?").attachment(photo).attachment(chart);
/// assert_eq!(said.attachments.len(), 2);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Attachment {
    /// What it is, as the bot or the messenger calls it, such as `photo`, `voice` or `document`: from 1 byte to 4 KiB.
    pub kind: String,
    /// Who sent it. Default: the user.
    #[serde(default)]
    pub direction: Direction,
    /// Its media type, such as `image/jpeg`.
    #[serde(default)]
    pub mime: Option<String>,
    /// Its name.
    #[serde(default)]
    pub name: Option<String>,
    /// How large it is: at most 1,000,000,000,000 bytes.
    #[serde(default)]
    pub bytes: Option<u64>,
    /// The SHA-256 of its content.
    #[serde(default)]
    pub sha256: Option<[u8; 32]>,
    /// By which the messenger, or the bot, finds it.
    #[serde(default)]
    pub platform_file_id: Option<String>,
}

/// Who sent a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Direction {
    /// The user, to the bot.
    #[default]
    In,
    /// The bot, to the user.
    Out,
}

impl Attachment {
    /// A file of this kind, from the user, of which nothing else is known.
    pub fn new(kind: impl Into<String>) -> Self {
        Self {
            kind: kind.into(),
            direction: Direction::In,
            mime: None,
            name: None,
            bytes: None,
            sha256: None,
            platform_file_id: None,
        }
    }

    /// Who sent it.
    pub fn direction(mut self, direction: Direction) -> Self {
        self.direction = direction;
        self
    }

    /// Its media type.
    pub fn mime(mut self, mime: impl Into<String>) -> Self {
        self.mime = Some(mime.into());
        self
    }

    /// Its name.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// How large it is.
    pub fn bytes(mut self, bytes: u64) -> Self {
        self.bytes = Some(bytes);
        self
    }

    /// The SHA-256 of its content.
    pub fn sha256(mut self, sha256: [u8; 32]) -> Self {
        self.sha256 = Some(sha256);
        self
    }

    /// By which the messenger, or the bot, finds it.
    pub fn platform_file_id(mut self, id: impl Into<String>) -> Self {
        self.platform_file_id = Some(id.into());
        self
    }

    pub(in crate::domain) fn texts(&self, texts: &mut Texts) {
        texts.name("kind", self.kind.as_str());
        texts.name("mime", self.mime.as_deref());
        texts.name("name", self.name.as_deref());
        texts.name("platform_file_id", self.platform_file_id.as_deref());
    }

    pub(in crate::domain) fn check(&self) -> Result<()> {
        validate::not_empty("kind", &self.kind)?;
        self.bytes
            .map_or(Ok(()), |bytes| validate::count("bytes", bytes).map(drop))
    }

    pub(in crate::domain) fn save(&self, tx: &WriteTx<'_>, message_id: MessageId) -> Result<()> {
        let direction = match self.direction {
            Direction::In => "in",
            Direction::Out => "out",
        };
        let bytes = self.bytes.and_then(|bytes| i64::try_from(bytes).ok());
        tx.execute(
            "INSERT INTO botstore_attachment (message_id, direction, kind, mime, name, bytes, sha256,
                                              platform_file_id)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            (
                message_id,
                direction,
                &self.kind,
                &self.mime,
                &self.name,
                bytes,
                self.sha256,
                &self.platform_file_id,
            ),
        )?;
        Ok(())
    }
}

/// The files of a message, in the order in which they were given.
pub(super) fn of_message(
    tx: &ReadTx<'_>,
    room: &mut Room,
    message_id: MessageId,
) -> Result<Page<Attachment>> {
    let sql = "SELECT attachment_id, direction, kind, mime, name, bytes, sha256, platform_file_id
               FROM botstore_attachment INDEXED BY botstore_attachment_message
               WHERE message_id = ?1 ORDER BY attachment_id LIMIT ?2";
    page::read_all(tx, room, sql, &message_id, |row| {
        Ok(Some(Attachment {
            direction: match text(row, 1)?.as_str() {
                "out" => Direction::Out,
                _ => Direction::In,
            },
            kind: text(row, 2)?,
            mime: maybe_text(row, 3)?,
            name: maybe_text(row, 4)?,
            bytes: maybe_count(row, 5)?,
            sha256: bytes_of(row, 6)?,
            platform_file_id: maybe_text(row, 7)?,
        }))
    })
}
