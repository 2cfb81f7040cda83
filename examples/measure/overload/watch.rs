//! Looks at the process and the store while they work, and keeps the largest figures.

use crate::Failure;
use botstore::{Result, Store};
use botstore_measure::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::runtime::Handle;

const EVERY: Duration = Duration::from_millis(10);

/// The largest that was seen of each.
#[derive(Clone, Copy, Default)]
pub(crate) struct Peaks {
    pub(crate) memory: Option<u64>,
    pub(crate) wal_bytes: u64,
    pub(crate) writes: usize,
    pub(crate) write_bytes: usize,
    pub(crate) reads: usize,
}

/// Somebody who looks, on a thread that the load does not keep waiting.
pub(crate) struct Watch {
    over: Arc<AtomicBool>,
    thread: JoinHandle<Result<Peaks>>,
}

impl Watch {
    pub(crate) fn start(store: &Store) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let (store, runtime) = (store.clone(), Handle::current());
        let thread = std::thread::spawn({
            let over = Arc::clone(&over);
            move || {
                let mut peaks = Peaks::default();
                while !over.load(Relaxed) {
                    peaks.look(&store, &runtime)?;
                    std::thread::sleep(EVERY);
                }
                Ok(peaks)
            }
        });
        Self { over, thread }
    }

    pub(crate) fn stop(self) -> Result<Peaks, Failure> {
        self.over.store(true, Relaxed);
        let peaks = self.thread.join().map_err(|_| "the watch panicked")?;
        Ok(peaks?)
    }
}

impl Peaks {
    fn look(&mut self, store: &Store, runtime: &Handle) -> Result<()> {
        let health = runtime.block_on(store.health())?;
        self.memory = self.memory.max(process::memory());
        self.wal_bytes = self.wal_bytes.max(health.wal_bytes);
        self.writes = self.writes.max(health.writer.in_flight);
        self.write_bytes = self.write_bytes.max(health.writer.in_flight_bytes);
        self.reads = self.reads.max(health.interactive.in_flight);
        Ok(())
    }
}
