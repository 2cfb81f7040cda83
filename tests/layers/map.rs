//! The first page of the documentation has a map of what is public; this compares it with the sources.

use crate::library;
use std::collections::BTreeSet;

/// The lines of the root's own documentation, and its code.
fn page_and_code(root: &str) -> (String, String) {
    let (page, code): (Vec<&str>, Vec<&str>) = root.lines().partition(|l| l.starts_with("//!"));
    let code = code
        .iter()
        .filter(|line| !line.trim_start().starts_with("//"));
    let code: Vec<&str> = code.copied().collect();
    (page.join("\n"), code.join("\n"))
}

/// The names that `pub use a::{B, C};`, `pub use d;` and `pub mod e;` make public.
fn public(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for item in code.split(';') {
        let item = item.split("pub ").nth(1).unwrap_or_default();
        let Some(names) = item.strip_prefix("use ").or(item.strip_prefix("mod ")) else {
            continue;
        };
        let names = names.split(['{', '}', ',']).map(str::trim);
        let names = names.filter(|name| !name.is_empty() && !name.ends_with("::"));
        found.extend(names.map(|name| name.rsplit("::").next().unwrap_or(name).to_owned()));
    }
    found
}

/// The domain's operations that a caller can name.
fn operations(sources: &[(String, String)]) -> BTreeSet<String> {
    let all: String = sources.iter().map(|(_, text)| text.as_str()).collect();
    let domain = sources
        .iter()
        .filter(|(file, _)| file.starts_with("domain/"));
    let mut found = BTreeSet::new();
    for (_, text) in domain {
        for line in text.lines() {
            let Some((head, name)) = line.split_once(" for ") else {
                continue;
            };
            let is_one = ["impl Mutation", "impl Query"].contains(&head);
            let name = name
                .trim_end_matches(" {")
                .split('<')
                .next()
                .unwrap_or(name);
            let shown = [" {", ";", "("].map(|end| format!("\npub struct {name}{end}"));
            if is_one && shown.iter().any(|shown| all.contains(shown)) {
                found.insert(name.to_owned());
            }
        }
    }
    found
}

/// Whether the page links it.
fn is_on(page: &str, name: &str) -> bool {
    page.contains(&format!("[`{name}`]")) || page.contains(&format!("`{name}` |"))
}

#[test]
fn the_map_has_all_that_is_public() {
    let (sources, root) = library();
    let (page, code) = page_and_code(&root);
    let (names, operations) = (public(&code), operations(&sources));
    assert!(names.contains("Store") && names.contains("users") && names.contains("rusqlite"));
    assert!(
        names.len() > 50 && operations.len() > 35,
        "{names:?} {operations:?}"
    );
    let missing: Vec<_> = names
        .union(&operations)
        .filter(|name| !is_on(&page, name))
        .collect();
    assert!(
        missing.is_empty(),
        "the page of src/lib.rs does not have {missing:?}"
    );
}

/// Who reads it is to see it all: 80 lines.
#[test]
fn the_map_is_short() {
    let (_, root) = library();
    let (page, _) = page_and_code(&root);
    assert!(page.lines().count() < 80, "{}", page.lines().count());
}

#[test]
fn what_is_public_is_read_from_the_sources() {
    let code = "mod a;\npub mod users;\n#[cfg(x)]\npub mod testing;\npub use b::{C, d::E};\npub use f;\n\
                pub(crate) use g::H;\nuse i::J;";
    let expected = ["C", "E", "f", "testing", "users"].map(str::to_owned);
    assert_eq!(public(code), BTreeSet::from(expected));
}
