//! The list of integrations.

use axum::response::Response;
use definition::Project;
use maud::html;

use crate::ask::{self, Ask};
use crate::facts::{Facts, Level, Standing};
use crate::list::{Choice, Column, List, Rows, View};
use crate::page::{Command, PLUS};
use crate::parts::{badge, integration};
use crate::words::cut;
use crate::{Problem, page};

pub fn page(ask: &Ask) -> Result<Response, Problem> {
    let facts = Facts::of(&ask.console, ask.now)?;
    let mut list = list(&ask.console.project, facts.standings);
    if let Some(file) = list.as_file(ask) {
        return file;
    }
    Ok(ask::html(page::page(
        ask,
        "Integrations",
        &[Command::new("What to build, if anything", "/advise".to_owned(), PLUS)],
        &list.part(ask)?,
    )))
}

fn list(project: &Project, standings: Vec<Standing>) -> List<'static, Standing> {
    let owners: std::collections::BTreeSet<&str> = project.integrations.iter().map(|i| i.owner.as_str()).collect();
    List {
        name: "integrations",
        columns: vec![
            Column::text("name", "Integration", |s: &Standing| s.name.clone()).shown(|_, s| integration(&s.name)),
            Column::number("level", "State", |s: &Standing| s.level as u64).shown(|_, s| badge(s.level, &s.state)).at_left(),
            Column::text("state", "State in words", |s: &Standing| s.state.clone()).in_csv_only(),
            Column::text("pattern", "Pattern", |s: &Standing| s.pattern.to_owned()),
            Column::time("last", "Last run", |s: &Standing| s.last.as_ref().map(|run| run.finished.unwrap_or(run.started))),
            Column::time("next", "Next run", |s: &Standing| s.next),
            Column::number("dead", "Dead letters", |s: &Standing| s.dead_letters).shown(|_, s| {
                html! { @if s.dead_letters > 0 { a href={ "/dead-letters?integration=" (s.name) } { (crate::words::number(s.dead_letters)) } } @else { span.zero { "0" } } }
            }),
            Column::number("waiting", "On their way", |s: &Standing| s.waiting),
            Column::text("owner", "Owner", |s: &Standing| s.owner.clone()),
            Column::text("purpose", "Purpose", |s: &Standing| s.purpose.clone())
                .shown(|_, s| html! { span title=(s.purpose) { (cut(&s.purpose, 60)) } })
                .unsorted(),
        ],
        choices: vec![
            Choice {
                name: "level",
                label: "State",
                blank: "All",
                options: Level::ALL.iter().map(|l| (l.class().to_owned(), l.words().to_owned())).collect(),
            },
            Choice::of("pattern", "Pattern", ["batch", "event", "virtual", "flow"]),
            Choice::of("owner", "Owner", owners),
        ],
        order: ("level", false),
        nothing: "This project has no integrations yet: ironbridge init DIR makes one with an example.",
        rows: Rows::Here(standings, keeps),
    }
}

fn keeps(view: &View, standing: &Standing) -> bool {
    let fits = |name: &str, value: &str| view.chosen(name).is_none_or(|chosen| chosen == value);
    fits("level", standing.level.class()) && fits("pattern", standing.pattern) && fits("owner", &standing.owner)
}
