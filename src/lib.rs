//! The durable memory of a chat bot: an actor-based store on SQLite, driven by typed messages.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> botstore::Result<()> {
//! # let folder = tempfile::tempdir().unwrap();
//! # let path = folder.path().join("bot.db");
//! use botstore::prelude::*;
//!
//! let store = Store::open(&path).await?;
//! let user = store.write(EnsureUser::new(42, Some("ada"))).await?;
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
//! Operations of your own are of three sizes, with the same promises:
//!
//! * a closure, for what one place asks or changes: [`Store::ask`], [`Store::transact`],
//!   [`Config::transact_every`];
//! * a function of `&WriteTx` or `&ReadTx`, for what several closures do;
//! * a type that is a [`Mutation`] or a [`Query`], for what is sent as a message, bounded by its texts, or
//!   kept in the row cache.
//!
//! Errors of your own are made by [`Error::new`] and the like; [`ErrorKind::http_status`] is for services.
//!
//! | module | what is in it |
//! |---|---|
//! | [`prelude`] | what nearly every bot imports |
//! | [`Store`] | open, write, read, close |
//! | [`Config`], [`Durability`], [`BeforeUpgrade`], [`PointReads`] | every knob |
//! | [`Health`], [`WriterHealth`], [`ReaderHealth`], [`CheckpointReport`], [`ActorHealth`] | how it is |
//! | [`UserId`], [`SessionId`], [`MessageId`], [`TokenId`], [`TimerId`], [`Usd`] | ids and money |
//! | [`users`] | [`EnsureUser`](users::EnsureUser) [`SetAllowed`](users::SetAllowed) [`Touch`](users::Touch) [`DeleteUser`](users::DeleteUser) [`CorrectUserTotals`](users::CorrectUserTotals) [`RecountUserTotals`](users::RecountUserTotals) · [`GetUser`](users::GetUser) [`GetExternalUser`](users::GetExternalUser) [`GetExternalId`](users::GetExternalId) [`IsAllowed`](users::IsAllowed) [`AllowedUsers`](users::AllowedUsers) [`ListUsers`](users::ListUsers) |
//! | [`sessions`] | [`CreateSession`](sessions::CreateSession) [`EnsureSession`](sessions::EnsureSession) [`SaveSession`](sessions::SaveSession) [`EndSession`](sessions::EndSession) [`ExpireIdle`](sessions::ExpireIdle) [`DeleteSession`](sessions::DeleteSession) [`ShareSession`](sessions::ShareSession) [`UnshareSession`](sessions::UnshareSession) · [`GetSession`](sessions::GetSession) [`GetAnySession`](sessions::GetAnySession) [`UserSessions`](sessions::UserSessions) [`ProjectSessions`](sessions::ProjectSessions) [`ActiveSessions`](sessions::ActiveSessions) [`SessionSummary`](sessions::SessionSummary) [`SessionHistory`](sessions::SessionHistory) [`SessionMembers`](sessions::SessionMembers) |
//! | [`interactions`] | [`SaveInteraction`](interactions::SaveInteraction) [`SweepKeys`](interactions::SweepKeys) · [`FindInteraction`](interactions::FindInteraction) |
//! | [`updates`] | [`ClaimUpdate`](updates::ClaimUpdate) [`FinishUpdate`](updates::FinishUpdate) [`ReleaseUpdate`](updates::ReleaseUpdate) |
//! | [`messages`] | [`SaveMessage`](messages::SaveMessage) [`EditMessage`](messages::EditMessage) [`DeleteMessage`](messages::DeleteMessage) [`RateMessage`](messages::RateMessage) · [`GetMessage`](messages::GetMessage) [`MessageDetails`](messages::MessageDetails) [`SessionMessages`](messages::SessionMessages) [`UserMessages`](messages::UserMessages) [`RecentMessages`](messages::RecentMessages) |
//! | [`metadata`] | [`SetMetadata`](metadata::SetMetadata) · [`GetMetadata`](metadata::GetMetadata) |
//! | [`tools`] | [`RecordToolUse`](tools::RecordToolUse) · [`GetToolResult`](tools::GetToolResult) [`SessionToolUse`](tools::SessionToolUse) [`UserToolUse`](tools::UserToolUse) [`ToolStats`](tools::ToolStats) |
//! | [`audit`] | [`LogEvent`](audit::LogEvent) · [`UserAuditLog`](audit::UserAuditLog) [`RecentAuditLog`](audit::RecentAuditLog) |
//! | [`tokens`] | [`IssueToken`](tokens::IssueToken) [`RevokeToken`](tokens::RevokeToken) [`RevokeUserTokens`](tokens::RevokeUserTokens) · [`VerifyToken`](tokens::VerifyToken) [`UserTokens`](tokens::UserTokens) |
//! | [`timers`] | [`At`](timers::At) [`After`](timers::After) [`CancelTimer`](timers::CancelTimer) · [`Timers`](timers::Timers); [`Timer`], [`TimerId`], messages at a time |
//! | [`usage`] | [`Usage`](usage::Usage), tokens, model and cost of a request · [`ModelUsage`](usage::ModelUsage) [`UserModelUsage`](usage::UserModelUsage) [`UsageByUser`](usage::UsageByUser) [`UsageByDay`](usage::UsageByDay) [`UserUsageByDay`](usage::UserUsageByDay) [`PromptText`](usage::PromptText) |
//! | [`prices`] | [`SetPrice`](prices::SetPrice) [`RemovePrice`](prices::RemovePrice) [`ImportPrices`](prices::ImportPrices) [`Reprice`](prices::Reprice) · [`Price`](prices::Price) [`Prices`](prices::Prices) [`UnpricedModels`](prices::UnpricedModels) |
//! | [`limits`] | [`SetLimit`](limits::SetLimit) [`RemoveLimit`](limits::RemoveLimit) [`Reserve`](limits::Reserve) [`Release`](limits::Release) · [`UserBudget`](limits::UserBudget) [`Limits`](limits::Limits) [`NamedBudgets`](limits::NamedBudgets) |
//! | [`costs`] | [`AddCost`](costs::AddCost) · [`UserDailyCosts`](costs::UserDailyCosts) [`TotalCosts`](costs::TotalCosts) |
//! | [`analytics`] | [`UserStats`](analytics::UserStats) [`SystemStats`](analytics::SystemStats) [`DailyActivity`](analytics::DailyActivity) [`Activity`](analytics::Activity) [`UserActivity`](analytics::UserActivity) [`ActiveUsers`](analytics::ActiveUsers) [`TopUsers`](analytics::TopUsers) [`UserDashboard`](analytics::UserDashboard) [`AdminDashboard`](analytics::AdminDashboard) [`TimeZone`](analytics::TimeZone) |
//! | [`rollups`] | [`ReconcileRollups`](rollups::ReconcileRollups) |
//! | [`integrity`] | [`CheckFile`](integrity::CheckFile) |
//! | [`status`](status()), [`snapshot`](snapshot()), [`FileStatus`], [`OpenIn`] | a file without a store, for tools |
//! | [`Mutation`], [`Query`], [`WriteTx`], [`ReadTx`], [`Transact`], [`Ask`], [`Lane`], [`Cacheable`], [`Texts`], [`MAX_NAME_BYTES`] | operations of your own |
//! | [`Write`], [`Read`], [`Mutations`], [`Queries`], [`BackupActor`] | operations and backups as actix messages |
//! | [`backup`] | [`TakeBackup`](backup::TakeBackup) [`RunDrill`](backup::RunDrill) · [`Backups`](backup::Backups), [`list`](backup::list), [`verify`](backup::verify()), [`restore`](backup::restore()), [`prune`](backup::prune) |
//! | [`StoreEvent`], [`FiredTimer`], [`FailedTimer`], [`FileProblem`], [`WalHolder`], [`Role`], [`LastRun`], [`BackupReport`] | what a store tells without being asked |
//! | [`schema`], [`SchemaStep`], [`UnknownTriggers`] | tables of your own, migrations, rollback; what a file has that no step made |
//! | [`page`], [`Pages`], [`Items`] | lists by the page, and as streams |
//! | [`time`], [`Error`], [`ErrorKind`], [`Result`] | times, failures |
//! | `testing` | a temporary store and a clock to set (feature `testing`) |
//! | [`actix`], [`chrono`], [`rusqlite`], [`serde_json`] | the crates whose types are in signatures |
//! | [`guide`] | README, bots to copy from, architecture, performance, reliability, operations |
//!
//! | feature | what it adds |
//! |---|---|
//! | `testing` | `botstore::testing` |
//! | `encryption` | backups encrypted with [age](https://age-encryption.org), and signed |
//! | `cli` | the command line `botstore`, for operators |

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
mod migration;
mod opening;
mod operation;
mod panics;
pub mod prelude;
mod recipients;
mod schedule;
pub mod schema;
mod snapshot;
mod sqlite;
mod status;
mod store;
#[cfg(feature = "testing")]
pub mod testing;
mod texts;
pub mod time;

pub use config::{BeforeUpgrade, Config, PointReads};
pub use domain::{MessageId, SessionId, TokenId, Usd, UserId};
pub use domain::{
    analytics, audit, costs, integrity, interactions, limits, messages, metadata, page, prices,
    rollups, sessions, timers, tokens, tools, updates, usage, users,
};
pub use engine::BackupActor;
pub use error::{Error, ErrorKind, Result};
pub use events::{BackupReport, FailedTimer, FiredTimer, LastRun, Role, StoreEvent, WalHolder};
pub use health::{ActorHealth, CheckpointReport, Health, ReaderHealth, WriterHealth};
pub use migration::{SchemaStep, UnknownTriggers};
pub use operation::{Cacheable, Lane, Mutation, Query, ReadTx, Timer, TimerId, WriteTx};
pub use recipients::{Mutations, Queries, Read, Write};
pub use snapshot::snapshot;
pub use sqlite::{Durability, FileProblem, OpenIn};
pub use status::{FileStatus, status};
pub use store::{Ask, Items, Pages, Store, Transact};
pub use texts::{MAX_NAME_BYTES, Texts};

// What is in signatures here, so that a bot needs none of it in its own Cargo.toml, and always has the
// version that fits: a program may hold two of each, with types of their own.

/// The actix that the store's actors run on: [`Recipient`](actix::Recipient) and [`Addr`](actix::Addr) of
/// [`Store::mutations`], [`Store::subscribe`] and the like. A bot on plain tokio needs none of it. Its
/// macros (`#[derive(Message)]`, `#[actix::main]`) name a crate `actix` and need that in `Cargo.toml`.
pub use actix;
/// The chrono of every time in a message or an answer.
pub use chrono;
/// The rusqlite that the store uses: the parameters, rows and errors of an operation's SQL.
pub use rusqlite;
/// The serde_json of every JSON value in a message or an answer.
pub use serde_json;
