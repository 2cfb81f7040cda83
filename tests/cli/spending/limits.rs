//! Limits, and what is left of them.

use super::*;

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
    for max in ["1000000000.000000001", "99999999999999999999"] {
        let words = [
            "set",
            "--scope=everyone",
            "--of=cost",
            "--per=day",
            "--max",
            max,
        ];
        let ran = on("limits", &place.file, &words).came_to(2);
        assert!(
            ran.err
                .contains("must be from 0 to 1,000,000,000 US dollars"),
            "{}",
            ran.err
        );
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
