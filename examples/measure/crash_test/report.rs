//! The table at the end, and the JSON line.

use crate::Args;
use crate::lines::{Line, Phase};
use crate::retry::Retried;
use crate::verify::Found;
use serde_json::json;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How many problems are told, which are those of the first round that has any.
const TOLD: usize = 20;

/// What all rounds came to.
pub(crate) struct Tally {
    started: Instant,
    took: Duration,
    kills: HashMap<Phase, u32>,
    pub(crate) files: u32,
    sent: u64,
    pub(crate) acknowledged: u64,
    interactions: u64,
    lost: u64,
    half: u64,
    duplicates: u64,
    unacknowledged: u64,
    had_been_done: u64,
    redelivered: u64,
    /// Rounds in which there was a WAL, and what was in it.
    logs: u32,
    log_bytes: u64,
    largest_log_bytes: u64,
    /// Finished backups that were read back.
    pub(crate) backups: u32,
    pub(crate) problems: Vec<String>,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            started: Instant::now(),
            took: Duration::ZERO,
            kills: HashMap::new(),
            files: 0,
            sent: 0,
            acknowledged: 0,
            interactions: 0,
            lost: 0,
            half: 0,
            duplicates: 0,
            unacknowledged: 0,
            had_been_done: 0,
            redelivered: 0,
            logs: 0,
            log_bytes: 0,
            largest_log_bytes: 0,
            backups: 0,
            problems: Vec::new(),
        }
    }
}

impl Tally {
    pub(crate) fn note(&mut self, line: &Line) {
        match line {
            Line::Sent(_) => self.sent += 1,
            Line::Acknowledged(_, id) => {
                self.acknowledged += 1;
                self.interactions += u64::from(id.is_some());
            }
            Line::Failed(why) => self.problems.push(format!("the child: {why}")),
            _ => {}
        }
    }

    pub(crate) fn kill(&mut self, phase: Phase) {
        *self.kills.entry(phase).or_default() += 1;
    }

    pub(crate) fn log(&mut self, bytes: u64) {
        self.logs += u32::from(bytes > 0);
        self.log_bytes += bytes;
        self.largest_log_bytes = self.largest_log_bytes.max(bytes);
    }

    pub(crate) fn found(&mut self, found: &Found) {
        self.lost += found.lost;
        self.half += found.half;
        self.duplicates += found.duplicates;
        self.problems.extend_from_slice(&found.problems);
    }

    pub(crate) fn retried(&mut self, retried: Retried) {
        self.unacknowledged += retried.unacknowledged;
        self.had_been_done += retried.had_been_done;
        self.redelivered += retried.acknowledged;
        self.duplicates += retried.duplicates;
        self.problems.extend(retried.problems);
    }

    pub(crate) fn finish(mut self) -> Self {
        self.problems.truncate(TOLD);
        self.took = self.started.elapsed();
        self
    }

    fn killed(&self, phase: Phase) -> u32 {
        self.kills.get(&phase).copied().unwrap_or(0)
    }

    fn rounds(&self) -> u32 {
        self.kills.values().sum()
    }

    fn rounds_per_second(&self) -> f64 {
        f64::from(self.rounds()) / self.took.as_secs_f64()
    }
}

pub(crate) fn print(args: &Args, tally: &Tally) {
    println!(
        "{} rounds with {} callers, seed {}, {} files, {:.1} s, {:.1} rounds per second\n",
        tally.rounds(),
        args.callers,
        args.seed,
        tally.files,
        tally.took.as_secs_f64(),
        tally.rounds_per_second()
    );
    for (name, phase) in [
        ("killed      while opening", Phase::Opening),
        ("            under load", Phase::Load),
        ("            during a backup", Phase::Backup),
        ("            while closing", Phase::Closing),
        ("too late    had closed", Phase::Closed),
    ] {
        println!("{name:<30}{:>9}", tally.killed(phase));
    }
    println!();
    for (name, count) in [
        ("sent", tally.sent),
        ("acknowledged", tally.acknowledged),
        ("            interactions", tally.interactions),
        ("            lost", tally.lost),
        ("half there", tally.half),
        ("duplicates", tally.duplicates),
        ("open        without an Ok", tally.unacknowledged),
        ("            done nevertheless", tally.had_been_done),
        ("sent again  the open ones", tally.unacknowledged),
        ("            acknowledged ones", tally.redelivered),
    ] {
        println!("{name:<30}{count:>9}");
    }
    println!(
        "\nlogs        found in {} rounds, {:.1} MiB in all, {:.1} MiB at the largest",
        tally.logs,
        mib(tally.log_bytes),
        mib(tally.largest_log_bytes)
    );
    println!("backups     {} finished ones read back", tally.backups);
    println!("verified    rows, parts, sums, counters, rollups, foreign keys, integrity");
    for problem in &tally.problems {
        println!("  PROBLEM   {problem}");
    }
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / (1024.0 * 1024.0)
}

pub(crate) fn json(args: &Args, tally: &Tally) -> serde_json::Value {
    json!({
        "rounds": tally.rounds(),
        "callers": args.callers,
        "seed": args.seed,
        "files": tally.files,
        "seconds": tally.took.as_secs_f64(),
        "rounds_per_second": tally.rounds_per_second(),
        "killed": {
            "opening": tally.killed(Phase::Opening),
            "load": tally.killed(Phase::Load),
            "backup": tally.killed(Phase::Backup),
            "closing": tally.killed(Phase::Closing),
        },
        "had_closed": tally.killed(Phase::Closed),
        "sent": tally.sent,
        "acknowledged": tally.acknowledged,
        "acknowledged_interactions": tally.interactions,
        "lost": tally.lost,
        "half": tally.half,
        "duplicates": tally.duplicates,
        "unacknowledged": tally.unacknowledged,
        "done_nevertheless": tally.had_been_done,
        "redelivered": tally.redelivered,
        "logs": tally.logs,
        "log_bytes": tally.log_bytes,
        "largest_log_bytes": tally.largest_log_bytes,
        "backups_verified": tally.backups,
        "problems": tally.problems,
        "verified": tally.problems.is_empty(),
    })
}
