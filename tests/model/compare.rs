//! Whether the store answers as the model does.

use crate::{Message, Model, name};
use botstore::integrity::{CheckFile, CheckReport};
use botstore::messages::{GetMessage, SessionMessages};
use botstore::page::{Order, PageRequest};
use botstore::rollups::ReconcileRollups;
use botstore::sessions::{GetSession, UserSessions};
use botstore::testing::TestStore;
use botstore::users::{GetUser, IsAllowed};
use botstore::{Usd, analytics, costs};

impl Model {
    fn cost(&self, of: impl Fn(&Message) -> bool) -> Usd {
        let messages = self.messages.values().filter(|message| of(message));
        messages.map(|message| message.cost).sum()
    }

    pub(crate) async fn compare(&self, store: &TestStore) {
        for (&user_id, expected) in &self.users {
            let user = store.read(GetUser::new(user_id)).await.unwrap().unwrap();
            assert_eq!(user.is_allowed, expected.allowed);
            assert_eq!(
                store.read(IsAllowed::new(user_id)).await.unwrap(),
                expected.allowed
            );
            assert_eq!(user.message_count, expected.messages);
            assert_eq!(user.session_count, expected.sessions);
            let cost = self.cost(|message| message.user == user_id);
            assert_eq!(user.total_cost, cost);
            let days = costs::UserDailyCosts::new(user_id, 10_000);
            let days = store.read(days).await.unwrap();
            let days: Vec<_> = days
                .iter()
                .rev()
                .map(|day| (day.request_count, day.daily_cost))
                .collect();
            assert_eq!(days, expected.days.values().copied().collect::<Vec<_>>());
            let stats = store
                .read(analytics::UserStats::new(user_id))
                .await
                .unwrap();
            assert_eq!(stats.total_messages, expected.messages);
            assert_eq!(stats.total_cost, cost);
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
            assert_eq!(
                found.total_cost,
                self.cost(|message| message.session == session)
            );
            assert_eq!(found.message_count, expected.messages.len() as u64);
            let said = expected
                .messages
                .iter()
                .map(|id| self.messages[id].prompt.clone());
            let said: Vec<_> = said.collect();
            for order in [Order::NewestFirst, Order::OldestFirst] {
                let list = SessionMessages::new(expected.user, name(session));
                let list = list.page(PageRequest::first(7)).order(order);
                let mut messages = store.pages(list).items();
                let mut prompts = Vec::new();
                while let Some(message) = messages.next().await {
                    prompts.push(message.unwrap().prompt);
                }
                if order == Order::NewestFirst {
                    prompts.reverse();
                }
                assert_eq!(prompts, said, "{order:?}");
            }
        }
        for id in 1..=self.last_id {
            let expected = self.messages.get(&id);
            let user_id = expected.map_or(0, |message| message.user);
            let found = store.read(GetMessage::new(user_id, id)).await.unwrap();
            let found = found.map(|m| (m.prompt, m.cost, m.error.is_some()));
            assert_eq!(found, expected.map(|m| (m.prompt.clone(), m.cost, m.fails)));
        }
        let report = store.read(ReconcileRollups::new()).await.unwrap();
        assert_eq!(report.differences, 0, "{:#?}", report.named);
        let report = store.read(CheckFile::new()).await.unwrap();
        assert_eq!(report, CheckReport::default());
        let stats = store.read(analytics::SystemStats::new()).await.unwrap();
        assert_eq!(stats.total_messages, self.messages.len() as u64);
        let used: u64 = stats.tools.iter().map(|tool| tool.usage_count).sum();
        assert_eq!(used, self.messages.values().map(|m| m.tools).sum::<u64>());
    }
}
