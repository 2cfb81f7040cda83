//! Saving under limits, with a reservation for each request, against saving without either: N16 and N17.

use super::Case;
use super::files::{config, interaction};
use crate::Keys;
use crate::load::{RUNTIMES, Runtime, Timed, Until, call, median};
use crate::table::{Row, Target};
use botstore::limits::{Amount, Per, Reserve, Scope, SetLimit};
use botstore::{Result, Store, Usd};

pub(super) fn measure(case: &Case<'_>, rows: &mut Vec<Row>) -> Result<()> {
    if case.args.wants(&["n16"]) {
        many_callers(case, rows)?;
    }
    if case.args.wants(&["n17"]) {
        one_caller(case, rows)?;
    }
    Ok(())
}

/// How requests are saved.
#[derive(Clone, Copy, PartialEq)]
enum Saved {
    Freely,
    /// Under a limit of each user and one of everybody, which nobody reaches.
    Reserved,
}

fn run(
    case: &Case<'_>,
    runtime: Runtime,
    (callers, operations): (u64, u64),
    saved: Saved,
) -> Result<Timed> {
    let (run, keys) = (case.files.for_store()?, case.keys);
    runtime.run(async {
        let store = Store::open(config(&run)).await?;
        if saved == Saved::Reserved {
            let most = Amount::Cost(Usd::from_dollars(1e9)?);
            for (scope, per) in [(Scope::EachUser, Per::Day), (Scope::Everyone, Per::Month)] {
                store.write(SetLimit::new(scope, per, most)).await?;
            }
        }
        let save = |from: u64, operations: u64| {
            let store = store.clone();
            call(callers, Until::Operations(operations), move |number| {
                save(store.clone(), from + number, keys, saved)
            })
        };
        let warm_up = operations / 5;
        save(run.first, warm_up).await?;
        let timed = save(run.first + warm_up, operations).await?;
        store.close().await?;
        Ok(timed)
    })
}

async fn save(store: Store, number: u64, keys: Keys, saved: Saved) -> Result<()> {
    let mut save = interaction(number, keys);
    if saved == Saved::Reserved {
        let reserve = Reserve::new(save.user_id, Usd::from_nanos(1_000_000));
        save.reservation = store.write(reserve).await?.reservation();
    }
    store.write(save).await.map(|_| ())
}

fn many_callers(case: &Case<'_>, rows: &mut Vec<Row>) -> Result<()> {
    let size = (256, case.args.operations(20_000));
    let mut rates = [[Vec::new(), Vec::new()], [Vec::new(), Vec::new()]];
    for _ in 0..case.args.rounds() {
        for (at, runtime) in RUNTIMES.into_iter().enumerate() {
            for (saved, rates) in [Saved::Freely, Saved::Reserved].into_iter().zip(&mut rates) {
                rates[at].push(run(case, runtime, size, saved)?.per_second());
            }
        }
    }
    let [without, with] = rates.map(|[actix, tokio]| median(&actix).max(median(&tokio)));
    rows.push(Row {
        id: case.id("n16").into(),
        what: "interactions/s, 256 callers, with reserve and settle : without",
        unit: "×",
        value: with / without,
        target: Target::AtLeast(0.8),
        detail: format!("without {without:.0}/s, with {with:.0}/s"),
    });
    Ok(())
}

fn one_caller(case: &Case<'_>, rows: &mut Vec<Row>) -> Result<()> {
    let size = (1, case.args.operations(2_000));
    let mut p50 = [Vec::new(), Vec::new()];
    for _ in 0..case.args.rounds() {
        for (saved, p50) in [Saved::Freely, Saved::Reserved].into_iter().zip(&mut p50) {
            p50.push(run(case, Runtime::Tokio, size, saved)?.quantile(0.5));
        }
    }
    let [without, with] = p50.map(|p50| median(&p50));
    rows.push(Row {
        id: case.id("n17").into(),
        what: "p50, one caller, with reserve and settle : without",
        unit: "×",
        value: with / without,
        target: Target::AtMost(2.2),
        detail: format!("without {without:.0} µs, with {with:.0} µs"),
    });
    Ok(())
}
