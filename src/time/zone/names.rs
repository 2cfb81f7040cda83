//! The names of zones, and what a name that is none may have meant.

use super::Zone;
use crate::error::{Error, Result, quote};
use crate::time::parse_offset;
use chrono::FixedOffset;
use chrono_tz::TZ_VARIANTS;

/// How many names an error proposes.
const PROPOSED: usize = 3;

impl Zone {
    /// The zone of a name of the IANA database, such as `Europe/Berlin`, or of an offset, such as `+05:30`.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for any other text; the error proposes names that are near.
    pub(crate) fn named(name: &str) -> Result<Self> {
        if let Ok(zone) = name.parse() {
            return Ok(Self::Named(zone));
        }
        if let Some(offset) = fixed(name) {
            return Ok(match offset.local_minus_utc() {
                0 => Self::UTC,
                _ => Self::Fixed(offset),
            });
        }
        let mut why = format!(
            "must be the name of a time zone in the IANA database, such as Europe/Berlin, or an offset such as \
             +05:30, not {}",
            quote(name)
        );
        let near = near(name);
        if !near.is_empty() {
            why += &format!("; near it are {}", near.join(", "));
        }
        Err(Error::invalid("time_zone", &why))
    }
}

fn fixed(text: &str) -> Option<FixedOffset> {
    if !text.is_ascii() || !text.starts_with(['+', '-']) {
        return None;
    }
    let offset = parse_offset(text)?;
    FixedOffset::east_opt(i32::try_from(offset.num_seconds()).ok()?)
}

/// The names that are nearest to a text, best first. Without regard to case; a city alone will do.
fn near(text: &str) -> Vec<&'static str> {
    let wanted = text.trim().to_lowercase().replace(' ', "_");
    let city = last_part(&wanted);
    // Longer ones are no misspelling, and would take long to compare.
    if city.is_empty() || wanted.len() > 64 {
        return Vec::new();
    }
    let mut found: Vec<_> = TZ_VARIANTS
        .iter()
        .map(|zone| zone.name())
        // The signs of their offsets are the wrong way round: GMT+2 would propose two hours west.
        .filter(|name| !name.starts_with("Etc/"))
        .filter_map(|name| {
            let known = name.to_lowercase();
            let whole = distance(&wanted, &known);
            let parts = distance(city, last_part(&known));
            // One letter in three may be wrong.
            let fits = whole * 3 <= wanted.len() || parts * 3 <= city.len();
            fits.then_some((parts, whole, name))
        })
        .collect();
    found.sort_unstable();
    found.truncate(PROPOSED);
    found.into_iter().map(|(.., name)| name).collect()
}

fn last_part(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// How many letters have to be put in, taken out or changed to make one text of the other.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (line, letter) in one.chars().enumerate() {
        let mut diagonal = line;
        row[0] = line + 1;
        for (at, &against) in other.iter().enumerate() {
            let changed = diagonal + usize::from(letter != against);
            diagonal = row[at + 1];
            row[at + 1] = changed.min(row[at] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_or_an_offset_is_read_and_written_again() {
        for name in [
            "UTC",
            "Europe/Berlin",
            "America/Argentina/San_Luis",
            "+05:30",
            "-09:30",
            "-00:30",
        ] {
            assert_eq!(Zone::named(name).unwrap().to_string(), name);
        }
        for (other, name) in [("+0530", "+05:30"), ("-03", "-03:00"), ("+00:00", "UTC")] {
            assert_eq!(Zone::named(other).unwrap().to_string(), name);
        }
        for zone in TZ_VARIANTS.map(Zone::Named) {
            assert_eq!(Zone::named(&zone.to_string()).unwrap(), zone);
        }
    }

    #[test]
    fn a_name_that_is_none_is_refused_with_those_that_are_near() {
        for (text, first) in [
            ("Europe/Berlln", "Europe/Berlin"),
            ("europe/berlin", "Europe/Berlin"),
            ("Berlin", "Europe/Berlin"),
            ("Europe/Munich", "Europe/Zurich"),
            ("America/Sao Paulo", "America/Sao_Paulo"),
            ("New York", "America/New_York"),
            ("Asia/Kolkatta", "Asia/Kolkata"),
            ("utc", "UTC"),
        ] {
            let error = Zone::named(text).unwrap_err();
            assert_eq!(error.kind(), crate::ErrorKind::Invalid);
            assert_eq!(error.field(), Some("time_zone"));
            let told = error.to_string();
            assert!(told.contains(&format!("near it are {first}")), "{told}");
        }
        for text in [
            "",
            "/",
            "GMT+2",
            "UTC+02:00",
            "+24:00",
            "+5",
            "五",
            "a\0",
            &"x/".repeat(1 << 16),
        ] {
            let told = Zone::named(text).unwrap_err().to_string();
            assert!(!told.contains("Etc/"), "{told}");
            assert!(told.len() < 1_000, "{told}");
        }
    }
}
