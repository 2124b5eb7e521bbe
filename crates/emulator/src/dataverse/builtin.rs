//! The tables that every emulated environment has, and the rows without which nothing can be created.

mod automation;
mod events;
mod platform;
mod sales;
mod virtual_tables;

use uuid::Uuid;

use super::columns::{TableNames, relationships};
use super::model::{AlternateKey, KeyStatus, OnDelete, OneToMany, Table};
pub use virtual_tables::ODATA_PROVIDER;

pub const ORGANIZATION: Uuid = Uuid::from_u128(0x0e11_0000_0000_4000_8000_0000_0000_0001);
pub const BUSINESS_UNIT: Uuid = Uuid::from_u128(0x0e11_0000_0000_4000_8000_0000_0000_0002);
pub const APPLICATION_USER: Uuid = Uuid::from_u128(0x0e11_0000_0000_4000_8000_0000_0000_0003);
pub const SALES_TEAM: Uuid = Uuid::from_u128(0x0e11_0000_0000_4000_8000_0000_0000_0004);
pub const BASE_CURRENCY: Uuid = Uuid::from_u128(0x0e11_0000_0000_4000_8000_0000_0000_0005);

/// Tables and the relationships between them.
pub fn schema() -> (Vec<Table>, Vec<OneToMany>) {
    let mut tables = platform::tables();
    tables.extend(sales::tables());
    tables.extend(events::tables());
    tables.extend(automation::tables());
    tables.extend(virtual_tables::tables());
    let mut relations: Vec<OneToMany> = tables.iter().flat_map(relationships).collect();
    for (many, lookup, target, schema_name, nav_one) in [
        ("contact", "parentcustomerid", "account", "contact_customer_accounts", "contact_customer_accounts"),
        ("contact", "parentcustomerid", "contact", "contact_customer_contacts", "contact_customer_contacts"),
        ("account", "primarycontactid", "contact", "account_primary_contact", "account_primary_contact"),
        ("account", "parentaccountid", "account", "account_parent_account", "Referencedaccount_parent_account"),
        ("salesorder", "customerid", "account", "order_customer_accounts", "order_customer_accounts"),
        ("salesorder", "customerid", "contact", "order_customer_contacts", "order_customer_contacts"),
        ("salesorderdetail", "salesorderid", "salesorder", "order_details", "order_details"),
        ("productpricelevel", "productid", "product", "product_price_levels", "product_price_levels"),
        (
            "productpricelevel",
            "pricelevelid",
            "pricelevel",
            "price_level_product_price_levels",
            "price_level_product_price_levels",
        ),
    ] {
        for relation in &mut relations {
            if relation.many == many && relation.column == lookup && relation.one == target {
                relation.schema_name = schema_name.into();
                relation.nav_one = nav_one.into();
                // Lines and list prices live and die with what they belong to.
                if many == "salesorderdetail" || many == "productpricelevel" {
                    relation.on_delete = OnDelete::Cascade;
                }
            }
        }
    }
    // The step's handler is polymorphic, under the platform's own names.
    for relation in &mut relations {
        if relation.many == "sdkmessageprocessingstep" && relation.column == "eventhandler" {
            relation.nav_many = format!("eventhandler_{}", relation.one);
        }
    }
    (tables, relations)
}

/// An active key over `columns`, already indexed.
pub fn key(name: &str, label: &str, columns: &[&str]) -> AlternateKey {
    AlternateKey {
        id: Uuid::new_v4(),
        name: name.to_lowercase(),
        schema_name: name.into(),
        label: label.into(),
        columns: columns.iter().map(|column| (*column).to_owned()).collect(),
        status: KeyStatus::Active,
    }
}

fn names<'a>(
    name: &'a str,
    schema: &'a str,
    set: &'a str,
    label: &'a str,
    primary_name: &'a str,
    id: &'a str,
) -> TableNames<'a> {
    TableNames { name, schema_name: schema, set, label, plural: label, primary_id: id, primary_name }
}

/// One row to begin with: table, id, and its columns as JSON text.
pub struct Seed {
    pub table: &'static str,
    pub id: Uuid,
    pub columns: Vec<(&'static str, String)>,
}

/// The rows that an environment starts with, in an order in which each lookup finds its target.
pub fn rows() -> Vec<Seed> {
    let quoted = |text: &str| format!("\"{text}\"");
    let row = |table, id, columns| Seed { table, id, columns };
    let mut rows = vec![
        row("businessunit", BUSINESS_UNIT, vec![("name", quoted("Contoso"))]),
        row(
            "systemuser",
            APPLICATION_USER,
            vec![
                ("firstname", quoted("#")),
                ("lastname", quoted("Integration (sample)")),
                ("fullname", quoted("# Integration (sample)")),
                ("domainname", quoted("integration@contoso.example")),
                ("internalemailaddress", quoted("integration@contoso.example")),
                ("applicationid", quoted("0e110000-0000-4000-8000-00000000000a")),
                ("isdisabled", "false".into()),
                ("businessunitid", quoted(&BUSINESS_UNIT.to_string())),
            ],
        ),
        row(
            "team",
            SALES_TEAM,
            vec![
                ("name", quoted("Sales UK")),
                ("teamtype", "0".into()),
                ("businessunitid", quoted(&BUSINESS_UNIT.to_string())),
            ],
        ),
    ];
    for (offset, code, name, symbol) in [
        (0_u128, "GBP", "Pound Sterling", "\u{a3}"),
        (0x100, "EUR", "Euro", "\u{20ac}"),
        (0x200, "USD", "US Dollar", "$"),
    ] {
        let id = Uuid::from_u128(BASE_CURRENCY.as_u128() + offset);
        let columns = vec![
            ("currencyname", quoted(name)),
            ("isocurrencycode", quoted(code)),
            ("currencysymbol", quoted(symbol)),
            ("currencyprecision", "2".into()),
            ("exchangerate", "1".into()),
        ];
        rows.push(row("transactioncurrency", id, columns));
    }
    rows.push(row(
        "organization",
        ORGANIZATION,
        vec![
            ("name", quoted("contoso")),
            ("expirechangetrackingindays", "7".into()),
            ("languagecode", "1033".into()),
            ("basecurrencyid", quoted(&BASE_CURRENCY.to_string())),
            ("pricingdecimalprecision", "2".into()),
            ("isauditenabled", "false".into()),
        ],
    ));
    for (offset, name) in [(0_u128, "Primary Unit"), (1, "EA"), (2, "KG"), (3, "BOX")] {
        let id = Uuid::from_u128(ORGANIZATION.as_u128() + 0x1000 + offset);
        rows.push(row("uom", id, vec![("name", quoted(name)), ("quantity", "1".into())]));
    }
    rows
}

/// The messages that steps can be registered for; filters exist for each of them and each table.
pub const MESSAGES: [&str; 8] =
    ["Create", "Update", "Delete", "Assign", "SetState", "CreateMultiple", "UpdateMultiple", "UpsertMultiple"];
