//! System prompts, which the file has once for all requests.

use crate::domain::columns::{integer, text};
use crate::domain::validate;
use crate::error::Result;
use crate::operation::{Query, ReadTx, WriteTx};
use crate::texts::Texts;
use rusqlite::Row;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::sync::Arc;

/// A system prompt: what the bot tells the model before the conversation.
///
/// The file has it once for all requests with the same body, name and version, and deletes it with the last of them.
/// [`new`](Self::new) computes the SHA-256 by which it is found: keep the value, and clone it for each request, which
/// copies no body.
///
/// ```
/// use botstore::usage::{SystemPrompt, Usage};
///
/// let prompt = SystemPrompt::new("You are a helpful assistant.").name("support").version("7");
/// let usage = Usage::new("openai", "gpt-5").prompt(prompt.clone());
/// assert_eq!(usage.prompt, Some(prompt));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Spelled", into = "Spelled")]
#[non_exhaustive]
pub struct SystemPrompt {
    // Not public: its hash must agree.
    body: Arc<str>,
    sha256: [u8; 32],
    /// What the bot calls it: from 1 byte to 4 KiB.
    pub name: Option<String>,
    /// Which version of it this is: from 1 byte to 4 KiB.
    pub version: Option<String>,
}

/// As JSON has it.
#[derive(Serialize, Deserialize)]
struct Spelled {
    body: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    version: Option<String>,
}

impl From<Spelled> for SystemPrompt {
    fn from(
        Spelled {
            body,
            name,
            version,
        }: Spelled,
    ) -> Self {
        Self {
            name,
            version,
            ..Self::new(body)
        }
    }
}

impl From<SystemPrompt> for Spelled {
    fn from(prompt: SystemPrompt) -> Self {
        Self {
            body: prompt.body.as_ref().to_owned(),
            name: prompt.name,
            version: prompt.version,
        }
    }
}

impl SystemPrompt {
    /// A prompt with this text, from 1 byte to [`Config::max_text_bytes`](crate::Config::max_text_bytes).
    pub fn new(body: impl Into<Arc<str>>) -> Self {
        let body = body.into();
        Self {
            sha256: Sha256::digest(body.as_bytes()).into(),
            body,
            name: None,
            version: None,
        }
    }

    /// What the bot calls it.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Which version of it this is.
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = Some(version.into());
        self
    }

    /// The text.
    pub fn body(&self) -> &str {
        &self.body
    }

    /// The SHA-256 of the text.
    pub fn sha256(&self) -> [u8; 32] {
        self.sha256
    }

    pub(super) fn texts(&self, texts: &mut Texts) {
        texts.text("body", &*self.body);
        texts.name("name", self.name.as_deref());
        texts.name("version", self.version.as_deref());
    }

    pub(super) fn check(&self) -> Result<()> {
        let named = [("name", &self.name), ("version", &self.version)];
        validate::not_empty("body", &self.body)?;
        named.into_iter().try_for_each(|(field, text)| {
            text.as_ref()
                .map_or(Ok(()), |text| validate::not_empty(field, text))
        })
    }

    /// The id under which the file has it. Saves it if it is new.
    pub(super) fn keep(&self, tx: &WriteTx<'_>) -> Result<i64> {
        let name = self.name.as_deref().unwrap_or_default();
        let version = self.version.as_deref().unwrap_or_default();
        let known = tx.maybe(
            "SELECT prompt_id FROM botstore_prompt WHERE sha256 = ?1 AND name = ?2 AND version = ?3",
            (self.sha256, name, version),
            |row| integer(row, 0),
        )?;
        match known {
            Some(prompt_id) => Ok(prompt_id),
            None => tx.insert(
                "INSERT INTO botstore_prompt (sha256, name, version, body) VALUES (?1, ?2, ?3, ?4)",
                (self.sha256, name, version, &*self.body),
            ),
        }
    }
}

/// Gets a system prompt by the id that [`MessageDetails`](crate::messages::MessageDetails) tells; `None` if the file
/// has none of this id. A point read.
///
/// For administrators: a system prompt is the bot's own, and no user's.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// use botstore::interactions::SaveInteraction;
/// use botstore::usage::{PromptText, SystemPrompt, Usage};
///
/// let usage = Usage::new("openai", "gpt-5").prompt(SystemPrompt::new("Be brief."));
/// store.write(SaveInteraction::new(42, "s-1", "Hello").creating("/srv").usage(usage)).await?;
/// let prompt = store.read(PromptText::new(1)).await?;
/// assert_eq!(prompt.unwrap().body(), "Be brief.");
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PromptText {
    /// The prompt's id.
    pub prompt_id: i64,
}

impl PromptText {
    /// The prompt of this id.
    pub fn new(prompt_id: i64) -> Self {
        Self { prompt_id }
    }
}

impl Query for PromptText {
    type Output = Option<SystemPrompt>;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Option<SystemPrompt>> {
        let sql = "SELECT body, name, version FROM botstore_prompt WHERE prompt_id = ?1";
        tx.maybe(sql, [self.prompt_id], |row| {
            Ok(SystemPrompt {
                name: name(row, 1)?,
                version: name(row, 2)?,
                ..SystemPrompt::new(text(row, 0)?)
            })
        })
    }
}

/// Which system prompt a request had. [`PromptText`] has its text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SavedPrompt {
    /// The store's id for it. Once no request has the prompt any more, another may get the id.
    pub prompt_id: i64,
    /// What the bot calls it.
    pub name: Option<String>,
    /// Which version of it this is.
    pub version: Option<String>,
}

impl SavedPrompt {
    /// A prompt without a name, for a test of your own.
    pub fn new(prompt_id: i64) -> Self {
        Self {
            prompt_id,
            name: None,
            version: None,
        }
    }

    pub(super) fn from_row(row: &Row<'_>, first: usize) -> Result<Self> {
        Ok(Self {
            prompt_id: integer(row, first)?,
            name: name(row, first + 1)?,
            version: name(row, first + 2)?,
        })
    }
}

/// A name or a version; the file spells none as an empty text.
fn name(row: &Row<'_>, column: usize) -> Result<Option<String>> {
    Ok(Some(text(row, column)?).filter(|name| !name.is_empty()))
}
