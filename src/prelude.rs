//! What nearly every bot imports: `use botstore::prelude::*;`
//!
//! It has what opens a store, errors, ids and money, the parts of operations of your own, and the messages of a
//! conversation. Import messages for statistics, tokens, backups and upkeep by name, and so the answers of
//! statistics: their names are too general for a prelude. `Result` is [`botstore::Result`](crate::Result). Its
//! second parameter may be given, so `Result<T, E>` keeps its usual meaning.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> botstore::Result<()> {
//! # let folder = tempfile::tempdir().unwrap();
//! # let path = folder.path().join("bot.db");
//! use botstore::prelude::*;
//!
//! let store = Store::open(Config::new(&path)).await?;
//! let user = store.write(EnsureUser::new(42, Some("ada"))).await?;
//! assert!(!store.read(IsAllowed::new(user.user_id)).await?);
//! store.close().await
//! # }
//! ```

pub use crate::audit::LogEvent;
pub use crate::costs::AddCost;
pub use crate::interactions::{Receipt, SaveInteraction};
pub use crate::limits::{Decision, Release, Reserve};
pub use crate::messages::{ChatMessage, SaveMessage, SessionMessages, UserMessages};
pub use crate::page::{Page, PageRequest};
pub use crate::sessions::{
    CreateSession, EndSession, ExpireIdle, GetSession, Session, UserSessions,
};
pub use crate::tools::{RecordToolUse, ToolCall};
pub use crate::usage::Usage;
pub use crate::users::{EnsureUser, GetUser, IsAllowed, SetAllowed, Touch, User};
pub use crate::{
    Config, Error, ErrorKind, Health, Lane, MessageId, Mutation, Query, ReadTx, Result, SessionId,
    Store, StoreEvent, TokenId, Usd, UserId, WriteTx,
};
