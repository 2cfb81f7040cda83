//! The report of a repair has what was in the database, and so it is for nobody but the database's account.

use crate::accounts::{mode, said, strangers};
use crate::planted::STRANGER;
use crate::support::populate;
use botstore::Store;
use botstore::backup::AgeIdentity;
use botstore::rusqlite::Connection;
use serde_json::Value;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A group that is nobody's of its own.
const GROUP: u32 = 4_321;

fn make_odd(database: &Path) {
    let conn = Connection::open(database).unwrap();
    let changed = conn
        .execute("UPDATE messages SET prompt = x'ff'", [])
        .unwrap();
    assert!(changed > 0);
    conn.close().unwrap();
}

/// Has it repaired, and gives the report that it says there is.
fn repaired(command: &mut Command) -> PathBuf {
    let (code, text) = said(command);
    assert_eq!(code, 0, "{text}");
    let json: Value = serde_json::from_str(&text).expect(&text);
    PathBuf::from(json["odd_values"]["report"].as_str().expect(&text))
}

/// The folder may be root's, as one on another disk is: the backups in it are the bot's all the same.
#[tokio::test]
async fn of_root_is_the_databases_accounts_wherever_it_lies() {
    let Some((folder, program, db)) = strangers().await else {
        return;
    };
    let place = db.parent().unwrap().to_owned();
    for path in [&place, &db] {
        chown(path, Some(STRANGER), Some(GROUP)).unwrap();
    }
    fs::set_permissions(&db, Permissions::from_mode(0o640)).unwrap();
    let roots = folder.path().join("roots");
    fs::create_dir(&roots).unwrap();
    fs::set_permissions(&roots, Permissions::from_mode(0o777)).unwrap();
    let recipient = AgeIdentity::generate().recipient().to_string();
    let (path, elsewhere) = (db.to_str().unwrap(), roots.to_str().unwrap());
    let sealed = place.join("sealed");
    let sealed = sealed.to_str().unwrap();
    let ways: [&[&str]; 4] = [
        &[],
        &["--backups", elsewhere],
        &["--backups", sealed, "--recipient", &recipient],
        // By a path with a link and dots in it.
        &["--backups", "./roots"],
    ];
    let link = folder.path().join("link.db");
    std::os::unix::fs::symlink(&db, &link).unwrap();
    for (way, path) in ways.into_iter().zip([path, path, path, "link.db"]) {
        for by in ["root", "the bot"] {
            make_odd(&db);
            let mut command = Command::new(&program);
            command.current_dir(folder.path());
            command
                .args(["check", path, "--repair", "--json"])
                .args(way);
            if by == "the bot" {
                command.uid(STRANGER).gid(GROUP);
            }
            let report = repaired(&mut command);
            let data = fs::metadata(&report).unwrap();
            let found = (data.uid(), data.gid(), data.mode() & 0o777);
            assert_eq!(found, (STRANGER, GROUP, 0o600), "by {by}: {way:?}");
        }
    }
}

/// Whatever the mode of the database is, and what this account usually makes.
#[tokio::test]
async fn is_its_owners_alone() {
    let folder = tempfile::tempdir().unwrap();
    let db = folder.path().join("bot.db");
    let store = Store::open(&db).await.unwrap();
    populate(&store).await;
    store.close().await.unwrap();
    fs::set_permissions(&db, Permissions::from_mode(0o666)).unwrap();
    let recipient = AgeIdentity::generate().recipient().to_string();
    let sealed = folder.path().join("sealed");
    let sealed = sealed.to_str().unwrap();
    let program = env!("CARGO_BIN_EXE_botstore");
    let ways: [&[&str]; 2] = [&[], &["--backups", sealed, "--recipient", &recipient]];
    for way in ways {
        make_odd(&db);
        let mut command = Command::new("sh");
        let script = "umask 0; exec \"$0\" \"$@\"";
        command.args(["-c", script, program]);
        command.args(["check", db.to_str().unwrap(), "--repair", "--json"]);
        let report = repaired(command.args(way));
        assert_eq!(mode(&report), 0o600, "{way:?}");
    }
}
