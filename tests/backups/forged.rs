//! Backups that were put together by hand, and keys that do not fit.

use crate::support::*;
use botstore::backup::{
    self, AgeIdentity, Backup, Backups, Checksum, ClearAmongEncrypted, IfExists, Manifest,
    TakeBackup, Unproven, VerifyOptions,
};
use botstore::rusqlite::Connection;
use botstore::schema::{Migration, Schema};
use botstore::{Config, ErrorKind};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

pub(crate) fn manifest_of(backup: &Backup) -> std::path::PathBuf {
    backup.path.join("manifest.json")
}

pub(crate) fn checksum(bytes: &[u8]) -> Checksum {
    let digits = Sha256::digest(bytes);
    let digits: String = digits.iter().map(|byte| format!("{byte:02x}")).collect();
    Checksum::new(bytes.len() as u64, digits)
}

/// The text with a checksum of its own that is right.
pub(crate) fn summed(text: &str) -> String {
    let key = "\"checksum\": \"";
    let at = text.rfind(key).unwrap() + key.len();
    let rest = &text[at..][text[at..].find('"').unwrap()..];
    let unsummed = format!("{}{rest}", &text[..at]);
    let sum = checksum(unsummed.as_bytes()).sha256;
    format!("{}{sum}{rest}", &text[..at])
}

/// Changes what a backup says of itself so that its checksum is right.
pub(crate) fn forge(backup: &Backup, change: impl FnOnce(&mut Manifest)) {
    let mut manifest = backup.manifest.clone();
    change(&mut manifest);
    let text = serde_json::to_string_pretty(&manifest).unwrap() + "\n";
    fs::write(manifest_of(backup), summed(&text)).unwrap();
}

fn refused(backup: &Backup, beginning: &str) {
    let error = match verify(backup) {
        Ok(_) => panic!("{beginning}: it should have failed"),
        Err(error) => error,
    };
    assert_eq!(error.kind(), ErrorKind::BadBackup, "{error}");
    assert!(error.to_string().contains(beginning), "{error}");
    let to = backup.path.parent().unwrap().with_file_name("not.db");
    let restored = backup::restore(
        &to,
        &backup.path,
        IfExists::Refuse,
        VerifyOptions::default(),
    );
    assert_eq!(kind(restored), ErrorKind::BadBackup);
    let lock = Path::new("not.db.lock");
    let beside = names(to.parent().unwrap());
    let left = |name: &&String| name.starts_with("not.db") && Path::new(name) != lock;
    assert_eq!(beside.iter().find(left), None);
}

#[tokio::test]
async fn a_manifest_in_other_words_is_refused() {
    let store = filled(2, |config| config).await;
    let backup = back_up(&store).await;
    let path = manifest_of(&backup);
    let text = fs::read_to_string(&path).unwrap();
    forge(&backup, |_| ());
    assert_eq!(fs::read_to_string(&path).unwrap(), text, "the forger fails");

    forge(&backup, |manifest| manifest.format = 3);
    refused(&backup, "use a newer program");
    // Of a format that says that it is sealed or signed, and is neither; or of none.
    for format in [0, 2] {
        forge(&backup, |manifest| manifest.format = format);
        refused(&backup, "changed after it was written");
    }
    let unknown = text.replacen("{\n", "{\n  \"colour\": \"blue\",\n", 1);
    fs::write(&path, summed(&unknown)).unwrap();
    refused(&backup, "colour");
    let bytes = text.replacen("\"bytes\"", "\"colour\": 1,\n\"bytes\"", 1);
    fs::write(&path, summed(&bytes)).unwrap();
    refused(&backup, "colour");
    fs::write(&path, summed(&text.replace(",\n", " ,\n"))).unwrap();
    refused(&backup, "changed after it was written");
    for empty in ["", "\n", "{}", "null", "[]", "\u{feff}{}", "\0"] {
        fs::write(&path, empty).unwrap();
        refused(&backup, "its manifest is damaged");
    }
    for huge in ["[", " ", "{\"format\":", "9"] {
        fs::write(&path, huge.repeat(5 << 20)).unwrap();
        refused(&backup, "its manifest is damaged");
    }
    fs::write(&path, format!("{text}{}", " ".repeat(5 << 20))).unwrap();
    refused(&backup, "changed after it was written");
    for name in [
        "..",
        ".",
        "",
        "../../etc",
        "/etc",
        "20260101T000000.000000Z-manual",
    ] {
        forge(&backup, |manifest| manifest.name = name.to_owned());
        refused(&backup, "its manifest belongs to");
    }
    forge(&backup, |manifest| manifest.contents = None);
    refused(&backup, "no contents");
    forge(&backup, |manifest| manifest.sealed = Some("me".to_owned()));
    refused(&backup, "");
    assert_eq!(backup::list(folder(&store)).unwrap().unusable.len(), 1);
    fs::write(&path, text).unwrap();
    verify(&backup).unwrap();
}

#[tokio::test]
async fn a_manifest_that_says_other_things_of_the_database_is_refused() {
    let store = filled(2, |config| config).await;
    let backup = back_up(&store).await;
    type Lie = fn(&mut Manifest);
    let lies: [Lie; 10] = [
        |m| m.store_id = None,
        |m| m.store_id = Some("another".to_owned()),
        |m| m.contents.as_mut().unwrap().pages += 1,
        |m| m.contents.as_mut().unwrap().page_bytes *= 2,
        |m| m.contents.as_mut().unwrap().orphans = 1,
        |m| m.contents.as_mut().unwrap().schemas.clear(),
        |m| m.contents.as_mut().unwrap().schemas[0].step += 1,
        |m| {
            *m.contents
                .as_mut()
                .unwrap()
                .rows
                .get_mut("messages")
                .unwrap() += 1
        },
        |m| m.contents.as_mut().unwrap().database.bytes -= 1,
        |m| {
            m.contents
                .as_mut()
                .unwrap()
                .database
                .sha256
                .make_ascii_uppercase()
        },
    ];
    for lie in lies {
        forge(&backup, lie);
        refused(&backup, "");
    }
    // A promise of more than any disk holds is refused before anything is written.
    forge(&backup, |m| {
        m.contents.as_mut().unwrap().database.bytes = u64::MAX
    });
    assert_eq!(kind(verify(&backup)), ErrorKind::DiskFull);
}

#[tokio::test]
async fn what_belongs_to_another_backup_is_refused() {
    let store = filled(2, |config| config).await;
    let one = back_up(&store).await;
    store.write(interaction(3)).await.unwrap();
    let two = back_up(&store).await;
    let swap = |one: &Path, two: &Path| {
        let beside = one.with_extension("away");
        fs::rename(one, &beside).unwrap();
        fs::rename(two, one).unwrap();
        fs::rename(beside, two).unwrap();
    };
    swap(&manifest_of(&one), &manifest_of(&two));
    refused(&one, "its manifest belongs to");
    refused(&two, "its manifest belongs to");
    assert!(backup::list(folder(&store)).unwrap().backups.is_empty());
    // Then the folders too: names and manifests fit, and so do the artefacts.
    swap(&one.path, &two.path);
    refused(&one, "");
    swap(&one.artefact(), &two.artefact());
    verify(&one).unwrap();
    verify(&two).unwrap();
    swap(&one.artefact(), &two.artefact());
    refused(&one, "");
    // Of the same length, too.
    let length = fs::metadata(two.artefact()).unwrap().len();
    let file = fs::File::options()
        .write(true)
        .open(one.artefact())
        .unwrap();
    file.set_len(length).unwrap();
    drop(file);
    refused(&one, "");
    fs::remove_file(two.artefact()).unwrap();
    refused(&two, "cannot be found");
    fs::create_dir(two.artefact()).unwrap();
    refused(&two, "");
    store.close().await.unwrap();
}

#[tokio::test]
async fn only_the_right_identity_reads_and_what_is_in_the_clear_is_read_when_that_was_said() {
    let secret = AgeIdentity::generate();
    let settings = Backups::default().recipient(secret.recipient());
    let store = filled(2, |config| config.backups(settings)).await;
    let sealed = back_up(&store).await;
    let to = store.folder().join("restored.db");
    let wrong = || VerifyOptions::default().identity(AgeIdentity::generate());
    for reading in [VerifyOptions::default, wrong] {
        let refused = backup::verify(&sealed.path, reading());
        assert_eq!(kind(refused), ErrorKind::WrongKey);
        let refused = backup::restore(&to, &sealed.path, IfExists::Refuse, reading());
        assert_eq!(kind(refused), ErrorKind::WrongKey);
        assert!(
            !names(store.folder())
                .iter()
                .any(|n| n.contains("restoring"))
        );
        assert!(!to.exists());
    }
    // One more that does not fit does no harm.
    backup::verify(&sealed.path, wrong().identity(secret)).unwrap();
    store.close().await.unwrap();
    let clear = Backups::default().clear_among_encrypted(ClearAmongEncrypted::Allow);
    let config = Config::new(store.path()).backups(clear);
    let clear = backup::take(config, TakeBackup::default()).unwrap();
    assert!(!clear.manifest.is_encrypted());
    let accepting = || wrong().accept(Unproven::Clear);
    backup::verify(&clear.path, accepting()).unwrap();
    backup::restore(&to, &clear.path, IfExists::Refuse, accepting()).unwrap();
    assert_eq!(dump(&to), dump(store.path()));
}

/// A backup with another database in it, and a manifest that tells the truth of that.
pub(crate) fn replace_database(
    backup: &Backup,
    database: &Path,
    change: impl FnOnce(&mut Manifest),
) {
    let bytes = fs::read(database).unwrap();
    let packed = zstd::encode_all(&bytes[..], 3).unwrap();
    fs::write(backup.artefact(), &packed).unwrap();
    forge(backup, |manifest| {
        manifest.artefact = checksum(&packed);
        let contents = manifest.contents.as_mut().unwrap();
        contents.database = checksum(&bytes);
        contents.pages = bytes.len() as u64 / u64::from(contents.page_bytes);
        change(manifest);
    });
}

#[tokio::test]
async fn a_foreign_database_is_neither_backed_up_nor_restored() {
    let store = filled(2, |config| config).await;
    let backup = back_up(&store).await;
    let foreign = store.folder().join("notes.db");
    let conn = Connection::open(&foreign).unwrap();
    conn.execute_batch("CREATE TABLE users (name); INSERT INTO users VALUES ('ada')")
        .unwrap();
    drop(conn);
    let before = fs::read(&foreign).unwrap();
    let refused = backup::take(&foreign, TakeBackup::default());
    assert_eq!(kind(refused), ErrorKind::ForeignFile);
    assert_eq!(fs::read(&foreign).unwrap(), before);
    assert!(!names(store.folder()).contains(&"notes.db.backups".to_owned()));

    replace_database(&backup, &foreign, |manifest| {
        manifest.store_id = None;
        let contents = manifest.contents.as_mut().unwrap();
        contents.schemas.clear();
        contents.rows = BTreeMap::from([("users".to_owned(), 1)]);
    });
    // It is what it says, and still nothing that this program could open.
    verify(&backup).unwrap();
    let (folder, path) = store.into_file().await.unwrap();
    let before = snapshot(folder.path());
    let refused = backup::restore(
        &path,
        &backup.path,
        IfExists::MoveAside,
        VerifyOptions::default(),
    );
    assert_eq!(kind(refused), ErrorKind::ForeignFile);
    assert!(snapshot(folder.path()) == before);
}

/// Tables of a host, as this year's program knows them.
struct Notes;

impl Schema for Notes {
    const NAME: &'static str = "notes";
    const MIGRATIONS: &'static [Migration] = &[Migration::new(
        1,
        "notes",
        "CREATE TABLE notes (note)",
        "DROP TABLE notes",
    )];
}

/// And as next year's does.
struct MoreNotes;

impl Schema for MoreNotes {
    const NAME: &'static str = "notes";
    const MIGRATIONS: &'static [Migration] = &[
        Notes::MIGRATIONS[0],
        Migration::new(2, "more", "CREATE TABLE more (note)", "DROP TABLE more"),
    ];
}

#[tokio::test]
async fn what_a_newer_program_wrote_is_neither_backed_up_nor_restored() {
    let store = filled(1, |config| config.schema::<MoreNotes>()).await;
    let newer = back_up(&store).await;
    let (folder, path) = store.into_file().await.unwrap();
    let ours = || Config::new(&path).schema::<Notes>();
    let before = snapshot(folder.path());
    let refused = backup::take(ours(), TakeBackup::default());
    assert_eq!(kind(refused), ErrorKind::NewerSchema);
    let reading = VerifyOptions::default();
    let refused = backup::restore(ours(), &newer.path, IfExists::MoveAside, reading);
    assert_eq!(kind(refused), ErrorKind::NewerSchema);
    assert!(snapshot(folder.path()) == before);

    // Also a step of this crate's own tables.
    let old = path.with_file_name("old.db");
    fs::copy(&path, &old).unwrap();
    let conn = Connection::open(&old).unwrap();
    conn.execute(
        "INSERT INTO botstore_ledger VALUES ('botstore', 999, 'of_next_year', 'SELECT 1', '', '', '')",
        [],
    )
    .unwrap();
    conn.query_row("PRAGMA journal_mode=DELETE", [], |_| Ok(()))
        .unwrap();
    drop(conn);
    let refused = backup::take(&old, TakeBackup::default());
    assert_eq!(kind(refused), ErrorKind::NewerSchema);
    replace_database(&newer, &old, |manifest| {
        let contents = manifest.contents.as_mut().unwrap();
        let own = |s: &&mut botstore::SchemaStep| s.schema == "botstore";
        contents.schemas.iter_mut().find(own).unwrap().step = 999;
        // Closing has counted rows since.
        let conn = Connection::open(&old).unwrap();
        for (table, rows) in &mut contents.rows {
            let sql = format!("SELECT count(*) FROM \"{table}\"");
            *rows = conn
                .query_row(&sql, [], |row| row.get::<_, i64>(0))
                .unwrap() as u64;
        }
    });
    verify(&newer).unwrap();
    let reading = VerifyOptions::default();
    let refused = backup::restore(&path, &newer.path, IfExists::MoveAside, reading);
    assert_eq!(kind(refused), ErrorKind::NewerSchema);
}

#[tokio::test]
async fn content_that_is_no_database_or_ends_early_is_a_bad_backup() {
    let store = filled(2, |config| config).await;
    let backup = back_up(&store).await;
    let folder = tempfile::tempdir().unwrap();
    let forged = folder.path().join("forged.db");
    let whole = fs::read(restored(&backup)).unwrap();
    let mut of_the_future = whole.clone();
    of_the_future[47] = 9; // the schema's format
    for bytes in [
        &b"Dear diary, "[..],
        &whole[..whole.len() / 2],
        &whole[..100],
        &of_the_future,
    ] {
        fs::write(&forged, bytes).unwrap();
        replace_database(&backup, &forged, |_| ());
        let error = verify(&backup).map(drop).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadBackup, "{error}");
    }
}
