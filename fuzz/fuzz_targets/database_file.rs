//! Files that are opened as a database: see [`botstore_fuzz::database_file`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| botstore_fuzz::database_file::run(data));
