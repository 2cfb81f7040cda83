//! The durable memory of a chat bot: an actor-based store on SQLite, driven by typed messages.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> botstore::Result<()> {
//! # let folder = tempfile::tempdir().unwrap();
//! # let path = folder.path().join("bot.db");
//! use botstore::{Store, Usd, interactions::SaveInteraction, sessions::CreateSession, users};
//!
//! let store = Store::open(&path).await?;
//! let user = store.write(users::EnsureUser::new(42, Some("ada"))).await?;
//! let session = store
//!     .write(CreateSession::new(42, "s-1", "/srv"))
//!     .await?;
//! let receipt = store
//!     .write(
//!         SaveInteraction::new(user.user_id, session.session_id, "Hello")
//!             .response("Hi!")
//!             .cost(Usd::from_dollars(0.002)?),
//!     )
//!     .await?; // committed, synced, and not lost
//! # assert_eq!(receipt.message_id, 1);
//! store.close().await?;
//! # Ok(()) }
//! ```
//!
//! | module | what is in it |
//! |---|---|
//! | [`Store`], [`Config`], [`Health`] | open, write, read, close; every knob; how it is |
//! | [`users`] | [`EnsureUser`](users::EnsureUser) [`SetAllowed`](users::SetAllowed) [`Touch`](users::Touch) · [`GetUser`](users::GetUser) [`IsAllowed`](users::IsAllowed) [`AllowedUsers`](users::AllowedUsers) [`ListUsers`](users::ListUsers) |
//! | [`sessions`] | [`CreateSession`](sessions::CreateSession) [`SaveSession`](sessions::SaveSession) [`EndSession`](sessions::EndSession) [`ExpireIdle`](sessions::ExpireIdle) · [`GetSession`](sessions::GetSession) [`UserSessions`](sessions::UserSessions) [`ProjectSessions`](sessions::ProjectSessions) [`ActiveSessions`](sessions::ActiveSessions) [`SessionSummary`](sessions::SessionSummary) [`SessionHistory`](sessions::SessionHistory) |
//! | [`interactions`] | [`SaveInteraction`](interactions::SaveInteraction) [`SweepKeys`](interactions::SweepKeys) |
//! | [`messages`] | [`SaveMessage`](messages::SaveMessage) · [`SessionMessages`](messages::SessionMessages) [`UserMessages`](messages::UserMessages) [`RecentMessages`](messages::RecentMessages) |
//! | [`tools`] | [`RecordToolUse`](tools::RecordToolUse) · [`SessionToolUse`](tools::SessionToolUse) [`UserToolUse`](tools::UserToolUse) [`ToolStats`](tools::ToolStats) |
//! | [`audit`] | [`LogEvent`](audit::LogEvent) · [`UserAuditLog`](audit::UserAuditLog) [`RecentAuditLog`](audit::RecentAuditLog) |
//! | [`tokens`] | [`IssueToken`](tokens::IssueToken) [`RevokeToken`](tokens::RevokeToken) [`RevokeUserTokens`](tokens::RevokeUserTokens) · [`VerifyToken`](tokens::VerifyToken) [`UserTokens`](tokens::UserTokens) |
//! | [`timers`] | [`At`](timers::At) [`After`](timers::After) [`CancelTimer`](timers::CancelTimer) · [`Timers`](timers::Timers); [`Timer`], messages at a time |
//! | [`costs`] | [`AddCost`](costs::AddCost) · [`UserDailyCosts`](costs::UserDailyCosts) [`TotalCosts`](costs::TotalCosts) |
//! | [`analytics`] | [`UserStats`](analytics::UserStats) [`SystemStats`](analytics::SystemStats) [`DailyActivity`](analytics::DailyActivity) [`Activity`](analytics::Activity) [`UserActivity`](analytics::UserActivity) [`TopUsers`](analytics::TopUsers) [`UserDashboard`](analytics::UserDashboard) [`AdminDashboard`](analytics::AdminDashboard) |
//! | [`rollups`] | [`ReconcileRollups`](rollups::ReconcileRollups) |
//! | [`integrity`] | [`CheckFile`](integrity::CheckFile) |
//! | [`status`](status()), [`snapshot`](snapshot()) | a file without a store, for tools |
//! | [`Mutation`], [`Query`], [`WriteTx`], [`ReadTx`], [`Cacheable`], [`Texts`] | messages of your own |
//! | [`Write`], [`Read`], [`Mutations`], [`Queries`], [`BackupActor`] | operations and backups as actix messages |
//! | [`backup`] | [`TakeBackup`](backup::TakeBackup) [`RunDrill`](backup::RunDrill) · [`Backups`](backup::Backups), [`list`](backup::list), [`verify`](backup::verify()), [`restore`](backup::restore()), [`prune`](backup::prune) |
//! | [`StoreEvent`], [`FileProblem`] | what a store tells without being asked |
//! | [`schema`], [`UnknownTriggers`] | tables of your own, migrations, rollback; what a file has that no step made |
//! | [`page`], [`time`], [`Error`] | lists, times, failures |
//! | `testing` | a temporary store and a clock to set (feature `testing`) |
//! | [`guide`] | architecture, performance, reliability, operations |

#![forbid(unsafe_code)]
#![deny(missing_docs, unreachable_pub)]

// Who runs what, and on which thread, is in `engine`: its page has a glossary and one commit as a timeline.
// `domain` has the tables and the operations on them, `sqlite` every way to open a file, `migration` and
// `archive` the steps and the backups, `store` what a bot holds. Imports point down: docs/architecture.md.
mod archive;
pub mod backup;
mod cache;
mod config;
mod domain;
mod engine;
mod error;
mod events;
mod files;
pub mod guide;
mod health;
mod json;
mod limits;
mod migration;
mod opening;
mod operation;
mod panics;
mod recipients;
mod schedule;
pub mod schema;
mod snapshot;
mod sqlite;
mod status;
mod store;
#[cfg(feature = "testing")]
pub mod testing;
pub mod time;

pub use config::{BeforeUpgrade, Config};
pub use domain::{MessageId, SessionId, TokenId, Usd, UserId};
pub use domain::{
    analytics, audit, costs, integrity, interactions, messages, page, rollups, sessions, timers,
    tokens, tools, users,
};
pub use engine::BackupActor;
pub use error::{Error, ErrorKind, Result};
pub use events::{BackupReport, FailedTimer, FiredTimer, LastRun, Role, StoreEvent, WalHolder};
pub use health::{ActorHealth, CheckpointReport, Health, ReaderHealth, WriterHealth};
pub use limits::{MAX_NAME_BYTES, Texts};
pub use migration::{SchemaStep, UnknownTriggers};
pub use operation::{Cacheable, Lane, Mutation, Query, ReadTx, Timer, TimerId, WriteTx};
pub use recipients::{Mutations, Queries, Read, Write};
/// The rusqlite that the store uses. A program may hold two versions of it, with types of their own;
/// operations written with this one always fit.
pub use rusqlite;
pub use snapshot::snapshot;
pub use sqlite::{Durability, FileProblem, OpenIn};
pub use status::{FileStatus, status};
pub use store::Store;
