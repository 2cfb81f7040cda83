//! Saving interactions: S1 to S6.

use crate::Args;
use crate::load::{RUNTIMES, Runtime, SaveAndFail, Timed, Until, call, median, plain, store};
use crate::table::{Row, Target};
use botstore::{Result, Store};
use botstore_measure::bot::interaction;
use std::time::{Duration, Instant};
use tempfile::TempDir;

fn folder() -> Result<TempDir> {
    tempfile::tempdir().map_err(|e| botstore::Error::new(botstore::ErrorKind::Io, e.to_string()))
}

pub(crate) fn measure(args: &Args, rows: &mut Vec<Row>) -> Result<()> {
    if args.wants(&["s1", "s2", "s2b", "s5"]) {
        throughput(args, rows)?;
    }
    if args.wants(&["s3"]) {
        one_caller(args, rows)?;
    }
    if args.wants(&["s4"]) {
        steady(args, rows)?;
    }
    if args.wants(&["s6"]) {
        failures(args, rows)?;
    }
    Ok(())
}

/// Interactions a second of plain rusqlite, `batch` in a transaction.
fn plain_rate(batch: u64, operations: u64) -> Result<f64> {
    let folder = folder()?;
    let plain = plain(&folder.path().join("plain.db"))?;
    let started = Instant::now();
    let mut next = 0;
    while next < operations {
        let end = (next + batch).min(operations);
        plain.write(|tx| {
            (next..end).try_for_each(|number| tx.apply(&interaction(number)).map(|_| ()))
        })?;
        next = end;
    }
    Ok(operations as f64 / started.elapsed().as_secs_f64())
}

/// The store's interactions on a new file.
fn store_run(runtime: Runtime, callers: u64, until: Until) -> Result<(Timed, u64)> {
    let folder = folder()?;
    runtime.run(async {
        let store = store(&folder.path().join("store.db")).await?;
        let saver = store.clone();
        let watched = watch_log(&store);
        let timed = call(callers, until, move |number| {
            let store = saver.clone();
            async move { store.write(interaction(number)).await.map(|_| ()) }
        })
        .await?;
        let largest = watched.await.unwrap_or(0);
        store.close().await?;
        Ok((timed, largest))
    })
}

/// The largest size of the WAL until the writer has been idle for a moment.
fn watch_log(store: &Store) -> tokio::task::JoinHandle<u64> {
    let store = store.clone();
    tokio::spawn(async move {
        let (mut largest, mut committed) = (0, u64::MAX);
        loop {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let Ok(health) = store.health().await else {
                return largest;
            };
            largest = largest.max(health.wal_bytes);
            if health.writer.committed == committed {
                return largest;
            }
            committed = health.writer.committed;
        }
    })
}

/// S1, S2 and S5: rates at 256, 64 and 16 callers, and the tail at 256.
fn throughput(args: &Args, rows: &mut Vec<Row>) -> Result<()> {
    let operations = args.operations(20_000);
    for (id, what, callers, batch, target) in [
        (
            "s1",
            "interactions/s, 256 callers : plain by 64",
            256,
            64,
            1.0,
        ),
        (
            "s2",
            "interactions/s, 64 callers : plain by 64",
            64,
            64,
            0.85,
        ),
        (
            "s2b",
            "interactions/s, 16 callers : plain by 16",
            16,
            16,
            0.85,
        ),
    ] {
        // The tail is that of the run with 256 callers; S2 is two rows.
        if !args.wants(&[id, if id == "s1" { "s5" } else { "s2" }]) {
            continue;
        }
        let mut ceiling = Vec::new();
        let mut rates = [Vec::new(), Vec::new()];
        let mut tails = Vec::new();
        for _ in 0..args.rounds() {
            ceiling.push(plain_rate(batch, operations)?);
            for (at, runtime) in RUNTIMES.into_iter().enumerate() {
                let (timed, _) = store_run(runtime, callers, Until::Operations(operations))?;
                rates[at].push(timed.per_second());
                tails.push(timed.quantile(0.99) / timed.quantile(0.5));
            }
        }
        let (plain, actix, tokio) = (median(&ceiling), median(&rates[0]), median(&rates[1]));
        rows.push(Row {
            id: id.into(),
            what,
            unit: "×",
            value: actix.max(tokio) / plain,
            target: Target::AtLeast(target),
            detail: format!("plain {plain:.0}/s, actix {actix:.0}/s, tokio {tokio:.0}/s"),
        });
        if callers == 256 {
            rows.push(Row {
                id: "s5".into(),
                what: "p99 : p50, 256 callers",
                unit: "×",
                value: median(&tails),
                target: Target::AtMost(3.0),
                detail: String::new(),
            });
        }
    }
    Ok(())
}

/// S3: what the way through the actors costs one caller.
fn one_caller(args: &Args, rows: &mut Vec<Row>) -> Result<()> {
    // Not fewer in a quick run: while a new log grows for the first time, syncs cost more.
    let operations = 3_000;
    let mut ceiling = Vec::new();
    let mut ours = [Vec::new(), Vec::new()];
    for _ in 0..args.rounds() {
        let folder = folder()?;
        let plain = plain(&folder.path().join("plain.db"))?;
        let mut timed = Timed::default();
        for number in 0..operations {
            let asked = Instant::now();
            plain.write(|tx| tx.apply(&interaction(number)))?;
            timed
                .latencies
                .push(asked.elapsed().as_nanos() as f64 / 1_000.0);
        }
        ceiling.push(timed.quantile(0.5));
        for (at, runtime) in RUNTIMES.into_iter().enumerate() {
            let (timed, _) = store_run(runtime, 1, Until::Operations(operations))?;
            ours[at].push(timed.quantile(0.5));
        }
    }
    let (plain, actix, tokio) = (median(&ceiling), median(&ours[0]), median(&ours[1]));
    rows.push(Row {
        id: "s3".into(),
        what: "p50 of one caller : plain, one transaction",
        unit: "×",
        value: actix.min(tokio) / plain,
        target: Target::AtMost(1.25),
        detail: format!("plain {plain:.0} µs, actix {actix:.0} µs, tokio {tokio:.0} µs"),
    });
    Ok(())
}

/// S4: no checkpoint in a commit, and the WAL under its ceiling.
fn steady(args: &Args, rows: &mut Vec<Row>) -> Result<()> {
    let time = Duration::from_secs(if args.quick { 5 } else { 60 });
    let (timed, largest) = store_run(Runtime::Actix, 1, Until::Time(time))?;
    let (p50, p99) = (timed.quantile(0.5), timed.quantile(0.99));
    rows.push(Row {
        id: "s4".into(),
        what: "p99 : p50 of one caller, steady load",
        unit: "×",
        value: p99 / p50,
        target: Target::AtMost(4.0),
        detail: format!(
            "{p50:.0} µs and {p99:.0} µs; the log {} MiB at its largest",
            largest >> 20
        ),
    });
    Ok(())
}

/// S6: one operation in ten fails after all its writing.
fn failures(args: &Args, rows: &mut Vec<Row>) -> Result<()> {
    let operations = args.operations(20_000);
    let mut good = Vec::new();
    let mut mixed = Vec::new();
    for _ in 0..args.rounds() {
        let (timed, _) = store_run(Runtime::Tokio, 256, Until::Operations(operations))?;
        good.push(timed.per_second());
        let folder = folder()?;
        let timed = Runtime::Tokio.run(async {
            let store = store(&folder.path().join("store.db")).await?;
            let saver = store.clone();
            let timed = call(256, Until::Operations(operations), move |number| {
                let store = saver.clone();
                async move {
                    if number % 10 == 0 {
                        // Its failure is what is measured.
                        let _ = store.write(SaveAndFail(interaction(number))).await;
                        return Ok(());
                    }
                    store.write(interaction(number)).await.map(|_| ())
                }
            })
            .await?;
            store.close().await?;
            Ok(timed)
        })?;
        mixed.push(timed.per_second());
    }
    let (good, mixed) = (median(&good), median(&mixed));
    rows.push(Row {
        id: "s6".into(),
        what: "operations/s, one in ten failing : none",
        unit: "×",
        value: mixed / good,
        target: Target::AtLeast(0.6),
        detail: format!("{mixed:.0}/s and {good:.0}/s"),
    });
    Ok(())
}
