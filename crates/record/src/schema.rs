//! The columns of rows: their names and types, for an entity of the hub as well as for a table of a system.

use std::sync::Arc;

/// What a column may hold.
#[derive(Debug, Clone, PartialEq)]
pub enum Type {
    Text {
        /// In characters, where the system or the entity limits it.
        max_length: Option<u32>,
    },
    Multiline {
        max_length: Option<u32>,
    },
    WholeNumber,
    Decimal {
        /// Digits after the point, where fixed.
        scale: Option<u32>,
    },
    Money,
    Float,
    YesNo,
    Date,
    Time,
    /// A point in time, UTC.
    DateTime,
    /// A date and time whose zone the source does not say.
    LocalDateTime,
    /// One of the names of an entity's choice, or one of the numbers of a system's (as text).
    Choice {
        values: Arc<[String]>,
    },
    Choices {
        values: Arc<[String]>,
    },
    /// A row of one of these entities (in an entity) or tables (in a system).
    Reference {
        to: Arc<[String]>,
    },
    Person,
    Guid,
    Bytes,
    Lines(Arc<Schema>),
    /// Nobody has said yet: a column of a system whose catalogue was not asked.
    Unknown,
}

impl Type {
    /// The word of a definition file for this type.
    pub fn word(&self) -> &'static str {
        match self {
            Type::Text { .. } => "text",
            Type::Multiline { .. } => "multiline",
            Type::WholeNumber => "whole_number",
            Type::Decimal { .. } => "decimal",
            Type::Money => "money",
            Type::Float => "float",
            Type::YesNo => "yes_no",
            Type::Date => "date",
            Type::Time => "time",
            Type::DateTime => "datetime",
            Type::LocalDateTime => "datetime without a zone",
            Type::Choice { .. } => "choice",
            Type::Choices { .. } => "choices",
            Type::Reference { .. } => "reference",
            Type::Person => "person",
            Type::Guid => "guid",
            Type::Bytes => "bytes",
            Type::Lines(_) => "lines",
            Type::Unknown => "unknown",
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    pub name: Arc<str>,
    pub ty: Type,
}

/// The columns of a batch or a row, in order.
///
/// *Shape*: names are unique; tables have few columns, so a look-up by name scans them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Schema {
    columns: Vec<Column>,
}

impl Schema {
    pub fn new(columns: Vec<Column>) -> Arc<Schema> {
        Arc::new(Schema { columns })
    }

    /// A schema from names and types, in order.
    pub fn of<N: Into<Arc<str>>>(columns: impl IntoIterator<Item = (N, Type)>) -> Arc<Schema> {
        Schema::new(columns.into_iter().map(|(name, ty)| Column { name: name.into(), ty }).collect())
    }

    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    pub fn len(&self) -> usize {
        self.columns.len()
    }

    pub fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    pub fn index(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|c| &*c.name == name)
    }
}
