//! What was asked, and the ways to answer.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use jiff::Timestamp;
use maud::Markup;
use store::users::Role;

use crate::Console;
use crate::access::{Needs, allows};
use crate::sessions::Token;

/// Who asks.
#[derive(Clone)]
pub struct Who {
    pub name: String,
    pub role: Role,
    /// As whom they decide.
    pub person: String,
    /// Nothing where nobody signs in.
    pub(crate) token: Option<Token>,
}

impl Who {
    pub fn may(&self, needs: Needs) -> bool {
        allows(self.role, needs)
    }
}

pub type Pairs = Vec<(String, String)>;

/// One request that has passed the guard. A function that answers it may block.
pub struct Ask {
    pub console: Arc<Console>,
    pub who: Who,
    pub path: String,
    pub now: Timestamp,
    /// How often the store had changed when it was asked: what a page shows is at least as new.
    pub(crate) version: u64,
    pub(crate) names: Pairs,
    pub(crate) query: Pairs,
    pub(crate) form: Pairs,
    /// What each of our forms carries.
    pub form_token: String,
}

impl Ask {
    /// A name in the path, such as that of an integration.
    pub fn name(&self, of: &str) -> &str {
        pick(&self.names, of).unwrap_or_default()
    }

    /// A parameter that is there and not empty.
    pub fn query(&self, name: &str) -> Option<&str> {
        pick(&self.query, name).map(str::trim).filter(|value| !value.is_empty())
    }

    /// A field of the form that is there and not empty.
    pub fn form(&self, name: &str) -> Option<&str> {
        pick(&self.form, name).map(str::trim).filter(|value| !value.is_empty())
    }

    /// Everything that was sent with the form.
    pub fn sent(&self) -> &[(String, String)] {
        &self.form
    }

    /// Each value that a field of the form has, which may have several.
    pub fn each(&self, name: &str) -> impl Iterator<Item = &str> {
        self.form.iter().filter(move |(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// Waits for something that does not block. Pages are answered on threads of their own.
    pub fn wait<T>(&self, something: impl Future<Output = T>) -> T {
        tokio::runtime::Handle::current().block_on(something)
    }

    pub fn zone(&self) -> &jiff::tz::TimeZone {
        &self.console.project.hub.time_zone
    }
}

fn pick<'p>(pairs: &'p Pairs, name: &str) -> Option<&'p str> {
    pairs.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
}

pub fn html(markup: Markup) -> Response {
    with_status(StatusCode::OK, markup)
}

pub fn with_status(status: StatusCode, markup: Markup) -> Response {
    (status, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], markup.into_string()).into_response()
}

/// Go on there, with a GET.
pub fn see(path: &str) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    let place = HeaderValue::from_str(path).unwrap_or(HeaderValue::from_static("/"));
    response.headers_mut().insert(header::LOCATION, place);
    response
}

/// A file to keep.
pub fn csv(name: &str, text: String) -> Response {
    let name = HeaderValue::from_str(&format!("attachment; filename=\"{name}.csv\""));
    let mut response = ([(header::CONTENT_TYPE, "text/csv; charset=utf-8")], text).into_response();
    response.headers_mut().insert(header::CONTENT_DISPOSITION, name.unwrap_or(HeaderValue::from_static("attachment")));
    response
}
