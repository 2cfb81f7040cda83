//! Messages, sessions and users that go: with all that hangs on them, and as if they had never been there.

mod pieces;

use crate::support::{
    ADA, BOB, DAY, Picture, Run, STRANGER, create_session, picture, populated, refused,
    show_the_same, survives_json, user,
};
use botstore::ErrorKind::{Conflict, NotFound};
use botstore::Store;
use botstore::audit::{LogEvent, UserAuditLog};
use botstore::costs::AddCost;
use botstore::integrity::{CheckFile, CheckReport};
use botstore::interactions::SaveInteraction;
use botstore::messages::{
    Attachment, DeleteMessage, GetMessage, RateMessage, Rating, SessionMessages,
};
use botstore::metadata::SetMetadata;
use botstore::rollups::ReconcileRollups;
use botstore::schema::{Migration, Schema};
use botstore::sessions::{DeleteSession, GetSession, ShareSession};
use botstore::testing::{TestStore, usd};
use botstore::tokens::{IssueToken, VerifyToken};
use botstore::tools::{RecordToolUse, ToolCall};
use botstore::usage::{SystemPrompt, Usage};
use botstore::users::{DeleteUser, EnsureUser, GetUser, IsAllowed, SetAllowed};

async fn agrees(store: &Store) {
    let report = store.read(ReconcileRollups::new()).await.expect("a report");
    assert_eq!(report.differences, 0, "{:#?}", report.named);
    let report = store.read(CheckFile::new()).await.expect("a report");
    assert_eq!(report, CheckReport::default());
}

async fn say(store: &Store, user_id: i64, session_id: &str, tools: &[&str]) -> i64 {
    let mut save = SaveInteraction::new(user_id, session_id, "Hello")
        .cost(usd(0.1))
        .duration_ms(5);
    for tool in tools {
        save = save.tool(ToolCall::new(*tool));
    }
    store.write(save).await.expect("saved").message_id.get()
}

/// What counts, without what a deletion leaves by intent: audit rows, the ids that were given, and the times at which
/// somebody was last there.
fn counted(picture: Picture) -> Picture {
    let mut counted = picture;
    let of_last_use = ["audit_log", "sqlite_sequence", "botstore_session_recent"];
    counted.retain(|table, _| !of_last_use.contains(&&**table));
    for (table, column) in [("users", 3), ("sessions", 4), ("cost_tracking", 0)] {
        let rows = counted.get_mut(table).expect("a table");
        for row in &mut *rows {
            row.remove(column);
        }
        rows.sort_by_key(|row| format!("{row:?}"));
    }
    counted
}

/// A history over three days: all of it, or without some of its parts.
async fn lived(with: impl Fn(usize) -> bool) -> (TestStore, Vec<Option<i64>>) {
    let store = populated().await;
    create_session(&store, ADA, "ada-2").await;
    let parts: [(i64, &str, &[&str]); 9] = [
        (ADA, "ada-1", &["Read", "Bash"]),
        (ADA, "ada-1", &[]),
        (BOB, "bob-1", &["Read"]),
        (ADA, "ada-2", &["Grep"]),
        (ADA, "ada-1", &["Read"]),
        (BOB, "bob-1", &[]),
        (ADA, "ada-2", &["Read"]),
        (BOB, "bob-1", &["Bash"]),
        (ADA, "ada-1", &["Grep", "Grep"]),
    ];
    let mut ids = Vec::new();
    for (at, (user_id, session_id, tools)) in parts.into_iter().enumerate() {
        if at % 3 == 0 {
            store.clock().advance(DAY);
        }
        ids.push(match with(at) {
            true => Some(say(&store, user_id, session_id, tools).await),
            false => None,
        });
    }
    store.clock().advance(DAY);
    (store, ids)
}

/// The same with ids in the order of saving, where some were never given.
fn renumbered(mut picture: Picture, of: &[Option<i64>]) -> Picture {
    use botstore::rusqlite::types::Value;
    let mut numbers: Vec<i64> = of.iter().flatten().copied().collect();
    numbers.sort_unstable();
    let number = |value: &mut Value| {
        if let Value::Integer(id) = value {
            let place = numbers.iter().position(|n| n == id);
            *id = place.expect("an id that was given") as i64;
        }
    };
    picture
        .get_mut("messages")
        .expect("a table")
        .iter_mut()
        .for_each(|row| number(&mut row[0]));
    for (at, row) in (0..).zip(picture.get_mut("tool_usage").expect("a table")) {
        row[0] = Value::Integer(at);
        number(&mut row[2]);
    }
    picture
}

#[tokio::test]
async fn a_message_that_is_deleted_is_as_if_it_had_never_been() {
    // Each by itself, and every second: the first, the last, the only one of its day, of its session's day.
    let sets: Vec<Vec<usize>> = (0..9)
        .map(|at| vec![at])
        .chain([vec![0, 2, 4, 6, 8], vec![3, 6], (0..9).collect()])
        .collect();
    for gone in sets {
        let (store, ids) = lived(|_| true).await;
        for &at in &gone {
            let id = ids[at].expect("saved");
            let whose = if [2, 5, 7].contains(&at) { BOB } else { ADA };
            let other = ADA + BOB - whose;
            refused(
                &store,
                DeleteMessage::new(other, id),
                NotFound,
                "message_id",
            )
            .await;
            store
                .write(DeleteMessage::new(whose, id))
                .await
                .expect("deleted");
            refused(
                &store,
                DeleteMessage::new(whose, id),
                NotFound,
                "message_id",
            )
            .await;
            let found = store.read(GetMessage::new(whose, id)).await;
            assert_eq!(found.expect("a read"), None);
            agrees(&store).await;
        }
        let (never, never_ids) = lived(|at| !gone.contains(&at)).await;
        let mut left = ids.clone();
        gone.iter().for_each(|&at| left[at] = None);
        let (is, should) = (
            renumbered(counted(picture(&store).await), &left),
            renumbered(counted(picture(&never).await), &never_ids),
        );
        show_the_same(is, should, &format!("without {gone:?}"));
    }
}

#[tokio::test]
async fn a_session_that_is_deleted_takes_all_that_is_in_it_and_nothing_else() {
    let (store, _) = lived(|_| true).await;
    let outside = RecordToolUse::new(ADA, "ada-1", ToolCall::new("Alone"));
    store.write(outside).await.expect("recorded");
    // Kept on the callers' side before, and not after.
    let get = || GetSession::new(ADA, "ada-1");
    assert!(store.read(get()).await.expect("a read").is_some());
    assert_eq!(user(&store, ADA).await.message_count, 6);
    for other in [
        DeleteSession::new(BOB, "ada-1"),
        DeleteSession::new(ADA, "none"),
    ] {
        refused(&store, other, NotFound, "session_id").await;
    }
    let messages = store.write(DeleteSession::new(ADA, "ada-1")).await;
    assert_eq!(messages.expect("deleted"), 4);
    assert_eq!(store.read(get()).await.expect("a read"), None);
    let ada = user(&store, ADA).await;
    assert_eq!((ada.message_count, ada.session_count), (2, 1));
    assert_eq!(ada.total_cost, usd(0.2));
    agrees(&store).await;
    refused(
        &store,
        DeleteSession::new(ADA, "ada-1"),
        NotFound,
        "session_id",
    )
    .await;
    let list = store.read(SessionMessages::new(ADA, "ada-1")).await;
    assert_eq!(list.expect_err("gone").kind(), NotFound);
    // The others' and her other one are as in a history without it.
    let (never, never_ids) = lived(|at| ![0, 1, 4, 8].contains(&at)).await;
    never
        .write(DeleteSession::new(ADA, "ada-1"))
        .await
        .expect("deleted, empty");
    let left: Vec<_> = (1..=9)
        .map(|id| Some(id).filter(|id| ![1, 2, 5, 9].contains(id)))
        .collect();
    let (is, should) = (
        renumbered(counted(picture(&store).await), &left),
        renumbered(counted(picture(&never).await), &never_ids),
    );
    show_the_same(is, should, "without ada-1");
    // What was is on record, and its id is free again.
    let audit = store.read(UserAuditLog::new(ADA)).await.expect("a page");
    assert_eq!(audit.items.len(), 8);
    assert_eq!(audit.items[0].event_type, "session_deleted");
    assert_eq!(create_session(&store, ADA, "ada-1").await.message_count, 0);
    say(&store, ADA, "ada-1", &["Read"]).await;
    agrees(&store).await;
}

#[tokio::test]
async fn an_update_of_a_message_that_is_gone_is_not_saved_again() {
    let store = populated().await;
    let update = || SaveInteraction::new(ADA, "ada-1", "Hello").idempotency_key("update-1");
    let first = store.write(update()).await.expect("saved");
    store
        .write(DeleteMessage::new(ADA, first.message_id))
        .await
        .expect("deleted");
    let again = store.write(update()).await.expect("known");
    assert_eq!(again.message_id, first.message_id);
    assert_eq!(user(&store, ADA).await.message_count, 0);
    // Nor when its whole session is gone.
    store
        .write(DeleteSession::new(ADA, "ada-1"))
        .await
        .expect("deleted");
    let again = store.write(update()).await.expect("known");
    assert_eq!(again.message_id, first.message_id);
    // No other message ever gets its id.
    create_session(&store, ADA, "ada-2").await;
    let next = say(&store, ADA, "ada-2", &[]).await;
    assert!(next > first.message_id.get());
}

/// Everything that a user can have.
async fn full_life(store: &Store, user_id: i64, session_id: &str) {
    store
        .write(SetAllowed::allow(user_id))
        .await
        .expect("allowed");
    for number in 0..4 {
        say(store, user_id, session_id, &["Read"]).await;
        let prompt = SystemPrompt::new(format!("You talk with {user_id}."));
        let save = SaveInteraction::new(user_id, session_id, "?");
        let save = save
            .idempotency_key(format!("key-{number}"))
            .ip_address("10.0.0.1")
            .usage(Usage::new("openai", "gpt-5").prompt(prompt))
            .tool(ToolCall::new("Read").result("# README"))
            .attachment(Attachment::new("photo"))
            .metadata(true.into());
        let said = store.write(save).await.expect("saved").message_id;
        let rate = RateMessage::new(user_id, said, Rating::Up);
        store.write(rate).await.expect("rated");
    }
    let set = SetMetadata::new(user_id, "theirs".into());
    store.write(set.clone()).await.expect("set");
    store.write(set.session_id(session_id)).await.expect("set");
    store.write(IssueToken::new(user_id)).await.expect("issued");
    store
        .write(AddCost::new(user_id, usd(3.0)))
        .await
        .expect("added");
    let login = LogEvent::new(user_id, "login").ip_address("10.0.0.1");
    store.write(login).await.expect("logged");
}

#[tokio::test]
async fn of_a_user_who_is_forgotten_no_row_is_left() {
    let store = populated().await;
    full_life(&store, BOB, "bob-1").await;
    let without = picture(&store).await;
    let carol = 77;
    store
        .write(EnsureUser::new(carol, "carol"))
        .await
        .expect("a user");
    create_session(&store, carol, "carol-1").await;
    create_session(&store, carol, "carol-2").await;
    full_life(&store, carol, "carol-1").await;
    // What she thinks of what others have.
    let share = ShareSession::new(BOB, "bob-1", carol);
    store.write(share).await.expect("shared");
    let rate = RateMessage::new(carol, 1, Rating::Down).comment("Bob is wrong.");
    store.write(rate).await.expect("rated");
    let issued = store.write(IssueToken::new(carol)).await.expect("issued");
    assert!(store.read(IsAllowed::new(carol)).await.expect("a read"));
    refused(&store, DeleteUser::new(STRANGER), NotFound, "user_id").await;
    let messages = store.write(DeleteUser::new(carol)).await;
    assert_eq!(messages.expect("forgotten"), 8);
    assert_eq!(store.read(GetUser::new(carol)).await.expect("a read"), None);
    assert!(!store.read(IsAllowed::new(carol)).await.expect("a read"));
    let verified = store.read(VerifyToken::new(issued.secret)).await;
    assert_eq!(verified.expect("a read"), None);
    agrees(&store).await;
    let (mut is, mut should) = (picture(&store).await, without);
    for picture in [&mut is, &mut should] {
        // The ids that were given, and hashes of updates, which name nobody.
        picture.retain(|table, _| !["sqlite_sequence", "botstore_update"].contains(&&**table));
    }
    show_the_same(is, should, "without Carol");
    refused(&store, DeleteUser::new(carol), NotFound, "user_id").await;
    // Whoever comes back is new.
    let back = store
        .write(EnsureUser::new(carol, None))
        .await
        .expect("a user");
    assert_eq!((back.username, back.message_count), (None, 0));
}

/// A host's rows about a message, which go with it, or hold it.
struct Notes;

impl Schema for Notes {
    const NAME: &'static str = "notes";
    const MIGRATIONS: &'static [Migration] = &[Migration::new(
        1,
        "notes",
        "CREATE TABLE note (id INTEGER PRIMARY KEY,
             message_id INTEGER NOT NULL REFERENCES messages(message_id));
         CREATE INDEX note_message ON note(message_id);
         CREATE TABLE star (message_id INTEGER PRIMARY KEY
             REFERENCES messages(message_id) ON DELETE CASCADE);",
        "DROP TABLE star; DROP TABLE note;",
    )];
}

#[tokio::test]
async fn what_a_row_of_the_hosts_refers_to_stays_until_that_is_gone() {
    let store = TestStore::open_with(|config| config.schema::<Notes>()).await;
    let store = store.expect("a store");
    crate::support::populate(&store).await;
    let id = say(&store, ADA, "ada-1", &["Read"]).await;
    for table in ["note (message_id)", "star"] {
        let sql = format!("INSERT INTO {table} VALUES ({id})");
        store.write(Run(sql)).await.expect("a row");
    }
    let before = picture(&store).await;
    let says = |error: botstore::Error| {
        assert_eq!(error.kind(), Conflict, "{error}");
        assert!(error.to_string().contains("refers to"), "{error}");
    };
    says(
        store
            .write(DeleteMessage::new(ADA, id))
            .await
            .expect_err("held"),
    );
    says(
        store
            .write(DeleteSession::new(ADA, "ada-1"))
            .await
            .expect_err("held"),
    );
    assert_eq!(picture(&store).await, before);
    store
        .write(Run("DELETE FROM note".to_owned()))
        .await
        .expect("gone");
    store
        .write(DeleteMessage::new(ADA, id))
        .await
        .expect("deleted");
    assert!(picture(&store).await["star"].is_empty());
    agrees(&store).await;
}

#[tokio::test]
async fn deletions_survive_json() {
    survives_json(&DeleteMessage::new(ADA, 1));
    survives_json(&DeleteSession::new(ADA, "ada-1"));
    survives_json(&DeleteUser::new(ADA));
}
