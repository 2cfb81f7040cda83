//! `usage` tells what models used; `limits` lists, sets and removes limits, and says what is left.

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
    let store = place.open().await;
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

#[test]
fn usage_is_told_by_model_user_and_day_and_adds_up() {
    let place = spent();
    let by_model = usage(&place, &[]);
    assert_eq!(by_model, usage(&place, &["--by", "model", "--days", "30"]));
    let models = [
        (json!("small"), 2, 2.25),
        (json!("big"), 1, 0.5),
        (json!(null), 1, 0.125),
        (json!("new"), 1, 0.0),
    ];
    assert_eq!(rows(&by_model, "by_model", "model"), models);
    let by_user = usage(&place, &["--by", "user"]);
    let users = [(json!(-2), 1, 2.0), (json!(1), 4, 0.875)];
    assert_eq!(rows(&by_user, "by_user", "user_id"), users);
    assert_eq!(by_user["by_user"][1]["username"], "ada");
    let by_day = usage(&place, &["--by", "day", "--days", "1"]);
    assert_eq!(rows(&by_day, "by_day", "date")[0].1, 5);
    for json in [&by_model, &by_user, &by_day] {
        let totals = &json["totals"];
        assert_eq!(totals["requests"], 5);
        assert_eq!(totals["cost"], 2.875);
        assert_eq!(totals["unpriced"], 1);
        assert_eq!(totals["unmeasured"], 1);
        assert_eq!(totals["input_tokens"], 400);
        assert_eq!(json["time_zone"], "UTC");
    }
    let of_ada = usage(&place, &["--user", "1"]);
    assert_eq!(of_ada["totals"]["requests"], 4);
    assert_eq!(rows(&of_ada, "by_model", "model").len(), 4);
    let of_nobody = usage(&place, &["--user=77", "--by", "day", "--days", "0"]);
    assert_eq!(of_nobody["totals"]["requests"], 0);
    assert_eq!(of_nobody["by_day"], json!([]));
    let negative = usage(&place, &["--user", "-2", "--by", "day"]);
    assert_eq!(negative["totals"]["cost"], 2.0);

    let words = on("usage", &place.file, &[]).came_to(0).out;
    for told in [
        "requests      5",
        "cost          $2.8750",
        "unpriced      1 request",
        "today and 30 days before, of UTC",
        "small  openai           2    200     120      20          8  2.2500",
    ] {
        assert!(words.contains(told), "{told}: {words}");
    }
    let words = on("usage", &place.file, &["--by", "user"]).came_to(0).out;
    assert!(words.contains("   1  ada"), "{words}");
}

/// Whoever names a user and wants all of them means something else.
#[test]
fn one_user_among_all_users_is_refused() {
    let place = spent();
    let refused = on("usage", &place.file, &["--by", "user", "--user", "1"]).came_to(2);
    assert!(
        refused.err.contains("--by model or --by day"),
        "{}",
        refused.err
    );
    on("usage", &place.file, &["--by", "year"]).came_to(2);
    on("usage", &place.file, &["--days", "-1"]).came_to(2);
}

#[tokio::test]
async fn usage_and_limits_beside_a_running_bot_are_those_of_what_was_acknowledged() {
    let place = Place::new();
    let store = place.open().await;
    let dollars = |dollars| Amount::Cost(usd(dollars));
    let each = SetLimit::new(Scope::EachUser, Per::Day, dollars(2.0)).soft(dollars(1.5));
    store.write(each).await.unwrap();
    let all = SetLimit::new(Scope::Everyone, Per::Ever, dollars(100.0));
    store.write(all).await.unwrap();
    spend(&store).await;
    assert_eq!(usage(&place, &[])["totals"]["cost"], 2.875);
    let reserve = Reserve::new(1, usd(0.1));
    store.write(reserve).await.unwrap();

    let shown = on("limits", &place.file, &["--json"]).came_to(0).json();
    let [each, all] = &shown["limits"].as_array().unwrap()[..] else {
        panic!("{shown}");
    };
    assert_eq!(each["scope"], "each-user");
    assert_eq!(
        (&each["left"], &each["resets_at"]),
        (&json!(null), &json!(null))
    );
    assert_eq!(all["spent"], json!({ "cost": 2.875 }));
    assert_eq!(all["reserved"], json!({ "cost": 0.1 }));
    assert_eq!(all["left"], json!({ "cost": 97.025 }));
    let words = on("limits", &place.file, &[]).came_to(0).out;
    assert!(words.contains("--user ID shows"), "{words}");
    assert!(words.contains("each user, $2.00 a day"), "{words}");
    assert!(words.contains("$97.025  never"), "{words}");

    let of_ada = on("limits", &place.file, &["--user", "1", "--json"]);
    let of_ada = of_ada.came_to(0).json();
    let budgets = of_ada["limits"].as_array().unwrap();
    assert_eq!(budgets.len(), 2);
    let of_ada = budgets
        .iter()
        .find(|it| it["scope"] == "each-user")
        .unwrap();
    assert_eq!(of_ada["left"], json!({ "cost": 1.025 }));
    assert!(of_ada["resets_at"].is_string());
    store.close().await.unwrap();
}

#[test]
fn a_budget_has_the_limits_of_the_chat_and_the_model_if_they_are_named() {
    let place = spent();
    for scope in ["chat:telegram/-100", "chat:telegram/-200", "model:small"] {
        let set = [
            "set", "--scope", scope, "--of", "tokens", "--max", "1000", "--per", "month",
        ];
        on("limits", &place.file, &set).came_to(0);
    }
    let left = |more: &[&str]| {
        let shown = on(
            "limits",
            &place.file,
            &[&["--user", "7", "--json"], more].concat(),
        );
        let shown = shown.came_to(0).json();
        let limits = shown["limits"].as_array().unwrap().iter();
        let left = limits.map(|it| it["left"]["tokens"].as_u64().unwrap());
        left.collect::<Vec<_>>()
    };
    assert_eq!(left(&[]), [0; 0]);
    assert_eq!(left(&["--chat", "telegram/-100"]), [560]);
    assert_eq!(left(&["--model", "small"]), [780]);
    assert_eq!(
        left(&["--chat", "telegram/-100", "--model", "small"]),
        [560, 780]
    );
    on("limits", &place.file, &["--user", "7", "--chat", "-100"]).came_to(2);
    on("limits", &place.file, &["--user", "7", "--model", ""]).came_to(2);
}

#[actix::main]
async fn limits_in(place: &Place) -> Vec<Limit> {
    let store = place.open().await;
    let limits = store.read(Limits::new()).await.unwrap();
    store.close().await.unwrap();
    limits.items
}

/// Each scope, measure and period, as the command line spells it and as it is in the file.
#[test]
fn every_limit_can_be_set_is_listed_and_can_be_removed() {
    let place = Place::filled(1);
    let scopes = [
        ("everyone", Scope::Everyone),
        ("each-user", Scope::EachUser),
        ("user:42", Scope::User(42.into())),
        ("user:-1", Scope::User(UserId::new(-1))),
        (
            "chat:telegram/-100:7",
            Scope::Chat(Chat::new("telegram", "-100:7")),
        ),
        (
            "model:ollama/llama3:8b",
            Scope::Model("ollama/llama3:8b".to_owned()),
        ),
    ];
    let amounts = [
        ("cost", "0.000000001", Amount::Cost(Usd::from_nanos(1))),
        (
            "requests",
            "1000000000000",
            Amount::Requests(1_000_000_000_000),
        ),
        ("tokens", "0", Amount::Tokens(0)),
        (
            "cost",
            "$999999999.999999999",
            Amount::Cost(Usd::from_nanos(999_999_999_999_999_999)),
        ),
        ("cost", "2.50", Amount::Cost(usd(2.5))),
        ("cost", "2", Amount::Cost(usd(2.0))),
    ];
    let periods = [
        ("minute", Per::Minute),
        ("hour", Per::Hour),
        ("day", Per::Day),
        ("week", Per::Week),
        ("month", Per::Month),
        ("ever", Per::Ever),
    ];
    let all = scopes.into_iter().zip(amounts).zip(periods);
    for (((scope_word, scope), (of, max_word, max)), (per_word, per)) in all {
        let which = ["--scope", scope_word, "--of", of, "--per", per_word];
        let change = |words: &[&str], more: &[&str]| {
            let set = on("limits", &place.file, &[words, &which, more].concat());
            set.came_to(0).json()
        };
        let set = change(&["set"], &["--max", max_word, "--json"]);
        assert_eq!(set["before"], json!(null));
        let limit = Limit::new(scope, per, max);
        assert_eq!(limits_in(&place), std::slice::from_ref(&limit));
        let listed = on("limits", &place.file, &["--json"]).came_to(0).json();
        assert_eq!(listed["limits"][0]["scope"], scope_word);
        assert_eq!(listed["limits"][0]["limit"], json!(limit));
        let again = change(&["set"], &["--max", max_word, "--soft", "0", "--json"]);
        assert_eq!(again["before"], json!(limit));
        let removed = change(&["remove"], &["--json"]);
        assert_eq!(removed["removed"]["max"], json!(max));
        assert_eq!(limits_in(&place), []);
        // It is gone, and that is told.
        let gone = on("limits", &place.file, &[&["remove"], &which[..]].concat()).came_to(1);
        assert!(gone.err.contains("lists the limits"), "{}", gone.err);
    }
}

#[test]
fn what_is_no_limit_is_refused_and_changes_nothing() {
    let place = Place::filled(1);
    let refused = |scope: &str, of: &str, max: &str, per: &str, more: &[&str]| {
        let max = format!("--max={max}");
        let words = ["set", "--scope", scope, "--of", of, &max, "--per", per];
        let ran = on("limits", &place.file, &[&words, more].concat());
        assert_eq!(
            ran.code, 2,
            "{scope} {of} {max} {per}: {}{}",
            ran.out, ran.err
        );
        assert!(!ran.err.is_empty());
    };
    for max in [
        "-1",
        "-0.5",
        "NaN",
        "inf",
        "1e3",
        "",
        ".",
        "1.",
        ".5",
        "1,5",
        "2 dollars",
        "+1",
        "0x1",
        "0.0000000001",
        "1000000000.000000001",
        "99999999999999999999",
        "٢",
    ] {
        refused("everyone", "cost", max, "day", &[]);
    }
    for max in [
        "-1",
        "1.5",
        "NaN",
        "",
        "1000000000001",
        "18446744073709551616",
        "+1",
    ] {
        refused("everyone", "requests", max, "day", &[]);
        refused("everyone", "tokens", max, "day", &[]);
    }
    for scope in [
        "",
        "all",
        "everyone:1",
        "each-user:1",
        "user",
        "user:",
        "user:ada",
        "user:1.5",
        "chat",
        "chat:",
        "chat:telegram",
        "chat:/1",
        "chat:telegram/",
        "model",
        "model:",
        "Everyone",
        "user:9223372036854775808",
    ] {
        refused(scope, "cost", "1", "day", &[]);
    }
    refused("everyone", "money", "1", "day", &[]);
    refused("everyone", "cost", "1", "year", &[]);
    refused("everyone", "cost", "1", "day", &["--soft", "1.01"]);
    refused("everyone", "cost", "1", "day", &["--soft", "-1"]);
    on("limits", &place.file, &["--user", "1", "set"]).came_to(2);
    let user_and_set = [&["--user", "1"], &SET_A_LIMIT[..]].concat();
    on("limits", &place.file, &user_and_set).came_to(2);
    assert_eq!(limits_in(&place), []);
}

#[tokio::test]
async fn a_limit_of_a_file_that_a_bot_has_open_is_not_changed_and_the_way_out_is_told() {
    let place = Place::new();
    let store = place.open().await;
    for words in [&SET_A_LIMIT[..], &REMOVE_A_LIMIT] {
        let refused = on("limits", &place.file, words).came_to(6);
        assert!(refused.err.contains("is open"), "{}", refused.err);
        assert!(
            refused.err.contains("what to do: stop the bot first"),
            "{}",
            refused.err
        );
    }
    assert!(store.read(Limits::new()).await.unwrap().items.is_empty());
    store.close().await.unwrap();
    on("limits", &place.file, &SET_A_LIMIT).came_to(0);
}

#[test]
fn a_limit_of_a_file_that_is_to_be_migrated_is_refused_and_the_file_stays_as_it_is() {
    let place = Place::legacy();
    let before = place.picture();
    let is_refused = |ran: Ran| {
        let refused = ran.came_to(5);
        assert!(
            refused.err.contains("botstore migrate FILE"),
            "{}",
            refused.err
        );
    };
    is_refused(on("limits", &place.file, &SET_A_LIMIT));
    is_refused(on("limits", &place.file, &REMOVE_A_LIMIT));
    let rows = |picture: &[(_, Vec<u8>)]| picture.iter().map(|(_, bytes)| bytes.len()).max();
    assert_eq!(rows(&place.picture()), rows(&before));
    on("migrate", &place.file, &[]).came_to(0);
    on("limits", &place.file, &SET_A_LIMIT).came_to(0);
}

/// Who did it is on record, if the command is told; the row is that of whom it concerns.
#[test]
fn who_set_a_limit_is_in_the_audit_log() {
    let place = Place::filled(1);
    let set = [
        "set", "--scope", "user:1", "--of", "requests", "--max", "5", "--per", "hour",
    ];
    on("limits", &place.file, &[&set[..], &["--by", "9"]].concat()).came_to(0);
    let rows = on("export", &place.file, &["--table", "audit_log"])
        .came_to(0)
        .out;
    let row = rows.lines().find(|row| row.contains("limit_set")).unwrap();
    let row: Value = serde_json::from_str(row).unwrap();
    assert_eq!(row["row"]["user_id"], 1);
    assert!(
        row["row"]["event_data"]
            .as_str()
            .unwrap()
            .contains("\"by\":9"),
        "{row}"
    );
}

/// For a tool: `limits` opens the file like this.
#[tokio::test]
async fn a_program_that_may_not_migrate_is_refused_an_older_file_and_makes_none() {
    let config = |place: &Place| {
        let config = botstore::Config::new(&place.file);
        config.before_upgrade(botstore::BeforeUpgrade::Refuse)
    };
    let place = Place::new();
    let refused = Store::open(config(&place)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotFound);
    assert_eq!(place.picture(), []);
    let place = Place::legacy();
    let refused = Store::open(config(&place)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::OlderSchema);
    // Who is asked to migrate does.
    botstore::schema::apply(config(&place)).unwrap();
    Store::open(config(&place))
        .await
        .unwrap()
        .close()
        .await
        .unwrap();
}

/// A command opens a store for a moment, to which nobody has subscribed: it takes no event from the bot.
#[tokio::test]
async fn what_a_bot_is_to_be_told_of_limits_waits_for_the_bot() {
    let place = Place::new();
    let store = place.open().await;
    let limit = SetLimit::new(Scope::EachUser, Per::Ever, Amount::Cost(usd(1.0)));
    store.write(limit).await.unwrap();
    spend(&store).await;
    store.close().await.unwrap();
    on("limits", &place.file, &SET_A_LIMIT).came_to(0);
    on("limits", &place.file, &REMOVE_A_LIMIT).came_to(0);
    on("check", &place.file, &["--repair"]).came_to(0);

    let store = place.open().await;
    let mut events = store.events();
    let told = tokio::time::timeout(crate::wait::HANG, async {
        loop {
            if let StoreEvent::LimitReached(notice) = events.recv().await.unwrap() {
                return notice;
            }
        }
    });
    let told = told.await.expect("it is told");
    assert_eq!(told.user_id, Some(UserId::new(-2)));
    assert_eq!(told.spent, Amount::Cost(usd(2.0)));
    store.close().await.unwrap();
}
