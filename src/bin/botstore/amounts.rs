//! How the command line reads amounts.

use botstore::Usd;

/// Whether a text has digits and nothing else: Rust's numbers may have a sign.
pub(crate) fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Reads dollars, digit by digit: a floating-point number would round a billionth of a large amount.
pub(crate) fn dollars(text: &str) -> Result<Usd, &'static str> {
    let text = text.strip_prefix('$').unwrap_or(text);
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    if !is_number(whole) || !is_number(part) || part.len() > 9 {
        return Err("must be dollars with at most 9 digits after the point, such as 2 or 2.50");
    }
    let nanos = format!("{whole}{part:0<9}").parse();
    let nanos = nanos.map_err(|_| "must be from 0 to 1,000,000,000 US dollars")?;
    Ok(Usd::from_nanos(nanos))
}
