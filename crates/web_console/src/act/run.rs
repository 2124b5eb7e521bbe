//! Run an integration now.

use axum::response::Response;
use definition::Pattern;
use maud::html;

use super::Question;
use crate::Problem;
use crate::ask::{Ask, see};
use crate::pages::integration::found;
use crate::words::escaped;

/// The name of a protected environment, which has to be typed.
fn protected(ask: &Ask) -> Option<&str> {
    ask.console.project.environment.as_ref().filter(|e| e.protected).map(|e| e.name.as_str())
}

fn check(ask: &Ask) -> Result<&str, Problem> {
    let integration = found(ask)?;
    match integration.pattern {
        Pattern::Batch(_) => Ok(&integration.name),
        _ => Err(Problem::not_done(
            format!("{} has no runs: it is of the pattern {}", integration.name, integration.pattern.word()),
            "nothing has to be started: it works as long as the hub is up",
        )),
    }
}

pub fn ask(ask: &Ask) -> Result<Response, Problem> {
    let name = check(ask)?;
    let confirm = protected(ask).map_or_else(String::new, |environment| format!(" --confirm {environment}"));
    Ok(Question {
        title: format!("Run {name} now"),
        consequences: vec![
            "It reads what its source has changed since the last run, and writes what differs.".to_owned(),
            "What is right already is not written again, so a run more does no harm.".to_owned(),
            "If a run of it goes on already, nothing is started.".to_owned(),
            "The schedule stays as it is.".to_owned(),
        ],
        command: format!("ironbridge run {name}{confirm}"),
        button: "Run now",
        danger: false,
        back: format!("/integrations/{}", escaped(name)),
        fields: html! { @if let Some(environment) = protected(ask) {
            label { "This environment is protected. Type its name, " b { (environment) } ", to confirm" input name="confirm" autocomplete="off" required; }
        } },
        below: None,
        ask,
    }
    .put())
}

pub fn act(ask: &Ask) -> Result<Response, Problem> {
    let name = check(ask)?;
    if let Some(environment) = protected(ask).filter(|environment| ask.form("confirm") != Some(environment)) {
        let fix = format!("type {environment} to confirm; nothing was started");
        return Err(Problem::not_done(format!("the environment {environment} is protected"), fix));
    }
    ask.wait(hub::worker::run_soon(&ask.console.store, name, &crate::audit::actor(&ask.who.name)))?;
    Ok(see(&format!("/integrations/{}?said=run", escaped(name))))
}
