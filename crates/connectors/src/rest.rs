//! REST APIs that speak JSON: each request is written in the definition, with fields of the entity in braces.

mod body;
mod client;
mod sink;
mod source;
mod template;

use std::sync::Arc;
use std::time::Duration;

use record::{
    BoxFuture, Catalog, Fault, Field, FieldType, Health, Keeps, Kind, Options, ReadSpec, Sink, Source, System,
    WriteSpec,
};

use client::Client;

/// `kind: rest`.
pub static KIND: Kind = Kind {
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

/// Opens a REST system; see [`crate::registry::Entry::open`].
pub fn open(name: &str, options: Options) -> Result<Arc<dyn System>, Fault> {
    let timeout = options.duration("timeout").unwrap_or(Duration::from_secs(30));
    Ok(Arc::new(Api { client: Client::new(name, &options, timeout)? }))
}

/// One API.
struct Api {
    client: Client,
}

impl System for Api {
    /// An API has no page that all of them have: any answer but a refusal says that it is there.
    fn check(&self) -> BoxFuture<'_, Result<Health, Fault>> {
        Box::pin(async move {
            let server = self.client.reachable().await?;
            Ok(Health { version: server.unwrap_or_else(|| "a REST API".to_owned()), user: None, missing: Vec::new() })
        })
    }

    fn catalog<'a>(&'a self, _: &'a [&'a str]) -> BoxFuture<'a, Result<Catalog, Fault>> {
        Box::pin(std::future::ready(Ok(Catalog::default())))
    }

    fn source(&self, spec: ReadSpec) -> Result<Arc<dyn Source>, Fault> {
        Ok(Arc::new(source::Rows::new(self.client.clone(), spec)?))
    }

    fn sink(&self, spec: WriteSpec) -> Result<Arc<dyn Sink>, Fault> {
        Ok(Arc::new(sink::Rows::new(self.client.clone(), spec)?))
    }
}
