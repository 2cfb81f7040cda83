//! A secret in memory: as few copies as there can be, none that outlives its owner, and no answer
//! about it that takes longer the more of it is right.

use crate::error::{Error, ErrorKind, Result};
use sha2::{Digest, Sha256};
use std::fmt;
use std::hint::black_box;

/// The secret of a token. Neither `Debug` nor serde tells it: call [`expose`](Self::expose).
///
/// Its memory is overwritten when it is dropped, and two are compared in a time that says nothing of
/// where they differ. That is best effort, in safe code. It does not reach copies that somebody else
/// has made: of what [`expose`](Self::expose) gave, of a `String` that grew before it came here, or of what
/// the system has written to swap or a core dump; nor the registers and the stack on which a secret is
/// made and hashed.
#[derive(Clone, Eq)]
pub struct Secret(String);

impl Secret {
    /// A secret as a user presented it. Takes over the memory of a `String`.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    /// The text of the secret, to be handed to its user.
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

    /// What the file knows of it.
    pub(super) fn digest(&self) -> [u8; 32] {
        Sha256::digest(&self.0).into()
    }
}

/// A number from 0 that nobody can guess.
pub(super) fn random_number() -> Result<i64> {
    let number = getrandom::u64().map_err(no_random_bytes)?;
    Ok((number >> 1) as i64)
}

fn no_random_bytes(error: getrandom::Error) -> Error {
    let why = format!("the system gave no random bytes: {error}");
    Error::new(ErrorKind::Io, why)
}

/// Compares digests: they are of one length, and whoever tries secrets cannot choose them.
impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        let pairs = self.digest().into_iter().zip(other.digest());
        // Nothing may conclude from the first difference that the rest need not be looked at.
        let differences = pairs.fold(0, |found, (a, b)| black_box(found | (a ^ b)));
        differences == 0
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut self.0).into_bytes();
        // What was cut off may still be behind the end.
        bytes.resize(bytes.capacity(), 0);
        wipe(&mut bytes);
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Overwrites bytes that nobody reads any more. As somebody may, for all the compiler knows, it does
/// not leave it out.
fn wipe(bytes: &mut [u8]) {
    bytes.fill(0);
    black_box(bytes);
}

/// In hexadecimal, written into memory that is large enough from the start: a text that grows leaves
/// its beginnings behind.
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
