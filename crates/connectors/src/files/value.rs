//! A cell of a file, read by the type that the definition declares for its column.

use std::borrow::Cow;

use jiff::civil::{Date, DateTime};
use record::{Decimal, Row, Type, Value, ValueRef};

use super::settings::{Dates, Format};
use crate::sql::moment::{self, Moment};
use crate::sql::text::tiny;

/// What a file holds in one place.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell<'a> {
    Blank,
    Text(Cow<'a, str>),
    /// A text that was looked through already: nothing that [`suspicious`] finds is in it.
    Plain(&'a str),
    /// Bytes that should be UTF-8.
    Bytes(&'a [u8]),
    /// A number with its digits, with a point and no thousands.
    Number(Cow<'a, str>),
    Bool(bool),
    /// A date or time of an Excel sheet.
    Time(DateTime),
    /// A list of JSON whose column is declared as lines.
    Rows(Vec<Row>),
    /// What cannot be a value: an error of a formula.
    Wrong(String),
}

/// The value of a cell.
///
/// *Errors*: one sentence that does not hold the value.
pub(super) fn read<'a>(cell: &'a Cell<'a>, ty: &Type, format: &Format) -> Result<ValueRef<'a>, String> {
    let text = match cell {
        Cell::Blank => return Ok(ValueRef::Blank),
        Cell::Plain(text) => return typed(text, ty, format),
        Cell::Text(text) => text,
        Cell::Bytes(bytes) => std::str::from_utf8(bytes)
            .map_err(|_| "these bytes are no UTF-8: is `encoding: windows-1252` missing under `format:`?".to_owned())?,
        Cell::Number(text) => return number(text, ty),
        Cell::Bool(value) => {
            return match ty {
                Type::YesNo => Ok(ValueRef::Bool(*value)),
                ty if is_text(ty) => Ok(ValueRef::Text(if *value { "true" } else { "false" })),
                _ => Err(cannot(ty, "a yes or no")),
            };
        }
        Cell::Time(at) => return time(*at, ty, format),
        Cell::Rows(rows) => return Ok(ValueRef::Rows(rows)),
        Cell::Wrong(why) => return Err(why.clone()),
    };
    if suspicious(text.as_bytes()) && text.contains(['\0', '\u{FFFD}']) {
        return Err(if text.contains('\0') {
            "the text holds a NUL character: the file may be UTF-16, or damaged".to_owned()
        } else {
            "the text holds characters that its encoding does not know".to_owned()
        });
    }
    typed(text, ty, format)
}

/// Whether a text may hold a NUL or a U+FFFD, which begins with 0xEF in UTF-8: most texts have neither byte, and that is
/// seen at once.
pub(super) fn suspicious(text: &[u8]) -> bool {
    memchr::memchr2(0, 0xEF, text).is_some()
}

fn typed<'a>(text: &'a str, ty: &Type, format: &Format) -> Result<ValueRef<'a>, String> {
    if is_text(ty) {
        return Ok(if text.is_empty() { ValueRef::Blank } else { ValueRef::Text(text) });
    }
    let trimmed = trimmed(text);
    if trimmed.is_empty() {
        return Ok(ValueRef::Blank);
    }
    match ty {
        Type::WholeNumber => {
            let number = decimal(trimmed, format).ok_or_else(|| cannot(ty, "a text"))?;
            if !number.is_integer() {
                return Err(cannot(ty, "a fraction"));
            }
            number.try_into().map(ValueRef::Int).map_err(|_| cannot(ty, "a number that is too large"))
        }
        Type::Decimal { .. } | Type::Money => decimal(trimmed, format).map(ValueRef::Decimal).ok_or_else(|| {
            let digits = trimmed.bytes().filter(u8::is_ascii_digit).count();
            if digits > 28 { "this number has more digits than 28".to_owned() } else { not_a_number(ty, format) }
        }),
        Type::YesNo => match trimmed.to_ascii_lowercase().as_str() {
            "true" | "t" | "yes" | "y" | "1" => Ok(ValueRef::Bool(true)),
            "false" | "f" | "no" | "n" | "0" => Ok(ValueRef::Bool(false)),
            _ => Err(cannot(ty, "a text")),
        },
        Type::Guid => trimmed.parse().map(ValueRef::Guid).map_err(|_| cannot(ty, "a text")),
        Type::Time => trimmed.parse().map(ValueRef::Time).map_err(|_| cannot(ty, "a text")),
        Type::Date => match day(trimmed, format.date) {
            Some((date, "")) => Ok(ValueRef::Date(date)),
            _ => Err(not_a_day(ty, format)),
        },
        Type::DateTime | Type::LocalDateTime => {
            let (date, rest) = day(trimmed, format.date).ok_or_else(|| not_a_day(ty, format))?;
            match moment::parse(&format!("{date}{rest}")) {
                Some(Moment::Instant(at)) => Ok(ValueRef::Instant(at)),
                Some(Moment::Civil(at)) => time(at, ty, format),
                None => Err(not_a_day(ty, format)),
            }
        }
        _ => Ok(ValueRef::Text(text)),
    }
}

/// The usual value begins and ends with a sign of ASCII.
fn trimmed(text: &str) -> &str {
    match text.as_bytes() {
        [first, .., last] if first.is_ascii_graphic() && last.is_ascii_graphic() => text,
        _ => text.trim(),
    }
}

/// The text of a value, by the signs of the file; `None` for a blank. What it gives is read back as the same value.
///
/// *Errors*: one sentence that does not hold the value.
pub(super) fn write(value: &Value, format: &Format) -> Result<Option<String>, String> {
    let point = char::from(format.decimal);
    let time = |at: jiff::civil::Time| at.to_string();
    Ok(Some(match value {
        Value::Blank => return Ok(None),
        Value::Text(text) | Value::Choice(text) => {
            if text.contains(['\0', '\u{FFFD}']) {
                return Err("the text holds a character that could not be read back".to_owned());
            }
            text.clone()
        }
        Value::Bool(yes) => yes.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Decimal(number) => number.to_string().replace('.', &point.to_string()),
        Value::Float(number) => number.to_string().replace('.', &point.to_string()),
        Value::Date(date) => written_day(*date, format.date),
        Value::Time(at) => time(*at),
        Value::LocalDateTime(at) => format!("{}T{}", written_day(at.date(), format.date), time(at.time())),
        // With its offset: an hour that a clock change repeats is still one of the two.
        Value::Instant(at) => {
            let zoned = at.to_zoned(format.zone.clone().unwrap_or(jiff::tz::TimeZone::UTC));
            let offset = match zoned.offset().seconds() {
                0 => "Z".to_owned(),
                seconds => {
                    let minutes = seconds.abs() / 60;
                    format!("{}{:02}:{:02}", if seconds < 0 { '-' } else { '+' }, minutes / 60, minutes % 60)
                }
            };
            format!("{}T{}{offset}", written_day(zoned.date(), format.date), time(zoned.time()))
        }
        Value::Guid(id) => id.to_string(),
        // The column holds the other row's key itself.
        Value::Reference(reference) => match reference.key.as_slice() {
            [(_, value)] => return write(value, format),
            _ => return Err("a reference by a key of several columns has no single column to go to".to_owned()),
        },
        Value::Rows(_) => return Err("lines cannot be written into a column of a file".to_owned()),
        Value::Bytes(_) => return Err("bytes cannot be written into a file of text".to_owned()),
    }))
}

fn written_day(date: Date, how: Dates) -> String {
    let (year, month, day) = (date.year(), date.month(), date.day());
    match how {
        Dates::Iso => date.to_string(),
        Dates::Digits => format!("{year:04}{month:02}{day:02}"),
        Dates::DayFirst(sign) => format!("{day:02}{sign}{month:02}{sign}{year:04}"),
        Dates::MonthFirst(sign) => format!("{month:02}{sign}{day:02}{sign}{year:04}"),
    }
}

fn is_text(ty: &Type) -> bool {
    matches!(
        ty,
        Type::Text { .. } | Type::Multiline { .. } | Type::Unknown | Type::Choice { .. } | Type::Choices { .. }
    )
}

/// A number that says itself that it is one (Excel, JSON).
fn number<'a>(text: &'a str, ty: &Type) -> Result<ValueRef<'a>, String> {
    let exact = || {
        Decimal::from_str_exact(text)
            .or_else(|_| Decimal::from_scientific(text))
            .map_err(|_| "this number has more digits than 28".to_owned())
    };
    match ty {
        ty if is_text(ty) => Ok(ValueRef::Text(text)),
        Type::Decimal { .. } | Type::Money => {
            exact().map(ValueRef::Decimal).or_else(|why| tiny(text).map(ValueRef::Float).ok_or(why))
        }
        Type::WholeNumber => {
            let number = exact()?;
            let whole = number.is_integer().then(|| i64::try_from(number).ok()).flatten();
            whole.map(ValueRef::Int).ok_or_else(|| cannot(ty, "another number"))
        }
        Type::YesNo if text == "1" => Ok(ValueRef::Bool(true)),
        Type::YesNo if text == "0" => Ok(ValueRef::Bool(false)),
        _ => Err(cannot(ty, "a number")),
    }
}

/// The day that Excel counts as nought: that of a time of day alone.
const NO_DAY: jiff::civil::Date = jiff::civil::date(1899, 12, 31);

fn time<'a>(at: DateTime, ty: &Type, format: &Format) -> Result<ValueRef<'a>, String> {
    match ty {
        Type::Time => Ok(ValueRef::Time(at.time())),
        _ if at.date() == NO_DAY => Err(cannot(ty, "a time without its day")),
        Type::Date if at.time() == jiff::civil::Time::midnight() => Ok(ValueRef::Date(at.date())),
        Type::Date => Err(cannot(ty, "a date with a time")),
        Type::DateTime | Type::LocalDateTime => match &format.zone {
            Some(zone) => moment::in_zone(at, zone, format.dst).map(ValueRef::from),
            None => Ok(ValueRef::LocalDateTime(at)),
        },
        _ => Err(cannot(ty, "a date")),
    }
}

/// `1.234,50` by the signs of the file; a minus may stand behind, as some ledgers write it.
fn decimal(text: &str, format: &Format) -> Option<Decimal> {
    if let Some(number) = small(text.as_bytes(), format.decimal) {
        return Some(number);
    }
    let mut text = text.trim();
    let mut negative = false;
    if let Some(rest) = text.strip_prefix('-').or_else(|| text.strip_suffix('-')) {
        (negative, text) = (true, rest.trim());
    } else if let Some(rest) = text.strip_prefix('+') {
        text = rest;
    }
    let (whole, fraction) = match text.split_once(char::from(format.decimal)) {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (text, None),
    };
    let mut plain = String::with_capacity(text.len() + 1);
    if negative {
        plain.push('-');
    }
    match format.thousands {
        Some(sign) => {
            // A space may be one that does not break.
            let is_sign = |c: char| c == sign || sign == ' ' && matches!(c, '\u{A0}' | '\u{202F}');
            // What is not grouped by three is another number, such as `1234.567` where a comma is the point.
            let (first, others) = whole.split_once(is_sign).unzip();
            if first.is_some_and(|first| !matches!(first.len(), 1..=3))
                || others.is_some_and(|others| others.split(is_sign).any(|group| group.len() != 3))
            {
                return None;
            }
            plain.extend(whole.split(is_sign));
        }
        None => plain.push_str(whole),
    }
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !(digits(plain.trim_start_matches('-')) || whole.is_empty() && fraction.is_some_and(digits)) {
        return None;
    }
    if let Some(fraction) = fraction {
        if !digits(fraction) {
            return None;
        }
        plain.push('.');
        plain.push_str(fraction);
    }
    Decimal::from_str_exact(&plain).ok()
}

/// The usual number, of up to 18 digits and without thousands, in one pass.
fn small(text: &[u8], point: u8) -> Option<Decimal> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    if digits.is_empty() || digits.len() > 18 {
        return None;
    }
    let (mut value, mut scale, mut after, mut before) = (0_i64, 0_u32, false, 0_u32);
    for byte in digits {
        match byte {
            b'0'..=b'9' => {
                value = value * 10 + i64::from(byte - b'0');
                if after { scale += 1 } else { before += 1 }
            }
            byte if *byte == point && !after => after = true,
            _ => return None,
        }
    }
    (before > 0 && (scale > 0) == after).then(|| Decimal::new(if negative { -value } else { value }, scale))
}

/// The day at the start of a text, and what follows it.
fn day(text: &str, how: Dates) -> Option<(Date, &str)> {
    let number = |text: &str, longest: usize| -> Option<i16> {
        (!text.is_empty() && text.len() <= longest && text.bytes().all(|b| b.is_ascii_digit()))
            .then(|| text.parse().ok())
            .flatten()
    };
    match how {
        Dates::Iso => Some((text.get(..10)?.parse().ok()?, &text[10..])),
        Dates::Digits => {
            let digits = text.get(..8).filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))?;
            let (year, month, day) = (&digits[..4], &digits[4..6], &digits[6..]);
            let date = Date::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?).ok()?;
            Some((date, &text[8..]))
        }
        Dates::DayFirst(sign) | Dates::MonthFirst(sign) => {
            if let Some((first, second, year)) = ten_signs(text.as_bytes(), sign) {
                let (day, month) = if matches!(how, Dates::DayFirst(_)) { (first, second) } else { (second, first) };
                return Some((Date::new(year, month, day).ok()?, &text[10..]));
            }
            let (first, rest) = text.split_once(sign)?;
            let (second, rest) = rest.split_once(sign)?;
            let year = rest.get(..4)?;
            let (first, second) = (number(first, 2)?, number(second, 2)?);
            let (day, month) = if matches!(how, Dates::DayFirst(_)) { (first, second) } else { (second, first) };
            let date = Date::new(number(year, 4)?, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()?;
            Some((date, &rest[4..]))
        }
    }
}

/// `31/12/2026`, the usual day, in one look.
fn ten_signs(text: &[u8], sign: char) -> Option<(i8, i8, i16)> {
    let [a, b, first, c, d, second, year @ ..] = text.get(..10)? else { return None };
    let sign = u8::try_from(sign).ok()?;
    let digits = [*a, *b, *c, *d, year[0], year[1], year[2], year[3]];
    if *first != sign || *second != sign || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let two = |tens: u8, ones: u8| ((tens - b'0') * 10 + (ones - b'0')) as i8;
    let year = i16::from(two(year[0], year[1])) * 100 + i16::from(two(year[2], year[3]));
    Some((two(*a, *b), two(*c, *d), year))
}

fn cannot(ty: &Type, found: &str) -> String {
    format!("the column is declared as {}, and this row holds {found}", ty.word())
}

fn not_a_number(ty: &Type, format: &Format) -> String {
    let signs = match format.thousands {
        Some(sign) => format!("`{}` before the decimals and `{sign}` between thousands", char::from(format.decimal)),
        None => format!("`{}` before the decimals and nothing between thousands", char::from(format.decimal)),
    };
    format!("{}, which is no number with {signs}", cannot(ty, "a text"))
}

fn not_a_day(ty: &Type, format: &Format) -> String {
    let pattern = match format.date {
        Dates::Iso => "yyyy-mm-dd".to_owned(),
        Dates::Digits => "yyyymmdd".to_owned(),
        Dates::DayFirst(sign) => format!("dd{sign}mm{sign}yyyy"),
        Dates::MonthFirst(sign) => format!("mm{sign}dd{sign}yyyy"),
    };
    format!("{}, which is no day written as `{pattern}`", cannot(ty, "a text"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::moment::Dst;

    fn format(decimal: u8, thousands: Option<char>, date: Dates) -> Format {
        Format {
            kind: None,
            delimiter: b',',
            quote: Some(b'"'),
            encoding: encoding_rs::UTF_8,
            decimal,
            thousands,
            date,
            header: true,
            skip_lines: 0,
            zone: None,
            dst: Dst::Reject,
        }
    }

    fn shown(cell: &Cell<'_>, ty: &Type, format: &Format) -> String {
        read(cell, ty, format).map_or_else(|why| format!("! {why}"), |value| format!("{:?}", value.to_owned()))
    }

    #[test]
    fn numbers_by_the_signs_of_the_file() {
        let point = format(b'.', None, Dates::Iso);
        let comma = format(b',', Some('.'), Dates::Iso);
        let space = format(b',', Some(' '), Dates::Iso);
        let number = |text: &str, format: &Format| decimal(text, format).map(|n| n.to_string());
        for (text, format, expected) in [
            ("12.50", &point, Some("12.50")),
            ("-12.50", &point, Some("-12.50")),
            ("12.50-", &point, Some("-12.50")),
            ("+7", &point, Some("7")),
            (".5", &point, Some("0.5")),
            ("007", &point, Some("7")),
            ("99999999999999999999.99", &point, Some("99999999999999999999.99")),
            ("1,234.50", &point, None),
            ("12,50", &point, None),
            ("5.", &point, None),
            (".", &point, None),
            ("-", &point, None),
            ("1e3", &point, None),
            ("1.234,50", &comma, Some("1234.50")),
            ("1234,50", &comma, Some("1234.50")),
            ("1.23,50", &comma, None),
            ("12.50", &comma, None),
            // English numbers in a file that says it is a German one.
            ("1234.567", &comma, None),
            (".234", &comma, None),
            ("-.234", &comma, None),
            ("-1.234.567", &comma, Some("-1234567")),
            ("1\u{a0}234\u{202f}567,5", &space, Some("1234567.5")),
            ("12345678901234567890123456789012", &point, None),
        ] {
            assert_eq!(number(text, format).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn days_as_they_are_written() {
        let at = |text: &str, how| day(text, how).map(|(date, rest)| format!("{date}{rest}"));
        for (text, how, expected) in [
            ("2026-02-01", Dates::Iso, Some("2026-02-01")),
            ("01/02/2026", Dates::DayFirst('/'), Some("2026-02-01")),
            ("1.2.2026 10:00", Dates::DayFirst('.'), Some("2026-02-01 10:00")),
            ("02/01/2026", Dates::MonthFirst('/'), Some("2026-02-01")),
            ("20260201T10:00:00Z", Dates::Digits, Some("2026-02-01T10:00:00Z")),
            ("31.02.2026", Dates::DayFirst('.'), None),
            ("01/02/26", Dates::DayFirst('/'), None),
            ("1st of May", Dates::DayFirst('/'), None),
            ("ééééé", Dates::Iso, None),
        ] {
            assert_eq!(at(text, how).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_cell_is_what_its_column_says() {
        let plain = format(b'.', None, Dates::DayFirst('/'));
        let decimal = Type::Decimal { scale: None };
        let text = Type::Text { max_length: None };
        for (cell, ty, expected) in [
            (Cell::Text("".into()), &text, "Blank"),
            (Cell::Text(" a ".into()), &text, "Text(\" a \")"),
            (Cell::Text(" ".into()), &decimal, "Blank"),
            (Cell::Bytes(b"Zo\xc3\xab"), &text, "Text(\"Zoë\")"),
            (Cell::Number("0.10".into()), &text, "Text(\"0.10\")"),
            (Cell::Number("1e3".into()), &decimal, "Decimal(1000)"),
            (Cell::Number("5.5511151231257827E-17".into()), &decimal, "Float(5.551115123125783e-17)"),
            (Cell::Number("7".into()), &Type::WholeNumber, "Int(7)"),
            (Cell::Text("7".into()), &Type::WholeNumber, "Int(7)"),
            (Cell::Bool(true), &Type::YesNo, "Bool(true)"),
            (Cell::Text("Y".into()), &Type::YesNo, "Bool(true)"),
            (Cell::Text("05/06/2026".into()), &Type::Date, "Date(2026-06-05)"),
            (Cell::Text("05/06/2026 07:08".into()), &Type::DateTime, "LocalDateTime(2026-06-05T07:08:00)"),
        ] {
            assert_eq!(shown(&cell, ty, &plain), expected, "{cell:?}");
        }
        for (cell, ty, expected) in [
            (Cell::Bytes(b"Zo\xeb"), &text, "no UTF-8"),
            (Cell::Text("a\0b".into()), &text, "NUL"),
            (Cell::Text("7.5".into()), &Type::WholeNumber, "a fraction"),
            (Cell::Text("12,5".into()), &decimal, "no number with `.` before the decimals"),
            (Cell::Text("2026-06-05".into()), &Type::Date, "written as `dd/mm/yyyy`"),
            (Cell::Text("05/06/2026 07:08".into()), &Type::Date, "written as `dd/mm/yyyy`"),
            (Cell::Number("46000".into()), &Type::Date, "holds a number"),
            (Cell::Text("maybe".into()), &Type::YesNo, "declared as yes_no"),
            (Cell::Wrong("#N/A".into()), &text, "#N/A"),
        ] {
            let shown = shown(&cell, ty, &plain);
            assert!(shown.starts_with("! ") && shown.contains(expected), "{cell:?}: {shown}");
        }
    }
}
