//! The store against its ceiling: plain rusqlite, on one thread, with the same durability. There are two kinds
//! of rows.
//!
//! * N1 to N17: plain rusqlite over the *seed's own schema*, the seven tables and seven indexes of the Python
//!   bot. That is what a bot would have without this crate; so the ratio has everything in it that the store adds:
//!   its rollups, its further indexes, its checks, and the way to the writer. Each is measured on two files, an
//!   empty one and one of a million messages, with idempotency keys and without (plain never has any). N14 to N17
//!   compare the store with itself: interactions with everything that is known of a request, or with a reservation,
//!   and without.
//! * S1 to S13: plain rusqlite with the store's *own schema and operations* on both sides
//!   (`botstore::testing::Plain` lends a connection). So the ratio has only the way through the store in it:
//!   the hand-off, group commit, checkpoints.
//!
//! ```text
//! cargo run --release -p botstore-measure --bin ceiling
//! cargo run --release -p botstore-measure --bin ceiling -- --quick --json
//! cargo run --release -p botstore-measure --bin ceiling -- --only n1,n2 --file large --messages 100k
//! cargo run --release -p botstore-measure --bin ceiling -- --frames
//! ```
//!
//! Both sides take turns in one run, several rounds, and what is compared is the ratio of their
//! medians: machines are shared, so a figure alone tells little.

mod load;
mod reads;
mod seed;
mod space;
mod table;
mod writes;

use clap::{Parser, ValueEnum};
use std::process::ExitCode;
use table::Row;

#[derive(Clone, Debug, Parser)]
#[command(about = "Measures the store against plain rusqlite, in ratios")]
struct Args {
    /// Fewer and shorter rounds: to see that it runs, not to quote
    #[arg(long)]
    quick: bool,
    /// Only these rows, such as s1,s7,n1
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Only on these files (rows N)
    #[arg(long, value_delimiter = ',')]
    file: Vec<File>,
    /// Only with or without idempotency keys (rows N)
    #[arg(long, value_delimiter = ',')]
    keys: Vec<Keys>,
    /// How many messages the large file has (rows N), such as 100k or 1M; by default 1M, and 100k if quick
    #[arg(long, value_parser = number)]
    messages: Option<u64>,
    /// At how many pages in the WAL a commit of plain rusqlite copies it (rows N): by default at 64 MiB, which is the
    /// store's ceiling; SQLite's own default is 1000
    #[arg(long)]
    plain_checkpoint: Option<u64>,
    /// Instead of rows: which tables and indexes the WAL frames of an interaction belong to
    #[arg(long)]
    frames: bool,
    /// One JSON object on the last line
    #[arg(long)]
    json: bool,
}

/// What is in the file before.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum File {
    /// 1,000 users with 5 sessions each, and no messages
    Empty,
    /// The same users with many messages
    Large,
}

/// Whether the store's interactions have idempotency keys.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum Keys {
    Without,
    With,
}

impl Args {
    fn wants(&self, rows: &[&str]) -> bool {
        self.only.is_empty() || rows.iter().any(|row| self.only.iter().any(|id| id == row))
    }

    fn wants_file(&self, file: File) -> bool {
        self.file.is_empty() || self.file.contains(&file)
    }

    fn wants_keys(&self, keys: Keys) -> bool {
        self.keys.is_empty() || self.keys.contains(&keys)
    }

    fn large(&self) -> u64 {
        let usual = if self.quick { 100_000 } else { 1_000_000 };
        self.messages.unwrap_or(usual)
    }

    fn rounds(&self) -> usize {
        if self.quick { 2 } else { 5 }
    }

    /// So many operations, or a tenth of them.
    fn operations(&self, full: u64) -> u64 {
        if self.quick { full / 10 } else { full }
    }
}

fn number(text: &str) -> Result<u64, String> {
    let (digits, times) = match text.char_indices().last() {
        Some((at, 'k')) => (&text[..at], 1_000),
        Some((at, 'M')) => (&text[..at], 1_000_000),
        _ => (text, 1),
    };
    match digits.parse::<u64>() {
        Ok(number) if (1..=100_000_000 / times).contains(&number) => Ok(number * times),
        _ => Err("expected a number from 1 to 100M, such as 2000, 100k or 1M".to_owned()),
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    let (mut seed, mut own): (Vec<Row>, Vec<Row>) = Default::default();
    let measured = match args.frames {
        true => seed::print_frames(&args),
        false => seed::measure(&args, &mut seed)
            .and_then(|()| writes::measure(&args, &mut own))
            .and_then(|()| reads::measure(&args, &mut own))
            .and_then(|()| space::measure(&args, &mut own)),
    };
    table::print(
        "Plain rusqlite over the seed's own schema: what a bot would have without this crate",
        &seed,
    );
    table::print(
        "Plain rusqlite over the store's schema, by the store's operations: what the way through the store costs",
        &own,
    );
    if args.json {
        println!("{}", table::json(seed.iter().chain(&own)));
    }
    match measured {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
