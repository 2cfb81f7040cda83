//! `prices`: what tokens cost, set and imported by an operator, and what a history costs by it.

use crate::support::{Place, on, text};
use botstore::interactions::SaveInteraction;
use botstore::usage::Usage;
use serde_json::json;
use std::fs;

const INVENTED: &str = include_str!("../fixtures/prices/invented.json");

/// With a request whose cost nobody knows.
fn unpriced() -> Place {
    let place = Place::filled(1);
    save(&place);
    place
}

#[tokio::main]
async fn save(place: &Place) {
    let store = place.open().await;
    let usage = Usage::new("acme", "parrot-2")
        .input_tokens(1_000)
        .output_tokens(100);
    let save = SaveInteraction::new(1, "s", "p").usage(usage);
    store.write(save).await.unwrap();
    store.close().await.unwrap();
}

#[test]
fn a_file_is_imported_with_a_report_and_its_prices_are_listed() {
    let place = unpriced();
    let json = place.path("prices.json");
    fs::write(&json, INVENTED).unwrap();
    let import = ["import", text(&json), "--from", "2026-01-01"];
    let told = on("prices", &place.file, &import).came_to(0).out;
    for said in [
        "taken         6 prices",
        "unchanged     0 prices",
        "skipped       20 models",
        "its mode image_generation is not priced by the token alone",
        "input_cost_per_token_above_200k_tokens       1",
    ] {
        assert!(told.contains(said), "{said}: {told}");
    }
    let again = [&import[..], &["--json"]].concat();
    let again = on("prices", &place.file, &again).came_to(0).json();
    assert_eq!(
        (&again["taken"], &again["unchanged"]),
        (&json!(0), &json!(6))
    );
    assert_eq!(
        again["skipped"][0],
        json!({ "name": "sample_spec", "why": "template" })
    );
    assert_eq!(again["unused_fields"]["max_tokens"], 3);
    let listed = on("prices", &place.file, &["--json"]).came_to(0).json();
    let prices = listed["prices"].as_array().unwrap();
    assert_eq!(prices.len(), 6);
    assert_eq!(
        prices[0],
        json!({
            "provider": "acme", "model": "parrot-2", "valid_from": "2026-01-01T00:00:00Z", "input": 3.0,
            "cached_input": 0.3, "cache_write": 3.75, "output": 15.0, "reasoning": null,
        })
    );
    let shown = on("prices", &place.file, &["--provider", "hill_ai"])
        .came_to(0)
        .out;
    assert!(shown.contains("hawk") && !shown.contains("tern"), "{shown}");
    assert!(
        shown.contains("$0.000000001") && shown.contains("$0.02 "),
        "{shown}"
    );
}

#[test]
fn a_price_is_set_a_history_is_priced_and_a_mistake_is_removed() {
    let place = unpriced();
    let shown = on("prices", &place.file, &[]).came_to(0).out;
    assert!(
        shown.contains("without a known cost") && shown.contains("parrot-2"),
        "{shown}"
    );
    let set = |input: &str, more: &[&str]| {
        let words = [
            "set", "acme", "parrot-2", "--input", input, "--output", "15",
        ];
        on("prices", &place.file, &[&words[..], more].concat()).came_to(0)
    };
    let set_json = set(
        "3",
        &["--from", "2026-01-01", "--cached-input", "0.3", "--json"],
    )
    .json();
    assert_eq!(set_json["cached_input"], 0.3);
    // A double would round a billionth of that.
    let large = [
        "set",
        "acme",
        "owl",
        "--input",
        "90000000.000000001",
        "--output",
        "1",
    ];
    let shown = on("prices", &place.file, &large).came_to(0).out;
    assert!(shown.contains("$90000000.000000001"), "{shown}");
    let reprice = ["reprice", "--from", "2026-01-01", "--json"];
    let repriced = || on("prices", &place.file, &reprice).came_to(0).json();
    assert_eq!(repriced(), json!({ "repriced": 1, "unknown": 0 }));
    let costs = || {
        let shown = on("export", &place.file, &["--table", "messages", "--json"]).came_to(0);
        shown.json()["messages"][1]["cost"].clone()
    };
    assert_eq!(costs(), 0.0045);
    on("check", &place.file, &[]).came_to(0);
    let listed = on("prices", &place.file, &["--json"]).came_to(0).json();
    assert_eq!(listed["unpriced"], json!([]));
    set("300", &["--from", "2026-01-02"]);
    assert_eq!(repriced(), json!({ "repriced": 1, "unknown": 0 }));
    assert_eq!(costs(), 0.3015);
    let remove = ["remove", "acme", "parrot-2", "--from", "2026-01-02"];
    on("prices", &place.file, &remove).came_to(0);
    let refused = on("prices", &place.file, &remove).came_to(1);
    assert!(refused.err.contains("lists the prices"), "{}", refused.err);
    assert_eq!(repriced(), json!({ "repriced": 1, "unknown": 0 }));
    assert_eq!(costs(), 0.0045);
}

#[test]
fn what_is_wrong_is_refused_with_a_sentence_and_changes_nothing() {
    let place = unpriced();
    // Whatever else the program leaves beside the file is there now.
    on("prices", &place.file, &["reprice", "--from", "2026-01-01"]).came_to(0);
    let rows = || on("prices", &place.file, &["--json"]).came_to(0).json();
    let before = rows();
    let wrong = place.path("wrong.json");
    fs::write(&wrong, "{ \"m\": ").unwrap();
    let bytes = place.path("bytes.json");
    fs::write(&bytes, b"{ \"\xff\": 1 }").unwrap();
    let set = |words: &[&'static str]| [&["set", "acme", "parrot"], words].concat();
    for (words, code) in [
        (
            vec!["--provider", "acme", "reprice", "--from", "2026-01-01"],
            2,
        ),
        (vec!["import", text(&wrong)], 2),
        (vec!["import", text(&bytes)], 2),
        (vec!["import", text(place.folder.path())], 2),
        (vec!["import", "no-such-file"], 1),
        (vec!["import", text(&wrong), "--from", "soon"], 2),
        (set(&["--input", "3"]), 2),
        (set(&["--input", "NaN", "--output", "3"]), 2),
        (set(&["--input=-1", "--output", "3"]), 2),
        (set(&["--input", "3", "--output", "1e10"]), 2),
        (set(&["--input", "3", "--output", "9300000000"]), 2),
        (set(&["--input", "3", "--output", "0.0000000001"]), 2),
        (set(&["--input", "much", "--output", "3"]), 2),
        (
            set(&["--input", "3", "--output", "3", "--from", "1960-01-01"]),
            2,
        ),
        (
            vec!["reprice", "--from", "2026-02-01", "--to", "2026-01-01"],
            2,
        ),
        (vec!["no-such"], 2),
    ] {
        let refused = on("prices", &place.file, &words).came_to(code);
        assert!(
            refused.err.starts_with("error: "),
            "{words:?}: {}",
            refused.err
        );
        assert_eq!(refused.out, "", "{words:?}");
    }
    assert_eq!(rows(), before);
}

#[tokio::test]
async fn beside_a_bot_prices_are_listed_and_not_changed() {
    let place = tokio::task::spawn_blocking(unpriced).await.unwrap();
    let store = place.open().await;
    on("prices", &place.file, &[]).came_to(0);
    let set = ["set", "acme", "parrot", "--input", "3", "--output", "15"];
    let refused = on("prices", &place.file, &set).came_to(6);
    assert!(
        refused.err.contains("stop the bot first"),
        "{}",
        refused.err
    );
    store.close().await.unwrap();
    on("prices", &place.file, &set).came_to(0);
}

#[test]
fn a_file_that_needs_a_migration_is_not_migrated_for_a_price() {
    let place = Place::legacy();
    for words in [
        &[][..],
        &["set", "acme", "parrot", "--input", "3", "--output", "15"],
    ] {
        let before = std::fs::read(&place.file).unwrap();
        on("prices", &place.file, words).came_to(5);
        assert!(std::fs::read(&place.file).unwrap() == before, "{words:?}");
    }
}
