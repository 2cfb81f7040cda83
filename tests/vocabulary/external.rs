//! Users of messengers whose ids are no numbers.

use crate::support::{ADA, Run, changes_nothing, not_answered, refused, survives_json, user};
use botstore::ErrorKind::{Invalid, NoIdsLeft};
use botstore::backup::{self, IfExists, TakeBackup, VerifyOptions};
use botstore::integrity::CheckFile;
use botstore::rusqlite::Connection;
use botstore::sessions::CreateSession;
use botstore::testing::TestStore;
use botstore::users::{
    DeleteUser, EnsureUser, ExternalId, GetExternalId, GetExternalUser, User, Who,
};
use botstore::{MAX_NAME_BYTES, Store, UserId, schema};
use std::collections::BTreeSet;
use tokio::task::JoinSet;

const FIRST: i64 = 1 << 52;
const LAST: i64 = (1 << 53) - 1;

async fn ensured(store: &Store, external_id: &str) -> UserId {
    let ensure = EnsureUser::external("matrix", external_id);
    store.write(ensure).await.expect("a user").user_id
}

async fn found(store: &Store, platform: &str, external_id: &str) -> Option<User> {
    let get = GetExternalUser::new(platform, external_id);
    store.read(get).await.expect("a read")
}

async fn external_id(store: &Store, user_id: impl Into<UserId>) -> Option<ExternalId> {
    let get = GetExternalId::new(user_id);
    store.read(get).await.expect("a read")
}

/// Another program, which looks after no reference.
fn other(store: &Store) -> Connection {
    let conn = Connection::open(store.path()).expect("a connection");
    conn.execute_batch("PRAGMA foreign_keys = OFF")
        .expect("off");
    conn
}

#[tokio::test]
async fn a_user_whose_id_is_no_number_gets_one_and_keeps_it() {
    let store = TestStore::open().await.expect("a store");
    assert_eq!(found(&store, "matrix", "@ada:example.org").await, None);
    let ensure = EnsureUser::external("matrix", "@ada:example.org").username("Ada");
    let ada = store.write(ensure.clone()).await.expect("a user");
    let mut expected = User::new(FIRST, store.now());
    expected.username = Some("Ada".to_owned());
    assert_eq!(ada, expected);
    assert_eq!(changes_nothing(&store, ensure).await, ada);
    // No name leaves the stored one, another replaces it.
    let nameless = EnsureUser::external("matrix", "@ada:example.org");
    assert_eq!(changes_nothing(&store, nameless.clone()).await, ada);
    let renamed = store.write(nameless.username("Ada L.")).await;
    assert_eq!(renamed.expect("a user").username.as_deref(), Some("Ada L."));
    // All other messages go by the number.
    let session = CreateSession::new(ada.user_id, "s", "/srv");
    store.write(session).await.expect("a session");
    let ada = user(&store, FIRST).await;
    assert_eq!(ada.session_count, 1);
    assert_eq!(found(&store, "matrix", "@ada:example.org").await, Some(ada));
    let known = external_id(&store, FIRST).await;
    assert_eq!(known, Some(ExternalId::new("matrix", "@ada:example.org")));
    assert_eq!(external_id(&store, ADA).await, None);
}

#[tokio::test]
async fn users_are_told_apart_to_the_letter_by_messenger_and_id() {
    let store = TestStore::open().await.expect("a store");
    let all = [
        ("matrix", "@ada:example.org"),
        ("matrix", "@Ada:example.org"),
        ("Matrix", "@ada:example.org"),
        ("slack", "@ada:example.org"),
        ("matri", "x@ada:example.org"),
        ("matrix", "@ada:example.org "),
        ("matrix", "@ada:example.org\u{0}"),
        ("matrix", "@\u{e1}"),
        ("matrix", "@a\u{301}"),
        ("matrix", "42"),
        ("matrix", "042"),
        ("matrix", "4.2e1"),
    ];
    for turn in 0..2 {
        for (n, (platform, id)) in (FIRST..).zip(all) {
            let ensure = EnsureUser::external(platform, id);
            let user_id = store.write(ensure).await.expect("a user").user_id;
            assert_eq!(user_id, n, "{platform} {id:?} for the time {turn}");
            let told = external_id(&store, n).await;
            assert_eq!(told, Some(ExternalId::new(platform, id)));
        }
    }
}

#[tokio::test]
async fn two_callers_at_once_get_one_user() {
    let store = TestStore::open().await.expect("a store");
    let mut callers = JoinSet::new();
    for caller in 0..64 {
        let store = Store::clone(&store);
        callers.spawn(async move {
            let id = caller % 4;
            (id, ensured(&store, &format!("@{id}")).await)
        });
    }
    let told: BTreeSet<_> = callers.join_all().await.into_iter().collect();
    assert_eq!(told.len(), 4, "{told:?}");
    let ids: BTreeSet<_> = told.into_iter().map(|(_, user_id)| user_id).collect();
    assert_eq!(ids, (FIRST..FIRST + 4).map(UserId::new).collect());
}

#[tokio::test]
async fn no_id_is_given_that_a_user_has() {
    for taken in [
        &[FIRST][..],
        &[FIRST + 1, FIRST + 3],
        &[FIRST - 1, LAST + 1, i64::MAX, i64::MIN, -1, 0],
        &[LAST],
        &[FIRST, FIRST + 1, LAST],
    ] {
        let store = TestStore::open().await.expect("a store");
        for user_id in taken {
            let ensure = EnsureUser::new(*user_id, "taken");
            store.write(ensure).await.expect("a user");
        }
        let mut given = BTreeSet::new();
        for n in 0..5 {
            let user_id = ensured(&store, &format!("@{n}")).await.get();
            assert!((FIRST..=LAST).contains(&user_id), "{taken:?}: {user_id}");
            assert!(!taken.contains(&user_id), "{taken:?}: {user_id}");
            assert!(given.insert(user_id), "{taken:?}: {user_id} twice");
        }
    }
}

#[tokio::test]
async fn the_id_of_a_user_who_was_deleted_is_never_given_again() {
    let store = TestStore::open().await.expect("a store");
    assert_eq!(ensured(&store, "@ada").await, FIRST);
    assert_eq!(ensured(&store, "@bob").await, FIRST + 1);
    let delete = format!("DELETE FROM users WHERE user_id = {}", FIRST + 1);
    store.write(Run(delete)).await.expect("deleted");
    // What the messenger knows the user by is gone, too.
    assert_eq!(external_id(&store, FIRST + 1).await, None);
    assert_eq!(found(&store, "matrix", "@bob").await, None);
    assert_eq!(ensured(&store, "@eve").await, FIRST + 2);
    assert_eq!(ensured(&store, "@bob").await, FIRST + 3);
    let report = store.read(CheckFile::new()).await.expect("a report");
    assert!(!report.differs(), "{report:?}");
}

#[tokio::test]
async fn whatever_the_counter_of_ids_says_a_free_one_is_given() {
    let store = TestStore::open().await.expect("a store");
    let mut given = BTreeSet::from([ensured(&store, "@first").await.get()]);
    for (n, counter) in [
        "DELETE FROM sqlite_sequence",
        "UPDATE sqlite_sequence SET seq = 'many'",
        "UPDATE sqlite_sequence SET seq = x'ff'",
        "UPDATE sqlite_sequence SET seq = NULL",
        "UPDATE sqlite_sequence SET seq = 1.5e300",
        "UPDATE sqlite_sequence SET seq = -7",
        "UPDATE sqlite_sequence SET seq = 0",
        "UPDATE sqlite_sequence SET seq = 4503599627370495",
        "UPDATE sqlite_sequence SET seq = 9223372036854775807",
        "INSERT INTO sqlite_sequence VALUES ('botstore_external_user', 3)",
    ]
    .into_iter()
    .enumerate()
    {
        other(&store).execute_batch(counter).expect(counter);
        for caller in ["a", "b"] {
            let user_id = ensured(&store, &format!("@{n}{caller}")).await.get();
            assert!((FIRST..=LAST).contains(&user_id), "{counter}: {user_id}");
            assert!(given.insert(user_id), "{counter}: {user_id} twice");
        }
    }
}

#[tokio::test]
async fn an_id_that_was_given_is_not_given_again_when_none_is_left() {
    let store = TestStore::open().await.expect("a store");
    // A bot that gives the ids of this range by itself, from the end.
    for user_id in [LAST - 4, LAST - 3, LAST - 1] {
        let ensure = EnsureUser::new(user_id, "taken");
        store.write(ensure).await.expect("a user");
    }
    let conn = other(&store);
    let counter = format!(
        "INSERT INTO sqlite_sequence VALUES ('botstore_external_user', {})",
        LAST - 6
    );
    conn.execute_batch(&counter).expect("a counter");
    for expected in [LAST - 5, LAST - 2, LAST] {
        let name = format!("@{expected}");
        assert_eq!(ensured(&store, &name).await, expected);
        // With her row goes all that tells that she had it, but for the counter.
        let gone = store.write(DeleteUser::new(expected)).await;
        gone.expect("forgotten");
    }
    for _ in 0..2 {
        let none = EnsureUser::external("matrix", "@eve");
        let error = store.write(none).await.expect_err("none is left");
        assert_eq!(error.kind(), NoIdsLeft, "{error}");
        assert!(error.to_string().contains("2^53"), "{error}");
    }
    // Who has one is found, and whoever comes with a number comes in.
    assert_eq!(found(&store, "matrix", "@eve").await, None);
    store
        .write(EnsureUser::new(42, None))
        .await
        .expect("a user");
}

/// Also where a bot has given the last one by itself.
#[tokio::test]
async fn behind_many_ids_that_are_taken_the_next_free_one_is_given_and_none_of_old() {
    let store = TestStore::open().await.expect("a store");
    let (ada, taken) = (ensured(&store, "@ada").await.get(), 20_000);
    let gone = store.write(DeleteUser::new(ada)).await;
    gone.expect("forgotten");
    store
        .write(EnsureUser::new(LAST, "last"))
        .await
        .expect("a user");
    let conn = other(&store);
    conn.execute_batch(&format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {taken})
         INSERT INTO users (user_id) SELECT {ada} + i FROM n;
         DELETE FROM users WHERE user_id = {ada} + 700;
         INSERT INTO botstore_external_user VALUES ({ada} + 700, 'matrix', '@nobody');
         UPDATE sqlite_sequence SET seq = {ada} WHERE name = 'botstore_external_user';"
    ))
    .expect("rows");
    assert_eq!(ensured(&store, "@bob").await, ada + taken + 1);
    assert_eq!(ensured(&store, "@eve").await, ada + taken + 2);
}

#[tokio::test]
async fn what_another_program_does_to_such_users_fails_nothing() {
    let store = TestStore::open().await.expect("a store");
    let ada = ensured(&store, "@ada").await;
    let conn = other(&store);
    // Deletes the user, and leaves what the messenger knows her by.
    conn.execute("DELETE FROM users", []).expect("deleted");
    assert_eq!(found(&store, "matrix", "@ada").await, None);
    let report = store.read(CheckFile::new()).await.expect("a report");
    assert_eq!(report.orphans.total, 1, "{report:?}");
    // Her id is hers still: it goes to nobody else, and she gets it again.
    conn.execute("DELETE FROM sqlite_sequence", [])
        .expect("deleted");
    assert_eq!(ensured(&store, "@bob").await, FIRST + 1);
    assert_eq!(ensured(&store, "@ada").await, ada);
    // Texts that are none, and an id that the store would not give.
    conn.execute_batch(
        "INSERT INTO users (user_id) VALUES (5), (6), (7);
         INSERT INTO botstore_external_user VALUES (5, x'ff00', x'40616461'), (6, CAST(x'ff' AS TEXT), ''),
                                                   (7, 1.5, 42), (8, 'matrix', '@nobody')",
    )
    .expect("odd rows");
    assert_eq!(found(&store, "matrix", "@nobody").await, None);
    assert_eq!(found(&store, "1.5", "42").await.expect("one").user_id, 7);
    assert_eq!(ensured(&store, "@nobody").await, 8);
    let odd = external_id(&store, 6).await.expect("an id");
    assert_eq!(
        (odd.platform.as_str(), odd.external_id.as_str()),
        ("\u{fffd}", "")
    );
    assert!(external_id(&store, 5).await.is_some());
    let report = store.read(CheckFile::new()).await.expect("a report");
    let odd = report.odd_values.first.iter();
    let odd: BTreeSet<_> = odd.map(|odd| (odd.row, odd.column.as_str())).collect();
    let expected = [(5, "external_id"), (5, "platform"), (6, "platform")];
    assert_eq!(odd, BTreeSet::from(expected), "{report:?}");
    assert!(
        report
            .odd_values
            .first
            .iter()
            .all(|odd| odd.becomes.is_none())
    );
}

#[tokio::test]
async fn a_name_that_is_empty_or_too_long_is_refused_by_its_field() {
    let store = TestStore::open().await.expect("a store");
    let long = "x".repeat(MAX_NAME_BYTES + 1);
    let full = "x".repeat(MAX_NAME_BYTES);
    for wrong in ["", long.as_str()] {
        let platform = EnsureUser::external(wrong, "@ada");
        refused(&store, platform, Invalid, "platform").await;
        let id = EnsureUser::external("matrix", wrong);
        refused(&store, id, Invalid, "external_id").await;
    }
    let name = EnsureUser::external("matrix", "@ada").username(long.clone());
    refused(&store, name, Invalid, "username").await;
    not_answered(
        &store,
        GetExternalUser::new(long.as_str(), "@ada"),
        "platform",
    )
    .await;
    not_answered(&store, GetExternalUser::new("matrix", long), "external_id").await;
    let longest = EnsureUser::external(full.as_str(), full.as_str());
    let longest = store.write(longest).await.expect("a user");
    assert_eq!(found(&store, &full, &full).await, Some(longest));
}

#[tokio::test]
async fn a_restored_file_and_one_that_went_back_a_step_give_no_id_twice() {
    let store = TestStore::open().await.expect("a store");
    let (ada, bob) = (ensured(&store, "@ada").await, ensured(&store, "@bob").await);
    let (folder, path) = store.into_file().await.expect("a file");
    let taken = backup::take(&path, TakeBackup::default()).expect("a backup");
    let aside = folder.path().join("restored.db");
    let reading = VerifyOptions::default();
    backup::restore(&aside, &taken.path, IfExists::Refuse, reading).expect("restored");
    let restored = Store::open(&aside).await.expect("a store");
    assert_eq!(ensured(&restored, "@bob").await, bob);
    assert_eq!(ensured(&restored, "@ada").await, ada);
    assert_eq!(ensured(&restored, "@eve").await, FIRST + 2);
    restored.close().await.expect("closed");
    // The table goes with its step, the users stay.
    schema::rollback(&path, "botstore", 9).expect("rolled back");
    let store = Store::open(&path).await.expect("a store");
    assert_eq!(found(&store, "matrix", "@ada").await, None);
    assert_eq!(ensured(&store, "@eve").await, FIRST + 2);
    store.close().await.expect("closed");
}

#[tokio::test]
async fn such_users_and_their_messages_survive_json() {
    survives_json(&EnsureUser::external("matrix", "@ada:example.org").username("Ada"));
    survives_json(&GetExternalUser::new("matrix", "@ada:example.org"));
    survives_json(&GetExternalId::new(FIRST));
    survives_json(&Who::UserId(42.into()));
    survives_json(&ExternalId::new("slack/T024BE7LD", "U0G9QF9C6"));
}
