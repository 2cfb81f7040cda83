//! Every log line of the engine is one at which the subscriber panics in these tests, or stands here with
//! why it does not.

use crate::lines::*;
use crate::provoke::{GIVEN_UP, RESTARTED};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Those that no test can bring about.
const NEVER: [(&str, &str); 3] = [
    (
        "the WAL's size could not be limited",
        "it is a number in SQLite's memory, which it sets or the process is out of memory",
    ),
    (
        "the WAL could not be looked at",
        "the index of the log would have to be damaged between a commit and the look after it",
    ),
    (
        "the file is on a network file system, where the store promises nothing",
        "a test has none; at opening, where the whole of it is caught",
    ),
];

/// What tests in other files are about.
const ELSEWHERE: [&str; 4] = [
    // reporting.rs
    RESTARTED,
    GIVEN_UP,
    // opening.rs
    "accounts other than its owner's can read or write this file: chmod 600 it",
    "the file has schema objects that no step of this program made",
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => sources(&path, found),
            false => found.push(path),
        }
    }
}

/// What is in the first parentheses.
fn inside(call: &str) -> &str {
    let (mut depth, mut in_text) = (0, false);
    let begin = call.find('(').expect("a call");
    for (at, letter) in call[begin..].char_indices() {
        match letter {
            '"' => in_text = !in_text,
            '(' if !in_text => depth += 1,
            ')' if !in_text && depth == 1 => return &call[begin..begin + at],
            ')' if !in_text => depth -= 1,
            _ => {}
        }
    }
    panic!("its end")
}

/// The messages of the log lines in a source: each is the last text of its macro.
fn messages(source: &str) -> Vec<String> {
    let mut messages = Vec::new();
    for (at, _) in source.match_indices("tracing::") {
        let call = &source[at..];
        let levels = ["error", "warn", "info", "debug", "trace", "event"];
        let name = call["tracing::".len()..]
            .split('!')
            .next()
            .unwrap_or_default();
        if !levels.contains(&name) {
            continue;
        }
        let mut texts = inside(call).rsplit('"');
        let (_, message) = (texts.next(), texts.next());
        messages.push(message.expect("its message").to_owned());
    }
    messages
}

#[test]
fn each_log_line_of_the_engine_panics_in_a_test() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    sources(&src.join("engine"), &mut paths);
    sources(&src.join("store"), &mut paths);
    let mut found = Vec::new();
    for path in paths {
        found.extend(messages(&fs::read_to_string(path).unwrap()));
    }
    found.sort();
    let tested = [
        OF_THE_WRITER,
        OF_THE_CHECKPOINTER,
        OF_THE_SUPERVISOR,
        OF_THE_BACKUPS,
        OF_THE_STORE,
        &ELSEWHERE,
        &NEVER.map(|(line, _)| line),
    ];
    let tested = BTreeSet::from_iter(tested.into_iter().flatten().copied());
    assert_eq!(
        found,
        Vec::from_iter(tested),
        "say in provoke.rs how the new line comes about, and in lines.rs whose it is"
    );
}
