//! `systems check`, walked with each kind of system through what goes wrong there: what a person reads then is kept in
//! `systems.txt`. `UPDATE_DOCS=1` writes it.

mod mail;

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use crate::mysql::MariaDb;
use crate::postgres::Database;
use crate::services::{CSDL, ITEM, SHOP, ok, project, serve, shop};
use crate::support::{Said, TOKEN, World, server};

/// What is said of one kind of system, step by step.
struct Walk {
    kind: &'static str,
    /// What the system's file says of the entity.
    entity: &'static str,
    world: World,
    /// What differs from run to run, and what stands for it.
    hidden: Vec<(String, &'static str)>,
    said: String,
}

impl Walk {
    /// `written` where the hub writes into the system, and does not read from it.
    fn new(kind: &'static str, entity: &'static str, written: bool) -> Walk {
        let (from, to) = if written { ("shop", "tested") } else { ("tested", "shop") };
        let world = project(&ITEM.replace("  changed_at: { type: datetime }\n", ""), from, to, &[("shop", SHOP)]);
        shop(&world, "");
        // No definition holds a secret.
        for secret in ["right", "wrong", "stranger", "clerk", "ill", "sample", "c2FtcGxl", TOKEN] {
            std::fs::write(world.dir.join(format!("{secret}.secret")), secret).unwrap();
        }
        let hidden = vec![(world.dir.display().to_string(), "PROJECT")];
        Walk { kind, entity, world, hidden, said: String::new() }
    }

    fn hide(&mut self, what: impl AsRef<Path>, by: &'static str) {
        self.hidden.push((what.as_ref().display().to_string(), by));
    }

    /// Looks at the system with this connection; it answers within seconds, whatever there is.
    fn step(&mut self, what: &str, connection: &str, exit: i32) {
        self.look(what, connection, exit, |world| world.ironbridge(&["systems", "check", "tested"]));
    }

    fn look(&mut self, what: &str, connection: &str, exit: i32, ask: impl Fn(&World) -> Said) {
        let Walk { kind, entity, .. } = self;
        let kind = kind.split(' ').next().filter(|kind| *kind != "mail").unwrap_or("sqlite");
        let text = format!(
            "system: tested\nkind: {kind}\nowner: finance-it\nconnection: {connection}\nentities:\n  item:\n{entity}"
        );
        std::fs::write(self.world.dir.join("systems/tested.yaml"), text).unwrap();
        let begun = Instant::now();
        let said = ask(&self.world);
        assert!(begun.elapsed() < Duration::from_secs(14), "{what}: {:?}", begun.elapsed());
        assert_eq!(said.code, Some(exit), "{}: {what}: {said:#?}", self.kind);
        let mut text = (said.out + &said.err).replace(&self.world.typed(""), "ironbridge ");
        for (hidden, by) in &self.hidden {
            text = text.replace(hidden, by);
        }
        self.said += &format!("\n## {what}\n\n");
        for line in text.lines().map(plain).filter(|line| !line.is_empty()) {
            self.said += &format!("    {line}\n");
        }
    }

    /// Compares with what is kept.
    fn end(self) {
        static FILE: Mutex<()> = Mutex::new(());
        let _one = FILE.lock().unwrap();
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/systems.txt");
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        let mut sections: Vec<&str> = kept.split("\n# ").filter(|section| !section.trim().is_empty()).collect();
        let section = format!("{}\n{}", self.kind, self.said);
        let title = format!("{}\n", self.kind);
        let found = sections.iter().position(|section| section.starts_with(&title));
        if found.is_some_and(|at| sections[at].trim() == section.trim()) {
            return;
        }
        if std::env::var_os("UPDATE_DOCS").is_none() {
            assert_eq!(section.trim(), found.map_or("", |at| sections[at].trim()), "run it with UPDATE_DOCS=1");
        }
        match found {
            Some(at) => sections[at] = &section,
            None => sections.push(&section),
        }
        sections.sort_unstable();
        let all = sections.iter().map(|section| format!("\n# {}\n", section.trim()));
        std::fs::write(&path, all.collect::<String>()).unwrap();
    }
}

/// Without what differs from machine to machine: ports, versions, times, the width of a table.
fn plain(line: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    for word in line.split_whitespace() {
        let digits = |c: char| c.is_ascii_digit();
        let is_version = word.trim_matches(['(', ')', ';', ',']).split('.').count() > 1
            && word.starts_with(|c: char| c.is_ascii_digit())
            && !word.contains("127.0.0.1");
        let word = match word.split_once("127.0.0.1:") {
            Some((before, after)) => format!("{before}127.0.0.1:PORT{}", after.trim_start_matches(digits)),
            None if is_version => "VERSION".to_owned(),
            None if word.contains("SHA256:") => "FINGERPRINT".to_owned(),
            None => word.to_owned(),
        };
        // What follows the version in brackets is the machine's.
        let distribution = word.starts_with('(') && words.last().is_some_and(|last| last == "VERSION");
        match words.last_mut() {
            Some(last) if word == "ms" && last.chars().all(digits) => "N".clone_into(last),
            _ => {}
        }
        let is_version = word == "VERSION" && words.last().is_some_and(|last| last == "VERSION");
        if !distribution && !is_version {
            words.push(word);
        }
    }
    words.join(" ")
}

/// An address where nobody listens.
fn nobody() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// The address of somebody who takes connections and never says anything, until the tests end.
fn silent() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        let kept: Vec<_> = listener.incoming().collect();
        drop(kept);
    });
    address
}

/// The same address with another host and port, and another user where one is given.
fn at(url: &str, address: Option<&str>, login: Option<&str>) -> String {
    let (scheme, rest) = url.split_once("//").unwrap();
    let (user, rest) = rest.split_once('@').unwrap();
    let (host, path) = rest.split_once('/').unwrap();
    format!("{scheme}//{}@{}/{path}", login.unwrap_or(user), address.unwrap_or(host))
}

const TABLE: &str = "    table: items\n    alternate_key: number\n    read: { number: number, name: name, price: price }\n    write: { number: number, name: name, price: price }\n";

const TYPO: &str = "    table: itmes\n    alternate_key: number\n    read: { number: number, name: name, price: price }\n    write: { number: number, name: name, price: price }\n";

#[test]
fn sqlite() {
    let mut walk = Walk::new("sqlite", TABLE, true);
    walk.step("all is well", "{ file: shop.db }", 0);
    walk.step("there is no such file", "{ file: shops.db }", 1);
    std::fs::write(walk.world.dir.join("other.db"), "number,name\n".repeat(100)).unwrap();
    walk.step("the file is something else", "{ file: other.db }", 1);
    rusqlite::Connection::open(walk.world.dir.join("empty.db"))
        .unwrap()
        .execute_batch("PRAGMA user_version = 1")
        .unwrap();
    walk.step("the file holds nothing", "{ file: empty.db }", 1);
    let own = walk.world.dir.join("own");
    std::fs::create_dir(&own).unwrap();
    let make = "CREATE TABLE items (number TEXT PRIMARY KEY, name TEXT, price NUMERIC)";
    rusqlite::Connection::open(own.join("shop.db")).unwrap().execute_batch(make).unwrap();
    let mode = |what: &Path, mode| std::fs::set_permissions(what, PermissionsExt::from_mode(mode)).unwrap();
    mode(&own, 0o555);
    walk.look("the folder takes no files", "{ file: own/shop.db }", 1, |world| {
        world.without_power(&["systems", "check", "tested"])
    });
    mode(&own, 0o755);
    mode(&own.join("shop.db"), 0o444);
    walk.look("the file may only be read", "{ file: own/shop.db }", 1, |world| {
        world.without_power(&["systems", "check", "tested"])
    });
    rusqlite::Connection::open(walk.world.dir.join("views.db"))
        .unwrap()
        .execute_batch(&format!("{}; CREATE VIEW items AS SELECT * FROM goods", make.replace("items", "goods")))
        .unwrap();
    walk.step("the table is a view", "{ file: views.db }", 1);
    walk.end();
}

/// What a database on a server goes through. `walked_stranger` may sign in, `walked_clerk` may read.
fn database(mut walk: Walk, url: &str) {
    let dir = walk.world.dir.clone();
    let to = |url: &str| {
        std::fs::write(dir.join("url.secret"), url).unwrap();
        "{ url: \"${file:url.secret}\" }".to_owned()
    };
    walk.step("all is well", &to(url), 0);
    walk.step("the password is wrong", &to(&at(url, None, Some("tester:wrong"))), 1);
    walk.step("the user may see nothing", &to(&at(url, None, Some("walked_stranger:sample"))), 1);
    walk.step("the user may read and not write", &to(&at(url, None, Some("walked_clerk:sample"))), 1);
    let online = walk.world.ironbridge(&["check", "--online"]);
    assert!(online.code == Some(1) && online.err.contains("GRANT INSERT, UPDATE ON items TO"), "{online:#?}");
    walk.step("there is no such database", &to(&format!("{}/nowhere", url.rsplit_once('/').unwrap().0)), 1);
    walk.step("the server is down", &to(&at(url, Some(&nobody()), None)), 1);
    let slow =
        |seconds: u32| to(&at(url, Some(&silent()), None)).replace(" }", &format!(", timeout: {seconds} seconds }}"));
    walk.step("the server never answers", &slow(1), 1);
    walk.step("the server never answers, and the time-out is long", &slow(60), 1);
    walk.entity = TYPO;
    walk.step("there is no such table", &to(url), 1);
    walk.end();
}

#[test]
fn postgres() {
    let Some(made) = Database::new("walked") else { return };
    made.sql(
        "CREATE TABLE items (number text PRIMARY KEY, name text, price numeric(14,2));
         CREATE TABLE others (number text);
         DROP ROLE IF EXISTS walked_stranger; DROP ROLE IF EXISTS walked_clerk;
         CREATE ROLE walked_stranger LOGIN PASSWORD 'sample'; CREATE ROLE walked_clerk LOGIN PASSWORD 'sample';
         GRANT SELECT ON items TO walked_clerk; GRANT SELECT ON others TO walked_stranger",
    );
    let walk = Walk::new("postgres", TABLE, true);
    database(walk, &made.url);
}

#[test]
fn mysql() {
    let Some(made) = MariaDb::new("walked", 1) else { return };
    made.sql(&[
        "CREATE TABLE items (number VARCHAR(20) PRIMARY KEY, name VARCHAR(100), price DECIMAL(14,2))",
        "CREATE OR REPLACE USER walked_stranger@'127.0.0.1' IDENTIFIED BY 'sample'",
        "CREATE OR REPLACE USER walked_clerk@'127.0.0.1' IDENTIFIED BY 'sample'",
        "GRANT SELECT ON customers TO walked_stranger@'127.0.0.1'",
        "GRANT SELECT ON items TO walked_clerk@'127.0.0.1'",
    ]);
    let walk = Walk::new("mysql", TABLE, true);
    database(walk, &made.database.url);
}

const FILE: &str = "    file: \"items_*.csv\"\n    columns: { number: text, name: text, price: decimal }\n    alternate_key: number\n    read: { number: number, name: name, price: price }\n";

#[test]
fn files() {
    let mut walk = Walk::new("files", FILE, false);
    std::fs::create_dir(walk.world.dir.join("in")).unwrap();
    walk.step("the folder is empty", "{ folder: in }", 0);
    std::fs::write(walk.world.dir.join("in/items_1.csv"), "number,name,price\n").unwrap();
    walk.step("all is well", "{ folder: in }", 0);
    walk.step("there is no such folder", "{ folder: nowhere }", 1);
    walk.step("the folder is a file", "{ folder: in/items_1.csv }", 1);
    walk.end();
}

const WRITTEN_FILE: &str = "    file: items.csv\n    columns: { number: text, name: text }\n    alternate_key: number\n    write: { number: number, name: name }\n";

#[test]
fn files_that_are_written() {
    let mut walk = Walk::new("files that are written", WRITTEN_FILE, true);
    let out = walk.world.dir.join("out");
    std::fs::create_dir(&out).unwrap();
    walk.step("all is well", "{ folder: out }", 0);
    std::fs::set_permissions(&out, PermissionsExt::from_mode(0o555)).unwrap();
    walk.look("the folder takes no files", "{ folder: out }", 1, |world| {
        world.without_power(&["systems", "check", "tested"])
    });
    walk.end();
}

#[test]
fn files_over_sftp() {
    let (Some(url), Some(dir)) = (server("IRONBRIDGE_TEST_SFTP"), server("IRONBRIDGE_TEST_SFTP_DIR")) else { return };
    let dir = PathBuf::from(dir);
    // A folder of its own: what other tests leave beside it does not count.
    std::fs::create_dir_all(dir.join("home/walked")).unwrap();
    let mut walk = Walk::new("files over SFTP", FILE, false);
    let (user, host) = url.trim_start_matches("sftp://").split_once('@').unwrap();
    let read = |name: &str| std::fs::read_to_string(dir.join(name)).unwrap().trim().to_owned();
    let host_key = read("host_key.pub").split(' ').take(2).collect::<Vec<_>>().join(" ");
    std::fs::write(walk.world.dir.join("key"), read("client_key")).unwrap();
    walk.hide(user, "USER");
    walk.hide(dir.display().to_string(), "HOME");
    let to = |host: &str, folder: &str, proof: &str| {
        format!("{{ url: \"sftp://{user}@{host}{}/{folder}\", host_key: \"{host_key}\", {proof} }}", dir.display())
    };
    let key = "key: \"${file:key}\"";
    walk.step("all is well", &to(host, "home/walked", key), 0);
    walk.step("the password is wrong", &to(host, "home/walked", "password: \"${file:wrong.secret}\""), 1);
    walk.step("there is no such folder", &to(host, "nowhere", key), 1);
    let other = read("client_key.pub").split(' ').take(2).collect::<Vec<_>>().join(" ");
    walk.step("it is another server", &to(host, "home/walked", key).replace(&host_key, &other), 1);
    walk.step("the server is down", &to(&nobody(), "home/walked", key), 1);
    walk.step("the server never answers", &to(&silent(), "home/walked", &format!("{key}, timeout: 1 second")), 1);
    walk.end();
    let mut walk = Walk::new("files over SFTP that are written", WRITTEN_FILE, true);
    std::fs::write(walk.world.dir.join("key"), read("client_key")).unwrap();
    walk.hide(user, "USER");
    walk.hide(dir.display().to_string(), "HOME");
    walk.step("all is well", &to(host, "home/walked", key), 0);
    walk.end();
}

/// A bucket, its list, and who is turned away: whoever signs with a key of another name.
fn bucket(scheme: &'static str, kind: &'static str, signs: &'static str, list: &'static str) {
    let (service, _) = serve(move |asked| {
        let refuse = |status: u16, code: &str| {
            let body = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>so it is</Message></Error>");
            (status, format!("Content-Type: application/xml\r\nx-ms-error-code: {code}\r\n"), body)
        };
        if !asked.header("authorization").contains(signs) {
            return refuse(403, "AccessDenied");
        }
        if !asked.path.starts_with("/items") {
            return refuse(404, if scheme == "s3" { "NoSuchBucket" } else { "ContainerNotFound" });
        }
        (200, "Content-Type: application/xml\r\n".to_owned(), list.to_owned())
    });
    let mut walk = Walk::new(kind, FILE, false);
    let to = |bucket: &str, user: &str, service: &str, more: &str| match scheme {
        "s3" => format!(
            "{{ url: \"s3://{bucket}/in\", service: \"{service}\", access_key: \"${{file:{user}.secret}}\", secret_key: \"${{file:sample.secret}}\"{more} }}"
        ),
        _ => format!(
            "{{ url: \"azure://{user}/{bucket}/in\", service: \"{service}\", secret_key: \"${{file:c2FtcGxl.secret}}\"{more} }}"
        ),
    };
    walk.step("all is well", &to("items", "right", &service, ""), 0);
    walk.step("the key is wrong", &to("items", "wrong", &service, ""), 1);
    walk.step("there is no such bucket", &to("nowhere", "right", &service, ""), 1);
    walk.step("the service is down", &to("items", "right", &format!("http://{}", nobody()), ""), 1);
    let slow = format!("http://{}", silent());
    walk.step("the service never answers", &to("items", "right", &slow, ", timeout: 1 second"), 1);
    walk.end();
}

#[test]
fn files_in_s3() {
    let list = "<?xml version=\"1.0\"?><ListBucketResult><Name>items</Name><IsTruncated>false</IsTruncated></ListBucketResult>";
    bucket("s3", "files in S3", "Credential=right/", list);
}

#[test]
fn files_in_azure() {
    let list = "<?xml version=\"1.0\"?><EnumerationResults><Blobs></Blobs><NextMarker/></EnumerationResults>";
    bucket("azure", "files in Azure", "SharedKey right:", list);
}

/// Those that are spoken to over HTTP: a token, and what it may do.
fn service(mut walk: Walk, url: &str, token: &str, to: impl Fn(&str, &str) -> String) {
    walk.step("all is well", &to(url, token), 0);
    walk.step("the token is wrong", &to(url, "wrong"), 1);
    walk.step("the token may do nothing", &to(url, "stranger"), 1);
    walk.step("the service is down", &to(&format!("http://{}", nobody()), token), 1);
    let slow = to(&format!("http://{}", silent()), token).replace(" }", ", timeout: 1 second }");
    walk.step("the service never answers", &slow, 1);
    walk.step("the service is ill", &to(url, "ill"), 1);
    walk.end();
}

/// What a service says to a token before anything else; `None` where it may go on.
fn refused(asked: &crate::services::Asked) -> Option<crate::services::Answer> {
    let says =
        |status: u16, text: &str| Some((status, String::new(), json!({ "error": { "message": text } }).to_string()));
    match asked.header("authorization") {
        "Bearer right" => None,
        "Bearer stranger" => says(403, "this application may see nothing"),
        "Bearer ill" => says(503, "the database is being moved"),
        _ => says(401, "the token is not valid"),
    }
}

#[test]
fn rest() {
    let (url, _) = serve(|asked| {
        refused(asked).unwrap_or_else(|| match asked.path.as_str() {
            "/" | "/items" => ok(json!({ "items": [] })),
            "/secrets" => (403, String::new(), json!({ "message": "not yours" }).to_string()),
            "/strange" => (400, String::new(), json!({ "message": "say which year" }).to_string()),
            _ => (404, String::new(), String::new()),
        })
    });
    let entity = "    alternate_key: number\n    columns: { number: text }\n    list: { request: GET /items, rows: items, next: next }\n    read: { number: number }\n";
    let to = |url: &str, token: &str| format!("{{ url: \"{url}\", bearer: \"${{file:{token}.secret}}\" }}");
    let mut walk = Walk::new("rest", entity, false);
    for (what, path) in [
        ("the list may not be read", "GET /secrets"),
        ("there is no such list", "GET /itmes"),
        ("the API does not like the request", "GET /strange"),
    ] {
        let other = entity.replace("GET /items", path);
        walk.entity = Box::leak(other.into_boxed_str());
        walk.step(what, &to(&url, "right"), 1);
    }
    walk.entity = Box::leak(entity.replace("rows: items", "rows: data").into_boxed_str());
    walk.step("the rows are somewhere else", &to(&url, "right"), 1);
    walk.entity = entity;
    service(walk, &url, "right", to);
    let entity = "    alternate_key: number\n    create: POST /items\n    exists: \"GET /items?ref={number}\"\n    write: { number: number, name: name }\n";
    let mut walk = Walk::new("rest that is written", entity, true);
    walk.step("all is well", &to(&url, "right"), 0);
    walk.end();
}

#[test]
fn odata() {
    let (url, _) = serve(|asked| {
        refused(asked).unwrap_or_else(|| match asked.path.split('?').next() {
            Some("/$metadata" | "/closed/$metadata") => {
                (200, "Content-Type: application/xml\r\n".into(), CSDL.to_owned())
            }
            Some("/closed/items") => (403, String::new(), json!({ "error": { "message": "not yours" } }).to_string()),
            _ => ok(json!({ "value": [] })),
        })
    });
    let entity = "    table: items\n    alternate_key: number\n    read: { number: number }\n";
    let to = |url: &str, token: &str| format!("{{ url: \"{url}\", bearer: \"${{file:{token}.secret}}\" }}");
    let mut walk = Walk::new("odata", entity, false);
    walk.entity = "    table: itmes\n    alternate_key: number\n    read: { number: number }\n";
    walk.step("there is no such set", &to(&url, "right"), 1);
    walk.entity = entity;
    walk.step("the set may not be read", &to(&format!("{url}/closed"), "right"), 1);
    service(walk, &url, "right", to);
    let mut walk = Walk::new("odata that is written", TABLE, true);
    walk.step("all is well", &to(&url, "right"), 0);
    walk.end();
}

#[test]
fn dataverse() {
    let entity =
        "    table: account\n    alternate_key: accountnumber\n    write: { accountnumber: number, name: name }\n";
    let mut walk = Walk::new("dataverse", entity, true);
    let dynamics = walk.world.url.clone();
    // A stranger, and what is ill, stand before the local Dynamics.
    let (front, _) = serve(move |asked| {
        let of = |token: &str| {
            let content = asked.header("content-type");
            forwarded(&dynamics, asked, &format!("Authorization: {token}\r\nContent-Type: {content}\r\n"))
        };
        match asked.header("authorization") {
            "Bearer stranger" | "Bearer ill" => refused(asked).unwrap(),
            // A role that may only read, and that sees the rows of its own business unit.
            "Bearer clerk" if asked.path.contains("RetrieveUserPrivileges") => {
                let (status, headers, body) = of(&format!("Bearer {TOKEN}"));
                let mut roles: Json = serde_json::from_str(&body).unwrap();
                let privileges = roles["RolePrivileges"].as_array_mut().unwrap();
                privileges.retain(|one| one["PrivilegeName"].as_str().unwrap().starts_with("prvRead"));
                privileges.iter_mut().for_each(|one| one["Depth"] = json!("Local"));
                (status, headers, roles.to_string())
            }
            "Bearer clerk" => of(&format!("Bearer {TOKEN}")),
            token => of(token),
        }
    });
    let to = |url: &str, token: &str| format!("{{ url: \"{url}\", token: \"${{file:{token}.secret}}\" }}");
    walk.entity =
        "    table: acount\n    alternate_key: accountnumber\n    write: { accountnumber: number, name: name }\n";
    walk.step("there is no such table", &to(&front, TOKEN), 1);
    walk.entity = entity;
    walk.step("the role may only read", &to(&front, "clerk"), 1);
    let entity =
        "    table: account\n    alternate_key: accountnumber\n    read: { number: accountnumber, name: name }\n";
    let mut read = Walk::new("dataverse that is read", entity, false);
    read.step("all is well", &to(&front, TOKEN), 0);
    read.step("the role sees a part of the rows", &to(&front, "clerk"), 1);
    read.end();
    service(walk, &front, TOKEN, to);
}

/// What another server answers to the same request.
fn forwarded(to: &str, asked: &crate::services::Asked, headers: &str) -> crate::services::Answer {
    use std::io::{Read, Write};
    let address = to.trim_start_matches("http://");
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    let (method, path, body) = (&asked.method, &asked.path, &asked.body);
    let length = body.len();
    write!(stream, "{method} {path} HTTP/1.0\r\nHost: {address}\r\n{headers}Content-Length: {length}\r\n\r\n{body}")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let content = head.lines().find(|line| line.to_lowercase().starts_with("content-type:")).unwrap_or_default();
    let content = if content.is_empty() { String::new() } else { format!("{content}\r\n") };
    (status, content, body.to_owned())
}
