//! P7 when somebody needs an old state of the file and does not let go of it: writes go on, somebody
//! is told of the WAL that grows meanwhile, and it comes back under its ceiling afterwards. And what
//! becomes of the WAL when nobody writes.

mod at_rest;
#[path = "../shared/child.rs"]
mod child;
#[path = "../common/mod.rs"]
mod common;
#[path = "../shared/copy.rs"]
mod copy;
mod log;
mod longer;
mod on_callers_thread;
mod outsider;
mod scans;
mod starting_over;
mod stuck;
