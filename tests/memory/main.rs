//! What is in memory, and what is left there: seen by an allocator that counts what is alive, and looks
//! at what is given back.

#[path = "../shared/child.rs"]
mod child;
mod kept;
mod secrets;
#[cfg(target_os = "linux")]
mod taking_over;
mod watching;
