//! What tests and the demo ask of the emulator itself, under `/emulator/`.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use http::Method;
use serde_json::{Value, json};

use super::faults::Faults;
use super::server::{Counters, Server};
use super::wire::Response;

pub fn answer(server: &Arc<Server>, method: &Method, route: &str, body: &[u8]) -> Response {
    let text = String::from_utf8_lossy(body);
    match (method.as_str(), route) {
        ("GET", "stats") => ok(stats(server)),
        ("POST", "stats/reset") => {
            *server.counters.lock() = Counters::default();
            server.engine.lock().tallies.clear();
            ok(json!({}))
        }
        ("GET", "fault") => ok(json!({ "fault": server.faults.lock().spec() })),
        ("POST", "fault") => match Faults::parse(text.trim(), server.seed) {
            Ok(faults) => {
                let spec = faults.spec();
                *server.faults.lock() = faults;
                ok(json!({ "fault": spec }))
            }
            Err(error) => wrong(&error.to_string()),
        },
        ("POST", "clock") => {
            let seconds = serde_json::from_str::<Value>(&text).ok().and_then(|body| body["advance_seconds"].as_i64());
            match seconds {
                Some(seconds) => {
                    server.clock.advance(seconds);
                    ok(json!({ "now": super::value::instant_text(server.clock.now()) }))
                }
                None => wrong("the body must be {\"advance_seconds\": N}"),
            }
        }
        ("POST", "expire/tokens") => {
            server.tokens.lock().expire();
            ok(json!({}))
        }
        ("POST", "expire/delta-tokens") => {
            let mut engine = server.engine.lock();
            engine.delta_expired_before = engine.version() + 1;
            // The next token must be of a later version than the mark.
            engine.next_version();
            ok(json!({}))
        }
        _ => Response::json(404, json!({ "error": format!("no {method} /emulator/{route}; there are: GET stats, POST stats/reset, GET and POST fault, POST clock, POST expire/tokens, POST expire/delta-tokens") }).to_string()),
    }
}

fn stats(server: &Server) -> Value {
    let rows: serde_json::Map<String, Value> = server
        .engine
        .lock()
        .tallies
        .iter()
        .map(|(table, tally)| {
            let counts = json!({ "created": tally.created, "updated": tally.updated, "deleted": tally.deleted });
            (table.clone(), counts)
        })
        .collect();
    let counters = server.counters.lock();
    let answers: serde_json::Map<String, Value> =
        counters.answers.iter().map(|(status, count)| (status.to_string(), (*count).into())).collect();
    // This one is under way as well.
    let under_way = server.under_way.load(Ordering::Relaxed).saturating_sub(1);
    json!({
        "requests": counters.requests, "under_way": under_way, "answers": answers, "faults": counters.faults, "rows": rows
    })
}

fn ok(body: Value) -> Response {
    Response::json(200, body.to_string())
}

fn wrong(text: &str) -> Response {
    Response::json(400, json!({ "error": text }).to_string())
}
