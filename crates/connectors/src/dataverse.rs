//! Dataverse environments (Dynamics 365), as a source and as a destination: the `dataverse` crate behind a field table.

use std::sync::Arc;

use dataverse::{Config, Environment};
use record::{Code, Fault, Field, FieldType, Keeps, Kind, Options, System};
use rust_decimal::prelude::ToPrimitive;

/// `kind: dataverse`.
pub static KIND: Kind = Kind {
    name: "dataverse",
    doc: "A Dataverse environment: Dynamics 365 Sales, Customer Service, or any other Power Platform app.",
    connection: &[
        Field::new("url", FieldType::Url, "The address of the environment.", "https://contoso.crm11.dynamics.com")
            .required(),
        Field::new("tenant", FieldType::Text, "The directory (tenant) id of the application.", "${env:TENANT}"),
        Field::new("client_id", FieldType::Text, "The application (client) id.", "${env:CLIENT_ID}"),
        Field::new("client_secret", FieldType::Secret, "The application's client secret.", "${env:CLIENT_SECRET}"),
        Field::new(
            "token",
            FieldType::Secret,
            "A fixed bearer token instead of signing in, for the emulator.",
            "${env:TOKEN}",
        ),
        Field::new("authority", FieldType::Url, "The sign-in service.", "https://login.microsoftonline.us")
            .default("https://login.microsoftonline.com"),
        Field::new("timeout", FieldType::Duration, "How long one request may take.", "60 seconds")
            .default("150 seconds"),
        Field::new(
            "concurrency",
            FieldType::WholeNumber { min: 1, max: 52 },
            "Requests at a time at most; fewer where Dataverse asks for fewer (`x-ms-dop-hint`). Without it as many as Dataverse asks for: 4 until it does, 16 at most.",
            "8",
        ),
        Field::new("batch_rows", FieldType::WholeNumber { min: 1, max: 400 }, "Rows in one batch request.", "50")
            .default("100"),
        Field::new(
            "create_rows",
            FieldType::WholeNumber { min: 0, max: 1000 },
            "New rows in one `CreateMultiple`; 0 creates them by batch requests.",
            "500",
        )
        .default("250"),
    ],
    entity: &[
        Field::new("table", FieldType::Text, "The logical name of the table.", "account"),
        Field::new(
            "alternate_key",
            FieldType::OneOrMany(&FieldType::Column),
            "The columns of an active alternate key of the table.",
            "accountnumber",
        ),
        Field::new(
            "match_existing",
            FieldType::OneOrMany(&FieldType::Column),
            "At the first load only: adopt the one row that is equal in these columns; ask a person where several are.",
            "[name, emailaddress1]",
        ),
        Field::new(
            "virtual_table",
            FieldType::Text,
            "The virtual table through which users see the entity.",
            "new_tracking",
        ),
        Field::new(
            "primary_name",
            FieldType::Text,
            "Of a virtual table: the field of the entity that Dynamics shows as the name of a row.",
            "consignment",
        ),
    ],
    reads: true,
    writes: true,
    has_catalog: true,
    line_tables: true,
    keeps: Keeps { empty_as_blank: true, whole_seconds: true, lookups: true },
};

/// Opens an environment; see [`crate::registry::Entry::open`].
pub fn open(name: &str, options: Options) -> Result<Arc<dyn System>, Fault> {
    let Some(url) = options.text("url").filter(|url| url.starts_with("https://") || url.starts_with("http://")) else {
        return Err(Fault::stop(Code("IB0501"), format!("system `{name}` has no address of an environment"))
            .at_system(name)
            .fix("give `url: https://….dynamics.com` under `connection:`"));
    };
    // As it is copied from the developer resources: the address of the Web API.
    let mut config = Config::new(url.split_once("/api/data").map_or(url, |(environment, _)| environment));
    if let Some(authority) = options.text("authority") {
        config.authority = authority.to_owned();
    }
    config.tenant = options.text("tenant").unwrap_or_default().to_owned();
    config.client_id = options.text("client_id").unwrap_or_default().to_owned();
    config.client_secret = options.secret("client_secret");
    config.token = options.secret("token");
    if let Some(timeout) = options.duration("timeout") {
        config.timeout = timeout;
    }
    let number = |name: &str| options.number(name).and_then(|number| number.to_usize());
    config.concurrency = number("concurrency");
    config.rows_per_batch = number("batch_rows").unwrap_or(config.rows_per_batch);
    config.rows_per_create = number("create_rows").unwrap_or(config.rows_per_create);
    Ok(Arc::new(Environment::new(name, config)))
}
