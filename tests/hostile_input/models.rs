//! The messages about language models, by examples as in `vocabulary`.

use crate::vocabulary::{Kind, change, question};
use botstore::prices::*;
use serde_json::json;

/// None is about a user; the price of `parrot` is there.
pub(crate) fn about_models() -> Vec<Kind> {
    let at = "2026-03-10T15:30:00Z";
    vec![
        change::<SetPrice>(json!({
            "provider": "acme", "model": "model-#", "input": 3.0, "output": 15.0, "cached_input": 0.5,
            "cache_write": 3.75, "reasoning": 20.0, "valid_from": at,
        })),
        question::<Price>(json!({ "provider": "acme", "model": "model-#", "at": at })),
        question::<Prices>(json!({
            "provider": "acme", "page": { "limit": 5, "after": "1773156600000000:4.acmemodel" },
        })),
        question::<UnpricedModels>(json!({ "days": 5 })),
        change::<ImportPrices>(json!({ "json": "{}", "valid_from": at })),
        change::<Reprice>(json!({
            "from": "2026-03-01T00:00:00Z", "to": "2027-03-01T00:00:00Z", "provider": "acme",
            "model": "model-#",
        })),
        change::<RemovePrice>(json!({ "provider": "acme", "model": "parrot", "valid_from": at })),
    ]
}
