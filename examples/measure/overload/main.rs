//! Many times more requests than the store can answer, for a minute: what it does with those it
//! takes in, what it says to the others, and how soon it is itself again.
//!
//! ```text
//! cargo run --release -p botstore-measure --bin overload -- --seconds 60 --times 10 --json
//! cargo run --release -p botstore-measure --bin overload -- --seconds 5 --in-flight 256 --waiting 64
//! ```
//!
//! First callers that wait for their answers measure what this machine can do with a mix of
//! interactions to save and pages of messages to read. Then so many times that rate of each arrives
//! by the clock, whatever becomes of it. Half of the requests ask with `try_write` and `try_read`, and are
//! told `Overloaded` where there is no room. The other half wait with `write` and `read`. Those
//! that wait are the host's own tasks, in the host's own memory, where the store cannot bound them;
//! so the host does, with a semaphore in front, and turns away at once whoever finds it empty.
//!
//! The store holds at most `--in-flight` requests of each kind, and the host `--waiting` more. With
//! N requests there at most and C answered a second, one that is taken in waits N / C. So a host
//! that wants to be itself again within a second chooses N well below C, which is why the default
//! here is below the store's.
//!
//! What is checked, with exit code 1 if it does not hold:
//!
//! - **Memory** stays under what it was before, and what the settings say on top: see `bounds.rs`.
//! - **Latency** of what was taken in: p99 under 2 N / C and a second, since the clock that sends
//!   ten times too much takes part of the machine from those who answer.
//! - **`Overloaded`** comes at once, and to those who asked for it only.
//! - **The WAL** stays under its ceiling and what a group may add.
//! - **Recovery**: within a second after the last arrival a single write and a single read take as
//!   long as they do on an idle store.
//! - **Nothing acknowledged is missing** from the closed file, nothing else is in it, and the
//!   counters agree.

mod bounds;
mod calm;
mod flood;
mod mix;
mod report;
mod watch;

#[path = "../../simulated_load/script.rs"]
mod script;
#[path = "../../simulated_load/verify.rs"]
mod verify;

use botstore::{BeforeUpgrade, Config, Store};
use botstore_measure::process;
use clap::Parser;
use mix::Bot;
use std::process::ExitCode;
use std::time::Duration;
use watch::Watch;

#[derive(Clone, Debug, Parser)]
#[command(
    about = "Sends a store many times more than it can answer, and verifies what it promised"
)]
struct Args {
    /// How long the overload lasts
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
    /// How many times what this machine can do arrives
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(2..=100))]
    times: u32,
    /// Seconds in which it is measured what this machine can do
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=600))]
    capacity_seconds: u64,
    /// Requests of each kind that the store holds at most
    #[arg(long, default_value_t = 1_024, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    in_flight: u32,
    /// Requests of each kind that the host lets wait for the store at most
    #[arg(long, default_value_t = 512, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    waiting: u32,
    /// MiB that the interactions in flight hold at most
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=2_048))]
    in_flight_mib: u32,
    /// Users, each with one session
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    users: u32,
    /// Makes the same requests again
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// One JSON object on the last line
    #[arg(long)]
    json: bool,
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

impl Args {
    /// The most requests of one kind that are anywhere.
    fn at_once(&self) -> u32 {
        self.in_flight + self.waiting
    }

    fn in_flight_bytes(&self) -> u64 {
        u64::from(self.in_flight_mib) * botstore_measure::figures::MIB
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    let outcome = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime.block_on(run(args)),
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

async fn run(args: Args) -> Result<bool, Failure> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("overload.db");
    let config = Config::new(&path)
        .before_upgrade(BeforeUpgrade::Skip)
        .max_in_flight(args.in_flight as usize)
        .max_in_flight_bytes(args.in_flight_bytes() as usize);
    let store = Store::open(config).await?;
    let bot = Bot::sign_up(store.clone(), &args).await?;
    let before = process::memory();

    eprintln!("measures what this machine can do");
    let span = Duration::from_secs(args.capacity_seconds);
    let capacity = calm::capacity(&bot, span).await?;
    let alone = calm::alone(&bot).await?;

    eprintln!("overloads it");
    let watch = Watch::start(&store);
    let span = Duration::from_secs(args.seconds);
    let flood = flood::run(&bot, &capacity, args.times, span);
    let (flood, recovery) = calm::recovery(&bot, &alone, flood).await?;
    let peaks = watch.stop()?;
    let health = store.health().await?;
    let after = process::memory();
    store.close().await?;

    let mut receipts = vec![None; bot.numbers() as usize];
    let all = [
        &capacity.receipts,
        &alone.receipts,
        &flood.receipts,
        &recovery.receipts,
    ];
    for (number, receipt) in all.into_iter().flatten() {
        receipts[*number as usize] = Some(receipt.clone());
    }
    let found = verify::compare(&path, &args, &receipts)?;
    let measured = bounds::Measured {
        before,
        after,
        capacity,
        alone,
        flood,
        recovery,
        peaks,
        health,
        found,
    };
    let verdicts = bounds::judge(&args, &measured);
    report::print(&args, &measured, &verdicts);
    if args.json {
        println!("{}", report::json(&args, &measured, &verdicts));
    }
    Ok(verdicts.iter().all(|verdict| verdict.holds))
}
