//! A changed copy of what was sent: for the one value that is wrong and that its source cannot correct.
//!
//! Off unless the definition says otherwise. Only events whose message is the record (`payload: as_sent`) can be changed:
//! all others are read anew from their source, which is where they are corrected. The key and personal fields are locked:
//! a copy is never about another record, and nobody types personal data into the hub.

use std::collections::BTreeSet;

use definition::{Pattern, Payload, Project};
use serde_json::{Map, Value as Json, json};
use store::Store;
use store::audit::Actor;
use store::dead_letters::{self, DeadLetter, Kind, NewEdit, State};

use crate::error::Error;
use crate::{events, mask};

/// Why a copy cannot be changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotEditable {
    /// The definition does not allow it.
    Off,
    /// What it is about is read anew from this system, where it is to be corrected.
    ReadAnew(String),
    /// It is on its way again: of two copies the first one to end would be the last.
    OnItsWay,
    /// What was sent is not an object of columns.
    NotColumns,
    /// This column is part of the key.
    Key(String),
    /// This column holds a personal field.
    Personal(String),
    /// What was sent has no such column.
    NoColumn(String),
}

/// A changed copy, ready to be sent.
#[derive(Debug, Clone)]
pub struct Copy {
    body: Vec<u8>,
    /// By column, what it was and what it is.
    pub changes: Map<String, Json>,
}

/// Why a value of a copy cannot be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Locked {
    Key,
    Personal,
}

/// A value of what was sent, as a form shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name, or its path: `customer.terms`.
    pub name: String,
    /// As it stands; empty where it is locked as personal.
    pub text: String,
    pub locked: Option<Locked>,
}

/// Whether what a dead letter is about may be changed at all, whatever was sent.
pub fn allowed(project: &Project, letter: &DeadLetter) -> Result<(), NotEditable> {
    refused(project, letter).map_or(Ok(()), Err)
}

/// The values that a copy could change, and those that are locked, in the order in which they were sent.
///
/// *Errors*: of our own state.
pub fn columns(
    store: &Store,
    project: &Project,
    letter: &DeadLetter,
) -> Result<Result<Vec<Column>, NotEditable>, Error> {
    if let Some(why) = refused(project, letter) {
        return Ok(Err(why));
    }
    let Some(body) = sent(store, letter)? else { return Ok(Err(NotEditable::NotColumns)) };
    let (key, personal) = (key_names(project, letter), mask::personal_names(project, &letter.entity));
    let mut found = Vec::new();
    // The data of a CloudEvent is the record; what stands around it is the sender's.
    let record = body.get("data").filter(|data| data.is_object()).unwrap_or(&body);
    list(record, "", &key, &personal, &mut found);
    Ok(Ok(found))
}

fn list(of: &Json, path: &str, key: &BTreeSet<String>, personal: &BTreeSet<String>, found: &mut Vec<Column>) {
    for (name, value) in of.as_object().into_iter().flatten() {
        let name = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let (whole, last) = (name.to_lowercase(), name.rsplit('.').next().unwrap_or_default().to_lowercase());
        let locked = match [&whole, &last] {
            names if names.iter().any(|name| key.contains(*name)) => Some(Locked::Key),
            names if names.iter().any(|name| personal.contains(*name)) => Some(Locked::Personal),
            _ => None,
        };
        let text = match value {
            _ if locked == Some(Locked::Personal) => String::new(),
            Json::Null => String::new(),
            Json::String(text) => text.clone(),
            Json::Object(_) => {
                list(value, &name, key, personal, found);
                continue;
            }
            Json::Array(_) => continue,
            other => other.to_string(),
        };
        found.push(Column { name, text, locked });
    }
}

fn sent(store: &Store, letter: &DeadLetter) -> Result<Option<Json>, Error> {
    let message = store.dead_letter_message(&letter.id)?;
    let body = message.and_then(|message| serde_json::from_slice::<Json>(&message.body).ok());
    Ok(body.filter(Json::is_object))
}

/// Works the copy out, and changes nothing. `changes` are columns with their new values as text; a column of a nested
/// object is named by its path (`customer.terms`).
///
/// *Errors*: of our own state.
pub fn copy(
    store: &Store,
    project: &Project,
    letter: &DeadLetter,
    changes: &[(String, String)],
) -> Result<Result<Copy, NotEditable>, Error> {
    if let Some(why) = refused(project, letter) {
        return Ok(Err(why));
    }
    let Some(body) = sent(store, letter)? else { return Ok(Err(NotEditable::NotColumns)) };
    let locked = (key_names(project, letter), mask::personal_names(project, &letter.entity));
    Ok(change(body, changes, &locked.0, &locked.1))
}

/// Sends the copy instead of what was sent; the dead letter stays as it was, with the copy beside it.
///
/// *Errors*: somebody else has dealt with it meanwhile.
pub async fn send(store: &Store, letter: &DeadLetter, copy: Copy, by: &Actor, why: &str) -> Result<(), Error> {
    let columns: Vec<&String> = copy.changes.keys().collect();
    let detail = json!({ "dead_letter": letter.id.as_str(), "entity": letter.entity, "columns": columns });
    let did = by.did("dead-letters edit", &*letter.integration).because(Some(why)).with(detail).op();
    let changes = Json::Object(copy.changes).to_string();
    let edit = NewEdit { by: by.name.clone(), why: why.to_owned(), changes, body: copy.body.clone() };
    let mut ops = events::letters::retry_as(store, letter, copy.body, by, Some(why))?;
    ops.push(dead_letters::Op::Edited { id: letter.id.clone(), edit }.into());
    ops.push(did);
    store.commit(ops).await?;
    Ok(())
}

fn refused(project: &Project, letter: &DeadLetter) -> Option<NotEditable> {
    let integration = project.integration(&letter.integration)?;
    match &integration.pattern {
        Pattern::Event(event) if letter.kind == Kind::Message && event.payload == Payload::AsSent => {}
        _ => return Some(NotEditable::ReadAnew((*integration.systems().first().unwrap_or(&"its source")).to_owned())),
    }
    match integration.dead_letters.edit_and_retry {
        false => Some(NotEditable::Off),
        true => (letter.state == State::Retrying).then_some(NotEditable::OnItsWay),
    }
}

/// The names that the key has, in small letters.
fn key_names(project: &Project, letter: &DeadLetter) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let Some(entity) = project.entity(&letter.entity) else { return names };
    names.extend(entity.key.iter().map(|field| field.to_lowercase()));
    for held in project.systems.iter().filter_map(|system| system.entity(&entity.name)) {
        names.extend(held.key_columns(entity).into_iter().flatten().map(|column| column.to_lowercase()));
    }
    names
}

fn change(
    mut body: Json,
    changes: &[(String, String)],
    key: &BTreeSet<String>,
    personal: &BTreeSet<String>,
) -> Result<Copy, NotEditable> {
    let mut told = Map::new();
    for (column, text) in changes {
        let (path, last) = (column.to_lowercase(), column.rsplit('.').next().unwrap_or_default().to_lowercase());
        if key.contains(&path) || key.contains(&last) {
            return Err(NotEditable::Key(column.clone()));
        }
        if personal.contains(&path) || personal.contains(&last) {
            return Err(NotEditable::Personal(column.clone()));
        }
        let Some(value) = place(&mut body, column) else { return Err(NotEditable::NoColumn(column.clone())) };
        let new = match &*value {
            Json::String(_) => json!(text),
            _ if text.is_empty() => Json::Null,
            _ => serde_json::from_str(text).unwrap_or_else(|_| json!(text)),
        };
        told.insert(column.clone(), json!({ "old": &*value, "new": &new }));
        *value = new;
    }
    Ok(Copy { body: body.to_string().into_bytes(), changes: told })
}

/// Where a column stands: in the object, or in the data of a CloudEvent. Lists and objects are no values.
fn place<'b>(body: &'b mut Json, column: &str) -> Option<&'b mut Json> {
    let pointer = format!("/{}", column.replace('~', "~0").replace('/', "~1").replace('.', "/"));
    let inside = format!("/data{pointer}");
    let pointer = if body.pointer(&pointer).is_some() { pointer } else { inside };
    body.pointer_mut(&pointer).filter(|value| !value.is_object() && !value.is_array())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_shows_what_a_copy_may_change() {
        let body = json!({ "no": "A-1", "terms": 99, "who": { "mail": "a@b", "zip": null }, "rows": [] });
        let (key, personal) = (BTreeSet::from(["no".to_owned()]), BTreeSet::from(["mail".to_owned()]));
        let mut found = Vec::new();
        list(&body, "", &key, &personal, &mut found);
        let column = |name: &str, text: &str, locked| Column { name: name.into(), text: text.into(), locked };
        let expected = [
            column("no", "A-1", Some(Locked::Key)),
            column("terms", "99", None),
            column("who.mail", "", Some(Locked::Personal)),
            column("who.zip", "", None),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_copy_differs_in_what_was_asked_and_nothing_else() {
        let body =
            json!({ "no": "A-1", "terms": "99", "limit": 10.50, "who": { "mail": "a@b", "zip": null }, "rows": [] });
        let key = BTreeSet::from(["no".to_owned()]);
        let personal = BTreeSet::from(["mail".to_owned()]);
        let check = |set: &[(&str, &str)]| {
            let set: Vec<_> = set.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            change(body.clone(), &set, &key, &personal)
        };
        let copy = check(&[("terms", "30"), ("limit", "12.00"), ("who.zip", "EC1")]).unwrap();
        let expected = r#"{"no":"A-1","terms":"30","limit":12.00,"who":{"mail":"a@b","zip":"EC1"},"rows":[]}"#;
        assert_eq!(String::from_utf8(copy.body).unwrap(), expected);
        assert_eq!(copy.changes["terms"], json!({ "old": "99", "new": "30" }));
        for (set, expected) in [
            (("no", "A-2"), NotEditable::Key("no".into())),
            (("NO", "A-2"), NotEditable::Key("NO".into())),
            (("who.mail", "x"), NotEditable::Personal("who.mail".into())),
            (("what", "x"), NotEditable::NoColumn("what".into())),
            (("rows", "x"), NotEditable::NoColumn("rows".into())),
        ] {
            assert_eq!(check(&[set]).unwrap_err(), expected);
        }
    }
}
