//! `$metadata`: the entity sets of a service with their columns, from CSDL as XML.
//!
//! *Source*: OData 4.0 part 3 (CSDL), chapters 6 (structural properties), 8 (entity types, keys, base types), 10
//! (enumerations) and 13 (entity sets).

use std::collections::BTreeMap;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use record::catalog::{Table, TableColumn, TableKey};
use record::{Column, Type};

/// What a service says of itself.
#[derive(Debug, Default)]
pub(super) struct Metadata {
    /// `4.0`.
    pub version: String,
    sets: BTreeMap<String, Set>,
}

/// An entity set.
#[derive(Debug, Clone, Default)]
pub(super) struct Set {
    /// The columns of the key that URLs name.
    pub key: Vec<String>,
    pub columns: Vec<Column>,
    /// Columns whose numbers may have more digits than a float: of `Edm.Int64` and `Edm.Decimal`.
    pub long: Vec<String>,
    /// Columns that must have a value.
    required: Vec<String>,
}

/// A type of the schema, before its base types are added.
#[derive(Debug, Clone, Default)]
struct EntityType {
    base: Option<String>,
    set: Set,
}

impl Metadata {
    /// *Errors*: the end of a sentence.
    pub fn read(xml: &str) -> Result<Metadata, String> {
        let mut found = Found::default();
        let mut reader = Reader::from_str(xml);
        loop {
            match reader.read_event().map_err(|why| format!("it is no XML ({why})"))? {
                Event::Start(tag) => found.open(&tag, true)?,
                Event::Empty(tag) => found.open(&tag, false)?,
                Event::End(tag) => found.close(tag.local_name().as_ref()),
                Event::Eof => break,
                _ => {}
            }
        }
        if found.version.is_empty() {
            return Err("it is no CSDL".to_owned());
        }
        if !found.version.starts_with('4') {
            return Err(format!("it is OData {}, and version 4 is needed", found.version));
        }
        let mut sets = BTreeMap::new();
        for (set, of) in &found.sets {
            sets.insert(set.clone(), found.whole(of, 0)?);
        }
        Ok(Metadata { version: found.version, sets })
    }

    pub fn set(&self, name: &str) -> Option<&Set> {
        self.sets.get(name)
    }

    /// As the hub's catalogue has it.
    ///
    /// CSDL names the one key that URLs use. Which other columns are unique, it does not say: each column that can be
    /// compared is offered as a key, and a write that finds two rows for one value is refused.
    pub fn table(&self, name: &str) -> Option<Table> {
        let set = self.set(name)?;
        let column = |column: &Column| TableColumn {
            required: set.required.iter().any(|name| **name == *column.name)
                && !set.key.iter().any(|key| **key == *column.name),
            writable: true,
            column: column.clone(),
            labels: Vec::new(),
        };
        let primary = TableKey { columns: set.key.clone(), primary: true, active: true };
        let comparable = |column: &&Column| !matches!(column.ty, Type::Unknown | Type::Lines(_) | Type::Bytes);
        let others = set.columns.iter().filter(comparable).map(|column| vec![column.name.to_string()]);
        let others = others.filter(|columns| *columns != set.key);
        let others = others.map(|columns| TableKey { columns, primary: false, active: true });
        Some(Table {
            name: name.to_owned(),
            columns: set.columns.iter().map(column).collect(),
            keys: std::iter::once(primary).chain(others).collect(),
        })
    }
}

impl Set {
    pub fn type_of(&self, column: &str) -> Option<&Type> {
        self.columns.iter().find(|known| &*known.name == column).map(|known| &known.ty)
    }
}

/// What was read so far.
#[derive(Debug, Default)]
struct Found {
    version: String,
    /// The namespace and the alias of the schema that is open.
    schema: (String, Option<String>),
    types: BTreeMap<String, EntityType>,
    enums: BTreeMap<String, Vec<String>>,
    /// Sets with the names of their types.
    sets: Vec<(String, String)>,
    entity: Option<String>,
    enumeration: Option<String>,
    in_key: bool,
}

impl Found {
    fn open(&mut self, tag: &BytesStart<'_>, has_inside: bool) -> Result<(), String> {
        let name = tag.local_name();
        let attribute = |wanted: &str| -> Option<String> {
            let found = tag.attributes().flatten().find(|a| a.key.local_name().as_ref() == wanted)?;
            quick_xml::escape::unescape(&found.value).ok().map(|text| text.into_owned())
        };
        let named = || attribute("Name").ok_or_else(|| "an element has no name".to_owned());
        match name.as_ref() {
            "Edmx" => self.version = attribute("Version").unwrap_or_default(),
            "Schema" => self.schema = (attribute("Namespace").unwrap_or_default(), attribute("Alias")),
            "EntityType" => {
                let full = format!("{}.{}", self.schema.0, named()?);
                let base = attribute("BaseType").map(|base| self.full(&base));
                self.types.insert(full.clone(), EntityType { base, set: Set::default() });
                self.entity = Some(full).filter(|_| has_inside);
            }
            "EnumType" => {
                let full = format!("{}.{}", self.schema.0, named()?);
                self.enums.insert(full.clone(), Vec::new());
                self.enumeration = Some(full).filter(|_| has_inside);
            }
            "Member" => {
                if let Some(members) = self.enumeration.as_ref().and_then(|name| self.enums.get_mut(name)) {
                    members.push(named()?);
                }
            }
            "Key" => self.in_key = has_inside,
            "PropertyRef" if self.in_key => {
                let name = named()?;
                if let Some(entity) = self.entity.as_ref().and_then(|entity| self.types.get_mut(entity)) {
                    entity.set.key.push(name);
                }
            }
            "Property" => {
                let name = named()?;
                let ty = attribute("Type").unwrap_or_default();
                let is_long = matches!(ty.as_str(), "Edm.Int64" | "Edm.Decimal");
                let ty = match ty.strip_prefix("Edm.") {
                    Some(edm) => primitive(edm, attribute("MaxLength"), attribute("Scale")),
                    // The members may stand below: the type's name is kept until the end.
                    None => Type::Choice { values: [self.full(&ty)].into() },
                };
                let required = attribute("Nullable").as_deref() == Some("false");
                if let Some(entity) = self.entity.as_ref().and_then(|entity| self.types.get_mut(entity)) {
                    entity.set.required.extend(required.then(|| name.clone()));
                    entity.set.long.extend(is_long.then(|| name.clone()));
                    entity.set.columns.push(Column { name: name.as_str().into(), ty });
                }
            }
            "EntitySet" => {
                let of = attribute("EntityType").map(|of| self.full(&of)).unwrap_or_default();
                self.sets.push((named()?, of));
            }
            _ => {}
        }
        Ok(())
    }

    fn close(&mut self, name: &str) {
        match name {
            "EntityType" => self.entity = None,
            "EnumType" => self.enumeration = None,
            "Key" => self.in_key = false,
            _ => {}
        }
    }

    /// A name with its schema's namespace in the place of the alias.
    fn full(&self, name: &str) -> String {
        match (name.rsplit_once('.'), &self.schema.1) {
            (Some((before, last)), Some(alias)) if before == alias => format!("{}.{last}", self.schema.0),
            _ => name.to_owned(),
        }
    }

    /// A type with what its base types have.
    fn whole(&self, of: &str, depth: usize) -> Result<Set, String> {
        let Some(found) = self.types.get(of).filter(|_| depth < 20) else {
            return Err(format!("the type `{of}` is not there"));
        };
        let mut set = match &found.base {
            Some(base) => self.whole(base, depth + 1)?,
            None => Set::default(),
        };
        set.key.extend(found.set.key.iter().cloned());
        set.required.extend(found.set.required.iter().cloned());
        set.long.extend(found.set.long.iter().cloned());
        set.columns.extend(found.set.columns.iter().map(|column| {
            let ty = match &column.ty {
                Type::Choice { values } => match values.first().and_then(|name| self.enums.get(name)) {
                    Some(members) => Type::Choice { values: members.as_slice().into() },
                    // A complex type, a collection: as it stands there.
                    None => Type::Unknown,
                },
                other => other.clone(),
            };
            Column { name: column.name.clone(), ty }
        }));
        Ok(set)
    }
}

fn primitive(edm: &str, max_length: Option<String>, scale: Option<String>) -> Type {
    match edm {
        "String" => Type::Text { max_length: max_length.and_then(|length| length.parse().ok()) },
        "Byte" | "SByte" | "Int16" | "Int32" | "Int64" => Type::WholeNumber,
        // `Variable` is any number of digits.
        "Decimal" => Type::Decimal { scale: scale.and_then(|scale| scale.parse().ok()) },
        "Single" | "Double" => Type::Float,
        "Boolean" => Type::YesNo,
        "Date" => Type::Date,
        "TimeOfDay" => Type::Time,
        "DateTimeOffset" => Type::DateTime,
        "Guid" => Type::Guid,
        "Binary" => Type::Bytes,
        _ => Type::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CSDL: &str = r#"<?xml version="1.0" encoding="utf-8"?>
<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices>
 <Schema Namespace="Microsoft.NAV" Alias="NAV" xmlns="http://docs.oasis-open.org/odata/ns/edm">
  <EntityType Name="thing" Abstract="true"><Property Name="lastModifiedDateTime" Type="Edm.DateTimeOffset"/></EntityType>
  <EntityType Name="customer" BaseType="NAV.thing"><Key><PropertyRef Name="id"/></Key>
   <Property Name="id" Type="Edm.Guid" Nullable="false"/>
   <Property Name="number" Type="Edm.String" MaxLength="20"/>
   <Property Name="displayName" Type="Edm.String" Nullable="false" MaxLength="100"/>
   <Property Name="balance" Type="Edm.Decimal" Scale="Variable"/>
   <Property Name="blocked" Type="NAV.customerBlocked"/>
   <Property Name="address" Type="NAV.postalAddress"/>
   <NavigationProperty Name="currency" Type="NAV.currency"/></EntityType>
  <EnumType Name="customerBlocked"><Member Name="_x0020_"/><Member Name="All"/></EnumType>
  <EntityContainer Name="Service"><EntitySet Name="customers" EntityType="NAV.customer"/></EntityContainer>
 </Schema></edmx:DataServices></edmx:Edmx>"#;

    #[test]
    fn a_schema_becomes_a_catalogue() {
        let metadata = Metadata::read(CSDL).unwrap();
        let table = metadata.table("customers").unwrap();
        let columns: Vec<String> =
            table.columns.iter().map(|c| format!("{} {}", c.column.name, c.column.ty.word())).collect();
        let expected = [
            "lastModifiedDateTime datetime",
            "id guid",
            "number text",
            "displayName text",
            "balance decimal",
            "blocked choice",
            "address unknown",
        ];
        assert_eq!(columns, expected);
        assert_eq!(table.keys[0], TableKey { columns: vec!["id".into()], primary: true, active: true });
        assert!(table.keys.iter().any(|key| key.columns == ["number"]));
        assert!(table.column("displayName").unwrap().required);
        assert!(!table.column("id").unwrap().required, "the service gives it");
        assert_eq!(table.type_of("number"), Some(&Type::Text { max_length: Some(20) }));
        assert!(metadata.table("vendors").is_none());
    }

    #[test]
    fn what_is_no_schema_of_version_4_says_so() {
        for (text, why) in [
            ("", "it is no CSDL"),
            ("<html></html>", "it is no CSDL"),
            ("<a><b></a>", "it is no XML"),
            (r#"<Edmx Version="1.0"/>"#, "version 4 is needed"),
            (
                &CSDL.replace("EntityType=\"NAV.customer\"", "EntityType=\"NAV.gone\""),
                "`Microsoft.NAV.gone` is not there",
            ),
        ] {
            let found = Metadata::read(text).unwrap_err();
            assert!(found.contains(why), "{text}: {found}");
        }
    }
}
