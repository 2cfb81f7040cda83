//! The check of a file: damage, references, counters.

use crate::support::{ADA, BOB, populated};
use botstore::costs::AddCost;
use botstore::integrity::{CheckFile, CheckReport, Difference, MAX_FINDINGS};
use botstore::interactions::SaveInteraction;
use botstore::sessions::SaveSession;
use botstore::testing::TestStore;
use botstore::testing::usd;
use botstore::{ErrorKind, Mutation, Query, ReadTx, Result, WriteTx};

async fn check(store: &TestStore) -> CheckReport {
    store.read(CheckFile::new()).await.expect("a report")
}

async fn say(store: &TestStore, user_id: i64, session_id: &str, cost: f64) {
    let interaction = SaveInteraction::new(user_id, session_id.to_owned(), "Hello").cost(usd(cost));
    store.write(interaction).await.expect("a receipt");
}

/// What no message of this crate does to a file.
struct Run(&'static str);

impl Mutation for Run {
    type Output = usize;

    fn apply(&self, tx: &WriteTx<'_>) -> Result<usize> {
        tx.execute(self.0, [])
    }
}

fn difference(counter: &str, of: &str, stored: f64, counted: f64) -> Difference {
    Difference::new(counter.to_owned(), of.to_owned(), stored, counted)
}

#[tokio::test]
async fn what_the_store_counted_agrees_with_what_it_keeps() {
    let store = populated().await;
    for number in 0..50 {
        say(&store, ADA, "ada-1", f64::from(number) / 3.0).await;
        say(&store, BOB, "bob-1", 0.1).await;
    }
    // Counted on the day, and no message.
    let cost = AddCost::new(ADA, usd(2.5));
    store.write(cost).await.expect("a cost");
    assert_eq!(check(&store).await, CheckReport::default());
}

#[tokio::test]
async fn each_counter_that_differs_is_named_with_both_numbers() {
    let store = populated().await;
    say(&store, ADA, "ada-1", 0.5).await;
    say(&store, BOB, "bob-1", 0.25).await;
    for sql in [
        "UPDATE users SET message_count = NULL, total_cost = 7.0 WHERE user_id = 1",
        "UPDATE users SET session_count = 3 WHERE user_id = 2",
        "UPDATE cost_tracking SET request_count = 0, daily_cost = 0.0 WHERE user_id = 2",
    ] {
        let sql = sql.replace("user_id = 1", &format!("user_id = {ADA}"));
        let sql = sql.replace("user_id = 2", &format!("user_id = {BOB}"));
        store.write(Run(sql.leak())).await.expect("a change");
    }
    let own_totals = SaveSession::new(BOB, "bob-1", "/srv")
        .total_cost(usd(9.0))
        .total_turns(9)
        .message_count(9);
    store.write(own_totals).await.expect("a session");
    let report = check(&store).await;
    assert!(report.differs() && !report.is_damaged());
    assert_eq!(report.differences.total, 7);
    let (ada, bob) = (ADA.to_string(), BOB.to_string());
    let day = format!("{BOB} on 2026-03-10");
    let expected = [
        difference("users.message_count", &ada, 0.0, 1.0),
        difference("users.total_cost", &ada, 7.0, 0.5),
        difference("cost_tracking.request_count", &day, 0.0, 1.0),
        difference("cost_tracking.daily_cost", &day, 0.0, 0.25),
        difference("users.session_count", &bob, 3.0, 1.0),
        difference("sessions.message_count", "bob-1", 9.0, 1.0),
        difference("sessions.total_cost", "bob-1", 9.0, 0.25),
    ];
    for difference in expected {
        assert!(
            report.differences.first.contains(&difference),
            "{difference:?}: {report:?}"
        );
    }
}

#[tokio::test]
async fn lists_are_bounded_and_totals_are_not() {
    let store = populated().await;
    let many = "INSERT INTO users (user_id, first_seen, last_active, message_count)
                WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 250)
                SELECT 1000 + i, '2026-03-10T12:00:00.000000+00:00',
                       '2026-03-10T12:00:00.000000+00:00', 1 FROM n";
    store.write(Run(many)).await.expect("users");
    let report = check(&store).await;
    assert_eq!(report.differences.total, 250);
    assert_eq!(report.differences.first.len(), MAX_FINDINGS);
}

#[tokio::test]
async fn the_report_survives_json() {
    let store = populated().await;
    let wrong = "UPDATE sessions SET message_count = 5";
    store.write(Run(wrong)).await.expect("a change");
    crate::support::survives_json(&check(&store).await);
}

struct Ask(&'static str);

impl Query for Ask {
    type Output = ();

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<()> {
        tx.all(self.0, [], |_| Ok(()))?;
        Ok(())
    }
}

#[tokio::test]
async fn queries_may_look_for_damage_and_set_nothing() {
    let store = populated().await;
    for allowed in [
        "PRAGMA integrity_check",
        "PRAGMA integrity_check(1)",
        "PRAGMA foreign_key_check",
        "SELECT * FROM pragma_foreign_key_check",
        "PRAGMA page_size",
        "PRAGMA database_list",
    ] {
        store.read(Ask(allowed)).await.expect(allowed);
    }
    for refused in [
        "PRAGMA quick_check",
        "PRAGMA optimize",
        "PRAGMA query_only = OFF",
        "PRAGMA synchronous = OFF",
        "PRAGMA foreign_keys = OFF",
        "PRAGMA ignore_check_constraints = ON",
        "PRAGMA writable_schema = ON",
        "PRAGMA wal_checkpoint(TRUNCATE)",
        "PRAGMA journal_mode = DELETE",
        "PRAGMA incremental_vacuum",
        "PRAGMA user_version = 9",
        "PRAGMA shrink_memory",
        "PRAGMA page_size = 512",
    ] {
        let error = store.read(Ask(refused)).await.expect_err(refused);
        assert_eq!(error.kind(), ErrorKind::Sql, "{refused}: {error}");
    }
}
