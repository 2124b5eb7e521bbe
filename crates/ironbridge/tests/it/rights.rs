//! A right of a file or a folder that was taken away asks a person, reading and writing, and is told by its place.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::services::{ITEM, SHOP, project, shop};
use crate::support::World;

const SUPPLIER: &str = "\
system: supplier
kind: files
owner: finance-it
connection: { folder: in }
entities:
  item:
    file: \"items_*.csv\"
    ready_when: unchanged for 0 seconds
    columns: { number: text, name: text, price: decimal }
    read: { number: number, name: name, price: price }
";

const LIST: &str = "\
system: list
kind: files
owner: finance-it
connection: { folder: out }
entities:
  item:
    file: items.csv
    columns: { number: text, name: text, price: decimal }
    alternate_key: number
    write: { number: number, name: name, price: price }
";

/// Items from here to there, with one item in the file that is read.
fn world(from: (&str, &str), to: (&str, &str)) -> World {
    let item = ITEM.replace("  changed_at: { type: datetime }\n", "");
    let world = project(&item, from.0, to.0, &[from, to]);
    for folder in ["in", "out", "own"] {
        std::fs::create_dir(world.dir.join(folder)).unwrap();
    }
    std::fs::write(world.dir.join("in/items_1.csv"), "number,name,price\nI-1,Nail,0.10\n").unwrap();
    world
}

fn mode(what: &Path, mode: u32) {
    std::fs::set_permissions(what, PermissionsExt::from_mode(mode)).unwrap();
}

#[test]
fn of_a_file_that_is_read() {
    let world = world(("supplier", SUPPLIER), ("shop", SHOP));
    shop(&world, "");
    let run = || world.without_power(&["run", "items"]);
    for (what, without, with) in [("in/items_1.csv", 0o000, 0o644), ("in", 0o000, 0o755)] {
        let path = world.dir.join(what);
        mode(&path, without);
        let said = run().fails(1, "IB0604");
        assert!(said.err.contains(path.to_str().unwrap()) && said.err.contains("give the user"), "{said:#?}");
        mode(&path, with);
    }
    run().ok();
    assert_eq!(shop(&world, ""), ["I-1 Nail 0.1"]);
}

#[test]
fn of_a_file_that_is_written() {
    let world = world(("supplier", SUPPLIER), ("list", LIST));
    let out = world.dir.join("out");
    let run = || world.without_power(&["run", "items"]);
    mode(&out, 0o555);
    let said = run().fails(1, "IB0503");
    assert!(said.err.contains("out/items.csv") && said.err.contains("write into it"), "{said:#?}");
    mode(&out, 0o755);
    run().ok();
    assert!(std::fs::read_to_string(out.join("items.csv")).unwrap().contains("I-1,Nail,0.1"));
}

#[test]
fn of_a_database_file() {
    let own = SHOP.replace("shop.db", "own/shop.db");
    let world = world(("supplier", SUPPLIER), ("shop", &own));
    let file = world.dir.join("own/shop.db");
    let make = "CREATE TABLE items (number TEXT PRIMARY KEY, name TEXT, price NUMERIC)";
    rusqlite::Connection::open(&file).unwrap().execute_batch(make).unwrap();
    let run = || world.without_power(&["run", "items"]);
    for (what, without, with) in [("own/shop.db", 0o444, 0o644), ("own", 0o555, 0o755)] {
        mode(&world.dir.join(what), without);
        let said = run().fails(1, "IB0503");
        assert!(said.err.contains("own/shop.db and its folder"), "{said:#?}");
        mode(&world.dir.join(what), with);
    }
    run().ok();
    let count = "SELECT count(*) FROM items";
    let rows: i64 = rusqlite::Connection::open(&file).unwrap().query_row(count, [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 1);
}
