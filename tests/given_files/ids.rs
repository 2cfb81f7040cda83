//! Counters of ids that stand at their end are told from a full disk.

use crate::support::{Given, interaction, run};
use botstore::audit::LogEvent;
use botstore::integrity::CheckFile;
use botstore::tokens::IssueToken;
use botstore::users::{EnsureUser, Touch};
use botstore::{Error, ErrorKind, Store};

fn event() -> LogEvent {
    LogEvent::new(1, "login")
}

fn is_told(error: &Error, table: &str) {
    assert_eq!(error.kind(), ErrorKind::NoIdsLeft, "{error}");
    assert!(!error.is_transient());
    assert!(error.to_string().contains(table), "{error}");
    assert!(!error.to_string().contains("make room"), "{error}");
}

#[tokio::test]
async fn a_counter_at_its_end_is_no_full_disk_and_keeps_nobody_else_from_writing() {
    // What SQLite reads as the largest number, and an id that is.
    for forged in [
        "UPDATE sqlite_sequence SET seq = 9223372036854775807",
        "UPDATE sqlite_sequence SET seq = 1e300",
        "UPDATE sqlite_sequence SET seq = '9223372036854775807'",
        "UPDATE audit_log SET id = 9223372036854775807 WHERE id = 1;
         INSERT INTO user_tokens (token_id, user_id, token_hash) VALUES (9223372036854775807, 1, 'x');
         UPDATE messages SET message_id = 9223372036854775807 WHERE message_id = 3;
         DELETE FROM sqlite_sequence;",
    ] {
        let given = Given::file().await;
        given.forge(&format!(
            "PRAGMA foreign_keys = OFF;
             INSERT INTO user_tokens (user_id, token_hash) VALUES (1, 'y');
             {forged}"
        ));
        let store = Store::open(given.config()).await.expect("a store");
        let mut events = store.events();
        let token = IssueToken::new(1);
        // Together, so that they may share a transaction.
        let (failed, fine, issued, saved) = tokio::join!(
            store.write(event()),
            store.write(Touch::new(1)),
            store.write(token),
            store.write(interaction()),
        );
        is_told(&failed.expect_err(forged), "audit_log");
        fine.expect("its neighbour");
        is_told(&issued.expect_err(forged), "user_tokens");
        is_told(&saved.expect_err(forged), "");
        store.write(EnsureUser::new(9, None)).await.expect("a user");
        assert!(store.health().await.expect("health").ok);
        let report = store.read(CheckFile::new()).await.expect("a report");
        assert!(report.ids.total >= 3, "{forged}: {:?}", report.ids);
        assert!(report.differs() && !report.is_damaged());
        store.close().await.expect("closed");
        assert!(events.try_recv().is_err(), "nothing fails for good");
        let ran = run("check", &given.path, &[]).came_to(4);
        assert!(ran.out.contains("audit_log"), "{}", ran.out);
        assert!(ran.out.contains("9223372036854775807"), "{}", ran.out);
    }
}

#[tokio::test]
async fn a_counter_near_its_end_is_found_before_it_is_there() {
    let given = Given::file().await;
    given.forge("UPDATE sqlite_sequence SET seq = 9223372036854775000 WHERE name = 'messages'");
    let store = Store::open(given.config()).await.expect("a store");
    store
        .write(interaction())
        .await
        .expect("there are some left");
    let report = store.read(CheckFile::new()).await.expect("a report");
    assert_eq!(report.ids.total, 1);
    assert_eq!(report.ids.first[0].table, "messages");
    store.close().await.expect("closed");
    let json = run("check", &given.path, &["--json"]).came_to(4).json();
    assert_eq!(json["report"]["ids"]["first"][0]["table"], "messages");
}
