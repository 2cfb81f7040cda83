//! The vocabulary, message by message, through the public door: what each promises in its doc,
//! what it refuses, and that what it refuses changes nothing.

mod analytics;
mod answers;
mod audit;
mod bad_input;
#[path = "../shared/child.rs"]
mod child;
mod costs;
mod dashboards;
mod details;
mod edits;
mod ensuring;
mod errors;
mod external;
#[path = "../shared/histories.rs"]
mod histories;
mod history;
mod injections;
mod integrity;
mod interactions;
mod keys;
mod last_used;
mod limits;
mod members;
mod messages;
mod money;
mod opening;
mod order;
mod plans;
mod prices;
mod recorded;
mod removals;
mod session_lists;
mod sessions;
mod streams;
mod support;
mod tokens;
mod tools;
mod totals;
mod unordered;
mod updates;
mod users;
