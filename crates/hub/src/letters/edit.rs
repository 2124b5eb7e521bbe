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
use store::dead_letters::{self, DeadLetter, Kind, NewEdit};

use crate::error::Error;
use crate::{events, mask};

/// Why a copy cannot be changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotEditable {
    /// The definition does not allow it.
    Off,
    /// What it is about is read anew from this system, where it is to be corrected.
    ReadAnew(String),
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
    let message = store.dead_letter_message(&letter.id)?;
    let body = message.and_then(|message| serde_json::from_slice::<Json>(&message.body).ok());
    let Some(body) = body.filter(Json::is_object) else { return Ok(Err(NotEditable::NotColumns)) };
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
    (!integration.dead_letters.edit_and_retry).then_some(NotEditable::Off)
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
