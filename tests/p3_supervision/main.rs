//! P3 and P4 for the store's actors themselves: a panic of a host's code, wherever it runs, ends no actor
//! for good. Who waited for it has an answer, nothing that was acknowledged is lost, and an actor that
//! panics again and again is given up in public.
//!
//! One test at a time (`disk::alone`): a subscriber to the log is the whole process's, a log line does
//! not say whose store wrote it, and the disk that fails is everybody's.

#![cfg(all(target_os = "linux", target_env = "gnu", target_pointer_width = "64"))]

mod callbacks;
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
mod trial;
mod wakers;
