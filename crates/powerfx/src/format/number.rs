//! Writing a number by the parts of a format.

use super::Part;
use crate::number::Culture;
use rust_decimal::Decimal;

/// The digits of a number without its sign: `0.d1d2d3…` times ten to the power of `scale`.
#[derive(Debug, Clone)]
pub(crate) struct Digits {
    negative: bool,
    digits: Vec<u8>,
    scale: i64,
}

impl Digits {
    pub fn of_decimal(n: Decimal) -> Self {
        let mut digits = n.mantissa().unsigned_abs().to_string().into_bytes();
        let scale = digits.len() as i64 - i64::from(n.scale());
        digits.iter_mut().for_each(|d| *d -= b'0');
        Self { negative: n.is_sign_negative(), digits, scale }.trimmed()
    }

    /// Fifteen significant digits, as spreadsheets show floats.
    pub fn of_float(f: f64) -> Self {
        let text = format!("{:.14e}", f.abs());
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let digits = mantissa.bytes().filter(u8::is_ascii_digit).map(|b| b - b'0').collect();
        Self { negative: f < 0.0, digits, scale: exponent.parse().unwrap_or(0) + 1 }.trimmed()
    }

    fn trimmed(mut self) -> Self {
        let leading = self.digits.iter().take_while(|d| **d == 0).count();
        self.digits.drain(..leading);
        self.scale -= leading as i64;
        while self.digits.last() == Some(&0) {
            self.digits.pop();
        }
        if self.digits.is_empty() {
            self.scale = 0;
        }
        self
    }

    fn is_zero(&self) -> bool {
        self.digits.is_empty()
    }

    /// Keeps so many digits, the last of them rounded, a half up.
    fn round(&mut self, keep: i64) {
        if keep < 0 {
            self.digits.clear();
            self.scale = 0;
            return;
        }
        let keep = keep as usize;
        if self.digits.len() <= keep {
            return;
        }
        let up = self.digits[keep] >= 5;
        self.digits.truncate(keep);
        if up {
            let mut at = keep;
            loop {
                if at == 0 {
                    self.digits.insert(0, 1);
                    self.scale += 1;
                    break;
                }
                at -= 1;
                if self.digits[at] < 9 {
                    self.digits[at] += 1;
                    break;
                }
                self.digits[at] = 0;
            }
        }
        *self = std::mem::replace(self, Digits { negative: false, digits: Vec::new(), scale: 0 }).trimmed();
    }

    /// The digit at a place before the point, 1 for the units.
    fn before(&self, place: i64) -> u8 {
        self.at(self.scale - place)
    }

    /// The digit at a place after the point, from 0.
    fn after(&self, place: i64) -> u8 {
        self.at(self.scale + place)
    }

    fn at(&self, index: i64) -> u8 {
        usize::try_from(index).ok().and_then(|i| self.digits.get(i)).copied().unwrap_or(0)
    }
}

/// What the parts of a section ask for.
struct Plan {
    whole: i64,
    /// The first place before the point, counted from the point, that is written even without a digit.
    whole_least: i64,
    fraction: i64,
    fraction_least: i64,
    groups: bool,
    power: i64,
    exponent: bool,
}

pub(super) fn is_valid(parts: &[Part]) -> bool {
    let Some(at) = parts.iter().position(|p| matches!(p, Part::Exponent { .. })) else { return true };
    !parts[at + 1..].iter().any(|p| matches!(p, Part::Digit(_) | Part::Percent | Part::Point | Part::Commas(_)))
}

fn plan(parts: &[Part]) -> Plan {
    let mut plan =
        Plan { whole: 0, whole_least: 0, fraction: 0, fraction_least: 0, groups: false, power: 0, exponent: false };
    let point = parts.iter().position(|p| *p == Part::Point).unwrap_or(parts.len());
    let mut first_zero = None;
    for (i, part) in parts.iter().enumerate() {
        match part {
            Part::Digit(zero) if i < point => {
                if *zero && first_zero.is_none() {
                    first_zero = Some(plan.whole);
                }
                plan.whole += 1;
            }
            Part::Digit(zero) => {
                plan.fraction += 1;
                if *zero {
                    plan.fraction_least = plan.fraction;
                }
            }
            Part::Commas(count) => {
                let next = parts.get(i + 1);
                let more = parts[i + 1..].iter().any(|p| matches!(p, Part::Digit(_) | Part::Point));
                match next {
                    Some(Part::Digit(_)) if i < point => plan.groups = true,
                    Some(Part::Point) => plan.power -= 3 * *count as i64,
                    _ if !more => plan.power -= 3 * *count as i64,
                    _ => {}
                }
            }
            Part::Percent => plan.power += 2,
            Part::Exponent { .. } => plan.exponent = true,
            _ => {}
        }
    }
    plan.whole_least = first_zero.map_or(0, |at| plan.whole - at);
    plan
}

pub(super) fn write_float(out: &mut String, sections: &[Vec<Part>], f: f64, culture: Culture) {
    write(out, sections, Digits::of_float(f), culture);
}

/// Writes the number with the section for its sign; a number that rounds to zero is one.
pub(crate) fn write(out: &mut String, sections: &[Vec<Part>], number: Digits, culture: Culture) {
    let first = match (number.is_zero(), number.negative) {
        (true, _) if sections.len() > 2 => 2,
        (false, true) if sections.len() > 1 && !sections[1].is_empty() => 1,
        _ => 0,
    };
    let (mut section, mut rounded, mut exponent) = prepare(sections, first, &number);
    if rounded.is_zero() && !number.is_zero() {
        let again = if sections.len() > 2 { 2 } else { 0 };
        if again != first {
            rounded.negative = false;
            (section, rounded, exponent) = prepare(sections, again, &rounded);
        }
    }
    let Some(parts) = sections.get(section) else { return };
    if number.negative && section == 0 && !rounded.is_zero() {
        out.push('-');
    }
    render(out, parts, &plan(parts), &rounded, exponent, culture);
}

/// The number as its section wants it: scaled, rounded, and for an exponent with its digits before the point.
fn prepare(sections: &[Vec<Part>], section: usize, number: &Digits) -> (usize, Digits, i64) {
    let mut n = number.clone();
    let Some(parts) = sections.get(section) else { return (section, n, 0) };
    let plan = plan(parts);
    if n.is_zero() {
        return (section, n, 0);
    }
    n.scale += plan.power;
    if !plan.exponent {
        let keep = n.scale + plan.fraction;
        n.round(keep);
        return (section, n, 0);
    }
    n.round(plan.whole + plan.fraction);
    let exponent = n.scale - plan.whole;
    n.scale = plan.whole;
    (section, n, exponent)
}

fn render(out: &mut String, parts: &[Part], plan: &Plan, n: &Digits, exponent: i64, culture: Culture) {
    let digit = |d: u8| char::from(b'0' + d);
    let mut place = plan.whole;
    let mut fraction = 0;
    let mut started = false;
    let mut past_point = false;
    let last_used = n.digits.len() as i64 - n.scale;
    let whole_digits = |out: &mut String, from: i64, to: i64| {
        let mut at = from;
        while at > to {
            out.push(digit(n.before(at)));
            if plan.groups && at > 1 && (at - 1) % 3 == 0 {
                out.push(culture.group);
            }
            at -= 1;
        }
    };
    for part in parts {
        match part {
            Part::Literal(text) => out.push_str(text),
            Part::Percent => out.push('%'),
            Part::Digit(_) if !past_point => {
                if !started {
                    started = true;
                    whole_digits(out, n.scale, place);
                }
                if place <= n.scale || place <= plan.whole_least {
                    whole_digits(out, place, place - 1);
                }
                place -= 1;
            }
            Part::Digit(_) => {
                if fraction < last_used || fraction < plan.fraction_least {
                    out.push(digit(n.after(fraction)));
                }
                fraction += 1;
            }
            Part::Point => {
                if !started {
                    whole_digits(out, n.scale.max(0), 0);
                }
                past_point = true;
                out.push(culture.decimal);
            }
            Part::Exponent { letter, plus, digits } => {
                out.push(*letter);
                if exponent < 0 {
                    out.push('-');
                } else if *plus {
                    out.push('+');
                }
                let text = exponent.unsigned_abs().to_string();
                out.push_str(&"0".repeat(digits.saturating_sub(text.len())));
                out.push_str(&text);
            }
            _ => {}
        }
    }
}
