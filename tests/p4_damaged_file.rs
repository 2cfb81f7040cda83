//! P4, on a file that is damaged: whoever meets the damage hears `Corrupt` and what to do, the rest
//! goes on, and nothing panics.

mod common;
#[path = "shared/copy.rs"]
mod copy;

use actix::Message;
use botstore::checkup::CheckFile;
use botstore::interactions::SaveInteraction;
use botstore::rusqlite::Connection;
use botstore::sessions::CreateSession;
use botstore::testing::TestStore;
use botstore::users::{EnsureUser, GetUser};
use botstore::{
    Config, Durability, Error, ErrorKind, Query, ReadTx, Result, Store, StoreEvent, analytics,
};
use copy::{copy, with};
use std::fs::{self, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

const INTERACTIONS: i64 = 60;

fn interaction(number: i64) -> SaveInteraction {
    SaveInteraction {
        user_id: 1,
        session_id: "s".into(),
        prompt: format!("#{number} "),
        response: Some("It does the following. ".repeat(40)),
        cost: 0.25,
        ..Default::default()
    }
}

async fn sign_up(store: &Store) {
    store.write(EnsureUser::new(1, Some("ada"))).await.unwrap();
    let session = CreateSession {
        session_id: "s".into(),
        user_id: 1,
        project_path: "/srv".into(),
    };
    store.write(session).await.unwrap();
}

/// A closed file with something in every table.
async fn filled() -> (TempDir, PathBuf) {
    let store = TestStore::open().await.unwrap();
    sign_up(&store).await;
    for number in 0..INTERACTIONS {
        store.write(interaction(number)).await.unwrap();
    }
    store.into_file().await.unwrap()
}

/// A copy of a file with what is beside it.
fn copied(from: &Path) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("x.db");
    for suffix in ["", "-wal", ".lock"] {
        copy(&with(from, suffix), &with(&to, suffix));
    }
    (folder, to)
}

/// Changes bytes of a file in place. The file stays open, for the sake of a store's locks.
fn change(path: &Path, at: u64, length: usize, change: impl Fn(u8) -> u8) {
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .unwrap();
    let mut bytes = vec![0; length];
    file.seek(SeekFrom::Start(at)).unwrap();
    file.read_exact(&mut bytes).unwrap();
    bytes.iter_mut().for_each(|byte| *byte = change(*byte));
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(&bytes).unwrap();
    std::mem::forget(file);
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// What became of a look at everything in a file that may be damaged.
#[derive(Debug, PartialEq)]
enum Seen {
    /// Somebody said `Corrupt`, or the check found damage or disagreement.
    Damage,
    Nothing,
}

fn is_told(error: &Error) -> bool {
    assert_ne!(error.kind(), ErrorKind::Panicked, "{error}");
    let corrupt = error.kind() == ErrorKind::Corrupt;
    if corrupt {
        assert!(error.to_string().contains("restore"), "{error}");
    }
    corrupt
}

/// Opens the file, asks about everything, writes, checks and closes.
async fn look(path: &Path) -> Seen {
    let store = match Store::open(path).await {
        Ok(store) => store,
        Err(error) => {
            is_told(&error);
            return Seen::Damage;
        }
    };
    let mut told = false;
    let mut note = |error: Option<Error>| told |= error.is_some_and(|error| is_told(&error));
    note(store.read(GetUser { user_id: 1 }).await.err());
    note(store.read(analytics::SystemStats).await.err());
    note(store.read(Everything).await.err());
    note(store.write(interaction(1_000)).await.err());
    note(store.write(EnsureUser::new(2, None)).await.err());
    match store.read(CheckFile).await {
        Ok(report) => told |= report.is_damaged() || report.differs(),
        Err(error) => {
            is_told(&error);
            told = true;
        }
    }
    let health = store.health().await.unwrap();
    assert!(health.damage.is_none() || !health.ok);
    let _ = store.close().await;
    match told {
        true => Seen::Damage,
        false => Seen::Nothing,
    }
}

/// Reads every message there is.
#[derive(Message)]
#[rtype(result = "Result<usize>")]
struct Everything;

impl Query for Everything {
    type Output = usize;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<usize> {
        let sql = "SELECT length(prompt) + length(response) FROM messages";
        let lengths: Vec<Option<i64>> = tx.all(sql, [], |row| Ok(row.get(0)?))?;
        Ok(lengths.len())
    }
}

#[tokio::test]
async fn a_damaged_header_of_a_stores_file_is_told_as_damage_with_the_advice_to_restore() {
    let (_folder, path) = filled().await;
    // The magic words, the page size, what SQLite wants to find behind them, the schema's format.
    for at in (0..18).chain(21..24).chain([47]) {
        let (_folder, path) = copied(&path);
        change(&path, at, 1, |byte| byte ^ 0x10);
        let error = Store::open(&path).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "byte {at}: {error}");
        assert!(error.to_string().contains("restore a backup"), "{error}");
        let error = botstore::status(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "byte {at}: {error}");
    }
    for at in 0..100 {
        let (_folder, path) = copied(&path);
        change(&path, at, 1, |byte| byte ^ 0x01);
        look(&path).await;
    }
}

#[tokio::test]
async fn a_page_that_is_garbage_is_found_wherever_it_is() {
    let (_folder, path) = filled().await;
    let pages = fs::metadata(&path).unwrap().len() / 4096;
    assert!(pages > 50);
    for page in 0..pages {
        let (_folder, path) = copied(&path);
        // Behind the header, on the first.
        let skip = if page == 0 { 100 } else { 0 };
        change(&path, page * 4096 + skip, 4096 - skip as usize, |byte| {
            byte ^ 0x5a
        });
        assert_eq!(look(&path).await, Seen::Damage, "page {page}");
    }
}

#[tokio::test]
async fn no_flipped_bit_makes_anybody_panic() {
    let (_folder, path) = filled().await;
    let size = fs::metadata(&path).unwrap().len();
    let mut random = fastrand::Rng::with_seed(11);
    let mut found = 0;
    for _ in 0..80 {
        let (_folder, path) = copied(&path);
        // Half of them where a page tells how it is laid out.
        let page = random.u64(0..size / 4096) * 4096;
        let at = match random.bool() {
            true => page + random.u64(0..40),
            false => page + random.u64(0..4096),
        };
        let bit = 1 << random.u8(0..8);
        change(&path, at, 1, |byte| byte ^ bit);
        found += i32::from(look(&path).await == Seen::Damage);
    }
    // SQLite keeps no checksum of a page: a bit inside a text is nothing that it can miss.
    assert!(found > 20, "{found} of 80");
}

#[tokio::test]
async fn damage_met_while_open_is_told_once_and_the_rest_goes_on() {
    let (_folder, path) = filled().await;
    // Where the messages are, and none of it in memory yet.
    let page = {
        let conn = Connection::open(&path).unwrap();
        let sql = "SELECT rootpage FROM sqlite_schema WHERE name = 'messages'";
        conn.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap() as u64 - 1
    };
    let store = Store::open(Config::new(&path)).await.unwrap();
    let mut events = store.events();
    change(&path, page * 4096, 8, |byte| byte ^ 0xff);
    for _ in 0..3 {
        let error = store.read(Everything).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.to_string().contains("restore a backup"), "{error}");
    }
    // What has nothing to do with it goes on.
    store.write(EnsureUser::new(2, Some("eve"))).await.unwrap();
    assert!(store.read(GetUser { user_id: 2 }).await.unwrap().is_some());
    let health = store.health().await.unwrap();
    assert!(!health.ok && health.damage.is_some());
    let told = tokio::time::timeout(Duration::from_secs(30), events.recv()).await;
    let StoreEvent::Damaged(error) = told.unwrap().unwrap() else {
        panic!("another event came first");
    };
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert!(events.try_recv().is_err(), "it is told once");
}

/// What a store that is killed now would leave: a file and a log with all that was written.
async fn killed() -> (TempDir, PathBuf) {
    let store = TestStore::open().await.unwrap();
    sign_up(&store).await;
    for number in 0..INTERACTIONS {
        store.write(interaction(number)).await.unwrap();
    }
    copied(store.path())
}

const FRAME: u64 = 24 + 4096;

#[tokio::test]
async fn a_log_that_is_damaged_in_the_middle_is_refused_and_left_as_it_is() {
    let (_folder, path) = killed().await;
    let frames = (fs::metadata(beside(&path, "-wal")).unwrap().len() - 32) / FRAME;
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
        let log = beside(&path, "-wal");
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

#[tokio::test]
async fn a_log_whose_last_commit_is_cut_short_is_opened_without_it() {
    let (_folder, path) = killed().await;
    let log = beside(&path, "-wal");
    let whole = fs::metadata(&log).unwrap().len();
    for cut in [1, 24, 500, FRAME, FRAME + 30] {
        let (_folder, path) = copied(&path);
        let file = OpenOptions::new()
            .write(true)
            .open(beside(&path, "-wal"))
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
    let log = beside(&path, "-wal");
    let bytes = fs::read(&log).unwrap();
    let frames = (bytes.len() as u64 - 32) / FRAME;
    let frame = |number: u64| 32 + (number * FRAME) as usize;
    let ends_commit = |number: &u64| bytes[frame(*number) + 4..][..4] != [0; 4];
    let first = (0..frames - 1).rev().find(ends_commit).unwrap() + 1;
    assert!(
        first + 1 < frames,
        "the last commit has more than one frame"
    );
    // In the place of its first page is still a commit from before the log started over.
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
    change(&beside(&path, "-wal"), 0, 512, |_| 0);
    let error = Store::open(&path).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
}
