//! Bad days on demand: `429@10%,slow:2s@5%,down`.

use std::time::Duration;

use super::Error;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// An error answer; with 429 and 503 comes this many seconds of `Retry-After`.
    Status { status: u16, retry_after: u64 },
    /// The request is carried out, then the connection is cut without an answer.
    Drop,
    /// The connection is cut before anything is done.
    Cut,
    /// The request waits first.
    Slow(Duration),
    /// A batch is carried out, but only half of it is answered.
    HalfBatch,
}

/// To which requests it happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    Always,
    /// In hundredths of a percent.
    Share(u32),
    /// To all after the first so many.
    After(u64),
    /// To the first so many.
    First(u64),
    /// To each so-manieth.
    Every(u64),
}

#[derive(Debug, Clone)]
struct Rule {
    text: String,
    what: What,
    when: When,
    seen: u64,
}

/// The rules in force and their dice, which fall the same way for the same seed.
#[derive(Debug, Clone)]
pub struct Faults {
    rules: Vec<Rule>,
    dice: u64,
}

impl Faults {
    /// Reads a comma list of `WHAT` or `WHAT@WHEN`.
    ///
    /// WHAT is `429`, `503` or another error status (`429:30s` sets its Retry-After), `drop`, `cut`, `slow:2s`, `down`
    /// or `half-batch`; WHEN is `10%`, `after:100`, `first:3` or `every:7`, and all requests without it.
    pub fn parse(spec: &str, seed: u64) -> Result<Faults, Error> {
        let parts = spec.split(',').map(str::trim).filter(|part| !part.is_empty());
        Ok(Faults { rules: parts.map(rule).collect::<Result<_, _>>()?, dice: seed })
    }

    /// What happens to the next request, by rule in the order written; each rule counts every request that it sees.
    pub fn next(&mut self, is_batch: bool) -> Vec<What> {
        let mut happening = Vec::new();
        for index in 0..self.rules.len() {
            let rule = &mut self.rules[index];
            if rule.what == What::HalfBatch && !is_batch {
                continue;
            }
            rule.seen += 1;
            let (seen, when, what) = (rule.seen, rule.when, rule.what);
            let happens = match when {
                When::Always => true,
                When::After(count) => seen > count,
                When::First(count) => seen <= count,
                When::Every(count) => seen.is_multiple_of(count),
                When::Share(share) => self.roll() % 10_000 < u64::from(share),
            };
            if happens {
                happening.push(what);
            }
        }
        happening
    }

    pub fn spec(&self) -> String {
        self.rules.iter().map(|rule| rule.text.as_str()).collect::<Vec<_>>().join(",")
    }

    /// SplitMix64.
    fn roll(&mut self) -> u64 {
        self.dice = self.dice.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.dice;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

fn rule(text: &str) -> Result<Rule, Error> {
    let wrong = || Error::Fault { spec: text.to_owned() };
    let (what, when) = text.split_once('@').unwrap_or((text, ""));
    let (name, detail) = what.split_once(':').unwrap_or((what, ""));
    let what = match name {
        "drop" => What::Drop,
        "cut" => What::Cut,
        "down" => What::Status { status: 503, retry_after: 1 },
        "half-batch" => What::HalfBatch,
        "slow" => What::Slow(duration(detail).ok_or_else(wrong)?),
        status => {
            let status: u16 = status.parse().ok().filter(|status| (400..600).contains(status)).ok_or_else(wrong)?;
            let wait = if detail.is_empty() { Duration::from_secs(1) } else { duration(detail).ok_or_else(wrong)? };
            What::Status { status, retry_after: wait.as_secs() }
        }
    };
    let when = match when.split_once(':').unwrap_or((when, "")) {
        ("" | "always", "") => When::Always,
        ("after", count) => When::After(count.parse().map_err(|_| wrong())?),
        ("first", count) => When::First(count.parse().map_err(|_| wrong())?),
        ("every", count) => When::Every(count.parse().ok().filter(|count| *count > 0).ok_or_else(wrong)?),
        (share, "") => When::Share(percent(share).ok_or_else(wrong)?),
        _ => return Err(wrong()),
    };
    Ok(Rule { text: text.to_owned(), what, when, seen: 0 })
}

/// `10%` or `0.5 %` in hundredths of a percent.
fn percent(text: &str) -> Option<u32> {
    let number = rust_decimal::Decimal::from_str_exact(text.strip_suffix('%')?.trim()).ok()?;
    let hundredths = u32::try_from(number.checked_mul(100.into())?.trunc()).ok()?;
    (hundredths <= 10_000).then_some(hundredths)
}

fn duration(text: &str) -> Option<Duration> {
    match text.strip_suffix("ms") {
        Some(millis) => millis.parse().ok().map(Duration::from_millis),
        None => text.strip_suffix('s').unwrap_or(text).parse().ok().map(Duration::from_secs),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read() {
        let mut faults = Faults::parse("429:30s@first:1, slow:2s@every:2,drop@0%,half-batch", 1).unwrap();
        assert_eq!(faults.spec(), "429:30s@first:1,slow:2s@every:2,drop@0%,half-batch");
        assert_eq!(faults.next(false), [What::Status { status: 429, retry_after: 30 }]);
        assert_eq!(faults.next(true), [What::Slow(Duration::from_secs(2)), What::HalfBatch]);
    }

    #[test]
    fn nonsense_is_named() {
        for spec in ["flood", "429@x%", "200", "slow", "drop@every:0", "503@101%"] {
            assert!(matches!(Faults::parse(spec, 1), Err(Error::Fault { .. })), "{spec}");
        }
    }

    #[test]
    fn the_same_seed_falls_the_same_way() {
        let falls = |seed| {
            let mut faults = Faults::parse("503@30%", seed).unwrap();
            (0..1000).map(|_| faults.next(false).len()).collect::<Vec<_>>()
        };
        assert_eq!(falls(7), falls(7));
        let hits: usize = falls(7).into_iter().sum();
        assert!((250..350).contains(&hits), "{hits}");
    }
}
