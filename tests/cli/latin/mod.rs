//! Paths that are no UTF-8, such as the Latin-1 that an old disk brings along: every command takes them
//! wherever it takes a path, and tells them.

mod trials;

use crate::support::{Place, Ran, commands, run_in};
use serde_json::Value;
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use trials::TRIALS;

/// A folder, and everything in it, with such names.
struct Scene {
    place: Place,
    folder: PathBuf,
}

impl Scene {
    fn set() -> Self {
        let place = Place::new();
        let folder = place.folder.path().join(OsStr::from_bytes(b"b\xf6t"));
        fs::create_dir(&folder).unwrap();
        Self { place, folder }
    }

    /// `name`, with a letter in it that is no UTF-8.
    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(OsStr::from_bytes(
            &[b"\xe4".as_slice(), name.as_bytes()].concat(),
        ))
    }

    fn key(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        let bytes = (0..32_u8).map(|n| format!("{:02x}", n.wrapping_mul(73) ^ 0x5a));
        fs::write(&path, bytes.collect::<String>()).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    fn run(&self, arguments: &[&OsStr]) -> Ran {
        run_in(arguments, &self.path("tmp"))
    }
}

/// One backup in a folder of backups.
fn only_backup(folder: &Path) -> PathBuf {
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut backups = entries.filter(|path| path.join("manifest.json").exists());
    backups.next().expect("a backup")
}

/// The bytes of every path in the document that is told with its bytes.
fn told(json: &Value, found: &mut BTreeSet<PathBuf>) {
    match json {
        Value::Object(fields) => {
            for (name, value) in fields {
                if let Some(name) = name.strip_suffix("_hex") {
                    let texts = [&fields[name]].into_iter().flat_map(each);
                    for (hex, text) in each(value).zip(texts) {
                        let Some(hex) = hex.as_str() else { continue };
                        let path = from_hex(hex);
                        assert_eq!(text, &Value::from(path.display().to_string()), "{name}");
                        found.insert(path);
                    }
                }
                told(value, found);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| told(value, found)),
        _ => {}
    }
}

fn each(value: &Value) -> impl Iterator<Item = &Value> {
    let many = value.as_array().map(Vec::as_slice);
    many.unwrap_or(std::slice::from_ref(value)).iter()
}

fn from_hex(hex: &str) -> PathBuf {
    let digits = hex.as_bytes().chunks(2);
    let bytes =
        digits.map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap());
    OsString::from_vec(bytes.collect()).into()
}

/// Runs it twice, each time on a scene of its own, as text and as JSON; gives the paths that JSON told.
fn both(command: &str, arguments: impl Fn(&Scene) -> Vec<OsString>) -> BTreeSet<OsString> {
    let mut found = BTreeSet::new();
    for json in [false, true] {
        let scene = Scene::set();
        fs::create_dir(scene.path("tmp")).unwrap();
        let mut words = vec![OsString::from(command)];
        words.extend(arguments(&scene));
        if json {
            words.push("--json".into());
        }
        let words: Vec<_> = words.iter().map(OsString::as_os_str).collect();
        let ran = scene.run(&words).came_to(0);
        assert_eq!(ran.err, "", "{words:?}");
        if json {
            told(&ran.json(), &mut found);
        } else {
            assert!(!ran.out.is_empty(), "{words:?}");
        }
        // The work was done in there, and nothing in a folder of another name.
        assert_eq!(
            scene.place.folder.path().read_dir().unwrap().count(),
            1,
            "{words:?}"
        );
    }
    let names = found.iter().filter_map(|path| path.file_name());
    names.map(OsStr::to_owned).collect()
}

/// A closed bot's file in the scene.
fn database(scene: &Scene) -> PathBuf {
    let file = scene.path("bot.db");
    let place = Place::filled(2);
    fs::copy(&place.file, &file).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    file
}

/// The same, one step behind.
fn behind(scene: &Scene) -> PathBuf {
    let file = scene.path("bot.db");
    fs::copy(&Place::legacy().file, &file).unwrap();
    file
}

/// And with a backup in this folder, which these options make.
fn with_backup(scene: &Scene, to: &Path, more: &[&OsStr]) -> PathBuf {
    let file = database(scene);
    let words = [
        OsStr::new("backup"),
        file.as_os_str(),
        "--to".as_ref(),
        to.as_os_str(),
    ];
    scene.run(&[&words[..], more].concat()).came_to(0);
    file
}

fn words<const N: usize>(words: [&dyn AsRef<OsStr>; N]) -> Vec<OsString> {
    words.iter().map(|word| word.as_ref().to_owned()).collect()
}

fn is_named(found: &BTreeSet<OsString>, name: &[u8]) -> bool {
    found.contains(OsStr::from_bytes(name))
}

#[test]
fn every_command_takes_such_paths_and_tells_their_bytes() {
    let tried: BTreeSet<_> = TRIALS
        .iter()
        .map(|(command, ..)| command.to_string())
        .collect();
    let mut all = commands();
    // It takes no path.
    all.remove("completions");
    assert_eq!(tried, all);
    for (command, run, names) in TRIALS {
        let found = run();
        for name in *names {
            assert!(is_named(&found, name), "{command}: {found:?}");
        }
    }
}

/// A refusal is told as any other.
#[test]
fn what_is_not_there_under_such_a_name_is_told() {
    for command in commands() {
        let scene = Scene::set();
        let missing = scene.path("missing");
        let mut words = vec![OsStr::new(&command), missing.as_os_str()];
        let to = scene.path("to");
        match command.as_str() {
            "completions" => continue,
            "restore" => words.extend(["--to".as_ref(), to.as_os_str()]),
            "rollback" => words.extend(["--to".as_ref(), OsStr::new("0")]),
            _ => {}
        }
        let ran = scene.run(&words).came_to(1);
        assert!(
            ran.err.contains("b\u{fffd}t/\u{fffd}missing"),
            "{command}: {}",
            ran.err
        );
        words.push("--json".as_ref());
        assert_eq!(
            scene.run(&words).came_to(1).json()["error"]["kind"],
            "not found",
            "{command}"
        );
    }
}

/// SQLite names a file by its bytes, but for those that it attaches in a database of UTF-16.
#[test]
fn a_compact_backup_of_utf_16_to_such_a_folder_is_refused_in_a_sentence() {
    let scene = Scene::set();
    fs::create_dir(scene.path("tmp")).unwrap();
    let file = scene.path("bot.db");
    let conn = botstore::rusqlite::Connection::open(&file).unwrap();
    conn.execute_batch("PRAGMA encoding='UTF-16le'").unwrap();
    conn.execute_batch("CREATE TABLE t (a)").unwrap();
    conn.execute_batch("DROP TABLE t").unwrap();
    conn.close().unwrap();
    scene
        .run(&["migrate".as_ref(), file.as_os_str()])
        .came_to(0);
    let words = ["backup".as_ref(), file.as_os_str()];
    scene.run(&words).came_to(0);
    let refused = scene
        .run(&[words[0], words[1], "--compact".as_ref()])
        .came_to(2);
    assert!(refused.err.contains("UTF-16"), "{}", refused.err);
}
