//! Small charts as SVG: they follow the theme, say in words what they show, and need no script.

use std::fmt::Write;

use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};
use store::lists::Hour;

use crate::ask::Ask;
use crate::history::{HOURS, hour_of};
use crate::words::{counted, moment, number};

const BAR: f32 = 5.0;
const HEIGHT: f32 = 64.0;

/// What a bar is made of, from below.
type Part = (&'static str, fn(&Hour) -> u64);

const RUNS: [Part; 3] =
    [("good", |h| h.good - h.with_dead_letters.min(h.good)), ("warn", |h| h.with_dead_letters), ("bad", |h| h.failed)];
const MESSAGES: [Part; 1] = [("written", |h| h.written)];
const ROWS: [Part; 2] = [("written", |h| h.written), ("bad", |h| h.rejected)];

/// The runs of the last week, hour by hour.
pub fn runs(ask: &Ask, hours: &[Hour]) -> Markup {
    let total = |count: fn(&Hour) -> u64| hours.iter().map(count).sum::<u64>();
    let said = format!(
        "{} in the last 7 days: {} good, {} of them with dead letters, {} failed",
        counted(total(|h| h.good + h.failed), "run", "runs"),
        number(total(|h| h.good)),
        number(total(|h| h.with_dead_letters)),
        number(total(|h| h.failed)),
    );
    bars(ask, "Runs", &said, hours, &RUNS)
}

/// The rows that they wrote and rejected.
pub fn rows(ask: &Ask, hours: &[Hour]) -> Markup {
    let total = |count: fn(&Hour) -> u64| hours.iter().map(count).sum::<u64>();
    let said = format!(
        "{} read in the last 7 days, {} written, {} rejected",
        counted(total(|h| h.read), "row", "rows"),
        number(total(|h| h.written)),
        number(total(|h| h.rejected)),
    );
    bars(ask, "Rows", &said, hours, &ROWS)
}

/// The messages that were delivered.
pub fn messages(ask: &Ask, hours: &[Hour]) -> Markup {
    let total = hours.iter().map(|h| h.written).sum::<u64>();
    let said = format!("{} delivered in the last 7 days", counted(total, "message", "messages"));
    bars(ask, "Messages", &said, hours, &MESSAGES)
}

fn bars(ask: &Ask, name: &str, said: &str, hours: &[Hour], parts: &[Part]) -> Markup {
    let begin = hour_of(ask.now) - SignedDuration::from_hours(HOURS - 1);
    let highest = hours.iter().map(|hour| parts.iter().map(|(_, of)| of(hour)).sum::<u64>()).max().unwrap_or(0);
    let width = HOURS as f32 * BAR;
    html! {
        figure.chart {
            figcaption { b { (name) } " " (said) }
            @if highest > 0 { svg viewBox={ "0 0 " (width) " " (HEIGHT + 16.0) } role="img" aria-label={ (name) ": " (said) } preserveAspectRatio="none" {
                @for (at, (class, _)) in parts.iter().enumerate() {
                    path.(*class) d=(path(hours, parts, at, begin, highest)) {}
                }
                path.axis d={ "M0 " (HEIGHT) "H" (width) } {}
                @for day in 1..=6_i64 {
                    path.day d={ "M" (day as f32 * 24.0 * BAR) " 0V" (HEIGHT) } {}
                }
            }
            p.scale aria-hidden="true" { span { (moment(begin, ask.zone()).get(..10).unwrap_or_default()) } span { "at most " (number(highest)) " an hour" } span { "now" } } }
        }
    }
}

/// One path for all bars of a part: a week of them is a few kilobytes.
fn path(hours: &[Hour], parts: &[Part], part: usize, begin: Timestamp, highest: u64) -> String {
    let mut path = String::new();
    for hour in hours {
        let below: u64 = parts[..part].iter().map(|(_, of)| of(hour)).sum();
        let value = parts[part].1(hour);
        let at = hour.at.duration_since(begin).as_hours();
        if value == 0 || !(0..HOURS).contains(&at) {
            continue;
        }
        let scale = |n: u64| n as f32 / highest.max(1) as f32 * (HEIGHT - 2.0);
        // One failed run among thousands is still to be seen.
        let tall = scale(value).max(1.5);
        let y = (HEIGHT - scale(below) - tall).max(0.0);
        let _ = write!(path, "M{} {y:.1}h{}v{tall:.1}h-{}z", at as f32 * BAR, BAR - 1.0, BAR - 1.0);
    }
    path
}
