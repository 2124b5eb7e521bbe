//! Forms: what somebody filled in, checked here whatever the page or the command let through.

use std::collections::BTreeMap;

use definition::{FormField, Given, Project, With};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use record::{Fault, Key, Type, Value};
use serde_json::{Value as Json, json};

use super::record::Reader;
use super::running::ONCE;
use crate::compile::{Side, Systems};
use crate::{codes, json, money};

/// The most characters of a text whose field says nothing.
const TEXT_MAX: usize = 500;
const MULTILINE_MAX: usize = 10_000;

/// What was filled in, by the names of the fields.
pub type Filled = BTreeMap<String, Json>;

/// Why a field is not taken: `Amount`, `"abc" is no amount; write it like 1250.50`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    pub field: String,
    pub label: String,
    pub why: String,
}

/// What somebody filled in, as values. Pure.
///
/// *Shape*: `given` are texts by field; one that is not there is blank. `answer` says which fields are asked for.
///
/// *Errors*: every field that cannot be taken, in the order of the form; names that the form does not have come last.
pub fn take(
    fields: &[FormField],
    given: &[(String, String)],
    answer: Option<bool>,
    zone: &TimeZone,
) -> Result<Filled, Vec<Wrong>> {
    let (mut filled, mut wrong) = (Filled::new(), Vec::new());
    for field in fields.iter().filter(|field| field.with.goes(answer)) {
        let text = given.iter().rev().find(|(name, _)| *name == field.name).map_or("", |(_, text)| text.trim());
        match one(field, text, zone) {
            Ok(Value::Blank) => {}
            Ok(value) => drop(filled.insert(field.name.clone(), json::of(&shown(field, value)))),
            Err(why) => wrong.push(Wrong { field: field.name.clone(), label: field.label.clone(), why }),
        }
    }
    for (name, text) in given.iter().filter(|(_, text)| !text.trim().is_empty()) {
        match fields.iter().find(|field| field.name == *name) {
            Some(field) if field.with.goes(answer) => {}
            Some(field) => {
                let why = format!("it is filled in with the answer `{}` only", field.with.word());
                wrong.push(Wrong { field: name.clone(), label: field.label.clone(), why });
            }
            None => {
                let names: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
                let why = match names.is_empty() {
                    true => format!("nothing is to be filled in, and `{text}` was"),
                    false => format!("the form has no such field; it has: {}", names.join(", ")),
                };
                wrong.push(Wrong { field: name.clone(), label: name.clone(), why });
            }
        }
    }
    if wrong.is_empty() { Ok(filled) } else { Err(wrong) }
}

/// The value of a field with the digits of money.
fn shown(field: &FormField, mut value: Value) -> Value {
    if field.ty == Type::Money {
        money::put(&mut value, money::digits(currency(field).unwrap_or_default()));
    }
    value
}

/// The code of the currency of a field of money, where that is known.
pub fn currency(field: &FormField) -> Option<&str> {
    match field.currency.as_ref().filter(|_| field.ty == Type::Money)? {
        Given::Fixed(Value::Text(code) | Value::Choice(code)) => Some(code),
        _ => None,
    }
}

/// An amount as an example, with the digits of the currency.
pub fn example(field: &FormField) -> String {
    let digits = money::digits(currency(field).unwrap_or_default());
    match digits {
        0 => "1250".to_owned(),
        digits => format!("1250.{:0<1$}", 5, digits as usize),
    }
}

/// An amount that its currency can pay: nobody pays half a yen.
fn payable(field: &FormField, value: Value) -> Result<Value, String> {
    let (Some(code), Value::Decimal(amount)) = (currency(field), &value) else { return Ok(value) };
    let digits = money::digits(code);
    match amount.normalize().scale() <= digits {
        true => Ok(value),
        false => Err(match digits {
            0 => format!("it is {amount}, and {code} has no digits after the point"),
            _ => format!("it is {amount}, and {code} has {digits} digits after the point"),
        }),
    }
}

fn one(field: &FormField, text: &str, zone: &TimeZone) -> Result<Value, String> {
    if text.is_empty() {
        return if field.required { Err("it has to be filled in".to_owned()) } else { Ok(Value::Blank) };
    }
    let shown: String = text.chars().take(40).collect();
    let like = |what: &str, example: &str| format!("`{shown}` is no {what}; write it like {example}");
    let fitted = |what: &str, example: &str| {
        mapping::fit::fit(Value::text(text).as_ref(), &field.ty, Some(zone)).map_err(|misfit| match misfit.code {
            mapping::fit::NOT_OF_THE_TYPE => like(what, example),
            _ => format!("it {}", misfit.why),
        })
    };
    match &field.ty {
        Type::Text { max_length } => whole(text, max_length.map_or(TEXT_MAX, |max| max as usize), false),
        Type::Multiline { max_length } => whole(text, max_length.map_or(MULTILINE_MAX, |max| max as usize), true),
        Type::Reference { .. } => whole(text, TEXT_MAX, false),
        Type::WholeNumber => fitted("whole number", "12"),
        Type::Decimal { .. } => fitted("number", "12.5"),
        Type::Money => payable(field, fitted("amount", &example(field))?),
        Type::Date => fitted("date", "2026-03-31"),
        Type::DateTime => fitted("time", "2026-03-31 09:30"),
        Type::YesNo => match text.to_ascii_lowercase().as_str() {
            "yes" | "true" | "on" => Ok(Value::Bool(true)),
            "no" | "false" | "off" => Ok(Value::Bool(false)),
            _ => Err(format!("`{shown}` is neither `yes` nor `no`")),
        },
        Type::Choice { values } => match values.iter().find(|value| value.as_str() == text) {
            Some(value) => Ok(Value::Text(value.clone())),
            None => Err(format!("`{shown}` is none of: {}", values.join(", "))),
        },
        _ => Err("it cannot be filled in".to_owned()),
    }
}

fn whole(text: &str, max: usize, lines: bool) -> Result<Value, String> {
    let text = text.replace("\r\n", "\n");
    let count = text.chars().count();
    if count > max {
        return Err(format!("it has {count} characters, and at most {max} fit"));
    }
    if text.chars().any(|c| c.is_control() && !(lines && c == '\n')) {
        return Err("it holds characters that nobody can read, such as a line break".to_owned());
    }
    Ok(Value::Text(text))
}

/// Whether the records are there that references name, each in the first of the systems that reads it, `home` first.
///
/// *Errors*: a system that does not answer.
pub async fn there(
    project: &Project,
    systems: &dyn Systems,
    home: Option<&str>,
    fields: &[FormField],
    filled: &Filled,
) -> Result<Vec<Wrong>, Fault> {
    let mut wrong = Vec::new();
    for field in fields {
        let (Type::Reference { to }, Some(text)) = (&field.ty, filled.get(&field.name).and_then(Json::as_str)) else {
            continue;
        };
        let Some(entity) = to.first().and_then(|name| project.entity(name)) else { continue };
        let reads = |system: &&definition::System| {
            system.entity(&entity.name).is_some_and(|held| held.key_columns(entity).is_some())
        };
        let first = project.systems.iter().filter(reads).min_by_key(|system| home != Some(&*system.name));
        let (Some(system), Some(key)) = (first, crate::typed(project, &entity.name, &[text.to_owned()])) else {
            let why = format!("`{text}` is no key of a {}", entity.name);
            wrong.push(Wrong { field: field.name.clone(), label: field.label.clone(), why });
            continue;
        };
        if !is_there(project, systems, &system.name, entity, &key).await? {
            let why = format!("there is no {} {text} in {}", entity.name, system.name);
            wrong.push(Wrong { field: field.name.clone(), label: field.label.clone(), why });
        }
    }
    Ok(wrong)
}

async fn is_there(
    project: &Project,
    systems: &dyn Systems,
    system: &str,
    entity: &std::sync::Arc<record::Entity>,
    key: &Key,
) -> Result<bool, Fault> {
    let side = Side::open(project, systems, system)?;
    Ok(Reader::compile(project, &side, entity, &ONCE).await?.get(key).await?.is_some())
}

/// One fault for everything that is wrong with a form, for whoever does not see the fields.
pub fn refused(wrong: &[Wrong]) -> Fault {
    let all: Vec<String> = wrong.iter().map(|wrong| format!("{}: {}", wrong.field, wrong.why)).collect();
    Fault::ask_person(codes::FORM_WRONG, format!("the form is not filled in: {}", all.join("; ")))
        .fix("give each field: --field NAME=VALUE")
}

/// What a form says in one line. Personal values are `***`; *shape*: empty where nothing was filled in.
pub fn told(fields: &[FormField], filled: &Filled, zone: &TimeZone) -> String {
    let one = |field: &FormField| {
        let value = filled.get(&field.name)?;
        Some(format!("{} = {}", field.name, value_of(field, value, zone)))
    };
    fields.iter().filter_map(one).collect::<Vec<_>>().join(", ")
}

/// What stands in a field, as people read it: an amount with its currency, and `***` for what is personal.
pub fn value_of(field: &FormField, value: &Json, zone: &TimeZone) -> String {
    match (field.personal, currency(field)) {
        (true, _) => "***".to_owned(),
        (false, Some(code)) => format!("{} {code}", spoken(value)),
        (false, None) => spoken_in(value, zone),
    }
}

/// A value as people read it, with each time as clocks show it there: `2026-03-31 10:30 (Europe/London)`.
pub fn spoken_in(value: &Json, zone: &TimeZone) -> String {
    spoken(&on_clocks(value, zone))
}

/// Every text that is a moment in UTC, as [`json::of`] writes one, as clocks show it.
fn on_clocks(value: &Json, zone: &TimeZone) -> Json {
    let is_moment = |text: &str| text.len() >= 20 && text.as_bytes()[10] == b'T' && text.ends_with('Z');
    match value {
        Json::String(text) if is_moment(text) => {
            text.parse().map_or_else(|_| value.clone(), |at| clock(at, zone).into())
        }
        Json::Array(lines) => lines.iter().map(|line| on_clocks(line, zone)).collect(),
        Json::Object(parts) => parts
            .iter()
            .map(|(name, part)| (name.clone(), on_clocks(part, zone)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        value => value.clone(),
    }
}

/// A moment as clocks show it in a time zone, which is named; seconds only where there are some.
pub fn clock(at: Timestamp, zone: &TimeZone) -> String {
    let there = at.to_zoned(zone.clone());
    let time = there.strftime(if there.second() == 0 { "%Y-%m-%d %H:%M" } else { "%Y-%m-%d %H:%M:%S" });
    format!("{time} ({})", zone_name(zone))
}

/// `Europe/London`, or how far it is from UTC.
pub fn zone_name(zone: &TimeZone) -> String {
    zone.iana_name()
        .map_or_else(|| Timestamp::UNIX_EPOCH.to_zoned(zone.clone()).strftime("UTC%:z").to_string(), str::to_owned)
}

/// A value as people read it: lines are told one after the other, each with its parts. *Shape*: empty for a blank.
pub fn spoken(value: &Json) -> String {
    match value {
        Json::Null => String::new(),
        Json::Bool(true) => "yes".to_owned(),
        Json::Bool(false) => "no".to_owned(),
        Json::Number(number) => number.to_string(),
        Json::String(text) => text.clone(),
        Json::Array(lines) => lines.iter().map(spoken).collect::<Vec<_>>().join("; "),
        Json::Object(parts) => {
            let parts = parts.iter().filter(|(_, value)| !value.is_null());
            parts.map(|(name, value)| format!("{name} {}", spoken(value))).collect::<Vec<_>>().join(", ")
        }
    }
}

fn fixed(code: String) -> Given {
    Given::Fixed(Value::Text(code))
}

/// Fields as JSON, for what a question keeps; `defaults` are what stands in them at first, and `currencies` their codes.
pub fn kept(fields: &[FormField], defaults: &[Value], currencies: &[Value]) -> Json {
    let one = |(at, field): (usize, &FormField)| {
        let code = currencies.get(at).filter(|code| !code.is_blank()).map(Value::to_string);
        let field = &FormField { currency: code.map(fixed), ..field.clone() };
        let mut kept = json!({
            "name": field.name, "label": field.label, "type": field.ty.word(), "required": field.required,
            "with": field.with.word(),
        });
        match &field.ty {
            Type::Text { max_length } | Type::Multiline { max_length } => kept["max_length"] = json!(max_length),
            Type::Decimal { scale } => kept["scale"] = json!(scale),
            Type::Choice { values } => kept["values"] = json!(&values[..]),
            Type::Reference { to } => kept["entity"] = json!(to.first()),
            _ => {}
        }
        if let Some(code) = currency(field) {
            kept["currency"] = json!(code);
        }
        if field.personal {
            kept["personal"] = json!(true);
        }
        if let Some(default) = defaults.get(at).filter(|default| !default.is_blank()) {
            kept["default"] = json!(spoken(&json::of(&shown(field, default.clone()))));
        }
        kept
    };
    fields.iter().enumerate().map(one).collect()
}

/// What [`kept`] made, and what stands in each field at first. *Shape*: empty for anything else.
pub fn asked(kept: &Json) -> Vec<(FormField, String)> {
    let one = |kept: &Json| {
        let text = |name: &str| kept[name].as_str().unwrap_or_default().to_owned();
        let number = |name: &str| kept[name].as_u64().and_then(|number| u32::try_from(number).ok());
        let ty = match kept["type"].as_str()? {
            "text" => Type::Text { max_length: number("max_length") },
            "multiline" => Type::Multiline { max_length: number("max_length") },
            "whole_number" => Type::WholeNumber,
            "decimal" => Type::Decimal { scale: number("scale") },
            "money" => Type::Money,
            "yes_no" => Type::YesNo,
            "date" => Type::Date,
            "datetime" => Type::DateTime,
            "choice" => {
                let values = kept["values"].as_array().into_iter().flatten().filter_map(Json::as_str);
                Type::Choice { values: values.map(str::to_owned).collect() }
            }
            "reference" => Type::Reference { to: [text("entity")].into_iter().collect() },
            _ => return None,
        };
        let field = FormField {
            name: text("name"),
            label: text("label"),
            ty,
            required: kept["required"] == true,
            personal: kept["personal"] == true,
            currency: kept["currency"].as_str().map(|code| fixed(code.to_owned())),
            default: None,
            with: With::of(&text("with")),
        };
        Some((field, text("default")))
    };
    kept.as_array().into_iter().flatten().filter_map(one).collect()
}

#[cfg(test)]
mod tests;
