//! The bot: conversations of its users, and the requests that come of them.

use crate::{Args, Failure, script};
use botstore::analytics::{AdminDashboard, DailyActivity, UserDashboard};
use botstore::interactions::{Receipt, SaveInteraction};
use botstore::messages::SessionMessages;
use botstore::page::PageRequest;
use botstore::sessions::{CreateSession, GetSession, SessionFilter, UserSessions};
use botstore::users::{EnsureUser, GetUser};
use botstore::{Error, ErrorKind, Result, Store};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Messages after which a user begins a new session.
const CHAT: u32 = 20;

/// One interaction in this many is sent twice.
const ONE_IN: u64 = 100;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    Write,
    Read,
    Dashboard,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Write, Self::Read, Self::Dashboard];

    /// Of twenty requests eight write and two show dashboards. At random: if each kind came at equal
    /// distances, it would meet what the store does each second in one minute and miss it in another.
    fn any(dice: &mut fastrand::Rng) -> Self {
        match dice.u8(..20) {
            0..8 => Self::Write,
            8..10 => Self::Dashboard,
            _ => Self::Read,
        }
    }
}

/// A request that was answered.
pub(crate) struct Done {
    pub(crate) kind: Kind,
    pub(crate) took: Duration,
    pub(crate) answer: Result<Answer>,
}

/// What came of it.
pub(crate) enum Answer {
    /// The interaction of this number, of this user, is saved; in a new session of the user if there
    /// is one.
    Saved {
        number: u64,
        user: u32,
        opened: bool,
    },
    Read,
}

/// A user's session at the moment.
struct Conversation {
    /// How many sessions the user had before.
    generation: u32,
    messages: u32,
    last_used: Instant,
    /// Whether the next one is being created.
    opening: bool,
}

pub(crate) struct Bot {
    store: Store,
    args: Args,
    idle: Duration,
    conversations: Vec<Conversation>,
    dice: fastrand::Rng,
    /// Interactions sent so far.
    pub(crate) sent: u64,
    /// Sessions begun, those of the beginning included.
    pub(crate) sessions: u64,
}

fn session_id(user: u32, generation: u32) -> String {
    format!("{}-{generation}", script::session_id(user))
}

fn creation(user: u32, generation: u32) -> CreateSession {
    CreateSession::new(
        script::user_id(user),
        session_id(user, generation),
        format!("/srv/project-{}", user % 50),
    )
}

impl Bot {
    /// Creates the users, each with a session.
    pub(crate) async fn sign_up(
        store: &Store,
        args: &Args,
        idle: Duration,
    ) -> Result<Self, Failure> {
        let mut tasks = JoinSet::new();
        for user in 0..args.users {
            let store = store.clone();
            tasks.spawn(async move {
                let name = format!("user_{user}");
                let user_id = script::user_id(user);
                store.write(EnsureUser::new(user_id, name.as_str())).await?;
                store.write(creation(user, 0)).await
            });
        }
        while let Some(done) = tasks.join_next().await {
            done??;
        }
        let conversations = (0..args.users).map(|_| Conversation {
            generation: 0,
            messages: 0,
            last_used: Instant::now(),
            opening: false,
        });
        let conversations = conversations.collect();
        Ok(Self {
            store: store.clone(),
            args: args.clone(),
            idle,
            conversations,
            dice: fastrand::Rng::with_seed(args.seed),
            sent: 0,
            sessions: u64::from(args.users),
        })
    }

    /// Sends the request of an arrival.
    pub(crate) fn send(&mut self, due: Instant, tasks: &mut JoinSet<Done>) {
        match Kind::any(&mut self.dice) {
            Kind::Write => self.save(due, tasks),
            Kind::Read => self.read(due, tasks),
            Kind::Dashboard => self.show(due, tasks),
        }
    }

    /// Takes notice of an interaction that was saved.
    pub(crate) fn note(&mut self, user: u32, opened: bool) {
        let conversation = &mut self.conversations[user as usize];
        if opened {
            conversation.generation += 1;
            conversation.messages = 0;
            conversation.opening = false;
            self.sessions += 1;
        }
        conversation.messages += 1;
    }

    /// Sends the next interaction as one from before the run.
    pub(crate) fn save_early(&mut self, tasks: &mut JoinSet<Done>) {
        let delivery = self.next();
        let due = Instant::now();
        tasks.spawn(async move {
            let saved = delivery.deliver().await.map(|_| due.elapsed());
            delivery.done(saved)
        });
    }

    /// Everybody begins a new session.
    pub(crate) fn part(&mut self) {
        for conversation in &mut self.conversations {
            conversation.messages = CHAT;
        }
    }

    fn save(&mut self, due: Instant, tasks: &mut JoinSet<Done>) {
        let delivery = self.next();
        tasks.spawn(async move {
            let save = async {
                let receipt = delivery.deliver().await?;
                let took = due.elapsed();
                if delivery.number % ONE_IN == 1
                    && delivery.again().await? != receipt.clone().repeated()
                {
                    let number = delivery.number;
                    let why = format!("interaction {number}, redelivered, was saved again");
                    return Err(Error::new(ErrorKind::Conflict, why));
                }
                Ok(took)
            };
            let saved = save.await;
            delivery.done(saved)
        });
    }

    /// The next interaction.
    fn next(&mut self) -> Delivery {
        let number = self.sent;
        self.sent += 1;
        let user = script::user_of(self.args.seed, number, self.args.users);
        let conversation = &mut self.conversations[user as usize];
        let paused = conversation.last_used.elapsed() > self.idle;
        let opens = !conversation.opening && (paused || conversation.messages >= CHAT);
        conversation.opening |= opens;
        conversation.last_used = Instant::now();
        let generation = conversation.generation + u32::from(opens);
        Delivery {
            store: self.store.clone(),
            number,
            user,
            opens: opens.then(|| creation(user, generation)),
            interaction: {
                let mut new = script::interaction(self.args.seed, number, self.args.users);
                new.session_id = session_id(user, generation).into();
                new
            },
        }
    }

    fn read(&mut self, due: Instant, tasks: &mut JoinSet<Done>) {
        let user = self.dice.u32(..self.args.users);
        let user_id = script::user_id(user);
        let session_id = session_id(user, self.conversations[user as usize].generation);
        let (what, store) = (self.dice.u8(..4), self.store.clone());
        tasks.spawn(async move {
            let page = PageRequest::first(10);
            let found = match what {
                0 => store.read(GetUser::new(user_id)).await.map(|u| u.is_some()),
                1 => {
                    let session = GetSession::new(user_id, session_id);
                    store.read(session).await.map(|s| s.is_some())
                }
                2 => {
                    let messages = SessionMessages::new(user_id, session_id).page(page);
                    store.read(messages).await.map(|_| true)
                }
                _ => {
                    let sessions = UserSessions::new(user_id)
                        .which(SessionFilter::All)
                        .page(page);
                    store.read(sessions).await.map(|s| !s.items.is_empty())
                }
            };
            done(Kind::Read, due, found)
        });
    }

    fn show(&mut self, due: Instant, tasks: &mut JoinSet<Done>) {
        let user_id = script::user_id(self.dice.u32(..self.args.users));
        let (what, store) = (self.dice.u8(..10), self.store.clone());
        tasks.spawn(async move {
            let found = match what {
                0 => store.read(AdminDashboard::default()).await.map(|_| true),
                1 => {
                    let activity = DailyActivity::new(30);
                    store.read(activity).await.map(|_| true)
                }
                _ => {
                    let dashboard = UserDashboard::new(user_id);
                    store.read(dashboard).await.map(|d| d.is_some())
                }
            };
            done(Kind::Dashboard, due, found)
        });
    }
}

/// An interaction on its way.
struct Delivery {
    store: Store,
    number: u64,
    user: u32,
    /// The session that it begins, if it begins one.
    opens: Option<CreateSession>,
    interaction: SaveInteraction,
}

impl Delivery {
    async fn deliver(&self) -> Result<Receipt> {
        if let Some(creation) = &self.opens {
            self.store.write(creation.clone()).await?;
        }
        self.again().await
    }

    async fn again(&self) -> Result<Receipt> {
        self.store.write(self.interaction.clone()).await
    }

    fn done(&self, saved: Result<Duration>) -> Done {
        Done {
            kind: Kind::Write,
            took: *saved.as_ref().unwrap_or(&Duration::ZERO),
            answer: saved.map(|_| Answer::Saved {
                number: self.number,
                user: self.user,
                opened: self.opens.is_some(),
            }),
        }
    }
}

fn done(kind: Kind, due: Instant, found: Result<bool>) -> Done {
    let answer = match found {
        Ok(true) => Ok(Answer::Read),
        Ok(false) => Err(Error::not_found("user_id", "what a read asked for")),
        Err(error) => Err(error),
    };
    Done {
        kind,
        took: due.elapsed(),
        answer,
    }
}
