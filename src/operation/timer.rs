//! Timers: mutations that are kept in the file until their time.

use super::Mutation;
use super::number::number;
use crate::error::{Error, Result};
use crate::json;
use crate::texts::Limits;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

number! {
    /// The id of a timer: a number that the store assigns, increasing from 1 and never reused.
    TimerId
}

/// A mutation that can be kept in the file and run at a set time: a user's reminder.
///
/// Register it with [`Config::timer`](crate::Config::timer), and schedule it with [`At`](crate::timers::At) or
/// [`After`](crate::timers::After). The file keeps it as JSON under its [`NAME`](Self::NAME). So give new fields a
/// `#[serde(default)]`: the file may hold messages that an earlier version of the bot has written.
///
/// ```
/// use botstore::{Mutation, Result, Timer, WriteTx};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct Remind { chat_id: i64, text: String }
///
/// impl Timer for Remind {
///     const NAME: &'static str = "remind";
/// }
///
/// impl Mutation for Remind {
///     type Output = ();
///     fn apply(&self, tx: &WriteTx<'_>) -> Result<()> {
///         // What is to be sent goes into a table of the bot's own, which the bot empties.
///         let sql = "INSERT INTO outbox (chat_id, text) VALUES (?1, ?2)";
///         tx.execute(sql, (self.chat_id, &self.text)).map(drop)
///     }
/// }
/// ```
pub trait Timer: Mutation + Serialize + DeserializeOwned {
    /// The name under which the file keeps it, from 1 byte to 4 KiB. Each type needs its own. Keep the name when
    /// the type is renamed.
    const NAME: &'static str;
}

/// The limits that no setting can change: of depth and of names.
const NO_LIMITS: Limits = Limits {
    max_text_bytes: usize::MAX,
    max_answer_bytes: usize::MAX,
    max_tool_result_bytes: usize::MAX,
};

/// Returns the message as the file keeps it. Runs on the caller's side, so that no host's code runs on the writer
/// for it.
///
/// # Errors
/// [`Invalid`](crate::ErrorKind::Invalid) for a message that could not be run later: one of its texts is too
/// large, it is nested too deeply, or its own type cannot read its JSON. The sentence contains nothing of the
/// message, which may be what a user has said.
pub(crate) fn kept<T: Timer>(mut timer: T) -> Result<Value> {
    // Before serialising, which recurses level by level.
    if let Err(refused) = NO_LIMITS.check(|texts| timer.texts(texts)) {
        json::drop_flat(|values| timer.take_json(values));
        return Err(refused);
    }
    let unreadable = |_| Error::invalid("message", "must be JSON that its own type can read");
    let value = serde_json::to_value(&timer).map_err(unreadable)?;
    // From the text, as it will be read: that reader limits the depth.
    serde_json::from_str::<T>(&value.to_string()).map_err(unreadable)?;
    Ok(value)
}

/// Reads a message that was kept by [`kept`].
///
/// # Errors
/// [`Invalid`](crate::ErrorKind::Invalid) if it does not have this type. serde's own text is left out because it
/// quotes the message.
pub(crate) fn read<T: Timer>(message: &str) -> Result<T> {
    serde_json::from_str(message).map_err(|error| {
        let why = format!(
            "cannot be read as {}: see its {} in column {}",
            T::name(),
            match error.classify() {
                serde_json::error::Category::Data => "value",
                _ => "spelling",
            },
            error.column()
        );
        Error::invalid("message", &why)
    })
}
