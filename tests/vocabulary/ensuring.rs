//! Users and sessions that are made where there are none.

use crate::support::{
    ADA, BOB, DAY, HOUR, STRANGER, changes_nothing, create_session, picture, populated, refused,
    survives_json, user,
};
use botstore::ErrorKind::{Conflict, Invalid, NotFound};
use botstore::interactions::SaveInteraction;
use botstore::messages::SaveMessage;
use botstore::sessions::{EndSession, EnsureSession, ExpireIdle, GetSession, IntoEnded, Session};
use botstore::testing::{TestStore, usd};
use botstore::tools::ToolCall;
use botstore::users::EnsureUser;
use botstore::{Mutation, Result, WriteTx};

fn ensure(user_id: i64, session_id: &str) -> EnsureSession {
    EnsureSession::new(user_id, session_id, "/srv/other")
}

async fn session(store: &TestStore, user_id: i64, session_id: &str) -> Session {
    let ask = GetSession::new(user_id, session_id);
    store
        .read(ask)
        .await
        .expect("a read")
        .expect("there is such a session")
}

/// Both messages that may make what is missing, of one content.
#[derive(Clone)]
enum Save {
    Interaction(Box<SaveInteraction>),
    Message(SaveMessage),
}

impl Save {
    fn both(
        user_id: i64,
        session_id: &str,
        with: impl Fn(SaveInteraction) -> SaveInteraction,
    ) -> [Self; 2] {
        let new = SaveInteraction::new(user_id, session_id, "Hello").cost(usd(0.25));
        let new = with(new);
        let mut message = SaveMessage::new(user_id, session_id, "Hello").cost(usd(0.25));
        message.creating = new.creating.clone();
        message.username = new.username.clone();
        message.into_ended = new.into_ended;
        [Self::Interaction(Box::new(new)), Self::Message(message)]
    }

    async fn refused(self, store: &TestStore, kind: botstore::ErrorKind, field: &str) {
        match self {
            Self::Interaction(save) => refused(store, *save, kind, field).await,
            Self::Message(save) => refused(store, save, kind, field).await,
        };
    }
}

impl Mutation for Save {
    type Output = ();

    fn apply(&self, tx: &WriteTx<'_>) -> Result<()> {
        match self {
            Self::Interaction(save) => tx.apply(&**save).map(|_| ()),
            Self::Message(save) => tx.apply(save).map(|_| ()),
        }
    }
}

#[tokio::test]
async fn a_session_that_is_ensured_is_begun_once_and_counted_once() {
    let store = populated().await;
    store.clock().advance(HOUR);
    let begun = store.write(ensure(ADA, "ada-2")).await.expect("a session");
    let expected = Session::new(ADA, "ada-2", "/srv/other", store.now());
    assert_eq!(begun, expected);
    assert_eq!(user(&store, ADA).await.session_count, 2);
    store.clock().advance(HOUR);
    assert_eq!(changes_nothing(&store, ensure(ADA, "ada-2")).await, begun);
    // One that is there keeps its project.
    let there = changes_nothing(&store, ensure(ADA, "ada-1")).await;
    assert_eq!(there.project_path, "/srv/project");
    survives_json(&ensure(ADA, "ada-2"));
}

#[tokio::test]
async fn a_session_that_has_ended_is_ensured_as_it_is() {
    let store = populated().await;
    let end = EndSession::new(ADA, "ada-1");
    store.write(end).await.expect("an end");
    assert!(
        !changes_nothing(&store, ensure(ADA, "ada-1"))
            .await
            .is_active
    );
    store.clock().advance(DAY);
    let expire = ExpireIdle::new(HOUR);
    assert_eq!(store.write(expire).await.expect("a sweep"), 1);
    assert!(
        !changes_nothing(&store, ensure(BOB, "bob-1"))
            .await
            .is_active
    );
}

#[tokio::test]
async fn what_cannot_be_ensured_changes_nothing() {
    let store = populated().await;
    refused(&store, ensure(STRANGER, "new"), NotFound, "user_id").await;
    refused(&store, ensure(ADA, "bob-1"), NotFound, "session_id").await;
    refused(&store, ensure(ADA, ""), Invalid, "session_id").await;
    let nowhere = EnsureSession::new(ADA, "new", "");
    refused(&store, nowhere, Invalid, "project_path").await;
    let endless = ensure(ADA, &"s".repeat(4_097));
    refused(&store, endless, Invalid, "session_id").await;
}

#[tokio::test]
async fn a_message_makes_the_user_and_the_session_that_it_needs_and_counts_them_once() {
    for (save, number) in Save::both(7, "new", |new| new.creating("/srv").username("gus"))
        .into_iter()
        .zip(1..)
    {
        let store = populated().await;
        store.clock().advance(HOUR);
        store.write(save.clone()).await.expect("a receipt");
        let made = user(&store, 7).await;
        assert_eq!(made.username.as_deref(), Some("gus"), "{number}");
        assert_eq!(made.first_seen, store.now());
        assert!(!made.is_allowed, "nobody has let them in");
        let counted = (made.session_count, made.message_count, made.total_cost);
        assert_eq!(counted, (1, 1, usd(0.25)));
        let begun = session(&store, 7, "new").await;
        let counted = (begun.message_count, begun.total_cost, begun.is_active);
        assert_eq!(counted, (1, usd(0.25), true));
        assert_eq!(begun.project_path, "/srv");
        store.write(save).await.expect("a receipt");
        let made = user(&store, 7).await;
        assert_eq!((made.session_count, made.message_count), (1, 2));
    }
}

#[tokio::test]
async fn a_message_makes_what_ensuring_both_before_it_makes() {
    let pictures = async |by_hand: bool, user_id: i64| {
        let store = populated().await;
        store.clock().advance(HOUR);
        let mut save = SaveInteraction::new(user_id, "new", "Hello")
            .cost(usd(0.5))
            .tool(ToolCall::new("LS"))
            .idempotency_key("k");
        if by_hand {
            let user = EnsureUser::new(user_id, "gus");
            store.write(user).await.expect("a user");
            let session = EnsureSession::new(user_id, "new", "/srv");
            store.write(session).await.expect("a session");
        } else {
            save = save.creating("/srv").username("gus");
        }
        store.write(save).await.expect("a receipt");
        picture(&store).await
    };
    // Somebody new, and somebody with another name.
    for user_id in [7, ADA] {
        let mut expected = pictures(true, user_id).await;
        let mut found = pictures(false, user_id).await;
        // Files have numbers of their own.
        for own in ["botstore_store", "botstore_ledger"] {
            assert!(expected.remove(own).is_some() && found.remove(own).is_some());
        }
        assert_eq!(found, expected);
    }
}

#[tokio::test]
async fn a_name_replaces_the_stored_one_wherever_the_session_is_from() {
    let store = populated().await;
    for save in Save::both(ADA, "ada-1", |new| new.username("Ada L.")) {
        store.write(save).await.expect("a receipt");
        assert_eq!(user(&store, ADA).await.username.as_deref(), Some("Ada L."));
        store.write(EnsureUser::new(ADA, "ada")).await.expect("ada");
    }
    for save in Save::both(ADA, "ada-1", |new| new.creating("/")) {
        store.write(save).await.expect("a receipt");
        assert_eq!(user(&store, ADA).await.username.as_deref(), Some("ada"));
    }
    let kept = session(&store, ADA, "ada-1").await;
    assert_eq!(kept.project_path, "/srv/project");
}

#[tokio::test]
async fn a_message_that_is_refused_makes_nobody() {
    let store = populated().await;
    let creating = |user_id, session_id| {
        Save::both(user_id, session_id, |new| new.creating("/").username("gus"))
    };
    for user_id in [STRANGER, ADA] {
        for save in creating(user_id, "bob-1") {
            save.refused(&store, NotFound, "session_id").await;
        }
        for save in creating(user_id, "") {
            save.refused(&store, Invalid, "session_id").await;
        }
        for save in Save::both(user_id, "ada-1", |new| new.creating("")) {
            save.refused(&store, Invalid, "creating").await;
        }
        for save in Save::both(user_id, "new", |new| {
            new.creating("/").username("g".repeat(4_097))
        }) {
            save.refused(&store, Invalid, "username").await;
        }
    }
    // Without being asked to, neither makes anybody.
    for save in Save::both(STRANGER, "new", |new| new.username("gus")) {
        save.refused(&store, NotFound, "user_id").await;
    }
    for save in Save::both(ADA, "new", |new| new) {
        save.refused(&store, NotFound, "session_id").await;
    }
}

#[tokio::test]
async fn a_message_into_an_ended_session_is_refused_if_it_says_so_and_revives_it_if_not() {
    for creating in [None, Some("/srv")] {
        let store = populated().await;
        let with = |into_ended| {
            move |mut new: SaveInteraction| {
                new.creating = creating.map(str::to_owned);
                new.into_ended(into_ended)
            }
        };
        let refuse = || Save::both(ADA, "ada-1", with(IntoEnded::Refuse));
        // One that goes on takes both.
        for save in refuse() {
            store.write(save).await.expect("a receipt");
        }
        for ended in 0..2 {
            match ended {
                0 => store
                    .write(EndSession::new(ADA, "ada-1"))
                    .await
                    .expect("an end"),
                _ => {
                    store.clock().advance(DAY);
                    store.write(ExpireIdle::new(HOUR)).await.expect("a sweep");
                }
            }
            for save in refuse() {
                save.refused(&store, Conflict, "session_id").await;
            }
            for save in Save::both(ADA, "ada-1", with(IntoEnded::Revive)) {
                store.write(save).await.expect("a receipt");
                assert!(session(&store, ADA, "ada-1").await.is_active);
            }
        }
        // What is not there, or another's, is not told to have ended.
        store
            .write(EndSession::new(BOB, "bob-1"))
            .await
            .expect("an end");
        for save in Save::both(ADA, "bob-1", with(IntoEnded::Refuse)) {
            save.refused(&store, NotFound, "session_id").await;
        }
    }
}

#[tokio::test]
async fn a_session_whose_state_nobody_can_read_has_ended() {
    for odd in ["NULL", "2", "'yes'", "x'01'", "0.5"] {
        let store = populated().await;
        create_session(&store, ADA, "odd").await;
        store
            .write(Sql(format!(
                "UPDATE sessions SET is_active = {odd} WHERE session_id = 'odd'"
            )))
            .await
            .expect("an odd value");
        for save in Save::both(ADA, "odd", |new| new.into_ended(IntoEnded::Refuse)) {
            save.refused(&store, Conflict, "session_id").await;
        }
        for save in Save::both(ADA, "odd", |new| new) {
            store.write(save).await.expect("a receipt");
        }
    }
}

/// Whatever another program may write.
struct Sql(String);

impl Mutation for Sql {
    type Output = usize;

    fn apply(&self, tx: &WriteTx<'_>) -> Result<usize> {
        tx.execute(&self.0, [])
    }
}
