//! What another program has left in the place of a yes or of a time lets nobody in whom the owner has not let in.

use crate::odd_files::values;
use crate::support::populated;
use botstore::rusqlite::Connection;
use botstore::testing::TestStore;
use botstore::tokens::{IssueToken, Secret, UserTokens, VerifyToken};
use botstore::users::{AllowedUsers, GetUser, IsAllowed, ListUsers, SetAllowed};
use botstore::{Config, Store};
use std::time::Duration;

async fn store() -> TestStore {
    TestStore::open_with(|config: Config| config.row_cache_answers(0))
        .await
        .expect("a store")
}

fn alter(store: &Store, sql: &str) {
    let conn = Connection::open(store.path()).expect("open");
    conn.execute_batch(sql).expect(sql);
}

/// Whether the value is the number 1 once it is in a column of numbers.
fn is_one(store: &Store, column: &str, table: &str) -> bool {
    let conn = Connection::open(store.path()).expect("open");
    let sql = format!("SELECT {column} IS 1 FROM {table}");
    conn.query_row(&sql, [], |row| row.get(0)).expect("a value")
}

#[tokio::test]
async fn only_the_number_one_lets_a_user_in() {
    let store = store().await;
    crate::support::populate(&store).await;
    for value in values() {
        alter(&store, &format!("UPDATE users SET is_allowed = {value}"));
        let expected = is_one(&store, "is_allowed", "users");
        assert_eq!(
            store.read(IsAllowed::new(1)).await.unwrap(),
            expected,
            "{value}"
        );
        let user = store.read(GetUser::new(1)).await.unwrap().unwrap();
        assert_eq!(user.is_allowed, expected, "{value}");
        let listed = store.read(AllowedUsers::default()).await.unwrap().items;
        assert_eq!(listed.len(), usize::from(expected), "{value}");
        assert_eq!(
            store.read(ListUsers::default()).await.unwrap().items.len(),
            1
        );
        let before = expected;
        store.repair_values(|_| Ok(())).await.unwrap();
        assert_eq!(
            store.read(IsAllowed::new(1)).await.unwrap(),
            before,
            "{value}, set right"
        );
        // Whoever may, may still be let in.
        alter(&store, &format!("UPDATE users SET is_allowed = {value}"));
        let allow = SetAllowed::allow(1);
        store.write(allow).await.unwrap();
        assert!(store.read(IsAllowed::new(1)).await.unwrap(), "{value}");
    }
}

async fn is_good(store: &Store, secret: &Secret) -> bool {
    let secret = secret.clone();
    store
        .read(VerifyToken::new(secret))
        .await
        .unwrap()
        .is_some()
}

#[tokio::test]
async fn a_token_whose_end_or_state_is_unknown_is_not_good() {
    let store = populated().await;
    alter(&store, "DELETE FROM user_tokens");
    let issue = IssueToken::new(1).expires_in(Duration::from_secs(3_600));
    let secret = store.write(issue).await.unwrap().secret;
    for value in values() {
        alter(
            &store,
            &format!("UPDATE user_tokens SET expires_at = NULL, is_active = {value}"),
        );
        assert_eq!(
            is_good(&store, &secret).await,
            is_one(&store, "is_active", "user_tokens"),
            "{value}"
        );

        alter(
            &store,
            &format!("UPDATE user_tokens SET is_active = 1, expires_at = {value}"),
        );
        let page = botstore::page::PageRequest::default();
        let listed = store
            .read(UserTokens::new(1).page(page))
            .await
            .unwrap()
            .items;
        let good = listed[0].expires_at.is_none_or(|at| at > store.now());
        assert_eq!(is_good(&store, &secret).await, good, "{value}");
        let later = [
            "1773154800",
            "2026",
            "9999",
            "NULL",
            "9223372036854775807",
            "-0.0",
            "9007199254740993",
        ];
        assert!(
            !good || later.iter().any(|at| value.contains(at)),
            "{value} is good"
        );
        store.repair_values(|_| Ok(())).await.unwrap();
        assert_eq!(is_good(&store, &secret).await, good, "{value}, set right");
    }
    for (value, good) in [
        ("'never'", false),
        ("'~'", false),
        ("x'ff'", false),
        ("''", false),
        ("'0'", false),
        ("9e999", false),
        ("1773156599", false),
        ("1773156601", true),
        ("1773156601000", true),
        ("'2026-03-10 15:30:01'", true),
        ("'2026-03-10 16:30:01+02:00'", false),
        ("NULL", true),
    ] {
        alter(
            &store,
            &format!("UPDATE user_tokens SET is_active = 1, expires_at = {value}"),
        );
        assert_eq!(is_good(&store, &secret).await, good, "{value}");
    }
}
