//! What it takes to open the file of a Python bot for the first time: time, memory, and how large the WAL
//! becomes. Makes such a file of so many messages, twice as many tool uses and as many events, and has a
//! process of its own open it.
//!
//! ```text
//! cargo run --release -p botstore-measure --bin takeover_cost -- --messages 1M
//! ```
//!
//! Linux only: memory is what the kernel says that the process had at most.

use botstore::rusqlite::Connection;
use botstore::{BeforeUpgrade, Config, Store};
use botstore_measure::process;
use clap::Parser;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

#[derive(Debug, Parser)]
#[command(about = "Measures what it takes to take over the file of a Python bot")]
struct Args {
    /// Messages, such as 2000, 100k or 1M
    #[arg(long, default_value = "100k", value_parser = number)]
    messages: u64,
    /// How long a prompt is, and a response, in bytes
    #[arg(long, default_value_t = 200)]
    bytes: u64,
    /// With the backup from before, which takes its own time
    #[arg(long)]
    backup: bool,
    /// Opens this file, and tells what that took
    #[arg(long, hide = true)]
    open: Option<PathBuf>,
}

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn number(text: &str) -> std::result::Result<u64, String> {
    let (digits, times) = match text.char_indices().last() {
        Some((at, 'k')) => (&text[..at], 1_000),
        Some((at, 'M')) => (&text[..at], 1_000_000),
        _ => (text, 1),
    };
    let number = digits.parse::<u64>().map_err(|e| e.to_string())?;
    Ok(number * times)
}

fn main() -> ExitCode {
    let args = Args::parse();
    let done = match &args.open {
        Some(path) => open(path, &args),
        None => measure(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(args: &Args) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("bot.db");
    make(&path, args)?;
    println!("file {} MiB", std::fs::metadata(&path)?.len() >> 20);
    let mut child = Command::new(std::env::current_exe()?);
    child.arg("--open").arg(&path);
    if args.backup {
        child.arg("--backup");
    }
    match child.status()?.success() {
        true => Ok(()),
        false => Err("it could not be opened".into()),
    }
}

/// The file as a bot of 2025 left it: naive UTC with a space, a rollback journal.
fn make(path: &Path, args: &Args) -> Result<()> {
    let conn = Connection::open(path)?;
    let (messages, bytes) = (args.messages, args.bytes);
    conn.execute_batch("PRAGMA synchronous = OFF; PRAGMA cache_size = -65536; BEGIN;")?;
    conn.execute_batch(include_str!("../../migrations/botstore/0001_seed.up.sql"))?;
    conn.execute_batch(&format!(
        "CREATE TEMP TABLE n AS
             WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {messages} - 1)
             SELECT i, strftime('%Y-%m-%d %H:%M:%f', 1740000000 + i * 30, 'unixepoch') AS at FROM n;
         INSERT INTO users (user_id, telegram_username, first_seen, last_active)
             SELECT i, 'user ' || i, at, at FROM n WHERE i < 1000;
         INSERT INTO sessions (session_id, user_id, project_path, created_at, last_used)
             SELECT printf('0a1b2c3d-4e5f-6071-8293-%012d', i / 20), (i / 20) % 1000, '/srv/project', at, at
             FROM n WHERE i % 20 = 0 AND (i / 20) % 1000 IN (SELECT user_id FROM users);
         INSERT INTO messages (session_id, user_id, timestamp, prompt, response, cost, duration_ms)
             SELECT printf('0a1b2c3d-4e5f-6071-8293-%012d', i / 20), (i / 20) % 1000, at,
                    hex(randomblob({bytes} / 2)), hex(randomblob({bytes} / 2)), 0.01, 1200 FROM n;
         INSERT INTO tool_usage (session_id, message_id, tool_name, tool_input, timestamp)
             SELECT printf('0a1b2c3d-4e5f-6071-8293-%012d', i / 20), i + 1, 'Read', '{{\"path\": \"/srv\"}}', at
             FROM n, (SELECT 1 UNION ALL SELECT 2);
         INSERT INTO audit_log (user_id, event_type, event_data, timestamp)
             SELECT (i / 20) % 1000, 'command', '{{}}', at FROM n;
         COMMIT;"
    ))?;
    Ok(())
}

#[tokio::main]
async fn open(path: &Path, args: &Args) -> Result<()> {
    let before = match args.backup {
        true => BeforeUpgrade::Backup,
        false => BeforeUpgrade::Skip,
    };
    let opened = Arc::new(AtomicBool::new(false));
    let wal = std::thread::spawn({
        let (path, opened) = (path.to_owned(), Arc::clone(&opened));
        move || largest_wal(&path, &opened)
    });
    let started = Instant::now();
    let store = Store::open(Config::new(path).before_upgrade(before)).await;
    let took = started.elapsed();
    opened.store(true, Relaxed);
    let wal = wal
        .join()
        .map_err(|_| "the thread that looks at the log panicked")?;
    let store = store?;
    println!("opened in {:.1} s", took.as_secs_f64());
    let mib = |bytes: Option<u64>| {
        bytes
            .ok_or("this system does not say")
            .map(|bytes| bytes >> 20)
    };
    let (peak, now) = (mib(process::peak_memory())?, mib(process::memory())?);
    println!(
        "memory {peak} MiB at most, {now} MiB afterwards; log {} MiB at most",
        wal >> 20
    );
    Ok(store.close().await?)
}

fn largest_wal(path: &Path, opened: &AtomicBool) -> u64 {
    let mut wal = path.as_os_str().to_owned();
    wal.push("-wal");
    let mut largest = 0;
    while !opened.load(Relaxed) {
        largest = largest.max(std::fs::metadata(&wal).map_or(0, |data| data.len()));
        std::thread::sleep(Duration::from_millis(5));
    }
    largest
}
