//! What an error may hold of a text that is not this program's own.
//!
//! A caller's id and a file's name may have any length, and errors are logged. So [`quote`] shows the beginning of
//! such a text, and every error's sentence is cut, so that an error written without [`quote`] is bounded too.

use std::borrow::Cow;
use std::fmt::{self, Write};

/// The most characters of a text from a caller or a file.
const QUOTED_CHARS: usize = 64;

/// The most bytes of a migration's text. Two of them fit into a sentence.
const EXCERPT_BYTES: usize = 300;

/// The most bytes of a sentence.
const SENTENCE_BYTES: usize = 1_000;

/// The most bytes of an error's advice.
pub(super) const ADVICE_BYTES: usize = 400;

/// The beginning of a text from a caller or a file, in quotes and escaped, since it may hold anything. An ellipsis
/// after the quotes means that the text is longer.
pub(crate) fn quote(text: &str) -> impl fmt::Display {
    struct Quoted<'a>(&'a str);
    impl fmt::Display for Quoted<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            match self.0.char_indices().nth(QUOTED_CHARS) {
                None => write!(f, "{:?}", self.0),
                Some((end, _)) => write!(f, "{:?}…", &self.0[..end]),
            }
        }
    }
    Quoted(text)
}

/// The beginning of a migration's text, unescaped and longer than of other texts, because a person must see it to
/// repair it.
pub(crate) fn excerpt(sql: &str) -> String {
    bounded_by(EXCERPT_BYTES, sql)
}

/// A sentence, cut if it is too long.
pub(super) fn cut(sentence: impl Into<Cow<'static, str>>) -> Cow<'static, str> {
    cut_to(SENTENCE_BYTES, sentence)
}

/// As [`cut`], with another limit.
pub(super) fn cut_to(most: usize, text: impl Into<Cow<'static, str>>) -> Cow<'static, str> {
    let text = text.into();
    match text.len() > most {
        false => text,
        true => bounded_by(most, text).into(),
    }
}

/// Formats a sentence, and stops at the limit instead of writing out the rest.
pub(super) fn bounded(sentence: impl fmt::Display) -> String {
    bounded_by(SENTENCE_BYTES, sentence)
}

/// The first `most` bytes of a text, and an ellipsis if there are more.
pub(super) fn bounded_by(most: usize, text: impl fmt::Display) -> String {
    struct Bounded {
        text: String,
        most: usize,
    }
    impl Write for Bounded {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            let mut end = text.len().min(self.most - self.text.len());
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            self.text.push_str(&text[..end]);
            match end == text.len() {
                true => Ok(()),
                false => Err(fmt::Error),
            }
        }
    }
    let mut bounded = Bounded {
        text: String::new(),
        most,
    };
    match write!(bounded, "{text}") {
        Ok(()) => bounded.text,
        // Or a host's `Display` has failed: shows what it wrote by then.
        Err(fmt::Error) => bounded.text + "…",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_has_64_characters_at_most_and_says_when_there_is_more() {
        assert_eq!(quote("a\"b").to_string(), r#""a\"b""#);
        for character in ["x", "é", "🤖", "\u{1b}"] {
            let whole = quote(&character.repeat(64)).to_string();
            assert_eq!(whole, format!("{:?}", character.repeat(64)));
            let more = quote(&character.repeat(65)).to_string();
            assert_eq!(more, whole + "…");
        }
    }

    #[test]
    fn a_sentence_is_cut_between_two_characters() {
        assert_eq!(cut("short"), "short");
        for character in ["x", "é", "€", "🤖"] {
            let long = cut(character.repeat(1_000_000));
            let whole = long.strip_suffix('…').expect("an ellipsis");
            assert!(whole.len() <= SENTENCE_BYTES && whole.len() > SENTENCE_BYTES - 4);
            assert_eq!(whole, character.repeat(whole.chars().count()));
        }
    }
}
