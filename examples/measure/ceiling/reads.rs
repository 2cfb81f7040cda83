//! Point reads: S7 to S11; all but S9 without kept answers. A third each: a user, a session, the
//! last ten messages of a session, in a file of 100,000 messages.

use crate::Args;
use crate::load::{RUNTIMES, Runtime, Timed, Until, ask_plain, ask_store, call, config, median};
use crate::table::{Row, Target};
use botstore::analytics::SystemStats;
use botstore::sessions::GetSession;
use botstore::testing::Plain;
use botstore::users::{GetUser, IsAllowed};
use botstore::{Config, Error, ErrorKind, PointReads, Result, Store};
use botstore_measure::bot::{USERS, interaction, session_of};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

const MESSAGES: u64 = 100_000;

pub(crate) fn measure(args: &Args, rows: &mut Vec<Row>) -> Result<()> {
    if !args.wants(&["s7", "s8", "s9", "s10", "s11"]) {
        return Ok(());
    }
    let folder = tempfile::tempdir().map_err(|e| Error::new(ErrorKind::Io, e.to_string()))?;
    let files = Files::make(folder.path(), args.operations(MESSAGES))?;
    if args.wants(&["s7"]) {
        many_callers(args, &files, rows)?;
    }
    if args.wants(&["s8"]) {
        one_caller(args, &files, rows)?;
    }
    if args.wants(&["s9"]) {
        kept(args, &files, rows)?;
    }
    if args.wants(&["s10"]) {
        beside_scans(args, &files, rows)?;
    }
    if args.wants(&["s11"]) {
        beside_writes(args, &files, rows)?;
    }
    Ok(())
}

/// The same content twice: as the store has it, and with the seed's indexes only.
struct Files {
    ours: PathBuf,
    /// One copy a thread, since one store or `Plain` has a file at a time.
    seeds: Vec<PathBuf>,
    /// The same with the indexes that the store has.
    indexed: Vec<PathBuf>,
}

impl Files {
    fn make(folder: &Path, messages: u64) -> Result<Self> {
        let ours = folder.join("ours.db");
        let plain = crate::load::plain(&ours)?;
        for first in (0..messages).step_by(1_000) {
            plain.write(|tx| {
                (first..first + 1_000).try_for_each(|n| tx.apply(&interaction(n)).map(|_| ()))
            })?;
        }
        drop(plain);
        let threads = readers();
        let copies = |name: &str| -> Result<Vec<PathBuf>> {
            let paths = (0..threads).map(|n| folder.join(format!("{name}{n}.db")));
            paths
                .map(|path| {
                    std::fs::copy(&ours, &path)
                        .map_err(|e| Error::new(ErrorKind::Io, e.to_string()))?;
                    Ok(path)
                })
                .collect()
        };
        let (seeds, indexed) = (copies("seed")?, copies("indexed")?);
        for seed in &seeds {
            let plain = Plain::open(config(seed))?;
            let conn = plain.connection();
            conn.execute_batch("DROP INDEX botstore_messages_of_user")?;
        }
        Ok(Self {
            ours,
            seeds,
            indexed,
        })
    }
}

/// As many as the store has by default.
fn readers() -> usize {
    std::thread::available_parallelism()
        .map_or(2, usize::from)
        .min(4)
}

/// Point reads a second of plain rusqlite on one thread a file.
fn plain_rate(seeds: &[PathBuf], time: Duration) -> Result<f64> {
    let done = AtomicU64::new(0);
    let plains: Vec<Plain> = seeds
        .iter()
        .map(|p| Plain::open(config(p)))
        .collect::<Result<_>>()?;
    let started = Instant::now();
    std::thread::scope(|scope| {
        let threads: Vec<_> = plains
            .into_iter()
            .enumerate()
            .map(|(at, plain)| {
                let done = &done;
                scope.spawn(move || {
                    let mut number = at as u64;
                    while started.elapsed() < time {
                        plain.read(|tx| (0..30).try_for_each(|n| ask_plain(tx, number + n)))?;
                        number += 30;
                        done.fetch_add(30, Relaxed);
                    }
                    Ok::<_, Error>(())
                })
            })
            .collect();
        for thread in threads {
            thread
                .join()
                .map_err(|_| Error::new(ErrorKind::Panicked, "a reading thread"))??;
        }
        Ok::<_, Error>(())
    })?;
    Ok(done.load(Relaxed) as f64 / started.elapsed().as_secs_f64())
}

/// Every read goes to a reader and to the file's pages.
fn uncached(path: &Path) -> Config {
    config(path).row_cache_answers(0)
}

fn store_run(runtime: Runtime, file: &Path, callers: u64, until: Until) -> Result<Timed> {
    store_run_on(PointReads::OnReaders, runtime, file, callers, until)
}

fn store_run_on(
    on: PointReads,
    runtime: Runtime,
    file: &Path,
    callers: u64,
    until: Until,
) -> Result<Timed> {
    runtime.run(async {
        let store = Store::open(uncached(file).point_reads(on)).await?;
        let asked = store.clone();
        let timed = call(callers, until, move |n| ask_store(asked.clone(), n)).await?;
        store.close().await?;
        Ok(timed)
    })
}

fn seconds(args: &Args, full: f64) -> Duration {
    Duration::from_secs_f64(if args.quick { full / 4.0 } else { full })
}

/// S7
fn many_callers(args: &Args, files: &Files, rows: &mut Vec<Row>) -> Result<()> {
    let time = seconds(args, 2.0);
    let (mut ceiling, mut indexed) = (Vec::new(), Vec::new());
    let (mut ours, mut inline) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
    for _ in 0..args.rounds() {
        ceiling.push(plain_rate(&files.seeds, time)?);
        indexed.push(plain_rate(&files.indexed, time)?);
        for (at, runtime) in RUNTIMES.into_iter().enumerate() {
            let timed = store_run(runtime, &files.ours, 64, Until::Time(time))?;
            ours[at].push(timed.per_second());
            let on = PointReads::OnCallersThread;
            let timed = store_run_on(on, runtime, &files.ours, 64, Until::Time(time))?;
            inline[at].push(timed.per_second());
        }
    }
    rows.push(own_indexes("s7b", &indexed, &ours, 0.8));
    rows.push(own_indexes("s7c", &indexed, &inline, 1.0));
    let (plain, actix, tokio) = (median(&ceiling), median(&ours[0]), median(&ours[1]));
    rows.push(Row {
        id: "s7".into(),
        what: "point reads/s, 64 callers : plain on 2 threads",
        unit: "×",
        value: actix.max(tokio) / plain,
        target: Target::AtLeast(1.0),
        detail: format!(
            "plain {plain:.0}/s over the seed's indexes, {:.0}/s over ours; \
             actix {actix:.0}/s, tokio {tokio:.0}/s",
            median(&indexed)
        ),
    });
    Ok(())
}

/// S7 over the indexes that the store has: S7b on its readers, S7c on the callers' threads.
fn own_indexes(id: &'static str, plain: &[f64], ours: &[Vec<f64>; 2], least: f64) -> Row {
    let (plain, actix, tokio) = (median(plain), median(&ours[0]), median(&ours[1]));
    Row {
        id: id.into(),
        what: "point reads/s, 64 callers : plain on 2 threads over the same indexes",
        unit: "×",
        value: actix.max(tokio) / plain,
        target: Target::AtLeast(least),
        detail: format!("plain {plain:.0}/s, actix {actix:.0}/s, tokio {tokio:.0}/s"),
    }
}

/// S8
fn one_caller(args: &Args, files: &Files, rows: &mut Vec<Row>) -> Result<()> {
    let operations = args.operations(30_000);
    let (mut ceiling, mut ours) = (Vec::new(), [Vec::new(), Vec::new()]);
    let mut inline = [Vec::new(), Vec::new()];
    for _ in 0..args.rounds() {
        // The same indexes on both sides: what is measured is the way there and back.
        let plain = Plain::open(config(&files.ours))?;
        let mut timed = Timed::default();
        for number in 0..operations {
            let asked = Instant::now();
            plain.read(|tx| ask_plain(tx, number))?;
            timed
                .latencies
                .push(asked.elapsed().as_nanos() as f64 / 1_000.0);
        }
        drop(plain);
        ceiling.push(timed.quantile(0.5));
        for (at, runtime) in RUNTIMES.into_iter().enumerate() {
            let until = Until::Operations(operations);
            let timed = store_run(runtime, &files.ours, 1, until)?;
            ours[at].push(timed.quantile(0.5));
            let on = PointReads::OnCallersThread;
            let timed = store_run_on(on, runtime, &files.ours, 1, until)?;
            inline[at].push(timed.quantile(0.5));
        }
    }
    let row = |id: &'static str, what, ours: &[Vec<f64>; 2], most| {
        let (plain, actix, tokio) = (median(&ceiling), median(&ours[0]), median(&ours[1]));
        Row {
            id: id.into(),
            what,
            unit: "µs",
            value: actix.min(tokio) - plain,
            target: Target::AtMost(most),
            detail: format!("plain {plain:.1} µs, actix {actix:.1} µs, tokio {tokio:.1} µs"),
        }
    };
    let what = "p50 of a point read, one caller, over plain";
    rows.push(row("s8", what, &ours, 8.0));
    let what = "p50 of a point read on the caller's thread, over plain";
    rows.push(row("s8c", what, &inline, 2.0));
    Ok(())
}

/// S9: users, permissions and sessions again and again, on one thread.
fn kept(args: &Args, files: &Files, rows: &mut Vec<Row>) -> Result<()> {
    let operations = args.operations(3_000_000);
    let mut rates = Vec::new();
    for _ in 0..args.rounds() {
        let rate = Runtime::Actix.run(async {
            let store = Store::open(config(&files.ours)).await?;
            let started = Instant::now();
            for number in 0..operations / 3 {
                let user_id = (number % USERS) as i64;
                store.read(IsAllowed::new(user_id)).await?;
                store.read(GetUser::new(user_id)).await?;
                let session_id = session_of(user_id);
                store.read(GetSession::new(user_id, session_id)).await?;
            }
            let rate = operations as f64 / started.elapsed().as_secs_f64();
            store.close().await?;
            Ok(rate)
        })?;
        rates.push(rate);
    }
    rows.push(Row {
        id: "s9".into(),
        what: "kept answers/s, one thread",
        unit: "/s",
        value: median(&rates),
        target: Target::AtLeast(1_000_000.0),
        detail: format!("{USERS} users, misses and refreshes included"),
    });
    Ok(())
}

/// S10: four scans that never stop coming.
fn beside_scans(args: &Args, files: &Files, rows: &mut Vec<Row>) -> Result<()> {
    let time = seconds(args, 2.0);
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    for _ in 0..args.rounds() {
        let timed = store_run(Runtime::Tokio, &files.ours, 4, Until::Time(time))?;
        alone.push(timed.quantile(0.99));
        let timed = Runtime::Tokio.run(async {
            let store = Store::open(uncached(&files.ours)).await?;
            let over = Arc::new(AtomicBool::new(false));
            let scans: Vec<_> = (0..4)
                .map(|_| {
                    let (store, over) = (store.clone(), Arc::clone(&over));
                    tokio::spawn(async move {
                        while !over.load(Relaxed) {
                            store.read(SystemStats::new()).await?;
                        }
                        Ok::<_, Error>(())
                    })
                })
                .collect();
            let asked = store.clone();
            let timed = call(4, Until::Time(time), move |n| ask_store(asked.clone(), n)).await?;
            over.store(true, Relaxed);
            for scan in scans {
                scan.await
                    .map_err(|e| Error::new(ErrorKind::Panicked, e.to_string()))??;
            }
            store.close().await?;
            Ok(timed)
        })?;
        beside.push(timed.quantile(0.99));
    }
    let (alone, beside) = (median(&alone), median(&beside));
    rows.push(Row {
        id: "s10".into(),
        what: "p99 of point reads, four scans running : none",
        unit: "×",
        value: beside / alone,
        target: Target::AtMost(2.0),
        detail: format!("{beside:.0} µs and {alone:.0} µs; {USERS} users, one core is the scan's"),
    });
    Ok(())
}

/// S11: 64 callers reading, 4 writing, against plain rusqlite doing both on as many threads.
fn beside_writes(args: &Args, files: &Files, rows: &mut Vec<Row>) -> Result<()> {
    let time = seconds(args, 3.0);
    let (mut plain_reads, mut plain_writes) = (Vec::new(), Vec::new());
    let (mut reads, mut writes) = (Vec::new(), Vec::new());
    for _ in 0..args.rounds() {
        let (read, written) = plain_mixed(&files.seeds, time)?;
        plain_reads.push(read);
        plain_writes.push(written);
        let (read, written) = Runtime::Tokio.run(async {
            let store = Store::open(uncached(&files.ours)).await?;
            let (reader, writer) = (store.clone(), store.clone());
            let (read, written) = tokio::join!(
                call(64, Until::Time(time), move |n| ask_store(reader.clone(), n)),
                call(4, Until::Time(time), move |n| {
                    let store = writer.clone();
                    async move { store.write(interaction(n)).await.map(|_| ()) }
                })
            );
            store.close().await?;
            Ok((read?.per_second(), written?.per_second()))
        })?;
        reads.push(read);
        writes.push(written);
    }
    let (plain_read, read) = (median(&plain_reads), median(&reads));
    let (plain_written, written) = (median(&plain_writes), median(&writes));
    rows.push(Row {
        id: "s11".into(),
        what: "reads/s, 64 reading and 4 writing : plain",
        unit: "×",
        value: read / plain_read,
        target: Target::AtLeast(0.8),
        detail: format!("{read:.0}/s and {plain_read:.0}/s"),
    });
    rows.push(Row {
        id: "s11b".into(),
        what: "writes/s beside them : plain, one transaction each",
        unit: "×",
        value: written / plain_written,
        target: Target::AtLeast(2.0),
        detail: format!("{written:.0}/s and {plain_written:.0}/s"),
    });
    Ok(())
}

/// Reads of two threads beside a third that saves interactions, one transaction each.
fn plain_mixed(seeds: &[PathBuf], time: Duration) -> Result<(f64, f64)> {
    let folder = tempfile::tempdir().map_err(|e| Error::new(ErrorKind::Io, e.to_string()))?;
    let path = folder.path().join("mixed.db");
    std::fs::copy(&seeds[0], &path).map_err(|e| Error::new(ErrorKind::Io, e.to_string()))?;
    let writer = Plain::open(config(&path))?;
    writer
        .connection()
        .pragma_update(None, "wal_autocheckpoint", 1_000)?;
    let started = Instant::now();
    std::thread::scope(|scope| {
        let reading = scope.spawn(|| plain_rate(seeds, time));
        let mut written = 0_u64;
        while started.elapsed() < time {
            writer.write(|tx| tx.apply(&interaction(written)))?;
            written += 1;
        }
        let read = reading
            .join()
            .map_err(|_| Error::new(ErrorKind::Panicked, "a reading thread"))??;
        Ok((read, written as f64 / started.elapsed().as_secs_f64()))
    })
}
