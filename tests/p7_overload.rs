//! P7 under overload: ten times more requests than fit. Each gets an answer, nothing acknowledged is
//! missing, and neither the requests in flight nor the memory grow past the bounds.

mod common;

use botstore::interactions::SaveInteraction;
use botstore::messages::SessionMessages;
use botstore::page::PageRequest;
use botstore::rusqlite::ffi;
use botstore::sessions::CreateSession;
use botstore::testing::TestStore;
use botstore::testing::usd;
use botstore::users::EnsureUser;
use botstore::{Config, ErrorKind, Store, Write};
use common::{Probe, answered, hold_reader, hold_writer, patient, until};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use tokio::task::JoinSet;

const MIB: usize = 1024 * 1024;

/// The bounds of these stores: on requests, and on bytes.
const MOST: usize = 16;
const MOST_BYTES: usize = 4 * MIB;

/// What may be allocated at any moment while far more than this is sent to a store with these bounds:
/// what is in flight, what as many senders hold, its copies in SQLite, and the page caches. Whoever held
/// on to all would hold [`SENT`].
const GROWTH: usize = 80 * MIB;

/// How much is sent, in messages of a mebibyte.
const SENT: usize = 300;

/// Memory is the whole process's, and tests run side by side: whoever sends much does it alone.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

async fn small_store() -> TestStore {
    let store = TestStore::open_with(|config: Config| {
        patient(config)
            .schema::<Probe>()
            .max_in_flight(MOST)
            .max_in_flight_bytes(MOST_BYTES)
            .cache_bytes(MIB)
            .readers(1)
    })
    .await
    .unwrap();
    store.write(EnsureUser::new(1, None)).await.unwrap();
    let session = CreateSession::new(1, "s", "/");
    store.write(session).await.unwrap();
    store
}

fn saved(number: usize, bytes: usize) -> SaveInteraction {
    SaveInteraction::new(1, "s", format!("{number}:{}", "x".repeat(bytes))).cost(usd(0.25))
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

/// What health tells of requests in flight is within the bounds.
async fn is_within_bounds(store: &Store) {
    let health = store.health().await.unwrap();
    assert!(health.writer.in_flight <= MOST);
    assert!(health.writer.in_flight_bytes <= MOST_BYTES);
    assert!(health.interactive.in_flight <= MOST);
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
    let (mut answers, mut pages_refused, mut waited) = (Answers::default(), 0, 0);
    for round in 0..ROUNDS {
        // In the first round, until everything is sent, so that it is full for certain.
        let held = match round {
            0 => Some((hold_writer(&store).await, hold_reader(&store).await)),
            _ => None,
        };
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
                is_within_bounds(&writer).await;
                (number, answer)
            });
            let reader = Store::clone(&store);
            reads.spawn(async move {
                let page = PageRequest::first(3);
                let session_id = "s";
                let messages = SessionMessages::new(1, session_id).page(page);
                reader.try_read(messages).await
            });
        }
        if let Some(((writer, held_writer), (reader, held_reader))) = held {
            until("both are full", async || {
                let health = store.health().await.unwrap();
                (health.writer.in_flight, health.interactive.in_flight) == (MOST, MOST)
            })
            .await;
            assert!(store.health().await.unwrap().writer.in_flight_bytes > 0);
            is_within_bounds(&store).await;
            // All of the pages that have no room are refused, and so are three in four of the writes.
            until("the others are refused", async || {
                while let Some(done) = reads.try_join_next() {
                    let refused = common::kind(done.unwrap());
                    assert_eq!(refused, ErrorKind::Overloaded);
                    pages_refused += 1;
                }
                pages_refused == 9 * MOST + 1
            })
            .await;
            writer.release();
            reader.release();
            held_writer.await.unwrap().unwrap();
            held_reader.await.unwrap().unwrap();
        }
        while let Some(done) = answered(writes.join_next()).await {
            let (number, answer) = done.unwrap();
            answers.note(number, answer);
        }
        while let Some(done) = answered(reads.join_next()).await {
            match done.unwrap() {
                Ok(page) => assert!(page.items.len() <= 3),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Overloaded);
                    pages_refused += 1;
                }
            }
        }
    }
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

/// Counts what the program has allocated, which its resident memory only follows: that also tells of what
/// the allocator keeps for each thread, and of which thread did what.
struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

static ALLOCATED: AtomicUsize = AtomicUsize::new(0);
static MOST_ALLOCATED: AtomicUsize = AtomicUsize::new(0);

// SAFETY: it is the system's allocator that does it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = ALLOCATED.fetch_add(layout.size(), Relaxed) + layout.size();
        MOST_ALLOCATED.fetch_max(now, Relaxed);
        // SAFETY: as the caller promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        ALLOCATED.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as the caller promised.
        unsafe { System.dealloc(memory, layout) }
    }
}

/// What is allocated when this is made, by Rust and by SQLite.
struct Memory {
    rust: usize,
    sqlite: usize,
}

impl Memory {
    fn now() -> Self {
        let rust = ALLOCATED.load(Relaxed);
        MOST_ALLOCATED.store(rust, Relaxed);
        // SAFETY: it only reads and sets a counter of SQLite's.
        let sqlite = unsafe {
            ffi::sqlite3_memory_highwater(1);
            ffi::sqlite3_memory_used()
        };
        let sqlite = sqlite as usize;
        Self { rust, sqlite }
    }

    /// Held against what was allocated at any moment since then. The largest of the one need not have
    /// been at the same moment as that of the other.
    fn is_bounded(&self) {
        // SAFETY: it only reads a counter of SQLite's.
        let sqlite = unsafe { ffi::sqlite3_memory_highwater(0) } as usize;
        assert!(sqlite > 0, "SQLite counts its memory");
        let rust = MOST_ALLOCATED.load(Relaxed);
        let grown = rust.saturating_sub(self.rust) + sqlite.saturating_sub(self.sqlite);
        assert!(grown < GROWTH, "{} MiB more than before", grown / MIB);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn large_requests_that_find_no_room_take_no_memory_with_them() {
    let _alone = ALONE.lock().await;
    let memory = Memory::now();
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
    memory.is_bounded();
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
    memory.is_bounded();
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
        let sent = port.send(Write(saved(number, 1_000)));
        sending.spawn(async move { (number, sent.await.expect("the port lives")) });
    }
    let mut answers = Answers::default();
    // As many as may be in flight again stay at the port; the others are told so at once.
    while sending.len() > 2 * MOST {
        let next = answered(sending.join_next()).await;
        let (number, answer) = next.unwrap().unwrap();
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
    let memory = Memory::now();
    let store = small_store().await;
    let port = store.mutations();
    let (holding, held) = hold_writer(&store).await;
    for number in 0..SENT {
        port.do_send(Write(saved(number, MIB)));
        // A mailbox knows no bound of its own for such messages: a sender must let the port look. In
        // order: when this has its answer, the port has looked at everything before it.
        if number % 8 == 7 {
            let last = answered(port.send(Write(saved(SENT, 2 * MOST_BYTES)))).await;
            assert_eq!(common::kind(last.unwrap()), ErrorKind::Overloaded);
        }
    }
    memory.is_bounded();
    holding.release();
    held.await.unwrap().unwrap();
    until("what was taken in is carried out", async || {
        store.health().await.unwrap().writer.in_flight == 0
    })
    .await;
    nothing_is_left_and_a_write_passes(&store).await;
    let taken = kept(store).await.0.len();
    assert!(taken > 0 && taken * MIB <= 2 * MOST_BYTES, "{taken}");
}
