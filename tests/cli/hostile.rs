//! A place in which every name that the command line prints holds characters that must not be
//! printed raw.

use crate::support::{Place, Ran, on};
use botstore::rusqlite::Connection;
use sha2::{Digest as _, Sha256};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

/// Controls, bidi, zero width, separators, and what else is not seen: first and last.
const HIDDEN: [(u32, u32); 20] = [
    (0x00, 0x1f),
    (0x7f, 0x9f),
    (0xad, 0xad),
    (0x34f, 0x34f),
    (0x61c, 0x61c),
    (0x115f, 0x1160),
    (0x17b4, 0x17b5),
    (0x180b, 0x180f),
    (0x200b, 0x200f),
    (0x2028, 0x2029),
    (0x202a, 0x202e),
    (0x2060, 0x206f),
    (0x3164, 0x3164),
    (0xfe00, 0xfe0f),
    (0xfeff, 0xfeff),
    (0xffa0, 0xffa0),
    (0xfff0, 0xfffb),
    (0x1bca0, 0x1bca3),
    (0x1d173, 0x1d17a),
    (0xe0000, 0xe0fff),
];

/// Every hidden character.
pub(crate) fn all() -> String {
    let all = HIDDEN.iter().flat_map(|(first, last)| *first..=*last);
    all.filter_map(char::from_u32).collect()
}

/// The ends of each range, and what a terminal takes for orders; short enough for a file's name.
pub(crate) fn sample() -> String {
    let ends = HIDDEN.iter().flat_map(|(first, last)| [*first, *last]);
    let ends = ends.filter(|c| *c != 0).filter_map(char::from_u32);
    let orders = "\u{1b}[2J\u{1b}]0;t\u{7}\u{9b}31m\r\t\n\u{200d}\u{202e}";
    format!("ada{}{orders}", ends.collect::<String>())
}

pub(crate) fn is_hidden(c: char) -> bool {
    HIDDEN
        .iter()
        .any(|(first, last)| (*first..=*last).contains(&u32::from(c)))
}

/// A text as it is shown to people.
pub(crate) fn escaped(text: &str) -> String {
    let shown = text.chars().map(|c| match is_hidden(c) {
        true => c.escape_default().to_string(),
        false => c.to_string(),
    });
    shown.collect()
}

impl Ran {
    /// Nothing hidden was printed but line breaks.
    pub(crate) fn clean(self, what: &str) -> Self {
        for text in [&self.out, &self.err] {
            let raw = text.chars().find(|c| *c != '\n' && is_hidden(*c));
            assert_eq!(raw, None, "{what}: {text:?}");
        }
        self
    }
}

pub(crate) struct Hostile {
    pub(crate) place: Place,
    /// What everything is called.
    pub(crate) name: String,
    /// The older of two backups, and one that was forged.
    pub(crate) backup: PathBuf,
    pub(crate) forged: PathBuf,
}

impl Hostile {
    pub(crate) fn new() -> Self {
        let name = sample();
        let mut place = Place::new();
        let folder = place.path(&name);
        fs::create_dir(&folder).unwrap();
        place.file = folder.join(format!("bot{name}.db"));
        place.fill(3);
        let backup = place.back_up(&[]);
        let forged = place.back_up(&[]);
        place.back_up(&[]);
        forge(&forged, &name);
        fs::write(forged.with_file_name(".drill.json"), drill(&name)).unwrap();
        name_everything(&place.file, &name);
        Self {
            place,
            name,
            backup,
            forged,
        }
    }

    pub(crate) fn file(&self) -> &OsStr {
        self.place.file.as_os_str()
    }

    /// A path that nothing has yet.
    pub(crate) fn free(&self) -> PathBuf {
        let number = fs::read_dir(self.place.folder.path()).unwrap().count();
        self.place.path(&format!("{number}{}", self.name))
    }
}

/// A backup whose manifest is another's, with a checksum that is right.
fn forge(backup: &Path, name: &str) {
    let path = backup.join("manifest.json");
    let text = fs::read_to_string(&path).unwrap();
    let mut manifest: serde_json::Value = serde_json::from_str(&text).unwrap();
    let old = manifest["checksum"].as_str().unwrap().to_owned();
    let was = manifest["name"].take();
    let name = serde_json::to_string(name).unwrap();
    let text = text.replace(&was.to_string(), &name);
    let sum = Sha256::digest(text.replace(&old, ""));
    let sum: String = sum.iter().map(|byte| format!("{byte:02x}")).collect();
    fs::write(&path, text.replace(&old, &sum)).unwrap();
}

fn drill(name: &str) -> String {
    let drill = serde_json::json!({
        "backup": name,
        "at": "2026-01-01T00:00:00Z",
        "took": { "secs": 1, "nanos": 0 },
        "rows": 1,
    });
    drill.to_string()
}

/// Users, sessions, projects, tools, events, a table, a column, a schema and the store itself; with
/// something for `check` to find in each of them.
fn name_everything(file: &Path, name: &str) {
    let conn = Connection::open(file).unwrap();
    conn.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
    for sql in [
        "UPDATE sessions SET session_id = ?1, project_path = ?1, total_cost = 77",
        "UPDATE messages SET session_id = ?1, prompt = ?1, response = ?1",
        "UPDATE tool_usage SET session_id = ?1, tool_name = ?1",
        "UPDATE audit_log SET event_type = ?1",
        "UPDATE botstore_store SET store_id = ?1",
        "UPDATE botstore_tool SET uses = 77 WHERE tool_name = ?1",
        "INSERT INTO botstore_usage (usage_id, user_id, at, provider_name, request_model)
             VALUES (-1, 1, strftime('%Y-%m-%dT%H:%M:%S.000000+00:00', 'now'), ?1, ?1)",
        "INSERT INTO botstore_limit (scope, who, measure, per, max, limit_id, set_at)
             VALUES ('model', ?1, 'tokens', 'day', 1000, 1, '2026-01-01T00:00:00.000000+00:00')",
        "INSERT INTO botstore_ledger VALUES (?1, 1, ?1, 'SELECT 1', 'SELECT 1', ?1, ?1)",
    ] {
        assert!(conn.execute(sql, [name]).unwrap() > 0, "{sql}");
    }
    let named = "UPDATE users SET telegram_username = ?1";
    conn.execute(named, [format!("{name}{}", all())]).unwrap();
    conn.execute_batch(&format!(
        "CREATE TABLE \"{name}\" (\"{name}\" TEXT REFERENCES \"to{name}\"(id));
         INSERT INTO \"{name}\" VALUES ('orphan')"
    ))
    .unwrap();
    conn.close().unwrap();
}

/// A file of which SQLite says that its schema is malformed, quoting it.
pub(crate) fn malformed(name: &str) -> Place {
    let place = Place::filled(1);
    let conn = Connection::open(&place.file).unwrap();
    conn.execute_batch("PRAGMA writable_schema = ON").unwrap();
    let sql = "INSERT INTO sqlite_schema VALUES ('table', ?1, ?1, 0, 'CREATE TABLE x(' || ?1)";
    conn.execute(sql, [name]).unwrap();
    conn.close().unwrap();
    place
}

/// The commands that `botstore --help` lists.
pub(crate) fn commands() -> Vec<String> {
    let help = crate::support::run(["--help"]).came_to(0).out;
    let (_, list) = help.split_once("\nCommands:\n").unwrap();
    let (list, _) = list.split_once("\n\n").unwrap();
    let first = |line: &str| line.split_whitespace().next().unwrap().to_owned();
    list.lines().map(first).collect()
}

/// The options of a command that take a value.
pub(crate) fn valued(command: &str) -> Vec<String> {
    let help = on(command, "--help".as_ref(), &[]).came_to(0).out;
    let option = |line: &str| {
        let (name, _) = line.trim_start().split_once(" <")?;
        name.starts_with("--").then(|| name.to_owned())
    };
    help.lines().filter_map(option).collect()
}
