use crate::{Error, Problem};

/// How deep an expression or an `$expand` may nest.
pub const DEPTH_MAX: usize = 60;

/// How many parts (literals, steps, list items …) one option may hold.
pub const NODES_MAX: usize = 20_000;

/// A place in a text, and what has been spent of the bounds.
pub struct Cursor<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    nodes: usize,
}

impl<'a> Cursor<'a> {
    pub fn new(text: &'a str) -> Cursor<'a> {
        Cursor { text, at: 0, depth: 0, nodes: 0 }
    }

    pub fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    pub fn at(&self) -> usize {
        self.at
    }

    pub fn set(&mut self, at: usize) {
        self.at = at;
    }

    pub fn error(&self, problem: Problem) -> Error {
        self.error_at(self.at, problem)
    }

    pub fn error_at(&self, at: usize, problem: Problem) -> Error {
        Error { problem, at, text: self.text.to_owned() }
    }

    pub fn end_of_text(&self) -> usize {
        self.text.len()
    }

    pub fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    pub fn skip_spaces(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    /// Moves over `token` if it comes next.
    pub fn take(&mut self, token: &str) -> bool {
        let there = self.rest().starts_with(token);
        if there {
            self.at += token.len();
        }
        there
    }

    pub fn expect(&mut self, token: &'static str) -> Result<(), Error> {
        if self.take(token) { Ok(()) } else { Err(self.error(Problem::Expected(token))) }
    }

    /// Moves over `word` if it comes next as a whole word.
    pub fn take_word(&mut self, word: &str) -> bool {
        let rest = self.rest();
        let there = rest.starts_with(word) && !rest[word.len()..].starts_with(is_name);
        if there {
            self.at += word.len();
        }
        there
    }

    /// A name: a letter, `_` or `$` first, then also digits; `dots` allows qualified names.
    pub fn name(&mut self, dots: bool) -> Option<&'a str> {
        let rest = self.rest();
        let first = rest.chars().next()?;
        if !(first.is_alphabetic() || first == '_' || first == '$') {
            return None;
        }
        let end = rest[first.len_utf8()..]
            .find(|c| !(is_name(c) || dots && c == '.'))
            .map_or(rest.len(), |end| end + first.len_utf8());
        let name = rest[..end].trim_end_matches('.');
        self.at += name.len();
        Some(name)
    }

    pub fn done(&mut self) -> Result<(), Error> {
        self.skip_spaces();
        if self.rest().is_empty() {
            return Ok(());
        }
        // `'O'Brien'`: a quote that was not doubled closes too early, and the last one then closes nothing.
        if self.rest().matches('\'').count() % 2 == 1 {
            return Err(self.error_at(self.text.len(), Problem::UnterminatedLiteral));
        }
        Err(self.error(Problem::Trailing))
    }

    pub fn depth(&self) -> usize {
        self.depth
    }

    pub fn deeper(&mut self) -> Result<(), Error> {
        self.depth += 1;
        if self.depth > DEPTH_MAX { Err(self.error(Problem::TooDeep)) } else { Ok(()) }
    }

    pub fn shallower(&mut self) {
        self.depth -= 1;
    }

    pub fn count_node(&mut self) -> Result<(), Error> {
        self.nodes += 1;
        if self.nodes > NODES_MAX { Err(self.error(Problem::TooLarge)) } else { Ok(()) }
    }

    /// `item (, item)*`, with spaces around the commas.
    pub fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Result<T, Error>) -> Result<Vec<T>, Error> {
        let mut items = Vec::new();
        loop {
            self.skip_spaces();
            self.count_node()?;
            items.push(item(self)?);
            self.skip_spaces();
            if !self.take(",") {
                return Ok(items);
            }
        }
    }
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}
