//! JSON that somebody else wrote is given whole, and a document that is only a number stays as it was written.

use crate::support::{populate, populated};
use botstore::audit::{EventFilter, LogEvent, UserAuditLog};
use botstore::interactions::SaveInteraction;
use botstore::page::PageRequest;
use botstore::rusqlite::Connection;
use botstore::testing::TestStore;
use botstore::tools::{RecordToolUse, SessionToolUse, ToolCall};
use serde_json::{Value, json};

fn alter(store: &TestStore, sql: &str) {
    let conn = Connection::open(store.path()).expect("open");
    conn.execute_batch(sql).expect(sql);
}

/// The newest documents of a tool use and of an event.
async fn documents(store: &TestStore) -> [Option<Value>; 2] {
    let (user_id, page) = (1, PageRequest::first(1));
    let session_id = "s".to_owned();
    let uses = SessionToolUse::new(user_id, session_id).page(page.clone());
    let filter = EventFilter::default();
    let events = UserAuditLog::new(user_id).filter(filter).page(page);
    let mut uses = store.read(uses).await.expect("tool uses").items;
    let mut events = store.read(events).await.expect("events").items;
    [uses.remove(0).tool_input, events.remove(0).event_data]
}

/// A tool use and an event about this.
async fn save(store: &TestStore, document: &Value) {
    let record = RecordToolUse::new(1, "s", ToolCall::new("Read").input(document.clone()));
    store.write(record).await.expect("a tool use");
    let event = LogEvent::new(1, "login").event_data(document.clone());
    store.write(event).await.expect("an event");
}

#[tokio::test]
async fn what_cannot_be_read_without_loss_is_one_string_of_the_whole_text() {
    let store = populated().await;
    save(&store, &Value::Null).await;
    let python = [
        "{\"path\": \"/srv\", \"score\": NaN}",
        "[Infinity, -Infinity]",
        "{\"text\": \"\\ud83e\"}",
        "{\"\\udd16\": 1}",
        "{\"a\": 1, \"a\": 2}",
        "[123456789012345678901234567890]",
        "{\"large\": 1e999}",
    ];
    let nobody = [
        "",
        "not json",
        "{'a': 1}",
        "{\"a\": 1",
        "nan",
        "\u{0}",
        "{\"a\": 1}\u{0}",
    ];
    for (text, is_pythons) in python
        .map(|text| (text, true))
        .into_iter()
        .chain(nobody.map(|text| (text, false)))
    {
        let digits: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
        let stored = format!("CAST(x'{digits}' AS TEXT)");
        let sql = format!(
            "UPDATE tool_usage SET tool_input = {stored}; UPDATE audit_log SET event_data = {stored};"
        );
        alter(&store, &sql);
        let whole = Some(json!(text));
        assert_eq!(
            documents(&store).await,
            [whole.clone(), whole.clone()],
            "{text:?}"
        );
        // What Python reads is left to it; what nobody reads becomes the string that it is shown as.
        let repaired = store.repair_values(|_| Ok(())).await.expect("a repair");
        assert_eq!(repaired.written == 0, is_pythons, "{text:?}: {repaired:?}");
        assert_eq!(
            documents(&store).await,
            [whole.clone(), whole],
            "{text:?}, set right"
        );
    }
    for (value, shown) in [
        (
            "CAST(x'7b22613a22ff227d' AS TEXT)",
            json!("{\"a:\"\u{fffd}\"}"),
        ),
        ("x'7b7d'", json!({})),
        ("x'ff'", json!("\u{fffd}")),
        ("9e999", json!("inf")),
        ("1.5", json!(1.5)),
    ] {
        alter(
            &store,
            &format!(
                "UPDATE tool_usage SET tool_input = {value}; UPDATE audit_log SET event_data = {value};"
            ),
        );
        assert_eq!(
            documents(&store).await,
            [Some(shown.clone()), Some(shown)],
            "{value}"
        );
    }
}

#[tokio::test]
async fn a_document_that_is_only_a_number_stays_as_it_was_written() {
    let store = TestStore::open().await.expect("a store");
    populate(&store).await;
    for number in [
        "1.0",
        "-0.0",
        "0",
        "1",
        "-1",
        "18446744073709551615",
        "-9223372036854775808",
        "9007199254740993",
        "0.1",
        "1e300",
        "1e-7",
        "5e-324",
        "100000000000000000000.0",
    ] {
        let document: Value = serde_json::from_str(number).expect("JSON");
        save(&store, &document).await;
        let [input, data] = documents(&store)
            .await
            .map(|read| read.expect("a document"));
        for read in [input, data] {
            assert_eq!(read, document);
            assert_eq!(read.to_string(), document.to_string());
        }
        let conn = Connection::open(store.path()).expect("open");
        let sql = "SELECT CAST(tool_input AS TEXT) FROM tool_usage ORDER BY id DESC LIMIT 1";
        let text: String = conn.query_row(sql, [], |row| row.get(0)).expect("a text");
        assert_eq!(text, document.to_string());
        let interaction =
            SaveInteraction::new(1, "s", "").tool(ToolCall::new("Read").input(document.clone()));
        store.write(interaction).await.expect("saved");
        assert_eq!(documents(&store).await[0], Some(document));
    }
    let odd = store
        .read(botstore::integrity::CheckFile::new())
        .await
        .expect("a report")
        .odd_values;
    assert_eq!(odd.total, 0, "{odd:?}");
}

#[tokio::test]
async fn documents_that_are_no_numbers_are_texts_as_ever() {
    let store = populated().await;
    for document in [
        json!({}),
        json!([1.0]),
        json!("12"),
        json!(true),
        Value::Null,
        json!(""),
    ] {
        save(&store, &document).await;
        assert_eq!(
            documents(&store).await,
            [Some(document.clone()), Some(document.clone())]
        );
        let conn = Connection::open(store.path()).expect("open");
        let sql = "SELECT typeof(tool_input) FROM tool_usage ORDER BY id DESC LIMIT 1";
        let held: String = conn.query_row(sql, [], |row| row.get(0)).expect("a type");
        assert_eq!(held, "text", "{document}");
    }
}
