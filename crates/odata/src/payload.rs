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
    // Most texts have nothing to escape, which is seen of all their bytes together sooner than of one after the other.
    if text.bytes().fold(false, |any, byte| any | is_escaped(byte)) {
        escaped(out, text)
    } else {
        out.push_str(text)
    }
    out.push('"');
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
pub fn value(out: &mut String, value: ValueRef<'_>, ty: Edm, style: Style) {
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
        ValueRef::Guid(guid) => {
            out.push('"');
            out.push_str(guid.hyphenated().encode_lower(&mut [0; 36]));
            out.push('"');
        }
        ValueRef::Time(time) => written(out, format_args!("\"{time}\"")),
        ValueRef::Text(text) | ValueRef::Choice(text) => quoted(out, text),
        ValueRef::Reference(reference) => quoted(out, &reference.to_string()),
    }
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

/// Every two digits, one after the other.
const PAIRS: &str = "0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546474849\
                     5051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899";

fn padded(out: &mut String, number: u64, least: usize) {
    if number >= 100 || least > 2 {
        padded(out, number / 100, least.saturating_sub(2).max(1));
        pair(out, number % 100);
    } else if number >= 10 || least == 2 {
        pair(out, number);
    } else {
        let at = number as usize * 2 + 1;
        out.push_str(&PAIRS[at..=at]);
    }
}

fn pair(out: &mut String, number: u64) {
    let at = number as usize * 2;
    out.push_str(&PAIRS[at..at + 2]);
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
    let one = 10u64.pow(scale);
    padded(out, digits / one, 1);
    if scale > 0 {
        out.push('.');
        padded(out, digits % one, scale as usize);
    }
}

/// Midnight UTC.
fn day(out: &mut String, date: Date) {
    let Ok(year) = u64::try_from(date.year()) else {
        let _ = write!(out, "\"{date}T00:00:00Z\"");
        return;
    };
    out.push('"');
    padded(out, year, 4);
    for part in [date.month(), date.day()] {
        out.push('-');
        padded(out, part.unsigned_abs().into(), 2);
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
        for ((name, ty), one) in self.names.iter().zip(values) {
            out.push_str(name);
            value(out, one, *ty, self.style);
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
    }
}
