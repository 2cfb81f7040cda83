//! What is promised of a long run, and whether it was kept.
//!
//! - **Memory** is flat: the median of its last fifth is at most a tenth and [`CACHE`] over that of
//!   its second fifth, in which the page caches are full. The file grows meanwhile; what is kept of
//!   it in memory does not.
//! - **Open files and threads** are flat: the fewest at any moment of the last fifth are those of
//!   the second. The fewest, because a backup opens some while it works and closes them; one that is
//!   forgotten stays.
//! - **The WAL** stays under its ceiling, what a group may add, and what is written while a backup
//!   keeps it from starting over: from the snapshot to the end of the longest one, at most.
//! - **p99** of writes, reads and dashboards in the last row is at most 1.5 times that of the first.
//!   What is compared are medians of the p99 of the parts of a row, and a p99 under [`GRAIN`] counts
//!   as one: below it they tell of the machine's threads and not of the store. On a machine that has
//!   other things to do they tell of those; so each row says how late this program itself was woken
//!   up, and a row that was kept waiting for longer than another is nothing to compare it with.
//! - **Backups** and drills are made and good, and no more are kept than were asked for; sessions
//!   expire; the rollups never differ from a full count.
//! - **Nothing acknowledged is missing**, nothing else is there, and the file agrees with itself.

use crate::KEPT;
use crate::bot::Kind;
use crate::drive::Driven;
use crate::plan::Plan;
use crate::rows::Row;
use crate::verify::Found;
use crate::watch::Sample;
use botstore::Health;
use botstore_measure::figures::{MIB, mib, time};

const CACHE: u64 = 8 * MIB;

/// In milliseconds.
const GRAIN: f64 = 1.0;

const SLOWER: f64 = 1.5;

/// The default of `Config::wal_ceiling_bytes`.
const WAL_CEILING: u64 = 64 * MIB;

/// A sixth of the default of `Config::checkpoint_at_bytes`. The WAL starts over when it has grown by
/// this much at least, so that how often it did tells how much was written.
const CHECKPOINT_AT: u64 = 4 * MIB;

/// What a full group adds: 256 interactions of nine pages.
const GROUP: u64 = 9 * MIB;

/// Everything that a verdict hangs on.
pub(crate) struct Measured {
    pub(crate) driven: Driven,
    /// When everything was answered.
    pub(crate) health: Health,
    /// Backups in the folder at the end.
    pub(crate) kept: usize,
    pub(crate) found: Found,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Outcome {
    Kept,
    Broken,
    /// The run was too short, or the system does not tell.
    NotJudged,
}

pub(crate) struct Verdict {
    pub(crate) promise: &'static str,
    pub(crate) outcome: Outcome,
    /// What was measured, and what it was held against.
    pub(crate) figures: String,
}

impl Verdict {
    fn new(promise: &'static str, holds: bool, figures: String) -> Self {
        let outcome = match holds {
            true => Outcome::Kept,
            false => Outcome::Broken,
        };
        Self {
            promise,
            outcome,
            figures,
        }
    }

    pub(crate) fn is_broken(&self) -> bool {
        self.outcome == Outcome::Broken
    }

    fn only_if(mut self, judged: bool) -> Self {
        if !judged {
            self.outcome = Outcome::NotJudged;
        }
        self
    }
}

pub(crate) fn judge(plan: &Plan, measured: &Measured) -> Vec<Verdict> {
    let Driven { samples, .. } = &measured.driven;
    let judged = plan.is_judged();
    // Whatever a system tells of a process it tells all of.
    let told = judged && samples.iter().all(|sample| sample.memory.is_some());
    let mut verdicts = vec![
        memory(samples).only_if(told),
        fewest("open files", samples, |sample| sample.open_files).only_if(told),
        fewest("threads", samples, |sample| sample.threads).only_if(told),
        log(plan, measured),
    ];
    for (promise, kind) in [
        ("p99 writes", Kind::Write),
        ("p99 reads", Kind::Read),
        ("p99 shown", Kind::Dashboard),
    ] {
        verdicts.push(p99(promise, kind, measured).only_if(judged));
    }
    verdicts.extend([backups(measured), expiry(measured), answers(measured)]);
    verdicts.push(acknowledged(measured));
    verdicts
}

/// The second and the last fifth of the samples.
fn fifths(samples: &[Sample], value: fn(&Sample) -> Option<u64>) -> [Vec<u64>; 2] {
    let fifth = (samples.len() / 5).max(1);
    let of = |from: usize| {
        let samples = samples.iter().skip(from).take(fifth);
        let mut values: Vec<u64> = samples.filter_map(value).collect();
        values.sort_unstable();
        values
    };
    [of(fifth), of(samples.len().saturating_sub(fifth))]
}

fn memory(samples: &[Sample]) -> Verdict {
    let fifths = fifths(samples, |sample| sample.memory);
    let [early, late] = fifths.map(|values| values.get(values.len() / 2).copied().unwrap_or(0));
    let bound = early + early / 10 + CACHE;
    let figures = format!("{}, then {} of {}", mib(early), mib(late), mib(bound));
    Verdict::new("memory", late <= bound, figures)
}

fn fewest(promise: &'static str, samples: &[Sample], value: fn(&Sample) -> Option<u64>) -> Verdict {
    let [early, late] = fifths(samples, value).map(|values| values.first().copied());
    let (early, late) = (early.unwrap_or(0), late.unwrap_or(0));
    let figures = format!("{early} at the least, then {late}");
    Verdict::new(promise, late <= early, figures)
}

fn log(plan: &Plan, measured: &Measured) -> Verdict {
    let Driven {
        rows,
        longest_backup,
        ..
    } = &measured.driven;
    let restarts = measured.driven.wal_restarts();
    let per_second = restarts as f64 * CHECKPOINT_AT as f64 / plan.span.as_secs_f64();
    let held = (per_second * longest_backup.as_secs_f64()) as u64;
    let bound = WAL_CEILING + GROUP + held;
    let peak = rows.iter().map(|row| row.seen.wal_bytes).max().unwrap_or(0);
    let figures = format!(
        "{} of {}: the ceiling, a group, and a backup of {:.1} s at {} a second",
        mib(peak),
        mib(bound),
        longest_backup.as_secs_f64(),
        mib(per_second as u64)
    );
    Verdict::new("log", peak <= bound, figures)
}

fn p99(promise: &'static str, kind: Kind, measured: &Measured) -> Verdict {
    let rows = &measured.driven.rows;
    let usual = |row: Option<&Row>| row.map_or(0.0, |row| row.of(kind).usual_p99());
    let (first, last) = (usual(rows.first()), usual(rows.last()));
    let ratio = last.max(GRAIN) / first.max(GRAIN);
    let late = |row: Option<&Row>| time(row.map_or(0.0, |row| row.late));
    let figures = format!(
        "{}, then {}: {ratio:.2} × (this program was woken up late by {}, then {})",
        time(first),
        time(last),
        late(rows.first()),
        late(rows.last())
    );
    Verdict::new(promise, rows.len() > 1 && ratio <= SLOWER, figures)
}

fn backups(measured: &Measured) -> Verdict {
    let rows = &measured.driven.rows;
    let made: u64 = rows.iter().map(|row| row.seen.backups).sum();
    let drills: u64 = rows.iter().map(|row| row.seen.drills).sum();
    let kept = measured.kept;
    let figures = format!("{made} made, {kept} kept, {drills} drills");
    Verdict::new("backups", made > 0 && kept > 0 && kept <= KEPT, figures)
}

fn expiry(measured: &Measured) -> Verdict {
    let rows = &measured.driven.rows;
    let expired: u64 = rows.iter().map(|row| row.seen.expired).sum();
    let found = &measured.found;
    let figures = format!(
        "{expired} of {} sessions expired, {} active at the end",
        found.sessions, found.active_sessions
    );
    Verdict::new("expiry", expired > 0, figures)
}

fn answers(measured: &Measured) -> Verdict {
    let complaints = measured.driven.complaints.len();
    let in_flight = measured.health.writer.in_flight;
    let figures = format!("{complaints} complaints, {in_flight} in flight at the end");
    let holds = complaints == 0 && in_flight == 0 && measured.health.ok;
    Verdict::new("answers", holds, figures)
}

fn acknowledged(measured: &Measured) -> Verdict {
    let (found, acknowledged) = (&measured.found, measured.driven.acknowledged.count());
    let figures = format!("{} of {acknowledged} found whole", found.whole);
    let holds = found.problems.is_empty()
        && found.whole == acknowledged
        && acknowledged == measured.driven.sent;
    Verdict::new("acknowledged", holds, figures)
}
