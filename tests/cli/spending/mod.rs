//! `usage` tells what models used; `limits` lists, sets and removes limits, and says what is left.

mod limits;
mod usage;

use crate::support::{Place, REMOVE_A_LIMIT, Ran, SET_A_LIMIT, on};
use botstore::costs::AddCost;
use botstore::interactions::SaveInteraction;
use botstore::limits::{Amount, Limit, Limits, Per, Reserve, Scope, SetLimit};
use botstore::testing::usd;
use botstore::usage::{Chat, Usage};
use botstore::users::EnsureUser;
use botstore::{ErrorKind, Store, StoreEvent, Usd, UserId};
use serde_json::{Value, json};

/// A request of a user to a model, of 100 tokens in and 10 out, of which the reasoning is 4.
fn said(user: i64, model: &str, cost: Option<Usd>) -> SaveInteraction {
    let usage = Usage::new("openai", model)
        .input_tokens(100)
        .cached_input_tokens(60)
        .output_tokens(10)
        .reasoning_tokens(4);
    let usage = match cost {
        Some(cost) => usage.cost(cost),
        None => usage,
    };
    let said = SaveInteraction::new(user, format!("s-{user}"), "hello").creating("/srv");
    said.usage(usage.chat(Chat::new("telegram", "-100")))
}

/// Ada and a user without a name, two models, one request without a price and one that is no message.
async fn spend(store: &Store) {
    store.write(EnsureUser::new(1, Some("ada"))).await.unwrap();
    for (user, model, cost) in [
        (1, "big", Some(usd(0.5))),
        (1, "small", Some(usd(0.25))),
        (-2, "small", Some(usd(2.0))),
        (1, "new", None),
    ] {
        store.write(said(user, model, cost)).await.unwrap();
    }
    store.write(AddCost::new(1, usd(0.125))).await.unwrap();
}

#[tokio::main]
async fn spent() -> Place {
    let place = Place::new();
    let store = place.open_at_midday().await;
    spend(&store).await;
    store.close().await.unwrap();
    place
}

fn usage(place: &Place, more: &[&str]) -> Value {
    on("usage", &place.file, &[more, &["--json"]].concat())
        .came_to(0)
        .json()
}

/// The names of the rows with their requests and costs.
fn rows(json: &Value, by: &str, name: &str) -> Vec<(Value, u64, f64)> {
    let rows = json[by].as_array().unwrap().iter();
    rows.map(|row| {
        let totals = &row["totals"];
        let requests = totals["requests"].as_u64().unwrap();
        (
            row[name].clone(),
            requests,
            totals["cost"].as_f64().unwrap(),
        )
    })
    .collect()
}
