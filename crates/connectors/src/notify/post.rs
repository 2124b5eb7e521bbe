//! A notice as one JSON request.

use std::time::Duration;

use record::{BoxFuture, Fault, Notice, Notify, Why};

use super::NOT_SENT;
use crate::http::client::{retry_after, words};

type Body = Box<dyn Fn(&Notice) -> serde_json::Value + Send + Sync>;

pub(super) struct Post {
    /// Who takes it, as a sentence has it.
    what: &'static str,
    url: reqwest::Url,
    http: reqwest::Client,
    body: Body,
}

const TIMEOUT: Duration = Duration::from_secs(20);
const ANSWER_BYTES_MAX: usize = 64 << 10;

impl Post {
    pub fn new(what: &'static str, url: &str, body: Body) -> Result<Post, Fault> {
        // The address is a secret, and so it is in no message.
        let url = reqwest::Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let url = url.ok_or_else(|| {
            Fault::ask_person(NOT_SENT, format!("the address of {what} is none"))
                .fix("correct it in people.yaml: it begins with https://")
        })?;
        rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
        let http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(10))
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("a client with time-outs and no files to read can always be built");
        Ok(Post { what, url, http, body })
    }

    fn not_sent(&self, how: &str) -> String {
        format!("{} did not take a notice: {how}", self.what)
    }
}

impl Notify for Post {
    fn notify<'a>(&'a self, notice: &'a Notice) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            let body = (self.body)(notice).to_string();
            let request = self.http.post(self.url.clone()).header("Content-Type", "application/json").body(body);
            let mut answer = request.send().await.map_err(|error| {
                let how = if error.is_timeout() { "no answer in time" } else { "it cannot be reached" };
                let text = error.without_url().to_string();
                Fault::retry(NOT_SENT, self.not_sent(how), None)
                    .why(Why { text, ..Why::default() })
                    .fix("nothing: it is tried again; meanwhile look at the network of this machine")
            })?;
            let status = answer.status().as_u16();
            if (200..300).contains(&status) {
                return Ok(());
            }
            let after = retry_after(answer.headers());
            let mut bytes = Vec::new();
            while let Ok(Some(chunk)) = answer.chunk().await {
                bytes.extend_from_slice(&chunk);
                if bytes.len() > ANSWER_BYTES_MAX {
                    break;
                }
            }
            let fault = match status {
                408 | 425 | 429 | 500.. => Fault::retry(NOT_SENT, self.not_sent("not at the moment"), after)
                    .fix("nothing: it is tried again by itself"),
                401 | 403 | 404 | 410 => Fault::ask_person(NOT_SENT, self.not_sent("the address or key is not valid"))
                    .fix("make a new one there, write it into people.yaml, then: ironbridge alerts test"),
                _ => Fault::reject(NOT_SENT, self.not_sent("it is refused"))
                    .fix("see what it said, then: ironbridge alerts test"),
            };
            Err(fault.why(words(status, &bytes)))
        })
    }
}
