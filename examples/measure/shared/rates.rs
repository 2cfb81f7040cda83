//! How often many callers get something done in a second, which [`bot`](crate::bot)'s users ask of a store.

use crate::bot::{interaction, session_of, user_of};
use botstore::messages::SessionMessages;
use botstore::page::PageRequest;
use botstore::sessions::GetSession;
use botstore::users::GetUser;
use botstore::{Error, ErrorKind, Result, Store};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// How often `callers` do `work` in a second. Each is given a number that nobody had before it.
pub async fn rate<F, Fut>(
    callers: usize,
    time: Duration,
    store: &Store,
    next: &Arc<AtomicU64>,
    work: F,
) -> Result<f64>
where
    F: Fn(Store, u64) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = Result<()>> + Send,
{
    let started = Instant::now();
    let mut all_callers = JoinSet::new();
    for _ in 0..callers {
        let (store, next, work) = (store.clone(), Arc::clone(next), work.clone());
        all_callers.spawn(async move {
            let mut done = 0_u64;
            while started.elapsed() < time {
                work(store.clone(), next.fetch_add(1, Relaxed)).await?;
                done += 1;
            }
            Ok::<_, Error>(done)
        });
    }
    let mut all = 0;
    while let Some(done) = all_callers.join_next().await {
        all += done.map_err(|e| Error::new(ErrorKind::Panicked, e.to_string()))??;
    }
    Ok(all as f64 / started.elapsed().as_secs_f64())
}

/// A point read: a user, a session, or the last ten messages of one.
pub async fn read_one(store: Store, number: u64) -> Result<()> {
    let user_id = user_of(number / 3);
    let session_id = session_of(user_id);
    match number % 3 {
        0 => store.read(GetUser::new(user_id)).await.map(|_| ()),
        1 => {
            let session = GetSession::new(user_id, session_id);
            store.read(session).await.map(|_| ())
        }
        _ => {
            let page = PageRequest::first(10);
            let last = SessionMessages::new(user_id, session_id).page(page);
            store.read(last).await.map(|_| ())
        }
    }
}

pub async fn write_one(store: Store, number: u64) -> Result<()> {
    store.write(interaction(number)).await.map(|_| ())
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
