//! Dead letters one by one; by their causes in `groups`, one fully in `one`, retries of many in `jobs`.

pub mod groups;
pub mod jobs;
pub mod one;

use axum::response::Response;
use maud::{Markup, html};
use store::dead_letters::{DeadLetter, State};
use store::lists::{LetterFilter, LetterOrder};
use store::runs::RunId;

use crate::ask::{self, Ask};
use crate::facts::Level;
use crate::list::{Choice, Column, List, Rows, View};
use crate::page::{Command, LIST};
use crate::parts::{badge, code, integration};
use crate::words::{cut, spoken};
use crate::{Problem, page};

pub fn list(ask: &Ask) -> Result<Response, Problem> {
    let mut list = letters(ask);
    if let Some(file) = list.as_file(ask) {
        return file;
    }
    let by_cause = Command::new("By cause", "/dead-letters".to_owned(), LIST);
    Ok(ask::html(page::page(ask, "Dead letters one by one", &[by_cause], &list.part(ask)?)))
}

/// Enough of an id for people, who find it again with it.
pub fn short(letter: &DeadLetter) -> &str {
    letter.id.as_str().get(..8).unwrap_or_default()
}

fn letters(ask: &Ask) -> List<'_, DeadLetter> {
    let project = &ask.console.project;
    let run = ask.query("run").and_then(|run| run.parse().ok()).map(RunId);
    List {
        name: "dead-letters",
        columns: columns(),
        choices: vec![
            Choice::of("integration", "Integration", project.integrations.iter().map(|i| i.name.as_str())),
            Choice::of("entity", "Entity", project.entities.iter().map(|entity| &*entity.name)),
            Choice {
                name: "state",
                label: "State",
                blank: "waiting",
                options: [("all".to_owned(), "all of them".to_owned())]
                    .into_iter()
                    .chain(State::ALL.iter().map(|state| (state.to_string(), spoken(state.as_str()))))
                    .collect(),
            },
            Choice::of("code", "Code", ask.query("code")),
            Choice::of("run", "Run", ask.query("run")),
            Choice::of("cause", "Group", ask.query("cause")),
        ],
        order: ("last_seen", true),
        nothing: "No dead letters: every row and message that came was dealt with.",
        rows: Rows::Store(Box::new(move |view, slice| {
            let order = LetterOrder::of(view.sort).unwrap_or(LetterOrder::LastSeen);
            Ok(ask.console.store.dead_letter_page(&filter(view, run), order, view.descending, slice)?)
        })),
    }
}

fn filter(view: &View, run: Option<RunId>) -> LetterFilter {
    let states = match view.chosen("state").map(String::as_str) {
        None => vec![State::Open, State::Retrying],
        // Those that a run left, however they stand by now.
        Some("all") => Vec::new(),
        Some(word) => State::of(word).into_iter().collect(),
    };
    LetterFilter {
        integration: view.chosen("integration").cloned(),
        entity: view.chosen("entity").cloned(),
        code: view.chosen("code").map(|code| code.to_uppercase()),
        cause: view.chosen("cause").cloned(),
        states,
        run,
        text: view.text.clone(),
    }
}

fn columns() -> Vec<Column<DeadLetter>> {
    vec![
        Column::text("key", "Record", |l: &DeadLetter| format!("{} {}", l.entity, l.key_text)).shown(|_, l| {
            html! { a href={ "/dead-letters/" (l.id) } { (cut(&format!("{} {}", l.entity, l.key_text), 48)) } }
        }),
        Column::text("integration", "Integration", |l: &DeadLetter| l.integration.clone())
            .shown(|_, l| integration(&l.integration)),
        Column::text("code", "Code", |l: &DeadLetter| l.problem.code.clone()).shown(|_, l| code(&l.problem.code)),
        Column::text("what", "What", |l: &DeadLetter| l.problem.what.clone())
            .shown(|_, l| html! { (cut(&l.problem.what, 110)) })
            .unsorted(),
        Column::text("state", "State", |l: &DeadLetter| l.state.to_string()).shown(|_, l| state(l.state)).unsorted(),
        Column::number("count", "Times", |l: &DeadLetter| l.count),
        Column::time("first_seen", "First seen", |l: &DeadLetter| Some(l.first_seen)),
        Column::time("last_seen", "Last seen", |l: &DeadLetter| Some(l.last_seen)),
        Column::text("id", "Id", |l: &DeadLetter| l.id.to_string()).in_csv_only(),
        Column::text("why", "Why", |l: &DeadLetter| l.problem.why.clone()).in_csv_only(),
        Column::text("do", "Do", |l: &DeadLetter| l.problem.fix.clone()).in_csv_only(),
        Column::text("note", "Note", |l: &DeadLetter| l.note.clone().unwrap_or_default()).in_csv_only(),
    ]
}

pub fn state(state: State) -> Markup {
    let level = match state {
        State::Open => Level::Warn,
        State::Retrying => Level::Busy,
        State::Resolved | State::Superseded => Level::Good,
        State::Discarded => Level::Quiet,
    };
    badge(level, &spoken(state.as_str()))
}

/// The dead letter that an address names.
pub fn found(ask: &Ask) -> Result<DeadLetter, Problem> {
    let name = ask.name("letter");
    let mut found = ask.console.store.dead_letters_like(name)?;
    match found.len() {
        1 => Ok(found.remove(0)),
        _ => Err(Problem::not_there("dead letter", name)),
    }
}
