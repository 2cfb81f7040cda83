//! Files of prices from elsewhere.

use crate::support::{DAY, picture, populated, refused};
use botstore::ErrorKind::Invalid;
use botstore::prices::{ImportPrices, ImportReport, ModelPrice, Price, Prices, WhySkipped};
use botstore::testing::{TestStore, usd};
use botstore::{Config, MAX_NAME_BYTES, Usd};
use std::collections::BTreeMap;

/// In the form in which litellm publishes its file; all names and prices are invented.
const INVENTED: &str = include_str!("../../fixtures/prices/invented.json");

async fn import(store: &TestStore, json: impl Into<String>) -> ImportReport {
    store
        .write(ImportPrices::new(json))
        .await
        .expect("a report")
}

/// What of the file is taken.
fn expected(store: &TestStore) -> Vec<ModelPrice> {
    let nanos = Usd::from_nanos;
    let price = |provider, model, input, output| {
        ModelPrice::new(provider, model, nanos(input), nanos(output)).valid_from(store.now())
    };
    vec![
        price("acme", "parrot-2", 3_000_000_000, 15_000_000_000)
            .cached_input(nanos(300_000_000))
            .cache_write(nanos(3_750_000_000)),
        price("acme", "parrot-2-mini", 110_000_000, 1_250_000_000).reasoning(nanos(2_200_000_000)),
        price("cloud", "north-1/parrot-2", 3_300_000_000, 16_500_000_000),
        price("hill_ai", "hawk", 20_000_000, 0),
        price("hill_ai", "owl", 1, 0),
        price("text-completion-sea", "tern", 0, 0),
    ]
}

#[tokio::test]
async fn prices_are_taken_to_the_digit_and_what_is_not_used_is_reported() {
    let store = populated().await;
    let report = import(&store, INVENTED).await;
    let prices = store.read(Prices::new()).await.expect("a page").items;
    assert_eq!(prices, expected(&store));
    assert_eq!((report.taken, report.unchanged), (6, 0));
    let skipped: Vec<_> = report
        .skipped
        .iter()
        .map(|model| (model.name.as_str(), &model.why))
        .collect();
    use WhySkipped::{
        BadName, BadPrice, Mode, NoProvider, NoTokenPrice, NotAnObject, OtherPrice, Repeated,
        RepeatedField, Template,
    };
    let field = |name: &str| name.to_owned();
    let (input, output) = ("input_cost_per_token", "output_cost_per_token");
    for (at, (name, why)) in [
        ("sample_spec", Template),
        ("painter", Mode(field("image_generation"))),
        ("1024-x-1024/painter", Mode(field("image_generation"))),
        ("free-but-timed", OtherPrice(field("input_cost_per_second"))),
        ("tiered", NoTokenPrice),
        ("half", NoTokenPrice),
        ("null", NoTokenPrice),
        ("negative", BadPrice(field(input))),
        ("huge", BadPrice(field(output))),
        ("wordy", BadPrice(field(output))),
        ("listed", BadPrice(field(input))),
        ("bad-cache", BadPrice(field("cache_read_input_token_cost"))),
        ("nobodys", NoProvider),
        ("numbered", NoProvider),
        ("no-object", NotAnObject),
        ("no-object-either", NotAnObject),
        ("acme/parrot-2", Repeated),
        ("twice", RepeatedField(field(input))),
        ("", BadName),
        ("acme/", BadName),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(skipped.get(at), Some(&(name, &why)), "{at}");
        // Each reason has words.
        assert!(!why.to_string().is_empty());
    }
    assert_eq!(skipped.len(), 20, "{skipped:#?}");
    // Each model of the file is in one of the counts.
    let fields = [
        ("input_cost_per_token_above_200k_tokens", 1),
        ("max_tokens", 3),
        ("search_context_cost_per_query", 1),
        ("supports_vision", 1),
    ];
    let fields = fields.map(|(name, models)| (name.to_owned(), models));
    assert_eq!(report.unused_fields, BTreeMap::from(fields));
}

#[tokio::test]
async fn the_same_file_again_adds_nothing_and_a_new_price_holds_from_then_on() {
    let store = populated().await;
    import(&store, INVENTED).await;
    let (before, then) = (picture(&store).await, store.now());
    store.clock().advance(DAY);
    let report = import(&store, INVENTED).await;
    assert_eq!((report.taken, report.unchanged), (0, 6));
    assert_eq!(
        picture(&store).await["botstore_price"],
        before["botstore_price"]
    );
    let dearer = INVENTED.replace(": 3e-06", ": 4e-06");
    let report = import(&store, dearer).await;
    assert_eq!((report.taken, report.unchanged), (1, 5));
    for (at, input) in [(then, usd(3.0)), (store.now(), usd(4.0))] {
        let price = store
            .read(Price::new("acme", "parrot-2").at(at))
            .await
            .expect("an answer");
        assert_eq!(price.expect("a price").input, input);
    }
    // For a time before, a price is new again.
    let earlier = ImportPrices::new(INVENTED).valid_from(then - DAY);
    let report = store.write(earlier).await.expect("a report");
    assert_eq!((report.taken, report.unchanged), (6, 0));
}

#[tokio::test]
async fn a_text_that_is_no_object_of_models_is_refused_and_what_is_before_its_fault_is_not_taken() {
    let store = populated().await;
    let model = r#""m": { "litellm_provider": "p", "input_cost_per_token": 1, "output_cost_per_token": 1 }"#;
    for wrong in [
        String::new(),
        "[]".to_owned(),
        "null".to_owned(),
        "5".to_owned(),
        "not JSON".to_owned(),
        format!("{{ {model}"),
        format!("{{ {model} }} {{}}"),
        format!("{{ {model}, \"n\": {{ \"input_cost_per_token\": NaN }} }}"),
        format!("{{ {model}, \"n\": {{ \"input_cost_per_token\": Infinity }} }}"),
        format!("{{ {model}, \"n\": {{ \"input_cost_per_token\": 1e999 }} }}"),
        format!("{{ {model}, \"n\": {} }}", "[".repeat(100_000)),
        format!("{{ {model}, }}"),
        format!("\u{feff}{{ {model} }}"),
    ] {
        let error = refused(&store, ImportPrices::new(wrong.as_str()), Invalid, "json").await;
        assert!(error.to_string().len() < 300, "{error}");
    }
    let report = import(&store, "{}").await;
    assert_eq!(report, ImportReport::default());
    let report = import(&store, format!("{{ {model} }}")).await;
    // A dollar a token.
    assert_eq!(report.taken, 1);
    let price = store.read(Price::new("p", "m")).await.expect("an answer");
    assert_eq!(price.expect("a price").input, usd(1e6));
}

#[tokio::test]
async fn a_file_may_be_as_large_as_a_text_and_its_names_as_long_as_names() {
    let config = |config: Config| config.max_text_bytes(64 * 1024);
    let store = TestStore::open_with(config).await.expect("a store");
    let json = |name: &str| {
        format!(
            r#"{{ "{name}": {{ "litellm_provider": "p", "input_cost_per_token": 1e-6, "output_cost_per_token": 1e-6 }} }}"#
        )
    };
    let report = import(&store, json(&"n".repeat(MAX_NAME_BYTES))).await;
    assert_eq!((report.taken, report.skipped.len()), (1, 0));
    let report = import(&store, json(&"n".repeat(MAX_NAME_BYTES + 1))).await;
    assert_eq!(
        (report.taken, &report.skipped[0].why),
        (0, &WhySkipped::BadName)
    );
    let fill = |bytes: usize| format!("{{}}{}", " ".repeat(bytes - 2));
    import(&store, fill(64 * 1024)).await;
    refused(
        &store,
        ImportPrices::new(fill(64 * 1024 + 1)),
        Invalid,
        "json",
    )
    .await;
}

#[tokio::test]
async fn an_import_has_at_most_20_000_prices() {
    let store = TestStore::open().await.unwrap();
    let models = |many: usize| {
        let model = |n| {
            format!(
                r#""m{n}":{{"litellm_provider":"p","input_cost_per_token":0,"output_cost_per_token":1}}"#
            )
        };
        format!("{{{}}}", (0..many).map(model).collect::<Vec<_>>().join(","))
    };
    refused(&store, ImportPrices::new(models(20_001)), Invalid, "json").await;
    let import = ImportPrices::new(models(20_000));
    assert!(import.json().starts_with("{"));
    assert_eq!(store.write(import).await.unwrap().taken, 20_000);
}
