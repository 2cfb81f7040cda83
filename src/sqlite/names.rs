//! Interprets the name of a database in a bot's settings: a path, the URL of the Python bot's
//! `DATABASE_URL`, or a path with `~`, which a shell would expand.

use crate::error::{Error, Result, quote};
use std::ffi::{OsStr, OsString};
use std::path::{Component, Path, PathBuf};

/// Returns the path that a name means, as the Python bot and shells understand it:
///
/// * `sqlite:///bot.db` and `sqlite:bot.db` are `bot.db`, `sqlite:////srv/bot.db` is `/srv/bot.db`,
///   whatever driver stands after a `+`;
/// * `~/bot.db` is in the home folder;
/// * everything else is the path itself. `./sqlite:bot.db` is a file of that name.
///
/// # Errors
/// [`Invalid`](crate::ErrorKind::Invalid) for a name that is no path, and that would otherwise create a
/// folder: other URLs, URLs with parameters, `file:` URIs, which SQLite interprets itself, and the home
/// of another account.
pub(crate) fn path_of(name: &Path) -> Result<PathBuf> {
    let refuse = |why: &str| {
        let name = name.display().to_string();
        Err(Error::invalid(
            "path",
            &format!("{why}, not {}", quote(&name)),
        ))
    };
    let bytes = name.as_os_str().as_encoded_bytes();
    let Some((scheme, begins)) = scheme_of(bytes) else {
        return at_home(name);
    };
    let rest = &bytes[begins..];
    let is_sqlite = scheme
        .split('+')
        .next()
        .is_some_and(|scheme| matches!(scheme, "sqlite" | "sqlite3"));
    if scheme == "file" {
        return refuse(
            "must be a path instead of a file: URI, whose parameters the store sets itself",
        );
    }
    if !is_sqlite {
        return match rest.starts_with(b"//") {
            true => refuse("must be a path or sqlite:///PATH"),
            false => at_home(name),
        };
    }
    if rest.contains(&b'?') {
        return refuse("must be without parameters (after a ?), since the store sets them itself");
    }
    // The Python bot reads two slashes as three.
    let slashes = rest
        .iter()
        .take(3)
        .take_while(|&&byte| byte == b'/')
        .count();
    let skipped = if slashes < 2 { 0 } else { slashes };
    at_home(Path::new(&after(name.as_os_str(), begins + skipped)))
}

/// Returns the scheme of a URL in lower case, and where the part after its colon begins. A single
/// letter is a drive, on systems that have drives.
fn scheme_of(name: &[u8]) -> Option<(String, usize)> {
    let colon = name.iter().position(|&byte| byte == b':')?;
    let scheme = std::str::from_utf8(&name[..colon]).ok()?;
    let is_scheme = scheme.len() > 1
        && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    is_scheme.then(|| (scheme.to_ascii_lowercase(), colon + 1))
}

/// Returns a text without its first bytes, which are ASCII.
fn after(text: &OsStr, bytes: usize) -> OsString {
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt as _;
        OsStr::from_bytes(&text.as_bytes()[bytes..]).to_owned()
    }
    #[cfg(not(unix))]
    {
        text.to_string_lossy()[bytes..].into()
    }
}

/// Returns the path with the home folder in place of a leading `~`.
fn at_home(path: &Path) -> Result<PathBuf> {
    let mut components = path.components();
    let Some(Component::Normal(first)) = components.next() else {
        return Ok(path.to_owned());
    };
    let rest = components.as_path();
    if first == "~" {
        let home = std::env::home_dir().filter(|home| home.is_absolute());
        let home = home.ok_or_else(|| {
            Error::invalid("path", "must not begin with ~ if HOME names no folder")
        })?;
        return Ok(home.join(rest));
    }
    // A file may have such a name; but a missing folder of that name would be created.
    let is_folder = !rest.as_os_str().is_empty();
    if is_folder && first.as_encoded_bytes().starts_with(b"~") && !Path::new(first).exists() {
        let why = "must not begin with another account's ~; write out the folder";
        return Err(Error::invalid("path", why));
    }
    Ok(path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn names_of_databases_mean_what_the_python_bot_and_shells_take_them_for() {
        let home = std::env::home_dir().unwrap();
        let at_home = home.join("data/bot.db");
        let at_home = at_home.to_str().unwrap();
        for (name, path) in [
            ("bot.db", "bot.db"),
            ("data/bot.db", "data/bot.db"),
            ("/srv/bot.db", "/srv/bot.db"),
            ("sqlite:///data/bot.db", "data/bot.db"),
            ("sqlite:////srv/bot.db", "/srv/bot.db"),
            ("sqlite://data/bot.db", "data/bot.db"),
            ("sqlite:data/bot.db", "data/bot.db"),
            ("sqlite:/srv/bot.db", "/srv/bot.db"),
            ("SQLite:///data/bot.db", "data/bot.db"),
            ("sqlite3:///data/bot.db", "data/bot.db"),
            ("sqlite+aiosqlite:///data/bot.db", "data/bot.db"),
            ("sqlite:///./bot.db", "./bot.db"),
            ("sqlite:///:memory:", ":memory:"),
            ("sqlite://", ""),
            ("sqlite:", ""),
            ("~/data/bot.db", at_home),
            ("sqlite:///~/data/bot.db", at_home),
            ("./~/bot.db", "./~/bot.db"),
            ("./sqlite:///bot.db", "./sqlite:///bot.db"),
            ("~bot.db", "~bot.db"),
            ("a~/bot.db", "a~/bot.db"),
            ("12:30.db", "12:30.db"),
            ("C:/bot.db", "C:/bot.db"),
            ("notes:bot.db", "notes:bot.db"),
            ("why?.db", "why?.db"),
            ("", ""),
        ] {
            assert_eq!(path_of(Path::new(name)).unwrap(), Path::new(path), "{name}");
        }
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for name in [
            "file:bot.db",
            "file:///srv/bot.db?mode=ro",
            "FILE:bot.db",
            "file::memory:?cache=shared",
            "sqlite:///bot.db?mode=ro",
            "sqlite:bot.db?cache=shared",
            "postgresql://bot@localhost/bot",
            "postgresql+asyncpg://localhost/bot",
            "http://localhost/bot.db",
            "~nobody-here/bot.db",
        ] {
            let error = path_of(Path::new(name)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{name}");
            assert_eq!(error.field(), Some("path"), "{name}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_name_that_is_no_text_keeps_its_bytes() {
        use std::os::unix::ffi::OsStrExt as _;
        let path = |bytes: &[u8]| PathBuf::from(OsStr::from_bytes(bytes));
        let found = path_of(&path(b"sqlite:///b\xfft.db")).unwrap();
        assert_eq!(found, path(b"b\xfft.db"));
        assert_eq!(path_of(&path(b"b\xff:t.db")).unwrap(), path(b"b\xff:t.db"));
    }
}
