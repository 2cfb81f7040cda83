//! Encrypted backups are read with their key and with no other.

use crate::support::{Place, on, text};
use botstore::backup::AgeIdentity;
use std::fs;
use std::path::PathBuf;

/// A key, and a file with its secret as `age-keygen` writes it.
fn key(place: &Place, name: &str) -> (String, PathBuf) {
    let key = AgeIdentity::generate();
    let file = place.path(name);
    fs::write(&file, format!("# created: today\n{}\n", key.to_secret())).unwrap();
    (key.recipient().to_string(), file)
}

#[test]
fn an_encrypted_backup_is_verified_and_restored_with_any_of_its_keys() {
    let place = Place::filled(7);
    let (first, first_file) = key(&place, "first.txt");
    let (second, second_file) = key(&place, "second.txt");
    let backup = place.back_up(&["--recipient", &first, "--recipient", &second]);
    let listed = on("backups", &place.file, &[]).came_to(0).out;
    assert!(
        listed.contains("encrypted") && listed.contains("sealed"),
        "{listed}"
    );
    let more = ["--identity", text(&first_file), "--json"];
    let verified = on("verify", &backup, &more).came_to(0).json();
    assert_eq!(verified["manifest"]["contents"]["rows"]["messages"], 7);
    let to = place.path("again.db");
    let more = ["--identity", text(&second_file), "--to", text(&to)];
    on("restore", &backup, &more).came_to(0);
    on("check", &to, &[]).came_to(0);
}

#[test]
fn without_its_key_it_is_not_read_and_the_way_to_name_one_is_told() {
    let place = Place::filled(1);
    let (recipient, _) = key(&place, "right.txt");
    let (_, wrong) = key(&place, "wrong.txt");
    let backup = place.back_up(&["--recipient", &recipient]);
    let to = place.path("again.db");
    for more in [&[][..], &["--identity", text(&wrong)]] {
        let refused = on("verify", &backup, more).came_to(1);
        assert!(refused.err.contains("--identity FILE"), "{}", refused.err);
        let more: Vec<_> = more
            .iter()
            .copied()
            .chain(["--to", text(&to), "--json"])
            .collect();
        let refused = on("restore", &backup, &more).came_to(1).json();
        assert_eq!(refused["error"]["kind"], "wrong key");
        assert!(!to.exists());
    }
}

#[test]
fn what_is_no_key_is_wrong_usage() {
    let place = Place::filled(1);
    let refused = on("backup", &place.file, &["--recipient", "age1nobody"]).came_to(2);
    assert!(refused.err.contains("begins with age1"), "{}", refused.err);
    let backup = place.back_up(&[]);
    let no_key = place.path("no_key.txt");
    fs::write(&no_key, "hello").unwrap();
    let refused = on("verify", &backup, &["--identity", text(&no_key)]).came_to(2);
    assert!(refused.err.contains("AGE-SECRET-KEY-1"), "{}", refused.err);
    let missing = place.path("missing.txt");
    on("verify", &backup, &["--identity", text(&missing)]).came_to(1);
}
