//! Virtual tables: `ironbridge virtual serve` over a SQLite file, beside an `@sap/cds` service over the same file in the
//! same run, and beside the same SQL prepared in this process.
//!
//! `cargo build --release && cargo bench -p bench --bench virtual_tables`. `BENCH_CAP` is a folder with the `node_modules`
//! of the yardstick: `npm install @sap/cds@9 @cap-js/sqlite@2 express@4`.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program that prints numbers")]

mod load;
mod servers;

use std::time::{Duration, Instant};

use bench::server::Server;
use load::{Load, Paths};
use rusqlite::Connection;

const EACH: Duration = Duration::from_secs(3);
const ROUNDS: usize = 3;
const READERS: usize = 200;
/// How often the memory is looked at while they read.
const SAMPLES: usize = 8;
/// Articles, each in five warehouses.
const ARTICLES: u32 = 2_000;
const WAREHOUSES: [&str; 5] = ["CGN", "LON", "SAO", "YVR", "NRT"];

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let dir = std::env::temp_dir().join(format!("ironbridge-bench-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let database = dir.join("warehouse.db");
    fill(&database);
    let hub = servers::hub(&dir, &database);
    let cap = servers::cap(&dir, &database);
    let ours = questions(runtime.block_on(load::keys(hub.address)), "/odata/warehouse/stock", |key| format!("({key})"));
    let natural = |n: u32| format!("(sku='SKU-{:06}',warehouse='{}')", n % ARTICLES, WAREHOUSES[(n % 5) as usize]);
    let theirs = questions((0..1_000).map(|n| natural(n * 7)).collect(), "/odata/v4/depot/stock", |key| key.clone());

    println!("{:<28} {:>4}  {:>35}  {:>35}", "", "", "ours", "@sap/cds");
    println!(
        "{:<28} {:>4}  {:>9} {:>8} {:>8} {:>7}  {:>9} {:>8} {:>8} {:>7}",
        "", "conn", "req/s", "p50 ms", "p99 ms", "CPU ms", "req/s", "p50", "p99", "CPU"
    );
    for (at, (what, paths)) in ours.iter().enumerate() {
        for connections in [1, 16] {
            let run =
                |address, paths: &Paths, long| runtime.block_on(load::run(address, paths.clone(), connections, long));
            run(hub.address, paths, EACH / 3);
            if let Some(cap) = &cap {
                run(cap.address, &theirs[at].1, EACH / 3);
            }
            let (mut mine, mut other) = (Side::default(), Side::default());
            for _ in 0..ROUNDS {
                mine.add(&hub, || run(hub.address, paths, EACH));
                if let Some(cap) = &cap {
                    other.add(cap, || run(cap.address, &theirs[at].1, EACH));
                }
            }
            print(what, connections, mine, other);
        }
    }
    println!("\n{}", overhead(&database, &runtime, hub.address, &ours[0].1));
    println!("{}", alone(&database));
    let (_, page) = ours.last().unwrap();
    runtime.block_on(load::run(hub.address, page.clone(), 16, EACH));
    let mut resident = vec![hub.resident_mb()];
    let mut pages = Vec::new();
    for _ in 0..SAMPLES {
        pages.push(runtime.block_on(load::run_any(hub.address, page.clone(), READERS, EACH)));
        resident.push(hub.resident_mb());
    }
    let many = Load::all(pages);
    let resident: Vec<String> = resident.iter().map(|mb| format!("{mb:.1}")).collect();
    println!(
        "{READERS} readers of a page of 500: {:.0} pages/s; resident MB with 16, then every {} s: {}; {} were told to come back (429)",
        many.rate(),
        EACH.as_secs(),
        resident.join(", "),
        many.refused
    );
    drop((hub, cap));
    std::fs::remove_dir_all(dir).unwrap();
}

/// The questions, each as the addresses that ask it.
fn questions(keys: Vec<String>, root: &str, address: impl Fn(&String) -> String) -> Vec<(&'static str, Paths)> {
    let lookups = keys.iter().map(|key| format!("{root}{}", address(key)));
    // What a user types into the search of a view: a few dozen rows begin with it.
    let finds = (0..200).map(|n| {
        let (article, quantity) = (n * 7 % 200, n % 100);
        format!("{root}?$filter=startswith(sku,'SKU-00{article:03}')%20and%20quantity%20gt%20{quantity}&$orderby=quantity%20desc&$top=50")
    });
    // In the order of the key, which is every order that nobody asked for.
    let filters = (0..200).map(|n| {
        let (warehouse, quantity) = (WAREHOUSES[n % 5], n % 100);
        format!("{root}?$filter=warehouse%20eq%20'{warehouse}'%20and%20quantity%20gt%20{quantity}&$top=50")
    });
    // Half of the table begins with it, and all of that has to be ordered.
    let halves = (0..200).map(|n| {
        format!(
            "{root}?$filter=startswith(sku,'SKU-{:03}')%20and%20quantity%20gt%20{}&$orderby=quantity%20desc&$top=50",
            n % 2,
            n % 100
        )
    });
    let pages = (0..20).map(|n| format!("{root}?$orderby=sku&$top=500&$skip={}", n * 450));
    vec![
        ("key lookup", lookups.collect::<Vec<_>>().into()),
        ("quick find + top 50", finds.collect::<Vec<_>>().into()),
        ("filter + top 50", filters.collect::<Vec<_>>().into()),
        ("half of all, ordered, top 50", halves.collect::<Vec<_>>().into()),
        ("page of 500", pages.collect::<Vec<_>>().into()),
    ]
}

/// What one of the two servers did in all rounds.
#[derive(Default)]
struct Side {
    loads: Vec<Load>,
    cpu_seconds: f64,
}

impl Side {
    fn add(&mut self, server: &Server, run: impl FnOnce() -> Load) {
        let before = server.cpu_seconds();
        self.loads.push(run());
        self.cpu_seconds += server.cpu_seconds() - before;
    }
}

fn print(what: &str, connections: usize, mine: Side, other: Side) {
    let side = |side: Side| {
        let load = Load::all(side.loads);
        let each = side.cpu_seconds * 1e3 / load.count() as f64;
        let (rate, half, most) = (load.rate(), load.at_share(0.5), load.at_share(0.99));
        (format!("{rate:>9.0} {half:>8.3} {most:>8.2} {each:>7.3}"), rate, most, each)
    };
    let (mine, rate, most, each) = side(mine);
    let compared = (!other.loads.is_empty()).then(|| {
        let (other, their_rate, their_most, their_each) = side(other);
        format!(
            "  {other}   {:.1} times, p99 {:.2} of theirs, CPU 1/{:.0}",
            rate / their_rate,
            most / their_most,
            their_each / each
        )
    });
    println!("{what:<28} {connections:>4}  {mine}{}", compared.unwrap_or_default());
}

/// A key lookup over one connection, beside the same row read by a prepared statement here.
fn overhead(
    file: &std::path::Path,
    runtime: &tokio::runtime::Runtime,
    hub: std::net::SocketAddr,
    paths: &Paths,
) -> String {
    let database = Connection::open(file).unwrap();
    let sql = "SELECT sku, warehouse, quantity, price, note, counted_on FROM stock WHERE sku = ?1 AND warehouse = ?2";
    let mut statement = database.prepare(sql).unwrap();
    let mut times = Vec::new();
    for n in 0..20_000u32 {
        let (sku, warehouse) = (format!("SKU-{:06}", n * 7 % ARTICLES), WAREHOUSES[(n % 5) as usize]);
        let began = Instant::now();
        let price: String =
            statement.query_row((sku, warehouse), |row| row.get::<_, f64>(3).map(|p| p.to_string())).unwrap();
        times.push(began.elapsed().as_secs_f64() * 1e3);
        assert!(!price.is_empty());
    }
    times.sort_by(f64::total_cmp);
    let sql = times[times.len() / 2];
    let ours = runtime.block_on(load::run(hub, paths.clone(), 1, EACH)).at_share(0.5);
    format!(
        "a key lookup: p50 {ours:.3} ms, the same SQL prepared in process {sql:.3} ms: {:.3} ms more (goal: 0.3)",
        ours - sql
    )
}

/// What SQLite itself needs for the other questions, prepared in this process, as the hub writes them.
fn alone(file: &std::path::Path) -> String {
    const COLUMNS: &str = "SELECT sku, warehouse, quantity, price, note, counted_on FROM stock";
    let database = Connection::open(file).unwrap();
    let time = |sql: &str, parameters: &dyn Fn(u32) -> Vec<String>| {
        let mut statement = database.prepare(&format!("{COLUMNS} {sql}")).unwrap();
        let mut times = Vec::new();
        for n in 0..500 {
            let parameters = parameters(n);
            let began = Instant::now();
            let mut rows = statement.query(rusqlite::params_from_iter(&parameters)).unwrap();
            let mut bytes = 0;
            while let Some(row) = rows.next().unwrap() {
                bytes += (0..6).map(|at| row.get_ref(at).unwrap().as_str().map_or(8, str::len)).sum::<usize>();
            }
            times.push(began.elapsed().as_secs_f64() * 1e3);
            assert!(bytes > 0);
        }
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    };
    let begins = "WHERE sku >= ?1 AND sku < ?2 AND quantity > 50 ORDER BY quantity DESC, sku, warehouse LIMIT 50";
    let between = |start: String| vec![start.clone(), format!("{start}\u{10FFFF}")];
    let find = time(begins, &|n| between(format!("SKU-00{:03}", n % 200)));
    let half = time(begins, &|n| between(format!("SKU-{:03}", n % 2)));
    let filter = time("WHERE warehouse = ?1 AND quantity > 50 ORDER BY sku, warehouse LIMIT 50", &|n| {
        vec![WAREHOUSES[n as usize % 5].to_owned()]
    });
    // From a row that the hub knows: each page was asked for before, and nobody writes.
    let onwards = "WHERE sku >= ?1 ORDER BY sku, warehouse LIMIT 500
        OFFSET (SELECT count(*) FROM stock WHERE sku = ?1 AND warehouse < ?2)";
    let page = time(onwards, &|n| vec![format!("SKU-{:06}", n % 20 * 90), WAREHOUSES[0].to_owned()]);
    format!(
        "the SQL alone: quick find p50 {find:.3} ms, filter {filter:.3} ms, half of all {half:.3} ms, page {page:.3} ms"
    )
}

fn fill(file: &std::path::Path) {
    let mut database = Connection::open(file).unwrap();
    database
        .execute_batch(
            "PRAGMA journal_mode = WAL;
             CREATE TABLE stock (sku VARCHAR(10) NOT NULL, warehouse VARCHAR(3) NOT NULL, quantity INTEGER, price DECIMAL(12,2),
               note TEXT, counted_on DATE, PRIMARY KEY (sku, warehouse));",
        )
        .unwrap();
    let transaction = database.transaction().unwrap();
    for article in 0..ARTICLES {
        for (place, warehouse) in (0u32..).zip(WAREHOUSES) {
            let n = (article * 5 + place).wrapping_mul(2_654_435_761) >> 7;
            let sql = "INSERT INTO stock VALUES (?, ?, ?, ?, ?, ?)";
            let (sku, price) = (format!("SKU-{article:06}"), f64::from(n % 10_007) / 100.0);
            let (note, day) = (format!("sample note {}", n % 50), format!("2026-{:02}-{:02}", n % 12 + 1, n % 28 + 1));
            transaction.prepare_cached(sql).unwrap().execute((sku, warehouse, n % 506, price, note, day)).unwrap();
        }
    }
    transaction.commit().unwrap();
}
