//! What models used.

use super::*;
use botstore::analytics::TimeZone;

#[tokio::main]
async fn zone_of(place: &Place) -> String {
    let store = place.open().await;
    let zone = store.read(TimeZone::new()).await.unwrap();
    store.close().await.unwrap();
    zone
}

#[test]
fn usage_is_told_by_model_user_and_day_and_adds_up() {
    let place = spent();
    let zone = zone_of(&place);
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
        assert_eq!(json["time_zone"], zone);
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
        &format!("today and 30 days before, of {zone}"),
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
    let store = place.open_at_midday().await;
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
