//! Where a panic of somebody else's code ends: an operation, a clock, a waker, a `Drop`.

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `work`; `None` if it panicked. Whatever it may leave half-changed is the caller's to throw away.
pub(crate) fn caught<T>(work: impl FnOnce() -> T) -> Option<T> {
    // The payload may quote user data, and the panic hook has had it. It is not dropped, since that may
    // panic as well.
    catch_unwind(AssertUnwindSafe(work))
        .map_err(mem::forget)
        .ok()
}

/// Runs `work`, whose panic changes nothing here.
pub(crate) fn quietly(work: impl FnOnce()) {
    let _ = caught(work);
}
