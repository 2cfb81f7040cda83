//! The hosts of these tests: their schemas, and a file for each.

use botstore::rusqlite::{self, Connection};
use botstore::schema::{self, Migration, Plan, Schema};
use botstore::{BeforeUpgrade, Config, ErrorKind, Result};
use std::path::PathBuf;
use tempfile::TempDir;

pub(crate) const PETS: Migration = Migration::new(
    1,
    "pets",
    "CREATE TABLE pets (
         pet_id  INTEGER PRIMARY KEY,
         user_id INTEGER NOT NULL,
         name    TEXT    NOT NULL
     );
     CREATE TABLE meals (pet_id INTEGER NOT NULL REFERENCES pets(pet_id), food TEXT NOT NULL);",
    "DROP TABLE meals; DROP TABLE pets;",
);
pub(crate) const OWNED_PETS: Migration = Migration::new(
    2,
    "owned_pets",
    "CREATE TABLE new_pets (
         pet_id  INTEGER PRIMARY KEY,
         user_id INTEGER NOT NULL REFERENCES users(user_id),
         name    TEXT    NOT NULL CHECK (name <> '')
     );
     INSERT INTO new_pets SELECT pet_id, user_id, name FROM pets;
     DROP TABLE pets;
     ALTER TABLE new_pets RENAME TO pets;",
    "CREATE TABLE old_pets (
         pet_id  INTEGER PRIMARY KEY,
         user_id INTEGER NOT NULL,
         name    TEXT    NOT NULL
     );
     INSERT INTO old_pets SELECT pet_id, user_id, name FROM pets;
     DROP TABLE pets;
     ALTER TABLE old_pets RENAME TO pets;",
)
.rebuilding();
pub(crate) const TOYS: Migration = Migration::new(
    3,
    "toys",
    "CREATE TABLE toys (toy TEXT NOT NULL);",
    "DROP TABLE toys;",
);
pub(crate) const ALL: &[Migration] = &[PETS, OWNED_PETS, TOYS];

/// The program as it was when it had so many steps.
pub(crate) struct Pets<const STEPS: usize>;

impl<const STEPS: usize> Schema for Pets<STEPS> {
    const NAME: &'static str = "pets";
    const MIGRATIONS: &'static [Migration] = ALL.split_at(STEPS).0;
}

/// A file in a folder that goes with it.
pub(crate) struct File {
    pub(crate) folder: TempDir,
    pub(crate) path: PathBuf,
}

impl File {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("bot.db");
        Self { folder, path }
    }

    pub(crate) fn with<S: Schema>(&self) -> Config {
        Config::new(&self.path).schema::<S>()
    }

    /// Applies and skips the backup, which has a test of its own.
    pub(crate) fn apply<S: Schema>(&self) -> Result<Plan> {
        schema::apply(self.with::<S>().before_upgrade(BeforeUpgrade::Skip))
    }

    pub(crate) fn rollback(&self, to: u32) -> Result<Plan> {
        let config = self.with::<Pets<3>>().before_upgrade(BeforeUpgrade::Skip);
        schema::rollback(config, "pets", to)
    }

    /// Another program's connection.
    pub(crate) fn conn(&self) -> Connection {
        Connection::open(&self.path).expect("open")
    }

    pub(crate) fn sql(&self, sql: &str) {
        self.conn().execute_batch(sql).expect(sql);
    }

    /// Everything that can differ: the schema and all rows of the host's tables and the ledger.
    pub(crate) fn dump(&self) -> Vec<String> {
        let conn = self.conn();
        let mut dump: Vec<String> = rows(
            &conn,
            "SELECT type || ' ' || name || ' ' || ifnull(sql, '') FROM sqlite_schema ORDER BY 1",
        );
        dump.extend(rows::<String>(
            &conn,
            "SELECT schema || ' ' || step || ' ' || up_sql FROM botstore_ledger ORDER BY 1",
        ));
        for table in ["pets", "meals"] {
            if dump
                .iter()
                .any(|line| line.starts_with(&format!("table {table} ")))
            {
                dump.extend(rows::<String>(&conn, &format!("SELECT '{table} ' || rowid || ' ' || quote(pet_id) FROM {table} ORDER BY rowid")));
            }
        }
        dump
    }

    /// Fails with what differs, and only that.
    pub(crate) fn assert_unchanged(&self, before: &[String]) {
        let now = self.dump();
        let gone: Vec<_> = before.iter().filter(|line| !now.contains(line)).collect();
        let new: Vec<_> = now.iter().filter(|line| !before.contains(line)).collect();
        assert!(
            gone.is_empty() && new.is_empty(),
            "gone: {gone:#?}\nnew: {new:#?}"
        );
    }

    /// The names of what is in the folder.
    pub(crate) fn folder(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.path()).expect("folder");
        let mut names: Vec<_> = entries
            .map(|entry| {
                entry
                    .expect("entry")
                    .file_name()
                    .into_string()
                    .expect("name")
            })
            .collect();
        names.sort();
        names
    }

    pub(crate) fn steps(&self) -> Vec<i64> {
        let sql = "SELECT step FROM botstore_ledger WHERE schema = 'pets' ORDER BY step";
        rows(&self.conn(), sql)
    }
}

pub(crate) fn rows<T: rusqlite::types::FromSql>(conn: &Connection, sql: &str) -> Vec<T> {
    let mut statement = conn.prepare(sql).expect(sql);
    let rows = statement.query_map([], |row| row.get(0)).expect(sql);
    rows.map(|row| row.expect(sql)).collect()
}

pub(crate) fn one<T: rusqlite::types::FromSql>(conn: &Connection, sql: &str) -> T {
    conn.query_row(sql, [], |row| row.get(0)).expect(sql)
}

pub(crate) fn host_steps(plan: &Plan) -> Vec<u32> {
    let steps = plan
        .steps
        .iter()
        .filter(|step| !step.schema.starts_with("botstore"));
    steps.map(|step| step.step).collect()
}

pub(crate) fn kind<T: std::fmt::Debug>(result: Result<T>) -> ErrorKind {
    result.expect_err("it is refused").kind()
}
