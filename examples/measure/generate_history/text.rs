//! What is said: slices of one long text, which cost nothing to make.

use fastrand::Rng;
use std::fmt::Write as _;

/// Longer than what a compressor remembers, so that it finds words and phrases, as in real text,
/// and seldom a whole message again.
const LENGTH: usize = 16 << 20;

const WORDS: usize = 3_000;

const SYLLABLES: [&str; 24] = [
    "lo", "rem", "ip", "sum", "do", "lor", "sit", "a", "met", "con", "sec", "te", "tur", "e",
    "lit", "sed", "tem", "por", "in", "ut", "la", "bo", "re", "qua",
];

/// Each tool with the field of its input, the most used first.
const TOOLS: [(&str, &str); 12] = [
    ("Read", "file_path"),
    ("Bash", "command"),
    ("Edit", "file_path"),
    ("Grep", "pattern"),
    ("Glob", "pattern"),
    ("Write", "file_path"),
    ("LS", "path"),
    ("TodoWrite", "todos"),
    ("WebFetch", "url"),
    ("Task", "description"),
    ("MultiEdit", "file_path"),
    ("WebSearch", "query"),
];

const INPUTS: usize = 256;

/// A tool and what it is given.
pub(crate) struct Tool {
    pub(crate) name: &'static str,
    inputs: Vec<String>,
}

impl Tool {
    pub(crate) fn input(&self, dice: &mut Rng) -> &str {
        &self.inputs[dice.usize(..INPUTS)]
    }
}

pub(crate) struct Texts {
    text: String,
    pub(crate) tools: Vec<Tool>,
    pub(crate) projects: Vec<String>,
}

impl Texts {
    pub(crate) fn new(dice: &mut Rng) -> Self {
        let words: Vec<String> = (0..WORDS).map(|_| word(dice)).collect();
        let some = |dice: &mut Rng| words[skewed(dice, WORDS)].as_str();
        let mut text = String::with_capacity(LENGTH + 16);
        while text.len() < LENGTH {
            text.push_str(some(dice));
            text.push_str(match dice.u8(..16) {
                0 => ", ",
                1 => ". ",
                2 => "\n",
                _ => " ",
            });
        }
        let tools = TOOLS.iter().map(|&(name, field)| Tool {
            name,
            inputs: (0..INPUTS)
                .map(|_| {
                    let mut input = format!("{{\"{field}\":\"src");
                    for _ in 0..dice.u8(1..6) {
                        let _ = write!(input, "/{}", some(dice));
                    }
                    input + "\"}"
                })
                .collect(),
        });
        let tools = tools.collect();
        let project = |_| format!("/srv/{}/{}", some(dice), some(dice));
        let projects = (0..200).map(project).collect();
        Self {
            text,
            tools,
            projects,
        }
    }

    /// Some text of this length.
    pub(crate) fn slice(&self, dice: &mut Rng, length: usize) -> &str {
        // All of it is ASCII, so any place is one between two characters.
        let from = dice.usize(..LENGTH - length);
        &self.text[from..from + length]
    }
}

fn word(dice: &mut Rng) -> String {
    (0..dice.u8(1..=4))
        .map(|_| SYLLABLES[dice.usize(..SYLLABLES.len())])
        .collect()
}

/// One of so many, each about as often as its place from the front has it: by Zipf's law.
pub(crate) fn skewed(dice: &mut Rng, among: usize) -> usize {
    let place = (dice.f64() * (among as f64).ln_1p()).exp() as usize;
    place.clamp(1, among) - 1
}

/// A number of this mean that is mostly smaller and sometimes much larger.
pub(crate) fn exponential(dice: &mut Rng, mean: f64) -> f64 {
    -(1.0 - dice.f64()).ln() * mean
}
