//! What the fuzz targets do with the fuzzer's bytes. It is here, and not in the targets, so that
//! `cargo test --lib` runs the seeds through the same functions without a fuzzer.
//!
//! Each function panics when a promise is broken. libFuzzer ends at any panic, also at one that the
//! store itself would catch and answer with `ErrorKind::Panicked`.

pub mod backup_artefact;
pub mod database_file;
mod edits;
mod forging;
pub mod manifest;
pub mod odd_values;
mod samples;
pub mod search_text;
pub mod timestamp;

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::{Duration, Instant};

    fn each_seed_of(target: &str, run: fn(&[u8])) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("seeds")
            .join(target);
        let mut seeds = 0;
        for seed in std::fs::read_dir(folder).expect("a folder of seeds") {
            run(&std::fs::read(seed.expect("a seed").path()).expect("a seed"));
            seeds += 1;
        }
        assert!(seeds > 0, "{target} has no seeds");
    }

    /// Without a fuzzer: the number of seconds is `ODD_VALUES_SECONDS`, or 5.
    #[test]
    fn odd_values_at_random_keep_their_promises() {
        let seconds = std::env::var("ODD_VALUES_SECONDS")
            .ok()
            .and_then(|text| text.parse().ok());
        let until = Instant::now() + Duration::from_secs(seconds.unwrap_or(5));
        // The same ones at each run. What is found is in the panic's message; keep its bytes as a seed.
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        for round in 0_u64.. {
            if Instant::now() >= until && round >= 20 {
                println!("{round} rounds");
                return;
            }
            let mut next = || {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state.to_le_bytes()
            };
            let length = 8 + usize::from(next()[0]) * 2;
            let bytes: Vec<u8> = std::iter::repeat_with(&mut next)
                .flatten()
                .take(length)
                .collect();
            let kept = std::panic::catch_unwind(|| super::odd_values::run(&bytes));
            assert!(kept.is_ok(), "round {round}: {bytes:?}");
        }
    }

    #[test]
    fn the_seeds_of_every_target_keep_its_promises() {
        each_seed_of("timestamp", super::timestamp::run);
        each_seed_of("search_text", super::search_text::run);
        each_seed_of("manifest", super::manifest::run);
        each_seed_of("backup_artefact", super::backup_artefact::run);
        each_seed_of("database_file", super::database_file::run);
        each_seed_of("odd_values", super::odd_values::run);
    }
}
