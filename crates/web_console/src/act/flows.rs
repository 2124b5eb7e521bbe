//! Let an instance of a flow try its step again, or end it.

use axum::response::Response;
use hub::flows::Refused;
use maud::html;
use store::flows::{Instance, State};

use super::{Question, note_field};
use crate::Problem;
use crate::ask::{Ask, see};
use crate::audit::actor;
use crate::pages::flows::found;

/// The instance, while it is in one of these states.
fn instance(ask: &Ask, fits: &[State]) -> Result<Instance, Problem> {
    let instance = found(ask)?;
    match fits.contains(&instance.state) {
        true => Ok(instance),
        false => Err(not_now(&instance, instance.state)),
    }
}

fn not_now(instance: &Instance, state: State) -> Problem {
    let what = format!("instance {} is {state}", instance.id);
    Problem::not_done(what, "go back and look how it stands; nothing was changed")
}

pub(super) fn refused(instance: &Instance, why: Refused) -> Problem {
    match why {
        Refused::Store(error) => error.into(),
        Refused::Fault(fault) => Problem::not_done(fault.what.clone(), fault.fix.clone()),
        Refused::State(state) => not_now(instance, state),
        Refused::NotSkipped(step, why) => {
            let what = format!("{step} of instance {} is not left out: {why}", instance.id);
            Problem::not_done(what, "mend it, and let it try the step again; nothing was changed")
        }
        Refused::NoStep(step) => {
            let what = format!("that version has no step {step}, where instance {} stands", instance.id);
            Problem::not_done(what, "let it end as it began, or cancel it and start it anew; nothing was changed")
        }
        _ => Problem::not_done(format!("instance {} stands otherwise by now", instance.id), "go back and look"),
    }
}

pub fn ask_retry(ask: &Ask) -> Result<Response, Problem> {
    let instance = instance(ask, &[State::Failed])?;
    Ok(Question {
        title: format!("Instance {}: try the step again", instance.id),
        consequences: vec![
            format!(
                "It goes on at {}, within a second while the hub is up.",
                instance.at.as_deref().unwrap_or("its step")
            ),
            "What it has done before is not done again.".to_owned(),
        ],
        command: format!("ironbridge flow retry {}", instance.id),
        button: "Try again",
        danger: false,
        back: format!("/flows/{}", instance.id),
        fields: html! {},
        below: None,
        ask,
    }
    .put())
}

pub fn retry(ask: &Ask) -> Result<Response, Problem> {
    let instance = instance(ask, &[State::Failed])?;
    ask.wait(hub::flows::retry(&ask.console.store, instance.id, &actor(&ask.who.name)))
        .map_err(|why| refused(&instance, why))?;
    Ok(see(&format!("/flows/{}?said=flow-retried", instance.id)))
}

pub fn ask_skip(ask: &Ask) -> Result<Response, Problem> {
    let instance = instance(ask, &[State::Failed])?;
    Ok(Question {
        title: format!("Instance {}: leave the step out", instance.id),
        consequences: vec![
            format!("{} is not done, and it goes on with the next step.", instance.at.as_deref().unwrap_or("The step")),
            "Whatever the step was to do has to be done by hand, or not at all.".to_owned(),
            "An approval is never left out, and a condition neither.".to_owned(),
        ],
        command: format!("ironbridge flow skip {} --why REASON", instance.id),
        button: "Leave it out",
        danger: true,
        back: format!("/flows/{}", instance.id),
        fields: note_field("Why, for whoever looks later", "note", true),
        below: None,
        ask,
    }
    .put())
}

pub fn skip(ask: &Ask) -> Result<Response, Problem> {
    let instance = instance(ask, &[State::Failed])?;
    let why =
        ask.form("note").ok_or_else(|| Problem::not_done("this needs a reason", "say why; nothing was left out"))?;
    ask.wait(hub::flows::skip(&ask.console.flows, instance.id, &actor(&ask.who.name), why))
        .map_err(|why| refused(&instance, why))?;
    Ok(see(&format!("/flows/{}?said=flow-skipped", instance.id)))
}

const UNDER_WAY: [State; 3] = [State::Held, State::Running, State::Failed];

pub fn ask_cancel(ask: &Ask) -> Result<Response, Problem> {
    let instance = instance(ask, &UNDER_WAY)?;
    Ok(Question {
        title: format!("Cancel instance {} of {}", instance.id, instance.integration),
        consequences: vec![
            "It ends here, and cannot go on.".to_owned(),
            "What it has written stays; whoever was asked is not asked any more.".to_owned(),
        ],
        command: format!("ironbridge flow cancel {} --why REASON", instance.id),
        button: "Cancel it",
        danger: true,
        back: format!("/flows/{}", instance.id),
        fields: note_field("Why, for whoever looks later", "note", true),
        below: None,
        ask,
    }
    .put())
}

pub fn cancel(ask: &Ask) -> Result<Response, Problem> {
    let instance = instance(ask, &UNDER_WAY)?;
    let why =
        ask.form("note").ok_or_else(|| Problem::not_done("this needs a reason", "say why; nothing was cancelled"))?;
    let by = actor(&ask.who.name);
    let done = hub::flows::cancel(&ask.console.store, instance.id, &by, why);
    ask.wait(done).map_err(|why| refused(&instance, why))?;
    Ok(see(&format!("/flows/{}?said=flow-cancelled", instance.id)))
}
