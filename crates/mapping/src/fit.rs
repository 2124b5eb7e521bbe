//! Makes a value fit a type, exactly or not at all.
//!
//! Nothing is cut, rounded or guessed: a value that does not fit is a fault of its row, with a code.

use jiff::tz::TimeZone;
use record::{Code, Decimal, Type, Value, ValueRef};

/// Why a value does not fit, without saying where: the caller knows the place.
#[derive(Debug, Clone, PartialEq)]
pub struct Misfit {
    pub code: Code,
    /// `12 characters are more than the 10 that fit`: reads on after the name of the field or column.
    pub why: String,
    pub fix: String,
}

pub const NOT_OF_THE_TYPE: Code = Code("IB0410");
pub const TEXT_TOO_LONG: Code = Code("IB0411");
pub const UNKNOWN_CHOICE: Code = Code("IB0412");
pub const TOO_MANY_DIGITS: Code = Code("IB0414");
pub const LOCAL_TIME: Code = Code("IB0415");

/// Whether values of one type fit another: what can be said before any value was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Suits {
    /// No value but a blank does.
    Never,
    /// Some may: a text may be a number.
    Perhaps,
    /// Each does, but for its length, its digits or its choice.
    Surely,
}

/// What [`fit`] makes of values that a column of type `from` holds.
pub fn suits(from: &Type, to: &Type) -> Suits {
    use Suits::{Never, Perhaps, Surely};
    let is_text = |ty: &Type| matches!(ty, Type::Text { .. } | Type::Multiline { .. } | Type::Person);
    let is_number = |ty: &Type| matches!(ty, Type::WholeNumber | Type::Decimal { .. } | Type::Money | Type::Float);
    match (from, to) {
        (Type::Unknown, _) | (_, Type::Unknown) => Surely,
        // What these hold is told by their systems, each in its own way.
        (Type::Reference { .. } | Type::Lines(_) | Type::Choices { .. }, _) => Surely,
        (_, Type::Reference { .. } | Type::Lines(_)) => Surely,
        (from, Type::Text { .. } | Type::Multiline { .. } | Type::Person | Type::Choices { .. }) => match from {
            Type::YesNo | Type::Float | Type::Time | Type::LocalDateTime | Type::Bytes => Never,
            _ => Surely,
        },
        (Type::Decimal { .. } | Type::Money | Type::Float, Type::WholeNumber) => Perhaps,
        (from, to) if is_number(to) && is_number(from) => Surely,
        (from, to) if is_number(to) => {
            if is_text(from) || matches!(from, Type::Choice { .. }) {
                Perhaps
            } else {
                Never
            }
        }
        (Type::YesNo, Type::YesNo) => Surely,
        (Type::WholeNumber, Type::YesNo) => Perhaps,
        (from, Type::Choice { .. }) => match from {
            Type::Choice { .. } | Type::WholeNumber => Surely,
            from if is_text(from) => Surely,
            Type::Decimal { .. } | Type::Money => Perhaps,
            _ => Never,
        },
        (Type::LocalDateTime, Type::DateTime) | (Type::DateTime, Type::LocalDateTime) => Surely,
        (from, Type::Date | Type::Time | Type::DateTime | Type::Guid) if is_text(from) => Perhaps,
        (Type::Bytes, Type::Guid) => Perhaps,
        (from, to) if std::mem::discriminant(from) == std::mem::discriminant(to) => Surely,
        _ => Never,
    }
}

fn misfit(code: Code, why: String, fix: &str) -> Misfit {
    Misfit { code, why, fix: fix.to_owned() }
}

/// The value as this type holds it; a blank fits every type, and a text of nothing is a blank.
///
/// `zone` is the zone of times that come without one.
pub fn fit(value: ValueRef<'_>, ty: &Type, zone: Option<&TimeZone>) -> Result<Value, Misfit> {
    if value.is_blank() || matches!(value, ValueRef::Text("")) {
        return Ok(Value::Blank);
    }
    let wrong = || {
        let why = format!("is {} `{value}`, and not {}", value.kind(), ty.word());
        misfit(NOT_OF_THE_TYPE, why, "correct the value in the source, or convert it with a formula in the mapping")
    };
    match ty {
        Type::Unknown => Ok(value.to_owned()),
        Type::Text { max_length } | Type::Multiline { max_length } => {
            within(text(value).ok_or_else(wrong)?, *max_length).map(Value::Text)
        }
        Type::Person => text(value).map(Value::Text).ok_or_else(wrong),
        Type::WholeNumber => {
            let number = decimal(value).ok_or_else(wrong)?;
            if !number.is_integer() {
                return Err(misfit(
                    TOO_MANY_DIGITS,
                    format!("is {number}, which is not whole"),
                    "round it in the mapping, for example =Round(amount, 0)",
                ));
            }
            i64::try_from(number).map(Value::Int).map_err(|_| wrong())
        }
        Type::Decimal { scale } => scaled(decimal(value).ok_or_else(wrong)?, *scale).map(Value::Decimal),
        // The field says the currency; every currency that Dynamics ships has at most four digits.
        Type::Money => scaled(decimal(value).ok_or_else(wrong)?, Some(4)).map(Value::Decimal),
        Type::Float => match value {
            ValueRef::Float(v) if v.is_finite() => Ok(Value::Float(v)),
            _ => decimal(value).and_then(|d| f64::try_from(d).ok()).map(Value::Float).ok_or_else(wrong),
        },
        Type::YesNo => match value {
            ValueRef::Bool(v) => Ok(Value::Bool(v)),
            ValueRef::Int(0) => Ok(Value::Bool(false)),
            ValueRef::Int(1) => Ok(Value::Bool(true)),
            _ => Err(wrong()),
        },
        Type::Date => match value {
            ValueRef::Date(v) => Ok(Value::Date(v)),
            // What a date has no place for, such as the hour behind it, is not dropped.
            ValueRef::Text(v) => match v.parse::<jiff::civil::DateTime>() {
                Ok(at) if at.time() == jiff::civil::Time::midnight() => Ok(Value::Date(at.date())),
                _ => Err(wrong()),
            },
            _ => Err(wrong()),
        },
        Type::Time => match value {
            ValueRef::Time(v) => Ok(Value::Time(v)),
            ValueRef::Text(v) => v.parse().map(Value::Time).map_err(|_| wrong()),
            _ => Err(wrong()),
        },
        Type::DateTime => match value {
            ValueRef::Instant(v) => Ok(Value::Instant(v)),
            ValueRef::LocalDateTime(v) => local(v, zone).map(Value::Instant),
            ValueRef::Text(v) => match v.parse::<jiff::Timestamp>() {
                Ok(instant) => Ok(Value::Instant(instant)),
                Err(_) => local(v.parse().map_err(|_| wrong())?, zone).map(Value::Instant),
            },
            _ => Err(wrong()),
        },
        Type::LocalDateTime => match value {
            ValueRef::LocalDateTime(v) => Ok(Value::LocalDateTime(v)),
            ValueRef::Instant(v) => match zone {
                Some(zone) => Ok(Value::LocalDateTime(zone.to_datetime(v))),
                None => Err(misfit(
                    LOCAL_TIME,
                    format!("is {v}, and here goes what a clock on the wall shows, without its zone"),
                    "say whose clock: add `time_zone:` to the system's file, for example time_zone: Europe/London",
                )),
            },
            _ => Err(wrong()),
        },
        Type::Choice { values } => choice(value, values).ok_or_else(wrong)?,
        Type::Choices { values } => choices(&text(value).ok_or_else(wrong)?, values),
        Type::Guid => match value {
            ValueRef::Guid(v) => Ok(Value::Guid(v)),
            // In the order in which it is written.
            ValueRef::Bytes(v) => v.to_vec().try_into().map(Value::Guid).map_err(|_| wrong()),
            ValueRef::Text(v) => v.trim_matches(['{', '}']).parse().map(Value::Guid).map_err(|_| wrong()),
            _ => Err(wrong()),
        },
        Type::Bytes => match value {
            ValueRef::Bytes(v) => Ok(Value::Bytes(v.to_owned())),
            _ => Err(wrong()),
        },
        Type::Reference { .. } => match value {
            ValueRef::Reference(v) => Ok(Value::Reference(Box::new(v.clone()))),
            _ => Err(wrong()),
        },
        Type::Lines(_) => match value {
            ValueRef::Rows(v) => Ok(Value::Rows(v.to_vec())),
            _ => Err(wrong()),
        },
    }
}

/// A value as text, where it has one form that everybody writes: not a yes/no, and not a float.
pub fn text(value: ValueRef<'_>) -> Option<String> {
    match value {
        ValueRef::Text(v) | ValueRef::Choice(v) => Some(v.to_owned()),
        ValueRef::Int(v) => Some(v.to_string()),
        ValueRef::Decimal(v) => Some(v.normalize().to_string()),
        ValueRef::Guid(v) => Some(v.to_string()),
        ValueRef::Date(v) => Some(v.to_string()),
        ValueRef::Instant(v) => Some(v.to_string()),
        _ => None,
    }
}

/// An exact number, also from its plain text (`-12.50`); never from a float that has no exact decimal of few digits.
fn decimal(value: ValueRef<'_>) -> Option<Decimal> {
    match value {
        ValueRef::Int(v) => Some(v.into()),
        ValueRef::Decimal(v) => Some(v),
        // Rust prints the shortest text that is this float again: 0.1 for the float nearest to 0.1.
        ValueRef::Float(v) if v.is_finite() => v.to_string().parse().ok(),
        ValueRef::Text(v) => Decimal::from_str_exact(v.trim()).ok(),
        _ => None,
    }
}

fn scaled(number: Decimal, scale: Option<u32>) -> Result<Decimal, Misfit> {
    let exact = number.normalize();
    match scale {
        Some(scale) if exact.scale() > scale => Err(misfit(
            TOO_MANY_DIGITS,
            format!("is {exact}, which has more than {scale} digits after the point"),
            "round it in the mapping, for example =Round(amount, 2)",
        )),
        _ => Ok(exact),
    }
}

fn within(text: String, max_length: Option<u32>) -> Result<String, Misfit> {
    match max_length {
        // Counting characters costs more than counting bytes, and there are never fewer bytes.
        Some(max) if text.len() > max as usize && text.chars().count() > max as usize => Err(misfit(
            TEXT_TOO_LONG,
            format!("has {} characters, and {max} fit", text.chars().count()),
            "shorten the value in the source, or cut it on purpose with =Left(…) in the mapping",
        )),
        _ => Ok(text),
    }
}

fn local(value: jiff::civil::DateTime, zone: Option<&TimeZone>) -> Result<jiff::Timestamp, Misfit> {
    let Some(zone) = zone else {
        return Err(misfit(
            LOCAL_TIME,
            format!("is {value} without a time zone"),
            "add `time_zone:` to the system's file, for example time_zone: Europe/London",
        ));
    };
    let name = zone.iana_name().unwrap_or("this time zone").to_owned();
    let at = zone.to_ambiguous_timestamp(value);
    if at.earlier().is_err() {
        return Err(misfit(
            LOCAL_TIME,
            format!("is {value}, an end that never comes, and not a point in time"),
            "leave it blank, for example =If(Year(valid_to) = 9999, Blank(), valid_to)",
        ));
    }
    at.unambiguous().map_err(|_| {
        misfit(
            LOCAL_TIME,
            format!("is {value}, which in {name} does not exist or exists twice: the clocks changed then"),
            "let the source give the time with its offset, or correct the row",
        )
    })
}

/// `None` where the value is not text-like at all; a misfit where it is not one of the names.
fn choice(value: ValueRef<'_>, values: &[String]) -> Option<Result<Value, Misfit>> {
    let name = match value {
        ValueRef::Choice(v) | ValueRef::Text(v) => v.to_owned(),
        // A formula gives numbers.
        ValueRef::Decimal(v) if v.is_integer() => return choice(ValueRef::Int(i64::try_from(v).ok()?), values),
        // A choice of a system: its options are numbers.
        ValueRef::Int(v) => {
            let name = v.to_string();
            let known = values.is_empty() || values.contains(&name);
            return Some(if known { Ok(Value::Int(v)) } else { Err(unknown_choice(&name, values)) });
        }
        _ => return None,
    };
    if values.contains(&name) {
        return Some(Ok(Value::Choice(name)));
    }
    Some(Err(unknown_choice(&name, values)))
}

/// Several choices, each once and in one order: systems give them in any, or in their own. The options of a system, which
/// are numbers, are known all; names that people gave are not asked for.
fn choices(text: &str, values: &[String]) -> Result<Value, Misfit> {
    let mut chosen: Vec<&str> = text.split([',', ';']).map(str::trim).filter(|choice| !choice.is_empty()).collect();
    let are_options = !values.is_empty() && values.iter().all(|value| value.parse::<i64>().is_ok());
    if let Some(unknown) = chosen.iter().find(|choice| are_options && !values.iter().any(|value| value == *choice)) {
        return Err(unknown_choice(unknown, values));
    }
    chosen.sort_by_key(|choice| (choice.parse::<i64>().unwrap_or(i64::MAX), *choice));
    chosen.dedup();
    Ok(if chosen.is_empty() { Value::Blank } else { Value::Text(chosen.join(",")) })
}

/// The fault of a value that a choice does not know.
pub fn unknown_choice(value: &str, known: &[String]) -> Misfit {
    let fix = match known.iter().find(|name| name.to_lowercase() == value.to_lowercase()) {
        Some(name) => {
            format!("say in the mapping which value of the system is which, each: `choice: {{ {name}: {value}, … }}`")
        }
        None => "correct the value in the source, or add it to the choice in the mapping and in the entity".to_owned(),
    };
    let why = format!("is `{value}`, which the choice does not know (it knows {})", known.join(", "));
    Misfit { code: UNKNOWN_CHOICE, why, fix }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: Value, ty: &Type, expected: Result<Value, (Code, &str)>) {
        let got = fit(value.as_ref(), ty, TimeZone::get("Europe/London").ok().as_ref());
        match (got, expected) {
            (Ok(got), Ok(expected)) => assert_eq!(got, expected, "{value:?} as {ty:?}"),
            (Err(got), Err((code, part))) => {
                assert_eq!(got.code, code, "{value:?} as {ty:?}: {}", got.why);
                assert!(got.why.contains(part), "`{}` does not say `{part}`", got.why);
            }
            (got, expected) => panic!("{value:?} as {ty:?}: got {got:?}, expected {expected:?}"),
        }
    }

    fn decimal(text: &str) -> Value {
        Value::Decimal(text.parse().unwrap())
    }

    #[test]
    fn a_value_in_another_case_is_told_what_to_write() {
        let known = ["open".to_owned(), "paid".to_owned()];
        assert!(unknown_choice("Open", &known).fix.ends_with("`choice: { open: Open, … }`"));
        assert!(unknown_choice("Void", &known).fix.starts_with("correct the value"));
    }

    #[test]
    fn what_fits_fits_exactly() {
        let text = Type::Text { max_length: Some(5) };
        check("Zoë é".into(), &text, Ok("Zoë é".into()));
        check("".into(), &text, Ok(Value::Blank));
        check(42.into(), &text, Ok("42".into()));
        check("-12.50".into(), &Type::Decimal { scale: Some(2) }, Ok(decimal("-12.5")));
        check(decimal("12.000"), &Type::WholeNumber, Ok(12.into()));
        check(Value::Float(0.1), &Type::Money, Ok(decimal("0.1")));
        check(decimal("5000.0000"), &Type::Money, Ok(decimal("5000")));
        check(1.into(), &Type::YesNo, Ok(true.into()));
        let guid = Value::Guid("01020304-0506-0708-090a-0b0c0d0e0f10".parse().unwrap());
        check(Value::Bytes((1..=16).collect()), &Type::Guid, Ok(guid));
        check(Value::Bytes(vec![1; 15]), &Type::Guid, Err((NOT_OF_THE_TYPE, "15 bytes")));
        let choice = Type::Choice { values: ["net30".to_owned()].into() };
        check("net30".into(), &choice, Ok(Value::Choice("net30".into())));
        let options = Type::Choice { values: ["1".to_owned(), "4".to_owned()].into() };
        check(decimal("4"), &options, Ok(4.into()));
        let several = Type::Choices { values: ["1".to_owned(), "2".to_owned(), "10".to_owned()].into() };
        check("10; 2,1 ,2,".into(), &several, Ok("1,2,10".into()));
        check(" , ".into(), &several, Ok(Value::Blank));
        check("1,3".into(), &several, Err((UNKNOWN_CHOICE, "is `3`")));
        check("post,email".into(), &Type::Choices { values: ["email".to_owned()].into() }, Ok("email,post".into()));
        check("2026-01-31".into(), &Type::Date, Ok(Value::Date(jiff::civil::date(2026, 1, 31))));
        let summer = Value::LocalDateTime("2026-07-01T12:00:00".parse().unwrap());
        let instant = Value::Instant("2026-07-01T11:00:00Z".parse().unwrap());
        check(summer.clone(), &Type::DateTime, Ok(instant.clone()));
        check(instant, &Type::LocalDateTime, Ok(summer.clone()));
        check(summer.clone(), &Type::LocalDateTime, Ok(summer));
    }

    /// One value of each type, as connectors give it.
    fn samples() -> Vec<(Type, Value)> {
        vec![
            (Type::Text { max_length: None }, "no number".into()),
            (Type::Multiline { max_length: None }, "1".into()),
            (Type::Person, "somebody@company.example".into()),
            (Type::WholeNumber, 1.into()),
            (Type::Decimal { scale: None }, decimal("1.5")),
            (Type::Money, decimal("2.5")),
            (Type::Float, Value::Float(0.5)),
            (Type::YesNo, true.into()),
            (Type::Date, Value::Date(jiff::civil::date(2026, 1, 31))),
            (Type::Time, Value::Time(jiff::civil::time(1, 2, 3, 0))),
            (Type::DateTime, Value::Instant("2026-07-01T11:00:00Z".parse().unwrap())),
            (Type::LocalDateTime, Value::LocalDateTime("2026-07-01T12:00:00".parse().unwrap())),
            (Type::Choice { values: ["1".to_owned()].into() }, Value::Choice("1".into())),
            (Type::Guid, Value::Guid("00000000-0000-0000-0000-000000000001".parse().unwrap())),
            (Type::Bytes, Value::Bytes(vec![1])),
        ]
    }

    #[test]
    fn what_is_said_of_types_holds_for_their_values() {
        let zone = TimeZone::get("Europe/London").ok();
        for (from, value) in samples() {
            for (to, _) in samples() {
                let fits = fit(value.as_ref(), &to, zone.as_ref());
                match suits(&from, &to) {
                    Suits::Never => assert!(fits.is_err(), "{value:?} of {from:?} as {to:?} is {fits:?}"),
                    Suits::Perhaps => {}
                    // A choice that is not known is a choice all the same.
                    Suits::Surely => assert!(
                        fits.as_ref().err().is_none_or(|misfit| misfit.code == UNKNOWN_CHOICE),
                        "{value:?} of {from:?} as {to:?} is {fits:?}"
                    ),
                }
            }
            assert_eq!(suits(&from, &from), Suits::Surely, "{from:?}");
        }
        assert_eq!(suits(&Type::Text { max_length: None }, &Type::Money), Suits::Perhaps);
    }

    #[test]
    fn what_does_not_fit_says_why() {
        check(
            "Zoë é!".into(),
            &Type::Text { max_length: Some(5) },
            Err((TEXT_TOO_LONG, "has 6 characters, and 5 fit")),
        );
        check(true.into(), &Type::Text { max_length: None }, Err((NOT_OF_THE_TYPE, "is yes_no `yes`, and not text")));
        let day = Value::Date("2026-07-01".parse().unwrap());
        check("2026-07-01".into(), &Type::Date, Ok(day.clone()));
        check("2026-07-01T00:00:00".into(), &Type::Date, Ok(day));
        check("2026-07-01 12:00".into(), &Type::Date, Err((NOT_OF_THE_TYPE, "`2026-07-01 12:00`")));
        check("1e3".into(), &Type::Money, Err((NOT_OF_THE_TYPE, "`1e3`")));
        check("1,5".into(), &Type::Money, Err((NOT_OF_THE_TYPE, "`1,5`")));
        check(decimal("1.5"), &Type::WholeNumber, Err((TOO_MANY_DIGITS, "not whole")));
        check(decimal("1.234"), &Type::Decimal { scale: Some(2) }, Err((TOO_MANY_DIGITS, "more than 2 digits")));
        check(2.into(), &Type::YesNo, Err((NOT_OF_THE_TYPE, "`2`")));
        let choice = Type::Choice { values: ["net30".to_owned(), "net60".to_owned()].into() };
        check("99".into(), &choice, Err((UNKNOWN_CHOICE, "it knows net30, net60")));
        let gap = Value::LocalDateTime("2026-03-29T01:30:00".parse().unwrap());
        check(gap, &Type::DateTime, Err((LOCAL_TIME, "does not exist or exists twice")));
        let twice = Value::LocalDateTime("2026-10-25T01:30:00".parse().unwrap());
        check(twice, &Type::DateTime, Err((LOCAL_TIME, "Europe/London")));
        let open_end = Value::LocalDateTime("9999-12-31T00:00:00".parse().unwrap());
        check(open_end, &Type::DateTime, Err((LOCAL_TIME, "an end that never comes")));
    }
}
