//! What systems look like in the definitions of these tests. Nobody here reaches one: the console knows no connector.

use record::{Field, FieldType, Keeps, Kind};

pub static ALL: &[&Kind] = &[&POSTGRES, &REST, &DATAVERSE];

const URL: Field = Field::new("url", FieldType::Url, "Where it is.", "https://contoso.example").required();
const TABLE: Field = Field::new("table", FieldType::Text, "The table.", "account");
const KEY: Field = Field::new("alternate_key", FieldType::OneOrMany(&FieldType::Column), "The key.", "accountnumber");
const REQUEST: Field = Field::new("create", FieldType::Text, "The request.", "POST /orders");

static POSTGRES: Kind = kind("postgres", &[URL], &[TABLE, KEY], true);

static REST: Kind = kind(
    "rest",
    &[URL, Field::new("bearer", FieldType::Secret, "A token.", "\"${env:ERP}\"")],
    &[
        REQUEST,
        Field { name: "update", ..REQUEST },
        Field { name: "exists", ..REQUEST },
        Field::new("returns", FieldType::Map(&FieldType::Text), "What the answer gives.", "{ erp_number: id }"),
    ],
    false,
);

static DATAVERSE: Kind = kind(
    "dataverse",
    &[URL],
    &[
        TABLE,
        KEY,
        Field::new("virtual_table", FieldType::Text, "The virtual table.", "new_stock"),
        Field::new("primary_name", FieldType::Text, "The field that a list shows.", "label"),
    ],
    true,
);

const fn kind(name: &'static str, connection: &'static [Field], entity: &'static [Field], has_catalog: bool) -> Kind {
    let (reads, writes, line_tables, keeps) = (true, true, false, Keeps::EXACTLY);
    Kind { name, doc: "A system of a test.", connection, entity, reads, writes, has_catalog, line_tables, keeps }
}
