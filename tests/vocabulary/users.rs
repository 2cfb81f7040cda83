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
    let expected = {
        let mut new = User::new(ADA, store.now());
        new.username = Some("ada".to_owned());
        new
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
    let expected = {
        let mut new = before;
        new.username = Some("Ada L.".to_owned());
        new
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
    let set = |allowed| {
        if allowed {
            SetAllowed::allow(ADA)
        } else {
            SetAllowed::forbid(ADA)
        }
    };
    let is_allowed = async |user_id| store.read(IsAllowed::new(user_id)).await.expect("a read");
    assert!(!is_allowed(ADA).await);
    store.write(set(true)).await.expect("a change");
    assert!(is_allowed(ADA).await && !is_allowed(BOB).await);
    let expected = {
        let mut new = before.clone();
        new.is_allowed = true;
        new
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
    store.write(Touch::new(ADA)).await.expect("a touch");
    let expected = {
        let mut new = before;
        new.last_active += HOUR;
        new
    };
    assert_eq!(user(&store, ADA).await, expected);
    assert_eq!(user(&store, BOB).await, bob);
}

#[tokio::test]
async fn nothing_is_said_about_an_unknown_user() {
    let store = populated().await;
    let user_id = STRANGER;
    for allowed in [true, false] {
        let set = if allowed {
            SetAllowed::allow(user_id)
        } else {
            SetAllowed::forbid(user_id)
        };
        let error = refused(&store, set, NotFound, "user_id").await;
        let sentence = "SetAllowed: there is no user 404 (not found)";
        assert_eq!(error.to_string(), sentence);
    }
    refused(&store, Touch::new(user_id), NotFound, "user_id").await;
    assert_eq!(
        store.read(GetUser::new(user_id)).await.expect("a read"),
        None
    );
    assert!(!store.read(IsAllowed::new(user_id)).await.expect("a read"));
}

#[tokio::test]
async fn all_users_are_listed_page_by_page_in_a_total_order() {
    let store = TestStore::open().await.expect("a store");
    fill(&store, USERS, "i - 500, NULL, at, at, i % 2, 0.0, 0, 0").await;
    keeps_the_promises_of_a_list(
        &store,
        |page| ListUsers::new().page(page),
        |user| (user.first_seen, user.user_id),
        async || {
            let new = EnsureUser::new(-1_000_000, None);
            store.write(new).await.expect("a user");
        },
    )
    .await;
    // Doing something does not move a user in the list.
    let first = async || {
        let list = ListUsers::new().page(PageRequest::first(1));
        store.read(list).await.expect("a page").items[0].user_id
    };
    let before = first().await;
    store.clock().advance(HOUR);
    store.write(Touch::new(0)).await.expect("a touch");
    assert_eq!(first().await, before);
}

#[tokio::test]
async fn users_who_may_use_the_bot_are_listed_page_by_page_and_nobody_else() {
    let store = TestStore::open().await.expect("a store");
    fill(&store, USERS, "i, 'may', at, at, 1, 0.0, 0, 0").await;
    fill(&store, USERS, "-i, 'may not', at, at, 0, 0.0, 0, 0").await;
    keeps_the_promises_of_a_list(
        &store,
        |page| AllowedUsers::new().page(page),
        |user| (user.first_seen, user.user_id),
        async || {
            let new = EnsureUser::new(1_000_000, None);
            let user_id = store.write(new).await.expect("a user").user_id;
            let set = SetAllowed::allow(user_id);
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
    survives_json(&SetAllowed::allow(ADA));
    survives_json(&Touch::new(ADA));
    survives_json(&GetUser::new(ADA));
    survives_json(&IsAllowed::new(ADA));
    let page = PageRequest::first(7).after("1773156600000000.42".parse().expect("a cursor"));
    survives_json(&AllowedUsers::new().page(page.clone()));
    survives_json(&ListUsers::new().page(page));
    // A caller may leave out what a page has a default for.
    let list: ListUsers = serde_json::from_str(r#"{"page":{}}"#).expect("a message");
    assert_eq!(list, ListUsers::default());
}
