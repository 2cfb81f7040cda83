//! Imports go one way: a module knows those below it, and no module those above it. So one can be read,
//! tested and rebuilt without what stands on it. The layers, in words, are in `docs/architecture.md`.
//!
//! Whoever needs an arrow that points up has the wrong thing in the lower module: move it, or hand it in
//! from above, as an argument, a closure or a trait of the lower one.

mod links;
mod made_up;
mod map;
mod sources;

use sources::{ANYTHING, Token, declared, root_names, tokens};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Low to high. Modules of one layer do not know each other.
const LAYERS: &[&[&str]] = &[
    &["error", "guide", "panics"],
    &["files", "json", "time"],
    &["texts"],
    &["sqlite"],
    &["operation"],
    &["cache", "migration", "schedule"],
    &["archive", "domain"],
    &["events"],
    &["health"],
    &["config"],
    &["engine"],
    &["opening", "recipients"],
    &["backup", "schema", "snapshot", "status"],
    &["store"],
    &["prelude", "testing"],
];

/// Modules that know less than all that is below them.
const NARROW: &[(&str, &[&str])] = &[(
    "domain",
    &[
        "error",
        "files",
        "json",
        "texts",
        "migration",
        "operation",
        "sqlite",
        "time",
    ],
)];

/// Modules that do not know one that is below them.
const APART: &[(&str, &str)] = &[
    ("engine", "domain"),
    ("config", "domain"),
    ("health", "domain"),
];

/// The folder that the engine is in.
const ENGINE: &[&str] = &["engine"];

/// A file of `src`, by its path in there.
type Source = (String, String);

/// That a file of one module names another.
#[derive(Debug, PartialEq)]
struct Arrow {
    from: String,
    to: String,
    at: String,
}

fn read(folder: &Path, ending: &str) -> Vec<Source> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().ends_with(ending) {
                let name = path.strip_prefix(folder).expect("in there");
                let name = name
                    .components()
                    .map(|part| part.as_os_str().to_string_lossy());
                let name = name.collect::<Vec<_>>().join("/");
                found.push((name, fs::read_to_string(&path).expect("a file")));
            }
        }
    }
    found.sort();
    found
}

/// The library's sources and its root; not the command line's, which uses the library as anybody does.
fn library() -> (Vec<Source>, String) {
    let mut sources = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), ".rs");
    sources.retain(|(name, _)| !name.starts_with("bin/"));
    let at = sources.iter().position(|(name, _)| name == "lib.rs");
    let (_, root) = sources.remove(at.expect("a root"));
    assert!(sources.len() > 50, "these are not all: {}", sources.len());
    (sources, root)
}

/// The module right under the root that a file is in, and how many modules deep it is.
fn place(file: &str) -> (&str, usize) {
    let path = file.trim_end_matches(".rs").trim_end_matches("/mod");
    let top = path.split('/').next().unwrap_or(path);
    (top, path.split('/').count())
}

fn room(module: &str) -> &str {
    match ENGINE.contains(&module) {
        true => "engine",
        false => module,
    }
}

fn arrows(sources: &[Source], root: &str) -> Vec<Arrow> {
    let names = declared(root);
    let mut found = Vec::new();
    for (file, text) in sources {
        let (top, depth) = place(file);
        for name in root_names(text, depth) {
            let to = names.get(&name).unwrap_or(&name);
            let (from, to) = (room(top), room(to));
            if from != to {
                found.push(Arrow {
                    from: from.to_owned(),
                    to: to.to_owned(),
                    at: file.clone(),
                });
            }
        }
    }
    found
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

/// What is wrong with an arrow, if anything is.
fn fault(arrow: &Arrow) -> Option<String> {
    let Arrow { from, to, at } = arrow;
    let (Some(low), Some(high)) = (layer(to), layer(from)) else {
        return Some(format!("{at}: {from} or {to} has no layer"));
    };
    if low >= high {
        return Some(format!("{at}: {from} knows {to}, which is not below it"));
    }
    if APART.contains(&(from.as_str(), to.as_str())) {
        return Some(format!("{at}: {from} knows {to}, and is not to"));
    }
    let narrow = NARROW.iter().find(|(module, _)| module == from);
    narrow
        .filter(|(_, may)| !may.contains(&to.as_str()))
        .map(|_| format!("{at}: {from} knows {to}, and is to know less"))
}

/// Modules that can be reached from themselves.
fn circles(arrows: &[Arrow]) -> BTreeSet<String> {
    let mut knows: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for arrow in arrows {
        knows.entry(&arrow.from).or_default().insert(&arrow.to);
    }
    let reached = |start: &str| {
        let mut seen = BTreeSet::new();
        let mut todo = vec![start];
        while let Some(module) = todo.pop() {
            for &next in knows.get(module).into_iter().flatten() {
                if seen.insert(next) {
                    todo.push(next);
                }
            }
        }
        seen
    };
    let in_circle = |module: &&&str| reached(module).contains(**module);
    let found = knows.keys().filter(in_circle);
    found.map(|module| (*module).to_owned()).collect()
}

/// The tables and views that the steps make.
fn tables() -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let mut found = BTreeSet::new();
    for (_, sql) in read(&folder, ".up.sql") {
        let words = words(&sql);
        for (at, word) in words.iter().enumerate() {
            if ["table", "view"].contains(&word.as_str()) && at > 0 && words[at - 1] == "create" {
                let name = words[at + 1..].iter();
                let mut name =
                    name.skip_while(|word| ["if", "not", "exists"].contains(&word.as_str()));
                found.extend(name.next().cloned());
            }
        }
    }
    assert!(
        found.contains("users") && found.contains("botstore_schedules"),
        "{found:?}"
    );
    found
}

fn words(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_alphanumeric() && c != '_');
    let words = words.filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect()
}

/// The tables that the engine's sources name in their SQL, with the file: after a word that a table's name
/// follows, or alone in a text, to be put into one.
fn tables_named(sources: &[Source], tables: &BTreeSet<String>) -> Vec<(String, String)> {
    const BEFORE: [&str; 6] = ["from", "into", "join", "on", "table", "update"];
    let mut found = Vec::new();
    let engine = |(file, _): &&Source| room(place(file).0) == "engine";
    for (file, text) in sources.iter().filter(engine) {
        for token in tokens(text) {
            let Token::Text(text) = token else { continue };
            let mut words = words(&text);
            // `FROM main.users`
            words.retain(|word| !["main", "temp"].contains(&word.as_str()));
            for (at, word) in words.iter().enumerate() {
                let alone = words.len() == 1;
                let follows = at > 0 && BEFORE.contains(&words[at - 1].as_str());
                let ours = word.starts_with("botstore_");
                if ours || (tables.contains(word) && (alone || follows)) {
                    found.push((file.clone(), word.clone()));
                }
            }
        }
    }
    found
}

#[test]
fn every_module_has_a_layer() {
    let (sources, root) = library();
    let files = sources.iter().map(|(file, _)| place(file).0.to_owned());
    let declared = declared(&root).into_values();
    let homeless: BTreeSet<_> = files
        .chain(declared)
        .filter(|module| layer(room(module)).is_none())
        .collect();
    assert!(
        homeless.is_empty(),
        "say in LAYERS and in docs/architecture.md what they may know: {homeless:?}"
    );
}

#[test]
fn no_module_knows_one_that_is_not_below_it() {
    let (sources, root) = library();
    let arrows = arrows(&sources, &root);
    let faults: Vec<_> = arrows.iter().filter_map(fault).collect();
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn no_modules_know_each_other_in_a_circle() {
    let (sources, root) = library();
    let arrows = arrows(&sources, &root);
    assert_eq!(circles(&arrows), BTreeSet::new());
}

#[test]
fn the_engine_names_no_table() {
    let (sources, _) = library();
    let named = tables_named(&sources, &tables());
    assert!(
        named.is_empty(),
        "SQL on tables is the domain's and the migrations': {named:?}"
    );
}

/// Each row of its table is a layer, the highest first: its modules stand in quotes in the first column.
#[test]
fn the_documents_tell_of_the_same_layers() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/architecture.md");
    let text = fs::read_to_string(path).expect("the document");
    let text = text.split("\n## Layers\n").nth(1).expect("its section");
    let text = text.split("\n## ").next().unwrap_or(text);
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    let mut told: Vec<BTreeSet<&str>> = rows
        .map(|row| {
            let column = row.split('|').nth(1).unwrap_or_default();
            column.split('`').skip(1).step_by(2).collect()
        })
        .collect();
    told.reverse();
    let layers: Vec<BTreeSet<&str>> = LAYERS
        .iter()
        .map(|layer| layer.iter().copied().collect())
        .collect();
    assert_eq!(told, layers);
}
