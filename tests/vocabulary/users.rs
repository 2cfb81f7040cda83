use crate::support::{
    ADA, BOB, HOUR, ROWS, STRANGER, changes_nothing, fill, keeps_the_promises_of_a_list, picture,
    populated, refused, survives_json, user,
};
use botstore::ErrorKind::NotFound;
use botstore::page::PageRequest;
use botstore::testing::TestStore;
use botstore::users::{
    AllowedUsers, EnsureUser, GetUser, IsAllowed, ListUsers, SetAllowed, Touch, User,
};

/// The columns that [`fill`] needs for users; the values follow in the same order.
const USERS: &str = "users (user_id, telegram_username, first_seen, last_active, is_allowed,
                            total_cost, message_count, session_count)";

#[tokio::test]
async fn a_new_user_may_not_use_the_bot_and_has_done_nothing() {
    let store = TestStore::open().await.expect("a store");
    let ada = store.write(EnsureUser::new(ADA, Some("ada"))).await;
    let expected = User {
        user_id: ADA,
        username: Some("ada".to_owned()),
        first_seen: store.now(),
        last_active: store.now(),
        is_allowed: false,
        total_cost: 0.0,
        message_count: 0,
        session_count: 0,
    };
    assert_eq!(ada.expect("a user"), expected);
    assert_eq!(user(&store, ADA).await, expected);
    let nameless = store.write(EnsureUser::new(-100, None)).await;
    assert_eq!(nameless.expect("a group").username, None);
    assert_eq!(user(&store, -100).await.user_id, -100);
}

#[tokio::test]
async fn ensuring_a_user_again_changes_nothing() {
    let store = populated().await;
    let before = user(&store, ADA).await;
    store.clock().advance(HOUR);
    let again = changes_nothing(&store, EnsureUser::new(ADA, Some("ada"))).await;
    assert_eq!(again, before);
}

#[tokio::test]
async fn another_name_replaces_the_stored_one_and_no_name_keeps_it() {
    let store = populated().await;
    let before = user(&store, ADA).await;
    store.clock().advance(HOUR);
    let renamed = store.write(EnsureUser::new(ADA, Some("Ada L."))).await;
    let expected = User {
        username: Some("Ada L.".to_owned()),
        ..before
    };
    assert_eq!(renamed.expect("a user"), expected);
    let kept = changes_nothing(&store, EnsureUser::new(ADA, None)).await;
    assert_eq!(kept, expected);
    assert_eq!(user(&store, BOB).await.username.as_deref(), Some("bob"));
    // A name that comes later is taken too.
    let late = EnsureUser::new(7, None);
    store.write(late).await.expect("a user");
    let late = store.write(EnsureUser::new(7, Some("grace"))).await;
    assert_eq!(late.expect("a user").username.as_deref(), Some("grace"));
}

#[tokio::test]
async fn who_may_use_the_bot_is_set_and_taken_back() {
    let store = populated().await;
    let before = user(&store, ADA).await;
    let set = |allowed| SetAllowed {
        user_id: ADA,
        allowed,
    };
    let is_allowed = async |user_id| store.read(IsAllowed { user_id }).await.expect("a read");
    assert!(!is_allowed(ADA).await);
    store.write(set(true)).await.expect("a change");
    assert!(is_allowed(ADA).await && !is_allowed(BOB).await);
    let expected = User {
        is_allowed: true,
        ..before.clone()
    };
    assert_eq!(user(&store, ADA).await, expected);
    changes_nothing(&store, set(true)).await;
    store.write(set(false)).await.expect("a change");
    assert_eq!(user(&store, ADA).await, before);
    assert!(!is_allowed(ADA).await);
}

#[tokio::test]
async fn a_touch_moves_the_time_of_last_activity_and_nothing_else() {
    let store = populated().await;
    let (before, bob) = (user(&store, ADA).await, user(&store, BOB).await);
    store.clock().advance(HOUR);
    store.write(Touch { user_id: ADA }).await.expect("a touch");
    let expected = User {
        last_active: before.last_active + HOUR,
        ..before
    };
    assert_eq!(user(&store, ADA).await, expected);
    assert_eq!(user(&store, BOB).await, bob);
}

#[tokio::test]
async fn nothing_is_said_about_an_unknown_user() {
    let store = populated().await;
    let user_id = STRANGER;
    for allowed in [true, false] {
        let set = SetAllowed { user_id, allowed };
        let error = refused(&store, set, NotFound, "user_id").await;
        let sentence = "SetAllowed: there is no user 404 (not found)";
        assert_eq!(error.to_string(), sentence);
    }
    refused(&store, Touch { user_id }, NotFound, "user_id").await;
    assert_eq!(store.read(GetUser { user_id }).await.expect("a read"), None);
    assert!(!store.read(IsAllowed { user_id }).await.expect("a read"));
}

#[tokio::test]
async fn all_users_are_listed_page_by_page_in_a_total_order() {
    let store = TestStore::open().await.expect("a store");
    fill(&store, USERS, "i - 500, NULL, at, at, i % 2, 0.0, 0, 0").await;
    keeps_the_promises_of_a_list(
        &store,
        |page| ListUsers { page },
        |user| (user.first_seen, user.user_id),
        async || {
            let new = EnsureUser::new(-1_000_000, None);
            store.write(new).await.expect("a user");
        },
    )
    .await;
    // Doing something does not move a user in the list.
    let first = async || {
        let list = ListUsers {
            page: PageRequest::first(1),
        };
        store.read(list).await.expect("a page").items[0].user_id
    };
    let before = first().await;
    store.clock().advance(HOUR);
    store.write(Touch { user_id: 0 }).await.expect("a touch");
    assert_eq!(first().await, before);
}

#[tokio::test]
async fn users_who_may_use_the_bot_are_listed_page_by_page_and_nobody_else() {
    let store = TestStore::open().await.expect("a store");
    fill(&store, USERS, "i, 'may', at, at, 1, 0.0, 0, 0").await;
    fill(&store, USERS, "-i, 'may not', at, at, 0, 0.0, 0, 0").await;
    keeps_the_promises_of_a_list(
        &store,
        |page| AllowedUsers { page },
        |user| (user.first_seen, user.user_id),
        async || {
            let new = EnsureUser::new(1_000_000, None);
            let user_id = store.write(new).await.expect("a user").user_id;
            let set = SetAllowed {
                user_id,
                allowed: true,
            };
            store.write(set).await.expect("a change");
        },
    )
    .await;
    assert_eq!(picture(&store).await["users"].len(), 2 * ROWS + 1);
}

#[tokio::test]
async fn users_and_their_messages_survive_json() {
    let store = populated().await;
    survives_json(&user(&store, ADA).await);
    survives_json(&EnsureUser::new(ADA, Some("ada")));
    survives_json(&EnsureUser::new(i64::MIN, None));
    survives_json(&SetAllowed {
        user_id: ADA,
        allowed: true,
    });
    survives_json(&Touch { user_id: ADA });
    survives_json(&GetUser { user_id: ADA });
    survives_json(&IsAllowed { user_id: ADA });
    let page = PageRequest::first(7).after("1773156600000000.42".parse().expect("a cursor"));
    survives_json(&AllowedUsers { page: page.clone() });
    survives_json(&ListUsers { page });
    // A caller may leave out what a page has a default for.
    let list: ListUsers = serde_json::from_str(r#"{"page":{}}"#).expect("a message");
    assert_eq!(list, ListUsers::default());
}
