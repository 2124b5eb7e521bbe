//! One request and what its answer means to the hub.

use std::sync::Arc;
use std::time::Duration;

use record::{Code, Fault, OptionValue, Options, Scope, Secret, Why};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, SERVER};
use serde_json::Value as Json;

use super::template::Template;

/// The most that one answer may hold.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// The most of another system's own words.
const WORDS_MAX: usize = 1000;

#[derive(Clone)]
pub(super) struct Client(Arc<Inner>);

struct Inner {
    system: String,
    url: String,
    http: reqwest::Client,
    user: Option<(String, Secret)>,
}

/// An answer below 300.
#[derive(Debug)]
pub(super) struct Answer {
    pub status: u16,
    pub json: Json,
    /// What `Link: <…>; rel="next"` says.
    pub next: Option<String>,
}

impl Client {
    /// *Errors*: an address or a key that no request can carry.
    pub fn new(system: &str, options: &Options, timeout: Duration) -> Result<Client, Fault> {
        let wrong = |what: String| {
            Fault::ask_person(Code("IB0501"), what).at_system(system).fix("correct `connection:` in the system's file")
        };
        let url = options.text("url").unwrap_or_default().trim_end_matches('/').to_owned();
        if reqwest::Url::parse(&url).is_err() {
            return Err(wrong(format!("`{system}` has no usable address")));
        }
        let mut headers = HeaderMap::new();
        let mut header = |name: HeaderName, value: &str| {
            let mut value = HeaderValue::from_str(value)
                .map_err(|_| wrong(format!("a key of `{system}` has characters that no header may hold")))?;
            value.set_sensitive(true);
            headers.insert(name, value);
            Ok(())
        };
        if let Some(token) = options.text("bearer") {
            header(AUTHORIZATION, &format!("Bearer {token}"))?;
        }
        if let Some(key) = options.group("api_key") {
            let name = key.text("header").unwrap_or_default();
            let name = name.parse().map_err(|_| wrong(format!("`{name}` is no name of a header")))?;
            header(name, key.text("value").unwrap_or_default())?;
        }
        let user =
            options.group("basic").and_then(|basic| Some((basic.text("user")?.to_owned(), basic.secret("password")?)));
        // The first one installed serves the whole process.
        rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
        let http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(10).min(timeout))
            .timeout(timeout)
            .default_headers(headers)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("a client with time-outs and no files to read can always be built");
        Ok(Client(Arc::new(Inner { system: system.to_owned(), url, http, user })))
    }

    pub fn system(&self) -> &str {
        &self.0.system
    }

    /// Whether anybody answers, and what it calls itself.
    pub async fn reachable(&self) -> Result<Option<String>, Fault> {
        let request = self.request(reqwest::Method::GET, "/");
        let answer = request.send().await.map_err(|error| self.transport(&error, false))?;
        match answer.status().as_u16() {
            401 | 403 => Err(self.refused(answer, false).await),
            500.. => Err(self.refused(answer, false).await),
            _ => Ok(answer.headers().get(SERVER).and_then(|value| value.to_str().ok()).map(str::to_owned)),
        }
    }

    /// *Errors*: no answer, or one that says no. `404` of a GET is `Ok(None)`.
    pub async fn ask(
        &self,
        template: &Template,
        path: &str,
        body: Option<String>,
        key: Option<(&str, String)>,
    ) -> Result<Option<Answer>, Fault> {
        self.send(template.method.clone(), path, body, key).await
    }

    pub async fn send(
        &self,
        method: reqwest::Method,
        path: &str,
        body: Option<String>,
        key: Option<(&str, String)>,
    ) -> Result<Option<Answer>, Fault> {
        let changes = method != reqwest::Method::GET;
        let mut request = self.request(method, path).header("Accept", "application/json");
        if let Some(body) = body {
            request = request.header("Content-Type", "application/json").body(body);
        }
        if let Some((name, value)) = key {
            request = request.header(name, value);
        }
        let answer = request.send().await.map_err(|error| self.transport(&error, changes))?;
        let status = answer.status().as_u16();
        if !changes && matches!(status, 404 | 410) {
            return Ok(None);
        }
        if !(200..300).contains(&status) {
            return Err(self.refused(answer, changes).await);
        }
        let next = answer.headers().get_all("link").iter().filter_map(|link| link.to_str().ok()).find_map(next_link);
        let bytes = self.body(answer, changes).await?;
        if bytes.is_empty() {
            return Ok(Some(Answer { status, json: Json::Null, next }));
        }
        match serde_json::from_slice(&bytes) {
            Ok(json) => Ok(Some(Answer { status, json, next })),
            // It was done all the same.
            Err(_) if changes => Ok(Some(Answer { status, json: Json::Null, next })),
            Err(why) => {
                Err(Fault::stop(Code("IB0510"), format!("`{}` did not answer with JSON: {why}", self.system()))
                    .at_system(self.system())
                    .why(words(status, &bytes))
                    .fix("look at the address and the request in the system's file"))
            }
        }
    }

    /// A link that the answer of `path` gave, below the address of the system.
    ///
    /// *Errors*: it leads to another place, where our key has no business.
    pub fn link(&self, path: &str, link: &str) -> Result<String, Fault> {
        let base = format!("{}{path}", self.0.url);
        let whole = reqwest::Url::parse(&base).and_then(|base| base.join(link));
        let below = whole.ok().and_then(|whole| whole.as_str().strip_prefix(&self.0.url).map(str::to_owned));
        below.filter(|below| below.starts_with(['/', '?'])).ok_or_else(|| {
            let what = format!("the next page of `{}` is at another address: {link}", self.system());
            Fault::stop(Code("IB0510"), what)
                .at_system(self.system())
                .fix("look at the address in `connection: url`, and at `next:` in the system's file")
        })
    }

    fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        let url = format!("{}{path}", self.0.url);
        let request = self.0.http.request(method, url);
        match &self.0.user {
            Some((user, password)) => request.basic_auth(user, Some(password.reveal())),
            None => request,
        }
    }

    async fn body(&self, mut answer: reqwest::Response, changes: bool) -> Result<Vec<u8>, Fault> {
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| self.transport(&error, changes))? {
            if bytes.len() + chunk.len() > ANSWER_BYTES_MAX {
                let what = format!("the answer of `{}` is larger than 64 MB", self.system());
                return Err(Fault::stop(Code("IB0510"), what).at_system(self.system()).fix("ask for less at a time"));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    fn transport(&self, error: &reqwest::Error, changes: bool) -> Fault {
        let mut text = error.to_string();
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            text = cause.to_string();
            source = cause.source();
        }
        let system = self.system();
        let fault = if error.is_connect() {
            Fault::retry(Code("IB0501"), format!("`{system}` cannot be reached"), None)
                .fix("check the address in `connection: url`, the network, and whether the system is running")
        } else {
            let how =
                if error.is_timeout() { "did not answer in time" } else { "broke off before its answer was complete" };
            let fault = Fault::retry(Code("IB0509"), format!("`{system}` {how}"), None)
                .fix("nothing: it is asked whether the row is there, before the request is repeated");
            if changes { fault.effect_unknown() } else { fault }
        };
        fault.at_system(system).why(Why { status: None, code: None, text, request_id: None })
    }

    /// What an answer from 300 on means.
    async fn refused(&self, answer: reqwest::Response, changes: bool) -> Fault {
        let status = answer.status().as_u16();
        let after = answer
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.trim().parse().ok());
        let after = after.map(Duration::from_secs);
        let bytes = self.body(answer, changes).await.unwrap_or_default();
        let system = self.system();
        let fault = match status {
            401 => Fault::ask_person(Code("IB0502"), format!("`{system}` does not accept our key"))
                .fix("renew the key in `connection:`, or its right to sign in"),
            403 => Fault::ask_person(Code("IB0503"), format!("`{system}` does not permit this"))
                .fix("give the hub's user the right, then run again"),
            404 | 405 if changes => Fault::reject(Code("IB0512"), format!("`{system}` has nothing at this address"))
                .fix("look whether the row was deleted there, and whether the request in the system's file is right"),
            300..=399 => Fault::ask_person(Code("IB0510"), format!("`{system}` sends us to another address"))
                .fix("write the address that it names into `connection: url`"),
            408 | 425 | 429 => Fault::retry(Code("IB0507"), format!("`{system}` limits our requests"), after)
                .fix("nothing: it is tried again by itself"),
            502..=504 => Fault::retry(Code("IB0508"), format!("`{system}` takes nothing at the moment"), after)
                .fix("nothing: it is tried again by itself"),
            500.. => Fault::retry(Code("IB0508"), format!("`{system}` failed on its side"), after)
                .scope(Scope::Row)
                .fix("nothing: it is tried again by itself; if it stays so, ask the system's owner about this row"),
            _ => Fault::reject(Code("IB0512"), format!("`{system}` refuses the row"))
                .fix("correct the row in the source; what the other system said stands beside `why`"),
        };
        let fault = if status >= 500 && changes { fault.effect_unknown() } else { fault };
        fault.at_system(system).why(words(status, &bytes))
    }
}

/// The other side's own words, from the members that APIs use for them.
fn words(status: u16, bytes: &[u8]) -> Why {
    let json: Json = serde_json::from_slice(bytes).unwrap_or_default();
    let error = json.get("error").filter(|error| error.is_object()).unwrap_or(&json);
    let part = |names: &[&str]| {
        names.iter().find_map(|name| error.get(*name)).and_then(|found| match found {
            Json::String(text) => Some(text.clone()),
            Json::Number(number) => Some(number.to_string()),
            _ => None,
        })
    };
    let text = part(&["message", "detail", "error_description", "title", "error", "reason"]);
    let mut text = text.unwrap_or_else(|| String::from_utf8_lossy(bytes).trim().to_owned());
    if let Some((at, _)) = text.char_indices().nth(WORDS_MAX) {
        text.truncate(at);
        text.push('…');
    }
    Why { status: Some(status), code: part(&["code", "type"]), text, request_id: None }
}

fn next_link(header: &str) -> Option<String> {
    let next = header.split(',').find(|link| link.contains("rel=\"next\"") || link.contains("rel=next"))?;
    Some(next.split_once('<')?.1.split_once('>')?.0.to_owned())
}

/// The options of a group as texts, for those that are one.
pub(super) fn texts(options: &Options, name: &str) -> Vec<(String, String)> {
    let Some(OptionValue::Map(map)) = options.get(name) else { return Vec::new() };
    let pair = |(name, value): (&String, &OptionValue)| match value {
        OptionValue::Text(text) => Some((name.clone(), text.clone())),
        _ => None,
    };
    map.iter().filter_map(pair).collect()
}
