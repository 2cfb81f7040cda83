//! The Python bot opens a file that was taken over and writes on, in spellings of its own.

use crate::legacy::{Legacy, TIMES, check_newest_first, dump, list, open_plain};
use crate::takeover::is_the_spelling;
use botstore::Store;
use botstore::analytics::{SystemStats, UserStats};
use botstore::audit::{EventFilter, RecentAuditLog, UserAuditLog};
use botstore::interactions::SaveInteraction;
use botstore::messages::{RecentMessages, SessionMessages};
use botstore::rusqlite::types::Value as Cell;
use botstore::sessions::{ExpireIdle, GetSession, SessionFilter, UserSessions};
use botstore::testing::usd;
use botstore::tokens::{Secret, UserTokens, VerifyToken};
use botstore::tools::SessionToolUse;
use botstore::users::{AllowedUsers, GetUser};
use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Rows as three generations of the bot write them; the store's clock stands at 2026-03-10 15:30.
/// Their ids do not follow their times, and as text a blank sorts before any `T`.
const NEW_ROWS: &str = "
    INSERT INTO users (user_id, telegram_username, first_seen, last_active, is_allowed) VALUES
        (8001, 'blank',    '2026-03-10 15:00:02',        '2026-03-10 15:00:02', 1),
        (8002, 'offset',   '2026-03-10T15:00:01+00:00',  '2026-03-10T15:00:01+00:00', 1),
        (8003, 'fraction', '2026-03-10 15:00:01.500000', '2026-03-10 15:00:01.500000', 1);
    INSERT INTO users (user_id) VALUES (8004);

    INSERT INTO sessions (session_id, user_id, project_path, created_at, last_used) VALUES
        ('idle-blank',   8001, '/p', '2026-02-01 00:00:00',       '2026-02-08 15:29:59'),
        ('idle-offset',  8001, '/p', '2026-02-01T00:00:00+00:00', '2026-02-08T15:29:58+00:00'),
        ('used-blank',   8001, '/p', '2026-02-01 00:00:00',       '2026-02-08 15:30:00.500000'),
        ('used-offset',  8001, '/p', '2026-02-01T00:00:00+00:00', '2026-02-08T15:30:00+00:00'),
        ('talk',         8001, '/p', '2026-03-10 14:00:00',       '2026-03-10 15:00:02');
    INSERT INTO sessions (session_id, user_id, project_path) VALUES ('by-default', 8004, '/p');

    INSERT INTO messages (message_id, session_id, user_id, prompt, timestamp) VALUES
        (9001, 'talk', 8001, 'newest',      '2026-03-10 15:00:02'),
        (9002, 'talk', 8001, 'oldest',      '2026-03-10T15:00:01+00:00'),
        (9003, 'talk', 8001, 'between',     '2026-03-10 15:00:01.500000'),
        (9004, 'talk', 8001, 'too old',     '2026-03-10 14:30:00'),
        (9005, 'talk', 8001, 'just in',     '2026-03-10T14:30:01+00:00'),
        (9006, 'talk', 8002, 'in the week', '2026-03-03T15:30:01+00:00'),
        (9007, 'talk', 8003, 'before it',   '2026-03-03T15:29:59+00:00'),
        (9008, 'talk', 8003, 'before it',   '2026-03-03 15:29:59.999999');
    INSERT INTO messages (message_id, session_id, user_id, prompt) VALUES
        (9009, 'by-default', 8004, 'by default');

    INSERT INTO tool_usage (id, session_id, message_id, tool_name, timestamp) VALUES
        (9001, 'talk', 9001, 'Read', '2026-03-10 15:00:02'),
        (9002, 'talk', 9001, 'Read', '2026-03-10T15:00:01+00:00'),
        (9003, 'talk', 9001, 'Read', '2026-03-10 15:00:01.500000');
    INSERT INTO tool_usage (id, session_id, tool_name) VALUES (9004, 'by-default', 'Read');

    INSERT INTO audit_log (id, user_id, event_type, timestamp) VALUES
        (9001, 8001, 'command', '2026-03-10 15:00:02'),
        (9002, 8001, 'command', '2026-03-10T15:00:01+00:00'),
        (9003, 8001, 'command', '2026-03-10 15:00:01.500000'),
        (9004, 8001, 'command', '2026-03-10 14:29:59'),
        (9005, 8001, 'command', '2026-03-10T14:30:01+00:00');
    INSERT INTO audit_log (id, user_id, event_type) VALUES (9006, 8004, 'command');
";

/// A file that was taken over, closed, written on by the bot, and opened again.
async fn written_on(legacy: Legacy) -> (Legacy, Store) {
    let conn = open_plain(&legacy.path);
    conn.execute_batch("PRAGMA foreign_keys=ON").unwrap();
    conn.execute_batch(NEW_ROWS).unwrap();
    for (secret, created_at, expires_at) in TOKENS {
        conn.execute(
            "INSERT INTO user_tokens (user_id, token_hash, created_at, expires_at)
             VALUES (8001, ?1, ?2, ?3)",
            (
                format!("{:x}", Sha256::digest(secret)),
                created_at,
                expires_at,
            ),
        )
        .unwrap();
    }
    drop(conn);
    let store = legacy.open().await;
    (legacy, store)
}

const TOKENS: [(&str, &str, &str); 4] = [
    ("good-blank", "2026-03-01 00:00:03", "2026-03-10 15:30:01"),
    (
        "good-offset",
        "2026-03-01T00:00:01+00:00",
        "2026-03-10T15:30:01+00:00",
    ),
    ("past-blank", "2026-03-01 00:00:02", "2026-03-10 15:29:59"),
    (
        "past-offset",
        "2026-03-01T00:00:00+00:00",
        "2026-03-10T15:29:59+00:00",
    ),
];

#[tokio::test]
async fn rows_that_the_bot_wrote_since_are_in_the_one_spelling_after_opening() {
    for name in ["v2era", "v4"] {
        let legacy = Legacy::copy(name);
        legacy.adopt().await;
        let (legacy, store) = written_on(legacy).await;
        store.close().await.unwrap();
        let tables = dump(&legacy.path);
        for (table, columns) in TIMES {
            for row in &tables[table] {
                for column in columns {
                    match &row[*column] {
                        Cell::Text(at) => assert!(is_the_spelling(at), "{table}: {at}"),
                        // A token that never expires, or was never used.
                        other => assert_eq!(other, &Cell::Null, "{table}.{column}"),
                    }
                }
            }
        }
        assert_eq!(legacy.backups().len(), 1, "no step was applied, so no copy");
    }
}

#[tokio::test]
async fn lists_have_the_bot_s_new_rows_in_the_order_of_saving_and_sessions_by_their_times() {
    let (_legacy, store) = written_on(Legacy::taken_over("v4").await).await;
    let said = list(&store, |page| SessionMessages::new(8001, "talk").page(page)).await;
    let ids: Vec<_> = said.iter().map(|said| said.message_id).collect();
    assert_eq!(ids, [9008, 9007, 9006, 9005, 9004, 9003, 9002, 9001]);
    assert_eq!(said[6].timestamp, at("2026-03-10T15:00:01Z"));
    assert_eq!(said[5].timestamp, at("2026-03-10T15:00:01.5Z"));

    let used = list(&store, |page| SessionToolUse::new(8001, "talk").page(page)).await;
    let ids: Vec<_> = used.iter().map(|used| used.id).collect();
    assert_eq!(ids, [9003, 9002, 9001]);

    let events = list(&store, |page| UserAuditLog::new(8001).page(page)).await;
    let ids: Vec<_> = events.iter().map(|event| event.id).collect();
    assert_eq!(ids, [9005, 9004, 9003, 9002, 9001]);

    let sessions = list(&store, |page| {
        UserSessions::new(8001).which(SessionFilter::All).page(page)
    })
    .await;
    let ids: Vec<_> = sessions.iter().map(|s| s.session_id.as_str()).collect();
    let expected = [
        "talk",
        "used-blank",
        "used-offset",
        "idle-blank",
        "idle-offset",
    ];
    assert_eq!(ids, expected);

    let allowed = list(&store, |page| AllowedUsers::new().page(page)).await;
    check_newest_first(allowed.iter().map(|user| (user.first_seen, user.user_id)));
    let newest: Vec<_> = allowed.iter().take(3).map(|user| user.user_id).collect();
    assert_eq!(newest, [8001, 8003, 8002]);

    let user_id = 8001;
    let tokens = list(&store, |page| UserTokens::new(user_id).page(page)).await;
    let created: Vec<_> = tokens.iter().map(|token| token.created_at).collect();
    let seconds = [0, 2, 1, 3].map(|second| at(&format!("2026-03-01T00:00:0{second}Z")));
    assert_eq!(created, seconds);
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

#[tokio::test]
async fn spans_of_time_end_at_the_same_second_in_every_spelling() {
    let (legacy, store) = written_on(Legacy::taken_over("v4").await).await;
    let hour = list(&store, |page| RecentMessages::new(HOUR).page(page)).await;
    let ids = hour.iter().map(|said| said.message_id);
    // That one took its time from SQLite's clock, which is not the store's.
    let ids: Vec<_> = ids.filter(|id| *id != 9009).collect();
    // The one that was there before is of 14:39:19.
    assert_eq!(ids, [9005, 9003, 9002, 9001, 33]);

    let filter = {
        let mut new = EventFilter::last(HOUR, store.now());
        new.event_type = Some("command".to_owned());
        new
    };
    let events = list(&store, |page| {
        RecentAuditLog::new()
            .filter({
                let mut new = filter.clone();
                new.until = Some(store.now());
                new
            })
            .page(page)
    })
    .await;
    let ids: Vec<_> = events.iter().map(|event| event.id).collect();
    assert_eq!(ids, [9005, 9003, 9002, 9001]);

    // A full count.
    let since = (store.now() - TimeDelta::days(7)).to_rfc3339();
    let sql =
        "SELECT count(DISTINCT user_id) FROM messages WHERE julianday(timestamp) > julianday(?1)";
    let active: i64 = open_plain(&legacy.path)
        .query_row(sql, [since], |row| row.get(0))
        .unwrap();
    let stats = store.read(SystemStats::new()).await.unwrap();
    assert_eq!(stats.active_users_7d, active as u64);

    let stats = store.read(UserStats::new(8001)).await.unwrap();
    assert_eq!(stats.last_activity, Some(at("2026-03-10T15:00:02Z")));
    assert_eq!(stats.daily_usage.len(), 1);
    assert_eq!(stats.daily_usage[0].messages, 5);
}

#[tokio::test]
async fn sessions_that_the_bot_left_idle_expire_to_the_second_in_every_spelling() {
    let (_legacy, store) = written_on(Legacy::taken_over("v4").await).await;
    let active = async || {
        let sessions = list(&store, |page| UserSessions::new(8001).page(page));
        let sessions = sessions.await.into_iter().map(|s| s.session_id);
        sessions.collect::<BTreeSet<_>>()
    };
    let before = active().await;
    let idle_for = 30 * DAY;
    store.write(ExpireIdle::new(idle_for)).await.unwrap();
    let after = active().await;
    let ended: Vec<_> = before.difference(&after).collect();
    assert_eq!(ended, ["idle-blank", "idle-offset"]);
}

#[tokio::test]
async fn tokens_of_the_bot_are_good_until_their_second_in_every_spelling() {
    let (_legacy, store) = written_on(Legacy::taken_over("v4").await).await;
    for (secret, _, _) in TOKENS {
        let token = VerifyToken::new(Secret::new(secret));
        let token = store.read(token).await.unwrap();
        assert_eq!(token.is_some(), secret.starts_with("good"), "{secret}");
    }
}

#[tokio::test]
async fn the_bot_may_go_on_to_its_later_schemas_in_a_file_that_was_taken_over() {
    // What a bot of schema 4 makes in the file of an older one, as it stands in the newer sample.
    let sample = Legacy::copy("v4");
    let newer = open_plain(&sample.path);
    let mut statement = newer
        .prepare(
            "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL
               AND tbl_name IN ('scheduled_jobs', 'webhook_events', 'project_threads')
             ORDER BY type DESC",
        )
        .unwrap();
    let steps = statement.query_map([], |row| row.get::<_, String>(0));
    let steps: Vec<_> = steps.unwrap().map(Result::unwrap).collect();
    assert!(steps.len() >= 3);
    for name in ["v1", "v2", "v2era"] {
        let legacy = Legacy::taken_over(name).await;
        let conn = open_plain(&legacy.path);
        conn.execute_batch(&steps.join(";")).unwrap();
        conn.execute_batch("INSERT INTO schema_version VALUES (3), (4)")
            .unwrap();
        drop(conn);
        let before = dump(&legacy.path);
        legacy.adopt().await;
        let after = dump(&legacy.path);
        assert_eq!(after["schema_version"], before["schema_version"], "{name}");
        assert_eq!(after["messages"], before["messages"], "{name}");
        assert!(after.contains_key("scheduled_jobs"), "{name}");
    }
}

#[tokio::test]
async fn an_interaction_goes_on_with_what_the_bot_counted() {
    for legacy in Legacy::all() {
        let store = legacy.open().await;
        let (session_id, user_id) = legacy.sessions()[0];
        let (session_id, ask) = (session_id.to_owned(), GetUser::new(user_id));
        let session = || GetSession::new(user_id, session_id.clone());
        let user_before = store.read(ask.clone()).await.unwrap().unwrap();
        let session_before = store.read(session()).await.unwrap().unwrap();
        let interaction = SaveInteraction::new(user_id, session_id.clone(), "Still there?")
            .cost(usd(0.5))
            .turns(2);
        let receipt = store.write(interaction).await.unwrap();

        let user = store.read(ask).await.unwrap().unwrap();
        let session = store.read(session()).await.unwrap().unwrap();
        assert_eq!(user.message_count, user_before.message_count + 1);
        assert_eq!(user.total_cost, user_before.total_cost + usd(0.5));
        assert_eq!(session.total_turns, session_before.total_turns + 2);
        assert_eq!(session.last_used, legacy.as_of());
        let newest = list(&store, |page| RecentMessages::new(HOUR).page(page)).await;
        assert_eq!(newest[0].message_id, receipt.message_id, "{}", legacy.name);
        let highest = &legacy.expected["message_rows"]["rows"];
        let ids = highest
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row[0].as_i64());
        assert!(
            Some(receipt.message_id.get()) > ids.max().unwrap(),
            "{}",
            legacy.name
        );
    }
}
