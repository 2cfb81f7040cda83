//! Starts an actor again when it panics: the same actor, with the same mailbox, so that an address or a
//! recipient outlives it.
//!
//! An actor runs as one future. A panic in it, wherever (a handler, a log line in a host's subscriber, a
//! timer), ends in [`Supervised::poll`], which has the actor put itself right
//! ([`actix::Supervised::restarting`]: it answers who waits for it, and drops its connection) and runs
//! it on. actix's own supervisor was turned down: it catches no panic, which ends the actor's task and
//! drops its mailbox.
//!
//! Nothing of a host's runs here, so that to start an actor again cannot panic. The supervisor actor tells
//! of it on its next look. It is an actor like the others, and is started again by the same means, on the
//! store's own thread. That one is given up is told by a task on that thread (`start`), since it may be the
//! supervisor.
//!
//! An actor that panics again and again is given up, and the store with it: requests get
//! [`Unavailable`](ErrorKind::Unavailable) until it is opened again. This follows the restart intensity of
//! Erlang's supervisors: <https://www.erlang.org/doc/system/sup_princ.html#maximum-restart-intensity>.

use crate::error::{Error, ErrorKind};
use crate::events::Role;
use crate::health::ActorHealth;
use crate::panics::caught;
use actix::dev::ContextFut;
use actix::dev::channel::channel;
use actix::{Actor, Addr, ArbiterHandle, Context};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::task::{self, Poll};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, watch};

/// Who works for a store, and how often each was started again.
pub(crate) struct Supervision {
    most_restarts: u32,
    within: Duration,
    actors: Mutex<Vec<Arc<Supervisee>>>,
    given_up: OnceLock<Role>,
    /// Told when one is.
    gives_up: Notify,
}

/// One actor, as its supervisor knows it.
pub(super) struct Supervisee {
    role: Role,
    restarts: AtomicU64,
    recent: Mutex<VecDeque<Instant>>,
    ended: watch::Sender<bool>,
}

impl Supervision {
    /// An actor is given up with its restart number `most_restarts` within this time.
    pub(super) fn new(most_restarts: u32, within: Duration) -> Self {
        Self {
            most_restarts,
            within,
            actors: Mutex::default(),
            given_up: OnceLock::new(),
            gives_up: Notify::new(),
        }
    }

    pub(super) fn add(&self, role: Role) -> Arc<Supervisee> {
        let actor = Arc::new(Supervisee {
            role,
            restarts: AtomicU64::new(0),
            recent: Mutex::default(),
            ended: watch::Sender::new(false),
        });
        self.actors.lock().push(Arc::clone(&actor));
        actor
    }

    /// Counts a panic; whether the actor is to be started again.
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
        // The first one only: with it the store has ended.
        if self.given_up.set(actor.role).is_ok() {
            self.gives_up.notify_one();
        }
        false
    }

    /// Which actor was given up.
    pub(super) fn given_up(&self) -> Option<Role> {
        self.given_up.get().copied()
    }

    /// Waits until an actor is given up; gives which. For one who waits.
    pub(super) async fn gives_up(&self) -> Role {
        loop {
            self.gives_up.notified().await;
            if let Some(role) = self.given_up() {
                return role;
            }
        }
    }

    /// # Errors
    /// [`Unavailable`](ErrorKind::Unavailable) when an actor was given up.
    pub(super) fn check(&self) -> Result<(), Error> {
        let Some(role) = self.given_up() else {
            return Ok(());
        };
        let why = format!(
            "the {role} has panicked {} times within {:?} and is not started again; the panic's message is \
             where the panic hook writes. Close the store and open it again",
            self.most_restarts, self.within
        );
        Err(Error::new(ErrorKind::Unavailable, why))
    }

    pub(crate) fn health(&self) -> Vec<ActorHealth> {
        let actors = self.actors.lock();
        let health = actors.iter().map(|actor| ActorHealth {
            role: actor.role,
            running: actor.is_running(),
            restarts: actor.restarts.load(Relaxed),
        });
        health.collect()
    }

    /// Whether every actor is at work.
    pub(super) fn all_run(&self) -> bool {
        let actors = self.actors.lock();
        self.given_up().is_none() && actors.iter().all(|actor| actor.is_running())
    }
}

impl Supervisee {
    pub(super) fn end(&self) {
        self.ended.send_replace(true);
    }

    pub(super) fn is_running(&self) -> bool {
        !*self.ended.borrow()
    }

    /// Waits until the actor has ended.
    pub(super) async fn ended(&self) {
        // The sender is this one's own.
        let _ = self.ended.subscribe().wait_for(|ended| *ended).await;
    }
}

/// Starts an actor on the arbiter's thread.
pub(super) fn start_on<A, F>(
    arbiter: &ArbiterHandle,
    supervision: &Arc<Supervision>,
    actor: &Arc<Supervisee>,
    make: F,
) -> Addr<A>
where
    A: actix::Supervised + Actor<Context = Context<A>>,
    F: FnOnce() -> A + Send + 'static,
{
    // A mailbox's own bound does not make senders wait. The in-flight limit does.
    let (sender, receiver) = channel(0);
    let supervision = Arc::clone(supervision);
    let supervisee = Arc::clone(actor);
    arbiter.spawn_fn(move || {
        let future = Context::with_receiver(receiver).into_future(make());
        actix::spawn(Supervised {
            future: Some(Box::pin(future)),
            supervision,
            supervisee,
        });
    });
    Addr::new(sender)
}

type ActorFuture<A> = Pin<Box<ContextFut<A, Context<A>>>>;

/// An actor at work.
struct Supervised<A>
where
    A: actix::Supervised + Actor<Context = Context<A>>,
{
    /// `None` when the actor has ended.
    future: Option<ActorFuture<A>>,
    supervision: Arc<Supervision>,
    supervisee: Arc<Supervisee>,
}

impl<A> Future for Supervised<A>
where
    A: actix::Supervised + Actor<Context = Context<A>>,
{
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let Some(future) = &mut this.future else {
            return Poll::Ready(());
        };
        let mut polled = caught(|| future.as_mut().poll(cx));
        while polled.is_none() {
            let again = this.supervision.restarts(&this.supervisee);
            // Also of one that is given up: it answers who waits for it.
            let restarted = caught(|| future.restart());
            polled = match (again, restarted) {
                (true, Some(true)) => caught(|| future.as_mut().poll(cx)),
                // It has panicked while it put itself right.
                (true, None) => None,
                _ => Some(Poll::Ready(())),
            };
        }
        if polled == Some(Poll::Pending) {
            return Poll::Pending;
        }
        let future = this.future.take();
        let _ = caught(|| drop(future));
        this.supervisee.end();
        Poll::Ready(())
    }
}

/// When the store's System ends first, the actor has ended too.
impl<A> Drop for Supervised<A>
where
    A: actix::Supervised + Actor<Context = Context<A>>,
{
    fn drop(&mut self) {
        self.supervisee.end();
    }
}
