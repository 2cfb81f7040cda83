//! Random histories: what requests used is exact before rows are counted and after, through the store and by others.

use super::recount::compare_usage;
use super::{by_hand, config, drawn, said, store};
use crate::histories::histories;
use botstore::messages::{DeleteMessage, EditMessage};
use botstore::testing::usd;
use botstore::users::{DeleteUser, EnsureUser};
use botstore::{MessageId, Store};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Event {
    Say(u64),
    SayBefore(u64, u32),
    Draw(u64),
    Hundreds(u64),
    Edit(u8, u16),
    Delete(u8),
    DeleteUser(i64),
    /// By another program, beside the open store.
    Sql(usize, u8),
    Reopen,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (0..64_u64).prop_map(Event::Say),
        3 => (0..64_u64, 0..20_000_u32).prop_map(|(number, minutes)| Event::SayBefore(number, minutes)),
        3 => (0..64_u64).prop_map(Event::Draw),
        1 => (1..600_u64).prop_map(Event::Hundreds),
        2 => (any::<u8>(), any::<u16>()).prop_map(|(which, cost)| Event::Edit(which, cost)),
        2 => any::<u8>().prop_map(Event::Delete),
        1 => (1..4_i64).prop_map(Event::DeleteUser),
        4 => (0..STATEMENTS.len(), any::<u8>()).prop_map(|(sql, which)| Event::Sql(sql, which)),
        2 => Just(Event::Reopen),
    ]
}

/// `{}` is a row's id, and `{2}` another's.
const STATEMENTS: [&str; 12] = [
    "UPDATE botstore_usage SET usage_id = -{} - 100 WHERE usage_id = {}",
    "UPDATE botstore_usage SET usage_id = 5000 + {} WHERE usage_id = -1",
    "UPDATE botstore_usage SET request_model = 'mini', provider_name = NULL WHERE usage_id % 5 = {} % 5",
    "UPDATE botstore_usage SET input_tokens = NULL, cost_nanos = 1 + {} WHERE usage_id = {}",
    "UPDATE botstore_usage SET chat_id = '{}', at = '2026-03-08T23:59:59.999999+00:00' WHERE usage_id < 0",
    "DELETE FROM botstore_usage WHERE usage_id IN ({}, {2}, -{})",
    "INSERT OR IGNORE INTO botstore_usage (usage_id, user_id, at, request_model)
     VALUES (-{}, 2, '2026-03-09 01:02:03', 'gpt'), ({}, 77, '2026-03-09', 'mini'), (6000 + {}, 1, 'never', 'gpt')",
    "UPDATE OR IGNORE messages SET message_id = {2} WHERE message_id = {}",
    "UPDATE messages SET user_id = 2, cost = 0.5 WHERE message_id = {}",
    "UPDATE messages SET timestamp = '2026-02-11T01:02:03.000000+00:00' WHERE message_id = {}",
    "DELETE FROM messages WHERE message_id BETWEEN {} AND {2}",
    "DELETE FROM botstore_usage",
];

async fn happen(store: &Store, event: &Event) {
    match *event {
        // A user who was deleted is not there.
        Event::Say(number) => drop(store.write(said(number)).await),
        Event::SayBefore(number, minutes) => {
            let at = store.now() - chrono::TimeDelta::minutes(minutes.into());
            let _ = store.write(said(number).at(at)).await;
        }
        Event::Draw(number) => drop(store.write(drawn(number)).await),
        Event::Hundreds(many) => {
            let many = move |tx: &botstore::WriteTx<'_>| {
                (0..many).try_for_each(|number| tx.apply(&said(number)).map(drop))
            };
            let _ = store.transact("many", many).await;
        }
        Event::Edit(which, cost) => {
            for user_id in 1..4 {
                let edit = EditMessage::new(user_id, MessageId::new(which.into()));
                let cost = usd(f64::from(cost) / 1e4);
                let _ = store.write(edit.cost(cost)).await;
            }
        }
        Event::Delete(which) => {
            for user_id in 1..4 {
                let delete = DeleteMessage::new(user_id, MessageId::new(which.into()));
                let _ = store.write(delete).await;
            }
        }
        Event::DeleteUser(user_id) => {
            let _ = store.write(DeleteUser::new(user_id)).await;
            store.write(EnsureUser::new(user_id, None)).await.unwrap();
        }
        Event::Sql(which, id) => {
            let sql = STATEMENTS[which].replace("{2}", &(id / 3).to_string());
            by_hand(store.path(), &sql.replace("{}", &id.to_string()));
        }
        Event::Reopen => {}
    }
}

async fn live(events: &[Event]) {
    let (_folder, path) = store().await.into_file().await.unwrap();
    let mut store = Store::open(config(&path)).await.unwrap();
    for event in events {
        happen(&store, event).await;
        compare_usage(&store, 0, &events).await;
        if matches!(event, Event::Reopen) {
            store.close().await.unwrap();
            store = Store::open(config(&path)).await.unwrap();
        }
    }
    store.close().await.unwrap();
    let store = Store::open(config(&path)).await.unwrap();
    compare_usage(&store, 0, &events).await;
    store.close().await.unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: histories(10), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_requests_used_is_exact_before_rows_are_counted_and_after(
        events in prop::collection::vec(event(), 1..16),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(live(&events));
    }
}
