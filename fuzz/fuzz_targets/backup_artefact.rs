//! Compressed files of backups: see [`botstore_fuzz::backup_artefact`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| botstore_fuzz::backup_artefact::run(data));
