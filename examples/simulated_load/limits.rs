//! Limits of spending under load: each request is reserved before it is made, and in the end nobody has spent more than
//! the limits allow.

use crate::{Args, Failure};
use botstore::interactions::{Receipt, SaveInteraction};
use botstore::limits::{
    Amount, Decision, NamedBudgets, Per, Release, ReservationId, Reserve, Scope, SetLimit, Settled,
};
use botstore::rusqlite::{Connection, OpenFlags};
use botstore::{Store, Usd};
use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

/// What an interaction costs on average: see `script`.
const AVERAGE_COST: Usd = Usd::from_nanos(1_000 * (u16::MAX as i64) / 2);

/// One granted request in this many is not made: its reservation is released.
const RELEASED_ONE_IN: u64 = 100;

/// Longer than any request waits.
const EXPIRES_IN: Duration = Duration::from_secs(60 * 60);

/// What may be spent, for ever: a run may last past midnight.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    /// By all users together: half of what all requests would cost.
    pub(crate) everyone: Usd,
    /// By each user: twice as much as a user would spend on average. Few users send half of the requests.
    pub(crate) each: Usd,
}

impl Limits {
    pub(crate) fn of(args: &Args) -> Self {
        let all = AVERAGE_COST.nanos() * args.interactions.min(1_000_000_000) as i64;
        Self {
            everyone: Usd::from_nanos(all / 2),
            each: Usd::from_nanos(2 * all / i64::from(args.users)),
        }
    }

    pub(crate) async fn set(self, store: &Store) -> Result<(), Failure> {
        for (scope, max) in [
            (Scope::Everyone, self.everyone),
            (Scope::EachUser, self.each),
        ] {
            let limit = SetLimit::new(scope, Per::Ever, Amount::Cost(max));
            store.write(limit).await?;
        }
        Ok(())
    }
}

/// What a caller, or all of them, asked for and got.
#[derive(Default)]
pub(crate) struct Asked {
    /// Latencies of reservations in nanoseconds.
    pub(crate) latencies: Vec<u64>,
    pub(crate) granted: u64,
    pub(crate) denied: u64,
    pub(crate) released: u64,
    /// Answers that were not what the promise says.
    pub(crate) complaints: Vec<String>,
}

impl Asked {
    /// Reserves what an interaction may cost; nothing if it is not to be saved.
    pub(crate) async fn reserve(
        &mut self,
        store: &Store,
        seed: u64,
        number: u64,
        interaction: &SaveInteraction,
    ) -> Option<ReservationId> {
        let user_id = interaction.user_id;
        let estimate = estimate(seed, number, interaction.cost);
        let sent = Instant::now();
        let reserve = Reserve::new(user_id, estimate).expires_in(EXPIRES_IN);
        let decision = store.write(reserve).await;
        self.latencies.push(sent.elapsed().as_nanos() as u64);
        let reservation = match decision {
            Ok(Decision::Granted { reservation, .. }) => reservation,
            Ok(Decision::Denied { .. }) => {
                self.denied += 1;
                return None;
            }
            other => {
                let complaint = format!("the reservation for {number}: {other:?}");
                self.complaints.push(complaint);
                return None;
            }
        };
        if number % RELEASED_ONE_IN == 3 {
            self.released += 1;
            let release = Release::new(user_id, reservation);
            match store.write(release).await {
                Ok(true) => {}
                other => self
                    .complaints
                    .push(format!("the release of {number}: {other:?}")),
            }
            return None;
        }
        self.granted += 1;
        Some(reservation)
    }

    /// Notes what became of a reservation.
    pub(crate) fn settled(&mut self, number: u64, receipt: &Receipt) {
        if receipt.reservation != Some(Settled::InTime) {
            let became = receipt.reservation;
            self.complaints
                .push(format!("the reservation of {number} is {became:?}"));
        }
    }

    pub(crate) fn add(&mut self, part: Self) {
        self.latencies.extend(part.latencies);
        self.granted += part.granted;
        self.denied += part.denied;
        self.released += part.released;
        self.complaints.extend(part.complaints);
    }
}

/// What the store says is spent by all users.
pub(crate) async fn spent_by_everyone(store: &Store) -> Result<Amount, Failure> {
    let budgets = store.read(NamedBudgets::new()).await?.items;
    let of_everyone = budgets.first().ok_or("the limit of everybody is gone")?;
    Ok(of_everyone.spent)
}

/// What was spent, and whether that is within the limits.
pub(crate) struct Spent {
    pub(crate) limits: Limits,
    /// By all users.
    pub(crate) all: Usd,
    /// How much more than the limit that is.
    pub(crate) over: Usd,
    /// How much more it may be: requests cost that much more than their estimates.
    pub(crate) may_be_over: Usd,
    /// Users who have spent more than their limit.
    pub(crate) users_over: u64,
    pub(crate) problems: Vec<String>,
}

/// Money of a user, or of all.
#[derive(Default)]
struct Account {
    spent: Usd,
    /// The sum of what granted requests cost above their estimates.
    above: Usd,
}

impl Account {
    fn add(&mut self, cost: Usd, estimate: Usd) {
        self.spent += cost;
        self.above += (cost - estimate).max(Usd::ZERO);
    }

    fn over(&self, limit: Usd) -> Usd {
        (self.spent - limit).max(Usd::ZERO)
    }
}

/// Adds up what the file has, with plain SQLite. A request is granted while it fits in the limit beside what is spent
/// and reserved; so more than the limit is spent only by as much as granted requests cost above their estimates.
pub(crate) fn compare(
    path: &Path,
    args: &Args,
    receipts: &[Option<Receipt>],
    said: Amount,
) -> Result<Spent, Failure> {
    let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let limits = Limits::of(args);
    let (mut all, mut users) = (Account::default(), HashMap::<i64, Account>::new());
    let mut message = conn.prepare("SELECT user_id, cost FROM messages WHERE message_id = ?1")?;
    for (number, receipt) in (0_u64..).zip(receipts) {
        let Some(receipt) = receipt else { continue };
        let (user_id, cost) = message.query_row([receipt.message_id], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, f64>(1)?))
        })?;
        let cost = Usd::from_dollars(cost)?;
        let estimate = estimate(args.seed, number, cost);
        all.add(cost, estimate);
        users.entry(user_id).or_default().add(cost, estimate);
    }
    let mut problems = Vec::new();
    let mut overspent = |who: &str, account: &Account, limit: Usd| {
        if account.over(limit) > account.above {
            let Account { spent, above } = account;
            problems.push(format!(
                "{who} spent {spent} of {limit}, and requests cost only {above} above their estimates"
            ));
        }
    };
    overspent("everybody", &all, limits.everyone);
    for (user_id, account) in &users {
        overspent(&format!("user {user_id}"), account, limits.each);
    }
    if said != Amount::Cost(all.spent) {
        problems.push(format!(
            "the store says that {said} is spent; it is {}",
            all.spent
        ));
    }
    let open = "SELECT count(*) FROM botstore_reservation WHERE state = 'open'";
    let open: i64 = conn.query_row(open, [], |row| row.get(0))?;
    if open != 0 {
        problems.push(format!("{open} reservations are open, and no request is"));
    }
    let is_over = |account: &&Account| account.spent > limits.each;
    Ok(Spent {
        limits,
        all: all.spent,
        over: all.over(limits.everyone),
        may_be_over: all.above,
        users_over: users.values().filter(is_over).count() as u64,
        problems,
    })
}

/// What a caller guesses that interaction `number` costs: from half of what it does to half as much again.
fn estimate(seed: u64, number: u64, cost: Usd) -> Usd {
    let mut dice = fastrand::Rng::with_seed(seed ^ !number);
    Usd::from_nanos(cost.nanos() * dice.i64(50..=150) / 100)
}
