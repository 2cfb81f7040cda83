//! Reads Rust as far as it takes to say which modules a file names: words, texts and signs, without
//! comments; and the paths that begin at the crate's root.

use std::collections::BTreeMap;

/// What a source is made of.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Token {
    Word(String),
    /// A string literal, without its quotes.
    Text(String),
    Sign(char),
}

/// A name that stands for the root itself, or for all that is in it: nobody could say what it leads to.
pub(crate) const ANYTHING: &str = "the root of the crate";

pub(crate) fn tokens(source: &str) -> Vec<Token> {
    let chars: Vec<char> = source.chars().collect();
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut found = Vec::new();
    let mut i = 0;
    while i < chars.len() {
        let c = chars[i];
        if c.is_whitespace() {
            i += 1;
        } else if c == '/' && at(i + 1) == '/' {
            while i < chars.len() && chars[i] != '\n' {
                i += 1;
            }
        } else if c == '/' && at(i + 1) == '*' {
            i = after_block_comment(&chars, i);
        } else if c == '"' {
            let (text, end) = quoted(&chars, i);
            found.push(Token::Text(text));
            i = end;
        } else if c == '\'' {
            // A character such as 'a' or '\n'; otherwise the name of a lifetime.
            if at(i + 1) == '\\' {
                i += 3;
                while i < chars.len() && chars[i] != '\'' {
                    i += 1;
                }
                i += 1;
            } else if at(i + 2) == '\'' {
                i += 3;
            } else {
                i += 1;
            }
        } else if is_word(c) {
            let start = i;
            while is_word(at(i)) {
                i += 1;
            }
            let word: String = chars[start..i].iter().collect();
            let raw = ["r", "br", "cr"].contains(&word.as_str());
            let hashes = (i..).take_while(|&j| at(j) == '#').count();
            if raw && at(i + hashes) == '"' {
                let (text, end) = raw_quoted(&chars, i, hashes);
                found.push(Token::Text(text));
                i = end;
            } else if word == "r" && at(i) == '#' {
                i += 1;
            } else if !(["b", "c"].contains(&word.as_str()) && at(i) == '"') {
                found.push(Token::Word(word));
            }
        } else {
            found.push(Token::Sign(c));
            i += 1;
        }
    }
    found
}

fn after_block_comment(chars: &[char], start: usize) -> usize {
    let (mut i, mut open) = (start, 0);
    while i + 1 < chars.len() {
        match (chars[i], chars[i + 1]) {
            ('/', '*') => (i, open) = (i + 2, open + 1),
            ('*', '/') => (i, open) = (i + 2, open - 1),
            _ => i += 1,
        }
        if open == 0 {
            return i;
        }
    }
    chars.len()
}

fn quoted(chars: &[char], start: usize) -> (String, usize) {
    let mut text = String::new();
    let mut i = start + 1;
    while i < chars.len() && chars[i] != '"' {
        if chars[i] == '\\' {
            i += 1;
        }
        text.extend(chars.get(i));
        i += 1;
    }
    (text, i + 1)
}

fn raw_quoted(chars: &[char], start: usize, hashes: usize) -> (String, usize) {
    let begin = start + hashes + 1;
    let ends =
        |i: &usize| chars[*i] == '"' && (1..=hashes).all(|more| chars.get(i + more) == Some(&'#'));
    let end = (begin..chars.len()).find(ends).unwrap_or(chars.len());
    (chars[begin..end].iter().collect(), end + 1 + hashes)
}

/// The names right under the root that the file names, wherever it does; `depth` is how many modules deep
/// it is.
pub(crate) fn root_names(source: &str, depth: usize) -> Vec<String> {
    let tokens = tokens(source);
    let mut reader = Reader {
        tokens: &tokens,
        found: Vec::new(),
    };
    // For each open brace, whether it is that of a module.
    let mut braces = Vec::new();
    let mut i = 0;
    while i < tokens.len() {
        let depth = depth + braces.iter().filter(|is_module| **is_module).count();
        match &tokens[i] {
            Token::Sign('{') => {
                let is_module =
                    i >= 2 && reader.word(i - 2) == "mod" && !reader.word(i - 1).is_empty();
                braces.push(is_module);
            }
            Token::Sign('}') => {
                braces.pop();
            }
            // A module from a file of another name, or code from a file that is no module.
            Token::Word(word)
                if word == "path"
                    && reader.is_sign(i + 1, '=')
                    && i > 0
                    && reader.is_sign(i - 1, '[') =>
            {
                reader.found.push(ANYTHING.to_owned());
            }
            Token::Word(word) if word == "include" && reader.is_sign(i + 1, '!') => {
                reader.found.push(ANYTHING.to_owned());
            }
            Token::Word(word)
                if ["crate", "super", "self"].contains(&word.as_str())
                    && !(i > 1 && reader.leads_on(i - 2)) =>
            {
                i = reader.path(i, depth as isize);
                continue;
            }
            _ => {}
        }
        i += 1;
    }
    reader.found
}

struct Reader<'a> {
    tokens: &'a [Token],
    found: Vec<String>,
}

impl Reader<'_> {
    fn word(&self, i: usize) -> &str {
        match self.tokens.get(i) {
            Some(Token::Word(word)) => word,
            _ => "",
        }
    }

    fn is_sign(&self, i: usize, sign: char) -> bool {
        self.tokens.get(i) == Some(&Token::Sign(sign))
    }

    fn leads_on(&self, i: usize) -> bool {
        self.is_sign(i, ':') && self.is_sign(i + 1, ':')
    }

    /// Reads the path, or the tree of a `use`, that begins at `i` in a module `depth` deep; gives where to
    /// read on.
    fn path(&mut self, i: usize, depth: isize) -> usize {
        let up = match self.word(i) {
            "crate" => Some(0),
            "super" => Some(depth - 1),
            "self" => Some(depth),
            _ => None,
        };
        match up {
            Some(depth) if self.leads_on(i + 1) => self.path(i + 3, depth),
            // `use crate as other`, `{self as other}`, `super as other`; and not `pub(crate)` or `&self`.
            Some(0) if self.word(i + 1) == "as" => {
                self.found.push(ANYTHING.to_owned());
                i + 1
            }
            Some(_) => i + 1,
            None if self.is_sign(i, '{') => self.group(i, depth),
            None => {
                if depth == 0 {
                    let name = match self.word(i) {
                        "" => ANYTHING,
                        word => word,
                    };
                    let name = name.to_owned();
                    self.found.push(name);
                }
                i + 1
            }
        }
    }

    /// Each branch of a group begins where the group does.
    fn group(&mut self, open: usize, depth: isize) -> usize {
        let mut i = open + 1;
        while i < self.tokens.len() && !self.is_sign(i, '}') {
            i = self.path(i, depth);
            // What comes after the first name of a branch is no matter of the root's.
            let mut braces = 0;
            while i < self.tokens.len() {
                match &self.tokens[i] {
                    Token::Sign('{') => braces += 1,
                    Token::Sign('}') if braces == 0 => break,
                    Token::Sign('}') => braces -= 1,
                    Token::Sign(',') if braces == 0 => {
                        i += 1;
                        break;
                    }
                    _ => {}
                }
                i += 1;
            }
        }
        i + 1
    }
}

/// What the root declares: each module by its own name, and what is re-exported by the module that it comes
/// from. What comes from another crate is left out.
pub(crate) fn declared(root: &str) -> BTreeMap<String, String> {
    let tokens = tokens(root);
    let word = |i: usize| match tokens.get(i) {
        Some(Token::Word(word)) => word.as_str(),
        _ => "",
    };
    let mut modules = BTreeMap::new();
    let mut uses = Vec::new();
    for i in 0..tokens.len() {
        match word(i) {
            "mod" => {
                modules.insert(word(i + 1).to_owned(), word(i + 1).to_owned());
            }
            "use" => {
                let tree: Vec<_> = tokens[i + 1..]
                    .iter()
                    .take_while(|token| **token != Token::Sign(';'))
                    .collect();
                let words = tree.iter().filter_map(|token| match token {
                    Token::Word(word) if word != "crate" && word != "self" => Some(word.clone()),
                    _ => None,
                });
                uses.push(words.collect::<Vec<_>>());
            }
            _ => {}
        }
    }
    let mut names = modules.clone();
    for words in uses {
        let Some(from) = words.first().filter(|from| modules.contains_key(*from)) else {
            continue;
        };
        for name in &words[1..] {
            // A module keeps its own name where a function of it has the same.
            names.entry(name.clone()).or_insert_with(|| from.clone());
        }
    }
    names
}
