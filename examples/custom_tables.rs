//! Tables and operations of your own, in the same file as the store's and with the same promises.
//!
//! A bot that reminds its users: a [`Schema`] with two steps, changes, questions, and a schedule
//! that fires what is due. It shows tables; reminders alone take less, since the store keeps timers:
//! `examples/bot/reminders.rs`. Runs by itself for about three seconds, in a temporary folder.
//!
//! ```text
//! cargo run --example custom_tables
//! ```

use botstore::audit::UserAuditLog;
use botstore::chrono::{DateTime, TimeDelta, Utc};
use botstore::prelude::*;
use botstore::schema::{self, Migration, Schema};
use botstore::serde_json::json;
use botstore::time::Timestamp;
use clap::Parser;
use std::path::Path;
use std::time::Duration;

/// Keeps reminders in a bot's file, in tables of their own, and fires one. Takes three seconds.
#[derive(Parser)]
struct Args {}

/// The tables. The name and the released steps stay as they are for ever; what comes later is
/// another step.
struct Reminders;

impl Schema for Reminders {
    const NAME: &'static str = "reminders";

    const MIGRATIONS: &'static [Migration] = &[
        Migration::new(
            1,
            "reminders",
            "CREATE TABLE reminders (
                 reminder_id INTEGER PRIMARY KEY,
                 user_id     INTEGER NOT NULL,
                 body        TEXT    NOT NULL,
                 due_at      TEXT    NOT NULL,
                 fired_at    TEXT
             );",
            "DROP TABLE reminders;",
        ),
        // Step 1 forgot to say that the user must be there. SQLite adds that to a table by making
        // the table anew, hence `rebuilding`: no foreign key is checked meanwhile, all are after.
        // The SQL is one transaction already, so no BEGIN and no COMMIT.
        Migration::new(
            2,
            "reminders_of_known_users",
            "CREATE TABLE new_reminders (
                 reminder_id INTEGER PRIMARY KEY,
                 user_id     INTEGER NOT NULL REFERENCES users(user_id),
                 body        TEXT    NOT NULL,
                 due_at      TEXT    NOT NULL,
                 fired_at    TEXT
             );
             INSERT INTO new_reminders SELECT reminder_id, user_id, body, due_at, fired_at
             FROM reminders;
             DROP TABLE reminders;
             ALTER TABLE new_reminders RENAME TO reminders;
             CREATE INDEX reminders_waiting ON reminders(due_at) WHERE fired_at IS NULL;",
            "CREATE TABLE old_reminders (
                 reminder_id INTEGER PRIMARY KEY,
                 user_id     INTEGER NOT NULL,
                 body        TEXT    NOT NULL,
                 due_at      TEXT    NOT NULL,
                 fired_at    TEXT
             );
             INSERT INTO old_reminders SELECT reminder_id, user_id, body, due_at, fired_at
             FROM reminders;
             DROP TABLE reminders;
             ALTER TABLE old_reminders RENAME TO reminders;",
        )
        .rebuilding(),
    ];
}

/// Adds a reminder; gives its id.
struct Remind {
    user_id: i64,
    body: String,
    after: TimeDelta,
}

impl Mutation for Remind {
    type Output = i64;

    fn apply(&self, tx: &WriteTx) -> Result<Self::Output> {
        // An error undoes this operation and no other.
        if self.body.is_empty() {
            return Err(Error::invalid("body", "must not be empty"));
        }
        // `tx.now()` is the store's clock, which tests set. `Timestamp` spells a time as the
        // store's own tables do, so that texts compare as times.
        let due_at = Timestamp(tx.now() + self.after);
        tx.insert(
            "INSERT INTO reminders (user_id, body, due_at) VALUES (?1, ?2, ?3)",
            (self.user_id, &self.body, due_at),
        )
    }
}

/// Marks what is due as fired, each with a row in the store's audit log: both, or neither. A function of
/// the transaction is enough of an operation where one place runs it: here, a schedule.
///
/// It only marks. It may run more than once before its commit, so it must not send anything; the bot
/// asks for [`Fired`] and sends.
fn fire_due(tx: &WriteTx) -> Result<usize> {
    let due = tx.all(
        "SELECT reminder_id, user_id FROM reminders
         WHERE fired_at IS NULL AND due_at <= ?1 ORDER BY due_at, reminder_id LIMIT 100",
        [tx.now_text()],
        |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)),
    )?;
    for &(reminder_id, user_id) in &due {
        tx.execute(
            "UPDATE reminders SET fired_at = ?2 WHERE reminder_id = ?1",
            (reminder_id, tx.now_text()),
        )?;
        // One of the crate's own operations, inside this transaction.
        tx.apply(
            &LogEvent::new(user_id, "reminder_fired")
                .event_data(json!({ "reminder_id": reminder_id })),
        )?;
    }
    Ok(due.len())
}

/// The reminders of a user that have fired, addressed by name.
struct Fired {
    user_id: i64,
}

impl Query for Fired {
    type Output = Vec<String>;

    fn fetch(&self, tx: &ReadTx) -> Result<Self::Output> {
        // One of the crate's own questions, on the same snapshot.
        let user = tx.query(&GetUser::new(self.user_id))?;
        let name = user.and_then(|user| user.username).unwrap_or_default();
        tx.all(
            "SELECT body, fired_at FROM reminders
             WHERE user_id = ?1 AND fired_at IS NOT NULL ORDER BY fired_at, reminder_id LIMIT 100",
            [self.user_id],
            |row| {
                let body: String = row.get(0)?;
                let Timestamp(at) = row.get(1)?;
                Ok(format!("{}: {name}, {body}", clock_time(at)))
            },
        )
    }
}

fn clock_time(time: DateTime<Utc>) -> String {
    time.format("%H:%M:%S").to_string()
}

#[tokio::main]
async fn main() -> Result<()> {
    Args::parse();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("bot.db");
    // Ctrl-C ends this function and not the process, so that the folder is removed.
    tokio::select! {
        biased; // It listens before there is a file.
        _ = tokio::signal::ctrl_c() => Ok(()),
        done = run(&path) => done,
    }
}

async fn run(path: &Path) -> Result<()> {
    const SECOND: Duration = Duration::from_secs(1);

    // The store's tables come first, so that ours can refer to them. The schedule's last run is
    // kept in the file: a bot that restarts neither forgets a run nor repeats one.
    let config = Config::new(path).schema::<Reminders>().transact_every(
        "fire what is due",
        SECOND,
        fire_due,
    );

    // A dry run, for a deployment to print: nothing is changed, no file is created.
    println!("Opening would apply:");
    for step in schema::plan(config.clone())?.steps {
        println!("  {} {:04} {}", step.schema, step.step, step.name);
    }

    let store = Store::open(config).await?;
    let user_id = 42;
    store.write(EnsureUser::new(user_id, Some("ada"))).await?;
    for (body, seconds) in [("drink some water", 1), ("call your mother", 3600)] {
        let (body, after) = (body.to_owned(), TimeDelta::seconds(seconds));
        let remind = Remind {
            user_id,
            body,
            after,
        };
        println!("Reminder {} is kept.", store.write(remind).await?);
    }

    // The foreign key of step 2: nobody is reminded who is not there.
    let stranger = Remind {
        user_id: 7,
        body: "wake up".to_owned(),
        after: TimeDelta::zero(),
    };
    if let Err(error) = store.write(stranger).await {
        println!("Refused: {error}");
    }

    println!("At {} we wait …", clock_time(store.now()));
    let fired = loop {
        let fired = store.read(Fired { user_id }).await?;
        if !fired.is_empty() {
            break fired;
        }
        tokio::time::sleep(SECOND / 10).await;
    };
    for text in fired {
        println!("{text}");
    }
    // What is asked at one place only needs no type.
    let waiting: i64 = store
        .ask("count what waits", |tx| {
            let sql = "SELECT count(*) FROM reminders WHERE fired_at IS NULL";
            tx.one(sql, [], |row| Ok(row.get(0)?))
        })
        .await?;
    println!("{waiting} more to come.");
    let audit = store.read(UserAuditLog::new(user_id).page(PageRequest::first(10)));
    for event in audit.await?.items {
        let data = event.event_data.unwrap_or_default();
        println!("On record: {} {data}", event.event_type);
    }
    store.close().await?;

    // What the newest step did can be taken back, with a verified copy of the file made first. The SQL
    // is this program's own, not what the file's ledger says.
    let config = Config::new(path).schema::<Reminders>();
    let back = schema::rollback(config, Reminders::NAME, 1)?;
    println!("Taken back: {back}");
    Ok(())
}
