//! A WAL that has started over, and at once is longer than it was.

use crate::common::{PutMany, probe_store};
use crate::copy::keeps_its_log;
use botstore::rusqlite::Connection;

#[tokio::test]
async fn one_that_starts_over_with_a_long_commit_is_counted_as_started_over() {
    // It is left to the test to copy the WAL.
    let store = probe_store(keeps_its_log).await;
    let other = Connection::open(store.path()).unwrap();
    let frames = |mode: &str| -> (i64, i64) {
        let sql = format!("PRAGMA wal_checkpoint({mode})");
        let answer = |row: &botstore::rusqlite::Row<'_>| Ok((row.get(1)?, row.get(2)?));
        other.query_row(&sql, [], answer).unwrap()
    };
    let mut first = 0;
    let mut put = async |count| {
        store.write(PutMany { first, count }).await.unwrap();
        first += count;
    };
    put(10).await;
    for round in 1..=4 {
        // What the writer notes after a commit, it has noted when the next one is answered.
        put(1).await;
        let before = store.health().await.unwrap().writer.wal_restarts;
        let (length, copied) = frames("PASSIVE");
        assert_eq!(copied, length, "all of it is in the file");
        put(20_000 * round).await;
        assert!(frames("NOOP").0 > length, "it is longer than before");
        put(1).await;
        let after = store.health().await.unwrap().writer.wal_restarts;
        assert_eq!(after, before + 1);
    }
    drop(other);
    store.close().await.unwrap();
}
