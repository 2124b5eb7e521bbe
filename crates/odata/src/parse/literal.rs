use jiff::civil::{Date, DateTime, Time};
use jiff::{SignedDuration, Timestamp};
use rust_decimal::Decimal;
use uuid::Uuid;

use super::cursor::Cursor;
use crate::{Error, Literal, Problem};

/// Reads a literal if one comes next; a name that is no literal is left alone.
pub fn literal(cursor: &mut Cursor) -> Result<Option<Literal>, Error> {
    if let Some(guid) = guid(cursor) {
        return Ok(Some(Literal::Guid(guid)));
    }
    match cursor.peek() {
        Some(b'\'') => Ok(Some(Literal::String(quoted(cursor, '\'')?))),
        Some(b'"') => Ok(Some(Literal::String(quoted(cursor, '"')?))),
        Some(b'0'..=b'9' | b'.') => number_or_time(cursor).map(Some),
        Some(b'-') if cursor.rest()[1..].starts_with(|c: char| c.is_ascii_digit() || c == '.') => {
            number_or_time(cursor).map(Some)
        }
        Some(b'-') if cursor.take("-INF") => Ok(Some(Literal::Double("-INF".into()))),
        _ => word(cursor),
    }
}

fn word(cursor: &mut Cursor) -> Result<Option<Literal>, Error> {
    for (text, literal) in [
        ("null", Literal::Null),
        ("true", Literal::Bool(true)),
        ("false", Literal::Bool(false)),
        ("INF", Literal::Double("INF".into())),
        ("NaN", Literal::Double("NaN".into())),
    ] {
        let start = cursor.at();
        if cursor.take_word(text) {
            // `null/x` or `true(…)` would be a path or a function of that name.
            if matches!(cursor.peek(), Some(b'/' | b'(' | b'.')) {
                cursor.set(start);
                return Ok(None);
            }
            return Ok(Some(literal));
        }
    }
    let start = cursor.at();
    let Some(kind) = cursor.name(true) else { return Ok(None) };
    if cursor.peek() != Some(b'\'') {
        cursor.set(start);
        return Ok(None);
    }
    let value = quoted(cursor, '\'')?;
    let bad = |what| cursor.error_at(start, Problem::BadLiteral(what));
    Ok(Some(match kind {
        "duration" => Literal::Duration(value.parse::<SignedDuration>().map_err(|_| bad("duration"))?),
        "binary" => Literal::Binary(value),
        "guid" => Literal::Guid(Uuid::parse_str(&value).map_err(|_| bad("guid"))?),
        _ => Literal::Enum { kind: kind.to_owned(), value },
    }))
}

fn quoted(cursor: &mut Cursor, quote: char) -> Result<String, Error> {
    let rest = &cursor.rest()[1..];
    let mut value = String::new();
    let mut chars = rest.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if c != quote {
            value.push(c);
        } else if chars.peek().is_some_and(|(_, next)| *next == quote) {
            chars.next();
            value.push(quote);
        } else {
            cursor.set(cursor.at() + 1 + at + 1);
            return Ok(value);
        }
    }
    Err(cursor.error_at(cursor.end_of_text(), Problem::UnterminatedLiteral))
}

fn guid(cursor: &mut Cursor) -> Option<Uuid> {
    let rest = cursor.rest();
    let text = rest.get(..36)?;
    let dashes = [8, 13, 18, 23].iter().all(|&at| text.as_bytes()[at] == b'-');
    if !dashes || rest[36..].starts_with(|c: char| c.is_alphanumeric() || "_-.".contains(c)) {
        return None;
    }
    let guid = Uuid::try_parse(text).ok()?;
    cursor.set(cursor.at() + 36);
    Some(guid)
}

fn number_or_time(cursor: &mut Cursor) -> Result<Literal, Error> {
    let rest = cursor.rest();
    let mut end = rest.len();
    let mut previous = ' ';
    for (at, c) in rest.char_indices() {
        let sign = at == 0 && c == '-' || (c == '+' || c == '-') && previous.eq_ignore_ascii_case(&'e');
        let date_dash = c == '-' && (at == 4 || at == 7);
        let zone = (c == '+' || c == '-') && at >= 16;
        if !(c.is_ascii_alphanumeric() || c == '.' || c == ':' || sign || date_dash || zone) {
            end = at;
            break;
        }
        previous = c;
    }
    let text = &rest[..end];
    let literal = classify(text).map_err(|what| cursor.error(Problem::BadLiteral(what)))?;
    cursor.set(cursor.at() + end);
    Ok(literal)
}

/// A moment after the last [`Timestamp`].
fn late(text: &str) -> Option<DateTime> {
    let utc: DateTime = match text.strip_suffix(['Z', 'z']) {
        Some(civil) => civil.parse().ok()?,
        None => {
            let (civil, offset) = text.split_at_checked(text.len().checked_sub(6)?)?;
            let civil: DateTime = civil.parse().ok()?;
            let (hours, minutes) = offset.strip_prefix(['+', '-'])?.split_once(':')?;
            let ahead = SignedDuration::from_mins(60 * hours.parse::<i64>().ok()? + minutes.parse::<i64>().ok()?);
            if offset.starts_with('+') { civil.checked_sub(ahead).ok()? } else { civil.checked_add(ahead).ok()? }
        }
    };
    (utc.date() >= Date::constant(9999, 12, 30)).then_some(utc)
}

fn classify(text: &str) -> Result<Literal, &'static str> {
    let dated = text.as_bytes().get(4) == Some(&b'-') && !text.starts_with('-');
    if dated && text.contains(['T', 't']) {
        let instant = text.parse::<Timestamp>().map(Literal::Instant);
        return instant.ok().or_else(|| late(text).map(Literal::Late)).ok_or("date-time");
    }
    if dated {
        return text.parse::<Date>().map(Literal::Date).map_err(|_| "date");
    }
    if text.contains(':') {
        return text.parse::<Time>().map(Literal::Time).map_err(|_| "time");
    }
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.bytes().all(|b| b.is_ascii_digit())
        && let Ok(int) = text.parse::<i64>()
    {
        return Ok(Literal::Int(int));
    }
    if digits.bytes().all(|b| b.is_ascii_digit() || b == b'.') && digits.bytes().filter(|b| *b == b'.').count() <= 1 {
        return Ok(match Decimal::from_str_exact(text) {
            Ok(decimal) => Literal::Decimal(decimal),
            Err(_) if digits.bytes().any(|b| b.is_ascii_digit()) => Literal::Double(text.to_owned()),
            Err(_) => return Err("number"),
        });
    }
    // How version 3 says the type of a number, and clients of version 4 still do.
    if let Some(number) = text.strip_suffix(['L', 'l', 'M', 'm', 'F', 'f', 'D', 'd'])
        && number.ends_with(|last: char| last.is_ascii_digit() || last == '.')
    {
        return classify(number);
    }
    // f64 only judges the shape; the text is what is kept.
    let shape = digits.bytes().all(|b| b.is_ascii_digit() || b".eE+-".contains(&b)) && text.parse::<f64>().is_ok();
    if shape { Ok(Literal::Double(text.to_owned())) } else { Err("number") }
}
