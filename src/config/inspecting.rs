//! How long a file is looked at, and what ends that before.

use super::Config;
use std::time::Duration;

impl Config {
    /// How long SQLite may be at work on a file that is only looked at, or brought up to date, before
    /// that ends with [`Deadline`](crate::ErrorKind::Deadline): [`status`](crate::status()),
    /// [`schema::plan`](crate::schema::plan), [`snapshot`](crate::snapshot()), the checks of backups,
    /// and migrations. It is for files whose schema has work without end in it; what an open store does
    /// has deadlines of its own. Time in which somebody else is waited for does not count.
    /// Range 1 s–7 days; default: 20 s and a second for each 4 MiB, with ten minutes more for
    /// migrations.
    pub fn inspect_deadline(mut self, time: Duration) -> Self {
        self.inspect_deadline = Some(time);
        self
    }

    /// Asked again and again while SQLite is at work on a file that no store has open, about every 10 µs
    /// of its work: whether that is to end. Then [`status`](crate::status()), [`snapshot`](crate::snapshot()),
    /// the functions of [`schema`](crate::schema) and [`backup::take`](crate::backup::take()) end with
    /// [`Cancelled`](crate::ErrorKind::Cancelled) and leave nothing beside the file that was not there; of a
    /// migration those steps stay that were done before. So does [`Store::open`](crate::Store::open); of
    /// what an open store does nobody is asked. Default:
    /// nobody is asked.
    ///
    /// It is for programs that somebody stops with Ctrl-C: `stop` looks at what the signal has set.
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
