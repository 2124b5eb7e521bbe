//! The second half of the demo: orders that are submitted in Dynamics go to an ERP, and its numbers come back.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use emulator::samples::erp;
use serde_json::{Value as Json, json};
use store::Store;
use store::dead_letters::{DeadLetter, Filter, State};

use super::web::request;
use crate::commands::init::{LOCAL_TOKEN, write};
use crate::failure::Failure;

pub const INTEGRATION: &str = "orders";
/// A product that the sample ERP sells no more.
pub const DISCONTINUED: &str = "OLD-7";
/// What the files of the example start with that is not for the demo's own file.
const ENTITIES: &str = "entities:\n";
/// How long the demo waits for one thing to happen.
const PATIENCE: Duration = Duration::from_secs(60);

const EXAMPLE: &[(&str, &str)] = &[
    ("entities/order.yaml", include_str!("../../../../../examples/orders/entities/order.yaml")),
    ("systems/erp.yaml", include_str!("../../../../../examples/orders/systems/erp.yaml")),
    ("integrations/orders.yaml", include_str!("../../../../../examples/orders/integrations/orders.yaml")),
];
const DYNAMICS: &str = include_str!("../../../../../examples/orders/systems/dynamics.yaml");

/// Adds the orders to the project of the demo, unless they are there.
pub fn add(dir: &Path) -> Result<(), Failure> {
    if dir.join("integrations/orders.yaml").exists() {
        return Ok(());
    }
    for (file, text) in EXAMPLE {
        write(&dir.join(file), &format!("# yaml-language-server: $schema=../schema.json\n{text}"))?;
    }
    let file = dir.join("systems/dynamics.yaml");
    let before = std::fs::read_to_string(&file)?;
    let (_, order) = DYNAMICS.split_once(ENTITIES).expect("the example has entities");
    let webhooks = DYNAMICS.lines().find(|line| line.starts_with("webhooks:")).expect("the example has webhooks");
    write(&file, &before.replacen(ENTITIES, &format!("{webhooks}\n{ENTITIES}{order}"), 1))?;
    write(&dir.join("hook.token"), "local-hook")?;
    write(&dir.join("erp.token"), LOCAL_TOKEN)
}

/// Submits an order with these lines in Dynamics, as a salesperson would.
pub fn submit(dynamics: SocketAddr, number: &str, lines: &[(&str, &str)]) -> std::io::Result<()> {
    let ask = |method: &str, path: &str, body: Json| {
        request(dynamics, method, &format!("/api/data/v9.2/{path}"), LOCAL_TOKEN, &body.to_string())
    };
    for (product, _) in lines {
        ask("PATCH", &format!("products(productnumber='{product}')"), json!({ "name": product }))?;
    }
    let order = format!("salesorders(ordernumber='{number}')");
    ask("PATCH", &order, json!({ "name": format!("Order {number}") }))?;
    for (at, (product, quantity)) in lines.iter().enumerate() {
        let quantity = serde_json::from_str::<Json>(quantity).unwrap_or_default();
        let line = json!({
            "lineitemnumber": at + 1, "quantity": quantity,
            "salesorderid@odata.bind": format!("/{order}"),
            "productid@odata.bind": format!("/products(productnumber='{product}')"),
        });
        ask("POST", "salesorderdetails", line)?;
    }
    ask("PATCH", &order, json!({ "statecode": 1, "statuscode": 3 })).map(drop)
}

/// The number that the ERP gave an order, as Dynamics shows it.
pub fn erp_number(dynamics: SocketAddr, number: &str) -> Option<String> {
    let path = format!("/api/data/v9.2/salesorders(ordernumber='{number}')?$select=new_erpnumber");
    let row = request(dynamics, "GET", &path, LOCAL_TOKEN, "").ok()?;
    row["new_erpnumber"].as_str().map(str::to_owned)
}

/// Has the sample ERP closed, or open again.
pub fn close_erp(erp: SocketAddr, closed: bool) -> std::io::Result<()> {
    request(erp, "POST", "/trouble", LOCAL_TOKEN, if closed { "down" } else { "none" }).map(drop)
}

/// One thing that was to be seen, and whether it was.
pub struct Seen {
    pub what: &'static str,
    pub told: String,
    pub good: bool,
}

/// Everything that the order demo shows, checked. Blocks: for a thread of its own.
pub fn round(dynamics: SocketAddr, erp: &erp::Handle, store: &Store) -> Result<Vec<Seen>, Failure> {
    let mut seen = Vec::new();
    let mut see = |what, told: String, good| seen.push(Seen { what, told, good });
    let number_of = |order: &str| erp_number(dynamics, order);
    let waiting = || -> u64 {
        let counts = store.queue_counts(&hub::events::subscription(INTEGRATION, "erp")).ok().flatten();
        counts.map_or(0, |counts| counts.ready + counts.locked + counts.delayed + counts.deferred)
    };

    submit(dynamics, "SO-1", &[("P-100", "2"), ("P-200", "1.5")])?;
    let came = until(|| number_of("SO-1").is_some());
    let lines = erp.rows().first().map_or(0, |row| row["items"].as_array().map_or(0, Vec::len));
    let told = format!("SO-1 with {lines} lines is number {} there", number_of("SO-1").unwrap_or_default());
    see("an order reaches the ERP, its number comes back", told, came && lines == 2);

    erp.trouble(erp::Trouble::Down);
    let during: Vec<String> = (2..=9).map(|n| format!("SO-{n}")).collect();
    for order in &during {
        submit(dynamics, order, &[("P-100", "1")])?;
    }
    // One of them is opened, changed and submitted again while nobody can tell the ERP.
    let again = "/api/data/v9.2/salesorders(ordernumber='SO-2')";
    request(dynamics, "PATCH", again, LOCAL_TOKEN, r#"{"statecode": 0, "statuscode": 1}"#)?;
    let detail =
        "/api/data/v9.2/salesorderdetails?$select=salesorderdetailid&$expand=salesorderid($select=ordernumber)";
    let details = request(dynamics, "GET", detail, LOCAL_TOKEN, "")?;
    let line = details["value"].as_array().into_iter().flatten().find(|d| d["salesorderid"]["ordernumber"] == "SO-2");
    let line = line.and_then(|line| line["salesorderdetailid"].as_str()).unwrap_or_default();
    request(
        dynamics,
        "PATCH",
        &format!("/api/data/v9.2/salesorderdetails({line})"),
        LOCAL_TOKEN,
        r#"{"quantity": 5}"#,
    )?;
    request(dynamics, "PATCH", again, LOCAL_TOKEN, r#"{"statecode": 1, "statuscode": 3}"#)?;
    let orders_wait = until(|| waiting() >= during.len() as u64);
    let is_told = until(|| store.outages().is_ok_and(|outages| outages.iter().any(|o| o.system == "erp")));
    let (held, given_up) = (waiting(), letters(store)?.len());
    let none_through = erp.rows().len() == 1;
    see(
        "the ERP is down: orders wait",
        format!("{held} events of {} orders wait, {given_up} given up, and status says so", during.len()),
        orders_wait && is_told && none_through && given_up == 0,
    );

    erp.trouble(erp::Trouble::None);
    let came = until(|| waiting() == 0 && during.iter().all(|order| number_of(order).is_some()));
    let rows = erp.rows();
    let times = |order: &str| rows.iter().filter(|row| row["ref"] == order).count();
    let lost = during.iter().filter(|order| times(order) == 0).count();
    let twice = during.iter().filter(|order| times(order) > 1).count();
    let last =
        rows.iter().find(|row| row["ref"] == "SO-2").is_some_and(|row| row["items"][0]["qty"].as_f64() == Some(5.0));
    see(
        "the ERP is back: they drain",
        format!(
            "{} orders came, {lost} lost, {twice} twice; what was changed meanwhile is there as it is now",
            during.len()
        ),
        came && lost == 0 && twice == 0 && last,
    );

    submit(dynamics, "SO-10", &[("P-100", "1"), (DISCONTINUED, "1")])?;
    submit(dynamics, "SO-11", &[("P-100", "1")])?;
    let came = until(|| number_of("SO-11").is_some() && letters(store).is_ok_and(|letters| letters.len() == 1));
    let letters = letters(store)?;
    let why = letters.first().map(|letter| format!("{}: {}", letter.key_text, letter.problem.why)).unwrap_or_default();
    let good = came && letters.len() == 1 && letters[0].key_text == "SO-10" && number_of("SO-10").is_none();
    see("an order that the ERP refuses is set aside, others pass", why, good);
    Ok(seen)
}

/// The dead letters of the orders that wait for somebody.
pub fn letters(store: &Store) -> Result<Vec<DeadLetter>, Failure> {
    let filter = Filter { integration: Some(INTEGRATION.to_owned()), states: vec![State::Open], ..Filter::default() };
    Ok(store.dead_letters(&filter, 10)?)
}

/// Whether something happens while the demo has patience.
pub fn until(done: impl Fn() -> bool) -> bool {
    let begun = Instant::now();
    while !done() {
        if begun.elapsed() > PATIENCE {
            return false;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    true
}
