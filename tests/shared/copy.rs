//! Copies of files that a store has open.

use std::path::{Path, PathBuf};
use std::process::Command;

/// What a path is called with this at the end of its name, such as `-wal`.
pub fn with(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Copies a file to another place, if it is there. By another process: to open and close it in this one
/// would drop the locks of a store that has it open.
pub fn copy(from: &Path, to: &Path) {
    if from.exists() {
        let copied = Command::new("cp").arg(from).arg(to).status().unwrap();
        assert!(copied.success());
    }
}
