//! The same on a terminal, where a program may do what it does not do on a pipe.

use crate::hostile::{commands, escaped, is_hidden, sample};
use crate::support::{Place, command};
use botstore::rusqlite::Connection;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::{FromRawFd as _, OwnedFd};
use std::ptr::null_mut;

/// The two ends of a new terminal: what a person sees, and what a program writes to.
fn terminal() -> (File, OwnedFd) {
    let (mut seen, mut written) = (-1, -1);
    // SAFETY: the numbers have room for what they are given, and nothing else is asked for.
    let opened =
        unsafe { libc::openpty(&mut seen, &mut written, null_mut(), null_mut(), null_mut()) };
    assert_eq!(opened, 0, "{}", std::io::Error::last_os_error());
    // SAFETY: both were opened just now, and belong to nobody else.
    unsafe { (File::from_raw_fd(seen), OwnedFd::from_raw_fd(written)) }
}

/// What a person sees of a command.
fn seen<A: AsRef<OsStr>>(arguments: &[A]) -> String {
    let (mut seen, written) = terminal();
    let mut program = command(arguments);
    program.env("TERM", "xterm-256color").env_remove("NO_COLOR");
    program.stdout(written.try_clone().unwrap()).stderr(written);
    let mut child = program.spawn().unwrap();
    // So that nobody but the child can still write.
    drop(program);
    let mut bytes = Vec::new();
    // A terminal that nobody writes to any more is at its end on some systems, and an error on others.
    let _ = seen.read_to_end(&mut bytes);
    child.wait().unwrap();
    String::from_utf8(bytes).unwrap().replace("\r\n", "\n")
}

/// What a person sees who answers the one question, and the exit code.
fn answering<A: AsRef<OsStr>>(arguments: &[A], answer: &str) -> (String, Option<i32>) {
    let (mut seen, theirs) = terminal();
    let mut program = command(arguments);
    program.stdin(theirs.try_clone().unwrap());
    program.stdout(theirs.try_clone().unwrap()).stderr(theirs);
    let mut child = program.spawn().unwrap();
    drop(program);
    // A terminal keeps it until it is asked for.
    seen.write_all(answer.as_bytes()).unwrap();
    let mut bytes = Vec::new();
    let _ = seen.read_to_end(&mut bytes);
    let code = child.wait().unwrap().code();
    (
        String::from_utf8(bytes).unwrap().replace("\r\n", "\n"),
        code,
    )
}

#[test]
fn taking_steps_back_shows_the_plan_and_asks() {
    let place = Place::filled(3);
    let file = place.file.as_os_str();
    let arguments: [&OsStr; 4] = ["rollback".as_ref(), file, "--to".as_ref(), "0".as_ref()];
    for answer in ["n\n", "\n", "yesterday\n", "\u{4}"] {
        let before = place.picture();
        let (seen, code) = answering(&arguments, answer);
        assert_eq!(code, Some(130), "{seen}");
        assert!(seen.contains("messages"), "it says what goes: {seen}");
        assert!(seen.contains("Go on? [y/N]"), "{seen}");
        assert!(place.picture() == before, "{seen}");
    }
    let (seen, code) = answering(&arguments, "y\n");
    assert_eq!(code, Some(0), "{seen}");
    assert!(seen.contains("botstore 0001 seed"), "{seen}");
    let other = Place::filled(1);
    let file = other.file.as_os_str();
    let to = ["--to", "2", "--yes"].map(OsStr::new);
    let (seen, code) = answering(&[&["rollback".as_ref(), file][..], &to].concat(), "");
    assert_eq!(code, Some(0), "{seen}");
    assert!(!seen.contains("Go on?"), "{seen}");
}

/// Without what a progress bar begins its lines with.
fn without_bars(seen: &str) -> String {
    seen.replace("\r\u{1b}[2K", "").replace('\r', "")
}

#[test]
fn a_terminal_gets_no_hidden_character_either() {
    let place = Place::filled(1);
    let (name, written) = (sample(), escaped(&sample()));
    let conn = Connection::open(&place.file).unwrap();
    for sql in [
        "UPDATE users SET telegram_username = ?1",
        "UPDATE botstore_store SET store_id = ?1",
    ] {
        conn.execute(sql, [&name]).unwrap();
    }
    conn.close().unwrap();
    let file = place.file.as_os_str();
    let to = place.path("to");
    let clean = |seen: &str| {
        let raw = seen.chars().find(|c| *c != '\n' && is_hidden(*c));
        assert_eq!(raw, None, "{seen:?}");
    };
    for command in ["status", "dashboard"] {
        let shown = seen(&[command.as_ref(), file]);
        assert!(shown.contains(&written), "{shown}");
        clean(&shown);
    }
    clean(&seen(&["export".as_ref(), file]));
    clean(&seen(&["--help"]));
    for command in commands() {
        clean(&seen(&[command.as_str(), "--help"]));
        clean(&seen(&[&command, &name, &name]));
        clean(&seen(&[&command, &format!("--{name}")]));
    }
    let backup = seen(&["backup".as_ref(), file, "--to".as_ref(), to.as_os_str()]);
    assert!(backup.contains("copying"), "there was a bar: {backup:?}");
    clean(&without_bars(&backup));
    assert!(backup.contains("\nholds         "), "{backup:?}");
}
