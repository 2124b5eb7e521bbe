//! Dates and times out of text: ISO 8601, and the ways that people write them in English.

use crate::datetime::{HOUR, MINUTE, MONTHS, SECOND, WEEKDAYS, civil_from_days};
use crate::value::Moment;
use jiff::tz::TimeZone;

/// What a text says: a time on some wall clock, or, with a `Z` or an offset, an instant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Read {
    wall: Moment,
    utc: bool,
}

impl Read {
    /// On the wall clock of a time zone.
    pub fn on(self, zone: &TimeZone) -> Option<Moment> {
        if !self.utc {
            return self.wall.in_range();
        }
        Moment::from_timestamp(self.wall.to_timestamp(&TimeZone::UTC)?, zone).in_range()
    }
}

/// ISO 8601 only: a date, or a date and a time, `T` between them, and perhaps a `Z` or an offset.
pub(crate) fn iso(text: &str) -> Option<Read> {
    let text = text.trim();
    let bytes = text.as_bytes();
    if bytes.len() < 10 || bytes[4] != b'-' || bytes[7] != b'-' || !text.is_char_boundary(10) {
        return None;
    }
    let number = |from: usize, to: usize| digits(text.get(from..to)?);
    let day = date(number(0, 4)?, number(5, 7)?, number(8, 10)?)?;
    let rest = &text[10..];
    if rest.is_empty() {
        return Some(Read { wall: day, utc: false });
    }
    let time = rest.strip_prefix(['T', 't', ' '])?;
    let (time, offset) = split_offset(time)?;
    let wall = day.checked_add(iso_time(time)?.0)?.checked_add(-offset.unwrap_or(0))?.in_range()?;
    Some(Read { wall, utc: offset.is_some() })
}

/// `hh:mm[:ss[.fraction]]`, each part of two digits.
pub(crate) fn iso_time(text: &str) -> Option<Moment> {
    let mut parts = text.split(':');
    let two = |part: &str| if part.len() == 2 { digits(part) } else { None };
    let hour = two(parts.next()?)?;
    let minute = two(parts.next()?)?;
    let (second, fraction) = match parts.next() {
        Some(part) => match part.split_once('.') {
            Some((second, fraction)) => (two(second)?, micros(fraction)?),
            None => (two(part)?, 0),
        },
        None => (0, 0),
    };
    if parts.next().is_some() || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    Some(Moment(hour * HOUR + minute * MINUTE + second * SECOND + fraction))
}

/// The time without its zone, and the zone's offset in microseconds where there is one.
fn split_offset(time: &str) -> Option<(&str, Option<i64>)> {
    if let Some(time) = time.strip_suffix(['Z', 'z']) {
        return Some((time, Some(0)));
    }
    let Some(at) = time.rfind(['+', '-']) else { return Some((time, None)) };
    let (time, offset) = time.split_at(at);
    let sign = if offset.starts_with('-') { -1 } else { 1 };
    let offset = &offset[1..];
    let (hours, minutes) = match offset.split_once(':') {
        Some((h, m)) => (digits(h)?, digits(m)?),
        None if offset.len() == 4 && offset.is_ascii() => (digits(&offset[..2])?, digits(&offset[2..])?),
        None => (digits(offset)?, 0),
    };
    (hours <= 14 && minutes <= 59).then_some((time, Some(sign * (hours * HOUR + minutes * MINUTE))))
}

fn digits(text: &str) -> Option<i64> {
    if text.is_empty() || text.len() > 9 || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

/// The fraction of a second in microseconds, cut.
fn micros(fraction: &str) -> Option<i64> {
    if fraction.is_empty() || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let six: String = fraction.chars().chain("000000".chars()).take(6).collect();
    digits(&six)
}

fn date(year: i64, month: i64, day: i64) -> Option<Moment> {
    let moment = Moment::from_civil(year, month, day)?;
    (civil_from_days(moment.days()) == (year, month, day)).then_some(moment)
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Number(i64, usize),
    Word(String),
    Mark(char),
}

fn tokens(text: &str) -> Option<Vec<Token>> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let end = |f: fn(char) -> bool| rest.find(|c| !f(c)).unwrap_or(rest.len());
        let taken = if c.is_ascii_digit() {
            let end = end(|c| c.is_ascii_digit());
            out.push(Token::Number(digits(&rest[..end]).or_else(|| digits(&rest[..9.min(end)]))?, end));
            end
        } else if c.is_alphabetic() {
            let end = end(char::is_alphabetic);
            out.push(Token::Word(rest[..end].to_lowercase()));
            end
        } else if c.is_whitespace() {
            if out.last() != Some(&Token::Mark(' ')) {
                out.push(Token::Mark(' '));
            }
            c.len_utf8()
        } else if matches!(c, '/' | '-' | ':' | ',' | '.' | '+') {
            out.push(Token::Mark(c));
            1
        } else {
            return None;
        };
        rest = &rest[taken..];
        if out.len() > 40 {
            return None;
        }
    }
    Some(out)
}

/// A time alone, or the time of a date and time.
pub(crate) fn time(text: &str, zone: &TimeZone) -> Option<Moment> {
    if let Some(time) = iso_time(text.trim()) {
        return Some(time);
    }
    date_time(text)?.on(zone).map(|m| Moment(m.time_of_day()))
}

/// How a date of numbers alone is written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Order {
    MonthDayYear,
    DayMonthYear,
    YearMonthDay,
}

impl Order {
    /// Of a language: month first in the United States, year first in eastern Asia and a few others, else day first.
    pub fn of(language: &str) -> Order {
        let language = language.to_ascii_lowercase();
        match language.split('-').next().unwrap_or_default() {
            "en" if language == "en" || language.ends_with("-us") => Order::MonthDayYear,
            "en" if language.ends_with("-ca") || language.ends_with("-za") => Order::YearMonthDay,
            "es" if language.ends_with("-us") => Order::MonthDayYear,
            "zh" | "ja" | "ko" | "hu" | "sv" | "lt" | "mn" => Order::YearMonthDay,
            _ => Order::DayMonthYear,
        }
    }
}

/// A date, a time, or both, month before day as in English of the United States.
pub(crate) fn date_time(text: &str) -> Option<Read> {
    date_time_in(text, Order::MonthDayYear)
}

/// A date, a time, or both, with the numbers of a date in an order.
pub(crate) fn date_time_in(text: &str, order: Order) -> Option<Read> {
    let text = text.trim();
    if text.is_empty() || text.len() > 100 {
        return None;
    }
    if let Some(read) = iso(text) {
        return Some(read);
    }
    let mut tokens = tokens(text)?;
    let Clock { time, left, utc } = take_time(&mut tokens)?;
    let day = if left { take_date(&tokens, order)? } else { Moment(0) };
    Some(Read { wall: day.checked_add(time)?.in_range()?, utc })
}

/// A time of the day, whether something is left beside it, and whether it says how far it is from UTC.
struct Clock {
    time: i64,
    left: bool,
    utc: bool,
}

/// Takes the time out of the tokens.
fn take_time(tokens: &mut Vec<Token>) -> Option<Clock> {
    let colon = tokens.iter().position(|t| *t == Token::Mark(':'));
    let Some(start) = colon.map(|at| at.checked_sub(1)) else {
        return take_hour(tokens);
    };
    let start = start?;
    let number = |at: usize| match tokens.get(at) {
        Some(Token::Number(n, width)) if *width <= 2 => Some(*n),
        _ => None,
    };
    let (mut hour, minute) = (number(start)?, number(start + 2)?);
    let (mut second, mut fraction) = (0, 0);
    let mut end = start + 3;
    if tokens.get(end) == Some(&Token::Mark(':')) {
        second = number(end + 1)?;
        end += 2;
        if matches!(tokens.get(end), Some(Token::Mark('.' | ':'))) {
            if let Some(Token::Number(n, width)) = tokens.get(end + 1) {
                fraction = micros(&format!("{n:0width$}"))?;
                end += 2;
            } else {
                return None;
            }
        }
    }
    let (mut offset, mut utc) = (0, false);
    let belongs = |t: &Token| match t {
        Token::Word(word) => word == "z" || noon(word).is_some(),
        t => *t == Token::Mark('+'),
    };
    if tokens.get(end) == Some(&Token::Mark(' ')) && tokens.get(end + 1).is_some_and(belongs) {
        end += 1;
    }
    match tokens.get(end) {
        Some(Token::Word(word)) if word == "z" => {
            utc = true;
            end += 1;
        }
        Some(Token::Word(word)) => {
            hour = on_clock(hour, noon(word)?)?;
            end += 1;
        }
        Some(Token::Mark(sign @ ('+' | '-'))) => {
            let sign = if *sign == '-' { -1 } else { 1 };
            let hours = number(end + 1)?;
            end += 2;
            let mut minutes = 0;
            if tokens.get(end) == Some(&Token::Mark(':')) {
                minutes = number(end + 1)?;
                end += 2;
            }
            offset = sign * (hours * HOUR + minutes * MINUTE);
            utc = true;
        }
        _ => {}
    }
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let mut from = start;
    if from > 0 && matches!(&tokens[from - 1], Token::Word(w) if w == "t") {
        from -= 1;
    }
    tokens.drain(from..end.min(tokens.len()));
    let left = tokens.iter().any(|t| !matches!(t, Token::Mark(' ' | ',')));
    let time = hour * HOUR + minute * MINUTE + second * SECOND + fraction - offset;
    Some(Clock { time, left, utc })
}

/// `3 PM` without minutes.
fn take_hour(tokens: &mut Vec<Token>) -> Option<Clock> {
    let Some(at) = tokens.iter().position(|t| matches!(t, Token::Word(w) if noon(w).is_some())) else {
        return Some(Clock { time: 0, left: true, utc: false });
    };
    let Token::Word(word) = &tokens[at] else { return None };
    let afternoon = noon(word)?;
    let mut from = at.checked_sub(1)?;
    if tokens[from] == Token::Mark(' ') {
        from = from.checked_sub(1)?;
    }
    let Token::Number(hour, 1..=2) = tokens[from] else { return None };
    let hour = on_clock(hour, afternoon)?;
    tokens.drain(from..=at);
    let left = tokens.iter().any(|t| !matches!(t, Token::Mark(' ' | ',')));
    Some(Clock { time: hour * HOUR, left, utc: false })
}

fn noon(word: &str) -> Option<bool> {
    match word {
        "am" | "a" => Some(false),
        "pm" | "p" => Some(true),
        _ => None,
    }
}

fn on_clock(hour: i64, afternoon: bool) -> Option<i64> {
    match hour {
        0 if !afternoon => Some(0),
        12 => Some(if afternoon { 12 } else { 0 }),
        1..=11 => Some(if afternoon { hour + 12 } else { hour }),
        13..=23 if afternoon => Some(hour),
        _ => None,
    }
}

fn take_date(tokens: &[Token], order: Order) -> Option<Moment> {
    let mut numbers = Vec::new();
    let mut month = None;
    let mut month_first = false;
    for token in tokens {
        match token {
            Token::Number(n, width) => numbers.push((*n, *width)),
            Token::Word(word) => {
                if let Some(m) = month_named(word) {
                    if month.replace(m).is_some() {
                        return None;
                    }
                    month_first = numbers.is_empty();
                } else if !is_weekday(word) && !matches!(word.as_str(), "st" | "nd" | "rd" | "th") {
                    return None;
                }
            }
            Token::Mark('+' | ':') => return None,
            Token::Mark(_) => {}
        }
    }
    match (month, numbers.as_slice()) {
        (Some(m), [a, b]) if a.1 >= 3 && !month_first => date(year(*a)?, m, b.0),
        (Some(m), [day, y]) => date(year(*y)?, m, day.0),
        (Some(m), [y]) if y.1 == 4 => date(y.0, m, 1),
        (None, [y, m, d]) if y.1 >= 3 => date(year(*y)?, m.0, d.0),
        (None, [d, m, y]) if order == Order::DayMonthYear => date(year(*y)?, m.0, d.0),
        (None, [y, m, d]) if order == Order::YearMonthDay => date(year(*y)?, m.0, d.0),
        (None, [m, d, y]) => date(year(*y)?, m.0, d.0),
        (None, [m, y]) if y.1 == 4 => date(y.0, m.0, 1),
        (None, [y, m]) if y.1 == 4 => date(y.0, m.0, 1),
        _ => None,
    }
}

/// Two digits are of 1930 to 2029.
fn year((n, width): (i64, usize)) -> Option<i64> {
    match width {
        1 | 2 => Some(if n < 50 { 2000 + n } else { 1900 + n }),
        _ => Some(n),
    }
}

fn month_named(word: &str) -> Option<i64> {
    let at = MONTHS.iter().position(|m| {
        let m = m.to_lowercase();
        m == word || m[..3] == *word || (word == "sept" && m == "september")
    })?;
    Some(at as i64 + 1)
}

fn is_weekday(word: &str) -> bool {
    WEEKDAYS.iter().any(|d| {
        let d = d.to_lowercase();
        d == word || d[..3] == *word
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_as_people_write_them() {
        let check = |text: &str, expected: Option<&str>| {
            let got =
                date_time(text).and_then(|r| r.on(&TimeZone::UTC)).and_then(Moment::to_civil).map(|d| d.to_string());
            assert_eq!(got.as_deref(), expected, "{text:?}");
        };
        check("2011-01-15", Some("2011-01-15T00:00:00"));
        check("2011-01-15T08:30:00.125Z", Some("2011-01-15T08:30:00.125"));
        check("1/15/2011", Some("2011-01-15T00:00:00"));
        check("01-15-2011 1:10:20", Some("2011-01-15T01:10:20"));
        check("March 30, 2022 5:30 PM", Some("2022-03-30T17:30:00"));
        check("30 Mar 2022", Some("2022-03-30T00:00:00"));
        check("Wednesday, March 30, 2022", Some("2022-03-30T00:00:00"));
        check("3/30/22 12 AM", Some("2022-03-30T00:00:00"));
        check("13/13/2022", None);
        check("2/30/2022", None);
        check("", None);
        check("abc", None);
        check("12:34:56", Some("1899-12-30T12:34:56"));
    }
}
