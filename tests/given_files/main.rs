//! Files that somebody else has had in their hands: what they bring along is data, never code.

mod changing;
#[cfg(target_os = "linux")]
#[path = "../shared/child.rs"]
mod child;
mod disabled;
mod endless;
mod ids;
mod lost_columns;
mod lost_ledger;
mod made_again;
mod made_again_of_hosts;
mod new_file;
mod not_made_again;
mod objects;
mod step_rules;
mod steps_back;
mod support;
