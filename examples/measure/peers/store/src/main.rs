//! This crate, over the same file, which it takes over first.

#[path = "../../driver.rs"]
mod driver;
#[path = "../../../../../tests/shared/seed.rs"]
mod seed;

use botstore::interactions::SaveInteraction;
use botstore::tools::ToolCall;
use botstore::{BeforeUpgrade, Config, Store, Usd};
use driver::{Ask, Peer, Result, drive};

#[derive(Clone)]
struct Botstore(Store);

impl Peer for Botstore {
    async fn save(&self, number: u64) -> Result<()> {
        let new = seed::exchange(number);
        let mut save = SaveInteraction::new(new.user_id, new.session_id, new.prompt)
            .response(new.response)
            .cost(Usd::from_dollars(new.cost)?)
            .duration_ms(new.duration_ms)
            .turns(new.turns);
        for (name, input) in new.tools {
            let input = serde_json::from_str::<serde_json::Value>(&input)?;
            save = save.tool(ToolCall::new(name).input(input));
        }
        self.0.write(save).await?;
        Ok(())
    }

    async fn messages(&self) -> Result<u64> {
        let stats = botstore::analytics::SystemStats::new();
        Ok(self.0.read(stats).await?.total_messages)
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let ask = Ask::of_command_line()?;
    let config = Config::new(&ask.file).before_upgrade(BeforeUpgrade::Skip);
    let store = Store::open(config).await?;
    let peer = Botstore(store.clone());
    drive(peer, &ask).await?.print();
    store.close().await?;
    Ok(())
}
