//! Tables, columns, keys and relationships, as the emulated environment knows them.

use std::collections::HashMap;
use std::sync::Arc;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// One table with all its columns.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Table {
    /// The logical name, always lower case.
    pub name: String,
    pub schema_name: String,
    /// The entity set name, the table's word in URLs.
    pub set: String,
    pub id: Uuid,
    pub type_code: i32,
    pub label: String,
    pub plural: String,
    pub description: String,
    pub primary_id: String,
    pub primary_name: String,
    pub ownership: Ownership,
    pub custom: bool,
    pub change_tracking: bool,
    pub columns: IndexMap<String, Column>,
    pub keys: Vec<AlternateKey>,
    /// Of a virtual table: who answers for it. Its table in our SQL is always empty.
    #[serde(default)]
    pub external: Option<External>,
}

/// What a virtual table is called where its rows are, and who fetches them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct External {
    pub provider: Option<Uuid>,
    pub source: Option<Uuid>,
    pub name: String,
    pub collection: String,
}

impl Table {
    /// The table's name in our SQL. Logical names are lower-case identifiers, checked when a table is made.
    pub fn sql(&self) -> String {
        format!("t_{}", self.name)
    }

    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.get(name)
    }

    /// The column behind `name` in a URL or a payload: itself, or the lookup behind `_name_value`.
    pub fn column_of_property(&self, name: &str) -> Option<&Column> {
        match name.strip_prefix('_').and_then(|rest| rest.strip_suffix("_value")) {
            Some(lookup) => self.column(lookup).filter(|column| column.kind.is_lookup()),
            None => self.column(name).filter(|column| !column.kind.is_lookup()),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ownership {
    UserOwned,
    OrganizationOwned,
    None,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Column {
    pub name: String,
    pub schema_name: String,
    pub id: Uuid,
    pub label: String,
    pub kind: Kind,
    pub required: Required,
    pub create: bool,
    pub update: bool,
    pub custom: bool,
    /// Of a column of a virtual table: the name of its property.
    #[serde(default)]
    pub external_name: Option<String>,
}

impl Column {
    pub fn sql(&self) -> String {
        format!("c_{}", self.name)
    }

    /// Where a polymorphic lookup keeps the table that it points to.
    pub fn sql_target(&self) -> Option<String> {
        self.is_polymorphic().then(|| format!("k_{}", self.name))
    }

    /// A lookup that points to rows of several tables.
    pub fn is_polymorphic(&self) -> bool {
        matches!(&self.kind, Kind::Lookup { targets, .. } if targets.len() > 1)
    }

    /// The name in rows, `$select` and `$filter`.
    pub fn property(&self) -> String {
        if self.kind.is_lookup() { format!("_{}_value", self.name) } else { self.name.clone() }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Required {
    None,
    System,
    Application,
    Recommended,
}

/// What a column holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Kind {
    Uniqueidentifier,
    Text {
        max_length: usize,
        format: String,
    },
    Memo {
        max_length: usize,
    },
    Integer {
        min: i32,
        max: i32,
    },
    BigInt,
    Boolean {
        labels: [String; 2],
    },
    Decimal {
        precision: u32,
        min: String,
        max: String,
    },
    Double {
        precision: u32,
    },
    Money {
        precision: u32,
        min: String,
        max: String,
        is_base: bool,
        /// Whose precision counts: 0, this one; 1, the organisation's for prices; 2, that of the row's currency.
        #[serde(default)]
        source: u8,
    },
    Choice {
        options: Vec<Choice>,
    },
    Choices {
        options: Vec<Choice>,
    },
    State {
        options: Vec<Choice>,
    },
    /// Each choice names the state that it belongs to.
    Status {
        options: Vec<Choice>,
    },
    Lookup {
        targets: Vec<String>,
        flavour: Flavour,
    },
    DateTime {
        behaviour: Behaviour,
        date_format: bool,
    },
}

impl Kind {
    pub fn is_lookup(&self) -> bool {
        matches!(self, Kind::Lookup { .. })
    }

    pub fn choices(&self) -> Option<&[Choice]> {
        match self {
            Kind::Choice { options } | Kind::Choices { options } => Some(options),
            Kind::State { options } | Kind::Status { options } => Some(options),
            _ => None,
        }
    }

    /// `AttributeType` in the metadata.
    pub fn type_name(&self) -> &'static str {
        match self {
            Kind::Uniqueidentifier => "Uniqueidentifier",
            Kind::Text { .. } => "String",
            Kind::Memo { .. } => "Memo",
            Kind::Integer { .. } => "Integer",
            Kind::BigInt => "BigInt",
            Kind::Boolean { .. } => "Boolean",
            Kind::Decimal { .. } => "Decimal",
            Kind::Double { .. } => "Double",
            Kind::Money { .. } => "Money",
            Kind::Choice { .. } => "Picklist",
            Kind::Choices { .. } => "Virtual",
            Kind::State { .. } => "State",
            Kind::Status { .. } => "Status",
            Kind::Lookup { flavour: Flavour::Lookup, .. } => "Lookup",
            Kind::Lookup { flavour: Flavour::Customer, .. } => "Customer",
            Kind::Lookup { flavour: Flavour::Owner, .. } => "Owner",
            Kind::DateTime { .. } => "DateTime",
        }
    }

    /// The metadata type that a URL casts to, without its namespace.
    pub fn metadata_type(&self) -> String {
        match self {
            Kind::Uniqueidentifier => "UniqueIdentifierAttributeMetadata".into(),
            Kind::Choices { .. } => "MultiSelectPicklistAttributeMetadata".into(),
            Kind::Lookup { .. } => "LookupAttributeMetadata".into(),
            other => format!("{}AttributeMetadata", other.type_name()),
        }
    }

    /// `AttributeTypeName/Value` in the metadata.
    pub fn type_name_value(&self) -> String {
        match self {
            Kind::Choices { .. } => "MultiSelectPicklistType".into(),
            other => format!("{}Type", other.type_name()),
        }
    }

    /// The type in OData's own words, for messages.
    pub fn edm(&self) -> &'static str {
        match self {
            Kind::Uniqueidentifier | Kind::Lookup { .. } => "Edm.Guid",
            Kind::Text { .. } | Kind::Memo { .. } | Kind::Choices { .. } => "Edm.String",
            Kind::Integer { .. } | Kind::Choice { .. } | Kind::State { .. } | Kind::Status { .. } => "Edm.Int32",
            Kind::BigInt => "Edm.Int64",
            Kind::Boolean { .. } => "Edm.Boolean",
            Kind::Decimal { .. } | Kind::Money { .. } => "Edm.Decimal",
            Kind::Double { .. } => "Edm.Double",
            Kind::DateTime { behaviour: Behaviour::DateOnly, .. } => "Edm.Date",
            Kind::DateTime { .. } => "Edm.DateTimeOffset",
        }
    }

    /// The column's declaration in SQL: exact numbers are scaled integers, instants are seconds, ids are blobs.
    pub fn sql_type(&self) -> &'static str {
        match self {
            Kind::Uniqueidentifier | Kind::Lookup { .. } => "BLOB",
            Kind::Text { .. } | Kind::Memo { .. } | Kind::Choices { .. } => "TEXT COLLATE dataverse",
            Kind::DateTime { behaviour: Behaviour::DateOnly, .. } => "TEXT",
            Kind::Double { .. } => "REAL",
            _ => "INTEGER",
        }
    }

    /// How many decimal places the stored integer of an exact number carries.
    pub fn scale(&self) -> Option<u32> {
        match self {
            // The platform keeps money with four places whatever the column shows.
            Kind::Money { .. } => Some(4),
            Kind::Decimal { precision, .. } => Some(*precision),
            _ => None,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    pub value: i32,
    pub label: String,
    pub state: Option<i32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Flavour {
    Lookup,
    Customer,
    Owner,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Behaviour {
    UserLocal,
    DateOnly,
    TimeZoneIndependent,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AlternateKey {
    pub id: Uuid,
    pub name: String,
    pub schema_name: String,
    pub label: String,
    pub columns: Vec<String>,
    pub status: KeyStatus,
}

impl AlternateKey {
    pub fn sql(&self, table: &Table) -> String {
        format!("k_{}_{}", table.name, self.name)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyStatus {
    Pending,
    InProgress,
    Active,
    Failed,
}

/// A lookup column seen as a relationship between two tables.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OneToMany {
    pub schema_name: String,
    pub id: Uuid,
    /// The table that is pointed to.
    pub one: String,
    /// The table that has the lookup column.
    pub many: String,
    pub column: String,
    /// The single-valued navigation property, on `many`.
    pub nav_many: String,
    /// The collection-valued navigation property, on `one`.
    pub nav_one: String,
    pub on_delete: OnDelete,
    pub custom: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnDelete {
    RemoveLink,
    Cascade,
    Restrict,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ManyToMany {
    pub schema_name: String,
    pub id: Uuid,
    pub tables: [String; 2],
    pub intersect: String,
    /// On each table, the collection of the other.
    pub navs: [String; 2],
    pub custom: bool,
}

impl ManyToMany {
    pub fn sql(&self) -> String {
        format!("n_{}", self.intersect)
    }
}

/// Where a navigation property leads.
#[derive(Debug, Clone)]
pub enum Nav {
    One {
        column: String,
        targets: Vec<String>,
    },
    Many {
        table: String,
        column: String,
    },
    /// `here` is the position of this table among the two.
    Linked {
        link: Arc<ManyToMany>,
        here: usize,
    },
}

/// Everything that is defined, with what is looked up often kept ready.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    pub tables: IndexMap<String, Arc<Table>>,
    pub one_to_many: Vec<Arc<OneToMany>>,
    pub many_to_many: Vec<Arc<ManyToMany>>,
    sets: HashMap<String, String>,
    navs: HashMap<String, IndexMap<String, Nav>>,
}

impl Catalog {
    pub fn new(tables: Vec<Table>, one_to_many: Vec<OneToMany>, many_to_many: Vec<ManyToMany>) -> Catalog {
        let mut catalog = Catalog {
            tables: tables.into_iter().map(|table| (table.name.clone(), Arc::new(table))).collect(),
            one_to_many: one_to_many.into_iter().map(Arc::new).collect(),
            many_to_many: many_to_many.into_iter().map(Arc::new).collect(),
            ..Catalog::default()
        };
        catalog.index();
        catalog
    }

    pub fn table(&self, name: &str) -> Option<&Arc<Table>> {
        self.tables.get(name)
    }

    pub fn by_set(&self, set: &str) -> Option<&Arc<Table>> {
        self.tables.get(self.sets.get(set)?)
    }

    pub fn nav(&self, table: &str, nav: &str) -> Option<&Nav> {
        self.navs.get(table)?.get(nav)
    }

    /// The name that binds `column` of `table` to `target`.
    pub fn nav_of_column(&self, table: &str, column: &str, target: &str) -> Option<&str> {
        let navs = self.navs.get(table)?;
        navs.iter().find_map(|(name, nav)| match nav {
            Nav::One { column: c, targets } if c == column && targets.iter().any(|t| t == target) => Some(&**name),
            _ => None,
        })
    }

    /// Rebuilds what is kept ready; to be called after a change of the public parts.
    pub fn index(&mut self) {
        self.sets = self.tables.values().map(|table| (table.set.clone(), table.name.clone())).collect();
        let mut navs: HashMap<String, IndexMap<String, Nav>> = HashMap::new();
        for relation in &self.one_to_many {
            let one = navs.entry(relation.many.clone()).or_default();
            let nav = one
                .entry(relation.nav_many.clone())
                .or_insert_with(|| Nav::One { column: relation.column.clone(), targets: Vec::new() });
            if let Nav::One { targets, .. } = nav {
                targets.push(relation.one.clone());
            }
            let many = Nav::Many { table: relation.many.clone(), column: relation.column.clone() };
            navs.entry(relation.one.clone()).or_default().insert(relation.nav_one.clone(), many);
        }
        for link in &self.many_to_many {
            for here in [0, 1] {
                let nav = Nav::Linked { link: link.clone(), here };
                navs.entry(link.tables[here].clone()).or_default().insert(link.navs[here].clone(), nav);
            }
        }
        self.navs = navs;
    }
}
