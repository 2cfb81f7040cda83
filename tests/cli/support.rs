//! A file in a folder, what is run on it, and what came of that.

use crate::copy::copy_as_killed;
use crate::midday::midday;
use botstore::interactions::SaveInteraction;
use botstore::rusqlite::Connection;
use botstore::sessions::CreateSession;
#[cfg(unix)]
use botstore::testing::usd;
use botstore::tokens::IssueToken;
use botstore::tools::ToolCall;
use botstore::users::EnsureUser;
use botstore::{Config, Store};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs::{self, Permissions};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use tempfile::TempDir;

/// After the file: sets a limit, and removes it.
pub(crate) const SET_A_LIMIT: [&str; 9] = [
    "set",
    "--scope",
    "each-user",
    "--of",
    "cost",
    "--max",
    "2",
    "--per",
    "day",
];
pub(crate) const REMOVE_A_LIMIT: [&str; 7] = [
    "remove",
    "--scope",
    "each-user",
    "--of",
    "cost",
    "--per",
    "day",
];

/// What a run of the program came to.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// The one JSON document on stdout.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {}{}", self.out, self.err))
    }

    pub(crate) fn came_to(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}{}", self.out, self.err);
        self
    }
}

pub(crate) fn command<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_botstore"));
    command.args(arguments).stdin(Stdio::null());
    command
}

pub(crate) fn run<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Ran {
    ran(&mut command(arguments))
}

/// The same with this folder for temporary files.
#[cfg(target_os = "linux")]
pub(crate) fn run_in(arguments: &[&OsStr], temporary: &Path) -> Ran {
    ran(command(arguments).env("TMPDIR", temporary))
}

/// The commands that there are, as the help lists them.
pub(crate) fn commands() -> BTreeSet<String> {
    let help = run(["--help"]).came_to(0).out;
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let listed = listed.take_while(|line| !line.is_empty());
    let names = listed.filter_map(|line| line.split_whitespace().next());
    let names: BTreeSet<_> = names
        .map(str::to_owned)
        .filter(|name| name != "help")
        .collect();
    assert!(names.contains("status") && names.len() > 10, "{help}");
    names
}

pub(crate) fn ran(command: &mut Command) -> Ran {
    let output = command.output().unwrap();
    Ran {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// `botstore COMMAND FILE MORE…`
pub(crate) fn on(command: &str, file: &Path, more: &[&str]) -> Ran {
    let arguments = [command.as_ref(), file.as_os_str()];
    run(arguments.into_iter().chain(more.iter().map(OsStr::new)))
}

/// A file that a closed store left: its name, what is in it, and who may read it.
struct Left {
    name: OsString,
    bytes: Vec<u8>,
    permissions: Permissions,
}

impl Left {
    fn all(place: &Place) -> Vec<Self> {
        let entries = fs::read_dir(place.folder.path()).unwrap();
        let left = entries.map(|entry| {
            let entry = entry.unwrap();
            Self {
                name: entry.file_name(),
                bytes: fs::read(entry.path()).unwrap(),
                permissions: entry.metadata().unwrap().permissions(),
            }
        });
        left.collect()
    }

    fn put_into(&self, place: &Place) {
        let path = place.folder.path().join(&self.name);
        fs::write(&path, &self.bytes).unwrap();
        fs::set_permissions(&path, self.permissions.clone()).unwrap();
    }
}

/// A folder that goes with the test, and a file in it.
pub(crate) struct Place {
    pub(crate) folder: TempDir,
    pub(crate) file: PathBuf,
}

impl Place {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("bot.db");
        Self { folder, file }
    }

    /// With the closed file of a bot. The first of each size is made by a store; the others are copies of it.
    pub(crate) fn filled(interactions: u64) -> Self {
        static MADE: Mutex<BTreeMap<u64, Vec<Left>>> = Mutex::new(BTreeMap::new());
        let place = Self::new();
        let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
        match made.get(&interactions) {
            Some(left) => left.iter().for_each(|file| file.put_into(&place)),
            None => {
                place.fill(interactions);
                made.insert(interactions, Left::all(&place));
            }
        }
        place
    }

    /// With a file that the Python bot left.
    pub(crate) fn legacy() -> Self {
        let place = Self::new();
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/legacy");
        fs::copy(fixtures.join("v2era.db"), &place.file).unwrap();
        place
    }

    #[tokio::main]
    pub(crate) async fn fill(&self, interactions: u64) {
        let store = self.open().await;
        store.write(EnsureUser::new(1, Some("ada"))).await.unwrap();
        let session = CreateSession::new(1, "s", "/srv");
        store.write(session).await.unwrap();
        let token = IssueToken::new(1);
        store.write(token).await.unwrap();
        for number in 0..interactions {
            store.write(interaction(number)).await.unwrap();
        }
        store.close().await.unwrap();
    }

    pub(crate) async fn open(&self) -> Store {
        Store::open(&self.file).await.unwrap()
    }

    /// The same, with a day that does not end before the test does.
    pub(crate) async fn open_at_midday(&self) -> Store {
        let config = Config::new(&self.file).time_zone(midday());
        Store::open(config).await.unwrap()
    }

    /// Makes the file what a store would never make of it.
    pub(crate) fn alter(&self, sql: &str) {
        let conn = Connection::open(&self.file).unwrap();
        conn.execute_batch(sql).unwrap();
        conn.close().unwrap();
    }

    /// What a bot that has the file open would leave if it were killed now.
    #[cfg(unix)]
    pub(crate) fn as_killed(&self) -> Self {
        let left = Self::new();
        copy_as_killed(&self.file, &left.file);
        left
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Every file in the folder and those below, with what is in it.
    pub(crate) fn picture(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut files = Vec::new();
        let mut folders = vec![self.folder.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => folders.push(path),
                    false => files.push((path.clone(), fs::read(path).unwrap())),
                }
            }
        }
        files.sort();
        files
    }

    /// Makes a backup and gives its folder.
    pub(crate) fn back_up(&self, more: &[&str]) -> PathBuf {
        let more: Vec<_> = more.iter().copied().chain(["--json"]).collect();
        let made = on("backup", &self.file, &more).came_to(0).json();
        made["path"].as_str().unwrap().into()
    }
}

pub(crate) fn interaction(number: u64) -> SaveInteraction {
    SaveInteraction::new(1, "s", format!("prompt {number}"))
        .response("word ".repeat(100))
        .cost(usd(0.5))
        .tool(ToolCall::new("Read"))
}

/// Overwrites bytes in the middle of a file.
pub(crate) fn damage(file: &Path) {
    let mut bytes = fs::read(file).unwrap();
    // Behind the schema, which stands in the first half of a small file: without it nothing can be told.
    let start = bytes.len() / 4 * 3;
    let end = bytes.len().min(start + 8192);
    bytes[start..end].fill(0xA5);
    fs::write(file, bytes).unwrap();
}

/// Makes a page in the middle of a table one that no table has.
pub(crate) fn damage_page_of(file: &Path, table: &str) {
    const PAGE: usize = 4096;
    let conn = Connection::open(file).unwrap();
    // The bytes of a row in the middle, which are nowhere else: the page around them is its page.
    let sql = format!(
        "SELECT prompt FROM {table} ORDER BY rowid LIMIT 1 OFFSET (SELECT count(*) / 2 FROM {table})"
    );
    let row: String = conn.query_row(&sql, [], |row| row.get(0)).unwrap();
    conn.close().unwrap();
    let mut bytes = fs::read(file).unwrap();
    let is_here = |window: &[u8]| window == row.as_bytes();
    let at = bytes.windows(row.len()).position(is_here).expect("the row");
    bytes[at / PAGE * PAGE] ^= 0x40;
    fs::write(file, bytes).unwrap();
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The last step of the bot's schema.
pub(crate) fn newest() -> usize {
    let plan = botstore::schema::plan("a-file-that-is-not-there.db").unwrap();
    let steps = plan.steps.iter();
    steps.filter(|step| step.schema == "botstore").count()
}

/// How many steps the crate's own schemas have.
pub(crate) fn all_steps() -> usize {
    let plan = botstore::schema::plan("a-file-that-is-not-there.db").unwrap();
    plan.steps.len()
}
