//! A log that says how far a file is taken over, and ends the process there.

use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Says each line of the log that is about a piece, and ends the process at one of them.
pub(crate) struct Ends {
    at: u64,
    seen: AtomicU64,
}

impl Ends {
    /// At the so-manyth line, counted from 1; 0 is never.
    pub(crate) fn at(at: u64) -> Self {
        Self {
            at,
            seen: AtomicU64::new(0),
        }
    }
}

#[derive(Default)]
struct Line {
    message: String,
    fields: Vec<String>,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            _ => self.fields.push(format!("{value:?}")),
        }
    }
}

impl Subscriber for Ends {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("botstore")
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        if line.message == "rewrote a piece of the rows" {
            println!("piece {}", line.fields.join(" "));
        }
        let is_of_a_piece = [
            "migrating",
            "migrating in pieces",
            "rewrote a piece of the rows",
        ];
        if is_of_a_piece.contains(&&*line.message) && self.seen.fetch_add(1, SeqCst) + 1 == self.at
        {
            // As a process ends that is killed: nothing is closed.
            std::process::abort();
        }
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}
