//! When rows are counted, and which.

use super::waiting;
use crate::kept::{filled, interaction};
use crate::support::{all, compare, open_plain};
use botstore::interactions::SaveInteraction;
use botstore::rusqlite::Connection;
use botstore::tools::ToolCall;

/// The last messages and tool uses that are counted.
fn counted(conn: &Connection) -> Vec<i64> {
    let sql =
        "SELECT last_id FROM botstore_counted WHERE source <> 'cost_tracking' ORDER BY source";
    all(conn, sql, [], |row| row.get(0))
}

/// Mutations wait while rows are counted.
#[tokio::test]
async fn one_table_is_counted_between_two_mutations() {
    let store = filled(3).await;
    let four = (0..4).map(|_| ToolCall::new("Read")).collect::<Vec<_>>();
    let conn = open_plain(store.path());
    let (mut before, mut turns) = (counted(&conn), [0, 0]);
    for number in 0..2_400 {
        let said = interaction(number).tools(four.clone());
        store.write(said).await.unwrap();
        let now = counted(&conn);
        let moved: Vec<_> = (0..2).filter(|at| now[*at] != before[*at]).collect();
        assert!(moved.len() <= 1, "{before:?}, {now:?}");
        moved.iter().for_each(|at| turns[*at] += 1);
        before = now;
    }
    // Neither keeps the other from its turn.
    assert!(turns[0] >= 2 && turns[1] >= 3, "{turns:?}");
    compare(&store, 0).await;
}

#[tokio::test]
async fn long_texts_are_counted_in_smaller_groups() {
    for (prompt, response, input) in [
        (9_000, 0, 0),
        (0, 9_000, 0),
        (2_500, 2_500, 0),
        (0, 0, 9_000),
    ] {
        let store = filled(3).await;
        let conn = open_plain(store.path());
        let start = counted(&conn);
        for number in 0..200 {
            let user_id = 1 + number % 3;
            let said =
                SaveInteraction::new(user_id, format!("s-{user_id}"), "?".repeat(1 + prompt));
            let said = said.response("!".repeat(response));
            let said = said.tool(ToolCall::new("Read").input("x".repeat(input).into()));
            store.write(said).await.unwrap();
        }
        let now = counted(&conn);
        assert_ne!(now, start, "{prompt} {response} {input}");
        compare(&store, 0).await;
    }
}

/// The number of rows that wait is not more than their ids span.
#[tokio::test]
async fn few_rows_with_distant_ids_are_counted_once_and_exactly() {
    let store = filled(3).await;
    let other = Connection::open(store.path()).unwrap();
    for id in [100_000, 10_000_000_000, i64::MAX - 5_000] {
        let sql = format!(
            "INSERT INTO messages (message_id, session_id, user_id, prompt, cost) VALUES ({id}, 's-1', 1, '?', 0.5);
             INSERT INTO tool_usage (id, session_id, tool_name) VALUES ({id}, 's-1', 'Far');"
        );
        other.execute_batch(&sql).unwrap();
        compare(&store, 0).await;
        for number in 0..300 {
            store.write(interaction(number)).await.unwrap();
        }
        let (waits, last) = waiting(store.path());
        assert!(
            last >= id && waits < 300,
            "{id}: {waits} wait, up to {last}"
        );
        compare(&store, 0).await;
        // Behind what is counted, between the rows.
        let sql = format!(
            "INSERT INTO messages (message_id, session_id, user_id, prompt, cost) VALUES ({id} - 9, 's-2', 2, '?', 0.5)"
        );
        other.execute_batch(&sql).unwrap();
        compare(&store, 0).await;
    }
}
