//! Who speaks in a group joins it with the message.

use super::*;

#[tokio::test]
async fn whoever_speaks_in_a_group_joins_it_with_the_message_or_not_at_all() {
    let store = shared().await;
    let said =
        |user_id| SaveInteraction::new(user_id, "ada-1", "Hello").idempotency_key("update-1");
    refused(&store, said(EVE), NotFound, "session_id").await;
    // The session must be this owner's, for a member and the owner too.
    for owner in [BOB, EVE, STRANGER] {
        for user_id in [ADA, BOB, EVE] {
            let said = said(user_id).joining(owner);
            refused(&store, said.clone(), NotFound, "session_id").await;
            refused(&store, said.creating("/srv"), NotFound, "session_id").await;
        }
    }
    let nobody = said(STRANGER).joining(ADA);
    refused(&store, nobody, NotFound, "user_id").await;
    let wrong = said(EVE).joining(ADA).cost(usd(-1.0));
    refused(&store, wrong, Invalid, "cost").await;
    let nameless = SaveInteraction::new(EVE, "", "Hello").joining(ADA);
    refused(&store, nameless, Invalid, "session_id").await;
    let receipt = store.write(said(EVE).joining(ADA)).await;
    assert_eq!(receipt.expect("a receipt").message_id, 1);
    assert_eq!(members(&store, EVE, "ada-1").await, [EVE, BOB]);
    changes_nothing(&store, said(EVE).joining(ADA)).await;
    // Members, and the owner, go on joining.
    for user_id in [BOB, EVE, ADA] {
        store.clock().advance(HOUR);
        let more = SaveInteraction::new(user_id, "ada-1", "More").joining(ADA);
        store.write(more).await.expect("a receipt");
    }
    assert_eq!(members(&store, EVE, "ada-1").await, [EVE, BOB]);
    let page = store.read(SessionMembers::new(ADA, "ada-1")).await;
    let expected = Member::new(EVE, store.now() - HOUR * 3);
    assert_eq!(page.expect("a page").items[0], expected);
}

#[tokio::test]
async fn nobody_is_made_again_who_goes_on_speaking_in_a_group() {
    const GROUP: i64 = -100;
    let store = populated().await;
    let said = |user_id| {
        let said = SaveInteraction::new(user_id, "group", "Hello").creating("Team");
        said.joining(GROUP)
    };
    for user_id in [ADA, BOB, GROUP] {
        store.write(said(user_id)).await.expect("a receipt");
    }
    // Fired before SQLite finds out that the row is there.
    let other = Connection::open(store.path()).expect("a connection");
    other
        .execute_batch(
            "CREATE TABLE tried (what TEXT);
             CREATE TRIGGER tried_user BEFORE INSERT ON users
             BEGIN INSERT INTO tried VALUES ('a user'); END;
             CREATE TRIGGER tried_member BEFORE INSERT ON botstore_session_member
             BEGIN INSERT INTO tried VALUES ('a member'); END;
             CREATE TRIGGER tried_session BEFORE INSERT ON sessions
             BEGIN INSERT INTO tried VALUES ('a session'); END;",
        )
        .expect("triggers");
    let tried = || -> Vec<String> {
        let mut tried = other.prepare("SELECT what FROM tried").expect("a table");
        let tried = tried.query_map([], |row| row.get(0)).expect("rows");
        tried.map(|what| what.expect("a text")).collect()
    };
    for user_id in [ADA, BOB, GROUP, ADA] {
        store.write(said(user_id)).await.expect("a receipt");
    }
    assert!(tried().is_empty(), "{:?}", tried());
    // Who is not there is made: this shows that the triggers fire.
    store.write(said(EVE)).await.expect("a receipt");
    assert_eq!(tried(), ["a user", "a member"]);
    assert_eq!(members(&store, ADA, "group").await, [EVE, BOB, ADA]);
}

#[tokio::test]
async fn who_speaks_in_a_session_is_made_if_another_program_has_removed_only_the_user() {
    for (user_id, owner) in [(BOB, None), (BOB, Some(ADA)), (ADA, None), (ADA, Some(ADA))] {
        let store = shared().await;
        let other = Connection::open(store.path()).expect("a connection");
        other
            .execute_batch(&format!(
                "PRAGMA foreign_keys = OFF; DELETE FROM users WHERE user_id = {user_id}"
            ))
            .expect("deleted");
        let said = SaveInteraction::new(user_id, "ada-1", "Hello");
        let said = match owner {
            None => said,
            Some(owner) => said.joining(owner),
        };
        refused(&store, said.clone(), NotFound, "user_id").await;
        let receipt = store.write(said.creating("/srv")).await;
        receipt.expect("a receipt");
        assert_eq!(user(&store, user_id).await.message_count, 1);
        assert!(may_read(&store, user_id, "ada-1").await);
    }
}

#[tokio::test]
async fn history_of_a_user_whom_another_program_has_removed_says_when_the_user_was_there() {
    let store = shared().await;
    let other = Connection::open(store.path()).expect("a connection");
    other
        .execute_batch("PRAGMA foreign_keys = OFF; DELETE FROM users WHERE user_id = 1")
        .expect("deleted");
    let said = SaveInteraction::new(ADA, "ada-1", "Hello").creating("/srv");
    let at = botstore::time::Clock::now(store.clock());
    store.write(said.at(at)).await.expect("a receipt");
    let sql =
        "SELECT last_active IS NOT NULL AND last_active = first_seen FROM users WHERE user_id = 1";
    let is_known: bool = other.query_row(sql, [], |row| row.get(0)).expect("a user");
    assert!(is_known);
}
