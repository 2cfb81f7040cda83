//! Reservations: what a request may cost is taken before the model is asked.

use super::standing::Standing;
use super::state::{State, Subjects};
use super::{Amount, Limit, ReservationId, settle, watch};

use crate::domain::usage::Chat;
use crate::domain::{Usd, UserId, page, validate};
use crate::error::{Error, Result};
use crate::operation::{Mutation, WriteTx};
use crate::texts::Texts;
use crate::time;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long a reservation holds, unless a message says otherwise.
const EXPIRES_IN: Duration = Duration::from_secs(600);

/// The shortest and the longest time for which a reservation may hold.
const MAY_EXPIRE_IN: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(24 * 60 * 60)];

/// How many reservations a request ends that have expired: some ten microseconds each. More than come, so that a backlog
/// goes.
const EXPIRE_AT_ONCE: u32 = 128;

/// After how many reservations old ones are swept.
const SWEEP_AFTER: i64 = 64;

/// How many are swept then: more than have come, so that a backlog goes.
const SWEEP_AT_ONCE: u32 = 128;

/// How long the store remembers a reservation, from when it was made: for a day after the longest has expired. Not from
/// when it was over: then one of a long time would hold up those behind it.
const REMEMBER: Duration = Duration::from_secs(2 * 24 * 60 * 60);

/// How many reservations it remembers.
const REMEMBER_AT_MOST: i64 = 100_000;

/// Asks whether a request may be made, and reserves its estimate if so. The answer to "no" is [`Decision::Denied`],
/// and not an error.
///
/// It is granted if for each limit of everybody, of the user, of the chat and of the model something is left, and the
/// estimate fits in it. The estimate then counts as spent until the reservation is settled
/// ([`SaveInteraction::reservation`](crate::interactions::SaveInteraction::reservation()),
/// [`AddCost::reservation`](crate::costs::AddCost::reservation())), released ([`Release`]), or expires. The store's
/// writer decides, one request after the other: however many callers ask at once, no more is granted than there is. So
/// more than the limit is spent only by requests that cost more than their estimate.
///
/// A bot that dies in between settles nothing: the estimate is free again when the reservation expires, and not before,
/// also after a restart. That goes by the time of which the store is sure
/// ([`Config::clock_jump_wait`](crate::Config::clock_jump_wait)), so a clock that jumps ahead for a moment frees
/// nothing. If the clock was set back, what was reserved at a time that is now in the future holds from now on for as
/// long again.
///
/// The user need not exist yet: limits hold before the first message, too. A bot without limits is granted
/// everything.
///
/// It is a point write of two or three statements. See [`SetLimit`](super::SetLimit) for what the first request of a
/// period costs.
///
/// # Errors
/// [`Invalid`](crate::ErrorKind::Invalid) for an estimate outside 0 to 9,000,000 dollars or above
/// 1,000,000,000,000 tokens, for a time to expire outside 1 second to 24 hours, and for an empty model or chat, or one
/// longer than 4 KiB.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// use botstore::Usd;
/// use botstore::limits::{Amount, Decision, Per, Reserve, Scope, SetLimit};
///
/// let dollar = Usd::from_dollars(1.0)?;
/// store.write(SetLimit::new(Scope::EachUser, Per::Day, Amount::Cost(dollar))).await?;
/// let reserve = Reserve::new(42, Usd::from_dollars(0.6)?).model("gpt-5");
/// let first = store.write(reserve.clone()).await?;
/// assert!(matches!(first, Decision::Granted { .. }));
/// let second = store.write(reserve).await?; // There are 40 cents left.
/// assert!(matches!(second, Decision::Denied { .. }));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Reserve {
    /// The user.
    pub user_id: UserId,
    /// What the request will cost, as the bot guesses: from 0. With 0 a request is denied only once nothing is left.
    pub estimate: Usd,
    /// How many tokens it will have, input and output together, as the bot guesses.
    #[serde(default)]
    pub tokens: u64,
    /// The chat.
    #[serde(default)]
    pub chat: Option<Chat>,
    /// The model that the bot will ask for.
    #[serde(default)]
    pub model: Option<String>,
    /// How long the reservation holds: longer than the model may take. `None` for 10 minutes.
    #[serde(default)]
    pub expires_in: Option<Duration>,
}

impl Reserve {
    /// A request of this user that will cost about this much.
    pub fn new(user_id: impl Into<UserId>, estimate: Usd) -> Self {
        Self {
            user_id: user_id.into(),
            estimate,
            tokens: 0,
            chat: None,
            model: None,
            expires_in: None,
        }
    }

    /// How many tokens it will have, input and output together.
    pub fn tokens(mut self, tokens: u64) -> Self {
        self.tokens = tokens;
        self
    }

    /// The chat, whose limits then count, too.
    pub fn chat(mut self, chat: Chat) -> Self {
        self.chat = Some(chat);
        self
    }

    /// The model that the bot will ask for, whose limits then count, too.
    pub fn model(mut self, model: impl Into<String>) -> Self {
        self.model = Some(model.into());
        self
    }

    /// How long the reservation holds: from 1 second to 24 hours. The default is 10 minutes.
    pub fn expires_in(mut self, expires_in: Duration) -> Self {
        self.expires_in = Some(expires_in);
        self
    }
}

/// The answer to [`Reserve`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Decision {
    /// Ask the model, and give the reservation to what is saved.
    #[non_exhaustive]
    Granted {
        /// The reservation.
        reservation: ReservationId,
        /// When it expires, if it is not settled.
        until: DateTime<Utc>,
        /// What is left after it, of the limit of which the least is left, as a part of it; `None` without limits. Less
        /// by what reservations held that have expired, while there are more than 128 of them.
        remaining: Option<Amount>,
        /// When that limit's next period begins; `None` without limits, and for a limit for ever.
        resets_at: Option<DateTime<Utc>>,
        /// Whether a limit's warning is reached ([`SetLimit::soft`](super::SetLimit::soft())).
        near_limit: bool,
    },
    /// Do not ask the model: a limit does not allow it. Of several, the answer tells of the one that will hold for
    /// longest.
    #[non_exhaustive]
    Denied {
        /// The limit.
        which: Limit,
        /// What is spent in its period.
        spent: Amount,
        /// What open reservations hold.
        reserved: Amount,
        /// When its next period begins; `None` for a limit for ever.
        resets_at: Option<DateTime<Utc>>,
    },
}

impl Decision {
    /// A request that no limit concerns, for a test of your own.
    pub fn granted(reservation: impl Into<ReservationId>, until: DateTime<Utc>) -> Self {
        Self::Granted {
            reservation: reservation.into(),
            until,
            remaining: None,
            resets_at: None,
            near_limit: false,
        }
    }

    /// A request that this limit denies, of which this much is spent, for a test of your own.
    pub fn denied(which: Limit, spent: Amount) -> Self {
        Self::Denied {
            reserved: which.max.measure().amount(0),
            which,
            spent,
            resets_at: None,
        }
    }

    /// The reservation, if it was granted.
    pub fn reservation(&self) -> Option<ReservationId> {
        match self {
            Self::Granted { reservation, .. } => Some(*reservation),
            Self::Denied { .. } => None,
        }
    }
}

impl Mutation for Reserve {
    type Output = Decision;

    fn apply(&self, tx: &WriteTx<'_>) -> Result<Decision> {
        validate::request_cost("estimate", self.estimate)?;
        let tokens = validate::count("tokens", self.tokens)?;
        self.chat.as_ref().map_or(Ok(()), Chat::check)?;
        let model = self.model.as_deref();
        model.map_or(Ok(()), |model| validate::not_empty("model", model))?;
        let expires_in = self.expires_in.unwrap_or(EXPIRES_IN);
        if expires_in < MAY_EXPIRE_IN[0] || expires_in > MAY_EXPIRE_IN[1] {
            let why = "must be from 1 second to 24 hours";
            return Err(Error::invalid("expires_in", why));
        }
        let sure = tx.sure_now()?;
        let subjects = Subjects::of_request(self.user_id, self.chat.as_ref(), model);
        let ask = [self.estimate.nanos(), 1, tokens];
        let mut state = State::look(tx, &subjects)?;
        if state.is_ahead(sure) {
            settle::hold_anew(tx, sure)?;
        }
        if state.has_expired(sure) {
            settle::expire(tx, sure, EXPIRE_AT_ONCE)?;
            state = State::look(tx, &subjects)?;
        }
        state.keep(tx)?;
        // Many may have expired while nobody asked. The others hold nothing either, and later requests end them. Until
        // then all that are open are added up for a request to which it matters.
        let matters = |standing: &Standing<'_>| !standing.fits || standing.is_near;
        if state.has_expired(sure) && state.standings(ask).iter().any(matters) {
            state.leave_out_expired(tx, sure)?;
        }
        let standings = state.standings(ask);
        let denied = standings.iter().filter(|standing| !standing.fits);
        if let Some(strictest) = denied.max_by_key(|standing| standing.holds_until()) {
            watch::note(tx, strictest, watch::Level::Reached)?;
            return Ok(strictest.denied());
        }
        let near: Vec<_> = standings.iter().filter(|s| s.is_near).collect();
        for standing in &near {
            watch::note(tx, standing, watch::Level::Near)?;
        }
        let until = time::after(sure, expires_in);
        let reservation = self.insert(tx, &state, tokens, sure, until)?;
        if reservation.get() % SWEEP_AFTER == 0 {
            sweep(tx, reservation, sure)?;
        }
        let tightest = standings.iter().min_by(|a, b| a.cmp_left(b));
        Ok(Decision::Granted {
            reservation,
            until,
            remaining: tightest.map(Standing::remaining),
            resets_at: tightest.and_then(Standing::resets_at),
            near_limit: !near.is_empty(),
        })
    }

    fn texts(&self, texts: &mut Texts) {
        if let Some(chat) = &self.chat {
            chat.texts(texts);
        }
        texts.name("model", self.model.as_deref());
    }
}

impl Reserve {
    fn insert(
        &self,
        tx: &WriteTx<'_>,
        state: &State<'_>,
        tokens: i64,
        sure: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> Result<ReservationId> {
        let id = tx.insert(
            "INSERT INTO botstore_reservation (user_id, chat, model, cost, tokens, made_at, until, state)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'open')",
            (
                self.user_id,
                state.chat(),
                state.model(),
                self.estimate.nanos(),
                tokens,
                sure.timestamp_micros(),
                until.timestamp_micros(),
            ),
        )?;
        Ok(id.into())
    }
}

/// Forgets some of the oldest reservations, if they were made long ago or are more than are remembered. Reads past those
/// that are still open. An index of the others was turned down: each settle would write it.
fn sweep(tx: &WriteTx<'_>, newest: ReservationId, now: DateTime<Utc>) -> Result<()> {
    let before = page::ago(now, REMEMBER).map_or(i64::MIN, |at| at.timestamp_micros());
    tx.execute(
        "DELETE FROM botstore_reservation
         WHERE reservation_id IN (
                 SELECT reservation_id FROM botstore_reservation
                 WHERE state IS NOT 'open' ORDER BY reservation_id LIMIT ?1)
           AND (CAST(coalesce(made_at, 0) AS INTEGER) <= ?2 OR reservation_id <= ?3)",
        (SWEEP_AT_ONCE, before, newest.get() - REMEMBER_AT_MOST),
    )?;
    Ok(())
}

/// Gives a reservation back, for a request that was not made or cost nothing. Returns whether it was open.
///
/// # Errors
/// [`NotFound`](crate::ErrorKind::NotFound) for a reservation that was never given, or to another user.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// use botstore::Usd;
/// use botstore::limits::{Release, Reserve};
///
/// let decision = store.write(Reserve::new(42, Usd::from_dollars(0.05)?)).await?;
/// let reservation = decision.reservation().expect("no limit");
/// assert!(store.write(Release::new(42, reservation)).await?);
/// assert!(!store.write(Release::new(42, reservation)).await?);
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Release {
    /// The user to whom it was given.
    pub user_id: UserId,
    /// The reservation.
    pub reservation: ReservationId,
}

impl Release {
    /// This user's reservation.
    pub fn new(user_id: impl Into<UserId>, reservation: impl Into<ReservationId>) -> Self {
        Self {
            user_id: user_id.into(),
            reservation: reservation.into(),
        }
    }
}

impl Mutation for Release {
    type Output = bool;

    fn apply(&self, tx: &WriteTx<'_>) -> Result<bool> {
        settle::find(tx, self.user_id, self.reservation)?.release(tx)
    }
}
