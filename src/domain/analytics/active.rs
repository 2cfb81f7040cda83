//! How many users are active.

use super::FIRST_DAY;
use crate::domain::columns::count;
use crate::domain::page;
use crate::domain::rollups::{self, now};
use crate::error::Result;
use crate::operation::{Lane, Query, ReadTx};
use crate::time::{self, Timestamp};
use chrono::Datelike;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The last year of which the file's spelling has days.
const LAST_YEAR: i32 = 9_999;

/// Later than any time and any day, as texts are compared.
const NEVER: &str = ":";

/// How many users had a message in the last so many hours, to the microsecond: one that is exactly that old is not in
/// it. Reads one row for each of these users. If there are users who were last there on the first day of that time,
/// also reads the messages of that day, from the beginning of the time on; whole days are counted.
///
/// For administrators: the answer is about all users.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// # store.write(botstore::interactions::SaveInteraction::new(42, "s-1", "Hello").creating("/srv")).await?;
/// use botstore::analytics::ActiveUsers;
/// use std::time::Duration;
///
/// let last_week = ActiveUsers::new(Duration::from_secs(168 * 3600));
/// assert_eq!(store.read(last_week).await?, 1);
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ActiveUsers {
    /// How far back from now. As far as the calendar goes is as good as for ever.
    pub within: Duration,
}

impl ActiveUsers {
    /// In the last time of this length.
    pub fn new(within: Duration) -> Self {
        Self { within }
    }
}

impl Query for ActiveUsers {
    const LANE: Lane = Lane::Analytics;
    type Output = u64;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<u64> {
        let since = page::since(tx.now(), self.within);
        let ever = || FIRST_DAY.to_owned();
        let never = || NEVER.to_owned();
        // Texts of years before 1 are not in the order of times (no message is of year 1 either), and there is no day
        // after the year 9999.
        let (first, begins, before) = match rollups::whole_days(tx, since)? {
            _ if since.year() < 2 => (ever(), ever(), ever()),
            Some(whole) if whole.first.year() <= LAST_YEAR => {
                let begins = time::format(whole.begins);
                (whole.first.to_string(), begins, whole.before.to_string())
            }
            _ => (never(), never(), String::new()),
        };
        let span = (first, Timestamp(since), begins, before);
        tx.one(&now::active_since(), span, |row| count(row, 0))
    }
}
