//! Small parts that pages are made of.

use jiff::Timestamp;
use maud::{Markup, html};
use store::runs::{Run, State};

use crate::ask::Ask;
use crate::facts::Level;
use crate::words::{moment, number, relative, spoken};

/// The hidden field that proves that a form is ours.
pub fn token(ask: &Ask) -> Markup {
    html! { input type="hidden" name="form-token" value=(ask.form_token); }
}

/// A state, told by colour, shape and word.
pub fn badge(level: Level, word: &str) -> Markup {
    html! { span.badge.(level.class()) { (dot(level)) (word) } }
}

/// The shape of a level; whoever does not see colours sees this.
pub fn dot(level: Level) -> Markup {
    let path = match level {
        Level::Bad => "M8 2.5 14.5 14h-13zM8 7v3.2M8 12.2v.2",
        Level::Warn => "M8 2 14 8 8 14 2 8zM8 5.6v3M8 10.4v.2",
        Level::Paused => "M5.5 3.5v9M10.5 3.5v9",
        Level::Busy => "M8 2.5a5.5 5.5 0 1 1-5.5 5.5",
        Level::Good => "M3 8.5l3.2 3.2L13 4.5",
        Level::Quiet => "M3.5 8h9",
    };
    html! { svg.dot viewBox="0 0 16 16" aria-hidden="true" { path d=(path) {} } }
}

/// A moment: how long ago, with the exact time for whoever points at it or listens.
pub fn time(ask: &Ask, at: Timestamp) -> Markup {
    let exact = moment(at, ask.zone());
    html! { time datetime=(at.strftime("%FT%TZ")) title=(exact) { (relative(at, ask.now)) } }
}

/// A moment to the second.
pub fn clock(ask: &Ask, at: Timestamp) -> Markup {
    html! { time datetime=(at.strftime("%FT%TZ")) { (moment(at, ask.zone())) } }
}

/// A command to copy.
pub fn command(line: &str) -> Markup {
    html! { span.line { code { (line) } button.copy type="button" hidden { "Copy" } } }
}

pub fn run_level(state: State) -> Level {
    match state {
        State::Running => Level::Busy,
        State::Ok => Level::Good,
        State::OkWithDeadLetters | State::Degraded | State::Interrupted => Level::Warn,
        State::WaitingForApproval | State::NotApproved => Level::Warn,
        State::Failed => Level::Bad,
    }
}

pub fn run_badge(run: &Run) -> Markup {
    badge(run_level(run.state), &spoken(run.state.as_str()))
}

/// `1,203 rejected`, or nothing to read.
pub fn amount(n: u64) -> Markup {
    html! { @if n == 0 { span.zero { "0" } } @else { (number(n)) } }
}

/// Facts about one thing, name by name; what is not known is left out.
pub fn facts<'f>(pairs: impl IntoIterator<Item = (&'f str, Markup)>) -> Markup {
    let known = pairs.into_iter().filter(|(_, value)| !value.0.is_empty());
    html! { dl.facts { @for (name, value) in known { div { dt { (name) } dd { (value) } } } } }
}

/// A code that leads to its page.
pub fn code(code: &str) -> Markup {
    html! { @if !code.is_empty() { a.code href={ "/explain/" (code) } { (code) } } }
}

pub fn integration(name: &str) -> Markup {
    html! { a href={ "/integrations/" (crate::words::escaped(name)) } { (name) } }
}

/// Where nothing is to be seen, and that this is fine.
pub fn nothing(sentence: &str) -> Markup {
    html! { p.nothing { (sentence) } }
}
