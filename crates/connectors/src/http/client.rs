//! One request and what its answer means to the hub.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use record::{Code, Fault, OptionValue, Options, Scope, Secret, Why};
use reqwest::Method;
use reqwest::header::{
    AUTHORIZATION, CONTENT_TYPE, DATE, ETAG, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, SERVER,
};
use serde_json::Value as Json;

use super::oauth::OAuth;
use super::pace::Pace;

/// The most that one answer may hold.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// The most of another system's own words.
const WORDS_MAX: usize = 1000;

#[derive(Clone)]
pub(crate) struct Client(Arc<Inner>);

struct Inner {
    system: String,
    url: String,
    http: reqwest::Client,
    user: Option<(String, Secret)>,
    /// A parameter that each request carries.
    parameter: Option<(String, Secret)>,
    oauth: Option<OAuth>,
    pace: Option<Pace>,
}

/// What a request carries besides its address.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sent {
    pub body: Option<String>,
    /// The type of the body; JSON where nothing is said.
    pub content_type: Option<String>,
    pub headers: Vec<(String, String)>,
}

/// An answer below 300, or `304`.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub status: u16,
    pub json: Json,
    /// The body, where it is not JSON and the request asked for something else.
    pub text: String,
    /// What `Link: <…>; rel="next"` says.
    pub next: Option<String>,
    pub etag: Option<String>,
    pub content_type: Option<String>,
    /// The other side's clock.
    pub date: Option<Timestamp>,
}

impl Client {
    /// *Errors*: an address or a key that no request can carry.
    pub fn new(system: &str, options: &Options) -> Result<Client, Fault> {
        let timeout = options.duration("timeout").unwrap_or(Duration::from_secs(30));
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
        let mut parameter = None;
        if let Some(key) = options.group("api_key") {
            match (key.text("header"), key.text("query")) {
                (Some(name), None) => {
                    let name = name.parse().map_err(|_| wrong(format!("`{name}` is no name of a header")))?;
                    header(name, key.text("value").unwrap_or_default())?;
                }
                (None, Some(name)) => {
                    parameter = Some((name.to_owned(), key.secret("value").unwrap_or_else(|| Secret::new(""))));
                }
                _ => {
                    let what = format!("the key of `{system}` goes into a header or into the query: say one of them");
                    return Err(wrong(what).fix("write `api_key: { header: X-Key, value: … }`"));
                }
            }
        }
        let user =
            options.group("basic").and_then(|basic| Some((basic.text("user")?.to_owned(), basic.secret("password")?)));
        let oauth = options.group("oauth").as_ref().and_then(OAuth::new);
        let ways = [options.text("bearer").is_some(), user.is_some(), oauth.is_some()];
        if ways.iter().filter(|way| **way).count() > 1 {
            let what = format!("`{system}` has more than one way to sign in");
            return Err(wrong(what).fix("write one of `bearer:`, `basic:` and `oauth:`"));
        }
        let pace = options.number("requests_a_minute").and_then(|number| u32::try_from(number).ok()).map(Pace::new);
        // The first one installed serves the whole process.
        rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
        let http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(10).min(timeout))
            .timeout(timeout)
            .default_headers(headers)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("a client with time-outs and no files to read can always be built");
        Ok(Client(Arc::new(Inner { system: system.to_owned(), url, http, user, parameter, oauth, pace })))
    }

    pub fn system(&self) -> &str {
        &self.0.system
    }

    /// Whether anybody answers, and what it calls itself.
    pub async fn reachable(&self) -> Result<Option<String>, Fault> {
        let answer = self.exchange(&Method::GET, "/", &Sent::default()).await?;
        match answer.status().as_u16() {
            401 | 403 | 500.. => Err(self.refused(answer, false).await),
            _ => Ok(answer.headers().get(SERVER).and_then(|value| value.to_str().ok()).map(str::to_owned)),
        }
    }

    /// *Errors*: no answer, or one that says no. `404` of a GET is `Ok(None)`.
    pub async fn send(&self, method: &Method, path: &str, sent: Sent) -> Result<Option<Answer>, Fault> {
        let changes = *method != Method::GET;
        let answer = self.exchange(method, path, &sent).await?;
        let status = answer.status().as_u16();
        if !changes && matches!(status, 404 | 410) {
            return Ok(None);
        }
        let headers = answer.headers();
        let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let date = text(DATE).and_then(|date| jiff::fmt::rfc2822::parse(&date).ok()).map(|date| date.timestamp());
        let next = headers.get_all("link").iter().filter_map(|links| links.to_str().ok()).find_map(next_link);
        let content_type = text(CONTENT_TYPE);
        let is_json = content_type.as_ref().is_none_or(|ty| ty.contains("json"));
        let empty = Answer { status, next, etag: text(ETAG), date, content_type, ..Answer::default() };
        if status == 304 {
            return Ok(Some(empty));
        }
        if !(200..300).contains(&status) {
            return Err(self.refused(answer, changes).await);
        }
        let bytes = self.body(answer, changes).await?;
        if bytes.is_empty() {
            return Ok(Some(empty));
        }
        match serde_json::from_slice(&bytes) {
            Ok(json) => Ok(Some(Answer { json, ..empty })),
            // It was done all the same; or it is what was asked for.
            Err(_) if changes || sent.accepts_other() && !is_json => {
                Ok(Some(Answer { text: String::from_utf8_lossy(&bytes).into_owned(), ..empty }))
            }
            Err(why) => {
                Err(Fault::stop(Code("IB0510"), format!("`{}` did not answer with JSON: {why}", self.system()))
                    .at_system(self.system())
                    .why(words(status, &bytes))
                    .fix("look at the address and the request in the system's file"))
            }
        }
    }

    /// One request, signed. A token that is refused is renewed once.
    async fn exchange(&self, method: &Method, path: &str, sent: &Sent) -> Result<reqwest::Response, Fault> {
        let changes = *method != Method::GET;
        let inner = &*self.0;
        let mut again = inner.oauth.is_some();
        loop {
            if let Some(pace) = &inner.pace {
                pace.turn().await;
            }
            let mut request = inner.http.request(method.clone(), format!("{}{path}", inner.url));
            if let Some((name, value)) = &inner.parameter {
                request = request.query(&[(name, value.reveal())]);
            }
            if let Some((user, password)) = &inner.user {
                request = request.basic_auth(user, Some(password.reveal()));
            }
            let mut token = None;
            if let Some(oauth) = &inner.oauth {
                let held = oauth.token(&inner.http, self.system()).await?;
                request = request.bearer_auth(held.reveal());
                token = Some((oauth, held));
            }
            if !sent.accepts_other() {
                request = request.header("Accept", "application/json");
            }
            if let Some(body) = &sent.body {
                let content_type = sent.content_type.as_deref().unwrap_or("application/json");
                request = request.header("Content-Type", content_type).body(body.clone());
            }
            for (name, value) in &sent.headers {
                request = request.header(name, value);
            }
            let answer = request.send().await.map_err(|error| transport(&error, self.system(), changes))?;
            match token {
                Some((oauth, token)) if again && answer.status().as_u16() == 401 => {
                    oauth.refused(&token).await;
                    again = false;
                }
                _ => return Ok(answer),
            }
        }
    }

    /// A link that the answer of `path` gave, below the address of the system.
    ///
    /// *Errors*: it leads to another place, where our key has no business.
    pub fn link(&self, path: &str, link: &str) -> Result<String, Fault> {
        let base = format!("{}{path}", self.0.url);
        let mut whole = reqwest::Url::parse(&base).and_then(|base| base.join(link));
        // A link that repeats our key would keep it where keys have no business.
        if let (Ok(whole), Some((name, _))) = (&mut whole, &self.0.parameter) {
            let others: Vec<(String, String)> =
                whole.query_pairs().filter(|(known, _)| known != name).map(|(n, v)| (n.into(), v.into())).collect();
            if others.len() != whole.query_pairs().count() {
                whole.query_pairs_mut().clear().extend_pairs(others);
            }
        }
        let below = whole.ok().and_then(|whole| whole.as_str().strip_prefix(&self.0.url).map(str::to_owned));
        below.filter(|below| below.starts_with(['/', '?'])).ok_or_else(|| {
            let what = format!("the next page of `{}` is at another address: {link}", self.system());
            Fault::stop(Code("IB0510"), what)
                .at_system(self.system())
                .fix("look at the address in `connection: url`, and at `next:` in the system's file")
        })
    }

    async fn body(&self, mut answer: reqwest::Response, changes: bool) -> Result<Vec<u8>, Fault> {
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| transport(&error, self.system(), changes))? {
            if bytes.len() + chunk.len() > ANSWER_BYTES_MAX {
                let what = format!("the answer of `{}` is larger than 64 MB", self.system());
                return Err(Fault::stop(Code("IB0510"), what).at_system(self.system()).fix("ask for less at a time"));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    /// What an answer from 300 on means.
    async fn refused(&self, answer: reqwest::Response, changes: bool) -> Fault {
        let status = answer.status().as_u16();
        let after = retry_after(answer.headers());
        let request_id = request_id(answer.headers());
        let bytes = self.body(answer, changes).await.unwrap_or_default();
        let mut fault = refusal(self.system(), status, after, &bytes, changes);
        if let Some(why) = &mut fault.why {
            why.request_id = request_id;
        }
        fault
    }
}

/// What an answer from 300 on means, with its body. `changes`: the request may have done something all the same.
pub(crate) fn refusal(system: &str, status: u16, after: Option<Duration>, bytes: &[u8], changes: bool) -> Fault {
    let fault = match status {
        401 => Fault::ask_person(Code("IB0502"), format!("`{system}` does not accept our key"))
            .fix("renew the key in `connection:`, or its right to sign in"),
        403 => Fault::ask_person(Code("IB0503"), format!("`{system}` does not permit this"))
            .fix("give the hub's user the right, then run again"),
        423 => Fault::retry(Code("IB0507"), format!("somebody is working on the row in `{system}`"), after)
            .scope(Scope::Row)
            .fix("nothing: it is tried again by itself; if it stays so, look who has it open there"),
        412 => Fault::retry(Code("IB0507"), format!("the row was changed in `{system}` meanwhile"), None)
            .scope(Scope::Row)
            .fix("nothing: it is compared again and tried again by itself"),
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
        _ if !changes => Fault::reject(Code("IB0512"), format!("`{system}` refuses a question"))
            .fix("compare the request in the system's file with what the other system says beside `why`"),
        _ => Fault::reject(Code("IB0512"), format!("`{system}` refuses the row"))
            .fix("correct the row in the source; what the other system said stands beside `why`"),
    };
    let fault = if status >= 500 && changes { fault.effect_unknown() } else { fault };
    fault.at_system(system).why(words(status, bytes))
}

/// What it means that there is no answer, or only the beginning of one.
pub(super) fn transport(error: &reqwest::Error, system: &str, changes: bool) -> Fault {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = cause.to_string();
        source = cause.source();
    }
    let fault = if error.is_connect() {
        Fault::retry(Code("IB0501"), format!("`{system}` cannot be reached"), None)
            .fix("check the address in `connection: url`, the network, and whether the system is running")
    } else {
        let how =
            if error.is_timeout() { "did not answer in time" } else { "broke off before its answer was complete" };
        let fault = Fault::retry(Code("IB0509"), format!("`{system}` {how}"), None);
        match changes {
            true => fault
                .effect_unknown()
                .fix("nothing: it is asked whether the row is there, before the request is repeated"),
            false => fault.fix("nothing: it is asked again; where that goes on, raise `timeout:` in `connection:`"),
        }
    };
    fault.at_system(system).why(Why { status: None, code: None, text, request_id: None })
}

/// How long the other side asks us to wait: seconds, or a date.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    let now =
        headers.get(DATE).and_then(|date| date.to_str().ok()).and_then(|date| jiff::fmt::rfc2822::parse(date).ok());
    let wait = until.duration_since(now.map_or_else(Timestamp::now, |now| now.timestamp()));
    Some(wait.try_into().unwrap_or_default())
}

/// What the other side calls this request: its owner finds it there by that. *Source*: the names that gateways and clouds
/// use; there is no standard.
fn request_id(headers: &HeaderMap) -> Option<String> {
    let names = ["x-request-id", "request-id", "x-ms-request-id", "x-correlation-id", "x-amzn-requestid", "x-trace-id"];
    let first = names.iter().find_map(|name| headers.get(*name)?.to_str().ok())?;
    let id: String = first.chars().filter(|c| c.is_ascii_graphic()).take(100).collect();
    (!id.is_empty()).then_some(id)
}

/// The other side's own words, from the members that APIs use for them.
pub(crate) fn words(status: u16, bytes: &[u8]) -> Why {
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
    // Of OAuth, `error` is the code where there are words beside it.
    let code = part(&["code", "type"]).or_else(|| part(&["error_description"]).and_then(|_| part(&["error"])));
    Why { status: Some(status), code, text, request_id: None }
}

impl Sent {
    pub fn json(body: String) -> Sent {
        Sent { body: Some(body), ..Sent::default() }
    }

    pub fn header(mut self, name: &str, value: impl Into<String>) -> Sent {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    fn accepts_other(&self) -> bool {
        self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("accept"))
    }
}

/// Where the links of a header say that the next page is. *Source*: RFC 8288, section 3; a comma in an address is no end
/// of a link.
fn next_link(header: &str) -> Option<String> {
    let mut rest = header;
    while let Some((address, after)) = rest.split_once('<').and_then(|(_, link)| link.split_once('>')) {
        let parameters = &after[..after.find('<').unwrap_or(after.len())];
        let is_next = |(name, value): (&str, &str)| {
            let value = value.trim().trim_end_matches(',').trim_end().trim_matches(['"', '\'']);
            let is_next = value.split_ascii_whitespace().any(|rel| rel.eq_ignore_ascii_case("next"));
            name.trim().eq_ignore_ascii_case("rel") && is_next
        };
        if parameters.split(';').filter_map(|parameter| parameter.split_once('=')).any(is_next) {
            return Some(address.trim().to_owned());
        }
        rest = after;
    }
    None
}

/// The options of a group as texts, for those that are one.
pub(crate) fn texts(options: &Options, name: &str) -> Vec<(String, String)> {
    let Some(OptionValue::Map(map)) = options.get(name) else { return Vec::new() };
    let pair = |(name, value): (&String, &OptionValue)| match value {
        OptionValue::Text(text) => Some((name.clone(), text.clone())),
        _ => None,
    };
    map.iter().filter_map(pair).collect()
}
