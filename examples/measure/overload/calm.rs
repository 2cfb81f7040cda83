//! What surrounds the overload: what the machine can do, what a lone request takes before, and how
//! long after it a lone request takes no more than that again.

use crate::Failure;
use crate::flood::{Flood, Flooding};
use crate::mix::{Bot, Kind, Manner, Receipts};
use botstore_measure::figures::{latencies, record};
use hdrhistogram::Histogram;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Callers of each kind that measure the capacity: enough to fill a group.
const CALLERS: u32 = 128;

/// Lone requests of each kind.
const LONE: u32 = 50;

/// A lone request counts as normal up to this many medians of those before the overload…
const MEDIANS: u32 = 10;

/// …and up to this in any case: a disk's sync may take that long on an idle store too.
const NORMAL: Duration = Duration::from_millis(50);

/// What the machine can do, in answers a second.
pub(crate) struct Capacity {
    pub(crate) writes: f64,
    pub(crate) reads: f64,
    pub(crate) receipts: Receipts,
}

impl Capacity {
    pub(crate) fn per_second(&self) -> f64 {
        self.writes + self.reads
    }

    pub(crate) fn of(&self, kind: Kind) -> f64 {
        match kind {
            Kind::Write => self.writes,
            Kind::Read => self.reads,
        }
    }
}

/// Has callers write and read for a while, each waiting for its answer.
pub(crate) async fn capacity(bot: &Bot, span: Duration) -> Result<Capacity, Failure> {
    let started = Instant::now();
    let mut callers = JoinSet::new();
    for kind in [Kind::Write, Kind::Read].repeat(CALLERS as usize) {
        let bot = bot.clone();
        callers.spawn(async move {
            let (mut receipts, mut answers) = (Receipts::new(), 0_u64);
            while started.elapsed() < span {
                let number = number_for(&bot, kind, answers);
                let receipt = bot.ask(kind, Manner::Wait, number).await?;
                receipts.extend(receipt.map(|receipt| (number, receipt)));
                answers += 1;
            }
            Ok::<_, botstore::Error>((kind, answers, receipts))
        });
    }
    let mut capacity = Capacity {
        writes: 0.0,
        reads: 0.0,
        receipts: Receipts::new(),
    };
    while let Some(done) = callers.join_next().await {
        let (kind, answers, receipts) = done??;
        capacity.receipts.extend(receipts);
        match kind {
            Kind::Write => capacity.writes += answers as f64,
            Kind::Read => capacity.reads += answers as f64,
        }
    }
    let took = started.elapsed().as_secs_f64();
    capacity.writes /= took;
    capacity.reads /= took;
    Ok(capacity)
}

/// An interaction has a number that nothing else has; a read, whatever spreads over the users.
fn number_for(bot: &Bot, kind: Kind, otherwise: u64) -> u64 {
    match kind {
        Kind::Write => bot.number(),
        Kind::Read => otherwise,
    }
}

/// What requests take on a store that has nothing else to do.
pub(crate) struct Alone {
    pub(crate) writes: Histogram<u64>,
    pub(crate) reads: Histogram<u64>,
    pub(crate) receipts: Receipts,
}

impl Alone {
    /// The longest that still counts as normal.
    pub(crate) fn normal(&self, kind: Kind) -> Duration {
        let latencies = match kind {
            Kind::Write => &self.writes,
            Kind::Read => &self.reads,
        };
        let median = Duration::from_micros(latencies.value_at_quantile(0.5));
        (median * MEDIANS).max(NORMAL)
    }
}

pub(crate) async fn alone(bot: &Bot) -> Result<Alone, Failure> {
    let mut alone = Alone {
        writes: latencies(),
        reads: latencies(),
        receipts: Receipts::new(),
    };
    for at in 0..LONE {
        for kind in [Kind::Write, Kind::Read] {
            let number = number_for(bot, kind, u64::from(at));
            let asked = Instant::now();
            let receipt = bot.ask(kind, Manner::Wait, number).await?;
            let latencies = match kind {
                Kind::Write => &mut alone.writes,
                Kind::Read => &mut alone.reads,
            };
            record(latencies, asked.elapsed());
            let receipt = receipt.map(|receipt| (number, receipt));
            alone.receipts.extend(receipt);
        }
    }
    Ok(alone)
}

/// How long after the last arrival a lone request had its answer in normal time again.
pub(crate) struct Recovery {
    pub(crate) write: Duration,
    pub(crate) read: Duration,
    pub(crate) receipts: Receipts,
}

/// Waits for the end of the overload, and then for normal times. What the overload left behind is
/// answered meanwhile.
pub(crate) async fn recovery(
    bot: &Bot,
    alone: &Alone,
    flooding: Flooding,
) -> Result<(Flood, Recovery), Failure> {
    let Flooding { ended, flood } = flooding;
    let ended = ended.await?;
    let (write, read) = tokio::try_join!(
        until_normal(bot, Kind::Write, alone.normal(Kind::Write), ended),
        until_normal(bot, Kind::Read, alone.normal(Kind::Read), ended),
    )?;
    let recovery = Recovery {
        write: write.0,
        read: read.0,
        receipts: write.1,
    };
    Ok((flood.await??, recovery))
}

async fn until_normal(
    bot: &Bot,
    kind: Kind,
    normal: Duration,
    ended: Instant,
) -> Result<(Duration, Receipts), Failure> {
    let mut receipts = Receipts::new();
    loop {
        let number = number_for(bot, kind, receipts.len() as u64);
        let asked = Instant::now();
        let receipt = bot.ask(kind, Manner::Wait, number).await?;
        receipts.extend(receipt.map(|receipt| (number, receipt)));
        if asked.elapsed() <= normal {
            return Ok((ended.elapsed(), receipts));
        }
    }
}
