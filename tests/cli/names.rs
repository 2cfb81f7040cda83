//! Names that are no attack are shown as they are, and what is no text stops nothing.

use crate::support::{Place, on};
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
