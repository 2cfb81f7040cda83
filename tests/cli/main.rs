//! The command line keeps its promises: run as an operator runs it, on real files.

mod advising;
#[cfg(unix)]
mod alarm;
mod backing_up;
mod beside;
#[path = "../shared/child.rs"]
mod child;
#[cfg(unix)]
#[path = "../shared/copy.rs"]
mod copy;
mod documents;
mod emptied;
mod exporting;
#[cfg(target_os = "linux")]
mod forbidden;
mod guarding;
// With names that files have on Linux only.
#[cfg(target_os = "linux")]
mod hostile;
#[cfg(unix)]
mod interrupting;
#[cfg(target_os = "linux")]
mod latin;
mod looking;
mod mending;
#[path = "../shared/midday.rs"]
mod midday;
mod migrating;
mod moments;
mod names;
#[cfg(target_os = "linux")]
mod prices;
mod printing;
mod refusing;
mod sealing;
mod spending;
#[cfg(unix)]
mod stopping;
mod support;
#[cfg(target_os = "linux")]
mod terminal;
#[path = "../shared/wait.rs"]
mod wait;
