//! Damage in the WAL, and what only looks like it.

use crate::copy::{copy, copy_as_killed, keeps_its_log, with};
use crate::{Everything, INTERACTIONS, change, copied, interaction, sign_up};
use botstore::rusqlite::Connection;
use botstore::testing::TestStore;
use botstore::users::EnsureUser;
use botstore::{Config, Durability, ErrorKind, Store};
use std::fs::{self, OpenOptions};
use std::path::PathBuf;
use tempfile::TempDir;

/// What a store that is killed now would leave: a file without anything in it, and a WAL with all that
/// was written.
pub(crate) async fn killed() -> (TempDir, PathBuf) {
    let store = TestStore::open_with(keeps_its_log).await.unwrap();
    sign_up(&store).await;
    for number in 0..INTERACTIONS {
        store.write(interaction(number)).await.unwrap();
    }
    let (folder, path) = copied_as_killed(&store);
    let size = fs::metadata(&path).unwrap().len();
    assert!(size <= 2 * 4096, "it is all in the log");
    (folder, path)
}

fn copied_as_killed(store: &Store) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("x.db");
    copy_as_killed(store.path(), &to);
    copy(&with(store.path(), ".lock"), &with(&to, ".lock"));
    (folder, to)
}

const FRAME: u64 = 24 + 4096;

#[tokio::test]
async fn a_log_that_is_damaged_in_the_middle_is_refused_and_left_as_it_is() {
    let (_folder, path) = killed().await;
    let frames = (fs::metadata(with(&path, "-wal")).unwrap().len() - 32) / FRAME;
    let middle = 32 + frames / 2 * FRAME;
    // The header; a frame's page number, salt and checksum; the page itself.
    for at in [
        0,
        9,
        17,
        30,
        middle + 1,
        middle + 9,
        middle + 20,
        middle + 24,
        middle + 3_000,
    ] {
        let (_folder, path) = copied(&path);
        let log = with(&path, "-wal");
        change(&log, at, 1, |byte| byte ^ 0x08);
        let before = (fs::read(&path).unwrap(), fs::read(&log).unwrap());
        let error = Store::open(&path).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "byte {at}: {error}");
        assert!(error.to_string().contains("restore a backup"), "{error}");
        for looked in [
            botstore::schema::plan(&path).map(drop),
            botstore::snapshot(&path, |_| Ok(())),
            botstore::backup::take(&path, Default::default()).map(drop),
        ] {
            assert_eq!(looked.unwrap_err().kind(), ErrorKind::Corrupt, "byte {at}");
        }
        let after = (fs::read(&path).unwrap(), fs::read(&log).unwrap());
        assert!(before == after, "byte {at}");

        // Who can do without those commits says so, and has what came before them.
        let config = Config::new(&path).durability(Durability::Normal);
        let store = Store::open(config).await.unwrap();
        let left = store.read(Everything).await.unwrap() as i64;
        assert!(left < INTERACTIONS, "byte {at}: {left} left");
        store.write(EnsureUser::new(3, None)).await.unwrap();
        store.close().await.unwrap();
        assert_eq!(
            Store::open(&path)
                .await
                .unwrap()
                .read(Everything)
                .await
                .unwrap() as i64,
            left
        );
    }
}

/// A WAL that starts over writes over the one before from its beginning; what is left of that behind it
/// is in the file, and nobody's any more.
#[tokio::test]
async fn only_the_living_part_of_a_log_that_has_started_over_can_be_damaged() {
    const AFTERWARDS: i64 = 10;
    let store = TestStore::open_with(keeps_its_log).await.unwrap();
    sign_up(&store).await;
    for number in 0..INTERACTIONS {
        store.write(interaction(number)).await.unwrap();
    }
    let other = Connection::open(store.path()).unwrap();
    let all = other.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
        Ok((row.get(0)?, row.get::<_, i64>(1)? == row.get::<_, i64>(2)?))
    });
    assert_eq!(all.unwrap(), (0, true), "all of it is copied");
    for number in INTERACTIONS..INTERACTIONS + AFTERWARDS {
        store.write(interaction(number)).await.unwrap();
    }
    let (_folder, path) = copied_as_killed(&store);
    let bytes = fs::read(with(&path, "-wal")).unwrap();
    let frames = (bytes.len() as u64 - 32) / FRAME;
    let salts = |frame: u64| &bytes[(32 + frame * FRAME + 8) as usize..][..8];
    let living = (0..frames).take_while(|&frame| salts(frame) == &bytes[16..24]);
    let living = living.count() as u64;
    assert!((10..frames / 2).contains(&living), "{living} of {frames}");
    for (frame, is_damage) in [
        (living / 2, true),
        (living, false),
        ((living + frames) / 2, false),
        (frames - 1, false),
    ] {
        let (_folder, path) = copied(&path);
        let at = 32 + frame * FRAME;
        change(&with(&path, "-wal"), at + 1_000, 1, |byte| byte ^ 0x08);
        match Store::open(&path).await {
            Err(error) if is_damage => assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}"),
            opened => {
                assert!(!is_damage, "frame {frame}");
                let all = opened.unwrap().read(Everything).await.unwrap() as i64;
                assert_eq!(all, INTERACTIONS + AFTERWARDS, "frame {frame}");
            }
        }
    }
}

#[tokio::test]
async fn a_log_whose_last_commit_is_cut_short_is_opened_without_it() {
    let (_folder, path) = killed().await;
    let log = with(&path, "-wal");
    let whole = fs::metadata(&log).unwrap().len();
    for cut in [1, 24, 500, FRAME, FRAME + 30] {
        let (_folder, path) = copied(&path);
        let file = OpenOptions::new()
            .write(true)
            .open(with(&path, "-wal"))
            .unwrap();
        file.set_len(whole - cut).unwrap();
        drop(file);
        let store = Store::open(&path).await.unwrap();
        // A commit that is not whole was not acknowledged.
        let left = store.read(Everything).await.unwrap() as i64;
        assert_eq!(left, INTERACTIONS - 1, "cut by {cut}");
    }
}

#[tokio::test]
async fn a_commit_that_the_power_cut_wrote_out_of_order_is_no_damage() {
    let (_folder, path) = killed().await;
    let log = with(&path, "-wal");
    let bytes = fs::read(&log).unwrap();
    let frames = (bytes.len() as u64 - 32) / FRAME;
    let frame = |number: u64| 32 + (number * FRAME) as usize;
    let ends_commit = |number: &u64| bytes[frame(*number) + 4..][..4] != [0; 4];
    let first = (0..frames - 1).rev().find(ends_commit).unwrap() + 1;
    assert!(
        first + 1 < frames,
        "the last commit has more than one frame"
    );
    // In the place of its first page is still a commit from before the WAL started over.
    let mut torn = bytes.clone();
    torn[frame(first) + 4..][..4].copy_from_slice(&[0, 0, 0, 9]);
    torn[frame(first) + 8..][..8].fill(0x77);
    fs::write(&log, torn).unwrap();
    let store = Store::open(&path).await.unwrap();
    let left = store.read(Everything).await.unwrap() as i64;
    assert_eq!(left, INTERACTIONS - 1);
}

#[tokio::test]
async fn a_log_whose_first_block_is_gone_is_refused() {
    let (_folder, path) = killed().await;
    change(&with(&path, "-wal"), 0, 512, |_| 0);
    let error = Store::open(&path).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
}
