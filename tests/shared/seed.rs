//! What a bot has without this crate: the schema of the Python bot, and the exchanges that such a bot saves. Both
//! sides of a comparison save the same. There is no SQLite in here, since each side may bring its own.

#![allow(dead_code, reason = "each program uses a part of it")]

/// Its seven tables and seven indexes.
pub const SCHEMA: &str = include_str!("../../migrations/botstore/0001_seed.up.sql");

pub const USERS: u64 = 1_000;
pub const SESSIONS_OF_A_USER: u64 = 5;

/// The statements of one exchange, as a bot would write them by hand.
pub mod sql {
    pub const MESSAGE: &str =
        "INSERT INTO messages (session_id, user_id, timestamp, prompt, response, cost, duration_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    pub const TOOL: &str =
        "INSERT INTO tool_usage (session_id, message_id, tool_name, tool_input, timestamp)
         VALUES (?1, ?2, ?3, ?4, ?5)";
    pub const DAY: &str = "INSERT INTO cost_tracking (user_id, date, daily_cost, request_count) VALUES (?1, ?2, ?3, 1)
         ON CONFLICT (user_id, date) DO UPDATE
         SET daily_cost = daily_cost + excluded.daily_cost, request_count = request_count + 1";
    pub const USER: &str = "UPDATE users
         SET total_cost = total_cost + ?1, message_count = message_count + 1, last_active = ?2 WHERE user_id = ?3";
    pub const SESSION: &str = "UPDATE sessions
         SET total_cost = total_cost + ?1, total_turns = total_turns + ?2, message_count = message_count + 1,
             last_used = ?3
         WHERE session_id = ?4";
    pub const AUDIT: &str = "INSERT INTO audit_log (user_id, event_type, event_data, timestamp)
         VALUES (?1, 'claude_interaction', ?2, ?3)";

    pub const GET_USER: &str =
        "SELECT user_id, telegram_username, first_seen, last_active, is_allowed, total_cost,
         message_count, session_count FROM users WHERE user_id = ?1";
    pub const GET_SESSION: &str =
        "SELECT session_id, user_id, project_path, created_at, last_used, total_cost,
         total_turns, message_count, is_active FROM sessions WHERE session_id = ?1";
    /// The last ten messages as the Python bot asks for them: each message of the session is read, and sorted.
    pub const LAST_BY_TIME: &str =
        "SELECT message_id, session_id, user_id, timestamp, prompt, response, cost,
         duration_ms, error FROM messages WHERE session_id = ?1 ORDER BY timestamp DESC LIMIT 10";
    /// In the order of saving, which the index on `session_id` has.
    pub const LAST_BY_ID: &str =
        "SELECT message_id, session_id, user_id, timestamp, prompt, response, cost,
         duration_ms, error FROM messages WHERE session_id = ?1 ORDER BY message_id DESC LIMIT 10";
}

/// One exchange: a prompt of 200 bytes, an answer of 1,000, and two tool uses.
#[derive(Clone, Debug)]
pub struct Exchange {
    pub user_id: i64,
    pub session_id: String,
    pub prompt: String,
    pub response: String,
    /// In US dollars.
    pub cost: f64,
    pub duration_ms: u64,
    pub turns: u32,
    /// Name, and input as JSON.
    pub tools: [(&'static str, String); 2],
}

/// The same exchange for the same number, always.
pub fn exchange(number: u64) -> Exchange {
    let (user_id, session_id) = speaker(number);
    Exchange {
        user_id,
        session_id,
        prompt: "What does this do? ".repeat(11)[..200].to_owned(),
        response: "It does the following. ".repeat(44)[..1_000].to_owned(),
        cost: 0.0125,
        duration_ms: 2_300,
        turns: 2,
        tools: [
            ("Read", r#"{"path":"src/lib.rs"}"#.to_owned()),
            ("Bash", r#"{"command":"cargo test"}"#.to_owned()),
        ],
    }
}

impl Exchange {
    /// The details of its audit row.
    pub fn audit(&self, message_id: i64) -> String {
        let Self {
            session_id,
            cost,
            duration_ms,
            turns,
            tools: [(first, _), (second, _)],
            ..
        } = self;
        format!(
            r#"{{"session_id":"{session_id}","message_id":{message_id},"cost":{cost},"duration_ms":{duration_ms},"num_turns":{turns},"is_error":false,"tools_used":["{first}","{second}"]}}"#
        )
    }
}

/// Who speaks in exchange `number`, and in which session.
pub fn speaker(number: u64) -> (i64, String) {
    let mixed = mix(number);
    let user_id = user(mixed % USERS);
    (
        user_id,
        session(user_id, (mixed >> 32) % SESSIONS_OF_A_USER),
    )
}

pub fn user(number: u64) -> i64 {
    number as i64 + 1
}

/// A session's id: 36 characters, in no order.
pub fn session(user_id: i64, number: u64) -> String {
    let high = mix(user_id as u64 * SESSIONS_OF_A_USER + number);
    let low = mix(high);
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff
    )
}

/// Each user with the sessions.
pub fn everybody() -> impl Iterator<Item = (i64, Vec<String>)> {
    (0..USERS).map(user).map(|user_id| {
        let sessions = (0..SESSIONS_OF_A_USER).map(|number| session(user_id, number));
        (user_id, sessions.collect())
    })
}

/// Spreads neighbours over the whole range.
fn mix(number: u64) -> u64 {
    const GOLDEN_RATIO: u64 = 0x9E37_79B9_7F4A_7C15;
    let spread = (number + 1).wrapping_mul(GOLDEN_RATIO);
    let spread = (spread ^ (spread >> 29)).wrapping_mul(GOLDEN_RATIO);
    spread ^ (spread >> 32)
}
