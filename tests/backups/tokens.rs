//! A restore brings back what was so when the backup was made; tokens it can leave behind.

use crate::forged::replace_database;
use crate::support::*;
use botstore::backup::{self, IfExists, VerifyOptions};
use botstore::rusqlite::Connection;
use botstore::tokens::{IssueToken, RevokeToken, Secret, UserTokens, VerifyToken};
use botstore::{ErrorKind, Store};
use std::path::Path;

async fn issue(store: &Store) -> (i64, Secret) {
    let token = IssueToken::new(1);
    let token = store.write(token).await.unwrap();
    (token.token_id.get(), token.secret)
}

async fn good(path: &Path, secrets: &[&Secret]) -> Vec<bool> {
    let store = Store::open(path).await.unwrap();
    let mut good = Vec::new();
    for secret in secrets {
        let secret = (*secret).clone();
        let token = store.read(VerifyToken::new(secret)).await.unwrap();
        good.push(token.is_some());
    }
    store.close().await.unwrap();
    good
}

#[tokio::test]
async fn tokens_come_back_with_a_restore_unless_they_are_to_be_revoked() {
    let store = filled(2, |config| config).await;
    let (id, lost) = issue(&store).await;
    let (_, kept) = issue(&store).await;
    let backup = back_up(&store).await;
    let revoke = RevokeToken::new(1, id);
    store.write(revoke).await.unwrap();
    let (folder, path) = store.into_file().await.unwrap();
    assert_eq!(good(&path, &[&lost, &kept]).await, [false, true]);

    let restored = |reading| backup::restore(&path, &backup.path, IfExists::MoveAside, reading);
    let done = restored(VerifyOptions::default()).unwrap();
    assert_eq!(done.revoked_tokens, None);
    assert_eq!(good(&path, &[&lost, &kept]).await, [true, true]);

    let done = restored(VerifyOptions::default().revoke_tokens()).unwrap();
    assert_eq!(done.revoked_tokens, Some(2));
    assert_eq!(good(&path, &[&lost, &kept]).await, [false, false]);
    // Nothing else is another: the rows are there, and nothing lies beside.
    let store = Store::open(&path).await.unwrap();
    let tokens = store.read(UserTokens::new(1).page(Default::default()));
    assert_eq!(tokens.await.unwrap().items.len(), 2);
    store.close().await.unwrap();
    let mut known = dump(&crate::support::restored(&backup));
    let mut found = dump(&path);
    known.remove("user_tokens");
    found.remove("user_tokens");
    assert_eq!(found, known);
    let left = names(folder.path());
    assert!(
        !left.iter().any(|name| name.contains("restoring")),
        "{left:?}"
    );
    // Of none there is none to revoke.
    let again = crate::support::back_up(&Store::open(&path).await.unwrap()).await;
    let to = folder.path().join("again.db");
    let reading = VerifyOptions::default().revoke_tokens();
    let done = backup::restore(&to, &again.path, IfExists::Refuse, reading).unwrap();
    assert_eq!(done.revoked_tokens, Some(0));
}

/// What a backup brings along has no say in it.
#[tokio::test]
async fn a_backup_whose_file_would_keep_its_tokens_cannot() {
    let spoilers = [
        "CREATE TRIGGER keep AFTER UPDATE ON user_tokens WHEN NEW.is_active = 0
         BEGIN UPDATE user_tokens SET is_active = 1 WHERE token_id = NEW.token_id; END;",
        "CREATE TRIGGER keep BEFORE UPDATE ON user_tokens BEGIN SELECT RAISE(IGNORE); END;",
        "CREATE INDEX few ON user_tokens(token_id) WHERE is_active IS NOT 0 AND token_id < 0;",
        "UPDATE user_tokens SET is_active = 'yes';",
        "PRAGMA journal_mode=WAL;",
        "ALTER TABLE user_tokens RENAME TO other; ALTER TABLE other RENAME TO USER_TOKENS;",
        "ALTER TABLE user_tokens RENAME TO real;
         CREATE VIEW user_tokens AS SELECT * FROM real;
         CREATE TRIGGER keep INSTEAD OF UPDATE ON user_tokens BEGIN SELECT 1; END;",
    ];
    for spoiler in spoilers {
        let store = filled(1, |config| config).await;
        let (_, secret) = issue(&store).await;
        let backup = back_up(&store).await;
        let (folder, _path) = store.into_file().await.unwrap();
        let spoiled = restored(&backup);
        let conn = Connection::open(&spoiled).unwrap();
        conn.execute_batch(spoiler).unwrap();
        let mut rows = std::collections::BTreeMap::new();
        for table in dump_names(&conn) {
            let sql = format!("SELECT count(*) FROM \"{table}\"");
            let count: i64 = conn.query_row(&sql, [], |row| row.get(0)).unwrap();
            rows.insert(table, count as u64);
        }
        conn.close().unwrap();
        replace_database(&backup, &spoiled, |manifest| {
            manifest.contents.as_mut().unwrap().rows = rows;
        });
        let to = folder.path().join("again.db");
        let reading = VerifyOptions::default().revoke_tokens();
        match backup::restore(&to, &backup.path, IfExists::Refuse, reading) {
            Ok(_) => {
                let conn = Connection::open(&to).unwrap();
                let sql = "SELECT count(*) FROM user_tokens WHERE is_active IS NOT 0";
                let left: i64 = conn.query_row(sql, [], |row| row.get(0)).unwrap();
                drop(conn);
                assert_eq!(left, 0, "{spoiler}");
                assert_eq!(good(&to, &[&secret]).await, [false], "{spoiler}");
            }
            // Triggers and the like do not keep anybody from restoring.
            Err(error) => {
                assert!(spoiler.contains("CREATE VIEW"), "{spoiler}: {error}");
                assert_ne!(error.kind(), ErrorKind::Panicked, "{spoiler}: {error}");
                assert!(!to.exists(), "{spoiler}: {error}");
            }
        }
    }
}

fn dump_names(conn: &Connection) -> Vec<String> {
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'table'";
    let mut names = conn.prepare(sql).unwrap();
    let names = names.query_map([], |row| row.get(0)).unwrap();
    names.collect::<Result<_, _>>().unwrap()
}
