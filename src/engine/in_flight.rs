//! The in-flight limit: how many requests may be in flight, and how many bytes they may hold.

use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::panics::shielded;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};

/// A request's share of the limit. Dropping it gives it back.
pub(crate) struct Permit {
    _count: OwnedSemaphorePermit,
    _bytes: OwnedSemaphorePermit,
}

/// How many requests may be in flight, and how many bytes they may hold.
pub(crate) struct InFlightLimit {
    count: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    max_count: usize,
    max_bytes: u32,
}

/// What a request does if the limit is reached.
#[derive(Clone, Copy)]
pub(crate) enum Entry<'a> {
    /// It waits for room.
    Waits,
    /// It is refused.
    AtOnce,
    /// It waits in a place of this other limit, and is refused if all places are taken.
    Behind(&'a InFlightLimit),
}

impl Entry<'_> {
    /// The place in which the request waits, if it needs one; held until it has its answer.
    pub(super) fn place(self, bytes: usize) -> Result<Option<Permit>> {
        match self {
            Self::Behind(places) => places.try_enter(bytes).map(Some),
            Self::Waits | Self::AtOnce => Ok(None),
        }
    }
}

impl InFlightLimit {
    /// A limit of `times` the configured number of requests and bytes.
    pub(super) fn new(config: &Config, times: usize) -> Self {
        let max_count = config.max_in_flight.saturating_mul(times);
        let max_bytes = config.max_in_flight_bytes.saturating_mul(times);
        let max_bytes = u32::try_from(max_bytes).unwrap_or(u32::MAX);
        Self {
            count: Arc::new(Semaphore::new(max_count)),
            bytes: Arc::new(Semaphore::new(max_bytes as usize)),
            max_count,
            max_bytes,
        }
    }

    /// A request that is larger than the whole limit runs alone, rather than never.
    fn weight(&self, bytes: usize) -> u32 {
        u32::try_from(bytes).map_or(self.max_bytes, |bytes| bytes.min(self.max_bytes))
    }

    /// Waits for a permit.
    ///
    /// # Errors
    /// [`Overloaded`](ErrorKind::Overloaded) if there is none and the request does not wait.
    pub(super) async fn enter(&self, bytes: usize, entry: Entry<'_>) -> Result<Permit> {
        if let Entry::AtOnce = entry {
            return self.try_enter(bytes);
        }
        Ok(Permit {
            _count: wait_for(&self.count, 1).await?,
            _bytes: wait_for(&self.bytes, self.weight(bytes)).await?,
        })
    }

    fn try_enter(&self, bytes: usize) -> Result<Permit> {
        let refused = |why| match why {
            TryAcquireError::Closed => Error::closed(),
            TryAcquireError::NoPermits => Error::new(
                ErrorKind::Overloaded,
                "as many requests as the store may hold are in flight; try again in a moment",
            ),
        };
        let count = Arc::clone(&self.count).try_acquire_owned();
        let bytes = Arc::clone(&self.bytes).try_acquire_many_owned(self.weight(bytes));
        Ok(Permit {
            _count: count.map_err(refused)?,
            _bytes: bytes.map_err(refused)?,
        })
    }

    /// From here on nothing is admitted, and waiting requests get [`Closed`](ErrorKind::Closed).
    pub(super) fn close(&self) {
        self.count.close();
        self.bytes.close();
    }

    pub(crate) fn in_flight(&self) -> usize {
        let left = self.count.available_permits();
        self.max_count.saturating_sub(left)
    }

    pub(super) fn bytes_in_flight(&self) -> usize {
        let left = self.bytes.available_permits();
        (self.max_bytes as usize).saturating_sub(left)
    }
}

/// Waits for permits. The waker of a waiting caller runs where another's permit is dropped, and its panic must not
/// end that thread.
async fn wait_for(semaphore: &Arc<Semaphore>, permits: u32) -> Result<OwnedSemaphorePermit> {
    if let Ok(permit) = Arc::clone(semaphore).try_acquire_many_owned(permits) {
        return Ok(permit);
    }
    let permit = shielded(Arc::clone(semaphore).acquire_many_owned(permits)).await;
    permit.map_err(|_| Error::closed())
}
