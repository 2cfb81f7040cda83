//! The bot's requests: interactions to save and pages of messages to read, in turns.
//!
//! Only such reads: those of a user or a session are answered from what is kept on the caller's
//! side, and so never come near the bounds.

use crate::{Args, Failure, script};
use botstore::interactions::Receipt;
use botstore::messages::SessionMessages;
use botstore::page::PageRequest;
use botstore::sessions::CreateSession;
use botstore::users::{EnsureUser, SetAllowed};
use botstore::{Result, Store};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use tokio::task::JoinSet;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    Write,
    Read,
}

/// What a caller does where there is no room.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Manner {
    /// Asks to be told.
    Try,
    /// Waits.
    Wait,
}

/// The answer to come: of a write, its receipt.
pub(crate) type Answer = Pin<Box<dyn Future<Output = Result<Option<Receipt>>> + Send>>;

/// A receipt and the number of its interaction.
pub(crate) type Receipts = Vec<(u64, Receipt)>;

/// A bot with its users, which makes requests.
#[derive(Clone)]
pub(crate) struct Bot {
    pub(crate) store: Store,
    args: Args,
    /// The number of the next interaction.
    next: Arc<AtomicU64>,
}

impl Bot {
    /// Creates the users and their sessions.
    pub(crate) async fn sign_up(store: Store, args: &Args) -> Result<Self, Failure> {
        let mut tasks = JoinSet::new();
        for user in 0..args.users {
            let store = store.clone();
            tasks.spawn(async move {
                let user_id = script::user_id(user);
                store.write(EnsureUser::new(user_id, None)).await?;
                store.write(SetAllowed::allow(user_id)).await?;
                let session = CreateSession::new(user_id, script::session_id(user), "/srv");
                store.write(session).await
            });
        }
        while let Some(done) = tasks.join_next().await {
            done??;
        }
        Ok(Self {
            store,
            args: args.clone(),
            next: Arc::default(),
        })
    }

    pub(crate) fn args(&self) -> &Args {
        &self.args
    }

    /// How many numbers were given to interactions.
    pub(crate) fn numbers(&self) -> u64 {
        self.next.load(Relaxed)
    }

    /// The number of the next interaction, which is given only once.
    pub(crate) fn number(&self) -> u64 {
        self.next.fetch_add(1, Relaxed)
    }

    /// Takes the newest number back: its interaction was refused, and no trace of it may be left.
    /// For the only one who asks.
    pub(crate) fn take_back(&self) {
        self.next.fetch_sub(1, Relaxed);
    }

    /// Nothing happens until the answer is polled.
    pub(crate) fn ask(&self, kind: Kind, manner: Manner, number: u64) -> Answer {
        let store = self.store.clone();
        let Args { seed, users, .. } = self.args;
        match kind {
            Kind::Write => {
                let interaction = script::interaction(seed, number, users);
                Box::pin(async move {
                    match manner {
                        Manner::Try => store.try_write(interaction).await.map(Some),
                        Manner::Wait => store.write(interaction).await.map(Some),
                    }
                })
            }
            Kind::Read => {
                let user = script::user_of(seed, number, users);
                let page = SessionMessages::new(script::user_id(user), script::session_id(user))
                    .page(PageRequest::first(10));
                Box::pin(async move {
                    match manner {
                        Manner::Try => store.try_read(page).await.map(|_| None),
                        Manner::Wait => store.read(page).await.map(|_| None),
                    }
                })
            }
        }
    }
}
