//! Input that means harm, or nobody meant: in every field of every message, and in every column of a
//! file that somebody else wrote. It is answered, or refused with an error that names the field.

mod backups;
mod fields;
mod files;
mod numbers;
mod support;
mod texts;
mod times;
mod vocabulary;
