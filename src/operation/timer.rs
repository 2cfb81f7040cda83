//! What a bot sends itself at a time: a mutation that is kept in the file until then.

use super::Mutation;
use super::number::number;
use crate::error::{Error, Result};
use crate::json;
use crate::limits::Limits;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

number! {
    /// Which timer: a number that the store gives, growing from 1 and never given twice.
    TimerId
}

/// A mutation that can be kept in the file and run at a time: a user's reminder.
///
/// Register it with [`Config::timer`](crate::Config::timer), and schedule it with
/// [`At`](crate::timers::At) or [`After`](crate::timers::After). It is kept as JSON under its
/// [`NAME`](Self::NAME). So give new fields a `#[serde(default)]`: the file may hold messages that an earlier
/// version of the bot has written.
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
    /// The name under which the file keeps it, from 1 byte to 4 KiB. Two types need two names. Keep the name
    /// when the type is renamed.
    const NAME: &'static str;
}

/// How deep and how long may be whatever nobody has a setting for.
const NO_LIMITS: Limits = Limits {
    max_text_bytes: usize::MAX,
    max_answer_bytes: usize::MAX,
};

/// The message as the file keeps it. On the caller's side, so that no code of a host's runs on the writer for it.
///
/// # Errors
/// [`Invalid`](crate::ErrorKind::Invalid) for a message that could not be run later: one of its texts is too
/// large, it is nested too deeply, or what is written of it cannot be read again. The sentence has nothing of
/// the message, which may be what a user has said.
pub(crate) fn kept<T: Timer>(mut timer: T) -> Result<Value> {
    // Before it is written, which goes down into it level by level.
    if let Err(refused) = NO_LIMITS.check(|texts| timer.texts(texts)) {
        json::drop_flat(|values| timer.take_json(values));
        return Err(refused);
    }
    let unreadable = |_| Error::invalid("message", "must be JSON that its own type reads again");
    let value = serde_json::to_value(&timer).map_err(unreadable)?;
    // From the text, as it will be: the reader of texts knows a bound on depth.
    serde_json::from_str::<T>(&value.to_string()).map_err(unreadable)?;
    Ok(value)
}

/// The message that was kept so.
///
/// # Errors
/// [`Invalid`](crate::ErrorKind::Invalid) if it is none of this type. What serde says of it is left out: it quotes
/// what it has read.
pub(crate) fn read<T: Timer>(message: &str) -> Result<T> {
    serde_json::from_str(message).map_err(|error| {
        let why = format!(
            "is not what {} reads: see its {} in column {}",
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
