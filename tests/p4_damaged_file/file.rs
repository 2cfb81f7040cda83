//! Damage in the database itself.

use crate::wait::answered;
use crate::{Everything, INTERACTIONS, change, copied, interaction, sign_up};
use botstore::integrity::{CheckFile, CheckReport};
use botstore::rusqlite::Connection;
use botstore::testing::{FixedClock, TestStore};
use botstore::users::{EnsureUser, GetUser};
use botstore::{Config, Durability, Error, ErrorKind, Store, StoreEvent, analytics};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// A closed file with something in every table.
async fn filled() -> (TempDir, PathBuf) {
    let store = TestStore::open_with(|config| config.durability(Durability::Normal));
    let store = store.await.unwrap();
    sign_up(&store).await;
    for number in 0..INTERACTIONS {
        store.write(interaction(number)).await.unwrap();
    }
    store.into_file().await.unwrap()
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

/// What a check has found.
fn found_by(check: botstore::Result<CheckReport>) -> Seen {
    match check {
        Ok(report) if !report.is_damaged() && !report.differs() => Seen::Nothing,
        Ok(_) => Seen::Damage,
        Err(error) => {
            is_told(&error);
            Seen::Damage
        }
    }
}

/// Opens the file, asks about everything, writes, checks and closes.
async fn look(path: &Path) -> Seen {
    // No power goes off here.
    let config = Config::new(path).durability(Durability::Normal);
    let store = match Store::open(config).await {
        Ok(store) => store,
        Err(error) => {
            is_told(&error);
            return Seen::Damage;
        }
    };
    let mut told = false;
    let mut note = |error: Option<Error>| told |= error.is_some_and(|error| is_told(&error));
    note(store.read(GetUser::new(1)).await.err());
    note(store.read(analytics::SystemStats::new()).await.err());
    note(store.read(Everything).await.err());
    note(store.write(interaction(1_000)).await.err());
    note(store.write(EnsureUser::new(2, None)).await.err());
    told |= found_by(store.read(CheckFile::new()).await) == Seen::Damage;
    let health = store.health().await.unwrap();
    assert!(health.damage.is_none() || !health.ok);
    let _ = store.close().await;
    match told {
        true => Seen::Damage,
        false => Seen::Nothing,
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
    // Behind what is told already, numbers of four bytes: each by a little, and by much.
    for at in (18..24).chain((24..100).filter(|at| matches!(at % 4, 0 | 3))) {
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
        // Whoever only checks the file finds it, and so does a bot that works with it.
        let found = botstore::snapshot(&path, |tx| tx.query(&CheckFile::new()));
        assert_eq!(found_by(found), Seen::Damage, "page {page}");
        if page % 4 == 0 || std::env::var_os("BOTSTORE_TEST_EVERY_CALL").is_some() {
            assert_eq!(look(&path).await, Seen::Damage, "page {page}");
        }
    }
}

#[tokio::test]
async fn no_flipped_bit_makes_anybody_panic() {
    let (_folder, path) = filled().await;
    let size = fs::metadata(&path).unwrap().len();
    let mut random = fastrand::Rng::with_seed(11);
    let mut found = 0;
    for _ in 0..40 {
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
    assert!(found > 10, "{found} of 40");
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
    // A lock that another program has is told too, and here at once.
    let config = Config::new(&path).busy_timeout(Duration::ZERO);
    // The file's own time: by the machine's, the clock would be told of first.
    let config = config.clock(FixedClock::default());
    let store = Store::open(config).await.unwrap();
    let mut events = store.events();
    change(&path, page * 4096, 8, |byte| byte ^ 0xff);
    for _ in 0..3 {
        let error = store.read(Everything).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.to_string().contains("restore a backup"), "{error}");
    }
    // What has nothing to do with it goes on.
    store.write(EnsureUser::new(2, Some("eve"))).await.unwrap();
    assert!(store.read(GetUser::new(2)).await.unwrap().is_some());
    let health = store.health().await.unwrap();
    assert!(!health.ok && health.damage.is_some());
    let told = answered(events.recv()).await.unwrap();
    let StoreEvent::Damaged(error) = told else {
        panic!("another event came first: {told:?}");
    };
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    // Once: what is told of next are two later looks, with more damage met before them.
    store.read(Everything).await.unwrap_err();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let busy = store.write(EnsureUser::new(3, None)).await.unwrap_err();
    assert_eq!(busy.kind(), ErrorKind::Busy, "{busy}");
    let told = answered(events.recv()).await.unwrap();
    assert!(matches!(told, StoreEvent::Failing(_)), "{told:?}");
    other.execute_batch("ROLLBACK").unwrap();
    store.read(Everything).await.unwrap_err();
    let told = answered(events.recv()).await.unwrap();
    assert!(matches!(told, StoreEvent::Recovered), "{told:?}");
}
