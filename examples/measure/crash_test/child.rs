//! The process that is killed: a store under load, which tells what it does.

use crate::lines::{Line, Phase};
use crate::plan::Plan;
use crate::script;
use botstore::backup::TakeBackup;
use botstore::{ErrorKind, Result, Store};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use tokio::task::JoinSet;

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Orders {
    #[arg(long)]
    pub(crate) db: PathBuf,
    #[arg(long)]
    pub(crate) seed: u64,
    #[arg(long)]
    pub(crate) round: u32,
    /// The number of the first request.
    #[arg(long)]
    pub(crate) first: u64,
    #[arg(long)]
    pub(crate) callers: u32,
}

pub(crate) fn live(orders: &Orders) -> ExitCode {
    // The other end of standard input closes with the parent.
    std::thread::spawn(|| {
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        std::process::exit(1);
    });
    let lived = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime.block_on(work(orders)).map_err(|e| e.to_string()),
        Err(error) => Err(error.to_string()),
    };
    match lived {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            Line::Failed(why).say();
            ExitCode::FAILURE
        }
    }
}

async fn work(orders: &Orders) -> Result<()> {
    let plan = Plan::new(orders.seed, orders.round);
    Line::Opening.say();
    let store = Store::open(plan.config(&orders.db)).await?;
    Line::Open.say();
    let mut first = orders.first;
    while first < script::SIGN_UP {
        send(&store, orders.seed, first).await;
        first += 1;
    }
    let next = Arc::new(AtomicU64::new(first));
    let mut callers = JoinSet::new();
    for _ in 0..orders.callers {
        let (store, next, seed) = (store.clone(), Arc::clone(&next), orders.seed);
        callers.spawn(async move {
            while send(&store, seed, next.fetch_add(1, Relaxed)).await == Answer::Came {}
        });
    }
    match plan.aim {
        Phase::Opening | Phase::Load => {}
        Phase::Backup => {
            tokio::time::sleep(plan.begin_after).await;
            loop {
                Line::BackingUp.say();
                let backup = store.back_up(TakeBackup::default().pace(plan.pace)).await?;
                Line::BackedUp(backup.manifest.name).say();
            }
        }
        Phase::Closing | Phase::Closed => {
            tokio::time::sleep(plan.begin_after).await;
            Line::Closing.say();
            store.close().await?;
            Line::Closed.say();
        }
    }
    callers.join_all().await;
    Ok(())
}

#[derive(PartialEq)]
enum Answer {
    Came,
    StoreIsClosed,
}

async fn send(store: &Store, seed: u64, number: u64) -> Answer {
    let request = script::request(seed, number);
    Line::Sent(number).say();
    match request.send(store).await {
        Ok(id) => Line::Acknowledged(number, id).say(),
        Err(error) if error.kind() == ErrorKind::Closed => {
            Line::Refused(number).say();
            return Answer::StoreIsClosed;
        }
        Err(error) => Line::Failed(format!("request {number}: {error}")).say(),
    }
    Answer::Came
}
