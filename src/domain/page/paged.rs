//! Queries whose answer is a page.

use super::{Page, PageRequest};
use crate::domain::audit::{AuditEvent, RecentAuditLog, UserAuditLog};
use crate::domain::limits::{Budget, Limit, Limits, NamedBudgets};
use crate::domain::messages::{ChatMessage, RecentMessages, SessionMessages, UserMessages};
use crate::domain::prices::{ModelPrice, Prices};
use crate::domain::sessions::{
    ActiveSessions, Member, ProjectSessions, Session, SessionMembers, UserSessions,
};
use crate::domain::timers::{PendingTimer, Timers};
use crate::domain::tokens::{UserToken, UserTokens};
use crate::domain::tools::{SessionToolUse, ToolUse, UserToolUse};
use crate::domain::users::{AllowedUsers, ListUsers, User};
use crate::operation::Query;

/// A query whose answer is a [`Page`], and which can ask for the next one: the argument of
/// [`Store::pages`](crate::Store::pages). Every list of this crate is one, and a list of your own may be.
///
/// ```
/// use botstore::page::{Page, PageRequest, Paged};
/// use botstore::users::{ListUsers, User};
/// use botstore::{Query, ReadTx, Result};
///
/// #[derive(Clone)]
/// struct Names { page: PageRequest }
///
/// impl Query for Names {
///     type Output = botstore::page::Page<String>;
///     fn fetch(&self, tx: &ReadTx<'_>) -> Result<Page<String>> {
///         let users = tx.query(&ListUsers::new().page(self.page.clone()))?;
///         let names = users.items.into_iter().filter_map(|user| user.username);
///         Ok(Page::new(names.collect(), users.next))
///     }
/// }
///
/// impl Paged for Names {
///     type Item = String;
///     fn page_mut(&mut self) -> &mut PageRequest { &mut self.page }
/// }
/// ```
pub trait Paged: Query<Output = Page<Self::Item>> + Clone {
    /// What a page is a list of.
    type Item: Send + 'static;

    /// The request for the page, to change.
    fn page_mut(&mut self) -> &mut PageRequest;
}

/// A macro, since no function implements a trait.
macro_rules! paged {
    ($($list:ty: $item:ty),* $(,)?) => {
        $(impl Paged for $list {
            type Item = $item;

            fn page_mut(&mut self) -> &mut PageRequest {
                &mut self.page
            }
        })*
    };
}

paged! {
    ActiveSessions: Session,
    AllowedUsers: User,
    Limits: Limit,
    ListUsers: User,
    Prices: ModelPrice,
    NamedBudgets: Budget,
    ProjectSessions: Session,
    RecentAuditLog: AuditEvent,
    RecentMessages: ChatMessage,
    SessionMessages: ChatMessage,
    SessionMembers: Member,
    SessionToolUse: ToolUse,
    Timers: PendingTimer,
    UserAuditLog: AuditEvent,
    UserMessages: ChatMessage,
    UserSessions: Session,
    UserTokens: UserToken,
    UserToolUse: ToolUse,
}
