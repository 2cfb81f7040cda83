//! `overload`, the built program: seconds of far more requests than are answered lose nothing and refuse as promised. How
//! long anything took is judged in long runs only.

use std::process::Command;

#[test]
fn a_few_seconds_of_overload_lose_nothing_that_was_acknowledged() {
    let output = Command::new(env!("CARGO_BIN_EXE_overload"))
        .args(["--seconds", "2", "--capacity-seconds", "1", "--users", "50"])
        .args(["--in-flight", "64", "--waiting", "32", "--json"])
        .output()
        .expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().last().expect("a last line");
    let told: serde_json::Value = serde_json::from_str(line).expect("JSON");
    let number = |value: &serde_json::Value| value.as_u64().expect("a number");
    assert!(number(&told["acknowledged"]) > 0);
    assert_eq!(told["acknowledged"], told["found"], "{text}");
    assert_eq!(told["problems"], serde_json::json!([]));
    assert_eq!(told["complaints"], serde_json::json!([]));
    for side in ["writes", "reads"] {
        let side = &told[side];
        assert!(number(&side["overloaded"]) + number(&side["turned_away_by_host"]) > 0);
    }
    let verdicts = told["verdicts"].as_array().expect("verdicts");
    for promise in ["in flight", "answers", "log", "at rest", "acknowledged"] {
        let verdict = verdicts
            .iter()
            .find(|verdict| verdict["promise"] == promise);
        assert_eq!(verdict.expect(promise)["holds"], true, "{text}");
    }
}
