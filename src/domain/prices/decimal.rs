//! A decimal number as text, and what it says in nano-dollars for a million tokens: by its digits, and not by a double,
//! in which 3e-06 times 10¹⁵ is not 3,000,000,000.

/// Dollars for a token, times this power of ten, are nano-dollars for a million tokens.
const SHIFT: i64 = 15;

/// What a price was written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// Nano-dollars for a million tokens, rounded to the nearest; half of one is rounded up.
    Nanos(i64),
    Negative,
    TooLarge,
    NoNumber,
}

/// Reads dollars for one token.
pub(super) fn nanos_per_million(text: &str) -> Read {
    let text = text.trim();
    let (is_negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (number, exponent) = match text.split_once(['e', 'E']) {
        Some((number, exponent)) => (number, Some(exponent)),
        None => (text, None),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.len() + fraction.len() == 0 || !are_digits(whole) || !are_digits(fraction) {
        return Read::NoNumber;
    }
    let Some(exponent) = exponent.map_or(Some(0), read_exponent) else {
        return Read::NoNumber;
    };
    let digits: Vec<_> = whole.bytes().chain(fraction.bytes()).collect();
    // How many of the digits are in front of the point.
    let point = whole.len() as i64 + exponent + SHIFT;
    let Some(first) = digits.iter().position(|digit| *digit != b'0') else {
        return Read::Nanos(0);
    };
    if is_negative {
        return Read::Negative;
    }
    let (digits, point) = (&digits[first..], point - first as i64);
    // 10¹⁸ has 19 digits.
    if point > 19 {
        return Read::TooLarge;
    }
    let digit = |at: i64| {
        let digit = usize::try_from(at).ok().and_then(|at| digits.get(at));
        digit.map_or(0, |digit| i128::from(digit - b'0'))
    };
    let nanos = (0..point).fold(0, |nanos, at| nanos * 10 + digit(at));
    // In front of the first digit there are only zeros.
    let up = i128::from(point >= 0 && digit(point) >= 5);
    i64::try_from(nanos + up).map_or(Read::TooLarge, Read::Nanos)
}

/// An exponent, whose size is capped: no text is so long that another could make up for it.
fn read_exponent(text: &str) -> Option<i64> {
    const CAP: i64 = 1 << 40;
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits = digits.trim_start_matches('0');
    let size = match digits.len() {
        0 => 0,
        1..=12 => digits.parse().ok()?,
        _ => CAP,
    };
    Some(if text.starts_with('-') { -size } else { size })
}

#[cfg(test)]
mod tests {
    use super::Read::{Nanos, Negative, NoNumber, TooLarge};
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_price_is_read_by_its_digits() {
        for (text, read) in [
            ("3e-06", Nanos(3_000_000_000)),
            ("3E-6", Nanos(3_000_000_000)),
            ("0.000003", Nanos(3_000_000_000)),
            ("+.000003", Nanos(3_000_000_000)),
            ("2.5e-07", Nanos(250_000_000)),
            ("1.1e-7", Nanos(110_000_000)),
            ("0", Nanos(0)),
            ("-0.0e9", Nanos(0)),
            ("00", Nanos(0)),
            ("1e-15", Nanos(1)),
            ("5e-16", Nanos(1)),
            ("0.49999999999999999e-15", Nanos(0)),
            ("4e-16", Nanos(0)),
            ("9e-17", Nanos(0)),
            ("1e-99999999999999999999", Nanos(0)),
            ("1.4999e-15", Nanos(1)),
            ("1.5e-15", Nanos(2)),
            ("9999.999999999999999", TooLarge),
            ("1000", Nanos(1_000_000_000_000_000_000)),
            ("1e4", TooLarge),
            ("1e99999999999999999999", TooLarge),
            ("-3e-06", Negative),
            ("", NoNumber),
            (".", NoNumber),
            ("e5", NoNumber),
            ("1e", NoNumber),
            ("1e+", NoNumber),
            ("1e5.0", NoNumber),
            ("--1", NoNumber),
            ("1,5", NoNumber),
            ("NaN", NoNumber),
            ("inf", NoNumber),
            ("0x10", NoNumber),
            ("٣", NoNumber),
        ] {
            assert_eq!(nanos_per_million(text), read, "{text}");
        }
    }

    proptest! {
        #[test]
        fn whole_nano_dollars_come_back_from_any_spelling(nanos in 0..=1_000_000_000_000_000_000_i64, shift in 0..30_usize) {
            // The same number, with the point elsewhere.
            let spelled = format!("{nanos}e-15");
            prop_assert_eq!(nanos_per_million(&spelled), Nanos(nanos));
            let spelled = format!("{nanos}{}E-{}", "0".repeat(shift), 15 + shift);
            prop_assert_eq!(nanos_per_million(&spelled), Nanos(nanos));
            let spelled = format!("0.{}{nanos:020}e{}", "0".repeat(shift), shift + 5);
            prop_assert_eq!(nanos_per_million(&spelled), Nanos(nanos));
        }
    }
}
