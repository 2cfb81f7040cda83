//! How long a file's dashboards take, and how long opening it does: for files of any age, such as
//! those that `generate_history` makes.
//!
//! ```text
//! cargo run --release -p botstore-measure --bin generate_history -- --messages 100k --out small.db
//! cargo run --release -p botstore-measure --bin generate_history -- --messages 10M --out large.db
//! cargo run --release -p botstore-measure --bin dashboard_speed -- small.db large.db
//! ```
//!
//! A file from before the rollups is filled when it is first opened, and how fast that goes is told.
//! The files take turns, and the medians count.

use botstore::analytics::{AdminDashboard, SystemStats, TopUsers, UserDashboard};
use botstore::users::GetUser;
use botstore::{BeforeUpgrade, Config, Result, Store, schema};
use clap::Parser;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

#[derive(Debug, Parser)]
#[command(about = "Measures the dashboards of bots of different age")]
struct Args {
    /// The files, the youngest first
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// How often each is asked
    #[arg(long, default_value_t = 201, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rounds: u32,
}

/// What was measured of a file, in milliseconds.
struct File {
    messages: u64,
    opening: f64,
    admin: Vec<f64>,
    user: Vec<f64>,
}

fn main() -> ExitCode {
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(&Args::parse())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn config(path: &Path) -> Config {
    Config::new(path).before_upgrade(BeforeUpgrade::Skip)
}

async fn run(args: &Args) -> Result<()> {
    let mut stores = Vec::new();
    for path in &args.files {
        stores.push(open(path).await?);
    }
    for _ in 0..args.rounds {
        for (store, file, user_id) in &mut stores {
            let asked = Instant::now();
            store.read(AdminDashboard::default()).await?;
            file.admin.push(milliseconds(asked.elapsed()));
            let asked = Instant::now();
            let user_id = *user_id;
            store.read(UserDashboard::new(user_id)).await?;
            file.user.push(milliseconds(asked.elapsed()));
        }
    }
    println!("  messages   opening ms   admin ms (p99)   user ms (p99)   to the first");
    let mut first = None;
    for (store, mut file, _) in stores {
        let (admin, user) = (
            quantile(&mut file.admin, 0.5),
            quantile(&mut file.user, 0.5),
        );
        let (first_admin, first_user) = *first.get_or_insert((admin, user));
        println!(
            "{:>10} {:>12.1} {admin:>8.2} ({:>4.1}) {user:>9.2} ({:>4.1})   {:.2} × and {:.2} ×",
            file.messages,
            file.opening,
            quantile(&mut file.admin, 0.99),
            quantile(&mut file.user, 0.99),
            admin / first_admin,
            user / first_user
        );
        store.close().await?;
    }
    Ok(())
}

/// Opens a file until its first answer, for the second time: the first may have to fill it. Gives
/// the user who cost most, too, whose dashboard is the dearest.
async fn open(path: &Path) -> Result<(Store, File, i64)> {
    let missing = schema::plan(config(path))?.steps.len();
    let started = Instant::now();
    let store = Store::open(config(path)).await?;
    let messages = store.read(SystemStats::new()).await?.total_messages;
    if missing > 0 {
        let took = started.elapsed().as_secs_f64();
        println!(
            "{}: {missing} steps, {took:.1} s, {:.0} messages a second",
            path.display(),
            messages as f64 / took
        );
    }
    store.close().await?;
    let started = Instant::now();
    let store = Store::open(config(path)).await?;
    store.read(GetUser::new(1)).await?;
    let opening = milliseconds(started.elapsed());
    let top = store.read(TopUsers::new(1)).await?;
    let file = File {
        messages,
        opening,
        admin: Vec::new(),
        user: Vec::new(),
    };
    Ok((
        store,
        file,
        top.first().map_or(0, |user| user.user_id.get()),
    ))
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

fn quantile(values: &mut [f64], quantile: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let at = (values.len() as f64 * quantile) as usize;
    values[at.min(values.len() - 1)]
}
