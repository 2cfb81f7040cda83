//! Compressed files of backups, clear and encrypted. The first byte says what the others are, and
//! whether the manifest is made to match.
//!
//! Never a panic; never a restored file other than the manifest describes, and with a manifest that
//! was not forged, none other than the original; no more memory and disk than a database of that
//! size takes, whatever the artefact would unpack to; and what is at the destination stays there, or
//! is moved aside whole.

use crate::edits::edited;
use crate::forging::{checksum, written};
use crate::samples::{BackedUp, Secrets, backed_up, config};
use botstore::ErrorKind;
use botstore::backup::{self, AgeIdentity, IfExists};
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

struct Sample {
    made: BackedUp,
    manifest: Vec<u8>,
    artefact: Vec<u8>,
}

impl Sample {
    fn new(identity: Option<AgeIdentity>) -> Self {
        let secrets = Secrets {
            identity,
            ..Secrets::default()
        };
        let made = backed_up(secrets).expect("a backup");
        let manifest = fs::read(made.manifest()).expect("its manifest");
        let artefact = fs::read(made.backup.artefact()).expect("its artefact");
        Self {
            made,
            manifest,
            artefact,
        }
    }
}

static CLEAR: LazyLock<Sample> = LazyLock::new(|| Sample::new(None));
static SEALED: LazyLock<Sample> = LazyLock::new(|| Sample::new(Some(AgeIdentity::generate())));

/// What stands where the backup is to go. No database: a restore must not mind.
const OLD: &[u8] = b"what was there before";

/// Larger than any sample, by far.
const BOMB: usize = 64 << 20;

pub fn run(data: &[u8]) {
    let Some((&what, rest)) = data.split_first() else {
        return;
    };
    let sealed = what & 0x80 != 0;
    let sample = if sealed { &*SEALED } else { &*CLEAR };
    let (artefact, database) = match what % 6 {
        0 | 1 => (rest.to_vec(), None),
        2 | 3 => (edited(&sample.artefact, rest), None),
        // What is compressed is wrong, and all that is told of it is right.
        4 => {
            let database = edited(&sample.made.database, rest);
            (compressed(&database), Some(database))
        }
        _ => (bomb(rest), None),
    };
    // Who can put together what is sealed has the recipient's key, and forges as with a clear one.
    let forged = !sealed && matches!(what % 6, 1 | 3 | 4 | 5);
    let text = match forged {
        false => sample.manifest.clone(),
        true => forge(sample, &artefact, database.as_deref()).into_bytes(),
    };
    fs::write(sample.made.manifest(), text).expect("a manifest");
    fs::write(sample.made.backup.artefact(), &artefact).expect("an artefact");
    let verified = backup::verify(&sample.made.backup.path, sample.made.reading());
    if let Err(error) = &verified {
        assert_eq!(error.kind(), ErrorKind::BadBackup, "{error}");
    }
    restores(sample, verified.is_ok(), database.as_deref());
}

fn compressed(database: &[u8]) -> Vec<u8> {
    zstd::encode_all(database, 1).expect("a frame")
}

/// Zeros that unpack to thousands of times their size, and the fuzzer's bytes behind them.
fn bomb(tail: &[u8]) -> Vec<u8> {
    static FRAME: LazyLock<Vec<u8>> = LazyLock::new(|| compressed(&vec![0; BOMB]));
    [&FRAME[..], tail].concat()
}

fn forge(sample: &Sample, artefact: &[u8], database: Option<&[u8]>) -> String {
    let mut manifest = sample.made.backup.manifest.clone();
    manifest.artefact = checksum(artefact);
    if let (Some(contents), Some(database)) = (&mut manifest.contents, database) {
        contents.database = checksum(database);
    }
    written(&manifest)
}

fn restores(sample: &Sample, is_good: bool, database: Option<&[u8]>) {
    let folder = tempfile::tempdir_in(sample.made.folder.path()).expect("a folder");
    let path = folder.path().join("bot.db");
    fs::write(&path, OLD).expect("an old file");
    let reading = sample.made.reading();
    let from = &sample.made.backup.path;
    match backup::restore(config(&path), from, IfExists::MoveAside, reading) {
        Ok(restored) => {
            assert!(is_good, "what verify refused was restored");
            let expected = database.unwrap_or(&sample.made.database);
            assert!(
                fs::read(&path).expect("a file") == expected,
                "another file was restored"
            );
            let aside = restored.replaced.expect("the old file");
            assert_eq!(fs::read(aside.join("bot.db")).expect("the old file"), OLD);
        }
        Err(error) => {
            assert_ne!(error.kind(), ErrorKind::Panicked, "{error}");
            // This program may know better than SQLite what it can open.
            assert!(
                !is_good || database.is_some(),
                "what verify accepted: {error}"
            );
            assert_eq!(fs::read(&path).expect("the old file"), OLD);
            nothing_left(folder.path());
        }
    }
}

fn nothing_left(folder: &Path) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let name = entry.expect("an entry").file_name();
        assert!(
            name == "bot.db" || name == "bot.db.lock",
            "{} was left",
            name.display()
        );
    }
}
