//! What tokens cost at a price. Exact, and rounded once.

use super::ModelPrice;
use crate::domain::usage::Usage;
use crate::domain::{Usd, validate};
use crate::error::{Error, Result, quote};

/// Prices are for this many tokens.
const MILLION: i128 = 1_000_000;

/// How many tokens a request used, by kind. `None` is not known.
#[derive(Clone, Copy)]
pub(super) struct Tokens {
    pub(super) input: Option<u64>,
    pub(super) cached_input: Option<u64>,
    pub(super) cache_write: Option<u64>,
    pub(super) output: Option<u64>,
    pub(super) reasoning: Option<u64>,
}

impl From<&Usage> for Tokens {
    fn from(usage: &Usage) -> Self {
        Self {
            input: usage.input_tokens,
            cached_input: usage.cached_input_tokens,
            cache_write: usage.cache_write_tokens,
            output: usage.output_tokens,
            reasoning: usage.reasoning_tokens,
        }
    }
}

impl Tokens {
    /// Whether enough is known for a cost.
    pub(super) fn are_known(self) -> bool {
        self.input.is_some() || self.output.is_some()
    }

    /// What these tokens cost; `None` if too little of them is known.
    ///
    /// # Errors
    /// `Invalid` for a cost that the store does not take.
    pub(super) fn cost(self, price: &ModelPrice) -> Result<Option<Usd>> {
        if !self.are_known() {
            return Ok(None);
        }
        let [cached, written, reasoning] =
            [self.cached_input, self.cache_write, self.reasoning].map(|part| part.unwrap_or(0));
        // A part that is known counts as such, though its whole is not; and a whole in a file of another program may
        // be smaller than its parts.
        let fresh = self.input.unwrap_or(0).saturating_sub(cached);
        let fresh = fresh.saturating_sub(written);
        let plain = self.output.unwrap_or(0).saturating_sub(reasoning);
        let cost = [
            (fresh, price.input),
            (cached, price.cached_input.unwrap_or(price.input)),
            (written, price.cache_write.unwrap_or(price.input)),
            (plain, price.output),
            (reasoning, price.reasoning.unwrap_or(price.output)),
        ]
        .into_iter()
        .try_fold(0_i128, |sum, (tokens, price)| {
            let part = i128::from(tokens).checked_mul(price.nanos().into())?;
            sum.checked_add(part)
        });
        let cost = cost.and_then(|cost| cost.checked_add(MILLION / 2));
        let cost = cost.map(|cost| cost.div_euclid(MILLION));
        let cost = cost.and_then(|nanos| i64::try_from(nanos).ok());
        let cost = cost.map(Usd::from_nanos);
        let cost = cost.filter(|cost| validate::request_cost("cost", *cost).is_ok());
        cost.map(Some).ok_or_else(|| too_much(price))
    }
}

fn too_much(price: &ModelPrice) -> Error {
    let why = format!(
        "of these tokens at the price of {} of {} is more than 9,000,000 US dollars: correct the price, or the \
         numbers of tokens",
        quote(&price.model),
        quote(&price.provider)
    );
    Error::invalid("cost", &why)
}
