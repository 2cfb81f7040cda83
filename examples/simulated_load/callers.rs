//! The callers: each sends a request, waits for its answer, and sends the next.

use crate::backup::{self, Taken};
use crate::limits::{Asked, Limits};
use crate::{Args, Failure, script};
use botstore::Usd;
use botstore::interactions::Receipt;
use botstore::messages::SessionMessages;
use botstore::page::PageRequest;
use botstore::sessions::{CreateSession, GetSession};
use botstore::users::{EnsureUser, GetUser, SetAllowed};
use botstore::{ErrorKind, Store};
use hdrhistogram::Histogram;
use indicatif::{ProgressBar, ProgressStyle};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// One request in this many is sent twice, and one is wrong.
const ONE_IN: u64 = 100;

/// What was acknowledged, and how long it took.
pub(crate) struct Run {
    /// The receipt of each interaction, by its number.
    pub(crate) receipts: Vec<Option<Receipt>>,
    /// Latencies in nanoseconds.
    pub(crate) writes: Histogram<u64>,
    pub(crate) reads: Histogram<u64>,
    pub(crate) took: Duration,
    pub(crate) redelivered: u64,
    pub(crate) refused: u64,
    /// The largest size of the WAL that was seen, in bytes.
    pub(crate) wal_peak: u64,
    /// Answers that were not what the promise says.
    pub(crate) complaints: Vec<String>,
    /// What was asked for and granted, with `--limits`.
    pub(crate) asked: Asked,
    /// The backup that was made meanwhile, if one was asked for.
    pub(crate) backup: Option<Taken>,
}

/// One caller's part.
struct Part {
    receipts: Vec<(u64, Receipt)>,
    /// Latencies in nanoseconds.
    writes: Vec<u64>,
    reads: Vec<u64>,
    redelivered: u64,
    refused: u64,
    asked: Asked,
    complaints: Vec<String>,
}

/// What callers share.
struct Shared {
    args: Args,
    store: Store,
    next: AtomicU64,
    /// The last message that was acknowledged: its id.
    last: AtomicI64,
    bar: ProgressBar,
}

pub(crate) async fn run(args: &Args, store: &Store) -> Result<Run, Failure> {
    sign_up(args, store).await?;
    if args.limits {
        Limits::of(args).set(store).await?;
    }

    let bar = ProgressBar::new(args.interactions);
    bar.set_style(ProgressStyle::with_template(
        "{bar:40} {human_pos}/{human_len} interactions, {per_sec}",
    )?);
    let shared = Arc::new(Shared {
        args: args.clone(),
        store: store.clone(),
        next: AtomicU64::new(0),
        last: AtomicI64::new(0),
        bar,
    });
    let backup = args
        .backup
        .then(|| tokio::spawn(back_up(Arc::clone(&shared))));
    let started = Instant::now();
    let mut callers = JoinSet::new();
    for caller in 0..args.callers {
        callers.spawn(call(Arc::clone(&shared), caller));
    }
    let wal = store.path().with_extension("db-wal");
    let mut wal_peak = 0;
    let mut look = tokio::time::interval(Duration::from_millis(50));
    let mut parts = Vec::new();
    loop {
        tokio::select! {
            part = callers.join_next() => match part {
                Some(part) => parts.push(part?),
                None => break,
            },
            _ = look.tick() => {
                wal_peak = wal_peak.max(std::fs::metadata(&wal).map_or(0, |data| data.len()));
            }
        }
    }
    let took = started.elapsed();
    shared.bar.finish_and_clear();

    let mut run = Run {
        receipts: vec![None; args.interactions as usize],
        writes: latencies(),
        reads: latencies(),
        took,
        redelivered: 0,
        refused: 0,
        wal_peak,
        asked: Asked::default(),
        complaints: Vec::new(),
        backup: match backup {
            Some(backup) => Some(backup.await??),
            None => None,
        },
    };
    for part in parts {
        part.writes
            .iter()
            .for_each(|&nanos| run.writes.saturating_record(nanos));
        part.reads
            .iter()
            .for_each(|&nanos| run.reads.saturating_record(nanos));
        run.redelivered += part.redelivered;
        run.refused += part.refused;
        run.asked.add(part.asked);
        run.complaints.extend(part.complaints);
        for (number, receipt) in part.receipts {
            run.receipts[number as usize] = Some(receipt);
        }
    }
    Ok(run)
}

/// Makes a backup when a quarter of the interactions is on its way.
async fn back_up(shared: Arc<Shared>) -> Result<Taken, Failure> {
    while shared.next.load(Relaxed) < shared.args.interactions / 4 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    backup::take(&shared.store, || shared.last.load(Relaxed)).await
}

/// Creates the users and their sessions. Not measured.
async fn sign_up(args: &Args, store: &Store) -> Result<(), Failure> {
    let mut tasks = JoinSet::new();
    for user in 0..args.users {
        let store = store.clone();
        tasks.spawn(async move {
            let user_id = script::user_id(user);
            let name = format!("user_{user}");
            store.write(EnsureUser::new(user_id, name.as_str())).await?;
            let allowed = SetAllowed::allow(user_id);
            store.write(allowed).await?;
            let session = CreateSession::new(
                user_id,
                script::session_id(user),
                format!("/srv/project-{}", user % 50),
            );
            store.write(session).await
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(())
}

async fn call(shared: Arc<Shared>, caller: u32) -> Part {
    let args = &shared.args;
    let mut part = Part {
        receipts: Vec::new(),
        writes: Vec::new(),
        reads: Vec::new(),
        redelivered: 0,
        refused: 0,
        asked: Asked::default(),
        complaints: Vec::new(),
    };
    let mut dice = fastrand::Rng::with_seed(args.seed.wrapping_add(u64::from(caller) << 32));
    loop {
        if args.think_ms > 0 {
            tokio::time::sleep(Duration::from_millis(args.think_ms)).await;
        }
        if dice.f64() < args.read_share {
            // Readers stop when the writers do.
            if shared.next.load(Relaxed) >= args.interactions {
                return part;
            }
            part.read(&shared, &mut dice).await;
            continue;
        }
        let number = shared.next.fetch_add(1, Relaxed);
        if number >= args.interactions {
            return part;
        }
        part.save(&shared, number).await;
        shared.bar.inc(1);
    }
}

impl Part {
    async fn save(&mut self, shared: &Shared, number: u64) {
        let Shared { args, store, .. } = shared;
        let mut interaction = script::interaction(args.seed, number, args.users);
        if args.limits {
            let asked = &mut self.asked;
            let reserved = asked.reserve(store, args.seed, number, &interaction).await;
            let Some(reservation) = reserved else { return };
            interaction = interaction.reservation(reservation);
        }
        let again = (number % ONE_IN == 1).then(|| interaction.clone());
        let wrong = (number % ONE_IN == 2).then(|| interaction.clone());

        let sent = Instant::now();
        let answer = store.write(interaction).await;
        self.writes.push(sent.elapsed().as_nanos() as u64);
        let receipt = match answer {
            Ok(receipt) => receipt,
            Err(error) => {
                return self
                    .complaints
                    .push(format!("interaction {number}: {error}"));
            }
        };
        shared.last.fetch_max(receipt.message_id.get(), Relaxed);
        if args.limits {
            self.asked.settled(number, &receipt);
        }
        if let Some(again) = again {
            self.redelivered += 1;
            let mut first = receipt.clone();
            // The second settles nothing.
            first.reservation = None;
            match store.write(again).await {
                Ok(second) if second == first.repeated() => {}
                other => self
                    .complaints
                    .push(format!("interaction {number}, redelivered: {other:?}")),
            }
        }
        if let Some(mut wrong) = wrong {
            self.refused += 1;
            (wrong.idempotency_key, wrong.reservation) = (None, None);
            // In turn: refused before anything is written, and after half of it is.
            let expected = if number % (2 * ONE_IN) == 2 {
                wrong.cost = Usd::from_nanos(-1);
                ErrorKind::Invalid
            } else {
                wrong.session_id = "nobody's".into();
                ErrorKind::NotFound
            };
            match store.write(wrong).await {
                Err(error) if error.kind() == expected => {}
                other => self
                    .complaints
                    .push(format!("a wrong interaction after {number}: {other:?}")),
            }
        }
        self.receipts.push((number, receipt));
    }

    async fn read(&mut self, shared: &Shared, dice: &mut fastrand::Rng) {
        let user = dice.u32(..shared.args.users);
        let user_id = script::user_id(user);
        let session_id = script::session_id(user);
        let store = &shared.store;
        let sent = Instant::now();
        let found = match dice.u8(..3) {
            0 => store.read(GetUser::new(user_id)).await.map(|u| u.is_some()),
            1 => {
                let session = GetSession::new(user_id, session_id);
                store.read(session).await.map(|s| s.is_some())
            }
            _ => {
                let page = PageRequest::first(10);
                let messages = SessionMessages::new(user_id, session_id).page(page);
                store
                    .read(messages)
                    .await
                    .map(|page| page.items.len() <= 10)
            }
        };
        self.reads.push(sent.elapsed().as_nanos() as u64);
        if !matches!(found, Ok(true)) {
            self.complaints
                .push(format!("a read of user {user}: {found:?}"));
        }
    }
}

/// Up to ten minutes, in nanoseconds, to three digits.
pub(crate) fn latencies() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 600_000_000_000, 3).expect("these bounds are allowed")
}
