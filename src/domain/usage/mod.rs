//! What requests to language models used: tokens, money, and where the conversation was.

mod by_user;
mod prompt;
mod read;
mod save;
mod totals;

pub use by_user::{UsageByUser, UserTotals};
pub use totals::{
    DayTotals, ModelTotals, ModelUsage, UsageByDay, UsageTotals, UserModelUsage, UserUsageByDay,
};

pub use prompt::{PromptText, SavedPrompt, SystemPrompt};
pub(super) use read::of_message;
pub(super) use save::{price, save, save_other};

use super::{Usd, validate};
use crate::error::{Error, Result};
use crate::texts::Texts;
use serde::{Deserialize, Serialize};

/// What one request to a model used. What is not known is left out, and stays unknown: it is never counted as 0.
///
/// Give it to [`SaveInteraction::usage`](crate::interactions::SaveInteraction::usage()) or
/// [`AddCost::usage`](crate::costs::AddCost::usage()).
///
/// Input tokens include the cached ones and those written to the cache, and output tokens include those of reasoning,
/// as in OpenTelemetry. A provider that counts cached tokens apart, as Anthropic does, needs the sum here. Parts that
/// exceed their whole are stored as they are: no exchange is lost for that.
///
/// ```
/// use botstore::usage::{Chat, Usage};
///
/// let usage = Usage::new("anthropic", "claude-sonnet-4-5")
///     .input_tokens(1_200)
///     .cached_input_tokens(1_000)
///     .output_tokens(80)
///     .finish_reason("end_turn")
///     .chat(Chat::new("telegram", "-1001234"));
/// assert_eq!(usage.reasoning_tokens, None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Usage {
    /// Who ran the model, such as `openai`: from 1 byte to 4 KiB.
    pub provider: String,
    /// The model that was asked for: from 1 byte to 4 KiB. Usage and limits go by this name.
    pub model: String,
    /// The model that answered, if the provider says so. Prices are looked up by this name first.
    #[serde(default)]
    pub response_model: Option<String>,
    /// The provider's id of the request, to find it in the provider's log.
    #[serde(default)]
    pub response_id: Option<String>,
    /// Tokens that the model read: at most 1,000,000,000,000, as each number of tokens.
    #[serde(default)]
    pub input_tokens: Option<u64>,
    /// How many of these came from the provider's cache.
    #[serde(default)]
    pub cached_input_tokens: Option<u64>,
    /// How many of these were written to the provider's cache.
    #[serde(default)]
    pub cache_write_tokens: Option<u64>,
    /// Tokens that the model wrote.
    #[serde(default)]
    pub output_tokens: Option<u64>,
    /// How many of these were reasoning, which the user does not see.
    #[serde(default)]
    pub reasoning_tokens: Option<u64>,
    /// What the request cost, in US dollars, if it is known.
    #[serde(default)]
    pub cost: Option<Usd>,
    /// Who says what it cost.
    #[serde(default)]
    pub cost_source: CostSource,
    /// Why the model stopped, as the provider calls it, such as `stop` or `length`.
    #[serde(default)]
    pub finish_reason: Option<String>,
    /// How long the first token took, in milliseconds: at most 1,000,000,000,000.
    #[serde(default)]
    pub first_token_ms: Option<u64>,
    /// Where the conversation was.
    #[serde(default)]
    pub chat: Option<Chat>,
    /// The thread or topic in the chat.
    #[serde(default)]
    pub thread_id: Option<String>,
    /// The messenger's id of the user's message.
    #[serde(default)]
    pub platform_message_id: Option<String>,
    /// The messenger's id of the message that this one answers.
    #[serde(default)]
    pub reply_to: Option<String>,
    /// The system prompt. In an answer of [`MessageDetails`](crate::messages::MessageDetails) it is left out here, and
    /// told apart.
    #[serde(default)]
    pub prompt: Option<SystemPrompt>,
}

/// Who says what a request cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CostSource {
    /// The provider did, with its answer.
    #[default]
    Provider,
    /// The store computed it from tokens and prices.
    Catalogue,
    /// The bot guessed it.
    Estimate,
}

impl CostSource {
    /// As the file spells it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Catalogue => "catalogue",
            Self::Estimate => "estimate",
        }
    }
}

/// A chat on a messenger: a group, a channel, or a user's own.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Chat {
    /// The messenger, by a name that the bot chooses, such as `telegram`: from 1 byte to 4 KiB, without `/`.
    pub platform: String,
    /// The messenger's id for the chat: from 1 byte to 4 KiB.
    pub chat_id: String,
}

impl Chat {
    /// The chat with this id on this messenger.
    pub fn new(platform: impl Into<String>, chat_id: impl Into<String>) -> Self {
        Self {
            platform: platform.into(),
            chat_id: chat_id.into(),
        }
    }

    pub(super) fn check(&self) -> Result<()> {
        validate::not_empty("platform", &self.platform)?;
        validate::not_empty("chat_id", &self.chat_id)?;
        match self.platform.contains('/') {
            true => Err(Error::invalid("platform", "must not contain /")),
            false => Ok(()),
        }
    }

    pub(super) fn texts(&self, texts: &mut Texts) {
        texts.name("platform", self.platform.as_str());
        texts.name("chat_id", self.chat_id.as_str());
    }
}

impl Usage {
    /// A request to this model of this provider, of which nothing else is known.
    pub fn new(provider: impl Into<String>, model: impl Into<String>) -> Self {
        Self {
            provider: provider.into(),
            model: model.into(),
            response_model: None,
            response_id: None,
            input_tokens: None,
            cached_input_tokens: None,
            cache_write_tokens: None,
            output_tokens: None,
            reasoning_tokens: None,
            cost: None,
            cost_source: CostSource::Provider,
            finish_reason: None,
            first_token_ms: None,
            chat: None,
            thread_id: None,
            platform_message_id: None,
            reply_to: None,
            prompt: None,
        }
    }

    /// The model that answered.
    pub fn response_model(mut self, response_model: impl Into<String>) -> Self {
        self.response_model = Some(response_model.into());
        self
    }

    /// The provider's id of the request.
    pub fn response_id(mut self, response_id: impl Into<String>) -> Self {
        self.response_id = Some(response_id.into());
        self
    }

    /// Tokens that the model read, cached ones included.
    pub fn input_tokens(mut self, tokens: u64) -> Self {
        self.input_tokens = Some(tokens);
        self
    }

    /// How many of the input tokens came from the provider's cache.
    pub fn cached_input_tokens(mut self, tokens: u64) -> Self {
        self.cached_input_tokens = Some(tokens);
        self
    }

    /// How many of the input tokens were written to the provider's cache.
    pub fn cache_write_tokens(mut self, tokens: u64) -> Self {
        self.cache_write_tokens = Some(tokens);
        self
    }

    /// Tokens that the model wrote, those of reasoning included.
    pub fn output_tokens(mut self, tokens: u64) -> Self {
        self.output_tokens = Some(tokens);
        self
    }

    /// How many of the output tokens were reasoning.
    pub fn reasoning_tokens(mut self, tokens: u64) -> Self {
        self.reasoning_tokens = Some(tokens);
        self
    }

    /// What the request cost, as the provider says.
    pub fn cost(mut self, cost: Usd) -> Self {
        (self.cost, self.cost_source) = (Some(cost), CostSource::Provider);
        self
    }

    /// What the request cost, as the bot guesses.
    pub fn estimated_cost(mut self, cost: Usd) -> Self {
        (self.cost, self.cost_source) = (Some(cost), CostSource::Estimate);
        self
    }

    /// Why the model stopped.
    pub fn finish_reason(mut self, finish_reason: impl Into<String>) -> Self {
        self.finish_reason = Some(finish_reason.into());
        self
    }

    /// How long the first token took, in milliseconds.
    pub fn first_token_ms(mut self, first_token_ms: u64) -> Self {
        self.first_token_ms = Some(first_token_ms);
        self
    }

    /// Where the conversation was.
    pub fn chat(mut self, chat: Chat) -> Self {
        self.chat = Some(chat);
        self
    }

    /// The thread or topic in the chat.
    pub fn thread_id(mut self, thread_id: impl Into<String>) -> Self {
        self.thread_id = Some(thread_id.into());
        self
    }

    /// The messenger's id of the user's message.
    pub fn platform_message_id(mut self, id: impl Into<String>) -> Self {
        self.platform_message_id = Some(id.into());
        self
    }

    /// The messenger's id of the message that this one answers.
    pub fn reply_to(mut self, id: impl Into<String>) -> Self {
        self.reply_to = Some(id.into());
        self
    }

    /// The system prompt.
    pub fn prompt(mut self, prompt: SystemPrompt) -> Self {
        self.prompt = Some(prompt);
        self
    }

    pub(super) fn texts(&self, texts: &mut Texts) {
        texts.name("provider", self.provider.as_str());
        texts.name("model", self.model.as_str());
        texts.name("response_model", self.response_model.as_deref());
        texts.name("response_id", self.response_id.as_deref());
        texts.name("finish_reason", self.finish_reason.as_deref());
        texts.name("thread_id", self.thread_id.as_deref());
        texts.name("platform_message_id", self.platform_message_id.as_deref());
        texts.name("reply_to", self.reply_to.as_deref());
        if let Some(chat) = &self.chat {
            chat.texts(texts);
        }
        if let Some(prompt) = &self.prompt {
            prompt.texts(texts);
        }
    }

    pub(super) fn check(&self) -> Result<()> {
        validate::not_empty("provider", &self.provider)?;
        validate::not_empty("model", &self.model)?;
        self.chat.as_ref().map_or(Ok(()), Chat::check)?;
        self.prompt.as_ref().map_or(Ok(()), SystemPrompt::check)?;
        for (field, number) in [
            ("input_tokens", self.input_tokens),
            ("cached_input_tokens", self.cached_input_tokens),
            ("cache_write_tokens", self.cache_write_tokens),
            ("output_tokens", self.output_tokens),
            ("reasoning_tokens", self.reasoning_tokens),
            ("first_token_ms", self.first_token_ms),
        ] {
            number.map_or(Ok(0), |number| validate::count(field, number))?;
        }
        match self.cost_source == CostSource::Catalogue && self.cost.is_some() {
            true => Err(is_computed()),
            false => self
                .cost
                .map_or(Ok(()), |cost| validate::request_cost("cost", cost)),
        }
    }
}

/// Refuses a cost that somebody gives as one that the store has computed.
fn is_computed() -> Error {
    let why = "must be provider or estimate: the store alone computes costs from prices";
    Error::invalid("cost_source", why)
}
