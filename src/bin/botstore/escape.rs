//! Escapes characters that are invisible, or that control the terminal.
//!
//! Names come from files, folders, arguments and other people. Raw, a name could colour a terminal,
//! overwrite its content, or pose as another name.

use std::io::{self, BufWriter, Write};

/// The form of an escape.
#[derive(Clone, Copy)]
pub(crate) enum Notation {
    /// For people: `\u{202e}`. A backslash itself is not escaped, so that paths stay legible; JSON has
    /// the exact name.
    Text,
    /// Inside the strings of JSON: `\u202e`, which every parser reads back as the character.
    Json,
}

/// Whether a character is never shown raw: controls, invisible format characters, and characters that
/// change the direction or the breaks of a line.
///
/// These are Unicode's `Cc`, `Zl`, `Zp`, the default-ignorable characters, and those of `Cf` without a
/// visible form. A ZWJ is always escaped, so a family emoji is shown as its members: a rule without
/// exceptions can be tested, and terminals disagree on how such a sequence looks. Characters that
/// letters need (accents, vowel signs, Arabic number signs) are not escaped.
pub(crate) fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'                      // soft hyphen
            | '\u{34f}'                   // combining grapheme joiner
            | '\u{61c}'                   // Arabic letter mark
            | '\u{115f}' | '\u{1160}'     // Hangul fillers
            | '\u{17b4}' | '\u{17b5}'     // Khmer inherent vowels
            | '\u{180b}'..='\u{180f}'     // Mongolian selectors and vowel separator
            | '\u{200b}'..='\u{200f}'     // zero width, left-to-right and right-to-left marks
            | '\u{2028}'..='\u{202e}'     // line and paragraph separators, bidi embeddings
            | '\u{2060}'..='\u{206f}'     // word joiner, bidi isolates, invisible operators
            | '\u{3164}'                  // Hangul filler
            | '\u{fe00}'..='\u{fe0f}'     // variation selectors
            | '\u{feff}'                  // byte order mark
            | '\u{ffa0}'                  // Hangul filler
            | '\u{fff0}'..='\u{fffb}'     // annotations
            | '\u{1bca0}'..='\u{1bca3}'   // shorthand controls
            | '\u{1d173}'..='\u{1d17a}'   // musical controls
            | '\u{e0000}'..='\u{e0fff}' // tags, more variation selectors
        )
}

/// Symbols that the selector behind them makes an emoji or a plain sign, as in U+2764 U+FE0F.
fn takes_selector(c: char) -> bool {
    matches!(
        c,
        '\u{a9}' | '\u{ae}' | '\u{203c}' | '\u{2049}' | '\u{2122}' | '\u{2139}'
            | '\u{2190}'..='\u{21ff}'
            | '\u{2300}'..='\u{23ff}'
            | '\u{24c2}'
            | '\u{25a0}'..='\u{27bf}'
            | '\u{2900}'..='\u{297f}'
            | '\u{2b00}'..='\u{2bff}'
            | '\u{3030}' | '\u{303d}' | '\u{3297}' | '\u{3299}'
            | '\u{1f000}'..='\u{1faff}'
    )
}

/// Returns a text on one line: line breaks are escaped too.
pub(crate) fn printable(text: &str) -> String {
    let mut safe = Vec::with_capacity(text.len());
    let mut escape = Escape::new(Notation::Text);
    // Writing to memory does not fail.
    let _ = escape.write(text, &mut safe, is_hidden);
    String::from_utf8_lossy(&safe).into_owned()
}

/// Writes texts with escapes.
struct Escape {
    notation: Notation,
    /// The last character written.
    last: char,
}

impl Escape {
    fn new(notation: Notation) -> Self {
        let last = '\n';
        Self { notation, last }
    }

    fn write(
        &mut self,
        text: &str,
        to: &mut impl Write,
        is_hidden: fn(char) -> bool,
    ) -> io::Result<()> {
        let mut plain = 0;
        for (at, c) in text.char_indices() {
            let selects = matches!(c, '\u{fe0e}' | '\u{fe0f}') && takes_selector(self.last);
            self.last = c;
            if !is_hidden(c) || selects {
                continue;
            }
            to.write_all(&text.as_bytes()[plain..at])?;
            plain = at + c.len_utf8();
            match self.notation {
                Notation::Text => write!(to, "{}", c.escape_default())?,
                Notation::Json => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        write!(to, "\\u{unit:04x}")?;
                    }
                }
            }
        }
        to.write_all(&text.as_bytes()[plain..])
    }
}

/// A buffered writer that escapes every hidden character except line breaks.
///
/// JSON needs no formatter of its own for that: outside its strings it is ASCII, so a hidden character
/// is always inside a string, where its escape means the same.
pub(crate) struct Escaped<W: Write> {
    to: BufWriter<W>,
    escape: Escape,
    /// The first bytes of an incomplete character.
    begun: Vec<u8>,
}

impl<W: Write> Escaped<W> {
    pub(crate) fn new(to: W, notation: Notation) -> Self {
        Self {
            to: BufWriter::with_capacity(64 * 1024, to),
            escape: Escape::new(notation),
            begun: Vec::new(),
        }
    }

    fn write_text(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut chunks = bytes.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            let hidden = |c| c != '\n' && is_hidden(c);
            self.escape.write(chunk.valid(), &mut self.to, hidden)?;
            let rest = chunk.invalid();
            let unfinished =
                |rest| std::str::from_utf8(rest).is_err_and(|e| e.error_len().is_none());
            if chunks.peek().is_none() && unfinished(rest) {
                self.begun = rest.to_owned();
            } else if !rest.is_empty() {
                self.to.write_all("\u{fffd}".as_bytes())?;
            }
        }
        Ok(())
    }
}

impl<W: Write> Write for Escaped<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.begun.is_empty() {
            self.write_text(bytes)?;
        } else {
            let mut whole = std::mem::take(&mut self.begun);
            whole.extend(bytes);
            self.write_text(&whole)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(pieces: impl Iterator<Item = Vec<u8>>, notation: Notation) -> String {
        let mut bytes = Vec::new();
        let mut escaped = Escaped::new(&mut bytes, notation);
        for piece in pieces {
            escaped.write_all(&piece).expect("memory");
        }
        drop(escaped);
        String::from_utf8(bytes).expect("UTF-8")
    }

    #[test]
    fn a_character_that_comes_in_pieces_is_escaped_all_the_same() {
        let text = "a\u{9b}b\u{202e}c\u{e0041}d\u{e9}\u{1f600}e\u{2764}\u{fe0f}\n";
        let bytes = || text.bytes().map(|byte| vec![byte]);
        let whole = || std::iter::once(text.as_bytes().to_owned());
        for notation in [Notation::Text, Notation::Json] {
            assert_eq!(written(bytes(), notation), written(whole(), notation));
        }
        let shown = "a\\u{9b}b\\u{202e}c\\u{e0041}d\u{e9}\u{1f600}e\u{2764}\u{fe0f}\n";
        assert_eq!(written(bytes(), Notation::Text), shown);
        let json = "a\\u009bb\\u202ec\\udb40\\udc41d\u{e9}\u{1f600}e\u{2764}\u{fe0f}\n";
        assert_eq!(written(bytes(), Notation::Json), json);
    }

    #[test]
    fn what_is_no_text_becomes_a_sign_for_that() {
        let pieces = [b"a\xff".to_vec(), b"b\xe2\x80".to_vec(), b"c".to_vec()];
        let shown = written(pieces.into_iter(), Notation::Text);
        assert_eq!(shown, "a\u{fffd}b\u{fffd}c");
    }
}
