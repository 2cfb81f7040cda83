//! However a command ends, nothing that was encrypted stays readable: asked to stop, it clears up;
//! killed, the next one does.

use crate::support::{Place, command, on, text};
use crate::wait::wait_until;
use botstore::backup::AgeIdentity;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;

const MARKER: &str = "PLAINTEXTMARKER";

/// An encrypted backup that takes a while to read, somewhere else.
struct Scene {
    place: Place,
    recipient: String,
    identity: PathBuf,
    backup: PathBuf,
    elsewhere: PathBuf,
    temporary: PathBuf,
    restored: PathBuf,
}

/// What is in the folder of every scene, under relative paths. A dev build encrypts slowly.
struct Made {
    files: Vec<(PathBuf, Vec<u8>)>,
    backup: PathBuf,
    recipient: String,
}

const IDENTITY: &str = "identity.txt";
const ELSEWHERE: &str = "elsewhere";

impl Made {
    fn new() -> Self {
        let place = Place::filled(1);
        place.alter(&format!(
            "CREATE TABLE noise AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n
                 WHERE i < 3000) SELECT i, '{MARKER}' || hex(randomblob(1000)) AS noise FROM n;"
        ));
        let age = AgeIdentity::generate();
        fs::write(place.path(IDENTITY), age.to_secret()).unwrap();
        let recipient = age.recipient().to_string();
        let elsewhere = place.path(ELSEWHERE);
        let backup = place.back_up(&["--to", text(&elsewhere), "--recipient", &recipient]);
        let inside = |path: &Path| path.strip_prefix(place.folder.path()).unwrap().to_owned();
        let files = place.picture().into_iter();
        Self {
            files: files.map(|(path, bytes)| (inside(&path), bytes)).collect(),
            backup: inside(&backup),
            recipient,
        }
    }
}

impl Scene {
    fn set() -> Self {
        static MADE: LazyLock<Made> = LazyLock::new(Made::new);
        let place = Place::new();
        for (path, bytes) in &MADE.files {
            let path = place.folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        let temporary = place.path("tmp");
        fs::create_dir(&temporary).unwrap();
        Self {
            recipient: MADE.recipient.clone(),
            identity: place.path(IDENTITY),
            backup: place.folder.path().join(&MADE.backup),
            elsewhere: place.path(ELSEWHERE),
            temporary,
            restored: place.path("restored.db"),
            place,
        }
    }

    fn command(&self, name: &str) -> Command {
        let identity = ["--identity", text(&self.identity)];
        let words: Vec<&str> = match name {
            "backup" => vec![
                text(&self.place.file),
                "--to",
                text(&self.elsewhere),
                "--recipient",
                &self.recipient,
            ],
            "verify" => [&[text(&self.backup)][..], &identity].concat(),
            _ => {
                let to = ["--to", text(&self.restored), "--replace"];
                [&[text(&self.backup)][..], &identity, &to].concat()
            }
        };
        let mut command = command([&[name][..], &words].concat());
        command
            .env("TMPDIR", &self.temporary)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        // Whoever runs this test may have had its signals ignored, as `nohup` does. And on a busy
        // machine who watches has to be faster than who works.
        unsafe {
            command.pre_exec(|| {
                for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
                    libc::signal(signal, libc::SIG_DFL);
                }
                libc::nice(10);
                Ok(())
            });
        }
        command
    }

    /// The file in which the command has the content in the clear while it works.
    fn scratch(&self, name: &str) -> Option<PathBuf> {
        match name {
            "backup" => Some(self.place.path("bot.db.unsealed.partial").join("copy.db")),
            "verify" => {
                let folders = fs::read_dir(&self.temporary).unwrap();
                let mut files = folders.map(|folder| folder.unwrap().path().join("check.db"));
                files.find(|file| file.exists())
            }
            _ => Some(self.place.path("restored.db.restoring.db")),
        }
    }

    /// What can be read, by whoever may read files, but for the database itself.
    fn readable(&self) -> Vec<String> {
        let grep = ["-rlaF", MARKER, text(self.place.folder.path())];
        let found = Command::new("grep").args(grep).output().unwrap();
        let found = String::from_utf8(found.stdout).unwrap();
        let own = [text(&self.place.file), text(&self.restored)];
        let others = found.lines().filter(|file| !own.contains(file));
        others.map(str::to_owned).collect()
    }

    /// No scratch of any kind is left.
    fn is_tidy(&self) {
        let files = self.place.picture();
        let left = files
            .iter()
            .map(|(path, _)| text(path))
            .filter(|path| path.contains(".partial") || path.contains("restoring"));
        assert_eq!(left.collect::<Vec<_>>(), Vec::<&str>::new());
        assert_eq!(fs::read_dir(&self.temporary).unwrap().count(), 0);
        assert_eq!(self.readable(), Vec::<String>::new());
    }

    /// Starts the command, and sends it the signal when it has much in the clear; its exit code.
    fn ended(&self, name: &str, signal: i32) -> Option<i32> {
        let child = self.command(name).spawn().unwrap();
        let unpacked = || self.scratch(name).and_then(|file| fs::metadata(file).ok());
        wait_until("much is in the clear", || {
            unpacked().map_or(0, |data| data.len()) >= 256 << 10
        });
        send(&child, signal);
        let output = child.wait_with_output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{name} was done before {signal}");
        assert!(
            signal == libc::SIGKILL || error.contains("stopped on request"),
            "{error}"
        );
        output.status.code()
    }
}

/// At once, and not when another process has been started that does it.
fn send(child: &Child, signal: i32) {
    let sent = unsafe { libc::kill(child.id() as i32, signal) };
    assert_eq!(sent, 0);
}

fn stops(name: &str) {
    let scene = Scene::set();
    let backups = fs::read_dir(&scene.elsewhere).unwrap().count();
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        assert_eq!(scene.ended(name, signal), Some(130), "{name} {signal}");
        scene.is_tidy();
        assert_eq!(fs::read_dir(&scene.elsewhere).unwrap().count(), backups);
        assert!(!scene.restored.exists());
    }
    assert_eq!(scene.ended(name, libc::SIGKILL), None);
    let next = scene.command(name).output().unwrap();
    let error = String::from_utf8_lossy(&next.stderr);
    assert!(next.status.success(), "{error}");
    scene.is_tidy();
}

#[test]
fn a_backup_that_is_ended_leaves_nothing_readable() {
    stops("backup");
}

#[test]
fn a_verification_that_is_ended_leaves_nothing_readable() {
    stops("verify");
}

#[test]
fn a_restore_that_is_ended_leaves_nothing_readable() {
    stops("restore");
}

/// Another command than the one that was killed will do.
#[test]
fn what_a_killed_verification_left_goes_with_the_next_backup_or_restore() {
    let scene = Scene::set();
    for next in ["backup", "restore"] {
        assert_eq!(scene.ended("verify", libc::SIGKILL), None);
        assert!(scene.command(next).output().unwrap().status.success());
        scene.is_tidy();
    }
}

/// And what a killed backup left, with whatever has the file to itself next.
#[test]
fn what_a_killed_backup_left_beside_the_database_goes_with_the_next_command_on_it() {
    let scene = Scene::set();
    let left = scene.place.path("bot.db.unsealed.partial");
    let elsewhere = scene.place.path("another");
    for (next, more) in [
        ("migrate", &[][..]),
        ("backup", &["--to", text(&elsewhere)]),
    ] {
        assert_eq!(scene.ended("backup", libc::SIGKILL), None);
        assert!(left.exists());
        on(next, &scene.place.file, more).came_to(0);
        assert!(!left.exists(), "{next}");
    }
}

/// `nohup` means that the end of the terminal is none of the command.
#[cfg(target_os = "linux")]
#[test]
fn who_was_started_to_outlive_the_terminal_does() {
    let scene = Scene::set();
    let mut command = scene.command("verify");
    unsafe {
        command.pre_exec(|| {
            libc::signal(libc::SIGHUP, libc::SIG_IGN);
            Ok(())
        });
    }
    let child = command.spawn().unwrap();
    wait_until("it has begun", || {
        scene.scratch("verify").is_some_and(|file| file.exists())
    });
    send(&child, libc::SIGHUP);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    scene.is_tidy();
    assert!(Path::new(&scene.backup).exists());
}
