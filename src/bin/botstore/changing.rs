//! A store for a command that changes rows: it needs the file to itself.

use crate::progress::stopped;
use botstore::{BeforeUpgrade, Config, Error, Result, Store};
use std::pin::pin;
use std::time::Duration;

/// Opens a store, does the work, and closes the store whatever becomes of the work. A signal ends the work. A file that
/// is missing, that is to be migrated, or that a bot has open is refused and stays as it is.
pub(crate) fn with_store<T>(
    config: Config,
    work: impl AsyncFnOnce(&Store) -> Result<T>,
) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .map_err(|e| Error::io("cannot start the work", e))?;
    runtime.block_on(async {
        let config = config
            .before_upgrade(BeforeUpgrade::Refuse)
            // The bot's own setting is not known here, and a swept key cannot be restored.
            .idempotency_retention(Duration::from_secs(10 * 365 * 86_400));
        let store = Store::open(config).await?;
        let done = unless_stopped(work(&store)).await;
        // If it is stopped, the file is closed and nothing is left beside it.
        store.close().await?;
        done
    })
}

/// Returns the result of `work`; fails if a stop was asked for before it ended.
async fn unless_stopped<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    const LOOK_EVERY: Duration = Duration::from_millis(50);
    let mut work = pin!(work);
    loop {
        match tokio::time::timeout(LOOK_EVERY, work.as_mut()).await {
            Ok(done) => return done,
            Err(_) => stopped()?,
        }
    }
}
