//! Reads a row of usage.

use super::{Chat, CostSource, SavedPrompt, Usage};
use crate::domain::MessageId;
use crate::domain::columns::{self, id, maybe_count, maybe_nanos, maybe_text, text};
use crate::domain::page::Room;
use crate::error::Result;
use crate::operation::ReadTx;
use rusqlite::Row;

/// What the request of a message used, and its system prompt.
pub(in crate::domain) fn of_message(
    tx: &ReadTx<'_>,
    room: &mut Room,
    message_id: MessageId,
) -> Result<Option<(Usage, Option<SavedPrompt>)>> {
    tx.maybe(
        "SELECT provider_name, request_model, response_model, response_id, input_tokens,
                cache_read_input_tokens, cache_creation_input_tokens, output_tokens, reasoning_output_tokens,
                cost_nanos, cost_source, finish_reason, time_to_first_chunk_ms, platform, chat_id, thread_id,
                platform_message_id, reply_to, p.prompt_id, p.name, p.version
         FROM botstore_usage used LEFT JOIN botstore_prompt p ON p.prompt_id = used.prompt_id
         WHERE used.usage_id = ?1",
        [message_id],
        |row| {
            room.spend(columns::bytes(row));
            let prompt = id(row, 18)?.map(|_| SavedPrompt::from_row(row, 18));
            Ok((from_row(row)?, prompt.transpose()?))
        },
    )
}

fn from_row(row: &Row<'_>) -> Result<Usage> {
    let chat = match (maybe_text(row, 13)?, maybe_text(row, 14)?) {
        (Some(platform), Some(chat_id)) => Some(Chat::new(platform, chat_id)),
        _ => None,
    };
    // Unknown stays unknown, and is not 0.
    let cost = maybe_nanos(row, 9)?;
    Ok(Usage {
        response_model: maybe_text(row, 2)?,
        response_id: maybe_text(row, 3)?,
        input_tokens: maybe_count(row, 4)?,
        cached_input_tokens: maybe_count(row, 5)?,
        cache_write_tokens: maybe_count(row, 6)?,
        output_tokens: maybe_count(row, 7)?,
        reasoning_tokens: maybe_count(row, 8)?,
        cost,
        cost_source: match maybe_text(row, 10)?.as_deref() {
            Some("catalogue") => CostSource::Catalogue,
            Some("estimate") => CostSource::Estimate,
            _ => CostSource::Provider,
        },
        finish_reason: maybe_text(row, 11)?,
        first_token_ms: maybe_count(row, 12)?,
        chat,
        thread_id: maybe_text(row, 15)?,
        platform_message_id: maybe_text(row, 16)?,
        reply_to: maybe_text(row, 17)?,
        ..Usage::new(text(row, 0)?, text(row, 1)?)
    })
}
