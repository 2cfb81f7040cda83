//! P3 and P4 for the store's actors themselves: a panic of a host's code, wherever it runs, ends no actor
//! for good. Who waited for it has an answer, nothing that was acknowledged is lost, and an actor that
//! panics again and again is given up in public.
//!
//! One test at a time ([`alone`]): a subscriber to the log is the whole process's, and a log line does not
//! say whose store wrote it.

#![cfg(all(target_os = "linux", target_env = "gnu", target_pointer_width = "64"))]

mod callbacks;
#[allow(dead_code, reason = "a part of it is used")]
#[path = "../p4_failing_disk/calls.rs"]
mod calls;
#[path = "../shared/child.rs"]
mod child;
#[path = "../common/mod.rs"]
mod common;
#[path = "../shared/copy.rs"]
mod copy;
#[allow(dead_code, reason = "a part of it is used")]
#[path = "../p4_failing_disk/disk.rs"]
mod disk;
mod files_gone;
mod given_up;
#[path = "../common/hostile.rs"]
mod hostile;
mod inventory;
mod lines;
mod load;
mod opening;
#[allow(dead_code, reason = "a part of it is used")]
#[path = "../p4_failing_disk/platter.rs"]
mod platter;
mod provoke;
mod recipients;
mod reporting;
mod subscriber;
#[path = "../p4_failing_disk/threads.rs"]
mod threads;
mod trial;
mod wakers;

/// Waits for the test before to end, and gives this one a disk that works.
async fn alone() -> tokio::sync::MutexGuard<'static, ()> {
    static TESTS: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    let alone = TESTS.lock().await;
    disk::begin();
    alone
}
