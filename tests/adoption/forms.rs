//! A bot's file may have an index of another form under a name of the seed's. It stays the bot's as long as it
//! does what the seed's does; otherwise it is made anew, and comes back when the steps are taken back.

use crate::harmless::check_works;
use crate::refusals::database;
use crate::shapes::SEED;
use botstore::rusqlite::{Connection, OptionalExtension};
use botstore::schema::{self, ObjectKind};
use botstore::{BeforeUpgrade, Config, Store};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The seed's indexes: name, table, columns, and another column of that table.
const INDEXES: [(&str, &str, &str, &str); 7] = [
    ("idx_sessions_user_id", "sessions", "user_id", "total_turns"),
    (
        "idx_sessions_project_path",
        "sessions",
        "project_path",
        "user_id",
    ),
    (
        "idx_messages_session_id",
        "messages",
        "session_id",
        "user_id",
    ),
    ("idx_messages_timestamp", "messages", "timestamp", "cost"),
    ("idx_audit_log_user_id", "audit_log", "user_id", "success"),
    (
        "idx_audit_log_timestamp",
        "audit_log",
        "timestamp",
        "user_id",
    ),
    (
        "idx_cost_tracking_user_date",
        "cost_tracking",
        "user_id, date",
        "id",
    ),
];

/// What is said in the place of the seed's columns and does what the seed's index does.
const SUCH_AS_DO: [&str; 2] = ["({columns}, {other})", "( {columns} COLLATE BINARY ASC)"];

/// The same that does not.
const SUCH_AS_DO_NOT: [&str; 5] = [
    "({columns}) WHERE {other} > 1",
    "({other}, {columns})",
    "({columns} COLLATE NOCASE)",
    "({columns} DESC)",
    "(abs({other}))",
];

fn config(path: &Path) -> Config {
    Config::new(path).before_upgrade(BeforeUpgrade::Skip)
}

fn form_of(path: &Path, index: &str) -> Option<String> {
    let conn = Connection::open(path).unwrap();
    let sql = "SELECT sql FROM sqlite_schema WHERE type = 'index' AND name = ?1";
    let form = conn.query_row(sql, [index], |row| row.get(0));
    form.optional().unwrap()
}

fn forge(path: &Path, sql: &str) {
    let conn = Connection::open(path).unwrap();
    conn.execute_batch(sql).expect(sql);
    conn.close().unwrap();
}

async fn open_and_close(path: &Path) {
    let store = Store::open(config(path)).await.unwrap();
    let missing = store.health().await.unwrap().unknown_objects.missing;
    assert_eq!(missing, [], "nothing is left for the next opening");
    store.close().await.unwrap();
}

/// The bot's file with each of these forms in the place of the seed's.
fn with_forms(forms: &[(&str, String)]) -> (TempDir, PathBuf) {
    let change = |(index, form): &(&str, String)| format!("DROP INDEX {index}; {form};\n");
    let changes: String = forms.iter().map(change).collect();
    database(&format!("{SEED}; {changes}"))
}

/// Of the seven indexes, each in one of these forms, the next in the next.
async fn are_settled_and_given_back(forms: &[&str], do_as_the_seeds: bool) {
    let (mut bots, mut expected) = (Vec::new(), Vec::new());
    for ((index, table, columns, other), form) in INDEXES.into_iter().zip(forms.iter().cycle()) {
        let form = form.replace("{columns}", columns);
        let form = form.replace("{other}", other);
        let form = format!("CREATE INDEX {index} ON {table}{form}");
        let seeds = format!("CREATE INDEX {index} ON {table}({columns})");
        expected.push((index, if do_as_the_seeds { form.clone() } else { seeds }));
        bots.push((index, form));
    }
    let (_folder, path) = with_forms(&bots);
    let all_are = |expected: &[(&str, String)], when: &str| {
        for (index, form) in expected {
            assert_eq!(form_of(&path, index).as_ref(), Some(form), "{when}");
        }
    };
    for opening in ["the first opening", "the second"] {
        open_and_close(&path).await;
        all_are(&expected, opening);
    }
    check_works(&path, "every form").await;
    schema::rollback(config(&path), "botstore", 1).unwrap();
    all_are(&expected, "at step 1");
    schema::rollback(config(&path), "botstore", 0).unwrap();
    all_are(&bots, "taken back");
    // And all of it again.
    open_and_close(&path).await;
    all_are(&expected, "taken over again");
}

#[tokio::test]
async fn an_index_that_does_what_the_seeds_does_stays_the_bots() {
    are_settled_and_given_back(&SUCH_AS_DO[..1], true).await;
    are_settled_and_given_back(&SUCH_AS_DO[1..], true).await;
}

#[tokio::test]
async fn one_that_does_not_is_made_anew_at_the_first_opening_and_given_back() {
    are_settled_and_given_back(&SUCH_AS_DO_NOT, false).await;
    are_settled_and_given_back(&SUCH_AS_DO_NOT[2..], false).await;
}

/// It may be all that there is of the key.
#[tokio::test]
async fn a_key_that_is_an_index_of_the_seeds_name_stays_a_key() {
    let without = SEED.replace("    UNIQUE(user_id, date),\n", "");
    assert_ne!(without, SEED);
    let bots = "CREATE UNIQUE INDEX idx_cost_tracking_user_date ON cost_tracking(user_id, date)";
    let drop = "DROP INDEX idx_cost_tracking_user_date";
    let (_folder, path) = database(&format!("{without}; {drop}; {bots};"));
    check_works(&path, bots).await;
    for _ in 0..2 {
        open_and_close(&path).await;
        let now = form_of(&path, "idx_cost_tracking_user_date");
        assert_eq!(now.as_deref(), Some(bots));
    }
    // It may refuse a row, and so it is told of; not as one that somebody has altered.
    let found = schema::unknown_objects(&path).unwrap();
    let index = found
        .first
        .iter()
        .find(|found| found.kind == ObjectKind::Index);
    assert!(index.is_some_and(|index| !index.altered), "{found:?}");
    assert_eq!(found.missing, []);
    schema::rollback(config(&path), "botstore", 0).unwrap();
    let now = form_of(&path, "idx_cost_tracking_user_date");
    assert_eq!(now.as_deref(), Some(bots));
}

/// What is the bot's is what it had when its file was taken over.
#[tokio::test]
async fn what_somebody_alters_later_is_made_anew_and_the_bots_own_is_given_back_all_the_same() {
    let index = "idx_messages_session_id";
    let seeds = "CREATE INDEX idx_messages_session_id ON messages(session_id)";
    for bots in [
        "CREATE INDEX idx_messages_session_id ON messages(session_id, timestamp)",
        "CREATE INDEX idx_messages_session_id ON messages(session_id) WHERE cost > 1",
    ] {
        let (_folder, path) = with_forms(&[(index, bots.to_owned())]);
        open_and_close(&path).await;
        let later = "CREATE INDEX idx_messages_session_id ON messages(cost)";
        forge(&path, &format!("DROP INDEX {index}; {later};"));
        open_and_close(&path).await;
        assert_eq!(form_of(&path, index).as_deref(), Some(seeds));
        schema::rollback(config(&path), "botstore", 0).unwrap();
        assert_eq!(form_of(&path, index).as_deref(), Some(bots));
    }
}

/// A way back goes on without what cannot be given back.
#[tokio::test]
async fn a_form_that_rows_do_not_allow_any_more_keeps_no_step_from_being_taken_back() {
    let index = "idx_audit_log_user_id";
    let bots = "CREATE UNIQUE INDEX idx_audit_log_user_id ON audit_log(user_id DESC)";
    let (_folder, path) = with_forms(&[(index, bots.to_owned())]);
    open_and_close(&path).await;
    check_works(&path, bots).await;
    forge(
        &path,
        "INSERT INTO audit_log (user_id, event_type) VALUES (7, 'a'), (7, 'b')",
    );
    schema::rollback(config(&path), "botstore", 0).unwrap();
    let seeds = "CREATE INDEX idx_audit_log_user_id ON audit_log(user_id)";
    assert_eq!(form_of(&path, index).as_deref(), Some(seeds));
}

/// The file says which form to give back. It is the file's word, and so no more than an index is made of it.
#[tokio::test]
async fn what_a_file_says_of_a_form_is_run_as_an_index_only() {
    let index = "idx_audit_log_user_id";
    let bots = "CREATE INDEX idx_audit_log_user_id ON audit_log(success)";
    let (_folder, path) = with_forms(&[(index, bots.to_owned())]);
    check_works(&path, bots).await;
    let taken_over = std::fs::read(&path).unwrap();
    for forged in [
        "DROP TABLE users",
        "CREATE INDEX i ON audit_log(success); DROP TABLE users",
        "CREATE TRIGGER t AFTER INSERT ON users BEGIN DELETE FROM users; END",
        "CREATE TABLE t (a)",
        "ATTACH 'other.db' AS other",
        "nonsense",
        "",
    ] {
        std::fs::write(&path, &taken_over).unwrap();
        let conn = Connection::open(&path).unwrap();
        let changed = conn
            .execute(
                "UPDATE botstore_found SET sql = ?1 WHERE name = ?2",
                [forged, index],
            )
            .unwrap();
        assert_eq!(changed, 1);
        conn.close().unwrap();
        schema::rollback(config(&path), "botstore", 0).unwrap();
        let seeds = "CREATE INDEX idx_audit_log_user_id ON audit_log(user_id)";
        assert_eq!(form_of(&path, index).as_deref(), Some(seeds), "{forged}");
        let conn = Connection::open(&path).unwrap();
        let sql = "SELECT (SELECT count(*) FROM users),
                          (SELECT count(*) FROM sqlite_schema WHERE name IN ('t', 'i'))";
        let left: (i64, i64) = conn
            .query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap();
        assert_eq!(left, (1, 0), "{forged}");
    }
}
