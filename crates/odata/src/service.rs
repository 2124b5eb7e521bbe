//! What a read-only service of ours offers: its entity sets with their properties, as data.

/// The namespace of everything that our services define.
pub const NAMESPACE: &str = "Ironbridge";

/// One entity set, and the entity type of its rows.
///
/// *Shape*: names are what EDM calls simple identifiers; the key is one property of the type GUID.
#[derive(Debug, Clone, PartialEq)]
pub struct EntitySet {
    pub name: String,
    /// The name of the entity type.
    pub of: String,
    /// The name of the key property.
    pub key: String,
    pub properties: Vec<Property>,
    pub navigations: Vec<Navigation>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Property {
    pub name: String,
    pub ty: Edm,
    pub nullable: bool,
    pub max_length: Option<u32>,
}

/// The types that the data provider of virtual tables can map.
///
/// *Source*: Microsoft's "OData v4 data provider requirements": no `Edm.Date`, no `Edm.TimeOfDay`, no small integers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edm {
    String,
    Boolean,
    Int64,
    /// Digits after the point; any number of them where nothing is said.
    Decimal(Option<u32>),
    Double,
    DateTimeOffset,
    /// A date, which leaves as midnight UTC.
    Date,
    Guid,
}

/// A reference to one row of another set, which a property of this type holds the key of.
#[derive(Debug, Clone, PartialEq)]
pub struct Navigation {
    pub name: String,
    /// The property with the other row's key.
    pub property: String,
    /// The name of the other set.
    pub set: String,
}

impl Edm {
    pub fn name(self) -> &'static str {
        match self {
            Edm::String => "Edm.String",
            Edm::Boolean => "Edm.Boolean",
            Edm::Int64 => "Edm.Int64",
            Edm::Decimal(_) => "Edm.Decimal",
            Edm::Double => "Edm.Double",
            Edm::DateTimeOffset | Edm::Date => "Edm.DateTimeOffset",
            Edm::Guid => "Edm.Guid",
        }
    }
}

impl EntitySet {
    pub fn property(&self, name: &str) -> Option<&Property> {
        self.properties.iter().find(|property| property.name == name)
    }

    pub fn navigation(&self, name: &str) -> Option<&Navigation> {
        self.navigations.iter().find(|navigation| navigation.name == name)
    }
}
