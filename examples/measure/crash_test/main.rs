//! Kills a process that writes, again and again and at any moment, and looks each time for every
//! word that it acknowledged.
//!
//! ```text
//! cargo run --release -p botstore-measure --bin crash_test
//! cargo run --release -p botstore-measure --bin crash_test -- --rounds 1000 --seed 7 --json
//! ```
//!
//! A round: this program again, as a child, opens the file and has many callers save interactions,
//! users and sessions, perhaps makes backups, perhaps closes. It tells on a pipe what it sends and
//! what was acknowledged. It gets SIGKILL at a random moment: while it opens the file, under load
//! (and so in commits, checkpoints and restarts of the WAL), in a backup, or while it closes. Then the
//! file is looked at: by plain SQLite, before the store has touched it, or after the store has
//! opened it, in turns. What was acknowledged is there once and whole, what was refused is not there,
//! nothing is half there, and counters and rollups equal the sums. What was neither acknowledged nor
//! refused is sent again, and must lead to exactly one. The next round goes on with the file.
//!
//! The seed makes the same requests, settings and delays again; where exactly a process is when its
//! delay is over is up to the machine. A killed process loses nothing that the operating system has;
//! what a loss of power does is not tested here.
//!
//! Exit code 0 only if nothing was wrong in any round. The first round in which something is ends
//! the run, and its files are kept, also as they were found.

mod child;
mod file;
mod ledger;
mod lines;
mod plan;
mod report;
mod retry;
mod rounds;
mod script;
mod verify;
mod victim;

use clap::{Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use report::Tally;
use rounds::Rounds;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tempfile::TempDir;

#[derive(Clone, Debug, Parser)]
#[command(about = "Kills a writing process at random moments and verifies the file each time")]
#[command(disable_help_subcommand = true)]
struct Args {
    /// Processes to kill
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rounds: u32,
    /// Tasks of each process that have one request in flight
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    callers: u32,
    /// Makes the same requests and the same delays again
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Rounds with one file; each looks at all of it, so that they take longer and longer
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rounds_per_file: u32,
    /// Works in this folder, which must be empty or new, and leaves the last file there [default: a
    /// temporary one, which stays only if something is wrong]
    #[arg(long)]
    keep: Option<PathBuf>,
    /// One JSON object on the last line
    #[arg(long)]
    json: bool,
    #[command(subcommand)]
    role: Option<Role>,
}

#[derive(Clone, Debug, Subcommand)]
enum Role {
    /// The process that is killed
    #[command(hide = true)]
    Child(child::Orders),
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Where the files are.
enum Place {
    Temporary(TempDir),
    Named(PathBuf),
}

impl Place {
    fn path(&self) -> &Path {
        match self {
            Self::Temporary(folder) => folder.path(),
            Self::Named(folder) => folder,
        }
    }

    fn keep(self) -> PathBuf {
        match self {
            Self::Temporary(folder) => folder.keep(),
            Self::Named(folder) => folder,
        }
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    if let Some(Role::Child(orders)) = &args.role {
        return child::live(orders);
    }
    let place = match place(args.keep.as_deref()) {
        Ok(place) => place,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    let tally = run(&args, place.path());
    report::print(&args, &tally);
    let verified = tally.problems.is_empty();
    if !verified {
        println!("\nthe files are kept in {}", place.keep().display());
    }
    println!("\n{}", if verified { "OK" } else { "NOT VERIFIED" });
    if args.json {
        println!("{}", report::json(&args, &tally));
    }
    ExitCode::from(u8::from(!verified))
}

fn place(keep: Option<&Path>) -> Result<Place, Failure> {
    let Some(folder) = keep else {
        return Ok(Place::Temporary(tempfile::tempdir()?));
    };
    let failed = |e| format!("--keep {}: {e}", folder.display());
    std::fs::create_dir_all(folder).map_err(failed)?;
    if folder.read_dir().map_err(failed)?.next().is_some() {
        return Err(format!("--keep {} is not empty", folder.display()).into());
    }
    Ok(Place::Named(folder.to_owned()))
}

/// All rounds, or those up to the first in which something is wrong.
fn run(args: &Args, folder: &Path) -> Tally {
    let bar = ProgressBar::new(u64::from(args.rounds));
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} rounds, {msg}") {
        bar.set_style(style);
    }
    let mut rounds = Rounds::new(args, folder);
    for round in 0..args.rounds {
        // What keeps a round from being made is as bad as what it finds.
        if let Err(error) = rounds.make(round) {
            rounds.tally.problems.push(error.to_string());
        }
        if !rounds.tally.problems.is_empty() {
            let named = |problem: &mut String| *problem = format!("round {round}: {problem}");
            rounds.tally.problems.iter_mut().for_each(named);
            break;
        }
        bar.set_message(format!("{} acknowledged", rounds.tally.acknowledged));
        bar.inc(1);
    }
    bar.finish_and_clear();
    rounds.tally.finish()
}
