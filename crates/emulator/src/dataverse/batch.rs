//! `$batch`: multipart in, multipart out, change sets all or nothing.

use std::collections::HashMap;

use http::{HeaderMap, HeaderName, HeaderValue};
use uuid::Uuid;

use super::address::unknown_reference;
use super::engine::Engine;
use super::refusal::{Answer, Refusal};
use super::service;
use super::wire::{Request, Response, below_root};

/// How many operations one batch may hold.
const OPERATIONS_MAX: usize = 1000;

/// The longest URL inside a batch.
const URL_BYTES_MAX: usize = 65_536;

/// One operation as the client wrote it.
struct Part {
    content_id: Option<String>,
    request: Request,
}

enum Item {
    Single(Box<Part>),
    ChangeSet(Vec<Part>),
}

/// An answered operation.
struct Answered {
    content_id: Option<String>,
    response: Response,
}

/// Carries out a batch. With `half`, all of it is done but only the first half is answered.
pub fn run(engine: &mut Engine, request: &Request, half: bool) -> Response {
    let items = match read(request) {
        Ok(items) => items,
        Err(refusal) => return refusal.response(&request.prefer()),
    };
    let proceed = request.prefer().continue_on_error;
    let boundary = format!("batchresponse_{}", Uuid::new_v4());
    let mut parts: Vec<String> = Vec::new();
    let mut status = 200;
    // One transaction keeps a thousand operations to one commit; each is undone by itself where it fails.
    let done = engine.transaction(|engine| {
        for item in items {
            let (text, failed) = match item {
                Item::Single(part) => {
                    let answered = single(engine, *part);
                    let failed = answered.response.status;
                    (print(&answered, false), failed)
                }
                Item::ChangeSet(changes) => change_set(engine, changes),
            };
            parts.push(text);
            if failed >= 400 && !proceed {
                status = failed;
                break;
            }
        }
        Ok(())
    });
    engine.references.clear();
    if let Err(refusal) = done {
        return refusal.response(&request.prefer());
    }
    if half {
        parts.truncate(parts.len() / 2);
    }
    let mut body = String::with_capacity(parts.iter().map(String::len).sum::<usize>() + parts.len() * 64);
    for part in parts {
        body.push_str(&format!("--{boundary}\r\n{part}"));
    }
    body.push_str(&format!("--{boundary}--\r\n"));
    let kind = format!("multipart/mixed; boundary={boundary}");
    Response { status, headers: vec![("Content-Type", kind)], body: body.into_bytes() }
}

fn single(engine: &mut Engine, part: Part) -> Answered {
    let response = if part.request.method == "GET" {
        service::dispatch(engine, &part.request)
    } else {
        engine.nested(|engine| service::dispatch(engine, &part.request))
    };
    let response = response.unwrap_or_else(|refusal| refusal.response(&part.request.prefer()));
    Answered { content_id: part.content_id, response }
}

/// A change set's part of the answer, and its status: the first error alone, or every answer.
fn change_set(engine: &mut Engine, parts: Vec<Part>) -> (String, u16) {
    let boundary = format!("changesetresponse_{}", Uuid::new_v4());
    engine.references.clear();
    let mut failed = None;
    let result = engine.nested(|engine| {
        let mut answers = Vec::with_capacity(parts.len());
        for mut part in parts {
            let prefer = part.request.prefer();
            let answer = enter(engine, &mut part).and_then(|()| service::dispatch(engine, &part.request));
            match answer {
                Ok(response) => {
                    remember(engine, &part, &response);
                    answers.push(Answered { content_id: part.content_id, response });
                }
                Err(refusal) => {
                    failed = Some(Answered { content_id: part.content_id, response: refusal.response(&prefer) });
                    return Err(refusal);
                }
            }
        }
        Ok(answers)
    });
    let (answers, status) = match (result, failed) {
        (Ok(answers), _) => (answers, 200),
        (Err(_), Some(answered)) => {
            let status = answered.response.status;
            (vec![answered], status)
        }
        (Err(refusal), None) => {
            (vec![Answered { content_id: None, response: refusal.response(&Default::default()) }], refusal.status)
        }
    };
    let mut text = format!("Content-Type: multipart/mixed; boundary={boundary}\r\n\r\n");
    for answered in &answers {
        text.push_str(&format!("--{boundary}\r\n{}", print(answered, true)));
    }
    text.push_str(&format!("--{boundary}--\r\n"));
    (text, status)
}

/// Puts an earlier part's row in the place of `$n` in the URL, and refuses what a change set may not hold.
fn enter(engine: &Engine, part: &mut Part) -> Answer<()> {
    if part.request.method == "GET" {
        return Err(Refusal::query("GET requests are not allowed inside a change set."));
    }
    if let Some(rest) = part.request.path.strip_prefix('$')
        && rest.starts_with(|c: char| c.is_ascii_digit())
    {
        let (name, below) = rest.split_once('/').map_or((rest, ""), |(name, below)| (name, below));
        let found = engine.references.get(name).ok_or_else(|| unknown_reference(&format!("${name}")))?;
        part.request.path = if below.is_empty() { found.clone() } else { format!("{found}/{below}") };
    }
    Ok(())
}

fn remember(engine: &mut Engine, part: &Part, response: &Response) {
    let Some(id) = &part.content_id else { return };
    let link = response.headers.iter().find(|(name, _)| *name == "OData-EntityId");
    let made = match link {
        Some((_, link)) => Some(below_root(link).to_owned()),
        // With the row itself as the answer, its key is in the body.
        None => by_body(engine, part, response),
    };
    if let Some(path) = made {
        engine.references.insert(id.trim_start_matches('$').to_owned(), path);
    }
}

fn by_body(engine: &Engine, part: &Part, response: &Response) -> Option<String> {
    let set = part.request.path.split(['(', '/', '?']).next()?;
    let table = engine.catalog.by_set(set)?;
    let body: HashMap<String, serde_json::Value> = serde_json::from_slice(&response.body).ok()?;
    let id = body.get(&table.primary_id)?.as_str()?;
    Some(format!("{set}({id})"))
}

fn print(answered: &Answered, in_change_set: bool) -> String {
    let response = &answered.response;
    let mut text = String::from("Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n");
    if let (true, Some(id)) = (in_change_set, &answered.content_id) {
        text.push_str(&format!("Content-ID: {id}\r\n"));
    }
    let reason = http::StatusCode::from_u16(response.status).ok().and_then(|status| status.canonical_reason());
    text.push_str(&format!("\r\nHTTP/1.1 {} {}\r\n", response.status, reason.unwrap_or("Unknown")));
    if response.status >= 400 {
        text.push_str(&format!("REQ_ID: {}\r\n", Uuid::new_v4()));
    }
    for (name, value) in &response.headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("OData-Version: 4.0\r\n\r\n");
    text.push_str(&String::from_utf8_lossy(&response.body));
    text.push_str("\r\n");
    text
}

/// Reads the whole batch before anything of it is done.
fn read(request: &Request) -> Answer<Vec<Item>> {
    let kind = request.header("content-type").unwrap_or_default();
    let boundary = boundary(kind).ok_or_else(|| malformed("the Content-Type has no multipart boundary"))?;
    let text = request.body_text().map_err(|_| malformed("the body is not UTF-8"))?;
    let mut items = Vec::new();
    let mut operations = 0;
    for part in split(text, &boundary)? {
        let (headers, content) = head_and_body(part);
        let kind = header(&headers, "content-type").unwrap_or_default();
        if kind.trim_start().to_ascii_lowercase().starts_with("multipart/") {
            let inner = self::boundary(&kind).ok_or_else(|| malformed("a change set has no boundary"))?;
            let mut changes = Vec::new();
            for change in split(content, &inner)? {
                let (headers, content) = head_and_body(change);
                changes.push(operation(request, &headers, content)?);
            }
            operations += changes.len();
            items.push(Item::ChangeSet(changes));
        } else {
            operations += 1;
            items.push(Item::Single(Box::new(operation(request, &headers, content)?)));
        }
        if operations > OPERATIONS_MAX {
            return Err(Refusal::query(format!(
                "The current batch message contains too many parts. Only batch messages with up to {OPERATIONS_MAX} \
                 query operations and change sets are allowed."
            )));
        }
    }
    Ok(items)
}

fn operation(batch: &Request, outer: &[(String, String)], content: &str) -> Answer<Part> {
    let content = content.trim_start_matches(['\r', '\n']);
    let (line, rest) = content.split_once('\n').unwrap_or((content, ""));
    let line = line.trim();
    // Clients leave spaces in URLs: the method is the first word, the version the last, all between is the URL.
    let (method, tail) = line.split_once(' ').ok_or_else(|| malformed("a request line is incomplete"))?;
    let url = match tail.rsplit_once(' ') {
        Some((url, version)) if version.starts_with("HTTP/") => url,
        _ => tail,
    };
    if url.len() > URL_BYTES_MAX {
        return Err(malformed("a URL is longer than 65,536 bytes"));
    }
    let (inner, body) = head_and_body(rest);
    let mut headers = HeaderMap::new();
    for (name, value) in &inner {
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value)) {
            headers.append(name, value);
        }
    }
    let below = below_root(url);
    let (path, query) = below.split_once('?').unwrap_or((below, ""));
    let content_id = header(outer, "content-id").or_else(|| header(&inner, "content-id"));
    let body = body.trim_end_matches(['\r', '\n']);
    Ok(Part {
        content_id,
        request: Request {
            method: method.to_ascii_uppercase(),
            path: path.trim().to_owned(),
            query: query.trim().replace(' ', "%20"),
            headers,
            body: body.as_bytes().to_vec(),
            root: batch.root.clone(),
            user: batch.user,
        },
    })
}

fn boundary(content_type: &str) -> Option<String> {
    let at = content_type.to_ascii_lowercase().find("boundary=")?;
    let rest = &content_type[at + "boundary=".len()..];
    let name = match rest.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next()?,
        None => rest.split([';', ' ', '\t', '\r', '\n']).next()?,
    };
    (!name.is_empty()).then(|| name.to_owned())
}

/// The parts between the boundary lines, whatever the line ends; what stands before the first is passed over.
fn split<'a>(text: &'a str, boundary: &str) -> Answer<Vec<&'a str>> {
    let delimiter = format!("--{boundary}");
    let mut parts = Vec::new();
    let mut start: Option<usize> = None;
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        let bare = line.trim_end();
        let closing = bare.strip_prefix(&delimiter) == Some("--");
        if bare == delimiter || closing {
            if let Some(start) = start {
                parts.push(&text[start..offset]);
            }
            start = Some(offset + line.len());
            if closing {
                return Ok(parts);
            }
        }
        offset += line.len();
    }
    Err(malformed(if start.is_some() { "the closing boundary is missing" } else { "the boundary does not occur" }))
}

/// Headers up to the first empty line, and what follows it.
fn head_and_body(part: &str) -> (Vec<(String, String)>, &str) {
    let mut headers = Vec::new();
    let mut offset = 0;
    for line in part.split_inclusive('\n') {
        offset += line.len();
        let bare = line.trim_end();
        if bare.is_empty() {
            return (headers, &part[offset..]);
        }
        if let Some((name, value)) = bare.split_once(':') {
            headers.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    (headers, "")
}

fn header(headers: &[(String, String)], name: &str) -> Option<String> {
    headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
}

fn malformed(what: &str) -> Refusal {
    Refusal::query(format!("The batch request is malformed: {what}."))
}
