//! What may stand in a definition: one field table for each thing, and the shapes of values.
//!
//! The tables drive decoding, messages, `show`, the JSON Schema and the reference page. A connector's own fields are
//! [`record::Field`]s and become rows of the same kind.

use record::FieldType;

/// One thing that has keys: an integration, an entity, one step of a flow.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Table {
    /// As the page heading says it, with its article: `a batch integration`.
    pub name: &'static str,
    pub doc: &'static str,
    /// Parts that several tables share stand in one place.
    pub parts: &'static [&'static [Field]],
}

impl Table {
    pub fn fields(&self) -> impl Iterator<Item = &'static Field> + Clone {
        self.parts.iter().flat_map(|part| part.iter())
    }
}

/// One key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field {
    pub name: &'static str,
    pub shape: Shape,
    pub required: bool,
    /// As a user would write it.
    pub default: Option<&'static str>,
    pub doc: &'static str,
    pub example: &'static str,
}

impl Field {
    pub const fn new(name: &'static str, shape: Shape, doc: &'static str, example: &'static str) -> Field {
        Field { name, shape, required: false, default: None, doc, example }
    }

    pub const fn required(mut self) -> Field {
        self.required = true;
        self
    }

    pub const fn default(mut self, default: &'static str) -> Field {
        self.default = Some(default);
        self
    }
}

impl From<&record::Field> for Field {
    fn from(field: &record::Field) -> Field {
        Field {
            name: field.name,
            shape: Shape::Plain(field.ty),
            required: field.required,
            default: field.default,
            doc: field.doc,
            example: field.example,
        }
    }
}

/// What stands behind a key.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shape {
    /// What a connector's field can be as well.
    Plain(FieldType),
    /// The name that a definition gives itself: letters, digits, `_` and `-`.
    Name,
    /// A sentence, which may hold `{field}` places where it starts with `=`.
    TextOrFormula,
    /// The name of something that is defined elsewhere.
    Ref(Thing),
    /// The name of a field of the entity at hand.
    FieldName,
    /// The type of a field or column.
    TypeWord(&'static [&'static str]),
    /// A regular expression.
    Pattern,
    Email,
    /// `"09:00-17:30"`.
    Hours,
    /// `2029-06-30`.
    Date,
    /// The name of a time zone.
    Zone,
    /// The name of a calendar of public holidays, or a list of dates.
    Holidays,
    Schedule,
    /// `every 10 minutes`; `off` where `true`.
    Every {
        off: bool,
    },
    /// `weekly`, or `every 3 days`; `off`.
    Cadence,
    /// `2 working days`, or a duration.
    Wait,
    /// A duration after the start, or a time of the day.
    NeededBy,
    /// `500`, or `80 % of usual`.
    MinRows,
    /// `30 a day`.
    Rate,
    /// Power Fx after `=`.
    Formula,
    /// `{ field: type }` of what the mapping reads.
    Read,
    Write,
    Both,
    Group(&'static Table),
    Many(&'static Shape),
    OneOrMany(&'static Shape),
    /// `{ name: … }` with names of the user's own; the text says what is named.
    Named(&'static str, &'static Shape),
    /// `{ field: value }` of what a step writes.
    Assignments,
    /// By the `kind:` beside it.
    Connection,
    SystemEntities,
    Steps,
    /// `{ net30: 1, net60: 4 }`: names of an entity's choice with a system's values.
    Choice,
    /// One value: a name, a fixed value or a formula.
    OneValue,
    /// Rows and values of a test, in any shape.
    Anything,
}

/// What a name can point to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Thing {
    Entity,
    System,
    Integration,
    Person,
    /// A person, a group, or `group:name`.
    Who,
    /// The same; or just a word for people, where the hub's alert routes reach somebody.
    Owner,
}

impl Thing {
    pub fn word(self) -> &'static str {
        match self {
            Thing::Entity => "entity",
            Thing::System => "system",
            Thing::Integration => "integration",
            Thing::Person => "person",
            Thing::Who | Thing::Owner => "person or group",
        }
    }

    /// Where one would be defined.
    pub fn home(self) -> &'static str {
        match self {
            Thing::Entity => "entities/",
            Thing::System => "systems/",
            Thing::Integration => "integrations/",
            Thing::Person | Thing::Who | Thing::Owner => "people.yaml",
        }
    }
}

pub(crate) const TEXT: Shape = Shape::Plain(FieldType::Text);
pub(crate) const SECRET: Shape = Shape::Plain(FieldType::Secret);
pub(crate) const URL: Shape = Shape::Plain(FieldType::Url);
pub(crate) const YES_NO: Shape = Shape::Plain(FieldType::YesNo);
pub(crate) const DURATION: Shape = Shape::Plain(FieldType::Duration);
pub(crate) const PERCENTAGE: Shape = Shape::Plain(FieldType::Percentage);

pub(crate) const fn one_of(words: &'static [&'static str]) -> Shape {
    Shape::Plain(FieldType::OneOf(words))
}

pub(crate) const fn whole(min: i64, max: i64) -> Shape {
    Shape::Plain(FieldType::WholeNumber { min, max })
}
