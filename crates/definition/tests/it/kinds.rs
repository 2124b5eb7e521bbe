//! The kinds of system that the fixtures use; the crate itself brings none.

mod others;

use record::{Field, FieldType, Keeps, Kind};

use others::{FILES, MYSQL, POSTGRES, REST, SQLSERVER};

pub const KINDS: &[&Kind] = &[&SQLITE, &DATAVERSE, &POSTGRES, &SQLSERVER, &MYSQL, &REST, &FILES];

const WATERMARK: &[Field] = &[
    Field::new("column", FieldType::Column, "The column that grows when a row changes.", "updated_at").required(),
    Field::new("overlap", FieldType::Duration, "How far to read back.", "5 minutes").default("5 minutes"),
];

pub static SQLITE: Kind = Kind {
    name: "sqlite",
    doc: "A SQLite file.",
    connection: &[Field::new("path", FieldType::Path, "The file.", "finance.db").required()],
    entity: &[
        Field::new("table", FieldType::Text, "The table.", "customers"),
        Field::new("query", FieldType::Text, "A query.", "select 1"),
        Field::new("alternate_key", FieldType::OneOrMany(&FieldType::Column), "The key.", "customer_no"),
        Field::new("watermark", FieldType::Group(WATERMARK), "How changes are found.", "{ column: updated_at }"),
    ],
    reads: true,
    writes: true,
    has_catalog: true,
    line_tables: true,
    keeps: Keeps::EXACTLY,
};

pub static DATAVERSE: Kind = Kind {
    name: "dataverse",
    doc: "A Dataverse environment.",
    connection: &[
        Field::new("url", FieldType::Url, "The URL of the environment.", "https://contoso.crm11.dynamics.com")
            .required(),
        Field::new("tenant", FieldType::Text, "The tenant.", "\"${env:TENANT}\""),
        Field::new("client_id", FieldType::Text, "The application.", "\"${env:CLIENT_ID}\""),
        Field::new("client_secret", FieldType::Secret, "Its secret.", "\"${env:CLIENT_SECRET}\""),
        Field::new("token", FieldType::Secret, "A fixed token.", "\"${env:TOKEN}\""),
    ],
    entity: &[
        Field::new("table", FieldType::Text, "The table.", "account"),
        Field::new("alternate_key", FieldType::OneOrMany(&FieldType::Column), "The alternate key.", "accountnumber"),
        Field::new("match_existing", FieldType::OneOrMany(&FieldType::Column), "Columns for adopting.", "[name]"),
        Field::new("virtual_table", FieldType::Text, "The virtual table.", "new_tracking"),
        Field::new("primary_name", FieldType::Text, "The field that is its name.", "consignment"),
    ],
    reads: true,
    writes: true,
    has_catalog: true,
    line_tables: true,
    keeps: Keeps { empty_as_blank: true, whole_seconds: true, lookups: true },
};
