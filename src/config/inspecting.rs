//! How long an inspection of a file may take, and what cancels it.

use super::Config;
use std::time::Duration;

impl Config {
    /// How long SQLite may work on a file that is inspected or migrated, before the call ends with
    /// [`Deadline`](crate::ErrorKind::Deadline). Applies to [`status`](crate::status()),
    /// [`schema::plan`](crate::schema::plan), [`snapshot`](crate::snapshot()), the checks of backups, and
    /// migrations. It protects against files whose schema never finishes computing; an open store's operations
    /// have deadlines of their own. Time spent waiting for other programs does not count. Range 1 s–7 days;
    /// default: 20 s and a second for each 4 MiB, with ten minutes more for migrations.
    pub fn inspect_deadline(mut self, time: Duration) -> Self {
        self.inspect_deadline = Some(time);
        self
    }

    /// Calls `stop` about every 10 µs while SQLite works on a file that no store has open. When it returns true,
    /// [`status`](crate::status()), [`snapshot`](crate::snapshot()), the functions of [`schema`](crate::schema)
    /// and [`backup::take`](crate::backup::take()) end with [`Cancelled`](crate::ErrorKind::Cancelled) and leave
    /// no new file beside the database; the finished steps of a migration stay.
    /// [`Store::open`](crate::Store::open) ends in the same way; an open store does not call `stop`. Default:
    /// none.
    ///
    /// It is for programs that are stopped with Ctrl-C: `stop` reads what the signal handler has set.
    ///
    /// ```
    /// use botstore::{Config, ErrorKind};
    /// use std::sync::atomic::{AtomicBool, Ordering};
    ///
    /// static STOPPED: AtomicBool = AtomicBool::new(false);
    ///
    /// let config = Config::new("bot.db").stop_when(|| STOPPED.load(Ordering::Relaxed));
    /// match botstore::status(config) {
    ///     Ok(status) => println!("{} bytes", status.file_bytes),
    ///     Err(error) if error.kind() == ErrorKind::Cancelled => println!("stopped"),
    ///     Err(error) => println!("{error}"),
    /// }
    /// ```
    pub fn stop_when(mut self, stop: fn() -> bool) -> Self {
        self.stop = Some(stop);
        self
    }
}
