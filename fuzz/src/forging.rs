//! Puts checksums right, so that a check behind them is reached.

use botstore::backup::{Checksum, Manifest};
use sha2::{Digest, Sha256};

pub(crate) fn checksum(bytes: &[u8]) -> Checksum {
    let digits = Sha256::digest(bytes);
    let digits: String = digits.iter().map(|byte| format!("{byte:02x}")).collect();
    Checksum::new(bytes.len() as u64, digits)
}

/// The manifest as its file has it, with a checksum of its own that is right.
pub(crate) fn written(manifest: &Manifest) -> String {
    let text = serde_json::to_string_pretty(manifest).expect("JSON");
    summed(&(text + "\n"))
}

/// The text of a manifest with a checksum of its own that is right; what has no place for one stays
/// as it is.
pub(crate) fn summed(text: &str) -> String {
    let key = "\"checksum\": \"";
    let Some(at) = text.rfind(key).map(|at| at + key.len()) else {
        return text.to_owned();
    };
    let Some(end) = text[at..].find('"').map(|length| at + length) else {
        return text.to_owned();
    };
    let (before, after) = (&text[..at], &text[end..]);
    let sum = checksum(format!("{before}{after}").as_bytes()).sha256;
    format!("{before}{sum}{after}")
}
