//! The bot that the measurements imitate: who its users are, and what an interaction is. They
//! share it, so that they all measure the same.

use botstore::interactions::SaveInteraction;
use botstore::sessions::CreateSession;
use botstore::testing::Plain;
use botstore::testing::usd;
use botstore::tools::ToolCall;
use botstore::users::EnsureUser;
use botstore::{BeforeUpgrade, Config, Result, WriteTx};
use std::path::Path;

pub const USERS: u64 = 1_000;

/// Whose interaction this is: neighbours in time are of different users.
pub fn user_of(number: u64) -> i64 {
    // The golden ratio spreads neighbours over all users.
    (number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as i64 % USERS as i64
}

pub fn session_of(user_id: i64) -> String {
    format!("session-{user_id:08}")
}

/// A message of 200 + 1,000 bytes with two tool uses.
pub fn interaction(number: u64) -> SaveInteraction {
    let user_id = user_of(number);
    SaveInteraction::new(
        user_id,
        session_of(user_id),
        "What does this do? ".repeat(11)[..200].to_owned(),
    )
    .response("It does the following. ".repeat(44)[..1_000].to_owned())
    .cost(usd(0.0125))
    .duration_ms(2_300)
    .turns(2)
    .tools(vec![
        ToolCall::new("Read").input(serde_json::json!({ "path": "src/lib.rs" })),
        ToolCall::new("Bash").input(serde_json::json!({ "command": "cargo test" })),
    ])
}

/// Creates the users and their sessions.
pub fn sign_up(tx: &WriteTx<'_>) -> Result<()> {
    for user_id in 0..USERS as i64 {
        tx.apply(&EnsureUser::new(user_id, None))?;
        tx.apply(&CreateSession::new(user_id, session_of(user_id), "/srv"))?;
    }
    Ok(())
}

/// A store's file, which these measurements open anew each time.
pub fn config(path: &Path) -> Config {
    Config::new(path).before_upgrade(BeforeUpgrade::Skip)
}

/// Makes a file with so many interactions, by plain rusqlite.
pub fn fill(path: &Path, messages: u64) -> Result<()> {
    let plain = Plain::open(config(path))?;
    plain
        .connection()
        .pragma_update(None, "wal_autocheckpoint", 1_000)?;
    plain.write(sign_up)?;
    for first in (0..messages).step_by(1_000) {
        plain.write(|tx| {
            let mut batch = first..messages.min(first + 1_000);
            batch.try_for_each(|number| tx.apply(&interaction(number)).map(|_| ()))
        })?;
    }
    Ok(())
}
