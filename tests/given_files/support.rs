//! A file of a bot, and what somebody does to it with SQL of their own.

use botstore::backup::{self, Checksum, Contents, Manifest};
use botstore::interactions::SaveInteraction;
use botstore::rusqlite::Connection;
use botstore::sessions::CreateSession;
use botstore::testing::usd;
use botstore::tools::ToolCall;
use botstore::usage::{Chat, Usage};
use botstore::users::{EnsureUser, SetAllowed};
use botstore::{BeforeUpgrade, Config, Durability, Store};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// A file in a folder that goes with it.
pub(crate) struct Given {
    pub(crate) folder: TempDir,
    pub(crate) path: PathBuf,
}

impl Given {
    /// With nothing in it.
    pub(crate) fn nowhere() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("bot.db");
        Self { folder, path }
    }

    /// The closed file of a bot with two users, of whom the first may talk.
    pub(crate) async fn file() -> Self {
        let given = Self::nowhere();
        fill(&Store::open(given.config()).await.expect("a store")).await;
        given
    }

    /// The same, in a test without tasks.
    #[tokio::main(flavor = "current_thread")]
    pub(crate) async fn file_now() -> Self {
        Self::file().await
    }

    pub(crate) fn config(&self) -> Config {
        // No power goes off here, and nobody reads beside another.
        Config::new(&self.path)
            .before_upgrade(BeforeUpgrade::Skip)
            .durability(Durability::Normal)
            .readers(1)
    }

    /// Another program's connection, which may write what it likes.
    pub(crate) fn conn(&self) -> Connection {
        Connection::open(&self.path).expect("open")
    }

    pub(crate) fn forge(&self, sql: &str) {
        let conn = self.conn();
        conn.execute_batch(sql).expect(sql);
        conn.close().expect("closed");
    }

    /// All of the schema and the rows that anybody may be after, in words.
    pub(crate) fn dump(&self) -> Vec<String> {
        let conn = self.conn();
        let mut dump = Vec::new();
        for sql in [
            "SELECT type || ' ' || name || ' ' || ifnull(sql, '') FROM sqlite_schema",
            "SELECT 'user ' || user_id || ' ' || is_allowed FROM users",
            "SELECT 'event ' || id || ' ' || event_type FROM audit_log",
            "SELECT schema || ' ' || step || ' ' || down_sql FROM botstore_ledger",
            "SELECT 'ids ' || name || ' ' || quote(seq) FROM sqlite_sequence",
        ] {
            let mut rows = conn.prepare(sql).expect(sql);
            let rows = rows.query_map([], |row| row.get::<_, String>(0));
            dump.extend(rows.expect(sql).map(|row| row.expect(sql)));
        }
        dump.sort();
        dump
    }

    pub(crate) fn path_of(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

async fn fill(store: &Store) {
    for user_id in [1, 2] {
        let user = EnsureUser::new(user_id, Some("ada"));
        store.write(user).await.expect("a user");
    }
    store.write(SetAllowed::allow(1)).await.expect("allowed");
    let session = CreateSession::new(1, "s", "/srv");
    store.write(session).await.expect("a session");
    for _ in 0..3 {
        store.write(interaction()).await.expect("saved");
    }
    store.close().await.expect("closed");
}

pub(crate) fn interaction() -> SaveInteraction {
    SaveInteraction::new(1, "s", "Which tests fail?")
        .response("None.")
        .cost(usd(0.5))
        .tool(ToolCall::new("Read"))
        .usage(Usage::new("openai", "gpt").chat(Chat::new("telegram", "7")))
}

/// What a run of the command line came to.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {}{}", self.out, self.err))
    }

    #[track_caller]
    pub(crate) fn came_to(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}{}", self.out, self.err);
        self
    }
}

/// `botstore COMMAND FILE MORE…`
pub(crate) fn run(command: &str, file: &Path, more: &[&str]) -> Ran {
    ran(
        Command::new(env!("CARGO_BIN_EXE_botstore")),
        command,
        file,
        more,
    )
}

/// The same with no more memory than so much, program and stacks included.
#[cfg(target_os = "linux")]
pub(crate) fn run_within(kib: u64, command: &str, file: &Path, more: &[&str]) -> Ran {
    let mut shell = Command::new("sh");
    shell
        .arg("-c")
        .arg(format!("ulimit -v {kib} && exec \"$@\""))
        .args(["sh", env!("CARGO_BIN_EXE_botstore")]);
    ran(shell, command, file, more)
}

fn ran(mut program: Command, command: &str, file: &Path, more: &[&str]) -> Ran {
    let arguments = [command.as_ref(), file.as_os_str()];
    let output = program
        .args(arguments.into_iter().chain(more.iter().map(OsStr::new)))
        .stdin(Stdio::null())
        .output()
        .expect("the command line");
    Ran {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).expect("text"),
        err: String::from_utf8(output.stderr).expect("text"),
    }
}

fn checksum(bytes: &[u8]) -> Checksum {
    let digits = Sha256::digest(bytes);
    let digits: String = digits.iter().map(|byte| format!("{byte:02x}")).collect();
    Checksum::new(bytes.len() as u64, digits)
}

/// Puts another database into a backup, with a manifest that says so: what somebody can do who can
/// write into the folder.
pub(crate) fn repack(backup: &Path, database: &Path) {
    let bytes = fs::read(database).expect("the database");
    let packed = zstd::encode_all(&bytes[..], 3).expect("a frame");
    let conn = Connection::open(database).expect("the database");
    let mut tables = conn
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0")
        .expect("tables");
    let tables = tables.query_map([], |row| row.get::<_, String>(0));
    let rows = tables.expect("tables").map(|table| {
        let table = table.expect("a name");
        let sql = format!("SELECT count(*) FROM {table}");
        let rows = conn.query_row(&sql, [], |row| row.get::<_, i64>(0));
        (table, rows.expect("a count") as u64)
    });
    let rows = rows.collect();
    let mut manifest = manifest(backup);
    fs::write(backup.join("database.zst"), &packed).expect("an artefact");
    manifest.artefact = checksum(&packed);
    let contents = manifest.contents.as_mut().expect("its contents");
    contents.database = checksum(&bytes);
    contents.pages = bytes.len() as u64 / u64::from(contents.page_bytes);
    contents.rows = rows;
    write_manifest(backup, &manifest);
}

/// Has a backup say something else of what is in it.
pub(crate) fn edit_manifest(backup: &Path, edit: impl FnOnce(&mut Contents)) {
    let mut manifest = manifest(backup);
    edit(manifest.contents.as_mut().expect("its contents"));
    write_manifest(backup, &manifest);
}

fn manifest(backup: &Path) -> Manifest {
    let listed = backup::list(backup.parent().expect("a folder")).expect("a list");
    let mut listed = listed.backups.into_iter();
    let listed = listed.find(|listed| listed.path == backup);
    listed.expect("the backup").manifest
}

fn write_manifest(backup: &Path, manifest: &Manifest) {
    let text = serde_json::to_string_pretty(manifest).expect("a manifest") + "\n";
    let key = "\"checksum\": \"";
    let at = text.rfind(key).expect("a checksum") + key.len();
    let rest = &text[at..][text[at..].find('"').expect("its end")..];
    let sum = checksum(format!("{}{rest}", &text[..at]).as_bytes()).sha256;
    let text = format!("{}{sum}{rest}", &text[..at]);
    fs::write(backup.join("manifest.json"), text).expect("a manifest");
}
