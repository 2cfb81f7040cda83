//! The files of both sides, with the same content.

use crate::Keys;
use crate::load::Runtime;
use botstore::interactions::SaveInteraction;
use botstore::rusqlite::Connection;
use botstore::testing::{Plain, usd};
use botstore::tools::ToolCall;
use botstore::{BeforeUpgrade, Config, Error, ErrorKind, Result, Store};
use botstore_measure::{plain, seed};
use std::ops::{Deref, Range};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use tempfile::TempDir;

/// What both sides have as their page cache, and as the most that their WAL may hold: the store's own defaults.
/// SQLite's are 2 MB and 4 MB.
const CACHE_BYTES: u64 = 8 << 20;
const WAL_BYTES: u64 = 64 << 20;

/// No run has as many exchanges.
const A_RUN: u64 = 1 << 32;

pub(super) struct Files {
    messages: u64,
    folder: TempDir,
    page_size: u32,
    /// At how many pages in the WAL a commit of plain rusqlite copies it.
    plain_checkpoint: u64,
    /// How many runs there were: each has exchanges of its own.
    runs: AtomicU64,
}

/// A file for one run. The empty one is copied for each; the large one goes on growing on both sides.
pub(super) struct Run {
    path: PathBuf,
    _copy: Option<TempDir>,
    /// The number of its first exchange.
    pub(super) first: u64,
}

impl Deref for Run {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.path
    }
}

fn io(doing: &str) -> impl FnOnce(std::io::Error) -> Error + '_ {
    move |e| Error::new(ErrorKind::Io, format!("{doing}: {e}"))
}

pub(super) fn temporary() -> Result<TempDir> {
    tempfile::tempdir().map_err(io("a temporary folder"))
}

impl Files {
    /// Makes a plain bot's file with so many messages, and has the store take over a copy of it.
    pub(super) fn make(messages: u64, plain_checkpoint: Option<u64>) -> Result<Self> {
        let folder = temporary()?;
        let page_size = page_size(&folder.path().join("new.db"))?;
        let files = Self {
            messages,
            page_size,
            plain_checkpoint: plain_checkpoint.unwrap_or(WAL_BYTES / u64::from(page_size)),
            folder,
            runs: AtomicU64::new(1),
        };
        let [plain, store] = files.paths();
        plain::create(&plain, files.page_size)?;
        // The indexes that are made over a full table have no room in their pages, so the next thousands of rows
        // split each. The last fifth of the messages is saved on both sides after that.
        let bulk = messages / 5 * 4;
        if messages > 0 {
            eprintln!("making a file of {messages} messages, and one that the store takes over");
            plain::fill(&plain, bulk)?;
        }
        std::fs::copy(&plain, &store).map_err(io("copying a file"))?;
        Runtime::Tokio.run(async { Store::open(config(&store)).await?.close().await })?;
        files.save_the_rest(bulk..messages)?;
        Ok(files)
    }

    /// Saves these exchanges on both sides, with nothing durable before the end.
    fn save_the_rest(&self, numbers: Range<u64>) -> Result<()> {
        // A transaction writes nearly each page of an index in no order, so the fewer the better.
        const TOGETHER: u64 = 25_000;
        const CACHE_KIB: i64 = 256 << 10;
        let [plain, store] = self.paths();
        let mut conn = plain::open(&plain, CACHE_BYTES, 1_000)?;
        let ours = Plain::open(config(&store))?;
        for conn in [&conn, ours.connection()] {
            conn.pragma_update(None, "synchronous", "OFF")?;
            conn.pragma_update(None, "wal_autocheckpoint", 1_000)?;
            conn.pragma_update(None, "cache_size", -CACHE_KIB)?;
        }
        for first in numbers.clone().step_by(TOGETHER as usize) {
            let mut some = first..numbers.end.min(first + TOGETHER);
            plain::save_all(&mut conn, some.clone().map(seed::exchange), &now())?;
            ours.write(|tx| {
                some.try_for_each(|n| tx.apply(&interaction(n, Keys::Without)).map(|_| ()))
            })?;
        }
        Ok(())
    }

    /// The file of plain rusqlite, and the store's.
    fn paths(&self) -> [PathBuf; 2] {
        ["plain.db", "store.db"].map(|name| self.folder.path().join(name))
    }

    /// Such as `empty`, `100k` or `1m`.
    pub(super) fn name(&self) -> String {
        match self.messages {
            0 => "empty".to_owned(),
            n if n % 1_000_000 == 0 => format!("{}m", n / 1_000_000),
            n if n % 1_000 == 0 => format!("{}k", n / 1_000),
            n => n.to_string(),
        }
    }

    pub(super) fn for_plain(&self) -> Result<Run> {
        let [plain, _] = self.paths();
        self.run(plain)
    }

    pub(super) fn for_store(&self) -> Result<Run> {
        let [_, store] = self.paths();
        self.run(store)
    }

    fn run(&self, path: PathBuf) -> Result<Run> {
        let first = A_RUN * self.runs.fetch_add(1, Relaxed);
        if self.messages > 0 {
            return Ok(Run {
                path,
                _copy: None,
                first,
            });
        }
        let copy = temporary()?;
        let to = copy.path().join("run.db");
        std::fs::copy(path, &to).map_err(io("copying a file"))?;
        Ok(Run {
            path: to,
            _copy: Some(copy),
            first,
        })
    }

    /// A connection as a bot opens it.
    pub(super) fn open_plain(&self, run: &Run) -> Result<Connection> {
        Ok(plain::open(run, CACHE_BYTES, self.plain_checkpoint)?)
    }
}

/// The page size of the store's new files.
fn page_size(path: &Path) -> Result<u32> {
    Runtime::Tokio.run(async { Store::open(config(path)).await?.close().await })?;
    let conn = Connection::open(path)?;
    Ok(conn.pragma_query_value(None, "page_size", |row| row.get(0))?)
}

/// The store's default settings, without a backup before it takes the file over.
pub(super) fn config(path: &Path) -> Config {
    Config::new(path)
        .before_upgrade(BeforeUpgrade::Skip)
        .cache_bytes(CACHE_BYTES as usize)
        .wal_ceiling_bytes(WAL_BYTES)
}

/// Exchange `number`, as the store takes it.
pub(super) fn interaction(number: u64, keys: Keys) -> SaveInteraction {
    let new = seed::exchange(number);
    let tools = new.tools.map(|(name, input)| {
        let input = serde_json::from_str::<serde_json::Value>(&input);
        ToolCall::new(name).input(input.expect("it is JSON"))
    });
    let save = SaveInteraction::new(new.user_id, new.session_id, new.prompt)
        .response(new.response)
        .cost(usd(new.cost))
        .duration_ms(new.duration_ms)
        .turns(new.turns)
        .tools(tools.into());
    match keys {
        Keys::Without => save,
        Keys::With => save.idempotency_key(format!("update-{number}")),
    }
}

/// The time, as a bot writes it into its file.
pub(super) fn now() -> String {
    chrono::Utc::now().format("%Y-%m-%d %H:%M:%S").to_string()
}
