//! What can be done. Each thing is asked first on a page of its own: what follows from it, and its command.

pub mod alerts;
pub mod approvals;
pub mod check;
pub mod edit;
pub mod flows;
pub mod groups;
pub mod jobs;
pub mod letters;
pub mod migrate;
pub mod pause;
pub mod run;
pub mod start;

use axum::response::Response;
use maud::{Markup, html};

use crate::ask::{self, Ask};
use crate::page;
use crate::parts::{command, token};

/// A question before something is done.
pub struct Question<'q> {
    pub title: String,
    /// Sentences: what follows from it, what does not.
    pub consequences: Vec<String>,
    pub command: String,
    /// The word on the button.
    pub button: &'static str,
    pub danger: bool,
    /// Where to go instead.
    pub back: String,
    /// Fields of the form, with their labels.
    pub fields: Markup,
    /// What to look at before.
    pub below: Option<Markup>,
    pub ask: &'q Ask,
}

impl Question<'_> {
    /// The same again, since what was filled in cannot be taken.
    pub fn put_again(self) -> Response {
        let mut response = self.put();
        *response.status_mut() = http::StatusCode::UNPROCESSABLE_ENTITY;
        response
    }

    pub fn put(self) -> Response {
        let body = html! {
            form.card.confirm method="post" action=(self.ask.path) {
                h2 { "What follows from it" }
                ul { @for sentence in &self.consequences { li { (sentence) } } }
                (token(self.ask))
                (self.fields)
                div.buttons {
                    button.primary[!self.danger].danger[self.danger] type="submit" { (self.button) }
                    a.button href=(self.back) { "Cancel" }
                }
                p.do { "The same by hand: " (command(&self.command)) }
            }
            @if let Some(below) = &self.below { (below) }
        };
        ask::html(page::still_page(self.ask, &self.title, &[], &body))
    }
}

/// What is wrong with a form beside its fields.
pub fn mistakes(wrong: &[String]) -> Markup {
    html! { @if !wrong.is_empty() { ul.wrong role="alert" { @for wrong in wrong { li { (wrong) } } } } }
}

/// A field for why.
pub fn note_field(label: &str, name: &str, required: bool) -> Markup {
    html! { label { (label) input name=(name) maxlength="500" autocomplete="off" required[required]; } }
}
