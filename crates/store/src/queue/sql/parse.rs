//! Reading an SQL condition: precedence climbing over the text itself.

use std::cmp::Ordering;

use super::{NotACondition, Operator, Tree, Value};

/// The longest condition.
const LENGTH_MAX: usize = 1024;
/// The deepest nesting.
const DEPTH_MAX: usize = 32;

/// The whole text as one condition.
pub(super) fn tree(text: &str) -> Result<Tree, NotACondition> {
    if text.len() > LENGTH_MAX {
        return Err(NotACondition { at: LENGTH_MAX, expected: "at most 1024 bytes" });
    }
    let mut parser = Parser { text, at: 0, depth: 0 };
    let tree = parser.expression(0)?;
    parser.skip();
    if parser.at < text.len() {
        return Err(parser.expected("the end, or an operator"));
    }
    Ok(tree)
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
}

/// How tightly operators bind, loosest first.
const OR: u8 = 1;
const AND: u8 = 2;
const NOT: u8 = 3;
const COMPARE: u8 = 4;
const SUM: u8 = 5;
const PRODUCT: u8 = 6;

impl Parser<'_> {
    fn expected(&self, expected: &'static str) -> NotACondition {
        NotACondition { at: self.at, expected }
    }

    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn skip(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn symbol(&mut self, symbol: &str) -> bool {
        self.skip();
        let found = self.rest().starts_with(symbol);
        self.at += if found { symbol.len() } else { 0 };
        found
    }

    fn word(&mut self, word: &str) -> bool {
        self.skip();
        let rest = self.rest();
        let found = rest.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
            && !rest[word.len()..].starts_with(|char: char| char.is_alphanumeric() || char == '_');
        self.at += if found { word.len() } else { 0 };
        found
    }

    fn expression(&mut self, binding: u8) -> Result<Tree, NotACondition> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.expected("less nesting"));
        }
        let mut left = self.operand()?;
        while let Some(tree) = self.operator(&left, binding)? {
            left = tree;
        }
        self.depth -= 1;
        Ok(left)
    }

    /// What follows `left`, if it binds more tightly than what stands before it.
    fn operator(&mut self, left: &Tree, binding: u8) -> Result<Option<Tree>, NotACondition> {
        let from = self.at;
        let left = || Box::new(left.clone());
        if binding < COMPARE {
            if self.word("IS") {
                let not = self.word("NOT");
                if !self.word("NULL") {
                    return Err(self.expected("NULL"));
                }
                return Ok(Some(negated(Tree::IsNull(left()), not)));
            }
            let not = self.word("NOT");
            if self.word("IN") {
                return Ok(Some(negated(Tree::In(left(), self.list()?), not)));
            }
            if self.word("LIKE") {
                let pattern = Box::new(self.expression(COMPARE)?);
                let escape = if self.word("ESCAPE") { Some(self.escape()?) } else { None };
                return Ok(Some(negated(Tree::Like(left(), pattern, escape), not)));
            }
            self.at = from;
        }
        const SYMBOLS: &[(&str, u8, Operator)] = &[
            ("<>", COMPARE, Operator::Compare(Ordering::is_ne)),
            ("!=", COMPARE, Operator::Compare(Ordering::is_ne)),
            ("<=", COMPARE, Operator::Compare(Ordering::is_le)),
            (">=", COMPARE, Operator::Compare(Ordering::is_ge)),
            ("=", COMPARE, Operator::Compare(Ordering::is_eq)),
            ("<", COMPARE, Operator::Compare(Ordering::is_lt)),
            (">", COMPARE, Operator::Compare(Ordering::is_gt)),
            ("+", SUM, Operator::Add),
            ("-", SUM, Operator::Subtract),
            ("*", PRODUCT, Operator::Multiply),
            ("/", PRODUCT, Operator::Divide),
            ("%", PRODUCT, Operator::Remainder),
        ];
        for (words, tight, operator) in [("OR", OR, Operator::Or), ("AND", AND, Operator::And)] {
            if binding < tight && self.word(words) {
                return Ok(Some(Tree::Binary(operator, left(), Box::new(self.expression(tight)?))));
            }
        }
        for &(symbol, tight, operator) in SYMBOLS {
            if self.symbol(symbol) {
                if binding >= tight {
                    self.at = from;
                    return Ok(None);
                }
                return Ok(Some(Tree::Binary(operator, left(), Box::new(self.expression(tight)?))));
            }
        }
        Ok(None)
    }

    fn operand(&mut self) -> Result<Tree, NotACondition> {
        if self.word("NOT") {
            return Ok(Tree::Not(Box::new(self.expression(NOT)?)));
        }
        if self.symbol("-") {
            return Ok(Tree::Negative(Box::new(self.expression(PRODUCT)?)));
        }
        if self.symbol("(") {
            let tree = self.expression(0)?;
            return if self.symbol(")") { Ok(tree) } else { Err(self.expected("`)`")) };
        }
        for (word, value) in [("TRUE", Value::Bool(true)), ("FALSE", Value::Bool(false)), ("NULL", Value::Unknown)] {
            if self.word(word) {
                return Ok(Tree::Value(value));
            }
        }
        if self.word("EXISTS") {
            let name = if self.symbol("(") { Some(self.name()?) } else { None };
            let name = name.filter(|_| self.symbol(")"));
            return name.map(Tree::Exists).ok_or_else(|| self.expected("EXISTS (property)"));
        }
        self.skip();
        match self.rest().chars().next() {
            Some('\'') => Ok(Tree::Value(Value::Text(self.quoted('\'')?))),
            Some('0'..='9' | '.') => self.number(),
            _ => Ok(Tree::Property(self.name()?)),
        }
    }

    fn list(&mut self) -> Result<Vec<Tree>, NotACondition> {
        let mut list = Vec::new();
        if !self.symbol("(") {
            return Err(self.expected("`(`"));
        }
        loop {
            list.push(self.expression(OR)?);
            match () {
                () if self.symbol(",") => {}
                () if self.symbol(")") => return Ok(list),
                () => return Err(self.expected("`,` or `)`")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, NotACondition> {
        self.skip();
        let text = if self.rest().starts_with('\'') { self.quoted('\'')? } else { String::new() };
        let mut chars = text.chars();
        match (chars.next(), chars.next()) {
            (Some(char), None) => Ok(char),
            _ => Err(self.expected("one character in quotes")),
        }
    }

    /// `name`, `"name"`, `[name]`, each with a scope before it or without.
    fn name(&mut self) -> Result<String, NotACondition> {
        let mut name = self.part()?;
        if self.rest().starts_with('.') {
            self.at += 1;
            name = format!("{name}.{}", self.part()?);
        }
        Ok(name)
    }

    fn part(&mut self) -> Result<String, NotACondition> {
        self.skip();
        match self.rest().chars().next() {
            Some('"') => self.quoted('"'),
            Some('[') => self.quoted(']'),
            Some(char) if char.is_alphabetic() || char == '_' || char == '@' => {
                let rest = self.rest();
                let name = |char: char| char.is_alphanumeric() || matches!(char, '_' | '@' | '$' | '#');
                let end = rest.find(|char| !name(char)).unwrap_or(rest.len());
                let part = rest[..end].to_owned();
                self.at += end;
                Ok(part)
            }
            _ => Err(self.expected("a property, a value or `(`")),
        }
    }

    /// Up to the closing quote; a doubled one stands for itself.
    fn quoted(&mut self, close: char) -> Result<String, NotACondition> {
        let mut out = String::new();
        let mut chars = self.rest().char_indices().skip(1).peekable();
        while let Some((at, char)) = chars.next() {
            if char != close {
                out.push(char);
            } else if chars.peek().is_some_and(|(_, next)| *next == close) {
                out.push(close);
                chars.next();
            } else {
                self.at += at + close.len_utf8();
                return Ok(out);
            }
        }
        Err(self.expected("a closing quote"))
    }

    fn number(&mut self) -> Result<Tree, NotACondition> {
        let rest = self.rest();
        let mut before = ' ';
        let end = rest.find(|char: char| {
            let exponent = matches!(char, '+' | '-') && matches!(before, 'e' | 'E');
            before = char;
            !(exponent || char.is_ascii_digit() || matches!(char, '.' | 'e' | 'E'))
        });
        let text = &rest[..end.unwrap_or(rest.len())];
        let value = match text.parse::<i64>() {
            Ok(value) => Value::Int(value),
            Err(_) => Value::Double(text.parse().map_err(|_| self.expected("a number"))?),
        };
        self.at += text.len();
        Ok(Tree::Value(value))
    }
}

fn negated(tree: Tree, not: bool) -> Tree {
    if not { Tree::Not(Box::new(tree)) } else { tree }
}
