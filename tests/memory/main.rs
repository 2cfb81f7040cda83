//! What is in memory, and what is left there: seen by an allocator that counts what is alive, and looks
//! at what is given back.

mod kept;
mod secrets;
mod watching;
