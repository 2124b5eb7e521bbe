//! Text to tokens.

use crate::error::{Diagnostic, DiagnosticKind, Span};

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Token {
    Number(String),
    Text(String),
    /// `true` for one that was written in single quotes, which is never a keyword.
    Name(String, bool),
    Symbol(&'static str),
    /// `$"`: the parser goes on with [`Lexer::interpolated_text`].
    InterpolationStart,
    End,
}

#[derive(Clone)]
pub(crate) struct Lexer<'t> {
    text: &'t str,
    pub at: usize,
}

/// What ended a stretch of literal text inside `$"…"`.
pub(crate) enum Stretch {
    Hole,
    End,
}

/// Longest first, so that a prefix never wins.
const SYMBOLS: [&str; 26] = [
    "<>", "<=", ">=", "&&", "||", "+", "-", "*", "/", "^", "%", "&", "!", "=", "<", ">", ".", ",", ";", "(", ")", "{",
    "}", "[", "]", ":",
];

impl<'t> Lexer<'t> {
    pub fn new(text: &'t str) -> Self {
        Self { text, at: 0 }
    }

    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn error(&self, start: usize, message: &str) -> Diagnostic {
        Diagnostic::new(DiagnosticKind::Syntax, Span::new(start, self.at.max(start)), message)
    }

    fn skip_space(&mut self) -> Result<(), Diagnostic> {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
            self.at += rest.len() - trimmed.len();
            if trimmed.starts_with("//") {
                self.at += trimmed.find('\n').unwrap_or(trimmed.len());
            } else if trimmed.starts_with("/*") {
                let start = self.at;
                match trimmed.find("*/") {
                    Some(end) => self.at += end + 2,
                    None => {
                        self.at = self.text.len();
                        return Err(self.error(start, "this comment is never closed with `*/`"));
                    }
                }
            } else {
                return Ok(());
            }
        }
    }

    pub fn next(&mut self) -> Result<(Token, Span), Diagnostic> {
        self.skip_space()?;
        let start = self.at;
        let Some(c) = self.peek() else { return Ok((Token::End, Span::new(start, start))) };
        let token = if c.is_ascii_digit() || (c == '.' && self.rest()[1..].starts_with(|d: char| d.is_ascii_digit())) {
            Token::Number(self.number())
        } else if c.is_alphabetic() || c == '_' {
            let rest = self.rest();
            let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
            self.at += end;
            Token::Name(rest[..end].to_owned(), false)
        } else if c == '"' {
            Token::Text(self.quoted('"')?)
        } else if c == '\'' {
            let name = self.quoted('\'')?;
            if name.trim().is_empty() {
                return Err(self.error(start, "a name in single quotes cannot be empty"));
            }
            Token::Name(name, true)
        } else if self.rest().starts_with("$\"") {
            self.at += 2;
            Token::InterpolationStart
        } else if let Some(symbol) = SYMBOLS.iter().find(|s| self.rest().starts_with(**s)) {
            self.at += symbol.len();
            Token::Symbol(symbol)
        } else {
            self.at += c.len_utf8();
            return Err(self.error(start, &format!("the character `{c}` means nothing here")));
        };
        Ok((token, Span::new(start, self.at)))
    }

    fn number(&mut self) -> String {
        let bytes = self.rest().as_bytes();
        let digit = |i: usize| bytes.get(i).is_some_and(u8::is_ascii_digit);
        let mut end = 0;
        while digit(end) {
            end += 1;
        }
        if bytes.get(end) == Some(&b'.') {
            end += 1;
            while digit(end) {
                end += 1;
            }
        }
        if matches!(bytes.get(end), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
            if digit(end + 1 + sign) {
                end += 1 + sign;
                while digit(end) {
                    end += 1;
                }
            }
        }
        let number = self.rest()[..end].to_owned();
        self.at += end;
        number
    }

    /// Text up to the closing quote; a doubled quote stands for itself.
    fn quoted(&mut self, quote: char) -> Result<String, Diagnostic> {
        let start = self.at;
        self.at += 1;
        let mut out = String::new();
        loop {
            let Some(end) = self.rest().find(quote) else {
                self.at = self.text.len();
                return Err(self.error(start, &format!("the closing `{quote}` is missing")));
            };
            out.push_str(&self.rest()[..end]);
            self.at += end + 1;
            if self.peek() == Some(quote) {
                out.push(quote);
                self.at += 1;
            } else {
                return Ok(out);
            }
        }
    }

    /// Literal text inside `$"…"`, up to a `{` that opens an expression or to the closing quote.
    pub fn interpolated_text(&mut self) -> Result<(String, Stretch), Diagnostic> {
        let start = self.at;
        let mut out = String::new();
        while let Some(c) = self.peek() {
            self.at += c.len_utf8();
            match c {
                '"' | '{' | '}' if self.peek() == Some(c) => {
                    self.at += 1;
                    out.push(c);
                }
                '"' => return Ok((out, Stretch::End)),
                '{' => return Ok((out, Stretch::Hole)),
                '}' => return Err(self.error(self.at - 1, "a `}` inside `$\"…\"` is written `}}`")),
                c => out.push(c),
            }
        }
        Err(self.error(start, "the closing `\"` is missing"))
    }
}
