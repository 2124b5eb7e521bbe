//! The definition of a table, from `EntityDefinitions`.
//!
//! *Source*: "Query table definitions using the Web API": what only some column types have (lengths, options, date
//! behaviour) is only to be had by a cast to each type, so a table takes several requests, sent as one batch.

use std::collections::HashMap;

use record::catalog::{self, TableColumn, TableKey};
use record::{Code, Column, Fault, KeyRules, Type};
use serde_json::Value as Json;

use crate::client::Client;
use crate::refusal::{self, Codes};
use crate::{collation, currency};
use odata::batch::Part;

#[derive(Debug, Clone)]
pub(crate) struct Table {
    pub name: String,
    /// The table's word in URLs.
    pub set: String,
    pub primary_id: String,
    pub change_tracking: bool,
    pub columns: HashMap<String, Attribute>,
    pub keys: Vec<TableKey>,
    /// How the environment compares texts in keys.
    pub rules: KeyRules,
}

#[derive(Debug, Clone)]
pub(crate) struct Attribute {
    pub name: String,
    pub kind: Kind,
    pub required: bool,
    pub create: bool,
    pub update: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    Text {
        max_length: Option<u32>,
        multiline: bool,
    },
    Integer,
    Boolean,
    Decimal {
        scale: Option<u32>,
    },
    Money {
        /// The digits after the point that the column keeps; `None` where each row's currency says it.
        scale: Option<u32>,
    },
    Double,
    Choice {
        values: Vec<String>,
    },
    Choices {
        values: Vec<String>,
    },
    Lookup {
        targets: Vec<Target>,
    },
    /// A point in time.
    DateTime,
    /// A date and time as it was written, whatever the zone.
    LocalDateTime,
    Date,
    Guid,
    Other,
}

/// One table that a lookup may point to, and the navigation property that points there.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Target {
    pub table: String,
    pub navigation: String,
}

const CASTS: [(&str, &str); 10] = [
    ("StringAttributeMetadata", "$select=LogicalName,MaxLength"),
    ("MemoAttributeMetadata", "$select=LogicalName,MaxLength"),
    ("DecimalAttributeMetadata", "$select=LogicalName,Precision"),
    ("DateTimeAttributeMetadata", "$select=LogicalName,DateTimeBehavior,Format"),
    ("PicklistAttributeMetadata", "$select=LogicalName&$expand=OptionSet,GlobalOptionSet"),
    ("MultiSelectPicklistAttributeMetadata", "$select=LogicalName&$expand=OptionSet,GlobalOptionSet"),
    ("StateAttributeMetadata", "$select=LogicalName&$expand=OptionSet"),
    ("StatusAttributeMetadata", "$select=LogicalName&$expand=OptionSet"),
    ("LookupAttributeMetadata", "$select=LogicalName,Targets"),
    ("MoneyAttributeMetadata", "$select=LogicalName,Precision,PrecisionSource"),
];

impl Table {
    /// Asks for one table. *Errors*: `no_table` of the codes, where there is none of this name.
    pub async fn fetch(client: &Client, name: &str, codes: Codes) -> Result<Table, Fault> {
        let at = format!("EntityDefinitions(LogicalName='{}')", odata::encode(&name.replace('\'', "''")));
        let get = |url: String| Part {
            method: "GET",
            url,
            // Definitions may be half a minute old on the server otherwise.
            headers: vec![("Consistency", "Strong".to_owned())],
            body: None,
        };
        let mut parts = vec![
            get(format!("{at}?$select=LogicalName,EntitySetName,PrimaryIdAttribute,ChangeTrackingEnabled")),
            get(format!(
                "{at}/Attributes?$select=LogicalName,AttributeType,AttributeTypeName,AttributeOf,IsValidForCreate,IsValidForUpdate,IsValidForRead,RequiredLevel"
            )),
            get(format!("{at}/Keys?$select=KeyAttributes,EntityKeyIndexStatus")),
            get(format!(
                "{at}/ManyToOneRelationships?$select=ReferencingAttribute,ReferencedEntity,ReferencingEntityNavigationPropertyName"
            )),
        ];
        parts.extend(
            CASTS.iter().map(|(cast, query)| get(format!("{at}/Attributes/Microsoft.Dynamics.CRM.{cast}?{query}"))),
        );
        let definitions = parts.len();
        parts.push(Part { headers: Vec::new(), ..get(collation::LANGUAGE.to_owned()) });
        let answers = client.batch(&parts, codes).await?;
        let mut bodies = Vec::with_capacity(definitions);
        for answer in answers.iter().take(definitions) {
            if answer.status == 404 && bodies.is_empty() {
                let why = refusal::words(404, &answer.body, None);
                return Err(Fault::ask_person(
                    Code(codes.no_table),
                    format!("there is no table `{name}` in `{}`", client.system()),
                )
                .at_system(client.system())
                .at_table(name)
                .why(why)
                .fix(
                    "check the logical name of the table (singular, lower case), and whether its solution is installed",
                ));
            }
            if answer.status != 200 {
                let why = refusal::words(answer.status, &answer.body, None);
                return Err(refusal::of(why, None, codes).at_system(client.system()).at_table(name));
            }
            bodies.push(serde_json::from_slice::<Json>(&answer.body).unwrap_or_default());
        }
        if bodies.len() < definitions {
            return Err(Fault::retry(Code(codes.lost), "the answer about the table's definition was cut", None)
                .at_system(client.system())
                .at_table(name)
                .fix("nothing: it is asked for again"));
        }
        let mut table = parse(name, &bodies).ok_or_else(|| {
            Fault::stop(Code(codes.rubbish), "the definition of the table could not be understood")
                .at_system(client.system())
                .at_table(name)
                .fix("check that `url` is the address of a Dataverse environment")
        })?;
        let language = answers.get(definitions).filter(|answer| answer.status == 200);
        let language = language.and_then(|answer| serde_json::from_slice(&answer.body).ok());
        table.rules = collation::rules(&language.unwrap_or_default());
        let prices = prices(&bodies);
        if !prices.is_empty() {
            let digits = currency::of_prices(client).await?;
            for column in table.columns.values_mut().filter(|column| prices.contains(&column.name)) {
                column.kind = Kind::Money { scale: digits };
            }
        }
        Ok(table)
    }

    pub fn column(&self, name: &str) -> Option<&Attribute> {
        self.columns.get(name)
    }

    pub fn active_key(&self, columns: &[String]) -> bool {
        self.keys.iter().any(|key| {
            key.active && key.columns.len() == columns.len() && columns.iter().all(|name| key.columns.contains(name))
        })
    }

    pub fn describe(&self) -> catalog::Table {
        let mut columns: Vec<TableColumn> = self
            .columns
            .values()
            .filter(|attribute| attribute.kind != Kind::Other)
            .map(|attribute| TableColumn {
                column: Column { name: attribute.name.as_str().into(), ty: attribute.ty() },
                required: attribute.required,
                writable: attribute.create || attribute.update,
                labels: Vec::new(),
            })
            .collect();
        columns.sort_by(|a, b| a.column.name.cmp(&b.column.name));
        catalog::Table { name: self.name.clone(), columns, keys: self.keys.clone() }
    }
}

impl Attribute {
    /// The name in rows, `$select` and `$filter`.
    pub fn property(&self) -> String {
        if matches!(self.kind, Kind::Lookup { .. }) { format!("_{}_value", self.name) } else { self.name.clone() }
    }

    pub fn ty(&self) -> Type {
        match &self.kind {
            Kind::Text { max_length, multiline: false } => Type::Text { max_length: *max_length },
            Kind::Text { max_length, multiline: true } => Type::Multiline { max_length: *max_length },
            Kind::Integer => Type::WholeNumber,
            Kind::Boolean => Type::YesNo,
            Kind::Decimal { scale } => Type::Decimal { scale: *scale },
            // What has more digits is rounded by the service without a word, so it has to fit before.
            Kind::Money { scale: Some(scale) } => Type::Decimal { scale: Some(*scale) },
            Kind::Money { scale: None } => Type::Money,
            Kind::Double => Type::Float,
            Kind::Choice { values } => Type::Choice { values: values.clone().into() },
            Kind::Choices { values } => Type::Choices { values: values.clone().into() },
            Kind::Lookup { targets } => Type::Reference { to: targets.iter().map(|t| t.table.clone()).collect() },
            Kind::DateTime => Type::DateTime,
            Kind::LocalDateTime => Type::LocalDateTime,
            Kind::Date => Type::Date,
            Kind::Guid => Type::Guid,
            Kind::Other => Type::Unknown,
        }
    }
}

fn parse(name: &str, bodies: &[Json]) -> Option<Table> {
    let [table, attributes, keys, relationships, casts @ ..] = bodies else { return None };
    let list = |body: &Json| body.get("value").and_then(Json::as_array).cloned();
    let text = |json: &Json, name: &str| json.get(name).and_then(Json::as_str).map(str::to_owned);
    let mut extra: HashMap<String, Json> = HashMap::new();
    for cast in casts {
        for attribute in list(cast)? {
            extra.insert(text(&attribute, "LogicalName")?, attribute);
        }
    }
    let mut targets: HashMap<String, Vec<Target>> = HashMap::new();
    for relationship in list(relationships)? {
        let navigation = text(&relationship, "ReferencingEntityNavigationPropertyName");
        let target =
            Target { table: text(&relationship, "ReferencedEntity")?, navigation: navigation.unwrap_or_default() };
        targets.entry(text(&relationship, "ReferencingAttribute")?).or_default().push(target);
    }
    let primary_id = text(table, "PrimaryIdAttribute")?;
    let mut columns = HashMap::new();
    for attribute in list(attributes)? {
        let name = text(&attribute, "LogicalName")?;
        let flag = |flag: &str| attribute.get(flag).and_then(Json::as_bool).unwrap_or(false);
        // Shadows of other columns (`…name`, `…yominame`) and what cannot be read are no columns of their own.
        if text(&attribute, "AttributeOf").is_some() || !flag("IsValidForRead") {
            continue;
        }
        let level = attribute.pointer("/RequiredLevel/Value").and_then(Json::as_str).unwrap_or("None");
        let kind = kind(&attribute, extra.get(&name), targets.remove(&name));
        columns.insert(
            name.clone(),
            Attribute {
                kind,
                // What the system requires it also fills; only what an application requires is to be sent.
                required: level == "ApplicationRequired",
                create: flag("IsValidForCreate"),
                update: flag("IsValidForUpdate"),
                name,
            },
        );
    }
    let mut known = vec![TableKey { columns: vec![primary_id.clone()], primary: true, active: true }];
    for key in list(keys)? {
        let names = key.get("KeyAttributes")?.as_array()?;
        known.push(TableKey {
            columns: names.iter().filter_map(Json::as_str).map(str::to_owned).collect(),
            primary: false,
            active: text(&key, "EntityKeyIndexStatus").is_some_and(|status| status == "Active"),
        });
    }
    Some(Table {
        name: name.to_owned(),
        set: text(table, "EntitySetName")?,
        primary_id,
        change_tracking: table.get("ChangeTrackingEnabled").and_then(Json::as_bool).unwrap_or(false),
        columns,
        keys: known,
        rules: collation::rules(&Json::Null),
    })
}

/// The money columns that have the digits of the organisation's prices.
fn prices(bodies: &[Json]) -> Vec<String> {
    let all = bodies.iter().filter_map(|body| body.get("value")?.as_array()).flatten();
    let prices = all.filter(|column| column.get("PrecisionSource").and_then(Json::as_u64) == Some(1));
    prices.filter_map(|column| column.get("LogicalName")?.as_str().map(str::to_owned)).collect()
}

fn kind(attribute: &Json, extra: Option<&Json>, targets: Option<Vec<Target>>) -> Kind {
    let number =
        |name: &str| extra.and_then(|e| e.get(name)).and_then(Json::as_u64).and_then(|n| u32::try_from(n).ok());
    let values = || {
        let set = extra.and_then(|extra| {
            ["OptionSet", "GlobalOptionSet"].iter().filter_map(|name| extra.get(*name)).find(|set| !set.is_null())
        });
        let options = set.and_then(|set| set.get("Options")).and_then(Json::as_array);
        let values = options.into_iter().flatten().filter_map(|option| option.get("Value").and_then(Json::as_i64));
        values.map(|value| value.to_string()).collect::<Vec<_>>()
    };
    let behaviour =
        extra.and_then(|e| e.pointer("/DateTimeBehavior/Value")).and_then(Json::as_str).unwrap_or("UserLocal");
    match attribute.get("AttributeType").and_then(Json::as_str).unwrap_or("") {
        "String" | "EntityName" => Kind::Text { max_length: number("MaxLength"), multiline: false },
        "Memo" => Kind::Text { max_length: number("MaxLength"), multiline: true },
        "Integer" | "BigInt" => Kind::Integer,
        "Boolean" => Kind::Boolean,
        "Decimal" => Kind::Decimal { scale: number("Precision") },
        // 0: the column's own precision; 1 and 2: the organisation's, and that of the row's currency.
        "Money" => Kind::Money { scale: number("Precision").filter(|_| number("PrecisionSource") == Some(0)) },
        "Double" => Kind::Double,
        "Picklist" | "State" | "Status" => Kind::Choice { values: values() },
        "Lookup" | "Customer" | "Owner" => Kind::Lookup { targets: targets.unwrap_or_default() },
        "DateTime" => match behaviour {
            "DateOnly" => Kind::Date,
            "TimeZoneIndependent" => Kind::LocalDateTime,
            _ => Kind::DateTime,
        },
        "Uniqueidentifier" => Kind::Guid,
        "Virtual"
            if attribute.pointer("/AttributeTypeName/Value").and_then(Json::as_str)
                == Some("MultiSelectPicklistType") =>
        {
            Kind::Choices { values: values() }
        }
        _ => Kind::Other,
    }
}
