//! A bot that is made up: three dozen users who talk to it now, and did so for the last 30 days.

use botstore::audit::LogEvent;
use botstore::interactions::SaveInteraction;
use botstore::limits::{Amount, Per, Reserve, Scope, SetLimit};
use botstore::sessions::{CreateSession, GetSession};
use botstore::testing::FixedClock;
use botstore::testing::usd;
use botstore::tools::ToolCall;
use botstore::usage::Usage;
use botstore::users::{EnsureUser, SetAllowed};
use botstore::{Config, Durability, Mutation, Result, Store, Usd, WriteTx};
use chrono::{DateTime, Datelike, TimeDelta, Timelike, Utc};
use std::path::Path;
use std::time::Duration;

/// Whose page it is: the first of the names.
pub(crate) const ADMIN: i64 = 1;

/// A name may hold anything, as the one that looks like HTML shows.
const NAMES: [&str; 36] = [
    "ada",
    "grace",
    "alan",
    "edsger",
    "barbara",
    "donald",
    "tony",
    "margaret",
    "dennis",
    "ken",
    "radia",
    "linus",
    "guido",
    "<b>bobby</b>",
    "niklaus",
    "frances",
    "john",
    "leslie",
    "robin",
    "hedy",
    "claude",
    "katherine",
    "vint",
    "tim",
    "李華",
    "søren",
    "zoë",
    "josé",
    "anna",
    "ivan",
    "mei",
    "omar",
    "priya",
    "yuki",
    "chidi",
    "noor",
];

/// A tool, out of how many calls it is one, and how often it fails.
const TOOLS: [(&str, u32, u32); 7] = [
    ("Read", 2, 60),
    ("Edit", 3, 25),
    ("Bash", 3, 9),
    ("Grep", 4, 80),
    ("Write", 7, 40),
    ("WebSearch", 9, 12),
    ("Task", 16, 20),
];

const PROJECTS: [&str; 4] = ["/srv/api", "/srv/web", "/srv/infra", "/home/notes"];

const TALK: [(&str, &str); 6] = [
    ("Which tests fail?", "Only the one you wrote last."),
    (
        "Why is this slow?",
        "It reads the whole table; an index on user_id helps.",
    ),
    (
        "Rename this module.",
        "Done: 14 files changed, and the tests pass.",
    ),
    (
        "What does <Arc<T>> do?",
        "It shares one T among threads and counts its owners.",
    ),
    (
        "Write the release notes.",
        "Here is a draft; the second point wants a number.",
    ),
    (
        "Can we drop Python 3.8?",
        "Yes: nobody has used it for a month.",
    ),
];

/// A model, out of how many requests it answers one, and what a million tokens cost, in dollars: read, and written.
const MODELS: [(&str, u32, [i64; 2]); 3] = [
    ("parrot-deep", 9, [5, 25]),
    ("parrot-mini", 3, [1, 4]),
    ("parrot-5", 1, [3, 15]),
];

/// Some exchanges, with the users and sessions that they belong to.
struct Talk(Vec<SaveInteraction>);

impl Mutation for Talk {
    type Output = ();

    fn apply(&self, tx: &WriteTx<'_>) -> Result<()> {
        for exchange in &self.0 {
            let (user_id, session_id) = (exchange.user_id, exchange.session_id.clone());
            let name = NAMES.get(user_id.get() as usize - 1).copied();
            tx.apply(&EnsureUser::new(user_id, name))?;
            tx.apply(&SetAllowed::allow(user_id))?;
            let session = GetSession::new(user_id, session_id.clone());
            if tx.query(&session)?.is_none() {
                let project = PROJECTS[user_id.get() as usize % PROJECTS.len()];
                tx.apply(&CreateSession::new(user_id, session_id, project.to_owned()))?;
            }
            tx.apply(exchange)?;
        }
        Ok(())
    }
}

/// Writes the last 30 days into a new file: a store whose clock is set to each hour in turn.
pub(crate) async fn write_history(db: &Path) -> Result<()> {
    let now = Utc::now();
    let clock = FixedClock::at(now - TimeDelta::days(30));
    // Made up anew if the power fails.
    let config = Config::new(db).durability(Durability::Normal);
    let store = Store::open(config.clock(clock.clone())).await?;
    store.write(EnsureUser::new(ADMIN, Some(NAMES[0]))).await?;
    for hours in (1..=30 * 24).rev() {
        let hour = now - TimeDelta::hours(hours);
        clock.set(hour);
        let exchanges = (0..how_busy(hour)).map(|_| exchange(hour)).collect();
        store.write(Talk(exchanges)).await?;
    }
    set_limits(&store).await?;
    store.close().await
}

/// Limits of each kind.
async fn set_limits(store: &Store) -> Result<()> {
    let dollars = |dollars| Amount::Cost(usd(dollars));
    let each = SetLimit::new(Scope::EachUser, Per::Day, dollars(2.0)).soft(dollars(1.5));
    let deep = Scope::Model(MODELS[0].0.to_owned());
    for limit in [
        each,
        SetLimit::new(Scope::User(ADMIN.into()), Per::Day, dollars(5.0)),
        SetLimit::new(Scope::EachUser, Per::Hour, Amount::Requests(60)),
        SetLimit::new(deep, Per::Day, Amount::Tokens(500_000)),
        SetLimit::new(Scope::Everyone, Per::Week, dollars(60.0)),
        SetLimit::new(Scope::Everyone, Per::Month, dollars(250.0)),
    ] {
        store.write(limit).await?;
    }
    Ok(())
}

/// How many exchanges there were in an hour: few at night and at weekends, more every week.
fn how_busy(hour: DateTime<Utc>) -> u32 {
    let of_the_day = match hour.hour() {
        0..=5 => 1,
        6..=8 => 6,
        9..=17 => 16,
        18..=21 => 9,
        _ => 3,
    };
    let of_the_week = if hour.weekday().number_from_monday() > 5 {
        3
    } else {
        10
    };
    let age = (Utc::now() - hour).num_days() as u32;
    let most = of_the_day * of_the_week * (60 - age.min(40)) / 450;
    fastrand::u32(most / 2..=most)
}

/// Talks to the bot until it is stopped: now and then some users, at the same moment.
pub(crate) async fn work(store: Store) {
    loop {
        tokio::time::sleep(Duration::from_millis(fastrand::u64(300..2_200))).await;
        for _ in 0..=fastrand::u32(0..=1) * fastrand::u32(0..=4) {
            let store = store.clone();
            actix::spawn(async move {
                if let Err(error) = answer(&store).await {
                    eprintln!("dashboard: a made-up exchange was not saved: {error}");
                }
            });
        }
    }
}

/// Reserves what an answer may cost, waits for it, and saves it.
async fn answer(store: &Store) -> Result<()> {
    let exchange = exchange(store.now());
    let Some(usage) = &exchange.usage else {
        return Ok(());
    };
    let estimate = Usd::from_nanos(usage.cost.unwrap_or_default().nanos() * 2);
    let reserve = Reserve::new(exchange.user_id, estimate).model(usage.model.as_str());
    let decision = store.write(reserve).await?;
    let Some(reservation) = decision.reservation() else {
        let denied = LogEvent::new(exchange.user_id, "limit_reached").failed();
        return store.write(denied).await.map(drop);
    };
    tokio::time::sleep(Duration::from_millis(fastrand::u64(300..2_500))).await;
    store
        .write(Talk(vec![exchange.reservation(reservation)]))
        .await
}

/// What somebody says, and what comes of it.
fn exchange(now: DateTime<Utc>) -> SaveInteraction {
    // Some talk much more than others.
    let user_id = 1 + (fastrand::f64().powi(2) * NAMES.len() as f64) as i64;
    let (prompt, response) = TALK[fastrand::usize(..TALK.len())];
    let failed = one_in(if now.day().is_multiple_of(9) { 12 } else { 40 });
    let tools = TOOLS.iter().filter(|(_, share, _)| one_in(*share));
    {
        let mut new = SaveInteraction::new(
            user_id,
            format!("{user_id}-{}", now.iso_week().week()),
            prompt.to_owned(),
        )
        .usage(usage())
        .duration_ms(fastrand::u64(600..9_000))
        .turns(fastrand::u32(1..5))
        .tools(tools.map(|&(name, _, fails)| call(name, fails)).collect());
        new.response = (!failed).then(|| response.to_owned());
        new.error = failed.then(|| "the model did not answer in time".to_owned());
        new
    }
}

/// What a request to one of the models used.
fn usage() -> Usage {
    let asked = MODELS.iter().find(|(_, share, _)| one_in(*share));
    let (model, _, [read, written]) = asked.unwrap_or(&MODELS[2]);
    let input = fastrand::u32(500..12_000);
    let output = 40 + (fastrand::f64().powi(3) * 2_000.0) as u32;
    // A dollar for a million tokens is a thousand billionths for one.
    let cost = Usd::from_nanos(1_000 * (read * i64::from(input) + written * i64::from(output)));
    Usage::new("acme", *model)
        .input_tokens(input.into())
        .output_tokens(output.into())
        .cost(cost)
}

fn call(tool_name: &str, fails: u32) -> ToolCall {
    let call = ToolCall::new(tool_name);
    match one_in(fails) {
        true => call.failed("exit code 1"),
        false => call,
    }
}

fn one_in(number: u32) -> bool {
    fastrand::u32(..number) == 0
}
