//! Numbers as text and back, exact decimals beside floats.

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use std::fmt::Write;
use std::str::FromStr;

/// How a language writes numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Culture {
    pub decimal: char,
    pub group: char,
    pub currency: &'static str,
}

pub(crate) const ENGLISH: Culture = Culture { decimal: '.', group: ',', currency: "$" };

/// The number conventions of a language tag such as `fr-FR`; `None` for a tag that is none.
///
/// Languages that we have no row for are written as English is.
pub(crate) fn culture(tag: &str) -> Option<Culture> {
    let mut parts = tag.split('-');
    let language = parts.next()?.to_ascii_lowercase();
    let region = parts.next().map(str::to_ascii_uppercase);
    if !(2..=3).contains(&language.len()) || !language.bytes().all(|b| b.is_ascii_lowercase()) {
        return None;
    }
    if region.as_deref().is_some_and(|r| !(2..=8).contains(&r.len()) || !r.bytes().all(|b| b.is_ascii_alphanumeric())) {
        return None;
    }
    if parts.next().is_some_and(|p| p.is_empty() || p.len() > 8) {
        return None;
    }
    let of = |decimal, group, currency| Some(Culture { decimal, group, currency });
    match (language.as_str(), region.as_deref()) {
        ("de", Some("CH")) => of('.', '’', "CHF"),
        ("es", Some("MX" | "US")) => of('.', ',', "$"),
        ("de" | "es" | "it" | "nl" | "el" | "da" | "id" | "tr" | "hr" | "sl" | "ro", _) => of(',', '.', "€"),
        ("pt", Some("BR")) => of(',', '.', "R$"),
        ("vi", _) => of(',', '.', "₫"),
        ("fr", _) => of(',', '\u{202f}', "€"),
        ("pl" | "cs" | "sk" | "ru" | "uk" | "bg" | "hu" | "fi" | "sv" | "nb" | "nn" | "no" | "pt", _) => {
            of(',', '\u{a0}', "€")
        }
        ("en", Some("GB")) => of('.', ',', "£"),
        ("en", Some("IE")) => of('.', ',', "€"),
        ("ja" | "zh", _) => of('.', ',', "¥"),
        _ => Some(ENGLISH),
    }
}

/// What a text says about a number, before it is decimal or float.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Parsed {
    negative: bool,
    percent: bool,
    /// Digits with at most one `.`.
    digits: String,
    exponent: i32,
}

impl Parsed {
    /// `None` where the number has more digits before the point than a decimal holds.
    pub fn decimal(&self) -> Option<Decimal> {
        let shift = self.exponent - if self.percent { 2 } else { 0 };
        let mut n = decimal_from_digits(&self.digits, shift)?;
        n.set_sign_negative(self.negative && !n.is_zero());
        Some(n)
    }

    /// `None` where the number is beyond what a float holds.
    pub fn float(&self) -> Option<f64> {
        let n = f64::from_str(&format!("{}e{}", self.digits, self.exponent)).ok()?;
        let n = if self.percent { n / 100.0 } else { n };
        let n = if self.negative { -n } else { n };
        n.is_finite().then_some(n)
    }
}

/// The decimal of `digits` times ten to the power of `exponent`; rounded at the 28th place, `None` on overflow.
fn decimal_from_digits(digits: &str, exponent: i32) -> Option<Decimal> {
    if exponent == 0 {
        return Decimal::from_str(digits.trim_end_matches('.')).ok();
    }
    if digits.bytes().all(|b| b == b'0' || b == b'.') || exponent < -1000 {
        return Some(Decimal::ZERO);
    }
    if exponent > 1000 {
        return None;
    }
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all = format!("{whole}{fraction}");
    let point = whole.len() as i32 + exponent;
    let shifted = if point <= 0 {
        format!("0.{}{all}", "0".repeat(point.unsigned_abs() as usize))
    } else if point as usize >= all.len() {
        format!("{all}{}", "0".repeat(point as usize - all.len()))
    } else {
        format!("{}.{}", &all[..point as usize], &all[point as usize..])
    };
    let significant = shifted.trim_start_matches('0');
    if significant.split('.').next().is_some_and(|whole| whole.len() > 29) {
        return None;
    }
    // Beyond the 40th place nothing can reach the 28th.
    let cut = shifted.find('.').map_or(shifted.len(), |p| shifted.len().min(p + 40));
    Decimal::from_str(&shifted[..cut]).ok()
}

/// A literal as the language has it: digits, point, exponent.
pub(crate) fn literal(text: &str) -> Option<Decimal> {
    let (digits, exponent) = match text.find(['e', 'E']) {
        Some(at) => (&text[..at], read_exponent(&text[at + 1..])),
        None => (text, 0),
    };
    if digits.starts_with('.') {
        return decimal_from_digits(&format!("0{digits}"), exponent);
    }
    decimal_from_digits(digits, exponent)
}

fn read_exponent(text: &str) -> i32 {
    i32::from_str(text).unwrap_or(if text.starts_with('-') { -9999 } else { 9999 })
}

/// Reads a number as people write it: spaces, one sign, one currency or one percent sign, parentheses for
/// negative, group separators, an exponent.
pub(crate) fn parse(text: &str, culture: Culture) -> Option<Parsed> {
    let mut rest = text.trim();
    let (mut sign, mut percent, mut currency, mut paren) = (None, false, false, false);
    loop {
        rest = rest.trim_start();
        let c = rest.chars().next()?;
        if (c == '+' || c == '-') && sign.is_none() && !paren {
            sign = Some(c == '-');
            rest = &rest[1..];
        } else if c == '%' && !percent && !currency {
            percent = true;
            rest = &rest[1..];
        } else if c == '(' && !paren && sign.is_none() {
            paren = true;
            rest = &rest[1..];
        } else if rest.starts_with(culture.currency) && !currency && !percent {
            currency = true;
            rest = &rest[culture.currency.len()..];
        } else {
            break;
        }
    }
    let mut digits = String::new();
    let (mut point, mut any, mut used) = (false, false, 0);
    for c in rest.chars() {
        if c.is_ascii_digit() {
            digits.push(c);
            any = true;
        } else if c == culture.decimal && !point {
            if digits.is_empty() {
                digits.push('0');
            }
            digits.push('.');
            point = true;
        } else if is_group(c, culture) && any && !point && digit_follows(&rest[used + c.len_utf8()..]) {
            // Separators between digits mean nothing.
        } else {
            break;
        }
        used += c.len_utf8();
    }
    if !any || digits.len() > 1000 {
        return None;
    }
    rest = &rest[used..];
    let mut exponent = 0;
    if rest.starts_with(['e', 'E']) {
        let body = &rest[1..];
        let signed = usize::from(body.starts_with(['+', '-']));
        let end = signed + body[signed..].find(|c: char| !c.is_ascii_digit()).unwrap_or(body.len() - signed);
        if end == signed {
            return None;
        }
        exponent = read_exponent(&body[..end]);
        rest = &body[end..];
    }
    let mut open = paren;
    loop {
        rest = rest.trim_start();
        let Some(c) = rest.chars().next() else { break };
        if c == ')' && open {
            open = false;
            rest = &rest[1..];
        } else if c == '%' && !percent && !currency {
            percent = true;
            rest = &rest[1..];
        } else if rest.starts_with(culture.currency) && !currency && !percent {
            currency = true;
            rest = &rest[culture.currency.len()..];
        } else {
            return None;
        }
    }
    if open {
        return None;
    }
    Some(Parsed { negative: paren || sign == Some(true), percent, digits, exponent })
}

fn is_group(c: char, culture: Culture) -> bool {
    let spaced = matches!(culture.group, '\u{a0}' | '\u{202f}');
    c == culture.group || (spaced && matches!(c, ' ' | '\u{a0}' | '\u{202f}'))
}

fn digit_follows(rest: &str) -> bool {
    rest.starts_with(|c: char| c.is_ascii_digit() || c == ',' || c == '.')
}

pub(crate) fn to_float(n: Decimal) -> f64 {
    if n.scale() == 0 {
        return n.to_f64().unwrap_or(0.0);
    }
    // Through the text, so that 0.1 is the nearest float to 0.1.
    n.to_string().parse().unwrap_or(0.0)
}

/// The float as a decimal of 15 significant digits, as spreadsheets show it; `None` beyond a decimal's range.
pub(crate) fn from_float(f: f64) -> Option<Decimal> {
    if !f.is_finite() || f.abs() > 7.92e28 {
        return None;
    }
    if f.fract() == 0.0 && f.abs() < 1e15 {
        return Some(Decimal::from(f as i64));
    }
    let text = format!("{f:.14e}");
    let (mantissa, exponent) = text.split_once('e')?;
    let (negative, digits) = match mantissa.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, mantissa),
    };
    let mut n = decimal_from_digits(digits, exponent.parse().ok()?)?.normalize();
    n.set_sign_negative(negative && !n.is_zero());
    Some(n)
}

/// Appends the number without trailing zeros.
pub(crate) fn write_decimal(out: &mut String, n: Decimal) {
    let n = n.normalize();
    // Writing into a String cannot fail.
    let _ = write!(out, "{n}");
}

/// Appends the shortest text that reads back as the same float: `1E+100`, `0.0001`, `1E-05`.
pub(crate) fn write_float(out: &mut String, f: f64) {
    if f == 0.0 {
        out.push('0');
        return;
    }
    let text = format!("{f:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..15).contains(&exponent) {
        let _ = write!(out, "{f}");
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        let _ = write!(out, "{mantissa}E{sign}{:02}", exponent.unsigned_abs());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_people_write_them() {
        let check = |text: &str, expected: Option<&str>| {
            let got = parse(text, ENGLISH).and_then(|p| p.decimal()).map(|d| d.normalize().to_string());
            assert_eq!(got.as_deref(), expected, "{text:?}");
        };
        check("5", Some("5"));
        check(" - $1,234.50 ", Some("-1234.5"));
        check("(12 %)", Some("-0.12"));
        check("%12", Some("0.12"));
        check("2.1e3%", Some("21"));
        check(".5", Some("0.5"));
        check("7.", Some("7"));
        check("1e-100", Some("0"));
        check("1e29", None);
        for bad in ["", " ", ".", "-", "+-1", "1%%", "$1%", "1 2", "2e", "e3", "(1", "1)", "(-1)", "1.2.3", "12$3", "a"]
        {
            check(bad, None);
        }
    }

    #[test]
    fn floats_print_short() {
        let check = |f: f64, expected: &str| {
            let mut out = String::new();
            write_float(&mut out, f);
            assert_eq!(out, expected);
        };
        check(1e100, "1E+100");
        check(0.1, "0.1");
        check(1e-5, "1E-05");
        check(123456.75, "123456.75");
        check(1e15, "1E+15");
        check(-2.5, "-2.5");
    }

    #[test]
    fn a_float_becomes_a_decimal_of_fifteen_digits() {
        assert_eq!(from_float(0.1), Some(Decimal::from_str("0.1").unwrap()));
        assert_eq!(from_float(1.0 / 3.0), Some(Decimal::from_str("0.333333333333333").unwrap()));
        assert_eq!(from_float(1e100), None);
    }
}
