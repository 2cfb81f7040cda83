//! Texts that are looked for and saved: see [`botstore_fuzz::search_text`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| botstore_fuzz::search_text::run(data));
