//! The runbook of an integration: one page for whoever was not there when it was built. It prints.

use axum::response::Response;
use maud::html;

use super::integration::found;
use crate::ask::{self, Ask};
use crate::page::{Command, RUN};
use crate::parts::command;
use crate::words::escaped;
use crate::{Problem, markdown, page};

pub fn page(ask: &Ask) -> Result<Response, Problem> {
    let (integration, project) = (found(ask)?, &ask.console.project);
    let live = hub::operations::runbook::live(project, &ask.console.store, integration)?;
    // Notes that cannot be read are no reason to have no page at three in the morning.
    let notes = integration.runbook.as_ref().and_then(|file| std::fs::read_to_string(project.dir.join(file)).ok());
    let text = hub::operations::runbook::page(project, integration, Some(&live), notes.as_deref());
    // Its first line is the name, which is the heading of the page already.
    let text = text.split_once('\n').map_or(text.as_str(), |(_, rest)| rest);
    let body = html! {
        article.card.text.runbook { (markdown::html(text)) }
        p.do { (command(&format!("ironbridge runbook {}", integration.name))) }
    };
    let back = Command::new("The integration", format!("/integrations/{}", escaped(&integration.name)), RUN);
    Ok(ask::html(page::page(ask, &format!("Runbook of {}", integration.name), &[back], &body)))
}
