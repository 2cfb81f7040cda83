//! What the parts cost, each by itself: where to look when the whole (`examples/measure/ceiling`) is slow.
//!
//! ```text
//! cargo bench -p botstore-measure --bench parts
//! cargo bench -p botstore-measure --bench parts -- --quick writes
//! ```
//!
//! Where there is a `plain`, it is the same work by the same code on one connection of this thread
//! (`botstore::testing::Plain`), so the difference is what the actors cost or save.

use botstore::interactions::SaveInteraction;
use botstore::testing::{FixedClock, Plain, TestStore};
use botstore::users::{GetUser, User};
use botstore::{Config, Durability, Mutation, Query, ReadTx, Result, Store, WriteTx, time};
use botstore_measure::bot::{self, interaction};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::time::Duration;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

/// A change that changes nothing.
struct ChangeNothing;

impl Mutation for ChangeNothing {
    type Output = ();

    fn apply(&self, _: &WriteTx<'_>) -> Result<()> {
        Ok(())
    }
}

/// A user by id, from the file each time: a host's own question, whose answer no cache keeps.
struct FreshUser(GetUser);

impl Query for FreshUser {
    type Output = Option<User>;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Option<User>> {
        tx.query(&self.0)
    }
}

/// A question that asks nothing.
struct AskNothing;

impl Query for AskNothing {
    type Output = ();

    fn fetch(&self, _: &ReadTx<'_>) -> Result<()> {
        Ok(())
    }
}

/// Users with a session each, so that interactions have somebody to belong to.
struct SignUp;

impl Mutation for SignUp {
    type Output = ();

    fn apply(&self, tx: &WriteTx<'_>) -> Result<()> {
        bot::sign_up(tx)
    }
}

/// Batches of so many, one after the other.
fn batches(count: u64) -> impl FnMut() -> Vec<SaveInteraction> {
    let mut next = 0;
    move || {
        next += count;
        (next - count..next).map(interaction).collect()
    }
}

/// The caller's side: one thread, as in a bot whose handlers run on one actix arbiter.
fn caller() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime")
}

/// A store with users. Durability is `Normal`, so that a commit writes and does not wait for the
/// disk: the disk's share is the same on both sides, and it would hide ours.
fn store(caller: &Runtime) -> TestStore {
    caller
        .block_on(async {
            let store =
                TestStore::open_with(|config| config.durability(Durability::Normal)).await?;
            store.write(SignUp).await?;
            Ok::<_, botstore::Error>(store)
        })
        .expect("a store")
}

/// The same file on one connection, and the folder it is in. It checkpoints inside commits, as
/// plain rusqlite does by default.
fn plain() -> (Plain, TempDir) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = Config::new(folder.path().join("plain.db"))
        .clock(FixedClock::default())
        .durability(Durability::Normal);
    let plain = Plain::open(config).expect("a plain file");
    plain
        .connection()
        .pragma_update(None, "wal_autocheckpoint", 1_000)
        .expect("a pragma");
    plain.write(|tx| tx.apply(&SignUp)).expect("users");
    (plain, folder)
}

/// The way to a worker and back for one caller: a permit, the queue, waking the worker, an empty
/// transaction, the answer, waking the caller. What is above `plain` is mostly the waking of
/// threads; no group makes up for it here.
fn hand_off(c: &mut Criterion) {
    let caller = caller();
    let store = store(&caller);
    let (plain, _folder) = plain();
    let mut group = c.benchmark_group("hand-off");
    group.bench_function("write/store", |b| {
        b.to_async(&caller)
            .iter(async || store.write(ChangeNothing).await.expect("nothing"));
    });
    group.bench_function("write/plain", |b| {
        b.iter(|| {
            plain
                .write(|tx| tx.apply(&ChangeNothing))
                .expect("nothing written")
        });
    });
    group.bench_function("read/store", |b| {
        b.to_async(&caller)
            .iter(async || store.read(AskNothing).await.expect("nothing"));
    });
    group.finish();
}

/// Sends everything at once and waits for all the answers.
async fn send(store: Store, interactions: Vec<SaveInteraction>) {
    let mut answers = JoinSet::new();
    for interaction in interactions {
        let store = store.clone();
        answers.spawn(async move { store.write(interaction).await });
    }
    while let Some(answer) = answers.join_next().await {
        answer.expect("an answer").expect("a receipt");
    }
}

/// What groups give back: N callers at once, against one transaction made of the same N by hand.
/// At 1 the hand-off shows; from 16 on a group should carry it. `plain` copies the log into the file
/// within some of its commits and the store does so beside them, so the store may well be ahead.
fn writes(c: &mut Criterion) {
    let caller = caller();
    let mut group = c.benchmark_group("writes");
    for count in [1, 16, 64, 256] {
        // New files for each, so that no count writes into a larger file than another began with.
        let (store, (plain, _folder)) = (store(&caller), plain());
        group.throughput(Throughput::Elements(count));
        group.bench_function(BenchmarkId::new("store", count), |b| {
            let mut batch = batches(count);
            b.to_async(&caller).iter_batched(
                || (Store::clone(&store), batch()),
                |(store, batch)| send(store, batch),
                BatchSize::SmallInput,
            );
        });
        group.bench_function(BenchmarkId::new("plain", count), |b| {
            b.iter_batched(
                batches(count),
                |batch| {
                    plain
                        .write(|tx| batch.iter().try_for_each(|one| tx.apply(one).map(drop)))
                        .expect("a commit");
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

/// A user by id, again and again: the smallest question there is, so what is above `plain` is the
/// hand-off and the transaction of a read. Under load the hand-off is shared; see S7 of the ceiling.
fn point_reads(c: &mut Criterion) {
    let caller = caller();
    let store = store(&caller);
    let (plain, _folder) = plain();
    let user = || GetUser::new(500);
    let mut group = c.benchmark_group("point read");
    group.bench_function("store", |b| {
        b.to_async(&caller).iter(async || {
            let found = store.read(FreshUser(user())).await.expect("an answer");
            assert!(found.is_some());
        });
    });
    // Answered on the caller's side, since nothing has changed the user.
    group.bench_function("kept", |b| {
        b.to_async(&caller).iter(async || {
            let found = store.read(user()).await.expect("an answer");
            assert!(found.is_some());
        });
    });
    group.bench_function("plain", |b| {
        b.iter(|| {
            let found = plain.read(|tx| tx.query(&user())).expect("an answer");
            assert!(found.is_some());
        });
    });
    group.finish();
}

/// Times are text in the file: each row that is written formats a few and each row of a page that
/// is read parses some. The four spellings are those of files that are taken over; a migration
/// parses each of their rows once, and what is read later is in ours.
fn timestamps(c: &mut Criterion) {
    let now = time::parse("2026-03-10T15:30:00.123456+00:00").expect("a time");
    let mut group = c.benchmark_group("time");
    group.bench_function("format", |b| b.iter(|| time::format(black_box(now))));
    for (name, text) in [
        (
            "T, fraction, offset (ours)",
            "2026-03-10T15:30:00.123456+00:00",
        ),
        ("T, offset", "2026-03-10T15:30:00+00:00"),
        ("blank, fraction", "2026-03-10 15:30:00.123456"),
        ("blank", "2026-03-10 15:30:00"),
    ] {
        group.bench_function(BenchmarkId::new("parse", name), |b| {
            b.iter(|| time::parse(black_box(text)).expect("a time"));
        });
    }
    group.finish();
}

/// Short runs: the writes leave their rows in the file, and it should not outgrow the page caches
/// by much.
fn short() -> Criterion {
    Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .without_plots()
}

criterion_group! {
    name = parts;
    config = short();
    targets = hand_off, writes, point_reads, timestamps
}
criterion_main!(parts);
