//! The examples, as the programs that were built beside this test.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The example of this name: `target/PROFILE/deps/…` is the test, and
/// `target/PROFILE/examples/…` the example.
pub(crate) fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("this test has a path");
    let profile = test.ancestors().nth(2).expect("target/PROFILE/deps");
    let file = format!("{name}{}", std::env::consts::EXE_SUFFIX);
    let program = profile.join("examples").join(file);
    let built = program.metadata().and_then(|data| data.modified()).ok();
    let mut source = folder().join(name);
    if !source.exists() {
        source.set_extension("rs");
    }
    assert!(
        built.is_some_and(|built| built >= last_change(&source)),
        "{} is missing or older than its source: run `cargo build --example {name}` with the \
         profile of this test (a plain `cargo test` builds it, `cargo test --test` does not)",
        program.display()
    );
    program
}

/// Where the examples are.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")
}

fn last_change(source: &Path) -> SystemTime {
    if source.is_file() {
        let changed = source.metadata().and_then(|data| data.modified());
        return changed.expect("a time");
    }
    let files = source.read_dir().expect("the example's source");
    let files = files.map(|file| file.expect("a file").path());
    // A change of the manifest may leave the program as it is.
    let sources = files.filter(|path| !path.ends_with("Cargo.toml"));
    let changes = sources.map(|path| last_change(&path));
    changes.max().expect("a file")
}
