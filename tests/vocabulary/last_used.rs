//! When a token was last used: noted where it is verified, and written in batches.

use crate::support::{ADA, BOB, DAY, HOUR, populated};
use botstore::rusqlite::Connection;
use botstore::testing::{FixedClock, TestStore};
use botstore::tokens::{
    IssueToken, IssuedToken, RevokeToken, RevokeUserTokens, UserToken, UserTokens, VerifyToken,
};
use botstore::users::{DeleteUser, EnsureUser};
use botstore::{Config, Error, ErrorKind, PointReads, Store};
use chrono::{DateTime, Utc};
use std::path::Path;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

async fn issue(store: &Store, user_id: i64) -> IssuedToken {
    let issued = store.write(IssueToken::new(user_id)).await;
    issued.expect("a token")
}

async fn verify(store: &Store, token: &IssuedToken) -> Option<UserToken> {
    let verify = VerifyToken::new(token.secret.clone());
    store.read(verify).await.expect("a read")
}

async fn last_used(store: &Store, user_id: i64) -> Vec<Option<DateTime<Utc>>> {
    let tokens = store.read(UserTokens::new(user_id)).await.expect("a page");
    let tokens = tokens.items.iter().rev();
    tokens.map(|token| token.last_used).collect()
}

/// Lets a minute pass, after which the notes are due.
async fn a_minute_later(store: &Store, clock: &FixedClock) {
    clock.advance(MINUTE);
    store.run_due().await.expect("run");
}

/// Has each write of a use counted, by another program's trigger.
fn count_writes(path: &Path) {
    let other = Connection::open(path).expect("a connection");
    let sql = "CREATE TABLE uses (token_id INTEGER);
               CREATE TRIGGER count_uses AFTER UPDATE OF last_used ON user_tokens
               BEGIN INSERT INTO uses VALUES (new.token_id); END;";
    other.execute_batch(sql).expect("a trigger");
}

fn writes(path: &Path) -> i64 {
    let other = Connection::open(path).expect("a connection");
    let sql = "SELECT count(*) FROM uses";
    other.query_row(sql, [], |row| row.get(0)).expect("a count")
}

#[tokio::test]
async fn a_use_is_written_within_a_minute_once_however_often_the_token_is_used() {
    for reads in [PointReads::OnReaders, PointReads::OnCallersThread] {
        let store = TestStore::open_with(|config| config.point_reads(reads)).await;
        let store = store.expect("a store");
        store
            .write(EnsureUser::new(ADA, "ada"))
            .await
            .expect("a user");
        let (often, never) = (issue(&store, ADA).await, issue(&store, ADA).await);
        count_writes(store.path());
        let mut last = None;
        for minute in 0..3 {
            for _ in 0..5 {
                store.clock().advance(SECOND);
                // The answer has what is in the file: the use before.
                let token = verify(&store, &often).await.expect("a token");
                assert_eq!(token.last_used, last, "{reads:?}");
            }
            let used = store.now();
            store.run_due().await.expect("run");
            assert_eq!(writes(store.path()), minute, "not each time");
            a_minute_later(&store, store.clock()).await;
            assert_eq!(writes(store.path()), minute + 1);
            last = Some(used);
            assert_eq!(last_used(&store, ADA).await, [last, None], "{reads:?}");
        }
        // Nothing is written when nothing was used.
        a_minute_later(&store, store.clock()).await;
        assert_eq!(writes(store.path()), 3);
        drop(never);
    }
}

#[tokio::test]
async fn only_a_good_token_is_used() {
    let store = populated().await;
    let expired = store.write(IssueToken::new(ADA).expires_in(HOUR)).await;
    let (expired, revoked) = (expired.expect("a token"), issue(&store, ADA).await);
    let revoke = RevokeToken::new(ADA, revoked.token_id);
    store.write(revoke).await.expect("revoked");
    store.clock().advance(HOUR);
    assert_eq!(verify(&store, &expired).await, None);
    assert_eq!(verify(&store, &revoked).await, None);
    a_minute_later(&store, store.clock()).await;
    assert_eq!(last_used(&store, ADA).await, [None, None]);
}

#[tokio::test]
async fn a_use_inside_another_operation_is_a_use() {
    let store = populated().await;
    let tokens = [
        issue(&store, ADA).await,
        issue(&store, ADA).await,
        issue(&store, ADA).await,
    ];
    let [asked, made, undone] = tokens.map(|token| VerifyToken::new(token.secret));
    let ask = store.ask("who", move |tx| tx.query(&asked));
    assert!(ask.await.expect("a read").is_some());
    let make = store.transact("who", move |tx| tx.query(&made));
    assert!(make.await.expect("a change").is_some());
    // What it proved was changed back, but it was presented.
    let undo = store.transact("who", move |tx| {
        tx.query(&undone)?;
        Err::<(), _>(Error::new(ErrorKind::Conflict, "no"))
    });
    undo.await.expect_err("undone");
    let now = Some(store.now());
    a_minute_later(&store, store.clock()).await;
    assert_eq!(last_used(&store, ADA).await, [now; 3]);
}

#[tokio::test]
async fn closing_writes_what_was_used() {
    let store = populated().await;
    let token = issue(&store, ADA).await;
    let used = store.now();
    assert!(verify(&store, &token).await.is_some());
    let (_folder, path) = store.into_file().await.expect("a file");
    let store = Store::open(&path).await.expect("a store");
    assert_eq!(last_used(&store, ADA).await, [Some(used)]);
    // So does the drop of the last handle.
    assert!(verify(&store, &token).await.is_some());
    drop(store);
    let store = Store::open(&path).await.expect("a store");
    let [Some(again)] = last_used(&store, ADA).await[..] else {
        panic!("not used")
    };
    assert!(again > used);
    store.close().await.expect("closed");
}

#[tokio::test]
async fn a_token_that_was_revoked_or_deleted_meanwhile_holds_up_nothing() {
    let store = populated().await;
    let (first, second) = (issue(&store, ADA).await, issue(&store, ADA).await);
    let of_bob = issue(&store, BOB).await;
    for token in [&first, &second, &of_bob] {
        assert!(verify(&store, token).await.is_some());
    }
    let used = Some(store.now());
    store
        .write(RevokeUserTokens::new(ADA))
        .await
        .expect("revoked");
    store.write(DeleteUser::new(BOB)).await.expect("deleted");
    a_minute_later(&store, store.clock()).await;
    assert_eq!(last_used(&store, ADA).await, [used, used]);
    assert!(store.health().await.expect("health").ok);
}

#[tokio::test]
async fn a_failure_loses_no_use() {
    let store = populated().await;
    let token = issue(&store, ADA).await;
    let other = Connection::open(store.path()).expect("a connection");
    let refuse = "CREATE TRIGGER no BEFORE UPDATE OF last_used ON user_tokens
                  BEGIN SELECT raise(ABORT, 'not now'); END;";
    other.execute_batch(refuse).expect("a trigger");
    assert!(verify(&store, &token).await.is_some());
    let used = Some(store.now());
    for _ in 0..2 {
        a_minute_later(&store, store.clock()).await;
        assert_eq!(last_used(&store, ADA).await, [None]);
    }
    other.execute_batch("DROP TRIGGER no").expect("dropped");
    a_minute_later(&store, store.clock()).await;
    assert_eq!(last_used(&store, ADA).await, [used]);
}

/// By the store's clock, wherever that goes; a use that was noted later is the last.
#[tokio::test]
async fn a_clock_that_is_set_back_is_believed() {
    let store = populated().await;
    let token = issue(&store, ADA).await;
    let noon = store.now();
    store.clock().set(noon + DAY);
    assert!(verify(&store, &token).await.is_some());
    store.run_due().await.expect("run");
    assert_eq!(last_used(&store, ADA).await, [Some(noon + DAY)]);
    store.clock().set(noon);
    assert!(verify(&store, &token).await.is_some());
    a_minute_later(&store, store.clock()).await;
    assert_eq!(last_used(&store, ADA).await, [Some(noon)]);
}

/// Many more than one piece of the mutation takes.
#[tokio::test]
async fn thousands_of_tokens_are_written_with_the_same_minute() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("bot.db");
    let clock = FixedClock::default();
    let config = Config::new(&path).clock(clock.clone());
    let store = Store::open(config).await.expect("a store");
    store
        .write(EnsureUser::new(ADA, "ada"))
        .await
        .expect("a user");
    let mut tokens = Vec::new();
    for batch in 0..6 {
        let issued = store.transact("issue", move |tx| {
            let all = (0..300).map(|_| tx.apply(&IssueToken::new(ADA)));
            all.collect::<botstore::Result<Vec<_>>>()
        });
        let issued = issued.await.unwrap_or_else(|e| panic!("{batch}: {e}"));
        tokens.extend(issued);
    }
    for token in &tokens {
        assert!(verify(&store, token).await.is_some());
    }
    let used = store.read(botstore::users::GetUser::new(ADA)).await;
    let used = used.expect("a read").expect("a user").first_seen;
    a_minute_later(&store, &clock).await;
    let count = store.ask("count", move |tx| {
        let sql = "SELECT count(*) FROM user_tokens WHERE last_used = ?1";
        let used = botstore::time::format(used);
        tx.one(sql, [used], |row| Ok(row.get::<_, i64>(0)?))
    });
    assert_eq!(count.await.expect("a count"), tokens.len() as i64);
    store.close().await.expect("closed");
}
