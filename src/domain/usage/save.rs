//! Writes a row of usage.

use super::{CostSource, Usage};
use crate::domain::when::When;
use crate::domain::{MessageId, Usd, UserId, prices};
use crate::error::{Error, ErrorKind, Result};
use crate::operation::WriteTx;

/// What a request cost, and who says so.
#[derive(Clone, Copy)]
pub(in crate::domain) struct Priced {
    /// What counts for the user: 0 if it is not known.
    pub(in crate::domain) cost: Usd,
    known: Option<(Usd, CostSource)>,
}

/// Decides what a request cost: what the usage says; or else what the message with it says, unless that is nothing;
/// or else what tokens and the price at that time say.
///
/// # Errors
/// `Invalid` for a usage with a value out of its range, for two costs that differ, and for tokens that cost more than
/// the store takes.
pub(in crate::domain) fn price(
    tx: &WriteTx<'_>,
    usage: Option<&Usage>,
    cost: Usd,
    when: &When<'_>,
) -> Result<Priced> {
    let Some(usage) = usage else {
        let known = Some((cost, CostSource::Provider));
        return Ok(Priced { cost, known });
    };
    usage.check()?;
    if usage.cost_source == CostSource::Catalogue && cost != Usd::ZERO {
        return Err(super::is_computed());
    }
    let said = (cost != Usd::ZERO).then_some((cost, usage.cost_source));
    let known = match (usage.cost, said) {
        (Some(a), Some((b, _))) if a != b => {
            let why = "must be the cost of the usage, or be left out";
            return Err(Error::invalid("cost", why));
        }
        (Some(cost), _) => Some((cost, usage.cost_source)),
        (None, Some(said)) => Some(said),
        (None, None) => {
            let computed = prices::cost_of(tx, usage, when.text())?;
            computed.map(|cost| (cost, CostSource::Catalogue))
        }
    };
    let cost = known.map_or(Usd::ZERO, |(cost, _)| cost);
    Ok(Priced { cost, known })
}

/// Saves what the request of a message used.
pub(in crate::domain) fn save(
    tx: &WriteTx<'_>,
    message_id: MessageId,
    user_id: UserId,
    usage: &Usage,
    priced: Priced,
    when: &When<'_>,
) -> Result<()> {
    let usage_id = message_id.get();
    let insert = || insert(tx, usage_id, user_id, Some(usage), priced, when);
    match insert() {
        // Another program has left a row that belongs to no message: the message is new.
        Err(error) if error.kind() == ErrorKind::Conflict => {
            let sql = "DELETE FROM botstore_usage WHERE usage_id = ?1";
            tx.execute(sql, [usage_id])?;
            insert()
        }
        done => done,
    }
}

/// Saves what a request used that is no message; returns its id, which is below 0.
pub(in crate::domain) fn save_other(
    tx: &WriteTx<'_>,
    user_id: UserId,
    usage: Option<&Usage>,
    priced: Priced,
    when: &When<'_>,
) -> Result<i64> {
    let sql = "SELECT min(coalesce(min(usage_id), 0), 0) - 1 FROM botstore_usage";
    let usage_id = tx.one(sql, [], |row| crate::domain::columns::integer(row, 0))?;
    insert(tx, usage_id, user_id, usage, priced, when)?;
    Ok(usage_id)
}

fn insert(
    tx: &WriteTx<'_>,
    usage_id: i64,
    user_id: UserId,
    usage: Option<&Usage>,
    priced: Priced,
    when: &When<'_>,
) -> Result<()> {
    let number = |of: fn(&Usage) -> Option<u64>| {
        let number = usage.and_then(of);
        number.and_then(|number| i64::try_from(number).ok())
    };
    let text = |of: fn(&Usage) -> &Option<String>| usage.and_then(|usage| of(usage).as_deref());
    let chat = usage.and_then(|usage| usage.chat.as_ref());
    let (cost, source) = priced.known.unzip();
    let prompt = usage.and_then(|usage| usage.prompt.as_ref());
    let prompt_id = prompt.map(|prompt| prompt.keep(tx)).transpose()?;
    tx.execute(
        "INSERT INTO botstore_usage (
             usage_id, user_id, at, provider_name, request_model, response_model, response_id, input_tokens,
             cache_read_input_tokens, cache_creation_input_tokens, output_tokens, reasoning_output_tokens,
             cost_nanos, cost_source, finish_reason, time_to_first_chunk_ms, platform, chat_id, thread_id,
             platform_message_id, reply_to, prompt_id)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21,
                 ?22)",
        rusqlite::params![
            usage_id,
            user_id,
            when.text(),
            usage.map(|usage| &usage.provider),
            usage.map(|usage| &usage.model),
            text(|usage| &usage.response_model),
            text(|usage| &usage.response_id),
            number(|usage| usage.input_tokens),
            number(|usage| usage.cached_input_tokens),
            number(|usage| usage.cache_write_tokens),
            number(|usage| usage.output_tokens),
            number(|usage| usage.reasoning_tokens),
            cost.map(Usd::nanos),
            source.map(CostSource::as_str),
            text(|usage| &usage.finish_reason),
            number(|usage| usage.first_token_ms),
            chat.map(|chat| &chat.platform),
            chat.map(|chat| &chat.chat_id),
            text(|usage| &usage.thread_id),
            text(|usage| &usage.platform_message_id),
            text(|usage| &usage.reply_to),
            prompt_id,
        ],
    )?;
    Ok(())
}
