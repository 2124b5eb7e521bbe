//! The page of a code: what happened, what is safe, what to do.

use axum::response::Response;
use maud::html;

use crate::ask::{self, Ask};
use crate::parts::command;
use crate::{Problem, markdown, page};

pub fn page(ask: &Ask) -> Result<Response, Problem> {
    let code = ask.name("code").to_uppercase();
    let text = (ask.console.explain)(&code).ok_or_else(|| Problem::not_there("code", &code))?;
    let body = html! {
        article.card.text { (markdown::html(&text)) }
        p.do { (command(&format!("ironbridge explain {code}"))) }
    };
    Ok(ask::html(page::page(ask, &code, &[], &body)))
}
