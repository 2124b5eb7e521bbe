//! SQL filters, as subscriptions of Azure Service Bus have them: a condition on a message's properties.
//!
//! *Source*: "Subscription rule SQL filter syntax" of Azure Service Bus. Three-valued logic: what compares with a
//! property that is not there, or of another kind, is unknown, and only `true` lets a message pass.

mod parse;

use std::cmp::Ordering;

use super::filter::property;
use super::message::{Message, Property};

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
        let tree = parse::tree(text)?;
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
