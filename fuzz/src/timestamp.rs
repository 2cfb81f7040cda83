//! Two texts that may be times, a line each.
//!
//! Whatever the text, reading it does not panic. If it is a time, the file's spelling of it has 32
//! characters and the one shape that there is, and reads back as the same time; and two such
//! spellings are in the order of the times, which is what every list and every sweep goes by.

use botstore::time::{format, parse};
use chrono::{DateTime, Datelike, Timelike, Utc};

pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (first, second) = text.split_once('\n').unwrap_or((&text, ""));
    let times = [first, second].map(|text| (text, parse(text)));
    for (text, time) in &times {
        if let Some(time) = time {
            spelled(text, *time);
        }
    }
    if let [(_, Some(a)), (_, Some(b))] = times {
        let (spelled_a, spelled_b) = (format(a), format(b));
        if a < b {
            assert!(spelled_a <= spelled_b, "{text:?}: {a:?} {b:?}");
        }
        if has_spelling(a) && has_spelling(b) {
            assert_eq!(
                spelled_a.cmp(&spelled_b),
                a.cmp(&b),
                "{text:?}: {a:?} {b:?}"
            );
        }
    }
}

fn spelled(text: &str, time: DateTime<Utc>) {
    let canonical = format(time);
    let shape = |(pattern, c): (char, char)| match pattern {
        '0' => c.is_ascii_digit(),
        _ => c == pattern,
    };
    let pattern = "0000-00-00T00:00:00.000000+00:00";
    assert_eq!(canonical.len(), pattern.len(), "{text:?}: {canonical}");
    assert!(
        pattern.chars().zip(canonical.chars()).all(shape),
        "{text:?}: {canonical}"
    );
    let again = parse(&canonical).unwrap_or_else(|| panic!("{text:?}: {canonical} is no time"));
    assert_eq!(format(again), canonical, "{text:?}");
    if has_spelling(time) {
        assert_eq!(again, time, "{text:?}");
    }
}

/// Years of another number of digits than four and leap seconds are drawn to the nearest time that
/// can be spelled.
fn has_spelling(time: DateTime<Utc>) -> bool {
    (0..=9999).contains(&time.year()) && time.nanosecond() < 1_000_000_000
}
