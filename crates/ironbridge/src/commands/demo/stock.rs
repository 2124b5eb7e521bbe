//! The third part of the demo: the stock of a warehouse, which Dynamics shows and nobody copies.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use definition::Project;
use emulator::samples::warehouse;
use hub::Systems;

use super::orders::Seen;
use super::web::request;
use super::{address, not_done};
use crate::commands::dataverse::publish;
use crate::commands::init::{LOCAL_TOKEN, write};
use crate::failure::{Failure, NO_SUCH_NAME, USAGE};
use crate::output::table;
use crate::wiring::{self, OpenSystems};
use crate::{say, talk};

const INTEGRATION: &str = "stock";
/// What is changed and looked at where nobody says what.
pub const SKU: &str = "P-100";
/// The table as the Web API calls its rows.
const ROWS: &str = "/api/data/v9.2/new_stocks";
const ENTITIES: &str = "entities:\n";

const EXAMPLE: &[(&str, &str)] = &[
    ("entities/stock.yaml", include_str!("../../../../../examples/stock/entities/stock.yaml")),
    ("systems/warehouse.yaml", include_str!("../../../../../examples/stock/systems/warehouse.yaml")),
    ("integrations/stock.yaml", include_str!("../../../../../examples/stock/integrations/stock.yaml")),
];
const DYNAMICS: &str = include_str!("../../../../../examples/stock/systems/dynamics.yaml");

/// Adds the warehouse to the project of the demo, unless it is there.
pub fn add(dir: &Path) -> Result<(), Failure> {
    let database = database(dir);
    if !database.exists() {
        warehouse::create(&database).map_err(anyhow::Error::from)?;
    }
    if dir.join("integrations/stock.yaml").exists() {
        return Ok(());
    }
    for (file, text) in EXAMPLE {
        write(&dir.join(file), &format!("# yaml-language-server: $schema=../schema.json\n{text}"))?;
    }
    let file = dir.join("systems/dynamics.yaml");
    let before = std::fs::read_to_string(&file)?;
    let (_, stock) = DYNAMICS.split_once(ENTITIES).expect("the example has entities");
    let keys = DYNAMICS.lines().find(|line| line.starts_with("odata:")).expect("the example has keys");
    write(&file, &before.replacen(ENTITIES, &format!("{keys}\n{ENTITIES}{stock}"), 1))?;
    write(&dir.join("odata.token"), "local-odata-key")
}

pub fn database(dir: &Path) -> PathBuf {
    dir.join("data/warehouse.db")
}

/// Has Dynamics show the stock, asked for at this hub. Answers how many things had to be told.
pub async fn publish(project: &std::sync::Arc<Project>, hub: SocketAddr) -> Result<usize, Failure> {
    let integration = wiring::integration(project, INTEGRATION)?;
    let (system, wanted) = publish::wanted(project, integration, &format!("http://{hub}"))?;
    let dynamics = OpenSystems::new(project.clone()).open(&system)?;
    let Some(publishing) = dynamics.publish(&wanted, true) else { return Ok(0) };
    let published = publishing.await?;
    Ok(published.differences.iter().filter(|difference| difference.how != record::How::Same).count())
}

/// The stock of one product as Dynamics shows it: warehouse and quantity, in the order of the warehouses.
fn shown(dynamics: SocketAddr, sku: &str) -> std::io::Result<Vec<(String, i64)>> {
    let query = format!("?$select=new_warehouse,new_quantity&$filter=new_sku eq '{sku}'&$orderby=new_warehouse");
    let answer = request(dynamics, "GET", &format!("{ROWS}{query}"), LOCAL_TOKEN, "")?;
    let row =
        |row: &serde_json::Value| Some((row["new_warehouse"].as_str()?.to_owned(), row["new_quantity"].as_i64()?));
    Ok(answer["value"].as_array().into_iter().flatten().filter_map(row).collect())
}

fn shown_in(dynamics: SocketAddr, sku: &str, warehouse: &str) -> std::io::Result<Option<i64>> {
    Ok(shown(dynamics, sku)?.into_iter().find(|(place, _)| place == warehouse).map(|(_, quantity)| quantity))
}

/// `demo stock [SKU [QTY]]`: what Dynamics shows, after the warehouse was changed if a quantity was said.
pub fn stock(dir: &Path, sku: &str, quantity: Option<i64>, place: &str) -> Result<u8, Failure> {
    let dynamics = address(dir, "dynamics")?;
    if let Some(quantity) = quantity {
        if !warehouse::set_quantity(&database(dir), sku, place, quantity).map_err(anyhow::Error::from)? {
            let what = format!("the sample warehouse has no `{sku}` in `{place}`");
            let fix =
                format!("say one of P-100, P-110, P-120 and so on, in one of {}", warehouse::WAREHOUSES.join(", "));
            return Err(Failure::new(USAGE, NO_SUCH_NAME, what, fix));
        }
        talk!("The warehouse has {quantity} of {sku} in {place} now. Dynamics, asked after that, shows:");
    }
    let rows = shown(dynamics, sku).map_err(|why| not_done(dir, why))?;
    let rows = rows.into_iter().map(|(place, quantity)| vec![sku.to_owned(), place, quantity.to_string()]).collect();
    say!("{}", table(&["sku", "warehouse", "quantity"], rows));
    talk!("Nothing was copied: Dynamics asked the hub, and the hub the warehouse.");
    Ok(0)
}

/// Everything that the stock demo shows, checked. Blocks: for a thread of its own.
pub fn round(dir: &Path, dynamics: SocketAddr, told: (usize, usize)) -> Result<Vec<Seen>, Failure> {
    let mut seen = Vec::new();
    let mut see = |what, told: String, good| seen.push(Seen { what, told, good });
    let place = warehouse::WAREHOUSES[0];
    see("the virtual table is published", format!("{} things told, {} the second time", told.0, told.1), told.1 == 0);
    let there = warehouse::quantity(&database(dir), SKU, place).map_err(anyhow::Error::from)?;
    let before = shown_in(dynamics, SKU, place)?;
    let told = format!("{} of {SKU} in {place}", before.unwrap_or_default());
    see("Dynamics shows the stock", told, before.is_some() && before == there);

    let changed = before.unwrap_or_default() + 7;
    warehouse::set_quantity(&database(dir), SKU, place, changed).map_err(anyhow::Error::from)?;
    let after = shown_in(dynamics, SKU, place)?;
    let told = format!("{} after it was changed to {changed}", after.unwrap_or_default());
    see("the warehouse changes, Dynamics is asked again", told, after == Some(changed));

    let all = request(dynamics, "GET", &format!("{ROWS}?$select=new_label&$count=true&$top=50"), LOCAL_TOKEN, "")?;
    let rows = all["value"].as_array().map_or(0, Vec::len);
    let count = all["@odata.count"].as_u64().unwrap_or_default();
    let expected = u64::from(warehouse::PRODUCTS) * warehouse::WAREHOUSES.len() as u64;
    see("the first page of all", format!("{rows} of {count} rows"), rows == 50 && count == expected);
    Ok(seen)
}
