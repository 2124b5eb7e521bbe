//! What the connectors of web APIs share: the address, the ways to sign in, and what an answer means.

pub(crate) mod client;
mod oauth;
mod pace;
pub(crate) mod turns;
pub(crate) mod typed;
pub(crate) mod uncertain;

use record::{Field, FieldType};

pub(crate) use client::{Answer, Client};

/// The address of an API.
pub(crate) const fn url(doc: &'static str, example: &'static str) -> Field {
    Field::new("url", FieldType::Url, doc, example).required()
}

pub(crate) const BEARER: Field =
    Field::new("bearer", FieldType::Secret, "A token for the header `Authorization: Bearer`.", "\"${env:ERP_TOKEN}\"");

pub(crate) const API_KEY: Field = Field::new(
    "api_key",
    FieldType::Group(&[
        Field::new("header", FieldType::Text, "The name of the header that carries it.", "X-Key"),
        Field::new("query", FieldType::Text, "The name of the query parameter that carries it.", "key"),
        Field::new("value", FieldType::Secret, "The key.", "\"${env:COURIER_KEY}\"").required(),
    ]),
    "A key in a header or in a query parameter.",
    "{ header: X-Key, value: \"${env:COURIER_KEY}\" }",
);

pub(crate) const BASIC: Field = Field::new(
    "basic",
    FieldType::Group(&[
        Field::new("user", FieldType::Text, "The user.", "hub").required(),
        Field::new("password", FieldType::Secret, "The password.", "\"${env:ERP_PASSWORD}\"").required(),
    ]),
    "A user and a password.",
    "{ user: hub, password: \"${env:ERP_PASSWORD}\" }",
);

pub(crate) const OAUTH: Field = Field::new(
    "oauth",
    FieldType::Group(&[
        Field::new(
            "token_url",
            FieldType::Url,
            "The address that gives tokens.",
            "https://login.contoso.example/oauth2/token",
        )
        .required(),
        Field::new("client_id", FieldType::Text, "The application's id.", "\"${env:ERP_CLIENT}\"").required(),
        Field::new("client_secret", FieldType::Secret, "The application's secret.", "\"${env:ERP_SECRET}\"").required(),
        Field::new("scope", FieldType::Text, "What the token is for.", "https://erp.contoso.example/.default"),
        Field::new(
            "client_in",
            FieldType::OneOf(&["body", "header"]),
            "Whether id and secret go into the body of the request for a token, or into its header.",
            "header",
        )
        .default("body"),
    ]),
    "A token by OAuth 2.0 client credentials, renewed before it expires.",
    "{ token_url: https://login.contoso.example/token, client_id: hub, client_secret: \"${env:ERP_SECRET}\" }",
);

pub(crate) const TIMEOUT: Field =
    Field::new("timeout", FieldType::Duration, "How long one request may take.", "30 seconds").default("30 seconds");

pub(crate) const REQUESTS_A_MINUTE: Field = Field::new(
    "requests_a_minute",
    FieldType::WholeNumber { min: 1, max: 60_000 },
    "The most requests that the hub sends in a minute; by default as many as there is work for.",
    "300",
);

/// How a web API compares keys: as they are written.
pub(crate) const KEY_RULES: record::KeyRules =
    record::KeyRules { ignore_case: false, ignore_trailing_spaces: false, ignore_accents: false, as_kept: false };
