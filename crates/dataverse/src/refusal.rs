//! What an answer of the service means for the hub.
//!
//! *Source*: "Compose HTTP requests and handle errors", "Service protection API limits" and the table of Web service
//! error codes in the Dataverse developer guide.

use record::{Code, Effect, Fault, Scope, Why};

use crate::client::{Answer, retry_after};

/// The codes of faults, which differ by the side we are on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Codes {
    pub writes: bool,
    pub unreachable: &'static str,
    /// The token, or the right to have one.
    pub refused: &'static str,
    pub not_permitted: &'static str,
    pub no_table: &'static str,
    pub no_column: &'static str,
    pub throttled: &'static str,
    pub server: &'static str,
    pub lost: &'static str,
    pub rubbish: &'static str,
}

pub(crate) const WRITE: Codes = Codes {
    writes: true,
    unreachable: "IB0501",
    refused: "IB0502",
    not_permitted: "IB0503",
    no_table: "IB0504",
    no_column: "IB0505",
    throttled: "IB0507",
    server: "IB0508",
    lost: "IB0509",
    rubbish: "IB0510",
};

pub(crate) const READ: Codes = Codes {
    writes: false,
    unreachable: "IB0601",
    refused: "IB0604",
    not_permitted: "IB0604",
    no_table: "IB0602",
    no_column: "IB0603",
    throttled: "IB0605",
    server: "IB0605",
    lost: "IB0607",
    rubbish: "IB0607",
};

pub(crate) const NO_ROW: &str = "0x80040217";
pub(crate) const NO_ROW_BY_KEY: &str = "0x80060891";
pub(crate) const DUPLICATE: &str = "0x80040237";
pub(crate) const DUPLICATE_KEY: &str = "0x80060892";
pub(crate) const EXPIRED_TOKEN: &str = "0x80044352";
const OTHER_VERSION: &str = "0x80060882";
const SEGMENT: &str = "0x8006088a";
const DEADLOCK: &str = "0x80044150";
const SQL_TIMEOUT: &str = "0x80044151";
const LIMITS: [&str; 3] = ["0x80072321", "0x80072322", "0x80072326"];

/// No answer came. `changes` says whether the request could have changed something.
pub(crate) fn transport(error: &reqwest::Error, system: &str, codes: Codes, changes: bool) -> Fault {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = cause.to_string();
        source = cause.source();
    }
    let fault = if error.is_connect() {
        Fault::retry(Code(codes.unreachable), format!("`{system}` cannot be reached"), None)
            .fix("check the address in `connection: url`, the network, and whether the environment is running")
    } else {
        let how =
            if error.is_timeout() { "did not answer in time" } else { "broke off before its answer was complete" };
        let fault = Fault::retry(Code(codes.lost), format!("`{system}` {how}"), None)
            .fix("nothing: the request is repeated, and repeating it is safe");
        if changes { fault.effect_unknown() } else { fault }
    };
    fault.at_system(system).why(Why { status: None, code: None, text, request_id: None })
}

/// The service's own words, from a body such as `{"error":{"code":"0x80040217","message":"…"}}`.
pub(crate) fn words(status: u16, body: &[u8], request_id: Option<String>) -> Why {
    let json: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let error = json.get("error");
    let part = |name: &str| error.and_then(|error| error.get(name)).and_then(|v| v.as_str()).map(str::to_owned);
    let mut text = part("message").unwrap_or_else(|| String::from_utf8_lossy(body).trim().to_owned());
    if let Some((at, _)) = text.char_indices().nth(WORDS_MAX) {
        text.truncate(at);
        text.push('…');
    }
    Why { status: Some(status), code: part("code"), text, request_id }
}

const WORDS_MAX: usize = 1000;

/// The fault of a whole request.
pub(crate) fn of_answer(answer: &Answer, codes: Codes) -> Fault {
    let header = |name: &str| answer.headers.get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
    let why = words(answer.status, &answer.body, header("x-ms-service-request-id").or_else(|| header("REQ_ID")));
    of(why, retry_after(&answer.headers), codes)
}

/// The fault that a status and an error code stand for.
///
/// *Shape*: a fault whose scope is [`Scope::Row`] concerns the one row that was sent; any other concerns all.
pub(crate) fn of(why: Why, wait: Option<std::time::Duration>, codes: Codes) -> Fault {
    let status = why.status.unwrap_or(0);
    let code = why.code.clone().unwrap_or_default();
    let text = why.text.clone();
    let refused =
        |what: &str, fix: &str| Fault::reject(Code(if codes.writes { "IB0512" } else { "IB0605" }), what).fix(fix);
    let fault = match (status, code.as_str()) {
        (_, limit) if status == 429 || LIMITS.contains(&limit) => {
            Fault::retry(Code(codes.throttled), "Dataverse limits our requests", wait)
                .fix("nothing: the work goes on after the wait; if it happens often, lower `concurrency`")
        }
        (_, DEADLOCK | SQL_TIMEOUT) => {
            Fault::retry(Code(codes.server), "Dataverse's own database was too busy for this", wait)
                .scope(Scope::Row)
                .fix("nothing: it is tried again; if it happens often, lower `concurrency`")
        }
        (401, _) => Fault::ask_person(Code(codes.refused), "Dataverse does not accept our token")
            .fix("check that the secret or token under `connection:` is the current one, and that the application user exists in this environment and is enabled"),
        (403, _) => Fault::ask_person(Code(codes.not_permitted), "our application user may not do this")
            .fix("give its security role the privilege that the text names"),
        (404, SEGMENT) => Fault::ask_person(Code(codes.no_table), "there is no such table in this environment")
            .fix("check the name of the table, and whether its solution is installed"),
        (_, NO_ROW | NO_ROW_BY_KEY) => Fault::reject(
            Code(if codes.writes { "IB0515" } else { "IB0605" }),
            "a row that this one refers to is not there",
        )
        .fix("bring the other row first, or correct the reference at its source"),
        (412, OTHER_VERSION) => Fault::retry(Code("IB0511"), "the row was changed meanwhile", None)
            .scope(Scope::Row)
            .fix("nothing: the row is read and compared again"),
        (_, DUPLICATE | DUPLICATE_KEY) => refused(
            "another row has this key already",
            "find the other row in Dynamics by the values that the text names, and correct one of the two",
        ),
        (400, _) if text.starts_with("The key in the request URI is not valid") => {
            Fault::ask_person(Code("IB0506"), "the table has no active alternate key with these columns")
                .fix("define the key in the table, and wait until it is active")
        }
        (400, _) if names_a_column(&text) => {
            Fault::ask_person(Code(codes.no_column), "a column or relationship is not there, or is spelt otherwise")
                .fix("check the column in the mapping against the table")
        }
        (400 | 405 | 409 | 412 | 413, _) => {
            refused("Dataverse refuses this row", "correct the row at its source, or the rule that the text names")
        }
        (404, _) => Fault::ask_person(Code(codes.unreachable), "there is no Web API at this address")
            .fix("check `url` under `connection:`"),
        (500..=599, _) => Fault::retry(Code(codes.server), "Dataverse failed on its side", wait)
            .fix("nothing: it is tried again; if it lasts, look at the service health of the environment"),
        _ => Fault::stop(Code(codes.rubbish), format!("Dataverse answered {status}, which makes no sense here"))
            .fix("check that `url` is the address of a Dataverse environment"),
    };
    let mut fault = fault.why(why);
    // A gateway that gave up says nothing about what the service behind it did.
    if codes.writes && matches!(status, 502 | 504) {
        fault.effect = Effect::Unknown;
    }
    fault
}

fn names_a_column(text: &str) -> bool {
    text.contains("undeclared property")
        || text.contains("Could not find a property named")
        || text.contains("Invalid property")
}

#[cfg(test)]
mod tests {
    use super::*;
    use record::Now;

    #[test]
    fn each_refusal_says_what_to_do_now() {
        let check = |status: u16, code: &str, text: &str, expected: (&str, Now, Scope)| {
            let body = format!(r#"{{"error":{{"code":"{code}","message":"{text}"}}}}"#);
            let fault = of(words(status, body.as_bytes(), Some("req-1".into())), None, WRITE);
            assert_eq!((fault.code.0, fault.now, fault.scope), expected, "{status} {code} {text}");
            assert!(!fault.fix.is_empty());
            assert_eq!(fault.why.unwrap().request_id.as_deref(), Some("req-1"));
        };
        let retry = Now::RetryAfter(None);
        check(429, "0x80072322", "Number of requests", ("IB0507", retry, Scope::Destination));
        check(503, "", "", ("IB0508", retry, Scope::Destination));
        check(500, "0x80044150", "Generic SQL error.", ("IB0508", retry, Scope::Row));
        check(401, "", "", ("IB0502", Now::AskPerson, Scope::Destination));
        check(403, "0x80040220", "is missing prvCreateAccount", ("IB0503", Now::AskPerson, Scope::Destination));
        check(
            404,
            "0x8006088a",
            "Resource not found for the segment 'foos'.",
            ("IB0504", Now::AskPerson, Scope::Destination),
        );
        check(404, "0x80060891", "A record with the specified key", ("IB0515", Now::Reject, Scope::Row));
        check(412, "0x80060882", "The version", ("IB0511", retry, Scope::Row));
        check(412, "0x80060892", "Entity Key violated", ("IB0512", Now::Reject, Scope::Row));
        check(400, "0x80044331", "A validation error occurred.", ("IB0512", Now::Reject, Scope::Row));
        check(
            400,
            "0x0",
            "The key in the request URI is not valid for resource",
            ("IB0506", Now::AskPerson, Scope::Destination),
        );
        check(400, "0x80048d19", "An undeclared property 'x'", ("IB0505", Now::AskPerson, Scope::Destination));
        check(302, "", "", ("IB0510", Now::Stop, Scope::Destination));
    }

    #[test]
    fn a_body_that_is_no_json_is_told_as_it_is() {
        let why = words(502, b"<html>Bad gateway</html>", None);
        assert_eq!(why.text, "<html>Bad gateway</html>");
        assert_eq!(of(why, None, WRITE).effect, Effect::Unknown);
    }
}
