//! What is granted and what is denied.

use super::support::{budget, denied, dollars, exact, granted, limit, reserve};
use crate::support::{ADA, BOB, populated};
use botstore::interactions::SaveInteraction;
use botstore::limits::{Amount, Decision, Per, Scope, SetLimit};
use botstore::testing::usd;

#[tokio::test]
async fn an_estimate_counts_as_spent_and_what_it_cost_does_afterwards() {
    let store = populated().await;
    limit(&store, Scope::EachUser, Per::Day, dollars(2.0)).await;
    let reservation = granted(&store, ADA, 1.5).await;
    denied(&store, ADA, 0.6).await;
    granted(&store, BOB, 0.6).await;
    let said = SaveInteraction::new(ADA, "ada-1", "Hello").cost(usd(0.25));
    store.write(said.reservation(reservation)).await.unwrap();
    let left = budget(&store, ADA).await;
    assert_eq!((left.spent, left.left), (dollars(0.25), dollars(1.75)));
    granted(&store, ADA, 1.75).await;
    let decision = reserve(&store, ADA, 0.0).await;
    let Decision::Denied {
        which,
        spent,
        reserved,
        resets_at,
        ..
    } = decision
    else {
        panic!("{decision:?}")
    };
    assert_eq!(which.to_string(), "each user, $2.00 a day");
    assert_eq!((spent, reserved), (dollars(0.25), dollars(1.75)));
    assert_eq!(resets_at, Some(crate::support::at("2026-03-11")));
    exact(&store).await;
}

#[tokio::test]
async fn without_limits_everything_is_granted() {
    let store = populated().await;
    let decision = reserve(&store, 404, 1_000_000_000.0).await;
    let Decision::Granted {
        remaining,
        near_limit,
        ..
    } = decision
    else {
        panic!("{decision:?}")
    };
    assert_eq!((remaining, near_limit), (None, false));
}

#[tokio::test]
async fn a_limit_of_0_denies_all() {
    for max in [dollars(0.0), Amount::Requests(0), Amount::Tokens(0)] {
        let store = populated().await;
        store
            .write(SetLimit::new(Scope::Everyone, Per::Ever, max))
            .await
            .unwrap();
        denied(&store, ADA, 0.0).await;
    }
}
