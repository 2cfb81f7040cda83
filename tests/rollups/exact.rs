//! Random histories.

use crate::histories::histories;
use crate::support::{compare, counted_anew, zone_of};
use botstore::costs::AddCost;
use botstore::interactions::SaveInteraction;
use botstore::rusqlite::Connection;
use botstore::sessions::{CreateSession, EndSession, ExpireIdle};
use botstore::testing::usd;
use botstore::testing::{FixedClock, TestStore};
use botstore::tools::{RecordToolUse, ToolCall};
use botstore::users::EnsureUser;
use botstore::{Config, Durability, Store};
use chrono::{TimeZone, Utc};
use proptest::prelude::*;
use std::time::Duration;

/// In minutes from UTC: the same, and with days that begin before and after.
const OFFSETS: [i64; 4] = [0, 330, -480, 840];

const TOOLS: [&str; 4] = ["Read", "Bash", "Edit", "Wëb"];

/// Something that happens in a bot, or to its file.
#[derive(Clone, Debug)]
enum Event {
    Wait {
        minutes: u32,
    },
    Save {
        user: i64,
        session: u8,
        cost: f64,
        duration: Option<u64>,
        failed: bool,
        tools: Vec<u8>,
    },
    Tool {
        user: i64,
        session: u8,
        tool: u8,
        worked: bool,
    },
    Cost {
        user: i64,
        cost: f64,
    },
    End {
        user: i64,
        session: u8,
    },
    Expire,
    /// A row of a host's own SQL, or of an operator's: `which` picks it.
    Delete {
        which: u8,
    },
    Move {
        which: u8,
        days: i8,
    },
    Reprice {
        which: u8,
        cost: f64,
    },
    Rename {
        which: u8,
        tool: u8,
    },
    HandOver {
        session: u8,
        user: i64,
    },
}

fn event() -> impl Strategy<Value = Event> {
    let user = 1..4_i64;
    let session = 0..3_u8;
    let cost = (0..10_000_u32).prop_map(|n| f64::from(n) * 0.000_137);
    let tools = prop::collection::vec(0..4_u8, 0..3);
    let duration = prop::option::of(0..100_000_u64);
    prop_oneof![
        3 => (1..3_000_u32).prop_map(|minutes| Event::Wait { minutes }),
        8 => (user.clone(), session.clone(), cost.clone(), duration, any::<bool>(), tools).prop_map(
            |(user, session, cost, duration, failed, tools)| Event::Save {
                user, session, cost, duration, failed, tools
            }
        ),
        2 => (user.clone(), session.clone(), 0..4_u8, any::<bool>())
            .prop_map(|(user, session, tool, worked)| Event::Tool { user, session, tool, worked }),
        1 => (user.clone(), cost.clone()).prop_map(|(user, cost)| Event::Cost { user, cost }),
        1 => (user.clone(), session.clone()).prop_map(|(user, session)| Event::End { user, session }),
        1 => Just(Event::Expire),
        1 => any::<u8>().prop_map(|which| Event::Delete { which }),
        1 => (any::<u8>(), -3..3_i8).prop_map(|(which, days)| Event::Move { which, days }),
        1 => (any::<u8>(), cost).prop_map(|(which, cost)| Event::Reprice { which, cost }),
        1 => (any::<u8>(), 0..4_u8).prop_map(|(which, tool)| Event::Rename { which, tool }),
        1 => (session, user).prop_map(|(session, user)| Event::HandOver { session, user }),
    ]
}

fn session_of(user: i64, session: u8) -> String {
    format!("s-{user}-{session}")
}

async fn start(clock: &FixedClock) -> TestStore {
    let store =
        TestStore::open_with(|config| config.clock(clock.clone()).durability(Durability::Normal))
            .await
            .unwrap();
    for user_id in 1..4 {
        store.write(EnsureUser::new(user_id, None)).await.unwrap();
        for session in 0..3 {
            let session_id = session_of(user_id, session);
            let project_path = "/srv";
            let session = CreateSession::new(user_id, session_id, project_path);
            store.write(session).await.unwrap();
        }
    }
    store
}

/// SQL of somebody else's, while no store has the file open.
fn by_hand(path: &std::path::Path, events: &[Event]) {
    let conn = Connection::open(path).unwrap();
    conn.execute_batch("PRAGMA synchronous = OFF").unwrap();
    for event in events {
        let (sql, which): (String, u8) = match event {
            Event::Delete { which } => (
                "DELETE FROM messages WHERE message_id = ?1 AND NOT EXISTS
                (SELECT 1 FROM tool_usage WHERE message_id = ?1)"
                    .into(),
                *which,
            ),
            Event::Move { which, days } => (
                format!(
                    "UPDATE messages SET timestamp = strftime('%Y-%m-%dT%H:%M:%S', timestamp,
                    '{days} days') || '.000000+00:00' WHERE message_id = ?1"
                ),
                *which,
            ),
            Event::Reprice { which, cost } => (
                format!("UPDATE messages SET cost = {cost}, duration_ms = 7 WHERE message_id = ?1"),
                *which,
            ),
            Event::Rename { which, tool } => (
                format!(
                    "UPDATE tool_usage SET tool_name = '{}', success = 1 - success
                    WHERE id = ?1",
                    TOOLS[usize::from(*tool)]
                ),
                *which,
            ),
            Event::HandOver { session, user } => (
                format!(
                    "UPDATE sessions SET user_id = {user} WHERE session_id = 's-1-{session}'
                    AND ?1 = 0"
                ),
                0,
            ),
            _ => continue,
        };
        conn.execute(&sql, [which % 40]).unwrap();
    }
    conn.execute("DELETE FROM cost_tracking WHERE id % 7 = 3", [])
        .unwrap();
    conn.close().unwrap();
}

async fn live(store: &Store, clock: &FixedClock, events: &[Event]) {
    for event in events {
        match event.clone() {
            Event::Wait { minutes } => clock.advance(Duration::from_secs(u64::from(minutes) * 60)),
            Event::Save {
                user,
                session,
                cost,
                duration,
                failed,
                tools,
            } => {
                let saved = {
                    let mut new = SaveInteraction::new(user, session_of(user, session), "?")
                        .cost(usd(cost))
                        .tools(
                            tools
                                .iter()
                                .map(|t| ToolCall::new(TOOLS[usize::from(*t)]))
                                .collect(),
                        );
                    new.duration_ms = duration;
                    new.error = failed.then(|| "Timeout".to_owned());
                    new
                };
                // A session that was handed over is not this user's any more.
                let _ = store.write(saved).await;
                // One that fails half-way counts for nothing.
                let wrong = SaveInteraction::new(user, "nobody's", "?");
                assert!(store.write(wrong).await.is_err());
            }
            Event::Tool {
                user,
                session,
                tool,
                worked,
            } => {
                let mut call = ToolCall::new(TOOLS[usize::from(tool)]);
                if !worked {
                    call = call.failed("broke");
                }
                let session_id = session_of(user, session);
                let used = RecordToolUse::new(user, session_id, call);
                let _ = store.write(used).await;
            }
            Event::Cost { user, cost } => {
                store.write(AddCost::new(user, usd(cost))).await.unwrap();
            }
            Event::End { user, session } => {
                let session_id = session_of(user, session);
                let _ = store.write(EndSession::new(user, session_id)).await;
            }
            Event::Expire => {
                let idle_for = Duration::from_secs(24 * 3600);
                store.write(ExpireIdle::new(idle_for)).await.unwrap();
            }
            _ => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(histories(12).div_ceil(OFFSETS.len() as u32)))]

    #[test]
    fn every_answer_is_what_a_full_scan_says(
        histories in prop::array::uniform4((
            prop::collection::vec(event(), 0..40),
            prop::collection::vec(event(), 0..25),
        )),
    ) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        for (offset, (first, second)) in OFFSETS.into_iter().zip(&histories) {
            runtime.block_on(move_by(offset, first, second));
        }
    }
}

/// A bot that lives on when its days begin elsewhere.
async fn move_by(offset: i64, first: &[Event], second: &[Event]) {
    let clock = FixedClock::at(Utc.with_ymd_and_hms(2026, 2, 26, 22, 30, 0).unwrap());
    let store = start(&clock).await;
    live(&store, &clock, first).await;
    compare(&store, 0).await;
    let (_folder, path) = store.into_file().await.unwrap();

    by_hand(&path, first);
    let config = || {
        let config = Config::new(&path).clock(clock.clone());
        config.durability(Durability::Normal)
    };
    let again = Store::open(config()).await.unwrap();
    compare(&again, 0).await;
    again.close().await.unwrap();

    // The bot moves: its days begin elsewhere.
    let moved = config().time_zone(zone_of(offset));
    let moved = Store::open(moved).await.unwrap();
    counted_anew(&moved).await;
    compare(&moved, offset).await;
    live(&moved, &clock, second).await;
    compare(&moved, offset).await;
    moved.close().await.unwrap();
    by_hand(&path, second);
    // A tool that says nothing of days leaves them where they are.
    let tool = Store::open(config()).await.unwrap();
    compare(&tool, offset).await;
    tool.close().await.unwrap();
}
