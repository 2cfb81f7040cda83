//! Messages that run once, at a time: exactly once whatever happens, and none in the way of another.

mod clocks;
mod failing;
mod killed;
mod refused;

use crate::common::{Numbers, Probe, patient, probe_store, until};
use crate::{DAY, HOUR, plainly, settled};
use botstore::page::PageRequest;
use botstore::rusqlite::{self, ffi};
use botstore::testing::{FixedClock, TestStore};
use botstore::time::{Clock, Timestamp};
use botstore::timers::{After, At, CancelTimer, PendingTimer, Timers};
use botstore::{
    Config, Error, ErrorKind, FailedTimer, Mutation, Result, Store, StoreEvent, Timer, TimerId,
    WriteTx,
};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::time::Duration;
use tokio::sync::broadcast::Receiver;

const NONE: [i64; 0] = [];
const MINUTE: Duration = Duration::from_secs(60);

/// What a [`Note`] does after it has written its number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
enum Then {
    #[default]
    Succeed,
    Fail,
    Panic,
    /// Says what belongs to the store: that it is closed.
    SayClosed,
    /// Says what SQLite says of a page that is damaged.
    SayCorrupt,
}

/// Writes a number, with how many there were before it.
#[derive(Clone, Serialize, Deserialize)]
struct Note {
    number: i64,
    #[serde(default)]
    then: Then,
}

impl Note {
    fn new(number: i64) -> Self {
        Self::then(number, Then::Succeed)
    }

    fn then(number: i64, then: Then) -> Self {
        Self { number, then }
    }
}

impl Timer for Note {
    const NAME: &'static str = "note";
}

impl Mutation for Note {
    type Output = ();

    fn apply(&self, tx: &WriteTx<'_>) -> Result<()> {
        let sql = "INSERT INTO probe (number, text) SELECT ?1, count(*) FROM probe";
        tx.execute(sql, [self.number])?;
        match self.then {
            Then::Succeed => Ok(()),
            Then::Fail => Err(Error::invalid("number", "was told to fail")),
            Then::SayClosed => Err(Error::new(ErrorKind::Closed, "this is the host's word")),
            Then::SayCorrupt => {
                let code = ffi::Error::new(ffi::SQLITE_CORRUPT);
                Err(rusqlite::Error::SqliteFailure(code, None).into())
            }
            Then::Panic => panic!("this panic is part of a test"),
        }
    }
}

/// The same message in a later version of the program, in which all of them run.
#[derive(Serialize, Deserialize)]
struct Mended {
    number: i64,
}

impl Timer for Mended {
    const NAME: &'static str = Note::NAME;
}

impl Mutation for Mended {
    type Output = ();

    fn apply(&self, tx: &WriteTx<'_>) -> Result<()> {
        tx.apply(&Note::new(self.number))
    }
}

/// Nobody registers it.
#[derive(Serialize, Deserialize)]
struct Stray;

impl Timer for Stray {
    const NAME: &'static str = "stray";
}

impl Mutation for Stray {
    type Output = ();

    fn apply(&self, _: &WriteTx<'_>) -> Result<()> {
        Ok(())
    }
}

async fn note_store() -> TestStore {
    probe_store(|config| config.timer::<Note>()).await
}

async fn numbers(store: &Store) -> Vec<i64> {
    store.read(Numbers).await.unwrap()
}

async fn pending(store: &Store) -> Vec<PendingTimer> {
    let page = Timers::new().page(PageRequest::first(1_000));
    store.read(page).await.unwrap().items
}

async fn after(store: &Store, time: Duration, note: Note) -> TimerId {
    store.write(After::new(time, note)).await.unwrap()
}

fn all(events: &mut Receiver<StoreEvent>) -> Vec<StoreEvent> {
    std::iter::from_fn(|| events.try_recv().ok()).collect()
}

/// Opens the file again, with other settings.
async fn opened(
    path: &Path,
    clock: &FixedClock,
    configure: impl FnOnce(Config) -> Config,
) -> Store {
    let config = patient(Config::new(path)).clock(clock.clone());
    Store::open(configure(config.schema::<Probe>()))
        .await
        .unwrap()
}

#[actix::test]
async fn a_timer_runs_at_its_time_once_and_is_told_after_its_commit() {
    let store = note_store().await;
    let mut events = store.events();
    let first = after(&store, 10 * MINUTE, Note::new(1)).await;
    let at = store.now() + TimeDelta::minutes(20);
    let second = store.write(At::new(at, Note::new(2))).await.unwrap();
    assert_ne!(first, second);
    store
        .clock()
        .advance(10 * MINUTE - Duration::from_micros(1));
    settled(&store).await;
    assert_eq!(numbers(&store).await, NONE);
    store.clock().advance(Duration::from_micros(1));
    settled(&store).await;
    assert_eq!(numbers(&store).await, [1]);
    settled(&store).await;
    store.clock().advance(HOUR);
    settled(&store).await;
    settled(&store).await;
    assert_eq!(numbers(&store).await, [1, 2], "and neither of them twice");
    assert_eq!(pending(&store).await, []);
    let told: Vec<_> = all(&mut events)
        .into_iter()
        .filter_map(|event| match event {
            StoreEvent::TimersFired { timers, .. } => Some(timers),
            _ => None,
        })
        .flatten()
        .map(|fired| (fired.timer_id, fired.name, fired.due_at))
        .collect();
    let name = || Note::NAME.to_owned();
    let due = at - TimeDelta::minutes(10);
    assert_eq!(told, [(first, name(), due), (second, name(), at)]);
}

/// Nobody asks for it: neither for one that is set, nor for one that another program has written.
#[tokio::test]
async fn a_timer_is_run_by_the_stores_own_look() {
    let store = note_store().await;
    store
        .write(At::new(store.now(), Note::new(1)))
        .await
        .unwrap();
    until("the timer that is set", async || {
        numbers(&store).await == [1]
    })
    .await;
    after(&store, HOUR, Note::new(2)).await;
    store.clock().advance(HOUR);
    until("the timer that was waited for", async || {
        numbers(&store).await == [1, 2]
    })
    .await;
    let due = Timestamp(store.now()).to_string();
    plainly(store.path(), |conn| {
        let sql = "INSERT INTO botstore_timer (name, message, due_at, created_at, try_at)
                   VALUES ('note', '{\"number\": 3}', ?1, ?1, ?1)";
        conn.execute(sql, [due]).unwrap();
    });
    store.clock().advance(MINUTE);
    until("the timer of another program", async || {
        numbers(&store).await == [1, 2, 3]
    })
    .await;
}

#[tokio::test]
async fn a_thousand_that_are_due_at_once_run_once_each_in_the_order_of_their_times() {
    const TIMERS: i64 = 1_000;
    let store = note_store().await;
    let mut order: Vec<i64> = (0..TIMERS).collect();
    fastrand::shuffle(&mut order);
    let writes = order.iter().map(|&number| {
        // Three at each time, in the order in which they are set.
        let time = Duration::from_secs(number as u64 / 3);
        after(&store, time, Note::new(number))
    });
    // All of one moment: the clock stands.
    for write in writes {
        write.await;
    }
    store.clock().advance(DAY);
    until("the last", async || {
        settled(&store).await;
        pending(&store).await.is_empty()
    })
    .await;
    let set_as: std::collections::HashMap<_, _> = order
        .iter()
        .enumerate()
        .map(|(at, &number)| (number, at))
        .collect();
    let mut expected: Vec<i64> = (0..TIMERS).collect();
    expected.sort_by_key(|number| (number / 3, set_as[number]));
    let ran = plainly(store.path(), |conn| {
        let sql = "SELECT number FROM probe ORDER BY CAST(text AS INTEGER), number";
        let mut statement = conn.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| row.get::<_, i64>(0)).unwrap();
        rows.map(|row| row.unwrap()).collect::<Vec<_>>()
    });
    assert_eq!(ran, expected);
}

#[tokio::test]
async fn a_timer_that_is_cancelled_does_not_run_and_cancelling_says_whether_it_was_there() {
    let store = note_store().await;
    let (one, other) = (
        after(&store, MINUTE, Note::new(1)).await,
        after(&store, MINUTE, Note::new(2)).await,
    );
    let cancel = async |timer_id| store.write(CancelTimer::new(timer_id)).await.unwrap();
    assert!(cancel(one).await);
    assert!(!cancel(one).await);
    store.clock().advance(HOUR);
    settled(&store).await;
    assert_eq!(numbers(&store).await, [2]);
    assert!(!cancel(other).await, "it has run");
    // No number is given twice.
    assert!(after(&store, MINUTE, Note::new(3)).await > other);
    // One that failed, and one that waits.
    let failing = after(&store, Duration::ZERO, Note::then(4, Then::Fail)).await;
    let stray = store
        .write(After::new(Duration::ZERO, Stray))
        .await
        .unwrap();
    settled(&store).await;
    assert!(cancel(failing).await && cancel(stray).await);
}

/// Sets a timer and cancels another, in a mutation of the host's.
struct Host {
    cancel: Option<TimerId>,
    then: Then,
}

impl Mutation for Host {
    type Output = TimerId;

    fn apply(&self, tx: &WriteTx<'_>) -> Result<TimerId> {
        if let Some(timer_id) = self.cancel {
            assert!(tx.apply(&CancelTimer::new(timer_id))?);
        }
        let timer_id = tx.apply(&After::new(MINUTE, Note::new(7)))?;
        tx.apply(&At::new(tx.now(), Note::new(8)))?;
        tx.apply(&Note::then(9, self.then))?;
        Ok(timer_id)
    }
}

#[tokio::test]
async fn a_timer_that_a_mutation_sets_is_there_if_that_commits() {
    for then in [Then::Fail, Then::Panic, Then::Succeed] {
        let store = note_store().await;
        let before = after(&store, HOUR, Note::new(1)).await;
        let cancel = Some(before);
        // In one batch with others, of which it must not undo anything.
        let (neighbour, host) = tokio::join!(
            store.write(After::new(HOUR, Note::new(2))),
            store.write(Host { cancel, then })
        );
        neighbour.unwrap();
        let worked = then == Then::Succeed;
        assert_eq!(host.is_ok(), worked);
        store.clock().advance(2 * HOUR);
        settled(&store).await;
        let expected: &[i64] = if worked { &[2, 7, 8, 9] } else { &[1, 2] };
        assert_eq!(numbers(&store).await, expected, "{then:?}");
    }
}

/// Sets the next one, as a reminder that comes again does.
#[derive(Serialize, Deserialize)]
struct Again {
    left: i64,
}

impl Timer for Again {
    const NAME: &'static str = "again";
}

impl Mutation for Again {
    type Output = ();

    fn apply(&self, tx: &WriteTx<'_>) -> Result<()> {
        tx.apply(&Note::new(self.left))?;
        let left = self.left - 1;
        match left {
            0 => Ok(()),
            _ => tx.apply(&After::new(HOUR, Self { left })).map(drop),
        }
    }
}

#[tokio::test]
async fn a_timer_may_set_the_next_one() {
    let store = probe_store(|config| config.timer::<Again>()).await;
    store
        .write(After::new(HOUR, Again { left: 3 }))
        .await
        .unwrap();
    for expected in [&[3][..], &[2, 3], &[1, 2, 3], &[1, 2, 3]] {
        store.clock().advance(HOUR);
        settled(&store).await;
        settled(&store).await;
        assert_eq!(numbers(&store).await, expected);
    }
}

#[tokio::test]
async fn timers_are_listed_newest_first_by_page_and_by_name() {
    let store = note_store().await;
    let mut set = Vec::new();
    for number in 0..30 {
        let minutes = (number * 7 % 30) as u32;
        set.push(after(&store, minutes * MINUTE + HOUR, Note::new(number)).await);
        store.write(After::new(HOUR, Stray)).await.unwrap();
    }
    let (mut page, mut found) = (PageRequest::first(7), Vec::new());
    loop {
        let timers = Timers::new().name(Note::NAME).page(page.clone());
        let listed = store.read(timers).await.unwrap();
        found.extend(listed.items.into_iter().map(|timer| timer.timer_id));
        let Some(next) = listed.next else { break };
        page = page.after(next);
    }
    set.reverse();
    assert_eq!(found, set);
    let all = pending(&store).await;
    assert_eq!(all.len(), 60);
    let newest = &all[1];
    assert_eq!(
        newest.message,
        Some(serde_json::json!({ "number": 29, "then": "Succeed" }))
    );
    assert_eq!(
        (newest.created_at, newest.try_at),
        (store.now(), Some(newest.due_at))
    );
}
