//! What the tests of limits share.

use botstore::limits::{
    Amount, Budget, Decision, Per, ReservationId, Reserve, Scope, SetLimit, UserBudget,
};
use botstore::rollups::ReconcileRollups;
use botstore::testing::usd;
use botstore::{Store, StoreEvent};
use tokio::sync::broadcast::Receiver;

pub(crate) fn dollars(dollars: f64) -> Amount {
    Amount::Cost(usd(dollars))
}

pub(crate) async fn limit(store: &Store, scope: Scope, per: Per, max: Amount) {
    store
        .write(SetLimit::new(scope, per, max))
        .await
        .expect("a limit");
}

pub(crate) async fn reserve(store: &Store, user_id: i64, dollars: f64) -> Decision {
    store
        .write(Reserve::new(user_id, usd(dollars)))
        .await
        .expect("a decision")
}

pub(crate) async fn granted(store: &Store, user_id: i64, dollars: f64) -> ReservationId {
    let decision = reserve(store, user_id, dollars).await;
    decision
        .reservation()
        .unwrap_or_else(|| panic!("{decision:?}"))
}

pub(crate) async fn denied(store: &Store, user_id: i64, dollars: f64) {
    let decision = reserve(store, user_id, dollars).await;
    assert!(matches!(decision, Decision::Denied { .. }), "{decision:?}");
}

pub(crate) async fn budget(store: &Store, user_id: i64) -> Budget {
    let mut budgets = store
        .read(UserBudget::new(user_id))
        .await
        .expect("a budget");
    assert_eq!(budgets.len(), 1, "{budgets:?}");
    budgets.remove(0)
}

/// Counters equal what the rows say.
pub(crate) async fn exact(store: &Store) {
    let report = store
        .read(ReconcileRollups::new())
        .await
        .expect("a comparison");
    assert_eq!(report.differences, 0, "{:#?}", report.named);
}

/// The events of limits that have come, after the store has looked.
pub(crate) async fn told(store: &Store, events: &mut Receiver<StoreEvent>) -> Vec<String> {
    store.run_due().await.expect("a look");
    let mut told = Vec::new();
    while let Ok(event) = events.try_recv() {
        let (level, notice) = match event {
            StoreEvent::LimitNear(notice) => ("near", notice),
            StoreEvent::LimitReached(notice) => ("reached", notice),
            _ => continue,
        };
        let whose = notice.user_id.map_or(0, |user_id| user_id.get());
        told.push(format!(
            "{level}: {}: {whose}: {}",
            notice.limit, notice.spent
        ));
    }
    told
}
