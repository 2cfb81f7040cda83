//! `limits`: lists limits of spending with what is left of them, and sets and removes them.

mod list;
mod set;
mod words;

use crate::answer::Outcome;
use crate::file::named;
use clap::{Args, Subcommand};
use list::List;
use set::{Remove, Set};
use std::path::PathBuf;

/// Lists limits of spending, with what is left of them; sets and removes them
///
/// Without a command, lists all limits from one snapshot, even while a bot has the file open. What is
/// left of a limit of each user depends on the user: --user shows it, with all other limits that a
/// request of that user would meet.
///
/// `set` and `remove` need the file to themselves: a running bot sets its limits itself (SetLimit). A
/// limit that is set holds at once, for what was spent before, too.
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Limits {
    /// The database
    #[arg(value_parser = named())]
    file: PathBuf,
    #[command(flatten)]
    list: List,
    #[command(subcommand)]
    change: Option<Change>,
}

#[derive(Subcommand)]
enum Change {
    Set(Set),
    Remove(Remove),
}

impl Limits {
    pub(crate) fn run(&self) -> Outcome {
        match &self.change {
            None => self.list.run(&self.file),
            Some(_) if self.list.is_asked_for() => Err(list::with_a_change().into()),
            Some(Change::Set(set)) => set.run(&self.file),
            Some(Change::Remove(remove)) => remove.run(&self.file),
        }
    }
}
