//! Columns of a virtual table, and lookups to other virtual tables.

use record::{Difference, Fault, How, Published, Type, VirtualColumn, VirtualTable};
use reqwest::Method;
use serde_json::{Value as Json, json};

use super::{in_the_way, label, put, table};
use crate::client::Client;
use crate::register::{text, write};

/// The most characters of a text in one line.
const TEXT_MAX: u32 = 4_000;
const NAME_MAX: u32 = 850;
const MEMO_MAX: u32 = 1_048_576;

/// Makes the columns as they should be, or only says what is different.
pub(super) async fn settle(
    client: &Client,
    wanted: &VirtualTable,
    there: Option<&Json>,
    apply: bool,
    found: &mut Published,
) -> Result<(), Fault> {
    let none = Vec::new();
    let known = there.and_then(|there| there["Attributes"].as_array()).unwrap_or(&none);
    let primary = there.map(|there| text(there, "PrimaryIdAttribute"));
    let known_of = |column: &VirtualColumn| {
        let name = column.column.to_lowercase();
        known.iter().find(|row| text(row, "LogicalName") == name)
    };
    let others: Vec<String> =
        wanted.columns.iter().filter_map(|column| is_another_type(known_of(column)?, column)).collect();
    if !others.is_empty() {
        return Err(in_the_way(
            client,
            wanted,
            others.join("; "),
            "the type of a column cannot be changed: delete it in Dynamics (from its forms and views too), and publish again",
        ));
    }
    found.differences.push(settle_id(client, wanted, known, primary.as_deref(), apply).await?);
    for column in &wanted.columns {
        if let Some(difference) = settle_one(client, wanted, column, known_of(column), apply, &mut found.notes).await? {
            found.differences.push(difference);
        }
    }
    for row in known {
        let name = text(row, "LogicalName");
        let is_ours = row["ExternalName"].is_string() && primary.as_deref() != Some(name.as_str());
        if !is_ours || wanted.columns.iter().any(|column| column.column.to_lowercase() == name) {
            continue;
        }
        if apply {
            let path = format!("{}/Attributes({})", definition(wanted), text(row, "MetadataId"));
            write(client, Method::DELETE, &path, &Json::Null).await?;
        }
        let what = format!("column `{name}`: `{}` is shown no more", text(row, "ExternalName"));
        found.differences.push(Difference { how: How::Remove, what });
    }
    Ok(())
}

/// The table's own key has the name of the service's key.
async fn settle_id(
    client: &Client,
    wanted: &VirtualTable,
    known: &[Json],
    primary: Option<&str>,
    apply: bool,
) -> Result<Difference, Fault> {
    let name = primary.map_or_else(|| format!("{}id", wanted.table), str::to_owned);
    let what = format!("key `{name}` is `{}`", wanted.id);
    let Some(there) = known.iter().find(|row| text(row, "LogicalName") == name) else {
        return Ok(Difference { how: How::Add, what });
    };
    if text(there, "ExternalName") == wanted.id {
        return Ok(Difference { how: How::Same, what });
    }
    if apply {
        let body = json!({
            "@odata.type": "Microsoft.Dynamics.CRM.UniqueIdentifierAttributeMetadata",
            "MetadataId": there["MetadataId"], "SchemaName": there["SchemaName"], "LogicalName": name,
            "ExternalName": wanted.id,
        });
        put(client, &format!("{}/Attributes({})", definition(wanted), text(there, "MetadataId")), body).await?;
    }
    let how = if there["ExternalName"].is_string() { How::Change } else { How::Add };
    Ok(Difference { how, what })
}

async fn settle_one(
    client: &Client,
    wanted: &VirtualTable,
    column: &VirtualColumn,
    there: Option<&Json>,
    apply: bool,
    notes: &mut Vec<String>,
) -> Result<Option<Difference>, Fault> {
    let must = if column.required { ", always there" } else { "" };
    let what = format!("column `{}` is `{}`: {}{must}", column.column, column.property, shown(column));
    let Some(there) = there else {
        if let Some(target) = &column.refers_to {
            if table(client, target).await?.is_none() {
                notes.push(format!("column `{}` waits until `{target}` is published", column.column));
                return Ok(None);
            }
            if apply {
                write(client, Method::POST, "RelationshipDefinitions", &relationship(wanted, column, target)).await?;
            }
        } else if apply {
            write(client, Method::POST, &format!("{}/Attributes", definition(wanted)), &body(column)).await?;
        }
        return Ok(Some(Difference { how: How::Add, what }));
    };
    let differs = differs(there, column);
    if differs.is_empty() {
        return Ok(Some(Difference { how: How::Same, what }));
    }
    if apply {
        let mut body = body(column);
        body["MetadataId"] = there["MetadataId"].clone();
        // What somebody has called it since stays.
        body["DisplayName"] = there["DisplayName"].clone();
        put(client, &format!("{}/Attributes({})", definition(wanted), text(there, "MetadataId")), body).await?;
    }
    Ok(Some(Difference { how: How::Change, what: format!("{what}; {}", differs.join(", ")) }))
}

/// Why a column that is there cannot become the one that should be.
///
/// *Source*: "Behavior and format of the Date and Time column": only times of `UserLocal` become others.
fn is_another_type(there: &Json, column: &VirtualColumn) -> Option<String> {
    let (name, kind) = (&column.column, text(there, "AttributeType"));
    let is = match &column.refers_to {
        _ if kind != attribute_type(column) => format!("of the type {kind}"),
        Some(target) => match there["Targets"].as_array() {
            Some(targets) if !targets.iter().any(|known| known == target.as_str()) => {
                let targets: Vec<&str> = targets.iter().filter_map(Json::as_str).collect();
                format!("a row of `{}`", targets.join("` or `"))
            }
            _ => return None,
        },
        None => {
            let behaviour = text(&there["DateTimeBehavior"], "Value");
            let wanted = body(column)["DateTimeBehavior"]["Value"].clone();
            if wanted.is_null() || behaviour.is_empty() || behaviour == "UserLocal" || wanted == behaviour.as_str() {
                return None;
            }
            format!("a time of the kind {behaviour}")
        }
    };
    Some(format!("the column `{name}` is {is} there, and should be {}", shown(column)))
}

/// What is different, in words. How long a text may be is not: nothing is refused on its way to a reader.
fn differs(there: &Json, column: &VirtualColumn) -> Vec<String> {
    let mut differs = Vec::new();
    if text(there, "ExternalName") != column.property {
        differs.push(format!("it was `{}`", text(there, "ExternalName")));
    }
    let level = text(&there["RequiredLevel"], "Value");
    if (level == "ApplicationRequired") != column.required {
        differs.push(if column.required { "it could be empty" } else { "it was always there" }.to_owned());
    }
    let body = body(column);
    if !body["Precision"].is_null() && there["Precision"] != body["Precision"] {
        differs.push(format!("it had {} places", there["Precision"]));
    }
    if !body["DateTimeBehavior"].is_null() && there["DateTimeBehavior"]["Value"] != body["DateTimeBehavior"]["Value"] {
        differs.push(format!("its times were {}", text(&there["DateTimeBehavior"], "Value")));
    }
    differs
}

fn definition(wanted: &VirtualTable) -> String {
    format!("EntityDefinitions(LogicalName='{}')", wanted.table)
}

fn attribute_type(column: &VirtualColumn) -> &'static str {
    if column.refers_to.is_some() {
        return "Lookup";
    }
    match &column.ty {
        Type::WholeNumber => "Integer",
        Type::Decimal { .. } | Type::Money => "Decimal",
        Type::Float => "Double",
        Type::YesNo => "Boolean",
        Type::Date | Type::DateTime | Type::LocalDateTime => "DateTime",
        _ if is_long(column) => "Memo",
        _ => "String",
    }
}

/// A row is called by a text of one line.
fn is_long(column: &VirtualColumn) -> bool {
    match column.ty {
        _ if column.is_name => false,
        Type::Multiline { .. } => true,
        Type::Text { max_length } => max_length.is_some_and(|length| length > TEXT_MAX),
        _ => false,
    }
}

fn shown(column: &VirtualColumn) -> String {
    match (&column.refers_to, &column.ty) {
        (Some(target), _) => format!("a row of `{target}`"),
        (None, Type::Money) => "a decimal of 4 places".to_owned(),
        (None, Type::Date) => "a date".to_owned(),
        (None, Type::WholeNumber) => "a whole number".to_owned(),
        (None, Type::Decimal { scale }) => format!("a decimal of {} places", scale.unwrap_or(10)),
        (None, Type::Float) => "a floating-point number".to_owned(),
        (None, Type::YesNo) => "yes or no".to_owned(),
        (None, Type::DateTime | Type::LocalDateTime) => "a date and time".to_owned(),
        (None, _) => format!("a text of {}", if is_long(column) { "many lines" } else { "one line" }),
    }
}

/// The definition of a column. A lookup is made with its [`relationship`].
pub(super) fn body(column: &VirtualColumn) -> Json {
    let kind = attribute_type(column);
    let level = if column.required { "ApplicationRequired" } else { "None" };
    let mut body = json!({
        "@odata.type": format!("Microsoft.Dynamics.CRM.{kind}AttributeMetadata"),
        "SchemaName": column.column,
        "DisplayName": label(&column.label),
        "ExternalName": column.property,
        "RequiredLevel": { "Value": level, "CanBeChanged": true, "ManagedPropertyLogicalName": "canmodifyrequirementlevelsettings" },
    });
    let length = |most: u32| match column.ty {
        Type::Text { max_length } | Type::Multiline { max_length } => max_length.unwrap_or(most).clamp(1, most),
        _ => most,
    };
    let more = match (kind, &column.ty) {
        ("Integer", _) => json!({ "MinValue": i32::MIN, "MaxValue": i32::MAX, "Format": "None" }),
        ("Decimal", Type::Decimal { scale }) => json!({ "Precision": scale.unwrap_or(10).min(10) }),
        ("Decimal", _) => json!({ "Precision": 4 }),
        ("Double", _) => json!({ "Precision": 5 }),
        ("Boolean", _) => {
            let option = |value: i64, text: &str| json!({ "Value": value, "Label": label(text) });
            json!({ "OptionSet": {
                "@odata.type": "Microsoft.Dynamics.CRM.BooleanOptionSetMetadata", "OptionSetType": "Boolean",
                "FalseOption": option(0, "No"), "TrueOption": option(1, "Yes"),
            } })
        }
        ("DateTime", Type::Date) => json!({ "Format": "DateOnly", "DateTimeBehavior": { "Value": "DateOnly" } }),
        ("DateTime", Type::LocalDateTime) => {
            json!({ "Format": "DateAndTime", "DateTimeBehavior": { "Value": "TimeZoneIndependent" } })
        }
        ("DateTime", _) => json!({ "Format": "DateAndTime", "DateTimeBehavior": { "Value": "UserLocal" } }),
        ("Lookup", _) => json!({}),
        ("Memo", _) => json!({ "MaxLength": length(MEMO_MAX), "Format": "TextArea" }),
        _ => {
            json!({ "MaxLength": length(if column.is_name { NAME_MAX } else { TEXT_MAX }), "FormatName": { "Value": "Text" } })
        }
    };
    super::merge(&mut body, more);
    body
}

fn relationship(wanted: &VirtualTable, column: &VirtualColumn, target: &str) -> Json {
    let level = if column.required { "ApplicationRequired" } else { "None" };
    json!({
        "@odata.type": "Microsoft.Dynamics.CRM.OneToManyRelationshipMetadata",
        "SchemaName": format!("{}{}_{}", wanted.prefix, wanted.table.trim_start_matches(&wanted.prefix), column.column),
        "ReferencedEntity": target,
        "ReferencingEntity": wanted.table,
        "Lookup": {
            "@odata.type": "Microsoft.Dynamics.CRM.LookupAttributeMetadata",
            "SchemaName": column.column,
            "DisplayName": label(&column.label),
            "ExternalName": column.property,
            "RequiredLevel": { "Value": level, "CanBeChanged": true, "ManagedPropertyLogicalName": "canmodifyrequirementlevelsettings" },
        },
        "CascadeConfiguration": {
            "Assign": "NoCascade", "Delete": "RemoveLink", "Merge": "NoCascade", "Reparent": "NoCascade",
            "Share": "NoCascade", "Unshare": "NoCascade",
        },
    })
}
