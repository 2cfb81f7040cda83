//! `status`, `check` and `dashboard` tell what is so, and change nothing.

use crate::support::{Place, all_steps, damage, interaction, on};
use crate::wait::until;
use botstore::rusqlite::Connection;
use serde_json::json;

/// The commands that read rows.
const READING: [&str; 6] = ["check", "dashboard", "export", "limits", "prices", "usage"];

#[test]
fn status_tells_of_size_steps_rows_and_the_last_backup() {
    let place = Place::filled(3);
    let before = on("status", &place.file, &["--json"]).came_to(0).json();
    assert_eq!(before["last_backup"], json!(null));
    assert_eq!(before["open_in"], "nothing");
    assert_eq!(before["to_migrate"], json!([]));
    assert_eq!(before["rows"]["messages"], 3);
    assert_eq!(before["schemas"][0]["schema"], "botstore");
    assert!(before["file_bytes"].as_u64().unwrap() > 0);
    assert!(before["free_bytes"].as_u64().unwrap() > 0);

    let backup = place.back_up(&[]);
    let after = on("status", &place.file, &["--json"]).came_to(0).json();
    assert_eq!(after["last_backup"]["path"], backup.to_str().unwrap());
    assert_eq!(
        after["store_id"],
        after["last_backup"]["manifest"]["store_id"]
    );

    let words = on("status", &place.file, &[]).came_to(0);
    for line in ["open          no", "to migrate    nothing", "messages"] {
        assert!(words.out.contains(line), "{line}: {}", words.out);
    }
}

#[tokio::test]
async fn status_tells_of_the_last_drill() {
    let place = Place::new();
    let store = place.open().await;
    store.back_up(Default::default()).await.unwrap();
    let drill = store.drill().await.unwrap();
    store.close().await.unwrap();
    let status = on("status", &place.file, &["--json"]).came_to(0).json();
    assert_eq!(status["last_drill"]["backup"], json!(drill.backup));
}

#[tokio::test]
async fn looking_works_beside_a_running_bot_and_sees_what_was_acknowledged() {
    let place = Place::new();
    let store = place.open().await;
    let user = botstore::users::EnsureUser::new(1, Some("ada"));
    store.write(user).await.unwrap();
    let status = on("status", &place.file, &["--json"]).came_to(0).json();
    assert_eq!(status["open_in"]["process"], std::process::id());
    assert_eq!(status["rows"]["users"], 1);

    let session = botstore::sessions::CreateSession::new(1, "s", "/srv");
    store.write(session).await.unwrap();
    store.write(interaction(0)).await.unwrap();
    on("check", &place.file, &[]).came_to(0);
    let shown = on("dashboard", &place.file, &["--json"]).came_to(0).json();
    assert_eq!(shown["stats"]["total_messages"], 1);
    let rows = on("export", &place.file, &["--table", "messages"]).came_to(0);
    assert!(rows.out.contains("prompt 0"), "{}", rows.out);

    store.write(interaction(1)).await.unwrap();
    store.close().await.unwrap();
    assert!(!place.path("bot.db-wal").exists(), "the log is emptied");
}

#[test]
fn looking_changes_nothing_and_leaves_nothing_behind() {
    let place = Place::filled(5);
    let before = place.picture();
    for command in READING.into_iter().chain(["status"]) {
        on(command, &place.file, &[]).came_to(0);
        on(command, &place.file, &["--json"]).came_to(0).json();
        assert!(place.picture() == before, "{command}");
    }
}

/// As it is after `kill -9`: the all_steps rows are only in the WAL.
#[cfg(unix)]
#[tokio::test]
async fn a_log_that_a_killed_bot_left_is_read_and_stays() {
    let place = Place::new();
    let store = place.open().await;
    let user = botstore::users::EnsureUser::new(1, Some("ada"));
    store.write(user).await.unwrap();
    let left = place.as_killed();
    store.close().await.unwrap();
    let read = |suffix| std::fs::read(left.path(suffix)).unwrap();
    let before = (read("bot.db"), read("bot.db-wal"));
    let status = on("status", &left.file, &["--json"]).came_to(0).json();
    assert_eq!(status["rows"]["users"], 1);
    assert!(status["wal_bytes"].as_u64().unwrap() > 0);
    let rows = on("export", &left.file, &[]).came_to(0);
    assert!(rows.out.contains("ada"), "{}", rows.out);
    assert!(before == (read("bot.db"), read("bot.db-wal")));
    for mode in [&[][..], &["--compact"]] {
        let backup = left.back_up(mode);
        on("verify", &backup, &[]).came_to(0);
    }
    assert!(before == (read("bot.db"), read("bot.db-wal")));
}

/// SQLite alone would take the damage for the WAL's end, and say nothing.
#[cfg(unix)]
#[tokio::test]
async fn a_log_that_is_damaged_in_the_middle_is_damage_to_every_command() {
    let place = Place::new();
    let store = place.open().await;
    for user in 1..20 {
        let user = botstore::users::EnsureUser::new(user, Some("ada"));
        store.write(user).await.unwrap();
    }
    let left = place.as_killed();
    store.close().await.unwrap();
    let log = left.path("bot.db-wal");
    let mut bytes = std::fs::read(&log).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&log, bytes).unwrap();
    for command in READING.into_iter().chain(["status", "backup"]) {
        let refused = on(command, &left.file, &[]).came_to(3);
        assert!(refused.err.contains("restore"), "{}", refused.err);
        let json = on(command, &left.file, &["--json"]).came_to(3).json();
        assert_eq!(json["error"]["kind"], "corrupt", "{json}");
    }
}

#[test]
fn a_file_to_be_migrated_is_told_so_and_stays_as_it_is() {
    let place = Place::legacy();
    let before = place.picture();
    for command in READING {
        let refused = on(command, &place.file, &[]).came_to(5);
        assert!(
            refused
                .err
                .contains(&format!("lacks {} schema steps", all_steps())),
            "{}",
            refused.err
        );
        assert!(
            refused.err.contains("botstore migrate FILE"),
            "{}",
            refused.err
        );
        let refused = on(command, &place.file, &["--json"]).came_to(5).json();
        assert_eq!(refused["error"]["kind"], "older schema", "{command}");
    }
    let status = on("status", &place.file, &["--json"]).came_to(0).json();
    assert_eq!(status["to_migrate"].as_array().unwrap().len(), all_steps());
    assert!(status["rows"]["users"].as_u64().unwrap() > 0);
    on("status", &place.file, &[]).came_to(0);
    assert!(place.picture() == before);
}

#[test]
fn status_of_a_strangers_database_says_why_a_store_would_refuse_it() {
    let place = Place::new();
    place.alter("CREATE TABLE notes (body TEXT); INSERT INTO notes VALUES ('mine');");
    let status = on("status", &place.file, &["--json"]).came_to(1).json();
    assert_eq!(status["refused"]["kind"], "foreign file");
    assert_eq!(status["rows"]["notes"], 1);
    let words = on("status", &place.file, &[]).came_to(1);
    assert!(words.out.contains("refused"), "{}", words.out);
}

#[test]
fn a_counter_that_differs_is_told_apart_from_damage() {
    let place = Place::filled(4);
    on("check", &place.file, &[]).came_to(0);
    place.alter("UPDATE users SET message_count = 3");
    let report = on("check", &place.file, &["--json"]).came_to(4).json();
    assert_eq!(report["damaged"], false);
    assert_eq!(
        report["report"]["differences"]["first"],
        json!([{ "counter": "users.message_count", "of": "1", "stored": 3.0, "counted": 4.0 }])
    );
    let words = on("check", &place.file, &[]).came_to(4);
    assert!(
        words.out.contains("users.message_count  1"),
        "{}",
        words.out
    );
}

#[test]
fn damage_is_found_and_the_way_out_told() {
    let place = Place::filled(400);
    damage(&place.file);
    let found = on("check", &place.file, &[]).came_to(3);
    assert!(found.out.contains("finding"), "{}", found.out);
    assert!(
        found
            .out
            .contains("what to do    stop the bot, and restore"),
        "{}",
        found.out
    );
    let report = on("check", &place.file, &["--json"]).came_to(3).json();
    assert_eq!(report["damaged"], true);
    assert!(report["report"]["damage"]["total"].as_u64().unwrap() > 0);
}

#[test]
fn text_from_the_file_cannot_steer_the_terminal() {
    let place = Place::filled(1);
    let conn = Connection::open(&place.file).unwrap();
    let sql = "UPDATE users SET telegram_username = ?1";
    conn.execute(sql, ["\u{1b}[2Jada"]).unwrap();
    conn.close().unwrap();
    let shown = on("dashboard", &place.file, &[]).came_to(0);
    assert!(!shown.out.contains('\u{1b}'), "{}", shown.out);
    assert!(shown.out.contains("[2Jada"), "{}", shown.out);
}

#[test]
fn the_dashboard_goes_as_far_back_as_asked() {
    let place = Place::filled(2);
    place.alter(
        "UPDATE messages SET timestamp = '2020-01-02T12:00:00.000000+00:00' WHERE message_id = 1",
    );
    let days = |days: &str| {
        let shown = on("dashboard", &place.file, &["--json", "--days", days]);
        let shown = shown.came_to(0).json();
        shown["stats"]["daily_activity"].as_array().unwrap().len()
    };
    assert_eq!(days("30"), 1);
    assert_eq!(days("1000"), 1);
    assert_eq!(on("dashboard", &place.file, &["--days", "0"]).code, 2);
}

#[test]
fn rollups_that_differ_are_told_and_mended_on_request() {
    let place = Place::filled(5);
    on("check", &place.file, &[]).came_to(0);
    place.alter("UPDATE botstore_day SET messages = 1000");
    let told = on("check", &place.file, &[]).came_to(4);
    assert!(told.out.contains("messages 1000"), "{}", told.out);
    let told = on("check", &place.file, &["--json"]).came_to(4).json();
    assert_eq!(told["rollups"]["differences"], 1);
    on("check", &place.file, &["--repair"]).came_to(0);
    on("check", &place.file, &[]).came_to(0);
}

/// While another zone is counted, or after a kill in the middle of it, all is shown in the days of the zone before.
#[test]
fn a_file_that_is_being_counted_by_another_zone_is_shown_in_the_days_of_before() {
    let place = Place::filled(40);
    let held = "CREATE TRIGGER holds BEFORE UPDATE ON botstore_counted
                WHEN new.generation > 0 AND new.last_id > 16 BEGIN SELECT RAISE(ABORT, 'held'); END";
    place.alter(held);
    let begun = || {
        let conn = Connection::open(&place.file).unwrap();
        let sql = "SELECT max(last_id) FROM botstore_counted WHERE generation = 1";
        let rank: Option<i64> = conn.query_row(sql, [], |row| row.get(0)).unwrap();
        rank == Some(16)
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let config = botstore::Config::new(&place.file).time_zone("Asia/Tokyo");
        let store = botstore::Store::open(config).await.unwrap();
        until("counting has begun", async || begun()).await;
        store.close().await.unwrap();
    });
    place.alter("DROP TRIGGER holds");
    let before = place.picture();
    let shown = on("dashboard", &place.file, &["--json"]).came_to(0).json();
    assert_eq!(shown["stats"]["time_zone"], "UTC");
    assert_eq!(shown["stats"]["total_messages"], 40);
    let checked = on("check", &place.file, &["--json"]).came_to(0).json();
    assert_eq!(checked["rollups"]["differences"], 0, "{checked}");
    on("status", &place.file, &[]).came_to(0);
    on("usage", &place.file, &["--by", "day"]).came_to(0);
    on("migrate", &place.file, &[]).came_to(0);
    assert!(begun(), "nobody has gone on with it");
    assert_eq!(place.picture().len(), before.len());
    // What is wrong with it is found and mended too.
    place.alter("UPDATE botstore_day SET messages = messages + 1 WHERE generation = 1");
    let checked = on("check", &place.file, &["--json"]).came_to(4).json();
    assert_eq!(checked["rollups"]["differences"], 1, "{checked}");
    on("check", &place.file, &["--repair"]).came_to(0);
    let checked = on("check", &place.file, &["--json"]).came_to(0).json();
    assert_eq!(checked["rollups"]["differences"], 0, "{checked}");
}
