//! Formulas from the outside: text and a row in, a literal or problems out.

#![allow(clippy::unwrap_used)]

mod compile;
mod functions;
mod fuzz;
mod language;
mod limits;
mod reference;

use powerfx::{Context, Expect, Scope, Value, compile, literal};

/// A Friday noon in London, an hour ahead of UTC.
fn context() -> Context {
    let now = "2026-07-31T11:00:00Z".parse().unwrap();
    Context::new(now, jiff::tz::TimeZone::get("Europe/London").unwrap())
}

/// The value of a formula that uses no names, as a literal.
fn run(text: &str) -> String {
    match compile(text, &Scope::new(), &Expect::Any) {
        Ok(formula) => {
            let row: [Value<'_>; 0] = [];
            literal(&formula.eval(&row, &context()))
        }
        Err(problems) => format!("does not compile: {}", problems[0]),
    }
}

#[track_caller]
fn check(text: &str, expected: &str) {
    assert_eq!(run(text), expected, "{text}");
}

#[track_caller]
fn check_all(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        check(text, expected);
    }
}

#[track_caller]
fn refused(text: &str) {
    let found = run(text);
    assert!(found.starts_with("does not compile"), "{text} gives {found}");
}
