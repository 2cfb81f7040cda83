//! Values that their columns should not hold: see [`botstore_fuzz::odd_values`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| botstore_fuzz::odd_values::run(data));
