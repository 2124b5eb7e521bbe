//! `systems/*.yaml`: what every kind of system has. The rest is in the field table of its connector.

use crate::table::{Field, SECRET, Shape, TEXT, Table, Thing, one_of};

pub(crate) const COLUMN_TYPES: &[&str] = &[
    "text",
    "multiline",
    "whole_number",
    "decimal",
    "money",
    "float",
    "yes_no",
    "date",
    "time",
    "datetime",
    "guid",
    "choice",
    "lines",
];

pub(crate) const SYSTEM: Table = Table {
    name: "a system",
    doc: "Something outside the hub: how to reach it, and one mapping for each entity that it holds.",
    parts: &[&[
        Field::new("system", Shape::Name, "The name of the system.", "finance").required(),
        Field::new("kind", TEXT, "The connector that speaks to it.", "postgres").required(),
        Field::new("connection", Shape::Connection, "How to reach it, by its kind.", "{ url: \"${env:FINANCE_URL}\" }")
            .required(),
        Field::new("owner", Shape::Ref(Thing::Owner), "Who answers for the system.", "finance-it"),
        Field::new(
            "vendor",
            Shape::Group(&VENDOR),
            "Whose product it is, and until when they support it.",
            "{ name: Contoso Ledger, supported_until: 2029-06-30 }",
        ),
        Field::new(
            "expires",
            Shape::Named("", &Shape::Date),
            "When a secret or certificate of it ends, by a name for people: an alert comes a month before.",
            "{ client_secret: 2027-01-31 }",
        ),
        Field::new(
            "health",
            Shape::Every { off: true },
            "How often `ironbridge up` asks it whether it answers; more often while it does not. `off` where a question costs something.",
            "every 10 minutes",
        )
        .default("every 5 minutes"),
        Field::new("time_zone", Shape::Zone, "The zone of times that come without one.", "Europe/London"),
        Field::new(
            "webhooks",
            Shape::Group(&WEBHOOKS),
            "How its events prove that they come from it.",
            "{ header: x-ironbridge-key, keys: [\"${env:HOOK_KEY}\"] }",
        ),
        Field::new(
            "odata",
            Shape::Group(&ODATA),
            "How it proves that it may ask for the rows of virtual tables; without it only this machine is answered.",
            "{ keys: [\"${env:ODATA_KEY}\"] }",
        ),
        Field::new(
            "entities",
            Shape::SystemEntities,
            "What it holds of each entity, and how.",
            "{ customer: { table: customers, read: { number: customer_no } } }",
        )
        .required(),
        super::accept::ACCEPT,
    ]],
};

const VENDOR: Table = Table {
    name: "a vendor",
    doc: "Whose product a system is.",
    parts: &[&[
        Field::new("name", TEXT, "The name of the product or the company.", "Contoso Ledger").required(),
        Field::new(
            "supported_until",
            Shape::Date,
            "The last day of support: an alert comes half a year before.",
            "2029-06-30",
        ),
    ]],
};

const WEBHOOKS: Table = Table {
    name: "webhooks",
    doc: "How the events of a system prove that they come from it.",
    parts: &[&[
        Field::new(
            "header",
            TEXT,
            "The header that carries the key, or the signature; x-ironbridge-key, or that of `signed`.",
            "x-hub-key",
        ),
        Field::new(
            "signed",
            one_of(&["github", "stripe", "standard"]),
            "The keys are not sent, they sign the body, by the rules of GitHub, of Stripe, or of Standard Webhooks.",
            "github",
        ),
        Field::new(
            "keys",
            Shape::Many(&SECRET),
            "The keys that are accepted; two while one is being replaced.",
            "[\"${env:HOOK_KEY}\"]",
        )
        .required(),
    ]],
};

const ODATA: Table = Table {
    name: "odata",
    doc: "How a system proves that it may ask for the rows of virtual tables.",
    parts: &[&[
        Field::new(
            "header",
            TEXT,
            "The header, or the parameter of the query, that carries a key.",
            "x-ironbridge-key",
        )
        .default("x-ironbridge-key"),
        Field::new(
            "keys",
            Shape::Many(&SECRET),
            "The keys that are accepted; two while one is being replaced.",
            "[\"${env:ODATA_KEY}\"]",
        )
        .required(),
    ]],
};

/// What every entity of every system has, beside the connector's own fields.
pub(crate) const SYSTEM_ENTITY: &[Field] = &[
    Field::new(
        "read",
        Shape::Read,
        "Each field of the entity: a column, or a formula over columns.",
        "{ number: customer_no, name: =Trim(company_name) }",
    ),
    Field::new(
        "write",
        Shape::Write,
        "Each column: a field of the entity, or a formula over fields.",
        "{ credit_limit: credit_limit }",
    ),
    Field::new(
        "both",
        Shape::Both,
        "Each column with the field that it is, read and written.",
        "{ accountnumber: number, name: name }",
    ),
    Field::new("where", Shape::Formula, "Only rows for which this is true.", "=!IsBlank(contact_name)"),
    Field::new(
        "columns",
        Shape::Named("column", &Shape::TypeWord(COLUMN_TYPES)),
        "The columns and their types, where the system has no catalogue.",
        "{ Artikel: text, Preis: decimal }",
    ),
    Field::new(
        "personal_because",
        TEXT,
        "Why personal fields are written here, where neither Dynamics nor their master does it.",
        "The driver calls the customer before the delivery.",
    ),
];

pub(crate) const CHOICE_OF_COLUMN: Table = Table {
    name: "a choice that is read",
    doc: "The column, and which of its values is which name of the entity's choice.",
    parts: &[&[
        Field::new("column", TEXT, "The column, or a JSON path.", "terms_code").required(),
        Field::new(
            "choice",
            Shape::Choice,
            "The names of the entity's choice with the system's values.",
            "{ net30: \"30\", net60: \"60\" }",
        )
        .required(),
    ]],
};

pub(crate) const CHOICE_OF_FIELD: Table = Table {
    name: "a choice that is written",
    doc: "The field, and which of its names is which value of the column.",
    parts: &[&[
        Field::new("field", TEXT, "The field of the entity.", "terms").required(),
        Field::new(
            "choice",
            Shape::Choice,
            "The names of the entity's choice with the system's values.",
            "{ net30: 1, net60: 4 }",
        )
        .required(),
    ]],
};

pub(crate) const VALUE: Table = Table {
    name: "a value that is written",
    doc: "A value with a word on when it is written.",
    parts: &[&[
        Field::new(
            "value",
            Shape::OneValue,
            "A field, a fixed value, or a formula.",
            "'=Row(\"team\", {name: \"Sales UK\"})'",
        )
        .required(),
        Field::new("only_on", one_of(&["create"]), "Written when the row is created, and never again.", "create")
            .required(),
    ]],
};

pub(crate) const LINES_OF_TABLE: Table = Table {
    name: "lines that are read from a table",
    doc: "The table of the children, and the column that points to their parent.",
    parts: &[&[
        Field::new("table", TEXT, "The table of the children.", "salesorderdetail").required(),
        Field::new("parent", TEXT, "Its column that points to the parent.", "salesorderid").required(),
        Field::new("read", Shape::Read, "Each field of a line: a column, or a formula.", "{ line_no: lineitemnumber }")
            .required(),
    ]],
};

pub(crate) const LINES_OF_LIST: Table = Table {
    name: "lines that are read from a list",
    doc: "The list within the row.",
    parts: &[&[
        Field::new("each", TEXT, "The column or JSON path of the list.", "items").required(),
        Field::new("read", Shape::Read, "Each field of a line: a key, or a formula.", "{ line_no: pos }").required(),
    ]],
};

pub(crate) const LINES_WRITTEN: Table = Table {
    name: "lines that are written",
    doc: "The field that holds the lines, and what each becomes.",
    parts: &[&[
        Field::new("each", TEXT, "The field of the entity that holds the lines.", "lines").required(),
        Field::new(
            "parent",
            TEXT,
            "Where the lines are rows of a table, which the key names: its column that points to the document.",
            "salesorderid",
        ),
        Field::new(
            "write",
            Shape::Write,
            "Each key of a line: a field, or a formula.",
            "{ sku: product, qty: quantity }",
        )
        .required(),
    ]],
};
