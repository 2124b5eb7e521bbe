//! A small ERP with a REST API and a database of its own: what orders and customers are sent to in the demo and tests.
//!
//! `POST /things` gives a row its number, and one with an `Idempotency-Key` that it had before is answered as it was then;
//! `PUT /things/{number}` replaces it, `DELETE` removes it; `GET /things?ref=…` and `GET /things/{number}` find it;
//! `GET /things?after=…&limit=…` lists all, with the link to the next page in `next`. `orders` is another word for
//! `things`. `POST /trouble` with `down`, `busy` or `none` says what goes wrong. Two other posts make two rows: it is the
//! sender who has to ask first. Rows whose `name` is `Poison` are refused, as is a text where a number belongs, and a line
//! whose `sku` begins with `OLD-`; `Plague` is answered as if the ERP were down, and `Sealed` as if the sender had no right.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

const BODY_BYTES_MAX: usize = 1 << 20;

/// What goes wrong there, on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    None,
    /// Every request is answered with 503.
    Down,
    /// The next write is done, and its answer never comes.
    LoseAnswer,
    /// Every request is answered with 429, and `Retry-After: 1`.
    Busy,
}

/// A running ERP. Dropping it stops it.
pub struct Handle {
    pub url: String,
    state: Arc<State>,
    _stop: oneshot::Sender<()>,
}

struct State {
    token: String,
    rows: Mutex<Connection>,
    trouble: Mutex<Trouble>,
}

impl Handle {
    pub fn trouble(&self, trouble: Trouble) {
        *self.state.trouble.lock() = trouble;
    }

    /// Every write that took effect, in order: whether it made the row, and what it said.
    pub fn written(&self) -> Vec<(bool, Value)> {
        let rows = self.state.rows.lock();
        let mut statement = rows.prepare("SELECT made, body FROM written ORDER BY at").expect("the table is ours");
        let written = statement.query_map([], |row| {
            Ok((row.get(0)?, serde_json::from_str(&row.get::<_, String>(1)?).unwrap_or_default()))
        });
        written.expect("the table is ours").filter_map(Result::ok).collect()
    }

    /// Every row with its number, as JSON, in the order of their numbers.
    pub fn rows(&self) -> Vec<Value> {
        let rows = self.state.rows.lock();
        let mut statement = rows.prepare("SELECT id, body FROM thing ORDER BY id").expect("the table is ours");
        let rows = statement.query_map([], |row| Ok(shown(row.get(0)?, &row.get::<_, String>(1)?)));
        rows.expect("the table is ours").filter_map(Result::ok).collect()
    }
}

/// Starts an ERP over a database file, which is made where there is none.
///
/// *Errors*: the file or the address cannot be used.
pub async fn start(file: &Path, listen: SocketAddr, token: &str) -> std::io::Result<Handle> {
    let rows = Connection::open(file).map_err(std::io::Error::other)?;
    let make = "CREATE TABLE IF NOT EXISTS thing (id INTEGER PRIMARY KEY AUTOINCREMENT, ref TEXT, body TEXT NOT NULL);
                CREATE INDEX IF NOT EXISTS thing_by_ref ON thing (ref);
                CREATE TABLE IF NOT EXISTS written (at INTEGER PRIMARY KEY, made INTEGER NOT NULL, body TEXT NOT NULL);
                CREATE TABLE IF NOT EXISTS seen (key TEXT PRIMARY KEY, id INTEGER NOT NULL);
                CREATE TABLE IF NOT EXISTS _about (note TEXT);";
    rows.execute_batch(make).map_err(std::io::Error::other)?;
    rows.execute("INSERT INTO _about SELECT 'Sample data of Ironbridge' WHERE NOT EXISTS (SELECT 1 FROM _about)", [])
        .map_err(std::io::Error::other)?;
    let listener = TcpListener::bind(listen).await?;
    let url = format!("http://{}", listener.local_addr()?);
    let state = Arc::new(State { token: token.to_owned(), rows: Mutex::new(rows), trouble: Mutex::new(Trouble::None) });
    let (stop, mut stopped) = oneshot::channel::<()>();
    let serving = state.clone();
    tokio::spawn(async move {
        loop {
            let stream = tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    Err(_) => continue,
                },
                _ = &mut stopped => return,
            };
            let state = serving.clone();
            tokio::spawn(async move {
                let service = service_fn(move |request| answer(state.clone(), request));
                // A sender that breaks off is not our failure.
                let _ =
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    Ok(Handle { url, state, _stop: stop })
}

type Answer = Response<Full<Bytes>>;

async fn answer(state: Arc<State>, request: Request<Incoming>) -> Result<Answer, Infallible> {
    // The switch works also while the ERP is closed.
    if request.uri().path() == "/trouble" && *request.method() == Method::POST {
        let word = Limited::new(request.into_body(), 64).collect().await.map(|body| body.to_bytes());
        let trouble = match word.as_deref() {
            Ok(b"down") => Trouble::Down,
            Ok(b"busy") => Trouble::Busy,
            _ => Trouble::None,
        };
        *state.trouble.lock() = trouble;
        return Ok(reply(StatusCode::NO_CONTENT, &Value::Null));
    }
    let trouble = *state.trouble.lock();
    let refuse = |status: u16, code: &str, message: &str| {
        reply(
            StatusCode::from_u16(status).unwrap_or_default(),
            &json!({ "error": { "code": code, "message": message } }),
        )
    };
    match trouble {
        Trouble::Down => return Ok(refuse(503, "closed", "the ERP is closed for maintenance")),
        Trouble::Busy => {
            let mut answer = refuse(429, "slow_down", "too many requests");
            answer.headers_mut().insert("Retry-After", "1".parse().expect("a number is a header's value"));
            return Ok(answer);
        }
        Trouble::None | Trouble::LoseAnswer => {}
    }
    let header = |name: &str| request.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
    if header("authorization") != Some(format!("Bearer {}", state.token)) {
        return Ok(refuse(401, "who_are_you", "the token is not known"));
    }
    let key = header("idempotency-key");
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let body = match Limited::new(request.into_body(), BODY_BYTES_MAX).collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => return Ok(refuse(413, "too_large", "the body is larger than 1 MB")),
    };
    let done = tokio::task::spawn_blocking({
        let state = state.clone();
        let method = method.clone();
        move || handle(&state.rows.lock(), &method, uri.path(), uri.query().unwrap_or_default(), key.as_deref(), &body)
    });
    let (status, json) = match done.await {
        Ok(Ok(answer)) => answer,
        Ok(Err(why)) => (500, json!({ "error": { "code": "database", "message": why.to_string() } })),
        Err(why) => (500, json!({ "error": { "code": "panic", "message": why.to_string() } })),
    };
    if trouble == Trouble::LoseAnswer && method != Method::GET {
        *state.trouble.lock() = Trouble::None;
        // Longer than anybody waits.
        tokio::time::sleep(std::time::Duration::from_secs(60)).await;
    }
    Ok(reply(StatusCode::from_u16(status).unwrap_or_default(), &json))
}

fn reply(status: StatusCode, json: &Value) -> Answer {
    let mut answer =
        Response::new(Full::new(Bytes::from(if json.is_null() { String::new() } else { json.to_string() })));
    *answer.status_mut() = status;
    answer.headers_mut().insert("Content-Type", "application/json".parse().expect("the literal is a header's value"));
    answer
}

fn shown(id: i64, body: &str) -> Value {
    let mut row: Value = serde_json::from_str(body).unwrap_or_default();
    row["id"] = json!(id);
    row
}

fn handle(
    rows: &Connection,
    method: &Method,
    path: &str,
    query: &str,
    key: Option<&str>,
    body: &[u8],
) -> rusqlite::Result<(u16, Value)> {
    let refuse =
        |status, code: &str, message: &str| Ok((status, json!({ "error": { "code": code, "message": message } })));
    let mut parts = path.trim_matches('/').splitn(2, '/');
    if !matches!(parts.next(), Some("things" | "orders")) {
        return refuse(404, "no_such_thing", "there are only orders and things here");
    }
    let id: Option<i64> = parts.next().and_then(|id| id.parse().ok());
    let parameter = |name: &str| {
        let found = query.split('&').filter_map(|pair| pair.split_once('=')).find(|(known, _)| *known == name);
        found.map(|(_, value)| decoded(value))
    };
    let one = |id: i64| {
        rows.query_row("SELECT body FROM thing WHERE id = ?1", [id], |row| row.get::<_, String>(0)).optional()
    };
    if *method == Method::GET {
        if let Some(id) = id {
            return Ok(one(id)?.map_or((404, Value::Null), |body| (200, shown(id, &body))));
        }
        let limit: i64 = parameter("limit").and_then(|limit| limit.parse().ok()).unwrap_or(100);
        let after: i64 = parameter("after").and_then(|after| after.parse().ok()).unwrap_or(0);
        let sql = "SELECT id, body FROM thing WHERE (?1 IS NULL OR ref = ?1) AND id > ?2 ORDER BY id LIMIT ?3";
        let mut statement = rows.prepare(sql)?;
        let found = statement.query_map(params![parameter("ref"), after, limit], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))
        })?;
        let found = found.collect::<rusqlite::Result<Vec<_>>>()?;
        let last = found.last().filter(|_| found.len() as i64 == limit).map(|(id, _)| *id);
        let next = last.map(|last| format!("/things?limit={limit}&after={last}"));
        let items: Vec<Value> = found.iter().map(|(id, body)| shown(*id, body)).collect();
        return Ok((200, json!({ "items": items, "next": next })));
    }
    if let (&Method::DELETE, Some(id)) = (method, id) {
        let gone = rows.execute("DELETE FROM thing WHERE id = ?1", [id])?;
        return Ok((if gone == 0 { 404 } else { 204 }, Value::Null));
    }
    let Ok(row) = serde_json::from_slice::<Value>(body) else { return refuse(400, "no_json", "the body is not JSON") };
    if row["name"] == "Plague" {
        return refuse(503, "closed", "the ERP is closed, whenever this row comes");
    }
    if row["name"] == "Sealed" {
        return refuse(403, "sealed", "nobody but its owner may touch this row");
    }
    if row["name"] == "Poison" {
        return refuse(422, "unknown_code", "the name is on the list of things that nobody wants");
    }
    let items = row["items"].as_array().into_iter().flatten();
    let mut old = items.filter_map(|item| item["sku"].as_str()).filter(|sku| sku.starts_with("OLD-"));
    if let Some(sku) = old.next() {
        let why = format!("the product {sku} is not sold any more");
        return refuse(422, "unknown_product", &why);
    }
    if row["amount"].is_string() {
        return refuse(422, "no_number", "`amount` is not a number");
    }
    let (reference, text) = (row["ref"].as_str().map(str::to_owned), row.to_string());
    match (method, id) {
        (&Method::POST, None) => {
            let known = match key {
                Some(key) => {
                    let sql = "SELECT id FROM seen WHERE key = ?1";
                    rows.query_row(sql, [key], |row| row.get::<_, i64>(0)).optional()?
                }
                None => None,
            };
            if let Some(id) = known {
                return Ok((200, shown(id, &one(id)?.unwrap_or_default())));
            }
            rows.execute("INSERT INTO thing (ref, body) VALUES (?1, ?2)", params![reference, text])?;
            let id = rows.last_insert_rowid();
            rows.execute("INSERT INTO written (made, body) VALUES (1, ?1)", [&text])?;
            if let Some(key) = key {
                rows.execute("INSERT INTO seen (key, id) VALUES (?1, ?2)", params![key, id])?;
            }
            Ok((201, shown(id, &text)))
        }
        (&Method::PUT, Some(id)) => {
            let changed =
                rows.execute("UPDATE thing SET ref = ?2, body = ?3 WHERE id = ?1", params![id, reference, text])?;
            if changed == 0 {
                return refuse(404, "no_such_thing", "there is no thing of this number");
            }
            rows.execute("INSERT INTO written (made, body) VALUES (0, ?1)", [&text])?;
            Ok((200, shown(id, &text)))
        }
        _ => refuse(405, "not_so", "things are posted, put, got and deleted"),
    }
}

/// A value of a query, without its percent signs.
fn decoded(value: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        let digit = |byte: Option<u8>| byte.and_then(|byte| (byte as char).to_digit(16));
        match byte {
            b'%' => match (digit(rest.next()), digit(rest.next())) {
                (Some(high), Some(low)) => bytes.push((high * 16 + low) as u8),
                _ => bytes.push(b'%'),
            },
            b'+' => bytes.push(b' '),
            other => bytes.push(other),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
