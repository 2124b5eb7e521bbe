//! Format strings as Excel has them: `#,##0.00`, `0%`, `0.0E+00`, `yyyy-mm-dd hh:mm:ss AM/PM`, with up to three
//! sections for positive, negative and zero.

use crate::coerce::{coerce, to_number};
use crate::datetime::{MONTHS, WEEKDAYS};
use crate::eval::Env;
use crate::number::Culture;
use crate::types::Type;
use crate::value::{Moment, Value};
use rust_decimal::Decimal;
use std::fmt::Write;

mod number;

/// A format that was read once and can be written with many times.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Format {
    sections: Vec<Vec<Part>>,
    date: bool,
    utc: bool,
}

#[derive(Debug, Clone, PartialEq)]
enum Part {
    Literal(String),
    /// A place for a digit; `true` for `0`, which is written even where there is none.
    Digit(bool),
    Point,
    /// Commas after a digit: between digits they group, at the end they divide by a thousand each.
    Commas(usize),
    Percent,
    Exponent {
        letter: char,
        plus: bool,
        digits: usize,
    },
    Year(usize),
    /// A month, or minutes beside hours or seconds.
    Month(usize),
    Minute(usize),
    Day(usize),
    Hour(usize),
    Second(usize),
    Fraction(usize),
    /// `AM/PM`, or `A/P`.
    Noon(bool),
}

/// What stands for a member of `DateTimeFormat` when the formula runs; no format that a person writes starts so.
pub(crate) const NAMED: char = '\u{1}';

const SECTIONS_MAX: usize = 3;
const FORMAT_BYTES_MAX: usize = 1000;

impl Format {
    /// `None` for what is no format: digits beside date parts, more than three sections, and the parts of Excel's
    /// language that Power Fx leaves out (`?`, `[…]`, `_`, `*`, `@`, fractions, `General`).
    pub fn parse(text: &str) -> Option<Format> {
        if let Some(name) = text.strip_prefix(NAMED) {
            return named(name);
        }
        if text.len() > FORMAT_BYTES_MAX || text.to_ascii_lowercase().contains("general") {
            return None;
        }
        let mut reader = Reader { rest: text.chars().collect(), at: 0, parts: Vec::new(), date: false, number: false };
        let mut sections = Vec::new();
        while reader.section()? {
            sections.push(std::mem::take(&mut reader.parts));
        }
        sections.push(std::mem::take(&mut reader.parts));
        if sections.len() > SECTIONS_MAX || (reader.date && reader.number) {
            return None;
        }
        for section in &mut sections {
            if reader.date {
                settle_minutes(section);
            } else if !number::is_valid(section) {
                return None;
            }
        }
        Some(Format { sections, date: reader.date, utc: false })
    }

    pub fn is_date(&self) -> bool {
        self.date
    }

    /// The value in this format. A number in a date format counts days, a date in a number format is its days.
    pub fn write_to<'a>(&self, env: &mut Env<'a>, value: &Value<'a>, culture: Culture) -> Value<'a> {
        match value {
            value if value.is_error() => return value.clone(),
            // As in Power Apps. A zero, or its day 1899-12-30, would be nobody's value.
            Value::Blank => return Value::text(""),
            _ => {}
        }
        let mut out = String::new();
        if self.date {
            let moment = match coerce(env, value.clone(), &Type::DateTime) {
                Value::DateTime(m) => m,
                _ => match value {
                    // A time may be negative or longer than a day.
                    Value::Time(m) => *m,
                    _ => return Value::invalid("expected a date or a time for this format"),
                },
            };
            let moment = if self.utc { utc(env, moment) } else { moment };
            self.write_moment(&mut out, moment);
        } else {
            let n = match to_number(value) {
                Value::Number(n) => n,
                Value::Error(e) => match value {
                    Value::Float(f) => {
                        number::write_float(&mut out, &self.sections, *f, culture);
                        return env.text(out);
                    }
                    _ => return Value::Error(e),
                },
                _ => Decimal::ZERO,
            };
            number::write(&mut out, &self.sections, number::Digits::of_decimal(n), culture);
        }
        env.text(out)
    }

    fn write_moment(&self, out: &mut String, moment: Moment) {
        let wanted = match moment.0 {
            0 => 2,
            m if m < 0 => 1,
            _ => 0,
        };
        let Some(section) = self.sections.get(wanted).or(self.sections.first()) else { return };
        let p = moment.parts();
        let noon = section.iter().any(|part| matches!(part, Part::Noon(_)));
        for part in section {
            // Writing into a String cannot fail.
            let _ = match part {
                Part::Literal(text) => out.write_str(text),
                Part::Year(1 | 2) => write!(out, "{:02}", p.year % 100),
                Part::Year(_) => write!(out, "{:04}", p.year),
                Part::Month(3) => out.write_str(&MONTHS[p.month as usize - 1][..3]),
                Part::Month(5) => out.write_str(&MONTHS[p.month as usize - 1][..1]),
                Part::Month(n) if *n >= 4 => out.write_str(MONTHS[p.month as usize - 1]),
                Part::Month(n) => write!(out, "{:0n$}", p.month),
                Part::Minute(n) => write!(out, "{:0n$}", p.minute, n = (*n).min(2)),
                Part::Day(3) => out.write_str(&WEEKDAYS[moment.weekday() as usize][..3]),
                Part::Day(n) if *n >= 4 => out.write_str(WEEKDAYS[moment.weekday() as usize]),
                Part::Day(n) => write!(out, "{:0n$}", p.day),
                Part::Hour(n) => {
                    let hour = if noon && p.hour % 12 == 0 {
                        12
                    } else if noon {
                        p.hour % 12
                    } else {
                        p.hour
                    };
                    write!(out, "{hour:0n$}", n = (*n).min(2))
                }
                Part::Second(n) => write!(out, "{:0n$}", p.second, n = (*n).min(2)),
                Part::Fraction(n) => {
                    let digits = format!("{:06}", p.micros);
                    write!(out, ".{}{}", &digits[..(*n).min(6)], "0".repeat(n.saturating_sub(6)))
                }
                Part::Noon(long) => {
                    let letter = if p.hour < 12 { 'A' } else { 'P' };
                    if *long { write!(out, "{letter}M") } else { write!(out, "{letter}") }
                }
                _ => Ok(()),
            };
        }
    }
}

/// Writes a moment in a date format that we know to be one.
pub(crate) fn write_date(out: &mut String, moment: Moment, format: &str) {
    if let Some(format) = Format::parse(format) {
        format.write_moment(out, moment);
    }
}

fn utc(env: &Env<'_>, moment: Moment) -> Moment {
    let utc = jiff::tz::TimeZone::UTC;
    moment.to_timestamp(&env.context.zone).map_or(moment, |at| Moment::from_timestamp(at, &utc))
}

fn named(name: &str) -> Option<Format> {
    let format = match name {
        "longdate" => "dddd, mmmm d, yyyy",
        "shortdate" => "m/d/yyyy",
        "longtime" => "h:mm:ss AM/PM",
        "shorttime" => "h:mm AM/PM",
        "longtime24" => "hh:mm:ss",
        "shorttime24" => "hh:mm",
        "longdatetime" => "dddd, mmmm d, yyyy h:mm:ss AM/PM",
        "shortdatetime" => "m/d/yyyy h:mm AM/PM",
        "longdatetime24" => "dddd, mmmm d, yyyy hh:mm:ss",
        "shortdatetime24" => "m/d/yyyy hh:mm",
        "utc" => "yyyy-mm-dd\\Thh:mm:ss.000\\Z",
        _ => return None,
    };
    Some(Format { utc: name == "utc", ..Format::parse(format)? })
}

struct Reader {
    rest: Vec<char>,
    at: usize,
    parts: Vec<Part>,
    date: bool,
    number: bool,
}

impl Reader {
    fn peek(&self, ahead: usize) -> char {
        self.rest.get(self.at + ahead).copied().unwrap_or('\0')
    }

    fn literal(&mut self, c: char) {
        match self.parts.last_mut() {
            Some(Part::Literal(text)) => text.push(c),
            _ => self.parts.push(Part::Literal(c.to_string())),
        }
    }

    fn ahead_is(&self, word: &str) -> bool {
        word.chars().enumerate().all(|(i, c)| self.peek(i).eq_ignore_ascii_case(&c))
    }

    fn run(&mut self, c: char) -> usize {
        let start = self.at;
        while self.peek(0).eq_ignore_ascii_case(&c) && self.at < self.rest.len() {
            self.at += 1;
        }
        self.at - start
    }

    /// Reads up to a `;` (`Some(true)`) or to the end (`Some(false)`).
    fn section(&mut self) -> Option<bool> {
        while self.at < self.rest.len() {
            let c = self.peek(0);
            match c {
                ';' => {
                    self.at += 1;
                    return Some(true);
                }
                '\\' => {
                    self.at += 1;
                    let escaped = self.peek(0);
                    if self.at < self.rest.len() {
                        self.literal(escaped);
                        self.at += 1;
                    }
                }
                '"' => self.quoted(),
                '?' | '[' | ']' | '_' | '*' | '@' => return None,
                '0' | '#' => {
                    self.number = true;
                    self.parts.push(Part::Digit(c == '0'));
                    self.at += 1;
                    if self.peek(0) == '/' {
                        return None;
                    }
                }
                ',' => {
                    let count = self.run(',');
                    match self.parts.last() {
                        Some(Part::Digit(_) | Part::Point) => self.parts.push(Part::Commas(count)),
                        _ => self.literal(','),
                    }
                }
                '.' if self.after_seconds() && matches!(self.peek(1), '0' | 'f') => {
                    self.at += 1;
                    let digits = self.run(self.peek(0));
                    self.parts.push(Part::Fraction(digits));
                }
                '.' => {
                    let first = !self.parts.contains(&Part::Point);
                    self.at += 1;
                    if first {
                        self.parts.push(Part::Point);
                    } else {
                        self.literal('.');
                    }
                }
                '%' => {
                    self.at += 1;
                    self.parts.push(Part::Percent);
                }
                ':' => {
                    self.at += 1;
                    // A colon belongs to times; between digits it has no meaning.
                    if self.number && self.digit_follows() {
                        return None;
                    }
                    self.literal(c);
                }
                'e' | 'E' if self.exponent() => {}
                'a' | 'A' if self.ahead_is("am/pm") => self.noon(true, 5),
                'a' | 'A' if self.ahead_is("a/p") => self.noon(false, 3),
                'y' | 'Y' | 'm' | 'M' | 'd' | 'D' | 'h' | 'H' | 's' | 'S' => {
                    self.date = true;
                    let count = self.run(c);
                    self.parts.push(match c.to_ascii_lowercase() {
                        'y' => Part::Year(count),
                        'm' => Part::Month(count),
                        'd' => Part::Day(count),
                        'h' => Part::Hour(count),
                        _ => Part::Second(count),
                    });
                }
                c => {
                    self.literal(c);
                    self.at += 1;
                }
            }
        }
        Some(false)
    }

    fn quoted(&mut self) {
        self.at += 1;
        while self.at < self.rest.len() && self.peek(0) != '"' {
            self.literal(self.peek(0));
            self.at += 1;
        }
        self.at += 1;
        // An empty pair of quotes still parts what stands around it.
        if !matches!(self.parts.last(), Some(Part::Literal(_))) {
            self.parts.push(Part::Literal(String::new()));
        }
    }

    /// Whether a place for a digit comes before the section ends; what is quoted or escaped is none.
    fn digit_follows(&self) -> bool {
        let mut at = self.at;
        while let Some(&c) = self.rest.get(at) {
            match c {
                '0' | '#' => return true,
                ';' => return false,
                '\\' => at += 1,
                '"' => at += 1 + self.rest[at + 1..].iter().take_while(|c| **c != '"').count(),
                _ => {}
            }
            at += 1;
        }
        false
    }

    fn after_seconds(&self) -> bool {
        matches!(self.parts.last(), Some(Part::Second(_)))
    }

    fn noon(&mut self, long: bool, length: usize) {
        self.date = true;
        self.at += length;
        self.parts.push(Part::Noon(long));
    }

    /// `E+00` after digits. Its places are `0` and `#`; one more is written where a `#` follows the last `0`.
    fn exponent(&mut self) -> bool {
        let plus = match (self.peek(1), self.peek(2)) {
            ('+', '0' | '#') => true,
            ('-', '0' | '#') => false,
            ('0', _) => false,
            _ => return false,
        };
        if !self.number || self.parts.iter().any(|p| matches!(p, Part::Exponent { .. })) {
            return false;
        }
        let letter = self.peek(0);
        self.at += if self.peek(1) == '0' { 1 } else { 2 };
        let (mut zeros, mut trailing) = (0, false);
        while matches!(self.peek(0), '0' | '#') {
            if self.peek(0) == '0' {
                zeros += 1;
                trailing = false;
            } else {
                trailing = zeros > 0;
            }
            self.at += 1;
        }
        self.parts.push(Part::Exponent { letter, plus, digits: zeros + usize::from(trailing) });
        true
    }
}

/// `m` is minutes after an hour, until a day or a year comes, and right before seconds.
fn settle_minutes(parts: &mut [Part]) {
    let mut after_hour = false;
    for i in 0..parts.len() {
        match parts[i] {
            Part::Hour(_) => after_hour = true,
            Part::Day(_) | Part::Year(_) => after_hour = false,
            Part::Month(count) if count <= 2 => {
                let next = parts[i + 1..].iter().find(|p| !matches!(p, Part::Literal(_) | Part::Point | Part::Percent));
                if after_hour || matches!(next, Some(Part::Second(_))) {
                    parts[i] = Part::Minute(count);
                }
            }
            _ => {}
        }
    }
    for part in parts.iter_mut() {
        match part {
            Part::Point => *part = Part::Literal(".".to_owned()),
            Part::Percent => *part = Part::Literal("%".to_owned()),
            _ => {}
        }
    }
}

/// The number in a format, in English, for tests.
#[cfg(test)]
fn number_as(n: &str, format: &str) -> Option<String> {
    use std::str::FromStr;
    let format = Format::parse(format)?;
    let mut out = String::new();
    let digits = number::Digits::of_decimal(Decimal::from_str(n).ok()?);
    number::write(&mut out, &format.sections, digits, crate::number::ENGLISH);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        let check =
            |n, format, expected: &str| assert_eq!(number_as(n, format).as_deref(), Some(expected), "{n} {format}");
        check("1234.567", "#,##0.00", "1,234.57");
        check("-1234.567", "#,##0.00", "-1,234.57");
        check("0", "###", "");
        check("5", "000", "005");
        check("0.256", "0.0%", "25.6%");
        check("1234567", "#,##0,", "1,235");
        check("123456789", "000-00-0000", "123-45-6789");
        check("-5", "0.0;(0.0);none", "(5.0)");
        check("0", "0.0;(0.0);none", "none");
        check("12345.678", "0.00E+00", "1.23E+04");
        check("0.00012", "0.0E-0", "1.2E-4");
        check("9.996", "0.00E+00", "1.00E+01");
        check("12", "\"no. \"0", "no. 12");
        check("0.5", "#.00", ".50");
        check("12.5", "0.###", "12.5");
    }

    #[test]
    fn what_is_no_format() {
        for bad in ["0 yyyy", "[Red]0", "0;0;0;0", "General", "0?", "_0", "*0", "@", "0/0", "0:0", "0.0E+0.0"] {
            assert_eq!(Format::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn dates() {
        let at = Moment::from_civil(1983, 6, 3).unwrap().checked_add((2 * 3600 + 53 * 60 + 9) * 1_000_000 + 125_000);
        let check = |format, expected: &str| {
            let mut out = String::new();
            write_date(&mut out, at.unwrap(), format);
            assert_eq!(out, expected, "{format}");
        };
        check("yyyy-mm-dd hh:mm:ss.000", "1983-06-03 02:53:09.125");
        check("dddd, mmmm d, yy", "Friday, June 3, 83");
        check("h:mm AM/PM", "2:53 AM");
        check("ddd mmm m:ss", "Fri Jun 53:09");
        check("mm:hh", "06:02");
    }
}
