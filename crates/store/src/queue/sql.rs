//! SQL filters, as subscriptions of Azure Service Bus have them: a condition on a message's properties.
//!
//! *Source*: "Subscription rule SQL filter syntax" of Azure Service Bus. Three-valued logic: what compares with a
//! property that is not there, or of another kind, is unknown, and only `true` lets a message pass.

use std::cmp::Ordering;

use super::filter::property;
use super::message::{Message, Property};

/// The longest condition.
const LENGTH_MAX: usize = 1024;
/// The deepest nesting.
const DEPTH_MAX: usize = 32;

/// A condition that was understood.
#[derive(Debug, Clone)]
pub struct Condition {
    text: String,
    tree: Tree,
}

impl PartialEq for Condition {
    fn eq(&self, other: &Condition) -> bool {
        self.text == other.text
    }
}

/// Why a condition was not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the filter cannot be read at byte {at}: expected {expected}")]
pub struct NotACondition {
    pub at: usize,
    pub expected: &'static str,
}

#[derive(Debug, Clone)]
enum Tree {
    Value(Value),
    Property(String),
    Exists(String),
    Not(Box<Tree>),
    Negative(Box<Tree>),
    Binary(Operator, Box<Tree>, Box<Tree>),
    IsNull(Box<Tree>),
    In(Box<Tree>, Vec<Tree>),
    Like(Box<Tree>, Box<Tree>, Option<char>),
}

#[derive(Debug, Clone, Copy)]
enum Operator {
    Or,
    And,
    Compare(fn(Ordering) -> bool),
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

#[derive(Debug, Clone, PartialEq)]
enum Value {
    Unknown,
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(String),
    /// Comparable with its like only.
    Other(Property),
}

impl Condition {
    /// Reads a condition.
    pub fn parse(text: &str) -> Result<Condition, NotACondition> {
        if text.len() > LENGTH_MAX {
            return Err(NotACondition { at: LENGTH_MAX, expected: "at most 1024 bytes" });
        }
        let mut parser = Parser { text, at: 0, depth: 0 };
        let tree = parser.expression(0)?;
        parser.skip();
        if parser.at < text.len() {
            return Err(parser.expected("the end, or an operator"));
        }
        Ok(Condition { text: text.to_owned(), tree })
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn matches(&self, message: &Message) -> bool {
        self.tree.value(message) == Value::Bool(true)
    }
}

impl Tree {
    fn value(&self, message: &Message) -> Value {
        match self {
            Tree::Value(value) => value.clone(),
            Tree::Property(name) => property(message, name).map_or(Value::Unknown, Value::of),
            Tree::Exists(name) => Value::Bool(property(message, name).is_some()),
            Tree::Not(tree) => match tree.value(message) {
                Value::Bool(value) => Value::Bool(!value),
                _ => Value::Unknown,
            },
            Tree::Negative(tree) => match tree.value(message) {
                Value::Int(value) => value.checked_neg().map_or(Value::Unknown, Value::Int),
                Value::Double(value) => Value::Double(-value),
                _ => Value::Unknown,
            },
            Tree::Binary(operator, left, right) => operator.apply(left, right, message),
            Tree::IsNull(tree) => Value::Bool(tree.value(message) == Value::Unknown),
            Tree::In(tree, list) => {
                let value = tree.value(message);
                any(list.iter().map(|item| Value::compare(&value, &item.value(message), Ordering::is_eq)))
            }
            Tree::Like(tree, pattern, escape) => match (tree.value(message), pattern.value(message)) {
                (Value::Text(text), Value::Text(pattern)) => {
                    let pattern = Wild::parse(&pattern, *escape);
                    Value::Bool(like(&text.chars().collect::<Vec<_>>(), &pattern))
                }
                _ => Value::Unknown,
            },
        }
    }
}

impl Operator {
    fn apply(self, left: &Tree, right: &Tree, message: &Message) -> Value {
        let (left, right) = (left.value(message), right.value(message));
        match self {
            Operator::Or => any([left, right].into_iter()),
            Operator::And => match (left, right) {
                (Value::Bool(false), _) | (_, Value::Bool(false)) => Value::Bool(false),
                (Value::Bool(true), Value::Bool(true)) => Value::Bool(true),
                _ => Value::Unknown,
            },
            Operator::Compare(holds) => Value::compare(&left, &right, holds),
            Operator::Add => match (left, right) {
                (Value::Text(left), Value::Text(right)) => Value::Text(left + &right),
                (left, right) => Value::reckon(left, right, i64::checked_add, |a, b| a + b),
            },
            Operator::Subtract => Value::reckon(left, right, i64::checked_sub, |a, b| a - b),
            Operator::Multiply => Value::reckon(left, right, i64::checked_mul, |a, b| a * b),
            Operator::Divide => Value::reckon(left, right, i64::checked_div, |a, b| a / b),
            Operator::Remainder => Value::reckon(left, right, i64::checked_rem, |a, b| a % b),
        }
    }
}

/// True if one is true, unknown if one might be.
fn any(values: impl Iterator<Item = Value>) -> Value {
    let mut result = Value::Bool(false);
    for value in values {
        match value {
            Value::Bool(true) => return value,
            Value::Bool(false) => {}
            _ => result = Value::Unknown,
        }
    }
    result
}

impl Value {
    fn of(property: Property) -> Value {
        match property {
            Property::Bool(value) => Value::Bool(value),
            Property::Int(value) => Value::Int(value),
            Property::Double(value) => Value::Double(value),
            Property::Text(value) => Value::Text(value),
            other => Value::Other(other),
        }
    }

    fn compare(left: &Value, right: &Value, holds: fn(Ordering) -> bool) -> Value {
        let order = match (left, right) {
            (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
            (Value::Text(a), Value::Text(b)) => Some(a.cmp(b)),
            (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
            (Value::Other(Property::Instant(a)), Value::Other(Property::Instant(b))) => Some(a.cmp(b)),
            (Value::Other(Property::Guid(a)), Value::Other(Property::Guid(b))) => Some(a.cmp(b)),
            (Value::Other(Property::Bytes(a)), Value::Other(Property::Bytes(b))) => Some(a.cmp(b)),
            _ => left.double().zip(right.double()).and_then(|(a, b)| a.partial_cmp(&b)),
        };
        order.map_or(Value::Unknown, |order| Value::Bool(holds(order)))
    }

    fn reckon(a: Value, b: Value, ints: fn(i64, i64) -> Option<i64>, doubles: fn(f64, f64) -> f64) -> Value {
        match (&a, &b) {
            (Value::Int(a), Value::Int(b)) => ints(*a, *b).map_or(Value::Unknown, Value::Int),
            _ => a.double().zip(b.double()).map_or(Value::Unknown, |(a, b)| Value::Double(doubles(a, b))),
        }
    }

    fn double(&self) -> Option<f64> {
        match self {
            Value::Int(value) => Some(*value as f64),
            Value::Double(value) => Some(*value),
            _ => None,
        }
    }
}

/// One place of a LIKE pattern.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Wild {
    Any,
    One,
    Just(char),
}

impl Wild {
    fn parse(pattern: &str, escape: Option<char>) -> Vec<Wild> {
        let mut chars = pattern.chars();
        let mut out = Vec::new();
        while let Some(char) = chars.next() {
            out.push(match char {
                _ if Some(char) == escape => chars.next().map_or(Wild::Just(char), Wild::Just),
                '%' => Wild::Any,
                '_' => Wild::One,
                char => Wild::Just(char),
            });
        }
        out
    }
}

/// Goes back only to the last `%`, so that no pattern takes longer than text times pattern.
fn like(text: &[char], pattern: &[Wild]) -> bool {
    let (mut at, mut of, mut back) = (0, 0, None);
    while at < text.len() {
        match pattern.get(of) {
            Some(Wild::Any) => {
                back = Some((of, at));
                of += 1;
            }
            Some(wild) if *wild == Wild::One || *wild == Wild::Just(text[at]) => {
                at += 1;
                of += 1;
            }
            _ => {
                let Some((percent, from)) = back else { return false };
                back = Some((percent, from + 1));
                (of, at) = (percent + 1, from + 1);
            }
        }
    }
    pattern[of..].iter().all(|wild| *wild == Wild::Any)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> Message {
        let text = |text: &str| Property::Text(text.into());
        Message {
            id: "m1".into(),
            op: Some("OrderPlaced".into()),
            properties: vec![
                ("region".into(), text("EU")),
                ("amount".into(), Property::Int(100)),
                ("rate".into(), Property::Double(0.5)),
                ("paid".into(), Property::Bool(true)),
                ("name with space".into(), text("it's 100%")),
            ],
            ..Message::default()
        }
    }

    #[test]
    fn conditions_say_which_messages_pass() {
        for (text, expected) in [
            ("1=1", true),
            ("region = 'EU'", true),
            ("REGION = 'EU' AND user.amount >= 100", true),
            ("region = 'eu'", false),
            ("sys.Label = 'OrderPlaced' and sys.MessageId='m1'", true),
            ("amount > 99.5 AND amount < 1e3", true),
            ("amount = '100'", false),
            ("NOT amount = '100'", false),
            ("paid", true),
            ("NOT paid", false),
            ("other = 1 OR paid = TRUE", true),
            ("other = 1 OR paid = FALSE", false),
            ("other IS NULL AND region IS NOT NULL", true),
            ("EXISTS(region) AND NOT EXISTS(other)", true),
            ("region IN ('US', 'EU')", true),
            ("region NOT IN ('US', 'EU')", false),
            ("other NOT IN ('US')", false),
            ("region LIKE 'E_' AND region NOT LIKE 'U%'", true),
            ("[name with space] = 'it''s 100%'", true),
            ("\"name with space\" LIKE '%!%' ESCAPE '!'", true),
            ("region LIKE 'E!_' ESCAPE '!'", false),
            ("amount + 1 * 2 = 102 AND (amount + 1) * 2 = 202", true),
            ("amount - 50 - 50 = 0 AND amount / 3 = 33 AND amount % 3 = 1", true),
            ("-amount < 0 AND rate * 2 = 1", true),
            ("amount / 0 = 1", false),
            ("NOT (region = 'US' OR region = 'CH')", true),
            ("paid = TRUE AND NOT region = 'US' AND amount <> 1", true),
        ] {
            let condition = Condition::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(condition.matches(&message()), expected, "{text}");
        }
    }

    #[test]
    fn rubbish_is_refused_where_it_stands() {
        for (text, at) in
            [("", 0), ("region =", 8), ("region = 'EU", 9), ("(1=1", 4), ("1=1 1", 4), ("a IN (1", 7), ("a IS 1", 5)]
        {
            assert_eq!(Condition::parse(text).unwrap_err().at, at, "{text}");
        }
        assert!(Condition::parse(&"(".repeat(1000)).is_err());
        assert!(Condition::parse(&"NOT ".repeat(250)).is_err());
        assert!(Condition::parse(&"x".repeat(1025)).is_err());
    }
}
