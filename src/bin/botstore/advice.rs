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
        (ErrorKind::NotFound, "path") => "check the path",
        (ErrorKind::NotFound, "backup") => {
            "name the folder of a backup: `botstore backups FILE` lists them"
        }
        (ErrorKind::NotFound, "table") => "`botstore status FILE` lists the tables",
        (ErrorKind::NotFound, "limit") => "`botstore limits FILE` lists the limits",
        (ErrorKind::NotFound, "schema") => "`botstore status FILE` lists the schemas that it has",
        (ErrorKind::NotFound, "provider" | "model" | "valid_from") => {
            "`botstore prices FILE` lists the prices"
        }
        (ErrorKind::Invalid, "json") => {
            "name a file as litellm publishes it: model_prices_and_context_window.json"
        }
        (ErrorKind::Conflict, "path") => {
            "choose another name, or use `restore --replace`, which moves the existing file aside and \
             deletes nothing"
        }
        (ErrorKind::Conflict, "out") => {
            "choose another name for --out; existing files are not \
             overwritten"
        }
        _ => return None,
    })
}

fn of_kind(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Invalid => "`botstore COMMAND --help` lists its arguments",
        ErrorKind::AlreadyOpen => {
            "stop the bot first; only status, check, export, dashboard, usage, backup, and prices and limits without \
             a change work while it runs"
        }
        ErrorKind::OlderSchema => {
            "first run `botstore migrate FILE`, which makes a backup before it migrates, or start the \
             bot, which does the same"
        }
        ErrorKind::NewerSchema => {
            "use a newer botstore, or restore the backup from before the upgrade: `botstore backups \
             FILE` lists them"
        }
        ErrorKind::ChangedMigration => {
            "use the program that made the file; if no program has that text, restore a backup: \
             `botstore backups FILE` lists them"
        }
        ErrorKind::Untrusted => {
            "restore a backup that you trust, or use the program that made the file; do not allow SQL \
             that you have not read"
        }
        ErrorKind::NoIdsLeft => {
            "stop the bot, and restore a backup: `botstore check FILE` lists the affected tables"
        }
        ErrorKind::Deadline => {
            "SQLite worked for longer than the file's size explains: do not use the file, or open it \
             with a longer Config::inspect_deadline"
        }
        ErrorKind::Corrupt => DAMAGED,
        ErrorKind::BadBackup => "use another backup: `botstore backups FOLDER` lists them",
        ErrorKind::NotAuthentic => {
            "use another backup: `botstore backups FOLDER --key FILE` lists those signed with your \
             key. If you know who made this one: `--accept clear` and `--accept format-1` read what \
             --identity refuses, and without --key no signature is required"
        }
        ErrorKind::NeedsRecipient => {
            "encrypt it for a recipient with --recipient AGE1…, or allow an unencrypted backup with \
             --clear"
        }
        ErrorKind::WrongKey => "name the file of the recipient's secret key: --identity FILE",
        ErrorKind::ForeignFile => "check the path",
        ErrorKind::DiskFull => "make room; nothing was changed",
        ErrorKind::ReadOnly => "check the owner and mode of the file and of its folder",
        ErrorKind::Io => "check the system's log",
        ErrorKind::InDoubt => "check the disk, and then whether the change was made",
        ErrorKind::Busy => "try again when the other program is done",
        ErrorKind::Migration => "the file is as it was before that step; report the sentence above",
        ErrorKind::Cancelled => "nothing; run the command again when you like",
        ErrorKind::Sql => "report this as a bug in botstore: SQLite refused a statement",
        ErrorKind::Panicked => "report this as a bug in botstore, with the text on stderr",
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
    /// A table with rows of its own is missing, or a column.
    Lost,
    /// An object differs from what a step made.
    Altered,
    /// An id counter is near its end.
    Ids,
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
        Some(Finding::Lost) => {
            "stop the bot, and restore a backup: a table or a column was dropped, and only backups have its \
             contents"
        }
        Some(Finding::Altered) => {
            "find out which program altered the object; if that is unknown, stop the bot and restore a \
             backup from before the change"
        }
        Some(Finding::Ids) => {
            "stop the bot, and restore a backup from before the id was written, or correct \
             sqlite_sequence"
        }
        Some(Finding::Missing) => {
            "find out which program removed the object; the bot makes it again when it opens the file, \
             and so does `botstore check FILE --repair` while the bot is stopped"
        }
        Some(Finding::OddValues) => {
            "stop the bot and run `botstore check FILE --repair`, which makes a backup and then \
             repairs odd values (`--plan` shows how); find out which program writes them"
        }
        Some(Finding::Rollups) => {
            "stop the bot and run `botstore check FILE --repair`, which recounts the rollups; or let \
             the bot do it, with Store::repair_rollups"
        }
        Some(Finding::Orphans) => {
            "the store works with such rows, but find out which program removes rows that others refer \
             to"
        }
        Some(Finding::Counters) => {
            "nothing if the file was taken over from the Python bot, or the bot keeps its totals \
             itself: statistics do not use these counters, and `botstore check FILE --repair \
             --user-totals` sets those of users right; otherwise find out which other program writes \
             to the file"
        }
        Some(Finding::Unknown) => {
            "nothing if you know who made the objects listed as unknown; otherwise inspect them before \
             you trust the file"
        }
        None => "nothing: everything that was checked is fine",
    }
}
