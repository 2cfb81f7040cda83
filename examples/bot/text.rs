//! How things look on the screen.

use botstore::users::User;
use chrono::{DateTime, Local, Utc};

pub(crate) fn name_of(user: &User) -> String {
    match user.username.as_deref() {
        None | Some("") => format!("user {}", user.user_id),
        Some(name) => shorten(name, 16),
    }
}

/// The text on one line, of at most so many characters.
pub(crate) fn shorten(text: &str, chars: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(chars) {
        None => line,
        Some(_) => line.chars().take(chars - 1).chain(['…']).collect(),
    }
}

pub(crate) fn plural(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

pub(crate) fn local(time: DateTime<Utc>) -> String {
    time.with_timezone(&Local)
        .format("%Y-%m-%d %H:%M")
        .to_string()
}
