//! `migrate` and `rollback` do what they said, after a backup.

use crate::support::{Place, all_steps, newest, on, text};
use serde_json::json;
use std::path::Path;

fn step(file: &Path) -> u64 {
    let status = on("status", file, &["--json"]).came_to(0).json();
    let schemas = status["schemas"].as_array().unwrap().clone();
    schemas.first().map_or(0, |at| at["step"].as_u64().unwrap())
}

#[test]
fn a_plan_tells_the_steps_and_changes_nothing() {
    let place = Place::legacy();
    let before = place.picture();
    let plan = on("migrate", &place.file, &["--plan"]).came_to(0);
    assert!(plan.out.starts_with("botstore 0001 seed\n"), "{}", plan.out);
    let plan = on("migrate", &place.file, &["--plan", "--to", "2", "--json"]).came_to(0);
    assert_eq!(plan.json()["steps"].as_array().unwrap().len(), 2);
    assert!(place.picture() == before);
}

#[test]
fn a_file_is_migrated_after_a_backup_and_then_has_nothing_to_do() {
    let place = Place::legacy();
    let done = on("migrate", &place.file, &["--json"]).came_to(0).json();
    assert_eq!(done["steps"].as_array().unwrap().len(), all_steps());
    let backup = done["backup"]["path"].as_str().unwrap();
    on("verify", Path::new(backup), &[]).came_to(0);
    let again = on("migrate", &place.file, &[]).came_to(0);
    assert_eq!(again.out, "applied       nothing to do\n");
    on("dashboard", &place.file, &[]).came_to(0);
    // Whose counters nobody has put right.
    let code = on("check", &place.file, &[]).code;
    assert!(code == 0 || code == 4, "{code}");
}

#[test]
fn a_file_is_migrated_to_a_step_and_taken_back_to_one() {
    let place = Place::legacy();
    let folder = place.path("kept");
    let kept = ["--backups", text(&folder)];
    let beyond = (newest() + 1).to_string();
    let to = |step| [&["--to", step][..], &kept].concat();
    on("migrate", &place.file, &to("4")).came_to(0);
    assert_eq!(step(&place.file), 4);
    on("migrate", &place.file, &to("4")).came_to(0);
    on("migrate", &place.file, &to("2")).came_to(2);
    on("migrate", &place.file, &to(&beyond)).came_to(2);
    assert_eq!(step(&place.file), 4);

    let back = on(
        "rollback",
        &place.file,
        &[&to("3")[..], &["--json"]].concat(),
    );
    let back = back.came_to(0).json();
    assert_eq!(back["steps"][0]["name"], "store_tables");
    assert!(
        back["backup"]["path"]
            .as_str()
            .unwrap()
            .starts_with(text(&folder))
    );
    assert_eq!(step(&place.file), 3);
    let none = on("rollback", &place.file, &to("3")).came_to(0);
    assert!(none.out.contains("nothing to do"), "{}", none.out);
    let more = [&to("0")[..], &["--schema", "pets"]].concat();
    on("rollback", &place.file, &more).came_to(1);
    let done = on("migrate", &place.file, &["--json"]).came_to(0).json();
    assert_eq!(done["steps"].as_array().unwrap().len(), all_steps() - 3);
}

#[test]
fn a_plan_of_the_way_back_tells_what_goes_and_what_stays_and_changes_nothing() {
    let place = Place::legacy();
    on("migrate", &place.file, &[]).came_to(0);
    let before = place.picture();
    let plan = on("rollback", &place.file, &["--to", "0", "--plan"]).came_to(0);
    assert!(
        plan.out.contains("drops       botstore_total"),
        "{}",
        plan.out
    );
    assert!(
        plan.out.contains("keeps       audit_log, cost_tracking"),
        "{}",
        plan.out
    );
    let plan = on("rollback", &place.file, &["--to", "0", "--plan", "--json"]).came_to(0);
    let json = plan.json();
    let steps = json["steps"].as_array().unwrap();
    assert_eq!(steps.len(), all_steps());
    assert_eq!(steps.last().unwrap()["drops"], json!([]));
    assert!(place.picture() == before);
    // One of ours has nothing that was there before.
    let ours = Place::filled(1);
    let plan = on("rollback", &ours.file, &["--to", "0", "--plan"]).came_to(0);
    assert!(
        plan.out.contains("messages") && !plan.out.contains("keeps"),
        "{}",
        plan.out
    );
    // A plan is refused as the thing itself is.
    on(
        "rollback",
        &place.path("nowhere.db"),
        &["--to", "0", "--plan"],
    )
    .came_to(1);
    let other = ["--to", "0", "--plan", "--schema", "pets"];
    on("rollback", &place.file, &other).came_to(1);
}

#[test]
fn a_file_of_a_newer_program_is_refused_and_told_of() {
    let place = Place::filled(1);
    place.alter(
        "INSERT INTO botstore_ledger SELECT schema, step + 1, 'later', up_sql, down_sql, checksum,
             applied_at FROM botstore_ledger ORDER BY step DESC LIMIT 1",
    );
    let status = on("status", &place.file, &["--json"]).came_to(1).json();
    assert_eq!(status["refused"]["kind"], "newer schema");
    assert_eq!(
        status["schemas"],
        json!([
            { "schema": "botstore", "step": newest() + 1 },
            { "schema": "botstore_llm", "step": all_steps() - newest() },
        ])
    );
    for command in ["check", "migrate", "backup"] {
        let refused = on(command, &place.file, &[]).came_to(1);
        assert!(refused.err.contains("the newer program"), "{}", refused.err);
    }
}
