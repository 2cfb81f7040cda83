//! The public messages as the sources declare them, so that a test can tell what it has left out.

use std::fs;
use std::path::Path;

/// A message in the sources.
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) is_query: bool,
    /// What is written before its declaration.
    pub(crate) documentation: String,
    /// Its public fields.
    pub(crate) fields: Vec<String>,
}

impl Source {
    pub(crate) fn has(&self, field: &str) -> bool {
        self.fields.iter().any(|name| name == field)
    }
}

/// Every public message of the crate.
pub(crate) fn messages() -> Vec<Source> {
    let mut found = Vec::new();
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/domain");
    look_through(&sources, &mut found);
    found.sort_by(|a: &Source, b| a.name.cmp(&b.name));
    found
}

fn look_through(folder: &Path, found: &mut Vec<Source>) {
    let mut texts = Vec::new();
    for entry in fs::read_dir(folder).expect("the sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            look_through(&path, found);
        } else {
            texts.push(fs::read_to_string(&path).expect("a source"));
        }
    }
    let files: Vec<Vec<_>> = texts.iter().map(|text| text.lines().collect()).collect();
    for line in files.iter().flatten() {
        for (begins, is_query) in [("impl Mutation for ", false), ("impl Query for ", true)] {
            let name = line.strip_prefix(begins);
            if let Some(name) = name.and_then(|rest| rest.strip_suffix(" {")) {
                // In the same folder, though perhaps in another file.
                let mut declared = files.iter().map(|lines| declared(lines, name, is_query));
                found.extend(declared.find_map(|source| source));
            }
        }
    }
}

/// `None` if it is not public.
fn declared(lines: &[&str], name: &str, is_query: bool) -> Option<Source> {
    let is_it = |line: &&str| {
        let rest = line.strip_prefix("pub struct ");
        let rest = rest.and_then(|rest| rest.strip_prefix(name));
        rest.is_some_and(|rest| [" {", ";", "("].iter().any(|end| rest.starts_with(end)))
    };
    let at = lines.iter().position(is_it)?;
    let before = lines[..at].iter().rev();
    let before = before.take_while(|line| line.starts_with("///") || line.starts_with("#["));
    let mut documentation: Vec<_> = before
        .filter_map(|line| line.strip_prefix("///"))
        .map(str::trim)
        .collect();
    documentation.reverse();
    let body = lines[at..].iter().take_while(|line| **line != "}");
    let fields = body.filter_map(|line| line.strip_prefix("    pub "));
    Some(Source {
        name: name.to_owned(),
        is_query,
        documentation: documentation.join(" "),
        fields: match lines[at].ends_with(';') {
            true => Vec::new(),
            false => fields
                .filter_map(|field| field.split(':').next())
                .map(str::to_owned)
                .collect(),
        },
    })
}
