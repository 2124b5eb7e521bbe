//! Start a flow with its form, for a record that is there.

use axum::response::Response;
use definition::{Flow, Integration, Pattern};
use hub::flows::Refused;
use hub::flows::form::Wrong;
use maud::{Markup, html};
use record::Entity;

use super::{Question, mistakes};
use crate::access::Needs;
use crate::ask::{Ask, see};
use crate::audit::actor;
use crate::pages::integration::found;
use crate::words::escaped;
use crate::{Problem, form, problem};

/// What the names of the inputs for the key begin with.
const KEY: &str = "k.";

/// The flow of an address, where this person may start it.
fn flow(ask: &Ask) -> Result<(&Integration, &Flow), Problem> {
    let integration = found(ask)?;
    let Pattern::Flow(flow) = &integration.pattern else {
        let what = format!("{} is no flow: it is of the pattern {}", integration.name, integration.pattern.word());
        return Err(Problem::not_done(what, "nothing has to be started: it works as long as the hub is up"));
    };
    match may(ask, flow)? {
        true => Ok((integration, flow)),
        false => {
            let who = match flow.started_by.is_empty() {
                true => "an operator starts it".to_owned(),
                false => format!("one of these starts it: {}", flow.started_by.join(", ")),
            };
            let what = format!("{} may not start {}", ask.who.person, integration.name);
            Err(Problem::new(http::StatusCode::FORBIDDEN, problem::NOT_ALLOWED, what, who))
        }
    }
}

/// Whether whoever asks may start a flow: those whom it names, else whoever may operate.
///
/// *Errors*: of our own state.
pub fn may(ask: &Ask, flow: &Flow) -> Result<bool, Problem> {
    if flow.started_by.is_empty() {
        return Ok(ask.who.may(Needs::Operate));
    }
    // Where nobody signs in, they say as whom they start it, as with the command.
    let people = ask.console.flows.people_now()?;
    Ok(ask.who.token.is_none() || hub::flows::may_start(&people, flow, &ask.who.person))
}

/// As whom somebody starts it.
fn by(ask: &Ask) -> &str {
    match (&ask.who.token, ask.form("by")) {
        (None, Some(by)) => by,
        _ => &ask.who.person,
    }
}

fn who(ask: &Ask) -> Markup {
    let people = &ask.console.project.people;
    html! {
        @if ask.who.token.is_some() { p { "You start it as " b { (ask.who.person) } "." } }
        @else if people.is_empty() { input type="hidden" name="by" value=(ask.who.person); }
        @else { label { "Who starts it" select name="by" {
            option value=(ask.who.person) { (ask.who.person) }
            @for person in people { option value=(person.id) selected[person.id == by(ask)] { (person.id) } }
        } } }
    }
}

fn entity<'a>(ask: &'a Ask, flow: &Flow) -> &'a Entity {
    ask.console.project.entity(&flow.entity).expect("a checked project names entities that exist")
}

fn question<'q>(ask: &'q Ask, wrong: &[Wrong], more: &[String]) -> Result<Question<'q>, Problem> {
    let (integration, flow) = flow(ask)?;
    let (name, entity) = (&integration.name, entity(ask, flow));
    let fields: Vec<_> = flow.form.iter().flatten().map(|field| (field.clone(), first(field))).collect();
    let typed = form::given(ask.sent());
    let mut all = form::others(&fields, wrong);
    all.extend_from_slice(more);
    let placeholders: String = entity.key.iter().map(|part| format!(" {}", part.to_uppercase())).collect();
    let given: String = flow
        .form
        .iter()
        .flatten()
        .filter(|field| field.required)
        .map(|field| format!(" --field {}=…", field.name))
        .collect();
    Ok(Question {
        title: format!("Start {name}"),
        consequences: vec![
            integration.purpose.clone(),
            format!("It begins at once for the {} that you name, as it is in {} now.", flow.entity, flow.in_),
            "You are kept as whoever asked for it: others decide about it, unless the flow says otherwise.".to_owned(),
        ],
        command: format!("ironbridge flow start {name}{placeholders}{given}"),
        button: "Start",
        danger: false,
        back: format!("/integrations/{}", escaped(name)),
        fields: html! {
            (mistakes(&all))
            (who(ask))
            @for part in &entity.key {
                @let input = format!("{KEY}{part}");
                label { "The " (part) " of the " (flow.entity) input name=(input) value=[ask.form(&input).or_else(|| ask.query(part))] maxlength="500" autocomplete="off" required; }
            }
            (form::fields(&fields, &typed, wrong, Some(true), ask.zone()))
        },
        below: None,
        ask,
    })
}

/// What stands in a field at first.
fn first(field: &definition::FormField) -> String {
    match &field.default {
        Some(definition::Given::Fixed(value)) => value.to_string(),
        _ => String::new(),
    }
}

pub fn ask(ask: &Ask) -> Result<Response, Problem> {
    Ok(question(ask, &[], &[])?.put())
}

pub fn act(ask: &Ask) -> Result<Response, Problem> {
    let (integration, flow) = flow(ask)?;
    let (console, name) = (&ask.console, &integration.name);
    let parts: Vec<String> = entity(ask, flow)
        .key
        .iter()
        .map(|part| ask.form(&format!("{KEY}{part}")).unwrap_or_default().to_owned())
        .collect();
    let Some(key) = hub::typed(&console.project, &flow.entity, &parts) else {
        let what = format!("`{}` is no key of a {}", parts.join(" "), flow.entity);
        return Ok(question(ask, &[], &[what])?.put_again());
    };
    let by = by(ask);
    let begun =
        ask.wait(hub::flows::start(&console.flows, name, &key, by, &actor(&ask.who.name), &form::given(ask.sent())));
    let id = match begun {
        Ok(id) => id,
        Err(Refused::Form(wrong)) => return Ok(question(ask, &wrong, &[])?.put_again()),
        Err(Refused::Fault(fault)) => {
            let what = format!("{}; {}", fault.what, fault.fix);
            return Ok(question(ask, &[], &[what])?.put_again());
        }
        Err(Refused::Store(error)) => return Err(error.into()),
        Err(_) => return Err(Problem::not_done(format!("{name} was not started"), "go back and try again")),
    };
    Ok(see(&format!("/flows/{id}?said=flow-started")))
}
