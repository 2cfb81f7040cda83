//! A program that changes its working directory, as daemons do, after it has opened its store.

use crate::child::{self, again, succeed};
use crate::support::*;
use botstore::backup::{self, Backups, TakeBackup};
use botstore::{Config, Store};
use std::path::Path;
use std::time::Duration;

/// The child: a working directory is the whole process's.
async fn wanders(home: &Path, elsewhere: &Path) {
    std::env::set_current_dir(home).unwrap();
    let hour = Duration::from_secs(3_600);
    let backups = Backups::default().folder("backups").drill_every(hour);
    let store = Store::open(Config::new("data/bot.db").backups(backups.every(hour)))
        .await
        .unwrap();
    std::env::set_current_dir(elsewhere).unwrap();
    sign_up(&store).await;
    store.run_due().await.unwrap();
    let made = store.back_up(TakeBackup::default()).await.unwrap();
    // In `/proc` nothing can be made at all.
    std::env::set_current_dir("/proc").unwrap();
    let last = store.back_up(TakeBackup::default()).await.unwrap();
    assert_eq!(last.path.parent(), made.path.parent());
    let drill = store.drill().await.unwrap();
    assert_eq!(drill.backup, last.manifest.name);
    store.close().await.unwrap();

    std::env::set_current_dir(home).unwrap();
    // Whoever opens it next counts from the scheduled one, and makes none.
    let listing = backup::list("backups").unwrap();
    assert_eq!(listing.backups.len(), 3);
    assert_eq!(listing.backups[2].path.file_name(), last.path.file_name());
    let status = botstore::status("data/bot.db").unwrap();
    assert_eq!(status.file_problems, []);
    assert_eq!(std::fs::read_dir(elsewhere).unwrap().count(), 0);
}

#[tokio::test]
async fn the_folder_of_backups_stays_where_it_was_when_the_store_was_opened() {
    if let Some([home, elsewhere]) = child::given() {
        return wanders(home.as_ref(), elsewhere.as_ref()).await;
    }
    let (home, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    succeed(again(
        &[],
        the_folder_of_backups_stays_where_it_was_when_the_store_was_opened,
        &[home.path(), elsewhere.path()],
    ));
}
