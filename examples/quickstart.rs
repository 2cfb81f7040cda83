//! The shortest whole use of the store: open it, save an exchange, ask for it, close it.
//!
//! ```text
//! cargo run --example quickstart
//! ```

use botstore::analytics::SystemStats;
use botstore::prelude::*;
use botstore::serde_json::json;
use clap::Parser;
use std::time::Duration;

/// Saves an exchange in a temporary store, asks for it, and removes the store.
#[derive(Parser)]
struct Args {}

#[tokio::main]
async fn main() -> Result<()> {
    const HOUR: Duration = Duration::from_secs(60 * 60);
    Args::parse();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("bot.db");

    // Opened once, cloned everywhere. Sessions idle for a day are ended, hour by hour.
    let config = Config::new(&path).every(HOUR, || ExpireIdle::new(24 * HOUR));
    let store = Store::open(config).await?;

    // Somebody writes to the bot.
    let user = store.write(EnsureUser::new(42, Some("ada"))).await?;
    let session = store
        .write(CreateSession::new(user.user_id, "3f1b6b0e", "/srv/api"))
        .await?;

    // The bot has answered: all of the exchange is saved, or nothing. When this returns, it is on
    // the disk.
    let receipt = store
        .write(
            SaveInteraction::new(
                user.user_id,
                session.session_id.clone(),
                "Which tests fail?",
            )
            .response("Only the one you wrote last.")
            .cost(Usd::from_dollars(0.0125)?)
            .duration_ms(2_300)
            .turns(2)
            .tool(ToolCall::new("Bash").input(json!({ "command": "cargo test" })))
            .idempotency_key("update-1001"),
        )
        .await?;
    println!("saved as message {}", receipt.message_id);

    let page = store
        .read(SessionMessages::new(user.user_id, session.session_id).page(PageRequest::first(10)))
        .await?;
    for message in page.items {
        let answer = message.response.as_deref().unwrap_or("(no answer)");
        println!("{}  {} → {answer}", message.timestamp, message.prompt);
    }
    let stats = store.read(SystemStats::new()).await?;
    println!(
        "{} messages by {} users for {}",
        stats.total_messages, stats.total_users, stats.total_cost
    );

    store.close().await?;
    println!("closed; {} goes with its folder", path.display());
    Ok(())
}
