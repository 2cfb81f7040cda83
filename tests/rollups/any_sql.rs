//! Statistics stay exact whatever form of SQL changes a row: through the store, and by other programs, whose
//! foreign keys are off.

use crate::histories::histories;
use crate::support::compare;
use crate::usage::recount::compare_usage;
use botstore::analytics::{SystemStats, UserStats};
use botstore::rollups::ReconcileRollups;
use botstore::rusqlite::Connection;
use botstore::testing::TestStore;
use botstore::{BeforeUpgrade, Config, Durability, Mutation, Result, Store, WriteTx};
use proptest::prelude::*;
use std::path::Path;

/// A host's own SQL.
#[derive(Clone, Debug)]
pub(crate) struct Sql(pub(crate) String);

impl Mutation for Sql {
    type Output = usize;

    fn apply(&self, tx: &WriteTx<'_>) -> Result<usize> {
        tx.execute(&self.0, [])
    }
}

pub(crate) const INSERTS: [&str; 5] = [
    "INSERT INTO",
    "INSERT OR IGNORE INTO",
    "INSERT OR FAIL INTO",
    "INSERT OR REPLACE INTO",
    "REPLACE INTO",
];
pub(crate) const UPDATES: [&str; 3] = ["UPDATE OR IGNORE", "UPDATE", "UPDATE OR REPLACE"];

/// Columns, and what may be in each.
type Columns = &'static [(&'static str, &'static [&'static str])];

/// The tables that rollups count, and those that they hang on: their columns, the key first, and what may be in
/// each.
const TABLES: [(&str, Columns); 6] = [
    (
        "messages",
        &[
            ("message_id", &["1", "2", "3", "4"]),
            ("session_id", SESSIONS),
            ("user_id", USERS),
            (
                "timestamp",
                &[
                    "'2026-03-09T12:00:00.000000+00:00'",
                    "'2026-03-10T12:00:00.000000+00:00'",
                ],
            ),
            ("prompt", &["'p'"]),
            ("cost", &["0.5", "1.25", "NULL"]),
            ("duration_ms", &["7", "NULL"]),
            ("error", &["'Timeout'", "NULL"]),
        ],
    ),
    (
        "tool_usage",
        &[
            ("id", &["1", "2", "3", "4"]),
            ("session_id", SESSIONS),
            ("message_id", &["1", "2", "NULL"]),
            ("tool_name", &["'Read'", "'Bash'"]),
            ("success", &["0", "1"]),
        ],
    ),
    (
        "sessions",
        &[
            ("session_id", SESSIONS),
            ("user_id", USERS),
            ("project_path", &["'/srv'"]),
        ],
    ),
    (
        "users",
        &[("user_id", USERS), ("telegram_username", &["'ada'"])],
    ),
    (
        "cost_tracking",
        &[
            ("id", &["1", "2", "3", "4"]),
            ("user_id", USERS),
            ("date", &["'2026-03-09'", "'2026-03-10'"]),
            ("daily_cost", &["0.5", "1.25", "NULL"]),
            ("request_count", &["1", "2"]),
        ],
    ),
    (
        "botstore_usage",
        &[
            ("usage_id", &["1", "2", "3", "4", "-1", "-2"]),
            ("user_id", USERS),
            (
                "at",
                &[
                    "'2026-03-09T12:00:00.000000+00:00'",
                    "'2026-03-10T12:00:00.000000+00:00'",
                    "NULL",
                ],
            ),
            ("request_model", &["'gpt'", "'mini'", "NULL"]),
            ("output_tokens", &["7", "NULL"]),
            ("cost_nanos", &["500", "NULL"]),
            ("platform", &["'telegram'", "NULL"]),
            ("chat_id", &["'7'", "'8'"]),
        ],
    ),
];
const SESSIONS: &[&str] = &["'a'", "'b'", "'c'"];
const USERS: &[&str] = &["1", "2", "3"];

/// A change of one row, or of several, in a form that `picks` picks.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    table: usize,
    form: usize,
    picks: Vec<usize>,
}

impl Change {
    fn value(&self, at: usize) -> String {
        let (column, values) = TABLES[self.table].1[at];
        let _ = column;
        values[self.picks[at] % values.len()].to_owned()
    }

    /// The statement, of the forms that there are, or of those without REPLACE.
    pub(crate) fn sql(&self, inserts: &[&str], updates: &[&str]) -> String {
        let (table, columns) = TABLES[self.table];
        let (key, keys) = columns[0];
        let names: Vec<_> = columns.iter().map(|(name, _)| *name).collect();
        let values: Vec<_> = (0..columns.len()).map(|at| self.value(at)).collect();
        let which = keys[self.picks[8] % keys.len()];
        let sets: Vec<_> = (0..columns.len())
            .filter(|at| self.picks[9] & (1 << at) != 0 || *at == 1)
            .map(|at| format!("{} = {}", names[at], values[at]))
            .collect();
        let sets = sets.join(", ");
        let upserts = [
            String::new(),
            " ON CONFLICT DO NOTHING".to_owned(),
            format!(" ON CONFLICT ({key}) DO UPDATE SET {sets}"),
        ];
        let form = self.form;
        match form % 5 {
            0..2 => format!(
                "{} {table} ({}) VALUES ({}){}",
                inserts[form / 5 % inserts.len()],
                names.join(", "),
                values.join(", "),
                upserts[self.picks[10] % upserts.len()]
            ),
            2 => format!("DELETE FROM {table} WHERE {key} = {which}"),
            3 if self.picks[10].is_multiple_of(7) => format!("DELETE FROM {table}"),
            _ => format!(
                "{} {table} SET {sets} WHERE {key} = {which}",
                updates[form / 5 % updates.len()]
            ),
        }
    }
}

pub(crate) fn change() -> impl Strategy<Value = Change> {
    let picks = prop::collection::vec(0..256_usize, 11);
    (0..TABLES.len(), 0..60_usize, picks).prop_map(|(table, form, picks)| Change {
        table,
        form,
        picks,
    })
}

pub(crate) async fn seed(store: &Store) {
    for sql in [
        "INSERT INTO users (user_id) VALUES (1), (2), (3)",
        "INSERT INTO sessions (session_id, user_id, project_path) VALUES ('a', 1, '/'), ('b', 2, '/')",
        "INSERT INTO messages (session_id, user_id, prompt, cost, timestamp)
         VALUES ('a', 1, 'p', 0.5, '2026-03-10T12:00:00.000000+00:00'),
                ('b', 2, 'p', 0.5, '2026-03-10T12:00:00.000000+00:00'),
                ('b', 2, 'p', 0.5, '2026-03-09T12:00:00.000000+00:00')",
        "INSERT INTO tool_usage (session_id, tool_name) VALUES ('a', 'Read'), ('b', 'Read'), ('b', 'Bash')",
        "INSERT INTO cost_tracking (user_id, date, daily_cost, request_count)
         VALUES (1, '2026-03-10', 0.5, 1), (2, '2026-03-10', 1, 2)",
        "INSERT INTO botstore_usage (usage_id, user_id, at, request_model, input_tokens, cost_nanos, platform, chat_id)
         VALUES (1, 1, '2026-03-10T12:00:00.000000+00:00', 'gpt', 5, 500000000, 'telegram', '7'),
                (2, 2, '2026-03-10T12:00:00.000000+00:00', 'mini', 7, NULL, NULL, NULL),
                (-1, 1, '2026-03-10T12:00:00.000000+00:00', NULL, NULL, 1000, NULL, NULL)",
    ] {
        store.write(Sql(sql.to_owned())).await.unwrap();
    }
}

async fn exact(store: &Store, after: &dyn std::fmt::Debug) {
    compare_usage(store, 0, after).await;
}

/// As the Python bot, or a shell: foreign keys are off, and recursive triggers too unless they say otherwise.
pub(crate) fn by_another_program(path: &Path, statements: &[String], pragma: &str) {
    let conn = Connection::open(path).unwrap();
    conn.execute_batch("PRAGMA foreign_keys = OFF; PRAGMA synchronous = OFF")
        .unwrap();
    conn.execute_batch(pragma).unwrap();
    for sql in statements {
        // A row that is there, or is missing.
        let _ = conn.execute(sql, []);
    }
    conn.close().unwrap();
}

pub(crate) fn config(path: &Path) -> Config {
    let config = Config::new(path).durability(Durability::Normal);
    config.before_upgrade(BeforeUpgrade::Skip)
}

async fn run(here: &[Change], theirs: &[Change], careful: &[Change]) {
    let store = TestStore::open_with(|config| config.durability(Durability::Normal))
        .await
        .unwrap();
    seed(&store).await;
    let mut done = Vec::new();
    for change in here {
        let sql = change.sql(&INSERTS, &UPDATES);
        let written = store.write(Sql(sql.clone())).await;
        done.push((sql, written.map_err(|e| e.kind())));
    }
    exact(&store, &done).await;
    let (_folder, path) = store.into_file().await.unwrap();
    let plain: Vec<_> = theirs
        .iter()
        .map(|c| c.sql(&INSERTS[..3], &UPDATES[..2]))
        .collect();
    by_another_program(&path, &plain, "");
    let store = Store::open(config(&path)).await.unwrap();
    exact(&store, &(&done, &plain)).await;
    // Once more, on rows that are counted.
    for change in here {
        let sql = change.sql(&INSERTS, &UPDATES);
        let _ = store.write(Sql(sql)).await;
    }
    exact(&store, &(&done, &plain)).await;
    store.close().await.unwrap();
    let replacing: Vec<_> = careful.iter().map(|c| c.sql(&INSERTS, &UPDATES)).collect();
    by_another_program(&path, &replacing, "PRAGMA recursive_triggers = ON");
    let store = Store::open(config(&path)).await.unwrap();
    exact(&store, &(done, plain, replacing)).await;
    store.close().await.unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: histories(16), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn statistics_are_exact_after_any_sql(
        here in prop::collection::vec(change(), 0..40),
        theirs in prop::collection::vec(change(), 0..25),
        careful in prop::collection::vec(change(), 0..25),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(run(&here, &theirs, &careful));
    }
}

/// Every form that replaces, on each table that has rollups, each from the same rows.
#[tokio::test]
async fn what_replace_removes_is_not_counted_any_more() {
    let (message, later) = ("'p', 5.0, '2026-03-08T12:00:00.000000+00:00'", "timestamp");
    let forms = [
        format!("REPLACE INTO messages (message_id, session_id, user_id, prompt, cost, {later}) VALUES (1, 'b', 2, {message})"),
        format!("INSERT OR REPLACE INTO messages (message_id, session_id, user_id, prompt, cost, {later}) VALUES (2, 'a', 1, {message})"),
        "REPLACE INTO messages SELECT * FROM messages".to_owned(),
        "UPDATE OR REPLACE messages SET message_id = 2 WHERE message_id = 1".to_owned(),
        "REPLACE INTO tool_usage (id, session_id, tool_name) VALUES (1, 'b', 'Bash')".to_owned(),
        "UPDATE OR REPLACE tool_usage SET id = 2 WHERE id = 1".to_owned(),
        "REPLACE INTO cost_tracking (user_id, date, daily_cost, request_count) VALUES (1, '2026-03-10', 9, 9)".to_owned(),
        "UPDATE OR REPLACE cost_tracking SET user_id = 2 WHERE user_id = 1".to_owned(),
        "REPLACE INTO sessions (session_id, user_id, project_path) VALUES ('b', 3, '/')".to_owned(),
        "REPLACE INTO users (user_id) VALUES (1)".to_owned(),
        "REPLACE INTO botstore_usage (usage_id, user_id, request_model) VALUES (1, 2, 'mini')".to_owned(),
        "UPDATE OR REPLACE botstore_usage SET usage_id = -1 WHERE usage_id = 2".to_owned(),
    ];
    let store = TestStore::open().await.unwrap();
    seed(&store).await;
    let clock = store.clock().clone();
    let (_folder, seeded) = store.into_file().await.unwrap();
    for form in forms {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bot.db");
        std::fs::copy(&seeded, &path).unwrap();
        let config = config(&path).clock(clock.clone());
        let store = Store::open(config).await.unwrap();
        let changed = store.write(Sql(form.clone())).await.expect(&form);
        assert!(changed > 0, "{form}");
        exact(&store, &form).await;
        compare(&store, 0).await;
        store.close().await.unwrap();
    }
}

/// "Parents first" is how a user is erased where foreign keys are off.
#[tokio::test]
async fn a_user_who_was_erased_and_comes_back_has_done_nothing() {
    let store = TestStore::open().await.unwrap();
    seed(&store).await;
    let (_folder, path) = store.into_file().await.unwrap();
    let erase = [
        "DELETE FROM users WHERE user_id = 2",
        "DELETE FROM sessions WHERE user_id = 2",
        "DELETE FROM tool_usage WHERE session_id = 'b'",
        "DELETE FROM messages WHERE user_id = 2",
        "DELETE FROM cost_tracking WHERE user_id = 2",
        "INSERT INTO users (user_id) VALUES (2)",
    ];
    by_another_program(&path, &erase.map(str::to_owned), "");
    let store = Store::open(config(&path)).await.unwrap();
    let stats = store.read(UserStats::new(2)).await.unwrap();
    assert_eq!(stats.total_messages, 0);
    assert!(stats.top_tools.is_empty(), "{:?}", stats.top_tools);
    compare(&store, 0).await;
    store.close().await.unwrap();
}

/// Another program has to say `recursive_triggers` itself; so the comparison is the net.
#[tokio::test]
async fn what_replace_of_another_program_leaves_is_found_and_mended() {
    let store = TestStore::open().await.unwrap();
    seed(&store).await;
    let (_folder, path) = store.into_file().await.unwrap();
    let replace = "REPLACE INTO messages SELECT * FROM messages".to_owned();
    by_another_program(&path, &[replace], "");
    let store = Store::open(config(&path)).await.unwrap();
    let found = store.read(ReconcileRollups::new()).await.unwrap();
    assert!(found.differences > 0);
    store.repair_rollups().await.unwrap();
    compare(&store, 0).await;
    store.close().await.unwrap();
}

/// With `recursive_triggers` it would go round until SQLite refuses the write.
#[tokio::test]
async fn a_trigger_that_writes_its_own_table_works_as_before() {
    let store = TestStore::open().await.unwrap();
    seed(&store).await;
    let (_folder, path) = store.into_file().await.unwrap();
    let triggers = [
        "CREATE TRIGGER touched AFTER UPDATE ON messages BEGIN
             UPDATE messages SET duration_ms = coalesce(duration_ms, 0) + 1
             WHERE message_id = new.message_id; END",
        // By way of another table.
        "CREATE TABLE notes (id INTEGER PRIMARY KEY, said INTEGER)",
        "CREATE TRIGGER told AFTER UPDATE ON users BEGIN
             INSERT INTO notes (said) VALUES (new.user_id); END",
        "CREATE TRIGGER told_back AFTER INSERT ON notes BEGIN
             UPDATE users SET telegram_username = 'ada' WHERE user_id = new.said; END",
    ];
    by_another_program(&path, &triggers.map(str::to_owned), "");
    let store = Store::open(config(&path)).await.unwrap();
    for sql in [
        "UPDATE messages SET cost = 2 WHERE message_id = 1",
        "UPDATE users SET is_allowed = 1",
    ] {
        store.write(Sql(sql.to_owned())).await.expect(sql);
    }
    compare(&store, 0).await;
    store.close().await.unwrap();
}

/// A trigger that logs what goes is told of what REPLACE removes.
#[tokio::test]
async fn a_hosts_trigger_sees_what_replace_removes() {
    let store = TestStore::open().await.unwrap();
    seed(&store).await;
    let (_folder, path) = store.into_file().await.unwrap();
    let trigger = [
        "CREATE TABLE gone (id INTEGER)",
        "CREATE TRIGGER going AFTER DELETE ON messages BEGIN
             INSERT INTO gone VALUES (old.message_id); END",
    ];
    by_another_program(&path, &trigger.map(str::to_owned), "");
    let store = Store::open(config(&path)).await.unwrap();
    let replace = "REPLACE INTO messages SELECT * FROM messages WHERE message_id = 2";
    store.write(Sql(replace.to_owned())).await.unwrap();
    let stats = store.read(SystemStats::new()).await.unwrap();
    assert_eq!(stats.total_messages, 3);
    compare(&store, 0).await;
    store.close().await.unwrap();
    let conn = Connection::open(&path).unwrap();
    let gone: i64 = conn
        .query_row("SELECT id FROM gone", [], |row| row.get(0))
        .unwrap();
    assert_eq!(gone, 2);
}
