use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use rust_decimal::{Decimal, RoundingStrategy};

use crate::{Key, Value};

/// What an expression may compute. *Shape*: numbers of arguments as [`Function::arguments`] says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Function {
    Contains,
    StartsWith,
    EndsWith,
    /// In characters.
    Length,
    /// Of the second text in the first, from 0; -1 where it is not.
    IndexOf,
    /// From a place that counts from 0, to the end or so many characters.
    Substring,
    ToLower,
    ToUpper,
    /// Without white space at both ends.
    Trim,
    /// Without spaces at both ends, and with one between words: `Trim` of Power Fx.
    TrimWords,
    Concat,
    /// The text itself, or blank where it is empty.
    Filled,
    /// The text of a whole number, a GUID or a date: each of them has one.
    AsText,
    Year,
    Month,
    Day,
    Hour,
    Minute,
    Second,
    FractionalSeconds,
    Date,
    Time,
    Round,
    Floor,
    Ceiling,
    Add,
    Subtract,
    Multiply,
    /// Of two whole numbers the whole part.
    Divide,
    /// Always with its fraction.
    DivideExactly,
    Modulo,
    Negate,
    /// The GUID that [`crate::guid`] computes from the parts of a key.
    KeyGuid,
    /// The text itself, compared as the source compares it: only of a column that [`super::Queryable::orders`].
    AsStored,
}

impl Function {
    pub const ALL: &'static [Function] = &[
        Function::Contains,
        Function::StartsWith,
        Function::EndsWith,
        Function::Length,
        Function::IndexOf,
        Function::Substring,
        Function::ToLower,
        Function::ToUpper,
        Function::Trim,
        Function::TrimWords,
        Function::Concat,
        Function::Filled,
        Function::AsText,
        Function::Year,
        Function::Month,
        Function::Day,
        Function::Hour,
        Function::Minute,
        Function::Second,
        Function::FractionalSeconds,
        Function::Date,
        Function::Time,
        Function::Round,
        Function::Floor,
        Function::Ceiling,
        Function::Add,
        Function::Subtract,
        Function::Multiply,
        Function::Divide,
        Function::DivideExactly,
        Function::Modulo,
        Function::Negate,
        Function::KeyGuid,
        Function::AsStored,
    ];

    /// A name of letters and underscores, for a database that is taught the function.
    pub fn name(self) -> &'static str {
        match self {
            Function::Contains => "contains",
            Function::StartsWith => "starts_with",
            Function::EndsWith => "ends_with",
            Function::Length => "length",
            Function::IndexOf => "index_of",
            Function::Substring => "substring",
            Function::ToLower => "to_lower",
            Function::ToUpper => "to_upper",
            Function::Trim => "trim",
            Function::TrimWords => "trim_words",
            Function::Concat => "concat",
            Function::Filled => "filled",
            Function::AsText => "as_text",
            Function::Year => "year",
            Function::Month => "month",
            Function::Day => "day",
            Function::Hour => "hour",
            Function::Minute => "minute",
            Function::Second => "second",
            Function::FractionalSeconds => "fractional_seconds",
            Function::Date => "date",
            Function::Time => "time",
            Function::Round => "round",
            Function::Floor => "floor",
            Function::Ceiling => "ceiling",
            Function::Add => "add",
            Function::Subtract => "subtract",
            Function::Multiply => "multiply",
            Function::Divide => "divide",
            Function::DivideExactly => "divide_exactly",
            Function::Modulo => "modulo",
            Function::Negate => "negate",
            Function::KeyGuid => "key_guid",
            Function::AsStored => "as_stored",
        }
    }

    /// The least and the most arguments.
    pub fn arguments(self) -> (usize, usize) {
        match self {
            Function::Contains | Function::StartsWith | Function::EndsWith | Function::IndexOf | Function::Concat => {
                (2, 2)
            }
            Function::Add
            | Function::Subtract
            | Function::Multiply
            | Function::Divide
            | Function::DivideExactly
            | Function::Modulo => (2, 2),
            Function::Substring => (2, 3),
            Function::KeyGuid => (1, 16),
            _ => (1, 1),
        }
    }

    /// The result for these arguments. A blank argument gives a blank, and so does what has no result: a division by
    /// zero, more digits than there are, an argument of a type that the function does not take.
    pub fn apply(self, arguments: &[Value]) -> Value {
        if arguments.iter().any(Value::is_blank) {
            return Value::Blank;
        }
        self.of(arguments).unwrap_or_default()
    }

    fn of(self, arguments: &[Value]) -> Option<Value> {
        let text = |at: usize| text(arguments.get(at)?);
        let count = |length: usize| i64::try_from(length).ok().map(Value::Int);
        Some(match self {
            Function::Contains => Value::Bool(text(0)?.contains(text(1)?)),
            Function::StartsWith => Value::Bool(text(0)?.starts_with(text(1)?)),
            Function::EndsWith => Value::Bool(text(0)?.ends_with(text(1)?)),
            Function::Length => count(text(0)?.chars().count())?,
            Function::IndexOf => match text(0)?.find(text(1)?) {
                Some(at) => count(text(0)?[..at].chars().count())?,
                None => Value::Int(-1),
            },
            Function::Substring => {
                let from = usize::try_from(whole(arguments.get(1)?)?.max(0)).ok()?;
                let length = match arguments.get(2) {
                    Some(length) => usize::try_from(whole(length)?.max(0)).ok()?,
                    None => usize::MAX,
                };
                Value::Text(text(0)?.chars().skip(from).take(length).collect())
            }
            Function::ToLower => Value::Text(text(0)?.to_lowercase()),
            Function::ToUpper => Value::Text(text(0)?.to_uppercase()),
            Function::Trim => Value::text(text(0)?.trim()),
            Function::TrimWords => {
                let words: Vec<&str> = text(0)?.split(' ').filter(|word| !word.is_empty()).collect();
                Value::Text(words.join(" "))
            }
            Function::Concat => Value::Text(format!("{}{}", text(0)?, text(1)?)),
            Function::Filled => Value::text(Some(text(0)?).filter(|text| !text.is_empty())?),
            Function::AsText => match &arguments[0] {
                Value::Decimal(number) => Value::Text(number.normalize().to_string()),
                other => Value::Text(other.to_string()),
            },
            Function::Year => Value::Int(date(&arguments[0])?.year().into()),
            Function::Month => Value::Int(date(&arguments[0])?.month().into()),
            Function::Day => Value::Int(date(&arguments[0])?.day().into()),
            Function::Hour => Value::Int(time(&arguments[0])?.hour().into()),
            Function::Minute => Value::Int(time(&arguments[0])?.minute().into()),
            Function::Second => Value::Int(time(&arguments[0])?.second().into()),
            Function::FractionalSeconds => {
                Value::Decimal(Decimal::new(time(&arguments[0])?.subsec_nanosecond().into(), 9).normalize())
            }
            Function::Date => Value::Date(date(&arguments[0])?),
            Function::Time => Value::Time(time(&arguments[0])?),
            Function::Round => rounded(&arguments[0], RoundingStrategy::MidpointAwayFromZero)?,
            Function::Floor => rounded(&arguments[0], RoundingStrategy::ToNegativeInfinity)?,
            Function::Ceiling => rounded(&arguments[0], RoundingStrategy::ToPositiveInfinity)?,
            Function::Negate => match &arguments[0] {
                Value::Int(number) => Value::Int(number.checked_neg()?),
                Value::Decimal(number) => Value::Decimal(-*number),
                Value::Float(number) => Value::Float(-*number),
                _ => return None,
            },
            Function::Add
            | Function::Subtract
            | Function::Multiply
            | Function::Divide
            | Function::DivideExactly
            | Function::Modulo => self.arithmetic(&arguments[0], &arguments[1])?,
            Function::KeyGuid => Value::Guid(crate::guid::hashed(&Key::of(arguments).ok()?)),
            Function::AsStored => arguments[0].clone(),
        })
    }

    fn arithmetic(self, left: &Value, right: &Value) -> Option<Value> {
        if let (Value::Int(a), Value::Int(b)) = (left, right) {
            let whole = match self {
                Function::Add => a.checked_add(*b),
                Function::Subtract => a.checked_sub(*b),
                Function::Multiply => a.checked_mul(*b),
                Function::Divide => return a.checked_div(*b).map(Value::Int),
                Function::Modulo => return a.checked_rem(*b).map(Value::Int),
                _ => None,
            };
            if let Some(whole) = whole {
                return Some(Value::Int(whole));
            }
        }
        if matches!(left, Value::Float(_)) || matches!(right, Value::Float(_)) {
            let (a, b) = (float(left)?, float(right)?);
            let result = match self {
                Function::Add => a + b,
                Function::Subtract => a - b,
                Function::Multiply => a * b,
                Function::Modulo => a % b,
                _ => a / b,
            };
            return result.is_finite().then_some(Value::Float(result));
        }
        let (a, b) = (decimal(left)?, decimal(right)?);
        let result = match self {
            Function::Add => a.checked_add(b),
            Function::Subtract => a.checked_sub(b),
            Function::Multiply => a.checked_mul(b),
            Function::Modulo => a.checked_rem(b),
            _ => a.checked_div(b),
        };
        result.map(|number| Value::Decimal(number.normalize()))
    }
}

pub(super) fn text(value: &Value) -> Option<&str> {
    match value {
        Value::Text(text) | Value::Choice(text) => Some(text),
        _ => None,
    }
}

fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::Int(number) => Some(*number),
        Value::Decimal(number) if number.is_integer() => i64::try_from(*number).ok(),
        _ => None,
    }
}

pub(super) fn decimal(value: &Value) -> Option<Decimal> {
    match value {
        Value::Int(number) => Some((*number).into()),
        Value::Decimal(number) => Some(*number),
        _ => None,
    }
}

pub(super) fn float(value: &Value) -> Option<f64> {
    match value {
        Value::Float(number) => Some(*number),
        other => decimal(other)?.try_into().ok(),
    }
}

fn date(value: &Value) -> Option<Date> {
    match value {
        Value::Date(date) => Some(*date),
        Value::Instant(at) => Some(TimeZone::UTC.to_datetime(*at).date()),
        Value::LocalDateTime(at) => Some(at.date()),
        _ => None,
    }
}

fn time(value: &Value) -> Option<Time> {
    match value {
        Value::Time(time) => Some(*time),
        Value::Date(_) => Some(Time::midnight()),
        Value::Instant(at) => Some(TimeZone::UTC.to_datetime(*at).time()),
        Value::LocalDateTime(at) => Some(at.time()),
        _ => None,
    }
}

fn rounded(value: &Value, strategy: RoundingStrategy) -> Option<Value> {
    Some(match value {
        Value::Int(number) => Value::Int(*number),
        Value::Decimal(number) => Value::Decimal(number.round_dp_with_strategy(0, strategy)),
        Value::Float(number) => Value::Float(match strategy {
            RoundingStrategy::ToNegativeInfinity => number.floor(),
            RoundingStrategy::ToPositiveInfinity => number.ceil(),
            _ => number.round(),
        }),
        _ => return None,
    })
}
