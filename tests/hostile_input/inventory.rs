//! Files are opened in one place of the sources, `src/files`, which follows no link and waits for
//! nothing. Whatever opens, makes or names one elsewhere is listed here, with why it may.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// What opens a file, makes one, or lets a library do so.
const OPENS: [&str; 25] = [
    "File::open",
    "File::create",
    "File::options",
    "OpenOptions",
    "DirBuilder",
    "fs::read(",
    "fs::read_to_string",
    "fs::read_dir",
    "fs::write",
    "fs::copy",
    "fs::hard_link",
    "fs::create_dir",
    "fs::remove_file",
    "fs::remove_dir",
    "fs::set_permissions",
    "fs::rename",
    "symlink(",
    "read_link",
    "tempfile::",
    "Connection::open(",
    "Connection::open_with_flags",
    "VACUUM INTO",
    "ATTACH DATABASE",
    "ATTACH ?",
    "rustix::fs::open",
];

/// The file, what it uses and how often; and why.
const MAY: [(&str, &str, usize, &str); 24] = [
    (
        "archive/folder.rs",
        "fs::read_dir",
        2,
        "of a FIFO it fails, and does not wait",
    ),
    ("archive/folder.rs", "fs::rename", 2, "follows no link"),
    ("archive/partial.rs", "fs::remove_dir", 1, "follows no link"),
    (
        "archive/partial.rs",
        "fs::remove_file",
        1,
        "follows no link",
    ),
    (
        "archive/swap.rs",
        "fs::remove_dir",
        1,
        "an empty one, and follows no link",
    ),
    ("archive/swap.rs", "fs::rename", 1, "follows no link"),
    (
        "archive/scratch.rs",
        "File::open",
        1,
        "a folder, which a lock is put on: `.` in it opens nothing else",
    ),
    (
        "archive/scratch.rs",
        "fs::read_dir",
        1,
        "of a FIFO it fails, and does not wait",
    ),
    ("archive/scratch.rs", "fs::remove_dir", 1, "follows no link"),
    (
        "archive/scratch.rs",
        "tempfile::",
        3,
        "a folder of its own under a random name, and a probe of whose it is",
    ),
    ("archive/verify.rs", "fs::remove_file", 1, "follows no link"),
    (
        "bin/botstore/export.rs",
        "File::options",
        1,
        "with `create_new`, under a random name",
    ),
    (
        "bin/botstore/export.rs",
        "OpenOptions",
        1,
        "the mode of that one",
    ),
    (
        "bin/botstore/export.rs",
        "tempfile::",
        1,
        "exclusive, and never put in another's place",
    ),
    (
        "bin/botstore/mend.rs",
        "File::open",
        1,
        "the folder of the report, to sync it",
    ),
    (
        "bin/botstore/mend.rs",
        "tempfile::",
        1,
        "exclusive, and never put in another's place",
    ),
    (
        "bin/botstore/progress.rs",
        "File::open",
        1,
        "this program's own file, and nothing is read of it",
    ),
    (
        "bin/botstore/progress.rs",
        "fs::read_to_string",
        1,
        "the kernel's own file",
    ),
    (
        "sqlite.rs",
        "VACUUM INTO",
        1,
        "into a file that `files` has just made",
    ),
    (
        "sqlite/look.rs",
        "Connection::open_with_flags",
        1,
        "after `refuse_what_is_no_file`",
    ),
    (
        "sqlite/orphans.rs",
        "fs::read_dir",
        1,
        "of a FIFO it fails, and does not wait",
    ),
    (
        "sqlite/paths.rs",
        "read_link",
        1,
        "the database's path, which its owner's link may be",
    ),
    (
        "sqlite/readers.rs",
        "fs::read_to_string",
        2,
        "the kernel's own file",
    ),
    ("testing.rs", "tempfile::", 2, "for tests"),
];

fn sources(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => sources(&path, found),
            false => found.push(path),
        }
    }
}

/// The source without its unit tests and comments.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let lines = code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn files_are_opened_in_one_place() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    sources(&src, &mut paths);
    let mut found = BTreeMap::new();
    for path in paths {
        let name = path
            .strip_prefix(&src)
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        if name.starts_with("files/") {
            continue;
        }
        let code = code(&path);
        for opens in OPENS {
            let times = code
                .match_indices(opens)
                .filter(|(at, _)| !code[..*at].ends_with(|c: char| c.is_alphanumeric()))
                .count();
            if times > 0 {
                found.insert((name.clone(), opens), times);
            }
        }
    }
    let may: BTreeMap<_, _> = MAY
        .iter()
        .map(|(file, opens, times, _)| (((*file).to_owned(), *opens), *times))
        .collect();
    assert_eq!(
        found, may,
        "open it with src/files, or say here why it need not be"
    );
}

/// What takes a value out of a row.
const READS: [&str; 6] = [
    "row.get",
    ".get::<",
    "get_unwrap",
    "row.as_ref()",
    "query_row",
    "query_map",
];

/// The file and what it may use; why.
const MAY_READ: [(&str, &str, &str); 7] = [
    (
        "limits/state.rs",
        "row.get",
        "compares words of the store's own tables, without a copy of each",
    ),
    ("odd.rs", "row.get", "judges every value, whatever it is"),
    (
        "page.rs",
        "row.get",
        "whether an id is a text that a cursor can hold",
    ),
    (
        "rollups/recount.rs",
        "row.get",
        "passes values on as they are",
    ),
    (
        "rollups/recount.rs",
        "row.as_ref()",
        "finds a column by its name",
    ),
    ("columns/", "row.get", "the place"),
    ("columns/", "row.as_ref()", "how many columns a row has"),
];

#[test]
fn columns_of_the_bot_are_read_in_one_place() {
    let domain = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/domain");
    let mut paths = Vec::new();
    sources(&domain, &mut paths);
    assert!(paths.len() > 20);
    for path in paths {
        let name = path.strip_prefix(&domain).unwrap().to_str().unwrap();
        let code = code(&path);
        for reads in READS.iter().filter(|reads| code.contains(**reads)) {
            let may =
                |(file, what, _): &(&str, &str, &str)| name.starts_with(file) && what == reads;
            assert!(MAY_READ.iter().any(may), "src/domain/{name} has {reads}");
        }
    }
}
