//! What the connectors of SQL databases share: cursors, watermarks, paging by key, local times.

pub(crate) mod cursor;
pub(crate) mod moment;
pub(crate) mod order;
pub(crate) mod pages;
pub(crate) mod text;
pub(crate) mod watermark;

use record::{Field, FieldType};

/// The fields of an entity in every SQL database.
pub(crate) const ENTITY_FIELDS: &[Field] = &[
    Field::new("table", FieldType::Text, "The table or view to read and write.", "customers"),
    Field::new("query", FieldType::Text, "SQL to read from instead of a table; it is run read-only.", "SELECT * FROM customers WHERE active = 1"),
    Field::new(
        "alternate_key",
        FieldType::OneOrMany(&FieldType::Column),
        "The column, or columns, by which rows are written.",
        "customer_no",
    ),
    Field::new(
        "match_existing",
        FieldType::OneOrMany(&FieldType::Column),
        "At go-live: columns by which rows that are there already are adopted.",
        "[name]",
    ),
    Field::new(
        "watermark",
        FieldType::Group(WATERMARK_FIELDS),
        "A column that grows whenever a row changes, so that a run reads only what changed.",
        "{ column: updated_at, overlap: 5 minutes }",
    ),
    Field::new(
        "dst",
        FieldType::OneOf(&["reject", "earlier", "later"]),
        "What to do with a local time that a clock change skips or repeats: set the row aside, or take the earlier or the later reading.",
        "later",
    )
    .default("reject"),
];

const WATERMARK_FIELDS: &[Field] = &[
    Field::new(
        "column",
        FieldType::Column,
        "The column: a time, or a number that a trigger or the database counts up.",
        "updated_at",
    )
    .required(),
    Field::new("overlap", FieldType::Duration, "How far to read back, for transactions that commit late.", "5 minutes")
        .default("5 minutes"),
];

/// The name in double quotes, as standard SQL wants it.
pub(crate) fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
