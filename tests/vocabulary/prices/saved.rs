//! What a request costs when it is saved.

use super::set;
use crate::support::{ADA, BOB, DAY, HOUR, at, populated, user};
use botstore::costs::{AddCost, UserDailyCosts};
use botstore::interactions::SaveInteraction;
use botstore::messages::{EditMessage, GetMessage};
use botstore::prices::{Price, Prices, UnpricedModel, UnpricedModels};
use botstore::rusqlite::Connection;
use botstore::testing::{TestStore, usd};
use botstore::usage::{CostSource, Usage};
use botstore::{Config, MessageId, Query, ReadTx, Result, Store, Usd};

/// A thousand tokens in and a hundred out.
pub(super) fn usage(model: &str) -> Usage {
    Usage::new("acme", model)
        .input_tokens(1_000)
        .output_tokens(100)
}

pub(super) fn interaction(usage: Usage) -> SaveInteraction {
    SaveInteraction::new(ADA, "ada-1", "Hello").usage(usage)
}

pub(super) async fn save(store: &TestStore, interaction: SaveInteraction) -> MessageId {
    store.write(interaction).await.expect("saved").message_id
}

/// What the rows of usage say about costs: id, nano-dollars, source.
pub(super) struct Said;

impl Query for Said {
    type Output = Vec<(i64, Option<i64>, Option<String>)>;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Self::Output> {
        let sql = "SELECT usage_id, cost_nanos, cost_source FROM botstore_usage ORDER BY abs(usage_id), usage_id";
        tx.all(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
    }
}

pub(super) async fn said(store: &TestStore) -> Vec<(i64, Option<i64>, Option<String>)> {
    store.read(Said).await.expect("rows")
}

async fn cost(store: &TestStore, message_id: MessageId) -> Usd {
    let message = store
        .read(GetMessage::new(ADA, message_id))
        .await
        .expect("a read");
    message.expect("a message").cost
}

#[tokio::test]
async fn a_request_is_priced_by_the_model_that_answered_or_else_by_the_one_asked_for() {
    let store = populated().await;
    let now = store.now();
    set(&store, "parrot", 3.0, 15.0, now).await;
    set(&store, "parrot-2026", 1.0, 5.0, now).await;
    set(&store, "parrot-2027", 9.0, 9.0, now + DAY).await;
    for (used, expected) in [
        (usage("parrot"), 4_500_000),
        (usage("parrot").response_model("parrot-2026"), 1_500_000),
        (usage("owl").response_model("parrot-2026"), 1_500_000),
        (usage("parrot").response_model("unheard-of"), 4_500_000),
        (usage("parrot").response_model("parrot"), 4_500_000),
        // Its price does not hold yet.
        (usage("parrot").response_model("parrot-2027"), 4_500_000),
    ] {
        let id = save(&store, interaction(used.clone())).await;
        assert_eq!(cost(&store, id).await.nanos(), expected, "{used:?}");
        let row = (id.get(), Some(expected), Some("catalogue".to_owned()));
        assert_eq!(said(&store).await.last(), Some(&row), "{used:?}");
    }
    let total = 4 * 4_500_000 + 2 * 1_500_000;
    assert_eq!(user(&store, ADA).await.total_cost.nanos(), total);
    let day = store
        .read(UserDailyCosts::new(ADA, 0))
        .await
        .expect("costs");
    assert_eq!(
        (day[0].daily_cost.nanos(), day[0].request_count),
        (total, 6)
    );
}

#[tokio::test]
async fn a_cost_that_somebody_says_stands() {
    let store = populated().await;
    set(&store, "parrot", 3.0, 15.0, store.now()).await;
    let said_by = |source: &str| (Some(1_000_000_000), Some(source.to_owned()));
    for (saved, expected) in [
        (
            interaction(usage("parrot").cost(usd(1.0))),
            said_by("provider"),
        ),
        (
            interaction(usage("parrot").estimated_cost(usd(1.0))),
            said_by("estimate"),
        ),
        (
            interaction(usage("parrot")).cost(usd(1.0)),
            said_by("provider"),
        ),
        // Nothing is a cost, too, if it is said with the usage.
        (
            interaction(usage("parrot").cost(Usd::ZERO)),
            (Some(0), Some("provider".to_owned())),
        ),
    ] {
        let id = save(&store, saved).await;
        let (row, nanos, source) = said(&store).await.pop().expect("a row");
        assert_eq!((row, (nanos, source)), (id.get(), expected));
    }
    // A cost that somebody corrects is no longer the catalogue's.
    let id = save(&store, interaction(usage("parrot"))).await;
    store
        .write(EditMessage::new(ADA, id).cost(usd(1.0)))
        .await
        .expect("edited");
    let row = (id.get(), Some(1_000_000_000), Some("provider".to_owned()));
    assert_eq!(said(&store).await.pop(), Some(row));
    // So is one that somebody confirms: also that of a model without a price, which cost nothing.
    for (model, nanos) in [("parrot", 4_500_000), ("unknown", 0)] {
        let id = save(&store, interaction(usage(model))).await;
        let (_, before, source) = said(&store).await.pop().expect("a row");
        assert_ne!(source.as_deref(), Some("provider"));
        assert_eq!(before.unwrap_or(0), nanos);
        let same = EditMessage::new(ADA, id).cost(Usd::from_nanos(nanos));
        store.write(same).await.expect("edited");
        let row = (id.get(), Some(nanos), Some("provider".to_owned()));
        assert_eq!(said(&store).await.pop(), Some(row), "{model}");
        // An edit of something else says nothing about the cost.
        let id = save(&store, interaction(usage(model))).await;
        let row = said(&store).await.pop();
        store
            .write(EditMessage::new(ADA, id).error("late"))
            .await
            .expect("edited");
        assert_eq!(said(&store).await.pop(), row, "{model}");
    }
}

#[tokio::test]
async fn the_price_is_that_of_the_requests_time() {
    let store = populated().await;
    store.clock().advance(DAY);
    let now = store.now();
    set(&store, "parrot", 3.0, 15.0, now - 2 * HOUR).await;
    set(&store, "parrot", 1.0, 5.0, now - HOUR).await;
    set(&store, "parrot", 8.0, 8.0, now + HOUR).await;
    for (at, expected) in [
        (now - 3 * HOUR, 0),
        (now - 2 * HOUR, 4_500_000),
        (now - HOUR, 1_500_000),
        (now, 1_500_000),
    ] {
        let mut saved = interaction(usage("parrot")).at(at);
        saved.session_id = format!("at-{at}").into();
        let id = save(&store, saved.creating("/srv")).await;
        assert_eq!(cost(&store, id).await.nanos(), expected, "{at}");
    }
    store.clock().advance(HOUR);
    let id = save(&store, interaction(usage("parrot"))).await;
    assert_eq!(cost(&store, id).await.nanos(), 8_800_000);
}

#[tokio::test]
async fn a_request_that_is_no_message_is_priced_too() {
    let store = populated().await;
    set(&store, "parrot", 3.0, 15.0, store.now()).await;
    for used in [usage("parrot"), usage("owl")] {
        store
            .write(AddCost::new(ADA, Usd::ZERO).usage(used))
            .await
            .expect("added");
    }
    let priced = (-1, Some(4_500_000), Some("catalogue".to_owned()));
    assert_eq!(said(&store).await, [priced, (-2, None, None)]);
    let day = store
        .read(UserDailyCosts::new(ADA, 0))
        .await
        .expect("costs");
    assert_eq!(
        (day[0].daily_cost.nanos(), day[0].request_count),
        (4_500_000, 2)
    );
    // The user's own total counts only messages.
    assert_eq!(user(&store, ADA).await.total_cost, Usd::ZERO);
}

#[tokio::test]
async fn without_a_price_a_request_counts_its_cost_is_unknown_and_its_model_is_listed() {
    let store = populated().await;
    set(&store, "parrot", 3.0, 15.0, store.now()).await;
    let unpriced = async |days| store.read(UnpricedModels::new(days)).await.expect("models");
    assert_eq!(unpriced(u32::MAX).await, []);
    store.clock().advance(3 * DAY);
    for used in [
        usage("owl").response_model("owl-2026"),
        usage("owl"),
        usage("parrot"),
        usage("hawk").cost(Usd::ZERO),
        // A price alone is no cost.
        Usage::new("acme", "parrot").cached_input_tokens(5),
    ] {
        save(&store, interaction(used)).await;
    }
    let owls = AddCost::new(BOB, Usd::ZERO).usage(usage("owl"));
    store.write(owls).await.expect("added");
    assert_eq!(user(&store, ADA).await.message_count, 5);
    let unknown = said(&store).await.into_iter().filter(|row| row.1.is_none());
    assert_eq!(unknown.count(), 4);
    let listed = [
        UnpricedModel::new("acme", "owl", 3),
        UnpricedModel::new("acme", "parrot", 1),
    ];
    assert_eq!(unpriced(0).await, listed);
    store.clock().advance(DAY);
    assert_eq!(unpriced(0).await, []);
    assert_eq!(unpriced(1).await, listed);
    assert_eq!(unpriced(u32::MAX).await, listed);
}

#[tokio::test]
async fn the_days_of_unpriced_models_are_those_of_the_bots_zone() {
    let config = |config: Config| config.time_zone("Pacific/Auckland");
    let store = TestStore::open_with(config).await.expect("a store");
    crate::support::populate(&store).await;
    // Half past midnight there, and the day before by UTC.
    store.clock().set(at("2026-06-01T12:30:00Z"));
    save(&store, interaction(usage("owl"))).await;
    let unpriced = async |days| {
        store
            .read(UnpricedModels::new(days))
            .await
            .expect("models")
            .len()
    };
    assert_eq!(unpriced(0).await, 1);
    // Nearly a day later, it is the same day there; and then it is the next.
    store.clock().set(at("2026-06-02T11:59:59Z"));
    assert_eq!(unpriced(0).await, 1);
    store.clock().set(at("2026-06-02T12:00:00Z"));
    assert_eq!((unpriced(0).await, unpriced(1).await), (0, 1));
}

#[tokio::test]
async fn other_programs_values_of_tokens_break_nothing() {
    let store = populated().await;
    let id = save(&store, interaction(usage("parrot"))).await;
    for wrong in ["'many'", "x'00'", "1.5", "9223372036854775807", "NULL"] {
        let sql = format!(
            "UPDATE botstore_usage SET input_tokens = {wrong}, cache_read_input_tokens = 5 WHERE usage_id = {id}"
        );
        store
            .write(crate::support::Run(sql))
            .await
            .expect("a change");
        let from = at("1970-01-01T00:00:00Z");
        set(&store, "parrot", 1e-7, 1e-7, from).await;
        let reprice = botstore::prices::Reprice::new(from, store.now() + HOUR);
        store.write(reprice).await.expect("repriced");
        let (.., source) = said(&store).await.pop().expect("a row");
        assert_eq!(source.as_deref(), Some("catalogue"), "{wrong}");
    }
}

#[tokio::test]
async fn a_price_that_no_message_could_have_set_stops_no_request() {
    let store = populated().await;
    set(&store, "parrot", 3.0, 15.0, at("2026-01-01T00:00:00Z")).await;
    let (folder, path) = store.into_file().await.expect("a file");
    for wrong in ["-5", "9223372036854775807", "-9e999", "'much'", "x'00'"] {
        let conn = Connection::open(&path).expect("the file");
        conn.pragma_update(None, "ignore_check_constraints", true)
            .expect("a setting");
        let sql = format!(
            "UPDATE botstore_price SET input = {wrong}, cached_input = {wrong}, output = {wrong}"
        );
        conn.execute(&sql, []).expect("a change");
        conn.close().expect("closed");
        let store = Store::open(&path).await.expect("a store");
        let saved = store.write(interaction(usage("parrot"))).await;
        saved.unwrap_or_else(|error| panic!("{wrong}: {error}"));
        store
            .read(Price::new("acme", "parrot"))
            .await
            .expect("an answer");
        assert_eq!(
            store.read(Prices::new()).await.expect("a page").items.len(),
            1
        );
        store.close().await.expect("closed");
    }
    drop(folder);
}

/// A usage that is sent back as it was read says that the store computed its cost.
#[tokio::test]
async fn what_somebody_says_is_never_taken_for_computed() {
    let store = populated().await;
    let mut usage = Usage::new("acme", "parrot").input_tokens(1);
    usage.cost_source = CostSource::Catalogue;
    let said = SaveInteraction::new(ADA, "ada-1", "Hello").usage(usage.clone());
    let refused = store.write(said.clone().cost(usd(0.5))).await.unwrap_err();
    assert_eq!(refused.field(), Some("cost_source"), "{refused}");
    let refused = store.write(AddCost::new(ADA, usd(0.5)).usage(usage)).await;
    assert_eq!(refused.unwrap_err().field(), Some("cost_source"));
    store.write(said).await.unwrap();
}
