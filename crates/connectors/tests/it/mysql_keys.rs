//! Questions to MariaDB that an index answers: rows by the hash of their key, and rows in the order of it.

use std::sync::Arc;

use mysql_async::prelude::Queryable;
use record::query::{Expr, Function, Lookup, Order, Query};
use record::{Key, OptionValue, Options, ReadSpec, Value};

use crate::conformance::{mysql_client, mysql_database};

const FILL: &str = "CREATE TABLE stock (sku varchar(20) NOT NULL, warehouse varchar(40) NOT NULL, no int NOT NULL, PRIMARY KEY (sku, warehouse, no));
    INSERT INTO stock SELECT CONCAT('SKU|', seq), CONCAT('Köln', CHAR(92 USING utf8mb4), seq % 7), seq FROM seq_1_to_5000;
    ANALYZE TABLE stock;
    CREATE VIEW shown AS SELECT * FROM stock";
const KEY: [&str; 3] = ["sku", "warehouse", "no"];

async fn run(client: &mut mysql_async::Conn, statements: &str) {
    for sql in statements.split(";\n") {
        client.query_drop(sql).await.unwrap_or_else(|why| panic!("{why}: {sql}"));
    }
}

async fn filled(database: &str) -> Option<(String, mysql_async::Conn)> {
    let url = mysql_database(database).await?;
    let mut client = mysql_client(&url).await;
    run(&mut client, FILL).await;
    Some((url, client))
}

fn table(url: &str, name: &str) -> Arc<dyn record::Queryable> {
    let options = Options([("url".to_owned(), OptionValue::Text(url.to_owned()))].into());
    let system = (connectors::registry::find("mysql").unwrap().open)("warehouse", options).unwrap();
    let columns: Vec<String> = KEY.map(str::to_owned).to_vec();
    let spec = ReadSpec {
        table: name.into(),
        columns: columns.clone(),
        watermark: None,
        key: columns,
        rows_per_batch: 3,
        time_zone: None,
        declared: Vec::new(),
        fields: Vec::new(),
        options: Options::default(),
    };
    system.queryable(spec).unwrap()
}

#[tokio::test]
async fn a_row_is_found_by_the_hash_of_its_key_with_the_column_that_is_offered() {
    let Some((url, mut client)) = filled("lookup").await else { return };
    let key: Vec<String> = KEY.map(str::to_owned).to_vec();
    let before = table(&url, "stock");
    let Lookup::Needs(sql) = before.lookup(&key).await.unwrap() else { panic!("there is no index yet") };
    client.query_drop(&sql).await.unwrap_or_else(|why| panic!("{why}: {sql}"));
    // Whoever writes there goes on as before.
    client.query_drop("INSERT INTO stock VALUES ('later', 'x', 1)").await.unwrap();
    let after = table(&url, "stock");
    after.schema().await.unwrap();
    assert_eq!(after.lookup(&key).await.unwrap(), Lookup::Indexed);
    assert!(matches!(after.lookup(&key[..2]).await.unwrap(), Lookup::Needs(_)), "another key is another column");
    let values = [Value::text("SKU|777"), Value::text("Köln\\0"), Value::Int(777)];
    let guid = record::guid::hashed(&Key::of(&values).unwrap());
    let hash = Expr::Call(Function::KeyGuid, key.iter().map(Expr::column).collect());
    let filters = [
        Expr::equal(hash.clone(), Value::Guid(guid)),
        Expr::In(Box::new(hash), vec![Value::Guid(guid), Value::Guid(uuid::Uuid::nil())]),
    ];
    for filter in filters {
        let query = Query { columns: key.clone(), filter: Some(filter), limit: 5, ..Query::default() };
        for table in [&before, &after] {
            let answer = table.query(&query).await.unwrap();
            let found: Vec<_> = answer.rows.rows().map(|row| row.to_row().into_values()).collect();
            assert_eq!(found, [values.to_vec()]);
        }
    }
    let plan: Vec<mysql_async::Row> = client
        .query(format!(
            "EXPLAIN SELECT sku FROM stock t WHERE t.`{}` = CONVERT('x' USING utf8mb4) COLLATE utf8mb4_nopad_bin",
            sql.split('`').nth(3).unwrap()
        ))
        .await
        .unwrap();
    assert!(plan[0].get::<String, _>("key").unwrap().starts_with("ironbridge_key_"), "{plan:?}");
    assert_eq!(table(&url, "shown").lookup(&key).await.unwrap(), Lookup::Scan, "a view has no index");
}

/// Keys that its collation orders otherwise than their bytes: each comes once, whatever the size of a page.
#[tokio::test]
async fn rows_come_in_the_order_of_their_index_and_each_of_them_once() {
    let Some((url, mut client)) = filled("ordered").await else { return };
    let key = ["sku", "warehouse", "no"];
    let fill = "TRUNCATE stock;
        INSERT INTO stock VALUES ('b', 'x', 1), ('B ', 'y', 1), ('ä', 'x', 1), ('A', 'y', 1),
        ('a', 'Z', 1), ('Z', 'x', 2), ('z', 'x', 1), ('ß', 'x', 1), ('ss', 'y', 1), ('', 'x', 1), ('é|', 'x', -1), ('É|', 'x', 0)";
    run(&mut client, fill).await;
    let stock = table(&url, "stock");
    stock.schema().await.unwrap();
    assert!(stock.orders(&key) && stock.orders(&["no", "sku", "warehouse"]) && !stock.orders(&["sku", "no"]));
    let shown = table(&url, "shown");
    shown.schema().await.unwrap();
    assert!(!shown.orders(&key), "of a view nobody knows");
    let by = |name: &str| match name {
        "no" => Expr::column(name),
        text => Expr::Call(Function::AsStored, vec![Expr::column(text)]),
    };
    let order: Vec<Order> = key.iter().map(|name| Order { by: by(name), descending: false }).collect();
    let all: Vec<Vec<Value>> = {
        let columns: Vec<String> = key.map(str::to_owned).to_vec();
        let query = Query { columns, order: order.clone(), limit: 100, ..Query::default() };
        let answer = stock.query(&query).await.unwrap();
        answer.rows.rows().map(|row| row.to_row().into_values()).collect()
    };
    assert_eq!(all.len(), 12);
    let own: Vec<(String, String, i64)> =
        client.query("SELECT sku, warehouse, no FROM stock ORDER BY sku, warehouse, no").await.unwrap();
    let own: Vec<Vec<Value>> = own
        .into_iter()
        .map(|(sku, warehouse, no)| vec![Value::Text(sku), Value::Text(warehouse), Value::Int(no)])
        .collect();
    assert_eq!(all, own, "the order of the index");
    let plan: Vec<mysql_async::Row> =
        client.query("EXPLAIN SELECT sku FROM stock t ORDER BY t.sku, t.warehouse, t.no LIMIT 3").await.unwrap();
    assert!(!plan[0].get::<String, _>("Extra").unwrap().contains("filesort"), "{plan:?}");
}
