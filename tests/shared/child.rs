//! A child process of a test: this test binary again, in which the same test plays the child's part.
//!
//! Turned down: a test of its own for the child. It has to be ignored, and passes without having done
//! anything when somebody runs it. Here the same test is the parent, unless it is told that it is the
//! child; and a child that runs no test, or another, does not do what its parent waits for.
//!
//! What makes it the child stands on its command line, where the test harness takes it for the name of a
//! test that there is not. Turned down: an environment variable. Wherever one happens to be set, every
//! such test would play the child, and pass.

#![allow(dead_code, reason = "each test uses a part of it")]

use std::any::type_name;
use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// Before each thing that a child is given.
const GIVEN: &str = "given-to-the-child=";

/// In a child: what its parent gave it. The first thing that a test with a child asks.
pub fn given<const N: usize>() -> Option<[String; N]> {
    let arguments = std::env::args();
    let given = arguments.filter_map(|word| Some(word.strip_prefix(GIVEN)?.to_owned()));
    let given = Vec::from_iter(given);
    if given.is_empty() {
        return None;
    }
    Some(given.try_into().expect("as many as the parent gave"))
}

/// This binary again, behind the words `before`, with the child's part of this test.
pub fn again<T>(before: &[&str], _test: T, given: &[&Path]) -> Command {
    // `binary::module::test`, as the harness knows it.
    let (_, test) = type_name::<T>().split_once("::").expect("a test");
    let this = OsString::from(std::env::current_exe().unwrap());
    let mut words = before.iter().map(OsString::from).chain([this]);
    let mut command = Command::new(words.next().unwrap());
    command
        .args(words)
        .args(["--exact", "--nocapture", "--test-threads=1", test]);
    for given in given {
        command.arg(format!("{GIVEN}{}", given.to_str().expect("UTF-8")));
    }
    command
}

/// Runs a child to its end, which has to be a good one.
pub fn succeed(mut child: Command) {
    let output = child.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    assert!(out.contains("1 passed"), "it ran no test: {out}\n{err}");
}

fn succeeds(command: &mut Command) {
    assert!(command.status().unwrap().success(), "{command:?}");
}

/// Whether a command is there and works.
pub fn works(words: &[&str]) -> bool {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]);
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// Runs a child that is given a disk of its own, of so many MiB. Skips it, with a message, where
/// the system does not let us mount one.
pub fn succeed_on_a_small_disk<T>(test: T, mib: u32) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let mount = format!("mount -t tmpfs -o size={mib}m none '{path}' && exec \"$0\" \"$@\"");
    let before = ["unshare", "-rm", "sh", "-c", &mount];
    if !works(&[&before[..], &["true"]].concat()) {
        eprintln!("skipped: this system lets nobody like us mount a file system");
        return;
    }
    succeed(again(&before, test, &[folder.path()]));
}

/// Runs a child that is given a folder, and another that shows what is in it and cannot be written. Skips
/// it, with a message, where the system does not let us mount one.
pub fn succeed_with_a_read_only_view<T>(test: T, folder: &Path, view: &Path) {
    let (from, to) = (folder.to_str().unwrap(), view.to_str().unwrap());
    let mount = format!(
        "mount --bind '{from}' '{to}' && mount -o remount,bind,ro '{to}' && exec \"$0\" \"$@\""
    );
    let before = ["unshare", "-rm", "sh", "-c", &mount];
    if !works(&[&before[..], &["true"]].concat()) {
        eprintln!("skipped: this system lets nobody like us mount a file system");
        return;
    }
    succeed(again(&before, test, &[folder, view]));
}

/// Runs a child in a world of its own in which each first path is mounted at the second. Skips it, with a
/// message, where the system does not let us mount anything.
pub fn succeed_with_mounts<T>(test: T, mounts: &[(&Path, &Path)], given: &[&Path]) {
    match with_mounts(test, mounts, given) {
        Some(child) => succeed(child),
        None => eprintln!("skipped: this system lets nobody like us mount a file"),
    }
}

/// Such a child.
pub fn with_mounts<T>(test: T, mounts: &[(&Path, &Path)], given: &[&Path]) -> Option<Command> {
    let mut script = String::new();
    for (from, to) in mounts {
        script += &format!("mount --bind '{}' '{}' && ", from.display(), to.display());
    }
    script += "exec \"$0\" \"$@\"";
    let before = ["unshare", "-rm", "sh", "-c", &script];
    works(&[&before[..], &["true"]].concat()).then(|| again(&before, test, given))
}

/// A child that says how far it is, and may be killed there. It is killed when it is dropped.
pub struct Victim {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Victim {
    pub fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Self { child, out }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// The next line that it says; none when it has ended.
    pub fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = self.out.read_line(&mut line).unwrap_or(0);
        (read > 0).then(|| line.trim_end().to_owned())
    }

    /// Waits until it says the word; false if it ended without.
    pub fn says(&mut self, word: &str) -> bool {
        // The harness may have begun the line.
        std::iter::from_fn(|| self.line()).any(|line| line.ends_with(word))
    }

    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Kills it so much later, wherever it is then.
    pub fn killed_after(mut self, delay: Duration) {
        std::thread::sleep(delay);
        self.kill();
    }

    /// Sends it a signal, such as `TERM`.
    pub fn signalled(&self, signal: &str) {
        let process = self.id().to_string();
        succeeds(Command::new("kill").args(["-s", signal, &process]));
    }

    /// Waits for its end; gives its exit code.
    pub fn ends(mut self) -> Option<i32> {
        // Its pipe must not break before.
        let _ = std::io::copy(&mut self.out, &mut std::io::sink());
        self.child.wait().unwrap().code()
    }

    /// How long it takes to say the word, and then to end well.
    pub fn measure(mut self, word: &str) -> Duration {
        let started = Instant::now();
        assert!(self.says(word), "the child ended before its time");
        let took = started.elapsed();
        assert_eq!(self.ends(), Some(0));
        took
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How many processes a test kills: see [`rounds_or`].
pub fn rounds() -> u32 {
    rounds_or(15)
}

/// How often a test tries what comes out differently each time: so often, or `BOTSTORE_TEST_ROUNDS` times.
pub fn rounds_or(usual: u32) -> u32 {
    let rounds = std::env::var("BOTSTORE_TEST_ROUNDS").ok();
    rounds.map_or(usual, |rounds| rounds.parse().expect("a number"))
}
