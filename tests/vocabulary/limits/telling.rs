//! Events at a limit and at its warning.

use super::support::{dollars, told};
use crate::support::{ADA, DAY, populated};
use botstore::interactions::SaveInteraction;
use botstore::limits::{Per, Scope, SetLimit};
use botstore::testing::usd;

#[tokio::test]
async fn a_limit_and_its_warning_are_told_once_a_period_also_without_reservations() {
    let store = populated().await;
    let mut events = store.events();
    let limit = SetLimit::new(Scope::EachUser, Per::Day, dollars(2.0)).soft(dollars(1.0));
    store.write(limit).await.unwrap();
    let said = SaveInteraction::new(ADA, "ada-1", "Hello").cost(usd(0.75));
    store.write(said.clone()).await.unwrap();
    assert_eq!(told(&store, &mut events).await, [""; 0]);
    store.write(said.clone()).await.unwrap();
    assert_eq!(
        told(&store, &mut events).await,
        ["near: each user, $2.00 a day: 1: $1.50"]
    );
    for _ in 0..2 {
        store.write(said.clone()).await.unwrap();
    }
    assert_eq!(
        told(&store, &mut events).await,
        ["reached: each user, $2.00 a day: 1: $3.00"]
    );
    store.write(said.clone()).await.unwrap();
    assert_eq!(told(&store, &mut events).await, [""; 0]);
    store.clock().advance(DAY);
    for _ in 0..3 {
        store.write(said.clone()).await.unwrap();
    }
    let both = told(&store, &mut events).await;
    assert_eq!(
        both,
        [
            "near: each user, $2.00 a day: 1: $2.25",
            "reached: each user, $2.00 a day: 1: $2.25"
        ]
    );
}
