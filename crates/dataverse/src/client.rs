//! One request and its answer: who we are, how many at a time, how long, and when not to ask.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use record::{Code, Fault, KeyRules, Now, Scope};
use reqwest::header::{HeaderMap, RETRY_AFTER};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::collation;
use crate::config::{API, Config};
use crate::refusal::{self, Codes, transport};
use crate::table::Table;
use crate::token::{self, Token};
use odata::batch::{self, Part, PartAnswer};

/// A shared, cheap handle.
#[derive(Clone)]
pub(crate) struct Client(Arc<Inner>);

struct Inner {
    system: String,
    config: Config,
    http: reqwest::Client,
    token: tokio::sync::Mutex<Option<Arc<Token>>>,
    permits: Semaphore,
    /// Asking before this time makes the service's limit worse.
    quiet_until: Mutex<Option<Instant>>,
    pace: Mutex<Pace>,
    tables: Mutex<HashMap<String, (Instant, Arc<Table>)>>,
    /// How the environment compares keys, once a table was asked for.
    key_rules: OnceLock<KeyRules>,
}

/// How many requests there may be at a time.
struct Pace {
    /// How many permits there are, taken ones included.
    at_once: usize,
    /// We were too fast with more; until then no more than this.
    slower: Option<(Instant, usize)>,
}

#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub method: reqwest::Method,
    /// Below the root of the Web API, or a whole URL (a link that the service gave).
    pub url: String,
    pub headers: Vec<(&'static str, String)>,
    pub body: Option<(String, Bytes)>,
    pub codes: Codes,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

const ANSWER_BYTES_MAX: usize = 64 << 20;
/// Definitions are asked for again after this; a change that breaks a write is noticed at once.
const TABLES_KEPT: Duration = Duration::from_secs(300);

impl Call {
    pub fn get(url: impl Into<String>, codes: Codes) -> Call {
        Call { method: reqwest::Method::GET, url: url.into(), headers: Vec::new(), body: None, codes }
    }
}

impl Client {
    pub fn new(system: &str, config: Config) -> Client {
        // The first one installed serves the whole process.
        rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
        // Without cookies, requests spread over the service's servers instead of sticking to one.
        let http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(10))
            .read_timeout(config.timeout)
            .timeout(config.timeout)
            .pool_idle_timeout(Duration::from_secs(60))
            .tcp_nodelay(true)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("a client with time-outs and no files to read can always be built");
        Client(Arc::new(Inner {
            system: system.to_owned(),
            permits: Semaphore::new(config.at_first()),
            pace: Mutex::new(Pace { at_once: config.at_first(), slower: None }),
            config,
            http,
            token: tokio::sync::Mutex::new(None),
            quiet_until: Mutex::new(None),
            tables: Mutex::new(HashMap::new()),
            key_rules: OnceLock::new(),
        }))
    }

    pub fn system(&self) -> &str {
        &self.0.system
    }

    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// Sends and reads the whole answer, whatever its status. A token that is refused is renewed once.
    ///
    /// *Errors*: no answer, or no right to ask now.
    pub async fn send(&self, call: &Call) -> Result<Answer, Fault> {
        let _permit = self.0.permits.acquire().await.expect("the semaphore is never closed");
        self.may_ask(call.codes)?;
        let token = self.token(call.codes, None).await?;
        let answer = self.once(call, &token).await?;
        if answer.status != 401 {
            return Ok(answer);
        }
        let token = self.token(call.codes, Some(&token)).await?;
        self.once(call, &token).await
    }

    /// As [`Client::send`], and only a success is an answer.
    pub async fn ask(&self, call: &Call, table: &str) -> Result<Answer, Fault> {
        let answer = self.send(call).await?;
        if (200..300).contains(&answer.status) {
            return Ok(answer);
        }
        Err(refusal::of_answer(&answer, call.codes).at_system(self.system()).at_table(table))
    }

    /// The definition of a table, from the service or as it was some minutes ago.
    pub async fn table(&self, name: &str, codes: Codes) -> Result<Arc<Table>, Fault> {
        if let Some((at, table)) = self.0.tables.lock().get(name)
            && at.elapsed() < TABLES_KEPT
        {
            return Ok(table.clone());
        }
        let table = Arc::new(Table::fetch(self, name, codes).await?);
        self.0.key_rules.get_or_init(|| table.rules);
        self.0.tables.lock().insert(name.to_owned(), (Instant::now(), table.clone()));
        Ok(table)
    }

    /// How the environment compares keys; as most do, before a table was asked for.
    pub fn key_rules(&self) -> KeyRules {
        self.0.key_rules.get().copied().unwrap_or_else(|| collation::rules(&serde_json::Value::Null))
    }

    /// Sends parts as one `$batch`, going on after parts that fail.
    ///
    /// *Shape*: the answers of the first parts, in order; fewer than parts where the service's answer was cut.
    pub async fn batch(&self, parts: &[Part], codes: Codes) -> Result<Vec<PartAnswer>, Fault> {
        let (content_type, body) = batch::write(parts, &format!("batch_{}", uuid::Uuid::new_v4()), API);
        let call = Call {
            method: reqwest::Method::POST,
            url: "$batch".to_owned(),
            headers: vec![("Prefer", "odata.continue-on-error".to_owned())],
            body: Some((content_type, body)),
            codes,
        };
        let answer = self.send(&call).await?;
        let header = |name: &str| answer.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or("");
        match batch::read(header("content-type"), &answer.body) {
            Some(answers) => {
                for part in &answers {
                    if part.status == 429 {
                        self.wait(part.header("retry-after").and_then(parse_retry_after));
                    }
                }
                Ok(answers)
            }
            None => {
                let mut fault = refusal::of_answer(&answer, codes).at_system(self.system());
                // It is the batch that was refused: no row of it may be blamed.
                if fault.now == Now::Reject {
                    fault.now = Now::Stop;
                    fault.scope = Scope::Chunk;
                    fault = fault.fix("lower `rows_per_batch`");
                }
                Err(fault)
            }
        }
    }

    /// A definition that was asked for before, however long ago.
    pub fn known_table(&self, name: &str) -> Option<Arc<Table>> {
        self.0.tables.lock().get(name).map(|(_, table)| table.clone())
    }

    /// The service contradicted what we thought of its tables.
    pub fn forget_tables(&self) {
        self.0.tables.lock().clear();
    }

    async fn once(&self, call: &Call, token: &Token) -> Result<Answer, Fault> {
        let url =
            if call.url.contains("://") { call.url.clone() } else { format!("{}{}", self.0.config.root(), call.url) };
        let changes = call.method != reqwest::Method::GET && call.codes.writes;
        let mut request = self
            .0
            .http
            .request(call.method.clone(), url)
            .bearer_auth(token.text.reveal())
            .header("Accept", "application/json")
            .header("OData-Version", "4.0")
            .header("OData-MaxVersion", "4.0");
        for (name, value) in &call.headers {
            request = request.header(*name, value);
        }
        if let Some((content_type, body)) = &call.body {
            request = request.header("Content-Type", content_type).body(body.clone());
        }
        let failed = |error: reqwest::Error| transport(&error, &self.0.system, call.codes, changes);
        let mut response = request.send().await.map_err(failed)?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let mut body = Vec::new();
        let multipart = headers
            .get("content-type")
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.starts_with("multipart/"));
        loop {
            let chunk = match response.chunk().await {
                Ok(Some(chunk)) => chunk,
                Ok(None) => break,
                // What came of a batch is worth reading: its parts were done, whatever became of the rest.
                Err(_) if multipart && !body.is_empty() => break,
                Err(error) => return Err(failed(error)),
            };
            if body.len() + chunk.len() > ANSWER_BYTES_MAX {
                let mut fault = Fault::stop(Code(call.codes.rubbish), "the answer is larger than any that makes sense")
                    .at_system(&self.0.system)
                    .fix("read fewer columns, or fewer rows at a time");
                if changes {
                    fault = fault.effect_unknown();
                }
                return Err(fault);
            }
            body.extend_from_slice(&chunk);
        }
        self.learn(status, &headers);
        Ok(Answer { status, headers, body: body.into() })
    }

    async fn token(&self, codes: Codes, refused: Option<&Arc<Token>>) -> Result<Arc<Token>, Fault> {
        let mut kept = self.0.token.lock().await;
        if let Some(token) = kept.as_ref()
            && token.is_fresh()
            && refused.is_none_or(|refused| !Arc::ptr_eq(refused, token))
        {
            return Ok(token.clone());
        }
        let token = Arc::new(token::fetch(&self.0.http, &self.0.config, &self.0.system, codes).await?);
        *kept = Some(token.clone());
        Ok(token)
    }

    fn may_ask(&self, codes: Codes) -> Result<(), Fault> {
        let left = self.0.quiet_until.lock().and_then(|until| until.checked_duration_since(Instant::now()));
        match left.filter(|left| !left.is_zero()) {
            None => Ok(()),
            Some(left) => {
                Err(Fault::retry(Code(codes.throttled), format!("`{}` asked us to wait", self.0.system), Some(left))
                    .at_system(&self.0.system)
                    .fix("nothing: the work goes on after the wait"))
            }
        }
    }

    /// Obeys what an answer says about our pace.
    pub fn learn(&self, status: u16, headers: &HeaderMap) {
        if matches!(status, 429 | 503) {
            self.wait(retry_after(headers));
        }
        let config = &self.0.config;
        let mut pace = self.0.pace.lock();
        if status == 429 {
            let half = (pace.at_once / 2).max(config.at_first());
            pace.slower = Some((Instant::now() + SLOWER_FOR, half));
        }
        pace.slower = pace.slower.filter(|(until, _)| Instant::now() < *until);
        let hint = headers.get("x-ms-dop-hint").and_then(|hint| hint.to_str().ok()?.trim().parse().ok());
        let most = pace.slower.map_or(config.at_most(), |(_, most)| most);
        let wanted = hint.unwrap_or(pace.at_once).clamp(1, most);
        if wanted < pace.at_once {
            pace.at_once -= self.0.permits.forget_permits(pace.at_once - wanted);
        } else {
            self.0.permits.add_permits(wanted - pace.at_once);
            pace.at_once = wanted;
        }
    }

    /// Requests at a time, as the service asked for last.
    pub fn at_once(&self) -> usize {
        self.0.pace.lock().at_once
    }

    /// No request goes out before this has passed.
    pub fn wait(&self, after: Option<Duration>) {
        let Some(after) = after else { return };
        let until = Instant::now() + after.min(QUIET_MAX);
        let mut quiet = self.0.quiet_until.lock();
        *quiet = Some(quiet.map_or(until, |known| known.max(until)));
    }
}

/// Twice the window in which the service counts.
const SLOWER_FOR: Duration = Duration::from_secs(600);
/// No service is believed that asks for more at a time.
const QUIET_MAX: Duration = Duration::from_secs(600);

/// Seconds, or a date, as HTTP allows.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    parse_retry_after(headers.get(RETRY_AFTER)?.to_str().ok()?)
}

pub(crate) fn parse_retry_after(text: &str) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return (seconds.is_finite() && seconds >= 0.0).then(|| Duration::from_secs_f64(seconds.min(86_400.0)));
    }
    let at = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    Duration::try_from(at.duration_since(jiff::Timestamp::now())).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        headers
    }

    #[tokio::test]
    async fn the_service_says_how_many_requests_at_a_time() {
        let client = Client::new("dynamics", Config { concurrency: Some(8), ..Config::new("http://127.0.0.1:9") });
        let silent = Client::new("dynamics", Config::new("http://127.0.0.1:9"));
        assert_eq!((client.at_once(), silent.at_once()), (8, 4), "before it says anything");
        for (hint, expected, without_a_limit) in
            [("3", 3, 3), ("0", 1, 1), ("5", 5, 5), ("12", 8, 12), ("999", 8, 16), ("many", 8, 16), ("4", 4, 4)]
        {
            for (client, expected) in [(&client, expected), (&silent, without_a_limit)] {
                client.learn(200, &headers("x-ms-dop-hint", hint));
                assert_eq!(client.0.permits.available_permits(), expected, "hint {hint}");
                assert_eq!(client.at_once(), expected, "hint {hint}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_429_there_are_half_as_many_for_a_while() {
        let client = Client::new("dynamics", Config::new("http://127.0.0.1:9"));
        let learns = |status, hint| {
            client.learn(status, &headers("x-ms-dop-hint", hint));
            client.at_once()
        };
        assert_eq!(
            [learns(200, "16"), learns(429, "16"), learns(200, "16"), learns(429, ""), learns(429, "16")],
            [16, 8, 8, 4, 4]
        );
        tokio::time::advance(SLOWER_FOR).await;
        assert_eq!(learns(200, "16"), 16);
        let told = Client::new("dynamics", Config { concurrency: Some(8), ..Config::new("http://127.0.0.1:9") });
        told.learn(429, &headers("x-ms-dop-hint", "16"));
        assert_eq!(told.at_once(), 8, "what the definition says stands");
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_429_nobody_asks_until_the_wait_is_over() {
        let client = Client::new("dynamics", Config::new("http://127.0.0.1:9"));
        let codes = crate::refusal::WRITE;
        client.learn(429, &headers("retry-after", "30"));
        client.learn(429, &headers("retry-after", "5"));
        let fault = client.may_ask(codes).unwrap_err();
        assert_eq!((fault.code.0, fault.now), ("IB0507", Now::RetryAfter(Some(Duration::from_secs(30)))));
        tokio::time::advance(Duration::from_secs(31)).await;
        assert!(client.may_ask(codes).is_ok());
    }

    #[test]
    fn waits_are_read_in_seconds() {
        assert_eq!(parse_retry_after("38"), Some(Duration::from_secs(38)));
        assert_eq!(parse_retry_after(" 0.5 "), Some(Duration::from_millis(500)));
        assert_eq!(parse_retry_after("-1"), None);
        assert_eq!(parse_retry_after("soon"), None);
    }
}
