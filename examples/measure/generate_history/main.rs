//! Makes the file of a bot that has been in use for long: quickly, and the same one every time. For
//! measurements of what takes longer the older a bot gets.
//!
//! ```text
//! cargo run --release -p botstore-measure --bin generate_history -- --messages 1M --out /tmp/history.db
//! cargo run --release -p botstore-measure --bin generate_history -- --messages 1M --out /tmp/old.db --schema-step 6
//! ```
//!
//! The second stops before a step of the schema, to see how long that one takes.
//!
//! A few users write most of the messages. They come for a visit, go on with the session of the
//! last one or begin another, and leave; less at night and at the weekend, and more from month to
//! month. Every row is what the store's own operations would have left, counters included:
//! `botstore check` finds nothing.

mod bot;
mod calendar;
mod file;
mod people;
mod text;

use bot::Bot;
use botstore::{BeforeUpgrade, Config, schema};
use calendar::Calendar;
use chrono::{NaiveDate, Utc};
use clap::Parser;
use file::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

#[derive(Debug, Parser)]
#[command(about = "Makes the file of a bot that has been in use for long")]
struct Args {
    /// Messages, such as 2000, 100k or 10M, with their tool uses and audit events
    #[arg(long, value_parser = number)]
    messages: u64,
    /// The file to make; must not exist yet
    #[arg(long)]
    out: PathBuf,
    /// Makes the same rows again
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Users, a few of them strangers [default: one for 500 messages, at least 20]
    #[arg(long, value_parser = clap::value_parser!(u32).range(2..=10_000_000))]
    users: Option<u32>,
    /// How many days the history has
    #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    days: u32,
    /// The day after the last one of the history [default: today, UTC]
    #[arg(long)]
    end: Option<NaiveDate>,
    /// The last step of the schema "botstore" that the file gets [default: the newest]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    schema_step: Option<u32>,
    /// One JSON object on the last line
    #[arg(long)]
    json: bool,
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The rows are inserted at this step: a later one may have triggers, and fills its tables by
/// itself when it is applied.
const STEP_OF_ROWS: u32 = 6;

const SCHEMA: &str = "botstore";

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// A number, perhaps of thousands or millions.
fn number(text: &str) -> Result<u64, String> {
    let (digits, unit) = match text.strip_suffix(['k', 'K', 'm', 'M']) {
        Some(digits) if text.ends_with(['k', 'K']) => (digits, 1_000),
        Some(digits) => (digits, 1_000_000),
        None => (text, 1),
    };
    let number = digits.parse::<u64>().ok();
    number
        .and_then(|number| number.checked_mul(unit))
        .filter(|number| (1..=1_000_000_000).contains(number))
        .ok_or_else(|| "expected a number from 1 to 1000M, such as 2000, 100k or 10M".to_owned())
}

fn run(args: &Args) -> Result<(), Failure> {
    let newest = newest_step()?;
    let last_step = args.schema_step.unwrap_or(newest);
    if last_step > newest {
        return Err(format!("--schema-step must be at most {newest}").into());
    }
    std::fs::File::create_new(&args.out)
        .map_err(|e| format!("cannot create {}: {e}", args.out.display()))?;
    let made = make(args, last_step);
    if made.is_err() {
        // Without a journal, half a file is worth nothing.
        for suffix in ["", "-wal", "-shm"] {
            let mut name = args.out.clone().into_os_string();
            name.push(suffix);
            let _ = std::fs::remove_file(name);
        }
    }
    report(args, last_step, &made?);
    Ok(())
}

/// How long each part took, and what is in the file.
struct Made {
    rows: Vec<(&'static str, i64)>,
    inserting: Duration,
    indexing: Duration,
    upgrading: Duration,
    file_bytes: u64,
}

fn make(args: &Args, last_step: u32) -> Result<Made, Failure> {
    let started = Instant::now();
    let config = || Config::new(&args.out).before_upgrade(BeforeUpgrade::Skip);
    schema::apply_to(config(), SCHEMA, last_step.min(STEP_OF_ROWS))?;

    let end = args.end.unwrap_or_else(|| Utc::now().date_naive());
    let users = args.users.map_or((args.messages / 500).max(20), u64::from);
    let calendar = Calendar::new(end, args.days, args.messages, args.seed)?;
    let conn = file::open(&args.out)?;
    let indexes = file::drop_indexes(&conn)?;
    let mut file = File::new(&conn)?;
    Bot::new(args.seed, users, args.messages, calendar.end()).live(&calendar, &mut file)?;
    let rows = file.finish()?;
    let inserting = started.elapsed();

    file::make_indexes(&conn, &indexes)?;
    file::close(conn)?;
    let indexing = started.elapsed() - inserting;

    match args.schema_step {
        // The newest, with everything beside it.
        None => drop(schema::apply(config())?),
        Some(step) if step > STEP_OF_ROWS => drop(schema::apply_to(config(), SCHEMA, step)?),
        Some(_) => {}
    }
    Ok(Made {
        rows,
        inserting,
        indexing,
        upgrading: started.elapsed() - inserting - indexing,
        file_bytes: args.out.metadata()?.len(),
    })
}

/// What a file that is not there yet would get.
fn newest_step() -> botstore::Result<u32> {
    let nowhere = Path::new("/a-file-that-is-not-there.db");
    let plan = schema::plan(nowhere)?;
    let ours = plan.steps.iter().filter(|step| step.schema == SCHEMA);
    Ok(ours.map(|step| step.step).max().unwrap_or(0))
}

fn report(args: &Args, last_step: u32, made: &Made) {
    let took = made.inserting + made.indexing + made.upgrading;
    let rate = args.messages as f64 / took.as_secs_f64();
    for (table, rows) in &made.rows {
        println!("{table:<14} {rows:>12} rows");
    }
    println!(
        "{:.1} s: rows {:.1}, indexes {:.1}, later steps {:.1}; {rate:.0} messages/s, {} MiB",
        took.as_secs_f64(),
        made.inserting.as_secs_f64(),
        made.indexing.as_secs_f64(),
        made.upgrading.as_secs_f64(),
        made.file_bytes >> 20
    );
    if args.json {
        let rows: serde_json::Map<_, _> = made
            .rows
            .iter()
            .map(|(table, rows)| ((*table).to_owned(), (*rows).into()))
            .collect();
        let summary = serde_json::json!({
            "messages": args.messages,
            "seed": args.seed,
            "schema_step": last_step,
            "rows": rows,
            "seconds": took.as_secs_f64(),
            "seconds_rows": made.inserting.as_secs_f64(),
            "seconds_indexes": made.indexing.as_secs_f64(),
            "seconds_steps": made.upgrading.as_secs_f64(),
            "messages_per_second": rate,
            "file_bytes": made.file_bytes,
        });
        println!("{summary}");
    }
}
