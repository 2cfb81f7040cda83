//! Manifests of backups: one in the clear, one that a key has signed, and an encrypted one. The first
//! byte says which, and what the others are: the text itself, edits of a valid one, or lines for it, of
//! which the last two may get a checksum that is right.
//!
//! Whatever the manifest says, listing the folder succeeds and tells of the backup once, as good or
//! as unusable. Of the signed one, `verify` accepts only the very bytes that were written. Of the
//! others also a manifest with a right checksum that says the same of the artefact and of what is in
//! it, and of the encrypted one the same of everything. A refusal is a `BadBackup`, is
//! `NotAuthentic`, or says that there is no room for what the manifest tells of.

use crate::edits::edited;
use crate::forging::summed;
use crate::samples::{BackedUp, Secrets, backed_up};
use botstore::ErrorKind;
use botstore::backup::{self, AgeIdentity, BackupKey, Manifest};
use std::fs;
use std::sync::LazyLock;

type Sample = (BackedUp, Vec<u8>);

fn sample(secrets: Secrets) -> Sample {
    let sample = backed_up(secrets).expect("a backup");
    let text = fs::read(sample.manifest()).expect("its manifest");
    (sample, text)
}

static CLEAR: LazyLock<Sample> = LazyLock::new(|| sample(Secrets::default()));
static SIGNED: LazyLock<Sample> = LazyLock::new(|| {
    let key = Some(BackupKey::generate().expect("a key"));
    sample(Secrets {
        key,
        ..Secrets::default()
    })
});
static SEALED: LazyLock<Sample> = LazyLock::new(|| {
    let identity = Some(AgeIdentity::generate());
    sample(Secrets {
        identity,
        ..Secrets::default()
    })
});

pub fn run(data: &[u8]) {
    let Some((&what, rest)) = data.split_first() else {
        return;
    };
    let (sample, valid) = match what >> 6 {
        0 | 1 => &*CLEAR,
        2 => &*SIGNED,
        _ => &*SEALED,
    };
    let what = (what & 0x3f) % 5;
    let text = match what {
        0 => rest.to_vec(),
        1 => edited(valid, rest),
        2 => with_sum(edited(valid, rest)),
        3 => with_lines(valid, rest),
        _ => with_sum(with_lines(valid, rest)),
    };
    fs::write(sample.manifest(), &text).expect("a manifest");
    let folder = sample.backup.path.parent().expect("a folder");
    let listing = backup::list(folder).expect("a listing");
    assert_eq!(listing.backups.len() + listing.unusable.len(), 1);
    match backup::verify(&sample.backup.path, sample.reading()) {
        Ok(read) => {
            let (says, was) = (&read.manifest, &sample.backup.manifest);
            assert_eq!(says.artefact, was.artefact);
            assert_eq!(says.contents, was.contents);
            assert_eq!((&says.store_id, &says.name), (&was.store_id, &was.name));
            if sample.secrets.identity.is_some() {
                assert_eq!(bound(says), bound(was));
            }
            let may_differ = matches!(what, 0 | 2 | 4) && sample.secrets.key.is_none();
            assert!(text == *valid || may_differ, "it was not as it was written");
        }
        Err(error) => {
            assert!(text != *valid, "{error}");
            let kinds = [
                ErrorKind::BadBackup,
                ErrorKind::NotAuthentic,
                ErrorKind::DiskFull,
                ErrorKind::WrongKey,
            ];
            assert!(kinds.contains(&error.kind()), "{error}");
        }
    }
}

/// What is sealed as well as said. The armour around that may be written in several ways.
fn bound(manifest: &Manifest) -> serde_json::Value {
    let mut fields = serde_json::to_value(manifest).expect("JSON");
    let all = fields.as_object_mut().expect("fields");
    for loose in ["sealed", "mac", "checksum"] {
        all.remove(loose);
    }
    fields
}

fn with_sum(text: Vec<u8>) -> Vec<u8> {
    match String::from_utf8(text) {
        Ok(text) => summed(&text).into_bytes(),
        Err(other) => other.into_bytes(),
    }
}

/// A manifest has a value a line: each line of the fuzzer's begins with the number of the one whose
/// value it replaces.
fn with_lines(valid: &[u8], script: &[u8]) -> Vec<u8> {
    let mut lines: Vec<Vec<u8>> = valid.split(|&b| b == b'\n').map(<[u8]>::to_vec).collect();
    for new in script.split(|&b| b == b'\n') {
        let Some((&number, value)) = new.split_first() else {
            continue;
        };
        let at = usize::from(number) % lines.len();
        let line = &mut lines[at];
        let comma = line.ends_with(b",");
        let colon = line.windows(2).position(|two| two == b": ");
        line.truncate(colon.map_or(0, |at| at + 2));
        line.extend_from_slice(value);
        line.extend(comma.then_some(b','));
    }
    lines.join(&b'\n')
}
