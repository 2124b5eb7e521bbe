//! Say yes or no to what the hub asks.

use axum::response::Response;
use definition::FormField;
use hub::decide::{Answer, NotDecided};
use hub::flows::decider;
use hub::flows::form::{Wrong, clock};
use maud::{Markup, html};
use store::approvals::Approval;

use super::{Question, mistakes};
use crate::ask::{Ask, see};
use crate::pages::approvals::{details, found};
use crate::{Problem, form};

/// As whom somebody decides: as themselves; where nobody signs in, as whoever they say, as with the command.
fn decides_as(ask: &Ask) -> String {
    match (&ask.who.token, ask.form("by")) {
        (None, Some(by)) => by.to_owned(),
        _ => ask.who.person.clone(),
    }
}

fn who_field(ask: &Ask, approval: &Approval) -> Markup {
    let asked = hub::decide::asked(&ask.console.project, approval);
    html! {
        @if ask.who.token.is_some() { p { "You decide as " b { (ask.who.person) } "." } }
        @else if asked.is_empty() { input type="hidden" name="by" value=(ask.who.person); }
        @else { label { "Who decides" select name="by" { @for person in &asked { option value=(person) selected[**person == ask.who.person] { (person) } } } } }
    }
}

fn put<'q>(ask: &'q Ask, approve: bool, wrong: &[Wrong]) -> Result<Question<'q>, Problem> {
    let approval = found(ask)?;
    let form = hub::flows::form_of(&approval);
    let typed = form::given(ask.sent());
    let id = approval.id;
    let of_flow = hub::flows::subject_of(&approval).is_some();
    let does = hub::consent::by_hand(&approval).map_or_else(
        || "A run starts at once and writes exactly what stands below".to_owned(),
        |command| format!("Whoever runs this window again then, writes exactly what stands below ({command})"),
    );
    let (title, button, consequences) = match approve {
        true if of_flow => (
            "Approve",
            "Approve",
            vec![
                "The flow goes on at once with what follows a yes.".to_owned(),
                "What stands below is kept with your answer, as it was shown to you.".to_owned(),
            ],
        ),
        false if of_flow => ("Reject", "Reject", vec!["The flow goes on at once with what follows a no.".to_owned()]),
        true => (
            "Approve",
            "Approve",
            vec![
                format!("{does}; where the world has moved on, it asks again."),
                "What Dynamics starts because of it, it starts.".to_owned(),
            ],
        ),
        false => (
            "Reject",
            "Reject",
            vec![
                "Nothing of it is written, and the run ends as not approved.".to_owned(),
                "It is asked again once the changes are others.".to_owned(),
            ],
        ),
    };
    Ok(Question {
        title: format!("{title}: {}", approval.question),
        consequences,
        command: format!("ironbridge approvals {} {id}{}", button.to_lowercase(), flags(&form, approve)),
        button,
        danger: !approve,
        back: format!("/approvals/{id}"),
        fields: html! {
            (mistakes(&form::others(&form, wrong)))
            (who_field(ask, &approval))
            (form::fields(&form, &typed, wrong, Some(approve), ask.zone()))
            label { "Why, for whoever looks later" input name="comment" maxlength="500" autocomplete="off" required[!approve] value=[ask.form("comment")]; }
        },
        below: Some(details(ask, &serde_json::from_str(&approval.details).unwrap_or_default())),
        ask,
    })
}

/// The fields that an answer by command has to give.
fn flags(form: &[(FormField, String)], approve: bool) -> String {
    let needed = form.iter().filter(|(field, _)| field.required && field.with.goes(Some(approve)));
    needed.map(|(field, _)| format!(" --field {}=…", field.name)).collect()
}

fn decide(ask: &Ask, approve: bool) -> Result<Response, Problem> {
    let (approval, console, by) = (found(ask)?, &ask.console, decides_as(ask));
    let comment = ask.form("comment");
    let fields = form::given(ask.sent());
    let answer = Answer { by: &by, approve, comment, fields: &fields };
    let action = if approve { "approvals approve" } else { "approvals reject" };
    let subject = format!("approval {} of {}", approval.id, approval.integration);
    let detail = serde_json::json!({ "approval": approval.id.0, "by": by, "digest": approval.digest });
    let did = crate::audit::actor(&ask.who.name).did(action, subject).because(comment).with(detail).op();
    let (project, systems, store) = (&console.project, &*console.systems, &console.store);
    match ask.wait(hub::decide::decide(project, systems, store, &approval, &answer, vec![did]))? {
        Ok(()) => {
            let said = match (hub::flows::subject_of(&approval).is_some(), approve) {
                (true, true) => "flow-approved",
                (true, false) => "flow-rejected",
                (false, true) if hub::consent::by_hand(&approval).is_some() => "window-approved",
                (false, true) => "approved",
                (false, false) => "rejected",
            };
            Ok(see(&format!("/approvals/{}?said={said}", approval.id)))
        }
        Err(NotDecided::Form(wrong)) => Ok(put(ask, approve, &wrong)?.put_again()),
        Err(NotDecided::Unanswered(fault)) => Err(Problem::not_done(
            format!("what was filled in cannot be looked up now: {}", fault.what),
            "nothing was changed; try again in a while",
        )),
        Err(NotDecided::NotAsked { asked }) if asked.is_empty() => Err(Problem::not_done(
            format!("{by} is not asked any more"),
            "whoever people.yaml names now is asked once the hub has looked",
        )),
        Err(NotDecided::NotAsked { asked }) => Err(Problem::not_done(
            format!("{by} was not asked: this is for {}", asked.join(", ")),
            "one of them decides; an admin says who a user is in people.yaml",
        )),
        Err(NotDecided::Expired { at }) => Err(Problem::not_done(
            format!("approval {} has expired: it was to be answered until {}", approval.id, clock(at, ask.zone())),
            format!("let it look and ask again: run {} now", approval.integration),
        )),
        Err(NotDecided::NotYet { first }) => Err(Problem::not_done(
            format!("they answer in order, and it is the turn of {first}"),
            format!("nothing was changed; {first} answers first"),
        )),
        Err(NotDecided::NoComment) => {
            Err(Problem::not_done("this answer has to say why", "nothing was changed; go back and write a sentence"))
        }
        Err(NotDecided::Closed { by: Some(by), at: Some(at), .. }) => Err(Problem::not_done(
            format!("approval {} was already decided by {} on {}", approval.id, decider(&by), clock(at, ask.zone())),
            "nothing was changed; see what else waits for an answer",
        )),
        Err(NotDecided::Closed { state, by, .. }) => {
            let by = by.map_or_else(String::new, |by| format!(" by {by}"));
            let what = format!("approval {} is {state}{by} already", approval.id);
            Err(Problem::not_done(what, "nothing was changed; see what else waits for an answer"))
        }
    }
}

pub fn ask_approve(ask: &Ask) -> Result<Response, Problem> {
    Ok(put(ask, true, &[])?.put())
}

pub fn approve(ask: &Ask) -> Result<Response, Problem> {
    decide(ask, true)
}

pub fn ask_reject(ask: &Ask) -> Result<Response, Problem> {
    Ok(put(ask, false, &[])?.put())
}

pub fn reject(ask: &Ask) -> Result<Response, Problem> {
    decide(ask, false)
}
