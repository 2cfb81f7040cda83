//! tinystore: an exchange is a batch of statements, which it commits together with those of other callers.

#[path = "../../driver.rs"]
mod driver;
#[path = "../../../../../tests/shared/seed.rs"]
mod seed;

use driver::{Ask, Peer, Result, drive};
use tinystore::aio::Store;
use tinystore::aio::sql::Database;
use tinystore::{Durability, Options, sql};

const AT: &str = "2026-01-31 12:00:00";

/// A batch is given whole, so the message's id is looked up where it is needed.
const TOOL: &str =
    "INSERT INTO tool_usage (session_id, message_id, tool_name, tool_input, timestamp)
     VALUES (?1, (SELECT max(message_id) FROM messages), ?2, ?3, ?4)";

#[derive(Clone)]
struct Tinystore(Database);

impl Peer for Tinystore {
    async fn save(&self, number: u64) -> Result<()> {
        let new = seed::exchange(number);
        let [(first, first_input), (second, second_input)] = &new.tools;
        let (duration_ms, turns) = (new.duration_ms as i64, i64::from(new.turns));
        let audit = new.audit(number as i64);
        let all = [
            sql!(
                seed::sql::MESSAGE,
                new.session_id,
                new.user_id,
                AT,
                new.prompt,
                new.response,
                new.cost,
                duration_ms
            ),
            sql!(TOOL, new.session_id, first, first_input, AT),
            sql!(TOOL, new.session_id, second, second_input, AT),
            sql!(seed::sql::DAY, new.user_id, &AT[..10], new.cost),
            sql!(seed::sql::USER, new.cost, AT, new.user_id),
            sql!(seed::sql::SESSION, new.cost, turns, AT, new.session_id),
            sql!(seed::sql::AUDIT, new.user_id, audit, AT),
        ];
        self.0.batch(all).await?;
        Ok(())
    }

    async fn messages(&self) -> Result<u64> {
        Ok(self.0.scalar(sql!("SELECT count(*) FROM messages")).await?)
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let ask = Ask::of_command_line()?;
    // It keeps its files in a folder.
    let folder = ask.file.with_extension("tinystore");
    std::fs::create_dir_all(folder.join("sql"))?;
    std::fs::copy(&ask.file, folder.join("sql/bot.db"))?;
    let options = Options {
        durability: Some(Durability::Full),
        keep_free: 0,
        ..Options::default()
    };
    let store = Store::open(&folder, options)?;
    let peer = Tinystore(store.database("bot").open()?);
    drive(peer, &ask).await?.print();
    store.close().await?;
    Ok(())
}
