//! `export` writes every row, in an order that stays, and no secret.

use crate::support::{Place, all_steps, command, on, text};
use serde_json::{Value, json};
use std::fs;
use std::io::Read;
use std::process::Stdio;

fn lines(out: &str) -> Vec<Value> {
    let lines = out.lines().map(|line| serde_json::from_str(line).unwrap());
    lines.collect()
}

#[test]
fn every_row_is_an_object_with_its_table_parents_first() {
    let place = Place::filled(12);
    let rows = lines(&on("export", &place.file, &[]).came_to(0).out);
    let mut tables: Vec<_> = rows
        .iter()
        .map(|row| row["table"].as_str().unwrap())
        .collect();
    tables.dedup();
    assert_eq!(
        tables,
        [
            "users",
            "sessions",
            "messages",
            "tool_usage",
            "audit_log",
            "user_tokens",
            "cost_tracking"
        ]
    );
    let prompts: Vec<_> = rows
        .iter()
        .filter(|row| row["table"] == "messages")
        .map(|row| row["row"]["prompt"].as_str().unwrap().to_owned())
        .collect();
    let expected: Vec<_> = (0..12).map(|number| format!("prompt {number}")).collect();
    assert_eq!(prompts, expected);
    assert_eq!(rows[0]["row"]["telegram_username"], "ada");
}

#[test]
fn who_a_user_is_elsewhere_and_who_shares_a_session_is_peoples_data() {
    let place = Place::filled(1);
    place.alter(
        "INSERT INTO users (user_id) VALUES (4503599627370496);
         INSERT INTO botstore_external_user VALUES (4503599627370496, 'matrix', '@ada:example.org');
         INSERT INTO botstore_session_member (session_id, user_id, joined_at)
         SELECT session_id, 4503599627370496, '2026-03-10T12:00:00.000000+00:00' FROM sessions",
    );
    let rows = lines(&on("export", &place.file, &[]).came_to(0).out);
    let at = |table: &str| rows.iter().position(|row| row["table"] == table);
    let order = [
        "users",
        "botstore_external_user",
        "sessions",
        "botstore_session_member",
        "messages",
    ];
    let order = order.map(|table| at(table).unwrap_or_else(|| panic!("no row of {table}")));
    assert!(order.is_sorted(), "{order:?}");
    let id = &rows[order[1]]["row"];
    assert_eq!(id["external_id"], "@ada:example.org");
    assert_eq!(rows[order[3]]["row"]["user_id"], 4_503_599_627_370_496_i64);
    // What the store keeps for itself is not.
    let is_other = |row: &Value| {
        let table = row["table"].as_str().unwrap();
        table.starts_with("botstore_") && !order.iter().any(|at| rows[*at]["table"] == table)
    };
    assert!(!rows.iter().any(is_other));
}

#[test]
fn secrets_are_left_out_unless_asked_for() {
    let place = Place::filled(0);
    let token = |more: &[&str]| {
        let more: Vec<_> = ["--table", "user_tokens"]
            .iter()
            .chain(more)
            .copied()
            .collect();
        lines(&on("export", &place.file, &more).came_to(0).out).remove(0)
    };
    assert_eq!(token(&[])["row"]["token_id"], 1);
    assert_eq!(token(&[])["row"].get("token_hash"), None);
    let hash = &token(&["--with-secrets"])["row"]["token_hash"];
    assert_eq!(hash.as_str().unwrap().len(), 64);
}

#[test]
fn with_json_it_is_one_document() {
    let place = Place::filled(3);
    let all = on("export", &place.file, &["--json"]).came_to(0).json();
    assert_eq!(all["messages"].as_array().unwrap().len(), 3);
    assert_eq!(all["users"][0]["user_id"], 1);
    place.alter("DELETE FROM user_tokens");
    let more = ["--json", "--table", "user_tokens", "--table", "users"];
    let some = on("export", &place.file, &more).came_to(0).json();
    assert_eq!(some.as_object().unwrap().len(), 2);
    assert_eq!(some["user_tokens"], json!([]));
}

#[test]
fn a_file_gets_its_name_when_it_is_whole_and_replaces_none() {
    let place = Place::filled(3);
    let out = place.path("rows.jsonl");
    let more = ["--out", text(&out), "--json"];
    let told = on("export", &place.file, &more).came_to(0).json();
    assert_eq!(told["rows"]["messages"], 3);
    let printed = on("export", &place.file, &[]).came_to(0).out;
    assert_eq!(fs::read_to_string(&out).unwrap(), printed);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::metadata(&out).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let refused = on("export", &place.file, &more).came_to(1).json();
    assert_eq!(refused["error"]["kind"], "conflict");

    fs::remove_file(&out).unwrap();
    let before = place.picture();
    on(
        "export",
        &place.file,
        &["--table", "nowhere", "--out", text(&out)],
    )
    .came_to(1);
    assert!(place.picture() == before, "something was left behind");
}

#[test]
fn a_reader_that_has_seen_enough_ends_it_quietly() {
    let place = Place::filled(500);
    for json in [&[][..], &["--json"]] {
        let arguments = ["export", text(&place.file)];
        let mut export = command(arguments.iter().chain(json))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = [0; 100];
        export
            .stdout
            .take()
            .unwrap()
            .read_exact(&mut first)
            .unwrap();
        let output = export.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    }
}

#[test]
fn tables_of_the_bots_own_come_too_and_the_stores_only_when_named() {
    let place = Place::filled(1);
    place.alter(
        "CREATE TABLE \"odd \"\"name\" (a TEXT, b BLOB, c REAL, PRIMARY KEY (a)) WITHOUT ROWID;
         INSERT INTO \"odd \"\"name\" VALUES ('2', x'00ff', 9e999), ('1', NULL, 0.1);",
    );
    let rows = lines(&on("export", &place.file, &[]).came_to(0).out);
    let own: Vec<_> = rows
        .iter()
        .filter(|row| row["table"] == "odd \"name")
        .collect();
    assert_eq!(own[0]["row"], json!({ "a": "1", "b": null, "c": 0.1 }));
    assert_eq!(
        own[1]["row"],
        json!({ "a": "2", "b": { "hex": "00ff" }, "c": "inf" })
    );
    assert!(rows.iter().all(|row| row["table"] != "botstore_ledger"));
    let ledger = on("export", &place.file, &["--table", "botstore_ledger"]).came_to(0);
    assert_eq!(lines(&ledger.out).len(), all_steps());
}
