//! `accept:`: a rule that is broken knowingly, with the reason, until a day.

use crate::table::{Field, Shape, TEXT, Table};

/// Of an integration, a system, an entity or the hub.
pub(crate) const ACCEPT: Field = Field::new(
    "accept",
    Shape::Named("code", &Shape::Group(&ACCEPTANCE)),
    "Rules that are broken here knowingly, each by its code, with a reason; `check` lists them every time.",
    "{ IB0220: { because: The nightly load becomes shorter in spring., until: 2027-03-31 } }",
);

const ACCEPTANCE: Table = Table {
    name: "an acceptance",
    doc: "A rule that is broken knowingly. `ironbridge explain CODE` says whether a rule can be accepted, and whether only until a day.",
    parts: &[&[
        Field::new(
            "because",
            TEXT,
            "Why, for whoever reads it in a year.",
            "The warehouse drops a second order with the same reference.",
        )
        .required(),
        Field::new("until", Shape::Date, "The last day; from the next one on `check` refuses it again.", "2027-03-31"),
    ]],
};
