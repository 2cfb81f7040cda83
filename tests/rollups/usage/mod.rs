//! What requests used, by model, user, chat and day: exact at every moment, whoever changes a row.

mod histories;
mod odd;
mod other_costs;
pub(crate) mod recount;

use crate::support::{all, counted_anew, open_plain};
use botstore::costs::AddCost;
use botstore::interactions::SaveInteraction;
use botstore::messages::DeleteMessage;
use botstore::rollups::ReconcileRollups;
use botstore::rusqlite::Connection;
use botstore::testing::{FixedClock, TestStore, usd};
use botstore::usage::{Chat, ModelUsage, Usage, UsageByDay, UserModelUsage, UserUsageByDay};
use botstore::users::{DeleteUser, EnsureUser};
use botstore::{BeforeUpgrade, Config, Durability, ErrorKind, Store, schema};
use recount::compare_usage;
use std::path::Path;

/// After how many requests they are counted, at the latest.
const AT_THE_LATEST: i64 = 1_152;

pub(crate) fn config(path: &Path) -> Config {
    let config = Config::new(path).clock(FixedClock::default());
    let config = config.durability(Durability::Normal);
    config.before_upgrade(BeforeUpgrade::Skip)
}

/// The `number`th request of three users to two models in three chats, of some of which little is known.
fn usage(number: u64) -> Usage {
    let model = ["gpt", "mini"][(number % 2) as usize];
    let mut usage = Usage::new("openai", model);
    usage.input_tokens = Some(number).filter(|number| number % 3 != 0);
    usage.output_tokens = Some(number * 2).filter(|number| number % 5 != 0);
    usage.reasoning_tokens = usage.output_tokens.map(|tokens| tokens / 2);
    usage.cached_input_tokens = usage.input_tokens.map(|tokens| tokens / 3);
    usage.cache_write_tokens = usage.input_tokens.map(|tokens| tokens / 4);
    usage.cost = Some(usd(number as f64 / 1e6)).filter(|_| !number.is_multiple_of(7));
    match number % 4 {
        0 => usage,
        chat => usage.chat(Chat::new("telegram", chat.to_string())),
    }
}

fn said(number: u64) -> SaveInteraction {
    let user_id = (number % 3 + 1) as i64;
    let said = SaveInteraction::new(user_id, format!("s-{user_id}"), "?").creating("/srv");
    said.usage(usage(number))
}

/// A request that is no message.
fn drawn(number: u64) -> AddCost {
    let drawn = AddCost::new((number % 3 + 1) as i64, usd(0.04));
    match number % 2 {
        0 => drawn,
        _ => AddCost::new(drawn.user_id, usd(0.0)).usage(usage(number)),
    }
}

pub(crate) async fn store() -> TestStore {
    let store = TestStore::open_with(|config| config.durability(Durability::Normal));
    let store = store.await.unwrap();
    for user_id in 1..4 {
        store.write(EnsureUser::new(user_id, None)).await.unwrap();
    }
    store
}

/// How many requests wait, and the last that is counted.
fn waiting(path: &Path) -> (i64, i64) {
    let sql = "SELECT (SELECT count(*) FROM botstore_usage WHERE usage_id > last_id), last_id
               FROM botstore_usage_counted WHERE source = 'botstore_usage'";
    let row = |row: &botstore::rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
    open_plain(path).query_row(sql, [], row).unwrap()
}

pub(crate) fn by_hand(path: &Path, sql: &str) {
    let conn = Connection::open(path).unwrap();
    conn.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
    conn.execute_batch(sql).unwrap();
    conn.close().unwrap();
}

/// The rows of a table of rollups, in words.
fn rows(path: &Path, table: &str) -> Vec<String> {
    let conn = open_plain(path);
    let all_columns = conn.prepare(&format!("SELECT * FROM {table}")).unwrap();
    // An iterator or a vector: rusqlites differ.
    let columns = Vec::from_iter(all_columns.column_names());
    let columns: Vec<_> = columns
        .iter()
        .map(|name| format!("quote({name})"))
        .collect();
    let sql = format!(
        "SELECT {} FROM {table} ORDER BY 1",
        columns.join(" || ' ' || ")
    );
    all(&conn, &sql, [], |row| row.get(0))
}

#[tokio::test]
async fn few_requests_wait_and_answers_count_them() {
    let store = store().await;
    let mut saved = 0;
    for until in [0, 1, 1_023, 1_024, 1_200, 2_400] {
        while saved < until {
            store.write(said(saved)).await.unwrap();
            if saved.is_multiple_of(97) {
                store.write(drawn(saved)).await.unwrap();
            }
            saved += 1;
        }
        compare_usage(&store, 0, &until).await;
        let (waits, _) = waiting(store.path());
        assert!(waits <= AT_THE_LATEST, "{waits} of {saved}");
    }
    let (waits, last) = waiting(store.path());
    assert!(waits < 2_400 && last > 0, "{waits} wait, up to {last}");
    let before = store.read(ModelUsage::new(9)).await.unwrap();
    let (_folder, path) = store.into_file().await.unwrap();
    // Closing counts the rest.
    assert_eq!(waiting(&path), (0, 2_400));
    let store = Store::open(config(&path)).await.unwrap();
    assert_eq!(store.read(ModelUsage::new(9)).await.unwrap(), before);
    store.close().await.unwrap();
}

/// Their ids go down from -1: they wait until something is counted, and are then counted at once.
#[tokio::test]
async fn a_request_that_is_no_message_is_counted_before_and_after_anything_is() {
    let store = store().await;
    for number in 0..3 {
        store.write(drawn(number)).await.unwrap();
    }
    compare_usage(&store, 0, &"three").await;
    assert_eq!(waiting(store.path()).0, 3);
    let (_folder, path) = store.into_file().await.unwrap();
    assert_eq!(waiting(&path), (0, -1));
    let store = Store::open(config(&path)).await.unwrap();
    for number in 3..9 {
        store.write(drawn(number)).await.unwrap();
        compare_usage(&store, 0, &number).await;
        assert_eq!(waiting(&path), (0, -1));
    }
    store.write(said(1)).await.unwrap();
    compare_usage(&store, 0, &"a message").await;
    assert_eq!(waiting(&path).0, 1);
    assert_eq!(rows(&path, "botstore_other_day").len(), 3);
    store.write(DeleteUser::new(1)).await.unwrap();
    compare_usage(&store, 0, &"a user is gone").await;
    assert_eq!(rows(&path, "botstore_other_day").len(), 2);
    store.close().await.unwrap();
}

#[tokio::test]
async fn chats_have_the_tokens_and_costs_of_their_requests() {
    let store = store().await;
    for (chat, input) in [("-7", Some(3)), ("-7", None), ("8", Some(5))] {
        let mut usage = Usage::new("openai", "gpt").output_tokens(10).cost(usd(0.5));
        usage.input_tokens = input;
        let said = SaveInteraction::new(1, "s", "?").creating("/srv");
        store
            .write(said.usage(usage.chat(Chat::new("telegram", chat))))
            .await
            .unwrap();
    }
    let gone = SaveInteraction::new(1, "s", "?")
        .usage(Usage::new("openai", "gpt").chat(Chat::new("telegram", "9")));
    let gone = store.write(gone).await.unwrap();
    store.write(said(0)).await.unwrap();
    let (_folder, path) = store.into_file().await.unwrap();
    assert_eq!(rows(&path, "botstore_chat_day").len(), 3);
    let store = Store::open(config(&path)).await.unwrap();
    store
        .write(DeleteMessage::new(1, gone.message_id))
        .await
        .unwrap();
    store.close().await.unwrap();
    let chats = rows(&path, "botstore_chat_day");
    let expected = [
        "'telegram/-7' 2 23 1000000000",
        "'telegram/8' 1 15 500000000",
    ];
    assert!(
        chats
            .iter()
            .zip(expected)
            .all(|(chat, end)| chat.ends_with(end)),
        "{chats:?}"
    );
    assert_eq!(chats.len(), 2);
}

/// Nobody counts their rows until the file is opened: they were there before the step, or somebody took it back.
#[tokio::test]
async fn a_file_without_the_step_is_counted_at_the_next_opening() {
    let store = store().await;
    for number in 0..20 {
        store.write(said(number)).await.unwrap();
        store.write(drawn(number)).await.unwrap();
    }
    let before = store.read(ModelUsage::new(9)).await.unwrap();
    let (_folder, path) = store.into_file().await.unwrap();
    schema::rollback(config(&path), "botstore_llm", 1).unwrap();
    by_hand(
        &path,
        "UPDATE botstore_usage SET reasoning_output_tokens = 0 WHERE usage_id = 3",
    );
    by_hand(&path, "DELETE FROM messages WHERE message_id = 5");
    let store = Store::open(config(&path)).await.unwrap();
    compare_usage(&store, 0, &"opened").await;
    assert_ne!(store.read(ModelUsage::new(9)).await.unwrap(), before);
    store.close().await.unwrap();
    // As an opening leaves it that was killed before it had counted all.
    by_hand(
        &path,
        "DELETE FROM botstore_model_day; UPDATE botstore_usage_counted SET last_id = -9223372036854775808",
    );
    let plan = botstore::status(config(&path)).unwrap().plan.unwrap();
    assert_eq!(plan.uncounted, ["botstore_llm"]);
    let shown = botstore::snapshot(config(&path), |tx| tx.query(&ModelUsage::new(9)));
    assert_eq!(shown.unwrap_err().kind(), ErrorKind::OlderSchema);
    let store = Store::open(config(&path)).await.unwrap();
    let report = store.read(ReconcileRollups::new()).await.unwrap();
    // What was in the other tables was counted twice.
    assert!(report.differences > 0);
    store.repair_rollups().await.unwrap();
    compare_usage(&store, 0, &"mended").await;
    store.close().await.unwrap();
}

#[tokio::test]
async fn what_somebody_did_to_the_rollups_is_found_and_mended() {
    let store = store().await;
    for number in 0..20 {
        store.write(said(number)).await.unwrap();
        store.write(drawn(number)).await.unwrap();
    }
    let (_folder, path) = store.into_file().await.unwrap();
    for (harm, differences) in [
        (
            "UPDATE botstore_model_day SET input_tokens = input_tokens + 1",
            3,
        ),
        (
            "UPDATE botstore_user_model_day SET unmeasured = 'many', cost = -1 WHERE user_id = 1",
            3,
        ),
        ("DELETE FROM botstore_chat_day", 3),
        (
            "INSERT INTO botstore_other_day VALUES (0, '2020-01-01', 9, 1, 1)",
            1,
        ),
        // Not the watermark: the rows are there, and the triggers ran.
        (
            "INSERT INTO botstore_usage_count (requests, user_id, model) VALUES (1, 'x', 'gpt')",
            0,
        ),
    ] {
        by_hand(&path, harm);
        let store = Store::open(config(&path)).await.unwrap();
        let report = store.read(ReconcileRollups::new()).await.unwrap();
        assert_eq!(
            report.differences, differences,
            "{harm}: {:?}",
            report.named
        );
        store.repair_rollups().await.unwrap();
        compare_usage(&store, 0, &harm).await;
        store.close().await.unwrap();
    }
    let conn = open_plain(&path);
    let kept: Vec<i64> = all(
        &conn,
        "SELECT count(*) FROM botstore_usage_count",
        [],
        |row| row.get(0),
    );
    // A row whose user is no number is for nobody; it is all that the inbox keeps.
    assert_eq!(kept, [1]);
}

/// Costs alone have days too: of a bot that only draws.
#[tokio::test]
async fn another_zone_counts_requests_by_its_own_days() {
    for only_drawn in [true, false] {
        let store = store().await;
        for number in 0..12 {
            let at = botstore::time::parse(&format!(
                "2026-03-{:02} {:02}:30",
                1 + number / 3,
                2 * number
            ))
            .unwrap();
            store.write(drawn(number).at(at)).await.unwrap();
            if !only_drawn {
                store.write(said(number).at(at)).await.unwrap();
            }
        }
        compare_usage(&store, 0, &"UTC").await;
        let (_folder, path) = store.into_file().await.unwrap();
        for (zone, offset) in [
            ("+05:30", 330),
            ("-11:00", -660),
            ("UTC", 0),
            ("+14:00", 840),
        ] {
            let store = Store::open(config(&path).time_zone(zone)).await.unwrap();
            counted_anew(&store).await;
            compare_usage(&store, offset, &zone).await;
            store.close().await.unwrap();
            // It stays with the file.
            let store = Store::open(config(&path)).await.unwrap();
            compare_usage(&store, offset, &zone).await;
            store.close().await.unwrap();
        }
        // Whoever drops the table of the zone finds days in UTC.
        by_hand(&path, "DROP TABLE botstore_zone");
        let store = Store::open(config(&path)).await.unwrap();
        compare_usage(&store, 0, &"dropped").await;
        store.close().await.unwrap();
    }
}

#[tokio::test]
async fn answers_are_bounded_and_begin_with_what_costs_most() {
    let (_folder, path) = store().await.into_file().await.unwrap();
    by_hand(
        &path,
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500)
         INSERT INTO botstore_usage (usage_id, user_id, at, provider_name, request_model, cost_nanos)
             SELECT i, 1, date('2026-03-10', -i || ' days'), 'openai', 'model ' || i, i FROM n;",
    );
    let store = Store::open(config(&path)).await.unwrap();
    for models in [
        store.read(ModelUsage::new(u32::MAX)).await.unwrap(),
        store.read(UserModelUsage::new(1, u32::MAX)).await.unwrap(),
    ] {
        assert_eq!(models.len(), 1_000);
        let costs: Vec<_> = models.iter().map(|of| of.totals.cost.nanos()).collect();
        assert_eq!(costs, (501..=1_500).rev().collect::<Vec<_>>());
    }
    for days in [
        store.read(UsageByDay::new(u32::MAX)).await.unwrap(),
        store.read(UserUsageByDay::new(1, u32::MAX)).await.unwrap(),
    ] {
        assert_eq!(days.len(), 1_000);
        assert_eq!(days[0].date.to_string(), "2026-03-09");
    }
    // Today alone, and one day more.
    assert_eq!(store.read(UsageByDay::new(0)).await.unwrap(), []);
    assert_eq!(store.read(UsageByDay::new(1)).await.unwrap().len(), 1);
    for model in ["", &"m".repeat(4_097)] {
        let refused = store.read(UsageByDay::new(1).model(model)).await;
        let error = refused.expect_err("a refusal");
        assert_eq!(
            (error.kind(), error.field()),
            (ErrorKind::Invalid, Some("model"))
        );
        let refused = store.read(UserUsageByDay::new(1, 1).model(model)).await;
        assert_eq!(refused.expect_err("a refusal").field(), Some("model"));
    }
    store.close().await.unwrap();
}
