//! A subscriber to the log that panics, as one does that prints into a pipe which is closed.

use crate::hostile;
use std::fmt::Debug;
use std::sync::{Mutex, Once, PoisonError};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Where it panics, and how often.
#[derive(Clone, Copy)]
pub(crate) enum At {
    /// At lines with this message, so many times.
    Line(&'static str, u32),
    /// At every line there is.
    Every,
}

#[derive(Default)]
struct Rules {
    at: Vec<At>,
    /// The messages at which it has panicked.
    hits: Vec<String>,
}

static RULES: Mutex<Rules> = Mutex::new(Rules {
    at: Vec::new(),
    hits: Vec::new(),
});

fn rules() -> std::sync::MutexGuard<'static, Rules> {
    RULES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// While it lives, the subscriber panics.
pub(crate) struct Armed(());

pub(crate) fn panics(at: &[At]) -> Armed {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        hostile::keep_quiet();
        tracing::subscriber::set_global_default(Hostile).expect("the only one");
    });
    *rules() = Rules {
        at: at.to_vec(),
        hits: Vec::new(),
    };
    Armed(())
}

pub(crate) fn panics_once_at(line: &'static str) -> Armed {
    panics(&[At::Line(line, 1)])
}

pub(crate) fn panics_always_at(line: &'static str) -> Armed {
    panics(&[At::Line(line, u32::MAX)])
}

impl Armed {
    /// How often it has panicked at this line.
    pub(crate) fn hits(&self, line: &str) -> usize {
        rules().hits.iter().filter(|hit| *hit == line).count()
    }
}

impl Drop for Armed {
    fn drop(&mut self) {
        rules().at.clear();
    }
}

struct Hostile;

impl Subscriber for Hostile {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("botstore")
    }

    fn event(&self, event: &Event<'_>) {
        let mut message = Message::default();
        event.record(&mut message);
        let panics = {
            let mut rules = rules();
            let panics = rules.at.iter_mut().any(|at| match at {
                At::Line(line, left) if *line == message.0 && *left > 0 => {
                    *left -= 1;
                    true
                }
                At::Line(..) => false,
                At::Every => true,
            });
            if panics {
                rules.hits.push(message.0);
            }
            panics
        };
        if panics {
            panic!("{}", hostile::MESSAGE);
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

#[derive(Default)]
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}
