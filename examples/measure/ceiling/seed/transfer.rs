//! A host's own mutation, two reads and two updates over a table of its own: N10 and N11.

use super::files::temporary;
use crate::Args;
use crate::load::{RUNTIMES, Until, call, config, median};
use crate::table::{Row, Target};
use botstore::rusqlite::{Connection, TransactionBehavior};
use botstore::schema::{Migration, Schema};
use botstore::{Error, Mutation, Result, Store, WriteTx};
use botstore_measure::plain;
use std::time::Instant;

const TABLE: &str = "CREATE TABLE accounts (id INTEGER PRIMARY KEY, balance INTEGER NOT NULL);
     WITH RECURSIVE number (id) AS (SELECT 0 UNION ALL SELECT id + 1 FROM number WHERE id < 999)
     INSERT INTO accounts SELECT id, 1000000000 FROM number;";
const ACCOUNTS: u64 = 1_000;
const BALANCE: &str = "SELECT balance FROM accounts WHERE id = ?1";
const ADD: &str = "UPDATE accounts SET balance = balance + ?2 WHERE id = ?1";
/// So many are in a transaction of plain rusqlite's.
const BATCH: u64 = 256;

struct Accounts;

impl Schema for Accounts {
    const NAME: &'static str = "accounts";
    const MIGRATIONS: &'static [Migration] =
        &[Migration::new(1, "accounts", TABLE, "DROP TABLE accounts")];
}

struct Transfer {
    from: i64,
    to: i64,
    amount: i64,
}

fn transfer(number: u64) -> Transfer {
    Transfer {
        from: (number * 7 % ACCOUNTS) as i64,
        to: ((number * 7 + 1 + number % 100) % ACCOUNTS) as i64,
        amount: 1,
    }
}

impl Mutation for Transfer {
    /// Both balances before.
    type Output = (i64, i64);

    fn apply(&self, tx: &WriteTx<'_>) -> Result<(i64, i64)> {
        let balance = |id: i64| tx.one(BALANCE, [id], |row| Ok(row.get::<_, i64>(0)?));
        let (from, to) = (balance(self.from)?, balance(self.to)?);
        if from < self.amount {
            return Err(Error::invalid("amount", "is more than there is"));
        }
        tx.execute(ADD, (self.from, -self.amount))?;
        tx.execute(ADD, (self.to, self.amount))?;
        Ok((from, to))
    }
}

fn transfer_plain(conn: &Connection, transfer: &Transfer) -> Result<(i64, i64)> {
    let balance = |id: i64| {
        conn.prepare_cached(BALANCE)?
            .query_row([id], |row| row.get::<_, i64>(0))
    };
    let (from, to) = (balance(transfer.from)?, balance(transfer.to)?);
    if from < transfer.amount {
        return Err(Error::invalid("amount", "is more than there is"));
    }
    let mut add = conn.prepare_cached(ADD)?;
    add.execute((transfer.from, -transfer.amount))?;
    add.execute((transfer.to, transfer.amount))?;
    Ok((from, to))
}

fn plain_rate(operations: u64) -> Result<f64> {
    let folder = temporary()?;
    let mut conn = plain::open(&folder.path().join("plain.db"), 8 << 20, 16_384)?;
    conn.execute_batch(TABLE)?;
    let started = Instant::now();
    for first in (0..operations).step_by(BATCH as usize) {
        let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for number in first..operations.min(first + BATCH) {
            transfer_plain(&tx, &transfer(number))?;
        }
        tx.commit()?;
    }
    Ok(operations as f64 / started.elapsed().as_secs_f64())
}

pub(super) fn measure(args: &Args, rows: &mut Vec<Row>) -> Result<()> {
    let operations = args.operations(200_000);
    let mut ceiling = Vec::new();
    let mut ours = [Vec::new(), Vec::new()];
    for _ in 0..args.rounds() {
        ceiling.push(plain_rate(operations)?);
        for (at, runtime) in RUNTIMES.into_iter().enumerate() {
            let folder = temporary()?;
            let config = config(&folder.path().join("store.db")).schema::<Accounts>();
            let timed = runtime.run(async {
                let store = Store::open(config).await?;
                let host = store.clone();
                let timed = call(256, Until::Operations(operations), move |number| {
                    let store = host.clone();
                    async move { store.write(transfer(number)).await.map(|_| ()) }
                })
                .await?;
                store.close().await?;
                Ok(timed)
            })?;
            ours[at].push(timed.per_second());
        }
    }
    let (plain, actix, tokio) = (median(&ceiling), median(&ours[0]), median(&ours[1]));
    rows.push(Row {
        id: "n10".into(),
        what: "a host's transfers/s, 256 callers : plain by 256",
        unit: "×",
        value: actix.max(tokio) / plain,
        target: Target::AtLeast(0.9),
        detail: format!("plain {plain:.0}/s, actix {actix:.0}/s, tokio {tokio:.0}/s"),
    });
    rows.push(Row {
        id: "n11".into(),
        what: "the same, a second",
        unit: "/s",
        value: actix.max(tokio),
        target: Target::AtLeast(50_000.0),
        detail: String::new(),
    });
    Ok(())
}
