//! A bot's life for half an hour: what it holds on to stays the same, and so does how long its users
//! wait, although its file grows.
//!
//! ```text
//! cargo run --release -p botstore-measure --bin long_run -- --minutes 30 --json
//! cargo run --release -p botstore-measure --bin long_run -- --minutes 1 --rate 100
//! ```
//!
//! The file begins with a month: 1,000 users, 200,000 interactions, as many days as a dashboard shows.
//! An empty file would show how dashboards fill and indexes grow deep, once in a bot's life.
//!
//! Requests arrive by the clock, at a rate well below what the store can do. Of twenty, on average,
//! eight save an interaction (each with an idempotency key, one in a hundred sent twice), ten read a
//! user, a session, a page of sessions or of messages, and two show a dashboard. Users begin a new
//! session after twenty messages or a pause; the old ones expire. Meanwhile there is a backup every
//! four minutes, of which three are kept, a drill every eight, and every two minutes the rollups are
//! compared with a full count; the WAL is checkpointed and starts over as it grows.
//!
//! The store's clock goes faster than ours, so that days pass: idempotency keys age and are swept,
//! sessions are idle for hours, dashboards move on, and the daily work comes up. Only the times that
//! the file holds are faster; latencies and deadlines are real.
//!
//! What is checked, with exit code 1 if it does not hold: see `verdicts.rs`. Each minute is a row of
//! the table; a run of less than three has six shorter rows, and all intervals shrink with them. In
//! one of less than a minute latencies, memory, open files and threads are shown, but not judged.

mod bot;
mod clock;
mod drive;
mod plan;
mod report;
mod rows;
mod verdicts;
mod verify;
mod watch;

#[path = "../../simulated_load/script.rs"]
mod script;

use botstore::backup::{self, Backups, Retention};
use botstore::sessions::ExpireIdle;
use botstore::{BeforeUpgrade, Config, Store};
use chrono::Utc;
use clap::Parser;
use clock::FastClock;
use plan::Plan;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

#[derive(Clone, Debug, Parser)]
#[command(about = "Runs a bot's load for long and checks that nothing grows but the file")]
struct Args {
    /// How long it runs, after a warm-up
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=10_080))]
    minutes: u64,
    /// The same in seconds, for a short run
    #[arg(long, conflicts_with = "minutes", value_parser = clap::value_parser!(u64).range(2..=86_400))]
    seconds: Option<u64>,
    /// Requests a second
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(20..=100_000))]
    rate: u32,
    /// Users
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    users: u32,
    /// Interactions of the month before, so that there is something to show and to read past
    #[arg(long, default_value_t = 200_000, value_parser = clap::value_parser!(u64).range(..=10_000_000))]
    history: u64,
    /// How many times faster than ours the store's clock goes
    #[arg(long, default_value_t = 240, value_parser = clap::value_parser!(u32).range(60..=3_600))]
    speed: u32,
    /// The file to make; must not exist yet [default: a temporary one, removed at the end]
    #[arg(long)]
    db: Option<PathBuf>,
    /// Makes the same requests again
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// One JSON object on the last line
    #[arg(long)]
    json: bool,
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

impl Args {
    fn span(&self) -> Duration {
        Duration::from_secs(self.seconds.unwrap_or(self.minutes * 60))
    }
}

/// How many backups are kept.
const KEPT: usize = 3;

fn main() -> ExitCode {
    let args = Args::parse();
    let outcome = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime.block_on(run(&args)),
        Err(error) => Err(error.into()),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: &Args) -> Result<bool, Failure> {
    let folder = tempfile::tempdir()?;
    let path = match &args.db {
        Some(path) => path.clone(),
        None => folder.path().join("long.db"),
    };
    if path.exists() {
        return Err(format!(
            "{} exists; the verification expects a file that begins empty, so name a new one",
            path.display()
        )
        .into());
    }
    let plan = Plan::of(args.span());
    let clock = FastClock::new(Utc::now() - plan::MONTH, args.speed);
    let store = Store::open(config(&path, &plan, &clock)).await?;
    let path = store.path().to_owned();
    report::print_head(args, &plan);
    let driven = drive::drive(args, &plan, &clock, &store).await?;
    let health = store.health().await?;
    let stopped = store.now();
    store.close().await?;

    let kept = backup::list(Backups::default().folder_of(&path))?;
    let found = verify::compare(&path, args, &driven, stopped, clock.stored(plan.idle))?;
    let measured = verdicts::Measured {
        driven,
        health,
        kept: kept.backups.len(),
        found,
    };
    let verdicts = verdicts::judge(&plan, &measured);
    report::print(&measured, &verdicts);
    if args.json {
        println!("{}", report::json(args, &plan, &measured, &verdicts));
    }
    Ok(verdicts.iter().all(|verdict| !verdict.is_broken()))
}

fn config(path: &Path, plan: &Plan, clock: &FastClock) -> Config {
    // Schedules go by the store's clock, except for the comparison of the rollups.
    let backups = Backups::default()
        .every(clock.stored(plan.backup_every))
        .drill_every(clock.stored(plan.drill_every))
        .retention(
            Retention::default()
                .last(KEPT)
                .hourly(0)
                .daily(0)
                .weekly(0)
                .monthly(0)
                .yearly(0),
        );
    let idle_for = clock.stored(plan.idle);
    Config::new(path)
        .before_upgrade(BeforeUpgrade::Skip)
        .clock(clock.clone())
        .backups(backups)
        // One counts rollups now and then, the other shows dashboards all the same.
        .analytics_readers(2)
        .reconcile_every(plan.reconcile_every)
        .idempotency_retention(clock.stored(plan.row))
        .every(clock.stored(plan::EXPIRE_EVERY), move || {
            ExpireIdle::new(idle_for)
        })
}
