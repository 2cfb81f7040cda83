//! `check` names what is odd in a file, and `check --repair` sets it right: it tells before what it would do, makes
//! a backup, and loses no value.

use crate::support::{Place, on, text};
use botstore::rusqlite::Connection;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

/// What another program does to a file, column by column.
const ODD: &str = "
    PRAGMA foreign_keys = OFF;
    UPDATE users SET is_allowed = 'True', total_cost = '';
    UPDATE sessions SET is_active = 'True', last_used = 'yesterday';
    UPDATE messages SET prompt = CAST(x'68c3' AS TEXT), duration_ms = '' WHERE message_id = 1;
    UPDATE messages SET prompt = x'6869', cost = 9e999 WHERE message_id = 2;
    UPDATE tool_usage SET tool_input = 'not json', success = 'yes' WHERE id = 1;
    UPDATE audit_log SET user_id = '1a' WHERE id = 1;
    UPDATE cost_tracking SET date = 'today';";

fn cell(place: &Place, sql: &str) -> String {
    let conn = Connection::open(&place.file).unwrap();
    let sql = format!("SELECT quote((SELECT {sql}))");
    conn.query_row(&sql, [], |row| row.get(0)).unwrap()
}

fn columns_of(named: &Value) -> Vec<String> {
    let named = named.as_array().unwrap().iter();
    let mut columns: Vec<_> = named
        .map(|odd| {
            format!(
                "{}.{}",
                odd["table"].as_str().unwrap(),
                odd["column"].as_str().unwrap()
            )
        })
        .collect();
    columns.sort();
    columns
}

fn report_of(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn each_odd_value_is_named_and_the_plan_changes_nothing() {
    let place = Place::filled(3);
    on("check", &place.file, &[]).came_to(0);
    place.alter(ODD);
    let before = place.picture();
    for more in [&[][..], &["--repair", "--plan"]] {
        let told = on("check", &place.file, more).came_to(4);
        for named in [
            "users.is_allowed",
            "messages.prompt",
            "audit_log.user_id",
            "the text \"True\"",
            "inf",
        ] {
            assert!(told.out.contains(named), "{named}: {}", told.out);
        }
        // What people said is not shown.
        assert!(!told.out.contains("not json"), "{}", told.out);
        assert!(told.out.contains("it stays"), "{}", told.out);
        let json: Vec<_> = more.iter().copied().chain(["--json"]).collect();
        let json = on("check", &place.file, &json).came_to(4).json();
        let odd = &json["report"]["odd_values"];
        assert_eq!(odd["total"], 12, "{odd}");
        assert_eq!(
            columns_of(&odd["first"]),
            [
                "audit_log.user_id",
                "cost_tracking.date",
                "messages.cost",
                "messages.duration_ms",
                "messages.prompt",
                "messages.prompt",
                "sessions.is_active",
                "sessions.last_used",
                "tool_usage.success",
                "tool_usage.tool_input",
                "users.is_allowed",
                "users.total_cost",
            ]
        );
    }
    assert!(place.picture() == before, "looking changed something");
    on("check", &place.file, &["--plan"]).came_to(2);
}

#[test]
fn a_repair_sets_right_what_is_odd_and_keeps_what_was_there() {
    let place = Place::filled(3);
    place.alter(ODD);
    let repaired = on("check", &place.file, &["--repair", "--json"])
        .came_to(4)
        .json();
    let did = &repaired["odd_values"];
    assert_eq!(
        (&did["repaired"], &did["left"]),
        (&json!(10), &json!(0)),
        "{did}"
    );
    let backup = PathBuf::from(did["backup"].as_str().unwrap());
    on("verify", &backup, &[]).came_to(0);
    let report = report_of(Path::new(did["report"].as_str().unwrap()));
    assert_eq!(report.len(), 10);
    let was = |column: &str, held: &str, old: Value, new: Value| {
        let found = report
            .iter()
            .find(|value| value["column"] == column && value["held"] == held);
        let found = found.unwrap_or_else(|| panic!("{column}: {report:#?}"));
        assert_eq!((&found["old"], &found["new"]), (&old, &new), "{found}");
    };
    was("is_allowed", "text", json!("True"), json!(0));
    was("total_cost", "text", json!(""), json!(0.0));
    was("is_active", "text", json!("True"), json!(1));
    was(
        "last_used",
        "text",
        json!("yesterday"),
        json!("1970-01-01T00:00:00.000000+00:00"),
    );
    was(
        "prompt",
        "text",
        json!({ "hex": "68c3" }),
        json!("h\u{fffd}"),
    );
    was("prompt", "blob", json!({ "hex": "6869" }), json!("hi"));
    was("cost", "real", json!("inf"), json!(0.0));
    was(
        "tool_input",
        "text",
        json!("not json"),
        json!("\"not json\""),
    );
    was("success", "text", json!("yes"), json!(1));
    assert_eq!(cell(&place, "is_allowed FROM users"), "0");
    assert_eq!(
        cell(&place, "prompt FROM messages WHERE message_id = 2"),
        "'hi'"
    );
    assert_eq!(
        cell(&place, "cost FROM messages WHERE message_id = 2"),
        "0.0"
    );

    // Whose a row is, and of which day, stays for the owner of the file to say.
    assert_eq!(cell(&place, "user_id FROM audit_log WHERE id = 1"), "'1a'");
    let left = on("check", &place.file, &["--json"]).came_to(4).json();
    let odd = &left["report"]["odd_values"];
    assert_eq!(
        columns_of(&odd["first"]),
        ["audit_log.user_id", "cost_tracking.date"]
    );
    assert_eq!(left["rollups"]["differences"], 0);
    place.alter("UPDATE audit_log SET user_id = 1; UPDATE cost_tracking SET date = '2026-03-10';");
    let left = on("check", &place.file, &["--json"]).json();
    assert_eq!(left["report"]["odd_values"]["total"], 0);
}

#[cfg(unix)]
#[test]
fn the_report_is_for_nobody_else_and_lies_beside_the_backup() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::filled(2);
    place.alter("UPDATE messages SET prompt = x'ff'");
    let folder = place.path("elsewhere");
    let more = ["--repair", "--json", "--backups", text(&folder)];
    let did = on("check", &place.file, &more).came_to(0).json();
    let report = PathBuf::from(did["odd_values"]["report"].as_str().unwrap());
    assert_eq!(report.parent().unwrap(), folder.canonicalize().unwrap());
    assert_eq!(
        fs::metadata(&report).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(report_of(&report).len(), 2);
    // The folder of the backups goes on as one.
    on("backups", &folder, &[]).came_to(0);
    on("backup", &place.file, &["--to", text(&folder)]).came_to(0);
    on("prune", &folder, &["--last", "1", "--dry-run"]).came_to(0);
    let listed = on("backups", &folder, &["--json"]).came_to(0).json();
    assert_eq!(listed["backups"].as_array().unwrap().len(), 2, "{listed}");
}

/// A trigger of the bot's own refuses some of it: the rest is set right.
#[test]
fn what_a_trigger_refuses_is_left_and_holds_up_nothing() {
    let place = Place::filled(3);
    place.alter(
        "UPDATE messages SET prompt = x'ff';
         CREATE TRIGGER no_edits BEFORE UPDATE OF prompt ON messages WHEN old.message_id = 2
         BEGIN SELECT raise(ABORT, 'messages are not edited'); END;",
    );
    let did = on("check", &place.file, &["--repair", "--json"])
        .came_to(4)
        .json();
    let did = &did["odd_values"];
    assert_eq!(
        (&did["repaired"], &did["left"]),
        (&json!(2), &json!(1)),
        "{did}"
    );
}

#[test]
fn many_odd_values_are_counted_and_a_hundred_named() {
    let place = Place::filled(1);
    place.alter(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
         INSERT INTO messages (session_id, user_id, timestamp, prompt, response)
         SELECT 's', 1, '2026-03-10T15:00:00.000000+00:00', x'ff', zeroblob(3000) FROM n",
    );
    let json = on("check", &place.file, &["--json"]).came_to(4).json();
    assert_eq!(json["report"]["odd_values"]["total"], 1000);
    assert_eq!(
        json["report"]["odd_values"]["first"]
            .as_array()
            .unwrap()
            .len(),
        100
    );
    let did = on("check", &place.file, &["--repair", "--json"]).json();
    assert_eq!(did["odd_values"]["repaired"], 1000);
    let report = report_of(Path::new(did["odd_values"]["report"].as_str().unwrap()));
    assert_eq!(report.len(), 1000);
    let json = on("check", &place.file, &["--json"]).json();
    assert_eq!(json["report"]["odd_values"]["total"], 0);
}

/// A number alone in a document is kept as bytes, and exported as the text that it is.
#[test]
fn an_export_has_documents_as_they_were_written() {
    let place = Place::filled(1);
    place.alter(
        "UPDATE tool_usage SET tool_input = CAST('18446744073709551615' AS BLOB);
         UPDATE audit_log SET event_data = CAST('1.0' AS BLOB), ip_address = CAST('1.0' AS BLOB);",
    );
    let all = on("export", &place.file, &["--json"]).came_to(0).json();
    assert_eq!(all["tool_usage"][0]["tool_input"], "18446744073709551615");
    assert_eq!(all["audit_log"][0]["event_data"], "1.0");
    assert_eq!(
        all["audit_log"][0]["ip_address"],
        json!({ "hex": "312e30" })
    );
}

/// Totals of a user that no rows add up to: a bot that removed rows may mean them, so they are only corrected on demand.
#[test]
fn users_totals_are_set_right_only_where_that_is_asked_for() {
    let place = Place::filled(3);
    let right = "total_cost || ' ' || message_count || ' ' || session_count FROM users";
    let right = (right, cell(&place, right));
    place.alter("UPDATE users SET total_cost = 99.5, message_count = 1, session_count = NULL");
    let wrong = cell(&place, right.0);
    let before = place.picture();
    for more in [&[][..], &["--repair", "--user-totals", "--plan"]] {
        let told = on("check", &place.file, more).came_to(4).out;
        assert!(
            told.contains("users.total_cost") && told.contains("--user-totals"),
            "{told}"
        );
        assert!(place.picture() == before, "{more:?} changed something");
    }
    on("check", &place.file, &["--user-totals"]).came_to(2);
    on("check", &place.file, &["--repair"]).came_to(4);
    assert_eq!(cell(&place, right.0), wrong);
    let did = on(
        "check",
        &place.file,
        &["--repair", "--user-totals", "--json"],
    );
    let did = did.came_to(0).json();
    assert_eq!(did["user_totals"], 1, "{did}");
    assert_eq!(cell(&place, right.0), right.1);
    // What was there is in the backup, and on record.
    let backup = PathBuf::from(did["odd_values"]["backup"].as_str().unwrap());
    on("verify", &backup, &[]).came_to(0);
    let recorded = "event_data FROM audit_log WHERE event_type = 'totals_corrected'";
    assert!(cell(&place, recorded).contains("99.5"));
    // Nothing is left to do, and nothing is done.
    let again = on(
        "check",
        &place.file,
        &["--repair", "--user-totals", "--json"],
    );
    assert_eq!(again.came_to(0).json()["user_totals"], Value::Null);
}

/// Odd values and wrong rollups are mended first, since totals are counted from them.
#[test]
fn totals_are_right_beside_odd_values_and_wrong_rollups() {
    let place = Place::filled(4);
    place.alter(
        "UPDATE messages SET cost = 9e999 WHERE message_id = 2;
         UPDATE botstore_user_day SET messages = 50, cost = 5;
         UPDATE sessions SET total_cost = 1;",
    );
    let told = on("check", &place.file, &["--repair", "--user-totals"]);
    // The session's own total is left: its bot may keep it itself.
    let told = told.came_to(4).out;
    assert!(
        told.contains("1 user") && told.contains("sessions.total_cost"),
        "{told}"
    );
    let left = on("check", &place.file, &["--json"]).came_to(4).json();
    let left = left["report"]["differences"]["first"]
        .as_array()
        .unwrap()
        .clone();
    let of_users = |counter: &Value| counter["counter"].as_str().unwrap().starts_with("users.");
    assert!(!left.iter().any(of_users), "{left:?}");
}
