//! What each column with people's data should hold, and what a repair makes of another value.

use super::values;
use crate::json;
use crate::sqlite::Cell;
use crate::time;
use chrono::DateTime;
use rusqlite::types::ValueRef;

/// What a column should hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::domain) enum Kind {
    /// The id of the user who owns the row.
    Owner,
    /// The text that identifies a session, a token or a messenger's user.
    Key,
    /// A day, as part of a key.
    Day,
    /// The id of a row to which this one refers, or NULL.
    Link,
    /// A text that somebody wrote, or NULL.
    Text,
    /// A time by which rows are sorted.
    Time,
    /// A time, or NULL.
    MaybeTime,
    /// US dollars, or NULL.
    Amount,
    /// What one interaction or one day cost, or NULL: US dollars. Statistics count one from 0 to 9 million.
    Cost,
    /// A whole number from 0, or NULL.
    Count,
    /// A yes or no: 0, 1 or NULL.
    Flag,
    /// A permission: 0, 1 or NULL.
    Permission,
    /// A JSON document, or NULL.
    Json,
}

/// A table and its columns, without the row's own id, which is always a number.
pub(in crate::domain) struct Table {
    pub(in crate::domain) name: &'static str,
    pub(in crate::domain) columns: &'static [(&'static str, Kind)],
}

/// In the tables beside messages, sessions and users, the id of another row is not listed: one that leads nowhere is an
/// orphan, which the check names.
pub(in crate::domain) const TABLES: [Table; 17] = {
    use Kind::*;
    [
        Table {
            name: "users",
            columns: &[
                ("telegram_username", Text),
                ("first_seen", Time),
                ("last_active", Time),
                ("is_allowed", Permission),
                ("total_cost", Amount),
                ("message_count", Count),
                ("session_count", Count),
            ],
        },
        Table {
            name: "sessions",
            columns: &[
                ("session_id", Key),
                ("user_id", Owner),
                ("project_path", Text),
                ("created_at", Time),
                ("last_used", Time),
                ("total_cost", Amount),
                ("total_turns", Count),
                ("message_count", Count),
                ("is_active", Flag),
            ],
        },
        // Before the messages: what is set right in these is set right in a copy here, too.
        Table {
            name: "botstore_usage",
            columns: &[
                ("user_id", Owner),
                ("at", Time),
                ("provider_name", Text),
                ("request_model", Text),
                ("response_model", Text),
                ("response_id", Text),
                ("input_tokens", Count),
                ("cache_read_input_tokens", Count),
                ("cache_creation_input_tokens", Count),
                ("output_tokens", Count),
                ("reasoning_output_tokens", Count),
                ("cost_nanos", Count),
                ("finish_reason", Text),
                ("time_to_first_chunk_ms", Count),
                ("platform", Text),
                ("chat_id", Text),
                ("thread_id", Text),
                ("platform_message_id", Text),
                ("reply_to", Text),
            ],
        },
        Table {
            name: "messages",
            columns: &[
                ("session_id", Key),
                ("user_id", Owner),
                ("timestamp", Time),
                ("prompt", Text),
                ("response", Text),
                ("cost", Cost),
                ("duration_ms", Count),
                ("error", Text),
            ],
        },
        Table {
            name: "tool_usage",
            columns: &[
                ("session_id", Key),
                ("message_id", Link),
                ("tool_name", Text),
                ("tool_input", Json),
                ("timestamp", Time),
                ("success", Flag),
                ("error_message", Text),
            ],
        },
        Table {
            name: "audit_log",
            columns: &[
                ("user_id", Owner),
                ("event_type", Text),
                ("event_data", Json),
                ("success", Flag),
                ("timestamp", Time),
                ("ip_address", Text),
            ],
        },
        Table {
            name: "user_tokens",
            columns: &[
                ("user_id", Owner),
                ("token_hash", Key),
                ("created_at", Time),
                ("expires_at", MaybeTime),
                ("last_used", MaybeTime),
                ("is_active", Permission),
            ],
        },
        Table {
            name: "cost_tracking",
            columns: &[
                ("user_id", Owner),
                ("date", Day),
                ("daily_cost", Cost),
                ("request_count", Count),
            ],
        },
        Table {
            name: "botstore_external_user",
            columns: &[("platform", Key), ("external_id", Key)],
        },
        Table {
            name: "botstore_session_member",
            columns: &[("session_id", Key), ("user_id", Owner), ("joined_at", Time)],
        },
        Table {
            name: "botstore_prompt",
            columns: &[("name", Text), ("version", Text), ("body", Text)],
        },
        Table {
            name: "botstore_tool_result",
            columns: &[
                ("call_id", Text),
                ("result", Text),
                ("bytes", Count),
                ("truncated", Flag),
                ("duration_ms", Count),
            ],
        },
        Table {
            name: "botstore_attachment",
            columns: &[
                ("kind", Text),
                ("mime", Text),
                ("name", Text),
                ("bytes", Count),
                ("platform_file_id", Text),
            ],
        },
        Table {
            name: "botstore_feedback",
            columns: &[("tag", Text), ("comment", Text), ("at", Time)],
        },
        Table {
            name: "botstore_message_metadata",
            columns: &[("metadata", Json)],
        },
        Table {
            name: "botstore_session_metadata",
            columns: &[("metadata", Json)],
        },
        Table {
            name: "botstore_user_metadata",
            columns: &[("metadata", Json)],
        },
    ]
};

/// The verdict on a value.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::domain) enum Judged {
    /// The value suits its column.
    Fine,
    /// This value is shown in its place, and a repair writes it.
    ShownAs(Cell),
    /// The value stays: only the owner of the file can know the right one. The row is found by it, or it is a cost
    /// that is shown as it is and counted as another.
    Kept,
}

impl Kind {
    pub(in crate::domain) fn judge(self, value: ValueRef<'_>) -> Judged {
        let fine = |is_fine: bool, shown: &dyn Fn() -> Cell| match is_fine {
            true => Judged::Fine,
            false => Judged::ShownAs(shown()),
        };
        let kept = |is_fine: bool| match is_fine {
            true => Judged::Fine,
            false => Judged::Kept,
        };
        let is_null = value == ValueRef::Null;
        let is_number = matches!(value, ValueRef::Integer(_) | ValueRef::Real(_));
        let is_text = matches!(value, ValueRef::Text(_));
        match self {
            Self::Owner => kept(values::id(value).is_some()),
            Self::Key => kept(value.as_str().is_ok()),
            Self::Day => kept(is_text && values::day(value).is_some()),
            Self::Link => fine(is_null || values::id(value).is_some(), &|| Cell::Null),
            Self::Text => fine(is_null || value.as_str().is_ok(), &|| {
                Cell::text(values::text(value).unwrap_or_default())
            }),
            Self::MaybeTime if is_null => Judged::Fine,
            Self::Time | Self::MaybeTime => {
                let known = values::time(value);
                // A time in another spelling is corrected at the next opening.
                fine(is_text && known.is_some(), &|| {
                    Cell::text(time::format(known.unwrap_or(DateTime::UNIX_EPOCH)))
                })
            }
            Self::Amount => {
                let amount = values::amount(value);
                fine(is_null || (is_number && amount.is_some()), &|| {
                    Cell::Real(amount.unwrap_or(0.0))
                })
            }
            Self::Cost => match values::amount(value).filter(|_| is_number) {
                Some(amount) => kept(values::COUNTED_COST.contains(&amount)),
                None => Self::Amount.judge(value),
            },
            Self::Count => fine(is_null || matches!(value, ValueRef::Integer(0..)), &|| {
                let count = values::count(value).unwrap_or(0);
                Cell::Integer(i64::try_from(count).unwrap_or(i64::MAX))
            }),
            Self::Flag => fine(
                is_null || matches!(value, ValueRef::Integer(0 | 1)),
                &|| Cell::Integer(values::flag(value).unwrap_or(false).into()),
            ),
            Self::Permission => fine(
                is_null || matches!(value, ValueRef::Integer(0 | 1)),
                &|| Cell::Integer(values::permission(value).into()),
            ),
            Self::Json => {
                let is_json = match value {
                    ValueRef::Text(bytes) | ValueRef::Blob(bytes) => json::is_json(bytes),
                    ValueRef::Real(number) => number.is_finite(),
                    ValueRef::Null | ValueRef::Integer(_) => true,
                };
                fine(is_json, &|| {
                    let shown = json::read(value).unwrap_or_default();
                    super::json_cell(&shown)
                })
            }
        }
    }

    /// Whether the column is private: people's texts and secrets.
    pub(in crate::domain) fn is_private(self) -> bool {
        matches!(self, Self::Text | Self::Json | Self::Key)
    }

    /// Says what is shown in place of an odd value.
    pub(in crate::domain) fn in_words(self) -> &'static str {
        match self {
            Self::Owner => "not a user id: lists over all users leave the row out",
            Self::Key => "not a text: shown as one, but lookups do not find it",
            Self::Day => "not a day: the row is left out",
            Self::Link => "not an id: shown as missing",
            Self::Text => "not a text: shown with U+FFFD in place of invalid bytes",
            Self::Time | Self::MaybeTime => "not a time",
            Self::Amount => "not an amount",
            Self::Cost => {
                "not a cost from 0 to 9,000,000 dollars: counted as the nearest, or as 0 if it is no amount"
            }
            Self::Count => "not a count",
            Self::Flag => "neither 0 nor 1",
            Self::Permission => "neither 0 nor 1: permits nothing",
            Self::Json => "not JSON: shown as a string",
        }
    }
}
