//! The table at the end, and the JSON line.

use crate::backup::Prefix;
use crate::callers::{self, Run};
use crate::limits::{Asked, Spent};
use crate::verify::Found;
use crate::{Args, DurabilityArg, Runtime};
use botstore::Health;
use hdrhistogram::Histogram;
use serde_json::json;

/// What a run came to.
pub(crate) struct Results<'a> {
    pub(crate) run: &'a Run,
    pub(crate) health: &'a Health,
    pub(crate) found: &'a Found,
    pub(crate) spent: Option<&'a Spent>,
    pub(crate) prefix: Option<&'a Prefix>,
}

pub(crate) fn print(args: &Args, results: &Results<'_>) {
    let &Results {
        run,
        health,
        found,
        spent,
        prefix,
    } = results;
    let seconds = run.took.as_secs_f64();
    println!(
        "{} callers on {}, {} users, durability {}, {} readers, {:.2} s\n",
        args.callers,
        match args.runtime {
            Runtime::Actix => "one actix System",
            Runtime::Tokio => "tokio",
        },
        args.users,
        match args.durability {
            DurabilityArg::Full => "full",
            DurabilityArg::Normal => "normal",
        },
        health.interactive.readers,
        seconds,
    );
    println!("            per second       p50       p95       p99       max");
    line("writes", &run.writes, seconds);
    line("reads", &run.reads, seconds);
    let mut reserves = callers::latencies();
    for &nanos in &run.asked.latencies {
        reserves.saturating_record(nanos);
    }
    line("reserves", &reserves, seconds);

    let writer = &health.writer;
    println!(
        "\nbatches     {} commits for {} mutations, {:.1} each on average, {} at most",
        writer.batches,
        writer.committed,
        writer.committed as f64 / writer.batches.max(1) as f64,
        writer.largest_batch
    );
    println!("            {}", sizes(&writer.batch_sizes));
    println!(
        "log         {} at its largest, {} at the end; started over {} times",
        mib(run.wal_peak),
        mib(health.wal_bytes),
        writer.wal_restarts
    );
    println!("file        {}", mib(health.file_bytes));
    if let Some(memory) = peak_memory() {
        println!(
            "memory      {} at the peak, this program's callers included",
            mib(memory)
        );
    }
    println!(
        "\nverified    {} acknowledged, {} found whole in the file",
        found.acknowledged, found.found
    );
    println!(
        "            {} redelivered and {} refused, which left no trace",
        run.redelivered, run.refused
    );
    println!("            rows, sums, counters, foreign keys, integrity");
    if let Some(spent) = spent {
        print_spent(spent, &run.asked);
    }
    if let Some(prefix) = prefix {
        println!(
            "\nbackup      {} in {:.2} s, {} interactions saved meanwhile",
            mib(prefix.bytes),
            prefix.took.as_secs_f64(),
            prefix.meanwhile
        );
        println!(
            "            restored: {} the first {} interactions, whole",
            if prefix.found.verified() {
                "exactly"
            } else {
                "NOT"
            },
            prefix.found.found
        );
    }
    let of_backup = prefix.map_or(&[][..], |prefix| &prefix.found.problems);
    for problem in found.problems.iter().chain(of_backup) {
        println!("  PROBLEM   {problem}");
    }
    let verified = found.verified() && prefix.is_none_or(|prefix| prefix.found.verified());
    println!("\n{}", if verified { "OK" } else { "NOT VERIFIED" });
}

fn print_spent(spent: &Spent, asked: &Asked) {
    println!(
        "\nlimits      {} granted, {} denied, {} released",
        asked.granted, asked.denied, asked.released
    );
    println!(
        "            all users: {:.2} spent of {:.2}, {:.4} over; estimates were {:.4} too low in all",
        spent.all, spent.limits.everyone, spent.over, spent.may_be_over
    );
    let more = match spent.problems.is_empty() {
        true => ", none by more than their estimates were too low",
        false => "",
    };
    println!(
        "            {} users over their {:.2}{more}",
        spent.users_over, spent.limits.each
    );
}

fn line(name: &str, latencies: &Histogram<u64>, seconds: f64) {
    if latencies.is_empty() {
        return;
    }
    let at = |quantile| time(latencies.value_at_quantile(quantile));
    println!(
        "{name:<10}  {:>10.0} {:>9} {:>9} {:>9} {:>9}",
        latencies.len() as f64 / seconds,
        at(0.5),
        at(0.95),
        at(0.99),
        time(latencies.max())
    );
}

fn time(nanos: u64) -> String {
    match nanos {
        0..1_000_000 => format!("{} µs", nanos / 1_000),
        1_000_000..1_000_000_000 => format!("{:.1} ms", nanos as f64 / 1e6),
        _ => format!("{:.2} s", nanos as f64 / 1e9),
    }
}

fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / (1024.0 * 1024.0))
}

/// `1: 3  2: 0  3–4: 12  …` up to the largest size there was.
fn sizes(classes: &[u64]) -> String {
    let last = classes.iter().rposition(|&n| n > 0).unwrap_or(0);
    let named = classes[..=last].iter().enumerate().map(|(class, count)| {
        let high = 1_u64 << class;
        let low = high / 2 + 1;
        if low >= high {
            format!("{high}: {count}")
        } else {
            format!("{low}–{high}: {count}")
        }
    });
    named.collect::<Vec<_>>().join("  ")
}

/// The largest resident size of this process, where the system tells it.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}

pub(crate) fn json(args: &Args, results: &Results<'_>) -> serde_json::Value {
    let &Results {
        run,
        health,
        found,
        spent,
        prefix,
    } = results;
    let seconds = run.took.as_secs_f64();
    let at = |latencies: &Histogram<u64>, quantile| {
        latencies.value_at_quantile(quantile) as f64 / 1_000.0
    };
    json!({
        "callers": args.callers,
        "interactions": args.interactions,
        "seconds": seconds,
        "interactions_per_s": found.acknowledged as f64 / seconds,
        "reads_per_s": run.reads.len() as f64 / seconds,
        "write_p50_us": at(&run.writes, 0.5),
        "write_p95_us": at(&run.writes, 0.95),
        "write_p99_us": at(&run.writes, 0.99),
        "write_max_us": run.writes.max() as f64 / 1_000.0,
        "read_p50_us": at(&run.reads, 0.5),
        "read_p95_us": at(&run.reads, 0.95),
        "read_p99_us": at(&run.reads, 0.99),
        "read_max_us": run.reads.max() as f64 / 1_000.0,
        "batches": health.writer.batches,
        "largest_batch": health.writer.largest_batch,
        "wal_peak_bytes": run.wal_peak,
        "file_bytes": health.file_bytes,
        "peak_memory_bytes": peak_memory(),
        "redelivered": run.redelivered,
        "refused": run.refused,
        "acknowledged": found.acknowledged,
        "found": found.found,
        "problems": found.problems,
        "verified": found.verified(),
        "limits": spent.map(|spent| json!({
            "granted": run.asked.granted,
            "denied": run.asked.denied,
            "released": run.asked.released,
            "users_over": spent.users_over,
            "spent": spent.all,
            "limit": spent.limits.everyone,
            "over": spent.over,
            "may_be_over": spent.may_be_over,
        })),
        "backup": prefix.map(|prefix| json!({
            "bytes": prefix.bytes,
            "seconds": prefix.took.as_secs_f64(),
            "saved_meanwhile": prefix.meanwhile,
            "found": prefix.found.found,
            "problems": prefix.found.problems,
            "verified": prefix.found.verified(),
        })),
    })
}
