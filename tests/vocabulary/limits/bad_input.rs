//! What nobody should ask of limits: it is refused, and changes nothing.

use crate::support::{ADA, populated, refused};
use botstore::ErrorKind::Invalid;
use botstore::limits::{Amount, Decision, Per, Reserve, Scope, SetLimit};
use botstore::testing::usd;
use botstore::usage::Chat;
use std::time::Duration;

fn reserve(estimate: f64) -> Reserve {
    Reserve::new(ADA, usd(estimate))
}

#[tokio::test]
async fn a_reservation_has_an_estimate_tokens_and_a_time_within_their_bounds() {
    let store = populated().await;
    for estimate in [-1e-9, -5.0, 9e6 + 1e-8, 1e9, f64::INFINITY] {
        refused(&store, reserve(estimate), Invalid, "estimate").await;
    }
    for tokens in [1_000_000_000_001, u64::MAX] {
        let ask = reserve(1.0).tokens(tokens);
        refused(&store, ask, Invalid, "tokens").await;
    }
    let (second, day) = (Duration::from_secs(1), Duration::from_secs(24 * 60 * 60));
    let nanosecond = Duration::from_nanos(1);
    for time in [
        Duration::ZERO,
        second - nanosecond,
        day + nanosecond,
        Duration::MAX,
    ] {
        let ask = reserve(1.0).expires_in(time);
        refused(&store, ask, Invalid, "expires_in").await;
    }
    refused(&store, reserve(1.0).model(""), Invalid, "model").await;
    let ask = reserve(1.0).chat(Chat::new("telegram", ""));
    refused(&store, ask, Invalid, "chat_id").await;

    for time in [second, day] {
        let most = reserve(9e6).tokens(1_000_000_000_000).expires_in(time);
        let decision = store.write(most).await.expect("a decision");
        assert!(matches!(decision, Decision::Granted { .. }));
    }
}

#[tokio::test]
async fn a_limit_has_amounts_within_their_bounds_and_a_warning_below_it() {
    let store = populated().await;
    let limit = |max| SetLimit::new(Scope::EachUser, Per::Day, max);
    for cost in [-1e-9, 1e9 * 1.000_001, f64::INFINITY] {
        let amount = Amount::Cost(usd(cost));
        refused(&store, limit(amount), Invalid, "max").await;
    }
    for many in [1_000_000_000_001, u64::MAX] {
        refused(&store, limit(Amount::Requests(many)), Invalid, "max").await;
        refused(&store, limit(Amount::Tokens(many)), Invalid, "max").await;
    }
    let ten = limit(Amount::Requests(10));
    let above = ten.clone().soft(Amount::Requests(11));
    refused(&store, above, Invalid, "soft").await;
    let other = ten.clone().soft(Amount::Tokens(5));
    refused(&store, other, Invalid, "soft").await;
    let nobody = SetLimit::new(Scope::Model(String::new()), Per::Day, Amount::Requests(1));
    refused(&store, nobody, Invalid, "model").await;

    for most in [
        Amount::Cost(usd(1e9)),
        Amount::Requests(1_000_000_000_000),
        Amount::Tokens(1_000_000_000_000),
    ] {
        store.write(limit(most).soft(most)).await.expect("a limit");
    }
}
