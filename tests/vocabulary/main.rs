//! The vocabulary, message by message, through the public door: what each promises in its doc,
//! what it refuses, and that what it refuses changes nothing.

mod analytics;
mod answers;
mod audit;
mod bad_input;
mod costs;
mod dashboards;
mod edits;
mod ensuring;
mod errors;
mod external;
mod history;
mod injections;
mod integrity;
mod interactions;
mod keys;
mod limits;
mod members;
mod messages;
mod money;
mod opening;
mod order;
mod plans;
mod removals;
mod session_lists;
mod sessions;
mod streams;
mod support;
mod tokens;
mod tools;
mod unordered;
mod updates;
mod users;
