//! The in-flight limit: how many requests there may be, and how many bytes they may hold.

use crate::error::{Error, ErrorKind, Result};
use crate::panics::shielded;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};

/// A request's part of the limit. Given back when it is dropped.
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

impl InFlightLimit {
    pub(crate) fn new(max_count: usize, max_bytes: usize) -> Self {
        let max_bytes = u32::try_from(max_bytes).unwrap_or(u32::MAX);
        Self {
            count: Arc::new(Semaphore::new(max_count)),
            bytes: Arc::new(Semaphore::new(max_bytes as usize)),
            max_count,
            max_bytes,
        }
    }

    /// A request that is larger than the whole limit goes alone rather than never.
    fn weight(&self, bytes: usize) -> u32 {
        u32::try_from(bytes).map_or(self.max_bytes, |bytes| bytes.min(self.max_bytes))
    }

    /// Waits until there is room.
    pub(crate) async fn acquire(&self, bytes: usize) -> Result<Permit> {
        let closed = |_| Error::closed();
        let weight = self.weight(bytes);
        // Whoever waits is woken by whoever gives back a permit, and must not be the end of him.
        let count = match Arc::clone(&self.count).try_acquire_owned() {
            Ok(count) => count,
            Err(_) => shielded(Arc::clone(&self.count).acquire_owned())
                .await
                .map_err(closed)?,
        };
        let bytes = match Arc::clone(&self.bytes).try_acquire_many_owned(weight) {
            Ok(bytes) => bytes,
            Err(_) => shielded(Arc::clone(&self.bytes).acquire_many_owned(weight))
                .await
                .map_err(closed)?,
        };
        Ok(Permit {
            _count: count,
            _bytes: bytes,
        })
    }

    /// # Errors
    /// [`Overloaded`](ErrorKind::Overloaded) when there is no room.
    pub(crate) fn try_acquire(&self, bytes: usize) -> Result<Permit> {
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

    /// From here on nothing is let in, and those who wait get [`Closed`](ErrorKind::Closed).
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
