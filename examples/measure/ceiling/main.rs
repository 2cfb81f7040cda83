//! The store against its ceiling: plain rusqlite, on one thread, with the same SQL, the same file
//! and the same durability.
//!
//! ```text
//! cargo run --release -p botstore-measure --bin ceiling
//! cargo run --release -p botstore-measure --bin ceiling -- --quick --json
//! ```
//!
//! Both sides take turns in one run, several rounds, and what is compared is the ratio of their
//! medians: machines are shared, so a figure alone tells little. Both run the operations of the
//! crate itself (`botstore::testing::Plain` lends them a connection), so both do the same work.

mod load;
mod reads;
mod space;
mod table;
mod writes;

use clap::Parser;
use std::process::ExitCode;
use table::Row;

#[derive(Clone, Debug, Parser)]
#[command(about = "Measures the store against plain rusqlite, in ratios")]
struct Args {
    /// Fewer and shorter rounds: to see that it runs, not to quote
    #[arg(long)]
    quick: bool,
    /// Only these rows, such as s1,s7
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// One JSON object on the last line
    #[arg(long)]
    json: bool,
}

impl Args {
    fn wants(&self, rows: &[&str]) -> bool {
        self.only.is_empty() || rows.iter().any(|row| self.only.iter().any(|id| id == row))
    }

    fn rounds(&self) -> usize {
        if self.quick { 2 } else { 5 }
    }

    /// So many operations, or a tenth of them.
    fn operations(&self, full: u64) -> u64 {
        if self.quick { full / 10 } else { full }
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    let mut rows: Vec<Row> = Vec::new();
    let measured = writes::measure(&args, &mut rows)
        .and_then(|()| reads::measure(&args, &mut rows))
        .and_then(|()| space::measure(&args, &mut rows));
    table::print(&rows);
    if args.json {
        println!("{}", table::json(&rows));
    }
    match measured {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
