//! One column read from its metadata, and the small parts that every definition has.

use serde_json::Value;

use super::{Answer, invalid};
use crate::dataverse::columns::{self, column};
use crate::dataverse::model::{Behaviour, Choice, Column, Kind, Required};
use crate::dataverse::refusal::Refusal;
use crate::dataverse::value;

/// One column from its metadata, plain or "complex".
pub fn read_column(body: &Value) -> Answer<Column> {
    let schema_name = text(body, "SchemaName").ok_or_else(|| invalid("'SchemaName' is required."))?;
    check_name(schema_name)?;
    let kind = text(body, "@odata.type").unwrap_or_default();
    let kind = kind.trim_start_matches('#').trim_start_matches("Microsoft.Dynamics.CRM.");
    let kind = kind.trim_start_matches("Complex").trim_end_matches("AttributeMetadata");
    let shown = label(&body["DisplayName"]).unwrap_or_else(|| schema_name.to_owned());
    let number = |name: &str| body[name].as_i64();
    let places = |default: i64, most: i64| -> Answer<u32> {
        let places = number("Precision").unwrap_or(default);
        u32::try_from(places)
            .ok()
            .filter(|places| i64::from(*places) <= most)
            .ok_or_else(|| invalid(format!("'Precision' of '{schema_name}' must be between 0 and {most}.")))
    };
    let bound = |name: &str, default: &str| match &body[name] {
        Value::Number(number) => {
            value::decimal(&number.to_string()).map_or_else(|| default.to_owned(), |n| n.to_string())
        }
        _ => default.to_owned(),
    };
    let length = |default: i64, most: i64| -> Answer<usize> {
        let length = number("MaxLength").unwrap_or(default);
        usize::try_from(length)
            .ok()
            .filter(|length| *length > 0 && length <= &usize::try_from(most).unwrap_or(0))
            .ok_or_else(|| invalid(format!("'MaxLength' of '{schema_name}' must be between 1 and {most}.")))
    };
    let kind = match kind {
        "String" => Kind::Text {
            max_length: length(100, 4000)?,
            format: body["FormatName"]["Value"].as_str().or(text(body, "Format")).unwrap_or("Text").to_owned(),
        },
        "Memo" => Kind::Memo { max_length: length(2000, 1_048_576)? },
        "Integer" => Kind::Integer {
            min: number("MinValue").and_then(|n| i32::try_from(n).ok()).unwrap_or(i32::MIN),
            max: number("MaxValue").and_then(|n| i32::try_from(n).ok()).unwrap_or(i32::MAX),
        },
        "BigInt" => Kind::BigInt,
        "Double" => Kind::Double { precision: places(2, 5)? },
        "Decimal" => match columns::decimal(schema_name, &shown, places(2, 10)?).kind {
            Kind::Decimal { precision, min, max } => {
                Kind::Decimal { precision, min: bound("MinValue", &min), max: bound("MaxValue", &max) }
            }
            other => other,
        },
        "Money" => Kind::Money {
            precision: places(2, 4)?,
            min: bound("MinValue", "-922337203685477"),
            max: bound("MaxValue", columns::MONEY_MAX),
            is_base: false,
            // What says nothing goes by the currency.
            source: number("PrecisionSource").and_then(|n| u8::try_from(n).ok()).filter(|n| *n <= 2).unwrap_or(2),
        },
        "Boolean" => {
            let side = |name: &str, default: &str| {
                label(&body["OptionSet"][name]["Label"]).unwrap_or_else(|| default.to_owned())
            };
            Kind::Boolean { labels: [side("FalseOption", "No"), side("TrueOption", "Yes")] }
        }
        "DateTime" => {
            let behaviour = match body["DateTimeBehavior"]["Value"].as_str() {
                Some("DateOnly") => Behaviour::DateOnly,
                Some("TimeZoneIndependent") => Behaviour::TimeZoneIndependent,
                _ => Behaviour::UserLocal,
            };
            Kind::DateTime { behaviour, date_format: text(body, "Format") == Some("DateOnly") }
        }
        "Picklist" => Kind::Choice { options: read_options(body, schema_name)? },
        "MultiSelectPicklist" => Kind::Choices { options: read_options(body, schema_name)? },
        "UniqueIdentifier" => Kind::Uniqueidentifier,
        "Lookup" => {
            return Err(invalid(format!(
                "The lookup '{schema_name}' must be created with its relationship, by POST RelationshipDefinitions."
            )));
        }
        other => return Err(Refusal::not_emulated(format!("columns of type '{other}'"))),
    };
    let mut column = column(schema_name, &shown, kind).custom().required(required(body)?);
    column.external_name = text(body, "ExternalName").filter(|name| !name.is_empty()).map(str::to_owned);
    Ok(column)
}

fn read_options(body: &Value, schema_name: &str) -> Answer<Vec<Choice>> {
    if body.get("GlobalOptionSet@odata.bind").is_some() {
        return Err(Refusal::not_emulated("global choices"));
    }
    let options = body["OptionSet"]["Options"].as_array();
    let options = options.ok_or_else(|| invalid(format!("'OptionSet/Options' of '{schema_name}' is required.")))?;
    let mut read = Vec::new();
    for (index, option) in options.iter().enumerate() {
        // The publisher's prefix decides where numbers begin that nobody chose.
        let fallback = 100_000_000 + i64::try_from(index).unwrap_or(0);
        let value = option["Value"].as_i64().unwrap_or(fallback);
        let value = i32::try_from(value).map_err(|_| invalid(format!("{value} is not a choice's value.")))?;
        read.push(Choice { value, label: label(&option["Label"]).unwrap_or_else(|| value.to_string()), state: None });
    }
    Ok(read)
}

pub fn required(body: &Value) -> Answer<Required> {
    Ok(match body["RequiredLevel"]["Value"].as_str() {
        None | Some("None") => Required::None,
        Some("Recommended") => Required::Recommended,
        Some("ApplicationRequired") => Required::Application,
        Some(other) => return Err(invalid(format!("The RequiredLevel '{other}' cannot be set."))),
    })
}

/// Names become SQL identifiers, so they are letters, digits and underscores, with the publisher's prefix first.
pub fn check_name(name: &str) -> Answer<()> {
    let sound = name.len() <= 100
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && name.split_once('_').is_some_and(|(prefix, rest)| !prefix.is_empty() && !rest.is_empty());
    if sound {
        return Ok(());
    }
    Err(invalid(format!(
        "'{name}' is not a valid name. Names have a customization prefix such as new_, then letters, digits and \
         underscores."
    )))
}

/// The first text of a label.
pub fn label(body: &Value) -> Option<String> {
    let first = body["LocalizedLabels"].get(0).unwrap_or(&body["UserLocalizedLabel"]);
    first["Label"].as_str().map(str::to_owned)
}

pub fn text<'a>(body: &'a Value, name: &str) -> Option<&'a str> {
    body[name].as_str()
}
