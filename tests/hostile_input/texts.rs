//! Every text field of every message, filled with what is more than text to a careless store.

use crate::fields::{field, name, numbered, pointers, says};
use crate::support::{SchemaOf, everything_is_answered, populated};
use crate::vocabulary::{Answer, Kind, vocabulary};
use crate::wait::patient;
use botstore::integrity::CheckFile;
use botstore::testing::FixedClock;
use botstore::updates::ClaimUpdate;
use botstore::{Config, Durability, ErrorKind, Query, ReadTx, Result, Store};
use serde_json::{Value, json};
use std::time::Duration;

fn hostile() -> Vec<String> {
    let mut texts: Vec<String> = [
        "",
        " ",
        "'",
        "\"",
        "`",
        "''",
        "'); DROP TABLE users; --",
        "\"; DELETE FROM messages; --",
        "' OR '1'='1",
        "' UNION SELECT sql FROM sqlite_schema --",
        "1; ATTACH 'x.db' AS x; --",
        "; PRAGMA writable_schema = ON; --",
        "/* */ -- \n; COMMIT;",
        "?1 :name @name $name %s {} \\",
        "\u{0}",
        "before\u{0}after",
        "'\u{0}'; DROP TABLE sessions; --",
        "%",
        "_",
        "*",
        "[a-z]?*",
        "%' ESCAPE '%",
        "\u{202e}txet\u{202c}\u{200f}",
        "🤖👩‍👩‍👧‍👦",
        "e\u{301}\u{327}\u{489}",
        "\u{feff}\u{fffd}\u{ffff}\u{10ffff}",
        "ß\u{130}ǅﬀ",
        "\r\n\t\u{1b}[2J\u{7f}\u{85}\u{2028}",
        "{\"a\":",
        "[[[[",
        "null",
        "true",
        "-0",
        "007",
        "1e999",
        "9223372036854775808",
        "0x1F",
        "2026-03-10T15:30:00.000000+00:00",
        "x'00'",
        "../../../etc/passwd",
        "=HYPERLINK(\"x\")",
    ]
    .map(str::to_owned)
    .into();
    // Longer than what is kept of a tool's result, and than a page of the file.
    texts.push("🤖'".repeat(20_000));
    texts.push("[".repeat(100_000));
    texts
}

/// Where a text that was taken is read again.
enum ReadBack {
    /// Somewhere in the answer to this question, in the field of this name.
    Asked(&'static str, Value, &'static str),
    /// In this column: no question tells of it.
    Column(&'static str, &'static str),
    /// In this column, the first 64 KiB of it.
    Beginning(&'static str, &'static str),
    /// By this question: it finds something.
    Found(&'static str, Value),
    /// By a claim of the same update, which has this answer.
    Claimed(&'static str),
    /// Nowhere: it only says which rows are meant.
    Nowhere,
}

/// The column in which a text of `Usage` is.
fn column_of_usage(field: &str) -> Option<&'static str> {
    Some(match field {
        "provider" => "provider_name",
        "model" => "request_model",
        "response_model" => "response_model",
        "response_id" => "response_id",
        "finish_reason" => "finish_reason",
        "platform" => "platform",
        "chat_id" => "chat_id",
        "thread_id" => "thread_id",
        "platform_message_id" => "platform_message_id",
        "reply_to" => "reply_to",
        _ => return None,
    })
}

fn read_back(message: &str, pointer: &str, text: &str) -> ReadBack {
    let asked = |question, key| {
        let message = match question {
            "ActiveSessions" | "ListUsers" => json!({ "page": { "limit": 1_000 } }),
            "RecentAuditLog" => json!({ "page": { "limit": 3 } }),
            _ => json!({ "session_id": "s", "user_id": 1, "page": { "limit": 3 } }),
        };
        ReadBack::Asked(question, message, key)
    };
    if let (true, Some(column)) = (pointer.contains("/usage/"), column_of_usage(name(pointer))) {
        return ReadBack::Column("botstore_usage", column);
    }
    match (message, name(pointer)) {
        ("EnsureUser", "username") => asked("ListUsers", "username"),
        ("EnsureUser", "platform") => ReadBack::Column("botstore_external_user", "platform"),
        ("EnsureUser", "external_id") => ReadBack::Column("botstore_external_user", "external_id"),
        ("CreateSession" | "EnsureSession" | "SaveSession", "session_id") => {
            asked("ActiveSessions", "session_id")
        }
        ("CreateSession" | "EnsureSession" | "SaveSession", "project_path") => {
            asked("ActiveSessions", "project_path")
        }
        ("SaveInteraction" | "SaveMessage", "session_id") => asked("ActiveSessions", "session_id"),
        ("SaveInteraction" | "SaveMessage", "creating") => asked("ActiveSessions", "project_path"),
        ("SaveInteraction" | "SaveMessage", "username") => asked("ListUsers", "username"),
        ("SaveInteraction" | "SaveMessage" | "EditMessage", "prompt") => {
            asked("UserMessages", "prompt")
        }
        ("SaveInteraction" | "SaveMessage" | "EditMessage", "response") => {
            asked("UserMessages", "response")
        }
        ("SaveInteraction" | "SaveMessage" | "EditMessage", "error") => {
            asked("UserMessages", "error")
        }
        ("SaveInteraction" | "RecordToolUse", "tool_name") => asked("UserToolUse", "tool_name"),
        ("SaveInteraction" | "AddCost", field) if pointer.starts_with("/usage/prompt/") => {
            match field {
                "body" => ReadBack::Column("botstore_prompt", "body"),
                "name" => ReadBack::Column("botstore_prompt", "name"),
                _ => ReadBack::Column("botstore_prompt", "version"),
            }
        }
        ("SaveInteraction" | "AddCost", field) if pointer.starts_with("/usage/") => {
            let column = match field {
                "provider" => "provider_name",
                "model" => "request_model",
                "response_model" => "response_model",
                "response_id" => "response_id",
                "finish_reason" => "finish_reason",
                "platform" => "platform",
                "chat_id" => "chat_id",
                "thread_id" => "thread_id",
                "platform_message_id" => "platform_message_id",
                "reply_to" => "reply_to",
                other => panic!("say where {other} is read back"),
            };
            ReadBack::Column("botstore_usage", column)
        }
        ("SaveInteraction", field) if pointer.starts_with("/attachments/") => {
            let column = match field {
                "kind" => "kind",
                "mime" => "mime",
                "name" => "name",
                "platform_file_id" => "platform_file_id",
                other => panic!("say where {other} is read back"),
            };
            ReadBack::Column("botstore_attachment", column)
        }
        ("SaveInteraction", "input") if pointer == "/metadata/input" => ReadBack::Column(
            "botstore_message_metadata",
            "json_extract(metadata, '$.input')",
        ),
        ("SetMetadata", "input") => ReadBack::Asked(
            "GetMetadata",
            json!({ "user_id": 1, "session_id": "s" }),
            "input",
        ),
        ("RateMessage", field) => {
            let key = if field == "tag" { "tag" } else { "comment" };
            let details = json!({ "message_id": 1, "user_id": 1 });
            ReadBack::Asked("MessageDetails", details, key)
        }
        ("SaveInteraction" | "RecordToolUse", "call_id") => {
            ReadBack::Column("botstore_tool_result", "call_id")
        }
        ("SaveInteraction" | "RecordToolUse", "result") => {
            ReadBack::Beginning("botstore_tool_result", "result")
        }
        ("SaveInteraction" | "RecordToolUse", "input") => asked("UserToolUse", "input"),
        ("SaveInteraction" | "RecordToolUse", "error_message") => {
            asked("UserToolUse", "error_message")
        }
        ("SaveInteraction", "idempotency_key") => ReadBack::Found(
            "FindInteraction",
            json!({ "user_id": 1, "idempotency_key": text }),
        ),
        ("ClaimUpdate", "source" | "update_id") => ReadBack::Claimed("held"),
        ("FinishUpdate", "source" | "update_id") => ReadBack::Claimed("seen"),
        ("ReleaseUpdate", "source" | "update_id") => ReadBack::Claimed("first"),
        ("SaveInteraction" | "LogEvent", "ip_address") => asked("RecentAuditLog", "ip_address"),
        ("LogEvent", "event_type") => asked("RecentAuditLog", "event_type"),
        ("LogEvent", "input") => asked("RecentAuditLog", "input"),
        ("Reprice", "provider" | "model") => ReadBack::Nowhere,
        ("SetPrice", "provider") => ReadBack::Column("botstore_price", "provider"),
        ("SetPrice", "model") => ReadBack::Column("botstore_price", "model"),
        ("SetLimit", "model") => ReadBack::Column("botstore_limit", "who"),
        ("Reserve", "model") => ReadBack::Column("botstore_reservation", "model"),
        ("Reserve", "platform") => ReadBack::Column(
            "botstore_reservation",
            "CAST(substr(CAST(chat AS BLOB), 1, instr(CAST(chat AS BLOB), x'2f') - 1) AS TEXT)",
        ),
        ("Reserve", "chat_id") => ReadBack::Column(
            "botstore_reservation",
            "CAST(substr(CAST(chat AS BLOB), instr(CAST(chat AS BLOB), x'2f') + 1) AS TEXT)",
        ),
        ("At" | "After", "name") => ReadBack::Column("botstore_timer", "name"),
        ("At" | "After", "input") => asked("Timers", "input"),
        _ => panic!("{message} took a text as {pointer}: say where it is read back"),
    }
}

async fn said(store: &Store, kinds: &[Kind], question: &str, ask: Value) -> Value {
    let question = kinds.iter().find(|kind| kind.name == question);
    match question.expect("a question").send(store, ask).await {
        Answer::Said(answer) => answer,
        other => panic!("{other:?}"),
    }
}

/// How many rows have exactly these bytes in a column.
struct RowsWith(&'static str, &'static str, String);

impl Query for RowsWith {
    type Output = i64;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<i64> {
        let Self(table, column, text) = self;
        let sql = format!(
            "SELECT count(*) FROM {table}
             WHERE typeof({column}) = 'text' AND CAST({column} AS BLOB) = ?1"
        );
        tx.one(&sql, [text.as_bytes()], |row| Ok(row.get(0)?))
    }
}

async fn is_kept(
    store: &Store,
    kinds: &[Kind],
    kind: &Kind,
    message: &Value,
    pointer: &str,
) -> bool {
    let text = message.pointer(pointer).expect("the text");
    match read_back(kind.name, pointer, text.as_str().unwrap_or_default()) {
        ReadBack::Column(table, column) => {
            let rows = store
                .read(RowsWith(
                    table,
                    column,
                    text.as_str().expect("a text").to_owned(),
                ))
                .await;
            rows.expect("a count") == 1
        }
        ReadBack::Beginning(table, column) => {
            let text = text.as_str().expect("a text");
            let ends = text.char_indices().map(|(at, c)| at + c.len_utf8());
            let end = ends.take_while(|end| *end <= 65_536).last();
            let beginning = text[..end.unwrap_or(0)].to_owned();
            let rows = store.read(RowsWith(table, column, beginning)).await;
            rows.expect("a count") == 1
        }
        ReadBack::Found(question, ask) => !said(store, kinds, question, ask).await.is_null(),
        ReadBack::Asked(question, ask, key) => {
            says(&said(store, kinds, question, ask).await, key, text)
        }
        ReadBack::Nowhere => true,
        ReadBack::Claimed(expected) => {
            let update = message.get("ticket").unwrap_or(message);
            let named = |field: &str| update[field].as_str().expect("a text").to_owned();
            let claim = ClaimUpdate::new(named("source"), named("update_id"));
            let claim = json!(store.write(claim).await.expect("an answer"));
            claim == expected || claim.get(expected).is_some()
        }
    }
}

/// Fields that are texts in JSON only: the type behind them takes its own spellings.
const TYPED: [&str; 18] = [
    "after",
    "at",
    "by",
    "cost_source",
    "direction",
    "from",
    "gaps",
    "into_ended",
    "measure",
    "order",
    "per",
    "rating",
    "since",
    "to",
    "until",
    "valid_from",
    "which",
    "whose",
];

/// A text in a field of a message: taken and kept as it is, or refused by the name of the field.
async fn is_only_text(
    store: &Store,
    kinds: &[Kind],
    kind: &Kind,
    message: Value,
    pointer: &str,
    text: &str,
) {
    let shown: String = text.chars().take(40).collect();
    let context = format!("{}{pointer} = {shown:?}", kind.name);
    match kind.send(store, message.clone()).await {
        Answer::Unsayable => assert!(TYPED.contains(&name(pointer)), "{context}"),
        Answer::Refused(error) => {
            // A text that names a row finds none.
            let kinds = [ErrorKind::Invalid, ErrorKind::NotFound];
            assert!(kinds.contains(&error.kind()), "{context}: {error}");
            assert_eq!(error.field(), Some(name(pointer)), "{context}: {error}");
        }
        Answer::Said(_) => {}
        // It is a time, and kept as one.
        Answer::Made if TYPED.contains(&name(pointer)) => {}
        Answer::Made => {
            assert!(
                is_kept(store, kinds, kind, &message, pointer).await,
                "{context} is lost"
            );
        }
    }
}

#[tokio::test]
async fn whatever_a_text_says_it_is_kept_as_it_is_or_refused_by_name() {
    let (kinds, texts, mut number) = (vocabulary(), hostile(), 0);
    let (folder, populated) = populated().await.into_file().await.expect("closed");
    // Each change has a file of its own, so that no text finds what another message has made of it. Questions make
    // nothing.
    let (questions, changes): (Vec<_>, Vec<_>) = kinds.iter().partition(|kind| kind.is_question);
    for together in changes.chunks(1).chain([&*questions]) {
        let name = together[0].name;
        let path = folder.path().join(format!("{name}.db"));
        std::fs::copy(&populated, &path).expect("a copy");
        let clock = FixedClock::default();
        let config = patient(Config::new(&path)).clock(clock.clone());
        let config = config.durability(Durability::Normal).readers(1);
        let store = Store::open(config).await.expect("a store");
        let schema = store.read(SchemaOf).await.expect("a schema");
        for kind in together {
            for pointer in pointers(&kind.example, Value::is_string) {
                for text in &texts {
                    // What was saved last is the newest.
                    clock.advance(Duration::from_millis(1));
                    number += 1;
                    let mut message = numbered(&kind.example, number);
                    *field(&mut message, &pointer) = text.as_str().into();
                    if pointer == "/username" {
                        // A name of history replaces none.
                        message["at"] = Value::Null;
                    }
                    is_only_text(&store, &kinds, kind, message, &pointer, text).await;
                }
            }
        }
        let now = store.read(SchemaOf).await.expect("a schema");
        assert_eq!(now, schema, "after {name}");
        everything_is_answered(&store, name).await;
        let report = store.read(CheckFile::new()).await.expect("a report");
        assert!(!report.is_damaged(), "after {name}: {report:?}");
        store.close().await.expect("closed");
        std::fs::remove_file(&path).expect("removed");
    }
}
