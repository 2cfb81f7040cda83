//! Whether an interaction is whole: its message, its tool uses, its audit event and its idempotency
//! key, each with every column, and all of the same time.

use super::each;
use botstore::interactions::SaveInteraction;
use botstore::rusqlite::types::Value;
use botstore::rusqlite::{Connection, Result, Row};
use sha2::{Digest, Sha256};
use std::collections::HashMap;

pub(super) const MESSAGES: &str = "
    SELECT message_id, prompt, user_id, session_id, response, cost, duration_ms, error, timestamp
    FROM messages";

/// The column of [`MESSAGES`] that has the time.
pub(super) const TIMESTAMP: usize = 8;

/// What belongs to a message, whose id comes first; the rest is as in [`expected`].
const TABLES: [(&str, &str); 3] = [
    (
        "tool uses",
        "SELECT message_id, session_id, tool_name, tool_input, success, error_message, timestamp
         FROM tool_usage ORDER BY id",
    ),
    (
        "audit events",
        "SELECT event_data ->> 'message_id', user_id, event_type, success, ip_address,
                event_data ->> 'session_id', event_data ->> 'cost', event_data ->> 'duration_ms',
                event_data ->> 'num_turns', event_data ->> 'is_error',
                event_data ->> 'tools_used', timestamp
         FROM audit_log WHERE event_type NOT IN ('user_allowed', 'session_created') ORDER BY id",
    ),
    (
        "idempotency keys",
        "SELECT message_id, key, content, ticket, recorded_at, claimed_until FROM botstore_update",
    ),
];

type Values = Vec<Value>;

/// What is wrong, if something is.
type Wrong = Option<String>;

/// The rows of each table, by the message that they belong to.
#[derive(Default)]
pub(super) struct Parts([HashMap<Option<i64>, Vec<Values>>; 3]);

impl Parts {
    pub(super) fn read(conn: &Connection) -> Result<Self> {
        let mut parts = Self::default();
        for (rows, (_, sql)) in parts.0.iter_mut().zip(TABLES) {
            each(conn, sql, |row| {
                let of: &mut Vec<Values> = rows.entry(row.get(0)?).or_default();
                of.push(values(row)?);
                Ok(())
            })?;
        }
        Ok(parts)
    }

    /// Takes what belongs to this message, and says what is not as it was sent.
    pub(super) fn take(&mut self, id: i64, row: &Row<'_>, sent: &SaveInteraction) -> Result<Wrong> {
        let is = self.0.each_mut().map(|rows| rows.remove(&Some(id)));
        let message = values(row)?;
        let at = message.last().cloned().unwrap_or(Value::Null);
        if message != expected_message(sent, &at) {
            return Ok(Some(format!("it is {message:?}")));
        }
        let differs = is.into_iter().zip(expected(sent, &at)).zip(TABLES);
        let mut differs = differs.filter_map(|((is, due), (name, _))| {
            let is = is.unwrap_or_default();
            (is != due).then(|| format!("its {name} are {is:?}, not {due:?}"))
        });
        Ok(differs.next())
    }

    /// What was not taken, and so belongs to no message.
    pub(super) fn strays(&self) -> impl Iterator<Item = String> {
        let tables = self.0.iter().zip(TABLES);
        tables.flat_map(|(rows, (name, _))| {
            let stray = move |id| format!("there are {name} of message {id:?}, which is not there");
            rows.keys().map(stray)
        })
    }
}

/// All columns but the first.
fn values(row: &Row<'_>) -> Result<Values> {
    (1..row.as_ref().column_count())
        .map(|c| row.get(c))
        .collect()
}

fn expected_message(sent: &SaveInteraction, at: &Value) -> Values {
    vec![
        sent.prompt.clone().into(),
        sent.user_id.get().into(),
        String::from(sent.session_id.clone()).into(),
        sent.response.clone().into(),
        sent.cost.dollars().into(),
        sent.duration_ms.map(|ms| ms as i64).into(),
        sent.error.clone().into(),
        at.clone(),
    ]
}

fn expected(sent: &SaveInteraction, at: &Value) -> [Vec<Values>; 3] {
    let tools = sent.tools.iter().map(|call| {
        vec![
            String::from(sent.session_id.clone()).into(),
            call.tool_name.clone().into(),
            call.tool_input.as_ref().map(ToString::to_string).into(),
            call.success.into(),
            call.error_message.clone().into(),
            at.clone(),
        ]
    });
    let names: Vec<_> = sent.tools.iter().map(|t| t.tool_name.as_str()).collect();
    let event = vec![
        sent.user_id.get().into(),
        "interaction".to_owned().into(),
        sent.error.is_none().into(),
        sent.ip_address.clone().into(),
        String::from(sent.session_id.clone()).into(),
        sent.cost.dollars().into(),
        sent.duration_ms.map(|ms| ms as i64).into(),
        i64::from(sent.turns).into(),
        sent.error.is_some().into(),
        serde_json::json!(names).to_string().into(),
        at.clone(),
    ];
    let key = sent.idempotency_key.as_deref().map(|key| {
        vec![
            digest(1, sent, &[key]),
            digest(2, sent, &[&sent.session_id, &sent.prompt]),
            Value::Null,
            micros(at),
            Value::Null,
        ]
    });
    [tools.collect(), vec![event], key.into_iter().collect()]
}

/// What a text of this user's is known by.
fn digest(kind: u8, sent: &SaveInteraction, texts: &[&str]) -> Value {
    let mut bytes = vec![kind];
    bytes.extend(sent.user_id.get().to_be_bytes());
    for text in texts {
        bytes.extend((text.len() as u64).to_be_bytes());
        bytes.extend(text.as_bytes());
    }
    Sha256::digest(bytes)[..16].to_vec().into()
}

fn micros(at: &Value) -> Value {
    match at {
        Value::Text(at) => botstore::time::parse(at)
            .map(|at| at.timestamp_micros())
            .into(),
        _ => Value::Null,
    }
}
