//! Saving with everything that is known of a request to a model, against saving without: N14 and N15.

use super::Case;
use super::files::interaction;
use super::writes::store_saves;
use crate::load::{RUNTIMES, median};
use crate::table::{Row, Target};
use botstore::Result;
use botstore::interactions::SaveInteraction;
use botstore_measure::full_usage::full_usage;

pub(super) fn measure(case: &Case<'_>, rows: &mut Vec<Row>) -> Result<()> {
    for (id, what, callers) in [
        (
            "n14",
            "interactions/s, 256 callers, with full usage : without",
            256,
        ),
        (
            "n15",
            "interactions/s, 64 callers, with full usage : without",
            64,
        ),
    ] {
        if case.args.wants(&[id]) {
            rows.push(ratio(case, id, what, callers)?);
        }
    }
    Ok(())
}

fn ratio(case: &Case<'_>, id: &str, what: &'static str, callers: u64) -> Result<Row> {
    let operations = case.args.operations(20_000);
    let keys = case.keys;
    let without = move |number| interaction(number, keys);
    let with = move |number| {
        let save: SaveInteraction = interaction(number, keys);
        let user_id = save.user_id.get();
        save.usage(full_usage(number, user_id))
    };
    // By turns, each on the runtime that suits it better.
    let mut rates = [[Vec::new(), Vec::new()], [Vec::new(), Vec::new()]];
    for _ in 0..case.args.rounds() {
        for (at, runtime) in RUNTIMES.into_iter().enumerate() {
            let took = store_saves(case, runtime, callers, operations, without)?;
            rates[0][at].push(took.timed.per_second());
            let took = store_saves(case, runtime, callers, operations, with)?;
            rates[1][at].push(took.timed.per_second());
        }
    }
    let [without, with] = rates.map(|[actix, tokio]| median(&actix).max(median(&tokio)));
    Ok(Row {
        id: case.id(id).into(),
        what,
        unit: "×",
        value: with / without,
        target: Target::AtLeast(0.85),
        detail: format!("without {without:.0}/s, with {with:.0}/s"),
    })
}
