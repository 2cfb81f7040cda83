//! Texts that may be times: see [`botstore_fuzz::timestamp`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| botstore_fuzz::timestamp::run(data));
