//! tokio-rusqlite: one thread with a connection, and each call is a transaction of its own.

#[path = "../../driver.rs"]
mod driver;
#[path = "../../../../../tests/shared/plain.rs"]
mod plain;
#[path = "../../../../../tests/shared/seed.rs"]
mod seed;

use driver::{Ask, Peer, Result, drive};
use tokio_rusqlite::{Connection, rusqlite};

const CACHE_BYTES: u64 = 8 << 20;
/// 64 MiB, where the store has the ceiling of its WAL.
const CHECKPOINT_PAGES: u64 = 16_384;

#[derive(Clone)]
struct TokioRusqlite(Connection);

impl Peer for TokioRusqlite {
    async fn save(&self, number: u64) -> Result<()> {
        let saved = self.0.call(move |conn| {
            plain::save_all(conn, [seed::exchange(number)], plain::TIME_OF_HISTORY)
        });
        Ok(saved.await?)
    }

    async fn messages(&self) -> Result<u64> {
        let counted = self.0.call(|conn| {
            conn.query_row("SELECT count(*) FROM messages", [], |row| {
                row.get::<_, i64>(0)
            })
        });
        Ok(counted.await? as u64)
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let ask = Ask::of_command_line()?;
    let conn = plain::open(&ask.file, CACHE_BYTES, CHECKPOINT_PAGES)?;
    let peer = TokioRusqlite(Connection::from(conn));
    drive(peer, &ask).await?.print();
    Ok(())
}
