//! One request and one answer as plain data: the same for a connection and for a part of a batch.

use http::HeaderMap;
use uuid::Uuid;

/// What is asked, below the service root.
pub struct Request {
    pub method: String,
    /// The raw path below `/api/data/v9.2/`, still percent-encoded.
    pub path: String,
    /// The raw query, without its `?`.
    pub query: String,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    /// `{scheme}://{host}/api/data/v9.2/`, as this client reaches us.
    pub root: String,
    /// The system user on whose behalf this runs.
    pub user: Uuid,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub fn prefer(&self) -> Prefer {
        Prefer::parse(self.headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok()))
    }

    /// The condition in a header; `null` is what browsers' caches are kept out with, and means nothing.
    pub fn condition(&self, name: &str) -> Option<Condition> {
        match self.header(name)?.trim() {
            "" | "null" => None,
            "*" => Some(Condition::Any),
            tag => {
                let digits: String = tag.chars().filter(char::is_ascii_digit).collect();
                Some(Condition::Version(digits.parse().unwrap_or(-1)))
            }
        }
    }

    pub fn body_text(&self) -> Result<&str, std::str::Utf8Error> {
        std::str::from_utf8(&self.body)
    }

    /// The link to a row or a collection, as this client would write it.
    pub fn link(&self, path: &str) -> String {
        format!("{}{path}", self.root)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    Any,
    Version(i64),
}

/// The answer, before it becomes HTTP or a part of a batch.
#[derive(Debug, Clone)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

impl Response {
    pub fn no_content() -> Response {
        Response { status: 204, headers: Vec::new(), body: Vec::new() }
    }

    pub fn json(status: u16, body: String) -> Response {
        let kind = "application/json; odata.metadata=minimal".to_owned();
        Response { status, headers: vec![("Content-Type", kind)], body: body.into_bytes() }
    }

    pub fn text(body: String) -> Response {
        // The byte-order mark is documented for counts.
        let body = format!("\u{feff}{body}");
        Response { status: 200, headers: vec![("Content-Type", "text/plain".into())], body: body.into_bytes() }
    }

    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Response {
        self.headers.push((name, value.into()));
        self
    }
}

/// The `Prefer` header, read once.
#[derive(Debug, Default, Clone)]
pub struct Prefer {
    pub representation: bool,
    pub track_changes: bool,
    pub continue_on_error: bool,
    pub respond_async: bool,
    pub page_rows: Option<usize>,
    annotations: Vec<String>,
    raw_annotations: Option<String>,
}

impl Prefer {
    fn parse<'a>(headers: impl Iterator<Item = &'a str>) -> Prefer {
        let mut prefer = Prefer::default();
        for header in headers {
            for item in split_outside_quotes(header) {
                let (name, value) = item.split_once('=').unwrap_or((item, ""));
                let value = value.trim().trim_matches('"');
                match name.trim().to_ascii_lowercase().as_str() {
                    "return" => prefer.representation = value == "representation",
                    "odata.track-changes" => prefer.track_changes = true,
                    "odata.continue-on-error" | "continue-on-error" => prefer.continue_on_error = true,
                    "respond-async" => prefer.respond_async = true,
                    "odata.maxpagesize" | "maxpagesize" => {
                        prefer.page_rows =
                            value.parse().ok().filter(|rows| *rows > 0).map(|rows: usize| rows.min(5000));
                    }
                    "odata.include-annotations" => {
                        prefer.annotations = value.split(',').map(|name| name.trim().to_owned()).collect();
                        prefer.raw_annotations = Some(value.to_owned());
                    }
                    _ => {}
                }
            }
        }
        prefer
    }

    /// Whether an annotation of this full name was asked for, by itself or by a wildcard.
    pub fn wants(&self, annotation: &str) -> bool {
        self.annotations.iter().any(|wanted| match wanted.strip_suffix('*') {
            Some(prefix) => annotation.starts_with(prefix),
            None => wanted == annotation,
        })
    }

    pub fn wants_any(&self) -> bool {
        !self.annotations.is_empty()
    }

    /// `Preference-Applied`, for what a read honoured.
    pub fn applied_to_read(&self) -> Option<String> {
        let mut applied = Vec::new();
        if let Some(rows) = self.page_rows {
            applied.push(format!("odata.maxpagesize={rows}"));
        }
        if self.track_changes {
            applied.push("odata.track-changes".to_owned());
        }
        if let Some(annotations) = &self.raw_annotations {
            applied.push(format!("odata.include-annotations=\"{annotations}\""));
        }
        (!applied.is_empty()).then(|| applied.join(","))
    }
}

fn split_outside_quotes(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut quoted) = (Vec::new(), 0, false);
    for (at, c) in text.char_indices() {
        match c {
            '"' => quoted = !quoted,
            ',' | ';' if !quoted => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

/// Takes any way of writing a URL of this service (absolute with any scheme and host, rooted, bare) down to the path
/// and query below the service root.
///
/// Clients send all of these in batch parts, binds and `@odata.id`, some with a slash too few after the scheme.
pub fn below_root(url: &str) -> &str {
    let url = url.trim();
    if let Some(at) = url.find("/api/data/v") {
        let rest = &url[at + "/api/data/v".len()..];
        return rest.split_once('/').map_or("", |(_, path)| path);
    }
    url.trim_start_matches('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_in_every_dress() {
        for url in [
            "accounts(1)",
            "/accounts(1)",
            "/api/data/v9.2/accounts(1)",
            "http://127.0.0.1:8802/api/data/v9.2/accounts(1)",
            "https:/host/api/data/v9.2/accounts(1)",
            "https://other.example/api/data/v9.1/accounts(1)",
        ] {
            assert_eq!(below_root(url), "accounts(1)", "{url}");
        }
    }

    #[test]
    fn preferences_in_one_header_or_several() {
        let one = Prefer::parse(
            ["return=representation, odata.maxpagesize=9000,odata.include-annotations=\"a.*,b.c\""].into_iter(),
        );
        assert!(one.representation);
        assert_eq!(one.page_rows, Some(5000));
        assert!(one.wants("a.x.y") && one.wants("b.c") && !one.wants("b.d"));
        let several = Prefer::parse(["odata.track-changes", "odata.continue-on-error"].into_iter());
        assert!(several.track_changes && several.continue_on_error);
    }
}
