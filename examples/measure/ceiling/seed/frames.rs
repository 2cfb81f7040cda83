//! WAL frames of an interaction: N12 and N13. The same on every machine; one round says all.

use super::files::{Run, config, interaction, now};
use super::{Case, made};
use crate::load::Runtime;
use crate::table::{Row, Target};
use crate::{Args, Keys};
use botstore::rusqlite::Connection;
use botstore::{Config, Error, ErrorKind, Mutation, Result, Store, WriteTx};
use botstore_measure::frames::{Wal, by_tree, table};
use botstore_measure::{plain, seed};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

/// No checkpoint begins before this.
const NEVER: u64 = 64 << 30;

/// So many exchanges are counted one by one, and so many in batches.
const SINGLE: u64 = 512;
const BATCHES: u64 = 32;
const BATCH: u64 = 64;

/// The frames of some exchanges.
struct Counted {
    exchanges: u64,
    trees: BTreeMap<String, usize>,
}

impl Counted {
    fn of(database: &Path, before: &Wal, exchanges: u64) -> Result<Self> {
        let after = wal(database)?;
        let conn = Connection::open(database)?;
        let trees = by_tree(&conn, after.since(before))?;
        Ok(Self { exchanges, trees })
    }

    fn each(&self) -> f64 {
        self.trees.values().sum::<usize>() as f64 / self.exchanges as f64
    }

    fn column<'a>(&'a self, title: &'a str) -> (&'a str, f64, &'a BTreeMap<String, usize>) {
        (title, self.exchanges as f64, &self.trees)
    }
}

fn wal(database: &Path) -> Result<Wal> {
    Wal::of(database).map_err(|e| Error::new(ErrorKind::Io, e.to_string()))
}

/// One caller's, each in a transaction, and those of batches.
struct Both {
    single: Counted,
    batches: Counted,
}

/// Several interactions in one transaction, as the writer's batches have them.
struct Together(Range<u64>, Keys);

impl Mutation for Together {
    type Output = ();

    fn apply(&self, tx: &WriteTx<'_>) -> Result<()> {
        let mut numbers = self.0.clone();
        numbers.try_for_each(|number| tx.apply(&interaction(number, self.1)).map(|_| ()))
    }
}

fn of_plain(case: &Case<'_>) -> Result<Both> {
    let run = case.files.for_plain()?;
    let mut conn = case.files.open_plain(&run)?;
    conn.pragma_update(None, "wal_autocheckpoint", 0)?;
    let mut save = |numbers: Range<u64>, batch: u64| -> Result<Counted> {
        let before = wal(&run)?;
        for first in numbers.clone().step_by(batch as usize) {
            let exchanges = (first..first + batch).map(seed::exchange);
            plain::save_all(&mut conn, exchanges, &now())?;
        }
        Counted::of(&run, &before, numbers.end - numbers.start)
    };
    let batched = run.first + SINGLE;
    Ok(Both {
        single: save(run.first..batched, 1)?,
        batches: save(batched..batched + BATCH * BATCHES, BATCH)?,
    })
}

fn unchecked(run: &Run) -> Config {
    config(run)
        .wal_ceiling_bytes(NEVER)
        .checkpoint_at_bytes(NEVER)
}

fn of_store(case: &Case<'_>) -> Result<Both> {
    let run = case.files.for_store()?;
    Runtime::Tokio.run(async {
        let store = Store::open(unchecked(&run)).await?;
        // What the store does once it is open is not an interaction's.
        store.run_due().await?;
        let before = wal(&run)?;
        let batched = run.first + SINGLE;
        for number in run.first..batched {
            store.write(interaction(number, case.keys)).await?;
        }
        let single = Counted::of(&run, &before, SINGLE)?;
        let before = wal(&run)?;
        for first in (batched..batched + BATCH * BATCHES).step_by(BATCH as usize) {
            store
                .write(Together(first..first + BATCH, case.keys))
                .await?;
        }
        let batches = Counted::of(&run, &before, BATCH * BATCHES)?;
        store.close().await?;
        Ok(Both { single, batches })
    })
}

pub(super) fn measure(case: &Case<'_>, rows: &mut Vec<Row>) -> Result<()> {
    let (plain, ours) = (of_plain(case)?, of_store(case)?);
    for (id, what, plain, ours) in [
        (
            "n12",
            "WAL frames an interaction, one caller : plain",
            &plain.single,
            &ours.single,
        ),
        (
            "n13",
            "WAL frames an interaction, by 64 : plain",
            &plain.batches,
            &ours.batches,
        ),
    ] {
        if case.args.wants(&[id]) {
            rows.push(Row {
                id: case.id(id).into(),
                what,
                unit: "×",
                value: ours.each() / plain.each(),
                target: Target::AtMost(1.2),
                detail: format!("plain {:.2}, store {:.2}", plain.each(), ours.each()),
            });
        }
    }
    Ok(())
}

/// `--frames`
pub(crate) fn print(args: &Args) -> Result<()> {
    for files in made(args) {
        let files = files?;
        let case = |keys| Case::new(args, &files, keys);
        let plain = of_plain(&case(Keys::Without))?;
        let without = of_store(&case(Keys::Without))?;
        let with = of_store(&case(Keys::With))?;
        for (how, of) in [
            ("one caller", (|both| &both.single) as fn(&Both) -> &Counted),
            ("batches of 64", |both| &both.batches),
        ] {
            let columns = [
                of(&plain).column("plain"),
                of(&without).column("store"),
                of(&with).column("with keys"),
            ];
            println!("\n{}, {how}\n{}", files.name(), table(&columns));
        }
    }
    Ok(())
}
