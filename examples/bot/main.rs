//! A bot in the terminal whose memory is the store: it survives a restart, and `kill -9`.
//!
//! ```text
//! cargo run --example bot -- --db bot.db --user 1 --name ada
//! ```
//!
//! The bot is an actor that keeps nothing itself. It asks the store which conversation goes on, reserves what the
//! answer may cost (`spending.rs`), lets a "model" answer, saves the exchange, and only then says the answer. What a
//! messenger delivers twice it does once (`Bot::once`), and it reminds its user (`reminders.rs`).

mod bot;
mod commands;
mod model;
mod operations;
mod reminders;
mod spending;
mod text;

use actix::{Actor, Addr};
use bot::{Bot, Greet, Said, answer_of};
use botstore::limits::{Amount, Per, Scope, SetLimit};
use botstore::sessions::ExpireIdle;
use botstore::users::EnsureUser;
use botstore::{Config, Result, Store, Usd};
use chrono::Utc;
use clap::Parser;
use reminders::{Outbox, Remind, deliver};
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use tokio::sync::mpsc;

/// A bot in the terminal. Its memory is one SQLite file.
#[derive(Parser)]
struct Args {
    /// The file with the bot's memory; created if it is missing. Without it the bot forgets when it ends.
    #[arg(long)]
    db: Option<PathBuf>,
    /// Who talks to the bot: the id that a messenger would tell.
    #[arg(long, default_value_t = 1, allow_negative_numbers = true)]
    user: i64,
    /// The user's name.
    #[arg(long)]
    name: Option<String>,
    /// What each user may spend a day, in dollars, with a warning from four fifths on. Without it the limits of the
    /// file hold, if it has any.
    #[arg(long, value_name = "DOLLARS", value_parser = dollars)]
    dollars_a_day: Option<Usd>,
    /// A conversation ends when nothing was said for so many minutes.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    idle_minutes: u32,
}

fn dollars(text: &str) -> Result<Usd, String> {
    let dollars: f64 = text.parse().map_err(|_| "a number, such as 2.50")?;
    Usd::from_dollars(dollars).map_err(|error| error.to_string())
}

#[actix::main]
async fn main() -> ExitCode {
    match run(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bot: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> Result<()> {
    const MINUTE: Duration = Duration::from_secs(60);
    let idle_for = MINUTE * args.idle_minutes;
    let stop = asked_to_stop().expect("signals can be listened to");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let goodbye = match args.db {
        Some(_) => "Goodbye. I shall remember.",
        None => "Goodbye. I shall forget all this; with --db I would remember it.",
    };
    let db = args.db.unwrap_or_else(|| folder.path().join("bot.db"));
    let config = Config::new(&db)
        .schema::<Outbox>()
        .timer::<Remind>()
        .every(MINUTE, move || ExpireIdle::new(idle_for));
    let store = Store::open(config).await?;
    if let Some(most) = args.dollars_a_day {
        let warning = Usd::from_nanos(most.nanos() / 5 * 4);
        let limit = SetLimit::new(Scope::EachUser, Per::Day, Amount::Cost(most));
        store.write(limit.soft(Amount::Cost(warning))).await?;
    }
    // What fell idle while no bot was running.
    store.write(ExpireIdle::new(idle_for)).await?;
    let bot = Bot {
        user_id: args.user,
        saver: store.mutations().recipient(),
        store: store.clone(),
    };
    tokio::select! {
        _ = talk(bot.start(), EnsureUser::new(args.user, args.name.as_deref())) => {}
        () = deliver(store.clone(), args.user, interrupt) => {}
        () = stop => end_prompt(),
    }
    // Whatever was accepted is committed, and no -wal is left beside the file.
    store.close().await?;
    let _ = say(goodbye);
    Ok(())
}

/// Passes what the user types to the bot, and what the bot answers to the user, until one of them
/// hangs up.
async fn talk(bot: Addr<Bot>, user: EnsureUser) -> io::Result<()> {
    // A messenger has update ids; here it is the time of the start and the number of the line.
    let started = Utc::now().timestamp_micros();
    let mut lines = lines_of_stdin();
    let mut last = None;
    say(&answer_of(bot.send(Greet(user)).await))?;
    for number in 1.. {
        prompt()?;
        let Some(line) = lines.recv().await else {
            end_prompt();
            break;
        };
        let blank = |c: char| c.is_whitespace() || c.is_control();
        let text = line.trim_matches(blank).to_owned();
        let said = match (text.as_str(), &last) {
            ("", _) => continue,
            ("/quit", _) => break,
            ("/again", Some(last)) => Said::clone(last),
            _ => {
                let update_id = format!("{started}-{number}");
                Said { text, update_id }
            }
        };
        last = Some(said.clone());
        say(&answer_of(bot.send(said).await))?;
    }
    Ok(())
}

/// Reads standard input on a thread of its own: a read that waits must not hold up the actors, and
/// tokio's would hold up the end of the program until the next key.
fn lines_of_stdin() -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel(1);
    std::thread::spawn(move || {
        let mut input = io::stdin().lock();
        let mut line = Vec::new();
        while input.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
            // What is no UTF-8 becomes �, so that garbage is talked about and not fatal.
            let text = String::from_utf8_lossy(&line).into_owned();
            if sender.blocking_send(text).is_err() {
                break;
            }
            line.clear();
        }
    });
    receiver
}

/// Prints what the bot says. Control characters are left out: they may come from anywhere.
fn say(text: &str) -> io::Result<()> {
    let shown: String = text
        .chars()
        .filter(|c| *c == '\n' || !c.is_control())
        .collect();
    writeln!(io::stdout(), "bot> {}", shown.replace('\n', "\n     "))
}

fn prompt() -> io::Result<()> {
    if io::stdin().is_terminal() {
        print!("you> ");
        io::stdout().flush()?;
    }
    Ok(())
}

/// Says what was not asked for.
fn interrupt(text: &str) {
    end_prompt();
    let _ = say(text).and_then(|()| prompt());
}

/// Ends with Ctrl-C, or when the system asks the program to go. Signals count from the call on.
#[cfg(unix)]
fn asked_to_stop() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

#[cfg(not(unix))]
fn asked_to_stop() -> io::Result<impl Future<Output = ()>> {
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
    })
}

/// Leaves the line on which the user was asked.
fn end_prompt() {
    if io::stdin().is_terminal() {
        println!();
    }
}
