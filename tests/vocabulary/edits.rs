//! One message: asked for, and changed.

use crate::support::{
    ADA, BOB, HOUR, STRANGER, changes_nothing, create_session, picture, populate, populated,
    refused, survives_json, user,
};
use botstore::ErrorKind::{Invalid, NotFound};
use botstore::costs::UserDailyCosts;
use botstore::integrity::{CheckFile, CheckReport};
use botstore::messages::{ChatMessage, Edit, EditMessage, GetMessage, SaveMessage};
use botstore::rollups::ReconcileRollups;
use botstore::sessions::GetSession;
use botstore::testing::{TestStore, usd};
use botstore::{MessageId, analytics};

async fn saved(store: &TestStore, user_id: i64, session_id: &str) -> MessageId {
    let message = SaveMessage::new(user_id, session_id, "Hello")
        .response("Hi!")
        .cost(usd(0.25))
        .duration_ms(1_200)
        .error("cut off");
    store.write(message).await.expect("an id")
}

async fn get(store: &TestStore, user_id: i64, id: MessageId) -> Option<ChatMessage> {
    store
        .read(GetMessage::new(user_id, id))
        .await
        .expect("a read")
}

async fn agrees(store: &TestStore) {
    let report = store.read(ReconcileRollups::new()).await.expect("a report");
    assert_eq!(report.differences, 0, "{:#?}", report.named);
    let report = store.read(CheckFile::new()).await.expect("a report");
    assert_eq!(report, CheckReport::default());
}

#[tokio::test]
async fn a_message_is_its_authors_and_to_everybody_else_there_is_none() {
    let store = populated().await;
    let of_ada = saved(&store, ADA, "ada-1").await;
    let of_bob = saved(&store, BOB, "bob-1").await;
    let message = get(&store, ADA, of_ada).await.expect("hers");
    assert_eq!((&*message.prompt, message.cost), ("Hello", usd(0.25)));
    assert_eq!(
        (message.message_id, &*message.session_id),
        (of_ada, "ada-1")
    );
    for (user_id, id) in [
        (ADA, of_bob),
        (BOB, of_ada),
        (STRANGER, of_ada),
        (ADA, 404.into()),
        (ADA, i64::MIN.into()),
    ] {
        assert_eq!(get(&store, user_id, id).await, None, "{user_id} {id}");
        let edit = EditMessage::new(user_id, id).prompt("mine now");
        refused(&store, edit, NotFound, "message_id").await;
    }
}

#[tokio::test]
async fn what_an_edit_names_changes_and_nothing_else() {
    let store = populated().await;
    let id = saved(&store, ADA, "ada-1").await;
    let before = get(&store, ADA, id).await.expect("a message");
    let edit = || EditMessage::new(ADA, id);
    let given = changes_nothing(&store, edit()).await;
    assert_eq!(given, before);
    store.clock().advance(HOUR);
    type Change = fn(&mut ChatMessage);
    let edits: [(EditMessage, Change); 9] = [
        (edit().prompt("Hello again"), |m| {
            m.prompt = "Hello again".into()
        }),
        (edit().response("Good day"), |m| {
            m.response = Some("Good day".into())
        }),
        (edit().response(""), |m| m.response = Some(String::new())),
        (edit().response(None), |m| m.response = None),
        (edit().cost(usd(1.5)), |m| m.cost = usd(1.5)),
        (edit().duration_ms(7), |m| m.duration_ms = Some(7)),
        (edit().duration_ms(None), |m| m.duration_ms = None),
        (edit().error(None), |m| m.error = None),
        (
            edit()
                .error("worse")
                .cost(usd(0.0))
                .response("no")
                .duration_ms(1)
                .prompt(""),
            |m| {
                m.error = Some("worse".into());
                m.cost = usd(0.0);
                m.response = Some("no".into());
                m.duration_ms = Some(1);
                m.prompt = String::new();
            },
        ),
    ];
    let mut expected = before;
    for (edit, change) in edits {
        change(&mut expected);
        let told = store.write(edit.clone()).await.expect("edited");
        assert_eq!(told, expected, "{edit:?}");
        assert_eq!(get(&store, ADA, id).await.as_ref(), Some(&expected));
        agrees(&store).await;
    }
}

#[tokio::test]
async fn another_cost_is_counted_in_place_of_the_one_before() {
    let store = populated().await;
    let other = saved(&store, ADA, "ada-1").await;
    let id = saved(&store, ADA, "ada-1").await;
    let last_used = user(&store, ADA).await.last_active;
    // On the day of the message, and not on that of the edit.
    store.clock().advance(30 * HOUR);
    let before = picture(&store).await;
    for (cost, sum) in [(1.0, 1.25), (0.0, 0.25), (0.1, 0.35)] {
        store
            .write(EditMessage::new(ADA, id).cost(usd(cost)))
            .await
            .expect("edited");
        let session = store.read(GetSession::new(ADA, "ada-1")).await;
        let session = session.expect("a read").expect("a session");
        let ada = user(&store, ADA).await;
        assert_eq!((session.total_cost, session.message_count), (usd(sum), 2));
        assert_eq!((ada.total_cost, ada.message_count), (usd(sum), 2));
        assert_eq!((session.last_used, ada.last_active), (last_used, last_used));
        let days = store.read(UserDailyCosts::new(ADA, 9)).await.expect("days");
        let days: Vec<_> = days
            .iter()
            .map(|d| (d.daily_cost, d.request_count))
            .collect();
        assert_eq!(days, [(usd(sum), 2)]);
        let stats = store.read(analytics::SystemStats::new()).await;
        assert_eq!(stats.expect("statistics").total_cost, usd(sum));
        agrees(&store).await;
    }
    // Bob, and the other message, have nothing to do with it.
    let after = picture(&store).await;
    assert_eq!(before["users"][1], after["users"][1]);
    assert_eq!(before["audit_log"], after["audit_log"]);
    assert_eq!(
        get(&store, ADA, other).await.expect("there").cost,
        usd(0.25)
    );
}

#[tokio::test]
async fn an_edit_that_is_refused_leaves_no_trace() {
    let store = TestStore::open_with(|config| config.max_text_bytes(1_024)).await;
    let store = store.expect("a store");
    populate(&store).await;
    let id = saved(&store, ADA, "ada-1").await;
    let edit = || EditMessage::new(ADA, id).response("lost").error("lost");
    refused(&store, edit().cost(usd(-1.0)), Invalid, "cost").await;
    refused(&store, edit().cost(usd(1e9 + 1.0)), Invalid, "cost").await;
    refused(&store, edit().duration_ms(u64::MAX), Invalid, "duration_ms").await;
    let large = "x".repeat(1_025);
    refused(&store, edit().prompt(large.clone()), Invalid, "prompt").await;
    refused(&store, edit().response(&*large), Invalid, "response").await;
    refused(&store, edit().error(&*large), Invalid, "error").await;
}

#[tokio::test]
async fn an_edit_in_json_is_a_merge_patch() {
    let store = populated().await;
    let id = saved(&store, ADA, "ada-1").await;
    create_session(&store, ADA, "ada-2").await;
    let edit: EditMessage =
        serde_json::from_str(r#"{"message_id": 1, "user_id": 1, "error": null, "cost": 0.5}"#)
            .expect("an edit");
    assert_eq!(edit, EditMessage::new(ADA, id).error(None).cost(usd(0.5)));
    assert_eq!((&edit.response, &edit.error), (&Edit::Keep, &Edit::Clear));
    survives_json(&EditMessage::new(ADA, id));
    survives_json(&edit);
    survives_json(&edit.response("x").duration_ms(5).prompt("p"));
    survives_json(&GetMessage::new(ADA, id));
}
