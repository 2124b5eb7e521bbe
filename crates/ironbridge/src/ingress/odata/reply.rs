//! An answer before it is HTTP: the same for a request of its own and for one in a batch.

use axum::body::Body;
use axum::http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderName, HeaderValue, Response, StatusCode};
use virtual_tables::{Refused, codes};

use super::pieces::Pieces;

pub(super) const JSON: &str = "application/json;odata.metadata=minimal;charset=utf-8";
/// The methods of everything but `$batch`.
pub(super) const READS: &str = "GET, HEAD";
pub(super) const TEXT: &str = "text/plain;charset=utf-8";

#[derive(Debug, Clone)]
pub(super) struct Reply {
    pub status: u16,
    pub content_type: String,
    pub body: Pieces,
    pub headers: Vec<(HeaderName, String)>,
    refused: Option<Box<Refused>>,
}

impl Reply {
    pub fn new(content_type: impl Into<String>, body: impl Into<Pieces>) -> Reply {
        Reply { status: 200, content_type: content_type.into(), body: body.into(), headers: Vec::new(), refused: None }
    }

    pub fn no_content() -> Reply {
        Reply { status: 204, ..Reply::new("", String::new()) }
    }

    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Reply {
        self.headers.push((HeaderName::from_static(name), value.into()));
        self
    }

    /// `allowed`: the methods of what was asked for.
    pub fn refused(refused: &Refused, id: &str, allowed: &str) -> Reply {
        let body = odata::payload::error(refused.code.0, &refused.message, id);
        let mut headers = Vec::new();
        if let Some(wait) = refused.retry_after {
            headers.push((RETRY_AFTER, wait.as_secs().max(1).to_string()));
        }
        if refused.status == 405 {
            headers.push((ALLOW, allowed.to_owned()));
        }
        let refused = Some(Box::new(refused.clone()));
        Reply {
            status: refused.as_ref().map_or(500, |refused| refused.status),
            content_type: JSON.to_owned(),
            body: body.into(),
            headers,
            refused,
        }
    }

    /// A question that was wrong is the caller's matter; a source that fails is ours.
    pub fn log(&self, id: &str, method: &str, path: &str) {
        let Some(refused) = &self.refused else { return };
        let fault = refused.fault.as_ref().map(|fault| fault.to_string()).unwrap_or_default();
        let (status, code, message) = (refused.status, refused.code.0, &refused.message);
        if refused.is_of_the_source() || refused.code == codes::ROW_UNFIT {
            tracing::warn!(request = id, status, code, fault, "{method} {path}: {message}");
        } else {
            tracing::debug!(request = id, status, code, "{method} {path}: {message}");
        }
    }

    pub fn into_response(self, id: &str) -> Response<Body> {
        let mut response = Response::new(self.body.into_body());
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        let mut put = |name: HeaderName, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        };
        if !self.content_type.is_empty() {
            put(CONTENT_TYPE, &self.content_type);
        }
        put(HeaderName::from_static("odata-version"), "4.0");
        // Live data: nobody on the way keeps it.
        put(CACHE_CONTROL, "no-store");
        put(HeaderName::from_static("x-request-id"), id);
        for (name, value) in &self.headers {
            put(name.clone(), value);
        }
        response
    }
}
