//! Encrypted backups on somebody else's disk, who has written something else into them.

use crate::support::populated_with;
use crate::wait::HANG;
use botstore::ErrorKind;
use botstore::backup::{self, AgeIdentity, Backups, TakeBackup, VerifyOptions};
use botstore::messages::SaveMessage;
use std::fs;
use std::sync::mpsc;

#[tokio::test]
async fn a_sealed_backup_whose_header_never_ends_is_refused() {
    let secret = AgeIdentity::generate();
    let settings = Backups::default().recipient(secret.recipient());
    let store = populated_with(|config| config.backups(settings)).await;
    // So that the backup has some 300 KiB, however well it is compressed.
    let mut random = fastrand::Rng::with_seed(1);
    let save = SaveMessage::new(
        1,
        "s",
        (0..400_000)
            .map(|_| random.alphanumeric())
            .collect::<String>(),
    );
    store.write(save).await.expect("an id");
    let made = store
        .back_up(TakeBackup::default())
        .await
        .expect("a backup");
    let artefact = made.artefact();
    let mut bytes = fs::read(&artefact).expect("the artefact");
    let first_line = bytes.iter().position(|&b| b == b'\n').expect("a line") + 1;
    bytes[first_line..].fill(b'y');
    bytes[first_line..first_line + 3].copy_from_slice(b"-> ");
    fs::write(&artefact, bytes).expect("another artefact");
    let (told, answer) = mpsc::channel();
    std::thread::spawn(move || {
        let refused = backup::verify(&made.path, VerifyOptions::default().identity(secret));
        let _ = told.send(refused.map(drop));
    });
    match answer.recv_timeout(HANG) {
        Ok(refused) => {
            let error = refused.expect_err("a refusal");
            assert_eq!(error.kind(), ErrorKind::BadBackup, "{error}");
        }
        Err(_) => panic!("no answer within {HANG:?}"),
    }
}
