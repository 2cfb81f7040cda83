//! The command line keeps its promises: run as an operator runs it, on real files.

mod backing_up;
mod exporting;
mod looking;
mod migrating;
mod refusing;
mod sealing;
mod support;
