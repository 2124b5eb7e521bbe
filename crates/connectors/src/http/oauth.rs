//! Tokens by OAuth 2.0 client credentials, kept until shortly before they expire.
//!
//! *Source*: RFC 6749, section 4.4 (the grant), 2.3.1 (the client in the body or in the header), 5.1 and 5.2 (answers).

use std::time::Duration;

use record::{Code, Fault, Options, Secret};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::client::{self, words};

/// A token is renewed this long before it expires, so that no request starts with one that ends on its way.
const MARGIN: Duration = Duration::from_secs(60);
const ANSWER_BYTES_MAX: usize = 1 << 20;

pub(super) struct OAuth {
    token_url: String,
    client_id: String,
    client_secret: Secret,
    scope: Option<String>,
    client_in_header: bool,
    held: Mutex<Option<Token>>,
}

#[derive(Clone)]
struct Token {
    text: Secret,
    until: Instant,
}

impl OAuth {
    /// The group `oauth:` of a connection.
    pub fn new(options: &Options) -> Option<OAuth> {
        Some(OAuth {
            token_url: options.text("token_url")?.to_owned(),
            client_id: options.text("client_id")?.to_owned(),
            client_secret: options.secret("client_secret")?,
            scope: options.text("scope").map(str::to_owned),
            client_in_header: options.text("client_in") == Some("header"),
            held: Mutex::new(None),
        })
    }

    /// A token that is still good for a while. Who comes while another one asks waits for that answer.
    ///
    /// *Errors*: the sign-in service does not answer (to be tried again), or refuses (for a person).
    pub async fn token(&self, http: &reqwest::Client, system: &str) -> Result<Secret, Fault> {
        let mut held = self.held.lock().await;
        if let Some(token) = held.as_ref().filter(|token| Instant::now() < token.until) {
            return Ok(token.text.clone());
        }
        let token = self.fetch(http, system).await?;
        Ok(held.insert(token).text.clone())
    }

    /// The token was refused: the next request asks for another one, unless somebody has one by now.
    pub async fn refused(&self, token: &Secret) {
        let mut held = self.held.lock().await;
        if held.as_ref().is_some_and(|held| held.text.reveal() == token.reveal()) {
            *held = None;
        }
    }

    async fn fetch(&self, http: &reqwest::Client, system: &str) -> Result<Token, Fault> {
        let mut form = vec![("grant_type", "client_credentials")];
        form.extend(self.scope.as_deref().map(|scope| ("scope", scope)));
        if !self.client_in_header {
            form.extend([("client_id", self.client_id.as_str()), ("client_secret", self.client_secret.reveal())]);
        }
        let mut request = http.post(&self.token_url).header("Accept", "application/json").form(&form);
        if self.client_in_header {
            // Both are escaped there as in a form.
            let secret = odata::encode(self.client_secret.reveal());
            request = request.basic_auth(odata::encode(&self.client_id), Some(secret));
        }
        let broken = |error: reqwest::Error| {
            let fault = client::transport(&error, system, false);
            Fault { what: format!("the sign-in service of {}", fault.what), ..fault }
                .fix("check `token_url:` in the system's file, and whether the sign-in service is running")
        };
        let mut answer = request.send().await.map_err(broken)?;
        let status = answer.status().as_u16();
        let after = client::retry_after(answer.headers());
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(broken)? {
            body.extend_from_slice(&chunk);
            if body.len() > ANSWER_BYTES_MAX {
                break;
            }
        }
        let json: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        if let (200, Some(token)) = (status, json.get("access_token").and_then(|token| token.as_str())) {
            let lifetime = json.get("expires_in");
            let lifetime = lifetime.and_then(|value| value.as_u64().or_else(|| value.as_str()?.parse().ok()));
            let lifetime = Duration::from_secs(lifetime.unwrap_or(3_600));
            // A short-lived token is used for half of its life.
            let usable = lifetime.saturating_sub(MARGIN).max(lifetime / 2);
            return Ok(Token { text: Secret::new(token), until: Instant::now() + usable });
        }
        let fault = if status == 429 || status >= 500 {
            let what = format!("the sign-in service of `{system}` cannot give a token now");
            Fault::retry(Code("IB0508"), what, after).fix("nothing: it is asked again by itself")
        } else {
            Fault::ask_person(Code("IB0502"), format!("the sign-in service of `{system}` refuses a token")).fix(
                "check `client_id`, `client_secret` and `scope` under `oauth:`, and whether the secret has expired",
            )
        };
        Err(fault.at_system(system).why(words(status, &body)))
    }
}
