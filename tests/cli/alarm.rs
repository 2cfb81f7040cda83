//! The alarm that `docs/operations.md` tells to put into cron rings for every kind of damage, and for
//! nothing else.

use crate::support::{Place, text};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

/// The lines of the document, for this file.
fn alarm(file: &Path, log: &Path) -> String {
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operations.md");
    let document = fs::read_to_string(document).unwrap();
    let after = document
        .split_once("An alarm from cron")
        .expect("the alarm")
        .1;
    let block = after.split_once("```sh\n").expect("a block").1;
    let block = block.split_once("```").expect("its end").0;
    assert!(block.contains("/srv/bot/bot.db") && block.contains("/var/log/bot-check.json"));
    let block = block.replace("/srv/bot/bot.db", text(file));
    block.replace("/var/log/bot-check.json", text(log))
}

/// What is in the mail, if one was sent.
fn rings(place: &Place, file: &Path) -> Option<String> {
    let (bin, mail) = (place.path("bin"), place.path("mail"));
    fs::create_dir_all(&bin).unwrap();
    let program = bin.join("mail");
    fs::write(&program, "#!/bin/sh\n/bin/cat > \"$SENT\"\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let built = Path::new(env!("CARGO_BIN_EXE_botstore")).parent().unwrap();
    let _ = fs::remove_file(&mail);
    let ran = Command::new("/bin/sh")
        .args(["-c", &alarm(file, &place.path("check.json"))])
        .env("PATH", format!("{}:{}", text(built), text(&bin)))
        .env("SENT", &mail)
        .output()
        .unwrap();
    assert!(ran.status.success(), "{ran:?}");
    let sent = fs::read_to_string(&mail).ok()?;
    let json: serde_json::Value = serde_json::from_str(&sent).expect("one document");
    let next = [&json["what_to_do"], &json["error"]["what_to_do"]];
    assert!(
        next.iter()
            .any(|next| next.as_str().is_some_and(|next| !next.is_empty())),
        "{sent}"
    );
    Some(sent)
}

#[test]
fn it_is_silent_about_a_sound_file() {
    let place = Place::filled(20);
    assert_eq!(rings(&place, &place.file), None);
    place.alter("UPDATE users SET message_count = 3");
    assert_eq!(rings(&place, &place.file), None, "a counter is no damage");
}

/// With what a store has left beside the file, and without: a copy of it alone.
fn rings_for(name: &str, harm: impl Fn(&Path, &[u8])) {
    for beside in [true, false] {
        let place = Place::filled(20);
        let file = match beside {
            true => place.file.clone(),
            false => {
                let alone = place.path("alone.db");
                fs::copy(&place.file, &alone).unwrap();
                alone
            }
        };
        let bytes = fs::read(&file).unwrap();
        harm(&file, &bytes);
        assert!(rings(&place, &file).is_some(), "{name}, {beside}");
    }
}

#[test]
fn it_rings_when_the_file_is_gone_or_something_else() {
    rings_for("gone", |file, _| fs::remove_file(file).unwrap());
    rings_for("empty", |file, _| fs::write(file, "").unwrap());
    rings_for("zeros", |file, bytes| {
        fs::write(file, vec![0; bytes.len()]).unwrap()
    });
    rings_for("a letter", |file, _| {
        fs::write(file, "a letter ".repeat(1000)).unwrap()
    });
    rings_for("a folder", |file, _| {
        fs::remove_file(file).unwrap();
        fs::create_dir(file).unwrap();
    });
}

#[test]
fn it_rings_when_the_file_is_cut() {
    const PAGE: usize = 4096;
    rings_for("cut", |file, bytes| {
        let pages = bytes.len() / PAGE;
        assert!(pages > 20);
        fs::write(file, &bytes[..pages / 2 * PAGE]).unwrap();
    });
    for left in [1, 99, 100, 512, PAGE - 1, PAGE, PAGE + 1] {
        rings_for(&format!("cut to {left}"), |file, bytes| {
            fs::write(file, &bytes[..left]).unwrap()
        });
    }
    for cut in [1, PAGE - 1, PAGE] {
        rings_for(&format!("cut by {cut}"), |file, bytes| {
            fs::write(file, &bytes[..bytes.len() - cut]).unwrap();
        });
    }
}

/// Of every page the first bytes, by which SQLite finds its way, and of the first page the whole. A page of each kind
/// is damaged in each way, and every other page in one of them: to whom it belongs decides who meets the damage.
#[test]
fn it_rings_when_a_page_is_damaged() {
    const PAGE: usize = 4096;
    let place = Place::filled(20);
    let good = fs::read(&place.file).unwrap();
    let file = place.path("damaged.db");
    let mut kinds = BTreeSet::new();
    for page in 0..good.len() / PAGE {
        let start = page * PAGE;
        // Before its tree's first page has its header.
        let header = start + if page == 0 { 100 } else { 0 };
        let flipped = |bit: u8| {
            let mut bytes = good.clone();
            bytes[header] ^= 1 << bit;
            bytes
        };
        let zeroed = || {
            let mut bytes = good.clone();
            bytes[start..start + PAGE].fill(0);
            bytes
        };
        let harms: [(&str, &dyn Fn() -> Vec<u8>); 3] = [
            ("a bit", &|| flipped(0)),
            ("a bit", &|| flipped(6)),
            ("zeros", &zeroed),
        ];
        let is_without_cells = good[header + 3..header + 5] == [0, 0];
        let is_new_kind = kinds.insert((page == 0, good[header], is_without_cells));
        for (harm, bytes) in match is_new_kind {
            true => &harms[..],
            false => &harms[page % 3..][..1],
        } {
            fs::write(&file, bytes()).unwrap();
            assert!(rings(&place, &file).is_some(), "{harm} in page {page}");
        }
    }
}
