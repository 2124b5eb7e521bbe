//! Values as JSON text, exactly: a number is written as it is, never through a float.

use std::fmt::Write;

use record::{Fault, Now, Row, Value, ValueRef};
use serde_json::{Map, Value as Json, json};

/// A row as a JSON object; the columns that `hidden` names show `***`.
pub fn row(row: &Row, hidden: &[&str]) -> String {
    let mut out = String::from("{");
    for (i, (name, value)) in row.iter().enumerate() {
        if i > 0 {
            out.push_str(", ");
        }
        let _ = write!(out, "{}: ", Json::from(name));
        if hidden.contains(&name) && !value.is_blank() {
            out.push_str("\"***\"");
        } else {
            put(&mut out, value.as_ref());
        }
    }
    out.push('}');
    out
}

fn put(out: &mut String, value: ValueRef<'_>) {
    let done = match value {
        ValueRef::Blank => write!(out, "null"),
        ValueRef::Bool(v) => write!(out, "{v}"),
        ValueRef::Int(v) => write!(out, "{v}"),
        ValueRef::Decimal(v) => write!(out, "{v}"),
        ValueRef::Float(v) => write!(out, "{}", Json::from(v)),
        ValueRef::Rows(rows) => {
            let rows: Vec<String> = rows.iter().map(|child| row(child, &[])).collect();
            write!(out, "[{}]", rows.join(", "))
        }
        other => write!(out, "{}", Json::from(other.to_string())),
    };
    done.expect("writing to a String does not fail");
}

/// What JSON says, as a value: a number keeps its text; a date is a text until its field says otherwise.
pub(crate) fn value(json: &Json) -> Value {
    match json {
        Json::Null => Value::Blank,
        Json::Bool(v) => Value::Bool(*v),
        Json::String(v) => Value::Text(v.clone()),
        Json::Number(v) => v.to_string().parse().map_or_else(|_| Value::Text(v.to_string()), Value::Decimal),
        other => Value::Text(other.to_string()),
    }
}

/// A value as JSON: what [`value`] makes of it again.
pub(crate) fn of(value: &Value) -> Json {
    let mut text = String::new();
    put(&mut text, value.as_ref());
    serde_json::from_str(&text).unwrap_or_else(|_| Json::from(value.to_string()))
}

/// Whether two values are the same: `8500.5` and `8500.50` are one number.
pub(crate) fn alike(one: &Json, other: &Json) -> bool {
    match (value(one), value(other)) {
        (Value::Decimal(one), Value::Decimal(other)) => one == other,
        _ => one == other,
    }
}

/// A fault with all its parts: the same fields wherever an error is shown as JSON.
pub fn fault(fault: &Fault) -> Json {
    let mut out = Map::new();
    out.insert("code".into(), json!(fault.code.0));
    out.insert("what".into(), json!(fault.what));
    let place = &fault.place;
    let parts = [
        ("system", &place.system),
        ("table", &place.table),
        ("key", &place.key),
        ("column", &place.column),
        ("value", &place.value),
        ("formula", &place.formula),
    ];
    let place: Map<String, Json> =
        parts.into_iter().filter_map(|(name, part)| Some((name.to_owned(), json!(part.as_ref()?)))).collect();
    out.insert("where".into(), Json::Object(place));
    if let Some(why) = &fault.why {
        out.insert(
            "why".into(),
            json!({ "status": why.status, "code": why.code, "text": why.text, "request_id": why.request_id }),
        );
    }
    let now = match fault.now {
        Now::RetryAfter(_) => "retry",
        Now::Reject => "reject",
        Now::Stop => "stop",
        Now::AskPerson => "ask_person",
    };
    out.insert("now".into(), json!(now));
    out.insert("do".into(), json!(fault.fix));
    out.insert("more".into(), json!(format!("ironbridge explain {}", fault.code)));
    Json::Object(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use record::{Schema, Type};

    #[test]
    fn numbers_are_exact_and_personal_columns_are_hidden() {
        let schema =
            Schema::of([("n", Type::Money), ("mail", Type::Unknown), ("x", Type::Unknown), ("t", Type::Unknown)]);
        let amount = Value::Decimal("0.10000000000000000000000001".parse().unwrap());
        let values = vec![amount, "a@b.example".into(), Value::Blank, "say \"hi\"\n".into()];
        assert_eq!(
            row(&Row::new(schema, values), &["mail", "x"]),
            r#"{"n": 0.10000000000000000000000001, "mail": "***", "x": null, "t": "say \"hi\"\n"}"#
        );
    }
}
