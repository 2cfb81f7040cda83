//! The table, a row at a time, the verdicts, and the JSON line.

use crate::Args;
use crate::bot::Kind;
use crate::plan::Plan;
use crate::rows::Row;
use crate::verdicts::{Measured, Outcome, Verdict};
use botstore_measure::figures::{MIB, time};
use serde_json::json;

pub(crate) fn print_head(args: &Args, plan: &Plan) {
    println!(
        "{} requests a second of {} users for {:.0} s, after {} interactions and a warm-up of {:.1} s; \
         a row is {:.1} s, in which {:.1} hours pass for the store\n",
        args.rate,
        args.users,
        plan.span.as_secs_f64(),
        args.history,
        plan.warm_up.as_secs_f64(),
        plan.row.as_secs_f64(),
        plan.row.as_secs_f64() * f64::from(args.speed) / 3_600.0,
    );
    println!(
        "             {:<23} {:<23} {:<23} {:<24} {:<16} back- ses-",
        "writes", "reads", "dashboards", "process", "file"
    );
    println!(
        "{:>4} {:>7} {LATENCIES} {LATENCIES} {LATENCIES} {:>7} {:>5} {:>5} {:>4} {:>7} {:>8}   ups  sions",
        "row", "req", "late", "MiB", "files", "thr", "log MiB", "MiB"
    );
}

/// The heads of three columns.
const LATENCIES: &str = "    p50     p99     max";

pub(crate) fn print_row(number: usize, row: &Row) {
    let seen = &row.seen;
    let known = |value: Option<u64>| value.map_or("-".to_owned(), |value| value.to_string());
    print!("{number:>4} {:>7}", row.requests());
    for kind in Kind::ALL {
        let of = row.of(kind);
        for millis in [of.p50, of.p99, of.max] {
            print!(" {:>7}", short(millis));
        }
    }
    println!(
        " {:>7} {:>5} {:>5} {:>4} {:>7} {:>8} {:>5} {:>6}",
        short(row.late),
        known(seen.sample.memory.map(|bytes| bytes / MIB)),
        known(seen.sample.open_files),
        known(seen.sample.threads),
        seen.wal_bytes / MIB,
        seen.file_bytes / MIB,
        seen.backups,
        seen.expired,
    );
}

/// Without the blank, for a narrow column.
fn short(millis: f64) -> String {
    time(millis).replace(' ', "")
}

pub(crate) fn print(measured: &Measured, verdicts: &[Verdict]) {
    println!(
        "\nThe log started over {} times. {} arrivals could not be made in time.\n",
        measured.driven.wal_restarts(),
        measured.driven.missed
    );
    for verdict in verdicts {
        let outcome = match verdict.outcome {
            Outcome::Kept => "kept",
            Outcome::Broken => "BROKEN",
            Outcome::NotJudged => "shown",
        };
        println!("{:<13} {outcome:<7} {}", verdict.promise, verdict.figures);
    }
    let problems = &measured.found.problems;
    for problem in measured.driven.complaints.iter().chain(problems) {
        println!("  PROBLEM   {problem}");
    }
    let broken = verdicts.iter().any(Verdict::is_broken);
    println!("\n{}", if broken { "NOT KEPT" } else { "OK" });
}

pub(crate) fn json(
    args: &Args,
    plan: &Plan,
    measured: &Measured,
    verdicts: &[Verdict],
) -> serde_json::Value {
    let latencies = |row: &Row, kind: Kind| {
        let of = row.of(kind);
        json!({
            "requests": of.requests,
            "p50_ms": of.p50,
            "p99_ms": of.p99,
            "max_ms": of.max,
            "usual_p99_ms": of.usual_p99(),
        })
    };
    let rows = measured.driven.rows.iter().map(|row| {
        let seen = &row.seen;
        json!({
            "writes": latencies(row, Kind::Write),
            "reads": latencies(row, Kind::Read),
            "dashboards": latencies(row, Kind::Dashboard),
            "late_p99_ms": row.late,
            "memory_bytes": seen.sample.memory,
            "open_files": seen.sample.open_files,
            "threads": seen.sample.threads,
            "wal_peak_bytes": seen.wal_bytes,
            "file_bytes": seen.file_bytes,
            "wal_restarts": seen.wal_restarts,
            "backups": seen.backups,
            "drills": seen.drills,
            "expired": seen.expired,
        })
    });
    let found = &measured.found;
    json!({
        "seconds": plan.span.as_secs_f64(),
        "row_seconds": plan.row.as_secs_f64(),
        "rate": args.rate,
        "users": args.users,
        "history": args.history,
        "speed": args.speed,
        "rows": rows.collect::<Vec<_>>(),
        "missed_arrivals": measured.driven.missed,
        "acknowledged": measured.driven.acknowledged.count(),
        "found": found.whole,
        "messages": found.messages,
        "sessions": found.sessions,
        "backups_kept": measured.kept,
        "complaints": measured.driven.complaints,
        "problems": found.problems,
        "verdicts": verdicts.iter().map(|verdict| json!({
            "promise": verdict.promise,
            "outcome": format!("{:?}", verdict.outcome),
            "figures": verdict.figures,
        })).collect::<Vec<_>>(),
        "verified": !verdicts.iter().any(Verdict::is_broken),
    })
}
