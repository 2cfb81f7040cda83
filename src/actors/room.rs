//! Bounds: how many requests there may be, and how many bytes they may hold.

use super::request::Permit;
use crate::error::{Error, ErrorKind, Result};
use std::sync::Arc;
use tokio::sync::{Semaphore, TryAcquireError};

/// How many requests may be in flight, and how many bytes they may hold.
pub(super) struct Room {
    count: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    max_count: usize,
    max_bytes: u32,
}

impl Room {
    pub(super) fn new(max_count: usize, max_bytes: usize) -> Self {
        let max_bytes = u32::try_from(max_bytes).unwrap_or(u32::MAX);
        Self {
            count: Arc::new(Semaphore::new(max_count)),
            bytes: Arc::new(Semaphore::new(max_bytes as usize)),
            max_count,
            max_bytes,
        }
    }

    /// One that is larger than the whole room goes alone rather than never.
    fn weight(&self, bytes: usize) -> u32 {
        u32::try_from(bytes).map_or(self.max_bytes, |bytes| bytes.min(self.max_bytes))
    }

    pub(super) async fn enter(&self, bytes: usize) -> Result<Permit> {
        let closed = |_| Error::closed();
        let count = Arc::clone(&self.count).acquire_owned().await;
        let bytes = Arc::clone(&self.bytes).acquire_many_owned(self.weight(bytes));
        Ok(Permit {
            _count: count.map_err(closed)?,
            _bytes: Some(bytes.await.map_err(closed)?),
        })
    }

    pub(super) fn try_enter(&self, bytes: usize) -> Result<Permit> {
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
            _bytes: Some(bytes.map_err(refused)?),
        })
    }

    pub(super) fn close(&self) {
        self.count.close();
        self.bytes.close();
    }

    pub(super) fn in_flight(&self) -> usize {
        self.max_count
            .saturating_sub(self.count.available_permits())
    }

    pub(super) fn bytes_in_flight(&self) -> usize {
        (self.max_bytes as usize).saturating_sub(self.bytes.available_permits())
    }
}
