//! Signed backups: with the key that lies beside the bot a forged one is told from one that it made.

use crate::authentic::{refused, seal_for};
use crate::forged::{forge, manifest_of, replace_database};
use crate::support::*;
use botstore::backup::{
    self, AgeIdentity, Backup, BackupKey, Backups, IfExists, Retention, TakeBackup, VerifyOptions,
};
use botstore::testing::{FixedClock, TestStore};
use botstore::time::Clock as _;
use botstore::{Config, ErrorKind, Store};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

fn key() -> BackupKey {
    BackupKey::generate().unwrap()
}

fn with(key: &BackupKey) -> VerifyOptions {
    VerifyOptions::default().key(key.clone())
}

async fn store_with(settings: Backups) -> (TestStore, Backup) {
    let store = filled(3, |config| config.backups(settings)).await;
    let backup = back_up(&store).await;
    (store, backup)
}

/// Moves a backup's folder to another name, with or without its manifest saying so.
fn renamed(backup: &Backup, name: &str, in_words_too: bool) -> PathBuf {
    let to = backup.path.with_file_name(name);
    fs::create_dir(&to).unwrap();
    for file in names(&backup.path) {
        fs::copy(backup.path.join(&file), to.join(&file)).unwrap();
    }
    if in_words_too {
        let mut copy = backup.clone();
        copy.path = to.clone();
        forge(&copy, |manifest| manifest.name = name.to_owned());
    }
    to
}

#[tokio::test]
async fn a_signed_backup_is_read_with_its_key_and_without_one() {
    for recipient in [None, Some(AgeIdentity::generate())] {
        let key = key();
        let mut settings = Backups::default().key(key.clone());
        if let Some(identity) = &recipient {
            settings = settings.recipient(identity.recipient());
        }
        let (store, backup) = store_with(settings).await;
        assert_eq!(backup.manifest.format, 2);
        let reading = |reading: VerifyOptions| match &recipient {
            Some(identity) => reading.identity(identity.clone()),
            None => reading,
        };
        backup::verify(&backup.path, reading(with(&key))).unwrap();
        backup::verify(&backup.path, reading(VerifyOptions::default())).unwrap();
        // One of several keys is enough, as after a change of keys.
        let several = with(&self::key()).key(key.clone());
        backup::verify(&backup.path, reading(several)).unwrap();
        let to = store.folder().join("again.db");
        backup::restore(&to, &backup.path, IfExists::Refuse, reading(with(&key))).unwrap();
        let listed = backup::list_signed(folder(&store), &key).unwrap();
        assert_eq!((listed.backups.len(), listed.unusable.len()), (1, 0));
    }
}

#[tokio::test]
async fn what_the_key_has_not_signed_is_refused_in_the_clear_and_encrypted() {
    for identity in [None, Some(AgeIdentity::generate())] {
        let key = key();
        let mut settings = Backups::default().key(key.clone());
        if let Some(identity) = &identity {
            settings = settings.recipient(identity.recipient());
        }
        let (store, backup) = store_with(settings).await;
        let reading = |reading: VerifyOptions| match &identity {
            Some(identity) => reading.identity(identity.clone()),
            None => reading,
        };
        let not_authentic = |path: &Path, why: &str| {
            let error = refused(path, || reading(with(&key)));
            assert_eq!(error.kind(), ErrorKind::NotAuthentic, "{why}: {error}");
            assert!(error.to_string().contains("not signed"), "{error}");
        };
        let whole = fs::read(manifest_of(&backup)).unwrap();
        let mac = backup.manifest.mac.clone().unwrap();
        // Another key's.
        let error = refused(&backup.path, || reading(with(&self::key())));
        assert_eq!(error.kind(), ErrorKind::NotAuthentic, "{error}");
        // None; too short; too long; in other digits; of something else.
        let mut macs: Vec<String> = (0..mac.len()).map(|length| mac[..length].into()).collect();
        macs.push(format!("{mac}00"));
        macs.push(mac.to_uppercase());
        macs.push("0".repeat(64));
        macs.push(format!(" {mac}"));
        macs.retain(|other| *other != mac);
        for other in macs {
            forge(&backup, |manifest| manifest.mac = Some(other.clone()));
            not_authentic(&backup.path, &other);
        }
        // What the manifest says.
        type Lie = fn(&mut backup::Manifest);
        let lies: [Lie; 5] = [
            |m| m.taken_at += HOUR,
            |m| m.reason = backup::Reason::Scheduled,
            |m| m.store_id = None,
            |m| m.mode = backup::Mode::Compact,
            |m| m.artefact.sha256 = "0".repeat(64),
        ];
        for lie in lies {
            forge(&backup, lie);
            not_authentic(&backup.path, "changed");
        }
        fs::write(manifest_of(&backup), &whole).unwrap();
        // Its name.
        let later = "20991125T000000.000000Z-manual";
        let error = refused(&renamed(&backup, later, false), || reading(with(&key)));
        assert_eq!(error.kind(), ErrorKind::BadBackup, "{error}");
        let later = "20991125T000001.000000Z-manual";
        not_authentic(&renamed(&backup, later, true), "renamed");
        // Back to what nobody signs.
        let format = if identity.is_some() { 2 } else { 1 };
        forge(&backup, |manifest| {
            manifest.mac = None;
            manifest.format = format;
        });
        not_authentic(&backup.path, "stripped");
        let listed = backup::list_signed(folder(&store), &key).unwrap();
        assert_eq!((listed.backups.len(), listed.unusable.len()), (0, 3));
        fs::write(manifest_of(&backup), &whole).unwrap();
        backup::verify(&backup.path, reading(with(&key))).unwrap();
    }
}

#[tokio::test]
async fn artefacts_of_two_signed_backups_cannot_change_places() {
    let key = key();
    let (store, one) = store_with(Backups::default().key(key.clone())).await;
    store.write(interaction(9)).await.unwrap();
    let two = back_up(&store).await;
    let (first, second) = (
        fs::read(one.artefact()).unwrap(),
        fs::read(two.artefact()).unwrap(),
    );
    fs::write(one.artefact(), &second).unwrap();
    fs::write(two.artefact(), &first).unwrap();
    for backup in [&one, &two] {
        let error = refused(&backup.path, || with(&key));
        assert_eq!(error.kind(), ErrorKind::BadBackup, "{error}");
    }
    // With a manifest that is right, but for the signature; and one that the other one signs.
    forge(&one, |manifest| {
        manifest.artefact = two.manifest.artefact.clone();
        manifest.contents = two.manifest.contents.clone();
    });
    let error = refused(&one.path, || with(&key));
    assert_eq!(error.kind(), ErrorKind::NotAuthentic, "{error}");
    forge(&one, |manifest| {
        *manifest = two.manifest.clone();
        manifest.name = one.manifest.name.clone();
    });
    let error = refused(&one.path, || with(&key));
    assert_eq!(error.kind(), ErrorKind::NotAuthentic, "{error}");
}

/// Encryption to a public key proves nothing of who did it; a signature does.
#[tokio::test]
async fn what_was_put_together_and_sealed_for_the_public_key_is_refused_by_the_key() {
    let (key, ada) = (key(), AgeIdentity::generate());
    let settings = Backups::default()
        .key(key.clone())
        .recipient(ada.recipient());
    let (_store, backup) = store_with(settings).await;
    let reading = || VerifyOptions::default().identity(ada.clone());
    let known = backup::verify(&backup.path, reading()).unwrap().manifest;
    let mut inner = serde_json::to_value(&known).unwrap();
    let fields = inner.as_object_mut().unwrap();
    fields["sealed"] = json!(null);
    fields["checksum"] = json!("");
    fields.remove("mac");
    fields["taken_at"] = json!("2099-11-25T00:00:00.123456Z");
    forge(&backup, |manifest| {
        manifest.taken_at = "2099-11-25T00:00:00.123456Z".parse().unwrap();
        manifest.sealed = Some(seal_for(&ada.recipient(), &inner.to_string()));
    });
    // The forger is as good as can be.
    backup::verify(&backup.path, reading()).unwrap();
    let error = refused(&backup.path, || reading().key(key.clone()));
    assert_eq!(error.kind(), ErrorKind::NotAuthentic, "{error}");
}

#[tokio::test]
async fn a_drill_with_a_key_tells_of_a_forged_newest_backup() {
    let key = key();
    let (store, backup) = store_with(Backups::default().key(key)).await;
    store.drill().await.unwrap();
    let path = restored(&backup);
    replace_database(&backup, &path, |manifest| {
        manifest.verified_at += HOUR;
    });
    assert_eq!(kind(store.drill().await), ErrorKind::NotAuthentic);
    store.close().await.unwrap();
}

/// What is planted counts for nothing where there is a key: it neither puts the next backup off, nor
/// pushes good ones out, nor shows as the last one.
#[tokio::test]
async fn unsigned_backups_neither_delay_a_signed_one_nor_push_one_out() {
    let (key, clock) = (key(), FixedClock::default());
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("bot.db");
    let keep = Retention::default()
        .last(1)
        .hourly(0)
        .daily(0)
        .weekly(0)
        .monthly(0)
        .yearly(0);
    let config = |key: Option<&BackupKey>| {
        let settings = Backups::default().every(HOUR).retention(keep);
        let settings = match key {
            Some(key) => settings.key(key.clone()),
            None => settings,
        };
        Config::new(&path).clock(clock.clone()).backups(settings)
    };
    let store = Store::open(config(Some(&key))).await.unwrap();
    sign_up(&store).await;
    store.run_due().await.unwrap();
    let signed = |store: &Store| backup::list_signed(folder(store), &key).unwrap().backups;
    assert_eq!(signed(&store).len(), 1);
    let first = signed(&store)[0].clone();
    // Three that say they were just made, the newest of all.
    clock.advance(HOUR + HOUR);
    let now = clock.now();
    let planted: Vec<_> = (0..3)
        .map(|number| {
            let name = format!("20991125T00000{number}.000000Z-scheduled");
            let to = renamed(&first, &name, false);
            let mut copy = first.clone();
            copy.path = to.clone();
            forge(&copy, |manifest| {
                manifest.name = name;
                manifest.taken_at = now;
                manifest.mac = None;
                manifest.format = 1;
            });
            to
        })
        .collect();
    assert_eq!(backup::list(folder(&store)).unwrap().backups.len(), 4);
    store.close().await.unwrap();
    let store = Store::open(config(Some(&key))).await.unwrap();
    store.run_due().await.unwrap();
    let kept = signed(&store);
    assert_eq!(kept.len(), 1, "a new one was made, and the old one went");
    assert_ne!(kept[0].manifest.name, first.manifest.name);
    assert!(planted.iter().all(|path| path.exists()));
    let status = botstore::status(config(Some(&key))).unwrap();
    assert_eq!(status.last_backup.as_ref(), Some(&kept[0]));
    store.close().await.unwrap();
}

const HEX: &str = "5f0c2f8f6d1f0e5f9d8a3c1b7e6d4a2990817263544536271809f0e1d2c3b4a5";

#[test]
fn a_key_is_read_as_it_is_usually_written() {
    let base64 = "Xwwvj20fDl+dijwbfm1KKZCBcmNURTYnGAnw4dLDtKU";
    let url_safe = base64.replace('+', "-");
    for text in [
        HEX.to_owned(),
        format!("{HEX}\n"),
        format!("{HEX}\r\n\r\n"),
        format!("# made on a Monday\n\n  {HEX}  \n"),
        HEX.to_uppercase(),
        base64.to_owned(),
        format!("{base64}=\n"),
        url_safe,
    ] {
        let key: BackupKey = text.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(key.to_secret(), HEX, "{text}");
    }
    let long = format!("{HEX}{HEX}{HEX}");
    assert_eq!(long.parse::<BackupKey>().unwrap().to_secret(), long);
}

#[test]
fn what_is_no_key_or_a_weak_one_is_refused_without_a_word_of_it() {
    for text in [
        "",
        "# nothing but a comment\n",
        "correct horse battery staple, and some more words to be long",
        &HEX[..62],
        &HEX[..63],
        // As base64 they would be long enough.
        &HEX[2..],
        &HEX[4..],
        "XwwvjXwwvjXwwvjXwwvj",
        &format!("{HEX}\n{HEX}"),
        &"0".repeat(64),
        &"0123".repeat(16),
        &"AAAA".repeat(16),
        &"\u{e9}".repeat(64),
    ] {
        let error = text.parse::<BackupKey>().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{text}");
        assert_eq!(error.field(), Some("key"));
        let told = format!("{error} {error:?}");
        assert!(text.len() < 8 || !told.contains(&text[..8]), "{told}");
    }
    let key: BackupKey = HEX.parse().unwrap();
    let settings = Backups::default().key(key.clone());
    let told = format!("{key:?} {settings:?}");
    assert!(!told.contains(&HEX[..8]), "{told}");
}

#[cfg(unix)]
#[test]
fn a_key_file_is_its_owners_alone_and_read_in_part_only_if_that_is_all() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("backup.key");
    let put = |text: &str, mode: u32| {
        let _ = fs::remove_file(&path);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    };
    for mode in [0o600, 0o400] {
        put(&format!("{HEX}\n"), mode);
        assert_eq!(BackupKey::from_file(&path).unwrap().to_secret(), HEX);
    }
    for mode in [0o640, 0o604, 0o620, 0o601, 0o644, 0o666] {
        put(&format!("{HEX}\n"), mode);
        let error = BackupKey::from_file(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{mode:o}");
        assert!(error.to_string().contains("chmod 600"), "{error}");
    }
    put(&format!("{HEX}\n{}", "\n".repeat(9000)), 0o600);
    assert_eq!(kind(BackupKey::from_file(&path)), ErrorKind::Invalid);
    fs::write(&path, [0xff; 100]).unwrap();
    assert_eq!(kind(BackupKey::from_file(&path)), ErrorKind::Invalid);
    fs::remove_file(&path).unwrap();
    assert_eq!(kind(BackupKey::from_file(&path)), ErrorKind::Io);
    assert!(BackupKey::from_file(folder.path()).is_err());
}

#[tokio::test]
async fn backups_made_at_the_same_moment_of_the_same_store_have_signatures_of_their_own() {
    let key = key();
    let (store, one) = store_with(Backups::default().key(key)).await;
    let two = store.back_up(TakeBackup::default()).await.unwrap();
    assert_ne!(one.manifest.mac, two.manifest.mac);
    store.close().await.unwrap();
}
