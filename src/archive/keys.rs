//! Encryption with `age` (<https://age-encryption.org>), with the feature `encryption`. Without it this
//! module reads and writes only unencrypted backups, and refuses encrypted ones with a reason.

use crate::error::{Error, ErrorKind, Result};
use std::io::{self, Read, Write};

/// The keys that a backup is encrypted for. Empty: the backup is not encrypted.
pub(super) type Recipients = Vec<AgeRecipient>;

/// The secrets that decrypt backups.
pub(super) type Identities = Vec<AgeIdentity>;

/// Where a backup is written: into encryption, or directly.
pub(super) enum Sealed<'w> {
    Clear(&'w mut dyn Write),
    #[cfg(feature = "encryption")]
    Age(age::stream::StreamWriter<&'w mut dyn Write>),
}

impl Sealed<'_> {
    pub(super) fn finish(self) -> io::Result<()> {
        match self {
            Self::Clear(to) => to.flush(),
            #[cfg(feature = "encryption")]
            Self::Age(writer) => writer.finish()?.flush(),
        }
    }
}

impl Write for Sealed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Clear(to) => to.write(bytes),
            #[cfg(feature = "encryption")]
            Self::Age(writer) => writer.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Clear(to) => to.flush(),
            #[cfg(feature = "encryption")]
            Self::Age(writer) => writer.flush(),
        }
    }
}

#[cfg(feature = "encryption")]
mod with_age {
    use super::*;
    use crate::files;
    use std::fmt;
    use std::str::FromStr;

    /// A public key to which backups are encrypted: `age1…`.
    ///
    /// ```
    /// use botstore::backup::{AgeIdentity, AgeRecipient};
    ///
    /// let secret = AgeIdentity::generate();
    /// let public: AgeRecipient = secret.recipient().to_string().parse()?;
    /// assert!(public.to_string().starts_with("age1"));
    /// # Ok::<(), botstore::Error>(())
    /// ```
    #[derive(Clone)]
    pub struct AgeRecipient(age::x25519::Recipient);

    /// A secret key that decrypts backups: `AGE-SECRET-KEY-1…`.
    #[derive(Clone)]
    pub struct AgeIdentity(age::x25519::Identity);

    impl FromStr for AgeRecipient {
        type Err = Error;

        fn from_str(text: &str) -> Result<Self> {
            let why = "must be a public key of age, which begins with age1";
            let key = text.trim().parse();
            Ok(Self(key.map_err(|_| Error::invalid("recipient", why))?))
        }
    }

    impl fmt::Display for AgeRecipient {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0.fmt(f)
        }
    }

    impl fmt::Debug for AgeRecipient {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "AgeRecipient({self})")
        }
    }

    /// Far larger than any file of `age-keygen`.
    const MAX_FILE_BYTES: u64 = 64 << 10;

    impl AgeIdentity {
        /// Generates a key. It is stored nowhere: see [`to_secret`](Self::to_secret).
        pub fn generate() -> Self {
            Self(age::x25519::Identity::generate())
        }

        /// Returns the public key that belongs to it.
        pub fn recipient(&self) -> AgeRecipient {
            AgeRecipient(self.0.to_public())
        }

        /// Reads the key from a file that `age-keygen` wrote, of at most 64 KiB. The path may be a
        /// link.
        ///
        /// # Errors
        /// [`Invalid`](ErrorKind::Invalid) for a file without a key;
        /// [`ForeignFile`](ErrorKind::ForeignFile) when the path is not a regular file;
        /// [`Io`](ErrorKind::Io), [`ReadOnly`](ErrorKind::ReadOnly).
        pub fn from_file(path: impl AsRef<std::path::Path>) -> Result<Self> {
            let path = path.as_ref();
            let bytes = files::read_opened(files::open_named(path)?, path, MAX_FILE_BYTES)?;
            if bytes.len() as u64 > MAX_FILE_BYTES {
                return Err(Error::invalid(
                    "identity",
                    "must be in a file of at most 64 KiB",
                ));
            }
            String::from_utf8_lossy(&bytes).parse()
        }

        /// Returns the key as `age-keygen` writes it. Anybody who has it can read every backup made for
        /// it.
        pub fn to_secret(&self) -> String {
            use age::secrecy::ExposeSecret;
            self.0.to_string().expose_secret().to_owned()
        }
    }

    impl FromStr for AgeIdentity {
        type Err = Error;

        /// Parses the key itself, or the text of a file that `age-keygen` wrote.
        fn from_str(text: &str) -> Result<Self> {
            let mut lines = text.lines().map(str::trim);
            let key = lines.find(|line| !line.is_empty() && !line.starts_with('#'));
            let why = "must be a secret key of age, which begins with AGE-SECRET-KEY-1";
            let key = key.and_then(|key| key.parse().ok());
            Ok(Self(key.ok_or_else(|| Error::invalid("identity", why))?))
        }
    }

    impl fmt::Debug for AgeIdentity {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "AgeIdentity(of {})", self.recipient())
        }
    }

    /// Encrypts what is written for the recipients; writes it unencrypted if there are none.
    pub(in crate::archive) fn seal<'w>(
        recipients: &Recipients,
        to: &'w mut dyn Write,
    ) -> Result<Sealed<'w>> {
        if recipients.is_empty() {
            return Ok(Sealed::Clear(to));
        }
        let keys = recipients.iter().map(|r| &r.0 as &dyn age::Recipient);
        let failed = |e: &dyn fmt::Display| {
            Error::new(
                ErrorKind::Io,
                format!("the backup cannot be encrypted: {e}"),
            )
        };
        let encryptor = age::Encryptor::with_recipients(keys).map_err(|e| failed(&e))?;
        let writer = encryptor.wrap_output(to);
        Ok(Sealed::Age(writer.map_err(|e| failed(&e))?))
    }

    /// Room for three hundred recipients. age parses the header again from its beginning after each
    /// byte, so a header without an end would take hours.
    const MAX_HEADER_BYTES: u64 = 32 << 10;

    /// The beginning of the last line of age's header: <https://age-encryption.org/v1>.
    const HEADER_END: &[u8] = b"\n--- ";

    /// Reads what [`seal`] wrote, with one of these identities.
    pub(in crate::archive) fn open<'r>(
        identities: &Identities,
        from: &'r mut dyn Read,
    ) -> Result<Box<dyn Read + 'r>> {
        let damaged = |e: age::DecryptError| match e {
            age::DecryptError::NoMatchingKeys | age::DecryptError::DecryptionFailed => Error::new(
                ErrorKind::WrongKey,
                "it is encrypted for a key other than that of the given identity",
            ),
            e => Error::new(ErrorKind::BadBackup, format!("it cannot be decrypted: {e}")),
        };
        if identities.is_empty() {
            return Err(needs_key());
        }
        let mut header = Vec::new();
        let read = from.take(MAX_HEADER_BYTES).read_to_end(&mut header);
        read.map_err(|e| damaged(e.into()))?;
        if !header.windows(HEADER_END.len()).any(|at| at == HEADER_END) {
            let why = "it cannot be decrypted: its header has no end";
            return Err(Error::new(ErrorKind::BadBackup, why));
        }
        let whole = io::Cursor::new(header).chain(from);
        let decryptor = age::Decryptor::new(whole).map_err(damaged)?;
        let keys = identities.iter().map(|i| &i.0 as &dyn age::Identity);
        Ok(Box::new(decryptor.decrypt(keys).map_err(damaged)?))
    }

    /// Adds a key that exists only for this backup. With it the finished file is read back, although
    /// later only its recipients can read it.
    pub(in crate::archive) fn for_one_look(recipients: &mut Recipients) -> Identities {
        if recipients.is_empty() {
            return Vec::new();
        }
        let identity = AgeIdentity::generate();
        recipients.push(identity.recipient());
        vec![identity]
    }

    /// Encrypts a text for the recipients.
    pub(in crate::archive) fn seal_text(recipients: &Recipients, text: &str) -> Result<String> {
        let failed = |e: io::Error| Error::io("the manifest cannot be encrypted", e);
        let armour = age::armor::Format::AsciiArmor;
        let mut sealed = Vec::new();
        let mut armoured =
            age::armor::ArmoredWriter::wrap_output(&mut sealed, armour).map_err(failed)?;
        let mut writer = seal(recipients, &mut armoured)?;
        writer.write_all(text.as_bytes()).map_err(failed)?;
        writer.finish().map_err(failed)?;
        armoured.finish().map_err(failed)?;
        String::from_utf8(sealed).map_err(|_| Error::new(ErrorKind::Io, "age's armour is not text"))
    }

    pub(in crate::archive) fn open_text(identities: &Identities, sealed: &str) -> Result<Vec<u8>> {
        let mut armoured = age::armor::ArmoredReader::new(sealed.as_bytes());
        let mut text = Vec::new();
        open(identities, &mut armoured)?
            .read_to_end(&mut text)
            .map_err(|e| {
                let why = format!("its manifest cannot be decrypted: {e}");
                Error::new(ErrorKind::BadBackup, why)
            })?;
        Ok(text)
    }
}

#[cfg(not(feature = "encryption"))]
mod without {
    use super::*;

    /// Has no values without the feature `encryption`.
    #[derive(Clone, Debug)]
    pub(in crate::archive) enum AgeRecipient {}

    /// Has no values without the feature `encryption`.
    #[derive(Clone, Debug)]
    pub(in crate::archive) enum AgeIdentity {}

    pub(in crate::archive) fn seal<'w>(
        _: &Recipients,
        to: &'w mut dyn Write,
    ) -> Result<Sealed<'w>> {
        Ok(Sealed::Clear(to))
    }

    pub(in crate::archive) fn open<'r>(
        _: &Identities,
        _: &'r mut dyn Read,
    ) -> Result<Box<dyn Read + 'r>> {
        Err(needs_key())
    }

    pub(in crate::archive) fn for_one_look(_: &mut Recipients) -> Identities {
        Vec::new()
    }

    pub(in crate::archive) fn seal_text(_: &Recipients, _: &str) -> Result<String> {
        Err(needs_key())
    }

    pub(in crate::archive) fn open_text(_: &Identities, _: &str) -> Result<Vec<u8>> {
        Err(needs_key())
    }
}

fn needs_key() -> Error {
    Error::new(
        ErrorKind::WrongKey,
        match cfg!(feature = "encryption") {
            true => "it is encrypted: give the identity that belongs to its recipient",
            false => {
                "it is encrypted, and this program was built without the feature \"encryption\""
            }
        },
    )
}

#[cfg(feature = "encryption")]
pub use with_age::{AgeIdentity, AgeRecipient};
#[cfg(feature = "encryption")]
pub(super) use with_age::{for_one_look, open, open_text, seal, seal_text};
#[cfg(not(feature = "encryption"))]
pub(super) use without::{
    AgeIdentity, AgeRecipient, for_one_look, open, open_text, seal, seal_text,
};
