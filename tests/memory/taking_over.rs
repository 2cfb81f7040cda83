//! P7: what it takes of memory to bring a file up to date does not grow with the file. What the allocator
//! sees is Rust's alone, so the kernel is asked, in a process of its own.

use crate::child::{self, again};
use botstore::rusqlite::Connection;
use botstore::{BeforeUpgrade, Config, schema};
use std::path::Path;

const MIB: u64 = 1 << 20;

/// Of a page cache of 8 MiB there may be two, and an index is sorted in as much.
const TAKES: u64 = 32 * MIB;

/// The file of a bot that has said so much.
fn fill(path: &Path, messages: u32) {
    let conn = Connection::open(path).unwrap();
    let seed = include_str!("../../migrations/botstore/0001_seed.up.sql");
    conn.execute_batch(&format!(
        "PRAGMA synchronous = OFF; BEGIN; {seed};
         INSERT INTO users (user_id) VALUES (1);
         INSERT INTO sessions (session_id, user_id, project_path)
             VALUES ('0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9', 1, '/');
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {messages})
             INSERT INTO messages (session_id, user_id, timestamp, prompt)
             SELECT '0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9', 1, '2026-03-10 15:00:00', hex(zeroblob(80)) FROM n;
         COMMIT;"
    ))
    .unwrap();
}

/// What the kernel says of this process, in bytes.
fn status(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    let kib = line.split_whitespace().nth(1).unwrap();
    kib.parse::<u64>().unwrap() * 1024
}

#[test]
fn a_file_is_taken_over_in_less_memory_than_it_is_large() {
    if let Some([path]) = child::given() {
        let before = status("VmRSS:");
        let config = Config::new(path).before_upgrade(BeforeUpgrade::Skip);
        // The rows, and the indexes.
        schema::apply_to(config, "botstore", 5).unwrap();
        let took = status("VmHWM:") - before;
        assert!(took < TAKES, "it took {} MiB", took / MIB);
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bot.db");
    fill(&path, 300_000);
    let bytes = std::fs::metadata(&path).unwrap().len();
    assert!(bytes > 2 * TAKES, "{bytes}");
    let test = a_file_is_taken_over_in_less_memory_than_it_is_large;
    child::succeed(again(&[], test, &[&path]));
}
