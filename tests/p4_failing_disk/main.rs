//! P4, and P1 and P2 with it, on a disk that fails: every caller gets an answer, never a wrong one;
//! what was acknowledged stays; and when the disk works again, so does the store.

#![cfg(all(target_os = "linux", target_env = "gnu", target_pointer_width = "64"))]

mod calls;
mod checkpoints;
#[path = "../shared/child.rs"]
mod child;
mod closing;
#[path = "../common/mod.rs"]
mod common;
#[path = "../shared/copy.rs"]
mod copy;
mod disk;
mod each_call;
mod each_errno;
mod full;
mod held_log;
mod platter;
mod power;
mod share;
mod threads;
mod trial;
