//! How an error is shown: to people, to programs that walk the chain of its sources, and by `main`.

use super::Error;
use std::fmt::{self, Write};

/// The sentence: `OPERATION: MESSAGE; ADVICE (KIND)`; `{:#}` leaves the advice out.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(operation) = self.inner.operation {
            write!(f, "{operation}: ")?;
        }
        f.write_str(&self.inner.message)?;
        if let Some(advice) = self.advice().filter(|_| !f.alternate()) {
            write!(f, "; {advice}")?;
        }
        write!(f, " ({})", self.inner.kind)
    }
}

/// The sentence on one line, with what its sources add; `{:#?}` shows the parts.
///
/// `main` prints the error that it returns by `{:?}`, and so does `unwrap`: for people, who want the sentence and
/// not a struct. `dbg!` uses `{:#?}`.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.alternate() {
            return f
                .debug_struct("Error")
                .field("kind", &self.inner.kind)
                .field("operation", &self.inner.operation)
                .field("field", &self.inner.field)
                .field("message", &self.inner.message)
                .field("advice", &self.advice())
                .field("source", &self.unshown())
                .finish();
        }
        let mut line = OneLine(f);
        write!(line, "{self}")?;
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            write!(line, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}

/// Escapes as `{:?}` of a text does, except quotes: a path must neither control a terminal nor look like another
/// line.
struct OneLine<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl Write for OneLine<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        const AS_THEY_ARE: [char; 3] = ['"', '\'', '\\'];
        for part in text.split_inclusive(AS_THEY_ARE) {
            let plain = part.trim_end_matches(AS_THEY_ARE);
            write!(self.0, "{}{}", plain.escape_debug(), &part[plain.len()..])?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    /// The error beneath, unless the sentence has its words, so that a report of the whole chain (`{:#}` of
    /// anyhow, `{:?}` of this) shows each text once. [`Error::cause`] gives it in any case.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.unshown().map(|source| source as _)
    }
}

impl Error {
    fn unshown(&self) -> Option<&(dyn std::error::Error + Send + Sync + 'static)> {
        let is_shown = |source: &dyn std::error::Error| {
            let words = super::quote::cut(source.to_string());
            self.inner.message.contains(&*words)
        };
        self.cause().filter(|&source| !is_shown(source))
    }
}
