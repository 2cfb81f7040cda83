//! Backups that are not as they were made: none of them is believed.

use crate::child::rounds;
use crate::support::*;
use botstore::ErrorKind;
use botstore::backup::{self, AgeIdentity, Backup, Backups, IfExists, VerifyOptions};
use botstore::testing::TestStore;
use std::fs;
use std::ops::Range;

const PER_ROUND: u32 = 16;

fn reading(identity: Option<&AgeIdentity>) -> VerifyOptions {
    identity.map_or(VerifyOptions::default(), |secret| {
        VerifyOptions::default().identity(secret.clone())
    })
}

async fn backed_up(identity: Option<&AgeIdentity>) -> (TestStore, Backup) {
    let settings = identity.map_or(Backups::default(), |secret| {
        Backups::default().recipient(secret.recipient())
    });
    let store = filled(10, |config| config.backups(settings)).await;
    let backup = back_up(&store).await;
    (store, backup)
}

/// The parts of an artefact that mean different things to whoever reads it.
fn parts(artefact: &[u8], encrypted: bool) -> Vec<Range<usize>> {
    let end = artefact.len();
    if !encrypted {
        // Magic number, header, blocks, checksum.
        return vec![0..4, 4..12, 12..end - 4, end - 4..end];
    }
    let find = |what: &[u8]| {
        artefact
            .windows(what.len())
            .position(|w| w == what)
            .unwrap()
    };
    let mac = find(b"\n--- ") + 1;
    let nonce = mac + artefact[mac..].iter().position(|&b| b == b'\n').unwrap() + 1;
    // Version, recipients, their seal, nonce, data, the tag of the last chunk.
    vec![
        0..22,
        22..mac,
        mac..nonce,
        nonce..nonce + 16,
        nonce + 16..end - 16,
        end - 16..end,
    ]
}

/// Changes the bytes, somewhere in this part of them or from there on.
fn corrupt(bytes: &[u8], part: &Range<usize>, random: &mut fastrand::Rng) -> Vec<u8> {
    let mut changed = bytes.to_vec();
    while changed == bytes {
        let at = random.usize(part.clone());
        let length = random.usize(1..=64).min(bytes.len() - at);
        match random.u8(0..10) {
            0 => changed.truncate(at),
            1 => changed.extend((0..length).map(|_| random.u8(..))),
            2 => changed[at..at + length].fill(0),
            3 => drop(changed.drain(at..at + length)),
            4 => {
                let twice = bytes[at..at + length].to_vec();
                changed.splice(at..at, twice);
            }
            5 => {
                let other = random.usize(0..=bytes.len() - length);
                for offset in 0..length {
                    changed.swap(at + offset, other + offset);
                }
            }
            _ => changed[at] ^= 1 << random.u8(0..8),
        }
    }
    changed
}

async fn no_corruption_is_believed(identity: Option<AgeIdentity>, seed: u64) {
    let identity = identity.as_ref();
    let (store, backup) = backed_up(identity).await;
    let (folder, path) = store.into_file().await.unwrap();
    let manifest = backup.path.join("manifest.json");
    let (artefact, encrypted) = (backup.artefact(), identity.is_some());
    let whole = [&manifest, &artefact].map(|file| fs::read(file).unwrap());
    let in_artefact = parts(&whole[1], encrypted);
    let mut random = fastrand::Rng::with_seed(seed);
    for round in 0..rounds() * PER_ROUND {
        // One in five hits the manifest.
        let (file, bytes, part) = match random.u8(0..5) {
            0 => (&manifest, &whole[0], 0..whole[0].len()),
            _ => (
                &artefact,
                &whole[1],
                random.choice(&in_artefact).unwrap().clone(),
            ),
        };
        fs::write(file, corrupt(bytes, &part, &mut random)).unwrap();
        let refused = backup::verify(&backup.path, reading(identity));
        let context = || format!("seed {seed}, round {round}, {} {part:?}", file.display());
        let error = refused.err().unwrap_or_else(|| panic!("{}", context()));
        assert_eq!(error.kind(), ErrorKind::BadBackup, "{}: {error}", context());
        if round % 25 == 0 {
            let before = snapshot(folder.path());
            let reading = reading(identity);
            let refused = backup::restore(&path, &backup.path, IfExists::MoveAside, reading);
            assert_eq!(kind(refused), ErrorKind::BadBackup, "{}", context());
            assert!(snapshot(folder.path()) == before, "{}", context());
        }
        fs::write(file, bytes).unwrap();
    }
    backup::verify(&backup.path, reading(identity)).unwrap();
}

#[tokio::test]
async fn no_corruption_of_a_backup_is_believed() {
    no_corruption_is_believed(None, 1).await;
}

#[tokio::test]
async fn no_corruption_of_an_encrypted_backup_is_believed() {
    no_corruption_is_believed(Some(AgeIdentity::generate()), 2).await;
}
