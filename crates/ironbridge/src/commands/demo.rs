//! `ironbridge demo`: everything on embedded defaults, to be seen working.

mod credit;
mod orders;
mod stock;
mod web;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anstyle::Style;
use definition::Project;
use emulator::dataverse::{Config, Handle};
use emulator::samples::{erp, finance};
use hub::{Report, Start, Systems};
use record::RetryPolicy;
use store::Store;
use store::dead_letters::DeadLetter;
use store::runs::{State, Trigger};
use tokio::sync::watch;

use crate::cli::{Cli, DEMO_DIR, Demo, DemoAction, UpOrDown};
use crate::commands::dataverse;
use crate::commands::emulate::{not_started, stopped};
use crate::commands::init::{LOCAL_TOKEN, write_project};
use crate::commands::up::Hub;
use crate::failure::{FAILED, Failure, NO_DEMO, USAGE};
use crate::output::{Progress, number, table};
use crate::wiring::{self, OpenSystems};
use crate::{say, talk};

/// Where the demo's Dynamics and its hub listen, if nobody else does.
const DYNAMICS: &str = "127.0.0.1:7702";
const HUB: &str = "127.0.0.1:7700";
const ERP: &str = "127.0.0.1:7704";
const INTEGRATION: &str = "customers";
/// The customer that the suggestions change.
const CUSTOMER: &str = "C-1001";

pub async fn demo(cli: &Cli, demo: &Demo) -> Result<u8, Failure> {
    match &demo.action {
        Some(DemoAction::Change { dir }) => return change(dir),
        Some(DemoAction::Dynamics { state, dir }) => return dynamics(dir, *state),
        Some(DemoAction::Erp { state, dir }) => return close_erp(dir, *state),
        Some(DemoAction::Order { discontinued, dir }) => return order(dir, *discontinued),
        Some(DemoAction::Stock { sku, quantity, warehouse, dir }) => {
            return stock::stock(dir, sku, *quantity, warehouse);
        }
        Some(DemoAction::Credit { amount, customer, by, dir }) => return credit::credit(dir, *amount, customer, by),
        None => {}
    }
    if demo.once {
        let temporary = tempfile::tempdir()?;
        let dir = demo.dir.clone().unwrap_or_else(|| temporary.path().join("demo"));
        return once(&dir, demo.dir.is_some()).await;
    }
    live(cli, demo.dir.clone().unwrap_or_else(|| DEMO_DIR.into())).await
}

/// The demo's parts, running.
struct Stage {
    dir: PathBuf,
    dynamics: Handle,
    erp: erp::Handle,
    project: Arc<Project>,
}

impl Stage {
    fn dynamics_at(&self) -> Result<SocketAddr, Failure> {
        address(&self.dir, "dynamics")
    }

    /// Tells Dynamics to send its orders and its credit requests to the hub.
    async fn register(&self, hub: SocketAddr) -> Result<(), Failure> {
        for name in [orders::INTEGRATION, credit::INTEGRATION] {
            let integration = wiring::integration(&self.project, name)?;
            let (system, wanted) = dataverse::wanted(&self.project, integration, &format!("http://{hub}"))?;
            let dynamics = OpenSystems::new(self.project.clone()).open(system)?;
            if let Some(registering) = dynamics.register(&wanted, true) {
                registering.await?;
            }
        }
        Ok(())
    }
}

/// Makes the folder where there is none, starts Dynamics, and reads the project.
async fn set(dir: &Path, listen: &str, erp_at: &str) -> Result<Stage, Failure> {
    let config = |listen: SocketAddr| Config {
        listen,
        dir: Some(dir.join(wiring::STATE_DIR).join("dynamics")),
        token: Some(LOCAL_TOKEN.to_owned()),
        ..Config::default()
    };
    if !dir.join("ironbridge.yaml").exists() {
        write_project(dir)?;
    }
    orders::add(dir)?;
    stock::add(dir)?;
    credit::add(dir)?;
    let any: SocketAddr = ([127, 0, 0, 1], 0).into();
    let wanted = listen.parse().unwrap_or(any);
    let dynamics = match emulator::dataverse::start(config(wanted)).await {
        Err(emulator::dataverse::Error::Listen { .. }) => emulator::dataverse::start(config(any)).await,
        started => started,
    }
    .map_err(not_started)?;
    let database = dir.join("data/erp.db");
    let erp = match erp::start(&database, erp_at.parse().unwrap_or(any), LOCAL_TOKEN).await {
        Err(_) => erp::start(&database, any, LOCAL_TOKEN).await,
        started => started,
    }?;
    point_at(dir, &dynamics.url, &erp.url)?;
    let loaded = wiring::load(dir, None);
    let Some(project) = loaded.project.clone().filter(|_| !loaded.has_errors()) else {
        wiring::print_diagnostics(&loaded, crate::cli::Format::Human);
        return Err(Failure::said(USAGE));
    };
    let stage = Stage { dir: dir.to_owned(), dynamics, erp, project: Arc::new(project) };
    credit::table(stage.dynamics_at()?)?;
    Ok(stage)
}

/// Writes the addresses of the demo's servers into its definition, and a schedule that one can watch.
fn point_at(dir: &Path, url: &str, erp: &str) -> Result<(), Failure> {
    edit(&dir.join("systems/erp.yaml"), |line| {
        let (before, after) = line.split_once("url: \"http://127.0.0.1:")?;
        let (_, after) = after.split_once('"')?;
        Some(format!("{before}url: \"{erp}\"{after}"))
    })?;
    edit(&dir.join("systems/dynamics.yaml"), |line| {
        let local = line.starts_with("connection:") && line.contains("127.0.0.1");
        local.then(|| format!("connection: {{ url: \"{url}\", token: \"${{file:dynamics.token}}\" }}"))
    })?;
    edit(&dir.join("integrations/customers.yaml"), |line| {
        (line == "schedule: every 15 minutes")
            .then(|| "schedule: every 10 seconds   # the demo does not make you wait".to_owned())
    })
}

fn edit(file: &Path, change: impl Fn(&str) -> Option<String>) -> Result<(), Failure> {
    let before = std::fs::read_to_string(file)?;
    let after: String = before.lines().map(|line| change(line).unwrap_or_else(|| line.to_owned()) + "\n").collect();
    if after != before {
        std::fs::write(file, after)?;
    }
    Ok(())
}

async fn live(cli: &Cli, dir: PathBuf) -> Result<u8, Failure> {
    let begun = Instant::now();
    let new = !dir.join("ironbridge.yaml").exists();
    let stage = set(&dir, DYNAMICS, ERP).await?;
    let (stop, stopping) = watch::channel(false);
    let hub = match Hub::start(stage.project.clone(), HUB.parse().expect("the address is ours"), stopping.clone()).await
    {
        Ok(hub) => hub,
        Err(failure) if cli.verbose > 1 => return Err(failure),
        Err(_) => Hub::start(stage.project.clone(), ([127, 0, 0, 1], 0).into(), stopping).await?,
    };
    let (bold, name) = (Style::new().bold(), dir.display());
    say!(
        "{bold}Ironbridge demo{bold:#} in {name}: a finance system, a warehouse, an ERP and a Dynamics, all on this machine, all data invented."
    );
    say!(
        "  finance   {name}/data/finance.db (SQLite, {} customers, some bad on purpose)",
        number(finance::CUSTOMERS as u64)
    );
    say!("  warehouse {name}/data/warehouse.db (SQLite, shown in Dynamics live)");
    say!("  Dynamics  {}/api/data/v9.2/ (a local stand-in)", stage.dynamics.url);
    say!("  ERP       {} ({name}/data/erp.db)", stage.erp.url);
    say!("  hub       {}/ (the console: open it in a browser)", hub.url());
    if new {
        say!("\nThe first sync:");
        // Whoever asks later whether the definition has changed since is told that it has not.
        hub.store.commit(vec![hub::digest::in_use(&stage.project)]).await?;
        let report = sync(&hub.store, &stage.project).await?;
        summary(&report, begun);
    }
    stage.register(hub.address).await?;
    stock::publish(&stage.project, hub.address).await?;
    say!("\n{bold}Now try{bold:#}, in another terminal:");
    // As it was typed, so that the lines can be copied where it is not on the PATH.
    let ironbridge = std::env::args().next().unwrap_or_else(|| "ironbridge".to_owned());
    let at = format!("-C {name}");
    let lines = [
        (format!("{ironbridge} demo change --dir {name}"), "change a customer in finance, and watch it arrive here"),
        (format!("{ironbridge} {at} dead-letters list"), "the rows that could not be written, and why"),
        (format!("{ironbridge} {at} plan customers"), "what the next run would write, old and new"),
        (
            format!("{ironbridge} demo dynamics down --dir {name}"),
            "take Dynamics down; change something; bring it back with `up`",
        ),
        (format!("{ironbridge} demo order --dir {name}"), "submit an order in Dynamics; the ERP gives it a number"),
        (
            format!("{ironbridge} demo erp down --dir {name}"),
            "take the ERP down; submit orders; bring it back with `up`",
        ),
        (format!("{ironbridge} demo order --discontinued --dir {name}"), "an order that the ERP refuses"),
        (
            format!("{ironbridge} {at} trace order NUMBER"),
            "the story of one order, by the number that `demo order` said",
        ),
        (
            format!("{ironbridge} demo stock {} 7 --dir {name}", stock::SKU),
            "change a quantity in the warehouse, and see it in Dynamics: nothing is copied",
        ),
        (
            format!("{ironbridge} demo credit 25000 --dir {name}"),
            "ask for a credit limit in Dynamics; a person decides",
        ),
        (format!("{ironbridge} {at} approvals list"), "what waits for an answer; the console has it too"),
        (format!("{ironbridge} {at} status"), "how it stands"),
        (format!("{ironbridge} {at} show customers"), "the integration with every default, and where it was said"),
    ];
    let rows = lines.into_iter().map(|(command, what)| vec![format!("  {command}"), format!("# {what}")]).collect();
    say!("{}", table(&["", ""], rows));
    say!("\nIt goes on syncing every 10 seconds; stop it with Ctrl-C. Start again any time: it goes on where it was.");
    tokio::spawn(async move {
        stopped().await;
        let _ = stop.send(true);
    });
    hub.run().await?;
    stage.dynamics.shutdown().await;
    Ok(0)
}

async fn sync(store: &Store, project: &Arc<Project>) -> Result<Report, Failure> {
    let systems = OpenSystems::new(project.clone());
    let integration = wiring::integration(project, INTEGRATION)?;
    let start = Start { trigger: Trigger::Command, slot: None, retry_of: None, holder: wiring::holder() };
    let job = hub::compile(project, integration, &systems, RetryPolicy::default()).await?;
    let progress = Progress::new();
    Ok(hub::run(store, &job, start, &progress).await?)
}

fn summary(report: &Report, begun: Instant) {
    let counts = &report.counts;
    say!(
        "  {} read, {} created, {} rejected, in {:.1} s",
        number(counts.read),
        number(counts.created),
        number(counts.rejected),
        begun.elapsed().as_secs_f64()
    );
}

/// One full round, checked: a first sync, a second that writes nothing, one changed row that writes one.
async fn once(dir: &Path, stays: bool) -> Result<u8, Failure> {
    let begun = Instant::now();
    let stage = set(dir, "127.0.0.1:0", "127.0.0.1:0").await?;
    let store = wiring::open_store(&stage.project)?;
    let first = sync(&store, &stage.project).await?;
    let second = sync(&store, &stage.project).await?;
    let limit = format!("{}.00", 1_000 + jiff::Timestamp::now().as_millisecond() % 90_000);
    finance::change_credit_limit(&stage.dir.join("data/finance.db"), CUSTOMER, &limit, jiff::Timestamp::now())
        .map_err(anyhow::Error::from)?;
    let third = sync(&store, &stage.project).await?;
    let dead = store.dead_letters_waiting()?.iter().map(|(_, n)| n).sum::<u64>();
    drop(store);
    let batch = begun.elapsed();
    let Round { orders: seen, stock: stock_seen, credit: credit_seen, letter } = hub_round(&stage).await?;

    let expected = [
        (&first, "first sync", first.counts.rejected > 0 && first.counts.created + first.counts.unchanged > 0),
        (&second, "again: nothing to write", second.counts.written() == 0),
        (&third, "one row changed: one written", third.counts.written() == 1 && third.counts.updated == 1),
    ];
    let rows = expected.iter().map(|(report, what, good)| {
        let c = &report.counts;
        let good = *good && report.state != State::Failed;
        let mut row = vec![(*what).to_owned()];
        row.extend([c.read, c.created, c.updated, c.unchanged, c.rejected, c.skipped].map(number));
        row.push(if good { "ok" } else { "WRONG" }.to_owned());
        row
    });
    say!("{}", table(&["round", "read", "created", "updated", "unchanged", "rejected", "skipped", ""], rows.collect()));
    say!(
        "\nread = created + updated + unchanged + rejected + skipped; skipped here: dead letters that have not changed"
    );
    say!("{} dead letters wait for a person; all of this took {:.1} s", number(dead), batch.as_secs_f64());
    for report in [&first, &second, &third] {
        if let Some(fault) = &report.error {
            talk!("{fault}");
        }
    }
    say!("\nOrders, from Dynamics to an ERP and back:");
    say!("{}", steps(&seen));
    if let Some(letter) = letter.filter(|_| stays) {
        say!("\nWhen the product is sold again: ironbridge dead-letters retry {}", &letter.id.as_str()[..8]);
    }
    say!("\nStock, from the warehouse into a virtual table of Dynamics:");
    say!("{}", steps(&stock_seen));
    say!("\nCredit limits, decided by a person:");
    say!("{}", steps(&credit_seen));
    say!("Everything took {:.1} s.", begun.elapsed().as_secs_f64());
    let good = expected.iter().all(|(report, _, good)| *good && report.state != State::Failed) && dead > 0;
    let good = good && seen.iter().chain(&stock_seen).chain(&credit_seen).all(|seen| seen.good);
    Ok(if good { 0 } else { FAILED })
}

fn steps(seen: &[orders::Seen]) -> String {
    let rows = seen.iter().map(|seen| {
        let good = if seen.good { "ok" } else { "WRONG" };
        vec![seen.what.to_owned(), seen.told.clone(), good.to_owned()]
    });
    table(&["step", "seen", ""], rows.collect())
}

/// What was seen with a hub that is up, and the order that was refused.
struct Round {
    orders: Vec<orders::Seen>,
    stock: Vec<orders::Seen>,
    credit: Vec<orders::Seen>,
    letter: Option<DeadLetter>,
}

async fn hub_round(stage: &Stage) -> Result<Round, Failure> {
    let (stop, stopping) = watch::channel(false);
    let hub = Hub::start(stage.project.clone(), ([127, 0, 0, 1], 0).into(), stopping).await?;
    let (store, dynamics, at) = (hub.store.clone(), stage.dynamics_at()?, hub.address);
    stage.register(hub.address).await?;
    let working = tokio::spawn(hub.run());
    let orders = tokio::task::block_in_place(|| orders::round(dynamics, &stage.erp, &store));
    let letters = orders::letters(&store)?;
    let told = (stock::publish(&stage.project, at).await?, stock::publish(&stage.project, at).await?);
    let stock = tokio::task::block_in_place(|| stock::round(&stage.dir, dynamics, told));
    let credit = tokio::task::block_in_place(|| credit::round(&stage.dir, &stage.project, dynamics, &store));
    let _ = stop.send(true);
    working.await.map_err(anyhow::Error::from)??;
    Ok(Round { orders: orders?, stock: stock?, credit: credit?, letter: letters.into_iter().next() })
}

fn order(dir: &Path, discontinued: bool) -> Result<u8, Failure> {
    let dynamics = address(dir, "dynamics")?;
    let number = number_of_now("SO");
    let second = if discontinued { orders::DISCONTINUED } else { "P-200" };
    orders::submit(dynamics, &number, &[("P-100", "2"), (second, "1.5")]).map_err(|why| not_done(dir, why))?;
    say!("order {number} is submitted in Dynamics, with P-100 and {second}");
    talk!("What becomes of it: ironbridge -C {} trace order {number}", dir.display());
    Ok(0)
}

fn close_erp(dir: &Path, state: UpOrDown) -> Result<u8, Failure> {
    orders::close_erp(address(dir, "erp")?, state == UpOrDown::Down).map_err(|why| not_done(dir, why))?;
    match state {
        UpOrDown::Down => {
            say!("the ERP is down: every request is answered with 503");
            talk!("Orders wait, and none is lost: ironbridge -C {} status", dir.display());
        }
        UpOrDown::Up => say!("the ERP is up again; what waits goes there within a minute"),
    }
    Ok(0)
}

/// Where a server of the demo listens, as its definition says.
fn address(dir: &Path, system: &str) -> Result<SocketAddr, Failure> {
    let definition = std::fs::read_to_string(dir.join(format!("systems/{system}.yaml"))).map_err(|_| no_demo(dir))?;
    definition
        .split_once("url: \"http://")
        .and_then(|(_, rest)| rest.split('"').next())
        .and_then(|address| address.parse().ok())
        .ok_or_else(|| no_demo(dir))
}

fn change(dir: &Path) -> Result<u8, Failure> {
    let now = jiff::Timestamp::now();
    let limit = format!("{}.00", 1_000 + (now.as_second() % 97) * 500);
    if !dir.join("data/finance.db").exists() {
        return Err(no_demo(dir));
    }
    finance::change_credit_limit(&dir.join("data/finance.db"), CUSTOMER, &limit, now).map_err(anyhow::Error::from)?;
    say!("customer {CUSTOMER} has a credit limit of {limit} in finance now");
    talk!("Dynamics has it within ten seconds, when the demo runs: ironbridge -C {} runs", dir.display());
    Ok(0)
}

fn dynamics(dir: &Path, state: UpOrDown) -> Result<u8, Failure> {
    let address = address(dir, "dynamics")?;
    let fault = if state == UpOrDown::Down { "down" } else { "" };
    web::request(address, "POST", "/emulator/fault", LOCAL_TOKEN, fault).map_err(|why| not_done(dir, why))?;
    match state {
        UpOrDown::Down => {
            say!("Dynamics is down: every request is answered with 503");
            talk!("Runs fail and try again; nothing is lost: ironbridge -C {} status", dir.display());
        }
        UpOrDown::Up => say!("Dynamics is up again"),
    }
    Ok(0)
}

/// Nobody there, or somebody who said no. *Shape*: what `web::request` fails with.
fn not_done(dir: &Path, why: std::io::Error) -> Failure {
    if why.kind() != std::io::ErrorKind::Other {
        return no_demo(dir).because(why);
    }
    let what = format!("the demo in {} did not do that", dir.display());
    let fix = format!(
        "if you took a system of it down, bring it back first: ironbridge demo dynamics up --dir {0}, or: ironbridge demo erp up --dir {0}",
        dir.display()
    );
    Failure::new(USAGE, NO_DEMO, what, fix).because(why)
}

/// `SO-075237123`: another one for each call of a day.
fn number_of_now(prefix: &str) -> String {
    format!("{prefix}-{}", jiff::Timestamp::now().strftime("%H%M%S%3f"))
}

fn no_demo(dir: &Path) -> Failure {
    let what = format!("no demo runs in {}", dir.display());
    Failure::new(USAGE, NO_DEMO, what, "start it in another terminal: ironbridge demo")
}
