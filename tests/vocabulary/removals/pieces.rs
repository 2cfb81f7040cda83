//! Deletions of much, which go in pieces: others write in between, and the end is the same.

use super::{agrees, say};
use crate::support::{ADA, BOB, DAY, Run, picture, populated, user};
use botstore::interactions::SaveInteraction;
use botstore::messages::{DeleteMessage, SessionMessages};
use botstore::sessions::DeleteSession;
use botstore::testing::TestStore;
use botstore::users::{DeleteUser, EnsureUser, GetUser, IsAllowed, SetAllowed};
use botstore::{Mutation, Result, Store, WriteTx};

/// Two deletions in one transaction.
struct Both;

impl Mutation for Both {
    type Output = (usize, usize);

    fn apply(&self, tx: &WriteTx<'_>) -> Result<(usize, usize)> {
        let session = tx.apply(&DeleteSession::new(ADA, "ada-1"))?;
        Ok((session, tx.apply(&DeleteUser::new(BOB))?))
    }
}

/// Some thousand rows in a session, a message with more tool uses than a piece has, and many of Bob's.
async fn large() -> TestStore {
    let store = populated().await;
    let many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500)";
    for (user_id, session_id) in [(ADA, "ada-1"), (BOB, "bob-1")] {
        let id = say(&store, user_id, session_id, &["Read"]).await;
        for sql in [
            format!(
                "INSERT INTO tool_usage (session_id, message_id, tool_name, timestamp)
                 {many} SELECT '{session_id}', {id}, 'Bash', '2026-03-10T15:30:00.000000+00:00' FROM n"
            ),
            format!(
                "INSERT INTO tool_usage (session_id, tool_name, timestamp)
                 {many} SELECT '{session_id}', 'Tool' || i, '2026-03-10T15:30:00.000000+00:00' FROM n"
            ),
            format!(
                "INSERT INTO messages (session_id, user_id, timestamp, prompt, cost)
                 {many} SELECT '{session_id}', {user_id},
                        strftime('%Y-%m-%dT%H:%M:%S.000000+00:00', '2026-01-01', i || ' hours'),
                        'p', 0.25 FROM n"
            ),
            format!(
                "INSERT INTO audit_log (user_id, event_type, timestamp)
                 {many} SELECT {user_id}, 'login', '2026-03-10T15:30:00.000000+00:00' FROM n"
            ),
            format!(
                "INSERT INTO cost_tracking (user_id, date, daily_cost, request_count)
                 SELECT user_id, substr(timestamp, 1, 10), sum(cost), count(*) FROM messages
                 WHERE user_id = {user_id} AND message_id <> {id} GROUP BY 2
                 ON CONFLICT (user_id, date) DO UPDATE SET
                     daily_cost = daily_cost + excluded.daily_cost,
                     request_count = request_count + excluded.request_count"
            ),
            format!(
                "UPDATE users SET message_count = 1501, total_cost = total_cost + 375
                 WHERE user_id = {user_id}"
            ),
            format!(
                "UPDATE sessions SET message_count = 1501, total_cost = total_cost + 375
                 WHERE session_id = '{session_id}'"
            ),
        ] {
            store.write(Run(sql)).await.expect("rows");
        }
    }
    agrees(&store).await;
    store
}

async fn batches(store: &Store) -> u64 {
    store.health().await.expect("health").writer.batches
}

#[tokio::test]
async fn what_is_much_goes_in_pieces() {
    let store = large().await;
    let before = batches(&store).await;
    store
        .write(DeleteMessage::new(ADA, 1))
        .await
        .expect("deleted");
    // More tool uses than the first piece has.
    assert!(batches(&store).await - before >= 2);
    agrees(&store).await;
    let before = batches(&store).await;
    let gone = store.write(DeleteSession::new(ADA, "ada-1")).await;
    assert_eq!(gone.expect("deleted"), 1_500);
    assert!(batches(&store).await - before >= 3);
    agrees(&store).await;
    assert_eq!(user(&store, ADA).await.message_count, 0);
    let before = batches(&store).await;
    assert_eq!(
        store.write(DeleteUser::new(BOB)).await.expect("forgotten"),
        1_501
    );
    assert!(batches(&store).await - before >= 4);
    agrees(&store).await;
    let left = picture(&store).await;
    for table in [
        "messages",
        "tool_usage",
        "cost_tracking",
        "botstore_user_day",
    ] {
        assert!(left[table].is_empty(), "{table}");
    }
}

#[tokio::test]
async fn a_part_of_another_mutation_goes_in_one_piece() {
    let store = large().await;
    let before = batches(&store).await;
    assert_eq!(store.write(Both).await.expect("both"), (1_501, 1_501));
    assert_eq!(batches(&store).await - before, 1);
    agrees(&store).await;
}

#[tokio::test]
async fn two_who_delete_the_same_at_once_are_both_done() {
    let store = large().await;
    let (one, two) = tokio::join!(
        store.write(DeleteSession::new(ADA, "ada-1")),
        store.write(DeleteSession::new(ADA, "ada-1")),
    );
    assert_eq!(one.expect("done") + two.expect("done"), 1_501);
    let (one, two) = tokio::join!(
        store.write(DeleteUser::new(BOB)),
        store.write(DeleteUser::new(BOB)),
    );
    assert_eq!(one.expect("done") + two.expect("done"), 1_501);
    agrees(&store).await;
}

/// Deletes in one piece what somebody else deletes in several, and has its id used anew.
enum Again {
    Session,
    User,
}

impl Mutation for Again {
    type Output = ();

    fn apply(&self, tx: &WriteTx<'_>) -> Result<()> {
        match self {
            Self::Session => {
                tx.apply(&DeleteSession::new(ADA, "ada-1"))?;
                let save = SaveInteraction::new(ADA, "ada-1", "Again").creating("/srv");
                tx.apply(&save).map(drop)
            }
            Self::User => {
                tx.apply(&DeleteUser::new(BOB))?;
                tx.apply(&EnsureUser::new(BOB, "new bob"))?;
                tx.apply(&SetAllowed::allow(BOB))?;
                let save = SaveInteraction::new(BOB, "bob-1", "Again").creating("/srv");
                tx.apply(&save).map(drop)
            }
        }
    }
}

#[tokio::test]
async fn what_is_made_anew_while_its_id_is_deleted_stays() {
    let store = large().await;
    store.clock().advance(DAY);
    let (deleted, saved) = tokio::join!(
        store.write(DeleteSession::new(ADA, "ada-1")),
        store.write(Again::Session),
    );
    saved.expect("saved");
    assert!(deleted.expect("done") < 1_501);
    let list = store.read(SessionMessages::new(ADA, "ada-1")).await;
    assert_eq!(list.expect("a page").items.len(), 1);
    assert_eq!(user(&store, ADA).await.message_count, 1);
    agrees(&store).await;
    let (deleted, saved) =
        tokio::join!(store.write(DeleteUser::new(BOB)), store.write(Again::User));
    saved.expect("saved");
    assert!(deleted.expect("done") < 1_501);
    let bob = user(&store, BOB).await;
    assert_eq!(
        (bob.username.as_deref(), bob.message_count),
        (Some("new bob"), 1)
    );
    assert!(store.read(IsAllowed::new(BOB)).await.expect("a read"));
    agrees(&store).await;
    // What is there anew can be deleted like anything else.
    let gone = store.write(DeleteSession::new(ADA, "ada-1")).await;
    assert_eq!(gone.expect("deleted"), 1);
    assert_eq!(
        store.write(DeleteUser::new(BOB)).await.expect("forgotten"),
        1
    );
    agrees(&store).await;
}

/// Older than anything there, as messages are that come from another program. Both rows are then of that time.
struct Older(i64, &'static str);

impl Mutation for Older {
    type Output = usize;

    fn apply(&self, tx: &WriteTx<'_>) -> Result<usize> {
        let at = "2020-01-01T00:00:00.000000+00:00";
        let session =
            "UPDATE sessions SET created_at = ?2 WHERE session_id = ?1 AND created_at > ?2";
        let user = "UPDATE users SET first_seen = ?2 WHERE user_id = ?1 AND first_seen > ?2";
        Ok(tx.execute(session, (self.1, at))? + tx.execute(user, (self.0, at))?)
    }
}

#[tokio::test]
async fn a_history_that_is_brought_along_meanwhile_stops_no_deletion() {
    let store = large().await;
    let (deleted, older) = tokio::join!(
        store.write(DeleteSession::new(ADA, "ada-1")),
        store.write(Older(ADA, "ada-1")),
    );
    assert_eq!(
        (deleted.expect("deleted"), older.expect("older")),
        (1_501, 2)
    );
    let (deleted, older) = tokio::join!(
        store.write(DeleteUser::new(BOB)),
        store.write(Older(BOB, "bob-1")),
    );
    assert_eq!(
        (deleted.expect("forgotten"), older.expect("older")),
        (1_501, 2)
    );
    assert_eq!(store.read(GetUser::new(BOB)).await.expect("a read"), None);
    agrees(&store).await;
}
