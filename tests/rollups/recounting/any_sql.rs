//! Answers stay exact whatever form of SQL changes a row while another zone is being counted, on both sides of where
//! that is; and so does what is counted.

use super::held::{Held, generations, hold, release, until_held};
use crate::any_sql::{Change, INSERTS, Sql, UPDATES, by_another_program, change, config, seed};
use crate::histories::histories;
use crate::support::{compare, counted_anew};
use crate::usage::recount::compare_usage;
use botstore::testing::TestStore;
use botstore::{Durability, Store};
use proptest::prelude::*;

/// Each noon in UTC is the next day there.
const ZONE: (&str, i64) = ("+14:00", 840);

/// Rows in front of those that the changes are about, as many as the first piece has beside two of these.
const FILLER: [&str; 2] = [
    "WITH RECURSIVE n(i) AS (SELECT -13 UNION ALL SELECT i + 1 FROM n WHERE i < 0)
     INSERT INTO messages (message_id, session_id, user_id, prompt, cost, timestamp)
     SELECT i, 'a', 1, 'p', 0.25, '2026-03-10T' || (i + 20) || ':00:00.000000+00:00' FROM n",
    "WITH RECURSIVE n(i) AS (SELECT -16 UNION ALL SELECT i + 1 FROM n WHERE i < -2)
     INSERT INTO botstore_usage (usage_id, user_id, at, request_model, cost_nanos)
     SELECT i, 2, '2026-03-09T12:00:00.000000+00:00', 'gpt', 7 FROM n",
];

/// None, some messages, some requests and all messages.
const HELD: [Held; 3] = [
    Held {
        messages: i64::MIN,
        requests: i64::MIN,
    },
    Held {
        messages: 2,
        requests: i64::MIN,
    },
    Held {
        messages: 3,
        requests: -1,
    },
];

/// In the days of the zone before, and what is counted by the next one up to where that is.
async fn exact(store: &Store, offset: i64, after: &dyn std::fmt::Debug) {
    compare_usage(store, offset, after).await;
    compare(store, offset).await;
}

/// What changes through the store, by another program, and by another one whose triggers are recursive.
#[derive(Clone, Debug)]
struct History {
    here: Vec<Change>,
    theirs: Vec<Change>,
    careful: Vec<Change>,
}

fn history() -> impl Strategy<Value = History> {
    let changes = |most| prop::collection::vec(change(), 0..most);
    let parts = (changes(30), changes(20), changes(20));
    parts.prop_map(|(here, theirs, careful)| History {
        here,
        theirs,
        careful,
    })
}

async fn run(
    held: Held,
    History {
        here,
        theirs,
        careful,
    }: &History,
) {
    let store = TestStore::open_with(|config| config.durability(Durability::Normal))
        .await
        .unwrap();
    seed(&store).await;
    for sql in FILLER {
        store.write(Sql(sql.to_owned())).await.unwrap();
    }
    let (_folder, path) = store.into_file().await.unwrap();
    hold(&path, held);
    let store = Store::open(config(&path).time_zone(ZONE.0)).await.unwrap();
    until_held(&path, held).await;
    let mut done = Vec::new();
    for change in here {
        let sql = change.sql(&INSERTS, &UPDATES);
        let written = store.write(Sql(sql.clone())).await;
        done.push((sql, written.map_err(|e| e.kind())));
        if done.len() % 8 == 0 {
            compare_usage(&store, 0, &(held, &done)).await;
        }
    }
    exact(&store, 0, &(held, &done)).await;
    let plain: Vec<_> = theirs
        .iter()
        .map(|c| c.sql(&INSERTS[..3], &UPDATES[..2]))
        .collect();
    by_another_program(&path, &plain, "");
    exact(&store, 0, &(held, &done, &plain)).await;
    store.close().await.unwrap();
    let replacing: Vec<_> = careful.iter().map(|c| c.sql(&INSERTS, &UPDATES)).collect();
    by_another_program(&path, &replacing, "PRAGMA recursive_triggers = ON");
    let store = Store::open(config(&path)).await.unwrap();
    exact(&store, 0, &(held, &done, &plain, &replacing)).await;
    store.close().await.unwrap();
    assert_eq!(generations(&path), [0, 1]);
    release(&path);
    let store = Store::open(config(&path)).await.unwrap();
    counted_anew(&store).await;
    exact(&store, ZONE.1, &(held, &done, &plain, &replacing)).await;
    for change in here {
        let sql = change.sql(&INSERTS, &UPDATES);
        let _ = store.write(Sql(sql)).await;
    }
    exact(&store, ZONE.1, &(held, done, plain, replacing)).await;
    store.close().await.unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: histories(9).div_ceil(HELD.len() as u32), failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn statistics_are_exact_after_any_sql_while_another_zone_is_counted(
        histories in prop::array::uniform3(history()),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        for (held, history) in HELD.into_iter().zip(&histories) {
            runtime.block_on(run(held, history));
        }
    }
}
