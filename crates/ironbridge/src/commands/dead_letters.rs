//! `ironbridge dead-letters`: what was given up on, why, and what people do about it.

mod act;
mod groups;
mod jobs;
mod show;
mod weekly;

use serde_json::{Value as Json, json};
use store::Store;
use store::dead_letters::{DeadLetter, Filter, State};

use crate::cli::{Cli, DeadLetters, Format};
use crate::failure::{FAILED, Failure, NO_SUCH_NAME};
use crate::output::{ago, csv, cut, table};
use crate::{say, talk, wiring};

pub async fn dead_letters(cli: &Cli, command: &DeadLetters) -> Result<u8, Failure> {
    match command {
        DeadLetters::List { integration, code, group, all, last } => {
            list(cli, integration.as_deref(), code.as_deref(), group.as_deref(), *all, *last)
        }
        DeadLetters::Groups { integration, all, last } => groups::list(cli, integration.as_deref(), *all, *last).await,
        DeadLetters::Mark(mark) => groups::mark(cli, mark).await,
        DeadLetters::Show { id } => show::show(cli, id),
        DeadLetters::Retry(retry) => match jobs::is_group(&retry.id) {
            true => jobs::retry(cli, retry).await,
            false => act::retry(cli, retry).await,
        },
        DeadLetters::Jobs(command) => jobs::jobs(cli, command).await,
        DeadLetters::Decide { id, take, note } => act::decide(cli, id, take, note.as_deref()).await,
        DeadLetters::Edit { id, set, note } => act::edit(cli, id, set, note).await,
        DeadLetters::Weekly => weekly::weekly(cli),
        DeadLetters::Discard { id, note } => act::discard(cli, id, note.as_deref()).await,
        DeadLetters::Restore { id, note } => act::restore(cli, id, note.as_deref()).await,
    }
}

fn list(
    cli: &Cli,
    integration: Option<&str>,
    code: Option<&str>,
    group: Option<&str>,
    all: bool,
    last: usize,
) -> Result<u8, Failure> {
    let project = wiring::project(cli)?;
    if let Some(name) = integration {
        wiring::integration(&project, name)?;
    }
    let store = wiring::open_store(&project)?;
    let states = if all { Vec::new() } else { vec![State::Open, State::Retrying] };
    let filter = Filter {
        integration: integration.map(str::to_owned),
        code: code.map(str::to_uppercase),
        cause: group.map(|group| groups::find(&store, group)).transpose()?.map(|group| group.id),
        states,
        ..Filter::default()
    };
    let found = store.dead_letters(&filter, last)?;
    if cli.format == Format::Json {
        say!("{:#}", Json::from(found.iter().map(summary).collect::<Vec<_>>()));
        return Ok(0);
    }
    let now = store.clock().now();
    if cli.format == Format::Csv {
        let heads = [
            "id",
            "group",
            "integration",
            "entity",
            "key",
            "code",
            "what",
            "state",
            "count",
            "first_seen",
            "last_seen",
        ];
        let rows = found.iter().map(|letter| {
            vec![
                letter.id.to_string(),
                letter.cause.clone(),
                letter.integration.clone(),
                letter.entity.clone(),
                letter.key_text.clone(),
                letter.problem.code.clone(),
                letter.problem.what.clone(),
                letter.state.to_string(),
                letter.count.to_string(),
                letter.first_seen.to_string(),
                letter.last_seen.to_string(),
            ]
        });
        say!("{}", csv(&heads, rows.collect()));
        return Ok(0);
    }
    if found.is_empty() {
        talk!("No dead letters.");
        return Ok(0);
    }
    let rows = found.iter().map(|letter| {
        vec![
            short(letter).to_owned(),
            path(letter),
            letter.key_text.clone(),
            letter.problem.code.clone(),
            cut(&told(letter), 90),
            letter.state.to_string(),
            ago(letter.last_seen, now),
        ]
    });
    say!("{}", table(&["id", "integration", "key", "code", "what", "state", "last seen"], rows.collect()));
    if found.len() == last {
        talk!("\nThe newest {last}; more with --last N.");
    }
    talk!("\nOne of them fully: ironbridge dead-letters show {}", short(&found[0]));
    talk!("By cause: ironbridge dead-letters groups");
    Ok(0)
}

/// What is wrong, with the other side's own words.
fn told(letter: &DeadLetter) -> String {
    match letter.problem.why.as_str() {
        "" => letter.problem.what.clone(),
        why => format!("{} ({why})", letter.problem.what),
    }
}

/// The integration, and of an event the destination too: each has dead letters of its own.
fn path(letter: &DeadLetter) -> String {
    let to = letter.destination().map(|to| format!(" to {to}")).unwrap_or_default();
    format!("{}{to}", letter.integration)
}

pub(super) fn summary(letter: &DeadLetter) -> Json {
    json!({
        "id": letter.id.as_str(), "kind": letter.kind.to_string(), "integration": letter.integration,
        "to": letter.destination(),
        "entity": letter.entity, "key": letter.key_text, "code": letter.problem.code, "what": letter.problem.what,
        "where": letter.problem.place, "why": letter.problem.why, "do": letter.problem.fix,
        "state": letter.state.to_string(), "count": letter.count, "first_seen": letter.first_seen.to_string(),
        "last_seen": letter.last_seen.to_string(), "run": letter.run.map(|run| run.0), "group": groups::id_of(&letter.cause),
        "changed": letter.changed.map(|at| at.to_string()), "changed_by": letter.changed_by, "note": letter.note,
        "goes": letter.goes.map(|at| at.to_string()),
    })
}

/// The dead letter that a person means.
fn one(store: &Store, id: &str) -> Result<DeadLetter, Failure> {
    let mut found = store.dead_letters_like(id)?;
    match found.len() {
        1 => Ok(found.remove(0)),
        0 => {
            let what = format!("there is no dead letter `{id}`");
            Err(Failure::new(FAILED, NO_SUCH_NAME, what, "list them: ironbridge dead-letters list --all"))
        }
        several => {
            let what = format!("{several} dead letters begin with `{id}`");
            Err(Failure::new(FAILED, NO_SUCH_NAME, what, "give more of its id"))
        }
    }
}

/// Enough of its id for a person.
fn short(letter: &DeadLetter) -> &str {
    &letter.id.as_str()[..8]
}
