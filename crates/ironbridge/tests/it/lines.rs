//! Documents in a batch: an order from SQL with its lines, into Dynamics as rows of their own and into an ERP nested.

use emulator::samples::erp;
use rusqlite::Connection;
use serde_json::{Value as Json, json};

use crate::chaos::{Chance, stories};
use crate::support::{Said, World, http};

const ORDER: &str = "\
entity: order
key: number
fields:
  number: { type: text, max_length: 100 }
  status: { type: choice, values: [draft, submitted] }
  lines: { type: lines, key: line_no, fields: { product: { type: text, max_length: 40 }, line_no: { type: whole_number }, quantity: { type: decimal, scale: 3 } } }
";

const SALES: &str = "\
system: sales
kind: sqlite
owner: finance-it
connection: { file: data/sales.db }
entities:
  order:
    table: orders
    read: { number: order_no, status: { column: state, choice: { draft: D, submitted: S } },
            lines: { table: order_lines, parent: order_id, read: { line_no: pos, product: sku, quantity: qty } } }
";

const IN_DYNAMICS: &str = r#"
  order:
    table: salesorder
    alternate_key: ordernumber
    write:
      ordernumber: number
      name: =$"Order {number}"
      statecode: =If(status = "submitted", 1, 0)
      statuscode: =If(status = "submitted", 3, 1)
      salesorderdetail:
        each: lines
        parent: salesorderid
        write: { lineitemnumber: line_no, productid: '=Row("product", {productnumber: product})', quantity: quantity }
"#;

const IN_ERP: &str = "\
system: erp
kind: rest
owner: finance-it
connection: { url: \"URL\", bearer: local-key, timeout: 2 seconds }
entities:
  order:
    create:  POST /things
    update:  PUT /things/{erp_number}
    exists:  GET /things?ref={number}
    write:   { ref: number, items: { each: lines, write: { sku: product, qty: quantity } } }
    returns: { erp_number: id }
";

const IN_WAREHOUSE: &str = "\
system: warehouse
kind: sqlite
owner: warehouse-it
connection: { file: data/warehouse.db }
entities:
  order:
    table: deliveries
    alternate_key: order_no
    write:
      order_no: number
      state: status
      delivery_lines: { each: lines, parent: delivery_id, write: { pos: line_no, sku: product, qty: quantity } }
";

struct Sales {
    world: World,
}

impl Sales {
    fn new(to: &str, options: &str) -> Sales {
        let world = World::new(0);
        let write = |file: &str, text: &str| std::fs::write(world.dir.join(file), text).unwrap();
        let erp = if to == "erp" {
            "fields:\n  erp_number: { type: text, max_length: 30, master: erp }\n"
        } else {
            "fields:\n"
        };
        write("entities/order.yaml", &ORDER.replace("fields:\n", erp));
        write("systems/sales.yaml", SALES);
        write(
            "integrations/orders.yaml",
            &format!(
                "integration: orders\npattern: batch\nentity: order\nfrom: sales\nto: {to}\nschedule: every 15 minutes\n\
                 owner: finance-it\npurpose: Orders reach the warehouse.\n{options}\n"
            ),
        );
        if to == "dynamics" {
            let system = std::fs::read_to_string(world.dir.join("systems/dynamics.yaml")).unwrap();
            write("systems/dynamics.yaml", &format!("{}{IN_DYNAMICS}", system.trim_end()));
        }
        let sales = Sales { world };
        sales.sql(
            "CREATE TABLE orders (id INTEGER PRIMARY KEY, order_no TEXT NOT NULL UNIQUE, state TEXT NOT NULL);
             CREATE TABLE order_lines (order_id INTEGER NOT NULL, pos INTEGER, sku TEXT, qty DECIMAL(10,3));
             CREATE INDEX lines_of_order ON order_lines (order_id)",
        );
        for sku in ["P-1", "P-2", "P-3"] {
            let row = json!({ "productnumber": sku, "name": sku });
            http(&sales.world.url, "POST", "/api/data/v9.2/products", &row.to_string());
        }
        sales
    }

    fn sql(&self, sql: &str) {
        Connection::open(self.world.dir.join("data/sales.db")).unwrap().execute_batch(sql).unwrap();
    }

    /// An order with lines such as `1 P-1 3`.
    fn order(&self, id: u32, number: &str, lines: &[&str]) {
        self.sql(&format!("INSERT INTO orders VALUES ({id}, '{number}', 'D') ON CONFLICT DO NOTHING; DELETE FROM order_lines WHERE order_id = {id}"));
        for line in lines {
            let words: Vec<&str> = line.split(' ').collect();
            self.sql(&format!("INSERT INTO order_lines VALUES ({id}, {}, '{}', '{}')", words[0], words[1], words[2]));
        }
    }

    fn run(&self) -> Json {
        let run = self.world.ironbridge(&["--format", "json", "run", "orders"]).json();
        assert!(run["error"].is_null(), "{run:#}");
        run
    }

    /// Created, updated, unchanged, rejected.
    fn counts(&self) -> [u64; 4] {
        let run = self.run();
        ["created", "updated", "unchanged", "rejected"].map(|name| run[name].as_u64().unwrap())
    }

    /// What Dynamics has of an order: `1 P-1 3`.
    fn lines(&self, number: &str) -> Vec<String> {
        let path = format!(
            "/api/data/v9.2/salesorderdetails?$select=lineitemnumber,quantity&$expand=productid($select=productnumber),salesorderid($select=ordernumber)&$filter=salesorderid/ordernumber eq '{number}'&$orderby=lineitemnumber"
        );
        let answer = http(&self.world.url, "GET", &path.replace(' ', "%20"), "");
        let page: Json = serde_json::from_str(&answer).unwrap();
        let rows = page["value"].as_array().unwrap_or_else(|| panic!("{page}"));
        let line = |row: &Json| {
            let quantity: record::Decimal = row["quantity"].to_string().parse().unwrap();
            let sku = row["productid"]["productnumber"].as_str().unwrap_or("-").to_owned();
            format!("{} {sku} {}", row["lineitemnumber"], quantity.normalize())
        };
        rows.iter().map(line).collect()
    }

    fn written(&self) -> Json {
        self.world.stats()["rows"].clone()
    }
}

#[test]
fn the_lines_of_an_order_are_created_changed_and_removed_one_by_one() {
    let sales = Sales::new("dynamics", "");
    sales.world.ironbridge(&["check", "--online"]).ok();
    sales.order(1, "SO-1", &["1 P-1 3", "2 P-2 1.5"]);
    sales.order(2, "SO-2", &["1 P-3 7"]);
    sales.order(3, "SO-3", &[]);
    assert_eq!(sales.counts(), [3, 0, 0, 0]);
    assert_eq!(sales.lines("SO-1"), ["1 P-1 3", "2 P-2 1.5"]);
    assert_eq!(sales.lines("SO-2"), ["1 P-3 7"]);
    sales.world.reset_stats();
    assert_eq!(sales.counts(), [0, 0, 3, 0]);
    assert_eq!(sales.world.rows_written(), 0);

    // One line changes, one goes, one comes; the order itself and the other orders stay as they are.
    sales.order(1, "SO-1", &["1 P-1 4", "3 P-3 2"]);
    let plan = sales.world.ironbridge(&["--format", "json", "plan", "orders"]);
    assert_eq!(serde_json::from_str::<Json>(&plan.out).unwrap()["update"], json!(1), "{plan:#?}");
    assert_eq!(sales.counts(), [0, 1, 2, 0]);
    assert_eq!(sales.lines("SO-1"), ["1 P-1 4", "3 P-3 2"]);
    let written = sales.written();
    assert_eq!(written["salesorderdetail"], json!({ "created": 1, "updated": 1, "deleted": 1 }), "{written}");
    assert!(written["salesorder"].is_null(), "the order was right already: {written}");

    // The ledger is lost: what is equal is adopted, lines and all.
    for file in std::fs::read_dir(sales.world.dir.join(".ironbridge")).unwrap() {
        std::fs::remove_file(file.unwrap().path()).unwrap();
    }
    sales.world.reset_stats();
    assert_eq!(sales.counts(), [0, 0, 3, 0]);
    assert_eq!(sales.world.rows_written(), 0);
}

#[test]
fn an_order_is_closed_after_its_lines_and_opened_before_them() {
    let sales = Sales::new("dynamics", "");
    sales.order(1, "SO-1", &["1 P-1 3"]);
    sales.sql("UPDATE orders SET state = 'S'");
    assert_eq!(sales.counts(), [1, 0, 0, 0]);
    assert_eq!(sales.lines("SO-1"), ["1 P-1 3"]);
    let state = || {
        let row = http(
            &sales.world.url,
            "GET",
            "/api/data/v9.2/salesorders(ordernumber='SO-1')?$select=statecode,statuscode",
            "",
        );
        let row: Json = serde_json::from_str(&row).unwrap();
        (row["statecode"].as_i64().unwrap(), row["statuscode"].as_i64().unwrap())
    };
    assert_eq!(state(), (1, 3));
    sales.order(1, "SO-1", &["1 P-1 5", "2 P-2 1"]);
    sales.sql("UPDATE orders SET state = 'D'");
    assert_eq!(sales.counts(), [0, 1, 0, 0]);
    assert_eq!((sales.lines("SO-1"), state()), (vec!["1 P-1 5".to_owned(), "2 P-2 1".to_owned()], (0, 1)));
    // The lines of an order that is closed cannot be changed: that is Dynamics' word, and the row's fault alone.
    sales.sql("UPDATE orders SET state = 'S'");
    assert_eq!(sales.counts(), [0, 1, 0, 0]);
    sales.order(1, "SO-1", &["1 P-1 6"]);
    assert_eq!(sales.counts(), [0, 0, 0, 1]);
    assert_eq!(sales.lines("SO-1"), ["1 P-1 5", "2 P-2 1"]);
}

#[test]
fn a_bad_line_is_the_fault_of_its_order_and_no_kill_makes_a_line_too_many() {
    let sales = Sales::new("dynamics", "");
    sales.order(1, "SO-1", &["1 P-1 3", "2 P-9 1"]);
    sales.order(2, "SO-2", &["1 P-1 many"]);
    sales.order(3, "SO-3", &["1 P-1 1", "1 P-2 2"]);
    sales.order(4, "SO-4", &["1 P-1 1"]);
    let run = sales.run();
    assert_eq!((&run["created"], &run["rejected"]), (&json!(1), &json!(3)), "{run:#}");
    assert_eq!(sales.lines("SO-4"), ["1 P-1 1"]);
    let letters = sales.world.ironbridge(&["dead-letters", "list", "orders"]).ok().out;
    for words in ["P-9", "line", "IB0410"] {
        assert!(letters.contains(words), "no {words} in {letters}");
    }
    sales.order(1, "SO-1", &["1 P-1 3", "2 P-2 1"]);
    sales.order(2, "SO-2", &["1 P-1 2"]);
    sales.order(3, "SO-3", &["1 P-1 1", "2 P-2 2"]);
    for failpoint in ["sink.after@1=abort", "commit.before@2=abort", "commit.before@3=abort", "commit.after@2=abort"] {
        sales.world.fault("drop@30%,half-batch@30%");
        let _: Said = sales.world.with_failpoints(&["run", "orders"], failpoint);
    }
    sales.world.fault("");
    sales.run();
    assert_eq!(sales.lines("SO-1"), ["1 P-1 3", "2 P-2 1"]);
    assert_eq!(sales.lines("SO-2"), ["1 P-1 2"]);
    assert_eq!(sales.lines("SO-3"), ["1 P-1 1", "2 P-2 2"]);
    let letters = sales.world.ironbridge(&["--format", "json", "dead-letters", "list", "orders"]).ok().out;
    assert_eq!(letters.trim(), "[]");
    sales.world.reset_stats();
    sales.run();
    assert_eq!(sales.world.rows_written(), 0);
}

/// Whatever tells its lines apart, nothing of such an order is written, and a plan says so.
#[test]
fn an_order_whose_lines_cannot_be_told_apart_is_refused_before_anything_of_it_is_written() {
    for to in ["dynamics", "warehouse"] {
        let sales = Sales::new(to, "");
        let warehouse = Connection::open(sales.world.dir.join("data/warehouse.db")).unwrap();
        if to == "warehouse" {
            std::fs::write(sales.world.dir.join("systems/warehouse.yaml"), IN_WAREHOUSE).unwrap();
        }
        warehouse
            .execute_batch(
                "CREATE TABLE deliveries (id INTEGER PRIMARY KEY, order_no TEXT NOT NULL UNIQUE, state TEXT);
                 CREATE TABLE delivery_lines (delivery_id INTEGER NOT NULL, pos INTEGER, sku TEXT, qty DECIMAL(20,3),
                   PRIMARY KEY (delivery_id, pos))",
            )
            .unwrap();
        sales.order(1, "SO-1", &["1 P-1 1", "1 P-2 2"]);
        sales.order(2, "SO-2", &["NULL P-1 1"]);
        sales.order(3, "SO-3", &["1 P-1 1"]);
        // SQLite keeps no more than 15 digits of it.
        sales.order(4, "SO-4", if to == "warehouse" { &["1 P-1 1234567890123.125"] } else { &[] });
        let bad = if to == "warehouse" { 3 } else { 2 };
        let plan = sales.world.ironbridge(&["--format", "json", "plan", "orders"]).json();
        assert_eq!((&plan["create"], &plan["reject"]), (&json!(4 - bad), &json!(bad)), "{to}: {plan:#}");
        assert_eq!(sales.counts(), [4 - bad, 0, 0, bad], "{to}");
        let there = match to {
            "warehouse" => {
                warehouse.query_row("SELECT count(*) FROM deliveries", [], |row| row.get::<_, u32>(0)).unwrap().into()
            }
            _ => sales.world.stats()["rows"]["salesorder"]["created"].as_u64().unwrap(),
        };
        assert_eq!(there, 4 - bad, "{to}");
    }
}

#[test]
fn an_erp_gets_the_lines_within_the_order() {
    let sales = Sales::new("erp", "");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let file = sales.world.dir.join("data/erp.db");
    let erp = runtime.block_on(erp::start(&file, "127.0.0.1:0".parse().unwrap(), "local-key")).unwrap();
    let system = IN_ERP.replace("URL", &erp.url).replace("bearer: local-key", "bearer: \"${file:erp.token}\"");
    std::fs::write(sales.world.dir.join("erp.token"), "local-key").unwrap();
    std::fs::write(sales.world.dir.join("systems/erp.yaml"), system).unwrap();
    sales.order(1, "SO-1", &["2 P-2 1.5", "1 P-1 3"]);
    assert_eq!(sales.counts(), [1, 0, 0, 0]);
    let items = || erp.rows().iter().map(|row| row["items"].clone()).collect::<Vec<Json>>();
    assert_eq!(items(), [json!([{ "sku": "P-1", "qty": 3 }, { "sku": "P-2", "qty": 1.5 }])]);
    assert_eq!(sales.counts(), [0, 0, 1, 0]);
    sales.order(1, "SO-1", &["1 P-1 4"]);
    assert_eq!(sales.counts(), [0, 1, 0, 0], "a changed line makes the order a changed one");
    assert_eq!(items(), [json!([{ "sku": "P-1", "qty": 4 }])]);
}

/// What only a new row gets is kept by one that is replaced.
#[test]
fn an_order_that_is_replaced_keeps_what_the_erp_has_made_of_it() {
    let sales = Sales::new("erp", "");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let file = sales.world.dir.join("data/erp.db");
    let erp = runtime.block_on(erp::start(&file, "127.0.0.1:0".parse().unwrap(), "local")).unwrap();
    let system = IN_ERP.replace("URL", &erp.url).replace("bearer: local-key", "bearer: \"${file:erp.token}\"");
    let system = system.replace("ref: number,", "ref: number, step: { value: =\"new\", only_on: create },");
    std::fs::write(sales.world.dir.join("erp.token"), "local").unwrap();
    std::fs::write(sales.world.dir.join("systems/erp.yaml"), system).unwrap();
    sales.order(1, "SO-1", &["1 P-1 3"]);
    assert_eq!(sales.counts(), [1, 0, 0, 0]);
    assert_eq!(erp.rows()[0]["step"], "new");
    let shipped = json!({ "ref": "SO-1", "step": "shipped", "items": [{ "sku": "P-1", "qty": 3 }] }).to_string();
    http(&erp.url, "PUT", "/things/1", &shipped);
    sales.order(1, "SO-1", &["1 P-1 4"]);
    assert_eq!(sales.counts(), [0, 1, 0, 0]);
    assert_eq!((&erp.rows()[0]["step"], &erp.rows()[0]["items"][0]["qty"]), (&json!("shipped"), &json!(4)));
}

/// Document and lines in one transaction, whatever kills the hub.
#[test]
fn a_warehouse_gets_the_order_and_its_lines_into_two_tables_at_once() {
    let sales = Sales::new("warehouse", "deletes: delete\nmax_deletes: 100 %");
    std::fs::write(sales.world.dir.join("systems/warehouse.yaml"), IN_WAREHOUSE).unwrap();
    let warehouse = Connection::open(sales.world.dir.join("data/warehouse.db")).unwrap();
    warehouse
        .execute_batch(
            "CREATE TABLE deliveries (id INTEGER PRIMARY KEY, order_no TEXT NOT NULL UNIQUE, state TEXT);
             CREATE TABLE delivery_lines (delivery_id INTEGER NOT NULL REFERENCES deliveries (id), pos INTEGER, sku TEXT,
               qty DECIMAL(10,3) CHECK (qty < 1000), PRIMARY KEY (delivery_id, pos))",
        )
        .unwrap();
    let there = || {
        let sql = "SELECT order_no || ' ' || coalesce(pos || ' ' || sku || ' ' || qty, '-') FROM deliveries
            LEFT JOIN delivery_lines ON delivery_id = id ORDER BY 1";
        let mut statement = warehouse.prepare(sql).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect::<Vec<String>>()
    };
    sales.world.ironbridge(&["check", "--online"]).ok();
    sales.order(1, "SO-1", &["1 P-1 3", "2 P-2 1.5"]);
    sales.order(2, "SO-2", &["1 P-3 7"]);
    sales.order(3, "SO-3", &[]);
    assert_eq!(sales.counts(), [3, 0, 0, 0]);
    assert_eq!(there(), ["SO-1 1 P-1 3", "SO-1 2 P-2 1.5", "SO-2 1 P-3 7", "SO-3 -"]);
    assert_eq!(sales.counts(), [0, 0, 3, 0]);

    sales.order(1, "SO-1", &["1 P-1 4", "3 P-3 2"]);
    sales.order(2, "SO-2", &["1 P-3 1000"]);
    for failpoint in ["sink.before@1=abort", "sink.after@1=abort", "commit.before@2=abort"] {
        let _: Said = sales.world.with_failpoints(&["run", "orders"], failpoint);
    }
    assert_eq!(sales.counts()[3], 1, "a line that the table refuses is the fault of its order");
    assert_eq!(there(), ["SO-1 1 P-1 4", "SO-1 3 P-3 2", "SO-2 1 P-3 7", "SO-3 -"]);
    let letters = sales.world.ironbridge(&["dead-letters", "list", "orders"]).ok().out;
    assert!(letters.contains("IB0512") && letters.contains("line 1"), "{letters}");

    // The ledger is lost: what is equal is adopted, lines and all.
    sales.order(2, "SO-2", &["1 P-3 7"]);
    for file in std::fs::read_dir(sales.world.dir.join(".ironbridge")).unwrap() {
        std::fs::remove_file(file.unwrap().path()).unwrap();
    }
    assert_eq!(sales.counts(), [0, 0, 3, 0]);
    sales.sql("DELETE FROM orders WHERE id = 1");
    sales.run();
    assert_eq!(there(), ["SO-2 1 P-3 7", "SO-3 -"]);
}

#[test]
fn a_list_in_a_json_file_is_the_lines_and_a_missing_one_is_none() {
    let sales = Sales::new("warehouse", "compare_live: every 1 second\ndrift: report");
    let write = |file: &str, text: &str| std::fs::write(sales.world.dir.join(file), text).unwrap();
    write("systems/warehouse.yaml", IN_WAREHOUSE);
    write(
        "systems/sales.yaml",
        "system: sales\nkind: files\nowner: finance-it\nconnection: { folder: data }\nentities:\n  order:\n    file: \"orders*.json\"\n    contains: everything\n    several: newest\n    columns: { number: text, state: text, items.pos: whole_number, items.sku: text, items.qty: decimal }\n    read: { number: number, status: { column: state, choice: { draft: D, submitted: S } }, lines: { each: items, read: { line_no: pos, product: sku, quantity: qty } } }\n",
    );
    let warehouse = Connection::open(sales.world.dir.join("data/warehouse.db")).unwrap();
    warehouse
        .execute_batch(
            "CREATE TABLE deliveries (id INTEGER PRIMARY KEY, order_no TEXT NOT NULL UNIQUE, state TEXT);
             CREATE TABLE delivery_lines (delivery_id INTEGER NOT NULL, pos INTEGER, sku TEXT, qty DECIMAL(10,3), PRIMARY KEY (delivery_id, pos))",
        )
        .unwrap();
    let file = |number: u64, orders: &Json| {
        let path = sales.world.dir.join(format!("data/orders{number}.json"));
        std::fs::write(&path, orders.to_string()).unwrap();
        let at = std::time::SystemTime::now() - std::time::Duration::from_secs(3600 - number);
        std::fs::File::options().write(true).open(&path).unwrap().set_modified(at).unwrap();
    };
    let lines = || -> Vec<String> {
        let sql = "SELECT order_no || ' ' || pos || ' ' || sku || ' ' || qty FROM deliveries d JOIN delivery_lines ON delivery_id = d.id ORDER BY 1";
        let mut statement = warehouse.prepare(sql).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    let item = json!({ "pos": 1, "sku": "P-1", "qty": "1.5" });
    let two = json!([item, { "pos": 2, "sku": "P-2", "qty": 2 }]);
    let orders = |second: &Json, third: &str| {
        json!([
            { "number": "O-1", "state": "D", "items": two },
            { "number": "O-2", "state": "D", "items": second },
            { "number": third, "state": "D" },
        ])
    };
    file(1, &orders(&json!([item]), "O-3"));
    assert_eq!(sales.counts(), [3, 0, 0, 0]);
    assert_eq!(lines(), ["O-1 1 P-1 1.5", "O-1 2 P-2 2", "O-2 1 P-1 1.5"]);
    // They are compared with what the warehouse holds, and nobody has edited anything there.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    assert_eq!(sales.counts(), [0, 0, 3, 0]);
    file(2, &orders(&Json::Null, "O-3"));
    assert_eq!(sales.counts()[..2], [0, 1]);
    assert_eq!(lines(), ["O-1 1 P-1 1.5", "O-1 2 P-2 2"]);
    // What is no list is no document without lines.
    file(3, &orders(&json!("none"), "O-3"));
    let run = sales.run();
    assert_eq!(run["rejected_by_code"], json!({ "IB0410": 1 }), "{run:#}");
    assert_eq!(lines(), ["O-1 1 P-1 1.5", "O-1 2 P-2 2"]);
}

#[test]
fn lines_that_nothing_tells_apart_are_refused_before_anything_is_read() {
    let sales = Sales::new("dynamics", "");
    sales.world.edit("systems/dynamics.yaml", "lineitemnumber: line_no, ", "");
    let run = sales.world.ironbridge(&["--format", "json", "run", "orders"]).json();
    assert_eq!(run["error"]["code"], "IB0752", "{run:#}");
    sales.world.edit("systems/dynamics.yaml", "        parent: salesorderid\n", "");
    let said = sales.world.ironbridge(&["run", "orders"]);
    assert!(said.err.contains("IB0703") && said.err.contains("`parent: <lookup>`"), "{said:#?}");
}

/// Orders and their lines change at random, and everything goes wrong: at the end each order has its lines, once.
#[test]
fn chaos_leaves_each_order_with_its_lines() {
    stories(1, 1, one_story);
}

fn one_story(seed: u64) {
    let mut chance = Chance(seed);
    let stop = "stop_after: { rejected: 10000, or: 100 %, first_rows_alike: 10000 }";
    let deletes = chance.one_of(&["deletes: ignore", "deletes: delete\nmax_deletes: 100 %"]);
    let sales = Sales::new("dynamics", &format!("{stop}\n{deletes}"));
    sales.order(100, "SO-100", &["1 P-1 1"]);
    for round in 0..6 {
        for _ in 0..chance.below(6) {
            let id = 1 + chance.below(8) as u32;
            let lines: Vec<String> = (1..=chance.below(5))
                .map(|at| {
                    format!("{at} {} {}", chance.one_of(&["P-1", "P-2", "P-3", "P-3", "P-9"]), 1 + chance.below(9))
                })
                .collect();
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            sales.order(id, &format!("SO-{id}"), &lines);
            if chance.below(8) == 0 && deletes != "deletes: ignore" {
                sales
                    .sql(&format!("DELETE FROM orders WHERE id = {id}; DELETE FROM order_lines WHERE order_id = {id}"));
            }
        }
        sales.world.fault(chance.one_of(&["", "429@4%", "drop@10%", "cut@5%,503@5%", "half-batch@30%"]));
        let points = ["commit.before", "commit.after", "sink.before", "sink.after"];
        let failpoint = match chance.below(2) {
            0 => String::new(),
            _ => format!("{}@{}=abort", chance.one_of(&points), 1 + chance.below(4)),
        };
        let said = sales.world.with_failpoints(&["--format", "json", "run", "orders"], &failpoint);
        assert_ne!(said.code, Some(101), "seed {seed}, round {round}: a panic: {said:#?}");
    }
    sales.world.fault("");
    // A product that is not there keeps its order waiting or back; it comes at last.
    let row = json!({ "productnumber": "P-9", "name": "P-9" });
    http(&sales.world.url, "POST", "/api/data/v9.2/products", &row.to_string());
    for _ in 0..2 {
        sales.run();
        sales.sql("UPDATE order_lines SET qty = qty + 1 WHERE sku = 'P-9'");
    }
    sales.run();
    let conn = Connection::open(sales.world.dir.join("data/sales.db")).unwrap();
    let mut statement = conn
        .prepare("SELECT order_no, pos || ' ' || sku || ' ' || qty FROM orders LEFT JOIN order_lines ON order_id = id ORDER BY order_no, pos")
        .unwrap();
    let mut expected: std::collections::BTreeMap<String, Vec<String>> = Default::default();
    let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, Option<String>>(1)?))).unwrap();
    for (number, line) in rows.map(Result::unwrap) {
        expected.entry(number).or_default().extend(line);
    }
    for id in 1..=8 {
        let number = format!("SO-{id}");
        let lines = sales.lines(&number);
        match expected.get(&number) {
            Some(expected) => assert_eq!(&lines, expected, "seed {seed}: {number}"),
            None if deletes != "deletes: ignore" => assert!(lines.is_empty(), "seed {seed}: {number}: {lines:?}"),
            None => {}
        }
    }
    sales.world.reset_stats();
    let run = sales.run();
    assert_eq!(sales.world.rows_written(), 0, "seed {seed}: what was right is written again: {run:#}");
}
