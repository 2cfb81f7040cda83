//! Encrypted backups prove what they say of themselves: nothing of it can be changed without the key.

use crate::forged::{checksum, forge, manifest_of, summed};
use crate::support::*;
use botstore::backup::{
    self, AgeIdentity, AgeRecipient, Backup, Backups, IfExists, TakeBackup, Unproven, VerifyOptions,
};
use botstore::testing::TestStore;
use botstore::{Error, ErrorKind};
use serde_json::{Value, json};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

async fn sealed(identity: &AgeIdentity) -> (TestStore, Backup) {
    let settings = Backups::default().recipient(identity.recipient());
    let store = filled(3, |config| config.backups(settings)).await;
    let backup = back_up(&store).await;
    (store, backup)
}

fn with(identity: &AgeIdentity) -> VerifyOptions {
    VerifyOptions::default().identity(identity.clone())
}

/// What `verify` says, and `restore`, which leaves nothing.
pub(crate) fn refused(backup: &Path, reading: impl Fn() -> VerifyOptions) -> Error {
    let error = match backup::verify(backup, reading()) {
        Ok(read) => panic!("it was read: {:?}", read.manifest),
        Err(error) => error,
    };
    let place = tempfile::tempdir().unwrap();
    let to = place.path().join("not.db");
    let restored = backup::restore(&to, backup, IfExists::Refuse, reading());
    assert_eq!(kind(restored), error.kind());
    let left = names(place.path());
    assert!(left.iter().all(|name| name == "not.db.lock"), "{left:?}");
    error
}

/// Copies a backup to where it has another name.
fn copied(backup: &Path, name: &str) -> PathBuf {
    let to = backup.with_file_name(name);
    fs::create_dir(&to).unwrap();
    for file in names(backup) {
        fs::copy(backup.join(&file), to.join(&file)).unwrap();
    }
    to
}

/// Changes the text of a manifest so that its checksum is right.
fn relabel(backup: &Path, from: &str, to: &str) {
    let path = backup.join("manifest.json");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{from} is not in {text}");
    fs::write(&path, summed(&text.replacen(from, to, 1))).unwrap();
}

#[tokio::test]
async fn an_old_sealed_backup_that_is_relabelled_as_the_newest_is_refused() {
    let ada = AgeIdentity::generate();
    let (store, old) = sealed(&ada).await;
    let new = back_up(&store).await;
    let later = "20991125T000000.000000Z-manual";
    let replayed = copied(&old.path, later);
    relabel(&replayed, &old.manifest.name, later);
    let error = refused(&replayed, || with(&ada));
    assert_eq!(error.kind(), ErrorKind::NotAuthentic, "{error}");
    // With a time that fits.
    let mut redated = old.clone();
    redated.path = replayed.clone();
    forge(&redated, |manifest| {
        manifest.name = later.to_owned();
        manifest.taken_at = "2099-11-25T00:00:00.000001Z".parse().unwrap();
    });
    let error = refused(&replayed, || with(&ada));
    assert_eq!(error.kind(), ErrorKind::NotAuthentic, "{error}");
    // Under the newest one's own name and with all that it says but what is sealed.
    fs::copy(old.artefact(), new.artefact()).unwrap();
    forge(&new, |manifest| {
        manifest.sealed = old.manifest.sealed.clone();
        manifest.artefact = old.manifest.artefact.clone();
    });
    let error = refused(&new.path, || with(&ada));
    assert_eq!(error.kind(), ErrorKind::NotAuthentic, "{error}");
    backup::verify(&old.path, with(&ada)).unwrap();
}

#[tokio::test]
async fn no_field_of_a_sealed_manifest_can_be_changed() {
    let ada = AgeIdentity::generate();
    let (_store, backup) = sealed(&ada).await;
    let whole = fs::read_to_string(manifest_of(&backup)).unwrap();
    let fields: Value = serde_json::from_str(&whole).unwrap();
    let mut tried = 0;
    for (field, value) in fields.as_object().unwrap() {
        let lies = match (field.as_str(), value) {
            // What is sealed is age's to prove, and the contents are in there.
            ("checksum" | "sealed" | "contents", _) => continue,
            ("format", _) => vec![json!(1)],
            ("reason", _) => vec![json!("scheduled"), json!("before-upgrade")],
            ("mode", _) => vec![json!("compact")],
            ("artefact", _) => {
                let sha = checksum(b"another").sha256;
                vec![json!({ "bytes": value["bytes"], "sha256": sha })]
            }
            ("taken_at" | "verified_at", _) => vec![json!("2099-11-25T00:00:00.123456Z")],
            ("store_id", _) => vec![json!(null), json!("00112233445566778899aabbccddeeff")],
            ("name", _) => vec![json!("20991125T000000.000000Z-manual")],
            (_, Value::String(_)) => vec![json!("another")],
            other => panic!("how is {other:?} changed?"),
        };
        for lie in lies {
            let mut forged = backup.manifest.clone();
            let mut all = serde_json::to_value(&forged).unwrap();
            all[field] = lie.clone();
            forged = serde_json::from_value(all).unwrap();
            let path = match field.as_str() {
                "name" => copied(&backup.path, lie.as_str().unwrap()),
                _ => backup.path.clone(),
            };
            let text = serde_json::to_string_pretty(&forged).unwrap() + "\n";
            fs::write(path.join("manifest.json"), summed(&text)).unwrap();
            let error = refused(&path, || with(&ada));
            assert_eq!(error.kind(), ErrorKind::NotAuthentic, "{field}: {error}");
            tried += 1;
        }
    }
    assert!(tried >= 10, "{tried}");
    fs::write(manifest_of(&backup), whole).unwrap();
    backup::verify(&backup.path, with(&ada)).unwrap();
}

#[tokio::test]
async fn parts_of_two_sealed_backups_do_not_go_together() {
    let ada = AgeIdentity::generate();
    let (store, one) = sealed(&ada).await;
    store.write(interaction(9)).await.unwrap();
    let two = back_up(&store).await;
    let keep = |backup: &Backup| {
        (
            fs::read(manifest_of(backup)).unwrap(),
            fs::read(backup.artefact()).unwrap(),
        )
    };
    let put_back = |backup: &Backup, (manifest, artefact): &(Vec<u8>, Vec<u8>)| {
        fs::write(manifest_of(backup), manifest).unwrap();
        fs::write(backup.artefact(), artefact).unwrap();
    };
    let (first, second) = (keep(&one), keep(&two));
    // The artefacts.
    fs::write(one.artefact(), &second.1).unwrap();
    let error = refused(&one.path, || with(&ada));
    assert_eq!(error.kind(), ErrorKind::BadBackup, "{error}");
    // With their sizes and sums.
    forge(&one, |m| m.artefact = two.manifest.artefact.clone());
    let error = refused(&one.path, || with(&ada));
    assert_eq!(error.kind(), ErrorKind::NotAuthentic, "{error}");
    assert!(error.to_string().contains("\"artefact\""), "{error}");
    put_back(&one, &first);
    // What is sealed.
    forge(&one, |m| m.sealed = two.manifest.sealed.clone());
    let error = refused(&one.path, || with(&ada));
    assert_eq!(error.kind(), ErrorKind::NotAuthentic, "{error}");
    put_back(&one, &first);
    backup::verify(&one.path, with(&ada)).unwrap();
    backup::verify(&two.path, with(&ada)).unwrap();
}

const CLEAR: &str = "20261125T214651.433338Z-manual";
const SEALED: &str = "20261125T214652.832060Z-manual";

/// A backup that the version before format 2 has made, and its identity.
fn of_format_1(name: &str) -> (tempfile::TempDir, PathBuf, AgeIdentity) {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/backups");
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join(name);
    fs::create_dir(&to).unwrap();
    for file in names(&fixtures.join(name)) {
        fs::copy(fixtures.join(name).join(&file), to.join(&file)).unwrap();
    }
    let identity = fs::read_to_string(fixtures.join("identity.txt")).unwrap();
    (folder, to, identity.parse().unwrap())
}

#[test]
fn what_the_version_before_made_is_restored() {
    let (folder, clear, identity) = of_format_1(CLEAR);
    let verified = backup::verify(&clear, VerifyOptions::default()).unwrap();
    let contents = verified.manifest.contents.unwrap();
    assert_eq!(contents.rows["messages"], 48);
    let to = folder.path().join("again.db");
    backup::restore(&to, &clear, IfExists::Refuse, VerifyOptions::default()).unwrap();
    assert_eq!(dump(&to)["messages"].len(), 48);

    let (folder, sealed, _) = of_format_1(SEALED);
    let reading = || with(&identity).accept(Unproven::Format1);
    backup::verify(&sealed, reading()).unwrap();
    let to = folder.path().join("again.db");
    backup::restore(&to, &sealed, IfExists::Refuse, reading()).unwrap();
    assert_eq!(dump(&to)["messages"].len(), 48);
}

#[test]
fn with_an_identity_what_does_not_prove_itself_is_read_only_when_that_was_said() {
    let (_clear_folder, clear, identity) = of_format_1(CLEAR);
    let (_sealed_folder, sealed, _) = of_format_1(SEALED);
    for (backup, right, wrong) in [
        (&clear, Unproven::Clear, Unproven::Format1),
        (&sealed, Unproven::Format1, Unproven::Clear),
    ] {
        for reading in [&(|| with(&identity)) as &dyn Fn() -> VerifyOptions, &|| {
            with(&identity).accept(wrong)
        }] {
            let error = refused(backup, reading);
            assert_eq!(error.kind(), ErrorKind::NotAuthentic, "{error}");
        }
        let accepting = with(&identity).accept(wrong).accept(right);
        backup::verify(backup, accepting).unwrap();
    }
}

#[tokio::test]
async fn a_clear_backup_among_sealed_ones_is_refused_also_under_a_name_of_theirs() {
    let ada = AgeIdentity::generate();
    let (store, sealed) = sealed(&ada).await;
    let (_folder, clear, _) = of_format_1(CLEAR);
    let planted = sealed
        .path
        .with_file_name("20991125T000000.000000Z-scheduled");
    fs::create_dir(&planted).unwrap();
    for file in names(&clear) {
        fs::copy(clear.join(&file), planted.join(&file)).unwrap();
    }
    relabel(&planted, CLEAR, "20991125T000000.000000Z-scheduled");
    let (own, other) = (
        format!("{:?}", sealed.manifest.store_id.as_ref().unwrap()),
        "\"20f62a2a36bcad8f9738d64db1d54889\"",
    );
    relabel(&planted, other, &own);
    let error = refused(&planted, || with(&ada));
    assert_eq!(error.kind(), ErrorKind::NotAuthentic, "{error}");
    assert!(error.to_string().contains("not encrypted"), "{error}");
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_format_that_is_turned_back_or_forth_is_refused() {
    let ada = AgeIdentity::generate();
    let (_store, backup) = sealed(&ada).await;
    forge(&backup, |manifest| manifest.format = 1);
    let error = refused(&backup.path, || with(&ada));
    assert_eq!(error.kind(), ErrorKind::NotAuthentic, "{error}");
    let error = refused(&backup.path, || with(&ada).accept(Unproven::Format1));
    assert_eq!(error.kind(), ErrorKind::BadBackup, "{error}");

    let (_folder, sealed, identity) = of_format_1(SEALED);
    relabel(&sealed, "\"format\": 1", "\"format\": 2");
    for accept in [None, Some(Unproven::Format1)] {
        let reading = || match accept {
            Some(unproven) => with(&identity).accept(unproven),
            None => with(&identity),
        };
        let error = refused(&sealed, reading);
        assert_eq!(error.kind(), ErrorKind::NotAuthentic, "{error}");
    }
}

/// Encrypts for a public key, as anybody can.
pub(crate) fn seal_for(recipient: &AgeRecipient, text: &str) -> String {
    let recipient: age::x25519::Recipient = recipient.to_string().parse().unwrap();
    let armour = age::armor::Format::AsciiArmor;
    let mut armoured = age::armor::ArmoredWriter::wrap_output(Vec::new(), armour).unwrap();
    let recipients = [&recipient as &dyn age::Recipient];
    let encryptor = age::Encryptor::with_recipients(recipients.into_iter()).unwrap();
    let mut writer = encryptor.wrap_output(&mut armoured).unwrap();
    writer.write_all(text.as_bytes()).unwrap();
    writer.finish().unwrap();
    String::from_utf8(armoured.finish().unwrap()).unwrap()
}

#[tokio::test]
async fn what_is_sealed_has_to_be_a_manifest_and_that_one() {
    let ada = AgeIdentity::generate();
    let (_store, backup) = sealed(&ada).await;
    let known = backup::verify(&backup.path, with(&ada)).unwrap().manifest;
    let inner = {
        let mut inner = serde_json::to_value(&known).unwrap();
        inner["sealed"] = json!(null);
        inner["checksum"] = json!("");
        inner
    };
    // So that the others are refused for what is wrong with them.
    forge(&backup, |manifest| {
        manifest.sealed = Some(seal_for(&ada.recipient(), &inner.to_string()));
    });
    backup::verify(&backup.path, with(&ada)).unwrap();
    type Lie = fn(&mut Value);
    let lies: [Lie; 8] = [
        |inner| *inner = json!(null),
        |inner| *inner = inner["contents"].clone(),
        |inner| inner["format"] = json!(1),
        |inner| inner["name"] = json!("20991125T000000.000000Z-manual"),
        |inner| inner["mac"] = json!("00"),
        |inner| inner["sealed"] = json!("more"),
        |inner| inner["checksum"] = json!("00"),
        |inner| inner["colour"] = json!("blue"),
    ];
    for lie in lies {
        let mut forged = inner.clone();
        lie(&mut forged);
        forge(&backup, |manifest| {
            manifest.sealed = Some(seal_for(&ada.recipient(), &forged.to_string()));
        });
        let error = refused(&backup.path, || with(&ada));
        assert_eq!(error.kind(), ErrorKind::NotAuthentic, "{error}: {forged}");
    }
    let mut empty = inner.clone();
    empty["contents"] = json!(null);
    forge(&backup, |manifest| {
        manifest.sealed = Some(seal_for(&ada.recipient(), &empty.to_string()));
    });
    let error = refused(&backup.path, || with(&ada));
    assert_eq!(error.kind(), ErrorKind::BadBackup, "{error}");
}

#[tokio::test]
async fn a_drill_of_a_store_that_encrypts_refuses_what_is_planted() {
    let ada = AgeIdentity::generate();
    let settings = Backups::default()
        .recipient(ada.recipient())
        .identity(ada.clone());
    let store = filled(3, |config| config.backups(settings)).await;
    let backup = store.back_up(TakeBackup::default()).await.unwrap();
    store.drill().await.unwrap();
    let later = "20991125T000000.000000Z-manual";
    let replayed = copied(&backup.path, later);
    relabel(&replayed, &backup.manifest.name, later);
    assert_eq!(kind(store.drill().await), ErrorKind::NotAuthentic);
    store.close().await.unwrap();
}
