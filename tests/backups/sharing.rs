//! Two programs, each with a file of its own, that back up to one folder.

use crate::child::{self, Victim, again};
use crate::support::*;
use crate::wait::HANG;
use botstore::backup::{self, Backups, Pace, TakeBackup};
use botstore::{Config, ErrorKind, Store};
use std::path::Path;
use std::time::{Duration, Instant};

const EACH: usize = 6;

/// Makes so many backups, however often it is told that it is not its turn; gives how often.
async fn insist(store: &Store) -> u32 {
    let started = Instant::now();
    let (mut made, mut refused) = (0, 0);
    while made < EACH {
        let request = TakeBackup::default().pace(Pace::Fast);
        match store.back_up(request).await {
            Ok(_) => made += 1,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
                assert!(error.is_transient());
                assert!(error.to_string().contains("another program"), "{error}");
                refused += 1;
            }
        }
        assert!(started.elapsed() < HANG, "starved");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    refused
}

fn shared(folder: &Path) -> Backups {
    Backups::default().folder(folder.join("backups"))
}

/// The child, the second of the two programs.
async fn shares(folder: &Path) {
    let config = Config::new(folder.join("its.db")).backups(shared(folder));
    let store = Store::open(config).await.unwrap();
    sign_up(&store).await;
    println!("begun");
    insist(&store).await;
    store.close().await.unwrap();
}

#[tokio::test]
async fn two_programs_that_share_a_folder_take_turns() {
    if let Some([folder]) = child::given() {
        return shares(folder.as_ref()).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let store = filled(20, |config| config.backups(shared(folder.path()))).await;
    let test = two_programs_that_share_a_folder_take_turns;
    let mut child = Victim::start(again(&[], test, &[folder.path()]));
    assert!(child.says("begun"));
    insist(&store).await;
    assert_eq!(child.ends(), Some(0));
    let listing = backup::list(folder.path().join("backups")).unwrap();
    assert!(listing.unusable.is_empty());
    assert_eq!(names(&folder.path().join("backups")).len(), 2 * EACH);
    let of =
        |backup: &&backup::Backup| backup.manifest.store_id == listing.backups[0].manifest.store_id;
    assert_eq!(listing.backups.iter().filter(of).count(), EACH);
    for backup in &listing.backups {
        verify(backup).unwrap();
    }
    store.close().await.unwrap();
}
