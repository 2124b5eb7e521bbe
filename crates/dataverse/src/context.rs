//! `RemoteExecutionContext`: what a registered step posts to a webhook.
//!
//! Only what names the row is taken from it. A context above 256 KB comes without its parameters and images, and is as
//! good as a whole one.

use record::{Code, Happened, Signal, Value};
use serde_json::Value as Json;

pub(crate) const NOT_A_CONTEXT: Code = Code("IB0801");

/// *Errors*: what is missing, in a few words.
pub(crate) fn decode(body: &[u8]) -> Result<Signal, String> {
    let context: Json = serde_json::from_slice(body).map_err(|why| format!("it is not JSON: {why}"))?;
    let text = |name: &str| context[name].as_str().ok_or_else(|| format!("it has no `{name}`"));
    let happened = match text("MessageName")? {
        "Create" => Happened::Created,
        "Update" => Happened::Updated,
        "Delete" => Happened::Deleted,
        other => return Err(format!("its message is `{other}`; there are Create, Update and Delete")),
    };
    let id = text("PrimaryEntityId")?;
    let id = id.parse().map(Value::Guid).map_err(|_| format!("its `PrimaryEntityId` is `{id}`"))?;
    Ok(Signal { happened, table: text("PrimaryEntityName")?.to_owned(), id, columns: written(&context) })
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
        let short = r#"{"MessageName": "Create", "PrimaryEntityName": "account", "PrimaryEntityId": "b5b6a2f1-0000-4000-8000-000000000001", "InputParameters": null}"#;
        assert_eq!(decode(short.as_bytes()).unwrap().columns, None);
    }

    #[test]
    fn what_is_no_context_says_why() {
        let check = |body: &str, expected: &str| {
            let why = decode(body.as_bytes()).unwrap_err();
            assert!(why.contains(expected), "{body}: {why}");
        };
        check("{", "not JSON");
        check("{}", "`MessageName`");
        check(r#"{"MessageName": "Win"}"#, "`Win`");
        check(r#"{"MessageName": "Create", "PrimaryEntityId": "7"}"#, "`7`");
    }
}
