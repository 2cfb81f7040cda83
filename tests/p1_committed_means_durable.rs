//! P1: `Ok` from a mutation means its COMMIT has returned, and it survives the end of the process.

#[path = "shared/child.rs"]
mod child;
mod common;
#[path = "shared/copy.rs"]
mod copy;

use botstore::interactions::SaveInteraction;
use botstore::limits::{Amount, Decision, Per, Reserve, Scope, SetLimit, Settled};
use botstore::rusqlite::{Connection, OpenFlags};
use botstore::testing::{FixedClock, usd};
use botstore::updates::{Claim, ClaimUpdate, FinishUpdate};
use botstore::{Config, Store};
use child::{Victim, again};
use common::{Probe, Put, probe_store};
use copy::{copy, copy_as_killed, keeps_its_log};
use std::time::Duration;

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

/// The child: says what was acknowledged, from the number `first` on, until it is killed.
async fn writes_until_it_is_killed(path: &str, first: i64) {
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
    if let Some([path, first]) = child::given() {
        return writes_until_it_is_killed(&path, first.parse().unwrap()).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("killed.db");
    let mut acknowledged = Vec::new();
    for round in 1..=5_usize {
        let test = what_was_acknowledged_survives_a_killed_process;
        let first = (round * 1_000_000).to_string();
        let mut child = Victim::start(again(&[], test, &[&path, first.as_ref()]));
        let (mut seen, mut killed) = (0, false);
        while let Some(line) = child.line() {
            let number = line
                .strip_prefix("ack ")
                .and_then(|n| n.parse::<i64>().ok());
            seen += number.iter().count();
            acknowledged.extend(number);
            if seen > 40 * round && !killed {
                child.kill();
                killed = true;
                // What is still in the pipe was acknowledged too.
            }
        }
        assert!(killed, "the child ended by itself");

        let conn = Connection::open(&path).unwrap();
        for number in &acknowledged {
            let sql = "SELECT count(*) FROM probe WHERE number = ?1";
            let found: i64 = conn.query_row(sql, [number], |row| row.get(0)).unwrap();
            assert_eq!(found, 1, "{number} was acknowledged");
        }
    }
}

/// The last sync of a process may have failed, and then what can be read of its WAL need not be on the
/// disk: another sync of the WAL would not write it.
#[tokio::test]
async fn what_a_killed_process_left_in_its_log_is_in_the_file_before_anything_is_built_on_it() {
    let store = probe_store(keeps_its_log).await;
    for number in 0..50 {
        store.write(Put::new(number)).await.unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let killed = folder.path().join("killed.db");
    copy_as_killed(store.path(), &killed);
    let size = std::fs::metadata(&killed).unwrap().len();
    assert!(size <= 2 * 4096, "it is all in the log");
    let again = Store::open(Config::new(&killed).schema::<Probe>())
        .await
        .unwrap();
    let without_log = folder.path().join("without_log.db");
    copy(&killed, &without_log);
    assert_eq!(count(&without_log, 49), 1);
    again.close().await.unwrap();
}

const TELEGRAM: &str = "telegram";

/// The child: claims each update, and does nothing more with them.
async fn claims_until_it_is_killed(path: &str) {
    let config = Config::new(path).clock(FixedClock::default());
    let store = Store::open(config).await.unwrap();
    for update_id in 0..20 {
        let claim = ClaimUpdate::new(TELEGRAM, update_id);
        let claim = store.write(claim).await.unwrap();
        let Claim::First { ticket } = claim else {
            panic!("{claim:?}");
        };
        // Some it finishes.
        if update_id % 4 == 0 {
            store.write(FinishUpdate::new(ticket)).await.unwrap();
        }
    }
    println!("\nclaimed");
    std::future::pending().await
}

#[tokio::test]
async fn what_a_killed_process_had_claimed_is_done_once_after_its_lease() {
    if let Some([path]) = child::given() {
        return claims_until_it_is_killed(&path).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("killed.db");
    let test = what_a_killed_process_had_claimed_is_done_once_after_its_lease;
    let mut child = Victim::start(again(&[], test, &[&path]));
    assert!(child.says("claimed"));
    child.kill();

    let clock = FixedClock::default();
    let config = Config::new(&path).clock(clock.clone());
    let store = Store::open(config).await.unwrap();
    let deliver = async |update_id: i32| {
        let claim = ClaimUpdate::new(TELEGRAM, update_id);
        store.write(claim).await.unwrap()
    };
    let finished = |update_id| update_id % 4 == 0;
    for update_id in 0..20 {
        match deliver(update_id).await {
            Claim::Seen => assert!(finished(update_id), "{update_id}"),
            Claim::Held { .. } => assert!(!finished(update_id), "{update_id}"),
            other => panic!("{update_id}: {other:?}"),
        }
    }
    clock.advance(Duration::from_secs(5 * 60));
    let mut done = Vec::new();
    for update_id in (0..20).chain(0..20).rev() {
        if let Claim::First { ticket } = deliver(update_id).await {
            store.write(FinishUpdate::new(ticket)).await.unwrap();
            done.push(update_id);
        }
    }
    done.sort_unstable();
    let left = Vec::from_iter((0..20).filter(|&update_id| !finished(update_id)));
    assert_eq!(done, left);
}

/// The child: reserves what there is, says so, and waits for its end.
async fn reserves_until_it_is_killed(path: &str) {
    let store = Store::open(Config::new(path).clock(FixedClock::default()))
        .await
        .unwrap();
    let dollar = Amount::Cost(usd(1.0));
    let limit = SetLimit::new(Scope::EachUser, Per::Day, dollar);
    store.write(limit).await.unwrap();
    let decision = store.write(Reserve::new(1, usd(0.9))).await.unwrap();
    println!("\nack {}", decision.reservation().unwrap());
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn what_a_killed_process_had_reserved_is_free_at_its_time_and_not_before() {
    if let Some([path]) = child::given() {
        return reserves_until_it_is_killed(&path).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("killed.db");
    let test = what_a_killed_process_had_reserved_is_free_at_its_time_and_not_before;
    let mut child = Victim::start(again(&[], test, &[&path]));
    let mut reserved = None;
    while let Some(line) = child.line() {
        if let Some(number) = line.strip_prefix("ack ") {
            reserved = Some(number.parse::<i64>().unwrap());
            child.kill();
        }
    }
    let reserved = reserved.expect("the child has reserved");
    let clock = FixedClock::default();
    clock.advance(Duration::from_secs(599));
    let open = async || {
        let config = Config::new(&path).clock(clock.clone());
        Store::open(config).await.unwrap()
    };
    let reserve = Reserve::new(1, usd(0.2));
    let store = open().await;
    let decision = store.write(reserve.clone()).await.unwrap();
    assert!(matches!(decision, Decision::Denied { .. }), "{decision:?}");
    store.close().await.unwrap();
    clock.advance(Duration::from_secs(1));
    let store = open().await;
    let decision = store.write(reserve).await.unwrap();
    assert!(decision.reservation().is_some(), "{decision:?}");
    // The bot that has its answer all the same saves it.
    let said = SaveInteraction::new(1, "s", "Hello")
        .creating("/")
        .cost(usd(0.9));
    let receipt = store.write(said.reservation(reserved)).await.unwrap();
    assert_eq!(receipt.reservation, Some(Settled::Expired));
    store.close().await.unwrap();
}
