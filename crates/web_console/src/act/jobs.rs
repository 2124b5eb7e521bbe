//! What can be done with a retry of many: it goes on with the rest, pauses, ends.

use axum::response::Response;
use hub::retries::{self, Order};
use maud::{Markup, html};
use store::retries::{Job, State};

use super::{Question, note_field};
use crate::Problem;
use crate::ask::{Ask, see};
use crate::audit::actor;
use crate::pages::dead_letters::jobs::found;
use crate::words::counted;

/// The job, while it is in one of these states.
fn job(ask: &Ask, fits: &[State]) -> Result<Job, Problem> {
    let job = found(ask)?;
    match fits.contains(&job.state) {
        true => Ok(job),
        false => Err(Problem::not_done(
            format!("retry {} is {}", job.id, job.state),
            "go back and see what became of it; nothing was changed",
        )),
    }
}

fn left(job: &Job) -> String {
    counted(job.counts.waiting, "dead letter", "dead letters")
}

fn put(ask: &Ask, job: &Job, title: &str, words: (&'static str, &str), said: Vec<String>, fields: Markup) -> Response {
    let (button, command) = words;
    Question {
        title: format!("{title} retry {} of {}", job.id, job.integration),
        consequences: said,
        command: format!("ironbridge dead-letters jobs {command} {}", job.id),
        button,
        danger: command == "cancel",
        back: format!("/retries/{}", job.id),
        fields: html! { (fields) (note_field("Why, for whoever looks later", "note", false)) },
        below: None,
        ask,
    }
    .put()
}

pub fn ask_resume(ask: &Ask) -> Result<Response, Problem> {
    let job = job(ask, &[State::Paused])?;
    let said = vec![
        format!("It goes on with the {} that are left.", left(&job)),
        "What came after the look that it acts on is left alone.".to_owned(),
    ];
    let fields = html! {
        label { "How many a minute at most; empty: as fast as it goes" input type="number" name="rate" min="1" max="6000" inputmode="numeric" value=[job.per_minute]; }
        label { "Pause again after so many; empty: all that are left" input type="number" name="first" min="1" max="100000" inputmode="numeric"; }
    };
    Ok(put(ask, &job, "Go on with", ("Go on", "resume"), said, fields))
}

pub fn resume(ask: &Ask) -> Result<Response, Problem> {
    let job = job(ask, &[State::Paused])?;
    let count = |name: &str| ask.form(name).and_then(|text| text.parse::<u64>().ok()).filter(|n| *n > 0);
    let per_minute = count("rate").and_then(|n| u32::try_from(n).ok());
    order(ask, &job, Order::Resume { per_minute, stop_after: count("first") }, "going-on")
}

pub fn ask_pause(ask: &Ask) -> Result<Response, Problem> {
    let job = job(ask, &[State::Running])?;
    let said = vec![
        "It sends nothing more; what is on its way ends.".to_owned(),
        format!("{} are left, until somebody lets it go on.", left(&job)),
    ];
    Ok(put(ask, &job, "Pause", ("Pause", "pause"), said, html! {}))
}

pub fn pause(ask: &Ask) -> Result<Response, Problem> {
    order(ask, &job(ask, &[State::Running])?, Order::Pause, "job-paused")
}

pub fn ask_cancel(ask: &Ask) -> Result<Response, Problem> {
    let job = job(ask, &[State::Running, State::Paused])?;
    let said = vec![
        format!("{} wait as before; what was sent again stays sent.", left(&job)),
        "It cannot go on afterwards; another retry of the group can be begun.".to_owned(),
    ];
    Ok(put(ask, &job, "End", ("End it", "cancel"), said, html! {}))
}

pub fn cancel(ask: &Ask) -> Result<Response, Problem> {
    order(ask, &job(ask, &[State::Running, State::Paused])?, Order::Cancel, "job-ended")
}

fn order(ask: &Ask, job: &Job, order: Order, said: &str) -> Result<Response, Problem> {
    ask.wait(retries::order(&ask.console.store, job, order, &actor(&ask.who.name), ask.form("note")))?;
    Ok(see(&format!("/retries/{}?said={said}", job.id)))
}
