//! The documents' links work on a page of the repository, and in rustdoc's guide, which includes them.
//!
//! A relative path leads nowhere in rustdoc, and a path of Rust nowhere in the repository. So an included document
//! links by reference: what it defines at its end is for the repository, and `src/guide/links.md`, which the guide has
//! before it, is for rustdoc. That the latter resolves is rustdoc's own check.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    let text = fs::read_to_string(top().join(path));
    text.unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Those that rustdoc's guide has.
fn included() -> Vec<String> {
    let docs = fs::read_dir(top().join("docs")).expect("the documents");
    let names = docs.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let documents = names
        .filter(|name| name.ends_with(".md"))
        .map(|name| format!("docs/{name}"));
    let mut found: Vec<String> = documents.collect();
    assert!(found.len() > 4, "these are not all: {found:?}");
    found.push("README.md".to_owned());
    found
}

/// What is read in the repository only. The package has all but these.
fn others() -> Vec<String> {
    let all = ["CHANGELOG.md", "SECURITY.md", "migrations/README.md"];
    all.map(str::to_owned).into()
}

/// What a document links, as it is written.
#[derive(Debug, Default, PartialEq)]
struct Links {
    /// `](target)`
    inline: Vec<String>,
    /// `][label]`, and a label by itself that looks like one of ours.
    labels: BTreeSet<String>,
    /// `[label]: target`
    defined: BTreeMap<String, String>,
    /// The anchors of its headings.
    anchors: BTreeSet<String>,
}

/// As repositories make one of a heading.
fn anchor(heading: &str) -> String {
    let kept = heading
        .chars()
        .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

fn links(document: &str) -> Links {
    let mut found = Links::default();
    let mut in_code = false;
    let mut prose = String::new();
    for line in document.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        } else if in_code {
            // Brackets of a program's.
        } else if let Some((label, target)) = definition(line) {
            found.defined.insert(label.to_owned(), target.to_owned());
        } else {
            if let Some((level, heading)) = line.split_once(' ')
                && !level.is_empty()
                && level.chars().all(|c| c == '#')
            {
                found.anchors.insert(anchor(heading));
            }
            prose.push_str(line);
            prose.push('\n');
        }
    }
    for (at, _) in prose.match_indices('[') {
        let Some((text, rest)) = prose[at + 1..].split_once(']') else {
            continue;
        };
        let until = |end| rest[1..].split(end).next().unwrap_or_default();
        match rest.chars().next() {
            Some('(') => found.inline.push(link_target(&rest[1..])),
            Some('[') => _ = found.labels.insert(until(']').to_owned()),
            // The second half of `[text][label]` comes here as well, and is the same label.
            _ if text.starts_with('`') || text.contains('/') || text.ends_with(".md") => {
                found.labels.insert(text.to_owned());
            }
            _ => {}
        }
    }
    found
}

fn definition(line: &str) -> Option<(&str, &str)> {
    let (label, target) = line.strip_prefix('[')?.split_once("]: ")?;
    (!target.contains(' ')).then_some((label, target))
}

/// Up to the parenthesis that closes it: a path of Rust may have a pair in it.
fn link_target(rest: &str) -> String {
    let mut open = 0;
    let ends = rest.char_indices().find(|&(_, c)| {
        open += i32::from(c == '(') - i32::from(c == ')');
        open < 0
    });
    rest[..ends.map_or(rest.len(), |(at, _)| at)].to_owned()
}

fn is_elsewhere(target: &str) -> bool {
    target.starts_with("https://") || target.starts_with("mailto:")
}

/// A target in this document as a path from the top, and an anchor.
fn resolved(document: &str, target: &str) -> (String, Option<String>) {
    let (path, anchor) = match target.split_once('#') {
        Some((path, anchor)) => (path, Some(anchor.to_owned())),
        None => (target, None),
    };
    if path.is_empty() {
        return (document.to_owned(), anchor);
    }
    let mut clean = PathBuf::new();
    let beside = Path::new(document).parent().unwrap_or(Path::new(""));
    for part in beside.join(path).components() {
        match part {
            Component::ParentDir => assert!(clean.pop(), "{document}: {target} is outside"),
            part => clean.push(part),
        }
    }
    (clean.to_string_lossy().replace('\\', "/"), anchor)
}

/// What is wrong with it on a page of the repository.
fn wrong(document: &str, target: &str) -> Option<String> {
    if is_elsewhere(target) {
        return None;
    }
    let (path, anchor) = resolved(document, target);
    if !top().join(&path).exists() {
        return Some(format!("{document}: there is no {target}"));
    }
    let anchor = anchor?;
    let there = links(&read(&path)).anchors;
    (!there.contains(&anchor)).then(|| format!("{document}: {path} has no heading #{anchor}"))
}

#[test]
fn every_relative_link_of_a_document_leads_to_a_file_and_to_a_heading() {
    let mut faults = Vec::new();
    for document in included().into_iter().chain(others()) {
        let links = links(&read(&document));
        let targets = links.inline.iter().chain(links.defined.values());
        faults.extend(targets.filter_map(|target| wrong(&document, target)));
        let undefined = links
            .labels
            .iter()
            .filter(|label| !links.defined.contains_key(*label));
        faults.extend(undefined.map(|label| format!("{document}: [{label}] is not defined")));
        let unused = links
            .defined
            .keys()
            .filter(|label| !links.labels.contains(*label));
        faults.extend(unused.map(|label| format!("{document}: [{label}] is not used")));
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn what_the_guide_includes_links_by_labels_that_rustdoc_has_a_target_for() {
    let rustdoc = links(&read("src/guide/links.md")).defined;
    let mut faults = Vec::new();
    let mut used = BTreeSet::new();
    for document in included() {
        let links = links(&read(&document));
        let inline = links.inline.iter().filter(|target| !is_elsewhere(target));
        faults.extend(inline.map(|target| format!("{document}: ({target}) is dead in rustdoc")));
        for (label, target) in links.defined {
            if !is_elsewhere(&target)
                && rustdoc.get(&label) != Some(&expected(&document, &label, &target))
            {
                let expected = expected(&document, &label, &target);
                faults.push(format!("src/guide/links.md needs [{label}]: {expected}"));
            }
            used.insert(label);
        }
    }
    let unused = rustdoc.keys().filter(|label| !used.contains(*label));
    faults.extend(unused.map(|label| format!("src/guide/links.md: [{label}] is not used")));
    assert!(faults.is_empty(), "{faults:#?}");
}

/// Where the guide is to lead: to its own page of a document, to an item, or to its note on files.
fn expected(document: &str, label: &str, target: &str) -> String {
    let (path, anchor) = resolved(document, target);
    let anchor = anchor.map(|anchor| format!("#{anchor}"));
    let anchor = anchor.unwrap_or_default();
    if let Some(item) = label.strip_prefix('`').and_then(|l| l.strip_suffix('`')) {
        // Which module it is in only rustdoc knows; that the source has it is to be seen.
        let name = item.rsplit("::").next().unwrap_or(item);
        let has_it = read(&path).contains(name);
        assert!(has_it, "{document}: {path} has no {name}");
        let rustdoc = links(&read("src/guide/links.md")).defined;
        let there = rustdoc.get(label).filter(|to| {
            let last = to.trim_end_matches("()").rsplit("::").next();
            to.starts_with("crate::") && last == Some(name)
        });
        return there
            .cloned()
            .unwrap_or_else(|| format!("crate::…::{name}"));
    }
    let stem = path
        .strip_prefix("docs/")
        .and_then(|p| p.strip_suffix(".md"));
    match (path.as_str(), stem) {
        ("README.md", _) => format!("crate::guide::readme{anchor}"),
        (_, Some(stem)) => format!("crate::guide::{stem}{anchor}"),
        _ => "crate::guide#files".to_owned(),
    }
}

#[test]
fn the_guide_has_every_document_after_rustdocs_targets() {
    let guide = read("src/guide.rs");
    for document in included() {
        let both = format!(
            "#[doc = include_str!(\"guide/links.md\")]\n#[doc = include_str!(\"../{document}\")]\n"
        );
        assert!(guide.contains(&both), "src/guide.rs lacks {document}");
    }
}

#[test]
fn links_are_read_as_they_are_written() {
    let found = links(
        "# A heading: `x`, 2\n[a](b.md#c), [d][e/f]; [`G`] or\n[h.md]. ![i](j) [k](crate::l()).\n\
         ```\n[m](n)\n## no\n```\n[x] array[1]\n\n[e/f]: f.md\n[`G`]: g.rs\n",
    );
    assert_eq!(found.inline, ["b.md#c", "j", "crate::l()"]);
    assert_eq!(Vec::from_iter(&found.labels), ["`G`", "e/f", "h.md"]);
    assert_eq!(found.defined.len(), 2);
    assert_eq!(Vec::from_iter(&found.anchors), ["a-heading-x-2"]);
    assert!(wrong("docs/architecture.md", "nowhere.md").is_some());
    assert!(wrong("docs/architecture.md", "operations.md#no-such-heading").is_some());
    assert!(wrong("docs/architecture.md", "crate::Store").is_some());
    assert_eq!(wrong("docs/architecture.md", "../README.md#botstore"), None);
}
