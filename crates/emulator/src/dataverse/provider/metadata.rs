//! The metadata of a service, as far as the provider compares it with a virtual table.

use std::collections::HashMap;

use super::Trouble;
use crate::dataverse::model::{Column, Kind, Required, Table};

/// Entity sets with the properties of their types.
#[derive(Debug, Default)]
pub struct Metadata(HashMap<String, Properties>);

#[derive(Debug, Default, Clone)]
struct Properties {
    keys: Vec<String>,
    types: HashMap<String, Property>,
}

#[derive(Debug, Clone)]
struct Property {
    edm: String,
    nullable: bool,
}

impl Metadata {
    /// Reads the tags of an EDMX document that say what there is; annotations are passed over.
    pub fn read(text: &str) -> Result<Metadata, Trouble> {
        let (mut types, mut sets) = (HashMap::<String, Properties>::new(), Vec::new());
        let mut inside = String::new();
        for tag in text.split('<').skip(1) {
            let tag = tag.split('>').next().unwrap_or_default();
            let name = tag.split(|c: char| c.is_whitespace() || c == '/').next().unwrap_or_default();
            let named = || attribute(tag, "Name").unwrap_or_default();
            match name {
                "EntityType" => inside = named(),
                "PropertyRef" => types.entry(inside.clone()).or_default().keys.push(named()),
                "Property" => {
                    let nullable = attribute(tag, "Nullable").as_deref() != Some("false");
                    let edm = attribute(tag, "Type").unwrap_or_default();
                    types.entry(inside.clone()).or_default().types.insert(named(), Property { edm, nullable });
                }
                "EntitySet" => sets.push((named(), attribute(tag, "EntityType").unwrap_or_default())),
                _ => {}
            }
        }
        if sets.is_empty() {
            return Err(Trouble::metadata("The metadata document could not be read: it names no entity set."));
        }
        let of = |(set, kind): (String, String)| {
            let short = kind.rsplit('.').next().unwrap_or_default();
            (set, types.get(short).cloned().unwrap_or_default())
        };
        Ok(Metadata(sets.into_iter().map(of).collect()))
    }

    /// *Errors*: the service has no such set; a column has no property, or one that it cannot be mapped to.
    pub fn check(&self, table: &Table, set: &str) -> Result<(), Trouble> {
        let properties = self.0.get(set).ok_or_else(|| {
            Trouble::metadata(format!("The service has no entity set '{set}' (names are compared with their case)."))
        })?;
        for column in table.columns.values() {
            let Some(name) = &column.external_name else { continue };
            let property = properties.types.get(name).ok_or_else(|| {
                Trouble::metadata(format!("'{set}' has no property '{name}', the external name of '{}'.", column.name))
            })?;
            check_column(table, column, name, property)?;
        }
        let key = table.column(&table.primary_id).and_then(|column| column.external_name.as_deref());
        match key {
            Some(key) if properties.keys == [key] => Ok(()),
            _ => Err(Trouble::metadata(format!(
                "The external name of '{}' is not the key of '{set}', which is {}.",
                table.primary_id,
                properties.keys.join(", ")
            ))),
        }
    }
}

fn check_column(table: &Table, column: &Column, name: &str, property: &Property) -> Result<(), Trouble> {
    let fitting: &[&str] = match column.kind {
        Kind::Uniqueidentifier | Kind::Lookup { .. } => &["Edm.Guid"],
        Kind::Boolean { .. } => &["Edm.Boolean"],
        Kind::DateTime { .. } => &["Edm.DateTimeOffset"],
        Kind::Decimal { .. } | Kind::Money { .. } => &["Edm.Decimal"],
        Kind::Double { .. } => &["Edm.Double"],
        Kind::Integer { .. } | Kind::BigInt => &["Edm.Int32", "Edm.Int64"],
        Kind::Text { .. } | Kind::Memo { .. } => &["Edm.String"],
        Kind::Choice { .. } | Kind::Choices { .. } | Kind::State { .. } | Kind::Status { .. } => {
            &["Edm.Int32", "Edm.String"]
        }
    };
    if !fitting.contains(&property.edm.as_str()) {
        let wrong = format!(
            "'{}' of type {} cannot be mapped to '{name}' of type {}.",
            column.name,
            column.kind.type_name(),
            property.edm
        );
        return Err(Trouble::metadata(wrong));
    }
    let is_required = matches!(column.required, Required::Application | Required::System);
    if column.name != table.primary_id && is_required == property.nullable {
        let (level, nullable) = (if is_required { "required" } else { "not required" }, property.nullable);
        let wrong = format!("'{}' is {level}, and '{name}' has Nullable=\"{nullable}\".", column.name);
        return Err(Trouble::metadata(wrong));
    }
    Ok(())
}

/// The value of an attribute of a tag, with the five entities of XML taken back.
fn attribute(tag: &str, name: &str) -> Option<String> {
    let start = tag.find(&format!(" {name}=\""))? + name.len() + 3;
    let value = tag[start..].split('"').next()?;
    Some(
        value
            .replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&quot;", "\"")
            .replace("&apos;", "'")
            .replace("&amp;", "&"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_read_down_to_its_properties() {
        let text = r#"<?xml version="1.0"?><edmx:Edmx><Schema Namespace="N"><EntityType Name="Stock">
            <Key><PropertyRef Name="id"/></Key><Property Name="id" Type="Edm.Guid" Nullable="false"/>
            <Property Name="a&amp;b" Type="Edm.String"/></EntityType>
            <EntityContainer Name="C"><EntitySet Name="stock" EntityType="N.Stock"/></EntityContainer></Schema></edmx:Edmx>"#;
        let metadata = Metadata::read(text).unwrap();
        let stock = &metadata.0["stock"];
        assert_eq!(stock.keys, ["id"]);
        assert_eq!(stock.types["a&b"].edm, "Edm.String");
        assert!(stock.types["a&b"].nullable && !stock.types["id"].nullable);
        assert!(Metadata::read("<html>").is_err());
    }
}
