//! Databases with a server, web APIs and files, as far as the fixtures use them.

use record::{Field, FieldType, Keeps, Kind};

pub static POSTGRES: Kind = database("postgres", "A PostgreSQL database.");
pub static SQLSERVER: Kind = database("sqlserver", "A SQL Server or Azure SQL database.");
pub static MYSQL: Kind = database("mysql", "A MySQL or MariaDB database.");

const WATERMARK: &[Field] = &[
    Field::new("column", FieldType::Column, "The column that grows when a row changes.", "updated_at").required(),
    Field::new("overlap", FieldType::Duration, "How far to read back, for transactions that commit late.", "5 minutes")
        .default("5 minutes"),
];

const SQL: &[Field] = &[
    Field::new("table", FieldType::Text, "The table, with its schema where it has one.", "customers"),
    Field::new("query", FieldType::Text, "An SQL query that is read instead of a table.", "select * from customers"),
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
        FieldType::Group(WATERMARK),
        "How changes are found.",
        "{ column: updated_at, overlap: 5 minutes }",
    ),
];

const DATABASE: &[Field] = &[
    Field::new("url", FieldType::Url, "The URL of the database.", "\"${env:FINANCE_URL}\"").required(),
    Field::new("timeout", FieldType::Duration, "How long one statement may take.", "30 seconds").default("30 seconds"),
];

const fn database(name: &'static str, doc: &'static str) -> Kind {
    Kind {
        name,
        doc,
        connection: DATABASE,
        entity: SQL,
        reads: true,
        writes: true,
        has_catalog: true,
        line_tables: false,
        keeps: Keeps::EXACTLY,
    }
}

pub static REST: Kind = Kind {
    name: "rest",
    doc: "A REST API that speaks JSON.",
    connection: &[
        Field::new(
            "url",
            FieldType::Url,
            "The address that the paths of requests follow.",
            "https://erp.contoso.example/api",
        )
        .required(),
        Field::new(
            "bearer",
            FieldType::Secret,
            "A token for the header `Authorization: Bearer`.",
            "\"${env:ERP_TOKEN}\"",
        ),
        Field::new(
            "api_key",
            FieldType::Group(API_KEY),
            "A key in a header of its own.",
            "{ header: X-Key, value: \"${env:COURIER_KEY}\" }",
        ),
        Field::new(
            "basic",
            FieldType::Group(BASIC),
            "A user and a password.",
            "{ user: hub, password: \"${env:ERP_PASSWORD}\" }",
        ),
        Field::new("timeout", FieldType::Duration, "How long one request may take.", "30 seconds")
            .default("30 seconds"),
    ],
    entity: &[
        Field::new("create", FieldType::Text, "The request that creates a row.", "POST /orders"),
        Field::new("update", FieldType::Text, "The request that changes a row.", "PUT /orders/{erp_number}"),
        Field::new("delete", FieldType::Text, "The request that deletes a row.", "DELETE /orders/{erp_number}"),
        Field::new(
            "exists",
            FieldType::Text,
            "The request that is asked before a create with a lost answer is repeated.",
            "GET /orders?ref={number}",
        ),
        Field::new(
            "idempotency_key",
            FieldType::Text,
            "The header that makes a repeated create safe.",
            "Idempotency-Key",
        ),
        Field::new(
            "returns",
            FieldType::Map(&FieldType::Text),
            "Fields of the entity that the answer gives.",
            "{ erp_number: id }",
        ),
        Field::new("get", FieldType::Text, "The request for one row by its key.", "GET /track/{consignment}"),
        Field::new(
            "list",
            FieldType::Group(LIST),
            "The request for all rows.",
            "{ request: GET /orders, rows: items }",
        ),
        Field::new(
            "find",
            FieldType::Group(FIND),
            "The request for some rows by a field.",
            "{ by: [consignment], request: \"GET /track?numbers={consignment}\" }",
        ),
        Field::new(
            "alternate_key",
            FieldType::OneOrMany(&FieldType::Column),
            "The key, or keys, that name a row.",
            "number",
        ),
    ],
    reads: true,
    writes: true,
    has_catalog: false,
    line_tables: false,
    keeps: Keeps::EXACTLY,
};

const API_KEY: &[Field] = &[
    Field::new("header", FieldType::Text, "The name of the header.", "X-Key").required(),
    Field::new("value", FieldType::Secret, "The key.", "\"${env:COURIER_KEY}\"").required(),
];

const BASIC: &[Field] = &[
    Field::new("user", FieldType::Text, "The user.", "hub").required(),
    Field::new("password", FieldType::Secret, "The password.", "\"${env:ERP_PASSWORD}\"").required(),
];

const LIST: &[Field] = &[
    Field::new("request", FieldType::Text, "The request.", "GET /orders").required(),
    Field::new("rows", FieldType::Text, "The JSON path of the rows in the answer.", "items"),
    Field::new("next", FieldType::Text, "The JSON path of the link to the next page.", "links.next"),
];

const FIND: &[Field] = &[
    Field::new("by", FieldType::List(&FieldType::Text), "The fields that a query may name.", "[consignment]")
        .required(),
    Field::new("request", FieldType::Text, "The request.", "\"GET /track?numbers={consignment}\"").required(),
    Field::new("at_most", FieldType::WholeNumber { min: 1, max: 10_000 }, "Values of one request.", "20").default("1"),
    Field::new("rows", FieldType::Text, "The JSON path of the rows in the answer.", "shipments"),
];

pub static FILES: Kind = Kind {
    name: "files",
    doc: "A folder of files, here or on an SFTP server.",
    connection: &[
        Field::new(
            "url",
            FieldType::Url,
            "The folder, or the address of a server with its path.",
            "\"sftp://files.supplier.example/out\"",
        )
        .required(),
        Field::new("user", FieldType::Text, "The user on the server.", "hub"),
        Field::new("key", FieldType::Secret, "The private key.", "\"${file:sftp_key}\""),
        Field::new("password", FieldType::Secret, "The password.", "\"${env:SFTP_PASSWORD}\""),
    ],
    entity: &[
        Field::new("file", FieldType::Text, "The names of the files, with `*` for anything.", "\"prices_*.csv\"")
            .required(),
        Field::new("format", FieldType::Group(FORMAT), "How the files are written.", "{ delimiter: \";\" }")
            .default("{}"),
        Field::new(
            "ready_when",
            FieldType::Text,
            "When a file is whole: `unchanged for` a time, or `exists` another file.",
            "unchanged for 2 minutes",
        )
        .default("unchanged for 2 minutes"),
        Field::new(
            "contains",
            FieldType::OneOf(&["everything", "changes"]),
            "Whether a file has every row, or only what changed.",
            "everything",
        )
        .default("changes"),
        Field::new(
            "several",
            FieldType::OneOf(&["newest", "each in order"]),
            "What happens when several files wait.",
            "newest",
        )
        .default("each in order"),
        Field::new("afterwards", FieldType::Text, "What happens to a file that was read.", "move to done/")
            .default("keep"),
        Field::new(
            "alternate_key",
            FieldType::OneOrMany(&FieldType::Column),
            "The column, or columns, that name a row.",
            "Artikel",
        ),
    ],
    reads: true,
    writes: false,
    has_catalog: false,
    line_tables: false,
    keeps: Keeps::EXACTLY,
};

const FORMAT: &[Field] = &[
    Field::new("delimiter", FieldType::Text, "The character between columns.", "\";\"").default("\",\""),
    Field::new(
        "encoding",
        FieldType::OneOf(&["utf-8", "windows-1252", "iso-8859-1", "utf-16"]),
        "How characters are written.",
        "windows-1252",
    )
    .default("utf-8"),
    Field::new("decimal", FieldType::OneOf(&[".", ","]), "The decimal sign.", "\",\"").default("\".\""),
    Field::new(
        "date",
        FieldType::OneOf(&["yyyy-mm-dd", "dd/mm/yyyy", "mm/dd/yyyy", "dd.mm.yyyy", "yyyymmdd"]),
        "How dates are written.",
        "dd/mm/yyyy",
    )
    .default("yyyy-mm-dd"),
    Field::new("header", FieldType::YesNo, "The first line holds the names of the columns.", "true").default("true"),
];
