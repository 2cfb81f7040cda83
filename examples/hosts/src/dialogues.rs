//! Where a bot framework keeps its dialogues: one table, one change, one question.
use botstore::prelude::*;
use botstore::schema::{Migration, Schema};
use serde::{Serialize, de::DeserializeOwned};

pub struct Dialogues;

const UP: &str = "CREATE TABLE dialogues (chat_id INTEGER PRIMARY KEY, state TEXT NOT NULL);";
const DOWN: &str = "DROP TABLE dialogues;";

impl Schema for Dialogues {
    const NAME: &'static str = "dialogues";
    const MIGRATIONS: &'static [Migration] = &[Migration::new(1, "dialogues", UP, DOWN)];
}

/// Keeps the dialogue of a chat, or forgets it.
pub async fn put(store: &Store, chat_id: i64, dialogue: Option<impl Serialize>) -> Result<()> {
    let state = dialogue.map(|d| serde_json::to_string(&d)).transpose();
    let state = state.map_err(|e| Error::invalid("dialogue", &e.to_string()))?;
    let change = store.transact("put dialogue", move |tx| match &state {
        Some(state) => tx.execute("REPLACE INTO dialogues VALUES (?1, ?2)", (chat_id, state)),
        None => tx.execute("DELETE FROM dialogues WHERE chat_id = ?1", [chat_id]),
    });
    change.await.map(drop)
}

/// The dialogue of a chat, if there is one.
pub async fn get<D: DeserializeOwned>(store: &Store, chat_id: i64) -> Result<Option<D>> {
    let sql = "SELECT state FROM dialogues WHERE chat_id = ?1";
    let question = move |tx: &ReadTx| tx.maybe(sql, [chat_id], |row| Ok(row.get::<_, String>(0)?));
    let state = store.ask("get dialogue", question).await?;
    let read = state.map(|state| serde_json::from_str(&state)).transpose();
    read.map_err(|e| Error::invalid("dialogue", &e.to_string()))
}
