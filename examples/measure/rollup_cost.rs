//! What keeping rollups costs those who write: interactions a second of a store that keeps them, and of one that
//! does not.
//!
//! ```text
//! cargo run --release -p botstore-measure --bin rollup_cost
//! ```
//!
//! The two take turns on new files, several rounds, and the medians count.

use botstore::rusqlite::Connection;
use botstore::testing::Plain;
use botstore::{BeforeUpgrade, Config, Error, ErrorKind, Result, Store};
use botstore_measure::bot::{interaction, sign_up};
use clap::Parser;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

#[derive(Debug, Parser)]
#[command(about = "Measures what rollups cost")]
struct Args {
    /// Tasks that each have one interaction in flight
    #[arg(long, default_value_t = 256)]
    callers: u64,
    /// How often each way is measured
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=100))]
    rounds: u64,
}

const SPAN: Duration = Duration::from_secs(4);

#[derive(Clone, Copy, PartialEq)]
enum Way {
    None,
    Rollups,
}

const WAYS: [(Way, &str); 2] = [(Way::None, "no rollups"), (Way::Rollups, "rollups")];

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
    let runtime = tokio::runtime::Runtime::new().map_err(other)?;
    let mut rates = [Vec::new(), Vec::new()];
    for _ in 0..args.rounds {
        for ((way, _), rates) in WAYS.into_iter().zip(&mut rates) {
            rates.push(runtime.block_on(measure(args.callers, way))?);
        }
    }
    let medians = rates.map(|mut rates| {
        rates.sort_by(f64::total_cmp);
        rates[rates.len() / 2]
    });
    for ((_, name), rate) in WAYS.into_iter().zip(medians) {
        println!("{name:<12} {rate:>8.0}/s   {:.2} ×", rate / medians[0]);
    }
    Ok(())
}

/// Interactions a second.
async fn measure(callers: u64, way: Way) -> Result<f64> {
    let folder = tempfile::tempdir().map_err(other)?;
    let config = Config::new(folder.path().join("bot.db")).before_upgrade(BeforeUpgrade::Skip);
    let plain = Plain::open(config.clone())?;
    plain.write(sign_up)?;
    drop(plain);
    let store = Store::open(config).await?;
    if way == Way::None {
        keep_none(&store)?;
    }
    let next = Arc::new(AtomicU64::new(0));
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..callers {
        let (store, next) = (store.clone(), Arc::clone(&next));
        tasks.spawn(async move {
            while started.elapsed() < SPAN {
                let interaction = interaction(next.fetch_add(1, Relaxed));
                store.write(interaction).await?;
            }
            Ok::<_, Error>(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.map_err(other)??;
    }
    let rate = next.load(Relaxed) as f64 / started.elapsed().as_secs_f64();
    store.close().await?;
    Ok(rate)
}

/// Makes the open store keep no rollups: no trigger counts, and no row waits to be counted.
fn keep_none(store: &Store) -> Result<()> {
    let conn = Connection::open(store.path())?;
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'trigger'
               AND tbl_name IN ('messages', 'tool_usage', 'cost_tracking')";
    let names: Vec<String> = {
        let mut triggers = conn.prepare(sql)?;
        let names = triggers.query_map([], |row| row.get(0))?;
        names.collect::<botstore::rusqlite::Result<_>>()?
    };
    for name in names {
        conn.execute_batch(&format!("DROP TRIGGER {name}"))?;
    }
    conn.execute_batch("UPDATE botstore_counted SET last_id = 9223372036854775807")?;
    Ok(())
}
