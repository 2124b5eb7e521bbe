//! `dead-letters show ID`: one fully.

use jiff::tz::TimeZone;
use serde_json::{Value as Json, json};
use store::Store;
use store::dead_letters::{DeadLetter, Kind, State, group_name};

use super::{cut, one, path, short, summary};
use crate::cli::{Cli, Format};
use crate::failure::Failure;
use crate::output::{moment, table};
use crate::{say, talk, wiring};

pub fn show(cli: &Cli, id: &str) -> Result<u8, Failure> {
    let project = wiring::project(cli)?;
    let store = wiring::open_store(&project)?;
    if let Some(group) = super::groups::named(&store, id)? {
        return super::groups::show(cli, &project, &store, &group);
    }
    let letter = one(&store, id)?;
    if cli.format == Format::Json {
        say!("{:#}", whole(&project, &store, &letter)?);
        return Ok(0);
    }
    print(&project, &store, &letter)?;
    what_next(&letter);
    Ok(0)
}

/// Everything that is known of it, as JSON. Personal values are masked.
pub fn whole(project: &definition::Project, store: &Store, letter: &DeadLetter) -> Result<Json, Failure> {
    let mut out = summary(letter);
    out["record"] = record(project, store, letter)?;
    out["detail"] = serde_json::from_str(&letter.problem.detail).unwrap_or_default();
    let edits = store.dead_letter_edits(&letter.id)?;
    let edit = |edit: &store::dead_letters::Edit| {
        let changes: Json = serde_json::from_str(&edit.changes).unwrap_or_default();
        json!({ "at": edit.at.to_string(), "by": edit.by, "why": edit.why, "changes": changes })
    };
    out["edits"] = edits.iter().map(edit).collect();
    Ok(out)
}

/// The record as it was sent or read, with its personal values masked.
fn record(project: &definition::Project, store: &Store, letter: &DeadLetter) -> Result<Json, Failure> {
    let Some(message) = store.dead_letter_message(&letter.id)? else { return Ok(Json::Null) };
    Ok(hub::mask::body(project, &letter.integration, &letter.entity, &message.body))
}

/// The error's parts, the fields with their formulas, and the record.
pub fn print(project: &definition::Project, store: &Store, letter: &DeadLetter) -> Result<(), Failure> {
    let zone = &project.hub.time_zone;
    let record = record(project, store, letter)?;
    let detail: Json = serde_json::from_str(&letter.problem.detail).unwrap_or_default();
    let bold = anstyle::Style::new().bold();
    let name = format!("{} {}", letter.entity, letter.key_text);
    say!("{bold}{} of {}{bold:#}  ({})", name.trim_end(), path(letter), letter.id);
    say!("  state  {}, seen {} time{}", letter.state, letter.count, if letter.count == 1 { "" } else { "s" });
    if let (Some(by), Some(at)) = (&letter.changed_by, letter.changed) {
        let note = letter.note.as_ref().map(|note| format!(": {note}")).unwrap_or_default();
        say!("         by {by}, {}{note}", moment(at, zone));
    }
    if let Some(goes) = letter.goes {
        say!(
            "         goes for good {}; until then: ironbridge dead-letters restore {}",
            moment(goes, zone),
            short(letter)
        );
    }
    if !letter.cause.is_empty() {
        say!("  group  {}", group_name(&letter.cause));
    }
    say!("  first  {}", moment(letter.first_seen, zone));
    say!(
        "  last   {}{}",
        moment(letter.last_seen, zone),
        letter.run.map(|run| format!(" in run {run}")).unwrap_or_default()
    );
    for fault in detail["faults"].as_array().into_iter().flatten() {
        say!("\n{}", crate::output::fault(fault));
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
    if let (Json::Object(columns), true) = (&record, detail["versions"].is_null()) {
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
    for edit in store.dead_letter_edits(&letter.id)? {
        say!("\n{bold}A changed copy, sent {} by {}{bold:#}: {}", moment(edit.at, zone), edit.by, edit.why);
        let changes: Json = serde_json::from_str(&edit.changes).unwrap_or_default();
        for (column, change) in changes.as_object().into_iter().flatten() {
            say!("  {column}: {} -> {}", change["old"], change["new"]);
        }
    }
    Ok(())
}

/// What a person can do about it.
pub fn what_next(letter: &DeadLetter) {
    match letter.kind {
        _ if letter.state == State::Discarded => {}
        Kind::Row if hub::two_way::is_dispute(letter) => {
            let detail: Json = serde_json::from_str(&letter.problem.detail).unwrap_or_default();
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
}

/// Both versions of a row, field by field, and when each side was changed.
fn versions(versions: &Json, zone: &TimeZone) {
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
