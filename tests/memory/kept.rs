//! P7: kept answers are bounded in bytes, whatever is in the file.

use crate::watching::alive;
use botstore::rusqlite::Connection;
use botstore::sessions::GetSession;
use botstore::testing::TestStore;
use botstore::users::{EnsureUser, GetUser, User};
use botstore::{Cacheable, Query, ReadTx, Result, Store};

const MIB: isize = 1 << 20;

/// What may be held beside the answers of one store: places for them, messages on their way, and what
/// the other tests of this program keep and read meanwhile.
const BESIDE: isize = 32 * MIB;

const USERS: i64 = 200;

/// A file in which each user's name has so many bytes.
async fn file_of_long_names(bytes: usize) -> (tempfile::TempDir, std::path::PathBuf) {
    let store = TestStore::open().await.expect("a store");
    for user_id in 0..USERS {
        store
            .write(EnsureUser::new(user_id, None))
            .await
            .expect("a user");
    }
    let (folder, path) = store.into_file().await.expect("a file");
    let conn = Connection::open(&path).expect("the file");
    let sql = "UPDATE users SET telegram_username = CAST(zeroblob(?1) AS TEXT)";
    conn.execute(sql, [bytes as i64]).expect("names");
    (folder, path)
}

#[tokio::test]
async fn users_with_long_names_do_not_keep_their_bytes_in_memory() {
    const NAME: usize = 1_000_000;
    let (_folder, path) = file_of_long_names(NAME).await;
    let store = Store::open(path).await.expect("a store");
    let before = alive();
    for user_id in 0..USERS {
        let user = store.read(GetUser::new(user_id)).await.expect("a read");
        let name = user.and_then(|user| user.username).expect("a name");
        assert_eq!(name.len(), NAME);
    }
    let held = alive() - before;
    assert!(held < BESIDE, "{held} bytes are held");
    store.close().await.expect("closed");
}

/// Each small enough to be kept, and too many for all of them to be.
#[tokio::test]
async fn many_answers_hold_no_more_than_the_bound_on_bytes() {
    // The default of `Config::row_cache_bytes`, a seventh of what these answers come to.
    const BOUND: isize = 8 * MIB;
    const SESSIONS: usize = 16_000;
    let (_folder, path) = file_of_long_names(1).await;
    let conn = Connection::open(&path).expect("the file");
    let sql = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ?1 - 1)
               INSERT INTO sessions (session_id, user_id, project_path, created_at, last_used)
               SELECT i, 1, CAST(zeroblob(3500) AS TEXT), '2026-03-10', '2026-03-10' FROM n";
    conn.execute(sql, [SESSIONS as i64]).expect("sessions");
    drop(conn);
    let store = Store::open(path).await.expect("a store");
    let before = alive();
    for number in 0..SESSIONS {
        let session_id = number.to_string();
        let get = GetSession::new(1, session_id);
        store.read(get).await.expect("a read").expect("a session");
    }
    let held = alive() - before;
    assert!(held < BOUND + BESIDE, "{held} bytes are held");
    store.close().await.expect("closed");
}

/// A host's answer that does not say how much memory it owns.
struct Untold(i64);

impl Query for Untold {
    type Output = Option<User>;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Option<User>> {
        tx.query(&GetUser::new(self.0))
    }

    fn cacheable(&self) -> Option<Cacheable<'_, Option<User>>> {
        Some(Cacheable::row("users", self.0))
    }
}

/// One that says so.
struct Told(i64);

impl Query for Told {
    type Output = Option<User>;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Option<User>> {
        tx.query(&GetUser::new(self.0))
    }

    fn cacheable(&self) -> Option<Cacheable<'_, Option<User>>> {
        let kept = Cacheable::row("users", self.0);
        Some(kept.bytes(|user: &Option<User>| {
            let name = user.as_ref().and_then(|user| user.username.as_ref());
            name.map_or(0, String::len)
        }))
    }
}

#[tokio::test]
async fn the_answers_of_a_hosts_questions_are_bounded_too() {
    let (_folder, path) = file_of_long_names(1_000_000).await;
    let store = Store::open(path).await.expect("a store");
    let before = alive();
    for user_id in 0..USERS {
        store
            .read(Untold(user_id))
            .await
            .expect("a read")
            .expect("a user");
        store
            .read(Told(user_id))
            .await
            .expect("a read")
            .expect("a user");
    }
    let held = alive() - before;
    assert!(held < BESIDE, "{held} bytes are held");
    store.close().await.expect("closed");
}
