//! What is promised, in numbers, and whether it was kept.
//!
//! **Memory.** Beside what the process had when its users were signed up, there may be:
//!
//! - the page caches: [`CACHE`] for each connection, which are those of the writer, the
//!   checkpointer and the readers of both lanes;
//! - the interactions in flight: `max_in_flight_bytes`;
//! - the reads in flight: a request is small, but each may have its answer, a page of ten messages
//!   of 1.2 KB: `max_in_flight` times [`ANSWER`];
//! - the host's tasks, those that wait and those whose answer nobody has fetched yet: for each of
//!   both kinds as many as there may be at once, with a task, a message and an answer;
//! - the receipts that the verification needs: [`RECEIPT`] for each interaction acknowledged;
//! - what the allocator makes of it: [`ALLOCATOR`] on top of that, and [`ARENAS`].
//!
//! None of these knows how long the overload lasts or how much arrives, except for the receipts.

use crate::Args;
use crate::calm::{Alone, Capacity, Recovery};
use crate::flood::{Flood, Side};
use crate::mix::Kind;
use crate::verify::Found;
use crate::watch::Peaks;
use botstore::Health;
use botstore_measure::figures::{MIB, mib, millis, millis_at, time};

/// The default of `Config::cache_bytes`.
const CACHE: u64 = 8 * MIB;

/// Connections that are not readers.
const OTHER_CONNECTIONS: u64 = 2;

const ANSWER: u64 = 16 * 1024;

/// A task with an interaction: 1.2 KB of texts, two tool uses, two futures and what tokio adds.
const TASK: u64 = 4 * 1024;

const RECEIPT: u64 = 32;

/// A quarter: the gaps between what is in use, of sizes that come and go.
const ALLOCATOR: f64 = 1.25;

/// What the threads' arenas keep for later, and four histograms.
const ARENAS: u64 = 16 * MIB;

/// The default of `Config::wal_ceiling_bytes`.
const WAL_CEILING: u64 = 64 * MIB;

/// What an interaction adds to the WAL at most: nine pages.
const LOGGED: u64 = 36 * 1024;

/// The default of `Config::max_batch`.
const GROUP: u64 = 256;

/// How long the writer leaves a WAL alone that a reader kept from starting over, in seconds.
const LEFT_ALONE: f64 = 0.25;

/// The longest that `Overloaded` may take in 99 of 100 cases, in milliseconds. It takes
/// microseconds; what is on top is for a machine that lets the asking thread wait.
const TOLD_AT_ONCE: f64 = 10.0;

const RECOVERED: f64 = 1_000.0;

/// All that was measured.
pub(crate) struct Measured {
    /// Resident memory before the first load and after the last, where the system tells it.
    pub(crate) before: Option<u64>,
    pub(crate) after: Option<u64>,
    pub(crate) capacity: Capacity,
    pub(crate) alone: Alone,
    pub(crate) flood: Flood,
    pub(crate) recovery: Recovery,
    pub(crate) peaks: Peaks,
    /// When everything was answered.
    pub(crate) health: Health,
    pub(crate) found: Found,
}

/// Whether a promise was kept.
pub(crate) struct Verdict {
    pub(crate) promise: &'static str,
    pub(crate) holds: bool,
    /// What was measured, and what it was held against.
    pub(crate) figures: String,
}

/// What the memory may come to.
pub(crate) fn memory(args: &Args, measured: &Measured) -> Option<u64> {
    let health = &measured.health;
    let readers = health.interactive.readers + health.analytics.readers;
    let caches = (readers as u64 + OTHER_CONNECTIONS) * CACHE;
    let answers = u64::from(args.in_flight) * ANSWER;
    let tasks = u64::from(args.at_once()) * (2 * TASK + ANSWER);
    let receipts = measured.found.acknowledged * RECEIPT;
    let sum = caches + args.in_flight_bytes() + answers + tasks + receipts;
    Some(measured.before? + (sum as f64 * ALLOCATOR) as u64 + ARENAS)
}

/// How long one that is taken in may wait, in milliseconds.
pub(crate) fn latency(args: &Args, capacity: &Capacity, kind: Kind) -> f64 {
    2.0 * f64::from(args.at_once()) / capacity.of(kind).max(1.0) * 1_000.0 + 1_000.0
}

fn wal(capacity: &Capacity) -> u64 {
    WAL_CEILING + (GROUP + (capacity.writes * LEFT_ALONE) as u64) * LOGGED
}

pub(crate) fn judge(args: &Args, measured: &Measured) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    let mut judge = |promise, holds, figures| {
        verdicts.push(Verdict {
            promise,
            holds,
            figures,
        });
    };
    let Measured { flood, peaks, .. } = measured;
    match (peaks.memory, memory(args, measured)) {
        (Some(peak), Some(bound)) => {
            let figures = format!("{} of {}", mib(peak), mib(bound));
            judge("memory", peak <= bound, figures);
        }
        _ => judge("memory", true, "not told by this system".to_owned()),
    }
    let most = args.in_flight as usize;
    let figures = format!(
        "{} writes and {} reads of {most}, {} of {}",
        peaks.writes,
        peaks.reads,
        mib(peaks.write_bytes as u64),
        mib(args.in_flight_bytes())
    );
    let within = peaks.writes <= most
        && peaks.reads <= most
        && peaks.write_bytes as u64 <= args.in_flight_bytes();
    judge("in flight", within, figures);
    for (kind, side, promise) in [
        (Kind::Write, &flood.writes, "writes wait"),
        (Kind::Read, &flood.reads, "reads wait"),
    ] {
        let (p99, bound) = (
            millis_at(&side.accepted, 0.99),
            latency(args, &measured.capacity, kind),
        );
        let figures = format!("p99 {} of {}", time(p99), time(bound));
        judge(promise, !side.accepted.is_empty() && p99 <= bound, figures);
    }
    let told = |side: &Side| millis_at(&side.overloaded, 0.99);
    let slowest = told(&flood.writes).max(told(&flood.reads));
    let figures = format!("p99 {} of {}", time(slowest), time(TOLD_AT_ONCE));
    // Without any there was no overload, and nothing was shown.
    let was_told = !flood.writes.overloaded.is_empty() && !flood.reads.overloaded.is_empty();
    judge("overloaded", was_told && slowest <= TOLD_AT_ONCE, figures);
    let others = flood.complaints.len();
    let figures = format!("{others} answers were neither a success nor Overloaded");
    judge("answers", others == 0, figures);
    let bound = wal(&measured.capacity);
    let figures = format!("{} of {}", mib(peaks.wal_bytes), mib(bound));
    judge("log", peaks.wal_bytes <= bound, figures);
    let recovery = &measured.recovery;
    let (write, read) = (millis(recovery.write), millis(recovery.read));
    let figures = format!(
        "writes after {}, reads after {}, of {}",
        time(write),
        time(read),
        time(RECOVERED)
    );
    judge("recovery", write.max(read) <= RECOVERED, figures);
    let health = &measured.health;
    let left = health.writer.in_flight + health.interactive.in_flight;
    let figures = format!("{left} requests in flight when all were answered");
    judge("at rest", health.ok && left == 0, figures);
    let found = &measured.found;
    let figures = format!("{} of {} found whole", found.found, found.acknowledged);
    judge("acknowledged", found.verified(), figures);
    verdicts
}
