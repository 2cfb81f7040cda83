//! P7 under overload: ten times more requests than fit. Each gets an answer, nothing acknowledged is
//! missing, and neither the requests in flight nor the memory grow past the bounds.

mod common;

use botstore::interactions::SaveInteraction;
use botstore::messages::SessionMessages;
use botstore::page::PageRequest;
use botstore::sessions::CreateSession;
use botstore::testing::TestStore;
use botstore::users::EnsureUser;
use botstore::{Config, ErrorKind, Store};
use common::{Probe, hold_writer};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use tokio::task::{JoinHandle, JoinSet};

const MIB: usize = 1024 * 1024;

/// Longer than any of this takes; when it has passed, something hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// The bounds of these stores: on requests, and on bytes.
const MOST: usize = 16;
const MOST_BYTES: usize = 4 * MIB;

/// What the process may grow by while far more than this is sent to a store with these bounds: what
/// is in flight, what as many senders hold, its copies in SQLite and in the log's index, the page
/// caches, and what the allocator keeps. Whoever held on to all would hold [`SENT`].
const GROWTH: usize = 96 * MIB;

/// How much is sent, in messages of a mebibyte.
const SENT: usize = 300;

/// Memory is the whole process's, and tests run side by side: whoever sends much does it alone.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

async fn small_store() -> TestStore {
    let store = TestStore::open_with(|config: Config| {
        config
            .schema::<Probe>()
            .max_in_flight(MOST)
            .max_in_flight_bytes(MOST_BYTES)
            .cache_bytes(MIB)
            .readers(1)
    })
    .await
    .unwrap();
    store.write(EnsureUser::new(1, None)).await.unwrap();
    let session = CreateSession {
        session_id: "s".into(),
        user_id: 1,
        project_path: "/".into(),
    };
    store.write(session).await.unwrap();
    store
}

fn saved(number: usize, bytes: usize) -> SaveInteraction {
    SaveInteraction {
        user_id: 1,
        session_id: "s".into(),
        prompt: format!("{number}:{}", "x".repeat(bytes)),
        cost: 0.25,
        ..Default::default()
    }
}

/// The numbers in the closed file, in order, and what the counters of the user say.
async fn kept(store: TestStore) -> (Vec<usize>, i64, f64) {
    let (_folder, path) = store.into_file().await.unwrap();
    botstore::snapshot(&path, |tx| {
        let numbers = tx.all("SELECT substr(prompt, 1, 20) FROM messages", [], |row| {
            Ok(row.get::<_, String>(0)?)
        })?;
        let numbers = numbers.iter().map(|prompt| {
            let number = prompt.split(':').next().and_then(|n| n.parse().ok());
            number.expect("a number")
        });
        let mut numbers: Vec<usize> = numbers.collect();
        numbers.sort_unstable();
        let counters = "SELECT message_count, total_cost FROM users";
        let (count, cost) = tx.one(counters, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok((numbers, count, cost))
    })
    .unwrap()
}

/// The largest that health tells of writes, their bytes, and reads in flight.
fn watch(store: &Store, over: &Arc<AtomicBool>) -> JoinHandle<(usize, usize, usize)> {
    let (store, over) = (store.clone(), Arc::clone(over));
    tokio::spawn(async move {
        let mut most = (0, 0, 0);
        while !over.load(Relaxed) {
            let health = store.health().await.unwrap();
            most.0 = most.0.max(health.writer.in_flight);
            most.1 = most.1.max(health.writer.in_flight_bytes);
            most.2 = most.2.max(health.interactive.in_flight);
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
        most
    })
}

async fn nothing_is_left_and_a_write_passes(store: &Store) {
    let health = store.health().await.unwrap();
    assert!(health.ok);
    assert_eq!(health.writer.in_flight, 0);
    assert_eq!(health.writer.in_flight_bytes, 0);
    assert_eq!(health.writer.waiting, 0);
    assert_eq!(health.interactive.in_flight, 0);
    store.try_write(EnsureUser::new(1, None)).await.unwrap();
}

/// The answers to a flood: the numbers that were saved, and how many were told `Overloaded`.
#[derive(Default)]
struct Answers {
    saved: Vec<usize>,
    overloaded: usize,
}

impl Answers {
    fn note<T>(&mut self, number: usize, answer: botstore::Result<T>) {
        match answer {
            Ok(_) => self.saved.push(number),
            Err(error) if error.kind() == ErrorKind::Overloaded => self.overloaded += 1,
            Err(error) => panic!("{number}: {error}"),
        }
    }

    fn sorted(mut self) -> Self {
        self.saved.sort_unstable();
        self
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_times_what_fits_is_answered_and_nothing_acknowledged_is_missing() {
    const ROUNDS: usize = 30;
    let _alone = ALONE.lock().await;
    let store = small_store().await;
    let over = Arc::new(AtomicBool::new(false));
    let watching = watch(&store, &over);
    let (mut answers, mut pages_refused, mut waited) = (Answers::default(), 0, 0);
    for round in 0..ROUNDS {
        let (mut writes, mut reads) = (JoinSet::new(), JoinSet::new());
        for at in 0..10 * MOST {
            let number = round * 10 * MOST + at;
            let waits = at % 4 == 0;
            waited += usize::from(waits);
            let writer = Store::clone(&store);
            writes.spawn(async move {
                let save = saved(number, 1_000);
                let answer = match waits {
                    true => writer.write(save).await,
                    false => writer.try_write(save).await,
                };
                // Whoever waits is never told to come again.
                assert!(!waits || answer.is_ok(), "{answer:?}");
                (number, answer)
            });
            let reader = Store::clone(&store);
            reads.spawn(async move {
                let page = PageRequest::first(3);
                let session_id = "s".into();
                let messages = SessionMessages {
                    session_id,
                    user_id: 1,
                    page,
                };
                reader.try_read(messages).await
            });
        }
        let round = async {
            while let Some(done) = writes.join_next().await {
                let (number, answer) = done.unwrap();
                answers.note(number, answer);
            }
            while let Some(done) = reads.join_next().await {
                match done.unwrap() {
                    Ok(page) => assert!(page.items.len() <= 3),
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::Overloaded);
                        pages_refused += 1;
                    }
                }
            }
        };
        let answered = tokio::time::timeout(PATIENCE, round).await;
        answered.expect("everybody gets an answer");
    }
    over.store(true, Relaxed);
    let (writes, bytes, reads) = watching.await.unwrap();
    assert!(writes <= MOST && reads <= MOST, "{writes}, {reads}");
    assert!(writes > 0 && reads > 0 && bytes > 0);
    assert!(bytes <= MOST_BYTES);
    let answers = answers.sorted();
    assert!(answers.overloaded > 0 && pages_refused > 0);
    assert!(answers.saved.len() >= waited);
    assert_eq!(answers.saved.len() + answers.overloaded, ROUNDS * 10 * MOST);
    nothing_is_left_and_a_write_passes(&store).await;
    let (numbers, count, cost) = kept(store).await;
    assert_eq!(numbers, answers.saved);
    assert_eq!(count, numbers.len() as i64);
    assert_eq!(cost, 0.25 * numbers.len() as f64);
}

/// The resident memory of this process, where the system tells it.
fn memory() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kib: usize = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}

/// What the memory has grown by since it was `before`, held against the bound.
fn assert_bounded(before: usize) {
    let after = memory().expect("it was told before");
    let grown = after.saturating_sub(before);
    assert!(grown < GROWTH, "{} MiB more than before", grown / MIB);
}

#[tokio::test(flavor = "multi_thread")]
async fn large_requests_that_find_no_room_take_no_memory_with_them() {
    let _alone = ALONE.lock().await;
    let Some(before) = memory() else {
        return eprintln!("skipped: this system does not tell a process its memory");
    };
    let store = small_store().await;
    let (holding, held) = hold_writer(&store).await;
    // The writer takes nothing from the queue, so whatever the store takes in stays in memory.
    let mut tries = JoinSet::new();
    for number in 0..SENT {
        let sender = Store::clone(&store);
        let save = saved(number, MIB);
        tries.spawn(async move { (number, sender.try_write(save).await) });
        if tries.len() > MOST {
            tokio::task::yield_now().await;
        }
        // The senders of this test hold a bounded number, as those of a host must.
        while tries.len() > 2 * MOST {
            let (number, answer) = tries.join_next().await.unwrap().unwrap();
            assert_eq!(common::kind(answer), ErrorKind::Overloaded, "{number}");
        }
        let health = store.health().await.unwrap();
        assert!(health.writer.in_flight_bytes <= MOST_BYTES);
    }
    assert_bounded(before);
    holding.release();
    held.await.unwrap().unwrap();
    let mut answers = Answers::default();
    while let Some(done) = tries.join_next().await {
        let (number, answer) = done.unwrap();
        answers.note(number, answer);
    }
    // Three of them and a little fit.
    assert_eq!(answers.saved.len(), MOST_BYTES / MIB - 1);
    nothing_is_left_and_a_write_passes(&store).await;
    // Now with a writer that works, and senders that wait as well.
    let mut sending = JoinSet::new();
    for number in SENT..2 * SENT {
        let store = Store::clone(&store);
        let save = saved(number, MIB);
        sending.spawn(async move {
            let answer = match number % 2 {
                0 => store.try_write(save).await,
                _ => store.write(save).await,
            };
            (number, answer)
        });
        while sending.len() >= MOST {
            let (number, answer) = sending.join_next().await.unwrap().unwrap();
            answers.note(number, answer);
        }
    }
    while let Some(done) = sending.join_next().await {
        let (number, answer) = done.unwrap();
        answers.note(number, answer);
    }
    assert_bounded(before);
    nothing_is_left_and_a_write_passes(&store).await;
    let answers = answers.sorted();
    assert!(answers.saved.len() >= SENT / 2);
    assert_eq!(kept(store).await.0, answers.saved);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flooded_port_answers_everybody_and_keeps_what_it_acknowledged() {
    let _alone = ALONE.lock().await;
    let store = small_store().await;
    let port = store.mutations();
    let (holding, held) = hold_writer(&store).await;
    let mut sending = JoinSet::new();
    for number in 0..20 * MOST {
        let sent = port.send(saved(number, 1_000));
        sending.spawn(async move { (number, sent.await.expect("the port lives")) });
    }
    let mut answers = Answers::default();
    // As many as may be in flight again stay at the port; the others are told so at once.
    while sending.len() > 2 * MOST {
        let next = tokio::time::timeout(PATIENCE, sending.join_next()).await;
        let (number, answer) = next.expect("an answer").unwrap().unwrap();
        answers.note(number, answer);
    }
    assert!(answers.saved.is_empty());
    assert_eq!(store.health().await.unwrap().writer.in_flight, MOST);
    holding.release();
    held.await.unwrap().unwrap();
    while let Some(done) = sending.join_next().await {
        let (number, answer) = done.unwrap();
        answers.note(number, answer);
    }
    assert_eq!(answers.saved.len(), 2 * MOST);
    nothing_is_left_and_a_write_passes(&store).await;
    assert_eq!(kept(store).await.0, answers.sorted().saved);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_nobody_waits_for_do_not_pile_up_at_a_port() {
    let _alone = ALONE.lock().await;
    let Some(before) = memory() else {
        return eprintln!("skipped: this system does not tell a process its memory");
    };
    let store = small_store().await;
    let port = store.mutations();
    let (holding, held) = hold_writer(&store).await;
    for number in 0..SENT {
        port.do_send(saved(number, MIB));
        // A mailbox knows no bound of its own for such messages: a sender must let the port look.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // In order: when this has its answer, the port has looked at everything before it.
    let last = port.send(saved(SENT, MIB)).await.unwrap();
    assert_eq!(common::kind(last), ErrorKind::Overloaded);
    assert_bounded(before);
    holding.release();
    held.await.unwrap().unwrap();
    let whole = tokio::time::timeout(PATIENCE, async {
        while store.health().await.unwrap().writer.in_flight > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    whole.await.expect("what was taken in is carried out");
    nothing_is_left_and_a_write_passes(&store).await;
    let taken = kept(store).await.0.len();
    assert!(taken > 0 && taken * MIB <= 2 * MOST_BYTES, "{taken}");
}
