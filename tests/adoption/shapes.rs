//! What a file has to declare to be the bot's. The bot's own text is taken, one thing in it is changed, and
//! the file is refused with the table's name, and stays as it is. What makes no difference is in `harmless`.

use crate::refusals::{check_refused, database};
use botstore::{Store, schema};

/// The bot's seven tables and `schema_version`, as this crate makes them.
pub(crate) const SEED: &str = include_str!("../../migrations/botstore/0001_seed.up.sql");

const TABLES: [&str; 7] = [
    "users",
    "sessions",
    "messages",
    "tool_usage",
    "audit_log",
    "user_tokens",
    "cost_tracking",
];

/// The seed with one line changed, which is in this table.
struct Change {
    table: &'static str,
    line: String,
    sql: String,
}

/// The seed, changed in each line in turn for which `change` gives another.
fn changes(change: impl Fn(&str) -> Option<String>) -> Vec<Change> {
    let lines: Vec<_> = SEED.lines().collect();
    let mut changes = Vec::new();
    let mut table = None;
    for (at, line) in lines.iter().enumerate() {
        if let Some(rest) = line.strip_prefix("CREATE TABLE IF NOT EXISTS ") {
            table = TABLES.into_iter().find(|table| rest.starts_with(table));
        }
        if line.starts_with(')') {
            table = None;
        }
        let (Some(table), Some(other)) = (table, change(line)) else {
            continue;
        };
        let mut changed = lines.clone();
        changed[at] = &other;
        // The one before ended with a comma that nothing follows now.
        let sql = changed.join("\n").replace(",\n\n)", "\n)");
        changes.push(Change {
            table,
            line: (*line).to_owned(),
            sql,
        });
    }
    changes
}

async fn check_each_is_refused(changes: Vec<Change>, at_least: usize, says: &str) {
    assert!(changes.len() >= at_least, "{}", changes.len());
    for Change { table, line, sql } in changes {
        let (_folder, path) = database(&sql);
        check_refused(&path).await;
        let error = schema::plan(&path).unwrap_err().to_string();
        let named = format!("its table {table:?}");
        assert!(
            error.contains(&named) && error.contains(says),
            "{line}: {error}"
        );
    }
}

/// The first two words of a line that declares a column.
fn column(line: &str) -> Option<(&str, &str)> {
    let mut words = line.trim().trim_end_matches(',').split(' ');
    let (name, kind) = (words.next()?, words.next()?);
    let is_column =
        line.starts_with("    ") && name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    is_column.then_some((name, kind))
}

fn without(line: &str, words: &str) -> Option<String> {
    line.contains(words).then(|| line.replace(words, ""))
}

#[tokio::test]
async fn a_file_without_one_of_the_bot_s_keys_is_refused() {
    let keys = changes(|line| {
        without(line, " PRIMARY KEY AUTOINCREMENT").or_else(|| without(line, " PRIMARY KEY"))
    });
    check_each_is_refused(keys, 7, "PRIMARY KEY").await;
    // Which looks like one, and is no row id.
    for other in ["INT PRIMARY KEY", "INTEGER PRIMARY KEY DESC"] {
        let keys = changes(|line| {
            let long = "INTEGER PRIMARY KEY AUTOINCREMENT";
            let short = line.replace(long, "INTEGER PRIMARY KEY");
            let is_key = short.contains("INTEGER PRIMARY KEY");
            is_key.then(|| short.replace("INTEGER PRIMARY KEY", other))
        });
        check_each_is_refused(keys, 6, "PRIMARY KEY").await;
    }
    let unique = changes(|line| match line.trim().starts_with("UNIQUE(") {
        true => Some(String::new()),
        false => without(line, " UNIQUE"),
    });
    check_each_is_refused(unique, 2, "UNIQUE").await;
    let collated = changes(|line| {
        let is_key = line.contains("TEXT PRIMARY KEY") || line.contains("TEXT NOT NULL UNIQUE");
        is_key.then(|| line.replace("TEXT", "TEXT COLLATE NOCASE"))
    });
    check_each_is_refused(collated, 2, "").await;
}

#[tokio::test]
async fn a_file_that_allows_or_forbids_null_where_the_bot_does_not_is_refused() {
    check_each_is_refused(changes(|line| without(line, " NOT NULL")), 13, "NOT NULL").await;
    let forbids = changes(|line| {
        let (_, kind) = column(line)?;
        let may_be_null = !["NOT NULL", "DEFAULT", "KEY"]
            .iter()
            .any(|word| line.contains(word));
        may_be_null.then(|| line.replace(kind, &format!("{kind} NOT NULL")))
    });
    check_each_is_refused(forbids, 10, "NOT NULL").await;
}

#[tokio::test]
async fn a_file_that_would_change_what_is_put_into_a_column_is_refused() {
    let others = |kind: &str| -> &'static [&'static str] {
        match kind {
            "INTEGER" | "BOOLEAN" => &["TEXT", "BLOB", "REAL"],
            "REAL" => &["TEXT", "BLOB"],
            "TEXT" => &["INTEGER", "NUMERIC", "BLOB"],
            "TIMESTAMP" | "DATE" | "JSON" => &["INTEGER", "REAL", "BLOB"],
            _ => &[],
        }
    };
    let mut columns = 0;
    for nth in 0..3 {
        let changed = changes(|line| {
            let (_, kind) = column(line)?;
            let other = others(kind).get(nth)?;
            // A key is told of as that.
            let is_key = line.contains("INTEGER PRIMARY KEY");
            (!is_key).then(|| line.replacen(kind, other, 1))
        });
        columns = columns.max(changed.len());
        check_each_is_refused(changed, 1, "declares its column").await;
    }
    assert!(columns >= 45, "{columns}");
}

#[tokio::test]
async fn a_file_without_one_of_the_bot_s_references_or_with_another_is_refused() {
    let references = |line: &str| line.trim().starts_with("FOREIGN KEY");
    let missing = changes(|line| references(line).then(String::new));
    let missing = missing
        .into_iter()
        .filter(|change| change.table != "audit_log");
    check_each_is_refused(missing.collect(), 7, "FOREIGN KEY").await;
    let elsewhere = changes(|line| {
        let to = line.replace(
            "REFERENCES users(user_id)",
            "REFERENCES sessions(session_id)",
        );
        references(line).then_some(to).filter(|to| to != line)
    });
    check_each_is_refused(elsewhere, 5, "FOREIGN KEY").await;
}

#[tokio::test]
async fn a_table_of_another_kind_or_with_rules_of_its_own_is_refused() {
    for (find, other, says) in [
        (
            "    cost REAL DEFAULT 0.0,",
            "    cost REAL AS (1.5),",
            "computes",
        ),
        (
            "prompt TEXT NOT NULL,",
            "prompt TEXT NOT NULL AS ('p') STORED,",
            "computes",
        ),
        (
            "    cost REAL DEFAULT 0.0,",
            "    cost REAL DEFAULT 0.0 CHECK (cost < 1),",
            "CHECK",
        ),
        (
            "prompt TEXT NOT NULL,",
            "prompt TEXT NOT NULL ON CONFLICT IGNORE,",
            "ON CONFLICT",
        ),
        (
            "prompt TEXT NOT NULL,",
            "prompt TEXT NOT NULL COLLATE NOCASE,",
            "COLLATE",
        ),
        (
            "prompt TEXT NOT NULL,",
            "prompt TEXT NOT NULL UNIQUE,",
            "UNIQUE",
        ),
        (
            "    error TEXT,",
            "    error TEXT, mood TEXT NOT NULL,",
            "mood",
        ),
        (
            "    error TEXT,",
            "    error TEXT, mood TEXT NOT NULL DEFAULT NULL,",
            "mood",
        ),
        (
            "    prompt TEXT NOT NULL,",
            "    mood TEXT, prompt TEXT NOT NULL,",
            "mood",
        ),
        ("    error TEXT,\n", "", "error"),
    ] {
        let sql = SEED.replace(find, other);
        assert_ne!(sql, SEED, "{find}");
        let of_messages = Change {
            table: "messages",
            line: other.to_owned(),
            sql,
        };
        check_each_is_refused(vec![of_messages], 1, says).await;
    }
    for (table, ending) in TABLES
        .into_iter()
        .zip([") WITHOUT ROWID", ") STRICT"].iter().cycle())
    {
        let (before, rest) = SEED.split_once(&format!("EXISTS {table} (")).unwrap();
        let mut changed = rest.replacen("\n)", &format!("\n{ending}"), 1);
        if ending.contains("STRICT") {
            for (bots, strict) in [
                ("TIMESTAMP", "TEXT"),
                ("JSON", "TEXT"),
                ("BOOLEAN", "INTEGER"),
            ] {
                changed = changed.replace(bots, strict);
            }
        } else {
            changed = changed.replace(" AUTOINCREMENT", "");
        }
        let sql = format!("{before}EXISTS {table} ({changed}").replace("date DATE", "date TEXT");
        let changed = Change {
            table,
            line: (*ending).to_owned(),
            sql,
        };
        check_each_is_refused(vec![changed], 1, "").await;
    }
}

/// As repairs, data frames and imports leave them: the rows and the names of the columns.
#[tokio::test]
async fn copies_of_the_tables_without_what_they_declare_are_refused() {
    let copies: [fn(&str) -> String; 3] = [
        |table| format!("CREATE TABLE copy AS SELECT * FROM {table}"),
        // A data frame with its index.
        |table| format!("CREATE TABLE copy AS SELECT 0 AS \"index\", * FROM {table}"),
        // From CSV all is text.
        |table| format!("CREATE TABLE copy AS SELECT CAST(rowid AS TEXT) AS id, * FROM {table}"),
    ];
    for copy in copies {
        for table in TABLES {
            let copy = copy(table);
            let sql =
                format!("{SEED}; {copy}; DROP TABLE {table}; ALTER TABLE copy RENAME TO {table};");
            let copied = Change {
                table,
                line: copy,
                sql,
            };
            check_each_is_refused(vec![copied], 1, "").await;
        }
    }
}

#[tokio::test]
async fn a_part_of_a_file_is_refused_and_the_part_that_is_missing_is_named() {
    const ROWS: &str = "
        INSERT INTO users (user_id) VALUES (1);
        INSERT INTO sessions (session_id, user_id, project_path) VALUES ('s', 1, '/');
        INSERT INTO messages (session_id, user_id, prompt) VALUES ('s', 1, 'p');
        INSERT INTO tool_usage (session_id, message_id, tool_name) VALUES ('s', 1, 'Read');";
    for (missing, referring) in [
        ("users", "sessions"),
        ("sessions", "messages"),
        ("messages", "tool_usage"),
    ] {
        let sql = format!("{SEED}; {ROWS}; PRAGMA foreign_keys = OFF; DROP TABLE {missing};");
        let (_folder, path) = database(&sql);
        check_refused(&path).await;
        let error = schema::plan(&path).unwrap_err().to_string();
        assert!(error.contains(&format!("{missing:?}")), "{error}");
        assert!(error.contains(&format!("{referring:?}")), "{error}");
    }
    let (_folder, path) = database(&format!("{SEED}; DROP TABLE schema_version;"));
    check_refused(&path).await;
    let error = schema::plan(&path).unwrap_err().to_string();
    assert!(error.contains("\"schema_version\""), "{error}");
}

#[tokio::test]
async fn a_part_of_a_store_s_own_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bot.db");
    Store::open(&path).await.unwrap().close().await.unwrap();
    let conn = crate::legacy::open_plain(&path);
    conn.execute_batch("PRAGMA journal_mode = DELETE; DROP TABLE botstore_ledger;")
        .unwrap();
    conn.close().unwrap();
    std::fs::remove_file(crate::legacy::beside(&path, ".lock")).unwrap();
    check_refused(&path).await;
    let error = schema::plan(&path).unwrap_err().to_string();
    assert!(error.contains("botstore_ledger"), "{error}");
}

#[tokio::test]
async fn a_table_with_names_that_are_no_text_is_refused_as_one_with_other_names() {
    for (name, at) in [
        ("telegram_username", "users"),
        ("tool_name TEXT", "tool_usage"),
        ("version INTEGER", "schema_version"),
    ] {
        let (_folder, path) = database(&format!(
            "{SEED}
             PRAGMA writable_schema = ON;
             UPDATE sqlite_schema SET sql = replace(sql, '{name}', 'n' || CAST(x'FF' AS TEXT) || '{name}')
             WHERE name = '{at}';
             PRAGMA writable_schema = OFF;"
        ));
        check_refused(&path).await;
        let error = schema::plan(&path).unwrap_err().to_string();
        assert!(error.contains(at), "{error}");
    }
}
