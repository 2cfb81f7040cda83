//! The page asks the answers for fields that they have. Its scripts would not notice another name: they run in a
//! browser, and there is not one everywhere.

use crate::program::Dashboard;
use crate::{example, folder, prepare};
use serde_json::Value;
use std::collections::BTreeSet;

/// Every name of a field in these values.
fn names(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                found.insert(name.clone());
                names(value, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| names(item, found)),
        _ => {}
    }
}

/// The words of a script that have an underscore, outside texts and comments.
fn fields_in(script: &str) -> BTreeSet<String> {
    let mut code = String::new();
    for line in script.lines() {
        let line = line.split("// ").next().unwrap_or_default();
        // What is between quotes, in turns.
        code.extend(line.split('"').step_by(2));
        code.push('\n');
    }
    let words = code.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let fields = words.filter(|word| word.contains('_') && word.chars().any(|c| c.is_lowercase()));
    fields.map(str::to_owned).collect()
}

/// What elements show, such as `health.writer.batches`.
fn values_in(page: &str) -> BTreeSet<String> {
    let values = page.split("data-value=\"").skip(1);
    let values = values.map(|rest| rest.split('"').next().unwrap_or_default().to_owned());
    values.collect()
}

fn source(name: &str) -> String {
    let path = example::folder().join("dashboard").join(name);
    std::fs::read_to_string(path).expect("a source")
}

#[test]
fn the_page_and_its_scripts_ask_for_fields_that_the_answers_have() {
    let folder = folder();
    let db = folder.path().join("bot.db");
    prepare(&db).expect("a file");
    let dashboard = Dashboard::on(&db);
    let health = dashboard.json("/api/health");
    let answers = ["/api/admin", "/api/users/1"].map(|path| dashboard.json(path));

    let mut known = BTreeSet::new();
    names(&health, &mut known);
    answers.iter().for_each(|answer| names(answer, &mut known));
    let scripts = ["app.js", "charts.js", "format.js"].map(source).concat();
    let fields = fields_in(&scripts);
    assert!(fields.len() > 20, "{fields:?}");
    let unknown: Vec<_> = fields.difference(&known).collect();
    assert!(unknown.is_empty(), "in no answer: {unknown:?}");

    // Those without a dot, and a few of one part, are what the scripts work out.
    let own = ["today.", "period.", "days.", "backup."];
    let asked = values_in(&source("index.html"));
    let asked = asked.into_iter().filter(|value| value.contains('.'));
    let asked = asked.filter(|value| !own.iter().any(|part| value.starts_with(part)));
    let mut found = 0;
    for value in asked {
        let pointer = format!("/{}", value.replace('.', "/"));
        let mut holders = answers.iter();
        let is_there = match pointer.strip_prefix("/health") {
            Some(in_health) => health.pointer(in_health).is_some(),
            None => holders.any(|answer| answer.pointer(&pointer).is_some()),
        };
        assert!(is_there, "{value}");
        found += 1;
    }
    assert!(found > 15, "{found}");
}

#[test]
fn fields_are_told_from_texts_comments_and_constants() {
    let script = "const { user_id } = x; // not_this\nlist(main, \"nor_this\", a.top_users, MAX_DAYS);\n/** or_this */";
    let found = fields_in(script.split("/**").next().expect("code"));
    let expected = ["top_users", "user_id"].map(str::to_owned);
    assert_eq!(found, expected.into());
}
