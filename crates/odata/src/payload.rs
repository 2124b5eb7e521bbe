//! Answers as JSON, written without a tree in between.
//!
//! *Source*: OData JSON Format 4.0: sections 3.1.1 (how much metadata), 7.1 (primitive values), 4.5 (control information).

use std::fmt::Write;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use record::{Decimal, ValueRef};
use uuid::Uuid;

use crate::service::{Edm, EntitySet, NAMESPACE, Property};

/// How a client wants its numbers, and how much is said beside the values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Style {
    pub metadata: Metadata,
    /// 64-bit and decimal numbers leave as texts, for clients whose numbers are floats.
    pub numbers_as_text: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Metadata {
    None,
    #[default]
    Minimal,
    Full,
}

/// A text in JSON's quotes.
pub fn quoted(out: &mut String, text: &str) {
    out.push('"');
    if has_escaped(text.as_bytes()) {
        escaped(out, text)
    } else {
        out.push_str(text)
    }
    out.push('"');
}

/// Whether any byte has to be escaped. Most texts are short and have none, which is seen of eight bytes at a time.
#[inline]
fn has_escaped(text: &[u8]) -> bool {
    let (words, rest) = text.as_chunks::<8>();
    let any = |word: u64| any_escaped(word) != 0;
    match text.last_chunk::<8>() {
        // The last eight may be looked at twice.
        Some(last) => words.iter().any(|word| any(u64::from_le_bytes(*word))) || any(u64::from_le_bytes(*last)),
        None => rest.iter().any(|byte| is_escaped(*byte)),
    }
}

/// Not zero where one of eight bytes has to be escaped.
///
/// *Source*: "Determine if a word has a byte less than n" of Bit Twiddling Hacks; a byte is another one where their
/// difference is less than one.
#[inline]
fn any_escaped(word: u64) -> u64 {
    const EACH: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let less = |word: u64, than: u8| word.wrapping_sub(EACH * u64::from(than)) & !word;
    let is = |byte: u8| less(word ^ (EACH * u64::from(byte)), 1);
    (less(word, b' ') | is(b'"') | is(b'\\')) & HIGH
}

fn is_escaped(byte: u8) -> bool {
    byte < b' ' || byte == b'"' || byte == b'\\'
}

fn escaped(out: &mut String, text: &str) {
    let mut start = 0;
    for (at, byte) in text.bytes().enumerate().filter(|(_, byte)| is_escaped(*byte)) {
        out.push_str(&text[start..at]);
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            other => written(out, format_args!("\\u{other:04x}")),
        }
        start = at + 1;
    }
    out.push_str(&text[start..]);
}

/// One value of a property. *Shape*: a blank is `null`; a date is midnight UTC.
#[inline]
pub fn value(out: &mut String, value: ValueRef<'_>, ty: Edm, style: Style) {
    match value {
        ValueRef::Text(text) => quoted(out, text),
        ValueRef::Blank => out.push_str("null"),
        ValueRef::Int(number) if !style.numbers_as_text => whole(out, number),
        ValueRef::Decimal(number) if !style.numbers_as_text => decimal(out, &number),
        ValueRef::Date(date) => day(out, date),
        ValueRef::Guid(guid) => quoted_guid(out, guid),
        rarer => rare(out, rarer, ty, style),
    }
}

/// What a page has less often.
fn rare(out: &mut String, value: ValueRef<'_>, ty: Edm, style: Style) {
    match value {
        ValueRef::Blank | ValueRef::Rows(_) | ValueRef::Bytes(_) => out.push_str("null"),
        ValueRef::Bool(yes) => out.push_str(if yes { "true" } else { "false" }),
        ValueRef::Int(number) => {
            number_in(out, style.numbers_as_text && ty != Edm::Double, |out| whole(out, number));
        }
        ValueRef::Decimal(number) => {
            number_in(out, style.numbers_as_text && ty != Edm::Double, |out| decimal(out, &number));
        }
        ValueRef::Float(number) => written(out, format_args!("{number}")),
        ValueRef::Date(date) => day(out, date),
        ValueRef::Instant(at) => written(out, format_args!("\"{at}\"")),
        ValueRef::LocalDateTime(at) => {
            written(out, format_args!("\"{}\"", TimeZone::UTC.to_timestamp(at).unwrap_or_default()));
        }
        ValueRef::Guid(guid) => quoted_guid(out, guid),
        ValueRef::Time(time) => written(out, format_args!("\"{time}\"")),
        ValueRef::Text(text) | ValueRef::Choice(text) => quoted(out, text),
        ValueRef::Reference(reference) => quoted(out, &reference.to_string()),
    }
}

fn quoted_guid(out: &mut String, guid: Uuid) {
    out.push('"');
    out.push_str(guid.hyphenated().encode_lower(&mut [0; 36]));
    out.push('"');
}

fn written(out: &mut String, what: std::fmt::Arguments<'_>) {
    // Writing into a text cannot fail.
    let _ = out.write_fmt(what);
}

/// A number, in quotes where it leaves as a text.
fn number_in(out: &mut String, as_text: bool, write: impl FnOnce(&mut String)) {
    if as_text {
        out.push('"');
    }
    write(out);
    if as_text {
        out.push('"');
    }
}

fn whole(out: &mut String, number: i64) {
    // A page has thousands of numbers, and what the standard library formats passes through several calls each.
    if number < 0 {
        out.push('-');
    }
    padded(out, number.unsigned_abs(), 1);
}

/// At least so many digits.
fn padded(out: &mut String, number: u64, least: usize) {
    if number >= 100 || least > 2 {
        padded(out, number / 100, least.saturating_sub(2).max(1));
        pair(out, number % 100);
    } else if number >= 10 || least == 2 {
        pair(out, number);
    } else {
        digit(out, number);
    }
}

#[inline]
fn pair(out: &mut String, number: u64) {
    digit(out, number / 10);
    digit(out, number);
}

/// The last digit of a number.
#[inline]
fn digit(out: &mut String, number: u64) {
    out.push(char::from(b'0' + (number % 10) as u8));
}

fn decimal(out: &mut String, number: &Decimal) {
    let (Ok(digits), scale) = (u64::try_from(number.mantissa().unsigned_abs()), number.scale()) else {
        let _ = write!(out, "{number}");
        return;
    };
    if scale > 18 {
        let _ = write!(out, "{number}");
        return;
    }
    if number.is_sign_negative() && digits > 0 {
        out.push('-');
    }
    match scale {
        0 => padded(out, digits, 1),
        // What money has, without a division that the processor takes long for.
        1 => fraction(out, digits / 10, digits % 10, 1),
        2 => fraction(out, digits / 100, digits % 100, 2),
        scale => {
            let one = 10u64.pow(scale);
            fraction(out, digits / one, digits % one, scale);
        }
    }
}

fn fraction(out: &mut String, whole: u64, part: u64, digits: u32) {
    padded(out, whole, 1);
    out.push('.');
    padded(out, part, digits as usize);
}

/// Midnight UTC.
fn day(out: &mut String, date: Date) {
    let Ok(year @ 0..=9999) = u64::try_from(date.year()) else {
        let _ = write!(out, "\"{date}T00:00:00Z\"");
        return;
    };
    out.push('"');
    pair(out, year / 100);
    pair(out, year % 100);
    for part in [date.month(), date.day()] {
        out.push('-');
        pair(out, part.unsigned_abs().into());
    }
    out.push_str("T00:00:00Z\"");
}

/// What stands before each value of a row, made once for a page.
pub struct Members<'a> {
    set: &'a EntitySet,
    style: Style,
    /// `"sku":`, with the comma before it and its type, and the type of what follows.
    names: Vec<(String, Edm)>,
}

impl<'a> Members<'a> {
    pub fn new<'p>(
        set: &'a EntitySet,
        properties: impl IntoIterator<Item = &'p Property>,
        style: Style,
    ) -> Members<'a> {
        let full = style.metadata == Metadata::Full;
        let name = |(at, property): (usize, &'p Property)| {
            let mut text = String::from(if at > 0 || full { "," } else { "" });
            if full && !matches!(property.ty, Edm::String | Edm::Boolean | Edm::Double) {
                let ty = property.ty.name().trim_start_matches("Edm.");
                written(&mut text, format_args!("\"{}@odata.type\":\"#{ty}\",", property.name));
            }
            written(&mut text, format_args!("\"{}\":", property.name));
            (text, property.ty)
        };
        Members { set, style, names: properties.into_iter().enumerate().map(name).collect() }
    }

    /// The members of one row, without its braces. `values` are in the order of the properties; `key` is its GUID.
    pub fn write<'v>(&self, out: &mut String, values: impl IntoIterator<Item = ValueRef<'v>>, key: Uuid) {
        if self.style.metadata == Metadata::Full {
            let (of, name) = (&self.set.of, &self.set.name);
            written(out, format_args!("\"@odata.type\":\"#{NAMESPACE}.{of}\""));
            written(out, format_args!(",\"@odata.id\":\"{name}({key})\",\"@odata.readLink\":\"{name}({key})\""));
        }
        let mut values = values.into_iter();
        for (name, ty) in &self.names {
            out.push_str(name);
            // Looked at only now, and written at once: it need not be kept anywhere in between.
            value(out, values.next().unwrap_or_default(), *ty, self.style);
        }
    }
}

/// The body of a refusal. *Shape*: `code` and `message` of OData, with our request id beside them.
pub fn error(code: &str, message: &str, request_id: &str) -> String {
    let mut out = String::from("{\"error\":{\"code\":");
    quoted(&mut out, code);
    out.push_str(",\"message\":");
    quoted(&mut out, message);
    out.push_str(",\"innererror\":{\"request_id\":");
    quoted(&mut out, request_id);
    out.push_str("}}}");
    out
}

#[cfg(test)]
mod tests {
    use record::Value;

    use super::*;

    #[test]
    fn values_leave_exactly() {
        let check = |one: Value, ty: Edm, as_text: bool, expected: &str| {
            let mut out = String::new();
            value(&mut out, one.as_ref(), ty, Style { numbers_as_text: as_text, ..Style::default() });
            assert_eq!(out, expected);
        };
        let decimal = |text: &str| Value::Decimal(text.parse().unwrap());
        check(decimal("12345678901234567890.123400"), Edm::Decimal(None), false, "12345678901234567890.123400");
        check(decimal("5.10"), Edm::Decimal(Some(2)), true, "\"5.10\"");
        check(decimal("-0.05"), Edm::Decimal(Some(2)), false, "-0.05");
        check(decimal("-1000"), Edm::Decimal(None), false, "-1000");
        check(decimal("0"), Edm::Decimal(None), false, "0");
        check(decimal("0.0000000000000000000000001"), Edm::Decimal(None), false, "0.0000000000000000000000001");
        check(Value::Int(0), Edm::Int64, false, "0");
        check(Value::Int(i64::MIN), Edm::Int64, false, "-9223372036854775808");
        check(Value::Date("0007-01-09".parse().unwrap()), Edm::Date, false, "\"0007-01-09T00:00:00Z\"");
        check(Value::Int(i64::MAX), Edm::Int64, true, "\"9223372036854775807\"");
        check(Value::Float(1.5), Edm::Double, true, "1.5");
        check(Value::Date("2026-11-23".parse().unwrap()), Edm::Date, false, "\"2026-11-23T00:00:00Z\"");
        check(Value::text("a\"b\\c\u{1}\nü"), Edm::String, false, "\"a\\\"b\\\\c\\u0001\\nü\"");
        check(Value::Blank, Edm::String, false, "null");
        check(Value::Date("-000001-12-31".parse().unwrap()), Edm::Date, false, "\"-000001-12-31T00:00:00Z\"");
        check(Value::Date("9999-12-31".parse().unwrap()), Edm::Date, false, "\"9999-12-31T00:00:00Z\"");
        for (text, expected) in
            [("12.5", "12.5"), ("0.07", "0.07"), ("-100.10", "-100.10"), ("7.003", "7.003"), ("-0.00", "0.00")]
        {
            check(decimal(text), Edm::Decimal(None), false, expected);
        }
    }

    /// Wherever it stands, and whatever stands around it.
    #[test]
    fn what_has_to_be_escaped_is_found_everywhere() {
        for length in 0..40 {
            for other in ["a", "!", "#", "[", "]", " ", "\u{7f}", "ü", "東", "\u{10ffff}"] {
                let plain = other.repeat(length);
                let mut out = String::new();
                quoted(&mut out, &plain);
                assert_eq!(out, format!("\"{plain}\""));
                for (at, _) in plain.char_indices() {
                    for (special, written) in
                        [("\"", "\\\""), ("\\", "\\\\"), ("\n", "\\n"), ("\u{1f}", "\\u001f"), ("\0", "\\u0000")]
                    {
                        let (mut text, mut out) = (plain.clone(), String::new());
                        text.insert_str(at, special);
                        quoted(&mut out, &text);
                        assert_eq!(out, format!("\"{}{written}{}\"", &plain[..at], &plain[at..]));
                    }
                }
            }
        }
    }
}
