//! Memory and opening: S12, S13.

use crate::Args;
use crate::load::{Runtime, Until, call, config, median, plain};
use crate::table::{Row, Target};
use botstore::users::GetUser;
use botstore::{Error, ErrorKind, Result, Store};
use botstore_measure::bot::interaction;
use std::time::Instant;

pub(crate) fn measure(args: &Args, rows: &mut Vec<Row>) -> Result<()> {
    if !args.wants(&["s12", "s13"]) {
        return Ok(());
    }
    let folder = tempfile::tempdir().map_err(|e| Error::new(ErrorKind::Io, e.to_string()))?;
    let path = folder.path().join("large.db");
    let messages = args.operations(1_000_000);
    let plain = plain(&path)?;
    for first in (0..messages).step_by(5_000) {
        plain.write(|tx| {
            (first..first + 5_000).try_for_each(|n| tx.apply(&interaction(n)).map(|_| ()))
        })?;
    }
    drop(plain);

    let mut opened = Vec::new();
    for _ in 0..args.rounds() {
        let took = Runtime::Tokio.run(async {
            let started = Instant::now();
            let store = Store::open(config(&path)).await?;
            store.read(GetUser::new(1)).await?;
            let took = started.elapsed();
            store.close().await?;
            Ok(took)
        })?;
        opened.push(took.as_secs_f64() * 1_000.0);
    }
    rows.push(Row {
        id: "s13".into(),
        what: "opening a file of 1 million messages, first answer",
        unit: "ms",
        value: median(&opened),
        target: Target::AtMost(30.0),
        detail: format!("{messages} messages"),
    });

    // The writer, the checkpointer and the readers have page caches of their own.
    let caches = 8.0 * (2.0 + 2.0 + 1.0);
    let before = resident_mib();
    let after = Runtime::Tokio.run(async {
        let store = Store::open(config(&path)).await?;
        let saver = store.clone();
        call(256, Until::Operations(args.operations(100_000)), move |n| {
            let store = saver.clone();
            async move { store.write(interaction(n)).await.map(|_| ()) }
        })
        .await?;
        let resident = resident_mib();
        store.close().await?;
        Ok(resident)
    })?;
    if let (Some(before), Some(after)) = (before, after) {
        rows.push(Row {
            id: "s12".into(),
            what: "resident at 256 callers beyond page caches",
            unit: "MiB",
            value: (after - before - caches).max(0.0),
            target: Target::AtMost(64.0),
            detail: format!("{before:.0} MiB before, {after:.0} MiB under load"),
        });
    }
    Ok(())
}

/// What this process holds in memory, where the system tells it.
fn resident_mib() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kib: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib / 1024.0)
}
