//! The outcome of a command: an answer or a failure, as text or as JSON, and the exit code.

use crate::advice;
use crate::escape::{Notation, printable};
use crate::print;
use crate::text;
use botstore::{Error, ErrorKind};
use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue};
use serde_json::{Value, json};
use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

/// The last part of `--help`.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
    0  success
    1  failure
    2  wrong usage
    3  damage: the database or a backup is damaged; or a database is missing, empty or replaced
       beside its log; or a backup is not authentic
    4  no damage, but counters or references do not agree, a value is odd, or something that a
       step made is missing or altered
    5  the file needs to be migrated first
    6  a running bot has the file open
  130  stopped with Ctrl-C, SIGTERM or SIGHUP; only complete backups are left behind";

/// The form of the answer.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Shape {
    Text,
    Json,
}

impl From<Shape> for Notation {
    fn from(shape: Shape) -> Self {
        match shape {
            Shape::Text => Self::Text,
            Shape::Json => Self::Json,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(u8)]
pub(crate) enum Exit {
    Fine = 0,
    Failed = 1,
    Usage = 2,
    Damaged = 3,
    Differs = 4,
    NeedsMigration = 5,
    Open = 6,
    Stopped = 130,
}

impl Exit {
    pub(crate) fn of(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Invalid => Self::Usage,
            ErrorKind::Corrupt
            | ErrorKind::Replaced
            | ErrorKind::BadBackup
            | ErrorKind::NotAuthentic => Self::Damaged,
            ErrorKind::OlderSchema => Self::NeedsMigration,
            ErrorKind::AlreadyOpen => Self::Open,
            ErrorKind::Cancelled => Self::Stopped,
            _ => Self::Failed,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// What a command found or did.
pub(crate) struct Answer {
    pub(crate) text: String,
    pub(crate) json: Value,
    pub(crate) exit: Exit,
}

impl Answer {
    pub(crate) fn fine(text: String, json: Value) -> Self {
        let exit = Exit::Fine;
        Self { text, json, exit }
    }

    /// An answer without text, when all output is on stdout already.
    pub(crate) fn silent() -> Self {
        Self::fine(String::new(), Value::Null)
    }
}

pub(crate) type Outcome = Result<Answer, Failure>;

/// Why a command failed.
pub(crate) enum Failure {
    /// An error of the library.
    Error(Error),
    /// An error in the middle of an export, when a part of it is on stdout.
    HalfWay(Error),
    /// The reader of the output has closed it.
    NobodyReads,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

pub(crate) fn error_json(error: &Error) -> Value {
    json!({
        "kind": error.kind().to_string(),
        "message": format!("{error:#}"),
        "what_to_do": advice::after(error),
    })
}

/// Writes the outcome to stdout or stderr.
pub(crate) fn write(outcome: Outcome, shape: Shape) -> Exit {
    let (text, exit) = match (outcome, shape) {
        (Ok(answer), Shape::Text) => (answer.text, answer.exit),
        (Ok(answer), Shape::Json) if answer.json.is_null() => (String::new(), answer.exit),
        (Ok(answer), Shape::Json) => (pretty(&answer.json), answer.exit),
        (Err(Failure::Error(error)), Shape::Json) => {
            let json = json!({ "error": error_json(&error) });
            (pretty(&json), Exit::of(error.kind()))
        }
        (Err(Failure::Error(error) | Failure::HalfWay(error)), _) => {
            complain(&error);
            (String::new(), Exit::of(error.kind()))
        }
        (Err(Failure::NobodyReads), _) => (String::new(), Exit::Fine),
    };
    let mut out = print::stdout(shape.into());
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            let error = Error::io("cannot write the answer", error);
            complain(&error);
            Exit::of(error.kind())
        }
        _ => exit,
    }
}

/// Reports a panic in JSON; its text is on stderr already. The exit code is that of any Rust program
/// that panics.
pub(crate) fn report_panic(shape: Shape) -> ExitCode {
    const PANICKED: u8 = 101;
    if shape == Shape::Json {
        let error = Error::new(ErrorKind::Panicked, "this is a bug in botstore");
        write(Err(error.into()), shape);
    }
    ExitCode::from(PANICKED)
}

fn pretty(json: &Value) -> String {
    format!("{json:#}\n")
}

fn complain(error: &Error) {
    // If stderr is closed, there is nowhere to report that.
    let mut err = print::stderr();
    let sentence = text::lines(&format!("{error:#}"), "    ");
    let _ = writeln!(err, "error: {sentence}");
    let advice = text::lines(advice::after(error), "    ");
    if !advice.is_empty() {
        let _ = writeln!(err, "what to do: {advice}");
    }
}

/// Returns the form that the arguments ask for, even if they are wrong.
pub(crate) fn shape_asked_for(arguments: impl Iterator<Item = OsString>) -> Shape {
    let mut options = arguments.take_while(|argument| argument != "--");
    let is_json = |argument: OsString| {
        let text = argument.to_string_lossy();
        text == "--json" || text.starts_with("--json=")
    };
    match options.any(is_json) {
        true => Shape::Json,
        false => Shape::Text,
    }
}

/// Writes clap's output: help, the version, or what is wrong with the arguments, which it quotes.
pub(crate) fn usage(mut error: clap::Error, shape: Shape) -> Exit {
    let quoted: Vec<_> = error.context().filter_map(one_line).collect();
    for (kind, value) in quoted {
        error.insert(kind, value);
    }
    let text = error.render().to_string();
    if !error.use_stderr() {
        let json = json!({ "text": text });
        return write(Ok(Answer::fine(text, json)), shape);
    }
    if shape == Shape::Json {
        let what = text.trim().trim_start_matches("error: ").to_owned();
        return write(Err(Error::new(ErrorKind::Invalid, what).into()), shape);
    }
    // If stderr is closed, there is nowhere to report that.
    let _ = print::stderr().write_all(text.as_bytes());
    Exit::Usage
}

/// Escapes an argument that clap quotes, so that it cannot pose as a line of clap's.
fn one_line((kind, value): (ContextKind, &ContextValue)) -> Option<(ContextKind, ContextValue)> {
    let value = match value {
        ContextValue::String(text) => ContextValue::String(printable(text)),
        ContextValue::Strings(texts) => {
            ContextValue::Strings(texts.iter().map(|text| printable(text)).collect())
        }
        // The tips, which quote arguments too. The only other styled text is the usage line, which is
        // our own.
        ContextValue::StyledStrs(texts) => {
            let plain = |text: &StyledStr| printable(&text.to_string()).into();
            ContextValue::StyledStrs(texts.iter().map(plain).collect())
        }
        _ => return None,
    };
    Some((kind, value))
}
