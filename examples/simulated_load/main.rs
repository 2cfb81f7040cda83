//! Many simulated users talk to a bot at once, and then every acknowledged word is looked for in
//! the file.
//!
//! ```text
//! cargo run --release --example simulated_load
//! cargo run --release --example simulated_load -- --callers 256 --durability normal --json
//! ```
//!
//! Each caller is a task that waits for one answer before it sends the next request, as a handler
//! in a bot does. It saves interactions and, in between, reads what a bot reads. A few of its
//! requests are sent twice, as a messenger's redelivery would, and a few are wrong; neither may
//! leave a trace. With `--limits`, it reserves what an interaction may cost before it saves it. Exit code 0 only if the file holds what was acknowledged: all of it, nothing
//! else, and counters that agree.

mod backup;
mod callers;
mod limits;
mod report;
mod script;
mod verify;

use botstore::{BeforeUpgrade, Config, Durability, Store};
use clap::{Parser, ValueEnum};
use report::Results;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Clone, Debug, Parser)]
#[command(about = "Simulates a bot's load on a store and verifies the file afterwards")]
struct Args {
    /// Tasks that each have one request in flight
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    callers: u32,
    /// Interactions to save
    #[arg(long, default_value_t = 50_000, value_parser = clap::value_parser!(u64).range(1..))]
    interactions: u64,
    /// Users, each with one session
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    users: u32,
    /// Reader actors [default: as many as there are cores, at most 4]
    #[arg(long)]
    readers: Option<usize>,
    /// The share of requests that read, from 0 to below 1
    #[arg(long, default_value_t = 0.5)]
    read_share: f64,
    /// Milliseconds that a caller waits between two requests
    #[arg(long, default_value_t = 0)]
    think_ms: u64,
    /// What an acknowledgement is worth when the power fails
    #[arg(long, value_enum, default_value_t = DurabilityArg::Full)]
    durability: DurabilityArg,
    /// Where the callers run
    #[arg(long, value_enum, default_value_t = Runtime::Tokio)]
    runtime: Runtime,
    /// The file to make; must not exist yet [default: a temporary one, removed at the end]
    #[arg(long)]
    db: Option<PathBuf>,
    /// Makes the same requests again
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Makes a backup in the middle, and restores and verifies it as well
    #[arg(long)]
    backup: bool,
    /// Limits what users may spend: each interaction is reserved first, some are denied, and nobody may have spent more
    /// in the end
    #[arg(long)]
    limits: bool,
    /// One JSON object on the last line
    #[arg(long)]
    json: bool,
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum DurabilityArg {
    Full,
    Normal,
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum Runtime {
    /// All callers on the thread of one actix System, like handlers of one actor
    Actix,
    /// On tokio's multi-threaded runtime
    Tokio,
}

fn main() -> ExitCode {
    let args = Args::parse();
    if !(0.0..1.0).contains(&args.read_share) {
        eprintln!("--read-share must be from 0 to below 1");
        return ExitCode::from(2);
    }
    match run(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether the file holds what it should. The folder outlives the runtime, and so whoever has a file in it open.
fn run(args: &Args) -> Result<bool, Failure> {
    let folder = tempfile::tempdir()?;
    let work = unless_interrupted(load(args, folder.path()));
    match args.runtime {
        Runtime::Actix => actix::System::new().block_on(work),
        Runtime::Tokio => tokio::runtime::Runtime::new()?.block_on(work),
    }
}

/// Ctrl-C ends the work and not the process, so that the temporary folder is removed.
async fn unless_interrupted(
    work: impl Future<Output = Result<bool, Failure>>,
) -> Result<bool, Failure> {
    tokio::select! {
        biased; // It listens before there is a file.
        interrupted = tokio::signal::ctrl_c() => {
            interrupted?;
            Err("interrupted".into())
        }
        done = work => done,
    }
}

async fn load(args: &Args, folder: &Path) -> Result<bool, Failure> {
    let path = args.db.clone().unwrap_or_else(|| folder.join("load.db"));
    if path.exists() {
        return Err(format!(
            "{} exists; the verification compares a file that begins empty, so name a new one",
            path.display()
        )
        .into());
    }
    let mut config = Config::new(&path)
        .before_upgrade(BeforeUpgrade::Skip)
        .durability(match args.durability {
            DurabilityArg::Full => Durability::Full,
            DurabilityArg::Normal => Durability::Normal,
        });
    if let Some(readers) = args.readers {
        config = config.readers(readers);
    }
    let store = Store::open(config).await?;
    let run = callers::run(args, &store).await?;
    let health = store.health().await?;
    let said = match args.limits {
        true => Some(limits::spent_by_everyone(&store).await?),
        false => None,
    };
    store.close().await?;

    let mut found = verify::compare(&path, args, &run.receipts)?;
    found.problems.extend(run.complaints.iter().cloned());
    found.problems.extend(run.asked.complaints.iter().cloned());
    let spent = match said {
        Some(said) => Some(limits::compare(&path, args, &run.receipts, said)?),
        None => None,
    };
    let over = spent.iter().flat_map(|spent| &spent.problems);
    found.problems.extend(over.cloned());
    let prefix = match &run.backup {
        Some(taken) => Some(backup::compare(taken, folder, args, &run)?),
        None => None,
    };
    let results = Results {
        run: &run,
        health: &health,
        found: &found,
        spent: spent.as_ref(),
        prefix: prefix.as_ref(),
    };
    report::print(args, &results);
    if args.json {
        println!("{}", report::json(args, &results));
    }
    Ok(found.verified() && prefix.is_none_or(|prefix| prefix.found.verified()))
}
