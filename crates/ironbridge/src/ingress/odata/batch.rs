//! `POST $batch`: several reads in one request, as multipart or as JSON.
//!
//! *Source*: OData 4.0 part 1 section 11.7; OData JSON Format 4.01 section 19. Writes within a batch are refused one by
//! one; what comes after a failure is left out unless the client prefers to go on.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use odata::payload::Out;
use serde_json::{Value as Json, json};
use virtual_tables::{Refused, codes};

use super::Service;
use super::answer::answer;
use super::pieces::Pieces;
use super::reply::{READS, Reply};
use super::request::{Head, is_batch, shown};

/// The most requests of one batch.
const REQUESTS_MAX: usize = 100;

/// One request of a batch.
struct Part {
    /// What the answer is found by: `Content-ID`, or `id` in JSON.
    id: Option<String>,
    method: String,
    url: String,
    headers: HeaderMap,
    /// A set of changes is answered as one.
    changes: bool,
}

pub(super) async fn batch(
    service: &Service,
    admitted: &[&str],
    head: &Head,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Reply, Refused> {
    head.versions()?;
    let content_type = headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let text = std::str::from_utf8(body).map_err(|_| malformed("the batch is not UTF-8"))?;
    let (parts, json) = match kind.as_str() {
        "multipart/mixed" => {
            let boundary = boundary(content_type).ok_or_else(|| malformed("the batch has no boundary"))?;
            (multipart(text, &boundary, false)?, false)
        }
        "application/json" => (json_parts(text)?, true),
        other => {
            let message = format!("a batch is multipart/mixed or application/json, and this is `{}`", shown(other));
            return Err(Refused::new(415, codes::FORM, message));
        }
    };
    if parts.len() > REQUESTS_MAX {
        return Err(malformed(format!("a batch of {} requests; at most {REQUESTS_MAX} are taken", parts.len())));
    }
    let mut replies = Vec::with_capacity(parts.len());
    for part in parts {
        let reply = one(service, admitted, head, &part).await;
        let failed = reply.status >= 400;
        replies.push((part, reply));
        if failed && !head.continues_on_error() {
            break;
        }
    }
    Ok(if json { json_reply(&replies) } else { multipart_reply(replies) })
}

async fn one(service: &Service, admitted: &[&str], head: &Head, part: &Part) -> Reply {
    let id = uuid::Uuid::now_v7().simple().to_string();
    let replied = match within(head, part) {
        Err(refused) => Err(refused),
        Ok(_) if part.changes => Err(Refused::new(405, codes::READ_ONLY, "virtual tables are only read")),
        Ok(head) => answer(service, admitted, &head).await,
    };
    let reply = replied.unwrap_or_else(|refused| Reply::refused(&refused, &id, READS));
    // A query may hold a key, or somebody's name.
    reply.log(&id, &part.method, part.url.split('?').next().unwrap_or_default());
    reply
}

/// A request of a batch as a request of its own: its address may be whole, from the host, or from the root.
fn within(head: &Head, part: &Part) -> Result<Head, Refused> {
    let root = head.path.trim_end_matches('/').rfind('/').map_or("", |slash| &head.path[..=slash]);
    let url = part.url.split('#').next().unwrap_or_default();
    // A filter may hold the address of something else.
    let (address, query) = url.split_once('?').unwrap_or((url, ""));
    let path = match address.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("/", |slash| &rest[slash..]),
        None => address,
    };
    let below = match path.strip_prefix("/odata") {
        Some(below) if below.is_empty() || below.starts_with('/') => below.trim_start_matches('/').to_owned(),
        _ if path.starts_with('/') => {
            return Err(malformed(format!("`{}` is not below this service", shown(&part.url))));
        }
        _ => format!("{root}{path}"),
    };
    if is_batch(&below) {
        return Err(malformed("a batch within a batch"));
    }
    Ok(Head::new(&part.method, &below, query, &part.headers, &head.base))
}

fn malformed(message: impl Into<String>) -> Refused {
    Refused::new(400, codes::MALFORMED, message)
}

/// The `boundary` among the parameters of a content type: `multipart/mixed; Boundary="a;b"`.
fn boundary(content_type: &str) -> Option<String> {
    let mut rest = content_type.split_once(';')?.1;
    loop {
        let (names, after) = rest.split_once('=')?;
        let after = after.trim_start();
        let (value, left) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_at(after.find(';').unwrap_or(after.len())),
        };
        if names.rsplit(';').next().is_some_and(|name| name.trim().eq_ignore_ascii_case("boundary")) {
            return Some(value.trim().to_owned()).filter(|value| !value.is_empty() && value.len() <= 70);
        }
        rest = left;
    }
}

/// What stands between the lines that are a boundary; nothing where the last of them is not there. A boundary elsewhere in
/// a line, or at the beginning of a longer one, is none.
fn between<'t>(text: &'t str, boundary: &str) -> Option<Vec<&'t str>> {
    let (mut pieces, mut begin, mut at) = (Vec::new(), None, 0);
    for line in text.split_inclusive('\n') {
        let end = line.strip_prefix("--").and_then(|line| line.strip_prefix(boundary)).map(str::trim_end);
        if let Some("" | "--") = end {
            pieces.extend(begin.map(|begin| &text[begin..at]));
            if end == Some("--") {
                return Some(pieces);
            }
            begin = Some(at + line.len());
        }
        at += line.len();
    }
    None
}

/// The parts between boundaries. *Errors*: what is no HTTP request, or one that was cut short.
fn multipart(text: &str, boundary: &str, in_changes: bool) -> Result<Vec<Part>, Refused> {
    let pieces = between(text, boundary).ok_or_else(|| malformed("the batch does not end with its boundary"))?;
    let mut parts = Vec::new();
    for piece in pieces {
        if parts.len() > REQUESTS_MAX {
            break;
        }
        let (headers, content) = split_head(piece.trim_start_matches(['\r', '\n']));
        let header = |name: &str| header(headers, name);
        let kind = header("content-type").unwrap_or_default();
        if kind.to_ascii_lowercase().starts_with("multipart/mixed") {
            if in_changes {
                return Err(malformed("a set of changes within a set of changes"));
            }
            let inner = self::boundary(kind).ok_or_else(|| malformed("a set of changes has no boundary"))?;
            let mut inside = multipart(content, &inner, true)?;
            inside.truncate(1);
            parts.extend(inside.into_iter().map(|part| Part { changes: true, ..part }));
            continue;
        }
        if !kind.to_ascii_lowercase().starts_with("application/http") {
            return Err(malformed("a part of the batch is no application/http"));
        }
        let content = content.trim_start_matches(['\r', '\n']);
        let (line, rest) = content.split_once('\n').unwrap_or((content, ""));
        let Some((method, url)) = request_line(line) else {
            return Err(malformed("a part of the batch has no request line"));
        };
        let (inner, _) = split_head(rest);
        let mut map = HeaderMap::new();
        for line in inner.lines() {
            if let Some((name, value)) = line.split_once(':')
                && let (Ok(name), Ok(value)) =
                    (HeaderName::from_bytes(name.trim().as_bytes()), HeaderValue::from_str(value.trim()))
            {
                map.insert(name, value);
            }
        }
        parts.push(Part {
            id: header("content-id").map(str::to_owned),
            method: method.to_owned(),
            url: url.to_owned(),
            headers: map,
            changes: false,
        });
    }
    Ok(parts)
}

/// The method and the address of `GET stock?$filter=quantity gt 5 HTTP/1.1`: blanks in an address are wrong and are sent
/// all the same, and an address without what follows them would be another question.
fn request_line(line: &str) -> Option<(&str, &str)> {
    let (method, rest) = line.trim().split_once(' ')?;
    let url = match rest.rsplit_once(' ') {
        Some((url, version)) if version.starts_with("HTTP/") => url,
        _ => rest,
    };
    Some((method, url.trim())).filter(|(_, url)| !url.is_empty())
}

/// Headers and what follows the empty line behind them.
fn split_head(text: &str) -> (&str, &str) {
    if let Some(rest) = text.strip_prefix("\r\n").or_else(|| text.strip_prefix('\n')) {
        return ("", rest);
    }
    match (text.find("\r\n\r\n"), text.find("\n\n")) {
        (Some(at), other) if other.is_none_or(|other| at < other) => (&text[..at], &text[at + 4..]),
        (_, Some(at)) => (&text[..at], &text[at + 2..]),
        _ => (text, ""),
    }
}

fn header<'t>(headers: &'t str, name: &str) -> Option<&'t str> {
    headers.lines().find_map(|line| {
        let (known, value) = line.split_once(':')?;
        known.trim().eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

fn json_parts(text: &str) -> Result<Vec<Part>, Refused> {
    let json: Json = serde_json::from_str(text).map_err(|why| malformed(format!("the batch is no JSON: {why}")))?;
    let requests = json["requests"].as_array().ok_or_else(|| malformed("the batch has no `requests`"))?;
    let part = |request: &Json| {
        let text = |name: &str| request[name].as_str().map(str::to_owned);
        let (Some(method), Some(url), Some(id)) = (text("method"), text("url"), text("id")) else {
            return Err(malformed("a request of the batch lacks its `id`, `method` or `url`"));
        };
        let mut headers = HeaderMap::new();
        for (name, value) in request["headers"].as_object().into_iter().flatten() {
            if let (Ok(name), Some(Ok(value))) =
                (HeaderName::from_bytes(name.as_bytes()), value.as_str().map(HeaderValue::from_str))
            {
                headers.insert(name, value);
            }
        }
        Ok(Part { id: Some(id), method: method.to_ascii_uppercase(), url, headers, changes: false })
    };
    requests.iter().map(part).collect()
}

fn multipart_reply(replies: Vec<(Part, Reply)>) -> Reply {
    let boundary = format!("batchresponse_{}", uuid::Uuid::now_v7().simple());
    let mut all = Pieces::default();
    for (part, reply) in replies {
        let out = all.text();
        out.put(&format!("--{boundary}\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n"));
        if let Some(id) = &part.id {
            out.put(&format!("Content-ID: {id}\r\n"));
        }
        let reason = axum::http::StatusCode::from_u16(reply.status).ok().and_then(|status| status.canonical_reason());
        out.put(&format!("\r\nHTTP/1.1 {} {}\r\n", reply.status, reason.unwrap_or("Unknown")));
        if !reply.content_type.is_empty() {
            out.put(&format!("Content-Type: {}\r\n", reply.content_type));
        }
        out.put("OData-Version: 4.0\r\n");
        for (name, value) in &reply.headers {
            out.put(&format!("{name}: {value}\r\n"));
        }
        out.put(&format!("Content-Length: {}\r\n\r\n", reply.body.len()));
        all.append(reply.body);
        all.text().put("\r\n");
    }
    all.text().put(&format!("--{boundary}--\r\n"));
    Reply::new(format!("multipart/mixed;boundary={boundary}"), all)
}

fn json_reply(replies: &[(Part, Reply)]) -> Reply {
    let response = |(part, reply): &(Part, Reply)| {
        let mut headers = serde_json::Map::new();
        headers.insert("odata-version".to_owned(), json!("4.0"));
        if !reply.content_type.is_empty() {
            headers.insert("content-type".to_owned(), json!(reply.content_type));
        }
        for (name, value) in &reply.headers {
            headers.insert(name.to_string(), json!(value));
        }
        let is_json = reply.content_type.starts_with("application/json");
        let text = reply.body.whole();
        let body = if is_json { serde_json::from_slice(&text).ok() } else { None };
        let text = String::from_utf8_lossy(&text);
        let body = body.unwrap_or_else(|| if text.is_empty() { Json::Null } else { json!(text) });
        json!({ "id": part.id, "status": reply.status, "headers": headers, "body": body })
    };
    let responses: Vec<Json> = replies.iter().map(response).collect();
    Reply::new(super::reply::JSON, json!({ "responses": responses }).to_string())
}
