//! A project, its finance database and its Dynamics, for one test.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use emulator::dataverse::{Config, Handle};
use emulator::samples::finance;
use rusqlite::Connection;
use serde_json::Value as Json;

pub const TOKEN: &str = "local";

/// Everything that one test needs, in a folder of its own. Ends with the test; where that failed, the folder stays.
pub struct World {
    pub dir: PathBuf,
    pub url: String,
    temporary: Option<tempfile::TempDir>,
    runtime: tokio::runtime::Runtime,
    dynamics: Option<Handle>,
}

impl Drop for World {
    #[allow(clippy::print_stdout, reason = "a test that failed says where to look")]
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Some(temporary) = self.temporary.take()
        {
            println!("the project is kept: {}", temporary.keep().display());
        }
    }
}

/// What a command said.
#[derive(Debug)]
pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl World {
    /// A new project with so many sample customers, and an empty Dynamics.
    pub fn new(customers: usize) -> World {
        let temporary = tempfile::tempdir().unwrap();
        let dir = temporary.path().join("project");
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let config = Config { token: Some(TOKEN.to_owned()), ..Config::default() };
        let dynamics = runtime.block_on(emulator::dataverse::start(config)).unwrap();
        let url = dynamics.url.clone();
        let world = World { dir, url, temporary: Some(temporary), runtime, dynamics: Some(dynamics) };
        let dir = world.dir.to_str().unwrap().to_owned();
        world.command(&["init", &dir]).ok();
        world.edit("systems/dynamics.yaml", "http://127.0.0.1:7702", &world.url);
        std::fs::remove_file(world.finance()).unwrap();
        finance::create(&world.finance(), customers, 7).unwrap();
        world
    }

    pub fn finance(&self) -> PathBuf {
        self.dir.join("data/finance.db")
    }

    /// Changes the finance system by SQL.
    pub fn sql(&self, sql: &str) {
        Connection::open(self.finance()).unwrap().execute_batch(sql).unwrap();
    }

    /// Lets the finance system have rows without a time of their last change.
    pub fn stamps_may_be_missing(&self) {
        self.sql(
            "PRAGMA writable_schema = ON;
             UPDATE sqlite_master SET sql = replace(sql, 'TEXT NOT NULL', 'TEXT') WHERE name = 'customers';
             PRAGMA writable_schema = RESET;",
        );
        self.sql("UPDATE customers SET updated_at = NULL WHERE customer_no = '(nobody)'");
    }

    pub fn edit(&self, file: &str, from: &str, to: &str) {
        let path = self.dir.join(file);
        let before = std::fs::read_to_string(&path).unwrap();
        assert!(before.contains(from), "{file} has no `{from}`:\n{before}");
        std::fs::write(path, before.replace(from, to)).unwrap();
    }

    /// A command as people read it who have called the project by its folder.
    pub fn typed(&self, command: &str) -> String {
        format!("ironbridge -C {} {command}", self.dir.display())
    }

    /// Runs `ironbridge` in the project.
    pub fn ironbridge(&self, args: &[&str]) -> Said {
        self.with_failpoints(args, "")
    }

    pub fn with_failpoints(&self, args: &[&str], failpoints: &str) -> Said {
        self.with_clock(args, failpoints, 0)
    }

    /// As if the machine's clock were wrong by so many seconds.
    pub fn with_clock(&self, args: &[&str], failpoints: &str, offset: i64) -> Said {
        let dir = self.dir.to_str().unwrap();
        let args: Vec<&str> = ["-C", dir].into_iter().chain(args.iter().copied()).collect();
        let mut command = binary();
        command.args(args).env("IRONBRIDGE_FAILPOINTS", failpoints);
        if offset != 0 {
            command.env("IRONBRIDGE_CLOCK_OFFSET", offset.to_string());
        }
        said(command.output().unwrap())
    }

    /// As somebody for whom the rights of files count, also where an administrator runs the tests.
    pub fn without_power(&self, args: &[&str]) -> Said {
        let mut command = binary();
        if std::fs::metadata("/proc/self").unwrap().uid() == 0 {
            let mut less = Command::new("setpriv");
            less.args(["--inh-caps=-all", "--bounding-set=-dac_override,-dac_read_search"]).arg(command.get_program());
            less.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
            command = less;
        }
        said(command.arg("-C").arg(&self.dir).args(args).output().unwrap())
    }

    fn command(&self, args: &[&str]) -> Said {
        said(binary().args(args).output().unwrap())
    }

    /// The result of a run as JSON.
    pub fn run(&self) -> Json {
        self.ironbridge(&["--format", "json", "run", "customers"]).json()
    }

    pub fn fault(&self, spec: &str) {
        let answer = http(&self.url, "POST", "/emulator/fault", spec);
        assert!(answer.contains("fault"), "{answer}");
    }

    pub fn stats(&self) -> Json {
        serde_json::from_str(&http(&self.url, "GET", "/emulator/stats", "")).unwrap()
    }

    /// Begins to count anew, once what a killed process had sent is done.
    pub fn reset_stats(&self) {
        for _ in 0..500 {
            if self.stats()["under_way"] == 0 {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        http(&self.url, "POST", "/emulator/stats/reset", "");
    }

    /// Rows that were created, updated or deleted in Dynamics since the last reset, in all tables.
    pub fn rows_written(&self) -> u64 {
        let stats = self.stats();
        let tables = stats["rows"].as_object().unwrap_or_else(|| panic!("no rows in {stats}"));
        let counts = tables.values().flat_map(|table| table.as_object().unwrap().values());
        counts.filter_map(Json::as_u64).sum()
    }

    /// Stops Dynamics: nobody answers at its address any more.
    pub fn stop_dynamics(&mut self) {
        if let Some(dynamics) = self.dynamics.take() {
            self.runtime.block_on(dynamics.shutdown());
        }
    }

    /// The accounts by number, with the columns that the mapping writes.
    pub fn accounts(&self) -> BTreeMap<String, Account> {
        let columns = "accountnumber,name,emailaddress1,creditlimit,paymenttermscode";
        let mut path =
            format!("/api/data/v9.2/accounts?$select={columns}&$expand=parentaccountid($select=accountnumber)");
        let mut all = BTreeMap::new();
        loop {
            let page: Json = serde_json::from_str(&http(&self.url, "GET", &path.replace(' ', "%20"), "")).unwrap();
            let rows = page["value"].as_array().unwrap_or_else(|| panic!("{page}"));
            for row in rows.iter().filter(|row| row["accountnumber"].is_string()) {
                let text = |name: &str| row[name].as_str().map(str::to_owned);
                let account = Account {
                    name: text("name"),
                    email: text("emailaddress1"),
                    credit_limit: (!row["creditlimit"].is_null()).then(|| plain(&row["creditlimit"].to_string())),
                    terms: row["paymenttermscode"].as_i64(),
                    parent: row["parentaccountid"]["accountnumber"].as_str().map(str::to_owned),
                };
                let before = all.insert(text("accountnumber").unwrap(), account);
                assert!(before.is_none(), "two accounts have the number {row}");
            }
            match page["@odata.nextLink"].as_str() {
                Some(next) => path = next.trim_start_matches(&self.url).to_owned(),
                None => return all,
            }
        }
    }

    /// The state of each account that has a number: 0 active, 1 inactive.
    pub fn states(&self) -> BTreeMap<String, i64> {
        let answer = http(&self.url, "GET", "/api/data/v9.2/accounts?$select=accountnumber,statecode", "");
        let page: Json = serde_json::from_str(&answer).unwrap();
        assert!(page["@odata.nextLink"].is_null(), "more accounts than one page");
        let rows = page["value"].as_array().unwrap().iter();
        rows.filter_map(|row| Some((row["accountnumber"].as_str()?.to_owned(), row["statecode"].as_i64()?))).collect()
    }

    /// What Dynamics should hold: every good row of finance, worked out here by hand and not by our mapping.
    pub fn expected(&self) -> BTreeMap<String, Account> {
        let conn = Connection::open(self.finance()).unwrap();
        let sql = "SELECT customer_no, company_name, contact_email, credit_limit, terms_code, parent_no FROM customers";
        let mut statement = conn.prepare(sql).unwrap();
        let text = |row: &rusqlite::Row<'_>, at: usize| row.get::<_, Option<String>>(at).unwrap();
        let rows: Vec<(Option<String>, Account)> = statement
            .query_map([], |row| {
                let blank = |text: Option<String>| text.filter(|text| !text.is_empty());
                let account = Account {
                    name: blank(text(row, 1).map(|name| trimmed(&name))),
                    email: blank(text(row, 2).map(|email| email.trim().to_lowercase())),
                    credit_limit: text(row, 3).map(|limit| plain(&limit)),
                    terms: match text(row, 4).as_deref() {
                        Some("30") => Some(1),
                        Some("60") => Some(4),
                        Some("PP") => Some(10),
                        None => None,
                        Some(_) => Some(-1),
                    },
                    parent: blank(text(row, 5)),
                };
                Ok((text(row, 0), account))
            })
            .unwrap()
            .map(Result::unwrap)
            .collect();
        let twins = |no: &str| {
            rows.iter().filter(|(other, _)| other.as_deref().is_some_and(|o| o.eq_ignore_ascii_case(no))).count()
        };
        rows.iter()
            .filter_map(|(no, account)| Some((no.clone().filter(|no| !no.trim().is_empty())?, account.clone())))
            .filter(|(no, account)| {
                let name = account.name.as_deref().unwrap_or_default();
                twins(no) == 1 && (1..=160).contains(&name.chars().count()) && account.terms != Some(-1)
            })
            .collect()
    }
}

/// A customer as Dynamics holds it, in plain texts.
#[derive(Debug, Clone, PartialEq)]
pub struct Account {
    pub name: Option<String>,
    pub email: Option<String>,
    pub credit_limit: Option<String>,
    pub terms: Option<i64>,
    pub parent: Option<String>,
}

impl Said {
    /// It did what it was asked.
    pub fn ok(self) -> Said {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self
    }

    /// It failed with this exit code, and its error has this code.
    pub fn fails(self, exit: i32, code: &str) -> Said {
        assert_eq!(self.code, Some(exit), "{self:#?}");
        assert!(self.err.contains(code) || self.out.contains(code), "no {code} in {self:#?}");
        self
    }

    pub fn json(&self) -> Json {
        serde_json::from_str(&self.out).unwrap_or_else(|why| panic!("{why}: {self:#?}"))
    }
}

pub fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ironbridge"));
    command.env("NO_COLOR", "1").env_remove("IRONBRIDGE_LOG");
    command
}

pub fn said(output: Output) -> Said {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Said { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
}

/// One small request, answered with the body.
pub fn http(url: &str, method: &str, path: &str, body: &str) -> String {
    http_with(url, method, path, "", body)
}

/// With more header lines, each with its end.
pub fn http_with(url: &str, method: &str, path: &str, headers: &str, body: &str) -> String {
    answered(url, method, path, headers, body).1
}

/// The head of the answer, and its body.
pub fn answered(url: &str, method: &str, path: &str, headers: &str, body: &str) -> (String, String) {
    let address = url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).unwrap();
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {TOKEN}\r\nAccept: application/json\r\n\
         {headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    if !head.to_lowercase().contains("transfer-encoding: chunked") {
        return (head.to_owned(), body.to_owned());
    }
    let (mut rest, mut whole) = (body, String::new());
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).unwrap();
        whole.push_str(&after[..size]);
        rest = after[size..].trim_start_matches("\r\n");
        if size == 0 {
            break;
        }
    }
    (head.to_owned(), whole)
}

/// The workspace's folder.
pub fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// A number without its trailing zeros.
fn plain(number: &str) -> String {
    let number: record::Decimal = number.parse().unwrap();
    number.normalize().to_string()
}

/// As Power Fx trims: no spaces at the ends, and one between words.
fn trimmed(text: &str) -> String {
    text.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// The address of a real server that the tests may use, from this variable; `None` where there is none and none is
/// required.
#[expect(clippy::print_stderr, reason = "who runs the tests should see what was left out")]
pub fn server(variable: &str) -> Option<String> {
    let address = std::env::var(variable).ok();
    if address.is_none() {
        let required = std::env::var_os("IRONBRIDGE_TEST_SERVERS").is_some();
        assert!(!required, "the servers are required, and this one is not there: {variable}");
        eprintln!("skipped: needs {variable} (scripts/servers start DIR)");
    }
    address
}
