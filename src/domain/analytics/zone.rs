//! The zone of all days.

use crate::domain::rollups;
use crate::error::Result;
use crate::operation::{Lane, Query, ReadTx};
use serde::{Deserialize, Serialize};

/// The name of the zone whose days statistics have, such as `UTC`, `Europe/Berlin` or `+05:30`: what stands beside the
/// days of a chart or a table. While another zone is being counted, it is the zone before, as in all other answers. See
/// [`Config::time_zone`](crate::Config::time_zone).
///
/// For administrators: the answer is the same for all users.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// use botstore::{Config, Store, analytics::TimeZone};
///
/// # let path = folder.path().join("bot.db");
/// let store = Store::open(Config::new(path).time_zone("Asia/Tokyo")).await?;
/// assert_eq!(store.read(TimeZone::new()).await?, "Asia/Tokyo");
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TimeZone;

impl TimeZone {
    /// Of the file.
    pub fn new() -> Self {
        Self
    }
}

impl Query for TimeZone {
    const LANE: Lane = Lane::Analytics;
    type Output = String;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<String> {
        Ok(rollups::shown_zone(tx).to_string())
    }
}
