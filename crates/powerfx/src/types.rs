//! The types that the checker reasons with.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// What a formula, a column or an argument is.
#[derive(Debug, Clone, PartialEq)]
pub enum Type {
    /// Nobody knows before a row comes: fits everywhere, and is coerced when the formula runs.
    Unknown,
    /// The type of `Blank()` alone; fits everywhere.
    Blank,
    Boolean,
    /// An exact decimal number of up to 28-29 digits: the ordinary number.
    Number,
    /// A binary floating-point number; what `Float`, `Sqrt`, `Power` and their like give.
    Float,
    Text,
    Date,
    Time,
    DateTime,
    Guid,
    /// One of a named set; its values are text or numbers when the formula runs.
    Choice(Arc<ChoiceSet>),
    /// A reference to a row of the named entity or table.
    Reference(Arc<str>),
    Record(Fields),
    Table(Fields),
    /// What `ParseJSON` gives: a value with a shape that is asked about with functions.
    Untyped,
    /// The result of branches that do not agree; usable nowhere.
    Void,
    /// Something was already reported here; fits everywhere so that one mistake is one message.
    Error,
}

/// A named set of values: an option set of an entity, or one of the language's own enumerations.
#[derive(Debug, PartialEq)]
pub struct ChoiceSet {
    pub name: Arc<str>,
    pub members: Vec<(Arc<str>, ChoiceValue)>,
    /// A plain text or number may stand where this choice is expected.
    pub from_backing: bool,
    /// This choice may stand where a plain text or number is expected.
    pub to_backing: bool,
    /// `&` of two members is again of this choice (`MatchOptions.Contains & MatchOptions.IgnoreCase`).
    pub concatenates: bool,
}

/// What a member of a [`ChoiceSet`] is when the formula runs.
#[derive(Debug, Clone, PartialEq)]
pub enum ChoiceValue {
    Text(Arc<str>),
    Number(i64),
}

impl ChoiceSet {
    /// An option set whose values are their own names, as an entity declares it.
    pub fn of_names<'n>(name: &str, values: impl IntoIterator<Item = &'n str>) -> Arc<Self> {
        let members = values.into_iter().map(|v| (Arc::from(v), ChoiceValue::Text(Arc::from(v)))).collect();
        Arc::new(Self { name: name.into(), members, from_backing: true, to_backing: true, concatenates: false })
    }

    pub(crate) fn backing(&self) -> Type {
        match self.members.first() {
            Some((_, ChoiceValue::Number(_))) => Type::Number,
            _ => Type::Text,
        }
    }
}

/// The columns of a record or of a table's rows, by name.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Fields(Arc<BTreeMap<Arc<str>, Type>>);

impl Fields {
    pub fn new(fields: impl IntoIterator<Item = (Arc<str>, Type)>) -> Self {
        Self(Arc::new(fields.into_iter().collect()))
    }

    pub(crate) fn value(ty: Type) -> Self {
        Self::new([(Arc::from("Value"), ty)])
    }

    pub fn get(&self, name: &str) -> Option<&Type> {
        self.0.get(name)
    }

    /// In the order of their names.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Arc<str>, &Type)> {
        self.0.iter()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The one column of a one-column table.
    pub(crate) fn single(&self) -> Option<(&Arc<str>, &Type)> {
        if self.0.len() == 1 { self.0.iter().next() } else { None }
    }
}

impl Type {
    /// A table with the one column `Value`.
    pub fn list(ty: Type) -> Type {
        Type::Table(Fields::value(ty))
    }

    pub(crate) fn is_dateish(&self) -> bool {
        matches!(self, Type::Date | Type::DateTime | Type::Time)
    }

    /// Whether it has more than so many columns, those of its columns included.
    pub(crate) fn is_larger_than(&self, limit: usize) -> bool {
        fn count(ty: &Type, left: &mut usize) -> bool {
            let (Type::Record(fields) | Type::Table(fields)) = ty else { return true };
            fields.iter().all(|(_, ty)| {
                *left = left.saturating_sub(1);
                *left > 0 && count(ty, left)
            })
        }
        !count(self, &mut { limit })
    }

    /// Fits everywhere without a coercion that we could check.
    pub(crate) fn is_any(&self) -> bool {
        matches!(self, Type::Unknown | Type::Blank | Type::Error)
    }

    /// The text or number behind a choice, other types as they are.
    pub(crate) fn backing(&self) -> Type {
        match self {
            Type::Choice(set) => set.backing(),
            other => other.clone(),
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Type::Unknown => f.write_str("unknown"),
            Type::Blank => f.write_str("Blank"),
            Type::Boolean => f.write_str("Boolean"),
            Type::Number => f.write_str("Number"),
            Type::Float => f.write_str("Float"),
            Type::Text => f.write_str("Text"),
            Type::Date => f.write_str("Date"),
            Type::Time => f.write_str("Time"),
            Type::DateTime => f.write_str("DateTime"),
            Type::Guid => f.write_str("GUID"),
            // Choices of a column have a name, those that are written where they are used have none.
            Type::Choice(set) if set.name.is_empty() => f.write_str("choice"),
            Type::Choice(set) => write!(f, "choice {}", set.name),
            Type::Reference(to) => write!(f, "reference to {to}"),
            Type::Record(_) => f.write_str("Record"),
            Type::Table(_) => f.write_str("Table"),
            Type::Untyped => f.write_str("untyped object"),
            Type::Void => f.write_str("nothing, because its branches do not agree"),
            Type::Error => f.write_str("error"),
        }
    }
}

/// The type that both can become: the first decides where both are plain, records and tables join their columns.
///
/// Records and tables get every column of either; `None` when the two cannot agree.
pub(crate) fn union(a: &Type, b: &Type) -> Option<Type> {
    match (a, b) {
        (Type::Error, _) | (_, Type::Error) => Some(Type::Error),
        (Type::Void, _) | (_, Type::Void) => None,
        (Type::Unknown, _) | (_, Type::Unknown) => Some(Type::Unknown),
        (Type::Blank, other) | (other, Type::Blank) => Some(other.clone()),
        (a, b) if a == b => Some(a.clone()),
        (Type::Untyped, other) | (other, Type::Untyped) => match other {
            Type::Record(_) | Type::Table(_) | Type::Reference(_) => None,
            other => Some(other.clone()),
        },
        (Type::Record(x), Type::Record(y)) => union_fields(x, y).map(Type::Record),
        (Type::Table(x), Type::Table(y)) => union_fields(x, y).map(Type::Table),
        (Type::Date, Type::DateTime) | (Type::DateTime, Type::Date) => Some(Type::DateTime),
        (a, b) if coerces(b, a) => Some(a.clone()),
        _ => None,
    }
}

fn union_fields(x: &Fields, y: &Fields) -> Option<Fields> {
    let mut all: BTreeMap<Arc<str>, Type> = (*x.0).clone();
    for (name, ty) in y.iter() {
        let joined = match all.get(name) {
            Some(have) => union(have, ty)?,
            None => ty.clone(),
        };
        all.insert(name.clone(), joined);
    }
    Some(Fields(Arc::new(all)))
}

/// Whether a value of `from` may stand where `to` is wanted (it may still fail when the formula runs).
pub(crate) fn coerces(from: &Type, to: &Type) -> bool {
    use Type::*;
    match (from, to) {
        (Void, _) => false,
        (Error | Unknown | Blank, _) => true,
        (_, Unknown | Error) => true,
        (a, b) if a == b => true,
        (Choice(set), to) if !matches!(to, Choice(_)) => set.to_backing && coerces(&set.backing(), to),
        (from, Choice(set)) => set.from_backing && *from == set.backing(),
        (Number | Float | Boolean | Guid, Text) => true,
        (Date | Time | DateTime, Text) => true,
        (Text | Boolean | Number | Float, Number | Float) => true,
        (Date | Time | DateTime, Number | Float) => true,
        (Number | Float | Text, Boolean) => true,
        (Number | Float | Text | Date | Time | DateTime, Date | Time | DateTime) => true,
        (Text, Guid) => true,
        (Untyped, Text | Number | Float | Boolean | Date | Time | DateTime | Guid) => true,
        (Record(x), Record(y)) | (Table(x), Table(y)) => {
            y.iter().all(|(name, want)| x.get(name).is_none_or(|have| coerces(have, want)))
        }
        _ => false,
    }
}
