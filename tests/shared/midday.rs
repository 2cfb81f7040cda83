//! For tests of programs that look at the machine's clock: a day, a week or a month that does not end meanwhile.

use std::time::{SystemTime, UNIX_EPOCH};

/// A time zone, for [`botstore::Config::time_zone`], in which it is between half past eleven and half past one. The
/// file keeps it, so it is that of every program that opens the file.
///
/// Turned down: to do it again if midnight was in between. It would pass, too, where the second answer alone is right.
pub(crate) fn midday() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let hour = now.expect("a clock after 1970").as_secs() / 3600 % 24;
    // Never UTC, which is what a file without a zone has.
    format!("{:+03}:30", 12 - hour as i64)
}
