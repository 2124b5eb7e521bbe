//! A hub in simulated time: two SQLite systems, its schedule, its alerts, and everybody's box.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use definition::{LoadOptions, Project, load};
use hub::looks::Looker;
use hub::operations::{self, Disk, Expiring, Machine, Route, Rules, Watcher, Ways};
use hub::{Log, Start, Systems, batch, compile, deadline, worker};
use jiff::{SignedDuration, Timestamp};
use record::{BoxFuture, Code, Fault, Notice, NoticeKind, Notify, OptionValue, RetryPolicy, Secret, Secrets, System};
use rusqlite::Connection;
use store::runs::Run;
use store::{Clock, Options, Store};

const FILES: &[(&str, &str)] = &[
    (
        "ironbridge.yaml",
        "hub: contoso\ntime_zone: Europe/London\nmail: { server: \"smtp://127.0.0.1:25\", from: hub@contoso.example }\nalerts:\n  - { to: finance-it, severity: [warning, critical] }\n  - { to: on-call, severity: critical, between: \"18:00-08:00\" }\n",
    ),
    (
        "people.yaml",
        "groups:\n  finance-it: { email: finance-it@contoso.example }\n  erp-team: { email: erp-team@contoso.example }\n  on-call: { pagerduty: \"${env:PAGER}\" }\n",
    ),
    (
        "entities/customer.yaml",
        "entity: customer\nkey: number\nfields: { number: { type: text, max_length: 20 }, name: { type: text, max_length: 10, required: true } }\n",
    ),
    (
        "entities/price.yaml",
        "entity: price\nkey: product\nfields: { product: { type: text, max_length: 20 }, amount: { type: decimal, scale: 2 } }\n",
    ),
    (
        "systems/finance.yaml",
        "system: finance\nkind: sqlite\nowner: finance-it\nvendor: { name: Contoso Ledger (sample), supported_until: 2027-08-01 }\nexpires: { client_secret: 2027-03-20 }\nwebhooks: { keys: [\"${env:HOOK_KEY}\"] }\nconnection: { file: finance.db }\ntime_zone: UTC\nentities:\n  customer: { table: customers, read: { number: no, name: name } }\n  price: { table: prices, read: { product: product, amount: amount } }\n",
    ),
    (
        "systems/crm.yaml",
        "system: crm\nkind: sqlite\nowner: finance-it\nconnection: { file: crm.db }\ntime_zone: UTC\nentities:\n  customer: { table: customers, alternate_key: no, write: { no: number, name: name } }\n  price: { table: prices, alternate_key: product, write: { product: product, amount: amount } }\n",
    ),
    (
        "integrations/customers.yaml",
        "integration: customers\npattern: batch\nentity: customer\nfrom: finance\nto: crm\nschedule: every 15 minutes\nneeded_by: 2 hours\ndead_letters: { reviewed_within: 1 day }\nowner: finance-it\npurpose: Sales see a new customer within two hours.\n",
    ),
    (
        "integrations/prices.yaml",
        "integration: prices\npattern: batch\nentity: price\nfrom: finance\nto: crm\nschedule: daily at 03:00\nretry_run: every 10 minutes\nneeded_by: \"06:00\"\nowner: finance-it\npurpose: Quotes use today's prices.\n",
    ),
    (
        "integrations/orders.yaml",
        "integration: orders\npattern: event\nentity: customer\nfrom: finance\nto: [crm]\ntrigger: { rows: [created] }\nbecause: Somebody waits on the telephone.\nsweep: every 15 minutes\nowner: erp-team\npurpose: Orders reach the warehouse.\n",
    ),
    (
        "integrations/limits.yaml",
        "integration: limits\npattern: flow\ntrigger: { entity: customer, in: finance, rows: [created], call: true }\nvolume: { expected: 3 a day, ceiling: 5 a day }\nsteps: [ { notify: { to: finance-it, text: A customer is new. } } ]\nowner: erp-team\npurpose: A new customer gets a limit.\n",
    ),
];

/// Where everybody's notices arrive, with the moment.
#[derive(Default)]
pub struct Boxes(Mutex<Vec<(Timestamp, String, Notice)>>);

/// One way into the boxes.
struct Way {
    boxes: Arc<Boxes>,
    route: String,
    now: Arc<Mutex<Timestamp>>,
    broken: bool,
}

impl Notify for Way {
    fn notify<'a>(&'a self, notice: &'a Notice) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            if self.broken {
                return Err(
                    Fault::ask_person(Code("IB1001"), "the mail server refuses a notice").fix("look at `mail:`")
                );
            }
            let now = *self.now.lock().unwrap();
            self.boxes.0.lock().unwrap().push((now, self.route.clone(), notice.clone()));
            Ok(())
        })
    }
}

/// What is broken at the moment.
#[derive(Default)]
pub struct Faults {
    pub finance_down: AtomicBool,
    pub crm_down: AtomicBool,
    pub secret_expired: AtomicBool,
    pub scheduler_stopped: AtomicBool,
    pub disk_low: AtomicBool,
    pub mail_broken: AtomicBool,
}

struct Here {
    project: Arc<Project>,
    faults: Arc<Faults>,
    open: Mutex<HashMap<String, Arc<dyn System>>>,
}

struct NoSecrets;
impl Secrets for NoSecrets {
    fn resolve(&self, _: &str, name: &str) -> Result<Secret, String> {
        Err(format!("{name} is not there"))
    }
}

impl Systems for Here {
    fn open(&self, name: &str) -> Result<Arc<dyn System>, Fault> {
        let down = |code, text: &str| {
            let why = record::Why { text: "connection refused".into(), ..record::Why::default() };
            Err(Fault::retry(code, text, None).why(why).at_system(name).fix("nothing: it is tried again"))
        };
        match name {
            "finance" if self.faults.finance_down.load(Relaxed) => {
                return down(Code("IB0601"), "the finance server cannot be reached");
            }
            "crm" if self.faults.crm_down.load(Relaxed) => {
                return down(Code("IB0501"), "the crm server cannot be reached");
            }
            "crm" if self.faults.secret_expired.load(Relaxed) => {
                return Err(Fault::ask_person(Code("IB0502"), "the secret has expired")
                    .at_system(name)
                    .fix("make a new one"));
            }
            _ => {}
        }
        let defined = self.project.system(name).unwrap();
        let mut options = defined.connection.resolve(&NoSecrets).unwrap();
        if let Some(OptionValue::Text(file)) = options.0.get_mut("file") {
            *file = self.project.dir.join(&*file).display().to_string();
        }
        let mut open = self.open.lock().unwrap();
        if let Some(system) = open.get(name) {
            return Ok(system.clone());
        }
        let system = (connectors::registry::find("sqlite").unwrap().open)(name, options)?;
        open.insert(name.to_owned(), system.clone());
        Ok(system)
    }
}

struct Room(Arc<Faults>);
impl Machine for Room {
    fn disk(&self) -> Option<Disk> {
        let free_bytes = if self.0.disk_low.load(Relaxed) { 90 << 20 } else { 50 << 30 };
        Some(Disk { free_bytes, state_bytes: 1 << 20 })
    }

    fn expiring(&self) -> Vec<Expiring> {
        let what = "the certificate of `up --tls-certificate`".to_owned();
        vec![Expiring { system: String::new(), what, on: jiff::civil::date(2027, 3, 16), long: false }]
    }
}

struct Post {
    boxes: Arc<Boxes>,
    now: Arc<Mutex<Timestamp>>,
    faults: Arc<Faults>,
}

impl Ways for Post {
    fn open(&self, route: &Route) -> Result<Arc<dyn Notify>, Fault> {
        let broken = self.faults.mail_broken.load(Relaxed) && route.name() == "finance-it/email";
        Ok(Arc::new(Way { boxes: self.boxes.clone(), route: route.name(), now: self.now.clone(), broken }))
    }
}

pub struct World {
    pub store: Store,
    pub faults: Arc<Faults>,
    pub project: Arc<Project>,
    dir: PathBuf,
    now: Arc<Mutex<Timestamp>>,
    boxes: Arc<Boxes>,
    runtime: tokio::runtime::Runtime,
    started: Timestamp,
    _temporary: tempfile::TempDir,
}

impl World {
    /// A hub that begins at this moment, with forty customers and forty prices.
    pub fn new(start: &str) -> World {
        let temporary = tempfile::tempdir().unwrap();
        let dir = temporary.path().to_owned();
        for (file, text) in FILES {
            let path = dir.join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let sql = "CREATE TABLE customers (no TEXT PRIMARY KEY, name TEXT); CREATE TABLE prices (product TEXT PRIMARY KEY, amount TEXT);";
        let forty = "(WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40) SELECT i FROM n)";
        let filled = format!(
            "INSERT INTO customers SELECT 'C-' || i, 'Name ' || i FROM {forty};
             INSERT INTO prices SELECT 'P-' || i, i || '.50' FROM {forty};"
        );
        Connection::open(dir.join("finance.db")).unwrap().execute_batch(&format!("{sql}{filled}")).unwrap();
        Connection::open(dir.join("crm.db")).unwrap().execute_batch(sql).unwrap();
        let kinds: Vec<_> = connectors::registry::kinds().collect();
        let loaded = load(&dir, &LoadOptions { kinds: &kinds, ..LoadOptions::default() });
        let project = loaded.project.clone().unwrap_or_else(|| panic!("{}", loaded.render(false, 110)));
        let started: Timestamp = start.parse().unwrap();
        let now = Arc::new(Mutex::new(started));
        let clock = {
            let now = now.clone();
            Clock::of(move || *now.lock().unwrap())
        };
        let options = Options { clock, timers: false, ..Options::default() };
        let store = Store::open(dir.join(".ironbridge"), options).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let world = World {
            store,
            faults: Arc::default(),
            project: Arc::new(project),
            dir,
            now,
            boxes: Arc::default(),
            runtime,
            started,
            _temporary: temporary,
        };
        world.runtime.block_on(hub::events::prepare(&world.project, &world.store)).unwrap();
        world
    }

    pub fn set(&self, now: &str) {
        *self.now.lock().unwrap() = now.parse().unwrap();
    }

    pub fn commit(&self, op: impl Into<store::Op>) -> store::OpResult {
        self.store.commit_blocking(vec![op.into()]).unwrap().pop().unwrap()
    }

    pub fn sql(&self, file: &str, sql: &str) {
        Connection::open(self.dir.join(file)).unwrap().execute_batch(sql).unwrap();
    }

    pub fn count(&self, file: &str, table: &str) -> i64 {
        let conn = Connection::open(self.dir.join(file)).unwrap();
        conn.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
    }

    /// The hub works from now to a moment, a minute at a time; `at` is told each minute, to break and mend things.
    pub fn work(&self, until: &str, mut at: impl FnMut(&World, &str)) {
        let until: Timestamp = until.parse().unwrap();
        let machine = Room(self.faults.clone());
        let mut watcher = Watcher::new(&self.project, &self.store, &machine, Rules::default());
        let systems =
            Arc::new(Here { project: self.project.clone(), faults: self.faults.clone(), open: Mutex::default() });
        let mut looker = Looker::new(self.project.clone(), systems, self.store.clone());
        let post = Post { boxes: self.boxes.clone(), now: self.now.clone(), faults: self.faults.clone() };
        loop {
            let now = *self.now.lock().unwrap();
            if now > until {
                break;
            }
            at(self, &now.strftime("%H:%M").to_string());
            if !self.faults.scheduler_stopped.load(Relaxed) {
                self.run_due(now);
            }
            deadline::note(&self.project, &self.store, self.started).unwrap();
            self.runtime.block_on(looker.once()).unwrap();
            watcher.look().unwrap();
            let waiting = self.store.queue_counts(operations::NOTICES).unwrap().unwrap_or_default();
            if waiting.ready + waiting.scheduled > 0 {
                self.runtime.block_on(operations::deliver_all(&self.store, &post)).unwrap();
            }
            *self.now.lock().unwrap() = now.checked_add(SignedDuration::from_mins(1)).unwrap();
        }
    }

    fn run_due(&self, now: Timestamp) {
        let last: BTreeMap<String, Run> =
            self.store.last_runs().unwrap().into_iter().map(|run| (run.integration.clone(), run)).collect();
        let systems = Here { project: self.project.clone(), faults: self.faults.clone(), open: Mutex::default() };
        for due in worker::due(&self.project, &last, &[], |_| self.started, now) {
            let start =
                Start { trigger: due.trigger, slot: Some(due.slot), retry_of: None, holder: "drill".to_owned() };
            let once = RetryPolicy { immediate: 0, give_up_after: Duration::ZERO, ..RetryPolicy::default() };
            let integration = self.project.integration(&due.integration).unwrap();
            self.runtime.block_on(async {
                match compile(&self.project, integration, &systems, once).await {
                    Ok(job) => batch::run(&self.store, &job, start, &Log(None)).await.unwrap(),
                    Err(fault) => batch::failed(&self.store, &due.integration, start, fault).await.unwrap(),
                }
            });
        }
    }

    /// Every notice, as one line each: when, to whom, what.
    pub fn told(&self) -> Vec<String> {
        let boxes = self.boxes.0.lock().unwrap();
        let line = |(at, route, notice): &(Timestamp, String, Notice)| {
            format!("{} {route} {}", at.strftime("%H:%M"), notice.subject())
        };
        boxes.iter().map(line).collect()
    }

    /// The same with the day of the week.
    pub fn told_with_days(&self) -> Vec<String> {
        let boxes = self.boxes.0.lock().unwrap();
        let line = |(at, route, notice): &(Timestamp, String, Notice)| {
            format!("{} {route} {}", at.strftime("%a %H:%M"), notice.subject())
        };
        boxes.iter().map(line).collect()
    }

    /// The first notice to a route whose subject holds this, as mail.
    pub fn mail(&self, route: &str, subject: &str) -> String {
        let boxes = self.boxes.0.lock().unwrap();
        let found = boxes.iter().find(|(_, to, notice)| to == route && notice.subject().contains(subject));
        let (_, _, notice) = found.unwrap_or_else(|| panic!("no notice about {subject} to {route}"));
        connectors::notify::text(notice)
    }

    /// Notices that something began, and that it is over.
    pub fn opened_and_over(&self) -> (usize, usize) {
        let boxes = self.boxes.0.lock().unwrap();
        let of = |kind: NoticeKind| boxes.iter().filter(|(_, _, notice)| notice.kind == kind).count();
        (of(NoticeKind::Opened), of(NoticeKind::Resolved))
    }
}
