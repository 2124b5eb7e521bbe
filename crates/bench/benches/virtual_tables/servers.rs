//! The two servers over one SQLite file.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use bench::server::{Server, binary, free};
use rusqlite::Connection;

const PROJECT: &[(&str, &str)] = &[
    ("ironbridge.yaml", "hub: contoso\ntime_zone: UTC\nalerts: [ { to: it, severity: critical } ]\n"),
    ("people.yaml", "groups: { it: { email: it@contoso.example } }\n"),
    (
        "entities/stock.yaml",
        "entity: stock
key: [sku, warehouse]
fields:
  sku:        { type: text, max_length: 10, pattern: \"SKU-[0-9]{6}\" }
  warehouse:  { type: text, max_length: 3, pattern: \"[A-Z]{3}\" }
  quantity:   { type: whole_number }
  price:      { type: decimal, scale: 2 }
  note:       { type: text, max_length: 200 }
  counted_on: { type: date }
",
    ),
    (
        "systems/warehouse.yaml",
        "system: warehouse
kind: sqlite
connection: { file: warehouse.db }
entities:
  stock:
    table: stock
    read: { sku: sku, warehouse: warehouse, quantity: quantity, price: price, note: note, counted_on: counted_on }
",
    ),
    (
        "systems/dynamics.yaml",
        "system: dynamics
kind: dataverse
connection: { url: \"http://127.0.0.1:1\" }
entities: { stock: { virtual_table: new_stock, primary_name: sku } }
",
    ),
    (
        "integrations/stock.yaml",
        "integration: stock
pattern: virtual
entity: stock
from: warehouse
to: dynamics
owner: it
purpose: A measurement.
",
    ),
];

const MODEL: &str = "@cds.persistence.exists
entity stock { key sku: String(10); key warehouse: String(3); quantity: Integer; price: Decimal(12,2); note: String(200); counted_on: Date }
";
const SERVICE: &str = "using { stock as rows } from '../db/stock';
service Depot { @readonly @cds.query.limit: { default: 1000, max: 1000 } entity stock as projection on rows }
";

/// `ironbridge virtual serve` over the database.
pub fn hub(dir: &Path, database: &Path) -> Server {
    for (file, text) in PROJECT {
        let path = dir.join("hub").join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let text = text.replace("warehouse.db", database.to_str().unwrap());
        fs::write(path, text).unwrap();
    }
    let address = free();
    let mut command = Command::new(binary());
    command.args(["virtual", "serve", "--dir", dir.join("hub").to_str().unwrap(), "--listen", &address.to_string()]);
    Server::start(address, command, &dir.join("hub"))
}

/// An `@sap/cds` service over the same database, as it serves in production; nothing where it is not installed.
pub fn cap(dir: &Path, database: &Path) -> Option<Server> {
    let Ok(installed) = std::env::var("BENCH_CAP") else {
        println!("@sap/cds is left out: BENCH_CAP does not say where it is");
        return None;
    };
    let modules = fs::canonicalize(Path::new(&installed).join("node_modules")).unwrap();
    let dir = dir.join("cap");
    for (file, text) in [("db/stock.cds", MODEL), ("srv/depot.cds", SERVICE), ("package.json", &package(database))] {
        let path = dir.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    std::os::unix::fs::symlink(&modules, dir.join("node_modules")).unwrap();
    // What `cds deploy` would make of the service.
    let view = "CREATE VIEW Depot_stock AS SELECT sku, warehouse, quantity, price, note, counted_on FROM stock";
    Connection::open(database).unwrap().execute_batch(view).unwrap();
    let address = free();
    let mut command = Command::new("node");
    command.arg(modules.join("@sap/cds/bin/serve.js")).args(["all", "--port", &address.port().to_string()]);
    command.current_dir(&dir).env("NODE_ENV", "production").env("CDS_ENV", "production");
    let server = Server::start(address, command, &dir);
    // It listens before its services are there.
    std::thread::sleep(Duration::from_secs(3));
    Some(server)
}

fn package(database: &Path) -> String {
    let url = database.to_str().unwrap();
    format!(
        r#"{{ "name": "depot", "version": "1.0.0", "cds": {{ "requires": {{ "auth": {{ "kind": "dummy" }},
            "db": {{ "kind": "sqlite", "impl": "@cap-js/sqlite", "credentials": {{ "url": "{url}" }} }} }}, "log": {{ "levels": {{ "odata": "error", "server": "error" }} }} }} }}"#
    )
}
