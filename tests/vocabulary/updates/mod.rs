//! Updates that are claimed: each is done once, whoever is delivered it and however often.

mod leases;

use crate::support::{
    ADA, DAY, HOUR, MICRO, Run, changes_nothing, populate, populated, refused, survives_json,
};
use botstore::Config;
use botstore::ErrorKind::{Conflict, Invalid};
use botstore::interactions::{FindInteraction, SaveInteraction, SweepKeys};
use botstore::testing::{FixedClock, Plain, TestStore};
use botstore::updates::{
    Claim, ClaimUpdate, FinishUpdate, MAX_LEASE, MIN_LEASE, ReleaseUpdate, Ticket,
};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
const LEASE: Duration = Duration::from_secs(5 * 60);

fn claim(update_id: i64) -> ClaimUpdate {
    ClaimUpdate::new("telegram", update_id)
}

async fn claimed(store: &TestStore, update: ClaimUpdate) -> Claim {
    store.write(update).await.expect("an answer")
}

async fn first(store: &TestStore, update: ClaimUpdate) -> Ticket {
    match claimed(store, update).await {
        Claim::First { ticket } => ticket,
        other => panic!("it is not the first: {other:?}"),
    }
}

async fn finish(store: &TestStore, ticket: &Ticket) {
    let finish = FinishUpdate::new(ticket.clone());
    store.write(finish).await.expect("it is finished");
}

fn is_held(claim: &Claim) -> bool {
    matches!(claim, Claim::Held { .. })
}

async fn without_sweeps() -> TestStore {
    let long = |config: Config| config.idempotency_retention(3_650 * DAY);
    let store = TestStore::open_with(long).await.expect("a store");
    populate(&store).await;
    store
}

#[tokio::test]
async fn an_update_is_somebodys_until_it_is_finished_and_then_it_was_seen() {
    let store = populated().await;
    let ticket = first(&store, claim(1)).await;
    store.clock().advance(MINUTE);
    let until = store.now() + LEASE - MINUTE;
    let held = changes_nothing(&store, claim(1)).await;
    assert_eq!(held, Claim::Held { until });
    finish(&store, &ticket).await;
    assert_eq!(changes_nothing(&store, claim(1)).await, Claim::Seen);
    // Sent again, it is as it was.
    store.clock().advance(HOUR);
    changes_nothing(&store, FinishUpdate::new(ticket.clone())).await;
    assert_eq!(changes_nothing(&store, claim(1)).await, Claim::Seen);
    for answer in [
        Claim::First {
            ticket: ticket.clone(),
        },
        held,
        Claim::Seen,
    ] {
        survives_json(&answer);
    }
    survives_json(&claim(1));
    survives_json(&FinishUpdate::new(ticket.clone()));
    survives_json(&ReleaseUpdate::new(ticket));
    let short = r#"{"source":"telegram","update_id":"2"}"#;
    let short: ClaimUpdate = serde_json::from_str(short).expect("a message");
    assert_eq!(short, claim(2));
}

#[tokio::test]
async fn an_update_is_known_by_its_source_and_its_id_and_by_nothing_else() {
    let store = populated().await;
    first(&store, claim(7)).await;
    // A number is its digits.
    for same in [
        ClaimUpdate::new("telegram", "7"),
        ClaimUpdate::new("telegram", 7_u32),
        ClaimUpdate::new("telegram", 7_u64),
        ClaimUpdate::new(String::from("telegram"), String::from("7")),
        claim(7).lease(HOUR),
    ] {
        assert!(is_held(&claimed(&store, same).await));
    }
    for other in [
        ClaimUpdate::new("telegram", "07"),
        ClaimUpdate::new("telegram", -7),
        ClaimUpdate::new("telegram", 70),
        ClaimUpdate::new("Telegram", 7),
        ClaimUpdate::new("telegram7", "7"),
        ClaimUpdate::new("tele", "gram7"),
        ClaimUpdate::new("telegram\0", "7"),
        ClaimUpdate::new("telegram", u64::MAX),
        ClaimUpdate::new("slack", "Ev0PV52K25"),
        ClaimUpdate::new("matrix", "$143273582443PhrSn:example.org"),
    ] {
        first(&store, other).await;
    }
}

#[tokio::test]
async fn an_update_and_an_idempotency_key_of_one_text_do_not_know_each_other() {
    let store = populated().await;
    let ticket = first(&store, claim(1)).await;
    let save = SaveInteraction::new(ADA, "ada-1", "Hello").idempotency_key("1");
    let receipt = store.write(save).await.expect("a receipt");
    assert!(!receipt.repeated);
    finish(&store, &ticket).await;
    let find = FindInteraction::new(ADA, "1");
    let found = store.read(find).await.expect("an answer");
    assert_eq!(found, Some(receipt.repeated()));
}

#[tokio::test]
async fn what_is_released_is_the_next_ones_at_once() {
    let store = populated().await;
    let failed = first(&store, claim(1)).await;
    let release = || ReleaseUpdate::new(failed.clone());
    store.write(release()).await.expect("it is given back");
    changes_nothing(&store, release()).await;
    let next = first(&store, claim(1)).await;
    refused(&store, release(), Conflict, "ticket").await;
    refused(
        &store,
        FinishUpdate::new(failed.clone()),
        Conflict,
        "ticket",
    )
    .await;
    finish(&store, &next).await;
    let back = ReleaseUpdate::new(next);
    refused(&store, back, Conflict, "ticket").await;
    assert_eq!(claimed(&store, claim(1)).await, Claim::Seen);
}

#[tokio::test]
async fn what_names_no_update_or_no_lease_is_refused() {
    let store = populated().await;
    let long = "x".repeat(4_097);
    for (source, update_id, field) in [
        ("", "1", "source"),
        ("telegram", "", "update_id"),
        (&long, "1", "source"),
        ("telegram", &long, "update_id"),
    ] {
        let ticket = Ticket::new(source, update_id, 1);
        refused(&store, ClaimUpdate::new(source, update_id), Invalid, field).await;
        refused(&store, FinishUpdate::new(ticket.clone()), Invalid, field).await;
        refused(&store, ReleaseUpdate::new(ticket), Invalid, field).await;
    }
    let nanosecond = Duration::from_nanos(1);
    for lease in [
        Duration::ZERO,
        MIN_LEASE - nanosecond,
        MAX_LEASE + nanosecond,
        Duration::MAX,
    ] {
        refused(&store, claim(1).lease(lease), Invalid, "lease").await;
    }
}

#[tokio::test]
async fn a_sweep_forgets_what_is_done_or_given_up_and_no_claim_whose_lease_runs() {
    let store = without_sweeps().await;
    let done = first(&store, claim(1).lease(MAX_LEASE)).await;
    first(&store, claim(2)).await;
    first(&store, claim(3).lease(MAX_LEASE)).await;
    store.clock().advance(HOUR);
    finish(&store, &done).await;
    // It is as old as its end.
    let sweep = |older_than| store.write(SweepKeys::new(older_than));
    assert_eq!(sweep(MINUTE).await.expect("a sweep"), 1, "2 was given up");
    store.clock().advance(MINUTE);
    assert_eq!(sweep(MINUTE).await.expect("a sweep"), 0);
    store.clock().advance(MICRO);
    assert_eq!(sweep(Duration::ZERO).await.expect("a sweep"), 1);
    assert!(is_held(&claimed(&store, claim(3)).await));
    store.clock().advance(MAX_LEASE);
    assert_eq!(sweep(Duration::ZERO).await.expect("a sweep"), 1);
}

#[tokio::test]
async fn nothing_that_another_program_writes_there_holds_an_update_for_ever() {
    for column in [
        "content",
        "message_id",
        "ticket",
        "recorded_at",
        "claimed_until",
    ] {
        for odd in [
            "0",
            "-1",
            "0.5",
            "9e999",
            "'odd'",
            "x'00'",
            "253402300799000000",
            "9223372036854775807",
        ] {
            let context = format!("{column} = {odd}");
            let store = without_sweeps().await;
            first(&store, claim(1)).await;
            let sql = format!("UPDATE botstore_update SET {column} = {odd}");
            store.write(Run(sql)).await.expect(&context);
            // Somebody may be at it, for no longer than anybody may.
            let now = store.write(claim(1)).await.expect(&context);
            assert_ne!(now, Claim::Seen, "{context}");
            store.clock().advance(MAX_LEASE);
            if is_held(&now) {
                first(&store, claim(1)).await;
            }
        }
    }
}

/// In one transaction, so that a hundred thousand take no hundred thousand commits.
#[test]
fn whatever_the_order_and_however_often_each_update_is_done_once() {
    // Ten times as many: BOTSTORE_TEST_UPDATES=1000000.
    let updates = std::env::var("BOTSTORE_TEST_UPDATES").ok();
    let updates = updates.and_then(|updates| updates.parse().ok());
    let updates: u32 = updates.unwrap_or(100_000);
    let folder = tempfile::tempdir().expect("a folder");
    let config = Config::new(folder.path().join("plain.db")).clock(FixedClock::default());
    let plain = Plain::open(config).expect("a file");
    let mut random = fastrand::Rng::with_seed(fastrand::u64(..));
    let mut delivered: Vec<_> = (0..updates).chain(0..updates / 10).collect();
    random.shuffle(&mut delivered);
    let mut done = vec![0_u8; updates as usize];
    plain
        .write(|tx| {
            let mut at_work = Vec::new();
            for update_id in delivered {
                match tx.apply(&ClaimUpdate::new("telegram", update_id))? {
                    Claim::First { ticket } => at_work.push((update_id, ticket)),
                    Claim::Seen => assert_eq!(done[update_id as usize], 1),
                    Claim::Held { .. } => assert_eq!(done[update_id as usize], 0),
                    other => panic!("{other:?}"),
                }
                // Some are at it for long.
                if at_work.len() > 50 {
                    let (update_id, ticket) = at_work.swap_remove(random.usize(..at_work.len()));
                    done[update_id as usize] += 1;
                    tx.apply(&FinishUpdate::new(ticket))?;
                }
            }
            for (update_id, ticket) in at_work {
                done[update_id as usize] += 1;
                tx.apply(&FinishUpdate::new(ticket))?;
            }
            for update_id in 0..updates {
                let claim = tx.apply(&ClaimUpdate::new("telegram", update_id))?;
                assert_eq!(claim, Claim::Seen, "{update_id}");
            }
            Ok(())
        })
        .expect("it is written");
    assert!(done.iter().all(|&times| times == 1));
}

#[tokio::test]
async fn a_number_in_json_is_the_same_update_as_its_digits() {
    let store = without_sweeps().await;
    for (json, text) in [
        ("1001", "1001"),
        ("0", "0"),
        ("-7", "-7"),
        ("9223372036854775807", "9223372036854775807"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("18446744073709551615", "18446744073709551615"),
        ("\"$event:example.org\"", "$event:example.org"),
        ("\"007\"", "007"),
    ] {
        let json = format!(r#"{{"source": "telegram", "update_id": {json}}}"#);
        let claim: ClaimUpdate = serde_json::from_str(&json).expect(&json);
        assert_eq!(claim, ClaimUpdate::new("telegram", text), "{json}");
        // By way of a value, too, as a web service reads it.
        let value: serde_json::Value = serde_json::from_str(&json).expect("JSON");
        let claim: ClaimUpdate = serde_json::from_value(value).expect(&json);
        survives_json(&claim);
        let ticket = first(&store, claim).await;
        finish(&store, &ticket).await;
        let again = claimed(&store, ClaimUpdate::new("telegram", text)).await;
        assert_eq!(again, Claim::Seen, "{json}");
    }
    for wrong in [
        "1.5",
        "1e3",
        "true",
        "null",
        "[1]",
        "{}",
        "18446744073709551616",
    ] {
        let json = format!(r#"{{"source": "telegram", "update_id": {wrong}}}"#);
        let error = serde_json::from_str::<ClaimUpdate>(&json).expect_err(wrong);
        assert!(
            error.to_string().contains("a text or a whole number"),
            "{error}"
        );
    }
}
