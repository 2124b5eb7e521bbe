//! What a definition may say of a REST system.

use record::{Field, FieldType, Keeps, Kind};

use crate::http;

/// `kind: rest`.
pub static KIND: Kind = Kind {
    name: "rest",
    doc: "A REST API that speaks JSON.",
    connection: &[
        http::url("The address that the paths of requests follow.", "https://erp.contoso.example/api"),
        http::BEARER,
        http::API_KEY,
        http::BASIC,
        http::OAUTH,
        http::TIMEOUT,
        http::REQUESTS_A_MINUTE,
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
        )
        .default("Idempotency-Key"),
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
        crate::sql::WATERMARK,
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

const LIST: &[Field] = &[
    Field::new("request", FieldType::Text, "The request.", "GET /orders").required(),
    Field::new(
        "changes",
        FieldType::Text,
        "The request for what changed; `{since}` is the watermark of the last read.",
        "GET /orders?changed_since={since}",
    ),
    Field::new("rows", FieldType::Text, "The JSON path of the rows in the answer.", "items"),
    Field::new("next", FieldType::Text, "The JSON path of the link to the next page.", "links.next"),
    Field::new(
        "cursor",
        FieldType::Group(&[
            Field::new("path", FieldType::Text, "Where an answer has the cursor.", "paging.next_cursor").required(),
            Field::new("parameter", FieldType::Text, "The parameter that takes it.", "cursor").required(),
        ]),
        "Pages follow each other by a cursor.",
        "{ path: paging.next_cursor, parameter: cursor }",
    ),
    Field::new(
        "page",
        FieldType::Group(&[
            Field::new("parameter", FieldType::Text, "The parameter that takes the number.", "page").required(),
            Field::new("first", FieldType::WholeNumber { min: 0, max: 1 }, "The number of the first page.", "0")
                .default("1"),
        ]),
        "Pages have numbers.",
        "{ parameter: page }",
    ),
    Field::new(
        "offset",
        FieldType::Group(&[
            Field::new("parameter", FieldType::Text, "The parameter that takes the offset.", "skip").required()
        ]),
        "A page is asked for by the number of rows before it.",
        "{ parameter: skip }",
    ),
    Field::new(
        "size",
        FieldType::Group(&[
            Field::new("parameter", FieldType::Text, "The parameter that takes the size.", "limit").required(),
            Field::new("rows", FieldType::WholeNumber { min: 1, max: 10_000 }, "Rows of one page.", "100").required(),
        ]),
        "How many rows a page should have.",
        "{ parameter: limit, rows: 100 }",
    ),
];

const FIND: &[Field] = &[
    Field::new("by", FieldType::List(&FieldType::Text), "The fields that a query may name.", "[consignment]")
        .required(),
    Field::new("request", FieldType::Text, "The request.", "\"GET /track?numbers={consignment}\"").required(),
    Field::new("at_most", FieldType::WholeNumber { min: 1, max: 10_000 }, "Values of one request.", "20").default("1"),
    Field::new("rows", FieldType::Text, "The JSON path of the rows in the answer.", "shipments"),
];
