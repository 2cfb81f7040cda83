//! Manifests of backups. The first byte says what the others are: the text itself, edits of a valid
//! one, or lines for it, of which the last two may get a checksum that is right.
//!
//! Whatever the manifest says, listing the folder succeeds and tells of the backup once, as good or
//! as unusable; `verify` accepts only the very bytes that were written, or a manifest with a right
//! checksum that says the same of the artefact and of what is in it. A refusal is a `BadBackup`, or
//! says that there is no room for what the manifest tells of.

use crate::edits::edited;
use crate::forging::summed;
use crate::samples::{BackedUp, backed_up};
use botstore::ErrorKind;
use botstore::backup;
use std::fs;
use std::sync::LazyLock;

static SAMPLE: LazyLock<(BackedUp, Vec<u8>)> = LazyLock::new(|| {
    let sample = backed_up(None).expect("a backup");
    let text = fs::read(sample.manifest()).expect("its manifest");
    (sample, text)
});

pub fn run(data: &[u8]) {
    let Some((&what, rest)) = data.split_first() else {
        return;
    };
    let (sample, valid) = &*SAMPLE;
    let text = match what % 5 {
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
            assert!(
                text == *valid || matches!(what % 5, 0 | 2 | 4),
                "it was not as it was written"
            );
        }
        Err(error) => {
            assert!(text != *valid, "{error}");
            let kinds = [
                ErrorKind::BadBackup,
                ErrorKind::DiskFull,
                ErrorKind::WrongKey,
            ];
            assert!(kinds.contains(&error.kind()), "{error}");
        }
    }
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
