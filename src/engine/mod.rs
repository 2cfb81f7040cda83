//! The engine: which actor runs an operation, when, and on which connection. It knows no table and no operation.
//!
//! ```text
//!   caller ── Handle ──▶ mailbox ──▶ Writer           one connection that writes
//!                  ├───▶ queue ────▶ Reader × n       read-only, point reads and pages
//!                  ├───▶ CallersReads                 the same, on the caller's thread
//!                  └───▶ queue ────▶ Reader × m       read-only, scans
//!                                    Checkpointer     WAL → file
//!                                    Supervisor       what is due, the disk, restarts
//!                                    BackupActor ──▶ BackupWorker
//! ```
//!
//! The writer, the checkpointer, each reader and the backup worker have a thread of their own. The supervisor and
//! the backup actor share the store's own thread, which also opens and closes the store. Nothing blocks there
//! while the store is open.
//!
//! # One commit
//!
//! | thread | what | where |
//! |---|---|---|
//! | caller's | checks the texts, waits for a permit, sends the mutation | `handle`, `in_flight` |
//! | writer's | takes it from the mailbox, as a job; the first queues a commit behind the others | `writer`, `job` |
//! | writer's | `BEGIN IMMEDIATE`; runs each job of the batch; `COMMIT` | `batch`, `transaction` |
//! | writer's | voids the changed rows in the row cache, answers each job | `cache`, `job` |
//! | writer's | perhaps counts the rows that wait, in a transaction of its own | `counting` |
//! | writer's | perhaps counts rows by another time zone, in pieces | `recounting` |
//! | writer's | looks at the WAL; perhaps orders a checkpoint | `checkpoint` |
//! | store's own | orders one too when nothing has been written for a while | `supervisor`, `idle_watch` |
//! | checkpointer's | copies the WAL into the file | `checkpointer` |
//! | caller's | wakes with the answer | `handle` |
//!
//! # Glossary
//!
//! * **job**: an operation on its way, without its type, and the caller that waits for it.
//! * **in-flight limit**, **permit**: how many requests may be in flight, and one request's share of that.
//! * **batch**: the mutations of one transaction.
//! * **indeterminate**: a mutation whose COMMIT failed, and which may be in the WAL all the same.
//! * **suspect**: a connection that is not used again, because its state is in doubt.
//! * **WAL**, **frame**: SQLite's write-ahead log, and one page in it.
//! * **checkpoint**: copies frames into the file. A WAL that is copied completely *starts over*.
//! * **ceiling**: the size of the WAL at which the writer copies frames too.
//! * **snapshot**: the state of the file that a read transaction sees; several point reads may share one.
//! * **lane**: the readers that answer a kind of queries, and their queue.
//! * **row cache**: answers that depend on one row, kept on the callers' side.
//! * **gate**: keeps readers out for a moment, so that the WAL can start over.
//! * **supervision**, **restart**: an actor that panics is repaired and continues.
//! * **duty**: recurring work: a schedule's mutation, or the store's own *upkeep*.
//! * **due**: a duty, a backup or a drill is due when its time has come.

mod backup_actor;
mod backup_worker;
mod batch;
mod callers_reads;
mod checkpoint;
mod checkpointer;
mod clock_report;
mod counting;
mod disk_state;
mod disk_watch;
mod due;
mod duty;
mod file_watch;
mod gates;
mod handle;
mod heartbeat;
mod idle_watch;
mod in_flight;
mod job;
mod last_runs;
mod last_uses;
mod metrics;
mod process;
mod queue;
mod read_connection;
mod reader;
mod recounting;
mod shared;
mod shutdown;
mod snapshots;
mod start;
mod supervision;
mod supervisor;
mod ticks;
mod timers;
mod transaction;
mod writer;

pub use backup_actor::BackupActor;
pub(crate) use duty::Duty;
pub(crate) use handle::Handle;
pub(crate) use in_flight::{Entry, InFlightLimit};
pub(crate) use metrics::Counter;
pub(crate) use start::{Engine, start};
pub(crate) use supervisor::{RunDue, Supervisor};
