//! Costs that are computed again: everything that counts them agrees afterwards.

use super::saved::{interaction, said, save, usage};
use super::set;
use crate::support::{
    ADA, BOB, DAY, HOUR, MICRO, picture, populate, populated, refused, show_the_same, user,
};
use botstore::ErrorKind::Invalid;
use botstore::analytics::{DailyActivity, SystemStats, UserStats};
use botstore::costs::{AddCost, TotalCosts};
use botstore::integrity::{CheckFile, CheckReport};
use botstore::messages::{DeleteMessage, EditMessage};
use botstore::prices::{Reprice, RepriceReport};
use botstore::rollups::ReconcileRollups;
use botstore::testing::{TestStore, usd};
use botstore::{Store, Usd};
use chrono::{DateTime, Utc};

pub(super) async fn reprice(store: &Store, reprice: Reprice) -> RepriceReport {
    store.write(reprice).await.expect("a report")
}

pub(super) fn ever(store: &TestStore) -> Reprice {
    Reprice::new(DateTime::UNIX_EPOCH, store.now() + DAY)
}

/// Everything that counts costs says what its rows do.
pub(super) async fn agrees(store: &Store) {
    let report = store.read(ReconcileRollups::new()).await.expect("a report");
    assert_eq!(report.differences, 0, "{:#?}", report.named);
    let report = store.read(CheckFile::new()).await.expect("a report");
    assert_eq!(report, CheckReport::default());
    let wrong = store
        .ask("what does not agree", |tx| {
            tx.all(
                "SELECT 'users', user_id, total_cost FROM users u WHERE abs(total_cost - (
                     SELECT coalesce(sum(cost), 0.0) FROM messages m WHERE m.user_id = u.user_id)) > 1e-9
                 UNION ALL
                 SELECT 'sessions', session_id, total_cost FROM sessions s WHERE abs(total_cost - (
                     SELECT coalesce(sum(cost), 0.0) FROM messages m WHERE m.session_id = s.session_id)) > 1e-9
                 UNION ALL
                 SELECT 'cost_tracking', date, daily_cost FROM cost_tracking c WHERE abs(daily_cost - (
                     SELECT coalesce(sum(cost_nanos), 0) / 1e9 FROM botstore_usage u
                     WHERE u.user_id = c.user_id AND substr(u.at, 1, 10) = c.date)) > 1e-9
                 UNION ALL
                 SELECT 'usage', usage_id, cost FROM messages JOIN botstore_usage ON usage_id = message_id
                 WHERE abs(cost - coalesce(cost_nanos, 0) / 1e9) > 1e-9",
                [],
                |row| {
                    let id: botstore::rusqlite::types::Value = row.get(1)?;
                    Ok((row.get::<_, String>(0)?, id, row.get::<_, Option<f64>>(2)?))
                },
            )
        })
        .await
        .expect("rows");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// A history over three days, of which a part knows what it cost.
async fn live(store: &TestStore) {
    populate(store).await;
    for day in 0..3 {
        for used in [
            usage("parrot"),
            usage("owl"),
            usage("owl").response_model("parrot"),
            usage("parrot").cost(usd(0.25)),
            usage("owl").estimated_cost(usd(0.125)),
        ] {
            save(store, interaction(used.clone())).await;
            let mut of_bob = interaction(used.clone());
            (of_bob.user_id, of_bob.session_id) = (BOB.into(), "bob-1".into());
            save(store, of_bob).await;
            store
                .write(AddCost::new(BOB, Usd::ZERO).usage(used))
                .await
                .expect("added");
        }
        store
            .write(AddCost::new(ADA, usd(0.5)))
            .await
            .expect("added");
        if day == 1 {
            let id = save(store, interaction(usage("parrot"))).await;
            store
                .write(DeleteMessage::new(ADA, id))
                .await
                .expect("deleted");
        }
        store.clock().advance(DAY);
    }
}

/// What a file says, but for what was said at the time: audit rows.
async fn shown(store: &TestStore) -> crate::support::Picture {
    let mut shown = picture(store).await;
    let kept = [
        "users",
        "sessions",
        "messages",
        "cost_tracking",
        "botstore_usage",
        "botstore_price",
    ];
    shown.retain(|table, _| kept.contains(&&**table));
    shown
}

#[tokio::test]
async fn a_history_that_is_priced_afterwards_is_as_if_the_prices_had_been_known() {
    let (known, later) = (
        TestStore::open().await.unwrap(),
        TestStore::open().await.unwrap(),
    );
    let began = known.now();
    let prices = async |store: &TestStore| {
        set(store, "parrot", 3.0, 15.0, began - HOUR).await;
        set(store, "parrot", 1.0, 5.0, began + DAY).await;
        set(store, "owl", 0.2, 0.7, began + 2 * DAY).await;
    };
    prices(&known).await;
    live(&known).await;
    live(&later).await;
    // Some of it is counted already.
    later.read(ReconcileRollups::new()).await.expect("a report");
    prices(&later).await;
    // On each of three days, three of five have no cost, for each of Ada, Bob, and Bob's others. The owl has a price
    // on the third.
    let report = reprice(&later, ever(&later)).await;
    assert_eq!(report, RepriceReport::new(3 * (3 + 3 + 3) - 2 * 3, 2 * 3));
    agrees(&later).await;
    agrees(&known).await;
    show_the_same(shown(&later).await, shown(&known).await, "repriced");
    for user_id in [ADA, BOB] {
        let stats = UserStats::new(user_id);
        assert_eq!(
            later.read(stats.clone()).await.unwrap(),
            known.read(stats).await.unwrap()
        );
    }
    let ask = SystemStats::new();
    assert_eq!(
        later.read(ask.clone()).await.unwrap(),
        known.read(ask).await.unwrap()
    );
    let ask = DailyActivity::new(30);
    assert_eq!(
        later.read(ask.clone()).await.unwrap(),
        known.read(ask).await.unwrap()
    );
    let ask = TotalCosts::new(30);
    assert_eq!(
        later.read(ask.clone()).await.unwrap(),
        known.read(ask).await.unwrap()
    );
    // Once more, it changes nothing.
    let before = picture(&later).await;
    assert_eq!(
        reprice(&later, ever(&later)).await,
        RepriceReport::new(0, 6)
    );
    assert_eq!(picture(&later).await, before);
}

#[tokio::test]
async fn a_span_is_from_its_first_instant_until_before_its_last() {
    let store = populated().await;
    let began = store.now();
    let ids = async |store: &TestStore| {
        let priced = said(store).await.into_iter().filter(|row| row.1.is_some());
        priced.map(|row| row.0).collect::<Vec<_>>()
    };
    for _ in 0..3 {
        save(&store, interaction(usage("parrot"))).await;
        store
            .write(AddCost::new(ADA, Usd::ZERO).usage(usage("parrot")))
            .await
            .expect("added");
        store.clock().advance(MICRO);
    }
    set(&store, "parrot", 3.0, 15.0, began).await;
    let nano = std::time::Duration::from_nanos(1);
    for (from, to, priced) in [
        (began - DAY, began, vec![]),
        (began, began, vec![]),
        // Between two times that a file can hold.
        (began + nano, began + MICRO, vec![]),
        (began + nano, began + MICRO + nano, vec![-2, 2]),
        (began, began + nano, vec![-1, -2, 1, 2]),
        (
            began + 2 * MICRO,
            began + 3 * MICRO,
            vec![-1, -2, -3, 1, 2, 3],
        ),
    ] {
        reprice(&store, Reprice::new(from, to)).await;
        let mut ids = ids(&store).await;
        ids.sort_by_key(|id| (*id > 0, id.abs()));
        assert_eq!(ids, priced, "{from} {to}");
    }
    agrees(&store).await;
    for (from, to) in [
        (DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC),
        (DateTime::<Utc>::MAX_UTC, DateTime::<Utc>::MAX_UTC),
    ] {
        assert_eq!(
            reprice(&store, Reprice::new(from, to)).await,
            RepriceReport::new(0, 0)
        );
    }
    refused(&store, Reprice::new(began, began - MICRO), Invalid, "to").await;
}

#[tokio::test]
async fn only_the_provider_and_the_model_that_are_named_are_priced_again() {
    let store = populated().await;
    let mut elsewhere = usage("parrot");
    elsewhere.provider = "cloud".to_owned();
    for used in [usage("parrot"), usage("owl"), elsewhere] {
        save(&store, interaction(used)).await;
    }
    set(&store, "parrot", 3.0, 15.0, store.now()).await;
    set(&store, "owl", 3.0, 15.0, store.now()).await;
    let ever = ever(&store);
    for (asked, report) in [
        (ever.clone().provider("cloud"), RepriceReport::new(0, 1)),
        (ever.clone().provider("nobody"), RepriceReport::new(0, 0)),
        (ever.clone().model("owl"), RepriceReport::new(1, 0)),
        (
            ever.clone().provider("acme").model("parrot"),
            RepriceReport::new(1, 0),
        ),
        (ever.clone().model("parrot"), RepriceReport::new(0, 1)),
        (ever, RepriceReport::new(0, 1)),
    ] {
        assert_eq!(reprice(&store, asked.clone()).await, report, "{asked:?}");
    }
}

#[tokio::test]
async fn a_price_that_changes_or_goes_changes_what_was_computed_and_nothing_that_somebody_said() {
    let store = populated().await;
    let now = store.now();
    set(&store, "parrot", 3.0, 15.0, now).await;
    save(&store, interaction(usage("parrot"))).await;
    save(&store, interaction(usage("parrot").cost(usd(2.0)))).await;
    let edited = save(&store, interaction(usage("parrot"))).await;
    store
        .write(EditMessage::new(ADA, edited).cost(usd(1.0)))
        .await
        .expect("edited");
    set(&store, "parrot", 30.0, 150.0, now).await;
    assert_eq!(
        reprice(&store, ever(&store)).await,
        RepriceReport::new(1, 0)
    );
    assert_eq!(user(&store, ADA).await.total_cost, usd(3.045));
    agrees(&store).await;
    let remove = botstore::prices::RemovePrice::new("acme", "parrot", now);
    store.write(remove).await.expect("removed");
    assert_eq!(
        reprice(&store, ever(&store)).await,
        RepriceReport::new(1, 1)
    );
    assert_eq!(said(&store).await[0], (1, None, None));
    assert_eq!(user(&store, ADA).await.total_cost, usd(3.0));
    agrees(&store).await;
}

#[tokio::test]
async fn tokens_that_cost_too_much_stop_it_and_what_they_are_counts_on() {
    let store = populated().await;
    save(
        &store,
        interaction(usage("owl").input_tokens(1_000_000_000_000)),
    )
    .await;
    set(&store, "owl", 1e9, 1.0, store.now()).await;
    let error = refused(&store, ever(&store), Invalid, "cost").await;
    assert!(error.to_string().contains("owl"), "{error}");
    agrees(&store).await;
}
