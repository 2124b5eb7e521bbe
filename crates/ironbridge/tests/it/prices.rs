//! Rows whose key is made of other rows: the price of a product in a price list, by unit.

use rusqlite::Connection;
use serde_json::{Value as Json, json};

use crate::support::{World, http};

const ENTITY: &str = "\
entity: price
key: [product, price_list, unit]
fields:
  product: { type: text }
  price_list: { type: text }
  unit: { type: text }
  amount: { type: money, currency: GBP }
";

const SUPPLIER: &str = "\
system: supplier
kind: sqlite
owner: finance-it
connection: { file: data/supplier.db }
entities:
  price:
    table: prices
    read: { product: artikel, price_list: liste, unit: me, amount: preis }
";

/// The mapping of definition.md, and a table of somebody's own that has a state.
const MAPPINGS: [(&str, &str); 2] = [
    (
        "productpricelevel",
        r#"
  price:
    table: productpricelevel
    alternate_key: [productid, pricelevelid, uomid]
    write: { productid: '=Row("product", {productnumber: product})', pricelevelid: '=Row("pricelevel", {name: price_list})', uomid: '=Row("uom", {name: unit})', amount: amount }
"#,
    ),
    (
        "new_price",
        r#"
  price:
    table: new_price
    alternate_key: [new_productid, new_pricelevelid, new_uomid]
    write: { new_productid: '=Row("product", {productnumber: product})', new_pricelevelid: '=Row("pricelevel", {name: price_list})', new_uomid: '=Row("uom", {name: unit})', new_amount: amount, new_name: product }
"#,
    ),
];

struct Prices {
    world: World,
    table: &'static str,
}

impl Prices {
    fn new(own_table: bool, options: &str) -> Prices {
        let (table, mapping) = MAPPINGS[usize::from(own_table)];
        let world = World::new(0);
        let write = |file: &str, text: &str| std::fs::write(world.dir.join(file), text).unwrap();
        write("entities/price.yaml", ENTITY);
        write("systems/supplier.yaml", SUPPLIER);
        let system = std::fs::read_to_string(world.dir.join("systems/dynamics.yaml")).unwrap();
        write("systems/dynamics.yaml", &format!("{}{mapping}", system.trim_end()));
        write(
            "integrations/prices.yaml",
            &format!(
                "integration: prices\npattern: batch\nentity: price\nfrom: supplier\nto: dynamics\nschedule: daily at 04:00\n\
                 owner: finance-it\npurpose: Quotes use today's prices.\n{options}\n"
            ),
        );
        let prices = Prices { world, table };
        prices.sql("CREATE TABLE prices (artikel TEXT, liste TEXT, me TEXT, preis DECIMAL(10,2), PRIMARY KEY (artikel, liste, me))");
        if own_table {
            prices.define_own_table();
        }
        for product in ["P-1", "P-2", "P/3"] {
            prices
                .post("products", &json!({ "productnumber": product, "name": format!("Product {product} (sample)") }));
        }
        for list in ["Retail", "Trade & Co"] {
            prices.post("pricelevels", &json!({ "name": list }));
        }
        prices
    }

    /// A table with three lookups, a key over them, and a state.
    fn define_own_table(&self) {
        let label = |text: &str| json!({ "LocalizedLabels": [{ "Label": text, "LanguageCode": 1033 }] });
        let answer = self.post(
            "EntityDefinitions",
            &json!({
                "@odata.type": "Microsoft.Dynamics.CRM.EntityMetadata",
                "SchemaName": "new_Price", "DisplayName": label("Price"), "DisplayCollectionName": label("Prices"),
                "OwnershipType": "UserOwned", "HasActivities": false, "HasNotes": false,
                "Attributes": [
                    { "@odata.type": "Microsoft.Dynamics.CRM.StringAttributeMetadata", "AttributeType": "String",
                      "SchemaName": "new_Name", "IsPrimaryName": true, "MaxLength": 100, "DisplayName": label("Name") },
                    { "@odata.type": "Microsoft.Dynamics.CRM.MoneyAttributeMetadata", "AttributeType": "Money",
                      "SchemaName": "new_Amount", "Precision": 4, "DisplayName": label("Amount") },
                ],
            }),
        );
        assert!(!answer.contains("error"), "{answer}");
        for (column, target) in [("new_ProductId", "product"), ("new_PriceLevelId", "pricelevel"), ("new_UomId", "uom")]
        {
            let answer = self.post(
                "RelationshipDefinitions",
                &json!({
                    "@odata.type": "Microsoft.Dynamics.CRM.OneToManyRelationshipMetadata",
                    "SchemaName": format!("new_{target}_price"), "ReferencedEntity": target, "ReferencingEntity": "new_price",
                    "Lookup": { "@odata.type": "Microsoft.Dynamics.CRM.LookupAttributeMetadata", "AttributeType": "Lookup",
                                "SchemaName": column, "DisplayName": label(column) },
                }),
            );
            assert!(!answer.contains("error"), "{answer}");
        }
        let columns = ["new_productid", "new_pricelevelid", "new_uomid"];
        let key = json!({ "SchemaName": "new_price_key", "DisplayName": label("Price"), "KeyAttributes": columns });
        let answer = self.post("EntityDefinitions(LogicalName='new_price')/Keys", &key);
        assert!(!answer.contains("error"), "{answer}");
    }

    fn sql(&self, sql: &str) {
        Connection::open(self.world.dir.join("data/supplier.db")).unwrap().execute_batch(sql).unwrap();
    }

    fn set(&self, product: &str, list: &str, unit: &str, amount: &str) {
        self.sql(&format!(
            "INSERT INTO prices VALUES ('{product}', '{list}', '{unit}', '{amount}')
             ON CONFLICT DO UPDATE SET preis = excluded.preis"
        ));
    }

    fn post(&self, set: &str, row: &Json) -> String {
        http(&self.world.url, "POST", &format!("/api/data/v9.2/{set}"), &row.to_string())
    }

    fn run(&self) -> Json {
        let run = self.world.ironbridge(&["--format", "json", "run", "prices"]).json();
        assert!(run["error"].is_null(), "{run:#}");
        run
    }

    /// Created, updated, deleted, rejected, and waiting.
    fn counts(&self) -> [u64; 5] {
        let run = self.run();
        ["created", "updated", "deleted", "rejected", "waiting"].map(|name| run[name].as_u64().unwrap())
    }

    /// What Dynamics has: `P-1 Retail EA 10.5`, with a `!` where it is inactive.
    fn there(&self) -> Vec<String> {
        let own = self.table == "new_price";
        let (product, list, unit, amount, state) = match own {
            true => ("new_ProductId", "new_PriceLevelId", "new_UomId", "new_amount", ",statecode"),
            false => ("productid", "pricelevelid", "uomid", "amount", ""),
        };
        let path = format!(
            "/api/data/v9.2/{}s?$select={amount}{state}&$expand={product}($select=productnumber),{list}($select=name),{unit}($select=name)",
            self.table
        );
        let answer = http(&self.world.url, "GET", &path, "");
        let page: Json = serde_json::from_str(&answer).unwrap();
        let rows = page["value"].as_array().unwrap_or_else(|| panic!("{page}"));
        let row = |row: &Json| {
            let text = |value: &Json| value.as_str().unwrap_or("-").to_owned();
            let amount: record::Decimal = row[amount].to_string().parse().unwrap();
            let inactive = if row["statecode"] == json!(1) { " !" } else { "" };
            format!(
                "{} {} {} {}{inactive}",
                text(&row[product]["productnumber"]),
                text(&row[list]["name"]),
                text(&row[unit]["name"]),
                amount.normalize()
            )
        };
        let mut rows: Vec<String> = rows.iter().map(row).collect();
        rows.sort();
        rows
    }
}

#[test]
fn prices_are_written_by_the_rows_that_they_belong_to() {
    for (own_table, deletes) in [(false, "deletes: delete"), (true, "deletes: deactivate\nreturns_active: true")] {
        let prices = Prices::new(own_table, &format!("{deletes}\nmax_deletes: 50 %"));
        prices.world.ironbridge(&["check", "--online"]).ok();
        prices.set("P-1", "Retail", "EA", "10.50");
        prices.set("P-1", "Retail", "BOX", "99");
        prices.set("P/3", "Trade & Co", "KG", "3.25");
        assert_eq!(prices.counts(), [3, 0, 0, 0, 0]);
        assert_eq!(prices.there(), ["P-1 Retail BOX 99", "P-1 Retail EA 10.5", "P/3 Trade & Co KG 3.25"]);
        prices.world.reset_stats();
        assert_eq!(prices.counts(), [0; 5]);
        assert_eq!(prices.world.rows_written(), 0, "what is right is not written again");

        prices.set("P-1", "Retail", "EA", "11");
        let plan = prices.world.ironbridge(&["--format", "json", "plan", "prices"]);
        assert_eq!(plan.code, Some(3), "{plan:#?}");
        assert_eq!(serde_json::from_str::<Json>(&plan.out).unwrap()["update"], json!(1));
        assert_eq!(prices.counts(), [0, 1, 0, 0, 0]);
        prices.sql("DELETE FROM prices WHERE me = 'BOX'");
        assert_eq!(prices.counts(), [0, 0, 1, 0, 0]);
        let box_is_gone: &[&str] = match own_table {
            true => &["P-1 Retail BOX 99 !", "P-1 Retail EA 11", "P/3 Trade & Co KG 3.25"],
            false => &["P-1 Retail EA 11", "P/3 Trade & Co KG 3.25"],
        };
        assert_eq!(prices.there(), box_is_gone);
        prices.set("P-1", "Retail", "BOX", "98");
        assert_eq!(prices.counts()[..3], if own_table { [0, 1, 0] } else { [1, 0, 0] }, "it comes back");
        assert_eq!(prices.there(), ["P-1 Retail BOX 98", "P-1 Retail EA 11", "P/3 Trade & Co KG 3.25"]);
        assert_eq!(prices.counts(), [0; 5]);
    }
}

#[test]
fn a_price_waits_for_its_product_and_what_was_lost_from_the_ledger_is_adopted() {
    let prices = Prices::new(false, "");
    prices.set("P-1", "Retail", "EA", "10.50");
    prices.set("P-9", "Retail", "EA", "7");
    prices.world.ironbridge(&["check"]).ok();
    let run = prices.run();
    assert_eq!((&run["created"], &run["rejected_by_code"]["IB0515"]), (&json!(1), &json!(1)), "{run:#}");
    let letters = prices.world.ironbridge(&["dead-letters", "list", "prices"]).ok().out;
    assert!(letters.contains("product P-9"), "{letters}");
    prices.post("products", &json!({ "productnumber": "P-9", "name": "Product 9 (sample)" }));
    prices.world.ironbridge(&["dead-letters", "retry", "--all", "prices"]);
    prices.world.ironbridge(&["state", "reset", "prices"]).ok();
    prices.sql("UPDATE prices SET preis = '7.01' WHERE artikel = 'P-9'");
    assert_eq!(prices.counts()[..2], [1, 0]);
    assert_eq!(prices.there(), ["P-1 Retail EA 10.5", "P-9 Retail EA 7.01"]);

    // Another hub, or a lost state: what is equal is adopted, although the list is known by a name that is no key.
    for file in std::fs::read_dir(prices.world.dir.join(".ironbridge")).unwrap() {
        std::fs::remove_file(file.unwrap().path()).unwrap();
    }
    prices.world.reset_stats();
    let run = prices.run();
    assert_eq!((&run["unchanged"], &run["created"], &run["updated"]), (&json!(2), &json!(0), &json!(0)), "{run:#}");
    assert_eq!(prices.world.rows_written(), 0);
}
