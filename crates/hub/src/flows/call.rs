//! What an HTTP call says that starts a flow: the key of the record, who asks for it, and the fields of the form.
//!
//! It is read twice: when it comes in, so that whoever calls hears what is wrong with it, and when it is taken from the
//! queue, where also the records are looked up that it refers to.

use definition::{Flow, FormField, Project};
use jiff::tz::TimeZone;
use record::{Key, Value};
use serde_json::Value as Json;

use super::decide::People;
use super::form::{self, Filled, Wrong};
use crate::json;

/// The member that says who asks, where the form has no field of this name.
const BY: &str = "by";

/// How a flow may be called.
pub struct Calls {
    key: Vec<String>,
    form: Option<Vec<FormField>>,
    started_by: Vec<String>,
    people: People,
    zone: TimeZone,
}

/// What a call says.
#[derive(Debug, PartialEq)]
pub struct Call {
    pub key: Key,
    /// The id of the person who asks, as in people.yaml, where the call says so.
    pub by: Option<String>,
    pub filled: Filled,
}

impl Calls {
    /// Nothing for a flow that no call starts.
    pub fn of(project: &Project, flow: &Flow) -> Option<Calls> {
        let entity = project.entity(&flow.entity).filter(|_| flow.call)?;
        Some(Calls {
            key: entity.key.clone(),
            form: flow.form.clone(),
            started_by: flow.started_by.clone(),
            people: People::of(project),
            zone: project.hub.time_zone.clone(),
        })
    }

    /// Reads the body of a call. Pure.
    ///
    /// *Shape*: a JSON object: the fields of the key, those of the form, and `by`; a flow without a form leaves the rest
    /// of it alone.
    ///
    /// *Errors*: everything that is wrong, in one sentence for whoever calls.
    pub fn read(&self, body: &[u8]) -> Result<Call, String> {
        let said = serde_json::from_slice::<Json>(body).unwrap_or_default();
        let no_value = |field: &&String| !said[field.as_str()].is_string() && !said[field.as_str()].is_number();
        let missing: Vec<&str> = self.key.iter().filter(no_value).map(String::as_str).collect();
        if !missing.is_empty() {
            return Err(format!("the body has to be JSON with the key of the record: {}", missing.join(", ")));
        }
        let values: Vec<Value> = self.key.iter().map(|field| json::value(&said[field.as_str()])).collect();
        let key = Key::of(values.iter()).map_err(|why| format!("the key of the record cannot be one: {why}"))?;
        let Some(fields) = &self.form else { return Ok(Call { key, by: None, filled: Filled::new() }) };
        let is_field = |name: &str| fields.iter().any(|field| field.name == name);
        let (mut given, mut wrong) = (Vec::new(), Vec::new());
        for (name, value) in said.as_object().into_iter().flatten() {
            if !is_field(name) && (name == BY || self.key.contains(name)) {
                continue;
            }
            match value {
                Json::Null => {}
                Json::Array(_) | Json::Object(_) => wrong.push(format!("{name}: it holds several values")),
                value => given.push((name.clone(), form::spoken(value))),
            }
        }
        let told = |wrong: Wrong| format!("{}: {}", wrong.field, wrong.why);
        let filled = match form::take(fields, &given, None, &self.zone) {
            Ok(filled) => filled,
            Err(more) => {
                let known =
                    |told: &String| !wrong.iter().any(|one: &String| one.split(':').next() == told.split(':').next());
                let more: Vec<String> = more.into_iter().map(told).filter(known).collect();
                wrong.extend(more);
                Filled::new()
            }
        };
        let by = said[BY].as_str().filter(|_| !is_field(BY)).map(|by| self.people.person(by));
        let of = self.people.resolve(&self.started_by);
        let may = |by: &String| of.contains(by) || of.iter().any(|name| name.starts_with("group:"));
        if !self.started_by.is_empty() && !by.as_ref().is_some_and(may) {
            wrong.push(format!("by: it has to be whoever may start this flow: {}", of.join(", ")));
        }
        if wrong.is_empty() { Ok(Call { key, by, filled }) } else { Err(wrong.join("; ")) }
    }

    pub fn form(&self) -> &[FormField] {
        self.form.as_deref().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use definition::With;
    use record::Type;
    use serde_json::json;

    use super::*;

    fn field(name: &str, ty: Type, required: bool) -> FormField {
        let (name, label) = (name.to_owned(), name.to_owned());
        FormField { name, label, ty, required, personal: false, currency: None, default: None, with: With::Either }
    }

    #[test]
    fn a_call_gives_the_key_the_form_and_who_asks_or_hears_what_is_wrong() {
        let form = vec![
            field("amount", Type::Money, true),
            field("urgent", Type::YesNo, false),
            field("until", Type::Date, false),
        ];
        let people = [("ann".to_owned(), "ann@contoso.example".to_owned())].into_iter().collect();
        let mut calls = Calls {
            key: vec!["number".to_owned()],
            form: Some(form),
            started_by: Vec::new(),
            people: People { people, ..People::default() },
            zone: TimeZone::UTC,
        };
        let read = |calls: &Calls, body: &str| {
            calls.read(body.as_bytes()).map(|call| {
                (call.key.to_string(), call.by.unwrap_or_default(), Json::from_iter(call.filled).to_string())
            })
        };
        let whole =
            r#"{"number": "R-1", "by": "Ann@contoso.example", "amount": 120.50, "urgent": true, "until": null}"#;
        let expected = ("R-1".to_owned(), "ann".to_owned(), r#"{"amount":120.50,"urgent":true}"#.to_owned());
        assert_eq!(read(&calls, whole), Ok(expected));
        let wrong = |calls: &Calls, body: Json| read(calls, &body.to_string()).unwrap_err();
        for (body, why) in [
            (json!({ "amount": 5 }), "the body has to be JSON with the key of the record: number"),
            (json!({ "number": "R-1" }), "amount: it has to be filled in"),
            (
                json!({ "number": "R-1", "amount": "a lot", "until": "2027-02-29" }),
                "amount: `a lot` is no amount; write it like 1250.50; until: `2027-02-29` is no date; write it like 2026-03-31",
            ),
            (json!({ "number": "R-1", "amount": [1] }), "amount: it holds several values"),
            (
                json!({ "number": "R-1", "amount": 1, "so": 1 }),
                "so: the form has no such field; it has: amount, urgent, until",
            ),
        ] {
            assert_eq!(wrong(&calls, body), why);
        }
        calls.started_by = vec!["ann".to_owned()];
        let may = "by: it has to be whoever may start this flow: ann";
        assert_eq!(wrong(&calls, json!({ "number": "R-1", "amount": 1 })), may);
        assert_eq!(wrong(&calls, json!({ "number": "R-1", "amount": 1, "by": "eve" })), may);
        // Without a form the rest of the body is left alone.
        calls.form = None;
        calls.started_by.clear();
        assert!(read(&calls, r#"{"number": "R-1", "more": [1]}"#).is_ok());
    }
}
