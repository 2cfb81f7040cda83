//! What a backup says of itself, in JSON beside it.

use super::contents::Contents;
use crate::error::{Error, ErrorKind, Result};
use crate::time;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fmt::{self, Write as _};

/// The version of this format.
const FORMAT: u32 = 1;

/// Larger files are not read: a manifest has a line for each table.
pub(super) const MAX_BYTES: u64 = 4 << 20;

/// Why a backup was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Reason {
    /// Somebody asked for it.
    Manual,
    /// Its time had come: [`Backups::every`](super::Backups::every).
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
    /// Page by page, as the file is (SQLite's online backup). What was deleted may still be read
    /// from unused pages.
    #[default]
    Pages,
    /// Written anew (`VACUUM INTO`): smaller, without anything deleted, and slower.
    Compact,
}

/// The length of a file and its SHA-256, in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checksum {
    /// In bytes.
    pub bytes: u64,
    /// 64 hexadecimal digits.
    pub sha256: String,
}

/// What a backup says of itself.
///
/// It is written after the finished backup has been read back and checked, and it is read strictly:
/// a manifest in which any byte has changed is refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Manifest {
    /// The version of the format: 1.
    pub format: u32,
    /// The name of the backup's folder.
    pub name: String,
    /// The store that it is of: a random number, made once for a file and kept by its copies.
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
    /// What is in it; `None` while it is sealed.
    pub contents: Option<Contents>,
    /// The contents, encrypted as the backup is, as an armoured `age` file.
    pub sealed: Option<String>,
    /// SHA-256 of this manifest with nothing in this place.
    checksum: String,
}

/// What a manifest says beside its contents.
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
    pub(super) fn new(
        header: Header,
        contents: Option<Contents>,
        sealed: Option<String>,
    ) -> Result<Self> {
        let mut manifest = Self {
            format: FORMAT,
            name: header.name,
            store_id: header.store_id,
            reason: header.reason,
            mode: header.mode,
            // What is written and what is read back must be the same.
            taken_at: time::to_micros(header.taken_at),
            verified_at: time::to_micros(header.verified_at),
            botstore: env!("CARGO_PKG_VERSION").to_owned(),
            sqlite: rusqlite::version().to_owned(),
            artefact: header.artefact,
            contents,
            sealed,
            checksum: String::new(),
        };
        manifest.checksum = manifest.own_checksum()?;
        Ok(manifest)
    }

    fn own_checksum(&self) -> Result<String> {
        let mut whole = self.clone();
        whole.checksum.clear();
        Ok(hex(&Sha256::digest(whole.to_text()?)))
    }

    /// Whether the backup is encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.sealed.is_some()
    }

    /// The file's text.
    pub(super) fn to_text(&self) -> Result<String> {
        let mut text = serde_json::to_string_pretty(self)
            .map_err(|e| Error::new(ErrorKind::Io, format!("cannot write the manifest: {e}")))?;
        text.push('\n');
        Ok(text)
    }

    /// Reads the file's text and takes it only as this crate writes it, byte for byte.
    pub(super) fn from_text(text: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        let bad = |why: &dyn fmt::Display| {
            let why = format!("its manifest is damaged: {why}");
            Error::new(ErrorKind::BadBackup, why)
        };
        let Format { format } = serde_json::from_slice(text).map_err(|e| bad(&e))?;
        if format > FORMAT {
            let why = format!(
                "it has format {format}, and this program reads up to {FORMAT}: use a newer one"
            );
            return Err(Error::new(ErrorKind::BadBackup, why));
        }
        let manifest: Self = serde_json::from_slice(text).map_err(|e| bad(&e))?;
        if manifest.to_text()?.as_bytes() != text || manifest.checksum != manifest.own_checksum()? {
            return Err(bad(&"it is not as it was written"));
        }
        Ok(manifest)
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
