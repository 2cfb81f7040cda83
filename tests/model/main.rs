//! Random histories against a plain model in memory: every counter, every list, every refusal.

mod compare;
mod histories;
mod steps;

use botstore::interactions::SaveInteraction;
use botstore::messages::{DeleteMessage, EditMessage};
use botstore::sessions::{CreateSession, DeleteSession, EndSession, ExpireIdle};
use botstore::testing::TestStore;
use botstore::tools::ToolCall;
use botstore::users::{DeleteUser, EnsureUser, SetAllowed};
use botstore::{ErrorKind, Usd, costs};
use std::collections::BTreeMap;
use std::time::Duration;
use steps::Step;

#[derive(Default)]
struct User {
    allowed: bool,
    messages: u64,
    sessions: u64,
    /// What was counted on each day, and how many requests: by what the clock said, in days.
    days: BTreeMap<u64, (u64, Usd)>,
}

struct Session {
    user: i64,
    active: bool,
    last_used: u64,
    messages: Vec<i64>,
}

struct Message {
    user: i64,
    session: u8,
    prompt: String,
    at: u64,
    cost: Usd,
    tools: u64,
    fails: bool,
}

/// What was saved first under a key.
struct First {
    id: i64,
    session: u8,
    prompt: String,
}

#[derive(Default)]
struct Model {
    now: u64,
    users: BTreeMap<i64, User>,
    sessions: BTreeMap<u8, Session>,
    keys: BTreeMap<(i64, u8), First>,
    /// Those that are there.
    messages: BTreeMap<i64, Message>,
    /// The last id that was given.
    last_id: i64,
}

/// When the clock began, in seconds after midnight.
const BEGAN: u64 = (15 * 60 + 30) * 60;

fn name(session: u8) -> String {
    format!("session-{session}")
}

/// The day of a moment of the model's.
fn day(at: u64) -> u64 {
    (BEGAN + at) / (24 * 3600)
}

impl User {
    fn spend(&mut self, day: u64, cost: Usd) {
        let (requests, spent) = self.days.entry(day).or_default();
        *requests += 1;
        *spent += cost;
    }
}

/// No part of a power of two, so that sums of doubles would differ.
fn dollars(cost: u16) -> Usd {
    Usd::from_nanos(i64::from(cost) * 123_457)
}

impl Model {
    /// Does the step in the model and in the store; both must agree on what comes of it.
    async fn step(&mut self, step: &Step, store: &TestStore) {
        match *step {
            Step::Ensure(user_id) => {
                self.users.entry(user_id).or_default();
                let user = store.write(EnsureUser::new(user_id, None)).await.unwrap();
                assert_eq!(user.user_id, user_id);
            }
            Step::Allow(user_id, allowed) => {
                let answer = store
                    .write(if allowed {
                        SetAllowed::allow(user_id)
                    } else {
                        SetAllowed::forbid(user_id)
                    })
                    .await;
                match self.users.get_mut(&user_id) {
                    Some(user) => {
                        answer.unwrap();
                        user.allowed = allowed;
                    }
                    None => assert_eq!(answer.unwrap_err().kind(), ErrorKind::NotFound),
                }
            }
            Step::Create(session, user_id) => {
                let create = CreateSession::new(user_id, name(session), "/");
                let answer = store.write(create).await.map(|_| ()).map_err(|e| e.kind());
                let expected = if !self.users.contains_key(&user_id) {
                    Err(ErrorKind::NotFound)
                } else if let Some(taken) = self.sessions.get(&session) {
                    // Another's is as good as none.
                    match taken.user == user_id {
                        true => Err(ErrorKind::Conflict),
                        false => Err(ErrorKind::NotFound),
                    }
                } else {
                    Ok(())
                };
                assert_eq!(answer, expected);
                if answer.is_ok() {
                    self.users.get_mut(&user_id).unwrap().sessions += 1;
                    let new = Session {
                        user: user_id,
                        active: true,
                        last_used: self.now,
                        messages: Vec::new(),
                    };
                    self.sessions.insert(session, new);
                }
            }
            Step::Save {
                session,
                user,
                cost,
                tools,
                key,
                ago,
            } => {
                self.save(store, session, user, cost, tools, (key, ago))
                    .await;
            }
            Step::Edit(id, user_id, cost, fails) => {
                let edit = EditMessage::new(user_id, i64::from(id)).cost(dollars(cost));
                let edit = edit.error(fails.then_some("failed"));
                let answer = store.write(edit).await.map(|m| m.cost);
                let found = self.messages.get_mut(&i64::from(id));
                let Some(message) = found.filter(|m| m.user == user_id) else {
                    return assert_eq!(answer.unwrap_err().kind(), ErrorKind::NotFound);
                };
                assert_eq!(answer.unwrap(), dollars(cost));
                let spent = self
                    .users
                    .get_mut(&user_id)
                    .unwrap()
                    .days
                    .get_mut(&day(message.at));
                let (_, spent) = spent.unwrap();
                *spent = *spent - message.cost + dollars(cost);
                message.cost = dollars(cost);
                message.fails = fails;
            }
            Step::DeleteMessage(id, user_id) => {
                let id = i64::from(id);
                let answer = store.write(DeleteMessage::new(user_id, id)).await;
                if self.messages.get(&id).is_none_or(|m| m.user != user_id) {
                    return assert_eq!(answer.unwrap_err().kind(), ErrorKind::NotFound);
                }
                answer.unwrap();
                self.forget(id);
            }
            Step::DeleteSession(session, user_id) => {
                let delete = DeleteSession::new(user_id, name(session));
                let answer = store.write(delete).await;
                if self
                    .sessions
                    .get(&session)
                    .is_none_or(|s| s.user != user_id)
                {
                    return assert_eq!(answer.unwrap_err().kind(), ErrorKind::NotFound);
                }
                let messages = self.sessions[&session].messages.clone();
                assert_eq!(answer.unwrap(), messages.len());
                messages.into_iter().for_each(|id| self.forget(id));
                self.sessions.remove(&session);
                self.users.get_mut(&user_id).unwrap().sessions -= 1;
            }
            Step::DeleteUser(user_id) => {
                let answer = store.write(DeleteUser::new(user_id)).await;
                if !self.users.contains_key(&user_id) {
                    return assert_eq!(answer.unwrap_err().kind(), ErrorKind::NotFound);
                }
                let all = self.messages.iter().filter(|(_, m)| m.user == user_id);
                let all: Vec<_> = all.map(|(&id, _)| id).collect();
                assert_eq!(answer.unwrap(), all.len());
                all.into_iter().for_each(|id| self.forget(id));
                self.sessions.retain(|_, session| session.user != user_id);
                self.users.remove(&user_id);
            }
            Step::End(session, user_id) => {
                let end = EndSession::new(user_id, name(session));
                let answer = store.write(end).await;
                match self
                    .sessions
                    .get_mut(&session)
                    .filter(|s| s.user == user_id)
                {
                    Some(session) => {
                        answer.unwrap();
                        session.active = false;
                    }
                    None => assert_eq!(answer.unwrap_err().kind(), ErrorKind::NotFound),
                }
            }
            Step::Wait(seconds) => {
                self.now += u64::from(seconds);
                store.clock().advance(Duration::from_secs(seconds.into()));
            }
            Step::Expire(seconds) => {
                let idle_for = Duration::from_secs(seconds.into());
                let expired = store.write(ExpireIdle::new(idle_for)).await.unwrap();
                let mut expected = 0;
                for session in self.sessions.values_mut() {
                    if session.active && self.now - session.last_used > u64::from(seconds) {
                        session.active = false;
                        expected += 1;
                    }
                }
                assert_eq!(expired, expected);
            }
            Step::AddCost(user_id, cost) => {
                let cost = dollars(cost);
                let answer = store.write(costs::AddCost::new(user_id, cost)).await;
                match self.users.get_mut(&user_id) {
                    Some(user) => {
                        answer.unwrap();
                        user.spend(day(self.now), cost);
                    }
                    None => assert_eq!(answer.unwrap_err().kind(), ErrorKind::NotFound),
                }
            }
        }
    }

    async fn save(
        &mut self,
        store: &TestStore,
        number: u8,
        user_id: i64,
        cost: u16,
        tools: u8,
        (key, ago): (Option<u8>, Option<u32>),
    ) {
        // Under a key they say one of two things.
        let prompt = match key {
            Some(key) => format!("{} under key {key}", cost % 2),
            None => format!("prompt {}", self.last_id),
        };
        let cost = dollars(cost);
        let at = self.now - ago.map_or(0, |ago| u64::from(ago).min(self.now));
        let save = {
            let mut new = SaveInteraction::new(user_id, name(number), prompt.clone())
                .cost(cost)
                .tools(vec![ToolCall::new("Read"); tools.into()]);
            new.idempotency_key = key.map(|key| format!("key-{key}"));
            new.at = ago.map(|_| store.now() - Duration::from_secs(self.now - at));
            new
        };
        let answer = store.write(save).await;
        if let Some(first) = key.and_then(|key| self.keys.get(&(user_id, key))) {
            if (first.session, &first.prompt) != (number, &prompt) {
                return assert_eq!(answer.unwrap_err().kind(), ErrorKind::Conflict);
            }
            let receipt = answer.unwrap();
            return assert_eq!(
                (receipt.message_id.get(), receipt.repeated),
                (first.id, true)
            );
        }
        let owned = self.sessions.get_mut(&number).filter(|s| s.user == user_id);
        let (Some(session), Some(user)) = (owned, self.users.get_mut(&user_id)) else {
            return assert_eq!(answer.unwrap_err().kind(), ErrorKind::NotFound);
        };
        let newest = session.messages.last().map(|id| self.messages[id].at);
        if ago.is_some() && newest > Some(at) {
            return assert_eq!(answer.unwrap_err().kind(), ErrorKind::Conflict);
        }
        self.last_id += 1;
        let id = self.last_id;
        assert_eq!(answer.unwrap().message_id, id);
        self.keys.extend(key.map(|key| {
            let first = First {
                id,
                session: number,
                prompt: prompt.clone(),
            };
            ((user_id, key), first)
        }));
        session.messages.push(id);
        match ago {
            None => {
                session.last_used = self.now;
                session.active = true;
            }
            Some(_) => session.last_used = session.last_used.max(at),
        }
        user.messages += 1;
        user.spend(day(at), cost);
        let message = Message {
            user: user_id,
            session: number,
            prompt,
            at,
            cost,
            tools: tools.into(),
            fails: false,
        };
        self.messages.insert(id, message);
    }

    /// As if the message had never been.
    fn forget(&mut self, id: i64) {
        let message = self.messages.remove(&id).unwrap();
        let session = self.sessions.get_mut(&message.session).unwrap();
        session.messages.retain(|other| *other != id);
        let user = self.users.get_mut(&message.user).unwrap();
        user.messages -= 1;
        let (requests, spent) = user.days.get_mut(&day(message.at)).unwrap();
        *requests -= 1;
        *spent -= message.cost;
        if *requests == 0 {
            user.days.remove(&day(message.at));
        }
    }
}
