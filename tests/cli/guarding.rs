//! Who can write into the folder of backups cannot make one that passes for the bot's; and what is
//! encrypted stays so.

use crate::support::{Place, Ran, newest, on, text};
use botstore::backup::AgeIdentity;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};

const MARKER: &str = "PLAINTEXTPROMPT";

/// A file with a text to look for, its encrypted backup, and the keys.
struct Scene {
    place: Place,
    recipient: String,
    identity: PathBuf,
    key: PathBuf,
    folder: PathBuf,
    sealed: PathBuf,
}

impl Scene {
    fn set() -> Self {
        let place = Place::filled(3);
        place.alter(&format!("UPDATE messages SET prompt = '{MARKER}'"));
        let age = AgeIdentity::generate();
        let identity = place.path("identity.txt");
        fs::write(&identity, age.to_secret()).unwrap();
        let key = place.path("backup.key");
        let digits = Sha256::digest(age.to_secret());
        let digits: String = digits.iter().map(|byte| format!("{byte:02x}")).collect();
        fs::write(&key, digits + "\n").unwrap();
        only_mine(&key);
        let folder = place.path("kept");
        let recipient = age.recipient().to_string();
        let sealed = place.back_up(&["--to", text(&folder), "--recipient", &recipient]);
        Self {
            place,
            recipient,
            identity,
            key,
            folder,
            sealed,
        }
    }

    fn verify(&self, backup: &Path, more: &[&str]) -> Ran {
        on("verify", backup, more)
    }

    fn identity(&self) -> [&str; 2] {
        ["--identity", text(&self.identity)]
    }

    fn key(&self) -> [&str; 2] {
        ["--key", text(&self.key)]
    }

    fn recipient(&self) -> [&str; 2] {
        ["--recipient", &self.recipient]
    }

    /// Whether the text can be read from a finished backup without any key.
    fn tells(&self, backup: &Path) -> bool {
        let artefact = backup.join("database.zst");
        artefact.exists() && {
            let bytes = zstd::decode_all(&fs::read(artefact).unwrap()[..]).unwrap();
            bytes.windows(MARKER.len()).any(|w| w == MARKER.as_bytes())
        }
    }

    fn backups(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.folder).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        let mut paths: Vec<_> = paths.filter(|path| path.is_dir()).collect();
        paths.sort();
        paths
    }
}

#[cfg(unix)]
fn only_mine(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

#[cfg(not(unix))]
fn only_mine(_: &Path) {}

/// Copies a backup under another name, with a manifest that says so and a checksum that is right.
fn relabelled(backup: &Path, name: &str, changes: &[(&str, &str)]) -> PathBuf {
    let to = backup.with_file_name(name);
    fs::create_dir(&to).unwrap();
    for entry in fs::read_dir(backup).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
    let path = to.join("manifest.json");
    let mut text = fs::read_to_string(&path).unwrap();
    let known: Value = serde_json::from_str(&text).unwrap();
    for (field, value) in [("name", name)].iter().chain(changes) {
        let old = format!("{field:?}: {}", known[field]);
        assert!(text.contains(&old), "{old}");
        text = text.replacen(&old, &format!("{field:?}: {value:?}"), 1);
    }
    let sum = known["checksum"].as_str().unwrap();
    let empty = text.replace(sum, "");
    let digits = Sha256::digest(&empty);
    let digits: String = digits.iter().map(|byte| format!("{byte:02x}")).collect();
    fs::write(&path, text.replace(sum, &digits)).unwrap();
    to
}

const LATER: &str = "20991125T000000.000000Z-scheduled";

#[test]
fn an_encrypted_backup_under_another_name_and_time_is_not_read_back() {
    let scene = Scene::set();
    let forged = relabelled(
        &scene.sealed,
        LATER,
        &[
            ("reason", "scheduled"),
            ("taken_at", "2099-11-25T00:00:00.123456Z"),
        ],
    );
    let told = scene.verify(&forged, &scene.identity()).came_to(3);
    assert!(told.err.contains("relabelled"), "{}", told.err);
    let to = scene.place.path("again.db");
    let more = [&scene.identity()[..], &["--to", text(&to), "--json"]].concat();
    let told = on("restore", &forged, &more).came_to(3).json();
    assert_eq!(told["error"]["kind"], "not authentic");
    assert!(!to.exists());
    scene.verify(&scene.sealed, &scene.identity()).came_to(0);
}

#[test]
fn a_clear_backup_is_not_read_where_an_identity_is_given_unless_that_was_said() {
    let scene = Scene::set();
    let clear = scene.place.back_up(&[]);
    let told = scene.verify(&clear, &scene.identity()).came_to(3);
    assert!(told.err.contains("not encrypted"), "{}", told.err);
    let to = scene.place.path("again.db");
    let restore = [&scene.identity()[..], &["--to", text(&to)]].concat();
    on("restore", &clear, &restore).came_to(3);
    assert!(!to.exists());
    scene.verify(&clear, &[]).came_to(0);
    let more = [&scene.identity()[..], &["--accept", "format-1"]].concat();
    scene.verify(&clear, &more).came_to(3);
    let more = [&restore[..], &["--accept", "clear"]].concat();
    on("restore", &clear, &more).came_to(0);
    on("check", &to, &[]).came_to(0);
}

#[test]
fn with_a_key_what_it_has_not_signed_is_refused_and_told_of_in_the_list() {
    let scene = Scene::set();
    let to = ["--to", text(&scene.folder)];
    let more = [&to[..], &scene.key(), &scene.recipient()].concat();
    let signed = scene.place.back_up(&more);
    let both = [&scene.key()[..], &scene.identity()].concat();
    let read = scene.verify(&signed, &both).came_to(0);
    assert!(read.out.contains("encrypted and signed"), "{}", read.out);
    // Unsigned; and signed, but moved to another time.
    scene.verify(&scene.sealed, &both).came_to(3);
    let forged = relabelled(&signed, LATER, &[("reason", "scheduled")]);
    let told = scene.verify(&forged, &scene.key()).came_to(3);
    assert!(
        told.err.contains("not signed with the given key"),
        "{}",
        told.err
    );
    let more = [&scene.key()[..], &["--json"]].concat();
    let listed = on("backups", &scene.folder, &more).came_to(3).json();
    assert_eq!(listed["backups"].as_array().unwrap().len(), 1);
    assert_eq!(listed["backups"][0]["path"], text(&signed));
    assert_eq!(listed["unusable"].as_array().unwrap().len(), 2);
    let again = scene.place.path("again.db");
    let more = [&both[..], &["--to", text(&again)]].concat();
    on("restore", &forged, &more).came_to(3);
    on("restore", &signed, &more).came_to(0);
    let backups = ["--backups", text(&scene.folder), "--json"];
    let more = [&backups[..], &scene.key()].concat();
    let status = on("status", &scene.place.file, &more).came_to(0).json();
    assert_eq!(status["last_backup"]["path"], text(&signed));
    // A clear one is signed, too.
    let clear = scene.place.back_up(&scene.key());
    scene.verify(&clear, &scene.key()).came_to(0);
}

#[cfg(unix)]
#[test]
fn a_key_that_others_can_read_or_that_is_none_is_wrong_usage_and_not_shown() {
    use std::os::unix::fs::PermissionsExt as _;
    let scene = Scene::set();
    let secret = fs::read_to_string(&scene.key).unwrap();
    fs::set_permissions(&scene.key, fs::Permissions::from_mode(0o644)).unwrap();
    let told = scene.verify(&scene.sealed, &scene.key()).came_to(2);
    assert!(told.err.contains("chmod 600"), "{}", told.err);
    only_mine(&scene.key);
    fs::write(&scene.key, &secret[..40]).unwrap();
    let told = scene.verify(&scene.sealed, &scene.key()).came_to(2);
    assert!(told.err.contains("openssl rand -hex 32"), "{}", told.err);
    assert!(!told.err.contains(&secret[..16]), "{}", told.err);
    let help = on("verify", Path::new("--help"), &[]).came_to(0);
    assert!(help.out.contains("openssl rand -hex 32"), "{}", help.out);
}

#[test]
fn no_command_puts_a_clear_backup_among_encrypted_ones() {
    let scene = Scene::set();
    let file = &scene.place.file;
    let backups = ["--backups", text(&scene.folder)];
    let down = [&backups[..], &["--to", "6"]].concat();
    let to = ["--to", text(&scene.folder)];
    for (command, more) in [("rollback", &down[..]), ("backup", &to)] {
        let told = on(command, file, more).came_to(1);
        assert!(told.err.contains("--recipient"), "{}", told.err);
    }
    assert_eq!(scene.backups(), std::slice::from_ref(&scene.sealed));
    let sealed_down = [&down[..], &scene.recipient()].concat();
    on("rollback", file, &sealed_down).came_to(0);
    let told = on("migrate", file, &backups).came_to(1);
    assert!(told.err.contains("--recipient"), "{}", told.err);
    let sealed_up = [&backups[..], &scene.recipient()].concat();
    on("migrate", file, &sealed_up).came_to(0);
    // To before the file had an id, and up again.
    let down = [&backups[..], &["--to", "3"]].concat();
    on("rollback", file, &down).came_to(1);
    on("rollback", file, &[&down[..], &scene.recipient()].concat()).came_to(0);
    on("migrate", file, &backups).came_to(1);
    on("migrate", file, &sealed_up).came_to(0);
    assert_eq!(scene.backups().len(), 5);
    for backup in scene.backups() {
        assert!(backup.join("database.zst.age").exists());
        assert!(!scene.tells(&backup));
        scene.verify(&backup, &scene.identity()).came_to(0);
    }
    let status = on("status", file, &["--json"]).came_to(0).json();
    assert_eq!(status["schemas"][0]["step"], newest());
    // Somebody may want that.
    let clear = [&down[..], &["--clear"]].concat();
    on("rollback", file, &clear).came_to(0);
    assert!(scene.tells(scene.backups().last().unwrap()));
    let both = [&sealed_up[..], &["--clear"]].concat();
    on("migrate", file, &both).came_to(2);
}

#[test]
fn a_restore_revokes_all_tokens_when_it_is_asked_to() {
    let place = Place::filled(1);
    let backup = place.back_up(&[]);
    let good = |file: &Path| {
        let more = ["--table", "user_tokens"];
        let rows = on("export", file, &more).came_to(0).out;
        rows.matches("\"is_active\":1").count()
    };
    let plain = place.path("plain.db");
    let told = on("restore", &backup, &["--to", text(&plain), "--json"]);
    assert_eq!(told.came_to(0).json()["revoked_tokens"], Value::Null);
    assert_eq!(good(&plain), 1);
    let safe = place.path("safe.db");
    let more = ["--to", text(&safe), "--revoke-tokens"];
    let told = on("restore", &backup, &more).came_to(0);
    assert!(told.out.contains("revoked       1 token"), "{}", told.out);
    assert_eq!(good(&safe), 0);
    on("check", &safe, &[]).came_to(0);
    let help = on("restore", Path::new("--help"), &[]).came_to(0).out;
    assert!(help.contains("tokens that were revoked"), "{help}");
}
