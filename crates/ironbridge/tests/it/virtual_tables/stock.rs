//! A warehouse with 10,000 rows of stock, and a hub that shows them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Stdio};

use rusqlite::Connection;
use serde_json::Value as Json;

use crate::support::binary;

/// A project that serves virtual tables, until the end of the test.
pub struct Served {
    pub dir: tempfile::TempDir,
    pub address: String,
    child: Child,
}

pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const HUB: &str = "hub: contoso\ntime_zone: UTC\nalerts: [ { to: it, severity: critical } ]\n";
const PEOPLE: &str = "groups: { it: { email: it@contoso.example } }\n";

const ENTITIES: &str = r#"
entity: stock
key: [sku, warehouse]
fields:
  sku:       { type: text, max_length: 10 }
  warehouse: { type: text, max_length: 40 }
  quantity:  { type: whole_number }
  price:     { type: decimal, scale: 2 }
  note:      { type: text, max_length: 200 }
  active:    { type: yes_no }
  counted:   { type: datetime }
  due:       { type: date }
  class:     { type: choice, values: [fast, slow, dead] }
  title:     { type: text, max_length: 100 }
  label:     { type: text, max_length: 100 }
  keeper:    { type: text, personal: true }
  item:      { type: reference, entity: item }
---
entity: item
key: number
fields: { number: { type: whole_number }, name: { type: text, max_length: 50, required: true } }
"#;

const WAREHOUSE: &str = r#"
system: warehouse
kind: sqlite
connection: { file: warehouse.db }
time_zone: UTC
entities:
  stock:
    table: stock
    read: { sku: sku, warehouse: warehouse, quantity: quantity, price: price, note: note, active: active, counted: counted_at, due: due,
            class: { column: class, choice: { fast: F, slow: S, dead: D } }, title: =Trim(title), label: '=sku & "/" & warehouse', keeper: keeper, item: item_no }
  item: { table: items, read: { number: item_no, name: name } }
"#;

const DYNAMICS: &str = r#"
system: dynamics
kind: dataverse
connection: { url: "http://127.0.0.1:1" }
entities:
  stock: { virtual_table: new_stock, primary_name: sku }
  item: { virtual_table: new_item, primary_name: name }
"#;

fn integration(name: &str, entity: &str, more: &str) -> String {
    format!(
        "integration: {name}\npattern: virtual\nentity: {entity}\nfrom: warehouse\nto: dynamics\nowner: it\npurpose: Sales see what is there.\n{more}"
    )
}

impl Served {
    /// The warehouse as it is, with `more` in the integration of the stock, and after the system that asks.
    pub fn new(more: &str, caller: &str) -> Served {
        Served::in_folder(tempfile::tempdir().unwrap(), more, caller)
    }

    pub fn in_folder(dir: tempfile::TempDir, more: &str, caller: &str) -> Served {
        fill(&dir.path().join("warehouse.db"));
        Served::project(dir, WAREHOUSE, more, caller)
    }

    /// The same warehouse in each database that there is, its rows also in `warehouse.db`, to compare with.
    pub fn each(database: &str) -> Vec<(&'static str, Served)> {
        let mut all = vec![("sqlite", Served::new("", ""))];
        for kind in ["postgres", "mysql"] {
            let dir = tempfile::tempdir().unwrap();
            fill(&dir.path().join("warehouse.db"));
            let Some(url) = super::servers::copy(kind, database, &dir.path().join("warehouse.db")) else { continue };
            all.push((kind, Served::on_server(dir, kind, &url)));
        }
        all
    }

    /// The warehouse of a database that has a server.
    pub fn on_server(dir: tempfile::TempDir, kind: &str, url: &str) -> Served {
        Served::from(dir, kind, url, "table: stock")
    }

    /// The same, its stock read from this table or by this query.
    pub fn from(dir: tempfile::TempDir, kind: &str, url: &str, stock: &str) -> Served {
        std::fs::write(dir.path().join("warehouse.url"), url).unwrap();
        let warehouse = WAREHOUSE
            .replace("kind: sqlite", &format!("kind: {kind}"))
            .replace("{ file: warehouse.db }", "{ url: \"${file:warehouse.url}\" }")
            .replace("table: stock", stock);
        Served::project(dir, &warehouse, "", "")
    }

    fn project(dir: tempfile::TempDir, warehouse: &str, more: &str, caller: &str) -> Served {
        Served::with(
            dir,
            &[
                ("entities/all.yaml", ENTITIES),
                ("systems/warehouse.yaml", warehouse),
                ("systems/dynamics.yaml", &format!("{DYNAMICS}{caller}")),
                ("integrations/stock.yaml", &integration("stock", "stock", more)),
                ("integrations/items.yaml", &integration("items", "item", "")),
            ],
        )
    }

    /// Any project.
    pub fn with(dir: tempfile::TempDir, files: &[(&str, &str)]) -> Served {
        Served::in_environment(dir, files, &[])
    }

    /// The warehouse in one of its environments.
    pub fn of_environment(name: &str, environment: &str, caller: &str) -> Served {
        let dir = tempfile::tempdir().unwrap();
        fill(&dir.path().join("warehouse.db"));
        let (caller, file) = (format!("{DYNAMICS}{caller}"), format!("environments/{name}.yaml"));
        let (stock, items) = (integration("stock", "stock", ""), integration("items", "item", ""));
        let files = [
            ("entities/all.yaml", ENTITIES),
            ("systems/warehouse.yaml", WAREHOUSE),
            ("systems/dynamics.yaml", &caller),
            ("integrations/stock.yaml", &stock),
            ("integrations/items.yaml", &items),
            (&file, environment),
        ];
        Served::in_environment(dir, &files, &["--env", name])
    }

    fn in_environment(dir: tempfile::TempDir, files: &[(&str, &str)], more: &[&str]) -> Served {
        for folder in ["entities", "systems", "integrations", "environments"] {
            std::fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        for (name, text) in [("ironbridge.yaml", HUB), ("people.yaml", PEOPLE)].iter().chain(files) {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        let keys = [
            ("old.token", "old key"),
            ("new.token", "new key"),
            ("test.one", "one of the test"),
            ("test.two", "two of the test"),
        ];
        for (file, key) in keys {
            std::fs::write(dir.path().join(file), key).unwrap();
        }
        let mut command = binary();
        command.args(["virtual", "serve", "--dir", dir.path().to_str().unwrap(), "--listen", "127.0.0.1:0"]).args(more);
        let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut said = String::new();
        let address = loop {
            let line = lines.next().unwrap_or_else(|| panic!("it did not start: {said}")).unwrap();
            said.push_str(&line);
            said.push('\n');
            if let Some((_, rest)) = line.split_once("http://") {
                break rest.split('/').next().unwrap().to_owned();
            }
        };
        std::thread::spawn(move || lines.for_each(drop));
        Served { dir, address, child }
    }

    /// Nobody answers at its address any more.
    pub fn stop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    pub fn database(&self) -> Connection {
        Connection::open(self.dir.path().join("warehouse.db")).unwrap()
    }

    /// What comes back for these bytes and no others: the status, and everything.
    pub fn raw(&self, bytes: &[u8]) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.write_all(bytes).unwrap();
        let mut answer = Vec::new();
        // A server that has heard enough may close before it has read all.
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer).into_owned();
        (answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default(), answer)
    }

    /// What of the hub is in memory, in MB, as Linux tells it.
    pub fn resident_mb(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").trim().parse::<f64>().unwrap() / 1024.0
    }

    pub fn send(&self, method: &str, path: &str, headers: &str, body: &str) -> Answer {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let (address, length) = (&self.address, body.len());
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: {length}\r\nConnection: close\r\n{headers}\r\n{body}"
        )
        .unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer to {path}: {text}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_lowercase(), body: body.to_owned() }
    }

    /// A query of `stock`, with its options as they are read.
    pub fn stock(&self, options: &[(&str, &str)]) -> Answer {
        self.send("GET", &format!("/odata/warehouse/stock?{}", query(options)), "", "")
    }

    /// The good answer to a query, as JSON.
    pub fn json(&self, path: &str) -> Json {
        let answer = self.send("GET", path, "", "");
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        serde_json::from_str(&answer.body).unwrap()
    }
}

pub fn query(options: &[(&str, &str)]) -> String {
    let all: Vec<String> = options.iter().map(|(name, value)| format!("{name}={}", odata::encode(value))).collect();
    all.join("&")
}

/// The keys of an answer, in its order.
pub fn keys(json: &Json) -> Vec<(String, String)> {
    let text = |row: &Json, name: &str| row[name].as_str().unwrap().to_owned();
    json["value"].as_array().unwrap().iter().map(|row| (text(row, "sku"), text(row, "warehouse"))).collect()
}

/// The same by SQL.
pub fn sql_keys(database: &Connection, rest: &str) -> Vec<(String, String)> {
    let mut statement = database.prepare(&format!("SELECT sku, warehouse FROM stock {rest}")).unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.map(Result::unwrap).collect()
}

/// 2,000 articles in 5 warehouses, by a rule and not by chance.
fn fill(file: &Path) {
    let mut database = Connection::open(file).unwrap();
    database
        .execute_batch(
            "CREATE TABLE stock (sku VARCHAR(10) NOT NULL, warehouse VARCHAR(40) NOT NULL, quantity INTEGER, price DECIMAL(12,2),
               note TEXT, active BOOLEAN, counted_at DATETIME, due DATE, class CHAR(1), title TEXT, keeper TEXT, item_no INTEGER,
               PRIMARY KEY (sku, warehouse));
             CREATE TABLE items (item_no INTEGER PRIMARY KEY, name TEXT);",
        )
        .unwrap();
    let notes = ["fragile", "50% off", "a_b", "back\\slash", "it's", "Größe 4", " spaced ", "x[1]", "A & B + C"];
    let transaction = database.transaction().unwrap();
    for item in 0..200 {
        transaction.execute("INSERT INTO items VALUES (?, ?)", (item, format!("Item {item}"))).unwrap();
    }
    for article in 0..2_000u64 {
        for (place, warehouse) in ["Köln", "London", "100% Hub", "O'Hare", "São Paulo"].iter().enumerate() {
            let n = (article * 5 + place as u64).wrapping_mul(2_654_435_761) >> 7;
            let quantity = (!n.is_multiple_of(20)).then_some((n % 506) as i64 - 5);
            let price = (n % 10_007) as f64 / 100.0;
            let note = (!n.is_multiple_of(5)).then(|| notes[(n % 9) as usize]);
            let active = [Some(0), Some(1), None][(n % 3) as usize];
            let counted = (!n.is_multiple_of(11))
                .then(|| format!("2026-{:02}-{:02} {:02}:{:02}:30", n % 12 + 1, n % 28 + 1, n % 24, n % 60));
            let due = format!("2026-{:02}-{:02}", n % 12 + 1, n % 25 + 1);
            let class = ["F", "S", "D"][(n % 7 % 3) as usize];
            let item = (!n.is_multiple_of(13)).then_some((n % 200) as i64);
            transaction
                .prepare_cached("INSERT INTO stock VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '(sample) keeper', ?)")
                .unwrap()
                .execute((
                    format!("SKU-{article:06}"),
                    warehouse,
                    quantity,
                    price,
                    note,
                    active,
                    counted,
                    due,
                    class,
                    format!("  Title  {} ", n % 50),
                    item,
                ))
                .unwrap();
        }
    }
    transaction.commit().unwrap();
}
