//! Plain rusqlite on one thread: `FILE BATCH EXCHANGES` saves so many in a transaction. `FILE` alone makes the file
//! that each peer begins with.

#[path = "../../../driver.rs"]
mod driver;
#[path = "../../../../../../tests/shared/plain.rs"]
mod plain;
#[path = "../../../../../../tests/shared/seed.rs"]
mod seed;

use driver::{Ask, Figures, Result, cpu};
use std::time::Instant;
use tokio_rusqlite::rusqlite;

const CACHE_BYTES: u64 = 8 << 20;
/// 64 MiB, where the store has the ceiling of its WAL.
const CHECKPOINT_PAGES: u64 = 16_384;

fn main() -> Result<()> {
    if let [_, file] = &std::env::args().collect::<Vec<_>>()[..] {
        return Ok(plain::create(file.as_ref(), 4_096)?);
    }
    let ask = Ask::of_command_line()?;
    let mut conn = plain::open(&ask.file, CACHE_BYTES, CHECKPOINT_PAGES)?;
    let batch = ask.callers;
    let mut save = |from: u64, to: u64| -> Result<Vec<f64>> {
        let mut latencies = Vec::new();
        for first in (from..to).step_by(batch as usize) {
            let asked = Instant::now();
            let some = first..to.min(first + batch);
            let saved = some.end - some.start;
            plain::save_all(&mut conn, some.map(seed::exchange), plain::TIME_OF_HISTORY)?;
            let took = asked.elapsed().as_nanos() as f64 / 1_000.0;
            latencies.extend(std::iter::repeat_n(took, saved as usize));
        }
        Ok(latencies)
    };
    let first = ask.exchanges / 5;
    save(0, first)?;
    let (before, started) = (cpu(), Instant::now());
    let latencies = save(first, ask.exchanges)?;
    Figures {
        latencies,
        took: started.elapsed(),
        cpu: cpu() - before,
    }
    .print();
    Ok(())
}
