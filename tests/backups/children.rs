//! This test binary again, as another process: one that is killed, or that has little room.

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// Where a child finds what it works on. A child's test does nothing without it.
const PLACE: &str = "BOTSTORE_TEST_PLACE";

/// This binary again, behind the words `before`, to run one ignored test.
pub(crate) fn again(before: &[&str], test: &str, place: &Path) -> Command {
    let this = OsString::from(std::env::current_exe().unwrap());
    let mut words = before.iter().map(OsString::from).chain([this]);
    let mut command = Command::new(words.next().unwrap());
    command
        .args(words)
        .args(["--ignored", "--exact", "--nocapture", "--test-threads=1"])
        .arg(test)
        .env(PLACE, place);
    command
}

/// In a child: the place that its parent gave it.
pub(crate) fn place() -> Option<PathBuf> {
    std::env::var_os(PLACE).map(PathBuf::from)
}

/// Runs a child to its end, which has to be a good one.
pub(crate) fn succeed(mut child: Command) {
    let output = child.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    assert!(out.contains("1 passed"), "it ran no test: {out}\n{err}");
}

/// Whether a command is there and works.
pub(crate) fn works(words: &[&str]) -> bool {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]);
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// Runs a child whose place is a disk of its own, of so many MiB. Skips it, with a message, where
/// the system does not let us mount one.
pub(crate) fn succeed_on_a_small_disk(test: &str, mib: u32) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let mount = format!("mount -t tmpfs -o size={mib}m none '{path}' && exec \"$0\" \"$@\"");
    let before = ["unshare", "-rm", "sh", "-c", &mount];
    if !works(&[&before[..], &["true"]].concat()) {
        eprintln!("skipped: this system lets nobody like us mount a file system");
        return;
    }
    succeed(again(&before, test, folder.path()));
}

/// A child that says how far it is, and may be killed there.
pub(crate) struct Victim {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Victim {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Self { child, out }
    }

    /// Waits until it says the word; false if it ended without.
    pub(crate) fn says(&mut self, word: &str) -> bool {
        let mut line = String::new();
        while self.out.read_line(&mut line).is_ok_and(|read| read > 0) {
            if line.trim_end().ends_with(word) {
                return true;
            }
            line.clear();
        }
        false
    }

    /// Kills it so much later; false if it had said the word by then.
    pub(crate) fn killed_after(mut self, delay: Duration, word: &str) -> bool {
        std::thread::sleep(delay);
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        !self.says(word)
    }

    /// Sends it a signal, such as `TERM`.
    #[cfg(unix)]
    pub(crate) fn signalled(&self, signal: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", signal, &pid]).status();
        assert!(sent.unwrap().success());
    }

    /// Waits for its end.
    pub(crate) fn ends_well(mut self) -> bool {
        // Its pipe must not break before.
        let _ = std::io::copy(&mut self.out, &mut std::io::sink());
        self.child.wait().unwrap().success()
    }

    /// How long it takes to say the word, and then to end well.
    pub(crate) fn measure(mut self, word: &str) -> Duration {
        let started = Instant::now();
        assert!(self.says(word), "the child ended before its time");
        let took = started.elapsed();
        assert!(self.ends_well());
        took
    }
}

/// How many processes a test kills.
pub(crate) fn rounds() -> u32 {
    let rounds = std::env::var("BOTSTORE_TEST_ROUNDS").ok();
    rounds.and_then(|rounds| rounds.parse().ok()).unwrap_or(15)
}
