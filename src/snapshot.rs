//! Queries of a file, without a store.

use crate::config::Config;
use crate::error::Result;
use crate::migration;
use crate::opening;
use crate::operation::ReadTx;
use crate::sqlite::{self, Authorizer, Inspection, for_queries};

/// Runs queries on a file without opening a store. All of them see one snapshot, which lasts until `read`
/// returns. Writes, migrates and sweeps nothing, runs no schedule, and keeps nobody from opening the file.
///
/// For tools. A store that has the file open, in whatever process, runs on; but its WAL cannot be emptied before
/// the snapshot ends. The call blocks, and has no deadline.
///
/// # Errors
/// [`NotFound`](crate::ErrorKind::NotFound) for a file that does not exist; [`OlderSchema`](crate::ErrorKind::OlderSchema) for
/// a file that opening would migrate, or whose rows it would count first; the errors with which
/// [`schema::plan`](crate::schema::plan()) refuses a file; those of the queries; and
/// [`Corrupt`](crate::ErrorKind::Corrupt), if a query fails for a table or column that somebody has dropped. Also
/// [`Busy`](crate::ErrorKind::Busy), if the file or its folder cannot be written, no store had it open, and a program
/// changed it before `read` returned: discard what `read` computed.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("bot.db");
/// use botstore::{Store, analytics, users};
///
/// let store = Store::open(&path).await?; // elsewhere, in a running bot
/// store.write(users::EnsureUser::new(42, Some("ada"))).await?;
///
/// let (stats, ada) = botstore::snapshot(&path, |tx| {
///     Ok((tx.query(&analytics::SystemStats::new())?, tx.query(&users::GetUser::new(42))?))
/// })?;
/// assert!(ada.is_some() && stats.total_messages == 0);
/// # store.close().await
/// # }
/// ```
pub fn snapshot<T>(
    config: impl Into<Config>,
    read: impl FnOnce(&ReadTx<'_>) -> Result<T>,
) -> Result<T> {
    let config = opening::complete(config)?;
    sqlite::refuse_unsettled(&config.path)?;
    let path = sqlite::existing(&config.path)?;
    let settings = config.sqlite_settings();
    sqlite::refuse_damaged_wal_unlocked(&path, &settings)?;
    let (file, plan) = Inspection::begin(&path, &settings, |conn| {
        migration::plan_in(conn, &path, &config.program())
    })?;
    opening::refuse_older(&path, &plan)?;
    file.go_on(|conn| {
        let guard = Authorizer::install(conn, for_queries)?;
        let tx = ReadTx::new(conn, config.clock.now()).within(config.limits());
        let done = guard.during(|| read(&tx));
        done.map_err(|error| {
            // If even that cannot be found out, the first error tells more.
            let objects = migration::unknown_in(&tx, &config.schemas).unwrap_or_default();
            sqlite::name_file(objects.explain(error), &path)
        })
    })
}
