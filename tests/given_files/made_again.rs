//! What somebody has dropped of what steps made is told of, and made again at the next opening.

use crate::support::{Given, interaction, run};
use botstore::analytics::SystemStats;
use botstore::page::PageRequest;
use botstore::rollups::ReconcileRollups;
use botstore::rusqlite::Connection;
use botstore::schema::{self, UnknownTriggers};
use botstore::sessions::{SessionFilter, UserSessions};
use botstore::{ErrorKind, Store};

/// A row of `sqlite_schema`: type, name and SQL.
type Object = (String, String, String);

/// What the steps made that holds no rows of its own.
fn derived(given: &Given) -> Vec<Object> {
    let conn = given.conn();
    let sql = "SELECT type, name, sql FROM sqlite_schema
               WHERE type IN ('index', 'trigger', 'view') AND sql IS NOT NULL ORDER BY type, name";
    let mut objects = conn.prepare(sql).expect(sql);
    let objects = objects.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
    objects.expect(sql).map(|row| row.expect(sql)).collect()
}

/// Whether the file has this.
pub(crate) fn has(conn: &Connection, name: &str) -> bool {
    let sql = "SELECT count(*) > 0 FROM sqlite_schema WHERE name = ?1";
    conn.query_row(sql, [name], |row| row.get(0)).expect(sql)
}

/// Another program's messages, as long as something is missing.
const ROWS: &str = "PRAGMA foreign_keys = OFF;
    INSERT INTO messages (session_id, user_id, prompt, cost)
        VALUES ('s', 1, 'p', 0.25), ('s', 2, 'p', 0.25);
    INSERT INTO tool_usage (session_id, tool_name) VALUES ('s', 'Bash');
    INSERT INTO cost_tracking (user_id, date, daily_cost, request_count)
        VALUES (2, '2026-03-10', 0.25, 1);
    DELETE FROM messages WHERE message_id = 1;
    UPDATE messages SET cost = 2 WHERE message_id = 2;
    UPDATE tool_usage SET success = 0 WHERE id = 2;
    DELETE FROM tool_usage WHERE id = 3;
    UPDATE cost_tracking SET daily_cost = 3, date = '2026-03-11' WHERE user_id = 1;
    UPDATE sessions SET user_id = 2;
    INSERT INTO botstore_usage (usage_id, user_id, at, request_model, chat_id, platform)
        VALUES (4, 1, '2026-03-10', 'gpt', '7', 'telegram'), (-1, 1, '2026-03-10', NULL, NULL, NULL);
    UPDATE botstore_usage SET input_tokens = 9 WHERE usage_id = 3;
    DELETE FROM botstore_usage WHERE usage_id = 1;";

fn sessions_of(user_id: i64) -> UserSessions {
    UserSessions::new(user_id)
        .which(SessionFilter::default())
        .page(PageRequest::first(10))
}

async fn exact(store: &Store) {
    let report = store.read(ReconcileRollups::new()).await.expect("a report");
    assert_eq!(report.differences, 0, "{:?}", report.named);
    let sessions = store.read(sessions_of(2));
    assert_eq!(sessions.await.expect("a page").items.len(), 1);
}

#[tokio::test]
async fn each_trigger_index_and_view_that_was_dropped_is_told_of_and_made_again() {
    let template = Given::file().await;
    let objects = derived(&template);
    assert!(objects.len() > 40, "{objects:?}");
    let bytes = std::fs::read(&template.path).expect("the file");
    // A trigger is missed alone among triggers, since others count what it does not, and an index or a view
    // with it: those change no row.
    let (triggers, others): (Vec<_>, Vec<_>) = objects
        .into_iter()
        .partition(|object| object.0 == "trigger");
    assert!(triggers.len() >= 20 && others.len() >= 20, "{triggers:?}");
    for at in 0..triggers.len().max(others.len()) {
        let dropped: Vec<_> = triggers.get(at).into_iter().chain(others.get(at)).collect();
        let mut names: Vec<_> = dropped.iter().map(|object| object.1.as_str()).collect();
        names.sort_unstable();
        let given = Given::nowhere();
        std::fs::write(&given.path, &bytes).expect("a copy");
        let drops = dropped
            .iter()
            .map(|(kind, name, _)| format!("DROP {kind} {name};"));
        given.forge(&format!("{}{ROWS}", drops.collect::<String>()));
        let found = schema::unknown_objects(given.config()).expect("a look");
        let mut missing: Vec<_> = found.missing.iter().map(|it| it.name.as_str()).collect();
        missing.sort_unstable();
        assert_eq!(missing, names, "{found:?}");
        let made_again = found.missing.iter().all(|lost| lost.made_again);
        assert!(made_again && found.is_empty(), "{found:?}");
        let plan = schema::plan(given.config()).expect("a plan");
        assert_eq!(plan.missing, found.missing);
        assert!(!plan.is_empty());

        // Nothing is refused for what is not there.
        let config = given.config().unknown_triggers(UnknownTriggers::Refuse);
        let store = Store::open(config)
            .await
            .unwrap_or_else(|e| panic!("{names:?}: {e}"));
        let health = store.health().await.expect("health");
        assert_eq!(health.unknown_objects.missing, [], "{names:?}");
        exact(&store).await;
        store.close().await.expect("closed");
        let again = derived(&given);
        assert!(
            dropped.iter().all(|object| again.contains(object)),
            "{names:?}: {again:?}"
        );
    }
}

#[tokio::test]
async fn check_lists_what_is_missing_and_repair_or_migrate_makes_it_again() {
    let drop = "DROP TRIGGER botstore_message_added; DROP INDEX botstore_messages_of_user;
        DROP INDEX idx_sessions_user_id; DROP VIEW daily_stats;";
    for (command, more) in [("check", &["--repair"][..]), ("migrate", &[])] {
        let given = Given::file().await;
        given.forge(&format!("{drop}{ROWS}"));
        for look in ["check", "status"] {
            let code = if look == "check" { 4 } else { 0 };
            let ran = run(look, &given.path, &[]).came_to(code);
            for name in [
                "botstore_message_added",
                "botstore_messages_of_user",
                "daily_stats",
            ] {
                assert!(ran.out.contains(name), "{}", ran.out);
            }
            let json = run(look, &given.path, &["--json"]).json();
            let missing = json["unknown_objects"]["missing"].as_array().map(Vec::len);
            assert_eq!(missing, Some(4), "{json}");
        }
        // The wrong counters of what another program has written are another matter.
        run(command, &given.path, more);
        let json = run("check", &given.path, &["--json"]).json();
        assert_eq!(json["unknown_objects"]["missing"], serde_json::json!([]));
        assert_eq!(json["rollups"]["differences"], 0, "{json}");
    }
}

/// They hold nothing that cannot be counted again.
#[tokio::test]
async fn each_table_of_rollups_that_was_dropped_is_made_and_counted_again() {
    for table in [
        "botstore_message_count",
        "botstore_tool_count",
        "botstore_cost_count",
        "botstore_counted",
        "botstore_zone",
        "botstore_total",
        "botstore_day",
        "botstore_user_total",
        "botstore_user_day",
        "botstore_session_day",
        "botstore_session_user",
        "botstore_tool",
        "botstore_session_tool",
        "botstore_user_tool",
        "botstore_cost_day",
        "botstore_usage_counted",
        "botstore_model_day",
        "botstore_user_model_day",
        "botstore_chat_day",
        "botstore_other_day",
        "botstore_usage_count",
    ] {
        let given = Given::file().await;
        given.forge(&format!("DROP TABLE {table};"));
        let store = Store::open(given.config()).await.expect(table);
        let report = store.read(ReconcileRollups::new()).await.expect("a report");
        assert_eq!(report.differences, 0, "{table}: {:?}", report.named);
        store.write(interaction()).await.expect(table);
        let stats = store.read(SystemStats::new()).await.expect("statistics");
        assert_eq!(stats.total_messages, 4, "{table}");
        let report = store.read(ReconcileRollups::new()).await.expect("a report");
        assert_eq!(report.differences, 0, "{table}: {:?}", report.named);
        store.close().await.expect("closed");
    }
}

/// The days of last use are not rollups, but as easily made again.
#[tokio::test]
async fn sessions_are_in_their_order_though_the_days_of_their_last_use_were_dropped() {
    for drop in [
        "DROP TABLE botstore_session_recent",
        "DROP TABLE botstore_session_import",
        "DROP TRIGGER botstore_recent_added",
        "DROP TRIGGER botstore_recent_changed",
        "DROP TRIGGER botstore_recent_removed",
        "DROP TRIGGER botstore_import_overtaken",
        "DROP INDEX botstore_messages_of_user",
    ] {
        let given = Given::file().await;
        // Without the tables, another program's triggers would fail.
        given.forge(&format!(
            "{drop};
             DROP TRIGGER IF EXISTS botstore_recent_added;
             DROP TRIGGER IF EXISTS botstore_recent_changed;
             DROP TRIGGER IF EXISTS botstore_import_overtaken;
             DROP TRIGGER IF EXISTS botstore_import_changed;
             INSERT INTO sessions (session_id, user_id, project_path, last_used)
                 VALUES ('old', 1, '/', '2020-01-01T00:00:00.000000+00:00'),
                        ('new', 1, '/', '2020-01-02T00:00:00.000000+00:00'),
                        ('moved', 1, '/', '2020-01-03T00:00:00.000000+00:00');
             UPDATE sessions SET last_used = '2019-01-01T00:00:00.000000+00:00' WHERE session_id = 'moved';"
        ));
        let store = Store::open(given.config()).await.expect("a store");
        let sessions = store.read(sessions_of(1)).await.expect("a page").items;
        let ids: Vec<_> = sessions.iter().map(|s| s.session_id.as_str()).collect();
        assert_eq!(ids[ids.len() - 3..], ["new", "old", "moved"], "{drop}");
        store.write(interaction()).await.expect(drop);
        let again = store.read(sessions_of(1)).await.expect("a page").items;
        assert_eq!(again.len(), ids.len(), "{drop}");
        store.close().await.expect("closed");
    }
}

#[tokio::test]
async fn a_table_with_rows_of_its_own_is_told_of_and_not_made_anew() {
    for table in [
        "users",
        "sessions",
        "messages",
        "tool_usage",
        "audit_log",
        "user_tokens",
        "botstore_session_member",
    ] {
        let given = Given::file().await;
        given.forge(&format!("PRAGMA foreign_keys = OFF; DROP TABLE {table}"));
        let status = run("status", &given.path, &[]).came_to(0);
        assert!(status.out.contains("restore a backup"), "{}", status.out);
        let error = Store::open(given.config()).await.expect_err(table);
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        let named = format!("the table {table:?}");
        assert!(error.to_string().contains(&named), "{error}");
        assert!(!has(&given.conn(), table));
    }
    // The bot goes on without these.
    for table in [
        "botstore_schedules",
        "botstore_idempotency",
        "botstore_update",
        "botstore_external_user",
    ] {
        let given = Given::file().await;
        given.forge(&format!("DROP TABLE {table}"));
        for more in [&[][..], &["--repair"]] {
            let check = run("check", &given.path, more).came_to(4);
            let next = check
                .out
                .lines()
                .find(|line| line.starts_with("what to do"));
            let next = next.expect("a last sentence");
            assert!(next.contains("restore a backup"), "{}", check.out);
            assert!(!check.out.contains("repaired"), "{}", check.out);
        }
        let store = Store::open(given.config())
            .await
            .expect("it is not bricked");
        let unknown = store.health().await.expect("health").unknown_objects;
        let lost = unknown.missing.iter().find(|lost| lost.name == table);
        assert!(lost.is_some_and(|lost| !lost.made_again), "{unknown:?}");
        store.close().await.expect("closed");
    }
}

/// Statements name their index, and fail with one that does not do.
#[tokio::test]
async fn an_index_that_was_altered_is_made_anew() {
    for index in [
        "CREATE INDEX botstore_messages_of_user ON messages(session_id)",
        "CREATE INDEX botstore_messages_of_user ON messages(user_id) WHERE user_id > 99",
    ] {
        let given = Given::file().await;
        given.forge(&format!("DROP INDEX botstore_messages_of_user; {index};"));
        run("check", &given.path, &[]).came_to(4);
        let store = Store::open(given.config()).await.expect("a store");
        let sessions = store.read(sessions_of(1));
        assert_eq!(sessions.await.expect("a page").items.len(), 1);
        store.close().await.expect("closed");
        run("check", &given.path, &[]).came_to(0);
    }
}

#[tokio::test]
async fn with_everything_dropped_a_file_opens_and_goes_back_all_the_same() {
    let drop_all = |given: &Given| {
        let drops = derived(given);
        let drops = drops
            .iter()
            .map(|(kind, name, _)| format!("DROP {kind} {name};"));
        given.forge(&drops.collect::<String>());
    };
    let given = Given::file().await;
    let before = derived(&given);
    drop_all(&given);
    for unknown in [UnknownTriggers::Disable, UnknownTriggers::Allow] {
        let store = Store::open(given.config().unknown_triggers(unknown))
            .await
            .expect("a store");
        store.write(interaction()).await.expect("saved");
        let report = store.read(ReconcileRollups::new()).await.expect("a report");
        assert_eq!(report.differences, 0, "{:?}", report.named);
        store.close().await.expect("closed");
        assert_eq!(derived(&given), before);
        drop_all(&given);
    }
    schema::rollback(given.config(), "botstore", 2).expect("taken back");
    drop_all(&given);
    schema::apply(given.config()).expect("applied");
    assert_eq!(derived(&given), before);
    drop_all(&given);
    schema::rollback(given.config(), "botstore", 0).expect("taken back");
}

/// As a kill between the last step and the counting leaves it, or an `apply_to` of an older program.
#[tokio::test]
async fn a_file_whose_rows_are_still_to_be_counted_is_refused_in_words_and_never_shown_as_empty() {
    let given = Given::file().await;
    given.forge(
        "DELETE FROM botstore_counted; DELETE FROM botstore_user_day; DELETE FROM botstore_day",
    );
    for command in ["dashboard", "check"] {
        let ran = run(command, &given.path, &[]).came_to(5);
        assert!(ran.err.contains("not counted yet"), "{}", ran.err);
    }
    let snapshot = botstore::snapshot(given.config(), |tx| tx.query(&SystemStats::new()));
    assert_eq!(snapshot.map_err(|e| e.kind()), Err(ErrorKind::OlderSchema));
    let status = run("status", &given.path, &[]).came_to(0);
    assert!(status.out.contains("to be counted"), "{}", status.out);
    let plan = run("migrate", &given.path, &["--plan"]).came_to(0);
    assert!(plan.out.contains("count the rows"), "{}", plan.out);
    run("migrate", &given.path, &[]).came_to(0);
    let shown = run("dashboard", &given.path, &["--json"]).came_to(0).json();
    assert_eq!(shown["stats"]["total_messages"], 3, "{shown}");
}

#[tokio::test]
async fn a_file_that_is_migrated_a_step_at_a_time_never_shows_zero() {
    let given = Given::file().await;
    schema::rollback(given.config(), "botstore", 2).expect("taken back");
    let last = {
        let plan = schema::plan(given.config()).expect("a plan");
        let steps = plan.steps.iter().filter(|step| step.schema == "botstore");
        steps.map(|step| step.step).max().expect("a step")
    };
    // The last comes with the steps of other schemas.
    let to = |step: u32| match step == last {
        true => vec![],
        false => vec!["--to".to_owned(), step.to_string()],
    };
    for step in 3..=last {
        let more = to(step);
        let more: Vec<_> = more.iter().map(String::as_str).collect();
        run("migrate", &given.path, &more).came_to(0);
        let shown = run("dashboard", &given.path, &["--json"]);
        match shown.code {
            5 => assert!(step != last, "{}", shown.err),
            _ => assert_eq!(shown.came_to(0).json()["stats"]["total_messages"], 3),
        }
    }
    run("migrate", &given.path, &[]).came_to(0);
    let shown = run("dashboard", &given.path, &["--json"]).came_to(0).json();
    assert_eq!(shown["stats"]["total_messages"], 3, "{shown}");
    run("check", &given.path, &[]).came_to(0);
}
