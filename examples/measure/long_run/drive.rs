//! The run: sends what arrives, takes the answers, and ends a row when its time is up.

use crate::bot::{Answer, Bot, Done};
use crate::clock::FastClock;
use crate::plan::{self, Plan};
use crate::report;
use crate::rows::{Row, Stopwatches};
use crate::watch::{Sample, Watch};
use crate::{Args, Failure};
use botstore::Store;
use botstore_measure::arrivals::{Arrivals, TICK};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// How much longer a run may take on a machine that is too busy for what it has to show: a short one goes
/// on until there was a backup, and sessions expired.
const PATIENCE: Duration = Duration::from_secs(300);

/// Interactions of the time before the run that are on their way at once.
const AT_ONCE: usize = 64;

/// Everything that came of it.
pub(crate) struct Driven {
    pub(crate) rows: Vec<Row>,
    pub(crate) samples: Vec<Sample>,
    pub(crate) acknowledged: Acknowledged,
    /// Interactions sent, and sessions begun.
    pub(crate) sent: u64,
    pub(crate) sessions: u64,
    /// Arrivals that could not be made in time.
    pub(crate) missed: u64,
    pub(crate) longest_backup: Duration,
    pub(crate) complaints: Vec<String>,
}

impl Driven {
    /// How often the WAL started over in the run.
    pub(crate) fn wal_restarts(&self) -> u64 {
        self.rows.last().map_or(0, |row| row.seen.wal_restarts)
    }
}

/// Which interactions were acknowledged: a bit for each, so that remembering takes no memory to
/// speak of.
#[derive(Default)]
pub(crate) struct Acknowledged(Vec<u64>);

impl Acknowledged {
    fn put(&mut self, number: u64) {
        let word = (number / 64) as usize;
        if word >= self.0.len() {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= 1 << (number % 64);
    }

    pub(crate) fn has(&self, number: u64) -> bool {
        let word = self.0.get((number / 64) as usize);
        word.is_some_and(|word| word & (1 << (number % 64)) != 0)
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.iter().map(|word| u64::from(word.count_ones())).sum()
    }
}

pub(crate) async fn drive(
    args: &Args,
    plan: &Plan,
    clock: &FastClock,
    store: &Store,
) -> Result<Driven, Failure> {
    let bot = Bot::sign_up(store, args, plan.idle).await?;
    let watch = Watch::new(store, clock.clone());
    let mut driver = Driver {
        bot,
        watch,
        tasks: JoinSet::new(),
        stopwatches: Stopwatches::new(),
        acknowledged: Acknowledged::default(),
        complaints: Vec::new(),
        missed: 0,
    };
    driver.make_history(args.history, clock).await?;
    let rate = f64::from(args.rate);
    driver.go_on(rate, plan.warm_up).await?;
    driver.missed = 0;
    driver.stopwatches = Stopwatches::new();
    driver.watch.begin();
    let mut rows: Vec<Row> = Vec::new();
    let parts = (plan.row.as_nanos() / plan.part.as_nanos()) as u32;
    let started = Instant::now();
    // The last row is as long as the others, so that they can be compared.
    while started.elapsed() + plan.row / 2 < plan.span
        || (!has_shown_all(&rows) && started.elapsed() < plan.span + PATIENCE)
    {
        for _ in 0..parts {
            driver.go_on(rate, plan.part).await?;
            driver.stopwatches.end_part();
        }
        let seen = driver.watch.end_row();
        let row = driver.stopwatches.end_row(seen);
        report::print_row(rows.len() + 1, &row);
        rows.push(row);
    }
    driver.finish(rows).await
}

/// Whether each thing that comes now and then has come.
fn has_shown_all(rows: &[Row]) -> bool {
    rows.iter().any(|row| row.seen.backups > 0) && rows.iter().any(|row| row.seen.expired > 0)
}

struct Driver {
    bot: Bot,
    watch: Watch,
    tasks: JoinSet<Done>,
    stopwatches: Stopwatches,
    acknowledged: Acknowledged,
    complaints: Vec<String>,
    missed: u64,
}

impl Driver {
    /// Saves the interactions of the month before the run, as fast as they are taken.
    async fn make_history(&mut self, interactions: u64, clock: &FastClock) -> Result<(), Failure> {
        while self.bot.sent < interactions {
            self.bot.save_early(&mut self.tasks);
            clock.skip(plan::MONTH.div_f64(interactions as f64));
            if self.tasks.len() >= AT_ONCE
                && let Some(done) = self.tasks.join_next().await
            {
                self.take(done?);
            }
            self.watch.look().await?;
        }
        while let Some(done) = self.tasks.join_next().await {
            self.take(done?);
        }
        self.bot.part();
        Ok(())
    }

    /// Has requests arrive for a while.
    async fn go_on(&mut self, rate: f64, span: Duration) -> Result<(), Failure> {
        let mut arrivals = Arrivals::new(rate, span);
        while !arrivals.is_over() {
            for (_, due) in arrivals.tick() {
                self.bot.send(due, &mut self.tasks);
            }
            self.stopwatches.record_late(arrivals.late());
            while let Some(done) = self.tasks.try_join_next() {
                self.take(done?);
            }
            self.watch.look().await?;
            // The main thread, which runs none of the tasks, and wakes up more exactly than a timer of
            // the runtime's.
            std::thread::sleep(TICK);
        }
        self.missed += arrivals.missed();
        Ok(())
    }

    fn take(&mut self, done: Done) {
        match done.answer {
            Ok(answer) => {
                self.stopwatches.record(done.kind, done.took);
                if let Answer::Saved {
                    number,
                    user,
                    opened,
                } = answer
                {
                    self.acknowledged.put(number);
                    self.bot.note(user, opened);
                }
            }
            Err(error) if self.complaints.len() < 20 => {
                self.complaints.push(format!("{:?}: {error}", done.kind));
            }
            Err(_) => {}
        }
    }

    /// Waits for what is still on its way.
    async fn finish(mut self, rows: Vec<Row>) -> Result<Driven, Failure> {
        while let Some(done) = self.tasks.join_next().await {
            self.take(done?);
        }
        self.complaints.append(&mut self.watch.complaints);
        Ok(Driven {
            rows,
            samples: self.watch.samples,
            acknowledged: self.acknowledged,
            sent: self.bot.sent,
            sessions: self.bot.sessions,
            missed: self.missed,
            longest_backup: self.watch.longest_backup,
            complaints: self.complaints,
        })
    }
}
