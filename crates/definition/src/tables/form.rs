//! The fields of a form.

use crate::table::{Field, Shape, TEXT, Table, Thing, YES_NO, one_of, whole};

pub(crate) const FORM_TYPES: &[&str] =
    &["text", "multiline", "whole_number", "decimal", "money", "yes_no", "date", "datetime", "choice", "reference"];

const COMMON: &[Field] = &[
    Field::new("type", Shape::TypeWord(FORM_TYPES), "What is filled in.", "money").required(),
    Field::new("label", TEXT, "What people read beside it; by default its name.", "How much more"),
    Field::new("required", YES_NO, "Whether it has to be filled in.", "true").default("false"),
    Field::new(
        "default",
        Shape::TextOrFormula,
        "What stands in it at first: a fixed text, or a formula.",
        "=requested",
    ),
    Field::new("personal", YES_NO, "Personal data: masked wherever people look later.", "true").default("false"),
    Field::new("max_length", whole(1, 10_000), "Of a text: the most characters.", "200"),
    Field::new("scale", whole(0, 10), "Of a decimal: digits after the point.", "3"),
    Field::new(
        "currency",
        Shape::TextOrFormula,
        "Of money: a currency code, which stands beside it; with an answer also a formula that gives one.",
        "GBP",
    ),
    Field::new("values", Shape::Many(&TEXT), "Of a choice: its names.", "[new, more]"),
    Field::new("entity", Shape::Ref(Thing::Entity), "Of a reference: the entity whose key is filled in.", "customer"),
];

pub(crate) const FORM_FIELD: Table =
    Table { name: "a field of a form", doc: "Something that is filled in to start a flow.", parts: &[COMMON] };

pub(crate) const ANSWER_FIELD: Table = Table {
    name: "a field of an answer",
    doc: "Something that is filled in with the answer to a question.",
    parts: &[
        COMMON,
        &[Field::new(
            "with",
            one_of(&["either", "approved", "rejected"]),
            "With which answer it is asked for.",
            "approved",
        )
        .default("either")],
    ],
};
