//! Random histories: answers are the same before rows are counted and after.

use super::*;
use crate::histories::histories;

/// What happens between two looks.
#[derive(Clone, Debug)]
enum Event {
    Save(u8, bool),
    Hundreds(u16),
    Edit(u16),
    Delete(u16),
    Sql(u8, u16),
    Reopen,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (any::<u8>(), any::<bool>()).prop_map(|(number, history)| Event::Save(number, history)),
        2 => (1..700_u16).prop_map(Event::Hundreds),
        2 => any::<u16>().prop_map(Event::Edit),
        2 => any::<u16>().prop_map(Event::Delete),
        2 => (any::<u8>(), any::<u16>()).prop_map(|(sql, id)| Event::Sql(sql, id)),
        1 => Just(Event::Reopen),
    ]
}

async fn happen(store: &Store, event: &Event) {
    let newest = waiting(store.path());
    let newest = (newest.0 + newest.1.max(0)).max(1) as u16;
    let id = |id: u16| i64::from(1 + id % newest);
    match *event {
        Event::Save(number, history) => {
            let mut said = interaction(u64::from(number));
            if history {
                said = SaveInteraction::new(2, format!("h-{number}"), "?").creating("/srv");
                said = said.at(store.now() - chrono::TimeDelta::hours(7 * i64::from(number)));
            }
            // A session that was handed over is not this user's any more.
            let _ = store.write(said).await;
        }
        Event::Hundreds(count) => {
            let many = move |tx: &botstore::WriteTx<'_>| {
                (0..u64::from(count))
                    .try_for_each(|number| tx.apply(&interaction(number)).map(|_| ()))
            };
            let _ = store.transact("many", many).await;
        }
        Event::Edit(at) => {
            for user_id in 1..4 {
                let edit = EditMessage::new(user_id, MessageId::new(id(at))).cost(usd(0.7));
                let _ = store.write(edit).await;
            }
        }
        Event::Delete(at) => {
            for user_id in 1..4 {
                let delete = DeleteMessage::new(user_id, MessageId::new(id(at)));
                let _ = store.write(delete).await;
            }
        }
        Event::Sql(which, at) => {
            let (id, more) = (id(at), id(at / 7));
            let statements = [
                format!(
                    "UPDATE OR IGNORE messages SET message_id = {more} WHERE message_id = {id}"
                ),
                format!("UPDATE messages SET user_id = 2 WHERE message_id = {id}"),
                format!(
                    "UPDATE messages SET timestamp = '2026-02-11T01:02:03.000000+00:00' WHERE message_id = {id}"
                ),
                format!(
                    "INSERT OR IGNORE INTO messages (message_id, session_id, user_id, prompt, cost) VALUES (-{id}, 's-1', 1, 'x', 0.25)"
                ),
                format!("DELETE FROM tool_usage WHERE id = {id}"),
                "UPDATE sessions SET user_id = 4 - user_id WHERE session_id IN ('s-1', 's-3')"
                    .to_owned(),
            ];
            let conn = Connection::open(store.path()).unwrap();
            conn.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
            let sql = &statements[usize::from(which) % statements.len()];
            conn.execute_batch(sql).unwrap();
        }
        Event::Reopen => {}
    }
}

async fn live(events: &[Event]) {
    let store = filled(0).await;
    let clock = store.clock().clone();
    let (_folder, path) = store.into_file().await.unwrap();
    let open = async || {
        Store::open(config(&path).clock(clock.clone()))
            .await
            .unwrap()
    };
    let mut store = open().await;
    for event in events {
        happen(&store, event).await;
        if matches!(event, Event::Reopen) {
            let before = answers(&store).await;
            store.close().await.unwrap();
            store = open().await;
            assert_eq!(answers(&store).await, before, "{events:?}");
        }
    }
    compare(&store, 0).await;
    let before = answers(&store).await;
    store.close().await.unwrap();
    is_exact_up_to_now(&path);
    let store = open().await;
    assert_eq!(answers(&store).await, before, "{events:?}");
    compare(&store, 0).await;
    store.close().await.unwrap();
}

fn is_exact_up_to_now(path: &Path) {
    assert_eq!(waiting(path).0, 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: histories(10), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn answers_are_the_same_before_rows_are_counted_and_after(
        events in prop::collection::vec(event(), 1..14),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(live(&events));
    }
}
