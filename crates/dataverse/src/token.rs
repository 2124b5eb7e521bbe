//! Bearer tokens by client credentials, kept until shortly before they expire.
//!
//! *Source*: "OAuth 2.0 client credentials flow" of the Microsoft identity platform: form fields, the scope
//! `<environment>/.default`, and errors as `{"error", "error_description"}`.

use std::time::Duration;

use record::{Code, Fault, Secret, Why};
use tokio::time::Instant;

use crate::config::Config;
use crate::refusal::{Codes, transport};

#[derive(Debug)]
pub(crate) struct Token {
    pub text: Secret,
    /// Asked for anew from here on.
    until: Option<Instant>,
}

/// A token is renewed this long before it expires, so that no request starts with one that ends on its way.
const MARGIN: Duration = Duration::from_secs(120);
const ANSWER_BYTES_MAX: usize = 1 << 20;

impl Token {
    pub fn is_fresh(&self) -> bool {
        self.until.is_none_or(|until| Instant::now() < until)
    }
}

/// Signs in, or takes the fixed token.
pub(crate) async fn fetch(http: &reqwest::Client, config: &Config, system: &str, codes: Codes) -> Result<Token, Fault> {
    if let Some(token) = &config.token {
        return Ok(Token { text: token.clone(), until: None });
    }
    let Some(secret) = &config.client_secret else {
        return Err(Fault::ask_person(
            Code(codes.refused),
            format!("`{system}` has neither a token nor a client secret"),
        )
        .at_system(system)
        .fix("give `tenant`, `client_id` and `client_secret` under `connection:`"));
    };
    let url = format!("{}/{}/oauth2/v2.0/token", config.authority.trim_end_matches('/'), config.tenant);
    let scope = format!("{}/.default", config.url);
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", &config.client_id),
        ("client_secret", secret.reveal()),
        ("scope", &scope),
    ];
    let answer = http.post(&url).form(&form).timeout(Duration::from_secs(30)).send().await;
    let mut answer = answer.map_err(|error| transport(&error, system, codes, false))?;
    let status = answer.status().as_u16();
    let retry_after = crate::client::retry_after(answer.headers());
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| transport(&error, system, codes, false))? {
        body.extend_from_slice(&chunk);
        if body.len() > ANSWER_BYTES_MAX {
            break;
        }
    }
    let json: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    let text = |name: &str| json.get(name).and_then(|value| value.as_str());
    if let (200, Some(token)) = (status, text("access_token")) {
        let lifetime = json.get("expires_in").and_then(|value| value.as_u64().or_else(|| value.as_str()?.parse().ok()));
        let lifetime = Duration::from_secs(lifetime.unwrap_or(3599));
        // A short-lived token is used for half of its life.
        let usable = lifetime.saturating_sub(MARGIN).max(lifetime / 2);
        return Ok(Token { text: Secret::new(token), until: Some(Instant::now() + usable) });
    }
    let why = Why {
        status: Some(status),
        code: text("error").map(str::to_owned),
        // The first line names what is wrong; the others repeat trace ids and times.
        text: text("error_description").and_then(|d| d.lines().next()).unwrap_or("no reason given").to_owned(),
        request_id: text("correlation_id").map(str::to_owned),
    };
    let fault = if status == 429 || status >= 500 {
        Fault::retry(
            Code(codes.unreachable),
            format!("the sign-in service cannot give `{system}` a token now"),
            retry_after,
        )
        .fix("wait; the sign-in service is asked again")
    } else {
        Fault::ask_person(Code(codes.refused), format!("the sign-in service refuses `{system}` a token"))
            .fix("check `tenant`, `client_id` and `client_secret`, and whether the secret has expired")
    };
    Err(fault.at_system(system).why(why))
}
