//! The table at the end, and the JSON line.

use crate::Args;
use crate::bounds::{self, Measured, Verdict};
use crate::flood::Side;
use crate::mix::Kind;
use botstore_measure::figures::{mib, millis, millis_at, time};
use serde_json::json;

/// About what an interaction and its task hold, for the sentence on what was spared.
const REQUEST: u64 = 2 * 1024;

pub(crate) fn print(args: &Args, measured: &Measured, verdicts: &[Verdict]) {
    let Measured {
        capacity, flood, ..
    } = measured;
    println!(
        "capacity    {:.0} writes and {:.0} reads a second; {} × that for {} s",
        capacity.writes, capacity.reads, args.times, args.seconds
    );
    println!(
        "bounds      {} of each kind in flight, {} more waiting at the host\n",
        args.in_flight, args.waiting
    );
    println!(
        "            arrived  answered  Overloaded  turned away       p50       p99       max"
    );
    line("writes", &flood.writes);
    line("reads", &flood.reads);
    let arrived = flood.writes.arrived() + flood.reads.arrived();
    println!(
        "\narrivals    {:.0} a second; {} more could not be made in time",
        arrived as f64 / flood.took.as_secs_f64(),
        flood.missed
    );
    for (name, side) in [("writes", &flood.writes), ("reads", &flood.reads)] {
        println!(
            "{name:<10}  {} answered that had asked to be told, {} that waited",
            side.tried, side.waited
        );
    }
    println!(
        "alone       a write took {} before, a read {}",
        time(millis_at(&measured.alone.writes, 0.5)),
        time(millis_at(&measured.alone.reads, 0.5))
    );
    if let (Some(before), Some(peak), Some(after)) =
        (measured.before, measured.peaks.memory, measured.after)
    {
        println!(
            "memory      {} before, {} at the peak, {} after",
            mib(before),
            mib(peak),
            mib(after)
        );
        let spared = arrived - flood.writes.accepted.len() - flood.reads.accepted.len();
        println!(
            "            all that was not taken in would have been some {}",
            mib(spared * REQUEST)
        );
    } else {
        println!("memory      this system does not tell it, so it was not judged");
    }
    println!();
    for verdict in verdicts {
        println!(
            "{:<12}  {:<7} {}",
            verdict.promise,
            if verdict.holds { "kept" } else { "BROKEN" },
            verdict.figures
        );
    }
    for problem in flood.complaints.iter().chain(&measured.found.problems) {
        println!("  PROBLEM   {problem}");
    }
    let kept = verdicts.iter().all(|verdict| verdict.holds);
    println!("\n{}", if kept { "OK" } else { "NOT KEPT" });
}

fn line(name: &str, side: &Side) {
    println!(
        "{name:<10} {:>8} {:>9} {:>11} {:>12} {:>9} {:>9} {:>9}",
        side.arrived(),
        side.accepted.len(),
        side.overloaded.len(),
        side.turned_away,
        time(millis_at(&side.accepted, 0.5)),
        time(millis_at(&side.accepted, 0.99)),
        time(side.accepted.max() as f64 / 1_000.0),
    );
}

pub(crate) fn json(args: &Args, measured: &Measured, verdicts: &[Verdict]) -> serde_json::Value {
    let Measured {
        capacity,
        flood,
        peaks,
        ..
    } = measured;
    let side = |kind: Kind, side: &Side| {
        json!({
            "capacity_per_s": capacity.of(kind),
            "arrived": side.arrived(),
            "accepted": side.accepted.len(),
            "accepted_of_try": side.tried,
            "accepted_of_waiting": side.waited,
            "overloaded": side.overloaded.len(),
            "turned_away_by_host": side.turned_away,
            "accepted_p50_ms": millis_at(&side.accepted, 0.5),
            "accepted_p99_ms": millis_at(&side.accepted, 0.99),
            "accepted_max_ms": side.accepted.max() as f64 / 1_000.0,
            "accepted_p99_bound_ms": bounds::latency(args, capacity, kind),
            "overloaded_p99_ms": millis_at(&side.overloaded, 0.99),
        })
    };
    json!({
        "seconds": flood.took.as_secs_f64(),
        "times": args.times,
        "in_flight": args.in_flight,
        "waiting": args.waiting,
        "writes": side(Kind::Write, &flood.writes),
        "reads": side(Kind::Read, &flood.reads),
        "missed_arrivals": flood.missed,
        "memory_before_bytes": measured.before,
        "memory_peak_bytes": peaks.memory,
        "memory_after_bytes": measured.after,
        "memory_bound_bytes": bounds::memory(args, measured),
        "wal_peak_bytes": peaks.wal_bytes,
        "recovery_write_ms": millis(measured.recovery.write),
        "recovery_read_ms": millis(measured.recovery.read),
        "acknowledged": measured.found.acknowledged,
        "found": measured.found.found,
        "problems": measured.found.problems,
        "complaints": flood.complaints,
        "verdicts": verdicts.iter().map(|verdict| json!({
            "promise": verdict.promise,
            "holds": verdict.holds,
            "figures": verdict.figures,
        })).collect::<Vec<_>>(),
        "verified": verdicts.iter().all(|verdict| verdict.holds),
    })
}
