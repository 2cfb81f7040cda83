//! P1: `Ok` from a mutation means its COMMIT has returned, and it survives the end of the process.

mod common;
#[path = "shared/copy.rs"]
mod copy;

use botstore::rusqlite::{Connection, OpenFlags};
use botstore::{Config, Store};
use common::{Probe, Put, probe_store};
use copy::{copy, with};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

fn count(path: &std::path::Path, number: i64) -> i64 {
    let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let sql = "SELECT count(*) FROM probe WHERE number = ?1";
    conn.query_row(sql, [number], |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn what_was_acknowledged_is_there_for_a_stranger_on_tokio() {
    let store = probe_store(|config| config).await;
    for number in 0..50 {
        store.write(Put::new(number)).await.unwrap();
        assert_eq!(count(store.path(), number), 1);
    }
}

#[actix::test]
async fn what_was_acknowledged_is_there_for_a_stranger_on_actix() {
    let store = probe_store(|config| config).await;
    for number in 0..50 {
        store.write(Put::new(number)).await.unwrap();
        assert_eq!(count(store.path(), number), 1);
    }
}

/// The child of the test below: acknowledges on standard output until it is killed.
#[tokio::test]
#[ignore = "the child process of the next test"]
async fn child_that_writes_until_it_is_killed() {
    let Ok(path) = std::env::var("BOTSTORE_TEST_FILE") else {
        return;
    };
    let first: i64 = std::env::var("BOTSTORE_TEST_FIRST")
        .unwrap()
        .parse()
        .unwrap();
    let store = Store::open(Config::new(path).schema::<Probe>())
        .await
        .unwrap();
    let tasks: Vec<_> = (0..8)
        .map(|caller| {
            let store = store.clone();
            tokio::spawn(async move {
                for step in 0.. {
                    let number = first + step * 8 + caller;
                    store.write(Put::new(number)).await.unwrap();
                    println!("\nack {number}");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_killed_process() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("killed.db");
    let mut acknowledged = Vec::new();
    for round in 1..=5_usize {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "--nocapture"])
            .arg("child_that_writes_until_it_is_killed")
            .env("BOTSTORE_TEST_FILE", &path)
            .env("BOTSTORE_TEST_FIRST", (round * 1_000_000).to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let acks = lines.map_while(Result::ok).filter_map(|line| {
            let number = line.strip_prefix("ack ")?;
            number.trim().parse::<i64>().ok()
        });
        let mut killed = false;
        for (seen, number) in acks.enumerate() {
            acknowledged.push(number);
            if seen == 40 * round && !killed {
                child.kill().unwrap();
                killed = true;
                // What is still in the pipe was acknowledged too.
            }
        }
        assert!(killed, "the child ended by itself");
        child.wait().unwrap();

        let conn = Connection::open(&path).unwrap();
        for number in &acknowledged {
            let sql = "SELECT count(*) FROM probe WHERE number = ?1";
            let found: i64 = conn.query_row(sql, [number], |row| row.get(0)).unwrap();
            assert_eq!(found, 1, "{number} was acknowledged");
        }
    }
}

/// The last sync of a process may have failed, and then what can be read of its log need not be on the
/// disk: another sync of the log would not write it.
#[tokio::test]
async fn what_a_killed_process_left_in_its_log_is_in_the_file_before_anything_is_built_on_it() {
    let store = probe_store(|config| config).await;
    for number in 0..50 {
        store.write(Put::new(number)).await.unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let killed = folder.path().join("killed.db");
    for suffix in ["", "-wal"] {
        copy(&with(store.path(), suffix), &with(&killed, suffix));
    }
    let again = Store::open(Config::new(&killed).schema::<Probe>())
        .await
        .unwrap();
    let without_log = folder.path().join("without_log.db");
    copy(&killed, &without_log);
    assert_eq!(count(&without_log, 49), 1);
    again.close().await.unwrap();
}
