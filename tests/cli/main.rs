//! The command line keeps its promises: run as an operator runs it, on real files.

mod backing_up;
#[cfg(unix)]
#[path = "../shared/copy.rs"]
mod copy;
mod exporting;
mod looking;
mod migrating;
mod refusing;
mod sealing;
mod support;
