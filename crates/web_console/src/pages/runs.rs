//! Runs: the list, and one with the reasons of its rejects.

use std::collections::BTreeMap;

use axum::response::Response;
use maud::{Markup, html};
use serde_json::Value as Json;
use store::lists::{LetterFilter, LetterOrder, RunFilter, RunOrder, Slice};
use store::runs::{Run, RunId, State, Trigger};

use crate::ask::{self, Ask};
use crate::list::{Choice, Column, List, Rows, View};
use crate::parts::{amount, clock, code, command, facts, integration, run_badge};
use crate::words::{counted, spoken, took};
use crate::{Problem, page};

pub fn list(ask: &Ask) -> Result<Response, Problem> {
    let mut list = runs(ask);
    if let Some(file) = list.as_file(ask) {
        return file;
    }
    Ok(ask::html(page::page(ask, "Runs", &[], &list.part(ask)?)))
}

fn runs(ask: &Ask) -> List<'_, Run> {
    let names = ask.console.project.integrations.iter().map(|i| i.name.as_str());
    List {
        name: "runs",
        columns: columns(ask),
        choices: vec![
            Choice::of("integration", "Integration", names),
            Choice::of("state", "State", State::ALL.iter().map(|state| state.as_str())),
            Choice::of("trigger", "Why", Trigger::ALL.iter().map(|trigger| trigger.as_str())),
        ],
        order: ("started", true),
        nothing: "Nothing has run yet.",
        rows: Rows::Store(Box::new(|view, slice| {
            let order = RunOrder::of(view.sort).unwrap_or(RunOrder::Started);
            Ok(ask.console.store.run_page(&filter(view), order, view.descending, slice)?)
        })),
    }
}

fn filter(view: &View) -> RunFilter {
    RunFilter {
        integration: view.chosen("integration").cloned(),
        states: view.chosen("state").and_then(|word| State::of(word)).into_iter().collect(),
        trigger: view.chosen("trigger").and_then(|word| Trigger::of(word)),
        code: None,
        text: view.text.clone(),
    }
}

fn columns(ask: &Ask) -> Vec<Column<Run>> {
    let now = ask.now;
    vec![
        Column::number("run", "Run", |run: &Run| run.id.0 as u64)
            .shown(|_, run| html! { a href={ "/runs/" (run.id) } { (run.id) } })
            .at_left()
            .unsorted(),
        Column::text("integration", "Integration", |run: &Run| run.integration.clone())
            .shown(|_, run| integration(&run.integration)),
        Column::text("state", "State", |run: &Run| run.state.to_string()).shown(|_, run| run_badge(run)),
        Column::time("started", "Started", |run: &Run| Some(run.started)),
        Column::text("took", "Took", move |run: &Run| took(run, now)),
        Column::text("trigger", "Why", |run: &Run| run.trigger.to_string()).unsorted(),
        Column::number("read", "Read", |run: &Run| run.counts.read),
        Column::number("written", "Written", |run: &Run| run.counts.written()),
        Column::number("unchanged", "Unchanged", |run: &Run| run.counts.unchanged).unsorted(),
        Column::number("rejected", "Rejected", |run: &Run| run.counts.rejected).shown(|_, run| {
            html! { @if run.counts.rejected > 0 { a href={ "/dead-letters/list?state=all&run=" (run.id) } { (amount(run.counts.rejected)) } } @else { (amount(0)) } }
        }),
        Column::text("error", "Error", |run: &Run| run.error.as_ref().map(|error| error.code.clone()).unwrap_or_default())
            .shown(|_, run| html! { @if let Some(error) = &run.error { (code(&error.code)) } })
            .unsorted(),
    ]
}

/// The newest runs of an integration, as part of its page.
pub fn newest(ask: &Ask, integration: &str, limit: usize) -> Result<Markup, Problem> {
    let runs = ask.console.store.runs(Some(integration), None, limit)?;
    if runs.is_empty() {
        return Ok(crate::parts::nothing("It has not run yet."));
    }
    Ok(html! {
        div.scroll tabindex="0" role="region" aria-label="The newest runs" {
            table.list role="table" {
                thead role="rowgroup" { tr role="row" { @for name in ["Run", "State", "Started", "Took", "Read", "Written", "Rejected"] { th.number[["Read", "Written", "Rejected"].contains(&name)] role="columnheader" scope="col" { (name) } } } }
                tbody role="rowgroup" { @for run in &runs {
                    tr role="row" {
                        td role="cell" data-label="Run" { a href={ "/runs/" (run.id) } { (run.id) } }
                        td role="cell" data-label="State" { (run_badge(run)) }
                        td role="cell" data-label="Started" { (crate::parts::time(ask, run.started)) }
                        td role="cell" data-label="Took" { (took(run, ask.now)) }
                        td.number role="cell" data-label="Read" { (amount(run.counts.read)) }
                        td.number role="cell" data-label="Written" { (amount(run.counts.written())) }
                        td.number role="cell" data-label="Rejected" { (amount(run.counts.rejected)) }
                    }
                } }
            }
        }
        p { a href={ "/runs?integration=" (integration) } { "All runs of " (integration) } }
    })
}

pub fn one(ask: &Ask) -> Result<Response, Problem> {
    let name = ask.name("run");
    let run = match name.parse() {
        Ok(id) => ask.console.store.run(RunId(id))?,
        Err(_) => None,
    };
    let run = run.ok_or_else(|| Problem::not_there("run", name))?;
    let c = &run.counts;
    let rejects = rejects(ask, &run)?;
    let body = html! {
        section.card {
            (facts([
                ("Integration", integration(&run.integration)),
                ("State", run_badge(&run)),
                ("Why", html! { (spoken(run.trigger.as_str())) }),
                ("Due", html! { @if let Some(slot) = run.slot { (clock(ask, slot)) } @else { "was asked for" } }),
                ("Started", clock(ask, run.started)),
                ("Ended", html! { @if let Some(end) = run.finished { (clock(ask, end)) } @else { "goes on" } }),
                ("Took", html! { (took(&run, ask.now)) }),
            ]))
        }
        section.card aria-labelledby="rows-heading" {
            h2 #rows-heading { "Rows" }
            (facts([
                ("Read", amount(c.read)), ("Created", amount(c.created)), ("Updated", amount(c.updated)),
                ("Deleted or deactivated", amount(c.deleted)), ("Unchanged", amount(c.unchanged)),
                ("Rejected", amount(c.rejected)), ("Skipped", amount(c.skipped)),
            ]))
            @if run.state != State::Running && !c.adds_up() { p.problem { "These do not add up; that is a defect of the hub." } }
        }
        @if let Some(error) = &run.error { (crate::pages::dead_letters::one::fault(&serde_json::from_str::<Json>(&error.detail).unwrap_or_default(), &error.code, &error.text)) }
        @if !rejects.is_empty() {
            section.card aria-labelledby="reasons-heading" {
                h2 #reasons-heading { "Why rows were rejected" }
                ul.reasons { @for (reason, (n, what)) in &rejects {
                    li { (code(reason)) " " a href={ "/dead-letters/list?state=all&run=" (run.id) "&code=" (reason) } { (counted(*n, "row", "rows")) } ": " (what) }
                } }
            }
        }
        p.do { (command(&format!("ironbridge runs {}", run.integration))) }
    };
    Ok(ask::html(page::page(ask, &format!("Run {} of {}", run.id, run.integration), &[], &body)))
}

/// The codes of the dead letters that this run left, with how many and one of the sentences.
fn rejects(ask: &Ask, run: &Run) -> Result<BTreeMap<String, (u64, String)>, Problem> {
    let mut reasons: BTreeMap<String, (u64, String)> = BTreeMap::new();
    if run.counts.rejected == 0 {
        return Ok(reasons);
    }
    let filter =
        LetterFilter { run: Some(run.id), integration: Some(run.integration.clone()), ..LetterFilter::default() };
    let slice = Slice { skip: 0, limit: 1000 };
    for letter in ask.console.store.dead_letter_page(&filter, LetterOrder::LastSeen, true, slice)?.rows {
        let reason = reasons.entry(letter.problem.code).or_insert_with(|| (0, letter.problem.what));
        reason.0 += 1;
    }
    Ok(reasons)
}
