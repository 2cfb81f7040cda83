//! Lists of limits, and of what is left.

use super::rules;
use super::state::{State, Subjects};
use super::{Budget, Limit};
use crate::domain::page::{self, Found, Order, Page, PageRequest, Room};
use crate::domain::usage::Chat;
use crate::domain::{UserId, validate};
use crate::error::Result;
use crate::operation::{Query, ReadTx};
use crate::texts::Texts;
use rusqlite::Row;
use serde::{Deserialize, Serialize};

/// Lists all limits, the latest set first. Reads a page.
///
/// For administrators: the answer is about all users.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// use botstore::limits::{Amount, Limits, Per, Scope, SetLimit};
///
/// store.write(SetLimit::new(Scope::EachUser, Per::Hour, Amount::Requests(30))).await?;
/// let limits = store.read(Limits::new()).await?;
/// assert_eq!(limits.items[0].to_string(), "each user, 30 requests an hour");
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Limits {
    /// Which page.
    pub page: PageRequest,
}

impl Limits {
    /// The first page, of 50 limits.
    pub fn new() -> Self {
        Self::default()
    }

    /// Which page.
    pub fn page(mut self, page: PageRequest) -> Self {
        self.page = page;
        self
    }
}

impl Query for Limits {
    type Output = Page<Limit>;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Page<Limit>> {
        list(tx, &self.page, ALL)
    }

    fn texts(&self, texts: &mut Texts) {
        self.page.texts(texts);
    }
}

const ALL: &str = "SELECT limit_id, scope, who, measure, per, max, soft, set_at FROM botstore_limit
     WHERE limit_id <= ?1 ORDER BY limit_id DESC LIMIT ?2";

/// Those that are of one user, chat or model, or of everybody.
const NAMED: &str =
    "SELECT limit_id, scope, who, measure, per, max, soft, set_at FROM botstore_limit
     WHERE limit_id <= ?1 AND scope <> 'each_user' ORDER BY limit_id DESC LIMIT ?2";

fn list(tx: &ReadTx<'_>, page: &PageRequest, sql: &'static str) -> Result<Page<Limit>> {
    let (room, found) = (&mut Room::of(tx), Found::Rows(sql));
    let limit = |row: &Row<'_>| rules::from_row(row, 1);
    page::read_by_id(tx, room, (page, Order::NewestFirst, found), &[], limit, 7)
}

/// Lists the limits of everybody, of single users, of chats and of models, each with what is left of it; the latest
/// set first. Those of each user are not here: ask [`UserBudget`]. Reads a page, and the counters of its limits. A
/// counter that does not exist yet is counted, as [`UserBudget`] does.
///
/// For administrators: the answer is about all users.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// use botstore::limits::{Amount, NamedBudgets, Per, Scope, SetLimit};
///
/// store.write(SetLimit::new(Scope::Everyone, Per::Day, Amount::Requests(1_000))).await?;
/// let budgets = store.read(NamedBudgets::new()).await?;
/// assert_eq!(budgets.items[0].left, Amount::Requests(1_000));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NamedBudgets {
    /// Which page.
    pub page: PageRequest,
}

impl NamedBudgets {
    /// The first page, of 50 limits.
    pub fn new() -> Self {
        Self::default()
    }

    /// Which page.
    pub fn page(mut self, page: PageRequest) -> Self {
        self.page = page;
        self
    }
}

impl Query for NamedBudgets {
    const LANE: crate::operation::Lane = crate::operation::Lane::Analytics;
    type Output = Page<Budget>;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Page<Budget>> {
        let Page { items, next } = list(tx, &self.page, NAMED)?;
        let mut budgets = Vec::new();
        for limit in items {
            let subjects = Subjects::of_scope(&limit.scope);
            let state = State::read(tx, &subjects, tx.now())?;
            let of_limit = state.budgets();
            budgets.extend(of_limit.into_iter().find(|budget| budget.limit == limit));
        }
        Ok(Page {
            items: budgets,
            next,
        })
    }

    fn texts(&self, texts: &mut Texts) {
        self.page.texts(texts);
    }
}

/// Says what is left of each limit that a request of this user would meet: of everybody's, of the user's own, and if
/// they are given, of the chat's and the model's. The limit of which the least is left, as a part of it, comes first.
/// Without limits, the answer is empty; an unknown user has spent nothing.
///
/// A point read, if [`Reserve`](super::Reserve) has asked in the same period. Otherwise it counts: for a day and longer
/// it reads rollups; for a minute or an hour the messages of that time, or those of the user on that day.
///
/// # Errors
/// [`Invalid`](crate::ErrorKind::Invalid) for an empty model or chat, or one longer than 4 KiB.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// use botstore::Usd;
/// use botstore::costs::AddCost;
/// use botstore::limits::{Amount, Per, Scope, SetLimit, UserBudget};
///
/// # store.write(botstore::users::EnsureUser::new(42, "ada")).await?;
/// let two_dollars = Usd::from_dollars(2.0)?;
/// store.write(SetLimit::new(Scope::EachUser, Per::Day, Amount::Cost(two_dollars))).await?;
/// store.write(AddCost::new(42, Usd::from_dollars(0.5)?)).await?;
/// let budgets = store.read(UserBudget::new(42)).await?;
/// assert_eq!(budgets[0].left, Amount::Cost(Usd::from_dollars(1.5)?));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct UserBudget {
    /// The user.
    pub user_id: UserId,
    /// The chat.
    #[serde(default)]
    pub chat: Option<Chat>,
    /// The model.
    #[serde(default)]
    pub model: Option<String>,
}

impl UserBudget {
    /// What is left for this user.
    pub fn new(user_id: impl Into<UserId>) -> Self {
        Self {
            user_id: user_id.into(),
            chat: None,
            model: None,
        }
    }

    /// Also of the limits of this chat.
    pub fn chat(mut self, chat: Chat) -> Self {
        self.chat = Some(chat);
        self
    }

    /// Also of the limits of this model.
    pub fn model(mut self, model: impl Into<String>) -> Self {
        self.model = Some(model.into());
        self
    }
}

impl Query for UserBudget {
    type Output = Vec<Budget>;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Vec<Budget>> {
        self.chat.as_ref().map_or(Ok(()), Chat::check)?;
        let model = self.model.as_deref();
        model.map_or(Ok(()), |model| validate::not_empty("model", model))?;
        let subjects = Subjects::of_request(self.user_id, self.chat.as_ref(), model);
        Ok(State::read(tx, &subjects, tx.now())?.budgets())
    }

    fn texts(&self, texts: &mut Texts) {
        if let Some(chat) = &self.chat {
            chat.texts(texts);
        }
        texts.name("model", self.model.as_deref());
    }
}
