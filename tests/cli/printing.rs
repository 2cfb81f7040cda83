//! Whatever a name holds, what is printed cannot steer a terminal or pose as something else.

use crate::hostile::{Hostile, all, commands, escaped, malformed, sample, valued};
use crate::support::{Place, Ran, on, run, text};
use botstore::rusqlite::Connection;
use serde_json::Value;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

/// What is tried with each command: arguments, in which everything is called something hostile.
fn trials(command: &str, hostile: &Hostile) -> Vec<Vec<OsString>> {
    let file = hostile.file();
    let name = OsStr::new(&hostile.name);
    let (backup, forged) = (hostile.backup.as_os_str(), hostile.forged.as_os_str());
    let free = hostile.free();
    let free = free.as_os_str();
    let folder = forged.as_ref() as &Path;
    let folder = folder.parent().unwrap().as_os_str();
    let words = |words: &[&OsStr]| words.iter().map(|&word| word.to_owned()).collect();
    let o = OsStr::new;
    let trials: &[&[&OsStr]] = match command {
        "status" | "check" | "dashboard" => &[&[file]],
        "usage" => &[&[file], &[file, o("--by"), o("user")]],
        "limits" => &[
            &[file],
            &[file, o("--user"), name],
            &[file, o("set"), o("--scope"), name],
        ],
        "migrate" => &[&[file], &[file, o("--plan")], &[name]],
        "rollback" => &[
            &[file, o("--to"), o("0"), o("--schema"), name],
            &[name, o("--to"), o("0")],
        ],
        "backup" => &[&[file], &[file, o("--to"), free], &[file, o("--to"), file]],
        "backups" => &[&[file], &[folder]],
        "verify" => &[
            &[backup],
            &[forged],
            &[backup, o("--identity"), file],
            &[backup, o("--scratch"), free],
        ],
        "restore" => &[
            &[backup, o("--to"), free],
            &[backup, o("--to"), file],
            &[forged, o("--to"), free],
        ],
        "prune" => &[&[file], &[name]],
        "export" => &[
            &[file],
            &[file, o("--table"), name],
            &[file, o("--table"), o("no\u{202e}where")],
            &[file, o("--out"), free],
        ],
        "prices" => &[
            &[file],
            &[name],
            &[file, o("import"), file],
            &[file, o("import"), free],
            &[
                file,
                o("set"),
                name,
                name,
                o("--input"),
                o("3"),
                o("--output"),
                o("15"),
            ],
            &[file, o("remove"), name, name, o("--from"), o("2026-03-10")],
            &[file, name],
        ],
        "completions" => &[&[o("bash")], &[o("zsh")], &[o("fish")]],
        "help" => &[&[o("status")], &[name]],
        _ => panic!("{command} is new: say here how it is tried with hostile names"),
    };
    trials.iter().copied().map(words).collect()
}

/// Every text in a JSON document, names of members included.
fn texts(json: &Value) -> Vec<&str> {
    match json {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::Object(members) => {
            let member = |(name, value)| std::iter::once(name).chain(texts(value)).collect();
            members
                .iter()
                .map(|(name, value)| (name.as_str(), value))
                .flat_map::<Vec<_>, _>(member)
                .collect()
        }
        _ => Vec::new(),
    }
}

/// What a command printed for its trials as text, and its JSON documents.
fn printed(command: &str, hostile: &Hostile) -> (Vec<String>, Vec<Value>) {
    let (mut shown, mut documents) = (Vec::new(), Vec::new());
    for trial in trials(command, hostile) {
        let arguments = || std::iter::once(command.into()).chain(trial.clone());
        let ran = run::<OsString>(arguments()).clean(command);
        shown.extend([ran.out, ran.err]);
        let ran = run(arguments().chain(["--json".into()])).clean(command);
        // The usage is told as text.
        if ran.code != 2 && command != "help" {
            documents.push(ran.json());
        }
    }
    (shown, documents)
}

#[test]
fn no_command_prints_a_hidden_character_of_any_name() {
    let hostile = Hostile::new();
    for command in commands() {
        let (shown, documents) = printed(&command, &hostile);
        let written = escaped(hostile.name.split('\n').next().unwrap());
        let quoted = shown.iter().any(|text| text.contains(&written));
        assert_eq!(quoted, command != "completions", "{command}: {shown:#?}");
        let mut texts = documents.iter().flat_map(texts);
        let quoted = texts.any(|text| text.contains(&hostile.name));
        let says_nothing = ["completions", "help"].contains(&command.as_str());
        assert_eq!(quoted, !says_nothing, "{command}: {documents:#?}");
    }
}

#[test]
fn json_gives_back_every_hidden_character() {
    let hostile = Hostile::new();
    let name = Value::from(hostile.name.as_str());
    let json = |command: &str| {
        let ran = on(command, &hostile.place.file, &["--json"]);
        ran.clean(command).json()
    };
    let status = json("status");
    assert_eq!(status["store_id"], name);
    assert_eq!(status["rows"][&hostile.name], 1);
    assert_eq!(status["last_drill"]["backup"], name);
    assert_eq!(status["file"], hostile.place.file.to_str().unwrap());
    let dashboard = json("dashboard");
    let user = Value::from(hostile.name.clone() + &all());
    assert_eq!(dashboard["users"]["items"][0]["username"], user);
    assert_eq!(dashboard["tool_stats"][0]["tool_name"], name);
    assert_eq!(dashboard["recent_audit"][0]["event_type"], name);
    let check = json("check");
    assert_eq!(check["report"]["differences"]["first"][0]["of"], name);

    let document = json("export");
    assert_eq!(document["users"][0]["telegram_username"], user);
    assert_eq!(document[&hostile.name][0][&hostile.name], "orphan");
    let lines = on("export", &hostile.place.file, &[]).came_to(0);
    let lines = lines.clean("export").out;
    let out = hostile.place.path("rows.jsonl");
    on("export", &hostile.place.file, &["--out", text(&out)]).came_to(0);
    assert_eq!(fs::read_to_string(&out).unwrap(), lines);
    let rows: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(rows[0]["row"], document["users"][0]);
    assert_eq!(rows.last().unwrap()["table"], name);
}

#[test]
fn what_sqlite_says_of_a_file_is_escaped() {
    let name = sample();
    let place = malformed(&name);
    for command in [
        "status",
        "check",
        "dashboard",
        "usage",
        "limits",
        "export",
        "migrate",
        "backup",
    ] {
        let refused = on(command, &place.file, &[]).clean(command);
        let text = refused.out + &refused.err;
        assert!(text.contains("malformed"), "{command}: {text}");
        assert!(
            text.contains(&escaped("\u{1b}[2J\u{1b}]0;t")),
            "{command}: {text}"
        );
        let refused = on(command, &place.file, &["--json"]).clean(command);
        let message = refused.json()["error"]["message"].clone();
        assert!(message.as_str().unwrap().contains("\u{1b}[2J"), "{message}");
    }
}

#[test]
fn a_manifest_that_is_refused_is_quoted_with_escapes() {
    let place = Place::filled(1);
    let backup = place.back_up(&[]);
    let field = serde_json::json!({ "format": 1, sample(): 1 });
    fs::write(backup.join("manifest.json"), field.to_string()).unwrap();
    for (command, path) in [("backups", &place.file), ("verify", &backup)] {
        let told = on(command, path, &[]).came_to(3).clean(command);
        let told = told.out + &told.err;
        assert!(told.contains(&escaped("\u{1b}[2J")), "{told}");
        let json = on(command, path, &["--json"]).came_to(3).clean(command);
        assert!(
            texts(&json.json())
                .iter()
                .any(|text| text.contains(&sample()))
        );
    }
}

#[test]
fn the_name_of_a_forged_manifest_is_quoted_with_escapes() {
    let hostile = Hostile::new();
    let told = on("verify", &hostile.forged, &[]).came_to(3);
    let told = told.clean("verify").err;
    let name = escaped(hostile.name.split('\n').next().unwrap());
    let said = format!("its manifest belongs to \"{name}");
    assert!(told.contains(&said), "{told}");
}

#[test]
fn arguments_are_quoted_with_escapes() {
    let name = sample();
    // A line break in the sentence of an error is one, with the next line set in.
    let written = escaped(name.split('\n').next().unwrap());
    let refused = |arguments: &[&str]| {
        let ran = run(arguments).clean(arguments[0]);
        assert_ne!(ran.code, 0, "{}", ran.out);
        assert!(ran.err.contains(&written), "{written}: {}", ran.err);
    };
    refused(&[&name]);
    refused(&[&format!("status{name}")]);
    refused(&[&format!("--{name}"), "status", "x"]);
    let mut options = 0;
    for command in commands() {
        if ["completions", "help"].contains(&command.as_str()) {
            refused(&[&command, &name]);
            continue;
        }
        // A file that is not there, an argument too many, an option that is not there, a value that
        // is none, and a wish for one.
        if command != "restore" && command != "rollback" {
            refused(&[&command, &name]);
        }
        refused(&[&command, "x", &name]);
        refused(&[&command, "x", &format!("--{name}")]);
        // Whoever writes this wants JSON, and gets it.
        let ran = run([&command, "x", &format!("--json={name}")]).clean(&command);
        let message = ran.came_to(2).json()["error"]["message"].to_string();
        let message: String = serde_json::from_str(&message).unwrap();
        assert!(message.contains(&written), "{written}: {message}");
        for option in valued(&command) {
            let ran = run([&command, &name, &option, &name]).clean(&option);
            assert!(ran.code == 1 || ran.code == 2, "{option}: {}", ran.out);
            // Some lack another option, and say nothing of this one.
            options += usize::from(ran.err.contains(&written));
        }
    }
    assert!(options > 15, "{options}: the help was misread");
}

#[test]
fn no_name_poses_as_a_line_of_the_programs() {
    let place = Place::filled(1);
    let forged = "x\nwhat to do: run\nrefused       forged\nerror: forged\n  tip: forged";
    let conn = Connection::open(&place.file).unwrap();
    conn.execute("UPDATE users SET telegram_username = ?1", [forged])
        .unwrap();
    conn.execute("UPDATE botstore_store SET store_id = ?1", [forged])
        .unwrap();
    conn.execute_batch(&format!("CREATE TABLE \"{forged}\" (x)"))
        .unwrap();
    conn.close().unwrap();
    let folder = place.path(forged);
    fs::create_dir(&folder).unwrap();
    let copy = folder.join(forged);
    fs::copy(&place.file, &copy).unwrap();
    let is_ours = |ran: Ran| {
        let begins = [
            "what to do: run",
            "refused       forged",
            "error: forged",
            "  tip: forged",
        ];
        for line in ran.out.lines().chain(ran.err.lines()) {
            let poses = begins.iter().find(|begin| line.starts_with(**begin));
            assert_eq!(poses, None, "{}{}", ran.out, ran.err);
        }
    };
    for command in [
        "status",
        "check",
        "dashboard",
        "usage",
        "limits",
        "backup",
        "backups",
        "prune",
    ] {
        is_ours(on(command, &place.file, &[]));
        is_ours(on(command, &copy, &[]));
        is_ours(on(command, &folder.join("no").join(forged), &[]));
        is_ours(on(command, &copy, &[forged]));
        is_ours(on(command, &copy, &[&format!("--{forged}")]));
    }
    is_ours(run([forged]));
    // The SQL of a step that has changed has lines, and stays legible.
    place.alter(
        "UPDATE botstore_ledger SET checksum = 'x', up_sql = 'a\nerror: forged' WHERE step = 1",
    );
    let told = on("status", &place.file, &[]).came_to(1);
    assert!(
        told.out.contains("\n              error: forged\n"),
        "{}",
        told.out
    );
    is_ours(told);
    let told = on("dashboard", &place.file, &[]).came_to(1);
    assert!(told.err.contains("\n    error: forged\n"), "{}", told.err);
    is_ours(told);
}

/// The files in a folder and those below.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let files = paths.flat_map(|path| match path.is_dir() {
        true => sources(&path),
        false => vec![path],
    });
    files.collect()
}

/// So that the tests above hold for what nobody has thought of: whatever is printed goes through one
/// file. (Clippy refuses the macros that print, wherever they are: `print_stdout` in `main.rs`.)
#[test]
fn one_file_prints() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/bin/botstore");
    let main = fs::read_to_string(folder.join("main.rs")).unwrap();
    assert!(main.contains("#![deny(clippy::print_stdout, clippy::print_stderr)]"));
    assert!(main.contains("print::report_panics();"));
    let mut files = 0;
    for path in sources(&folder) {
        let text = fs::read_to_string(&path).unwrap();
        files += 1;
        for (at, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap();
            let code = [
                "print::stdout(",
                "print::stderr(",
                "fn to_stdout(",
                ".to_stdout(",
            ]
            .iter()
            .fold(code.to_owned(), |code, ours| code.replace(ours, ""));
            let prints = [
                "stdout(",
                "stderr(",
                "Stdout",
                "Stderr",
                "io::std",
                "println!",
                "print!",
                "dbg!",
                "DrawTarget",
                "Term::",
                "/dev/",
                "::parse()",
                "get_matches",
                ".print()",
                ".exit()",
            ];
            let prints = prints.iter().find(|prints| code.contains(**prints));
            let may = path.ends_with("print.rs") || code.contains("use_stderr()");
            assert!(
                may || prints.is_none(),
                "{}:{}: {line}",
                path.display(),
                at + 1
            );
        }
    }
    assert!(files > 10, "the sources are elsewhere");
}
