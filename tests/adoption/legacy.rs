//! The sample files, and how answers are compared with what the bot answered.

use botstore::backup::{self, Backup, IfExists, VerifyOptions};
use botstore::page::{Page, PageRequest};
use botstore::rusqlite::types::Value as Cell;
use botstore::rusqlite::{Connection, OpenFlags};
use botstore::testing::FixedClock;
use botstore::{Config, Query, Store};
use chrono::{DateTime, Utc};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::OnceCell;

pub(crate) const NAMES: [&str; 6] = ["v1", "v2", "v2era", "v4", "v4killed", "v4mixed"];

/// The seven tables of the seed schema, each with its columns that hold a time.
pub(crate) const TIMES: [(&str, &[&str]); 7] = [
    ("users", &["first_seen", "last_active"]),
    ("sessions", &["created_at", "last_used"]),
    ("messages", &["timestamp"]),
    ("tool_usage", &["timestamp"]),
    ("audit_log", &["timestamp"]),
    ("user_tokens", &["created_at", "expires_at", "last_used"]),
    ("cost_tracking", &[]),
];

/// One row a page, so that rows of the same time, too, end one and begin the next.
const PAGE: u32 = 1;

/// What each sample file became when it was taken over and closed: for all tests, which only copy it.
static TAKEN_OVER: [OnceCell<Vec<u8>>; NAMES.len()] =
    [const { OnceCell::const_new() }; NAMES.len()];

/// A copy of a sample file in a folder of its own, and what the bot answers for it.
pub(crate) struct Legacy {
    pub(crate) name: &'static str,
    pub(crate) path: PathBuf,
    pub(crate) expected: Value,
    pub(crate) folder: TempDir,
}

impl Legacy {
    pub(crate) fn copy(name: &'static str) -> Self {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/legacy");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bot.db");
        fs::copy(fixtures.join(format!("{name}.db")), &path).unwrap();
        let wal = fixtures.join(format!("{name}.db-wal"));
        if wal.exists() {
            fs::copy(wal, beside(&path, "-wal")).unwrap();
        }
        let expected = fs::read_to_string(fixtures.join(format!("{name}.expected.json"))).unwrap();
        Self {
            name,
            path,
            expected: serde_json::from_str(&expected).unwrap(),
            folder,
        }
    }

    /// Every sample, each a fresh copy.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        NAMES.into_iter().map(Self::copy)
    }

    /// A copy of a sample file that was taken over: for what does not ask how, nor of the copy beside it.
    pub(crate) async fn taken_over(name: &'static str) -> Self {
        let legacy = Self::copy(name);
        let nth = NAMES.iter().position(|sample| *sample == name).unwrap();
        let file = TAKEN_OVER[nth].get_or_init(async || {
            let sample = Self::copy(name);
            sample.adopt().await;
            fs::read(&sample.path).unwrap()
        });
        fs::write(&legacy.path, file.await).unwrap();
        // What a bot that was killed has left is in the file.
        let _ = fs::remove_file(beside(&legacy.path, "-wal"));
        legacy
    }

    /// Every sample, each a copy that was taken over.
    pub(crate) async fn all_taken_over() -> Vec<Self> {
        let mut all = Vec::new();
        for name in NAMES {
            all.push(Self::taken_over(name).await);
        }
        all
    }

    /// The instant at which the bot gave its answers.
    pub(crate) fn as_of(&self) -> DateTime<Utc> {
        instant(text(&self.expected["as_of"])).unwrap()
    }

    pub(crate) fn config(&self) -> Config {
        // Some of the files were last used days before: that the clock is ahead of them is right.
        let clock = FixedClock::at(self.as_of());
        Config::new(&self.path)
            .clock(clock)
            .clock_jump_wait(Duration::ZERO)
    }

    pub(crate) async fn open(&self) -> Store {
        Store::open(self.config())
            .await
            .unwrap_or_else(|e| panic!("{}: {e}", self.name))
    }

    /// Takes the file over and leaves it closed.
    pub(crate) async fn adopt(&self) {
        self.open().await.close().await.unwrap();
    }

    /// Every table as the bot left it, read from a copy of its own: reading a file with a WAL may
    /// move the WAL into it.
    pub(crate) fn original(&self) -> Tables {
        dump(&Self::copy(self.name).path)
    }

    /// Makes its ledger what programs before step 8 wrote, which wrote nothing down of what they found.
    pub(crate) fn make_its_ledger_strict(&self) {
        let conn = Connection::open(&self.path).unwrap();
        conn.execute_batch(
            "CREATE TABLE kept AS SELECT * FROM botstore_ledger; DROP TABLE botstore_ledger;
             CREATE TABLE botstore_ledger (schema TEXT NOT NULL, step INTEGER NOT NULL,
                 name TEXT NOT NULL, up_sql TEXT NOT NULL, down_sql TEXT NOT NULL,
                 checksum TEXT NOT NULL, applied_at TEXT NOT NULL,
                 PRIMARY KEY (schema, step)) STRICT, WITHOUT ROWID;
             INSERT INTO botstore_ledger SELECT * FROM kept; DROP TABLE kept;
             DROP TABLE IF EXISTS botstore_found;",
        )
        .unwrap();
        conn.close().unwrap();
    }

    pub(crate) fn backups(&self) -> Vec<Backup> {
        let listing = backup::list(beside(&self.path, ".backups")).unwrap();
        assert!(listing.unusable.is_empty(), "{:?}", listing.unusable);
        listing.backups
    }

    /// The file as it was before it was taken over, restored from the first backup.
    pub(crate) fn restored_backup(&self) -> PathBuf {
        let backup = self.backups().remove(0);
        let to = self
            .folder
            .path()
            .join("restored")
            .join(backup.manifest.name);
        if !to.exists() {
            backup::restore(
                &to,
                &backup.path,
                IfExists::Refuse,
                VerifyOptions::default(),
            )
            .unwrap();
        }
        to
    }

    pub(crate) fn timeless(&self, what: &str) -> &Value {
        &self.expected["timeless"][what]
    }

    /// The right answer to a question about a span of time, which the bot may have missed.
    pub(crate) fn windowed(&self, what: &str) -> &Value {
        let right = &self.expected["true"]["windowed"][what];
        if right.is_null() {
            &self.expected["windowed"][what]
        } else {
            right
        }
    }

    /// The ids of the users in the file.
    pub(crate) fn user_ids(&self) -> Vec<i64> {
        let ids = array(self.timeless("all_user_ids"));
        ids.iter().map(|id| id.as_i64().unwrap()).collect()
    }

    /// The sessions in the file, each with its owner.
    pub(crate) fn sessions(&self) -> Vec<(&str, i64)> {
        let sessions = object(self.timeless("per_session")).iter();
        sessions
            .map(|(id, session)| (id.as_str(), session["user_id"].as_i64().unwrap()))
            .collect()
    }

    /// Checks that an answer is what was expected: times by instant, flags as 0 or 1, numbers that
    /// are not whole within the file's tolerance.
    #[track_caller]
    pub(crate) fn check(&self, what: &str, answer: &Value, expected: &Value) {
        let tolerance = self.expected["float_tolerance"].as_f64().unwrap();
        if let Err(why) = same(answer, expected, tolerance) {
            panic!("{}: {what}: {why}", self.name);
        }
    }
}

fn same(answer: &Value, expected: &Value, tolerance: f64) -> Result<(), String> {
    let differ = || format!("the answer is {answer}, expected was {expected}");
    let equal = match (answer, expected) {
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            return a.iter().zip(b).enumerate().try_for_each(|(index, (a, b))| {
                same(a, b, tolerance).map_err(|why| format!("[{index}]: {why}"))
            });
        }
        (Value::Object(a), Value::Object(b)) if a.keys().eq(b.keys()) => {
            return a.iter().try_for_each(|(key, a)| {
                same(a, &b[key], tolerance).map_err(|why| format!("{key}: {why}"))
            });
        }
        (Value::Bool(flag), Value::Number(number)) => number.as_u64() == Some(u64::from(*flag)),
        (Value::Number(a), Value::Number(b)) if a.is_f64() || b.is_f64() => {
            let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            // An average amount is rounded to the billionth of a dollar.
            (a - b).abs() <= (tolerance * a.abs().max(b.abs())).max(1e-9)
        }
        (Value::String(a), Value::String(b)) => {
            a == b || instant(a).is_some_and(|at| instant(b) == Some(at))
        }
        _ => answer == expected,
    };
    if equal { Ok(()) } else { Err(differ()) }
}

/// A time in any of the bot's spellings. Not the crate's own reader, which is on trial here.
pub(crate) fn instant(text: &str) -> Option<DateTime<Utc>> {
    let text = text.replacen(' ', "T", 1);
    DateTime::parse_from_rfc3339(&text)
        .or_else(|_| DateTime::parse_from_rfc3339(&format!("{text}+00:00")))
        .ok()
        .map(|time| time.to_utc())
}

/// Every row of a list, page by page.
pub(crate) async fn list<T, Q>(store: &Store, query: impl Fn(PageRequest) -> Q) -> Vec<T>
where
    T: Send + 'static,
    Q: Query<Output = Page<T>>,
{
    let mut request = PageRequest::first(PAGE);
    let mut rows = Vec::new();
    loop {
        let page = store.read(query(request.clone())).await.unwrap();
        rows.extend(page.items);
        let Some(next) = page.next else { return rows };
        request = request.after(next);
    }
}

/// Checks that a list is newest first: by ids where it is in the order of saving, or by a time and then by ids.
#[track_caller]
pub(crate) fn check_newest_first<K: PartialOrd>(keys: impl Iterator<Item = K>) {
    let keys: Vec<_> = keys.collect();
    assert!(keys.is_sorted_by(|a, b| a > b), "not newest first");
}

pub(crate) type Row = BTreeMap<String, Cell>;
pub(crate) type Tables = BTreeMap<String, Vec<Row>>;

/// All rows of all tables, in order of their keys.
pub(crate) fn dump(path: &Path) -> Tables {
    let conn = open_plain(path);
    let mut tables = Tables::new();
    for (kind, name) in objects(&conn) {
        // SQLite's own tables are the query planner's, and change as it pleases.
        if kind == "table" && !name.starts_with("sqlite_stat") {
            tables.insert(name.clone(), rows(&conn, &name));
        }
    }
    tables
}

fn rows(conn: &Connection, table: &str) -> Vec<Row> {
    let mut statement = conn
        .prepare(&format!("SELECT * FROM {table} ORDER BY 1, 2"))
        .or_else(|_| conn.prepare(&format!("SELECT * FROM {table} ORDER BY 1")))
        .unwrap();
    // `column_names` gives an iterator or a list, by the version of rusqlite.
    let name = |index| statement.column_name(index).unwrap().to_owned();
    let names: Vec<String> = (0..statement.column_count()).map(name).collect();
    let rows = statement.query_map([], |row| {
        let columns = names.iter().enumerate();
        columns
            .map(|(index, name)| Ok((name.clone(), row.get(index)?)))
            .collect()
    });
    rows.unwrap().map(Result::unwrap).collect()
}

/// What is in the file, as (kind, name), in order.
pub(crate) fn objects(conn: &Connection) -> Vec<(String, String)> {
    let mut statement = conn
        .prepare("SELECT type, name FROM sqlite_schema ORDER BY type, name")
        .unwrap();
    let found = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
    found.unwrap().map(Result::unwrap).collect()
}

/// The file as any other program sees it: none of our functions, none of our settings.
pub(crate) fn open_plain(path: &Path) -> Connection {
    Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap()
}

/// The path with this after its last component.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[track_caller]
pub(crate) fn array(value: &Value) -> &Vec<Value> {
    value.as_array().unwrap()
}

#[track_caller]
pub(crate) fn object(value: &Value) -> &serde_json::Map<String, Value> {
    value.as_object().unwrap()
}

#[track_caller]
pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}
