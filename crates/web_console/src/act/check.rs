//! Ask a system whether it answers.

use std::time::Instant;

use axum::response::Response;
use maud::html;

use super::Question;
use crate::Problem;
use crate::ask::{Ask, see};
use crate::pages::systems::{Checked, found};
use crate::words::escaped;

pub fn ask(ask: &Ask) -> Result<Response, Problem> {
    let name = &found(ask)?.name;
    Ok(Question {
        title: format!("Check {name}"),
        consequences: vec![
            "The hub signs in there and asks for its version and its tables. It waits for ten seconds at most."
                .to_owned(),
            "Nothing is written.".to_owned(),
        ],
        command: format!("ironbridge systems check {name}"),
        button: "Check",
        danger: false,
        back: format!("/systems/{}", escaped(name)),
        fields: html! {},
        below: None,
        ask,
    }
    .put())
}

pub fn act(ask: &Ask) -> Result<Response, Problem> {
    let (name, console) = (&found(ask)?.name, &ask.console);
    let begun = Instant::now();
    let health = ask.wait(hub::health(&console.project, &*console.systems, name));
    let checked = Checked { at: console.store.clock().now(), took: begun.elapsed(), health };
    console.checks.lock().insert(name.clone(), checked);
    crate::audit::note(ask, &ask.who.name, "check", name, "");
    Ok(see(&format!("/systems/{}?said=checked", escaped(name))))
}
