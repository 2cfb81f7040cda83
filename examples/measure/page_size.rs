//! What pages of other sizes would be worth. The store's own files have pages of 4 KiB; it keeps the size of a file
//! that another program has made.
//!
//! ```text
//! cargo run --release -p botstore-measure --bin page_size
//! cargo run --release -p botstore-measure --bin page_size -- --response-bytes 20000
//! ```
//!
//! The sizes take turns, several rounds, and the medians count. Caches are of the same bytes for each size, and no
//! answer is kept on the callers' side. What is written is what the process gives to the system, the WAL's frames and
//! the pages that checkpoints copy. The file fits into the machine's memory.

use botstore::rusqlite::Connection;
use botstore::{Error, ErrorKind, Result, Store};
use botstore_measure::bot::{config, fill, interaction};
use botstore_measure::rates::{median, rate, read_one};
use botstore_measure::{figures, process};
use clap::Parser;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

#[derive(Debug, Parser)]
#[command(about = "Measures what pages of other sizes are worth")]
struct Args {
    /// How many messages the files hold at first, with two tool uses and an audit event each
    #[arg(long, default_value_t = 100_000)]
    messages: u64,
    /// How long the responses are that are saved while it measures
    #[arg(long, default_value_t = 1_000)]
    response_bytes: usize,
    /// How often each size is measured
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=100))]
    rounds: u64,
}

/// In bytes.
const SIZES: [u32; 5] = [1_024, 2_048, 4_096, 8_192, 16_384];

/// SQLite's own, and so the store's.
const DEFAULT: usize = 2;

const WRITING: usize = 256;
const READING: usize = 64;
const A_ROUND: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Of one size, round by round.
#[derive(Debug, Default)]
struct Figures {
    reads: Vec<f64>,
    writes: Vec<f64>,
    alone_micros: Vec<f64>,
    cpu_micros: Vec<f64>,
    written: Vec<f64>,
}

fn run(args: &Args) -> Result<()> {
    let folder = tempfile::tempdir().map_err(failed)?;
    let files: Vec<PathBuf> = SIZES
        .iter()
        .map(|bytes| folder.path().join(format!("{bytes}.db")))
        .collect();
    for (bytes, path) in SIZES.iter().zip(&files) {
        with_pages_of(*bytes, path)?;
        fill(path, args.messages)?;
    }
    let filled: Vec<u64> = files
        .iter()
        .map(|path| path.metadata().map_or(0, |found| found.len()))
        .collect();
    let runtime = tokio::runtime::Runtime::new().map_err(failed)?;
    let mut all: Vec<Figures> = SIZES.iter().map(|_| Figures::default()).collect();
    for _ in 0..args.rounds {
        for (path, figures) in files.iter().zip(&mut all) {
            runtime.block_on(measure(args, path, figures))?;
        }
    }
    print(&filled, all);
    Ok(())
}

/// Makes a file of such pages, before the store makes its tables in it.
fn with_pages_of(bytes: u32, path: &Path) -> Result<()> {
    let conn = Connection::open(path)?;
    conn.execute_batch(&format!("PRAGMA page_size = {bytes}; VACUUM"))?;
    Ok(())
}

async fn measure(args: &Args, path: &Path, figures: &mut Figures) -> Result<()> {
    let next = Arc::new(AtomicU64::new(args.messages));
    let store = Store::open(config(path).row_cache_answers(0)).await?;
    // Fills the caches.
    rate(READING, A_ROUND / 8, &store, &next, read_one).await?;
    let reads = rate(READING, A_ROUND, &store, &next, read_one).await?;
    figures.reads.push(reads);

    let response: Arc<str> = "It does the following. "
        .repeat(args.response_bytes / 23 + 1)
        .into();
    let bytes = args.response_bytes;
    let save = move |store: Store, number| {
        let exchange = interaction(number).response(&response[..bytes]);
        async move { store.write(exchange).await.map(|_| ()) }
    };
    let mut alone = Vec::new();
    let started = Instant::now();
    while started.elapsed() < A_ROUND / 2 {
        let asked = Instant::now();
        save(store.clone(), next.fetch_add(1, Relaxed)).await?;
        alone.push(asked.elapsed().as_secs_f64() * 1e6);
    }
    figures.alone_micros.push(median(alone));

    let before = (process::cpu(), process::written());
    let first = next.load(Relaxed);
    let writes = rate(WRITING, A_ROUND, &store, &next, save).await?;
    figures.writes.push(writes);
    let saved = (next.load(Relaxed) - first) as f64;
    store.close().await?;
    if let ((Some(cpu), Some(written)), (Some(cpu_then), Some(written_then))) =
        ((process::cpu(), process::written()), before)
    {
        let cpu = (cpu - cpu_then).as_secs_f64() * 1e6;
        figures.cpu_micros.push(cpu / saved);
        let written = (written - written_then) as f64;
        figures.written.push(written / 1_024.0 / saved);
    }
    Ok(())
}

fn print(filled: &[u64], all: Vec<Figures>) {
    let medians: Vec<[f64; 5]> = all
        .into_iter()
        .map(|of| {
            [
                of.reads,
                of.writes,
                of.alone_micros,
                of.cpu_micros,
                of.written,
            ]
            .map(|values| {
                if values.is_empty() {
                    f64::NAN
                } else {
                    median(values)
                }
            })
        })
        .collect();
    println!(
        "page bytes       file    reads/s     saves/s     one caller p50   CPU a save    written a save"
    );
    for ((bytes, file), row) in SIZES.iter().zip(filled).zip(&medians) {
        let file = figures::mib(*file);
        let [reads, writes, alone, cpu, written] = *row;
        let to = |column: usize| row[column] / medians[DEFAULT][column];
        println!(
            "{bytes:>10} {file:>10} {reads:>7.0} {:.2} × {writes:>6.0} {:.2} × {alone:>7.0} µs {:.2} × {cpu:>6.0} µs {:.2} × {written:>6.1} KiB {:.2} ×",
            to(0),
            to(1),
            to(2),
            to(3),
            to(4)
        );
    }
}

fn failed(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Io, error.to_string())
}
