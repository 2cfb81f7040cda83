//! The backup before an upgrade.

use crate::support::*;
use botstore::Config;
use botstore::backup::{self, IfExists, Reason, VerifyOptions};
use botstore::rusqlite::{Connection, OpenFlags};
use botstore::schema;
use std::path::{Path, PathBuf};

/// What is in the backups of the file, restored.
fn copies(file: &File) -> Vec<PathBuf> {
    let listing = backup::list(file.folder.path().join("bot.db.backups")).expect("list");
    assert!(listing.unusable.is_empty(), "{:?}", listing.unusable);
    let restored = listing.backups.iter().map(|backup| {
        assert_eq!(backup.manifest.reason, Reason::BeforeUpgrade);
        let to = file.folder.path().join(&backup.manifest.name);
        let reading = VerifyOptions::default();
        backup::restore(&to, &backup.path, IfExists::Refuse, reading).expect("restore");
        to
    });
    restored.collect()
}

#[test]
fn a_verified_copy_is_made_before_an_upgrade_and_opens_as_the_old_file() {
    let file = File::new();
    schema::apply(file.with::<Pets<1>>()).expect("new file");
    assert_eq!(
        copies(&file),
        [] as [&Path; 0],
        "a new file has nothing to copy"
    );
    file.sql("INSERT INTO users (user_id) VALUES (1); INSERT INTO pets VALUES (5, 1, 'Rex');");
    schema::apply(file.with::<Pets<1>>()).expect("nothing to do");
    assert_eq!(
        copies(&file),
        [] as [&Path; 0],
        "nor has one that stays as it is"
    );

    schema::apply(file.with::<Pets<3>>()).expect("upgrade");
    let copies = copies(&file);
    assert_eq!(copies.len(), 1, "{copies:?}");
    let conn =
        Connection::open_with_flags(&copies[0], OpenFlags::SQLITE_OPEN_READ_ONLY).expect("open");
    assert_eq!(one::<String>(&conn, "PRAGMA integrity_check"), "ok");
    assert_eq!(one::<String>(&conn, "SELECT name FROM pets"), "Rex");
    assert!(!conn.table_exists(None, "toys").expect("toys"));
    drop(conn);
    // The program from before the upgrade takes it.
    schema::apply(Config::new(&copies[0]).schema::<Pets<1>>()).expect("the old program");
}

#[test]
fn a_verified_copy_is_made_before_steps_are_taken_back() {
    let file = File::new();
    file.apply::<Pets<3>>().expect("apply");
    schema::rollback(file.with::<Pets<3>>(), "pets", 3).expect("nothing");
    assert_eq!(copies(&file).len(), 0);
    schema::rollback(file.with::<Pets<3>>(), "pets", 2).expect("back");
    let copies = copies(&file);
    assert_eq!(copies.len(), 1, "{copies:?}");
    assert!(
        Connection::open(&copies[0])
            .expect("open")
            .table_exists(None, "toys")
            .expect("toys")
    );
}

#[test]
fn where_no_copy_can_be_made_the_file_is_not_upgraded() {
    let file = File::new();
    file.apply::<Pets<1>>().expect("apply");
    let before = file.dump();
    // A file where the folder for copies should be.
    std::fs::write(file.folder.path().join("bot.db.backups"), "in the way").expect("write");
    let error = schema::apply(file.with::<Pets<3>>()).expect_err("no copy");
    assert!(
        error.to_string().contains("the file is as it was"),
        "{error}"
    );
    file.assert_unchanged(&before);
}
