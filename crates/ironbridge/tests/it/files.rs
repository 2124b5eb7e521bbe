//! A supplier's price list, from the folder where it is laid down to Dynamics.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

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

/// The example of docs/connectors/files.md, in a folder instead of on a server.
fn supplier() -> String {
    let page = include_str!("../../../../docs/connectors/files.md");
    let example = page.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let connection = example.lines().find(|line| line.starts_with("connection:")).unwrap();
    example.replace(connection, "connection: { folder: data/in }")
}

const DYNAMICS: &str = r#"
  price:
    table: productpricelevel
    alternate_key: [productid, pricelevelid, uomid]
    write: { productid: '=Row("product", {productnumber: product})', pricelevelid: '=Row("pricelevel", {name: price_list})', uomid: '=Row("uom", {name: unit})', amount: amount }
"#;

const INTEGRATION: &str = "\
integration: prices
pattern: batch
entity: price
from: supplier
to: dynamics
schedule: daily at 04:00
deletes: delete
max_deletes: 60 %
owner: finance-it
purpose: Quotes use today's prices.
";

struct Prices {
    world: World,
}

impl Prices {
    fn new() -> Prices {
        let world = World::new(0);
        let write = |file: &str, text: &str| std::fs::write(world.dir.join(file), text).unwrap();
        write("entities/price.yaml", ENTITY);
        write("systems/supplier.yaml", &supplier());
        let system = std::fs::read_to_string(world.dir.join("systems/dynamics.yaml")).unwrap();
        write("systems/dynamics.yaml", &format!("{}{DYNAMICS}", system.trim_end()));
        write("integrations/prices.yaml", INTEGRATION);
        std::fs::create_dir_all(world.dir.join("data/in")).unwrap();
        let prices = Prices { world };
        for product in ["P-1", "P-2"] {
            let row = json!({ "productnumber": product, "name": format!("Product {product} (sample)") });
            prices.post("products", &row);
        }
        prices.post("pricelevels", &json!({ "name": "Händler" }));
        prices
    }

    fn post(&self, set: &str, row: &Json) {
        http(&self.world.url, "POST", &format!("/api/data/v9.2/{set}"), &row.to_string());
    }

    fn inbox(&self) -> PathBuf {
        self.world.dir.join("data/in")
    }

    /// A price list of so many minutes ago, as the supplier's program writes it.
    fn send(&self, name: &str, lines: &str, minutes_ago: u64) {
        // Windows-1252 has these letters where Unicode has them.
        let text = format!("Artikel;Liste;ME;Preis\r\n{lines}");
        let bytes: Vec<u8> = text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
        let path = self.inbox().join(name);
        std::fs::write(&path, bytes).unwrap();
        let at = SystemTime::now() - Duration::from_secs(minutes_ago * 60);
        std::fs::File::options().append(true).open(&path).unwrap().set_modified(at).unwrap();
    }

    fn files(&self, folder: &str) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.inbox().join(folder)) else { return Vec::new() };
        let files = entries.map(|entry| entry.unwrap()).filter(|entry| entry.path().is_file());
        let mut names: Vec<String> = files.map(|file| file.file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn run(&self) -> Json {
        self.world.ironbridge(&["--format", "json", "run", "prices"]).json()
    }

    /// Read, created, updated, deleted, rejected.
    fn counts(&self) -> [u64; 5] {
        let run = self.run();
        assert!(run["error"].is_null(), "{run:#}");
        ["read", "created", "updated", "deleted", "rejected"].map(|name| run[name].as_u64().unwrap())
    }

    fn there(&self) -> Vec<String> {
        let path = "/api/data/v9.2/productpricelevels?$select=amount&$expand=productid($select=productnumber),uomid($select=name)";
        let page: Json = serde_json::from_str(&http(&self.world.url, "GET", path, "")).unwrap();
        let row = |row: &Json| {
            let amount: record::Decimal = row["amount"].to_string().parse().unwrap();
            let text = |value: &Json| value.as_str().unwrap_or("-").to_owned();
            format!(
                "{} {} {}",
                text(&row["productid"]["productnumber"]),
                text(&row["uomid"]["name"]),
                amount.normalize()
            )
        };
        let mut rows: Vec<String> =
            page["value"].as_array().unwrap_or_else(|| panic!("{page}")).iter().map(row).collect();
        rows.sort();
        rows
    }
}

#[test]
fn a_price_list_reaches_dynamics_and_is_put_away() {
    let prices = Prices::new();
    prices.world.ironbridge(&["check", "--online"]).ok();
    let said = prices.world.ironbridge(&["run", "prices"]).fails(1, "IB0620");
    assert!(said.err.contains("there is no file `prices_*.csv` in") && said.err.contains("data/in"), "{said:#?}");

    prices.send("prices_1.csv", "P-1;Händler;EA;10,50\r\nP-1;Händler;BOX;99\r\nP-2;Händler;KG;1234,5\r\n", 30);
    prices.send("prices_2.csv", "half of a li", 0);
    let plan = prices.world.ironbridge(&["--format", "json", "plan", "prices"]);
    assert_eq!(plan.code, Some(3), "{plan:#?}");
    assert_eq!(prices.files(""), ["prices_1.csv", "prices_2.csv"], "a plan moves nothing");
    assert_eq!(prices.counts(), [3, 3, 0, 0, 0]);
    assert_eq!(prices.there(), ["P-1 BOX 99", "P-1 EA 10.5", "P-2 KG 1234.5"]);
    assert_eq!((prices.files(""), prices.files("done")), (vec!["prices_2.csv".into()], vec!["prices_1.csv".into()]));

    prices.world.reset_stats();
    assert_eq!(prices.counts(), [0; 5], "there is nothing new");
    let said = prices.world.ironbridge(&["run", "prices"]).ok();
    assert!(said.err.contains("`prices_2.csv` is not whole yet: it was changed"), "{said:#?}");
    // The same list once more, under another name.
    prices.send("prices_3.csv", "P-1;Händler;EA;10,50\r\nP-1;Händler;BOX;99\r\nP-2;Händler;KG;1234,5\r\n", 20);
    assert_eq!(prices.counts(), [0; 5]);
    assert_eq!(prices.world.rows_written(), 0);

    // A row is gone, one has changed, and one cannot be read: nobody knows which that is, so nothing is deleted.
    prices.send("prices_4.csv", "P-1;Händler;EA;11,00\r\nP-1;Händ;ler;BOX;99\r\n", 10);
    assert_eq!(prices.counts(), [2, 0, 1, 0, 1]);
    let letters = prices.world.ironbridge(&["dead-letters", "list", "prices"]).ok().out;
    assert!(letters.contains("IB0628") && letters.contains("prices_4.csv line 3"), "{letters}");
    assert_eq!(prices.there(), ["P-1 BOX 99", "P-1 EA 11", "P-2 KG 1234.5"]);
    prices.send("prices_5.csv", "P-1;Händler;EA;11,00\r\nP-1;Händler;BOX;98,90\r\n", 5);
    // The list that is gone, and the dead letter of yesterday's line.
    let run = prices.run();
    assert!(run["error"].is_null(), "{run:#}");
    assert_eq!((&run["updated"], &run["deleted"]), (&json!(1), &json!(1)), "{run:#}");
    assert_eq!(prices.there(), ["P-1 BOX 98.9", "P-1 EA 11"]);
    assert_eq!(prices.files("done").len(), 4);
}

#[test]
fn a_process_that_is_killed_anywhere_loses_no_file_and_no_row() {
    let prices = Prices::new();
    prices.send("prices_1.csv", "P-1;Händler;EA;10,50\r\nP-2;Händler;KG;3\r\n", 30);
    for failpoint in [
        "sink.before=abort",
        "sink.after=abort",
        "commit.before@3=abort",
        "commit.after@3=abort",
        "commit.after@4=abort",
    ] {
        let said = prices.world.with_failpoints(&["run", "prices"], failpoint);
        let put_away = prices.files("done").len();
        assert!(said.code != Some(0) || put_away == 1, "{failpoint}: {said:#?}");
        assert_eq!(prices.files("").len() + put_away, 1, "{failpoint}");
    }
    let run = prices.run();
    assert!(run["error"].is_null(), "{run:#}");
    assert_eq!(prices.there(), ["P-1 EA 10.5", "P-2 KG 3"]);
    assert_eq!((prices.files(""), prices.files("done")), (vec![], vec!["prices_1.csv".into()]));
    prices.world.reset_stats();
    assert_eq!(prices.counts(), [0; 5]);
    assert_eq!(prices.world.rows_written(), 0);
}

#[test]
fn systems_check_and_a_draft_know_files() {
    let prices = Prices::new();
    prices.send("prices_1.csv", "P-1;Händler;EA;10,50\r\n", 30);
    let said = prices.world.ironbridge(&["systems", "check", "supplier"]).ok();
    assert!(said.out.contains("a folder, 1 file in it") && said.out.contains("ready"), "{said:#?}");
    let file = prices.inbox().join("prices_1.csv");
    let drafted = prices.world.ironbridge(&["init", "--from-sample", file.to_str().unwrap()]).ok().out;
    assert!(drafted.contains("delimiter: \";\"") && drafted.contains("Preis: decimal"), "{drafted}");
    std::fs::remove_dir_all(prices.inbox()).unwrap();
    let said = prices.world.ironbridge(&["systems", "check", "supplier"]);
    assert_eq!(said.code, Some(1), "{said:#?}");
    assert!(said.err.contains("IB0602") && said.err.contains("there is no folder"), "{said:#?}");
    prices.world.edit("systems/supplier.yaml", "several: newest", "several: the newest");
    prices.world.ironbridge(&["check"]).fails(2, "IB0");
    prices.world.edit("systems/supplier.yaml", "several: the newest", "several: newest");
    prices.world.ironbridge(&["check"]).ok();
    prices.world.edit("systems/supplier.yaml", "folder: data/in", "url: supplier.example");
    let said = prices.world.ironbridge(&["check"]).fails(2, "IB0621");
    assert!(said.err.contains("do: write for example"), "{said:#?}");
}

/// The example of writing in docs/connectors/files.md: a price list that is always complete, for a partner.
#[test]
fn a_partner_finds_a_whole_price_list_whatever_kills_the_hub() {
    let world = World::new(0);
    let write = |file: &str, text: &str| std::fs::write(world.dir.join(file), text).unwrap();
    let page = include_str!("../../../../docs/connectors/files.md");
    let example = page.split("```yaml\n").nth(2).and_then(|rest| rest.split("```").next()).unwrap();
    write("systems/partner.yaml", example);
    write(
        "entities/price.yaml",
        "entity: price\nkey: product\nfields: { product: { type: text }, amount: { type: decimal, scale: 2 } }\n",
    );
    write(
        "systems/sales.yaml",
        "system: sales\nkind: sqlite\nowner: sales-it\nconnection: { file: data/sales.db }\nentities:\n  price: { table: prices, read: { product: sku, amount: amount } }\n",
    );
    let integration = INTEGRATION.replace("from: supplier\nto: dynamics", "from: sales\nto: partner");
    write("integrations/prices.yaml", &integration);
    std::fs::create_dir_all(world.dir.join("data/out")).unwrap();
    let sales = rusqlite::Connection::open(world.dir.join("data/sales.db")).unwrap();
    let sql = |sql: &str| sales.execute_batch(sql).unwrap();
    sql(
        "CREATE TABLE prices (sku TEXT PRIMARY KEY, amount DECIMAL(10,2)); INSERT INTO prices VALUES ('P-1', 1.5), ('P-2', 2), ('P;3', 3)",
    );
    let counts = || {
        let run = world.ironbridge(&["--format", "json", "run", "prices"]).json();
        assert!(run["error"].is_null(), "{run:#}");
        ["created", "updated", "unchanged", "deleted"].map(|name| run[name].as_u64().unwrap())
    };
    let text = || std::fs::read_to_string(world.dir.join("data/out/prices.csv")).unwrap();
    assert_eq!(counts(), [3, 0, 0, 0]);
    assert_eq!(text(), "Artikel;Preis\nP-1;1,5\nP-2;2\n\"P;3\";3\n");
    assert_eq!(counts(), [0, 0, 3, 0]);
    sql(
        "UPDATE prices SET amount = 9.99 WHERE sku = 'P-1'; DELETE FROM prices WHERE sku = 'P-2'; INSERT INTO prices VALUES ('P-4', 4)",
    );
    for failpoint in ["sink.before@1=abort", "sink.after@1=abort", "commit.before@2=abort"] {
        world.with_failpoints(&["run", "prices"], failpoint);
        assert!(text().starts_with("Artikel;Preis\nP-1;") && text().ends_with('\n'), "the file is whole: {}", text());
    }
    counts();
    assert_eq!(text(), "Artikel;Preis\nP-1;9,99\n\"P;3\";3\nP-4;4\n");
    let names: Vec<_> =
        std::fs::read_dir(world.dir.join("data/out")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, ["prices.csv"], "nothing is left beside it");
}

#[test]
fn a_personal_value_that_a_file_spells_wrong_is_not_shown() {
    let prices = Prices::new();
    prices.world.edit("entities/price.yaml", "currency: GBP }", "currency: GBP, personal: true }");
    prices.send("prices_1.csv", "P-1;Händler;EA;10,50\r\nP-1;Händler;BOX;planted\r\n", 30);
    assert_eq!(prices.counts(), [2, 1, 0, 0, 1]);
    let letters = prices.world.ironbridge(&["--format", "json", "dead-letters", "list", "prices"]).ok();
    let id = letters.json()[0]["id"].as_str().unwrap().to_owned();
    let shown = prices.world.ironbridge(&["dead-letters", "show", &id]).ok();
    let all = format!("{}{}", letters.out, shown.out);
    assert!(all.contains("IB0606") && all.contains("its value is not shown") && !all.contains("planted"), "{all}");
}
