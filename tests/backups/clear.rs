//! A backup in the clear does not go among encrypted ones because somebody forgot the recipient.

use crate::support::*;
use botstore::backup::{
    self, AgeIdentity, Backup, Backups, ClearAmongEncrypted, Reason, TakeBackup, VerifyOptions,
};
use botstore::rusqlite::Connection;
use botstore::testing::FixedClock;
use botstore::{Config, ErrorKind, Store, StoreEvent, schema};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// A closed file with an encrypted backup in a folder of its own.
struct Scene {
    place: TempDir,
    path: PathBuf,
    recipient: AgeIdentity,
}

impl Scene {
    async fn set() -> Self {
        let place = tempfile::tempdir().unwrap();
        let scene = Self {
            path: place.path().join("bot.db"),
            place,
            recipient: AgeIdentity::generate(),
        };
        let store = Store::open(scene.config(scene.sealing())).await.unwrap();
        sign_up(&store).await;
        store.back_up(TakeBackup::default()).await.unwrap();
        store.close().await.unwrap();
        scene
    }

    fn folder(&self) -> PathBuf {
        self.place.path().join("kept")
    }

    fn clear(&self) -> Backups {
        Backups::default().folder(self.folder())
    }

    fn sealing(&self) -> Backups {
        self.clear().recipient(self.recipient.recipient())
    }

    fn config(&self, settings: Backups) -> Config {
        Config::new(&self.path).backups(settings)
    }

    /// Takes the file back to this step, with an encrypted backup before.
    fn back_to(&self, step: u32) {
        schema::rollback(self.config(self.sealing()), "botstore", step).unwrap();
    }

    fn backups(&self) -> Vec<Backup> {
        backup::list(self.folder()).unwrap().backups
    }

    /// Nothing in the clear is among the backups, finished or not.
    fn has_only_encrypted(&self) {
        for file in snapshot(&self.folder()).into_keys() {
            let name = file.file_name().unwrap().to_str().unwrap().to_owned();
            let known = ["manifest.json", "database.zst.age", ".lock", ".drill.json"];
            assert!(known.contains(&name.as_str()), "{}", file.display());
        }
        let backups = self.backups();
        assert!(!backups.is_empty());
        assert!(backups.iter().all(|backup| backup.manifest.is_encrypted()));
    }
}

fn allowing(settings: Backups) -> Backups {
    settings.clear_among_encrypted(ClearAmongEncrypted::Allow)
}

#[tokio::test]
async fn who_forgets_the_recipient_is_told_and_nothing_is_written() {
    let scene = Scene::set().await;
    let before = snapshot(&scene.folder());
    let error = backup::take(scene.config(scene.clear()), TakeBackup::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NeedsRecipient, "{error}");
    assert!(error.to_string().contains("encrypted"), "{error}");
    assert!(!error.is_transient());
    assert!(snapshot(&scene.folder()) == before);
    // Also one of a running store, by hand and when its time has come.
    let clock = FixedClock::default();
    let config = scene.config(scene.clear().every(Duration::from_secs(3600)));
    let store = Store::open(config.clock(clock.clone())).await.unwrap();
    let mut events = store.events();
    let refused = store.back_up(TakeBackup::default()).await;
    assert_eq!(kind(refused), ErrorKind::NeedsRecipient);
    clock.advance(Duration::from_secs(7200));
    store.run_due().await.unwrap();
    loop {
        match events.recv().await.unwrap() {
            StoreEvent::BackupFailed(error) if error.operation() == Some("TakeBackup") => {
                assert_eq!(error.kind(), ErrorKind::NeedsRecipient, "{error}");
                break;
            }
            _ => {}
        }
    }
    store.close().await.unwrap();
    scene.has_only_encrypted();
    assert!(snapshot(&scene.folder()) == before);
    // With the recipient, or with a word.
    backup::take(scene.config(scene.sealing()), TakeBackup::default()).unwrap();
    scene.has_only_encrypted();
    let allowed = scene.config(allowing(scene.clear()));
    let clear = backup::take(allowed, TakeBackup::default()).unwrap();
    assert!(!clear.manifest.is_encrypted());
    backup::verify(&clear.path, VerifyOptions::default()).unwrap();
    // Which is then how it is.
    backup::take(scene.config(scene.clear()), TakeBackup::default()).unwrap();
}

#[tokio::test]
async fn encrypted_backups_of_another_store_stand_in_nobodys_way() {
    let scene = Scene::set().await;
    let other = scene.place.path().join("other.db");
    Store::open(&other).await.unwrap().close().await.unwrap();
    let config = Config::new(&other).backups(scene.clear());
    backup::take(config, TakeBackup::default()).unwrap();
    // Nor does the other's clear one let this one's in.
    let refused = backup::take(scene.config(scene.clear()), TakeBackup::default());
    assert_eq!(kind(refused), ErrorKind::NeedsRecipient);
}

#[tokio::test]
async fn migrating_by_hand_in_either_direction_asks_for_the_recipient_first() {
    let scene = Scene::set().await;
    let last = step(&scene.path);
    let before = (fs::read(&scene.path).unwrap(), snapshot(&scene.folder()));
    let refused = schema::rollback(scene.config(scene.clear()), "botstore", 5);
    let error = refused.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NeedsRecipient, "{error}");
    assert!(
        error.to_string().contains("the file is as it was"),
        "{error}"
    );
    assert_eq!(step(&scene.path), last);
    assert!(snapshot(&scene.folder()) == before.1);
    // So far back that the file does not know any more whose it is.
    scene.back_to(5);
    for refused in [
        schema::apply(scene.config(scene.clear())),
        schema::apply_to(scene.config(scene.clear()), "botstore", 6),
        schema::rollback(scene.config(scene.clear()), "botstore", 4),
    ] {
        assert_eq!(kind(refused), ErrorKind::NeedsRecipient);
        assert_eq!(step(&scene.path), 5);
    }
    let refused = backup::take(scene.config(scene.clear()), TakeBackup::default());
    assert_eq!(kind(refused), ErrorKind::NeedsRecipient);
    scene.has_only_encrypted();
    // And forth again, when it has a new id.
    schema::apply(scene.config(scene.sealing())).unwrap();
    let refused = schema::rollback(scene.config(scene.clear()), "botstore", 6);
    assert_eq!(kind(refused), ErrorKind::NeedsRecipient);
    scene.has_only_encrypted();
    schema::rollback(scene.config(allowing(scene.clear())), "botstore", 6).unwrap();
    assert_eq!(step(&scene.path), 6);
}

fn step(path: &Path) -> u32 {
    let conn = Connection::open(path).unwrap();
    let sql = "SELECT max(step) FROM botstore_ledger WHERE schema = 'botstore'";
    conn.query_row(sql, [], |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn a_store_that_opens_without_the_recipient_is_upgraded_and_its_copy_lies_beside_it() {
    let scene = Scene::set().await;
    let last = step(&scene.path);
    scene.back_to(5);
    let store = Store::open(scene.config(scene.clear())).await.unwrap();
    // Told to who listens first, which is after the opening.
    let mut events = store.events();
    let copy = loop {
        match events.try_recv() {
            Ok(StoreEvent::ClearCopyBeside { path, .. }) => break path,
            Ok(_) => {}
            Err(e) => panic!("nobody was told: {e}"),
        }
    };
    let mut later = store.events();
    assert!(later.try_recv().is_err(), "told once");
    assert_eq!(step(store.path()), last);
    store.close().await.unwrap();
    scene.has_only_encrypted();
    let beside = scene.place.path().join("bot.db.before-upgrade");
    let beside = beside.canonicalize().unwrap();
    assert_eq!(copy.parent(), Some(&*beside));
    let copy = backup::verify(&copy, VerifyOptions::default()).unwrap();
    assert_eq!(copy.manifest.reason, Reason::BeforeUpgrade);
    assert_eq!(copy.manifest.contents.unwrap().schemas[0].step, 5);
}

#[tokio::test]
async fn a_store_that_opens_with_the_recipient_keeps_its_copy_among_the_others() {
    let scene = Scene::set().await;
    scene.back_to(5);
    let store = Store::open(scene.config(scene.sealing())).await.unwrap();
    assert!(store.events().try_recv().is_err());
    store.close().await.unwrap();
    scene.has_only_encrypted();
    let newest = scene.backups().pop().unwrap();
    assert_eq!(newest.manifest.reason, Reason::BeforeUpgrade);
    assert!(!names(scene.place.path()).contains(&"bot.db.before-upgrade".to_owned()));
}
