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
mod samples;
pub mod search_text;
pub mod timestamp;

#[cfg(test)]
mod tests {
    use std::path::Path;

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

    #[test]
    fn the_seeds_of_every_target_keep_its_promises() {
        each_seed_of("timestamp", super::timestamp::run);
        each_seed_of("search_text", super::search_text::run);
        each_seed_of("manifest", super::manifest::run);
        each_seed_of("backup_artefact", super::backup_artefact::run);
        each_seed_of("database_file", super::database_file::run);
    }
}
