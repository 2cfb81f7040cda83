//! Restarts an actor when it panics: the same actor, with the same mailbox, so that an address or a recipient
//! stays valid.
//!
//! An actor runs as one future. [`supervise`] catches a panic anywhere in it (a handler, a log line in a host's
//! subscriber, a timer), has the actor repair itself ([`Supervised::restarting`]: it answers its callers and drops
//! its connection), and continues the future. actix's own supervisor was turned down: it catches no panic, which
//! ends the actor's task and drops its mailbox.
//!
//! No host's code runs here, so that a restart cannot panic. The supervisor actor reports restarts on its next
//! look. It is an actor like the others, and is restarted by the same means, on the store's own thread. A task on
//! that thread (`start`) reports that an actor was given up, since that may be the supervisor.
//!
//! An actor that panics again and again is given up, and the store with it: requests get
//! [`Unavailable`](ErrorKind::Unavailable) until the store is opened again. This follows the restart intensity of
//! Erlang's supervisors: <https://www.erlang.org/doc/system/sup_princ.html#maximum-restart-intensity>.

use crate::error::{Error, ErrorKind};
use crate::events::Role;
use crate::health::ActorHealth;
use crate::panics::{caught, quietly};
use actix::dev::ContextFut;
use actix::dev::channel::channel;
use actix::{Actor, Addr, ArbiterHandle, Context, Supervised};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio::sync::SetOnce;

/// The actors of a store, and how many times each was restarted.
pub(crate) struct Supervision {
    most_restarts: u32,
    within: Duration,
    actors: Mutex<Vec<Arc<Supervisee>>>,
    /// The first actor that was given up: with it the store has ended.
    pub(super) given_up: SetOnce<Role>,
}

/// One actor, as its supervisor knows it.
pub(super) struct Supervisee {
    role: Role,
    restarts: AtomicU64,
    recent: Mutex<VecDeque<Instant>>,
    pub(super) ended: SetOnce<()>,
}

impl Supervision {
    /// An actor is given up at its panic number `most_restarts` within this time.
    pub(super) fn new(most_restarts: u32, within: Duration) -> Self {
        Self {
            most_restarts,
            within,
            actors: Mutex::default(),
            given_up: SetOnce::new(),
        }
    }

    pub(super) fn add(&self, role: Role) -> Arc<Supervisee> {
        let actor = Arc::new(Supervisee {
            role,
            restarts: AtomicU64::new(0),
            recent: Mutex::default(),
            ended: SetOnce::new(),
        });
        self.actors.lock().push(Arc::clone(&actor));
        actor
    }

    /// Counts a panic; returns whether the actor is to be restarted.
    pub(super) fn restarts(&self, actor: &Supervisee) -> bool {
        actor.restarts.fetch_add(1, Relaxed);
        let now = Instant::now();
        let mut recent = actor.recent.lock();
        recent.push_back(now);
        while recent.front().is_some_and(|&then| now - then > self.within) {
            recent.pop_front();
        }
        if recent.len() < self.most_restarts as usize {
            return true;
        }
        let _ = self.given_up.set(actor.role);
        false
    }

    /// # Errors
    /// [`Unavailable`](ErrorKind::Unavailable) when an actor was given up.
    pub(super) fn check(&self) -> Result<(), Error> {
        let Some(role) = self.given_up.get() else {
            return Ok(());
        };
        let why = format!(
            "the {role} has panicked {} times within {:?} and is not restarted; the panic hook's \
             output has the panic's message. Close the store and open it again",
            self.most_restarts, self.within
        );
        Err(Error::new(ErrorKind::Unavailable, why))
    }

    pub(crate) fn health(&self) -> Vec<ActorHealth> {
        let actors = self.actors.lock();
        let health = actors.iter().map(|actor| ActorHealth {
            role: actor.role,
            running: !actor.ended.initialized(),
            restarts: actor.restarts.load(Relaxed),
        });
        health.collect()
    }

    /// Whether every actor runs.
    pub(super) fn all_run(&self) -> bool {
        let actors = self.actors.lock();
        !self.given_up.initialized() && actors.iter().all(|actor| !actor.ended.initialized())
    }
}

/// The place of an actor that is to be started.
pub(super) struct Post {
    pub(super) arbiter: ArbiterHandle,
    pub(super) supervision: Arc<Supervision>,
    pub(super) actor: Arc<Supervisee>,
}

impl Post {
    /// Starts the actor.
    pub(super) fn start<A>(self, actor: A) -> Addr<A>
    where
        A: Supervised + Actor<Context = Context<A>> + Send,
    {
        // A mailbox's own bound does not make senders wait. The in-flight limit does.
        let (sender, receiver) = channel(0);
        self.arbiter.spawn_fn(move || {
            let future = Context::with_receiver(receiver).into_future(actor);
            actix::spawn(supervise(AtWork(self.actor), future, self.supervision));
        });
        Addr::new(sender)
    }
}

/// Records an actor's end when it is dropped, also if the store's System ends first.
struct AtWork(Arc<Supervisee>);

impl Drop for AtWork {
    fn drop(&mut self) {
        let _ = self.0.ended.set(());
    }
}

/// Runs an actor to its end, and restarts it when it panics.
async fn supervise<A>(
    actor: AtWork,
    mut future: ContextFut<A, Context<A>>,
    supervision: Arc<Supervision>,
) where
    A: Supervised + Actor<Context = Context<A>>,
{
    std::future::poll_fn(|cx| {
        let mut polled = caught(|| Pin::new(&mut future).poll(cx));
        loop {
            if let Some(polled) = polled {
                return polled;
            }
            let again = supervision.restarts(&actor.0);
            // Also for one that is given up: it answers its callers.
            let restarted = caught(|| future.restart());
            polled = match (again, restarted) {
                (true, Some(true)) => caught(|| Pin::new(&mut future).poll(cx)),
                // It panicked while it repaired itself.
                (true, None) => None,
                _ => Some(Poll::Ready(())),
            };
        }
    })
    .await;
    quietly(|| drop(future));
}
