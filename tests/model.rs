//! Random histories against a plain model in memory: every counter, every list, every refusal.

use botstore::interactions::SaveInteraction;
use botstore::messages::SessionMessages;
use botstore::page::PageRequest;
use botstore::sessions::{CreateSession, EndSession, ExpireIdle, GetSession, UserSessions};
use botstore::testing::TestStore;
use botstore::tools::ToolCall;
use botstore::users::{EnsureUser, GetUser, IsAllowed, SetAllowed};
use botstore::{ErrorKind, Usd, analytics, costs};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::time::Duration;

#[derive(Clone, Debug)]
enum Step {
    Ensure(i64),
    Allow(i64, bool),
    Create(u8, i64),
    Save {
        session: u8,
        user: i64,
        cost: u16,
        tools: u8,
        key: Option<u8>,
    },
    End(u8, i64),
    Wait(u32),
    Expire(u32),
    AddCost(i64, u16),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let user = 0_i64..4;
    let session = 0_u8..5;
    let step = prop_oneof![
        2 => user.clone().prop_map(Step::Ensure),
        1 => (user.clone(), any::<bool>()).prop_map(|(u, a)| Step::Allow(u, a)),
        2 => (session.clone(), user.clone()).prop_map(|(s, u)| Step::Create(s, u)),
        8 => (session.clone(), user.clone(), any::<u16>(), 0_u8..3, proptest::option::of(0_u8..6))
            .prop_map(|(session, user, cost, tools, key)| Step::Save { session, user, cost, tools, key }),
        1 => (session, user.clone()).prop_map(|(s, u)| Step::End(s, u)),
        2 => (0_u32..100_000).prop_map(Step::Wait),
        1 => (0_u32..100_000).prop_map(Step::Expire),
        1 => (user, any::<u16>()).prop_map(|(u, c)| Step::AddCost(u, c)),
    ];
    proptest::collection::vec(step, 1..60)
}

#[derive(Default)]
struct User {
    allowed: bool,
    messages: u64,
    sessions: u64,
    cost: Usd,
    requests: u64,
    spent: Usd,
}

struct Session {
    user: i64,
    active: bool,
    last_used: u64,
    prompts: Vec<String>,
    cost: Usd,
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
    messages: i64,
    tools: u64,
}

fn name(session: u8) -> String {
    format!("session-{session}")
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
                        prompts: Vec::new(),
                        cost: Usd::ZERO,
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
            } => {
                self.save(store, session, user, cost, tools, key).await;
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
                        user.requests += 1;
                        user.spent += cost;
                    }
                    None => assert_eq!(answer.unwrap_err().kind(), ErrorKind::NotFound),
                }
            }
        }
    }

    async fn save(
        &mut self,
        store: &TestStore,
        session: u8,
        user_id: i64,
        cost: u16,
        tools: u8,
        key: Option<u8>,
    ) {
        // Under a key they say one of two things.
        let prompt = match key {
            Some(key) => format!("{} under key {key}", cost % 2),
            None => format!("prompt {}", self.messages),
        };
        let cost = dollars(cost);
        let save = {
            let mut new = SaveInteraction::new(user_id, name(session), prompt.clone())
                .cost(cost)
                .tools(vec![ToolCall::new("Read"); tools.into()]);
            new.idempotency_key = key.map(|key| format!("key-{key}"));
            new
        };
        let answer = store.write(save).await;
        if let Some(first) = key.and_then(|key| self.keys.get(&(user_id, key))) {
            if (first.session, &first.prompt) != (session, &prompt) {
                return assert_eq!(answer.unwrap_err().kind(), ErrorKind::Conflict);
            }
            let receipt = answer.unwrap();
            return assert_eq!(
                (receipt.message_id.get(), receipt.repeated),
                (first.id, true)
            );
        }
        let in_session = session;
        let owned = self
            .sessions
            .get_mut(&session)
            .filter(|s| s.user == user_id);
        let (Some(session), Some(user)) = (owned, self.users.get_mut(&user_id)) else {
            return assert_eq!(answer.unwrap_err().kind(), ErrorKind::NotFound);
        };
        self.messages += 1;
        assert_eq!(answer.unwrap().message_id, self.messages);
        self.keys.extend(key.map(|key| {
            let first = First {
                id: self.messages,
                session: in_session,
                prompt: prompt.clone(),
            };
            ((user_id, key), first)
        }));
        self.tools += u64::from(tools);
        session.prompts.push(prompt);
        session.cost += cost;
        session.last_used = self.now;
        session.active = true;
        user.messages += 1;
        user.requests += 1;
        user.cost += cost;
        user.spent += cost;
    }

    async fn compare(&self, store: &TestStore) {
        for (&user_id, expected) in &self.users {
            let user = store.read(GetUser::new(user_id)).await.unwrap().unwrap();
            assert_eq!(user.is_allowed, expected.allowed);
            assert_eq!(
                store.read(IsAllowed::new(user_id)).await.unwrap(),
                expected.allowed
            );
            assert_eq!(user.message_count, expected.messages);
            assert_eq!(user.session_count, expected.sessions);
            assert_eq!(user.total_cost, expected.cost);
            let days = costs::UserDailyCosts::new(user_id, 10_000);
            let days = store.read(days).await.unwrap();
            assert_eq!(
                days.iter().map(|day| day.request_count).sum::<u64>(),
                expected.requests
            );
            assert_eq!(
                days.iter().map(|day| day.daily_cost).sum::<Usd>(),
                expected.spent
            );
            let stats = store
                .read(analytics::UserStats::new(user_id))
                .await
                .unwrap();
            assert_eq!(stats.total_messages, expected.messages);
            assert_eq!(stats.total_cost, expected.cost);
            let active = UserSessions::new(user_id).page(PageRequest::first(1_000));
            let active = store.read(active).await.unwrap().items.len();
            let mine = self.sessions.values().filter(|s| s.user == user_id);
            assert_eq!(active, mine.filter(|s| s.active).count());
        }
        for (&session, expected) in &self.sessions {
            let get = |user_id| GetSession::new(user_id, name(session));
            assert_eq!(store.read(get(expected.user + 1)).await.unwrap(), None);
            let found = store.read(get(expected.user)).await.unwrap().unwrap();
            assert_eq!(found.is_active, expected.active);
            assert_eq!(found.total_cost, expected.cost);
            assert_eq!(found.message_count, expected.prompts.len() as u64);
            let mut prompts = Vec::new();
            let mut page = PageRequest::first(7);
            loop {
                let messages =
                    SessionMessages::new(expected.user, name(session)).page(page.clone());
                let messages = store.read(messages).await.unwrap();
                prompts.extend(messages.items.into_iter().map(|m| m.prompt));
                let Some(next) = messages.next else { break };
                page = page.after(next);
            }
            prompts.reverse();
            assert_eq!(prompts, expected.prompts);
        }
        let stats = store.read(analytics::SystemStats::new()).await.unwrap();
        assert_eq!(stats.total_messages, self.messages as u64);
        let used: u64 = stats.tools.iter().map(|tool| tool.usage_count).sum();
        assert_eq!(used, self.tools);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn a_random_history_is_what_a_plain_model_says(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let store = TestStore::open().await.unwrap();
            let mut model = Model::default();
            for step in &steps {
                model.step(step, &store).await;
            }
            model.compare(&store).await;
            store.close().await.unwrap();
        });
    }
}
