//! What both sides do: the files, the runtimes, the figures.

use botstore::interactions::SaveInteraction;
use botstore::messages::SessionMessages;
use botstore::page::PageRequest;
use botstore::sessions::GetSession;
use botstore::testing::Plain;
use botstore::users::GetUser;
use botstore::{BeforeUpgrade, Config, Error, Mutation, ReadTx, Result, Store, WriteTx};
use botstore_measure::bot::{session_of, sign_up, user_of};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

pub(crate) fn config(path: &Path) -> Config {
    Config::new(path).before_upgrade(BeforeUpgrade::Skip)
}

/// A new file with users, as plain rusqlite has it by default: it checkpoints inside commits.
pub(crate) fn plain(path: &Path) -> Result<Plain> {
    let plain = Plain::open(config(path))?;
    plain
        .connection()
        .pragma_update(None, "wal_autocheckpoint", 1_000)?;
    plain.write(sign_up)?;
    Ok(plain)
}

/// A store on a new file with the same users.
pub(crate) async fn store(path: &Path) -> Result<Store> {
    drop(plain(path)?);
    Store::open(config(path)).await
}

/// Where callers run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Runtime {
    Actix,
    Tokio,
}

pub(crate) const RUNTIMES: [Runtime; 2] = [Runtime::Actix, Runtime::Tokio];

impl Runtime {
    pub(crate) fn run<T>(self, work: impl Future<Output = Result<T>>) -> Result<T> {
        match self {
            Self::Actix => actix::System::new().block_on(work),
            Self::Tokio => tokio::runtime::Runtime::new()
                .map_err(|e| Error::new(botstore::ErrorKind::Io, e.to_string()))?
                .block_on(work),
        }
    }
}

/// How long each operation took, and all of them together.
#[derive(Default)]
pub(crate) struct Timed {
    /// In microseconds.
    pub(crate) latencies: Vec<f64>,
    pub(crate) took: Duration,
}

impl Timed {
    pub(crate) fn per_second(&self) -> f64 {
        self.latencies.len() as f64 / self.took.as_secs_f64()
    }

    pub(crate) fn quantile(&self, quantile: f64) -> f64 {
        let mut sorted = self.latencies.clone();
        sorted.sort_by(f64::total_cmp);
        let at = (sorted.len() as f64 * quantile) as usize;
        sorted[at.min(sorted.len() - 1)]
    }
}

pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 {
        sorted[middle]
    } else {
        (sorted[middle - 1] + sorted[middle]) / 2.0
    }
}

/// So many callers that each wait for one answer before they ask again, until the numbers run out
/// or the time is up.
pub(crate) async fn call<F, Fut>(callers: u64, until: Until, ask: F) -> Result<Timed>
where
    F: Fn(u64) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = Result<()>> + Send,
{
    let next = Arc::new(AtomicU64::new(0));
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..callers {
        let (next, ask) = (Arc::clone(&next), ask.clone());
        tasks.spawn(async move {
            let mut latencies = Vec::new();
            loop {
                let number = next.fetch_add(1, Relaxed);
                if until.is_over(number, started) {
                    return Ok::<_, Error>(latencies);
                }
                let asked = Instant::now();
                ask(number).await?;
                latencies.push(asked.elapsed().as_nanos() as f64 / 1_000.0);
            }
        });
    }
    let mut timed = Timed::default();
    while let Some(done) = tasks.join_next().await {
        let latencies =
            done.map_err(|e| Error::new(botstore::ErrorKind::Panicked, e.to_string()))?;
        timed.latencies.extend(latencies?);
    }
    timed.took = started.elapsed();
    Ok(timed)
}

#[derive(Clone, Copy)]
pub(crate) enum Until {
    Operations(u64),
    Time(Duration),
}

impl Until {
    pub(crate) fn is_over(self, number: u64, started: Instant) -> bool {
        match self {
            Self::Operations(count) => number >= count,
            Self::Time(time) => started.elapsed() >= time,
        }
    }
}

/// Saves an interaction and then fails, so that all of it has to be undone.
pub(crate) struct SaveAndFail(pub(crate) SaveInteraction);

impl Mutation for SaveAndFail {
    type Output = ();

    fn apply(&self, tx: &WriteTx<'_>) -> Result<()> {
        tx.apply(&self.0)?;
        Err(Error::invalid("nothing", "is wrong, but this fails"))
    }
}

/// What point read `number` asks.
enum Ask {
    User(GetUser),
    Session(GetSession),
    Messages(SessionMessages),
}

fn ask(number: u64) -> Ask {
    let user_id = user_of(number / 3);
    match number % 3 {
        0 => Ask::User(GetUser::new(user_id)),
        1 => Ask::Session(GetSession::new(user_id, session_of(user_id))),
        _ => Ask::Messages(
            SessionMessages::new(user_id, session_of(user_id)).page(PageRequest::first(10)),
        ),
    }
}

/// Asks it of plain rusqlite.
pub(crate) fn ask_plain(tx: &ReadTx<'_>, number: u64) -> Result<()> {
    match ask(number) {
        Ask::User(query) => tx.query(&query).map(|_| ()),
        Ask::Session(query) => tx.query(&query).map(|_| ()),
        Ask::Messages(query) => tx.query(&query).map(|_| ()),
    }
}

/// Asks it of the store.
pub(crate) async fn ask_store(store: Store, number: u64) -> Result<()> {
    match ask(number) {
        Ask::User(query) => store.read(query).await.map(|_| ()),
        Ask::Session(query) => store.read(query).await.map(|_| ()),
        Ask::Messages(query) => store.read(query).await.map(|_| ()),
    }
}
