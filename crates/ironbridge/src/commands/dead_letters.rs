//! `ironbridge dead-letters`: what was given up on, and why.

use hub::two_way::Decided;
use serde_json::{Value as Json, json};
use store::Store;
use store::dead_letters::{DeadLetter, Filter, Kind, State};

use crate::cli::{Cli, DeadLetters, Format};
use crate::failure::{FAILED, Failure, NO_SUCH_NAME, USAGE};
use crate::output::{ago, moment, table};
use crate::{say, talk, wiring};

pub async fn dead_letters(cli: &Cli, command: &DeadLetters) -> Result<u8, Failure> {
    match command {
        DeadLetters::List { integration, code, all, last } => {
            list(cli, integration.as_deref(), code.as_deref(), *all, *last)
        }
        DeadLetters::Show { id } => show(cli, id),
        DeadLetters::Retry { id, note } => retry(cli, id, note.as_deref()).await,
        DeadLetters::Decide { id, take, note } => decide(cli, id, take, note.as_deref()).await,
        DeadLetters::Discard { id, note } => discard(cli, id, note.as_deref()).await,
    }
}

fn list(cli: &Cli, integration: Option<&str>, code: Option<&str>, all: bool, last: usize) -> Result<u8, Failure> {
    let project = wiring::project(cli)?;
    if let Some(name) = integration {
        wiring::integration(&project, name)?;
    }
    let store = wiring::open_store(&project)?;
    let states = if all { Vec::new() } else { vec![State::Open, State::Retrying] };
    let filter = Filter {
        integration: integration.map(str::to_owned),
        code: code.map(str::to_uppercase),
        states,
        ..Filter::default()
    };
    let found = store.dead_letters(&filter, last)?;
    if cli.format == Format::Json {
        say!("{:#}", Json::from(found.iter().map(summary).collect::<Vec<_>>()));
        return Ok(0);
    }
    if found.is_empty() {
        talk!("No dead letters.");
        return Ok(0);
    }
    let now = store.clock().now();
    let rows = found.iter().map(|letter| {
        vec![
            letter.id.as_str()[..8].to_owned(),
            letter.integration.clone(),
            letter.key_text.clone(),
            letter.problem.code.clone(),
            cut(&letter.problem.what, 72),
            letter.state.to_string(),
            ago(letter.last_seen, now),
        ]
    });
    say!("{}", table(&["id", "integration", "key", "code", "what", "state", "last seen"], rows.collect()));
    if found.len() == last {
        talk!("\nThe newest {last}; more with --last N.");
    }
    talk!("\nOne of them fully: ironbridge dead-letters show {}", &found[0].id.as_str()[..8]);
    Ok(0)
}

pub(super) fn summary(letter: &DeadLetter) -> Json {
    json!({
        "id": letter.id.as_str(), "kind": letter.kind.to_string(), "integration": letter.integration,
        "entity": letter.entity, "key": letter.key_text, "code": letter.problem.code, "what": letter.problem.what,
        "where": letter.problem.place, "why": letter.problem.why, "do": letter.problem.fix,
        "state": letter.state.to_string(), "count": letter.count, "first_seen": letter.first_seen.to_string(),
        "last_seen": letter.last_seen.to_string(), "run": letter.run.map(|run| run.0),
    })
}

fn show(cli: &Cli, id: &str) -> Result<u8, Failure> {
    let project = wiring::project(cli)?;
    let store = wiring::open_store(&project)?;
    let letter = one(&store, id)?;
    let message = store.dead_letter_message(&letter.id)?;
    let record = message.map(|message| String::from_utf8_lossy(&message.body).into_owned()).unwrap_or_default();
    let detail: Json = serde_json::from_str(&letter.problem.detail).unwrap_or_default();
    if cli.format == Format::Json {
        let mut out = summary(&letter);
        out["record"] = serde_json::from_str(&record).unwrap_or_else(|_| json!(record));
        out["detail"] = detail;
        say!("{out:#}");
        return Ok(0);
    }
    let zone = &project.hub.time_zone;
    let bold = anstyle::Style::new().bold();
    let name = format!("{} {}", letter.entity, letter.key_text);
    say!("{bold}{} of {}{bold:#}  ({})", name.trim_end(), letter.integration, letter.id);
    say!("  state  {}, seen {} time{}", letter.state, letter.count, if letter.count == 1 { "" } else { "s" });
    say!("  first  {}", moment(letter.first_seen, zone));
    say!(
        "  last   {}{}",
        moment(letter.last_seen, zone),
        letter.run.map(|run| format!(" in run {run}")).unwrap_or_default()
    );
    for fault in detail["faults"].as_array().into_iter().flatten() {
        print_fault(fault);
    }
    if let Some(fields) = detail["fields"].as_array().filter(|fields| !fields.is_empty()) {
        say!("\n{bold}What each field got{bold:#}");
        let text = |value: &Json| match value {
            Json::Object(error) => format!("!! {}", error["error"].as_str().unwrap_or_default()),
            Json::String(text) => cut(text, 60),
            other => other.to_string(),
        };
        let rows = fields.iter().map(|f| {
            let part = |name: &str| f[name].as_str().unwrap_or_default().to_owned();
            vec![format!("  {}", part("field")), cut(&part("formula"), 48), text(&f["value"]), part("at")]
        });
        say!("{}", table(&["  field", "from", "value", "where"], rows.collect()));
    }
    versions(&detail["versions"], zone);
    if let (Ok(Json::Object(columns)), true) = (serde_json::from_str(&record), detail["versions"].is_null()) {
        let what = match letter.kind {
            Kind::Row => "The row in the source",
            Kind::Message => "What was sent",
        };
        say!("\n{bold}{what}{bold:#}");
        let rows = columns.iter().map(|(name, value)| {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            vec![format!("  {name}"), cut(&text, 90)]
        });
        say!("{}", table(&["  column", "value"], rows.collect()));
    }
    match letter.kind {
        Kind::Row if hub::two_way::is_dispute(&letter) => {
            let sides = detail["versions"]["sides"].as_array().cloned().unwrap_or_default();
            let id = &letter.id.as_str()[..8];
            talk!("\nSay which version holds; the next run writes it to the other side:");
            for side in sides.iter().filter_map(Json::as_str) {
                talk!("  ironbridge dead-letters decide {id} --take {side}");
            }
        }
        Kind::Row => {
            talk!("\nCorrect the row in the source: the next run that reads it writes it and closes this dead letter.")
        }
        Kind::Message if letter.state.is_waiting() => {
            talk!("\nWhen what it says is done: ironbridge dead-letters retry {}", &letter.id.as_str()[..8])
        }
        Kind::Message => {}
    }
    Ok(0)
}

/// The dead letter that a person means.
fn one(store: &Store, id: &str) -> Result<DeadLetter, Failure> {
    let mut found = store.dead_letters_like(id)?;
    match found.len() {
        1 => Ok(found.remove(0)),
        0 => {
            let what = format!("there is no dead letter `{id}`");
            Err(Failure::new(FAILED, NO_SUCH_NAME, what, "list them: ironbridge dead-letters list --all"))
        }
        several => {
            let what = format!("{several} dead letters begin with `{id}`");
            Err(Failure::new(FAILED, NO_SUCH_NAME, what, "give more of its id"))
        }
    }
}

/// The dead letter that a person wants to do something about.
fn waiting(store: &Store, id: &str) -> Result<DeadLetter, Failure> {
    let letter = one(store, id)?;
    if letter.state.is_waiting() {
        return Ok(letter);
    }
    let what = format!("the dead letter {} is {} already", &letter.id.as_str()[..8], letter.state);
    Err(Failure::new(FAILED, NO_SUCH_NAME, what, "nothing; those that wait: ironbridge dead-letters list"))
}

async fn retry(cli: &Cli, id: &str, note: Option<&str>) -> Result<u8, Failure> {
    let project = wiring::project(cli)?;
    let store = wiring::open_store(&project)?;
    let letter = waiting(&store, id)?;
    let name = letter.integration.clone();
    let short = &letter.id.as_str()[..8];
    match letter.kind {
        Kind::Message => {
            hub::events::retry(&store, &letter, &wiring::person(), note).await?;
            say!("{short} is sent again to {}", letter.queue.rsplit('/').next().unwrap_or_default());
            talk!("`ironbridge up` delivers it; see what became of it: ironbridge dead-letters show {short}");
        }
        Kind::Row => {
            let integration = wiring::integration(&project, &name)?;
            hub::retry_row(&store, &project, integration, &letter, &wiring::person(), note).await?;
            say!("{short}: the next run of {name} reads its row again");
            talk!("Now: ironbridge run {name}");
        }
    }
    Ok(0)
}

async fn decide(cli: &Cli, id: &str, take: &str, note: Option<&str>) -> Result<u8, Failure> {
    let project = wiring::project(cli)?;
    let store = wiring::open_store(&project)?;
    let letter = waiting(&store, id)?;
    let name = letter.integration.clone();
    let short = &letter.id.as_str()[..8];
    let integration = wiring::integration(&project, &name)?;
    let person = wiring::person();
    match hub::two_way::decide(&store, &project, integration, &letter, take, &person, note).await? {
        Decided::Yes => {
            say!("{short}: {} {} is taken from {take}", letter.entity, letter.key_text);
            talk!(
                "The next run writes it to the other side, unless either has changed until then. Now: ironbridge run {name}"
            );
            Ok(0)
        }
        Decided::NoDispute => {
            let what = format!("the dead letter {short} is not about two versions of a row");
            Err(Failure::new(
                FAILED,
                NO_SUCH_NAME,
                what,
                format!("what it is about: ironbridge dead-letters show {short}"),
            ))
        }
        Decided::NoSuchSide([left, right]) => {
            let what = format!("{name} goes between {left} and {right}, and `{take}` is neither");
            let fix = format!("ironbridge dead-letters decide {short} --take {left} (or {right})");
            Err(Failure::new(USAGE, NO_SUCH_NAME, what, fix))
        }
    }
}

/// Both versions of a row, field by field, and when each side was changed.
fn versions(versions: &Json, zone: &jiff::tz::TimeZone) {
    let sides: Vec<&str> = versions["sides"].as_array().into_iter().flatten().filter_map(Json::as_str).collect();
    let [left, right] = sides[..] else { return };
    let bold = anstyle::Style::new().bold();
    say!("\n{bold}Both versions{bold:#}  (those in dispute are marked with !)");
    let text = |value: &Json| match value {
        Json::Null => "(gone)".to_owned(),
        Json::String(text) => cut(text, 50),
        other => other.to_string(),
    };
    let mut rows = Vec::new();
    for field in versions["fields"].as_array().into_iter().flatten() {
        let name = field["field"].as_str().unwrap_or_default();
        let mark = if field["disputed"] == true { "!" } else { " " };
        let master = field["master"].as_str().map(str::to_owned).unwrap_or_default();
        rows.push(vec![format!("{mark} {name}"), text(&field[left]), text(&field[right]), master]);
    }
    let changed = |at: usize| match versions["changed"][at].as_str() {
        None => "not known".to_owned(),
        Some(text) => text.parse().map_or_else(|_| text.to_owned(), |at| moment(at, zone)),
    };
    rows.push(vec!["  changed".to_owned(), changed(0), changed(1), String::new()]);
    say!("{}", table(&["  field", left, right, "master"], rows));
}

async fn discard(cli: &Cli, id: &str, note: Option<&str>) -> Result<u8, Failure> {
    let project = wiring::project(cli)?;
    let store = wiring::open_store(&project)?;
    let letter = waiting(&store, id)?;
    match letter.kind {
        Kind::Message => hub::events::discard(&store, &letter, &wiring::person(), note).await?,
        Kind::Row => hub::discard_row(&store, &letter, &wiring::person(), note).await?,
    }
    say!("{} is discarded; it is still in the list with --all", &letter.id.as_str()[..8]);
    Ok(0)
}

fn print_fault(fault: &Json) {
    let red = anstyle::AnsiColor::Red.on_default().bold();
    let part = |name: &str| fault[name].as_str().unwrap_or_default();
    say!("\n{red}{}{red:#} {}", part("code"), part("what"));
    if let Some(place) = fault["where"].as_object() {
        for (name, value) in place {
            say!("  {name}: {}", value.as_str().map(|v| cut(v, 100)).unwrap_or_default());
        }
    }
    if let Some(why) = fault["why"].as_object() {
        let of = |name: &str| {
            why.get(name).filter(|v| !v.is_null()).map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned))
        };
        let parts: Vec<String> = ["status", "code", "text", "request_id"].into_iter().filter_map(of).collect();
        say!("  why: {}", parts.join(" "));
    }
    say!("  do: {}", part("do"));
    say!("  more: {}", part("more"));
}

fn cut(text: &str, width: usize) -> String {
    match text.char_indices().nth(width) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}
