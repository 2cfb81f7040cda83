//! Input that means harm, or nobody meant: in every field of every message, and in every column of a
//! file that somebody else wrote, and under every name in a folder. It is answered, or refused with an
//! error that names the field.

#[cfg(unix)]
mod accounts;
mod admitted;
mod backups;
mod bounds;
mod complete;
mod depths;
mod documents;
mod fields;
mod files;
#[cfg(unix)]
mod folders;
mod inventory;
mod models;
mod numbers;
mod odd_files;
mod odd_values;
mod owners;
#[cfg(unix)]
mod planted;
#[cfg(unix)]
mod repaired;
#[cfg(unix)]
mod roots;
mod sizes;
mod sources;
mod support;
mod texts;
mod times;
mod vocabulary;
#[path = "../shared/wait.rs"]
mod wait;
#[cfg(unix)]
mod world;
