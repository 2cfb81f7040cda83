//! Encrypted backups: whoever finds one learns when it was made and how large it is.

use crate::support::*;
use botstore::ErrorKind;
use botstore::backup::{self, AgeIdentity, Backups, IfExists, TakeBackup, VerifyOptions};
use std::fs;

#[tokio::test]
async fn only_a_recipient_reads_an_encrypted_backup() {
    let (ada, eve, grace) = (
        AgeIdentity::generate(),
        AgeIdentity::generate(),
        AgeIdentity::generate(),
    );
    let settings = Backups::default()
        .recipient(ada.recipient())
        .recipient(grace.recipient());
    let store = filled(10, |config| config.backups(settings)).await;
    let backup = store.back_up(TakeBackup::default()).await.unwrap();
    assert!(backup.manifest.is_encrypted());
    assert!(backup.manifest.contents.is_none());
    let verify = |identity: &AgeIdentity| {
        backup::verify(
            &backup.path,
            VerifyOptions::default().identity(identity.clone()),
        )
    };
    for identity in [&ada, &grace] {
        let contents = verify(identity).unwrap().manifest.contents.unwrap();
        assert_eq!(contents.rows["messages"], 10);
    }
    assert_eq!(kind(verify(&eve)), ErrorKind::WrongKey);
    let without = backup::verify(&backup.path, VerifyOptions::default());
    assert_eq!(kind(without), ErrorKind::WrongKey);

    let to = store.folder().join("restored.db");
    let restore = |identity: &AgeIdentity| {
        let reading = VerifyOptions::default().identity(identity.clone());
        backup::restore(&to, &backup.path, IfExists::Refuse, reading)
    };
    assert_eq!(kind(restore(&eve)), ErrorKind::WrongKey);
    assert!(!to.exists());
    restore(&ada).unwrap();
    let (_folder, path) = store.into_file().await.unwrap();
    assert_eq!(dump(&to), dump(&path));
}

#[tokio::test]
async fn an_encrypted_backup_tells_nothing_of_what_is_in_it() {
    let settings = Backups::default().recipient(AgeIdentity::generate().recipient());
    let store = filled(3, |config| config.backups(settings)).await;
    let backup = back_up(&store).await;
    assert_eq!(names(&backup.path), ["database.zst.age", "manifest.json"]);
    for name in names(&backup.path) {
        let bytes = fs::read(backup.path.join(&name)).unwrap();
        // The name in its quotes: a checksum may have the same letters.
        for word in ["messages", "audit_log", "prompt", "\"ada\"", "SQLite"] {
            let found = bytes.windows(word.len()).any(|w| w == word.as_bytes());
            assert!(!found, "{name} has the word {word}");
        }
    }
}

#[tokio::test]
async fn what_an_encrypted_backup_is_made_of_lies_beside_the_database_and_not_where_it_goes() {
    let elsewhere = tempfile::tempdir().unwrap();
    let ada = AgeIdentity::generate();
    let settings = Backups::default()
        .recipient(ada.recipient())
        .identity(ada)
        .folder(elsewhere.path());
    let store = filled(3, |config| config.backups(settings)).await;
    let at = elsewhere.path().to_owned();
    let request = TakeBackup::default().on_progress(move |_| {
        for partial in names(&at) {
            for name in names(&at.join(&partial)) {
                assert_eq!(name, "database.zst.age", "in {partial}");
            }
        }
        std::ops::ControlFlow::Continue(())
    });
    store.back_up(request).await.unwrap();
    store.drill().await.unwrap();
    let left = names(store.folder());
    let unsealed = left.iter().any(|name| name.contains("unsealed"));
    assert!(!unsealed, "{left:?}");
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_drill_of_encrypted_backups_needs_the_identity() {
    let ada = AgeIdentity::generate();
    let settings = Backups::default().recipient(ada.recipient());
    let store = filled(3, |config| config.backups(settings.clone())).await;
    back_up(&store).await;
    assert_eq!(kind(store.drill().await), ErrorKind::WrongKey);
    store.close().await.unwrap();
    let config = botstore::Config::new(store.path()).backups(settings.identity(ada));
    let again = botstore::Store::open(config).await.unwrap();
    again.drill().await.unwrap();
    again.close().await.unwrap();
}

#[test]
fn a_secret_is_read_from_what_age_keygen_writes_and_not_shown() {
    let ada = AgeIdentity::generate();
    let file = format!(
        "# created: 2026-03-10T12:00:00Z\n# public key: {}\n{}\n",
        ada.recipient(),
        ada.to_secret()
    );
    let read: AgeIdentity = file.parse().unwrap();
    assert_eq!(read.recipient().to_string(), ada.recipient().to_string());
    assert!(!format!("{ada:?}").contains(&ada.to_secret()));
    for wrong in ["", "age1", "# nothing but a comment"] {
        assert_eq!(kind(wrong.parse::<AgeIdentity>()), ErrorKind::Invalid);
    }
    assert_eq!(
        kind("AGE-SECRET-KEY-1".parse::<backup::AgeRecipient>()),
        ErrorKind::Invalid
    );
}
