//! What callers notice of a backup: their latencies while one is made, and without.
//!
//! ```text
//! cargo run --release -p botstore-measure --bin backup_under_load
//! cargo run --release -p botstore-measure --bin backup_under_load -- --messages 1000000 --callers 256
//! ```
//!
//! A store with many messages is written to without a pause. Spans without a backup and spans in
//! which one is made after the other take turns, and the medians of their quantiles are compared.

use botstore::backup::{Pace, TakeBackup};
use botstore::{Error, ErrorKind, Result, Store};
use botstore_measure::bot::{config, fill, interaction};
use clap::Parser;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

#[derive(Debug, Parser)]
#[command(about = "Measures what a backup costs those who write meanwhile")]
struct Args {
    /// Messages in the file at the beginning
    #[arg(long, default_value_t = 300_000)]
    messages: u64,
    /// Tasks that each have one interaction in flight
    #[arg(long, default_value_t = 64)]
    callers: u64,
    /// Spans of each kind
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=100))]
    rounds: u64,
    /// Have the backup work all the time instead of half of it
    #[arg(long)]
    fast: bool,
}

/// The least time that a span takes.
const SPAN: Duration = Duration::from_secs(5);

/// What one span came to.
struct Span {
    per_second: f64,
    /// In milliseconds.
    p50: f64,
    p99: f64,
    max: f64,
    backups: u64,
    log_mib: f64,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn other(error: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Io, error.to_string())
}

fn run(args: &Args) -> Result<()> {
    let folder = tempfile::tempdir().map_err(other)?;
    let path = folder.path().join("bot.db");
    fill(&path, args.messages)?;
    let runtime = tokio::runtime::Runtime::new().map_err(other)?;
    runtime.block_on(async {
        let store = Store::open(config(&path)).await?;
        let next = Arc::new(AtomicU64::new(args.messages));
        let mut spans = [Vec::new(), Vec::new()];
        println!("               per s    p50 ms    p99 ms    max ms   backups   log MiB");
        for _ in 0..args.rounds {
            for (with, name) in [(false, "without"), (true, "with")] {
                let span = measure(args, &store, &next, with).await?;
                println!(
                    "{name:<10} {:>9.0} {:>9.2} {:>9.2} {:>9.2} {:>9} {:>9.0}",
                    span.per_second, span.p50, span.p99, span.max, span.backups, span.log_mib
                );
                spans[usize::from(with)].push(span);
            }
        }
        let [without, with] = spans;
        for (what, value) in [
            ("interactions/s", (|s| s.per_second) as fn(&Span) -> f64),
            ("p50", |s| s.p50),
            ("p99", |s| s.p99),
        ] {
            let ratio = median(&with, value) / median(&without, value);
            println!("{what:<15} with a backup : without  {ratio:.2} ×");
        }
        store.close().await
    })
}

/// Writes for a span; with backups, until the first that ends after it.
async fn measure(
    args: &Args,
    store: &Store,
    next: &Arc<AtomicU64>,
    with_backups: bool,
) -> Result<Span> {
    let over = Arc::new(AtomicBool::new(false));
    let started = Instant::now();
    let mut callers = JoinSet::new();
    for _ in 0..args.callers {
        let (store, next, over) = (store.clone(), Arc::clone(next), Arc::clone(&over));
        callers.spawn(async move {
            let mut waited = Vec::new();
            while !over.load(Relaxed) {
                let asked = Instant::now();
                store.write(interaction(next.fetch_add(1, Relaxed))).await?;
                waited.push(asked.elapsed());
            }
            Ok::<_, Error>(waited)
        });
    }
    let log = tokio::spawn(watch_log(store.clone(), Arc::clone(&over)));
    let mut backups = 0;
    while started.elapsed() < SPAN {
        if with_backups {
            let pace = if args.fast { Pace::Fast } else { Pace::Gentle };
            store.back_up(TakeBackup::default().pace(pace)).await?;
            backups += 1;
        } else {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    over.store(true, Relaxed);
    let mut waited = Vec::new();
    while let Some(done) = callers.join_next().await {
        waited.extend(done.map_err(other)??);
    }
    let took = started.elapsed();
    let log_bytes = log.await.map_err(other)??;
    waited.sort_unstable();
    let at = |quantile: f64| {
        let at = (waited.len() as f64 * quantile) as usize;
        waited[at.min(waited.len() - 1)].as_secs_f64() * 1_000.0
    };
    Ok(Span {
        per_second: waited.len() as f64 / took.as_secs_f64(),
        p50: at(0.5),
        p99: at(0.99),
        max: at(1.0),
        backups,
        log_mib: log_bytes as f64 / f64::from(1 << 20),
    })
}

/// The largest size of the WAL that is seen.
async fn watch_log(store: Store, over: Arc<AtomicBool>) -> Result<u64> {
    let mut largest = 0;
    while !over.load(Relaxed) {
        largest = largest.max(store.health().await?.wal_bytes);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(largest)
}

fn median(spans: &[Span], value: fn(&Span) -> f64) -> f64 {
    let mut values: Vec<_> = spans.iter().map(value).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
