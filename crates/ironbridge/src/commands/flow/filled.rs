//! `--field NAME=VALUE` and `--json`: what is filled in with a form.

use std::io::Read;

use serde_json::Value as Json;

use crate::cli::Filled;
use crate::failure::{Failure, USAGE};

/// The texts by field, those of `--json` first: a `--field` beside it counts instead.
///
/// *Errors*: what is no `NAME=VALUE`, and what is no JSON object of plain values.
pub fn fields(filled: &Filled) -> Result<Vec<(String, String)>, Failure> {
    let mut fields = match filled.json.as_deref() {
        None => Vec::new(),
        Some("-") => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).map_err(|why| not_json(&why.to_string()))?;
            object(&text)?
        }
        Some(text) => object(text)?,
    };
    for field in &filled.fields {
        let Some((name, value)) = field.split_once('=').filter(|(name, _)| !name.trim().is_empty()) else {
            let what = format!("`{field}` is no field with its value");
            return Err(Failure::new(USAGE, hub::codes::FORM_WRONG, what, "write it like --field amount=1250.50"));
        };
        fields.push((name.trim().to_owned(), value.to_owned()));
    }
    Ok(fields)
}

fn object(text: &str) -> Result<Vec<(String, String)>, Failure> {
    let json: Json = serde_json::from_str(text).map_err(|why| not_json(&why.to_string()))?;
    let Json::Object(object) = json else { return Err(not_json("it is no object")) };
    let one = |(name, value): (String, Json)| match value {
        Json::Null => Ok((name, String::new())),
        Json::Array(_) | Json::Object(_) => Err(not_json(&format!("`{name}` holds several values"))),
        value => Ok((name, hub::flows::form::spoken(&value))),
    };
    object.into_iter().map(one).collect()
}

fn not_json(why: &str) -> Failure {
    let what = format!("--json holds no fields: {why}");
    Failure::new(USAGE, hub::codes::FORM_WRONG, what, "write it like --json '{\"amount\": 1250.50}'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_from_json_and_one_by_one() {
        let check = |json: Option<&str>, fields: &[&str], expected: Result<&str, &str>| {
            let filled = Filled {
                json: json.map(str::to_owned),
                fields: fields.iter().map(|field| (*field).to_owned()).collect(),
            };
            let said = super::fields(&filled).map(|fields| {
                fields.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
            });
            assert_eq!(said.as_deref().map_err(|failure| failure.what()), expected);
        };
        let json = r#"{"amount": 1250.50, "kind": "new", "note": null, "urgent": true}"#;
        check(Some(json), &["kind=more"], Ok("amount=1250.50 kind=new note= urgent=yes kind=more"));
        check(None, &["note=a=b"], Ok("note=a=b"));
        check(None, &["note"], Err("`note` is no field with its value"));
        check(Some("[1]"), &[], Err("--json holds no fields: it is no object"));
        check(Some(r#"{"a": [1]}"#), &[], Err("--json holds no fields: `a` holds several values"));
    }
}
