//! Another program that has the file open.

use crate::stuck::ENDLESS;
use botstore::rusqlite::{Connection, OpenFlags};
use std::cell::Cell;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const PLACE: &str = "BOTSTORE_TEST_PLACE";

#[test]
#[ignore = "the child process of the next test"]
fn child_that_never_ends_its_query() {
    let Some(path) = std::env::var_os(PLACE).map(PathBuf::from) else {
        return;
    };
    let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let told = Cell::new(false);
    conn.create_scalar_function("tell", 0, Default::default(), move |_| {
        if !told.replace(true) {
            println!("\nholding");
        }
        Ok(0)
    })
    .unwrap();
    let endless = ENDLESS.replace("i + 1", "i + tell()");
    conn.query_row(&endless, [], |_| Ok(())).unwrap();
}

/// Another program that reads; killed when it is dropped.
pub(crate) struct Outsider(Child);

impl Outsider {
    /// One that is in the middle of its query.
    pub(crate) fn start(path: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "--nocapture"])
            .arg("outsider::child_that_never_ends_its_query")
            .env(PLACE, path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let held = lines.map_while(Result::ok).any(|line| line == "holding");
        assert!(held, "it ended");
        Self(child)
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Outsider {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}
