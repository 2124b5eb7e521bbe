//! Numbers, times and lengths as people read them.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use store::runs::Run;

/// 12,345.
pub fn number(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 run`, `2 runs`.
pub fn counted(n: u64, one: &str, several: &str) -> String {
    format!("{} {}", number(n), if n == 1 { one } else { several })
}

/// How the events of an integration stand: `nothing waits`, `3 on their way, 1 held by a dead letter`.
pub fn on_their_way(waiting: u64, held: u64) -> String {
    let waiting = (waiting > 0).then(|| counted(waiting, "on its way", "on their way"));
    let held = (held > 0).then(|| counted(held, "held by a dead letter", "held by dead letters"));
    let all: Vec<String> = waiting.into_iter().chain(held).collect();
    if all.is_empty() { "nothing waits".to_owned() } else { all.join(", ") }
}

/// A moment in the project's time zone, to the second.
pub fn moment(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// To the millisecond: two things of one second have an order.
pub fn exact_moment(at: Timestamp, zone: &TimeZone) -> String {
    format!("{}.{:03}", moment(at, zone), at.as_millisecond().rem_euclid(1000))
}

/// `3 min ago`, `in 5 min`, roughly.
pub fn relative(at: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(at).as_secs();
    let rough = |seconds: i64| match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7_199 => format!("{} min", seconds / 60),
        7_200..=172_799 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    };
    match seconds {
        -1..=1 => "just now".to_owned(),
        past @ 2.. => format!("{} ago", rough(past)),
        future => format!("in {}", rough(-future)),
    }
}

/// How long a run took, or takes already.
pub fn took(run: &Run, now: Timestamp) -> String {
    let length = run.finished.unwrap_or(now).duration_since(run.started).max(jiff::SignedDuration::ZERO);
    length_of(length.unsigned_abs())
}

pub fn length_of(length: Duration) -> String {
    let ms = length.as_millis();
    match ms {
        0..=999 => format!("{ms} ms"),
        1_000..=59_999 => format!("{:.1} s", length.as_secs_f64()),
        60_000..=3_599_999 => format!("{} min {} s", ms / 60_000, ms / 1000 % 60),
        _ => format!("{} h {} min", ms / 3_600_000, ms / 60_000 % 60),
    }
}

/// `ok with dead letters`.
pub fn spoken(word: &str) -> String {
    word.replace('_', " ")
}

/// The beginning of a text.
pub fn cut(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// A part of an address, with everything escaped that has a meaning there.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(byte as char),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// A word of a command line, quoted where a shell would split or change it.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@=,+".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_people() {
        assert_eq!([0, 999, 1000, 1_234_567].map(number), ["0", "999", "1,000", "1,234,567"]);
        let at = |s: i64| Timestamp::from_second(1_000_000 + s).unwrap();
        let said = [0, -90, -3600, 300, 200_000].map(|s| relative(at(s), at(0)));
        assert_eq!(said, ["just now", "90 s ago", "60 min ago", "in 5 min", "in 2 days"]);
        let lengths = [5, 1500, 61_000, 3_660_000].map(|ms| length_of(Duration::from_millis(ms)));
        assert_eq!(lengths, ["5 ms", "1.5 s", "1 min 1 s", "1 h 1 min"]);
        assert_eq!(escaped("a b/ü?"), "a%20b%2F%C3%BC%3F");
        assert_eq!([quoted("C-1001"), quoted("it's"), quoted("")], ["C-1001", r"'it'\''s'", "''"]);
        assert_eq!([cut("abc", 3), cut("abcd", 3)], ["abc", "abc…"]);
    }
}
