//! The time of a row that is saved: now, or in the past, if a bot imports its history.

use crate::error::{Error, Result};
use crate::operation::ReadTx;
use crate::time;
use chrono::{DateTime, Utc};
use std::borrow::Cow;

/// A time as the file spells it, and whether it is one of imported history.
pub(in crate::domain) struct When<'t> {
    text: Cow<'t, str>,
    is_history: bool,
}

impl<'t> When<'t> {
    /// The message's time, or the transaction's if the message has none.
    ///
    /// # Errors
    /// `Invalid` for a time in the future, and for one before 1970: the epoch stands for no time in a file.
    pub(in crate::domain) fn of(tx: &'t ReadTx<'_>, at: Option<DateTime<Utc>>) -> Result<Self> {
        let Some(at) = at else {
            let text = tx.now_text().into();
            let is_history = false;
            return Ok(Self { text, is_history });
        };
        let at = time::to_micros(at);
        if at > tx.now() {
            let why = "must not be in the future by the store's clock";
            return Err(Error::invalid("at", why));
        }
        if at < DateTime::UNIX_EPOCH {
            return Err(Error::invalid("at", "must not be before 1970"));
        }
        let text = time::format(at).into();
        let is_history = true;
        Ok(Self { text, is_history })
    }

    /// As the file spells it.
    pub(in crate::domain) fn text(&self) -> &str {
        &self.text
    }

    /// Its day, UTC: the first ten characters of a time.
    pub(in crate::domain) fn day(&self) -> &str {
        &self.text[..10]
    }

    pub(in crate::domain) fn is_history(&self) -> bool {
        self.is_history
    }
}
