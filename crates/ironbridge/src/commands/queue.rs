//! `ironbridge queue`: what waits in the durable queue.

use std::io::Read;

use definition::{Pattern, Project};
use serde_json::{Value as Json, json};
use store::queue::{Message, Op, Peeked, Place, Sent};
use store::{OpResult, Store};

use crate::cli::{Cli, Format, Queue};
use crate::failure::{FAILED, Failure, NO_SUCH_NAME, NOT_CONFIRMED, USAGE};
use crate::output::{ago, number, table};
use crate::{ingress, say, talk, wiring};

pub async fn queue(cli: &Cli, command: &Queue) -> Result<u8, Failure> {
    let project = wiring::project(cli)?;
    let store = wiring::open_store(&project)?;
    match (hub::events::prepare(&project, &store).await, command) {
        // Whoever only looks sees what there is.
        (Err(hub::Error::Store(error)), Queue::List | Queue::Peek { .. }) if error.may_pass() => {}
        (prepared, _) => prepared?,
    }
    match command {
        Queue::List => list(cli, &store),
        Queue::Peek { queue, from, last } => peek(cli, &project, &store, &path(&project, &store, queue)?, *from, *last),
        Queue::Send { integration, file } => send(&project, &store, integration, file).await,
        Queue::Purge { queue, max, yes } => purge(&store, &path(&project, &store, queue)?, *max, *yes).await,
    }
}

/// A queue by its path, or by the integration whose only destination it serves.
fn path(project: &Project, store: &Store, name: &str) -> Result<String, Failure> {
    let known = store.queues()?;
    if let Some(path) = known.iter().find(|path| path.eq_ignore_ascii_case(name)) {
        return Ok(path.clone());
    }
    if let Some(Pattern::Event(event)) = project.integration(name).map(|integration| &integration.pattern)
        && let [to] = event.to.as_slice()
    {
        return Ok(hub::events::subscription(name, to));
    }
    let what = format!("there is no queue `{name}`");
    Err(Failure::new(USAGE, NO_SUCH_NAME, what, format!("there are: {}", known.join(", "))))
}

fn list(cli: &Cli, store: &Store) -> Result<u8, Failure> {
    let now = store.clock().now();
    let (mut rows, mut items) = (Vec::new(), Vec::new());
    for path in store.queues()? {
        let counts = store.queue_counts(&path)?.unwrap_or_default();
        let oldest = store.oldest_ready(&path)?;
        let waiting = [counts.ready, counts.locked, counts.delayed, counts.deferred, counts.scheduled];
        items.push(json!({
            "queue": path, "ready": counts.ready, "locked": counts.locked, "delayed": counts.delayed,
            "deferred": counts.deferred, "scheduled": counts.scheduled, "dead_letters": counts.dead,
            "oldest": oldest.map(|at| at.to_string()),
        }));
        let mut row = vec![path];
        row.extend(waiting.map(number));
        row.push(number(counts.dead));
        row.push(oldest.map(|at| ago(at, now)).unwrap_or_default());
        rows.push(row);
    }
    if cli.format == Format::Json {
        say!("{:#}", Json::from(items));
        return Ok(0);
    }
    let heads = ["queue", "ready", "locked", "delayed", "deferred", "scheduled", "dead letters", "oldest"];
    say!("{}", table(&heads, rows));
    Ok(0)
}

fn peek(cli: &Cli, project: &Project, store: &Store, path: &str, from: i64, last: usize) -> Result<u8, Failure> {
    let found = store.peek(path, from, last)?.unwrap_or_default();
    let body = |message: &Message| -> Json {
        let part = |part: &Option<String>| part.clone().unwrap_or_default();
        hub::mask::body(project, &part(&message.integration), &part(&message.entity), &message.body)
    };
    let keys: Vec<Option<String>> =
        found.iter().map(|peeked| key(project, store, &peeked.message)).collect::<Result<_, _>>()?;
    if cli.format == Format::Json {
        let item = |(peeked, key): (&Peeked, &Option<String>)| {
            json!({
                "number": peeked.seq, "state": word(peeked.place), "entity": peeked.message.entity, "key": key,
                "session": peeked.message.session,
                "id": peeked.message.id, "enqueued": peeked.enqueued.to_string(),
                "due": peeked.due.map(|at| at.to_string()), "deliveries": peeked.deliveries,
                "body": body(&peeked.message),
            })
        };
        say!("{:#}", Json::from(found.iter().zip(&keys).map(item).collect::<Vec<_>>()));
        return Ok(0);
    }
    if found.is_empty() {
        talk!("Nothing is in {path}.");
        return Ok(0);
    }
    let now = store.clock().now();
    let rows = found.iter().zip(keys).map(|(peeked, key)| {
        let of = |key| format!("{} {key}", peeked.message.entity.as_deref().unwrap_or_default());
        vec![
            peeked.seq.to_string(),
            word(peeked.place).to_owned(),
            key.map(of).or_else(|| peeked.message.session.clone()).unwrap_or_default(),
            peeked.deliveries.to_string(),
            ago(peeked.enqueued, now),
            about(&peeked.message, &body(&peeked.message)).chars().take(60).collect(),
        ]
    });
    say!("{}", table(&["number", "state", "record", "deliveries", "enqueued", "what it says"], rows.collect()));
    Ok(0)
}

/// The key of the record that a message is about, as it may be shown; nothing where only its id in the source is known.
fn key(project: &Project, store: &Store, message: &Message) -> Result<Option<String>, Failure> {
    let entity = message.entity.as_deref().and_then(|name| project.entity(name));
    let is_personal =
        |field: &String| entity.and_then(|entity| entity.field(field)).is_some_and(|field| field.personal);
    let hidden = entity.is_some_and(|entity| entity.key.iter().any(is_personal));
    let key = hub::events::key_of(project, store, message)?;
    Ok(key.map(|key| if hidden { "***".to_owned() } else { key.to_string() }))
}

fn word(place: Place) -> &'static str {
    match place {
        Place::Ready => "ready",
        Place::Locked => "locked",
        Place::Delayed => "delayed",
        Place::Deferred => "deferred",
        Place::Scheduled => "scheduled",
    }
}

/// What Dynamics tells of, in a few words; of other messages the beginning of their body, as it may be shown.
fn about(message: &Message, body: &Json) -> String {
    let event: Json = serde_json::from_slice(&message.body).unwrap_or_default();
    match (event["MessageName"].as_str(), event["PrimaryEntityName"].as_str()) {
        (Some(what), Some(table)) => {
            let target = event["InputParameters"].as_array().into_iter().flatten().find(|pair| pair["key"] == "Target");
            let set = target.and_then(|target| target["value"]["Attributes"].as_array()).into_iter().flatten();
            let set: Vec<&str> = set.filter_map(|pair| pair["key"].as_str()).collect();
            format!("{what} of {table}{}{}", if set.is_empty() { "" } else { ": " }, set.join(", "))
        }
        _ => body.to_string(),
    }
}

async fn send(project: &Project, store: &Store, name: &str, file: &std::path::Path) -> Result<u8, Failure> {
    wiring::integration(project, name)?;
    let mut body = Vec::new();
    let read = match file.to_str() {
        Some("-") => std::io::stdin().read_to_end(&mut body).map(drop),
        _ => std::fs::read(file).map(|bytes| body = bytes),
    };
    read.map_err(|why| {
        Failure::new(USAGE, NO_SUCH_NAME, format!("{} cannot be read: {why}", file.display()), "name a file, or `-`")
    })?;
    let Some(send) = ingress::webhooks::send(project, name, body) else {
        let pattern = wiring::integration(project, name)?.pattern.word();
        let events = project.integrations.iter().filter(|other| matches!(other.pattern.word(), "event" | "flow"));
        let events: Vec<&str> = events.map(|other| &*other.name).collect();
        let fix = match events.is_empty() {
            true => "this project has no integration with `pattern: event`".to_owned(),
            false => format!("send to one of: {}", events.join(", ")),
        };
        let what = format!("`{name}` is a {pattern} integration, which takes no messages");
        return Err(Failure::new(USAGE, NO_SUCH_NAME, what, fix));
    };
    let send = send.map_err(|why| {
        let what = format!("what {} holds would be refused: {why}", file.display());
        Failure::new(
            USAGE,
            NO_SUCH_NAME,
            what,
            "send the JSON that its source would post: an object, or a list of them",
        )
    })?;
    if let Pattern::Flow(_) = wiring::integration(project, name)?.pattern {
        store.commit(vec![hub::flows::prepare(name)]).await?;
    }
    let did = wiring::actor().did("queue send", name).op();
    let results = store.commit(vec![send.into(), did]).await?;
    let Some(OpResult::Sent(sent)) = results.first() else { unreachable!("Send answers with what became of each") };
    let had = sent.iter().filter(|sent| **sent == Sent::Duplicate).count();
    match (sent.len(), had) {
        (1, 0) => say!("sent to {name}"),
        (1, 1) => talk!("{name} has had this event already; it is taken once."),
        (all, 0) => say!("sent to {name}: {}", messages(all as u64)),
        (all, had) => say!("sent to {name}: {}; it has had {had} of {all} already", messages((all - had) as u64)),
    }
    Ok(0)
}

async fn purge(store: &Store, path: &str, max: usize, yes: bool) -> Result<u8, Failure> {
    let counts = store.queue_counts(path)?.unwrap_or_default();
    if !yes {
        let all = counts.ready + counts.delayed + counts.deferred + counts.scheduled;
        let what = match all <= max as u64 {
            true => format!("this drops everything that waits in {path}, {}, for good", messages(all)),
            false => format!("this drops the {max} oldest of {} in {path}, for good", messages(all)),
        };
        return Err(Failure::new(FAILED, NOT_CONFIRMED, what, "nothing is dropped yet: add --yes if you mean it"));
    }
    let mut did =
        Some(wiring::actor().did("queue purge", path).with(json!({ "max": max, "waited": counts.ready })).op());
    let mut dropped = 0;
    // One commit takes only so many.
    loop {
        let purge = Op::Purge { queue: path.to_owned(), max: max - dropped };
        match store.commit([purge.into()].into_iter().chain(did.take()).collect()).await?.first() {
            Some(OpResult::Count(0)) => break,
            Some(OpResult::Count(more)) => dropped += *more as usize,
            other => unreachable!("Purge answers with a count, not {other:?}"),
        }
    }
    say!("dropped from {path}: {}", messages(dropped as u64));
    Ok(0)
}

fn messages(count: u64) -> String {
    format!("{} message{}", number(count), if count == 1 { "" } else { "s" })
}
