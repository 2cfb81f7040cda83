//! Names that are no attack are shown as they are, and what is no text stops nothing.

use crate::support::{Place, command, on, ran, text};
use botstore::rusqlite::Connection;

#[test]
fn names_that_people_have_are_shown_as_they_are() {
    let names = [
        "Zo\u{e9}",
        "Zoe\u{301}",
        "日本語",
        "Владимир",
        "שלום",
        "مرحبا",
        "สวัสดี",
        "नमस्ते",
        "한국어",
        "\u{1f600}\u{1f44d}\u{1f3fd}",
        "\u{2764}\u{fe0f}",
        "\u{1f1ea}\u{1f1fa}",
        "a\u{a0}b",
        "O'Neill \\ \"x\"",
        "\u{600}\u{6dd}",
    ];
    for name in names {
        let place = Place::filled(1);
        let conn = Connection::open(&place.file).unwrap();
        conn.execute("UPDATE users SET telegram_username = ?1", [name])
            .unwrap();
        conn.close().unwrap();
        let shown = on("dashboard", &place.file, &[]).came_to(0).out;
        assert!(shown.contains(name), "{name}: {shown}");
        let json = on("dashboard", &place.file, &["--json"]).came_to(0).out;
        let quoted = serde_json::to_string(name).unwrap();
        assert!(json.contains(&quoted), "{quoted}: {json}");
        let gone = on("status", &place.path(&name.replace('/', "")), &[]).came_to(1);
        assert!(gone.err.contains(name), "{name}: {}", gone.err);
    }
}

/// Each command with the name of a file where it takes one.
fn commands(name: &str, backup: &str) -> Vec<Vec<String>> {
    let words = |line: &str| -> Vec<String> {
        let words = line.split(' ');
        words
            .map(|word| word.replace("NAME", name).replace("BACKUP", backup))
            .collect()
    };
    [
        "status NAME",
        "check NAME",
        "check NAME --repair",
        "dashboard NAME",
        "usage NAME",
        "limits NAME set --scope each-user --of cost --max 2 --per day",
        "limits NAME",
        "limits NAME remove --scope each-user --of cost --per day",
        "export NAME",
        "export NAME --out NAME.jsonl",
        "migrate NAME --plan",
        "migrate NAME",
        "rollback NAME --to 100",
        "backup NAME",
        "backup NAME --to NAME.elsewhere",
        "status NAME --backups NAME.elsewhere",
        "backups NAME",
        "prune NAME --dry-run",
        "restore BACKUP --to NAME.restored",
        "restore BACKUP --to NAME --replace",
        "restore --latest --to NAME --replace",
        "restore --latest NAME --to NAME --replace",
    ]
    .map(words)
    .into()
}

/// A bot's folder, which is the home folder too, and the command line in it.
struct Home {
    place: Place,
    backup: String,
}

impl Home {
    /// Makes a backup of the file with this name.
    fn of(name: &str) -> Self {
        let place = Place::filled(1);
        let mut home = Self {
            place,
            backup: String::new(),
        };
        home.takes(&["backup".into(), home.in_folder(name)]);
        let backups = std::fs::read_dir(home.place.path("bot.db.backups")).unwrap();
        let mut backups = backups.map(|name| name.unwrap().path());
        let backup = backups.find(|path| path.is_dir()).unwrap();
        home.backup = text(&backup).to_owned();
        home
    }

    fn in_folder(&self, name: &str) -> String {
        name.replace("/FOLDER", text(self.place.folder.path()))
    }

    fn takes(&self, words: &[String]) {
        let folder = self.place.folder.path();
        let mut command = command(words);
        let ran = ran(command.current_dir(folder).env("HOME", folder));
        assert_eq!(ran.code, 0, "{words:?}: {}", ran.err);
    }

    /// Nothing is there but the file and what belongs to it.
    fn has_one_file(&self, name: &str) {
        for entry in std::fs::read_dir(self.place.folder.path()).unwrap() {
            let entry = entry.unwrap().file_name();
            assert!(
                entry.to_string_lossy().starts_with("bot.db"),
                "{name}: {entry:?}"
            );
        }
    }
}

#[test]
fn each_command_takes_the_url_of_the_python_bot_and_the_home_folder() {
    for name in ["sqlite:///bot.db", "~/bot.db"] {
        let home = Home::of(name);
        for words in commands(name, &home.backup) {
            home.takes(&words);
        }
        home.has_one_file(name);
    }
}

#[test]
fn each_form_of_a_name_is_the_same_file() {
    for name in ["bot.db", "sqlite:bot.db", "sqlite:////FOLDER/bot.db"] {
        let home = Home::of(name);
        home.takes(&["status".into(), home.in_folder(name)]);
        let to = ["--to".into(), home.in_folder(name), "--replace".into()];
        home.takes(&[&["restore".into(), home.backup.clone()][..], &to].concat());
        home.has_one_file(name);
    }
}

#[test]
fn each_command_refuses_what_is_no_path_and_makes_nothing_of_it() {
    for name in [
        "file:bot.db",
        "sqlite:///bot.db?mode=ro",
        "postgresql://bot@localhost/bot",
    ] {
        let place = Place::filled(1);
        let folder = place.folder.path();
        let before = std::fs::read_dir(folder).unwrap().count();
        for words in commands(name, "bot.db.backups") {
            let output = command(&words).current_dir(folder).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{words:?}: {said}");
            assert!(said.contains("must be"), "{words:?}: {said}");
        }
        assert_eq!(std::fs::read_dir(folder).unwrap().count(), before, "{name}");
    }
}

/// Of people and emoji that are joined, the joiner is shown.
#[test]
fn what_joins_emoji_is_shown_as_an_escape() {
    let place = Place::filled(1);
    place.alter("UPDATE users SET telegram_username = '\u{1f469}\u{200d}\u{1f4bb}x\u{fe0f}'");
    let shown = on("dashboard", &place.file, &[]).came_to(0).out;
    assert!(
        shown.contains("\u{1f469}\\u{200d}\u{1f4bb}x\\u{fe0f}"),
        "{shown}"
    );
}
