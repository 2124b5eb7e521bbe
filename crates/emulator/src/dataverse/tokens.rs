//! The token endpoint, and which bearer tokens are good.

use std::collections::HashMap;

use serde_json::json;
use uuid::Uuid;

use super::wire::Response;

/// An application that may ask for tokens.
#[derive(Debug, Clone)]
pub struct Client {
    pub id: String,
    pub secret: String,
}

/// Tokens in circulation are bounded; the oldest go first.
const ISSUED_MAX: usize = 10_000;

const PREFIX: &str = "emulated.";

/// Who is let in.
pub struct Tokens {
    /// A token that is always good. Without one, any token is that did not come from here.
    fixed: Option<String>,
    /// Without any, every client and every secret is good.
    clients: Vec<Client>,
    lifetime_seconds: i64,
    issued: HashMap<String, (i64, String)>,
}

impl Tokens {
    pub fn new(fixed: Option<String>, clients: Vec<Client>, lifetime_seconds: i64) -> Tokens {
        Tokens { fixed, clients, lifetime_seconds, issued: HashMap::new() }
    }

    /// Who the bearer is, for the limits; nothing if the token is no good.
    pub fn bearer(&self, authorization: Option<&str>, now: i64) -> Option<String> {
        let (scheme, token) = authorization?.split_once(' ')?;
        let token = token.trim();
        if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() {
            return None;
        }
        if let Some((expires, client)) = self.issued.get(token) {
            return (*expires > now).then(|| client.clone());
        }
        match &self.fixed {
            Some(fixed) => (fixed == token).then(|| "fixed".to_owned()),
            None if token.starts_with(PREFIX) => None,
            None => Some(token.to_owned()),
        }
    }

    /// Makes every token that was issued so far worthless.
    pub fn expire(&mut self) {
        self.issued.clear();
    }

    /// Answers `POST /{tenant}/oauth2/v2.0/token`.
    pub fn issue(&mut self, form: &str, now: i64) -> Response {
        let Ok(pairs) = odata::query_pairs(form) else {
            return refuse(400, "invalid_request", 900_144, "The request body is not form encoded.");
        };
        let field = |name: &str| pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        let Some(grant) = field("grant_type") else {
            return refuse(
                400,
                "invalid_request",
                900_144,
                "The request body must contain the following parameter: 'grant_type'.",
            );
        };
        if grant != "client_credentials" {
            return refuse(
                400,
                "unsupported_grant_type",
                70_003,
                &format!("The app requested an unsupported grant type '{grant}'."),
            );
        }
        let Some(client) = field("client_id") else {
            return refuse(
                400,
                "invalid_request",
                900_144,
                "The request body must contain the following parameter: 'client_id'.",
            );
        };
        let secret = field("client_secret").or_else(|| field("client_assertion"));
        let Some(secret) = secret else {
            return refuse(
                401,
                "invalid_client",
                7_000_216,
                "'client_assertion', 'client_secret' or 'request' is required for the 'client_credentials' grant type.",
            );
        };
        if field("scope").is_none_or(|scope| !scope.ends_with("/.default")) {
            return refuse(
                400,
                "invalid_scope",
                70_011,
                "The provided value for the input parameter 'scope' is not valid.",
            );
        }
        if !self.clients.is_empty() {
            let Some(known) = self.clients.iter().find(|known| known.id.eq_ignore_ascii_case(client)) else {
                let text = format!("Application with identifier '{client}' was not found in the directory.");
                return refuse(400, "unauthorized_client", 700_016, &text);
            };
            if known.secret != secret {
                return refuse(401, "invalid_client", 7_000_215, "Invalid client secret provided.");
            }
        }
        self.make_room(now);
        let token = format!("{PREFIX}{}", Uuid::new_v4().simple());
        self.issued.insert(token.clone(), (now + self.lifetime_seconds, client.to_owned()));
        let body = json!({
            "token_type": "Bearer",
            "expires_in": self.lifetime_seconds,
            "ext_expires_in": self.lifetime_seconds,
            "access_token": token,
        });
        Response {
            status: 200,
            headers: vec![("Content-Type", "application/json; charset=utf-8".into())],
            body: body.to_string().into_bytes(),
        }
    }

    fn make_room(&mut self, now: i64) {
        if self.issued.len() < ISSUED_MAX {
            return;
        }
        self.issued.retain(|_, (expires, _)| *expires > now);
        if self.issued.len() >= ISSUED_MAX
            && let Some(oldest) =
                self.issued.iter().min_by_key(|(_, (expires, _))| *expires).map(|(token, _)| token.clone())
        {
            self.issued.remove(&oldest);
        }
    }
}

fn refuse(status: u16, error: &str, code: u32, text: &str) -> Response {
    let body = json!({
        "error": error,
        "error_description": format!("AADSTS{code}: {text}"),
        "error_codes": [code],
        "correlation_id": Uuid::new_v4(),
    });
    Response {
        status,
        headers: vec![("Content-Type", "application/json; charset=utf-8".into())],
        body: body.to_string().into_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "grant_type=client_credentials&client_id=app&client_secret=s&scope=https%3A%2F%2Fx%2F.default";

    fn token(response: &Response) -> String {
        let body: serde_json::Value = serde_json::from_slice(&response.body).unwrap();
        body["access_token"].as_str().unwrap().to_owned()
    }

    #[test]
    fn issued_tokens_end() {
        let mut tokens = Tokens::new(Some("dev".into()), vec![], 100);
        let bearer = format!("Bearer {}", token(&tokens.issue(GOOD, 0)));
        assert_eq!(tokens.bearer(Some(&bearer), 99), Some("app".into()));
        assert_eq!(tokens.bearer(Some(&bearer), 100), None);
        assert_eq!(tokens.bearer(Some("Bearer dev"), 0), Some("fixed".into()));
        assert_eq!(tokens.bearer(Some("Bearer other"), 0), None);
        assert_eq!(tokens.bearer(None, 0), None);
    }

    #[test]
    fn refusals_are_those_of_the_directory() {
        let clients = vec![Client { id: "app".into(), secret: "s".into() }];
        let mut tokens = Tokens::new(None, clients, 100);
        assert_eq!(tokens.issue(GOOD, 0).status, 200);
        for (form, status, code) in [
            (GOOD.replace("secret=s", "secret=wrong"), 401, 7_000_215),
            (GOOD.replace("id=app", "id=other"), 400, 700_016),
            (GOOD.replace("client_credentials", "password"), 400, 70_003),
            (GOOD.replace("client_secret=s&", ""), 401, 7_000_216),
            (String::new(), 400, 900_144),
        ] {
            let response = tokens.issue(&form, 0);
            let body: serde_json::Value = serde_json::from_slice(&response.body).unwrap();
            assert_eq!((response.status, body["error_codes"][0].as_u64()), (status, Some(code)), "{form}");
        }
    }
}
