//! Contains panics of foreign code: an operation, a clock, a waker, a `Drop`.

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};

/// Runs `work`; returns `None` if it panicked. The caller must discard what may be half-changed.
pub(crate) fn caught<T>(work: impl FnOnce() -> T) -> Option<T> {
    // The payload may quote user data, and the panic hook has had it. It is not dropped, since that may panic as
    // well.
    catch_unwind(AssertUnwindSafe(work))
        .map_err(mem::forget)
        .ok()
}

/// Runs `work` and ignores its panic.
pub(crate) fn quietly(work: impl FnOnce()) {
    let _ = caught(work);
}

/// Runs the future with a waker that does not panic. The waker runs on a thread of the store's, between the wakers
/// of other callers. Costs an allocation per poll.
pub(crate) async fn shielded<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    std::future::poll_fn(|cx| {
        let shield = Arc::new(Shield(Some(cx.waker().clone())));
        let shield = Waker::from(shield);
        future.as_mut().poll(&mut Context::from_waker(&shield))
    })
    .await
}

/// The waker of a caller's executor.
struct Shield(Option<Waker>);

impl Wake for Shield {
    fn wake(self: Arc<Self>) {
        if let Some(waker) = &self.0 {
            quietly(|| waker.wake_by_ref());
        }
    }
}

impl Drop for Shield {
    fn drop(&mut self) {
        let waker = self.0.take();
        quietly(|| drop(waker));
    }
}
