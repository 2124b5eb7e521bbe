//! What to build, if anything: the questions as a form, and the answer in the words of the command.

use axum::response::Response;
use definition::advise::{self, QUESTIONS, Question};
use maud::{Markup, html};

use crate::ask::{self, Ask};
use crate::parts::command;
use crate::words::quoted;
use crate::{Problem, page};

/// Columns of the answer: the page breaks its lines itself, as wide as it is.
const WIDTH: usize = 10_000;

pub fn page(ask: &Ask) -> Result<Response, Problem> {
    let given: Vec<(&Question, String)> =
        QUESTIONS.iter().filter_map(|q| Some((q, ask.query(q.key)?.to_owned()))).collect();
    let body = html! {
        @if !given.is_empty() { (answer(&given)) }
        form.card.confirm method="get" action="/advise" {
            h2 { "What matters" }
            p { "Nothing is kept and nothing is changed: the answers stand in the address, which can be sent to somebody." }
            @for question in QUESTIONS { (field(ask, question)) }
            div.buttons { button.primary type="submit" { "Advise" } @if !given.is_empty() { a.button href="/advise" { "Begin anew" } } }
        }
    };
    Ok(ask::html(page::still_page(ask, "What to build, if anything", &[], &body)))
}

fn field(ask: &Ask, question: &Question) -> Markup {
    let given = ask.query(question.key).or(question.default).unwrap_or_default();
    html! {
        label { (question.ask)
            @if question.choices.is_empty() {
                input name=(question.key) value=(given) maxlength="300" autocomplete="off" required[question.default.is_none()];
            } @else {
                select name=(question.key) required[question.default.is_none()] {
                    @if question.default.is_none() { option value="" { "Choose" } }
                    @for (word, meaning) in question.choices { option value=(word) selected[*word == given] { (meaning) } }
                }
            }
        }
    }
}

/// A value as YAML takes it: words and numbers as they are, a sentence in quotes.
fn yaml(value: &str) -> String {
    let plain = !value.is_empty() && value.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    let one_line = value.replace(['\n', '\r'], " ");
    if plain { one_line } else { format!("\"{}\"", one_line.replace('\\', "\\\\").replace('"', "\\\"")) }
}

fn answer(given: &[(&Question, String)]) -> Markup {
    let mut lines = String::new();
    for (question, value) in given {
        // What a day costs comes with its currency.
        match value.split_once(' ') {
            Some((number, currency)) if question.key == "rate" => {
                lines += &format!("rate: {}\ncurrency: {}\n", yaml(number), yaml(currency.trim()));
            }
            _ => lines += &format!("{}: {}\n", question.key, yaml(value)),
        }
    }
    let flags = lines.lines().filter_map(|line| line.split_once(": "));
    let flags = flags.map(|(key, value)| {
        format!("--{} {}", key.replace('_', "-"), quoted(&value.trim_matches('"').replace("\\\"", "\"")))
    });
    let flags: Vec<String> = flags.collect();
    let typed = format!("ironbridge advise {}", flags.join(" "));
    match advise::read("the answers", &lines) {
        Ok(answers) => {
            let advice = advise::recommend(&answers);
            html! {
                section.card aria-labelledby="advice-heading" {
                    h2 #advice-heading { "The advice" }
                    pre.advice { (advise::text(&advice, &answers, WIDTH)) }
                    p.do { "The same by hand; with --name NAME it is kept beside the integration: " (command(&typed)) }
                }
            }
        }
        Err(loaded) => html! {
            section.card.problem role="alert" {
                h2 { "This cannot be answered yet" }
                ul { @for diagnostic in &loaded.diagnostics { li { (diagnostic.title) @if let Some(help) = &diagnostic.help { ": " (help) } } } }
            }
        },
    }
}
