//! The key with which a store signs its backups, with the feature `encryption`. Without it there is no
//! key, and no backup is signed.
//!
//! An HMAC and not a signature with a key pair: the bot or its operator checks a backup, and both may
//! know the secret. An HMAC needs no crate that `age` does not bring.

#[cfg(feature = "encryption")]
mod with_hmac {
    use crate::archive::manifest::hex;
    use crate::error::{Error, ErrorKind, Result};
    use crate::files;
    use age::secrecy::{ExposeSecret as _, SecretSlice, SecretString};
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
    use hmac::{Hmac, Mac as _};
    use sha2::Sha256;
    use std::fmt;
    use std::fs::File;
    use std::path::Path;
    use std::str::FromStr;
    use std::sync::Arc;

    /// 256 bits, the size of the hash.
    const MIN_BYTES: usize = 32;

    /// 32 random bytes always have more distinct values than this; a typed or a zeroed key may not.
    const MIN_DIFFERENT_BYTES: usize = 12;

    /// Room for a key of 1 KiB and comments.
    const MAX_FILE_BYTES: u64 = 8 << 10;

    /// The signed text begins with this, so that nothing that the key signs elsewhere is taken for it.
    const PURPOSE: &[u8] = b"botstore backup manifest\n";

    /// A secret, stored with the bot, that proves that the bot made a backup. With
    /// [`Backups::key`](crate::backup::Backups::key) each backup is signed (HMAC-SHA256 of its
    /// manifest, which has the checksum of the artefact). With
    /// [`VerifyOptions::key`](crate::backup::VerifyOptions::key) a backup that is forged, relabelled or
    /// not signed is refused, encrypted or not.
    ///
    /// Encryption to a public key does not prove that: anybody who knows the public key can encrypt.
    /// Anybody who has this key can sign, so it must not be stored where the backups go.
    ///
    /// `Debug` does not show the secret.
    ///
    /// ```
    /// use botstore::backup::{BackupKey, Backups};
    ///
    /// let key: BackupKey = "5f0c2f8f6d1f0e5f9d8a3c1b7e6d4a2990817263544536271809f0e1d2c3b4a5".parse()?;
    /// let settings = Backups::default().key(key);
    /// # let _ = settings;
    /// # Ok::<(), botstore::Error>(())
    /// ```
    #[derive(Clone)]
    pub struct BackupKey(Arc<SecretSlice<u8>>);

    impl BackupKey {
        /// Generates a key of 32 random bytes. It is stored nowhere: see
        /// [`to_secret`](Self::to_secret).
        ///
        /// # Errors
        /// [`Io`](ErrorKind::Io) when the system gives no random bytes.
        pub fn generate() -> Result<Self> {
            let mut bytes = vec![0; MIN_BYTES];
            getrandom::fill(&mut bytes).map_err(|e| {
                Error::new(
                    ErrorKind::Io,
                    format!("the system gave no random bytes: {e}"),
                )
            })?;
            Ok(Self(Arc::new(bytes.into())))
        }

        /// Reads the key from a file that only its owner can read: one line of hexadecimal digits or of
        /// base64, at least 32 bytes. Empty lines and lines that begin with `#` do not count. The file
        /// has at most 8 KiB. To make one: `(umask 077; openssl rand -hex 32 > backup.key)`.
        ///
        /// # Errors
        /// [`Invalid`](ErrorKind::Invalid) for a file that others can read too, and for an invalid key;
        /// [`Io`](ErrorKind::Io), [`ReadOnly`](ErrorKind::ReadOnly) from the operating system. No error
        /// shows what is in the file.
        pub fn from_file(path: impl AsRef<Path>) -> Result<Self> {
            let path = path.as_ref();
            let file = files::open_named(path)?;
            refuse_if_others_can_read(&file, path)?;
            let bytes = files::read_opened(file, path, MAX_FILE_BYTES)?;
            let text = String::from_utf8(bytes).map_err(|_| no_key())?;
            let text = SecretString::from(text);
            match text.expose_secret().len() as u64 {
                0..=MAX_FILE_BYTES => text.expose_secret().parse(),
                _ => Err(no_key()),
            }
        }

        /// Returns the key in hexadecimal digits. Anybody who has it can forge the bot's backups.
        pub fn to_secret(&self) -> String {
            hex(self.0.expose_secret())
        }

        pub(in crate::archive) fn sign(&self, text: &str) -> Result<String> {
            Ok(hex(&self.mac(text)?.finalize().into_bytes()))
        }

        /// Compares in constant time, which does not reveal where the two differ.
        pub(in crate::archive) fn has_signed(&self, text: &str, mac: &str) -> Result<bool> {
            let computed = self.mac(text)?;
            // The whole MAC counts: a shortened one would be easier to guess.
            Ok(from_hex(mac).is_some_and(|mac| computed.verify_slice(&mac).is_ok()))
        }

        fn mac(&self, text: &str) -> Result<Hmac<Sha256>> {
            let key = self.0.expose_secret();
            let mut mac = Hmac::<Sha256>::new_from_slice(key).map_err(|_| no_key())?;
            mac.update(PURPOSE);
            mac.update(text.as_bytes());
            Ok(mac)
        }
    }

    impl FromStr for BackupKey {
        type Err = Error;

        /// Parses the key itself, or the text of a file as [`from_file`](Self::from_file) reads it.
        fn from_str(text: &str) -> Result<Self> {
            let mut lines = text
                .lines()
                .map(str::trim)
                .filter(|line| !line.is_empty() && !line.starts_with('#'));
            let (Some(key), None) = (lines.next(), lines.next()) else {
                return Err(no_key());
            };
            // A text that could be either is read as hexadecimal: as base64 a key that is too short
            // would pass.
            let bytes = match key.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                true => from_hex(&key.to_ascii_lowercase()),
                false => from_base64(key),
            };
            let bytes = bytes.filter(|bytes| is_random_enough(bytes));
            Ok(Self(Arc::new(bytes.ok_or_else(no_key)?.into())))
        }
    }

    impl fmt::Debug for BackupKey {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("BackupKey(…)")
        }
    }

    fn no_key() -> Error {
        let why = "must be at least 32 random bytes in one line of hexadecimal digits or base64; \
                   to make one: (umask 077; openssl rand -hex 32 > backup.key)";
        Error::invalid("key", why)
    }

    fn is_random_enough(bytes: &[u8]) -> bool {
        let different: std::collections::BTreeSet<_> = bytes.iter().collect();
        bytes.len() >= MIN_BYTES && different.len() >= MIN_DIFFERENT_BYTES
    }

    /// Lower-case digits only, so that a MAC has one spelling.
    fn from_hex(text: &str) -> Option<Vec<u8>> {
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        };
        let (pairs, odd) = text.as_bytes().as_chunks::<2>();
        let bytes = pairs
            .iter()
            .map(|[high, low]| Some((digit(*high)? << 4) | digit(*low)?));
        bytes.collect::<Option<_>>().filter(|_| odd.is_empty())
    }

    fn from_base64(text: &str) -> Option<Vec<u8>> {
        let text = text.trim_end_matches('=');
        let decoded = STANDARD_NO_PAD.decode(text);
        decoded.or_else(|_| URL_SAFE_NO_PAD.decode(text)).ok()
    }

    #[cfg(unix)]
    fn refuse_if_others_can_read(file: &File, path: &Path) -> Result<()> {
        use std::os::unix::fs::MetadataExt as _;
        let data = file
            .metadata()
            .map_err(|e| files::cannot("look at", path, e))?;
        match data.mode() & 0o077 {
            0 => Ok(()),
            _ => Err(Error::invalid(
                "key",
                &format!(
                    "must be in a file that only its owner can read: chmod 600 {}",
                    path.display()
                ),
            )),
        }
    }

    #[cfg(not(unix))]
    fn refuse_if_others_can_read(_: &File, _: &Path) -> Result<()> {
        Ok(())
    }
}

#[cfg(not(feature = "encryption"))]
mod without {
    use crate::error::Result;

    /// Has no values without the feature `encryption`.
    #[derive(Clone, Debug)]
    pub(in crate::archive) enum BackupKey {}

    impl BackupKey {
        pub(in crate::archive) fn sign(&self, _: &str) -> Result<String> {
            match *self {}
        }

        pub(in crate::archive) fn has_signed(&self, _: &str, _: &str) -> Result<bool> {
            match *self {}
        }
    }
}

#[cfg(feature = "encryption")]
pub use with_hmac::BackupKey;
#[cfg(not(feature = "encryption"))]
pub(super) use without::BackupKey;
