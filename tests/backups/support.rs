//! A store with something in it, its backups, and what is in a file.

use crate::wait::patient;
use botstore::backup::{self, Backup, IfExists, TakeBackup, VerifyOptions};
use botstore::interactions::SaveInteraction;
use botstore::rusqlite::types::Value;
use botstore::rusqlite::{Connection, OpenFlags};
use botstore::sessions::CreateSession;
use botstore::testing::TestStore;
use botstore::testing::usd;
use botstore::users::EnsureUser;
use botstore::{Config, Durability, ErrorKind, Result, Store};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

pub(crate) type Tables = BTreeMap<String, Vec<Vec<Value>>>;

/// A store with a user, a session and so many interactions, and no deadline that it meets. No test here is about a
/// loss of power.
pub(crate) async fn filled(
    interactions: u64,
    configure: impl FnOnce(Config) -> Config,
) -> TestStore {
    let config = |config| configure(patient(config).durability(Durability::Normal));
    let store = TestStore::open_with(config).await;
    let store = store.unwrap();
    sign_up(&store).await;
    for number in 0..interactions {
        store.write(interaction(number)).await.unwrap();
    }
    store
}

pub(crate) async fn sign_up(store: &Store) {
    store.write(EnsureUser::new(1, Some("ada"))).await.unwrap();
    let session = CreateSession::new(1, "s", "/srv");
    store.write(session).await.unwrap();
}

pub(crate) fn interaction(number: u64) -> SaveInteraction {
    SaveInteraction::new(1, "s", format!("prompt {number}"))
        .response("word ".repeat(200))
        .cost(usd(0.5))
}

/// The folder of a store's backups, when its settings name none.
pub(crate) fn folder(store: &Store) -> PathBuf {
    let mut name = store.path().as_os_str().to_owned();
    name.push(".backups");
    name.into()
}

pub(crate) async fn back_up(store: &Store) -> Backup {
    store.back_up(TakeBackup::default()).await.unwrap()
}

/// What the store writes on its own: rollups too, since rows wait to be counted until there are many, or it closes.
fn writes_itself(table: &str) -> bool {
    const ROLLUPS: [&str; 11] = [
        "counted",
        "total",
        "day",
        "user_total",
        "user_day",
        "session_day",
        "session_user",
        "tool",
        "session_tool",
        "user_tool",
        "cost_day",
    ];
    let own = table.strip_prefix("botstore_").unwrap_or_default();
    own == "schedules" || ROLLUPS.contains(&own) || table.starts_with("sqlite_stat")
}

/// The content of every table, in the order of its rows; but not what the store writes on its own:
/// when schedules ran, and statistics.
pub(crate) fn dump(path: &Path) -> Tables {
    let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name";
    let mut names = conn.prepare(sql).unwrap();
    let names = names.query_map([], |row| row.get::<_, String>(0)).unwrap();
    let table = |name: &str| {
        let mut rows = conn.prepare(&format!("SELECT * FROM \"{name}\"")).unwrap();
        let columns = rows.column_count();
        let read = |row: &botstore::rusqlite::Row<'_>| (0..columns).map(|at| row.get(at)).collect();
        let rows = rows.query_map([], read).unwrap();
        rows.collect::<std::result::Result<_, _>>().unwrap()
    };
    names
        .map(|name| name.unwrap())
        .filter(|name| !writes_itself(name))
        .map(|name| (name.clone(), table(&name)))
        .collect()
}

/// Restores a backup to a file of its own beside the folder of backups.
pub(crate) fn restored(backup: &Backup) -> PathBuf {
    let folder = backup.path.parent().unwrap();
    let to = folder.with_file_name(format!("{}.db", backup.manifest.name));
    backup::restore(
        &to,
        &backup.path,
        IfExists::Refuse,
        VerifyOptions::default(),
    )
    .unwrap();
    to
}

pub(crate) fn verify(backup: &Backup) -> Result<Backup> {
    backup::verify(&backup.path, VerifyOptions::default())
}

pub(crate) fn kind<T>(result: Result<T>) -> ErrorKind {
    match result {
        Ok(_) => panic!("it should have failed"),
        Err(error) => error.kind(),
    }
}

/// Every name in a folder, those that begin with a dot left out.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| !name.starts_with('.')).collect();
    names.sort();
    names
}

/// Every file below a folder, with its bytes.
pub(crate) fn snapshot(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files.extend(snapshot(&path)),
            false => drop(files.insert(path.clone(), fs::read(&path).unwrap())),
        }
    }
    files
}
