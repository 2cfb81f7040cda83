//! Opening a file that the Python bot left takes it over: no row is lost, every answer is the bot's
//! own or, where that one was wrong, the right one, and the bot can go on with the file.

mod answers;
#[path = "../shared/child.rs"]
mod child;
mod ends;
mod forms;
mod harmless;
mod histories;
mod legacy;
mod old_readers;
mod pieces;
mod refusals;
mod shapes;
mod statistics;
mod taken_back;
mod takeover;
mod versions;
mod windows;
mod writes_on;
