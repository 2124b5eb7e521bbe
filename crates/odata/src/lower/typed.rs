//! The types of expressions, and comparisons between them.

use jiff::Timestamp;
use jiff::civil::Time;
use jiff::tz::TimeZone;
use record::query::{Comparison, Expr as Out};
use record::{Decimal, Value};

use super::{Lowered, malformed, unsupported};
use crate::Literal;
use crate::service::Edm;

/// What an expression gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ty {
    Null,
    Bool,
    Int,
    Decimal,
    Double,
    Text,
    Date,
    Time,
    Instant,
    Guid,
    Duration,
}

impl Ty {
    pub(super) fn words(self) -> &'static str {
        match self {
            Ty::Null => "null",
            Ty::Bool => "true or false",
            Ty::Int => "a whole number",
            Ty::Decimal | Ty::Double => "a number",
            Ty::Text => "a text",
            Ty::Date => "a date",
            Ty::Time => "a time of the day",
            Ty::Instant => "a date and time",
            Ty::Guid => "a GUID",
            Ty::Duration => "a duration",
        }
    }

    fn is_number(self) -> bool {
        matches!(self, Ty::Int | Ty::Decimal | Ty::Double)
    }
}

impl From<Edm> for Ty {
    fn from(edm: Edm) -> Ty {
        match edm {
            Edm::String => Ty::Text,
            Edm::Boolean => Ty::Bool,
            Edm::Int64 => Ty::Int,
            Edm::Decimal(_) => Ty::Decimal,
            Edm::Double => Ty::Double,
            Edm::DateTimeOffset => Ty::Instant,
            Edm::Date => Ty::Date,
            Edm::Guid => Ty::Guid,
        }
    }
}

pub(super) fn literal(literal: &Literal) -> Lowered {
    let (value, ty) = match literal {
        Literal::Null => (Value::Blank, Ty::Null),
        Literal::Bool(yes) => (Value::Bool(*yes), Ty::Bool),
        Literal::Int(number) => (Value::Int(*number), Ty::Int),
        Literal::Decimal(number) => (Value::Decimal(*number), Ty::Decimal),
        Literal::Double(text) => match Decimal::from_scientific(text) {
            Ok(number) => (Value::Decimal(number), Ty::Decimal),
            Err(_) => match text.parse::<f64>() {
                Ok(number) if number.is_finite() => (Value::Float(number), Ty::Double),
                _ => return Err(unsupported(format!("`{text}` as a number is not supported"))),
            },
        },
        Literal::String(text) => (Value::text(text), Ty::Text),
        Literal::Guid(guid) => (Value::Guid(*guid), Ty::Guid),
        Literal::Date(date) => (Value::Date(*date), Ty::Date),
        Literal::Time(time) => (Value::Time(*time), Ty::Time),
        Literal::Instant(at) => (Value::Instant(*at), Ty::Instant),
        Literal::Late(at) => (Value::LocalDateTime(*at), Ty::Instant),
        Literal::Duration(_) => (Value::Blank, Ty::Duration),
        Literal::Binary(_) => return Err(unsupported("binary values are not supported")),
        // A choice leaves as its name; a client that was told of an enumeration sends it with a type.
        Literal::Enum { value, .. } => (Value::text(value), Ty::Text),
    };
    // Databases count the years before 1 differently, or not at all.
    let year = match &value {
        Value::Date(date) => date.year(),
        Value::Instant(at) => TimeZone::UTC.to_datetime(*at).year(),
        _ => 1,
    };
    if year < 1 {
        return Err(malformed("a date before the year 1"));
    }
    if let Value::Text(text) = &value
        && text.contains('\0')
    {
        return Err(malformed("a text with a zero byte in it"));
    }
    Ok((Out::Value(value), ty))
}

/// The comparison of two sides, brought to one type; nothing where they have none in common.
pub(super) fn compared(op: Comparison, left: (Out, Ty), right: (Out, Ty)) -> Option<Out> {
    let ((l, lty), (r, rty)) = (left, right);
    let plain = |l: Out, r: Out| Out::Compare(op, Box::new(l), Box::new(r));
    match (lty, rty) {
        (Ty::Duration, _) | (_, Ty::Duration) => None,
        (Ty::Null, _) | (_, Ty::Null) => Some(plain(l, r)),
        (Ty::Instant, Ty::Instant) if is_late(&r) => with_late(op, l),
        (Ty::Instant, Ty::Instant) if is_late(&l) => with_late(op.mirrored(), r),
        (a, b) if a == b || a.is_number() && b.is_number() => Some(plain(l, r)),
        (Ty::Date, Ty::Instant) => date_and_instant(op, l, r),
        (Ty::Instant, Ty::Date) => date_and_instant(op.mirrored(), r, l),
        // A GUID as text is what clients send that know no types.
        (Ty::Guid, Ty::Text) => Some(plain(l, guid(r)?)),
        (Ty::Text, Ty::Guid) => Some(plain(guid(l)?, r)),
        _ => None,
    }
}

fn guid(side: Out) -> Option<Out> {
    match side {
        Out::Value(Value::Text(text)) => Some(Out::Value(Value::Guid(text.parse().ok()?))),
        _ => None,
    }
}

fn truth(yes: bool) -> Out {
    Out::Value(Value::Bool(yes))
}

fn is_late(side: &Out) -> bool {
    matches!(side, Out::Value(Value::LocalDateTime(_)))
}

/// A comparison with a moment that is later than any other; nothing between two such.
fn with_late(op: Comparison, instant: Out) -> Option<Out> {
    let op = match op {
        _ if is_late(&instant) => return None,
        Comparison::Equal => return Some(truth(false)),
        Comparison::NotEqual => return Some(truth(true)),
        Comparison::Greater | Comparison::GreaterOrEqual => Comparison::Greater,
        Comparison::Less | Comparison::LessOrEqual => Comparison::LessOrEqual,
    };
    let last = Out::Value(Value::Instant(Timestamp::MAX));
    Some(Out::Compare(op, Box::new(instant), Box::new(last)))
}

/// A date is midnight UTC of its day.
fn date_and_instant(op: Comparison, date: Out, instant: Out) -> Option<Out> {
    let moment = match &instant {
        Out::Value(Value::Instant(at)) => Some(TimeZone::UTC.to_datetime(*at)),
        Out::Value(Value::LocalDateTime(at)) => Some(*at),
        _ => None,
    };
    Some(match (date, moment) {
        (Out::Value(Value::Date(date)), None) => match TimeZone::UTC.to_timestamp(date.at(0, 0, 0, 0)) {
            Ok(at) => Out::Compare(op, Box::new(Out::Value(Value::Instant(at))), Box::new(instant)),
            // The last day that there is begins after the last moment.
            Err(_) => return with_late(op.mirrored(), instant),
        },
        (date, Some(at)) => {
            let op = match op {
                _ if at.time() == Time::midnight() => op,
                // Between two midnights: no date is this moment, and it comes after its own day.
                Comparison::Equal => return Some(truth(false)),
                Comparison::NotEqual => return Some(truth(true)),
                Comparison::Greater | Comparison::GreaterOrEqual => Comparison::Greater,
                Comparison::Less | Comparison::LessOrEqual => Comparison::LessOrEqual,
            };
            Out::Compare(op, Box::new(date), Box::new(Out::Value(Value::Date(at.date()))))
        }
        // Two properties: the day of the moment is compared, and only a date of its own would be more exact.
        (date, None) => {
            let day = Out::Call(record::query::Function::Date, vec![instant]);
            Out::Compare(op, Box::new(date), Box::new(day))
        }
    })
}
