//! The emulated environment as clients meet it: over HTTP.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod batches;
mod definitions;
mod faults;
mod queries;
mod rows;
mod tracking;
mod virtual_tables;
mod webhooks;

use std::sync::Once;

use emulator::dataverse::{Config, Handle, start};
use serde_json::Value;

/// A running environment and a client for it.
pub struct Env {
    pub handle: Handle,
    http: reqwest::Client,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(self.text.trim_start_matches('\u{feff}'))
            .unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The error's code and message.
    pub fn error(&self) -> (String, String) {
        let body = self.json();
        let part = |name: &str| body["error"][name].as_str().unwrap_or_default().to_owned();
        (part("code"), part("message"))
    }

    /// The id in `OData-EntityId`.
    pub fn id(&self) -> String {
        let link = self.header("odata-entityid");
        link.rsplit_once('(').map(|(_, id)| id.trim_end_matches(')').to_owned()).unwrap_or_default()
    }
}

pub async fn env() -> Env {
    env_with(Config::default()).await
}

pub async fn env_with(config: Config) -> Env {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| rustls::crypto::aws_lc_rs::default_provider().install_default().unwrap());
    let handle = start(config).await.unwrap();
    Env { handle, http: reqwest::Client::builder().no_proxy().build().unwrap() }
}

impl Env {
    pub fn root(&self) -> String {
        format!("{}/api/data/v9.2/", self.handle.url)
    }

    /// Sends `"METHOD path"` below the service root (or below the origin, with a slash in front).
    pub async fn send(&self, line: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        self.try_send(line, headers, body).await.unwrap()
    }

    pub async fn try_send(&self, line: &str, headers: &[(&str, &str)], body: &str) -> Result<Answer, reqwest::Error> {
        let (method, path) = line.split_once(' ').unwrap();
        let url = if path.starts_with("http") {
            path.to_owned()
        } else if path.starts_with('/') {
            format!("{}{path}", self.handle.url)
        } else {
            format!("{}{path}", self.root())
        };
        let mut request = self.http.request(method.parse().unwrap(), url);
        if headers.iter().all(|(name, _)| !name.eq_ignore_ascii_case("authorization")) {
            request = request.header("Authorization", "Bearer dev");
        }
        if !body.is_empty() && headers.iter().all(|(name, _)| !name.eq_ignore_ascii_case("content-type")) {
            request = request.header("Content-Type", "application/json");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.body(body.to_owned()).send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Answer { status, headers, text: response.text().await? })
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(&format!("GET {path}"), &[], "").await
    }

    /// Creates a row and returns its id.
    pub async fn create(&self, set: &str, body: &str) -> String {
        let answer = self.send(&format!("POST {set}"), &[], body).await;
        assert_eq!(answer.status, 204, "{}", answer.text);
        answer.id()
    }

    /// The values of one property in a list, in order.
    pub async fn values(&self, path: &str, property: &str) -> Vec<String> {
        let answer = self.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        answer.json()["value"].as_array().unwrap().iter().map(|row| plain(&row[property])).collect()
    }

    pub async fn stats(&self) -> Value {
        self.get("/emulator/stats").await.json()
    }

    /// Sends each line and compares status, code and a part of the message.
    pub async fn check_errors(&self, cases: &[(&str, &str, u16, &str, &str)]) {
        for (line, body, status, code, message) in cases {
            let answer = self.send(line, &[], body).await;
            assert_eq!(answer.status, *status, "{line} {body}: {}", answer.text);
            let (got_code, got_message) = answer.error();
            assert_eq!(got_code, *code, "{line} {body}: {}", answer.text);
            assert!(got_message.contains(message), "{line} {body}: {got_message}");
        }
    }
}
