//! Random histories: how many of them a test runs.

/// As many as `BOTSTORE_HISTORIES` says, or else so many. Each run makes up others.
pub fn histories(usually: u32) -> u32 {
    let histories = std::env::var("BOTSTORE_HISTORIES").ok();
    histories.map_or(usually, |number| number.parse().expect("a number"))
}
