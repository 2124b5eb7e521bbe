//! Alternate keys: what state those are in that mappings write by, and how a missing one is made.
//!
//! A key is an index that the platform builds in the background. It stays `Failed`, without a word to whoever asked for
//! it, where rows have the same values: so the rows are counted first, by `groupby`, which the platform answers for
//! tables of up to 50,000 rows.
//!
//! *Source*: facts of `EntityKeyMetadata`, of the action `ReactivateEntityKey`, and of `$apply`.

use odata::encode;
use record::{Difference, Fault, How, WantedKey};
use reqwest::Method;
use serde_json::{Value as Json, json};

use crate::client::{Call, Client};
use crate::refusal::WRITE;
use crate::register::{text, write};
use crate::table::Table;

/// The publisher of an environment that has no other.
const DEFAULT_PREFIX: &str = "new";
/// English.
const LANGUAGE: u32 = 1033;

/// Compares, and with `apply` makes what is missing and tries again what failed; answers what was different.
pub(crate) async fn keys(client: &Client, wanted: &[WantedKey], apply: bool) -> Result<Vec<Difference>, Fault> {
    let mut found = Vec::new();
    for key in wanted {
        let table = client.table(&key.table, WRITE).await?;
        let at = format!("EntityDefinitions(LogicalName='{}')/Keys", encode(&key.table.replace('\'', "''")));
        let select = "?$select=LogicalName,KeyAttributes,EntityKeyIndexStatus";
        let answer = client.ask(&Call::get(format!("{at}{select}"), WRITE), &key.table).await?;
        let answer: Json = serde_json::from_slice(&answer.body).unwrap_or_default();
        let known = answer["value"].as_array().into_iter().flatten().find(|known| same(known, &key.columns));
        let called = format!("key of `{}` on {}", key.table, key.columns.join(", "));
        let (how, what) = match known.map(|known| (known, text(known, "EntityKeyIndexStatus"))) {
            Some((_, status)) if status == "Active" => (How::Same, called),
            Some((known, status)) if status == "Failed" => {
                if apply {
                    let body = json!({
                        "EntityLogicalName": key.table, "EntityKeyLogicalName": text(known, "LogicalName"),
                    });
                    write(client, Method::POST, "ReactivateEntityKey", &body).await?;
                }
                (How::Change, format!("{called}: its index could not be built{}", repeated(client, &table, key).await))
            }
            Some(_) => (How::Same, format!("{called}: its index is being built")),
            None => {
                let name = format!("{}_by_{}", prefix(key), key.columns.join("_"));
                if apply {
                    write(client, Method::POST, &at, &definition(&name, &key.columns)).await?;
                }
                (How::Add, format!("{called}, named {name}{}", repeated(client, &table, key).await))
            }
        };
        found.push(Difference { how, what });
    }
    client.forget_tables();
    Ok(found)
}

fn same(known: &Json, columns: &[String]) -> bool {
    let of_key: Vec<&str> = known["KeyAttributes"].as_array().into_iter().flatten().filter_map(Json::as_str).collect();
    of_key.len() == columns.len() && columns.iter().all(|column| of_key.contains(&column.as_str()))
}

fn definition(name: &str, columns: &[String]) -> Json {
    let label = format!("By {}", columns.join(", "));
    json!({
        "SchemaName": name,
        "KeyAttributes": columns,
        "DisplayName": {
            "@odata.type": "Microsoft.Dynamics.CRM.Label",
            "LocalizedLabels": [{
                "@odata.type": "Microsoft.Dynamics.CRM.LocalizedLabel", "Label": label, "LanguageCode": LANGUAGE,
            }],
        },
    })
}

/// The publisher's prefix: that of a custom column or table, where there is one.
fn prefix(key: &WantedKey) -> &str {
    let names = key.columns.iter().chain([&key.table]);
    names
        .filter_map(|name| name.split_once('_'))
        .map(|(prefix, _)| prefix)
        .find(|prefix| !prefix.is_empty())
        .unwrap_or(DEFAULT_PREFIX)
}

/// `; 3 values are in more than one row`, or nothing: also where the platform does not count them.
async fn repeated(client: &Client, table: &Table, key: &WantedKey) -> String {
    let by = format!("groupby(({}),aggregate($count as rows))", key.columns.join(","));
    let call = Call::get(format!("{}?$apply={}", table.set, encode(&by)), WRITE);
    let Ok(answer) = client.ask(&call, &key.table).await else { return String::new() };
    let answer: Json = serde_json::from_slice(&answer.body).unwrap_or_default();
    let groups = answer["value"].as_array().map(Vec::as_slice).unwrap_or_default();
    match groups.iter().filter(|group| group["rows"].as_u64() > Some(1)).count() {
        0 => String::new(),
        1 => "; 1 value is in more than one row".to_owned(),
        many => format!("; {many} values are in more than one row"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_named_with_the_prefix_of_its_publisher() {
        for (table, column, expected) in
            [("account", "accountnumber", "new"), ("contoso_part", "name", "contoso"), ("account", "erp_number", "erp")]
        {
            let key = WantedKey { table: table.into(), columns: vec![column.into()] };
            assert_eq!(prefix(&key), expected, "{table}.{column}");
        }
    }
}
