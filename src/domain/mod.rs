//! The vocabulary: one file for each noun, with its model, its messages, their SQL and their unit tests. Nothing
//! here knows an actor.

pub mod analytics;
pub mod audit;
mod columns;
pub mod costs;
mod ids;
pub mod integrity;
pub mod interactions;
pub mod limits;
mod llm;
pub mod messages;
pub mod metadata;
mod odd;
pub mod page;
pub mod prices;
mod removal;
pub mod rollups;
mod schema;
mod secret;
pub mod sessions;
pub mod timers;
pub mod tokens;
pub mod tools;
pub mod updates;
pub mod usage;
mod usd;
pub mod users;
mod validate;
mod when;

pub use ids::{MessageId, SessionId, TokenId, UserId};
pub use usd::Usd;

pub(crate) use llm::{LlmSchema, WHOLE as LLM_WHOLE};
pub(crate) use odd::{FindOddValues, SetRight};
pub(crate) use schema::{BotSchema, LEGACY as BOT_LEGACY, WHOLE as BOT_WHOLE};
