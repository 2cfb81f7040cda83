//! `long_run`, the built program: a run of seconds keeps what it can be judged by, and tells
//! it.

use std::process::{Command, Output};

fn run(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_long_run"))
        .args(args)
        .output()
        .expect("it runs")
}

#[test]
fn a_few_seconds_of_a_long_run_keep_what_is_promised() {
    let output = run(&[
        "--seconds",
        "4",
        "--rate",
        "100",
        "--users",
        "100",
        "--history",
        "2000",
        "--json",
    ]);
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().last().expect("a last line");
    let told: serde_json::Value = serde_json::from_str(line).expect("JSON");
    assert_eq!(told["verified"], true);
    assert!(told["acknowledged"].as_u64() > Some(2000));
    assert_eq!(told["acknowledged"], told["found"]);
    assert_eq!(told["acknowledged"], told["messages"]);
    let rows = told["rows"].as_array().expect("rows");
    // On a busy machine it goes on until there was a backup, and sessions expired.
    assert!(rows.len() >= 6, "{} rows", rows.len());
    let sum = |field: &str| {
        rows.iter()
            .filter_map(|row| row[field].as_u64())
            .sum::<u64>()
    };
    assert!(sum("backups") > 0 && sum("expired") > 0);
    assert!(rows.iter().all(|row| row["reads"]["p99_ms"].is_number()));
    let outcome = |promise: &str| {
        let verdicts = told["verdicts"].as_array().expect("verdicts");
        let verdict = verdicts.iter().find(|v| v["promise"] == promise);
        verdict.expect("a verdict")["outcome"].clone()
    };
    assert_eq!(outcome("acknowledged"), "Kept");
    // A time is never judged in so short a run.
    assert_eq!(outcome("p99 writes"), "NotJudged");
}

#[test]
fn a_wrong_argument_is_told_from_a_promise_that_was_broken() {
    assert_eq!(run(&["--minutes", "0"]).status.code(), Some(2));
    let folder = tempfile::tempdir().unwrap();
    let there = folder.path().join("there.db");
    std::fs::write(&there, "somebody's").unwrap();
    let there = there.to_str().expect("a path in UTF-8");
    assert_eq!(
        run(&["--seconds", "2", "--db", there]).status.code(),
        Some(1)
    );
    assert_eq!(std::fs::read(there).unwrap(), b"somebody's");
}
