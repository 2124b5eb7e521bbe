//! Why a request gets no page: the same parts as every error.

use axum::response::Response;
use http::StatusCode;
use maud::{Markup, html};
use record::Code;

use crate::ask::{Ask, with_status};
use crate::page;

/// There is no such page or thing.
pub const NOT_THERE: Code = Code("IB1058");
/// The console is not shown at this address.
pub const NOT_HERE: Code = Code("IB1050");
/// The browser was led here under another name.
pub const WRONG_HOST: Code = Code("IB1052");
/// The role does not allow it.
pub const NOT_ALLOWED: Code = Code("IB1053");
/// The form is not one of ours, or of a session that is over.
pub const STALE_FORM: Code = Code("IB1054");
/// Name and password do not fit, or were tried too often.
pub const NOT_SIGNED_IN: Code = Code("IB1057");
/// Somebody else was faster, or what was asked cannot be done as things stand.
pub const NOT_DONE: Code = Code("IB1059");

/// What went wrong, for people.
#[derive(Debug)]
pub struct Problem {
    pub status: StatusCode,
    pub code: Option<Code>,
    pub what: String,
    pub fix: String,
}

impl Problem {
    pub fn new(status: StatusCode, code: Code, what: impl Into<String>, fix: impl Into<String>) -> Problem {
        Problem { status, code: Some(code), what: what.into(), fix: fix.into() }
    }

    /// Of something with a name.
    pub fn not_there(what: &str, name: &str) -> Problem {
        let fix = "it may have been renamed or removed; look for it in the list, or with the search above";
        Problem::new(StatusCode::NOT_FOUND, NOT_THERE, format!("there is no {what} `{name}`"), fix)
    }

    pub fn not_done(what: impl Into<String>, fix: impl Into<String>) -> Problem {
        Problem::new(StatusCode::CONFLICT, NOT_DONE, what, fix)
    }

    /// As part of a page.
    pub fn shown(&self) -> Markup {
        html! {
            section.card.problem role="alert" {
                h2 { (self.what) }
                @if !self.fix.is_empty() { p { b { "Do: " } (self.fix) } }
                @if let Some(code) = self.code {
                    p { a href={ "/explain/" (code.0) } { (code.0) } " says more; also: " code { "ironbridge explain " (code.0) } }
                }
            }
        }
    }

    pub fn page(&self, ask: &Ask) -> Response {
        with_status(self.status, page::page(ask, "That did not work", &[], &self.shown()))
    }

    /// For somebody who is not in.
    pub fn bare_page(&self) -> Response {
        with_status(self.status, page::bare("Ironbridge", &self.shown()))
    }
}

impl From<store::Error> for Problem {
    fn from(error: store::Error) -> Problem {
        let text = error.to_string();
        // The store's messages end with what to do, after a semicolon.
        let (what, fix) = text.split_once("; ").unwrap_or((&text, ""));
        let refused = error.refusal().is_some();
        let status = if refused { StatusCode::CONFLICT } else { StatusCode::SERVICE_UNAVAILABLE };
        let code = error.code().or(refused.then_some(NOT_DONE));
        let fix = if refused && fix.is_empty() { "somebody was faster; look again how it stands now" } else { fix };
        Problem { status, code, what: what.to_owned(), fix: fix.to_owned() }
    }
}

impl From<hub::Error> for Problem {
    fn from(error: hub::Error) -> Problem {
        let hub::Error::Store(error) = error;
        error.into()
    }
}
