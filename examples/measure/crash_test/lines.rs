//! What a child tells its parent, a line each. JSON, so that half a line is none.

use serde::{Deserialize, Serialize};
use std::io::Write;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Line {
    /// It is about to open the file.
    Opening,
    Open,
    /// Request number so-and-so is about to be sent.
    Sent(u64),
    /// Its `Ok` came; with the id of the message, if it was an interaction.
    Acknowledged(u64, Option<i64>),
    /// The store was closed before it came to this one.
    Refused(u64),
    BackingUp,
    /// The backup of this name is made.
    BackedUp(String),
    Closing,
    Closed,
    /// What must not happen.
    Failed(String),
}

/// What a child does, by the last line that told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// The process starts, or opens the file.
    Opening,
    Load,
    /// Load and a backup.
    Backup,
    Closing,
    /// The kill came too late.
    Closed,
}

impl Line {
    /// The phase that begins with this line.
    pub(crate) fn begins(&self) -> Option<Phase> {
        match self {
            Self::Opening => Some(Phase::Opening),
            Self::Open | Self::BackedUp(_) => Some(Phase::Load),
            Self::BackingUp => Some(Phase::Backup),
            Self::Closing => Some(Phase::Closing),
            Self::Closed => Some(Phase::Closed),
            Self::Sent(_) | Self::Acknowledged(..) | Self::Refused(_) | Self::Failed(_) => None,
        }
    }

    pub(crate) fn parse(text: &str) -> Self {
        serde_json::from_str(text)
            .unwrap_or_else(|e| Self::Failed(format!("it said {text:?}: {e}")))
    }

    /// Says it on standard output, in one write: what a process has written is in the pipe, whatever
    /// becomes of the process. When nobody listens any more, the process ends.
    pub(crate) fn say(&self) {
        let said = serde_json::to_string(self).map_err(std::io::Error::from);
        let said = said.and_then(|text| {
            let mut out = std::io::stdout().lock();
            out.write_all(format!("{text}\n").as_bytes())?;
            out.flush()
        });
        if said.is_err() {
            std::process::exit(1);
        }
    }
}
