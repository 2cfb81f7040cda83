//! A process that is killed loses the uses of its last minute, and no other.

use crate::child::{Victim, again, given};
use botstore::testing::FixedClock;
use botstore::tokens::{IssueToken, UserTokens, VerifyToken};
use botstore::users::EnsureUser;
use botstore::{Config, Store};
use std::path::Path;
use std::time::Duration;

async fn until_it_is_killed(path: &Path) {
    let clock = FixedClock::default();
    let store = Store::open(Config::new(path).clock(clock.clone())).await;
    let store = store.unwrap();
    store.run_due().await.unwrap();
    store.write(EnsureUser::new(1, None)).await.unwrap();
    for _ in 0..2 {
        let token = store.write(IssueToken::new(1)).await.unwrap();
        let verified = store.read(VerifyToken::new(token.secret)).await.unwrap();
        assert!(verified.is_some());
        if token.token_id == 1 {
            clock.advance(Duration::from_secs(60));
            store.run_due().await.unwrap();
        }
    }
    println!("\nhas used both");
    loop {
        std::thread::park();
    }
}

#[tokio::test]
async fn a_killed_process_loses_the_uses_of_its_last_minute_alone() {
    if let Some([path]) = given() {
        return until_it_is_killed(Path::new(&path)).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bot.db");
    let this = a_killed_process_loses_the_uses_of_its_last_minute_alone;
    let mut child = Victim::start(again(&[], this, &[&path]));
    assert!(child.says("has used both"));
    child.kill();
    let store = Store::open(&path).await.unwrap();
    let tokens = store.read(UserTokens::new(1)).await.unwrap().items;
    let used: Vec<_> = tokens.iter().rev().map(|t| t.last_used.is_some()).collect();
    assert_eq!(used, [true, false]);
    store.close().await.unwrap();
}
