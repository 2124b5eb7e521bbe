//! `RemoteExecutionContext`: what a registered step posts to a webhook.
//!
//! Only what names the row is taken from it. A context above 256 KB comes without its parameters and images, and is as
//! good as a whole one.

use record::{Code, Decimal, Happened, Signal, Value};
use serde_json::Value as Json;
use serde_json::value::RawValue;

use crate::json;

pub(crate) const NOT_A_CONTEXT: Code = Code("IB0801");

/// *Errors*: what is missing, in a few words.
pub(crate) fn decode(body: &[u8]) -> Result<Signal, String> {
    let context: Json = serde_json::from_slice(body).map_err(|why| format!("it is not JSON: {why}"))?;
    let text = |name: &str| context[name].as_str().ok_or_else(|| format!("it has no `{name}`"));
    let message = text("MessageName")?;
    let happened = match message {
        "Create" => Happened::Created,
        "Delete" => Happened::Deleted,
        // The hub itself reads the row when it hears of it, for ever.
        _ if message.starts_with("Retrieve") => {
            return Err(format!("its message is `{message}`, which changes nothing"));
        }
        // And whatever else is done with a row: Assign, SetState, Merge, Associate, an action of one's own.
        _ => Happened::Updated,
    };
    let id = text("PrimaryEntityId")?;
    let id = id.parse().map(Value::Guid).map_err(|_| format!("its `PrimaryEntityId` is `{id}`"))?;
    if id == Value::Guid(Default::default()) {
        return Err(format!(
            "its message `{message}` names no row; steps for Create, Update and Delete are told of each row, also of \
             those that are written many at a time"
        ));
    }
    Ok(Signal {
        happened,
        table: text("PrimaryEntityName")?.to_owned(),
        id,
        columns: written(&context),
        values: values(body),
        environment: text("OrganizationId").ok().map(str::to_owned),
    })
}

/// What the event says of the row's columns: what was written, over the image after it, over the image before it.
/// A lookup, which names a row by its id alone, is not among them.
fn values(body: &[u8]) -> Vec<(String, Value)> {
    let mut values: Vec<(String, Value)> = Vec::new();
    let Some(context) = json::object(body) else { return values };
    for part in ["InputParameters", "PostEntityImages", "PreEntityImages"] {
        for (key, held) in pairs(context.get(part).copied()) {
            let held = json::object(held.get().as_bytes()).filter(|_| part != "InputParameters" || key == "Target");
            for (name, raw) in pairs(held.as_ref().and_then(|held| held.get("Attributes").copied())) {
                if let Some(value) = value(raw.get()).filter(|_| values.iter().all(|(known, _)| *known != name)) {
                    values.push((name, value));
                }
            }
        }
    }
    values
}

/// `[{"key": …, "value": …}]`, with the values as they were written.
fn pairs<'a>(raw: Option<&'a RawValue>) -> Vec<(String, &'a RawValue)> {
    let pair = |raw: &'a RawValue| {
        let object = json::object(raw.get().as_bytes())?;
        Some((json::member(&object, "key")?, *object.get("value")?))
    };
    raw.and_then(json::rows).unwrap_or_default().into_iter().filter_map(pair).collect()
}

/// The value of an attribute; nothing where it is none that stands by itself.
fn value(raw: &str) -> Option<Value> {
    let json: Json = serde_json::from_str(raw).ok()?;
    let number = |raw: &str| match raw.parse::<i64>() {
        Ok(number) => Some(Value::Int(number)),
        Err(_) => Decimal::from_str_exact(raw).or_else(|_| Decimal::from_scientific(raw)).ok().map(Value::Decimal),
    };
    Some(match &json {
        Json::Null => Value::Blank,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(_) => number(raw.trim())?,
        Json::String(text) => match text.strip_prefix("/Date(").and_then(|rest| rest.strip_suffix(")/")) {
            Some(date) => instant(date).map_or_else(|| Value::Text(text.clone()), Value::Instant),
            None => Value::Text(text.clone()),
        },
        // OptionSetValue and Money.
        Json::Object(_) => number(json::object(raw.as_bytes())?.get("Value")?.get().trim())?,
        // OptionSetValueCollection.
        Json::Array(choices) => {
            let numbers: Option<Vec<String>> =
                choices.iter().map(|one| Some(one["Value"].as_i64()?.to_string())).collect();
            Value::Text(numbers?.join(","))
        }
    })
}

/// Milliseconds since 1970 in UTC; an offset behind them only informs. Nothing where somebody has typed what looks like it.
fn instant(date: &str) -> Option<jiff::Timestamp> {
    let (sign, digits) = date.strip_prefix('-').map_or((1, date), |digits| (-1, digits));
    let (ms, offset) = digits.split_at(digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len()));
    let is_offset = offset.is_empty() || offset.starts_with(['+', '-']);
    let ms: i64 = ms.parse().ok().filter(|_| is_offset)?;
    jiff::Timestamp::from_millisecond(sign * ms).ok()
}

/// The columns of the `Target`; nothing where the context was shortened.
fn written(context: &Json) -> Option<Vec<String>> {
    let target = context["InputParameters"].as_array()?.iter().find(|pair| pair["key"] == "Target")?;
    let attributes = target["value"]["Attributes"].as_array()?;
    Some(attributes.iter().filter_map(|pair| pair["key"].as_str().map(str::to_owned)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_names_its_row_and_what_was_written() {
        let whole = r#"{"MessageName": "Update", "PrimaryEntityName": "account", "PrimaryEntityId": "b5b6a2f1-0000-4000-8000-000000000001",
            "InputParameters": [{"key": "Target", "value": {"Attributes": [{"key": "name", "value": "x"}, {"key": "creditlimit", "value": null}]}}]}"#;
        let signal = decode(whole.as_bytes()).unwrap();
        assert_eq!((signal.happened, signal.table.as_str()), (Happened::Updated, "account"));
        assert_eq!(signal.id.to_string(), "b5b6a2f1-0000-4000-8000-000000000001");
        assert_eq!(signal.columns, Some(vec!["name".to_owned(), "creditlimit".to_owned()]));
        assert_eq!(signal.values, [("name".to_owned(), Value::text("x")), ("creditlimit".to_owned(), Value::Blank)]);
        let short = r#"{"MessageName": "Create", "PrimaryEntityName": "account", "PrimaryEntityId": "b5b6a2f1-0000-4000-8000-000000000001", "InputParameters": null}"#;
        assert_eq!(decode(short.as_bytes()).unwrap().columns, None);
    }

    #[test]
    fn whatever_is_done_with_a_row_is_a_change_of_it() {
        for message in ["Assign", "SetState", "SetStateDynamicEntity", "Merge", "Associate", "contoso_Recalculate"] {
            let context = serde_json::json!({
                "MessageName": message, "PrimaryEntityName": "account", "PrimaryEntityId": "b5b6a2f1-0000-4000-8000-000000000001",
                "InputParameters": [{ "key": "EntityMoniker", "value": { "Id": "7", "LogicalName": "account" } }],
            });
            let signal = decode(context.to_string().as_bytes()).unwrap();
            assert_eq!(
                (signal.happened, signal.columns, signal.values),
                (Happened::Updated, None, vec![]),
                "{message}"
            );
        }
    }

    #[test]
    fn what_was_written_wins_over_the_images_and_numbers_stay_exact() {
        let body = r#"{"MessageName": "Update", "PrimaryEntityName": "salesorder", "PrimaryEntityId": "b5b6a2f1-0000-4000-8000-000000000001",
            "InputParameters": [{"key": "Target", "value": {"Attributes": [
                {"key": "total", "value": {"__type": "Money:x", "Value": 12345678901234.5678}},
                {"key": "statuscode", "value": {"__type": "OptionSetValue:x", "Value": 3}},
                {"key": "interests", "value": [{"__type": "OptionSetValue:x", "Value": 2}, {"Value": 5}]},
                {"key": "modifiedon", "value": "\/Date(1506384247000-0700)\/"},
                {"key": "customerid", "value": {"__type": "EntityReference:x", "Id": "7"}}]}}],
            "PostEntityImages": [{"key": "ironbridge", "value": {"Attributes": [
                {"key": "ordernumber", "value": "SO-1"}, {"key": "total", "value": {"Value": 1}}]}}],
            "PreEntityImages": [{"key": "p", "value": {"Attributes": [{"key": "ordernumber", "value": "SO-0"}]}}]}"#;
        let values = decode(body.as_bytes()).unwrap().values;
        let expected = [
            ("total", Value::Decimal("12345678901234.5678".parse().unwrap())),
            ("statuscode", Value::Int(3)),
            ("interests", Value::text("2,5")),
            ("modifiedon", Value::Instant("2017-09-26T00:04:07Z".parse().unwrap())),
            ("ordernumber", Value::text("SO-1")),
        ];
        assert_eq!(values, expected.map(|(name, value)| (name.to_owned(), value)));
    }

    #[test]
    fn a_time_is_one_and_what_somebody_typed_stays_as_it_is() {
        let time = |text: &str| Value::Instant(text.parse().unwrap());
        for (sent, expected) in [
            (r"\/Date(1506384247000)\/", time("2017-09-26T00:04:07Z")),
            (r"\/Date(1506384247000+0200)\/", time("2017-09-26T00:04:07Z")),
            (r"\/Date(-1000)\/", time("1969-12-31T23:59:59Z")),
            (r"\/Date()\/", Value::text("/Date()/")),
            (r"\/Date(é)\/", Value::text("/Date(é)/")),
            (r"\/Date(-)\/", Value::text("/Date(-)/")),
            (r"\/Date(1 May)\/", Value::text("/Date(1 May)/")),
            (r"\/Date(99999999999999999)\/", Value::text("/Date(99999999999999999)/")),
        ] {
            assert_eq!(value(&format!("\"{sent}\"")), Some(expected), "{sent}");
        }
    }

    #[test]
    fn what_is_no_context_says_why() {
        let check = |body: &str, expected: &str| {
            let why = decode(body.as_bytes()).unwrap_err();
            assert!(why.contains(expected), "{body}: {why}");
        };
        check("{", "not JSON");
        check("{}", "`MessageName`");
        check(r#"{"MessageName": "Retrieve", "PrimaryEntityId": "7"}"#, "`Retrieve`, which changes nothing");
        let bulk = r#"{"MessageName": "UpdateMultiple", "PrimaryEntityId": "00000000-0000-0000-0000-000000000000"}"#;
        check(bulk, "`UpdateMultiple` names no row");
        check(r#"{"MessageName": "Create", "PrimaryEntityId": "7"}"#, "`7`");
    }
}
