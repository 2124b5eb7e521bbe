//! Patterns that say how few texts there are: `[A-Z0-9]{8,22}`, `SKU-\d{6}`, `[A-Z]{2}[0-9]{1,9}`.

use std::sync::Arc;

/// A text as a sequence of runs, each of an alphabet. *Shape*: at most 122 bits of texts.
#[derive(Debug, Clone, PartialEq)]
pub struct Pattern {
    runs: Vec<Run>,
    /// How many texts there are: asked for with every row.
    count: u128,
    /// Where all texts have one length and there are few: how each byte of one counts.
    places: Option<Vec<Place>>,
}

/// A place in a text of ASCII that has one length.
#[derive(Debug, Clone, PartialEq)]
struct Place {
    /// [`Run::ascii`] of the run that it is of.
    digits: Arc<[u16; 256]>,
    /// How many characters may stand there.
    radix: u64,
}

#[derive(Debug, Clone, PartialEq)]
struct Run {
    /// Sorted, without repeats.
    alphabet: Vec<char>,
    /// By the code of a character of ASCII, its place in the alphabet; [`NONE`] where it is not in there.
    ascii: Arc<[u16; 256]>,
    min: u32,
    max: u32,
    count: u128,
}

const NONE: u16 = u16::MAX;

const COUNT_MAX: u128 = 1 << 122;
const ALPHABET_MAX: usize = 256;

impl Pattern {
    /// Nothing, for what is no sequence of runs, holds too many texts, or could be cut into runs in two ways.
    pub fn parse(text: &str) -> Option<Pattern> {
        let mut chars = text.trim_start_matches('^').trim_end_matches('$').chars().peekable();
        let mut runs: Vec<Run> = Vec::new();
        while let Some(c) = chars.next() {
            let alphabet = match c {
                '[' => class(&mut chars)?,
                '\\' => escaped(chars.next()?)?,
                '(' | ')' | '|' | '.' | '*' | '+' | '?' | '^' | '$' | '{' | '}' | ']' => return None,
                plain => vec![plain],
            };
            let (min, max) = match chars.peek() {
                Some('{') => {
                    chars.next();
                    times(&mut chars)?
                }
                Some('?') => {
                    chars.next();
                    (0, 1)
                }
                Some('*' | '+') => return None,
                _ => (1, 1),
            };
            if min > max || max > 200 {
                return None;
            }
            if let Some(before) = runs.last()
                && before.min != before.max
                && before.alphabet.iter().any(|c| alphabet.contains(c))
            {
                return None;
            }
            let count = count(alphabet.len(), min, max)?;
            let mut ascii = [NONE; 256];
            for (place, c) in alphabet.iter().enumerate().filter(|(_, c)| c.is_ascii()) {
                ascii[*c as usize] = place as u16;
            }
            runs.push(Run { alphabet, ascii: Arc::new(ascii), min, max, count });
        }
        // A run that may be empty leaves the next one beside the one before it.
        let unclear = runs.iter().enumerate().any(|(at, run)| run.min == 0 && at + 1 < runs.len() && at > 0);
        let count =
            runs.iter().try_fold(1u128, |all, run| all.checked_mul(run.count).filter(|all| *all <= COUNT_MAX))?;
        let places = places(&runs).filter(|_| u64::try_from(count).is_ok());
        (!unclear && !runs.is_empty() && count > 1).then_some(Pattern { runs, count, places })
    }

    /// How many texts there are.
    pub fn count(&self) -> u128 {
        self.count
    }

    pub fn number(&self, text: &str) -> Option<u128> {
        match self.short(text.as_bytes()) {
            Some(number) => Some(number.into()),
            None => self.long(text),
        }
    }

    /// Of a text of ASCII, where all texts have one length and there are few; nothing for another one.
    fn short(&self, text: &[u8]) -> Option<u64> {
        let places = self.places.as_ref().filter(|places| places.len() == text.len())?;
        let mut number = 0u64;
        for (place, byte) in places.iter().zip(text) {
            let digit = place.digits[usize::from(*byte)];
            if digit == NONE {
                return None;
            }
            number = number * place.radix + u64::from(digit);
        }
        Some(number)
    }

    fn long(&self, text: &str) -> Option<u128> {
        let mut chars = text.chars().peekable();
        let mut number: u128 = 0;
        for run in &self.runs {
            if let ([only], 1, 1) = (run.alphabet.as_slice(), run.min, run.max) {
                // A character that stands for itself says nothing.
                if chars.next() != Some(*only) {
                    return None;
                }
                continue;
            }
            let (mut length, mut value) = (0, 0u128);
            while length < run.max
                && let Some(digit) = chars.peek().and_then(|c| run.place(*c))
            {
                value = value.checked_mul(run.alphabet.len() as u128)?.checked_add(digit as u128)?;
                length += 1;
                chars.next();
            }
            if length < run.min {
                return None;
            }
            let shorter: u128 = (run.min..length).map(|l| run.of_length(l)).sum::<Option<u128>>()?;
            number = number.checked_mul(run.count)?.checked_add(shorter + value)?;
        }
        chars.peek().is_none().then_some(number)
    }

    pub fn text(&self, mut number: u128) -> Option<String> {
        let mut backwards: Vec<char> = Vec::new();
        for run in self.runs.iter().rev() {
            let mut value = number % run.count;
            number /= run.count;
            let mut length = run.min;
            while value >= run.of_length(length)? {
                value -= run.of_length(length)?;
                length += 1;
            }
            for _ in 0..length {
                let radix = run.alphabet.len() as u128;
                backwards.push(run.alphabet[usize::try_from(value % radix).ok()?]);
                value /= radix;
            }
        }
        (number == 0).then(|| backwards.iter().rev().collect())
    }
}

impl Run {
    fn place(&self, c: char) -> Option<usize> {
        match self.ascii.get(c as usize).filter(|_| c.is_ascii()) {
            Some(place) => (*place != NONE).then_some(usize::from(*place)),
            None => self.alphabet.binary_search(&c).ok(),
        }
    }

    fn of_length(&self, length: u32) -> Option<u128> {
        (self.alphabet.len() as u128).checked_pow(length)
    }
}

/// The places of a text whose runs have one length each.
fn places(runs: &[Run]) -> Option<Vec<Place>> {
    let of = |run: &Run| {
        let place = Place { digits: run.ascii.clone(), radix: run.alphabet.len() as u64 };
        (run.min == run.max).then(|| vec![place; run.min as usize])
    };
    runs.iter().map(of).collect::<Option<Vec<_>>>().map(|all| all.concat())
}

/// How many texts of these lengths an alphabet has.
fn count(alphabet: usize, min: u32, max: u32) -> Option<u128> {
    (min..=max).map(|length| (alphabet as u128).checked_pow(length)).try_fold(0u128, |sum, n| sum.checked_add(n?))
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

fn class(chars: &mut Chars<'_>) -> Option<Vec<char>> {
    let mut alphabet = Vec::new();
    loop {
        let from = match chars.next()? {
            ']' if !alphabet.is_empty() => break,
            ']' | '^' if alphabet.is_empty() => return None,
            '[' | '&' => return None,
            '\\' => match escaped(chars.next()?)?.as_slice() {
                [one] => *one,
                several => {
                    alphabet.extend(several);
                    continue;
                }
            },
            c => c,
        };
        let mut ahead = chars.clone();
        let to = match (ahead.next(), ahead.next()) {
            (Some('-'), Some(to)) if to != ']' && to != '\\' => {
                chars.next();
                chars.next();
                to
            }
            _ => from,
        };
        if to < from || to as usize - from as usize > ALPHABET_MAX {
            return None;
        }
        alphabet.extend(from..=to);
    }
    alphabet.sort_unstable();
    alphabet.dedup();
    (alphabet.len() <= ALPHABET_MAX).then_some(alphabet)
}

/// `\d`, or a character that stands for itself.
fn escaped(c: char) -> Option<Vec<char>> {
    match c {
        'd' => Some(('0'..='9').collect()),
        c if c.is_ascii_alphanumeric() => None,
        c => Some(vec![c]),
    }
}

/// `8}` or `8,22}`.
fn times(chars: &mut Chars<'_>) -> Option<(u32, u32)> {
    let mut text = String::new();
    loop {
        match chars.next()? {
            '}' => break,
            c => text.push(c),
        }
    }
    match text.split_once(',') {
        Some((min, max)) => Some((min.trim().parse().ok()?, max.trim().parse().ok()?)),
        None => text.trim().parse().ok().map(|times| (times, times)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_comes_back_from_its_number() {
        for (pattern, texts) in [
            ("[A-Z0-9]{8,22}", &["ABCD1234", "000000000000", "ZZZZZZZZZZZZZZZZZZZZZZ"][..]),
            ("SKU-\\d{6}", &["SKU-000000", "SKU-000777", "SKU-999999"]),
            ("[A-Z]{1,3}[0-9]{1,4}", &["A0", "ZZZ9999", "AB12"]),
            ("[a-f0-9.-]{0,12}", &["a", "..-", "0123456789ab"]),
            ("[a-zäöü]{4}[0-9]", &["abcd1", "äöüz9"]),
            ("[A-Z0-9]{12}", &["ZZZZZZZZZZZZ", "000000000001"]),
            ("[A-Z0-9]{13}", &["ZZZZZZZZZZZZZ", "0000000000001"]),
        ] {
            let parsed = Pattern::parse(pattern).unwrap_or_else(|| panic!("{pattern} can be packed"));
            for text in texts {
                let number = parsed.number(text).unwrap_or_else(|| panic!("{text} is of {pattern}"));
                assert!(number < parsed.count());
                assert_eq!(parsed.text(number).as_deref(), Some(*text), "{pattern}");
                assert_eq!(parsed.long(text), Some(number), "{text} of {pattern}, a character at a time");
            }
        }
    }

    #[test]
    fn what_is_no_plain_sequence_is_not_packed() {
        for pattern in
            ["", ".*", "[A-Z]+", "(A|B)", "[^x]{2}", "[A-Z]{1,40}", "[A-Z]{1,3}[A-Z]{2}", "\\w{4}", "A?B?C", "x"]
        {
            assert_eq!(Pattern::parse(pattern), None, "{pattern}");
        }
        let sku = Pattern::parse("SKU-\\d{6}").unwrap();
        for text in ["SKU-00077", "SKU-0007777", "sku-000777", "", "SKU-00077٣"] {
            assert_eq!(sku.number(text), None, "{text}");
        }
    }
}
