//! `ironbridge test`: the project's cases, each in a world of its own.

use std::sync::Arc;

use anstyle::{AnsiColor, Style};
use definition::{Happening, Project, TestCase};
use serde_json::{Value as Json, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::cli::{Cli, Format};
use crate::failure::{FAILED, Failure, NO_SUCH_NAME, USAGE};
use crate::{say, talk, wiring};
use case::{Outcome, Shortfall};

mod case;
mod cell;
mod dynamics;
mod update;
mod world;

/// Worlds at a time: each one has a Dynamics and a state of its own.
const AT_A_TIME: usize = 8;

pub async fn test(cli: &Cli, names: &[String], update: bool) -> Result<u8, Failure> {
    let project = wiring::project(cli)?;
    let cases = chosen(&project, names)?;
    if cases.is_empty() {
        talk!(
            "{} has no cases yet: write one in tests/, as the files of `ironbridge init` show.",
            wiring::shown(&cli.project)
        );
    }
    let mut outcomes = all(&project, &cases).await?;
    if update {
        // The last case of a file first: lines after a change move.
        for (at, outcome) in cases.iter().zip(&mut outcomes).rev() {
            let Outcome::Failed(short) = outcome else { continue };
            match update::update(&cli.project, cli.env.as_deref(), &project.tests[*at], short) {
                Ok(()) => *outcome = Outcome::Updated(std::mem::take(short)),
                Err(why) => short.push(Shortfall::early("not updated", why)),
            }
        }
    }
    let tested: Vec<(&TestCase, &Outcome)> = cases.iter().map(|at| &project.tests[*at]).zip(&outcomes).collect();
    match cli.format {
        Format::Human | Format::Csv => print(&tested),
        Format::Json | Format::Sarif => say!("{:#}", summary(&tested)),
    }
    let failed = outcomes.iter().any(|outcome| matches!(outcome, Outcome::Failed(_)));
    Ok(if failed { FAILED } else { 0 })
}

/// The cases that were asked for, by their places in the project: a name is (a part of) what a case shows, its file, or
/// its integration.
fn chosen(project: &Project, names: &[String]) -> Result<Vec<usize>, Failure> {
    let is = |case: &TestCase, name: &str| {
        let (Happening::Run(when) | Happening::Event(when) | Happening::Start(when) | Happening::Query(when)) =
            &case.when;
        let file = case.origin.rsplit_once(':').map_or("", |(file, _)| file);
        let stem = file.trim_start_matches("tests/").trim_end_matches(".yaml");
        let shows = case.name.to_lowercase().contains(&name.to_lowercase());
        when == name || file == name || stem == name || shows
    };
    if let Some(unknown) = names.iter().find(|name| !project.tests.iter().any(|case| is(case, name))) {
        let what = format!("no case is called `{unknown}`, tests the integration `{unknown}`, or stands in that file");
        let all: Vec<&str> = project.tests.iter().map(|case| case.name.as_str()).collect();
        let fix =
            if all.is_empty() { "write one in tests/".to_owned() } else { format!("there are: {}", all.join("; ")) };
        return Err(Failure::new(USAGE, NO_SUCH_NAME, what, fix));
    }
    let wanted = |case: &TestCase| names.is_empty() || names.iter().any(|name| is(case, name));
    Ok((0..project.tests.len()).filter(|at| wanted(&project.tests[*at])).collect())
}

/// Tests these cases side by side. *Shape*: one outcome for each, in order.
async fn all(project: &Project, cases: &[usize]) -> Result<Vec<Outcome>, Failure> {
    let project = Arc::new(world::stand_ins(project));
    let turns = Arc::new(Semaphore::new(AT_A_TIME));
    let mut running = JoinSet::new();
    for (place, at) in cases.iter().copied().enumerate() {
        let (project, turns) = (project.clone(), turns.clone());
        running.spawn(async move {
            let _turn = turns.acquire().await.expect("nobody closes it");
            (place, case::test(&project, &project.tests[at]).await)
        });
    }
    let mut outcomes: Vec<Option<Outcome>> = cases.iter().map(|_| None).collect();
    while let Some(ended) = running.join_next().await {
        let (place, outcome) = ended.map_err(anyhow::Error::from)?;
        outcomes[place] = Some(outcome?);
    }
    Ok(outcomes.into_iter().map(|outcome| outcome.expect("each case was waited for")).collect())
}

/// Passed, failed, updated, not yet runnable.
fn count(tested: &[(&TestCase, &Outcome)]) -> [usize; 4] {
    let mut counts = [0; 4];
    for (_, outcome) in tested {
        counts[match outcome {
            Outcome::Passed => 0,
            Outcome::Failed(_) => 1,
            Outcome::Updated(_) => 2,
            Outcome::NotYet(_) => 3,
        }] += 1;
    }
    counts
}

fn summary(tested: &[(&TestCase, &Outcome)]) -> Json {
    let [passed, failed, updated, not_yet] = count(tested);
    let shortfall = |short: &Shortfall| json!({ "of": short.of, "differences": short.differences });
    let one = |(case, outcome): &(&TestCase, &Outcome)| {
        let (result, short, why) = match outcome {
            Outcome::Passed => ("passed", Vec::new(), None),
            Outcome::Failed(short) => ("failed", short.iter().map(shortfall).collect(), None),
            Outcome::Updated(short) => ("updated", short.iter().map(shortfall).collect(), None),
            Outcome::NotYet(why) => ("not_yet_runnable", Vec::new(), Some(why)),
        };
        json!({ "test": case.name, "at": case.origin, "result": result, "failures": short, "why": why })
    };
    let cases: Vec<Json> = tested.iter().map(one).collect();
    json!({ "passed": passed, "failed": failed, "updated": updated, "not_yet_runnable": not_yet, "cases": cases })
}

fn print(tested: &[(&TestCase, &Outcome)]) {
    let style = |colour: AnsiColor| colour.on_default().bold();
    let (green, red, yellow, dim) =
        (style(AnsiColor::Green), style(AnsiColor::Red), style(AnsiColor::Yellow), Style::new().dimmed());
    for (case, outcome) in tested {
        let place = format!("{dim}{}{dim:#}", case.origin);
        match outcome {
            Outcome::Passed => say!("{green}ok{green:#}      {}", case.name),
            Outcome::Failed(short) => {
                say!("{red}FAILED{red:#}  {}  {place}", case.name);
                print_each(short);
            }
            Outcome::Updated(short) => {
                say!("{yellow}UPDATED{yellow:#} {}  {place}", case.name);
                print_each(short);
            }
            Outcome::NotYet(why) => {
                say!("{yellow}NOT YET RUNNABLE{yellow:#}  {}  {place}", case.name);
                say!("          {why}");
            }
        }
    }
    let [passed, failed, updated, not_yet] = count(tested);
    let renewed = if updated > 0 { format!(", {updated} updated") } else { String::new() };
    let rest = if not_yet > 0 { format!(", {yellow}{not_yet} not yet runnable{yellow:#}") } else { String::new() };
    let noun = if tested.len() == 1 { "case" } else { "cases" };
    say!("{} {noun}: {passed} passed, {failed} failed{renewed}{rest}", tested.len());
}

fn print_each(short: &[Shortfall]) {
    for short in short {
        say!("          {}", short.of);
        for difference in &short.differences {
            say!("            {difference}");
        }
    }
}
