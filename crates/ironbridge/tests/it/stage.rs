//! A Dynamics with registered webhook steps, a hub that is up, and what it delivers to.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use serde_json::Value as Json;

use crate::support::{World, binary, http};

pub const DYNAMICS: &str = "system: dynamics
kind: dataverse
owner: finance-it
connection: { url: \"URL\", token: \"${file:dynamics.token}\" }
webhooks: { header: x-hub-key, keys: [\"${env:HOOK_KEY}\"] }
entities:
  customer:
    table: account
    alternate_key: accountnumber
    both: { accountnumber: number, name: name, emailaddress1: email, creditlimit: credit_limit }
";

pub const WAREHOUSE: &str = "system: warehouse
kind: sqlite
owner: finance-it
connection: { file: data/warehouse.db }
entities:
  customer:
    table: buyers
    alternate_key: code
    write: { code: number, title: name, mail: email, money: credit_limit }
    personal_because: The carrier writes to the customer.
";

pub const EVENTS: &str = "integration: buyers
pattern: event
entity: customer
from: dynamics
to: [warehouse]
trigger: { rows: [created, updated], columns: [name, creditlimit, emailaddress1], if: '=credit_limit > 0' }
because: The warehouse ships within the minute.
after_dead_letter: hold_key
owner: finance-it
purpose: A test.
";

/// A Dynamics with a registered webhook step, a hub that is up, and a warehouse.
pub struct Stage {
    pub world: World,
    pub address: String,
    pub up: Option<Child>,
    /// What the hubs have said so far.
    log: Arc<Mutex<String>>,
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Stage {
    pub fn new() -> Stage {
        Stage::with(EVENTS)
    }

    pub fn with(events: &str) -> Stage {
        let stage = Stage::unregistered(events);
        stage.register("Create");
        stage.register("Update");
        stage
    }

    /// A stage whose events are what the hub finds changed in the finance system, each second.
    pub fn polling() -> Stage {
        let events = EVENTS.replace("from: dynamics", "from: finance");
        let events = events.replace(", columns: [name, creditlimit, emailaddress1]", "");
        Stage::with(&format!("{events}sweep: every 1 second\n"))
    }

    /// Adds people of these ids, with an address each; `groups` is what stands there besides.
    pub fn people(&self, ids: &[&str], groups: &str) {
        let one =
            |(id, name): (&&str, &str)| format!("  {id}: {{ name: (sample) {name}, email: {id}@contoso.example }}\n");
        let people: String = ids.iter().zip(["first", "second", "third"]).map(one).collect();
        self.world.edit("people.yaml", "groups:\n", &format!("people:\n{people}groups:\n{groups}"));
    }

    /// A stage whose Dynamics sends nothing yet.
    pub fn unregistered(events: &str) -> Stage {
        let world = World::new(1);
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        std::fs::write(world.dir.join("systems/dynamics.yaml"), DYNAMICS.replace("URL", &world.url)).unwrap();
        std::fs::write(world.dir.join("systems/warehouse.yaml"), WAREHOUSE).unwrap();
        std::fs::write(world.dir.join("integrations/buyers.yaml"), events).unwrap();
        std::fs::remove_file(world.dir.join("integrations/customers.yaml")).unwrap();
        let _ = std::fs::remove_dir_all(world.dir.join("tests"));
        let stage = Stage { world, address: free, up: None, log: Arc::default() };
        stage.sql("CREATE TABLE buyers (code TEXT PRIMARY KEY, title TEXT, mail TEXT, money TEXT);
                   CREATE TABLE effect (at INTEGER PRIMARY KEY, code TEXT);
                   CREATE TRIGGER made AFTER INSERT ON buyers BEGIN INSERT INTO effect (code) VALUES (new.code); END;
                   CREATE TRIGGER changed AFTER UPDATE ON buyers BEGIN INSERT INTO effect (code) VALUES (new.code); END;");
        stage
    }

    pub fn start(&mut self) {
        self.start_with("");
    }

    pub fn start_with(&mut self, failpoints: &str) {
        let ready = self.start_until_ready(failpoints);
        assert!(ready, "the hub ended before it listened");
    }

    /// Starts the hub; `false` where it ended before it listened.
    pub fn start_until_ready(&mut self, failpoints: &str) -> bool {
        // A file that may not grow is an error, as on a disk that is full, and no signal.
        let mut up = std::process::Command::new("sh")
            .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
            .arg(binary().get_program())
            .args(["-C", self.world.dir.to_str().unwrap(), "up", "--listen", &self.address])
            .env("NO_COLOR", "1")
            .env_remove("IRONBRIDGE_LOG")
            .env("HOOK_KEY", "local-key")
            .env("IRONBRIDGE_FAILPOINTS", failpoints)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(up.stderr.take().unwrap());
        let mut said = String::new();
        while TcpStream::connect(&self.address).is_err() {
            if up.try_wait().unwrap().is_some() {
                lines.read_to_string(&mut said).unwrap();
                assert!(!failpoints.is_empty(), "{said}");
                self.up = Some(up);
                return false;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        // Whoever logs into a full pipe waits for ever.
        let log = self.log.clone();
        std::thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                let mut log = log.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
            }
        });
        self.up = Some(up);
        true
    }

    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// From now on the hub's disk takes nothing more, or takes everything again.
    pub fn disk_is_full(&self, full: bool) {
        let Some(up) = &self.up else { return };
        let limit = if full { "--fsize=0:unlimited" } else { "--fsize=unlimited:unlimited" };
        // Where the hub has ended there is nothing to limit.
        let _ = std::process::Command::new("prlimit").args(["--pid", &up.id().to_string(), limit]).output();
    }

    pub fn kill(&mut self) {
        if let Some(mut up) = self.up.take() {
            let _ = up.kill();
            let _ = up.wait();
        }
    }

    pub fn warehouse(&self) -> PathBuf {
        self.world.dir.join("data/warehouse.db")
    }

    pub fn sql(&self, sql: &str) {
        let conn = Connection::open(self.warehouse()).unwrap();
        conn.busy_timeout(Duration::from_secs(5)).unwrap();
        conn.execute_batch(sql).unwrap();
    }

    /// The rows of the warehouse, as text.
    pub fn buyers(&self) -> Vec<String> {
        self.texts("SELECT code || ' ' || title || ' ' || money FROM buyers ORDER BY code")
    }

    pub fn effects(&self, code: &str) -> usize {
        self.texts(&format!("SELECT code FROM effect WHERE code = '{code}'")).len()
    }

    pub fn texts(&self, sql: &str) -> Vec<String> {
        let conn = Connection::open(self.warehouse()).unwrap();
        conn.busy_timeout(Duration::from_secs(5)).unwrap();
        let mut statement = conn.prepare(sql).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    pub fn dynamics(&self, method: &str, path: &str, body: &str) -> Json {
        let answer = http(&self.world.url, method, &format!("/api/data/v9.2/{path}").replace(' ', "%20"), body);
        if answer.is_empty() { Json::Null } else { serde_json::from_str(&answer).unwrap() }
    }

    pub fn id_of(&self, set: &str, id: &str, filter: &str) -> String {
        let found = self.dynamics("GET", &format!("{set}?$select={id}&$filter={filter}"), "");
        found["value"][0][id].as_str().unwrap_or_else(|| panic!("no {set} where {filter}: {found}")).to_owned()
    }

    pub fn register(&self, message: &str) {
        self.register_for(message, "account");
    }

    pub fn register_for(&self, message: &str, table: &str) {
        let url = format!("http://{}/webhooks/buyers", self.address);
        let auth = r#"<settings><setting name=\"x-hub-key\" value=\"local-key\" /></settings>"#;
        let body = format!(
            r#"{{"name":"hub {table} {message}","contract":8,"authtype":5,"authvalue":"{auth}","url":"{url}"}}"#
        );
        self.dynamics("POST", "serviceendpoints", &body);
        let endpoint = self.id_of("serviceendpoints", "serviceendpointid", &format!("name eq 'hub {table} {message}'"));
        let sdk = self.id_of("sdkmessages", "sdkmessageid", &format!("name eq '{message}'"));
        let filter = format!("primaryobjecttypecode eq '{table}' and _sdkmessageid_value eq {sdk}");
        let filter = self.id_of("sdkmessagefilters", "sdkmessagefilterid", &filter);
        let step = format!(
            r#"{{"name":"hub {table} {message}","mode":1,"stage":40,"rank":1,"supporteddeployment":0,"asyncautodelete":true,
                "sdkmessageid@odata.bind":"/sdkmessages({sdk})","sdkmessagefilterid@odata.bind":"/sdkmessagefilters({filter})",
                "eventhandler_serviceendpoint@odata.bind":"/serviceendpoints({endpoint})"}}"#
        );
        self.dynamics("POST", "sdkmessageprocessingsteps", &step);
        self.id_of(
            "sdkmessageprocessingsteps",
            "sdkmessageprocessingstepid",
            &format!("name eq 'hub {table} {message}'"),
        );
    }

    /// Creates or changes an account by its number.
    pub fn account(&self, number: &str, name: &str, limit: u32) {
        let body = format!(r#"{{"name": "{name}", "creditlimit": {limit}}}"#);
        self.dynamics("PATCH", &format!("accounts(accountnumber='{number}')"), &body);
    }

    pub fn until(&self, what: &str, done: impl Fn() -> bool) {
        let begun = Instant::now();
        while !done() {
            assert!(
                begun.elapsed() < Duration::from_secs(90),
                "{what} did not come:\n{:?}\n{}\n{}\n{}\n{}",
                self.buyers(),
                self.say(&["queue", "list"]),
                self.say(&["dead-letters", "list", "--all"]),
                self.say(&["status"]),
                self.log()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    pub fn say(&self, args: &[&str]) -> String {
        let said = self.run(args);
        said.out + &said.err
    }

    pub fn run(&self, args: &[&str]) -> crate::support::Said {
        let args: Vec<&str> =
            ["-C", self.world.dir.to_str().unwrap()].into_iter().chain(args.iter().copied()).collect();
        crate::support::said(binary().args(args).env("HOOK_KEY", "local-key").output().unwrap())
    }

    pub fn json(&self, args: &[&str]) -> Json {
        let args: Vec<&str> = ["-C", self.world.dir.to_str().unwrap(), "--format", "json"]
            .into_iter()
            .chain(args.iter().copied())
            .collect();
        crate::support::said(binary().args(args).env("HOOK_KEY", "local-key").output().unwrap()).json()
    }

    /// When the last sweep ended, if one has.
    pub fn sweeps(&self) -> String {
        let store = store::Store::open(self.world.dir.join(".ironbridge"), store::Options::default()).unwrap();
        store.cursor("buyers", "sweep").unwrap().map(|cursor| cursor.updated.to_string()).unwrap_or_default()
    }

    /// How many messages wait for the warehouse.
    pub fn waiting(&self) -> u64 {
        self.waiting_for("warehouse")
    }

    pub fn waiting_for(&self, to: &str) -> u64 {
        let queues = self.json(&["queue", "list"]);
        let mine =
            queues.as_array().unwrap().iter().find(|q| q["queue"].as_str().unwrap().ends_with(&format!("/{to}")));
        let mine = mine.expect("the warehouse has a subscription");
        ["ready", "locked", "delayed", "deferred"].iter().map(|place| mine[place].as_u64().unwrap()).sum()
    }
}

/// A system file of the sample ERP.
pub const ERP: &str = "system: erp
kind: rest
owner: finance-it
connection: { url: \"URL\", bearer: \"${env:HOOK_KEY}\", timeout: 2 seconds }
entities:
  customer:
    create:  POST /things
    update:  PUT /things/{erp_number}
    exists:  GET /things?ref={number}
    write:   { ref: number, name: name, terms.limit: credit_limit }
    returns: { erp_number: id }
";

/// A stage whose events go to the sample ERP, and whose rows get its number.
pub fn to_the_erp(events: &str) -> (Stage, tokio::runtime::Runtime, emulator::samples::erp::Handle) {
    use emulator::samples::erp;
    let stage = Stage::with(&events.replace("to: [warehouse]", "to: [erp]"));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let file = stage.world.dir.join("data/erp.db");
    let erp = runtime.block_on(erp::start(&file, "127.0.0.1:0".parse().unwrap(), "local-key")).unwrap();
    std::fs::write(stage.world.dir.join("systems/erp.yaml"), ERP.replace("URL", &erp.url)).unwrap();
    let field = "fields:\n  erp_number:   { type: text, max_length: 30, master: erp }";
    stage.world.edit("entities/customer.yaml", "fields:", field);
    stage.world.edit("systems/dynamics.yaml", "    both:", "    write: { telephone1: erp_number }\n    both:");
    (stage, runtime, erp)
}
