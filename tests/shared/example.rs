//! The examples, as the programs that were built beside this test.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The example of this name, whose source is a folder: `target/PROFILE/deps/…` is the test, and
/// `target/PROFILE/examples/…` the example.
pub(crate) fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("this test has a path");
    let profile = test.ancestors().nth(2).expect("target/PROFILE/deps");
    let file = format!("{name}{}", std::env::consts::EXE_SUFFIX);
    let program = profile.join("examples").join(file);
    let built = program.metadata().and_then(|data| data.modified()).ok();
    let source = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("examples")
        .join(name);
    assert!(
        built.is_some_and(|built| built >= last_change(&source)),
        "{} is missing or older than its source: run `cargo build --example {name}` with the \
         profile of this test (a plain `cargo test` builds it, `cargo test --test` does not)",
        program.display()
    );
    program
}

fn last_change(folder: &Path) -> SystemTime {
    let files = folder.read_dir().expect("the example's source");
    let changes = files.map(|file| {
        let path = file.expect("a file").path();
        match path.is_dir() {
            true => last_change(&path),
            false => path.metadata().and_then(|d| d.modified()).expect("a time"),
        }
    });
    changes.max().expect("a file")
}
