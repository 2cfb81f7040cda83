//! Reminders: timers that the store keeps, and an outbox from which the bot says them.
//!
//! A timer runs once, in a transaction, and a transaction sends nothing. So it puts the text into a table of the
//! bot's own, and the bot deletes a text after it has said it: none is lost, whatever is killed and when.

use crate::bot::Bot;
use crate::text::{local, shorten};
use botstore::prelude::*;
use botstore::schema::{Migration, Schema};
use botstore::timers::{After, CancelTimer, PendingTimer, Timers};
use botstore::{Timer, TimerId};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The table of texts that are to be said.
pub(crate) struct Outbox;

impl Schema for Outbox {
    const NAME: &'static str = "outbox";
    const MIGRATIONS: &'static [Migration] = &[Migration::new(
        1,
        "outbox",
        "CREATE TABLE outbox (
             id      INTEGER PRIMARY KEY,
             user_id INTEGER NOT NULL REFERENCES users(user_id) ON DELETE CASCADE,
             body    TEXT    NOT NULL
         );",
        "DROP TABLE outbox;",
    )];
}

/// What the store keeps until its time, as JSON.
#[derive(Serialize, Deserialize)]
pub(crate) struct Remind {
    user_id: i64,
    body: String,
}

impl Timer for Remind {
    const NAME: &'static str = "remind";
}

impl Mutation for Remind {
    type Output = ();

    fn apply(&self, tx: &WriteTx) -> Result<Self::Output> {
        let sql = "INSERT INTO outbox (user_id, body) VALUES (?1, ?2)";
        tx.insert(sql, (self.user_id, &self.body)).map(drop)
    }
}

impl Bot {
    pub(crate) async fn remind(&self, rest: &str) -> Result<String> {
        let (when, body) = rest.split_once(' ').unwrap_or_default();
        let (Some(after), body) = (duration(when), body.trim()) else {
            return Ok("When, and of what? For example: /remind 10m tea".to_owned());
        };
        let (user_id, body) = (self.user_id, body.to_owned());
        let remind = After::new(after, Remind { user_id, body });
        let timer_id = self.store.write(remind).await?;
        let at = local(self.store.now() + after);
        Ok(format!(
            "I shall remind you on {at}. /forget {timer_id} takes it back."
        ))
    }

    pub(crate) async fn reminders(&self) -> Result<String> {
        let mut text = String::new();
        for timer in self.pending().await? {
            let body = timer.message.as_ref().and_then(|it| it["body"].as_str());
            let (number, at) = (timer.timer_id, local(timer.due_at));
            text += &format!("\n{number:>4}  {at}  {}", shorten(body.unwrap_or(""), 40));
        }
        Ok(match text.as_str() {
            "" => "There is nothing to remind you of.".to_owned(),
            _ => format!("I shall remind you of:{text}"),
        })
    }

    pub(crate) async fn forget(&self, number: &str) -> Result<String> {
        let timer_id = number.parse().ok().map(TimerId::new);
        // The store does not know whose a timer is; the bot has put that into the message.
        let mut own = self.pending().await?.into_iter().map(|own| own.timer_id);
        let Some(timer_id) = own.find(|own| Some(*own) == timer_id) else {
            return Ok("There is no such reminder of yours. Try /reminders.".to_owned());
        };
        Ok(match self.store.write(CancelTimer::new(timer_id)).await? {
            true => format!("Reminder {timer_id} is forgotten."),
            false => "I have just reminded you of it.".to_owned(),
        })
    }

    /// The user's timers among the newest of everybody's. A bot of many users keeps their ids in a table.
    async fn pending(&self) -> Result<Vec<PendingTimer>> {
        let newest = Timers::new().name(Remind::NAME);
        let newest = newest.page(PageRequest::first(200));
        let mut pending = self.store.read(newest).await?.items;
        pending.retain(|it| {
            let message = it.message.as_ref();
            message.is_some_and(|message| message["user_id"] == self.user_id)
        });
        Ok(pending)
    }
}

/// Says what is in the outbox, for as long as the program runs.
pub(crate) async fn deliver(store: Store, user_id: i64, say: impl Fn(&str)) {
    let mut events = store.events();
    loop {
        if let Err(error) = empty_outbox(&store, user_id, &say).await {
            eprintln!("bot: reminders wait: {error}");
        }
        // The event is a hint. After a while the table is looked at without one.
        let fired =
            async { while !matches!(events.recv().await, Ok(StoreEvent::TimersFired { .. })) {} };
        let _ = tokio::time::timeout(Duration::from_secs(30), fired).await;
    }
}

async fn empty_outbox(store: &Store, user_id: i64, say: impl Fn(&str)) -> Result<()> {
    let read = move |tx: &ReadTx| {
        let sql = "SELECT id, body FROM outbox WHERE user_id = ?1 ORDER BY id LIMIT 100";
        tx.all(sql, [user_id], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))
        })
    };
    loop {
        let texts = store.ask("read the outbox", read).await?;
        if texts.is_empty() {
            return Ok(());
        }
        for (id, body) in texts {
            say(&format!("Reminder: {body}"));
            // A bot that is killed before this says it once more.
            let said = store.transact("delete what is said", move |tx| {
                tx.execute("DELETE FROM outbox WHERE id = ?1", [id])
            });
            said.await?;
        }
    }
}

/// Of "90s", "10m" or "2h".
fn duration(text: &str) -> Option<Duration> {
    let unit = match text.chars().last()? {
        's' => 1,
        'm' => 60,
        'h' => 60 * 60,
        _ => return None,
    };
    let number: u32 = text[..text.len() - 1].parse().ok()?;
    Some(Duration::from_secs(u64::from(number) * unit))
}
