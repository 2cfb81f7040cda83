//! Costs of many requests are computed again in pieces: whoever is killed between two of them goes on.

use super::repriced::{agrees, ever, reprice};
use super::set;
use crate::child::{Victim, again, given};
use crate::support::{Run, at, populated};
use botstore::prices::{Reprice, RepriceReport, SetPrice};
use botstore::testing::{FixedClock, usd};
use botstore::{Config, Mutation, Result, Store, WriteTx};
use chrono::DateTime;
use std::path::Path;

/// So many rows that they take several pieces, as another program would have made them.
async fn large(store: &Store) {
    for sql in [
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
         INSERT INTO messages (session_id, user_id, timestamp, prompt, cost)
         SELECT 'ada-1', 1, strftime('%Y-%m-%dT%H:%M:%S.000000+00:00', '2026-01-01', (i / 3) || ' minutes'), 'p', 0.0
         FROM n",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 700)
         INSERT INTO botstore_usage (usage_id, user_id, at, provider_name, request_model, input_tokens, output_tokens)
         SELECT -i, 2, '2026-01-01T00:00:00.000000+00:00', 'acme', 'parrot', i, 1 FROM n",
        // Every seventh message used no model.
        "INSERT INTO botstore_usage (usage_id, user_id, at, provider_name, request_model, input_tokens, output_tokens)
         SELECT message_id, user_id, timestamp, 'acme', 'parrot', message_id, 1 FROM messages WHERE message_id % 7 <> 0",
        "INSERT INTO cost_tracking (user_id, date, daily_cost, request_count)
         SELECT user_id, substr(at, 1, 10), 0.0, count(*) FROM (
             SELECT user_id, timestamp AS at FROM messages
             UNION ALL SELECT user_id, at FROM botstore_usage WHERE usage_id < 0) GROUP BY 1, 2",
        "UPDATE users SET message_count = 3000 WHERE user_id = 1",
        "UPDATE sessions SET message_count = 3000 WHERE session_id = 'ada-1'",
    ] {
        store.write(Run(sql.to_owned())).await.expect("rows");
    }
    let price = SetPrice::new("acme", "parrot", usd(3.0), usd(15.0));
    let price = price.valid_from(DateTime::UNIX_EPOCH);
    store.write(price).await.expect("a price");
}

const PRICED: u64 = 700 + 3_000 - 3_000 / 7;

async fn batches(store: &Store) -> u64 {
    store.health().await.expect("health").writer.batches
}

#[tokio::test]
async fn what_is_much_is_priced_in_pieces_and_as_a_part_of_another_change_at_once() {
    struct Inside(Reprice);

    impl Mutation for Inside {
        type Output = RepriceReport;

        fn apply(&self, tx: &WriteTx<'_>) -> Result<RepriceReport> {
            tx.apply(&self.0)
        }
    }

    let store = populated().await;
    large(&store).await;
    let before = batches(&store).await;
    assert_eq!(
        reprice(&store, ever(&store)).await,
        RepriceReport::new(PRICED, 0)
    );
    assert!(batches(&store).await - before >= 4);
    agrees(&store).await;
    set(&store, "parrot", 1.0, 2.0, DateTime::UNIX_EPOCH).await;
    let before = batches(&store).await;
    let done = store.write(Inside(ever(&store))).await.expect("a report");
    assert_eq!(done, RepriceReport::new(PRICED, 0));
    assert_eq!(batches(&store).await - before, 1);
    agrees(&store).await;
}

fn config(path: &Path) -> Config {
    Config::new(path).clock(FixedClock::at(at("2026-03-10T15:30:00Z")))
}

/// Stops the process where it stands, in the middle of a transaction, once so many requests have a cost.
struct StopAt(i64);

const HOW_MANY: &str = "SELECT count(*) FROM botstore_usage WHERE cost_nanos IS NOT NULL";

impl Mutation for StopAt {
    type Output = ();

    fn apply(&self, tx: &WriteTx<'_>) -> Result<()> {
        let priced: i64 = tx.one(HOW_MANY, [], |row| Ok(row.get(0)?))?;
        if priced >= self.0 {
            println!("\nis there");
            loop {
                std::thread::park();
            }
        }
        Ok(())
    }
}

fn always() -> Reprice {
    Reprice::new(DateTime::UNIX_EPOCH, at("2027-01-01"))
}

async fn until_it_is_killed(path: &Path, at_least: i64) {
    let store = Store::open(config(path)).await.expect("a store");
    let work = store.clone();
    tokio::spawn(async move { work.write(always()).await });
    loop {
        // Between two pieces.
        store.write(StopAt(at_least)).await.expect("not there yet");
    }
}

#[tokio::test]
async fn who_is_killed_in_the_middle_has_counted_every_piece_whole_and_the_next_run_does_the_rest()
{
    if let Some([path, at_least]) = given() {
        return until_it_is_killed(Path::new(&path), at_least.parse().expect("a number")).await;
    }
    let this =
        who_is_killed_in_the_middle_has_counted_every_piece_whole_and_the_next_run_does_the_rest;
    let (folder, path) = populated().await.into_file().await.expect("a file");
    let store = Store::open(config(&path)).await.expect("a store");
    large(&store).await;
    store.close().await.expect("closed");
    let mut priced = 0;
    for at_least in ["1", "900", "1800"] {
        let mut child = Victim::start(again(&[], this, &[&path, Path::new(at_least)]));
        assert!(child.says("is there"));
        child.kill();
        let store = Store::open(config(&path)).await.expect("a store");
        agrees(&store).await;
        let now = store.ask("how many", |tx| {
            tx.one(HOW_MANY, [], |row| Ok(row.get::<_, i64>(0)?))
        });
        let now = now.await.expect("a count") as u64;
        assert!((priced..PRICED).contains(&now), "{now} after {priced}");
        priced = now;
        store.close().await.expect("closed");
    }
    assert!(priced > 0);
    let store = Store::open(config(&path)).await.expect("a store");
    assert_eq!(
        reprice(&store, always()).await,
        RepriceReport::new(PRICED - priced, 0)
    );
    agrees(&store).await;
    assert_eq!(reprice(&store, always()).await, RepriceReport::new(0, 0));
    store.close().await.expect("closed");
    drop(folder);
}
