//! Copies of files that a store has open.

#![allow(dead_code, reason = "each test uses a part of it")]

use botstore::Config;
use botstore::rusqlite::{Connection, OpenFlags};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A store for which no checkpoint is ever due: what is written to it stays in its WAL, however slow the
/// machine is. With the default settings a WAL of a few MiB is copied into the file whenever there is
/// time, and a short one when nothing is written; and then starts over.
pub fn keeps_its_log(config: Config) -> Config {
    const MOST: u64 = 64 << 30;
    config.wal_ceiling_bytes(MOST).checkpoint_at_bytes(MOST)
}

/// What a path is called with this at the end of its name, such as `-wal`.
pub fn with(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Copies what a process that is killed now would leave of this database: the file and its WAL, as of one
/// moment. While somebody reads, the WAL does not start over between the one copy and the other.
pub fn copy_as_killed(from: &Path, to: &Path) {
    let reader = Connection::open_with_flags(from, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    reader.execute_batch("BEGIN").unwrap();
    let read = "SELECT count(*) FROM sqlite_schema";
    reader.query_row(read, [], |_| Ok(())).unwrap();
    copy(from, to);
    copy(&with(from, "-wal"), &with(to, "-wal"));
}

/// Copies a file to another place, if it is there. By another process: to open and close it in this one
/// would drop the locks of a store that has it open.
pub fn copy(from: &Path, to: &Path) {
    if from.exists() {
        let copied = Command::new("cp").arg(from).arg(to).status().unwrap();
        assert!(copied.success());
    }
}
