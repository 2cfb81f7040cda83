//! Which price a request has.

use super::ModelPrice;
use super::cost::Tokens;
use crate::domain::Usd;
use crate::domain::usage::Usage;
use crate::error::Result;
use crate::operation::ReadTx;
use rusqlite::ToSql;

/// What a request at this time costs by the price that holds then; `None` if there is none, or too little is known of
/// its tokens.
///
/// # Errors
/// `Invalid` for a cost that the store does not take.
pub(in crate::domain) fn cost_of(tx: &ReadTx<'_>, usage: &Usage, at: &str) -> Result<Option<Usd>> {
    let models = [usage.response_model.as_deref(), Some(&usage.model)];
    cost(tx, &usage.provider, models, &at, usage.into())
}

/// The same, by the model that answered, or else by the one that was asked for.
pub(super) fn cost(
    tx: &ReadTx<'_>,
    provider: &str,
    [answered, asked]: [Option<&str>; 2],
    at: &dyn ToSql,
    tokens: Tokens,
) -> Result<Option<Usd>> {
    if !tokens.are_known() {
        return Ok(None);
    }
    let asked = asked.filter(|asked| Some(*asked) != answered);
    for model in [answered, asked].into_iter().flatten() {
        let price = held(tx, provider, model, at)?;
        // One that no message could have set, as another program may have left it, must stop no request.
        if let Some(price) = price.filter(|price| price.check().is_ok()) {
            return tokens.cost(&price);
        }
    }
    Ok(None)
}

/// The price of a model that holds at a time. Where nobody has set a price, it looks at one empty page.
pub(super) fn held(
    tx: &ReadTx<'_>,
    provider: &str,
    model: &str,
    at: &dyn ToSql,
) -> Result<Option<ModelPrice>> {
    tx.maybe(
        "SELECT provider, model, valid_from, input, cached_input, cache_write, output, reasoning FROM botstore_price
         WHERE provider = ?1 AND model = ?2 AND valid_from <= ?3 ORDER BY valid_from DESC LIMIT 1",
        (provider, model, at),
        ModelPrice::read,
    )
}
