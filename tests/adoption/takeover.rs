//! What taking a file over does to the file: the spelling of times, tables beside the bot's, a copy.

use crate::legacy::{
    Legacy, Row, TIMES, Tables, array, beside, dump, instant, objects, open_plain, text,
};
use botstore::messages::SessionMessages;
use botstore::page::PageRequest;
use botstore::rusqlite::Connection;
use botstore::rusqlite::types::Value as Cell;
use botstore::sessions::GetSession;
use botstore::users::GetUser;
use botstore::{BeforeUpgrade, Config, Store, schema};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

#[tokio::test]
async fn adoption_changes_the_spelling_of_times_and_nothing_else() {
    for legacy in Legacy::all_taken_over().await {
        let (before, after) = (legacy.original(), dump(&legacy.path));
        for (table, columns) in TIMES {
            let (before, after) = (&before[table], &after[table]);
            assert_eq!(before.len(), after.len(), "{}: {table}", legacy.name);
            for (before, after) in before.iter().zip(after) {
                check_row(&legacy, before, after, columns);
            }
        }
    }
}

fn check_row(legacy: &Legacy, before: &Row, after: &Row, times: &[&str]) {
    assert!(before.keys().eq(after.keys()), "{}", legacy.name);
    for (column, before) in before {
        let after = &after[column];
        if !times.contains(&column.as_str()) {
            assert_eq!(before, after, "{}: {column}", legacy.name);
            continue;
        }
        match (before, after) {
            (Cell::Text(before), Cell::Text(after)) => {
                assert!(is_the_spelling(after), "{}: {after}", legacy.name);
                assert!(instant(before).is_some(), "{}: {before}", legacy.name);
                assert_eq!(instant(before), instant(after), "{}: {before}", legacy.name);
            }
            // A token that never expires, or was never used.
            _ => assert_eq!((before, after), (&Cell::Null, &Cell::Null), "{column}"),
        }
    }
}

/// `YYYY-MM-DDTHH:MM:SS.ffffff+00:00`.
pub(crate) fn is_the_spelling(text: &str) -> bool {
    let pattern = "0000-00-00T00:00:00.000000+00:00";
    let digits_are_zeros = |c: char| if c.is_ascii_digit() { '0' } else { c };
    text.chars().map(digits_are_zeros).eq(pattern.chars())
}

/// The bot knew no bounds, and what it wrote is not refused.
#[tokio::test]
async fn texts_that_no_message_could_bring_are_taken_over_and_read() {
    for legacy in Legacy::all() {
        let (long_id, long_text) = ("é".repeat(5_000), "t".repeat(1 << 20));
        let conn = open_plain(&legacy.path);
        let (session_id, user_id) = conn
            .query_row(
                "SELECT session_id, user_id FROM messages LIMIT 1",
                [],
                |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)),
            )
            .unwrap();
        conn.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
        for table in ["sessions", "messages", "tool_usage"] {
            let sql = format!("UPDATE {table} SET session_id = ?1 WHERE session_id = ?2");
            conn.execute(&sql, (&long_id, &session_id)).unwrap();
        }
        let sql = "UPDATE messages SET prompt = ?1, response = ?1 WHERE session_id = ?2";
        let changed = conn.execute(sql, (&long_text, &long_id)).unwrap();
        let sql = "UPDATE users SET telegram_username = ?1 WHERE user_id = ?2";
        conn.execute(sql, (&long_text, user_id)).unwrap();
        drop(conn);

        let config = Config::new(&legacy.path).max_text_bytes(64 * 1024);
        let store = Store::open(config).await.unwrap();
        let user = store.read(GetUser::new(user_id)).await.unwrap().unwrap();
        assert_eq!(user.username.as_ref(), Some(&long_text), "{}", legacy.name);
        let get = GetSession::new(user_id, long_id.clone());
        let session = store.read(get).await.unwrap();
        assert_eq!(session.map(|s| s.session_id), Some(long_id.clone().into()));
        let page = PageRequest::first(1_000);
        let messages = SessionMessages::new(user_id, long_id).page(page);
        let messages = store.read(messages).await.unwrap().items;
        assert_eq!(messages.len(), changed, "{}", legacy.name);
        assert!(messages.iter().all(|message| message.prompt == long_text));
        store.close().await.unwrap();
    }
}

#[tokio::test]
async fn the_bot_s_other_tables_are_left_alone() {
    let mut rows = 0;
    for legacy in Legacy::all_taken_over().await {
        let (before, after) = (legacy.original(), dump(&legacy.path));
        for (table, before) in before {
            let adopted = TIMES.iter().any(|(name, _)| *name == table);
            if adopted || table == "schema_version" {
                continue;
            }
            if table != "sqlite_sequence" {
                rows += before.len();
            }
            assert_eq!(before, after[&table], "{}: {table}", legacy.name);
        }
    }
    assert!(rows > 0, "no sample has rows in such a table");
}

#[tokio::test]
async fn the_bot_finds_its_tables_indexes_and_views_as_it_made_them() {
    for legacy in Legacy::all_taken_over().await {
        let before = definitions(&Legacy::copy(legacy.name).path);
        let after = definitions(&legacy.path);
        for (name, sql) in &before {
            assert_eq!(after.get(name), Some(sql), "{}: {name}", legacy.name);
        }
        // And what is new says by its name whose it is, but for the views of the bot's schema 2.
        for name in after.keys().filter(|name| !before.contains_key(*name)) {
            let ours = name.starts_with("botstore_") || name.starts_with("sqlite_");
            let views = ["daily_stats", "user_stats"];
            assert!(ours || views.contains(&name.as_str()), "{name}");
        }
        let expected = array(&legacy.expected["after_upgrade"]["schema_objects"]);
        for name in expected.iter().map(|object| text(object)) {
            let (_, name) = name.split_once(' ').unwrap();
            // Schemas 3 and 4 are the bot's business: it applies them when it opens the file.
            let later = ["project_threads", "scheduled_jobs", "webhook_events"];
            if before.contains_key(name) || !later.iter().any(|table| name.contains(table)) {
                assert!(after.contains_key(name), "{}: {name}", legacy.name);
            }
        }
    }
}

/// The SQL of everything in the file that has any.
fn definitions(path: &Path) -> BTreeMap<String, Option<String>> {
    let conn = open_plain(path);
    let mut statement = conn.prepare("SELECT name, sql FROM sqlite_schema").unwrap();
    let found = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
    found.unwrap().map(Result::unwrap).collect()
}

#[tokio::test]
async fn a_new_file_has_everything_that_a_bot_of_schema_2_looks_for() {
    let bots = Legacy::copy("v2");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new.db");
    Store::open(&path).await.unwrap().close().await.unwrap();
    let (new, old) = (open_plain(&path), open_plain(&bots.path));
    let of_the_bot = |(_, name): &(String, String)| {
        !name.contains("botstore_") && !name.starts_with("sqlite_stat")
    };
    let ours: Vec<_> = objects(&new).into_iter().filter(of_the_bot).collect();
    assert_eq!(
        ours,
        objects(&old)
            .into_iter()
            .filter(of_the_bot)
            .collect::<Vec<_>>()
    );
    for view in ["daily_stats", "user_stats"] {
        assert_eq!(columns(&new, view), columns(&old, view), "{view}");
    }
    for (table, _) in TIMES {
        assert_eq!(columns(&new, table), columns(&old, table), "{table}");
    }
    assert_eq!(versions(&new), versions(&old));
}

/// The bot's own view counts each message once for each session of its user.
#[tokio::test]
async fn the_view_of_users_that_is_made_where_it_is_missing_has_the_right_numbers() {
    let legacy = Legacy::taken_over("v1").await;
    let conn = open_plain(&legacy.path);
    let mut statement = conn
        .prepare(
            "SELECT v.user_id, v.total_sessions, v.total_messages, coalesce(v.total_cost, 0.0),
                    (SELECT count(*) FROM sessions WHERE user_id = v.user_id),
                    (SELECT count(*) FROM messages WHERE user_id = v.user_id),
                    (SELECT total(cost) FROM messages WHERE user_id = v.user_id)
             FROM user_stats v ORDER BY 1",
        )
        .unwrap();
    let mut rows = statement.query([]).unwrap();
    let (mut users, mut messages) = (Vec::new(), 0);
    while let Some(row) = rows.next().unwrap() {
        let counts = |at| {
            (
                row.get::<_, i64>(at).unwrap(),
                row.get::<_, i64>(at + 1).unwrap(),
            )
        };
        assert_eq!(counts(1), counts(4));
        let costs: (f64, f64) = (row.get(3).unwrap(), row.get(6).unwrap());
        assert!((costs.0 - costs.1).abs() < 1e-9, "{costs:?}");
        users.push(row.get::<_, i64>(0).unwrap());
        messages += counts(1).1;
    }
    assert_eq!(users, legacy.user_ids());
    assert!(messages > 0);
}

/// Each column in order, with everything that is declared about it.
fn columns(conn: &Connection, table: &str) -> Vec<String> {
    let sql = format!(
        "SELECT name || '|' || type || '|' || \"notnull\" || '|' || coalesce(dflt_value, '-')
                || '|' || pk FROM pragma_table_xinfo('{table}') ORDER BY cid"
    );
    let mut statement = conn.prepare(&sql).unwrap();
    let found = statement.query_map([], |row| row.get(0));
    found.unwrap().map(Result::unwrap).collect()
}

fn versions(conn: &Connection) -> BTreeSet<i64> {
    let mut statement = conn.prepare("SELECT version FROM schema_version").unwrap();
    let found = statement.query_map([], |row| row.get(0));
    found.unwrap().map(Result::unwrap).collect()
}

#[tokio::test]
async fn the_bot_s_schema_versions_stay() {
    for legacy in Legacy::all_taken_over().await {
        let bots = legacy.expected["schema_version"].as_i64().unwrap();
        // Ours are 1 and 2: a file of schema 1 gets the views of schema 2, and says so.
        let expected: BTreeSet<_> = (1..=bots.max(2)).collect();
        let found = versions(&open_plain(&legacy.path));
        assert_eq!(found, expected, "{}", legacy.name);
    }
}

#[tokio::test]
async fn a_copy_of_the_file_as_the_bot_left_it_stays_beside_it() {
    for legacy in Legacy::all() {
        legacy.adopt().await;
        let backups = legacy.backups();
        assert_eq!(backups.len(), 1, "{}: {backups:?}", legacy.name);
        let restored = legacy.restored_backup();
        assert_eq!(dump(&restored), legacy.original(), "{}", legacy.name);
        let bots = definitions(&Legacy::copy(legacy.name).path);
        assert_eq!(definitions(&restored), bots, "{}", legacy.name);
    }
}

#[tokio::test]
async fn opening_a_second_time_changes_nothing() {
    for legacy in Legacy::all() {
        legacy.adopt().await;
        let once = (lasting(dump(&legacy.path)), definitions(&legacy.path));
        let backups = legacy.backups();
        let copy = fs::read(backups[0].artefact()).unwrap();
        legacy.adopt().await;
        let twice = (lasting(dump(&legacy.path)), definitions(&legacy.path));
        assert_eq!(once, twice, "{}", legacy.name);
        assert_eq!(legacy.backups(), backups, "{}", legacy.name);
        let artefact = backups[0].artefact();
        assert!(fs::read(artefact).unwrap() == copy, "{}", legacy.name);
        let plan = schema::plan(legacy.config()).unwrap();
        assert_eq!(plan.to_string(), "nothing to do", "{}", legacy.name);
    }
}

#[tokio::test]
async fn closing_leaves_one_file_without_a_log() {
    for legacy in Legacy::all() {
        legacy.adopt().await;
        for suffix in ["-wal", "-shm", "-journal"] {
            let left = beside(&legacy.path, suffix);
            assert!(!left.exists(), "{}: {}", legacy.name, left.display());
        }
        // What was only in the WAL of a killed bot is in the file now.
        let alone = legacy.folder.path().join("alone.db");
        fs::copy(&legacy.path, &alone).unwrap();
        assert_eq!(dump(&alone), dump(&legacy.path), "{}", legacy.name);
        let messages = legacy.expected["counts"]["messages"].as_u64().unwrap();
        assert_eq!(dump(&alone)["messages"].len() as u64, messages);
    }
}

#[tokio::test]
async fn rolling_back_to_step_2_leaves_the_bot_s_file_and_it_can_be_opened_again() {
    for legacy in Legacy::all_taken_over().await {
        let config = || legacy.config().before_upgrade(BeforeUpgrade::Skip);
        let adopted = dump(&legacy.path);
        let done = schema::rollback(config(), "botstore", 2).unwrap();
        let steps: Vec<_> = done.steps.iter().map(|step| step.step).collect();
        assert!(steps.ends_with(&[4, 3]), "{}: {done}", legacy.name);

        let left: Vec<_> = objects(&open_plain(&legacy.path))
            .into_iter()
            .filter(|(_, name)| name.starts_with("botstore_"))
            .collect();
        // The steps that stay, and what they found.
        let ledger =
            ["botstore_found", "botstore_ledger"].map(|name| ("table".to_owned(), name.to_owned()));
        assert_eq!(left, ledger, "{}", legacy.name);
        let before = legacy.original();
        let definitions_left = definitions(&legacy.path);
        for (name, sql) in definitions(&Legacy::copy(legacy.name).path) {
            assert_eq!(definitions_left.get(&name), Some(&sql), "{name}");
        }
        let rolled_back = dump(&legacy.path);
        for table in before.keys() {
            assert_eq!(rolled_back[table], adopted[table], "{}", legacy.name);
        }

        let again = Store::open(config()).await.unwrap();
        again.close().await.unwrap();
        assert_eq!(lasting(dump(&legacy.path)), lasting(adopted));
    }
}

/// Without the table that says when something last ran.
fn lasting(mut tables: Tables) -> Tables {
    tables.remove("botstore_schedules");
    // A new random number with each taking over.
    tables.remove("botstore_store");
    tables
}
