//! Idempotency keys: an interaction that is sent again is saved once, and one that only has the same key is told.

use crate::support::{
    ADA, BOB, DAY, HOUR, MICRO, changes_nothing, create_session, picture, populate, populated,
    refused, survives_json,
};
use botstore::ErrorKind::{Conflict, Invalid};
use botstore::interactions::{FindInteraction, Receipt, SaveInteraction, SweepKeys};
use botstore::sessions::{EndSession, IntoEnded};
use botstore::testing::{TestStore, usd};
use botstore::time::Timestamp;
use botstore::tools::ToolCall;
use botstore::{Config, Mutation, Result, Store, WriteTx, schema};
use chrono::{DateTime, Utc};
use std::time::Duration;

fn keyed(key: &str) -> SaveInteraction {
    SaveInteraction::new(ADA, "ada-1", "What is in here?")
        .response("A README.")
        .cost(usd(0.125))
        .idempotency_key(key)
}

fn of_bob(key: &str) -> SaveInteraction {
    SaveInteraction::new(BOB, "bob-1", "What is in here?").idempotency_key(key)
}

async fn save(store: &TestStore, exchange: SaveInteraction) -> Receipt {
    store.write(exchange).await.expect("a receipt")
}

async fn find(store: &TestStore, user_id: i64, key: &str) -> Option<Receipt> {
    let ask = FindInteraction::new(user_id, key);
    store.read(ask).await.expect("an answer")
}

async fn sweep(store: &TestStore, older_than: Duration) -> usize {
    let sweep = SweepKeys::new(older_than);
    store.write(sweep).await.expect("a sweep")
}

/// A store that does not sweep by itself while a test moves the clock.
async fn without_sweeps() -> TestStore {
    let long = |config: botstore::Config| config.idempotency_retention(3_650 * DAY);
    let store = TestStore::open_with(long).await.expect("a store");
    populate(&store).await;
    store
}

/// Whatever another program may write.
struct Sql(String);

impl Sql {
    async fn run(store: &TestStore, sql: impl Into<String>) -> usize {
        store.write(Self(sql.into())).await.expect("rows")
    }
}

impl Mutation for Sql {
    type Output = usize;

    fn apply(&self, tx: &WriteTx<'_>) -> Result<usize> {
        tx.execute(&self.0, [])
    }
}

/// Puts a key where they were before step 10.
async fn old_key(store: &TestStore, key: &str, message_id: i64, at: DateTime<Utc>) {
    Sql::run(
        store,
        format!(
            "INSERT INTO botstore_idempotency VALUES ({ADA}, '{key}', {message_id}, '{}')",
            Timestamp(at)
        ),
    )
    .await;
}

#[tokio::test]
async fn an_interaction_sent_again_with_its_key_gives_the_first_receipt_and_says_so() {
    let store = populated().await;
    let first = save(&store, keyed("update-1")).await;
    assert!(!first.repeated);
    store.clock().advance(HOUR);
    let again = changes_nothing(&store, keyed("update-1")).await;
    assert_eq!(again, first.clone().repeated());
    // Any other key, and none at all, is another interaction.
    let mut none = keyed("");
    none.idempotency_key = None;
    for other in [keyed("update-2"), keyed("UPDATE-1"), none.clone(), none] {
        let other = save(&store, other).await;
        assert_ne!(other.message_id, first.message_id);
        assert!(!other.repeated);
    }
    survives_json(&again);
    let old = r#"{"message_id":1,"recorded_at":"2026-03-10T15:30:00Z"}"#;
    let old: Receipt = serde_json::from_str(old).expect("a receipt from before");
    assert!(!old.repeated);
}

#[tokio::test]
async fn whatever_the_bot_answers_the_second_time_it_is_the_same_interaction() {
    let store = populated().await;
    let first = save(&store, keyed("k")).await.repeated();
    let mut silent = keyed("k");
    silent.response = None;
    for again in [
        silent,
        keyed("k").response("Some sources."),
        keyed("k").cost(usd(3.0)).turns(9).duration_ms(9),
        keyed("k").error("overloaded"),
        keyed("k").tool(ToolCall::new("LS")),
        keyed("k").ip_address("::1"),
        keyed("k").creating("/").username("Ada L."),
    ] {
        assert_eq!(changes_nothing(&store, again).await, first);
    }
    // It was saved: that its session has ended since does not matter.
    let end = EndSession::new(ADA, "ada-1");
    store.write(end).await.expect("an end");
    let again = keyed("k").into_ended(IntoEnded::Refuse);
    assert_eq!(changes_nothing(&store, again).await, first);
}

#[tokio::test]
async fn another_interaction_under_a_key_is_a_conflict_and_not_lost_in_silence() {
    let store = populated().await;
    create_session(&store, ADA, "ada-2").await;
    save(&store, keyed("update-7")).await;
    let with = |change: &dyn Fn(&mut SaveInteraction)| {
        let mut other = keyed("update-7");
        change(&mut other);
        other
    };
    for other in [
        with(&|new| new.prompt = "something else".into()),
        with(&|new| new.prompt.push(' ')),
        with(&|new| new.prompt.clear()),
        with(&|new| new.session_id = "ada-2".into()),
        with(&|new| new.session_id = "gone".into()),
        // The same letters, cut elsewhere.
        with(&|new| {
            new.session_id = "ada-1What".into();
            new.prompt = new.prompt.replacen("What", "", 1);
        }),
    ] {
        let error = refused(&store, other, Conflict, "idempotency_key").await;
        let said = error.to_string();
        assert!(said.contains("message 1 under this key"), "{said}");
        assert!(!said.contains("something else"), "{said}");
    }
    // A wrong message is told to be wrong before that.
    let nameless = keyed("update-7").tool(ToolCall::new(""));
    refused(&store, nameless, Invalid, "tool_name").await;
}

#[tokio::test]
async fn a_key_belongs_to_its_user() {
    let store = populated().await;
    let first = save(&store, keyed("update-1")).await;
    let second = save(&store, of_bob("update-1")).await;
    assert_ne!(first.message_id, second.message_id);
    assert!(!second.repeated);
    for (user_id, receipt) in [(ADA, first), (BOB, second)] {
        let found = find(&store, user_id, "update-1").await;
        assert_eq!(found, Some(receipt.repeated()));
    }
}

#[tokio::test]
async fn what_was_saved_under_a_key_is_found_before_the_model_is_asked_again() {
    let store = populated().await;
    assert_eq!(find(&store, ADA, "k").await, None);
    let first = save(&store, keyed("k")).await;
    store.clock().advance(HOUR);
    assert_eq!(find(&store, ADA, "k").await, Some(first.clone().repeated()));
    for (user_id, key) in [(BOB, "k"), (404, "k"), (ADA, "K"), (ADA, ""), (ADA, "k\0")] {
        assert_eq!(find(&store, user_id, key).await, None, "{user_id} {key:?}");
    }
    let endless = FindInteraction::new(ADA, "k".repeat(4_097));
    let error = store.read(endless).await.expect_err("too long");
    assert_eq!(
        (error.kind(), error.field()),
        (Invalid, Some("idempotency_key"))
    );
    survives_json(&FindInteraction::new(ADA, "k"));
}

#[tokio::test]
async fn a_key_is_forgotten_when_it_is_older_than_the_sweep_says_and_not_sooner() {
    let store = without_sweeps().await;
    let first = save(&store, keyed("old")).await;
    old_key(&store, "old too", 1, store.now()).await;
    store.clock().advance(HOUR);
    save(&store, keyed("new")).await;
    old_key(&store, "new too", 1, store.now()).await;
    store.clock().advance(DAY - HOUR);
    assert_eq!(sweep(&store, DAY).await, 0, "exactly a day old");
    store.clock().advance(MICRO);
    assert_eq!(sweep(&store, Duration::MAX).await, 0);
    let messages = picture(&store).await.remove("messages");
    assert_eq!(sweep(&store, DAY).await, 2);
    // The key is forgotten, not what was said.
    assert_eq!(picture(&store).await.remove("messages"), messages);
    for (key, is_known) in [
        ("old", false),
        ("old too", false),
        ("new", true),
        ("new too", true),
    ] {
        assert_eq!(find(&store, ADA, key).await.is_some(), is_known, "{key}");
    }
    let anew = save(&store, keyed("old")).await;
    assert_ne!(anew.message_id, first.message_id);
    changes_nothing(&store, keyed("new")).await;
    assert_eq!(sweep(&store, DAY).await, 0);
    store.clock().advance(MICRO);
    assert_eq!(sweep(&store, Duration::ZERO).await, 3);
    assert_eq!(sweep(&store, Duration::ZERO).await, 0);
}

#[tokio::test]
async fn the_store_sweeps_by_itself_in_time() {
    for retention in [HOUR, 7 * DAY] {
        let configure = |config: botstore::Config| config.idempotency_retention(retention);
        let store = TestStore::open_with(configure).await.expect("a store");
        populate(&store).await;
        save(&store, keyed("k")).await;
        old_key(&store, "old", 1, store.now()).await;
        store.run_due().await.expect("upkeep");
        store.clock().advance(retention);
        store.run_due().await.expect("upkeep");
        assert!(find(&store, ADA, "k").await.is_some());
        // An eighth later at most.
        store.clock().advance(retention / 8);
        store.run_due().await.expect("upkeep");
        assert_eq!(find(&store, ADA, "k").await, None);
        assert_eq!(find(&store, ADA, "old").await, None);
    }
}

#[tokio::test]
async fn keys_from_before_step_ten_are_known_and_none_is_added_to_them() {
    let store = populated().await;
    let mut plain = keyed("");
    plain.idempotency_key = None;
    let first = save(&store, plain).await;
    let at = store.now();
    old_key(&store, "old", 1, at).await;
    // Of a message that is gone: nobody knows what it said.
    old_key(&store, "gone", 99, at).await;
    let old = picture(&store).await.remove("botstore_idempotency");
    store.clock().advance(HOUR);
    assert_eq!(
        find(&store, ADA, "old").await,
        Some(first.clone().repeated())
    );
    assert_eq!(
        changes_nothing(&store, keyed("old")).await,
        first.repeated()
    );
    let mut other = keyed("old");
    other.prompt = "something else".into();
    refused(&store, other.clone(), Conflict, "idempotency_key").await;
    other.idempotency_key = Some("gone".into());
    assert_eq!(changes_nothing(&store, other).await.message_id, 99);
    save(&store, of_bob("old")).await;
    save(&store, keyed("new")).await;
    let mut after = picture(&store).await;
    assert_eq!(after.remove("botstore_idempotency"), old);
    assert_eq!(after["botstore_update"].len(), 2);
}

#[tokio::test]
async fn a_file_that_was_taken_back_to_step_nine_goes_on_without_the_keys_since() {
    let store = populated().await;
    let first = save(&store, keyed("new")).await;
    let mut other = keyed("old");
    other.idempotency_key = None;
    let second = save(&store, other).await;
    old_key(&store, "old", second.message_id.get(), store.now()).await;
    let clock = store.clock().clone();
    let (_folder, path) = store.into_file().await.expect("a file");
    let config = || Config::new(&path).clock(clock.clone());
    schema::rollback(config(), "botstore", 9).expect("a way back");
    let store = Store::open(config()).await.expect("a store");
    let again = store.write(keyed("old")).await.expect("a receipt");
    assert_eq!(again, second.repeated());
    // A digest tells no key: the step back has nothing to write where they were.
    let anew = store.write(keyed("new")).await.expect("a receipt");
    assert!(!anew.repeated && anew.message_id != first.message_id);
    assert!(store.write(keyed("new")).await.expect("a receipt").repeated);
    store.close().await.expect("it closes");
}

#[tokio::test]
async fn nothing_that_another_program_writes_there_fails_a_save() {
    const ODD: [&str; 12] = [
        "NULL",
        "0",
        "-1",
        "0.5",
        "9e999",
        "''",
        "'odd'",
        "'2026-03-10'",
        "x''",
        "x'00'",
        "zeroblob(17)",
        "9223372036854775807",
    ];
    let store = without_sweeps().await;
    for column in [
        "content",
        "message_id",
        "ticket",
        "recorded_at",
        "claimed_until",
    ] {
        for odd in ODD {
            if (column, odd) == ("recorded_at", "NULL") {
                continue; // The column refuses that.
            }
            let context = format!("{column} = {odd}");
            let key = format!("{column} {odd}");
            let first = save(&store, keyed(&key)).await;
            let changed = Sql::run(
                &store,
                format!(
                    "UPDATE botstore_update SET {column} = {odd} WHERE message_id = {}",
                    first.message_id
                ),
            )
            .await;
            assert_eq!(changed, 1, "{context}");
            let again = store.write(keyed(&key)).await.expect(&context);
            assert!(again.repeated, "{context}");
            assert_eq!(find(&store, ADA, &key).await, Some(again), "{context}");
        }
    }
    // Nor a sweep; and what is no time is old.
    for odd in &ODD[1..] {
        let sql = format!("INSERT INTO botstore_update (key, recorded_at) VALUES ({odd}, 0)");
        Sql::run(&store, sql).await;
    }
    store.clock().advance(DAY);
    sweep(&store, HOUR).await;
    for odd in ODD {
        let kept = keyed(&format!("kept {odd}"));
        save(&store, kept.clone()).await;
        assert!(save(&store, kept).await.repeated);
    }
    let left = picture(&store).await.remove("botstore_update").expect("it");
    assert_eq!(left.len(), ODD.len(), "{left:?}");
}

#[tokio::test]
async fn a_sweep_passes_over_no_key_however_many_pieces_it_takes() {
    let store = without_sweeps().await;
    // Every third is young.
    let now = store.now().timestamp_micros();
    Sql::run(
        &store,
        format!(
            "INSERT INTO botstore_update (key, content, message_id, recorded_at)
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30000)
             SELECT CAST(printf('%016d', (i * 7919) % 30011) AS BLOB), zeroblob(16), i,
                    {now} - (i % 3 > 0) * 7200000000 FROM n"
        ),
    )
    .await;
    for user in 0..50 {
        old_key(&store, &format!("{user}"), user, store.now() - 2 * HOUR).await;
    }
    assert_eq!(sweep(&store, HOUR).await, 20_050);
    let left = picture(&store).await;
    assert_eq!(left["botstore_update"].len(), 10_000);
    assert!(left["botstore_idempotency"].is_empty());
}
