//! `entities/*.yaml`.

use crate::table::{Field, Shape, TEXT, Table, Thing, YES_NO, whole};

pub(crate) const FIELD_TYPES: &[&str] = &[
    "text",
    "multiline",
    "whole_number",
    "decimal",
    "money",
    "yes_no",
    "date",
    "datetime",
    "choice",
    "choices",
    "reference",
    "person",
    "guid",
    "lines",
];

pub(crate) static ENTITY: Table = Table {
    name: "an entity",
    doc: "The hub's own record of a business thing: its fields with types, and its key.",
    parts: &[&[
        Field::new("entity", Shape::Name, "The name of the entity.", "customer").required(),
        Field::new(
            "key",
            Shape::OneOrMany(&Shape::FieldName),
            "The field, or fields, that name one record everywhere.",
            "number",
        )
        .required(),
        Field::new(
            "version",
            Shape::FieldName,
            "The field that orders events of one record: an older one never overwrites a newer one.",
            "changed_at",
        ),
        Field::new(
            "fields",
            Shape::Named("field", &Shape::Group(&FIELD)),
            "The fields, each with its type.",
            "{ number: { type: text, max_length: 20 } }",
        )
        .required(),
        super::accept::ACCEPT,
    ]],
};

pub(crate) static FIELD: Table = Table {
    name: "a field",
    doc: "One field of an entity.",
    parts: &[&[
        Field::new("type", Shape::TypeWord(FIELD_TYPES), "What the field holds.", "text").required(),
        Field::new("required", YES_NO, "A record without it is rejected.", "true").default("false"),
        Field::new("personal", YES_NO, "Personal data: masked wherever people look, and forgotten on request.", "true")
            .default("false"),
        Field::new(
            "master",
            Shape::Ref(Thing::System),
            "The system that owns the field: a sync never writes it there.",
            "finance",
        ),
        Field::new("max_length", whole(1, 1_048_576), "Of a text: the most characters.", "20"),
        Field::new(
            "pattern",
            Shape::Pattern,
            "Of a text: a regular expression that the whole text matches.",
            "\"[A-Z0-9]{8,22}\"",
        ),
        Field::new("scale", whole(0, 10), "Of a decimal: digits after the point.", "3"),
        Field::new("currency", Shape::TextOrFormula, "Of money: a currency code, or a formula that gives one.", "GBP"),
        Field::new("values", Shape::Many(&TEXT), "Of a choice: its names.", "[net30, net60, prepaid]"),
        Field::new("entity", Shape::Ref(Thing::Entity), "Of a reference: the entity that it points to.", "customer"),
        Field::new("key", Shape::OneOrMany(&Shape::FieldName), "Of lines: the field that names one line.", "line_no"),
        Field::new(
            "fields",
            Shape::Named("field", &Shape::Group(&FIELD)),
            "Of lines: their fields.",
            "{ line_no: { type: whole_number } }",
        ),
    ]],
};

/// Which keys belong to which types, besides those that all have. *Shape*: key, types, and whether such a type needs it.
pub(crate) const BY_TYPE: &[(&str, &[&str], bool)] = &[
    ("max_length", &["text", "multiline"], false),
    ("pattern", &["text"], false),
    ("scale", &["decimal"], false),
    ("currency", &["money"], false),
    ("values", &["choice", "choices"], true),
    ("entity", &["reference"], true),
    ("key", &["lines"], true),
    ("fields", &["lines"], true),
];
