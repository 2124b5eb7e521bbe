//! Answers as JSON, written without a tree in between.
//!
//! *Source*: OData JSON Format 4.0: sections 3.1.1 (how much metadata), 7.1 (primitive values), 4.5 (control information).

use std::io::Write;

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

/// What JSON is written into.
pub trait Out {
    fn put(&mut self, text: &str);
}

impl Out for String {
    fn put(&mut self, text: &str) {
        self.push_str(text);
    }
}

impl Out for Vec<u8> {
    #[inline]
    fn put(&mut self, text: &str) {
        let bytes = text.as_bytes();
        // Most texts are short: two pieces of eight bytes, which may share some, are put down faster than so many as it is.
        match (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
            (Some(first), Some(last)) if bytes.len() <= 16 => {
                let start = self.len();
                self.extend_from_slice(first);
                self.truncate(start + bytes.len() - 8);
                self.extend_from_slice(last);
            }
            _ => self.extend_from_slice(bytes),
        }
    }
}

/// A text in JSON's quotes.
#[inline]
pub fn quoted(out: &mut impl Out, text: &str) {
    out.put("\"");
    if has_escaped(text.as_bytes()) {
        escaped(out, text)
    } else {
        out.put(text)
    }
    out.put("\"");
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

fn escaped(out: &mut impl Out, text: &str) {
    let mut start = 0;
    for (at, byte) in text.bytes().enumerate().filter(|(_, byte)| is_escaped(*byte)) {
        out.put(&text[start..at]);
        match byte {
            b'"' => out.put("\\\""),
            b'\\' => out.put("\\\\"),
            b'\n' => out.put("\\n"),
            b'\r' => out.put("\\r"),
            b'\t' => out.put("\\t"),
            other => out.put(&format!("\\u{other:04x}")),
        }
        start = at + 1;
    }
    out.put(&text[start..]);
}

/// One value of a property. *Shape*: a blank is `null`; a date is midnight UTC.
#[inline]
pub fn value(out: &mut Vec<u8>, value: ValueRef<'_>, ty: Edm, style: Style) {
    match value {
        ValueRef::Text(text) => quoted(out, text),
        ValueRef::Blank => out.put("null"),
        ValueRef::Int(number) if !style.numbers_as_text => whole(out, number),
        ValueRef::Decimal(number) if !style.numbers_as_text => decimal(out, &number),
        ValueRef::Date(date) => day(out, date),
        ValueRef::Guid(guid) => quoted_guid(out, guid),
        rarer => rare(out, rarer, ty, style),
    }
}

/// What a page has less often.
fn rare(out: &mut Vec<u8>, value: ValueRef<'_>, ty: Edm, style: Style) {
    match value {
        ValueRef::Blank | ValueRef::Rows(_) | ValueRef::Bytes(_) => out.put("null"),
        ValueRef::Bool(yes) => out.put(if yes { "true" } else { "false" }),
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

fn quoted_guid(out: &mut Vec<u8>, guid: Uuid) {
    let mut text = [b'"'; 38];
    guid.hyphenated().encode_lower(&mut text[1..37]);
    out.extend_from_slice(&text);
}

fn written(out: &mut Vec<u8>, what: std::fmt::Arguments<'_>) {
    // Writing into memory cannot fail.
    let _ = out.write_fmt(what);
}

/// A number, in quotes where it leaves as a text.
fn number_in(out: &mut Vec<u8>, as_text: bool, write: impl FnOnce(&mut Vec<u8>)) {
    if as_text {
        out.push(b'"');
    }
    write(out);
    if as_text {
        out.push(b'"');
    }
}

/// `00` to `99`.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut at = 0;
    while at < pairs.len() {
        pairs[at] = [b'0' + (at / 10) as u8, b'0' + (at % 10) as u8];
        at += 1;
    }
    pairs
};

/// The last two digits of a number.
#[inline]
fn pair(number: u64) -> [u8; 2] {
    PAIRS[(number % 100) as usize]
}

#[inline]
fn whole(out: &mut Vec<u8>, number: i64) {
    if number < 0 {
        out.push(b'-');
    }
    digits(out, number.unsigned_abs());
}

/// A page has thousands of numbers, and what the standard library formats passes through several calls each.
fn digits(out: &mut Vec<u8>, number: u64) {
    let (higher, [c, d]) = (number / 100, pair(number));
    match number {
        0..10 => out.push(d),
        10..100 => out.extend_from_slice(&[c, d]),
        100..1_000 => out.extend_from_slice(&[pair(higher)[1], c, d]),
        _ => {
            if number >= 10_000 {
                digits(out, higher / 100);
            }
            let [a, b] = pair(higher);
            out.extend_from_slice(&[a, b, c, d]);
        }
    }
}

fn decimal(out: &mut Vec<u8>, number: &Decimal) {
    let (Ok(all), scale) = (u64::try_from(number.mantissa().unsigned_abs()), number.scale()) else {
        return written(out, format_args!("{number}"));
    };
    if scale > 18 {
        return written(out, format_args!("{number}"));
    }
    if number.is_sign_negative() && all > 0 {
        out.push(b'-');
    }
    match scale {
        0 => digits(out, all),
        // What money has, without a division that the processor takes long for.
        1 => {
            digits(out, all / 10);
            out.extend_from_slice(&[b'.', pair(all % 10)[1]]);
        }
        2 => {
            digits(out, all / 100);
            let [c, d] = pair(all);
            out.extend_from_slice(&[b'.', c, d]);
        }
        scale => {
            let one = 10u64.pow(scale);
            digits(out, all / one);
            written(out, format_args!(".{:01$}", all % one, scale as usize));
        }
    }
}

/// Midnight UTC.
fn day(out: &mut Vec<u8>, date: Date) {
    let Ok(year @ 0..=9999) = u64::try_from(date.year()) else {
        return written(out, format_args!("\"{date}T00:00:00Z\""));
    };
    let ([a, b], [c, d]) = (pair(year / 100), pair(year));
    let [[e, f], [g, h]] = [date.month(), date.day()].map(|part| pair(part.unsigned_abs().into()));
    out.extend_from_slice(&[b'"', a, b, c, d, b'-', e, f, b'-', g, h]);
    out.extend_from_slice(b"T00:00:00Z\"");
}

/// What stands before each value of a row, made once for a page.
pub struct Members<'a> {
    set: &'a EntitySet,
    style: Style,
    names: Vec<Name>,
}

/// `"sku":`, with the comma before it and its type.
struct Name {
    text: String,
    /// Its first bytes: so many are put down at once, and the rest of them taken back.
    short: [u8; Name::SHORT],
    /// The type of what follows.
    ty: Edm,
}

impl Name {
    const SHORT: usize = 32;

    fn new(text: String, ty: Edm) -> Name {
        let mut short = [0; Name::SHORT];
        short.iter_mut().zip(text.bytes()).for_each(|(to, from)| *to = from);
        Name { text, short, ty }
    }

    #[inline]
    fn write(&self, out: &mut Vec<u8>) {
        if self.text.len() > Name::SHORT {
            return out.put(&self.text);
        }
        let end = out.len() + self.text.len();
        out.extend_from_slice(&self.short);
        out.truncate(end);
    }
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
                text.push_str(&format!("\"{}@odata.type\":\"#{ty}\",", property.name));
            }
            text.push_str(&format!("\"{}\":", property.name));
            Name::new(text, property.ty)
        };
        Members { set, style, names: properties.into_iter().enumerate().map(name).collect() }
    }

    /// The members of one row, without its braces. `values` are in the order of the properties; `key` is its GUID.
    pub fn write<'v>(&self, out: &mut Vec<u8>, values: impl IntoIterator<Item = ValueRef<'v>>, key: Uuid) {
        if self.style.metadata == Metadata::Full {
            let (of, name) = (&self.set.of, &self.set.name);
            written(out, format_args!("\"@odata.type\":\"#{NAMESPACE}.{of}\""));
            written(out, format_args!(",\"@odata.id\":\"{name}({key})\",\"@odata.readLink\":\"{name}({key})\""));
        }
        let mut values = values.into_iter();
        for name in &self.names {
            name.write(out);
            // Looked at only now, and written at once: it need not be kept anywhere in between.
            value(out, values.next().unwrap_or_default(), name.ty, self.style);
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
            let mut out = Vec::new();
            value(&mut out, one.as_ref(), ty, Style { numbers_as_text: as_text, ..Style::default() });
            assert_eq!(String::from_utf8(out).unwrap(), expected);
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
        // Of every length, and with zeros in every place.
        for number in (0..20).map(|power| 10u64.pow(power)).flat_map(|ten| [ten - 1, ten, ten + 1, 7 * (ten / 9)]) {
            let mut out = Vec::new();
            digits(&mut out, number);
            assert_eq!(String::from_utf8(out).unwrap(), number.to_string());
        }
        for scale in 0..=18 {
            for digits in [0i64, 1, 90, 100_200_300, i64::MAX] {
                let number = record::Decimal::new(digits, scale);
                check(Value::Decimal(number), Edm::Decimal(None), false, &number.to_string());
            }
        }
    }

    /// Wherever it stands, and whatever stands around it.
    #[test]
    fn what_has_to_be_escaped_is_found_everywhere() {
        for length in 0..40 {
            for other in ["a", "!", "#", "[", "]", " ", "\u{7f}", "ü", "東", "\u{10ffff}"] {
                let plain = other.repeat(length);
                let (mut out, mut bytes) = (String::new(), Vec::new());
                quoted(&mut out, &plain);
                quoted(&mut bytes, &plain);
                assert_eq!(out, format!("\"{plain}\""));
                assert_eq!(bytes, out.as_bytes());
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
