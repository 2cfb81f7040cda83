//! Advises what to do next, in one sentence: after an error and after a check.
//!
//! The error's own advice comes first ([`Error::advice`]), then advice for what was not found or was in
//! the way, and last advice for the kind of error alone.

use botstore::{Error, ErrorKind};

/// Returns the advice for an error; empty if there is none.
pub(crate) fn after(error: &Error) -> &str {
    error
        .advice()
        .or_else(|| of_field(error.kind(), error.field()))
        .unwrap_or_else(|| of_kind(error.kind()))
}

/// Returns the advice for a missing or conflicting thing, by the name that the library or this program
/// gives it.
fn of_field(kind: ErrorKind, field: Option<&'static str>) -> Option<&'static str> {
    Some(match (kind, field?) {
        (ErrorKind::NotFound, "path") => "look at the path",
        (ErrorKind::NotFound, "backup") => {
            "name the folder of one backup: `botstore backups FILE` lists them"
        }
        (ErrorKind::NotFound, "table") => "`botstore status FILE` lists the tables",
        (ErrorKind::NotFound, "schema") => "`botstore status FILE` lists the schemas that it has",
        (ErrorKind::Conflict, "path") => {
            "choose another name; `restore --replace` moves what is there aside and deletes nothing"
        }
        (ErrorKind::Conflict, "out") => "choose another name for --out; nothing is written over",
        _ => return None,
    })
}

fn of_kind(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Invalid => "`botstore COMMAND --help` tells what it takes",
        ErrorKind::AlreadyOpen => {
            "stop the bot first; status, check, export, dashboard and backup work beside it"
        }
        ErrorKind::OlderSchema => {
            "run `botstore migrate FILE` first (a backup is made before), or the bot, which does \
             the same"
        }
        ErrorKind::NewerSchema => {
            "use the botstore of the newer program, or restore the backup from before its upgrade: \
             `botstore backups FILE` lists them"
        }
        ErrorKind::ChangedMigration => {
            "use the program that the file was made by; if there is none with that text, restore a \
             backup: `botstore backups FILE` lists them"
        }
        ErrorKind::Untrusted => {
            "restore a backup that you know, or use the program that the file was made by; do not \
             run what you have not read"
        }
        ErrorKind::NoIdsLeft => {
            "stop the bot, and restore a backup: `botstore check FILE` lists the tables"
        }
        ErrorKind::Deadline => {
            "SQLite was at work for longer than the file's size explains: do not use it, or look \
             with a bot whose Config::inspect_deadline is longer"
        }
        ErrorKind::Corrupt => DAMAGED,
        ErrorKind::BadBackup => "use another one: `botstore backups FOLDER` lists them",
        ErrorKind::NotAuthentic => {
            "use another one: `botstore backups FOLDER --key FILE` lists those that your key has \
             signed. If you know where it comes from: `--accept clear` and `--accept format-1` read \
             what an identity refuses, and without --key nothing has to be signed"
        }
        ErrorKind::NeedsRecipient => {
            "name whom it is for: --recipient AGE1…; or say that it may be in the clear: --clear"
        }
        ErrorKind::WrongKey => "name the file of the secret key that it is for: --identity FILE",
        ErrorKind::ForeignFile => "look at the path",
        ErrorKind::DiskFull => "make room; nothing was changed",
        ErrorKind::ReadOnly => "look at the owner and mode of the file and of its folder",
        ErrorKind::Io => "look at the system's log",
        ErrorKind::InDoubt => "look at the disk, and then whether the change is there",
        ErrorKind::Busy => "try again when the other program is done",
        ErrorKind::Migration => "the file is as it was before that step; report the sentence above",
        ErrorKind::Cancelled => "nothing; run it again when you like",
        ErrorKind::Sql => "report it: botstore has asked SQLite for what it does not do",
        ErrorKind::Panicked => "report it, with what stands on stderr",
        _ => "",
    }
}

const DAMAGED: &str = "\
    stop the bot, and restore a backup: `botstore backups FILE` lists them, \
    `botstore restore BACKUP --to FILE --replace` keeps the damaged file";

/// A finding of a check, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Finding {
    Damage,
    /// An object differs from what a step made.
    Altered,
    /// An id counter is near its end.
    Ids,
    /// A table with rows of its own is missing.
    Lost,
    /// Another object that a step made is missing.
    Missing,
    OddValues,
    /// Rollups differ from a full count.
    Rollups,
    Orphans,
    Counters,
    /// The file has objects that no step made.
    Unknown,
}

/// Returns the advice for the worst finding of a check.
pub(crate) fn after_check(found: &[Finding]) -> &'static str {
    match found.iter().min() {
        Some(Finding::Damage) => DAMAGED,
        Some(Finding::Altered) => {
            "find out who has put it in place of what a step made; if nobody knows, stop the bot and \
             restore a backup from before"
        }
        Some(Finding::Ids) => {
            "stop the bot, and restore a backup from before somebody wrote such an id, or set \
             sqlite_sequence right"
        }
        Some(Finding::Lost) => {
            "stop the bot, and restore a backup: somebody has dropped a table, and its rows are nowhere else"
        }
        Some(Finding::Missing) => {
            "find out who has removed what a step made; opening the file with the bot makes it again, and \
             so does `botstore check FILE --repair` when the bot is stopped"
        }
        Some(Finding::OddValues) => {
            "stop the bot and run `botstore check FILE --repair`, which sets odd values right after a \
             backup (`--plan` shows how); find out which program writes them"
        }
        Some(Finding::Rollups) => {
            "stop the bot and run `botstore check FILE --repair`, which counts the rollups anew; or \
             have the bot do it, with Store::repair_rollups"
        }
        Some(Finding::Orphans) => {
            "nothing for the store's sake, which goes on with such rows; find out which program \
             removes rows that others refer to"
        }
        Some(Finding::Counters) => {
            "nothing if the file was taken over from the Python bot, or the bot keeps its totals \
             itself: statistics do not use these counters; otherwise find out who else writes to it"
        }
        Some(Finding::Unknown) => {
            "nothing if somebody of yours has put there what is listed as unknown; otherwise look at it \
             before you trust the file"
        }
        None => "nothing: all that was checked is as it should be",
    }
}
