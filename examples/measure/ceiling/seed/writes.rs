//! Saving: N1 to N5, and N6 and N7 beside reads.

use super::Case;
use super::files::{config, interaction, now};
use super::reads::{ask_store, plain_reads};
use crate::load::{RUNTIMES, Runtime, Timed, Until, call, median};
use crate::table::{Row, Target};
use botstore::interactions::SaveInteraction;
use botstore::{Error, ErrorKind, Result, Store};
use botstore_measure::plain::{self, LastMessages};
use botstore_measure::{process, seed};
use std::ops::Range;
use std::time::{Duration, Instant};

pub(super) fn measure(case: &Case<'_>, rows: &mut Vec<Row>) -> Result<()> {
    if case.args.wants(&["n1"]) {
        many_callers(case, 256, rows)?;
    }
    if case.args.wants(&["n2", "n3"]) {
        many_callers(case, 64, rows)?;
    }
    if case.args.wants(&["n4", "n5"]) {
        one_caller(case, rows)?;
    }
    Ok(())
}

/// What a run took, without its first part, in which a new WAL grows.
pub(super) struct Took {
    pub(super) timed: Timed,
    /// CPU time of the process, in µs an operation; 0 where the system does not tell.
    cpu: f64,
}

impl Took {
    fn new(timed: Timed, before: Option<Duration>) -> Self {
        let cpu = process::cpu()
            .zip(before)
            .map_or(Duration::ZERO, |(after, before)| after - before);
        Self {
            cpu: cpu.as_secs_f64() * 1e6 / timed.latencies.len() as f64,
            timed,
        }
    }
}

fn warm_up(operations: u64) -> u64 {
    operations / 5
}

/// Plain rusqlite saves so many exchanges, `batch` in a transaction.
fn plain_run(case: &Case<'_>, batch: u64, operations: u64) -> Result<Took> {
    let run = case.files.for_plain()?;
    let mut conn = case.files.open_plain(&run)?;
    let mut save = |numbers: Range<u64>| -> Result<Timed> {
        let mut timed = Timed::default();
        let started = Instant::now();
        for first in numbers.clone().step_by(batch as usize) {
            let asked = Instant::now();
            let exchanges = (first..numbers.end.min(first + batch)).map(seed::exchange);
            plain::save_all(&mut conn, exchanges, &now())?;
            let took = asked.elapsed().as_nanos() as f64 / 1_000.0;
            let saved = batch.min(numbers.end - first);
            timed
                .latencies
                .extend(std::iter::repeat_n(took, saved as usize));
        }
        timed.took = started.elapsed();
        Ok(timed)
    };
    let start = run.first + warm_up(operations);
    save(run.first..start)?;
    let cpu = process::cpu();
    Ok(Took::new(save(start..start + operations)?, cpu))
}

/// The store saves them for so many callers.
fn store_run(case: &Case<'_>, runtime: Runtime, callers: u64, operations: u64) -> Result<Took> {
    let keys = case.keys;
    store_saves(case, runtime, callers, operations, move |number| {
        interaction(number, keys)
    })
}

/// The store saves what `made` makes of the numbers of exchanges.
pub(super) fn store_saves(
    case: &Case<'_>,
    runtime: Runtime,
    callers: u64,
    operations: u64,
    made: impl Fn(u64) -> SaveInteraction + Copy + Send + Sync + 'static,
) -> Result<Took> {
    let run = case.files.for_store()?;
    runtime.run(async {
        let store = Store::open(config(&run)).await?;
        let save = |from: u64, operations: u64| {
            let store = store.clone();
            call(callers, Until::Operations(operations), move |number| {
                let store = store.clone();
                async move { store.write(made(from + number)).await.map(|_| ()) }
            })
        };
        save(run.first, warm_up(operations)).await?;
        let cpu = process::cpu();
        let timed = save(run.first + warm_up(operations), operations).await?;
        let took = Took::new(timed, cpu);
        store.close().await?;
        Ok(took)
    })
}

/// N1; N2 and N3.
fn many_callers(case: &Case<'_>, callers: u64, rows: &mut Vec<Row>) -> Result<()> {
    let operations = case.args.operations(20_000);
    let mut ceiling = Vec::new();
    let (mut rates, mut tails) = ([Vec::new(), Vec::new()], Vec::new());
    let mut p50 = Vec::new();
    for _ in 0..case.args.rounds() {
        ceiling.push(plain_run(case, 64, operations)?.timed.per_second());
        for (at, runtime) in RUNTIMES.into_iter().enumerate() {
            let Took { timed, .. } = store_run(case, runtime, callers, operations)?;
            rates[at].push(timed.per_second());
            p50.push(timed.quantile(0.5));
            tails.push(timed.quantile(0.99) / timed.quantile(0.5));
        }
    }
    let (plain, actix, tokio) = (median(&ceiling), median(&rates[0]), median(&rates[1]));
    let (id, what, target) = match callers {
        256 => ("n1", "interactions/s, 256 callers : plain by 64", 1.0),
        _ => ("n2", "interactions/s, 64 callers : plain by 64", 0.8),
    };
    rows.push(Row {
        id: case.id(id).into(),
        what,
        unit: "×",
        value: actix.max(tokio) / plain,
        target: Target::AtLeast(target),
        detail: format!("plain {plain:.0}/s, actix {actix:.0}/s, tokio {tokio:.0}/s"),
    });
    if callers == 64 {
        rows.push(Row {
            id: case.id("n3").into(),
            what: "p99 : p50, 64 callers",
            unit: "×",
            value: median(&tails),
            target: Target::AtMost(3.0),
            detail: format!("p50 {:.0} µs", median(&p50)),
        });
    }
    Ok(())
}

/// N4 and N5.
fn one_caller(case: &Case<'_>, rows: &mut Vec<Row>) -> Result<()> {
    // Not fewer in a quick run: the first of a new log cost more.
    let operations = 3_000;
    let (mut ceiling, mut plain_cpu) = (Vec::new(), Vec::new());
    let (mut ours, mut cpu) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
    for _ in 0..case.args.rounds() {
        let took = plain_run(case, 1, operations)?;
        ceiling.push(took.timed.quantile(0.5));
        plain_cpu.push(took.cpu);
        for (at, runtime) in RUNTIMES.into_iter().enumerate() {
            let took = store_run(case, runtime, 1, operations)?;
            ours[at].push(took.timed.quantile(0.5));
            cpu[at].push(took.cpu);
        }
    }
    let (plain, actix, tokio) = (median(&ceiling), median(&ours[0]), median(&ours[1]));
    rows.push(Row {
        id: case.id("n4").into(),
        what: "p50 of one caller : plain, one transaction",
        unit: "×",
        value: actix.min(tokio) / plain,
        target: Target::AtMost(1.3),
        detail: format!("plain {plain:.0} µs, actix {actix:.0} µs, tokio {tokio:.0} µs"),
    });
    let (plain, actix, tokio) = (median(&plain_cpu), median(&cpu[0]), median(&cpu[1]));
    rows.push(Row {
        id: case.id("n5").into(),
        what: "CPU an interaction, one caller",
        unit: "µs",
        value: actix.min(tokio),
        target: Target::AtMost(220.0),
        detail: format!(
            "{:.2} × plain: plain {plain:.0} µs, actix {actix:.0} µs, tokio {tokio:.0} µs",
            actix.min(tokio) / plain
        ),
    });
    Ok(())
}

/// N6 and N7: 16 callers reading and 4 writing, against a thread that reads as the Python bot does and one that writes.
pub(super) fn beside_reads(case: &Case<'_>, rows: &mut Vec<Row>) -> Result<()> {
    let time = Duration::from_secs_f64(if case.args.quick { 0.75 } else { 3.0 });
    let (mut plain_read, mut plain_written) = (Vec::new(), Vec::new());
    let (mut read, mut written) = (Vec::new(), Vec::new());
    for _ in 0..case.args.rounds() {
        let (reads, writes) = plain_mixed(case, time)?;
        plain_read.push(reads);
        plain_written.push(writes);
        let (reads, writes) = store_mixed(case, time)?;
        read.push(reads);
        written.push(writes);
    }
    let (plain, ours) = (median(&plain_written), median(&written));
    rows.push(Row {
        id: case.id("n6").into(),
        what: "writes/s, 16 reading and 4 writing : plain, one transaction",
        unit: "×",
        value: ours / plain,
        target: Target::AtLeast(2.0),
        detail: format!("plain {plain:.0}/s, store {ours:.0}/s"),
    });
    let (plain, ours) = (median(&plain_read), median(&read));
    rows.push(Row {
        id: case.id("n7").into(),
        what: "reads/s beside them : plain",
        unit: "×",
        value: ours / plain,
        target: Target::AtLeast(1.0),
        detail: format!("plain {plain:.0}/s, store {ours:.0}/s"),
    });
    Ok(())
}

/// Reads and writes a second of two threads.
fn plain_mixed(case: &Case<'_>, time: Duration) -> Result<(f64, f64)> {
    let run = case.files.for_plain()?;
    let mut conn = case.files.open_plain(&run)?;
    let started = Instant::now();
    std::thread::scope(|scope| {
        let reading = scope.spawn(|| plain_reads(case.files, &run, 1, LastMessages::ByTime, time));
        let mut written = 0;
        while started.elapsed() < time {
            plain::save_all(&mut conn, [seed::exchange(run.first + written)], &now())?;
            written += 1;
        }
        let written = written as f64 / started.elapsed().as_secs_f64();
        let read = reading
            .join()
            .map_err(|_| Error::new(ErrorKind::Panicked, "a reading thread"))??;
        Ok((read, written))
    })
}

/// The same of the store, whose row cache is off.
fn store_mixed(case: &Case<'_>, time: Duration) -> Result<(f64, f64)> {
    let run = case.files.for_store()?;
    let (keys, first) = (case.keys, run.first);
    Runtime::Tokio.run(async {
        let store = Store::open(config(&run).row_cache_answers(0)).await?;
        let (reader, writer) = (store.clone(), store.clone());
        let (read, written) = tokio::join!(
            call(16, Until::Time(time), move |n| ask_store(reader.clone(), n)),
            call(4, Until::Time(time), move |n| {
                let store = writer.clone();
                async move { store.write(interaction(first + n, keys)).await.map(|_| ()) }
            })
        );
        store.close().await?;
        Ok((read?.per_second(), written?.per_second()))
    })
}
