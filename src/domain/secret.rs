//! A secret in memory: few copies, none of which outlives its owner. A comparison takes the same time however
//! much of the secret is right.

use crate::error::{Error, ErrorKind, Result};
use sha2::{Digest, Sha256};
use std::fmt;
use std::hint::black_box;

/// The secret of a token. Neither `Debug` nor serde shows it: call [`expose`](Self::expose).
///
/// Its memory is overwritten when it is dropped. A comparison's duration does not depend on where two secrets
/// differ. That is best effort, in safe code. It does not reach copies made elsewhere: of the text that
/// [`expose`](Self::expose) returned, of a `String` that grew before it became a secret, or of memory that the
/// system wrote to swap or a core dump. Nor does it reach the registers and the stack used to make and hash a
/// secret.
#[derive(Clone, Eq)]
pub struct Secret(String);

impl Secret {
    /// A secret as a user presented it. Takes over the memory of a `String`, without a copy.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    /// The text of the secret, to hand to its user.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// 256 bits from the operating system.
    pub(super) fn random() -> Result<Self> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(no_random_bytes)?;
        let secret = Self(hex(&bytes));
        wipe(&mut bytes);
        Ok(secret)
    }

    /// The SHA-256 that the file holds.
    pub(super) fn digest(&self) -> [u8; 32] {
        Sha256::digest(&self.0).into()
    }
}

/// A random number from 0, which nobody can guess.
pub(super) fn random_number() -> Result<i64> {
    let number = getrandom::u64().map_err(no_random_bytes)?;
    Ok((number >> 1) as i64)
}

fn no_random_bytes(error: getrandom::Error) -> Error {
    let why = format!("the system gave no random bytes: {error}");
    Error::new(ErrorKind::Io, why)
}

/// Compares digests: all have one length, and somebody who guesses secrets cannot choose their digests.
impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        let pairs = self.digest().into_iter().zip(other.digest());
        // Keeps the compiler from stopping at the first difference.
        let differences = pairs.fold(0, |found, (a, b)| black_box(found | (a ^ b)));
        differences == 0
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut self.0).into_bytes();
        // The capacity may still hold the rest of a longer text.
        bytes.resize(bytes.capacity(), 0);
        wipe(&mut bytes);
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Overwrites bytes that nobody reads any more. `black_box` makes the compiler assume a reader, so it keeps the
/// write.
fn wipe(bytes: &mut [u8]) {
    bytes.fill(0);
    black_box(bytes);
}

/// In hexadecimal, in memory that is large enough from the start: a text that grows leaves copies of its
/// beginning behind.
pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from(DIGITS[usize::from(digit)]));
        }
    }
    text
}
