//! P9: a backup counts only after the finished file was read back, opened and checked; it is made
//! under full load; and restoring never destroys what it replaces.

mod authentic;
#[path = "../shared/child.rs"]
mod child;
mod clear;
#[path = "../shared/copy.rs"]
mod copy;
mod corrupted;
#[cfg(target_os = "linux")]
mod cut_short;
mod faults;
mod forged;
mod killed;
mod left;
mod making;
#[cfg(target_os = "linux")]
mod mounted;
mod naming;
mod restoring;
mod retaining;
mod sealing;
mod sharing;
mod signed;
mod strace;
mod support;
mod telling;
mod tokens;
#[cfg(target_os = "linux")]
mod unmovable;
#[path = "../shared/wait.rs"]
mod wait;
#[cfg(target_os = "linux")]
mod wandering;
