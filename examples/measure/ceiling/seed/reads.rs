//! Point reads without the row cache: N8 and N9. A third each: a user, a session, and the last ten messages of a
//! session. Plain rusqlite asks for these in the order of saving, so that it need not sort, as the Python bot does.

use super::Case;
use super::files::{Files, Run, config};
use crate::load::{RUNTIMES, Runtime, Timed, Until, call, median};
use crate::table::{Row, Target};
use botstore::messages::SessionMessages;
use botstore::page::PageRequest;
use botstore::sessions::GetSession;
use botstore::users::GetUser;
use botstore::{Error, ErrorKind, Result, Store};
use botstore_measure::plain::{self, LastMessages};
use botstore_measure::seed;
use std::time::{Duration, Instant};

pub(super) fn measure(case: &Case<'_>, rows: &mut Vec<Row>) -> Result<()> {
    if case.args.wants(&["n8"]) {
        many_callers(case, rows)?;
    }
    if case.args.wants(&["n9"]) {
        one_caller(case, rows)?;
    }
    Ok(())
}

/// Asks what [`plain::ask`] asks.
pub(super) async fn ask_store(store: Store, number: u64) -> Result<()> {
    let (user_id, session_id) = seed::speaker(number);
    match number % 3 {
        0 => store.read(GetUser::new(user_id)).await.map(|_| ()),
        1 => {
            let query = GetSession::new(user_id, session_id);
            store.read(query).await.map(|_| ())
        }
        _ => {
            let query = SessionMessages::new(user_id, session_id).page(PageRequest::first(10));
            store.read(query).await.map(|_| ())
        }
    }
}

/// Reads a second of so many threads, each with a connection of its own.
pub(super) fn plain_reads(
    files: &Files,
    run: &Run,
    threads: u64,
    last: LastMessages,
    time: Duration,
) -> Result<f64> {
    let started = Instant::now();
    let read = |thread: u64| -> Result<u64> {
        let conn = files.open_plain(run)?;
        let mut numbers = (thread..).step_by(threads as usize);
        let mut done = 0;
        while started.elapsed() < time {
            for number in numbers.by_ref().take(30) {
                plain::ask(&conn, number, last)?;
            }
            done += 30;
        }
        Ok(done)
    };
    let done = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads)
            .map(|thread| scope.spawn(move || read(thread)))
            .collect();
        threads
            .into_iter()
            .map(|thread| {
                thread
                    .join()
                    .map_err(|_| Error::new(ErrorKind::Panicked, "a reading thread"))?
            })
            .sum::<Result<u64>>()
    })?;
    Ok(done as f64 / started.elapsed().as_secs_f64())
}

/// Every read goes to the file's pages.
fn store_run(case: &Case<'_>, runtime: Runtime, callers: u64, until: Until) -> Result<Timed> {
    let run = case.files.for_store()?;
    runtime.run(async {
        let store = Store::open(config(&run).row_cache_answers(0)).await?;
        let asked = store.clone();
        let timed = call(callers, until, move |n| ask_store(asked.clone(), n)).await?;
        store.close().await?;
        Ok(timed)
    })
}

/// N8
fn many_callers(case: &Case<'_>, rows: &mut Vec<Row>) -> Result<()> {
    let time = Duration::from_secs_f64(if case.args.quick { 0.5 } else { 2.0 });
    let (mut ceiling, mut sorting) = (Vec::new(), Vec::new());
    let mut ours = [Vec::new(), Vec::new()];
    for _ in 0..case.args.rounds() {
        let run = case.files.for_plain()?;
        let plain = |last| plain_reads(case.files, &run, 2, last, time);
        ceiling.push(plain(LastMessages::ById)?);
        sorting.push(plain(LastMessages::ByTime)?);
        for (at, runtime) in RUNTIMES.into_iter().enumerate() {
            ours[at].push(store_run(case, runtime, 64, Until::Time(time))?.per_second());
        }
    }
    let (plain, actix, tokio) = (median(&ceiling), median(&ours[0]), median(&ours[1]));
    rows.push(Row {
        id: case.id("n8").into(),
        what: "point reads/s, 64 callers : plain on 2 threads",
        unit: "×",
        value: actix.max(tokio) / plain,
        target: Target::AtLeast(0.8),
        detail: format!(
            "plain {plain:.0}/s, {:.0}/s by the Python bot's query, which sorts; actix {actix:.0}/s, tokio {tokio:.0}/s",
            median(&sorting)
        ),
    });
    Ok(())
}

/// N9
fn one_caller(case: &Case<'_>, rows: &mut Vec<Row>) -> Result<()> {
    let operations = case.args.operations(30_000);
    let (mut ceiling, mut ours) = (Vec::new(), [Vec::new(), Vec::new()]);
    for _ in 0..case.args.rounds() {
        let run = case.files.for_plain()?;
        let conn = case.files.open_plain(&run)?;
        let mut timed = Timed::default();
        for number in 0..operations {
            let asked = Instant::now();
            plain::ask(&conn, number, LastMessages::ById)?;
            timed
                .latencies
                .push(asked.elapsed().as_nanos() as f64 / 1_000.0);
        }
        drop(conn);
        ceiling.push(timed.quantile(0.5));
        for (at, runtime) in RUNTIMES.into_iter().enumerate() {
            let timed = store_run(case, runtime, 1, Until::Operations(operations))?;
            ours[at].push(timed.quantile(0.5));
        }
    }
    let (plain, actix, tokio) = (median(&ceiling), median(&ours[0]), median(&ours[1]));
    rows.push(Row {
        id: case.id("n9").into(),
        what: "p50 of a point read, one caller, over plain",
        unit: "µs",
        value: actix.min(tokio) - plain,
        target: Target::AtMost(8.0),
        detail: format!("plain {plain:.1} µs, actix {actix:.1} µs, tokio {tokio:.1} µs"),
    });
    Ok(())
}
