//! The steps of this crate's tables, and how a Python bot's file is recognised.

mod recognise;
mod shape;

use super::rollups;
use crate::error::Result;
use crate::migration::{Legacy, Migration, Schema, Whole};
use crate::operation::{ReadTx, WriteTx};

/// This crate's own tables.
pub(crate) struct BotSchema;

impl Schema for BotSchema {
    const NAME: &'static str = "botstore";

    const MIGRATIONS: &'static [Migration] = &[
        Migration::new(
            1,
            "seed",
            include_str!("../../migrations/botstore/0001_seed.up.sql"),
            include_str!("../../migrations/botstore/0001_seed.down.sql"),
        ),
        Migration::new(
            2,
            "daily_stats",
            include_str!("../../migrations/botstore/0002_daily_stats.up.sql"),
            include_str!("../../migrations/botstore/0002_daily_stats.down.sql"),
        ),
        Migration::new(
            3,
            "one_time_spelling",
            include_str!("../../migrations/botstore/0003_one_time_spelling.up.sql"),
            include_str!("../../migrations/botstore/0003_one_time_spelling.down.sql"),
        )
        .in_pieces(),
        Migration::new(
            4,
            "store_tables",
            include_str!("../../migrations/botstore/0004_store_tables.up.sql"),
            include_str!("../../migrations/botstore/0004_store_tables.down.sql"),
        ),
        Migration::new(
            5,
            "ordered_reads",
            include_str!("../../migrations/botstore/0005_ordered_reads.up.sql"),
            include_str!("../../migrations/botstore/0005_ordered_reads.down.sql"),
        )
        .in_pieces(),
        Migration::new(
            6,
            "store_id",
            include_str!("../../migrations/botstore/0006_store_id.up.sql"),
            include_str!("../../migrations/botstore/0006_store_id.down.sql"),
        ),
        Migration::new(
            7,
            "rollups",
            include_str!("../../migrations/botstore/0007_rollups.up.sql"),
            include_str!("../../migrations/botstore/0007_rollups.down.sql"),
        )
        .in_pieces(),
        Migration::new(
            8,
            "plain_tables",
            include_str!("../../migrations/botstore/0008_plain_tables.up.sql"),
            include_str!("../../migrations/botstore/0008_plain_tables.down.sql"),
        ),
        Migration::new(
            9,
            "user_stats",
            include_str!("../../migrations/botstore/0009_user_stats.up.sql"),
            include_str!("../../migrations/botstore/0009_user_stats.down.sql"),
        ),
        Migration::new(
            10,
            "messengers",
            include_str!("../../migrations/botstore/0010_messengers.up.sql"),
            include_str!("../../migrations/botstore/0010_messengers.down.sql"),
        ),
        Migration::new(
            11,
            "by_id",
            include_str!("../../migrations/botstore/0011_by_id.up.sql"),
            include_str!("../../migrations/botstore/0011_by_id.down.sql"),
        )
        .in_pieces(),
        Migration::new(
            12,
            "lazy_rollups",
            include_str!("../../migrations/botstore/0012_lazy_rollups.up.sql"),
            include_str!("../../migrations/botstore/0012_lazy_rollups.down.sql"),
        ),
    ];

    /// A file without this crate's ledger is a Python bot's if it has the bot's tables, declared as the bot
    /// declares them. Missing tables are created, since the file's creation may have been interrupted.
    fn recognise(tx: &ReadTx<'_>) -> Result<()> {
        recognise::recognise(tx, Self::MIGRATIONS[0].up)
    }

    /// Corrects the spelling of times that another program has written since the store was last open.
    fn opened(tx: &WriteTx<'_>) -> Result<()> {
        let mut rows = 0;
        for statement in STRAYS {
            rows += tx.execute(statement, [])?;
        }
        if rows > 0 {
            tracing::info!(
                rows,
                "times that another program wrote are now in the store's format"
            );
        }
        // Each lookup of a session needs this table. If it is missing, opening should fail, and not every
        // message.
        let members = "SELECT 1 FROM botstore_session_member WHERE member_id = 0";
        tx.maybe(members, [], |_| Ok(()))?;
        rollups::look(tx)
    }
}

/// What a new file is made of.
pub(crate) const WHOLE: Whole = Whole {
    objects: include_str!("../../migrations/botstore/schema.sql"),
    rows: include_str!("../../migrations/botstore/rows.sql"),
};

/// Objects that files of this schema may have although no step makes them so.
pub(crate) const LEGACY: Legacy = Legacy {
    steps: 2,
    views: &[(
        "user_stats",
        "CREATE VIEW user_stats AS
             SELECT
                 u.user_id,
                 u.telegram_username,
                 COUNT(DISTINCT s.session_id) AS total_sessions,
                 COUNT(m.message_id) AS total_messages,
                 SUM(m.cost) AS total_cost,
                 MAX(m.timestamp) AS last_activity
             FROM users u
             LEFT JOIN sessions s ON u.user_id = s.user_id
             LEFT JOIN messages m ON u.user_id = m.user_id
             GROUP BY u.user_id",
    )],
    respelled: rollups::respelled,
};

/// The first condition of each statement is, letter for letter, that of a partial index of step 3, so that
/// SQLite finds the rows through the index. A text that is no time stays as it is, and its row is not written: a
/// trigger of the bot's own might refuse the other values of that row, and then the file would not open.
const STRAYS: &[&str] = &[
    "UPDATE users
     SET first_seen = botstore_utc(first_seen), last_active = botstore_utc(last_active)
     WHERE (first_seen NOT GLOB '????-??-??T??:??:??.??????+00:00'
        OR last_active NOT GLOB '????-??-??T??:??:??.??????+00:00')
       AND (botstore_utc(first_seen) IS NOT first_seen
        OR botstore_utc(last_active) IS NOT last_active)",
    "UPDATE sessions
     SET created_at = botstore_utc(created_at), last_used = botstore_utc(last_used)
     WHERE (created_at NOT GLOB '????-??-??T??:??:??.??????+00:00'
        OR last_used NOT GLOB '????-??-??T??:??:??.??????+00:00')
       AND (botstore_utc(created_at) IS NOT created_at
        OR botstore_utc(last_used) IS NOT last_used)",
    "UPDATE messages SET timestamp = botstore_utc(timestamp)
     WHERE timestamp NOT GLOB '????-??-??T??:??:??.??????+00:00'
       AND botstore_utc(timestamp) IS NOT timestamp",
    "UPDATE tool_usage SET timestamp = botstore_utc(timestamp)
     WHERE timestamp NOT GLOB '????-??-??T??:??:??.??????+00:00'
       AND botstore_utc(timestamp) IS NOT timestamp",
    "UPDATE audit_log SET timestamp = botstore_utc(timestamp)
     WHERE timestamp NOT GLOB '????-??-??T??:??:??.??????+00:00'
       AND botstore_utc(timestamp) IS NOT timestamp",
    "UPDATE user_tokens
     SET created_at = botstore_utc(created_at), expires_at = botstore_utc(expires_at),
         last_used = botstore_utc(last_used)
     WHERE (created_at NOT GLOB '????-??-??T??:??:??.??????+00:00'
        OR expires_at NOT GLOB '????-??-??T??:??:??.??????+00:00'
        OR last_used NOT GLOB '????-??-??T??:??:??.??????+00:00')
       AND (botstore_utc(created_at) IS NOT created_at
        OR botstore_utc(expires_at) IS NOT expires_at
        OR botstore_utc(last_used) IS NOT last_used)",
];

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::Connection;
    use rusqlite::functions::FunctionFlags;

    /// A file with all steps, to examine plans: its `botstore_utc` changes no time.
    fn migrated() -> Connection {
        let conn = Connection::open_in_memory().unwrap();
        let flags = FunctionFlags::SQLITE_DETERMINISTIC;
        conn.create_scalar_function("botstore_utc", 1, flags, |context| context.get::<String>(0))
            .unwrap();
        for migration in BotSchema::MIGRATIONS {
            conn.execute_batch(migration.up).unwrap();
        }
        conn
    }

    /// SQLite's plan for each statement in [`STRAYS`].
    fn plans(conn: &Connection) -> Vec<String> {
        let plan = |sql: &&str| {
            let mut explain = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let lines = explain.query_map([], |row| row.get::<_, String>(3));
            let lines: rusqlite::Result<Vec<_>> = lines.unwrap().collect();
            lines.unwrap().join("\n")
        };
        STRAYS.iter().map(plan).collect()
    }

    #[test]
    fn rows_spelled_otherwise_are_found_through_their_index() {
        let conn = migrated();
        let check = |when: &str| {
            for (plan, statement) in plans(&conn).iter().zip(STRAYS) {
                assert!(
                    plan.contains("INDEX botstore_stray_"),
                    "{when}: {plan}: {statement}"
                );
            }
        };
        check("empty");
        // With statistics, and many rows that the index leaves out.
        conn.execute_batch(
            "CREATE TEMP TABLE n AS
                 WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
                 SELECT i, '2026-03-10T15:30:00.000000+00:00' AS at FROM n;
             INSERT INTO users (user_id, first_seen, last_active) SELECT i, at, at FROM n;
             INSERT INTO sessions (session_id, user_id, project_path, created_at, last_used)
                 SELECT i, i, '/', at, at FROM n;
             INSERT INTO messages (session_id, user_id, prompt, timestamp)
                 SELECT i, i, 'p', at FROM n;
             INSERT INTO tool_usage (session_id, tool_name, timestamp)
                 SELECT i, 'Read', at FROM n;
             INSERT INTO audit_log (user_id, event_type, timestamp)
                 SELECT i, 'command', at FROM n;
             INSERT INTO user_tokens (user_id, token_hash, created_at, expires_at, last_used)
                 SELECT i, i, at, at, at FROM n;
             ANALYZE;",
        )
        .unwrap();
        check("with statistics");
    }

    #[test]
    fn there_is_one_index_for_each_statement() {
        let conn = migrated();
        let sql = "SELECT count(*) FROM sqlite_schema WHERE name GLOB 'botstore_stray_*'";
        let indexes: u32 = conn.query_row(sql, [], |row| row.get(0)).unwrap();
        assert_eq!(indexes as usize, STRAYS.len());
    }
}
