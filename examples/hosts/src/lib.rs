//! What the bots share: a table of their own, what they do with it, and how they answer.

pub mod dialogues;

use botstore::backup::Backups;
use botstore::chrono::NaiveTime;
use botstore::interactions::FindInteraction;
use botstore::limits::{Amount, Decision, Per, Reserve, Scope, SetLimit};
use botstore::messages::GetMessage;
use botstore::prelude::*;
use botstore::schema::{Migration, Schema};
use botstore::sessions::SessionHistory;
use botstore::time::Timestamp;
use botstore::usage::Usage;
use serde::Deserialize;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The model that is asked: a bot has a real one's name here.
const MODEL: &str = "echo";

/// Stars that users give to answers: a table of the bot's own, in the store's file.
struct Ratings;

impl Schema for Ratings {
    const NAME: &'static str = "ratings";
    const MIGRATIONS: &'static [Migration] = &[Migration::new(
        1,
        "ratings",
        "CREATE TABLE ratings (
             message_id INTEGER PRIMARY KEY REFERENCES messages(message_id) ON DELETE CASCADE,
             stars      INTEGER NOT NULL CHECK (stars BETWEEN 1 AND 5),
             rated_at   TEXT NOT NULL
         );
         CREATE INDEX ratings_by_time ON ratings(rated_at);",
        "DROP TABLE ratings;",
    )];
}

/// Every setting of the bots. The file knows when each schedule last ran, so a restart misses none.
pub fn config(path: &str) -> Config {
    Config::new(path)
        .schema::<Ratings>()
        .backups(Backups::default().every(DAY / 4).drill_every(DAY))
        .daily_at(NaiveTime::MIN, || ExpireIdle::new(DAY)) // midnight
        .transact_every("forget old ratings", DAY, |tx| {
            let year_ago = Timestamp(tx.sure_now()? - 365 * DAY);
            tx.execute("DELETE FROM ratings WHERE rated_at < ?1", [year_ago])
        })
}

/// Opens the file. Each user may spend 2 dollars a day; a bot whose operator sets limits (`botstore limits`) sets none.
pub async fn open(config: Config) -> Result<Store> {
    let store = Store::open(config).await?;
    let two_dollars = Amount::Cost(Usd::from_dollars(2.0)?);
    let limit = SetLimit::new(Scope::EachUser, Per::Day, two_dollars);
    store.write(limit).await?;
    Ok(store)
}

/// What a user says in a chat.
#[derive(Deserialize)]
pub struct Ask {
    pub user_id: i64,
    pub username: Option<String>,
    pub chat_id: i64,
    pub text: String,
    pub update_id: String,
}

/// Answers, and saves the exchange. An update that is delivered again gets the answer that it had, and the
/// model is not asked again.
pub async fn answer(store: &Store, ask: Ask) -> Result<ChatMessage> {
    let (user_id, update_id) = (ask.user_id, ask.update_id);
    let user = EnsureUser::new(user_id, ask.username.as_deref());
    let user = store.write(user).await?;
    if !user.is_allowed {
        return Err(Error::forbidden("you may not use this bot"));
    }
    let find = FindInteraction::new(user_id, &update_id);
    let receipt = match store.read(find).await? {
        Some(receipt) => receipt,
        None => {
            // Before the model is asked, and about what it may cost: so nobody spends more by writing faster.
            let reserve = Reserve::new(user_id, Usd::from_dollars(0.002)?).model(MODEL);
            let reservation = match store.write(reserve).await? {
                Decision::Granted { reservation, .. } => reservation,
                denied => return Err(refusal(&denied)),
            };
            let session = format!("chat-{}", ask.chat_id);
            let before = store.read(SessionHistory::new(user_id, &session).limit(20));
            let before = before.await?.map_or(0, |history| history.messages.len());
            // A model goes here. A chat's session belongs to the chat, and who speaks is a member.
            let text = format!("({before} messages before) You said: {}", ask.text);
            let usage = Usage::new("example", MODEL).cost(Usd::from_dollars(0.001)?);
            let save = SaveInteraction::new(user_id, session, ask.text)
                .response(text)
                .usage(usage)
                .reservation(reservation)
                .creating("chat")
                .joining(ask.chat_id)
                .idempotency_key(update_id);
            store.write(save).await?
        }
    };
    let message = store.read(GetMessage::new(user_id, receipt.message_id));
    let missing = Error::not_found("update_id", "such message");
    message.await?.ok_or(missing)
}

/// Which limit denies a request, and until when.
fn refusal(denied: &Decision) -> Error {
    let Decision::Denied {
        which, resets_at, ..
    } = denied
    else {
        return Error::limit_reached("your budget is spent");
    };
    let until = resets_at.map_or("for ever".to_owned(), |at| format!("until {at}"));
    Error::limit_reached(format!("your budget is spent {until} ({which})"))
}

/// Stars that a user gives to an answer.
#[derive(Deserialize)]
pub struct Rate {
    pub user_id: i64,
    pub message_id: i64,
    pub stars: i64,
}

/// Keeps the stars: a question of the store's and a statement of the bot's own, in one transaction.
pub async fn rate(store: &Store, rate: Rate) -> Result<()> {
    let change = store.transact("rate", move |tx| {
        if !(1..=5).contains(&rate.stars) {
            return Err(Error::invalid("stars", "must be from 1 to 5"));
        }
        let message = tx.query(&GetMessage::new(rate.user_id, rate.message_id))?;
        message.ok_or_else(|| Error::not_found("message_id", "such message"))?;
        tx.execute(
            "INSERT INTO ratings (message_id, stars, rated_at) VALUES (?1, ?2, ?3)
             ON CONFLICT (message_id) DO UPDATE SET stars = ?2, rated_at = ?3",
            (rate.message_id, rate.stars, tx.now_text()),
        )
    });
    change.await.map(drop)
}
