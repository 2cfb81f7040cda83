//! Triggers that no step made are kept from running where a host says so.

use crate::objects::{Count, EVIL, event, told};
use crate::support::{Given, interaction};
use botstore::Store;
use botstore::rollups::ReconcileRollups;
use botstore::schema::{Migration, Schema, UnknownTriggers};
use botstore::users::IsAllowed;
use std::path::Path;

/// A host with a trigger of its own, on the crate's table.
pub(crate) struct Logging;

impl Schema for Logging {
    const NAME: &'static str = "logging";
    const MIGRATIONS: &'static [Migration] = &[Migration::new(
        1,
        "said",
        "CREATE TABLE said (id INTEGER PRIMARY KEY, prompt TEXT);
         CREATE TRIGGER said_more AFTER INSERT ON messages BEGIN
             INSERT INTO said (prompt) VALUES (new.prompt); END;",
        "DROP TRIGGER said_more; DROP TABLE said;",
    )];
}

#[tokio::test]
async fn with_disable_what_steps_made_runs_and_nothing_else() {
    let given = Given::file().await;
    given.forge(EVIL);
    // On what steps and openings change too.
    given.forge(
        "CREATE TRIGGER worse AFTER UPDATE ON messages BEGIN UPDATE users SET is_allowed = 1; END;
         UPDATE messages SET timestamp = '2026-03-10 15:30:00' WHERE message_id = 1;
         UPDATE users SET is_allowed = 0 WHERE user_id = 2;",
    );
    let config = || {
        let config = given.config().schema::<Logging>();
        config.unknown_triggers(UnknownTriggers::Disable)
    };
    let before = given.dump();
    for zone in ["UTC", "Europe/Berlin"] {
        let store = Store::open(config().time_zone(zone))
            .await
            .expect("a store");
        assert_eq!(told(&store).await.total, 2);
        let said = store
            .read(Count("SELECT count(*) FROM said"))
            .await
            .expect("a count");
        store.write(interaction()).await.expect("saved");
        store.write(event()).await.expect("acknowledged");
        let counted = store
            .read(Count("SELECT count(*) FROM said"))
            .await
            .expect("a count");
        assert_eq!(counted, said + 1, "the host's own trigger");
        let events = "SELECT count(*) FROM audit_log WHERE event_type = 'login'";
        assert!(store.read(Count(events)).await.expect("a count") > 0);
        assert!(!store.read(IsAllowed::new(2)).await.expect("an answer"));
        let report = store.read(ReconcileRollups::new()).await.expect("a report");
        assert_eq!(report.differences, 0, "{:?}", report.named);
        // Added while the store is open, by somebody else.
        given.forge(
            "DROP TRIGGER IF EXISTS later;
             CREATE TRIGGER later AFTER INSERT ON audit_log BEGIN UPDATE users SET is_allowed = 1; END;",
        );
        store.write(event()).await.expect("acknowledged");
        assert!(!store.read(IsAllowed::new(2)).await.expect("an answer"));
        given.forge("DROP TRIGGER later");
        store.close().await.expect("closed");
    }
    let after = given.dump();
    let lost: Vec<_> = before.iter().filter(|line| !after.contains(line)).collect();
    assert!(
        lost.iter()
            .all(|line| line.starts_with("ids") || line.contains("minutes")),
        "the file keeps its triggers: {lost:?}"
    );
}

/// Its steps change rows of users, which is what the trigger waits for.
#[tokio::test]
async fn with_disable_no_trigger_of_a_file_that_is_taken_over_runs() {
    let given = Given::nowhere();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/legacy");
    std::fs::copy(fixtures.join("v1.db"), &given.path).expect("a copy");
    given.forge(
        "CREATE TRIGGER evil AFTER UPDATE ON users BEGIN
             UPDATE users SET is_allowed = 9 WHERE user_id = new.user_id; END;",
    );
    let config = given.config().unknown_triggers(UnknownTriggers::Disable);
    let store = Store::open(config).await.expect("a store");
    let sql = "SELECT count(*) FROM users WHERE is_allowed = 9";
    assert_eq!(store.read(Count(sql)).await.expect("a count"), 0);
    let report = store.read(ReconcileRollups::new()).await.expect("a report");
    assert_eq!(report.differences, 0, "{:?}", report.named);
    store.close().await.expect("closed");
}
