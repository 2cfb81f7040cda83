//! What tokens cost: prices that hold from a time on, and the requests that they are for.

mod formula;
mod imported;
mod pieces;
mod repriced;
mod saved;

use crate::support::{DAY, MICRO, at, not_answered, populated, refused, survives_json};
use botstore::ErrorKind::{Invalid, NotFound};
use botstore::page::PageRequest;
use botstore::prices::{
    ImportPrices, ImportReport, ModelPrice, Price, Prices, RemovePrice, Reprice, RepriceReport,
    SetPrice, SkippedModel, UnpricedModel, UnpricedModels, WhySkipped,
};
use botstore::testing::{TestStore, usd};
use botstore::{MAX_NAME_BYTES, Usd};
use chrono::{DateTime, Utc};

/// What a million tokens cost, from a time on.
async fn set(store: &TestStore, model: &str, input: f64, output: f64, from: DateTime<Utc>) {
    let price = SetPrice::new("acme", model, usd(input), usd(output)).valid_from(from);
    store.write(price).await.expect("a price");
}

async fn price(store: &TestStore, model: &str, at: DateTime<Utc>) -> Option<ModelPrice> {
    let ask = Price::new("acme", model).at(at);
    store.read(ask).await.expect("an answer")
}

#[tokio::test]
async fn a_price_holds_from_its_time_until_the_next() {
    let store = populated().await;
    let (first, second) = (at("2026-01-01T00:00:00Z"), at("2026-02-01T00:00:00Z"));
    // Out of order, as an operator may remember them.
    set(&store, "parrot", 2.0, 8.0, second).await;
    set(&store, "parrot", 3.0, 15.0, first).await;
    for (when, input) in [
        (first - MICRO, None),
        (first, Some(usd(3.0))),
        (second - MICRO, Some(usd(3.0))),
        (second, Some(usd(2.0))),
        (at("9999-12-31T23:59:59Z"), Some(usd(2.0))),
    ] {
        let held = price(&store, "parrot", when).await;
        assert_eq!(held.map(|price| price.input), input, "{when}");
    }
    for other in ["parrot-2", "Parrot", "parro"] {
        assert_eq!(price(&store, other, second).await, None, "{other}");
    }
    let of_another = Price::new("Acme", "parrot");
    assert_eq!(store.read(of_another).await.expect("an answer"), None);
}

#[tokio::test]
async fn a_price_without_a_time_holds_from_now_on_and_one_of_the_same_time_is_replaced() {
    let store = populated().await;
    let now = store.now();
    let set = SetPrice::new("acme", "parrot", usd(3.0), usd(15.0))
        .cached_input(usd(0.3))
        .cache_write(usd(3.75))
        .reasoning(Usd::ZERO);
    let saved = store.write(set).await.expect("a price");
    let expected = ModelPrice::new("acme", "parrot", usd(3.0), usd(15.0))
        .valid_from(now)
        .cached_input(usd(0.3))
        .cache_write(usd(3.75))
        .reasoning(Usd::ZERO);
    assert_eq!(saved, expected);
    let ask = Price::new("acme", "parrot");
    assert_eq!(
        store.read(ask.clone()).await.expect("a price"),
        Some(expected)
    );
    assert_eq!(price(&store, "parrot", now - MICRO).await, None);
    let cheaper = SetPrice::new("acme", "parrot", usd(1.0), usd(2.0));
    store.write(cheaper).await.expect("a price");
    let expected = ModelPrice::new("acme", "parrot", usd(1.0), usd(2.0)).valid_from(now);
    assert_eq!(store.read(ask).await.expect("a price"), Some(expected));
    assert_eq!(
        store.read(Prices::new()).await.expect("a page").items.len(),
        1
    );
}

#[tokio::test]
async fn a_price_that_was_a_mistake_is_removed_and_the_one_before_holds() {
    let store = populated().await;
    let (first, second) = (at("2026-01-01T00:00:00Z"), at("2026-02-01T00:00:00Z"));
    set(&store, "parrot", 3.0, 15.0, first).await;
    set(&store, "parrot", 300.0, 15.0, second).await;
    let remove = RemovePrice::new("acme", "parrot", second);
    store.write(remove.clone()).await.expect("removed");
    assert_eq!(
        price(&store, "parrot", second)
            .await
            .expect("a price")
            .valid_from,
        first
    );
    refused(&store, remove, NotFound, "valid_from").await;
    for (field, wrong) in [
        (
            "valid_from",
            RemovePrice::new("acme", "parrot", first + MICRO),
        ),
        (
            "valid_from",
            RemovePrice::new("acme", "parrot", DateTime::<Utc>::MIN_UTC),
        ),
        ("model", RemovePrice::new("acme", "parrot-2", first)),
        ("provider", RemovePrice::new("other", "parrot", first)),
    ] {
        refused(&store, wrong, NotFound, field).await;
    }
}

#[tokio::test]
async fn prices_are_listed_by_provider_model_and_time_by_pages_of_any_length() {
    let store = populated().await;
    let january = at("2026-01-01T00:00:00Z");
    let mut all = Vec::new();
    // Names whose parts could be taken for one another, and such that a text of a cursor could stumble over.
    for provider in ["a", "aa", "b:1", "ä.", "z"] {
        for model in ["1.b", "a/b", "ab", "b", "ü"] {
            for day in 0..3 {
                let from = january + day * DAY;
                let price = SetPrice::new(provider, model, usd(1.0), usd(f64::from(day)));
                all.push(store.write(price.valid_from(from)).await.expect("a price"));
            }
        }
    }
    let key = |price: &ModelPrice| {
        (
            price.provider.clone(),
            price.model.clone(),
            price.valid_from,
        )
    };
    all.sort_by_key(key);
    for limit in [1, 2, 7, 75, 1_000] {
        for provider in [None, Some("a"), Some("b:1"), Some("ä."), Some("none")] {
            let mut ask = Prices::new();
            ask.provider = provider.map(str::to_owned);
            let (mut walked, mut request) = (Vec::new(), PageRequest::first(limit));
            loop {
                let page = store
                    .read(ask.clone().page(request.clone()))
                    .await
                    .expect("a page");
                walked.extend(page.items);
                let Some(next) = page.next else { break };
                // As a text, as it goes over a wire.
                request = request.after(next.to_string().parse().expect("a cursor"));
            }
            let of = |price: &&ModelPrice| provider.is_none_or(|only| price.provider == only);
            let expected: Vec<_> = all.iter().filter(of).cloned().collect();
            assert!(walked == expected, "{limit} {provider:?}: {walked:#?}");
        }
    }
    // A place in the list of all is one in a part of it.
    let last_of_a = store
        .read(Prices::new().page(PageRequest::first(15)))
        .await
        .expect("a page");
    let after = PageRequest::first(1_000).after(last_of_a.next.expect("more"));
    for (provider, rest) in [("a", 0), ("aa", 15), ("z", 15)] {
        let ask = Prices::new().provider(provider).page(after.clone());
        assert_eq!(
            store.read(ask).await.expect("a page").items.len(),
            rest,
            "{provider}"
        );
    }
    not_answered(&store, Prices::new().page(PageRequest::first(0)), "limit").await;
    for foreign in ["1773156600000000.7", "1773156600000000:s", "row 5"] {
        let after = PageRequest::first(1).after(foreign.parse().expect("a cursor"));
        not_answered(&store, Prices::new().page(after), "after").await;
    }
}

#[tokio::test]
async fn the_place_of_the_longest_names_is_taken_back_in_any_store() {
    let config = |config: botstore::Config| config.max_text_bytes(1024);
    let store = TestStore::open_with(config).await.expect("a store");
    let name = |last: &str| "n".repeat(MAX_NAME_BYTES - 1) + last;
    for last in ["a", "b", "c"] {
        let set = SetPrice::new(name("n"), name(last), usd(1.0), usd(1.0));
        store.write(set).await.expect("a price");
    }
    let mut request = PageRequest::first(1);
    for last in ["a", "b", "c"] {
        let page = store.read(Prices::new().page(request.clone())).await;
        let page = page.expect("a page");
        assert_eq!(page.items[0].model, name(last));
        assert_eq!(page.next.is_some(), last != "c");
        request.after = page.next;
    }
    let over = format!("1:4096.{}", "n".repeat(2 * MAX_NAME_BYTES + 1));
    let over = PageRequest::first(1).after(over.parse().expect("a cursor"));
    not_answered(&store, Prices::new().page(over), "after").await;
}

#[tokio::test]
async fn a_price_out_of_its_range_is_refused_by_name() {
    let store = populated().await;
    let good = SetPrice::new("acme", "parrot", usd(3.0), usd(15.0));
    for wrong in [
        Usd::from_nanos(-1),
        usd(1e9) + Usd::from_nanos(1),
        Usd::from_nanos(i64::MAX),
    ] {
        for (field, set) in [
            ("input", SetPrice::new("acme", "parrot", wrong, usd(1.0))),
            ("output", SetPrice::new("acme", "parrot", usd(1.0), wrong)),
            ("cached_input", good.clone().cached_input(wrong)),
            ("cache_write", good.clone().cache_write(wrong)),
            ("reasoning", good.clone().reasoning(wrong)),
        ] {
            refused(&store, set, Invalid, field).await;
        }
    }
    for (when, is_taken) in [
        ("1969-12-31T23:59:59.999999Z", false),
        ("1970-01-01T00:00:00Z", true),
        ("9999-12-31T23:59:59.999999Z", true),
    ] {
        let set = good.clone().valid_from(at(when));
        match is_taken {
            true => assert_eq!(
                store.write(set).await.expect("a price").valid_from,
                at(when)
            ),
            false => drop(refused(&store, set, Invalid, "valid_from").await),
        }
        let import = ImportPrices::new("{}").valid_from(at(when));
        assert_eq!(store.write(import).await.is_ok(), is_taken, "{when}");
    }
    for beyond in [DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC] {
        refused(
            &store,
            good.clone().valid_from(beyond),
            Invalid,
            "valid_from",
        )
        .await;
    }
    let long = "n".repeat(MAX_NAME_BYTES + 1);
    for (field, provider, model) in [
        ("provider", "", "parrot"),
        ("model", "acme", ""),
        ("provider", long.as_str(), "parrot"),
        ("model", "acme", long.as_str()),
    ] {
        refused(
            &store,
            SetPrice::new(provider, model, usd(1.0), usd(1.0)),
            Invalid,
            field,
        )
        .await;
    }
    let largest = "n".repeat(MAX_NAME_BYTES);
    let largest = SetPrice::new(&largest, &largest, usd(1e9), usd(1e9));
    store.write(largest).await.expect("the largest");
    // NaN is no amount at all, in JSON neither.
    assert!(Usd::from_dollars(f64::NAN).is_err());
    let json = r#"{ "provider": "acme", "model": "parrot", "input": NaN, "output": 1 }"#;
    assert!(serde_json::from_str::<SetPrice>(json).is_err());
}

#[tokio::test]
async fn messages_about_prices_survive_json() {
    let january = at("2026-01-01T00:00:00Z");
    let set = SetPrice::new("acme", "parrot", usd(0.1 + 0.2), usd(15.0)).valid_from(january);
    survives_json(&set);
    survives_json(
        &set.cached_input(Usd::ZERO)
            .cache_write(usd(1e-9))
            .reasoning(usd(4.5)),
    );
    survives_json(&ModelPrice::new("acme", "parrot", usd(0.3), usd(1e-9)).cached_input(usd(0.7)));
    survives_json(&RemovePrice::new("acme", "parrot", january));
    survives_json(&Price::new("acme", "parrot").at(january));
    survives_json(&Prices::new().provider("acme").page(PageRequest::first(7)));
    survives_json(&ImportPrices::new("{}").valid_from(january));
    survives_json(
        &Reprice::new(january, january)
            .provider("acme")
            .model("parrot"),
    );
    survives_json(&RepriceReport::new(5, 7));
    survives_json(&UnpricedModels::new(7));
    survives_json(&UnpricedModel::new("acme", "parrot", u64::MAX));
    let mut report = ImportReport::new(3);
    report.unused_fields.insert("max_tokens".to_owned(), 2);
    for why in [
        WhySkipped::Template,
        WhySkipped::Mode("image_generation".to_owned()),
        WhySkipped::BadPrice("input_cost_per_token".to_owned()),
    ] {
        report.skipped.push(SkippedModel::new("parrot", why));
    }
    survives_json(&report);
}
