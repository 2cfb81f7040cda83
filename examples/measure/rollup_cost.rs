//! What keeping rollups costs those who write: interactions a second of a store with the triggers,
//! without them, and with the same statements sent by the operation instead.
//!
//! ```text
//! cargo run --release -p botstore-measure --bin rollup_cost
//! ```
//!
//! The three take turns on new files, several rounds, and the medians count.

use botstore::interactions::SaveInteraction;
use botstore::testing::Plain;
use botstore::{BeforeUpgrade, Config, Error, ErrorKind, Mutation, Result, Store, WriteTx};
use botstore_measure::bot::{interaction, sign_up};
use clap::Parser;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

#[derive(Debug, Parser)]
#[command(about = "Measures what rollups cost")]
struct Args {
    /// Tasks that each have one interaction in flight
    #[arg(long, default_value_t = 256)]
    callers: u64,
    /// How often each way is measured
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=100))]
    rounds: u64,
}

const SPAN: Duration = Duration::from_secs(4);

#[derive(Clone, Copy, PartialEq)]
enum Way {
    None,
    Triggers,
    Statements,
}

const WAYS: [(Way, &str); 3] = [
    (Way::None, "no rollups"),
    (Way::Triggers, "triggers"),
    (Way::Statements, "statements"),
];

/// An interaction that keeps the rollups itself.
struct SaveAndCount(SaveInteraction);

impl Mutation for SaveAndCount {
    type Output = ();

    fn apply(&self, tx: &WriteTx<'_>) -> Result<()> {
        tx.apply(&self.0)?;
        let saved = &self.0;
        let day = &tx.now_text()[..10];
        let (user_id, duration) = (saved.user_id, saved.duration_ms.unwrap_or(0) as i64);
        tx.execute(
            "INSERT INTO botstore_day VALUES (?1, 0, 1, 0, 1, ?2, ?3) ON CONFLICT (day) DO UPDATE SET
                 messages = messages + 1, timed = timed + 1,
                 duration_ms = duration_ms + excluded.duration_ms, cost = cost + excluded.cost",
            (day, duration, saved.cost.dollars()),
        )?;
        tx.execute(
            "INSERT INTO botstore_user_total VALUES (?1, 0, 1, ?2, ?3)
             ON CONFLICT (user_id) DO UPDATE SET messages = messages + 1,
                 cost = cost + excluded.cost, last_day = max(last_day, excluded.last_day)",
            (user_id, saved.cost.dollars(), day),
        )?;
        tx.execute(
            "INSERT INTO botstore_user_day VALUES (?1, ?2, 0, 1, 0, 1, ?3, ?4)
             ON CONFLICT (user_id, day) DO UPDATE SET messages = messages + 1, timed = timed + 1,
                 duration_ms = duration_ms + excluded.duration_ms, cost = cost + excluded.cost",
            (user_id, day, duration, saved.cost.dollars()),
        )?;
        tx.execute(
            "INSERT INTO botstore_session_day VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
            (&saved.session_id, user_id, day),
        )?;
        for tool in &saved.tools {
            tx.execute(
                "INSERT INTO botstore_tool VALUES (?1, 1, 1, 0, 0)
                 ON CONFLICT (tool_name) DO UPDATE SET uses = uses + 1, successes = successes + 1",
                [&tool.tool_name],
            )?;
            tx.execute(
                "INSERT INTO botstore_session_tool VALUES (?1, ?2) ON CONFLICT DO NOTHING",
                (&saved.session_id, &tool.tool_name),
            )?;
            tx.execute(
                "INSERT INTO botstore_user_tool VALUES (?1, ?2, 1)
                 ON CONFLICT (user_id, tool_name) DO UPDATE SET uses = uses + 1",
                (user_id, &tool.tool_name),
            )?;
        }
        tx.execute(
            "INSERT INTO botstore_cost_day VALUES (?1, 1, 1, ?2) ON CONFLICT (day) DO UPDATE SET
                 requests = requests + 1, cost = cost + excluded.cost",
            (day, saved.cost.dollars()),
        )?;
        Ok(())
    }

    fn size_bytes(&self) -> usize {
        self.0.size_bytes()
    }
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn other(error: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Io, error.to_string())
}

fn run(args: &Args) -> Result<()> {
    let runtime = tokio::runtime::Runtime::new().map_err(other)?;
    let mut rates = [Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..args.rounds {
        for ((way, _), rates) in WAYS.into_iter().zip(&mut rates) {
            rates.push(runtime.block_on(measure(args.callers, way))?);
        }
    }
    let medians = rates.map(|mut rates| {
        rates.sort_by(f64::total_cmp);
        rates[rates.len() / 2]
    });
    for ((_, name), rate) in WAYS.into_iter().zip(medians) {
        println!("{name:<12} {rate:>8.0}/s   {:.2} ×", rate / medians[0]);
    }
    Ok(())
}

/// Interactions a second.
async fn measure(callers: u64, way: Way) -> Result<f64> {
    let folder = tempfile::tempdir().map_err(other)?;
    let config = Config::new(folder.path().join("bot.db")).before_upgrade(BeforeUpgrade::Skip);
    let plain = Plain::open(config.clone())?;
    plain.write(sign_up)?;
    if way != Way::Triggers {
        drop_triggers(&plain)?;
    }
    drop(plain);
    let store = Store::open(config).await?;
    let next = Arc::new(AtomicU64::new(0));
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..callers {
        let (store, next) = (store.clone(), Arc::clone(&next));
        tasks.spawn(async move {
            while started.elapsed() < SPAN {
                let interaction = interaction(next.fetch_add(1, Relaxed));
                match way {
                    Way::Statements => store.write(SaveAndCount(interaction)).await?,
                    _ => store.write(interaction).await.map(|_| ())?,
                }
            }
            Ok::<_, Error>(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.map_err(other)??;
    }
    let rate = next.load(Relaxed) as f64 / started.elapsed().as_secs_f64();
    store.close().await?;
    Ok(rate)
}

fn drop_triggers(plain: &Plain) -> Result<()> {
    let conn = plain.connection();
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'trigger'";
    let names: Vec<String> = {
        let mut triggers = conn.prepare(sql)?;
        let names = triggers.query_map([], |row| row.get(0))?;
        names.collect::<botstore::rusqlite::Result<_>>()?
    };
    for name in names {
        conn.execute_batch(&format!("DROP TRIGGER {name}"))?;
    }
    Ok(())
}
