//! What grows with the history is made in pieces, and others write in between.

use crate::common::{
    self, HoldWriter, Holding, Numbers, Put, answered, hold, hold_writer, is_sent, probe_store,
    until,
};
use botstore::interactions::SweepKeys;
use botstore::sessions::ExpireIdle;
use botstore::testing::TestStore;
use botstore::time::Clock;
use botstore::{
    Config, Error, ErrorKind, Mutation, Query, ReadTx, Result, Store, StoreEvent, Write, WriteTx,
};
use chrono::{DateTime, Utc};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

/// More than two of the largest pieces.
const MANY: usize = 21_000;

/// How many rows a piece looks at, at most, as the documents say.
const LARGEST_PIECE: usize = 10_000;

/// Sessions that nobody has used for years, and keys as old: of so many users, one after the other, and of every
/// third session somebody has just made use.
struct Old {
    users: usize,
    fresh: bool,
}

impl Mutation for Old {
    type Output = ();

    fn apply(&self, tx: &WriteTx<'_>) -> Result<()> {
        let numbers =
            "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?1)";
        let (old, users) = ("2020-01-01T00:00:00.000000+00:00", self.users);
        tx.execute(
            &format!("{numbers} INSERT INTO users (user_id, first_seen, last_active) SELECT i - 3, ?2, ?2 FROM n"),
            (users as i64, old),
        )?;
        let used = match self.fresh {
            true => "CASE i % 3 WHEN 0 THEN ?3 ELSE ?2 END",
            false => "?2",
        };
        tx.execute(
            &format!(
                "{numbers} INSERT INTO sessions
                     (session_id, user_id, project_path, created_at, last_used, is_active)
                 SELECT 's' || i, i % {users} - 3, '/', ?2, {used}, coalesce(1, ?3) FROM n"
            ),
            (MANY as i64, old, tx.now_text()),
        )?;
        // Half of them from before step 10.
        tx.execute(
            &format!(
                "{numbers} INSERT INTO botstore_idempotency
                 SELECT 1, 'k' || i, i, ?2 FROM n WHERE i % 2 = 0"
            ),
            (MANY as i64, old),
        )?;
        tx.execute(
            &format!(
                "{numbers} INSERT INTO botstore_update (key, message_id, recorded_at)
                 SELECT CAST(printf('%016d', i) AS BLOB), i, 0 FROM n WHERE i % 2 = 1"
            ),
            [MANY as i64],
        )?;
        Ok(())
    }
}

/// How many sessions are active, and how many keys there are.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Left {
    sessions: usize,
    keys: usize,
}

fn left(tx: &ReadTx<'_>) -> Result<Left> {
    let sql = "SELECT (SELECT count(*) FROM sessions WHERE is_active = 1),
                      (SELECT count(*) FROM botstore_idempotency)
                          + (SELECT count(*) FROM botstore_update)";
    let count = |row: &botstore::rusqlite::Row<'_>, at| -> Result<usize> {
        Ok(row.get::<_, i64>(at)? as usize)
    };
    tx.one(sql, [], |row| {
        Ok(Left {
            sessions: count(row, 0)?,
            keys: count(row, 1)?,
        })
    })
}

/// Looks from between two mutations.
struct Look;

impl Mutation for Look {
    type Output = Left;

    fn apply(&self, tx: &WriteTx<'_>) -> Result<Left> {
        left(tx)
    }
}

/// Looks at what was committed.
struct LookOn;

impl Query for LookOn {
    type Output = Left;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Left> {
        left(tx)
    }
}

const EXPIRE: ExpireIdle = ExpireIdle::new(HOUR);
const SWEEP: SweepKeys = SweepKeys::new(HOUR);
const ALL: Left = Left {
    sessions: MANY,
    keys: MANY,
};

/// Whose own upkeep leaves the keys to the test.
fn keeps_keys(config: Config) -> Config {
    config.idempotency_retention(3_650 * 24 * HOUR)
}

async fn with_old(users: usize, configure: impl FnOnce(Config) -> Config) -> TestStore {
    let store = probe_store(|config| configure(keeps_keys(config))).await;
    store
        .write(Old {
            users,
            fresh: false,
        })
        .await
        .unwrap();
    assert_eq!(store.read(LookOn).await.unwrap(), ALL);
    store
}

async fn batches(store: &Store) -> u64 {
    store.health().await.unwrap().writer.batches
}

/// Sends the mutation, and somebody behind it who looks: gives what that one saw. The mutation then comes to its
/// end, in as many commits as there have to be.
async fn seen_behind<M>(store: &TestStore, mutation: impl Future<Output = Result<M>>) -> (Left, M) {
    let before = batches(store).await;
    let (holding, held) = hold_writer(store).await;
    let (mut mutation, mut look) = (pin!(mutation), pin!(store.write(Look)));
    is_sent(mutation.as_mut());
    is_sent(look.as_mut());
    holding.release();
    held.await.unwrap().unwrap();
    let seen = answered(look).await.unwrap();
    let answer = answered(mutation).await.unwrap();
    let least = MANY.div_ceil(LARGEST_PIECE) as u64;
    let took = batches(store).await - before;
    assert!(took > least, "{took} commits");
    (seen, answer)
}

#[tokio::test]
async fn others_write_between_the_pieces_of_what_grows_with_the_history() {
    for users in [1, 7, MANY] {
        let store = with_old(users, |config| config).await;
        let (seen, expired) = seen_behind(&store, store.write(EXPIRE)).await;
        assert_eq!(seen.keys, MANY);
        assert!(
            (MANY - LARGEST_PIECE..MANY).contains(&seen.sessions),
            "{seen:?}"
        );
        assert_eq!(expired, MANY);
        let (seen, swept) = seen_behind(&store, store.write(SWEEP)).await;
        assert_eq!(seen.sessions, 0);
        assert!(
            (MANY - LARGEST_PIECE..MANY).contains(&seen.keys),
            "{seen:?}"
        );
        assert_eq!(swept, MANY);
        let none = Left {
            sessions: 0,
            keys: 0,
        };
        assert_eq!(store.read(LookOn).await.unwrap(), none);
        assert_eq!(store.write(EXPIRE).await.unwrap(), 0);
        assert_eq!(store.write(SWEEP).await.unwrap(), 0);
    }
}

#[actix::test]
async fn by_every_door_it_is_made_in_pieces_and_answered_once() {
    let store = with_old(2, |config| config).await;
    let (_, expired) = seen_behind(&store, store.try_write(EXPIRE)).await;
    assert_eq!(expired, MANY);
    let swept = async {
        let sent = store.mutations().send(Write(SWEEP)).await;
        sent.expect("its mailbox is open")
    };
    let before = batches(&store).await;
    assert_eq!(answered(swept).await.unwrap(), MANY);
    assert!(batches(&store).await - before >= MANY.div_ceil(LARGEST_PIECE) as u64);
}

#[tokio::test]
async fn on_a_schedule_it_is_made_in_pieces_and_counts_when_it_is_done() {
    let store = with_old(5, |config| config.every(HOUR, || EXPIRE)).await;
    let mut events = store.events();
    store.clock().advance(HOUR);
    let run = async {
        let ran = store.run_due().await?;
        // The upkeep runs with it.
        assert!(ran >= 1);
        Ok(())
    };
    let (seen, ()) = seen_behind(&store, run).await;
    assert!(
        (MANY - LARGEST_PIECE..=MANY).contains(&seen.sessions),
        "{seen:?}"
    );
    let mut told = Vec::new();
    while let Ok(event) = events.try_recv() {
        if let StoreEvent::SessionsExpired { sessions } = event {
            told.push(sessions);
        }
    }
    assert_eq!(told, [MANY]);
}

#[tokio::test]
async fn only_what_is_idle_expires_wherever_a_piece_ends() {
    for users in [1, 2, 700, MANY] {
        let store = probe_store(keeps_keys).await;
        store.write(Old { users, fresh: true }).await.unwrap();
        let fresh = MANY.div_ceil(3);
        assert_eq!(store.write(EXPIRE).await.unwrap(), MANY - fresh, "{users}");
        assert_eq!(store.read(LookOn).await.unwrap().sessions, fresh, "{users}");
    }
}

/// As a part of another one, which does as it is told afterwards.
struct Both(Option<ErrorKind>);

impl Mutation for Both {
    type Output = (usize, usize);

    fn apply(&self, tx: &WriteTx<'_>) -> Result<(usize, usize)> {
        let done = (tx.apply(&EXPIRE)?, tx.apply(&SWEEP)?);
        tx.apply(&Put::new(1))?;
        match self.0 {
            None => Ok(done),
            Some(kind) => Err(Error::new(kind, "was told to fail")),
        }
    }
}

#[tokio::test]
async fn as_a_part_of_another_mutation_it_is_all_made_or_nothing_of_it() {
    let store = with_old(3, |config| config).await;
    let failed = Both(Some(ErrorKind::Conflict));
    let error = store.write(failed).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(store.read(LookOn).await.unwrap(), ALL);
    let before = batches(&store).await;
    assert_eq!(store.write(Both(None)).await.unwrap(), (MANY, MANY));
    assert_eq!(batches(&store).await - before, 1);
    assert_eq!(store.read(Numbers).await.unwrap(), [1]);
}

type Waits<'s, T> = Pin<Box<dyn Future<Output = Result<T>> + 's>>;

/// Has the writer begin with old sessions, and holds it behind the first piece.
async fn held_behind_the_first_piece(
    store: &Store,
) -> (Waits<'_, usize>, Waits<'_, ()>, Arc<Holding>) {
    // Who holds it is perhaps in the same transaction, and so is not waited for.
    let (holding, _held) = hold_writer(store).await;
    let mut expire: Waits<'_, _> = Box::pin(store.write(EXPIRE));
    is_sent(Pin::new(&mut expire));
    let (stops, stopped) = hold();
    let mut stop: Waits<'_, _> = Box::pin(store.write(HoldWriter(stops)));
    is_sent(Pin::new(&mut stop));
    holding.release();
    let stopped = Arc::new(stopped);
    stopped.started().await;
    (expire, stop, stopped)
}

/// Sees that one piece was made, and that the rest is made when somebody asks again.
async fn goes_on_after_one_piece(store: &Store) {
    let seen = store.write(Look).await.unwrap();
    let left = MANY - LARGEST_PIECE..MANY;
    assert!(left.contains(&seen.sessions), "{seen:?}");
    assert_eq!(store.write(EXPIRE).await.unwrap(), seen.sessions);
}

#[tokio::test]
async fn a_caller_who_gives_up_keeps_what_was_done_and_no_more_is_done() {
    let store = with_old(1, |config| config).await;
    let (expire, stop, stopped) = held_behind_the_first_piece(&store).await;
    drop(expire);
    stopped.release();
    answered(stop).await.unwrap();
    goes_on_after_one_piece(&store).await;
}

#[tokio::test]
async fn a_store_that_closes_between_two_pieces_keeps_what_was_done() {
    let store = with_old(1, |config| config.close_deadline(Duration::ZERO)).await;
    let (expire, stop, stopped) = held_behind_the_first_piece(&store).await;
    let closing = tokio::spawn({
        let store = Store::clone(&store);
        async move { store.close().await }
    });
    until("the store closes", async || {
        let refused = store.try_read(LookOn).await;
        refused.is_err_and(|error| error.kind() == ErrorKind::Closed)
    })
    .await;
    stopped.release();
    let error = answered(expire).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    answered(stop).await.unwrap();
    answered(closing).await.unwrap().unwrap();
    let path = store.path().to_owned();
    let config = keeps_keys(Config::new(&path)).schema::<common::Probe>();
    let again = Store::open(config).await.unwrap();
    goes_on_after_one_piece(&again).await;
    again.close().await.unwrap();
}

/// Panics when it is told to.
struct Panicking(Arc<AtomicBool>);

impl Clock for Panicking {
    fn now(&self) -> DateTime<Utc> {
        let panics = self.0.load(Ordering::SeqCst);
        assert!(!panics, "this panic is part of a test");
        Utc::now()
    }
}

#[tokio::test]
async fn a_panic_between_two_pieces_leaves_what_was_done() {
    let broken = Arc::new(AtomicBool::new(false));
    let clock = Panicking(Arc::clone(&broken));
    let store = with_old(1, |config| config.clock(clock)).await;
    let (expire, stop, stopped) = held_behind_the_first_piece(&store).await;
    broken.store(true, Ordering::SeqCst);
    stopped.release();
    let error = answered(expire).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Panicked);
    broken.store(false, Ordering::SeqCst);
    answered(stop).await.unwrap();
    goes_on_after_one_piece(&store).await;
}
