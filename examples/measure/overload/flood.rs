//! The overload: requests that arrive by the clock.

use crate::Failure;
use crate::calm::Capacity;
use crate::mix::{Answer, Bot, Kind, Manner, Receipts};
use botstore::interactions::Receipt;
use botstore::{Error, ErrorKind, Result};
use botstore_measure::arrivals::{Arrivals, TICK};
use botstore_measure::figures::{latencies, record};
use hdrhistogram::Histogram;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::{JoinHandle, JoinSet};

/// What became of the requests of one kind.
pub(crate) struct Side {
    /// Of those that were taken in, from their arrival to their answer.
    pub(crate) accepted: Histogram<u64>,
    /// Of those that asked to be told.
    pub(crate) overloaded: Histogram<u64>,
    /// How many of those taken in had asked to be told, and how many were to wait.
    pub(crate) tried: u64,
    pub(crate) waited: u64,
    /// Those that the host did not let wait.
    pub(crate) turned_away: u64,
}

impl Side {
    fn new() -> Self {
        Self {
            accepted: latencies(),
            overloaded: latencies(),
            tried: 0,
            waited: 0,
            turned_away: 0,
        }
    }

    pub(crate) fn arrived(&self) -> u64 {
        self.accepted.len() + self.overloaded.len() + self.turned_away
    }
}

/// What became of all of them.
pub(crate) struct Flood {
    pub(crate) writes: Side,
    pub(crate) reads: Side,
    pub(crate) receipts: Receipts,
    /// Arrivals that could not be made in time.
    pub(crate) missed: u64,
    /// Answers that were neither a success nor `Overloaded`.
    pub(crate) complaints: Vec<String>,
    pub(crate) took: Duration,
}

impl Flood {
    fn side(&mut self, kind: Kind) -> &mut Side {
        match kind {
            Kind::Write => &mut self.writes,
            Kind::Read => &mut self.reads,
        }
    }
}

/// An overload that goes on.
pub(crate) struct Flooding {
    /// When the last request had arrived.
    pub(crate) ended: oneshot::Receiver<Instant>,
    /// What became of them, when all are answered.
    pub(crate) flood: JoinHandle<Result<Flood, Failure>>,
}

/// Begins an overload with so many times what the machine can do, of each kind. It has a thread of its own: a clock that shares the runtime's threads with
/// the answers would slow down with them.
pub(crate) fn run(bot: &Bot, capacity: &Capacity, times: u32, span: Duration) -> Flooding {
    let (tell_ended, ended) = oneshot::channel();
    let (bot, runtime) = (bot.clone(), Handle::current());
    let per_second = capacity.per_second() * f64::from(times);
    let write_share = capacity.of(Kind::Write) / capacity.per_second();
    let flood = tokio::task::spawn_blocking(move || {
        let mut host = Host::new(bot, runtime.clone(), write_share);
        let mut arrivals = Arrivals::new(per_second, span);
        let started = Instant::now();
        while !arrivals.is_over() {
            for (number, due) in arrivals.tick() {
                host.arrive(number, due);
            }
            host.take_answers();
            std::thread::sleep(TICK);
        }
        host.flood.took = started.elapsed();
        host.flood.missed = arrivals.missed();
        // Nobody listens when the other side has failed, which then tells why.
        let _ = tell_ended.send(Instant::now());
        runtime.block_on(host.finish())
    });
    Flooding { ended, flood }
}

/// One request that was taken in, when it has its answer.
struct Done {
    kind: Kind,
    manner: Manner,
    number: u64,
    took: Duration,
    answer: Result<Option<Receipt>>,
}

/// A host in the flood: it lets a bounded number of its tasks wait for the store.
struct Host {
    bot: Bot,
    runtime: Handle,
    /// The share of arrivals that write.
    write_share: f64,
    /// Room for waiting writes, and for waiting reads.
    room: [Arc<Semaphore>; 2],
    tasks: JoinSet<Done>,
    flood: Flood,
}

impl Host {
    fn new(bot: Bot, runtime: Handle, write_share: f64) -> Self {
        let waiting = bot.args().waiting as usize;
        Self {
            bot,
            runtime,
            write_share,
            room: std::array::from_fn(|_| Arc::new(Semaphore::new(waiting))),
            tasks: JoinSet::new(),
            flood: Flood {
                writes: Side::new(),
                reads: Side::new(),
                receipts: Receipts::new(),
                missed: 0,
                complaints: Vec::new(),
                took: Duration::ZERO,
            },
        }
    }

    fn arrive(&mut self, arrival: u64, due: Instant) {
        let writes_by = |arrivals: u64| (arrivals as f64 * self.write_share) as u64;
        let writes_before = writes_by(arrival);
        let (kind, before) = match writes_by(arrival + 1) > writes_before {
            true => (Kind::Write, writes_before),
            false => (Kind::Read, arrival - writes_before),
        };
        match before % 2 {
            0 => self.offer(kind, arrival, due),
            _ => self.let_wait(kind, arrival, due),
        }
    }

    /// Sends a request that wants to be told. `Overloaded` comes without waiting for anybody, so it
    /// is here when the request was polled once, and costs no task.
    fn offer(&mut self, kind: Kind, arrival: u64, due: Instant) {
        let number = self.number_for(kind, arrival);
        let mut answer = self.bot.ask(kind, Manner::Try, number);
        let asked = Instant::now();
        let at_once = answer
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()));
        match at_once {
            Poll::Pending => self.spawn(kind, Manner::Try, number, due, answer),
            Poll::Ready(Err(error)) if error.kind() == ErrorKind::Overloaded => {
                record(&mut self.flood.side(kind).overloaded, asked.elapsed());
                if kind == Kind::Write {
                    self.bot.take_back();
                }
            }
            Poll::Ready(answer) => self.note(Done {
                kind,
                manner: Manner::Try,
                number,
                took: due.elapsed(),
                answer,
            }),
        }
    }

    /// Sends a request that waits, if the host has room for one more.
    fn let_wait(&mut self, kind: Kind, arrival: u64, due: Instant) {
        let room = Arc::clone(&self.room[usize::from(kind == Kind::Read)]);
        let Ok(place) = room.try_acquire_owned() else {
            self.flood.side(kind).turned_away += 1;
            return;
        };
        let number = self.number_for(kind, arrival);
        let answer = self.bot.ask(kind, Manner::Wait, number);
        let held = Box::pin(async move {
            let answer = answer.await;
            drop(place);
            answer
        });
        self.spawn(kind, Manner::Wait, number, due, held);
    }

    fn number_for(&self, kind: Kind, arrival: u64) -> u64 {
        match kind {
            Kind::Write => self.bot.number(),
            Kind::Read => arrival,
        }
    }

    fn spawn(&mut self, kind: Kind, manner: Manner, number: u64, due: Instant, answer: Answer) {
        let task = async move {
            let answer = answer.await;
            Done {
                kind,
                manner,
                number,
                took: due.elapsed(),
                answer,
            }
        };
        self.tasks.spawn_on(task, &self.runtime);
    }

    fn take_answers(&mut self) {
        while let Some(done) = self.tasks.try_join_next() {
            match done {
                Ok(done) => self.note(done),
                Err(error) => self.complain(error.to_string()),
            }
        }
    }

    fn note(&mut self, done: Done) {
        let side = self.flood.side(done.kind);
        match done.answer {
            Ok(receipt) => {
                record(&mut side.accepted, done.took);
                match done.manner {
                    Manner::Try => side.tried += 1,
                    Manner::Wait => side.waited += 1,
                }
                let receipt = receipt.map(|receipt| (done.number, receipt));
                self.flood.receipts.extend(receipt);
            }
            Err(error) => self.complain(complaint(done.kind, done.manner, &error)),
        }
    }

    fn complain(&mut self, complaint: String) {
        if self.flood.complaints.len() < 20 {
            self.flood.complaints.push(complaint);
        }
    }

    /// Waits for the answers of all that was taken in.
    async fn finish(mut self) -> Result<Flood, Failure> {
        while let Some(done) = self.tasks.join_next().await {
            self.note(done?);
        }
        Ok(self.flood)
    }
}

fn complaint(kind: Kind, manner: Manner, error: &Error) -> String {
    format!("{kind:?}, {manner:?}: {error}")
}
