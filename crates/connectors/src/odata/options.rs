//! What a definition may say of an OData service.

use record::{Field, FieldType, Keeps, Kind};

use crate::http;

/// `kind: odata`.
pub static KIND: Kind = Kind {
    name: "odata",
    doc: "An OData v4 service, as Business Central and Finance and Operations have one.",
    connection: &[
        http::url(
            "The root of the service.",
            "https://api.businesscentral.dynamics.com/v2.0/production/api/v2.0/companies(…)",
        ),
        http::BEARER,
        http::API_KEY,
        http::BASIC,
        http::OAUTH,
        Field::new("parameters", FieldType::Text, "What each query carries besides its own.", "cross-company=true"),
        Field::new("page_rows", FieldType::WholeNumber { min: 1, max: 20_000 }, "Rows of one page.", "1000")
            .default("1000"),
        http::TIMEOUT,
        http::REQUESTS_A_MINUTE,
    ],
    entity: &[
        Field::new("table", FieldType::Text, "The entity set, as `$metadata` names it.", "customers"),
        Field::new(
            "alternate_key",
            FieldType::OneOrMany(&FieldType::Column),
            "The column, or columns, by which rows are found and written.",
            "number",
        ),
        Field::new(
            "match_existing",
            FieldType::OneOrMany(&FieldType::Column),
            "At go-live: columns by which rows that are there already are adopted.",
            "[displayName]",
        ),
        crate::sql::WATERMARK,
        Field::new("only", FieldType::Text, "A `$filter` that all rows must fulfil.", "blocked eq ' '"),
    ],
    reads: true,
    writes: true,
    has_catalog: true,
    line_tables: false,
    keeps: Keeps::EXACTLY,
};
