//! Manifests of backups: see [`botstore_fuzz::manifest`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| botstore_fuzz::manifest::run(data));
