//! The mechanism: who runs operations, when, and on which connection. No table is named here.
//!
//! ```text
//!              ┌───────────── Dispatch ─────────────┐
//! caller ────▶ │ permits (count, bytes), then a lane │ ──▶ Writer        one connection, groups
//!              └────────────────────────────────────┘ ──▶ Reader × n     one snapshot a query
//! Supervisor: schedules, closing          Checkpointer: log → file, off the writer's path
//!                                         Archivist: backups, drills, on a worker's thread
//! ```
//!
//! A request waits in its lane's queue, not in a mailbox: a mailbox is not bounded for `send`, and
//! a queue that a whole pool takes from never puts a request behind a busy reader. The mailbox
//! carries the bell that says "there is work", and the few orders that come from the supervisor.

mod archivist;
mod backup_worker;
mod checkpointer;
mod dispatch;
mod gate;
mod group;
mod heartbeat;
mod lane;
mod ports;
mod reader;
mod request;
mod room;
mod staff;
mod supervisor;
mod wal;
mod watch;
mod writer;

pub use archivist::Archivist;
pub(crate) use dispatch::Dispatch;
pub use ports::{Mutations, Queries, Read, Write};
pub(crate) use staff::hire;
pub(crate) use supervisor::{Close, Outcome, RunDue, Supervisor};
