//! What a backup says about itself, in JSON beside it.
//!
//! Its checksum finds damage, but anybody can compute it anew. Two things cannot be changed unnoticed:
//! the text inside the encryption, where an encrypted backup has its whole manifest once more, and a
//! text that a key has signed: see [`BackupKey`].

use super::contents::Contents;
use super::keys::{self, Recipients};
use super::mac::BackupKey;
use crate::error::{Error, ErrorKind, Result};
use crate::time;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fmt::{self, Write as _};

/// The format of a manifest that anybody could have written. Unencrypted backups without a key still
/// have it, so that the program from before an upgrade can read the backup that the upgrade made. In an
/// encrypted backup of this format only the contents are sealed, and nothing binds the rest to them.
pub(super) const UNBOUND: u32 = 1;

/// The newest format: the whole manifest is sealed, or signed with a key, or both.
pub(super) const BOUND: u32 = 2;

/// Larger files are not read. A manifest has a line for each table.
pub(super) const MAX_BYTES: u64 = 4 << 20;

/// Why a backup was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Reason {
    /// Somebody asked for it.
    Manual,
    /// It was due: [`Backups::every`](super::Backups::every).
    Scheduled,
    /// A migration was about to change the file.
    BeforeUpgrade,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Manual => "manual",
            Self::Scheduled => "scheduled",
            Self::BeforeUpgrade => "before-upgrade",
        })
    }
}

/// How the copy was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Mode {
    /// Page by page (SQLite's online backup). Deleted data may still be readable in unused pages.
    #[default]
    Pages,
    /// Written anew (`VACUUM INTO`): smaller, without deleted data, and slower.
    Compact,
}

/// The length of a file and its SHA-256, in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Checksum {
    /// The length in bytes.
    pub bytes: u64,
    /// 64 hexadecimal digits.
    pub sha256: String,
}

impl Checksum {
    /// A file of this many bytes, with this SHA-256 in hexadecimal digits.
    pub fn new(bytes: u64, sha256: impl Into<String>) -> Self {
        Self {
            bytes,
            sha256: sha256.into(),
        }
    }
}

/// What a backup says about itself.
///
/// It is written after the finished backup has been read back and checked. It is read strictly: a
/// manifest in which any byte has changed is refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Manifest {
    /// The version of the format: 2 if all of the manifest is sealed or signed, else 1.
    pub format: u32,
    /// The name of the backup's folder.
    pub name: String,
    /// The id of the backed-up store: a random number, made once for a file and kept by its copies.
    /// `None` for a file that had none yet.
    pub store_id: Option<String>,
    /// Why it was made.
    pub reason: Reason,
    /// How it was made.
    pub mode: Mode,
    /// When its snapshot was taken, by the store's clock.
    pub taken_at: DateTime<Utc>,
    /// When the finished backup was read back and checked.
    pub verified_at: DateTime<Utc>,
    /// The version of this crate that made it.
    pub botstore: String,
    /// The version of SQLite that made it.
    pub sqlite: String,
    /// The compressed, and perhaps encrypted, file.
    pub artefact: Checksum,
    /// What is in the backup; `None` while that is sealed.
    pub contents: Option<Contents>,
    /// This manifest with its contents, encrypted as the backup is, as an armoured `age` file. In
    /// format 1 only the contents.
    pub sealed: Option<String>,
    /// HMAC-SHA256 of this manifest, computed with this field and the checksum empty. 64 hexadecimal
    /// digits; `None` if no key was given ([`Backups::key`](super::Backups)).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
    /// SHA-256 of this manifest, computed with this field empty.
    checksum: String,
}

/// The fields of a manifest beside its contents.
pub(super) struct Header {
    pub(super) name: String,
    pub(super) store_id: Option<String>,
    pub(super) reason: Reason,
    pub(super) mode: Mode,
    pub(super) taken_at: DateTime<Utc>,
    pub(super) verified_at: DateTime<Utc>,
    pub(super) artefact: Checksum,
}

impl Manifest {
    /// The manifest of an unencrypted backup. It must be [`finish`](Self::finish)ed before it is
    /// written.
    pub(super) fn new(header: Header, contents: Contents) -> Self {
        Self {
            format: UNBOUND,
            name: header.name,
            store_id: header.store_id,
            reason: header.reason,
            mode: header.mode,
            // Rounded, so that what is written and what is read back are the same.
            taken_at: time::to_micros(header.taken_at),
            verified_at: time::to_micros(header.verified_at),
            botstore: env!("CARGO_PKG_VERSION").to_owned(),
            sqlite: rusqlite::version().to_owned(),
            artefact: header.artefact,
            contents: Some(contents),
            sealed: None,
            mac: None,
            checksum: String::new(),
        }
    }

    /// Encrypts all of it, and leaves outside only what everybody may know.
    pub(super) fn seal(mut self, recipients: &Recipients) -> Result<Self> {
        self.format = BOUND;
        self.sealed = Some(keys::seal_text(recipients, &self.to_text()?)?);
        self.contents = None;
        Ok(self)
    }

    /// Signs it if there is a key, and adds the checksum.
    pub(super) fn finish(mut self, key: Option<&BackupKey>) -> Result<Self> {
        if let Some(key) = key {
            self.format = BOUND;
            self.mac = Some(key.sign(&self.signed_text()?)?);
        }
        self.checksum = self.own_checksum()?;
        Ok(self)
    }

    fn own_checksum(&self) -> Result<String> {
        let mut whole = self.clone();
        whole.checksum.clear();
        Ok(hex(&Sha256::digest(whole.to_text()?)))
    }

    /// The text that a key signs.
    fn signed_text(&self) -> Result<String> {
        let mut whole = self.clone();
        whole.checksum.clear();
        whole.mac = None;
        whole.to_text()
    }

    /// Refuses a manifest that none of the keys has signed. Without keys it refuses nothing.
    pub(super) fn prove(&self, keys: &[BackupKey]) -> Result<()> {
        if keys.is_empty() {
            return Ok(());
        }
        let Some(mac) = &self.mac else {
            return Err(not_authentic(
                "it is not signed, although a key was given: anybody who can write to the folder could \
                 have made it",
            ));
        };
        let text = self.signed_text()?;
        for key in keys {
            if key.has_signed(&text, mac)? {
                return Ok(());
            }
        }
        Err(not_authentic(
            "it is not signed with the given key: it was forged or changed, or signed with another key",
        ))
    }

    /// Returns the contents from `text`, the decrypted form of what is sealed in this manifest.
    ///
    /// # Errors
    /// [`NotAuthentic`](ErrorKind::NotAuthentic) when the sealed manifest differs from the outer one.
    pub(super) fn unseal(&self, text: &[u8]) -> Result<Contents> {
        if self.format == UNBOUND {
            return serde_json::from_slice(text).map_err(|e| damaged(&e));
        }
        let unlike = |_| {
            not_authentic(
                "its encrypted part holds no manifest: it was assembled from \
                 parts of others",
            )
        };
        let inner: Self = serde_json::from_slice(text).map_err(unlike)?;
        let outer = Self {
            contents: inner.contents.clone(),
            sealed: None,
            mac: None,
            checksum: String::new(),
            ..self.clone()
        };
        // Compared as JSON, so that no field can be forgotten here. The outer manifest has no more
        // fields than the inner one.
        let fields = |manifest: &Self| serde_json::to_value(manifest).map_err(|e| damaged(&e));
        let (inside, outside) = (fields(&inner)?, fields(&outer)?);
        let sealed = inside.as_object().into_iter().flatten();
        for (field, sealed) in sealed {
            if outside.get(field) != Some(sealed) {
                return Err(not_authentic(format!(
                    "it was relabelled: {field:?} in its manifest differs from the encrypted copy"
                )));
            }
        }
        inner
            .contents
            .ok_or_else(|| damaged(&"it lists no contents"))
    }

    /// Whether the backup is encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.sealed.is_some()
    }

    /// Returns the text of the file.
    pub(super) fn to_text(&self) -> Result<String> {
        let mut text = serde_json::to_string_pretty(self)
            .map_err(|e| Error::new(ErrorKind::Io, format!("cannot write the manifest: {e}")))?;
        text.push('\n');
        Ok(text)
    }

    /// Parses the text of the file. Accepts only what this crate writes, byte for byte.
    pub(super) fn from_text(text: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        let Format { format } = serde_json::from_slice(text).map_err(|e| damaged(&e))?;
        if format > BOUND {
            let why = format!(
                "it has format {format}, and this program reads formats up to {BOUND}: use a newer \
                 program"
            );
            return Err(Error::new(ErrorKind::BadBackup, why));
        }
        let manifest: Self = serde_json::from_slice(text).map_err(|e| damaged(&e))?;
        let as_written = match manifest.format {
            UNBOUND => manifest.mac.is_none(),
            BOUND => manifest.mac.is_some() || manifest.sealed.is_some(),
            _ => false,
        };
        if !as_written
            || manifest.to_text()?.as_bytes() != text
            || manifest.checksum != manifest.own_checksum()?
        {
            return Err(damaged(&"it was changed after it was written"));
        }
        Ok(manifest)
    }
}

fn damaged(why: &dyn fmt::Display) -> Error {
    let why = format!("its manifest is damaged: {why}");
    Error::new(ErrorKind::BadBackup, why)
}

pub(super) fn not_authentic(why: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::NotAuthentic, why)
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
