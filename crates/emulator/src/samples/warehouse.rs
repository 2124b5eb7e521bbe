//! A warehouse database in SQLite: how much of each product is where. Nothing in it is real.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, params};

/// How many products there are, each in every warehouse.
pub const PRODUCTS: u32 = 60;
pub const WAREHOUSES: [&str; 4] = ["LON", "CGN", "SAO", "YVR"];

const SCHEMA: &str = "
CREATE TABLE _about (text TEXT NOT NULL);
INSERT INTO _about VALUES ('SAMPLE DATA. Quantities and prices follow a rule; the products do not exist.');
CREATE TABLE stock (   -- sample data, see _about
  sku        VARCHAR(5) NOT NULL,
  warehouse  VARCHAR(3) NOT NULL,
  product    TEXT,
  quantity   INTEGER NOT NULL,
  reserved   INTEGER,
  price      DECIMAL(10,2),
  counted_on DATE,
  PRIMARY KEY (sku, warehouse)
);
";

/// Makes the database: the same rows each time.
///
/// *Errors*: a file that is there already, or cannot be written.
pub fn create(path: &Path) -> rusqlite::Result<()> {
    let mut conn = Connection::open(path)?;
    // A reader beside a writer must not wait.
    conn.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;")?;
    let transaction = conn.transaction()?;
    transaction.execute_batch(SCHEMA)?;
    for product in 0..PRODUCTS {
        for (place, warehouse) in (0u32..).zip(WAREHOUSES) {
            let n = (product * 4 + place).wrapping_mul(2_654_435_761) >> 8;
            let (pounds, pence) = (n % 400 + 1, n % 20 * 5);
            transaction.prepare_cached("INSERT INTO stock VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?.execute(params![
                format!("P-{}", 100 + product * 10),
                warehouse,
                format!("Product {} (sample)", 100 + product * 10),
                n % 250,
                (n % 3 > 0).then_some(n % 10),
                format!("{pounds}.{pence:02}"),
                format!("2026-{:02}-{:02}", n % 10 + 1, n % 28 + 1),
            ])?;
        }
    }
    transaction.commit()
}

/// The quantity of a product in a warehouse; nothing if there is no such row.
pub fn quantity(path: &Path, sku: &str, warehouse: &str) -> rusqlite::Result<Option<i64>> {
    let sql = "SELECT quantity FROM stock WHERE sku = ?1 AND warehouse = ?2";
    Connection::open(path)?.query_row(sql, [sku, warehouse], |row| row.get(0)).optional()
}

/// Changes a quantity, as somebody in the warehouse would. `false` if there is no such row.
pub fn set_quantity(path: &Path, sku: &str, warehouse: &str, quantity: i64) -> rusqlite::Result<bool> {
    let conn = Connection::open(path)?;
    conn.busy_timeout(std::time::Duration::from_secs(5))?;
    let sql = "UPDATE stock SET quantity = ?3 WHERE sku = ?1 AND warehouse = ?2";
    conn.execute(sql, params![sku, warehouse, quantity]).map(|changed| changed == 1)
}
