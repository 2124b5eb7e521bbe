//! One definition as the JSON that the platform gives for it.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::dataverse::model::{
    Behaviour, Catalog, Choice, Column, Kind, ManyToMany, OnDelete, OneToMany, Ownership, Required, Table,
};

/// A table with everything in it; what `$expand` brings is under its own name.
pub fn table(catalog: &Catalog, table: &Table) -> Value {
    let external = table.external.as_ref();
    let is_virtual = external.is_some();
    let mut all = json!({
        "MetadataId": table.id,
        "HasChanged": null,
        "LogicalName": table.name,
        "SchemaName": table.schema_name,
        "EntitySetName": table.set,
        "LogicalCollectionName": table.set,
        "CollectionSchemaName": table.set,
        "ObjectTypeCode": table.type_code,
        "PrimaryIdAttribute": table.primary_id,
        "PrimaryNameAttribute": table.primary_name,
        "OwnershipType": ownership(table.ownership),
        "DisplayName": label(&table.label),
        "DisplayCollectionName": label(&table.plural),
        "Description": label(&table.description),
        "IsCustomEntity": table.custom,
        "IsManaged": false,
        "IsPrivate": false,
        "IsIntersect": false,
        "IsActivity": false,
        "IsLogicalEntity": false,
        "IsValidForAdvancedFind": true,
        "IsOptimisticConcurrencyEnabled": !is_virtual,
        "IsAuditEnabled": managed(false, "canmodifyauditsettings"),
        "IsCustomizable": managed(true, "iscustomizable"),
        "CanCreateAttributes": managed(true, "cancreateattributes"),
        "CanChangeTrackingBeEnabled": managed(!is_virtual, "canchangetrackingbeenabled"),
        "CanCreateCharts": managed(!is_virtual, "cancreatecharts"),
        "IsVisibleInMobileClient": managed(!is_virtual, "canmodifymobileclientvisibility"),
        "IsAvailableOffline": !is_virtual,
        "ChangeTrackingEnabled": table.change_tracking,
        "HasActivities": false,
        "HasNotes": false,
        "TableType": if is_virtual { "Virtual" } else { "Standard" },
        "DataProviderId": external.and_then(|external| external.provider),
        "DataSourceId": external.and_then(|external| external.source),
        "ExternalName": external.map(|external| &external.name),
        "ExternalCollectionName": external.map(|external| &external.collection),
        "IntroducedVersion": "1.0.0.0",
    });
    all["Privileges"] = privileges(table).map(|privilege| privilege.describe()).collect();
    for name in ["Attributes", "Keys", "OneToManyRelationships", "ManyToOneRelationships", "ManyToManyRelationships"] {
        all[name] = part(catalog, table, name).unwrap_or_default().into();
    }
    all
}

/// A right to do something with the rows of a table.
pub struct Privilege {
    pub name: String,
    pub id: Uuid,
    ty: &'static str,
}

impl Privilege {
    fn describe(&self) -> Value {
        json!({
            "CanBeBasic": true,
            "CanBeLocal": true,
            "CanBeDeep": true,
            "CanBeGlobal": true,
            "CanBeEntityReference": false,
            "CanBeParentEntityReference": false,
            "Name": self.name,
            "PrivilegeId": self.id,
            "PrivilegeType": self.ty,
        })
    }
}

/// The privileges that there are for a table; here every user has them all.
pub fn privileges(table: &Table) -> impl Iterator<Item = Privilege> {
    let types = ["Create", "Read", "Write", "Delete", "Assign", "Share", "Append", "AppendTo"];
    types.into_iter().zip(1_u128..).map(|(ty, at)| Privilege {
        name: format!("prv{ty}{}", table.schema_name),
        // Its own, and the same whenever it is asked for.
        id: Uuid::from_u128(table.id.as_u128() ^ at << 64),
        ty,
    })
}

/// The rows of one of a table's collections; nothing if it has no such collection.
pub fn part(catalog: &Catalog, table: &Table, name: &str) -> Option<Vec<Value>> {
    let one_to_many = |mine: fn(&OneToMany) -> &String| {
        catalog
            .one_to_many
            .iter()
            .filter(|relation| *mine(relation) == table.name)
            .map(|relation| describe_one_to_many(catalog, relation))
            .collect()
    };
    Some(match name {
        "Attributes" => table.columns.values().map(|c| column(table, c)).collect(),
        "Keys" => table.keys.iter().map(|k| key(table, k)).collect(),
        "OneToManyRelationships" => one_to_many(|relation| &relation.one),
        "ManyToOneRelationships" => one_to_many(|relation| &relation.many),
        "ManyToManyRelationships" => catalog
            .many_to_many
            .iter()
            .filter(|link| link.tables.contains(&table.name))
            .map(|link| describe_many_to_many(link))
            .collect(),
        _ => return None,
    })
}

pub fn relationships(catalog: &Catalog) -> Vec<Value> {
    let one = catalog.one_to_many.iter().map(|relation| describe_one_to_many(catalog, relation));
    one.chain(catalog.many_to_many.iter().map(|link| describe_many_to_many(link))).collect()
}

fn column(table: &Table, column: &Column) -> Value {
    let mut all = json!({
        "@odata.type": format!("#Microsoft.Dynamics.CRM.{}", column.kind.metadata_type()),
        "MetadataId": column.id,
        "HasChanged": null,
        "LogicalName": column.name,
        "SchemaName": column.schema_name,
        "EntityLogicalName": table.name,
        "AttributeType": column.kind.type_name(),
        "AttributeTypeName": { "Value": column.kind.type_name_value() },
        "AttributeOf": null,
        "ColumnNumber": table.columns.get_index_of(&column.name).map_or(0, |index| index + 1),
        "DisplayName": label(&column.label),
        "Description": label(""),
        "IsCustomAttribute": column.custom,
        "IsManaged": false,
        "IsLogical": false,
        "IsPrimaryId": column.name == table.primary_id,
        "IsPrimaryName": column.name == table.primary_name,
        "IsSecured": false,
        "IsValidForCreate": column.create,
        "IsValidForUpdate": column.update && column.name != table.primary_id,
        "IsValidForRead": true,
        "IsValidODataAttribute": true,
        "IsFilterable": true,
        "IsRetrievable": true,
        "IsSearchable": true,
        "IsCustomizable": managed(true, "iscustomizable"),
        "IsValidForAdvancedFind": managed(true, "canmodifysearchsettings"),
        "IsAuditEnabled": managed(true, "canmodifyauditsettings"),
        "RequiredLevel": {
            "Value": required(column.required),
            "CanBeChanged": column.required != Required::System,
            "ManagedPropertyLogicalName": "canmodifyrequirementlevelsettings",
        },
        "SourceType": null,
        "ExternalName": column.external_name,
    });
    let more = specific(table, column);
    if let (Value::Object(all), Value::Object(more)) = (&mut all, more) {
        all.extend(more);
    }
    all
}

/// What only this type of column has.
fn specific(table: &Table, column: &Column) -> Value {
    match &column.kind {
        Kind::Text { max_length, format } => json!({
            "MaxLength": max_length,
            "DatabaseLength": max_length * 2,
            "Format": format,
            "FormatName": { "Value": format },
            "ImeMode": "Auto",
            "IsLocalizable": false,
            "YomiOf": null,
            "FormulaDefinition": "",
        }),
        Kind::Memo { max_length } => {
            json!({ "MaxLength": max_length, "Format": "TextArea", "FormatName": { "Value": "TextArea" }, "ImeMode": "Auto", "IsLocalizable": false })
        }
        Kind::Integer { min, max } => {
            json!({ "MinValue": min, "MaxValue": max, "Format": "None", "FormulaDefinition": "" })
        }
        Kind::BigInt => json!({ "MinValue": i64::MIN, "MaxValue": i64::MAX }),
        Kind::Decimal { precision, min, max } => json!({
            "Precision": precision, "MinValue": number(min), "MaxValue": number(max), "ImeMode": "Disabled", "FormulaDefinition": "",
        }),
        Kind::Double { precision } => json!({
            "Precision": precision, "MinValue": -100_000_000_000_i64, "MaxValue": 100_000_000_000_i64, "ImeMode": "Disabled",
        }),
        Kind::Money { precision, min, max, is_base, source } => json!({
            "Precision": precision,
            "PrecisionSource": source,
            "MinValue": number(min),
            "MaxValue": number(max),
            "IsBaseCurrency": is_base,
            "CalculationOf": if *is_base { column.name.strip_suffix("_base") } else { None },
            "ImeMode": "Disabled",
            "FormulaDefinition": "",
        }),
        Kind::Boolean { labels } => json!({
            "DefaultValue": false,
            "FormulaDefinition": "",
            "OptionSet": {
                "MetadataId": column.id,
                "Name": format!("{}_{}", table.name, column.name),
                "IsGlobal": false,
                "IsCustomOptionSet": column.custom,
                "OptionSetType": "Boolean",
                "FalseOption": option(&Choice { value: 0, label: labels[0].clone(), state: None }, column.custom),
                "TrueOption": option(&Choice { value: 1, label: labels[1].clone(), state: None }, column.custom),
            },
            "GlobalOptionSet": null,
        }),
        Kind::Choice { options } => option_set(table, column, options, "Picklist"),
        Kind::Choices { options } => option_set(table, column, options, "Picklist"),
        Kind::State { options } => option_set(table, column, options, "State"),
        Kind::Status { options } => option_set(table, column, options, "Status"),
        Kind::Lookup { targets, .. } => json!({ "Targets": targets, "Format": "None" }),
        Kind::DateTime { behaviour, date_format } => {
            let (behaviour, format) = match (behaviour, date_format) {
                (Behaviour::DateOnly, _) => ("DateOnly", "DateOnly"),
                (Behaviour::UserLocal, true) => ("UserLocal", "DateOnly"),
                (Behaviour::UserLocal, false) => ("UserLocal", "DateAndTime"),
                (Behaviour::TimeZoneIndependent, true) => ("TimeZoneIndependent", "DateOnly"),
                (Behaviour::TimeZoneIndependent, false) => ("TimeZoneIndependent", "DateAndTime"),
            };
            json!({
                "Format": format,
                "DateTimeBehavior": { "Value": behaviour },
                "CanChangeDateTimeBehavior": managed(true, "canchangedatetimebehavior"),
                "MinSupportedValue": "1753-01-01T00:00:00Z",
                "MaxSupportedValue": "9999-12-30T23:59:59Z",
                "ImeMode": "Inactive",
            })
        }
        Kind::Uniqueidentifier => json!({}),
    }
}

/// An exact number as a JSON number; the bounds in use fit a JSON number's text.
fn number(text: &str) -> Value {
    text.parse::<i64>().map_or_else(|_| json!(text), Value::from)
}

fn option_set(table: &Table, column: &Column, options: &[Choice], kind: &str) -> Value {
    json!({
        "DefaultFormValue": if kind == "Picklist" { json!(-1) } else { Value::Null },
        "FormulaDefinition": "",
        "OptionSet": {
            "MetadataId": column.id,
            "HasChanged": null,
            "Name": format!("{}_{}", table.name, column.name),
            "DisplayName": label(&column.label),
            "Description": label(""),
            "IsGlobal": false,
            "IsManaged": false,
            "IsCustomOptionSet": column.custom,
            "OptionSetType": kind,
            "Options": options.iter().map(|choice| option(choice, column.custom)).collect::<Vec<_>>(),
        },
        "GlobalOptionSet": null,
    })
}

fn option(choice: &Choice, custom: bool) -> Value {
    let mut option = json!({
        "Value": choice.value,
        "Label": label(&choice.label),
        "Description": label(""),
        "Color": null,
        "IsManaged": !custom,
        "ExternalValue": null,
        "MetadataId": null,
        "HasChanged": null,
    });
    if let Some(state) = choice.state {
        option["State"] = state.into();
    }
    option
}

fn key(table: &Table, key: &crate::dataverse::model::AlternateKey) -> Value {
    json!({
        "MetadataId": key.id,
        "HasChanged": null,
        "LogicalName": key.name,
        "SchemaName": key.schema_name,
        "EntityLogicalName": table.name,
        "KeyAttributes": key.columns,
        "DisplayName": label(&key.label),
        "IsCustomizable": managed(true, "iscustomizable"),
        "IsManaged": false,
        "EntityKeyIndexStatus": format!("{:?}", key.status),
        "AsyncJob": null,
        "IsSynchronous": false,
    })
}

fn describe_one_to_many(catalog: &Catalog, relation: &OneToMany) -> Value {
    let primary = catalog.table(&relation.one).map(|table| table.primary_id.clone()).unwrap_or_default();
    let delete = match relation.on_delete {
        OnDelete::RemoveLink => "RemoveLink",
        OnDelete::Cascade => "Cascade",
        OnDelete::Restrict => "Restrict",
    };
    json!({
        "@odata.type": "#Microsoft.Dynamics.CRM.OneToManyRelationshipMetadata",
        "MetadataId": relation.id,
        "HasChanged": null,
        "SchemaName": relation.schema_name,
        "RelationshipType": "OneToManyRelationship",
        "IsCustomRelationship": relation.custom,
        "IsManaged": false,
        "IsHierarchical": false,
        "ReferencedEntity": relation.one,
        "ReferencedAttribute": primary,
        "ReferencingEntity": relation.many,
        "ReferencingAttribute": relation.column,
        "ReferencedEntityNavigationPropertyName": relation.nav_one,
        "ReferencingEntityNavigationPropertyName": relation.nav_many,
        "CascadeConfiguration": {
            "Assign": "NoCascade", "Delete": delete, "Merge": "NoCascade", "Reparent": "NoCascade", "Share": "NoCascade", "Unshare": "NoCascade",
        },
    })
}

fn describe_many_to_many(link: &ManyToMany) -> Value {
    json!({
        "@odata.type": "#Microsoft.Dynamics.CRM.ManyToManyRelationshipMetadata",
        "MetadataId": link.id,
        "HasChanged": null,
        "SchemaName": link.schema_name,
        "RelationshipType": "ManyToManyRelationship",
        "IsCustomRelationship": link.custom,
        "IsManaged": false,
        "Entity1LogicalName": link.tables[0],
        "Entity2LogicalName": link.tables[1],
        "Entity1IntersectAttribute": format!("{}id", link.tables[0]),
        "Entity2IntersectAttribute": format!("{}id", link.tables[1]),
        "Entity1NavigationPropertyName": link.navs[0],
        "Entity2NavigationPropertyName": link.navs[1],
        "IntersectEntityName": link.intersect,
    })
}

fn ownership(ownership: Ownership) -> &'static str {
    match ownership {
        Ownership::UserOwned => "UserOwned",
        Ownership::OrganizationOwned => "OrganizationOwned",
        Ownership::None => "None",
    }
}

fn required(required: Required) -> &'static str {
    match required {
        Required::None => "None",
        Required::System => "SystemRequired",
        Required::Application => "ApplicationRequired",
        Required::Recommended => "Recommended",
    }
}

fn managed(value: bool, name: &str) -> Value {
    json!({ "Value": value, "CanBeChanged": true, "ManagedPropertyLogicalName": name })
}

/// A label in the one language that this environment has.
fn label(text: &str) -> Value {
    if text.is_empty() {
        return json!({ "LocalizedLabels": [], "UserLocalizedLabel": null });
    }
    let one = json!({ "Label": text, "LanguageCode": 1033, "IsManaged": false, "MetadataId": Uuid::nil(), "HasChanged": null });
    json!({ "LocalizedLabels": [one.clone()], "UserLocalizedLabel": one })
}
