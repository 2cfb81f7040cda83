//! A dashboard in the browser, served by the process that holds the store.
//!
//! ```text
//! cargo run --example dashboard
//! ```
//!
//! prints a link and shows a bot that is made up; `-- --db bot.db` shows a file of your own. A bot
//! that wants such a page does the same as `run` below, beside its own work: a store is open in one
//! process at a time, so the page is served from there.

mod link;
mod queries;
mod server;
mod simulation;
mod spending;

use botstore::UserId;
use botstore::backup::Backups;
use botstore::page::PageRequest;
use botstore::tokens::{IssuedToken, RevokeToken};
use botstore::users::AllowedUsers;
use botstore::{Config, Store};
use clap::Parser;
use link::NewLink;
use std::error::Error;
use std::future::Future;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// How long a link is good if the program does not come to revoke it, and is not started again.
const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Shows a bot's store in the browser.
#[derive(Parser)]
struct Args {
    /// The bot's file; without it, a temporary one with a bot that is made up.
    #[arg(long)]
    db: Option<PathBuf>,
    /// The port on 127.0.0.1; 0 for any that is free.
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Whether to make up a bot at work, and its last 30 days. Needs a new file.
    #[arg(long, num_args = 0..=1, default_missing_value = "true")]
    simulate: Option<bool>,
    /// The user for whom the link is; by default one who is allowed to use the bot.
    #[arg(long, allow_negative_numbers = true)]
    admin: Option<i64>,
}

#[actix::main]
async fn main() -> ExitCode {
    match run(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("dashboard: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> Result<(), Box<dyn Error>> {
    let stop = asked_to_stop()?;
    let folder = tempfile::tempdir()?;
    let simulate = args.simulate.unwrap_or(args.db.is_none());
    let db = args.db.unwrap_or_else(|| folder.path().join("bot.db"));
    let config = match (simulate, db.exists()) {
        (true, true) => {
            let why = "is there already, and a made-up bot needs a new file";
            return Err(format!("{} {why}", db.display()).into());
        }
        (true, false) => {
            println!("Making up the last 30 days …");
            simulation::write_history(&db).await?;
            Config::new(&db).backups(Backups::default().every(Duration::from_secs(60)))
        }
        (false, true) => Config::new(&db),
        (false, false) => return Err(format!("there is no {}", db.display()).into()),
    };
    let store = Store::open(config).await?;
    let admin = args.admin.or(simulate.then_some(simulation::ADMIN));
    let served = serve(&store, args.port, admin, simulate, stop).await;
    // Whatever was accepted is committed, and no -wal is left beside the file.
    store.close().await?;
    served?;
    println!("Stopped.");
    Ok(())
}

/// Serves until it is asked to stop; then ends what uses the store, the store still being open.
async fn serve(
    store: &Store,
    port: u16,
    admin: Option<i64>,
    simulate: bool,
    stop: impl Future<Output = ()>,
) -> Result<(), Box<dyn Error>> {
    let user_id = match admin {
        Some(user_id) => user_id,
        None => allowed_user(store).await?,
    };
    let (server, address) = server::bind(store.clone(), user_id, port)?;
    let link = NewLink {
        user_id,
        expires_in: A_DAY,
    };
    let IssuedToken {
        token_id, secret, ..
    } = store.write(link).await?;
    println!("Open  http://{address}/?token={}", secret.expose());
    println!("Ctrl-C stops it, and the link with it.");

    let work = simulate.then(|| actix::spawn(simulation::work(store.clone())));
    let handle = server.handle();
    let mut server = actix::spawn(server);
    tokio::select! {
        ended = &mut server => ended??,
        () = stop => {
            handle.stop(true).await;
            server.await??;
        }
    }
    if let Some(work) = work {
        work.abort();
    }
    store.write(RevokeToken::new(user_id, token_id)).await?;
    Ok(())
}

async fn allowed_user(store: &Store) -> Result<i64, Box<dyn Error>> {
    let page = PageRequest::first(1);
    let allowed = store.read(AllowedUsers::new().page(page)).await?.items;
    let first = allowed.first().map(|user| user.user_id);
    first
        .map(UserId::get)
        .ok_or_else(|| "no user of this file is allowed: name one with --admin".into())
}

/// Ends with Ctrl-C, or when the system asks the program to go. Signals count from the call on.
#[cfg(unix)]
fn asked_to_stop() -> std::io::Result<impl Future<Output = ()>> {
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
fn asked_to_stop() -> std::io::Result<impl Future<Output = ()>> {
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
    })
}
