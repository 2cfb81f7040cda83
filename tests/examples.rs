//! The promises that all examples keep: each says what it is for, and none leaves a file behind.

#[path = "shared/example.rs"]
mod example;
#[path = "shared/wait.rs"]
mod wait;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;
use wait::wait_until;

/// Those that there are: a file, or a folder with a `main.rs`.
fn examples() -> BTreeSet<String> {
    let entries = example::folder().read_dir().unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let programs = paths.filter(|path| {
        path.join("main.rs").exists() || path.extension().is_some_and(|end| end == "rs")
    });
    let name = |path: &Path| path.file_stem().unwrap().to_str().unwrap().to_owned();
    programs.map(|path| name(&path)).collect()
}

/// How it is run to a quick end by itself, or none if it goes on until it is asked to stop.
fn quick(name: &str) -> Option<&'static [&'static str]> {
    Some(match name {
        // Its input is at an end.
        "bot" | "custom_tables" | "quickstart" => &[],
        "dashboard" => return None,
        "simulated_load" => &["--interactions", "300", "--users", "9", "--backup"],
        _ => panic!("this test does not know how to run {name}"),
    })
}

/// How it is run to go on for long, or none if it cannot.
fn long(name: &str) -> Option<&'static [&'static str]> {
    Some(match name {
        "bot" => &[],
        "custom_tables" => &[],
        "dashboard" => &["--port", "0"],
        "simulated_load" => &["--interactions", "10000000"],
        "quickstart" => return None,
        _ => panic!("this test does not know how to run {name}"),
    })
}

/// In a folder of its own, which also has its temporary files.
fn command(name: &str, args: &[&str], folder: &TempDir) -> Command {
    let mut command = Command::new(example::program(name));
    command
        .args(args)
        .current_dir(folder)
        .env("TMPDIR", folder.path())
        .stdin(Stdio::null());
    command
}

fn left(folder: &TempDir) -> Vec<String> {
    let entries = folder.path().read_dir().unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name());
    names
        .map(|name| name.to_string_lossy().into_owned())
        .collect()
}

#[test]
fn there_are_those_that_the_readme_lists() {
    let readme = example::folder().with_file_name("README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    let table = readme.split("| example | shows |").nth(1).unwrap();
    let rows = table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with("| [`"));
    let listed = rows.map(|row| row.split('`').nth(1).unwrap().to_owned());
    assert_eq!(listed.collect::<BTreeSet<_>>(), examples());
}

#[test]
fn each_says_what_it_is_for_and_refuses_what_it_does_not_know() {
    for name in examples() {
        let folder = tempfile::tempdir().unwrap();
        let help = command(&name, &["--help"], &folder).output().unwrap();
        let said = String::from_utf8(help.stdout).unwrap();
        assert!(help.status.success(), "{name}: {said}");
        let (about, usage) = said.split_once("Usage: ").unwrap_or_default();
        assert!(
            about.trim().len() > 20 && !usage.is_empty(),
            "{name}: {said}"
        );

        let wrong = command(&name, &["--no-such-flag"], &folder)
            .output()
            .unwrap();
        assert_eq!(wrong.status.code(), Some(2), "{name}");
        assert_eq!(left(&folder), [""; 0], "{name}");
    }
}

#[test]
fn none_leaves_a_file_behind() {
    for name in examples() {
        let Some(args) = quick(&name) else { continue };
        let folder = tempfile::tempdir().unwrap();
        let ended = command(&name, args, &folder).output().unwrap();
        assert!(ended.status.success(), "{name}: {ended:?}");
        assert_eq!(left(&folder), [""; 0], "{name}");
    }
}

/// At 256 callers, most of whom are denied in the end.
#[test]
fn limits_hold_under_simulated_load() {
    let folder = tempfile::tempdir().unwrap();
    let args = [
        "--limits",
        "--callers",
        "256",
        "--interactions",
        "1500",
        "--users",
        "30",
        "--json",
    ];
    let ended = command("simulated_load", &args, &folder).output().unwrap();
    assert!(ended.status.success(), "{ended:?}");
    let said = String::from_utf8(ended.stdout).unwrap();
    let json: serde_json::Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    let limits = &json["limits"];
    let [granted, denied] = ["granted", "denied"].map(|name| limits[name].as_u64().unwrap());
    assert!(granted > 0 && denied > 300, "{limits}");
    assert_eq!(json["acknowledged"], granted);
    let [over, may_be] = ["over", "may_be_over"].map(|name| limits[name].as_f64().unwrap());
    assert!(over <= may_be, "{limits}");
    assert!(
        said.contains("limits      ") && said.ends_with("}\n"),
        "{said}"
    );
}

#[cfg(unix)]
#[test]
fn none_leaves_a_file_behind_when_it_is_interrupted() {
    struct Running(Child);
    impl Drop for Running {
        fn drop(&mut self) {
            // Only a test that failed leaves one running.
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
    for name in examples() {
        let Some(args) = long(&name) else { continue };
        let folder = tempfile::tempdir().unwrap();
        let mut command = command(&name, args, &folder);
        command.stdin(Stdio::piped()).stdout(Stdio::null());
        let mut running = Running(command.spawn().unwrap());
        let is_writing = || {
            let mut inside = left(&folder)
                .into_iter()
                .map(|name| folder.path().join(name));
            inside.any(|inside| {
                let mut files = inside.read_dir().into_iter().flatten();
                files.any(|file| file.unwrap().path().to_string_lossy().ends_with("-wal"))
            })
        };
        wait_until("a store that is open", is_writing);
        let interrupt = ["-INT", &running.0.id().to_string()];
        assert!(
            Command::new("kill")
                .args(interrupt)
                .status()
                .unwrap()
                .success()
        );
        running.0.wait().unwrap();
        assert_eq!(left(&folder), [""; 0], "{name}");
    }
}
