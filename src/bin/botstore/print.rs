//! The one module that prints. All output to a terminal, a pipe or a log goes through [`Escaped`],
//! whoever wrote it: this program, the library, SQLite, clap, or a panic.
//!
//! Nothing is coloured, so that any control sequence is known not to be ours. Only the bar of
//! [`progress`](crate::progress) is coloured, and it shows no text but our own.

use crate::escape::{Escaped, Notation};
use indicatif::ProgressDrawTarget;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{self, IsTerminal as _, StderrLock, StdoutLock, Write};
use std::panic::{self, PanicHookInfo};

pub(crate) fn stdout(notation: Notation) -> Escaped<StdoutLock<'static>> {
    Escaped::new(io::stdout().lock(), notation)
}

pub(crate) fn stderr() -> Escaped<StderrLock<'static>> {
    Escaped::new(io::stderr().lock(), Notation::Text)
}

/// Whether a person can be asked. A script is not asked: it would wait for ever, and calling the
/// command already says what it wants.
pub(crate) fn somebody_is_there() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Returns a person's answer to a question on stderr.
pub(crate) fn answer_to(question: &str) -> io::Result<String> {
    let mut err = stderr();
    write!(err, "{question}")?;
    err.flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(answer)
}

/// Where a progress bar is drawn: on stderr if that is a terminal, else nowhere.
pub(crate) fn bar() -> ProgressDrawTarget {
    match io::stderr().is_terminal() {
        true => ProgressDrawTarget::stderr(),
        false => ProgressDrawTarget::hidden(),
    }
}

/// From here on panics are printed like everything else, because a panic's message may quote a file.
pub(crate) fn report_panics() {
    panic::set_hook(Box::new(|panic| {
        // If stderr is closed, there is nowhere to report that.
        let _ = report_panic(panic, &mut stderr());
    }));
}

fn report_panic(panic: &PanicHookInfo<'_>, to: &mut impl Write) -> io::Result<()> {
    writeln!(to, "error: this is a bug in botstore: please report it")?;
    writeln!(to, "{panic}")?;
    // Captured only if RUST_BACKTRACE asks for it.
    let backtrace = Backtrace::capture();
    if backtrace.status() == BacktraceStatus::Captured {
        writeln!(to, "{backtrace}")?;
    }
    to.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[test]
    fn a_panic_cannot_steer_the_terminal() {
        let output = Arc::new(Mutex::new(Vec::new()));
        let hook = panic::take_hook();
        let to = output.clone();
        panic::set_hook(Box::new(move |panic| {
            let mut to = to.lock().expect("no panic holds it");
            report_panic(panic, &mut Escaped::new(&mut *to, Notation::Text)).expect("memory");
        }));
        let panicked = panic::catch_unwind(|| panic!("a name: \u{1b}[2J\u{202e}"));
        panic::set_hook(hook);
        assert!(panicked.is_err());
        let output = output.lock().expect("no panic holds it");
        let output = String::from_utf8_lossy(&output);
        assert!(output.contains("a name: \\u{1b}[2J\\u{202e}\n"), "{output}");
        assert!(!output.contains(['\u{1b}', '\u{202e}']), "{output}");
    }
}
