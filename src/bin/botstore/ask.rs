//! Asks the person at the terminal before data is removed.

use crate::print;

/// The answer.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Consent {
    Given,
    Refused,
}

/// Shows what would be done, and asks whether to do it.
pub(crate) fn whether_to(what: &str) -> Consent {
    let answer = print::answer_to(&format!("{what}Go on? [y/N] "));
    // Without an answer there is no consent.
    let answer = answer.unwrap_or_default().trim().to_ascii_lowercase();
    match answer == "y" || answer == "yes" {
        true => Consent::Given,
        false => Consent::Refused,
    }
}
