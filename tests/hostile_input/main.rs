//! Input that means harm, or nobody meant: in every field of every message, and in every column of a
//! file that somebody else wrote, and under every name in a folder. It is answered, or refused with an error that names the field.

mod backups;
mod fields;
mod files;
#[cfg(unix)]
mod folders;
mod inventory;
mod numbers;
#[cfg(unix)]
mod owners;
#[cfg(unix)]
mod planted;
mod support;
mod texts;
mod times;
mod vocabulary;
#[cfg(unix)]
mod world;
