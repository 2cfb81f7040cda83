//! All that the file has about one message.

use super::{Attachment, ChatMessage, Feedback, attachment, feedback, get};
use crate::domain::page::Room;
use crate::domain::tools::{self, ToolDetails};
use crate::domain::usage::{self, SavedPrompt, Usage};
use crate::domain::{MessageId, UserId, metadata};
use crate::error::Result;
use crate::operation::{Query, ReadTx};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Gets a message with all that belongs to it: what the request to the model used, which system prompt it had, the
/// uses of tools and what they returned, files, feedback and metadata. `None` if the message is unknown, or one that
/// the user may not read, as in [`GetMessage`](super::GetMessage). Some point reads in one snapshot.
///
/// The lists have at most [`MAX_LIMIT`](crate::page::MAX_LIMIT) rows each. All together is limited to
/// [`Config::max_answer_bytes`](crate::Config::max_answer_bytes): larger lists are shortened, but not below one row
/// each, and [`Details::shortened`] says so. The message, its usage and its metadata are always there.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// use botstore::interactions::SaveInteraction;
/// use botstore::messages::{Attachment, MessageDetails};
/// use botstore::{tools::ToolCall, usage::Usage};
///
/// let said = SaveInteraction::new(42, "s-1", "What does this cost?")
///     .creating("/srv")
///     .usage(Usage::new("openai", "gpt-5").input_tokens(900))
///     .tool(ToolCall::new("lookup").result("4.99"))
///     .attachment(Attachment::new("photo"));
/// let message_id = store.write(said).await?.message_id;
/// let details = store.read(MessageDetails::new(42, message_id)).await?.unwrap();
/// assert_eq!(details.usage.unwrap().input_tokens, Some(900));
/// assert_eq!(details.tools[0].result.as_ref().unwrap().result.as_deref(), Some("4.99"));
/// assert_eq!(details.attachments[0].kind, "photo");
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MessageDetails {
    /// The message.
    pub message_id: MessageId,
    /// Who asks.
    pub user_id: UserId,
}

impl MessageDetails {
    /// This message, for this user.
    pub fn new(user_id: impl Into<UserId>, message_id: impl Into<MessageId>) -> Self {
        Self {
            user_id: user_id.into(),
            message_id: message_id.into(),
        }
    }
}

/// The answer to [`MessageDetails`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Details {
    /// The message.
    pub message: ChatMessage,
    /// What the request to the model used, without its system prompt.
    pub usage: Option<Usage>,
    /// Which system prompt it had.
    pub system_prompt: Option<SavedPrompt>,
    /// The uses of tools, in their order, with what they returned.
    pub tools: Vec<ToolDetails>,
    /// The files, in their order.
    pub attachments: Vec<Attachment>,
    /// What users think of it.
    pub feedback: Vec<Feedback>,
    /// What the bot saved with it.
    pub metadata: Option<Value>,
    /// Whether a list has more than is here: it was too long, or the answer would have been too large.
    /// [`SessionToolUse`](crate::tools::SessionToolUse) lists the uses of tools by the page, and
    /// [`GetToolResult`](crate::tools::GetToolResult) has what each returned.
    pub shortened: bool,
}

impl Details {
    /// A message to which nothing belongs, for a test of your own.
    pub fn new(message: ChatMessage) -> Self {
        Self {
            message,
            usage: None,
            system_prompt: None,
            tools: Vec::new(),
            attachments: Vec::new(),
            feedback: Vec::new(),
            metadata: None,
            shortened: false,
        }
    }
}

impl Query for MessageDetails {
    type Output = Option<Details>;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Option<Details>> {
        let Some(message) = get::visible(tx, self.message_id, self.user_id)? else {
            return Ok(None);
        };
        let mut room = Room::of(tx);
        room.spend(message.owned_bytes());
        let used = usage::of_message(tx, &mut room, self.message_id)?;
        let (usage, system_prompt) = used.map_or((None, None), |(usage, of)| (Some(usage), of));
        let metadata = metadata::of_message(tx, &mut room, self.message_id)?;
        // The shortest lists first, so that they have room.
        let attachments = attachment::of_message(tx, &mut room, self.message_id)?;
        let feedback = feedback::of_message(tx, &mut room, self.message_id)?;
        let tools = tools::of_message(tx, &mut room, self.message_id)?;
        Ok(Some(Details {
            message,
            usage,
            system_prompt,
            shortened: attachments.next.is_some()
                || feedback.next.is_some()
                || tools.next.is_some(),
            tools: tools.items,
            attachments: attachments.items,
            feedback: feedback.items,
            metadata,
        }))
    }
}
