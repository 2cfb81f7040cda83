//! How much the page cache of a connection and a memory map are worth: reads and writes a second
//! of a store that already holds many messages, by `Config::cache_bytes` and `Config::mmap_bytes`.
//!
//! ```text
//! cargo run --release -p botstore-measure --bin page_cache
//! cargo run --release -p botstore-measure --bin page_cache -- --messages 1000000
//! ```
//!
//! The sizes take turns, several rounds, and the medians count; the last column compares them with
//! the default. No answer is kept on the callers' side, so that every read goes to the pages. The
//! file fits into the machine's memory: what is measured is how often a page has to be copied from
//! there, not how fast the disk is.

use botstore::{Config, Error, ErrorKind, Result, Store};
use botstore_measure::bot::{config, fill};
use botstore_measure::figures::MIB;
use botstore_measure::rates::{median, rate, read_one, write_one};
use clap::Parser;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

#[derive(Debug, Parser)]
#[command(about = "Measures what page caches and memory maps are worth")]
struct Args {
    /// How many messages the file holds, with two tool uses and an audit event each
    #[arg(long, default_value_t = 200_000)]
    messages: u64,
    /// How often each size is measured
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=100))]
    rounds: u64,
}

const CALLERS: usize = 64;

/// Page cache and memory map, in MiB.
const SIZES: [(u64, u64); 8] = [
    (1, 0),
    (2, 0),
    (4, 0),
    (8, 0),
    (16, 0),
    (32, 0),
    (64, 0),
    (8, 1_024),
];

/// Those of `Config::new`.
const DEFAULT: usize = 3;

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    let other = |e: std::io::Error| Error::new(ErrorKind::Io, e.to_string());
    let folder = tempfile::tempdir().map_err(other)?;
    let path = folder.path().join("bot.db");
    let next = Arc::new(AtomicU64::new(args.messages));
    fill(&path, args.messages)?;
    let runtime = tokio::runtime::Runtime::new().map_err(other)?;
    let mut rates = vec![(Vec::new(), Vec::new()); SIZES.len()];
    for _ in 0..args.rounds {
        for ((cache, mmap), (reads, writes)) in SIZES.into_iter().zip(&mut rates) {
            let config = config(&path)
                .cache_bytes((cache * MIB) as usize)
                .mmap_bytes(mmap * MIB)
                .row_cache_answers(0);
            let (read, written) = runtime.block_on(measure(config, &next))?;
            reads.push(read);
            writes.push(written);
        }
    }
    let medians: Vec<_> = rates
        .into_iter()
        .map(|(reads, writes)| (median(reads), median(writes)))
        .collect();
    println!("cache MiB  map MiB    reads/s  writes/s   to the default");
    for ((cache, mmap), (reads, writes)) in SIZES.into_iter().zip(&medians) {
        println!(
            "{cache:>9} {mmap:>8} {reads:>10.0} {writes:>9.0}   {:.2} × and {:.2} ×",
            reads / medians[DEFAULT].0,
            writes / medians[DEFAULT].1
        );
    }
    Ok(())
}

/// Reads and then writes a second of so many callers.
async fn measure(config: Config, next: &Arc<AtomicU64>) -> Result<(f64, f64)> {
    let store = Store::open(config).await?;
    // Fills the caches, so that what is measured is what they hold.
    rate(CALLERS, Duration::from_millis(300), &store, next, read_one).await?;
    let read = rate(CALLERS, Duration::from_secs(2), &store, next, read_one).await?;
    let written = rate(CALLERS, Duration::from_secs(2), &store, next, write_one).await?;
    store.close().await?;
    Ok((read, written))
}
