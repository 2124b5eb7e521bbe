//! Services that are spoken to over HTTP, through the whole hub: Business Central as OData has it, and an API with each
//! way from page to page.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use rusqlite::Connection;
use serde_json::{Value as Json, json};

use crate::support::{Said, World, answered};

/// One request, as it came.
pub struct Asked {
    pub method: String,
    pub path: String,
    /// Names in small letters.
    headers: BTreeMap<String, String>,
    pub body: String,
}

impl Asked {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// A parameter of the query, decoded.
    fn parameter(&self, name: &str) -> Option<String> {
        let (_, query) = self.path.split_once('?')?;
        let value = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?;
        let bytes = value.replace('+', " ");
        let mut parts = bytes.split('%');
        let mut out = parts.next()?.to_owned();
        for part in parts {
            out.push(char::from(u8::from_str_radix(&part[..2], 16).unwrap()));
            out.push_str(&part[2..]);
        }
        Some(out)
    }
}

/// A status, header lines with their ends, and a body.
pub type Answer = (u16, String, String);

pub fn ok(body: Json) -> Answer {
    (200, "Content-Type: application/json\r\n".to_owned(), body.to_string())
}

/// Answers until the process ends; each connection carries one request. Answers its address and what it was asked.
pub fn serve(answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (lines, answer) = (Arc::new(Mutex::new(Vec::new())), Arc::new(answer));
    let seen = lines.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (seen, answer) = (seen.clone(), answer.clone());
            std::thread::spawn(move || {
                let asked = asked(&stream)?;
                seen.lock().unwrap().push(format!("{} {}", asked.method, asked.path));
                let (status, headers, body) = answer(&asked);
                let length = body.len();
                let head =
                    format!("HTTP/1.1 {status} X\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n");
                (&stream).write_all(format!("{head}{body}").as_bytes()).ok()
            });
        }
    });
    (url, lines)
}

/// Passes requests on to the Dynamics at this address, each after something was done; answers its own address.
pub fn in_front_of(dynamics: &str, before: impl Fn(&Asked) + Send + Sync + 'static) -> String {
    let dynamics = dynamics.to_owned();
    let (url, _) = serve(move |asked| {
        before(asked);
        let headers: String = ["content-type", "prefer"]
            .iter()
            .filter(|name| !asked.header(name).is_empty())
            .map(|name| format!("{name}: {}\r\n", asked.header(name)))
            .collect();
        let (head, body) = answered(&dynamics, &asked.method, &asked.path, &headers, &asked.body);
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let kind = head.lines().find(|line| line.to_lowercase().starts_with("content-type:"));
        (status, kind.map_or_else(String::new, |kind| format!("{kind}\r\n")), body)
    });
    url
}

fn asked(stream: &TcpStream) -> Option<Asked> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let (method, path) = (line.split(' ').next()?.to_owned(), line.split(' ').nth(1)?.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim().split_once(": ") else { break };
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    let mut body = vec![0; headers.get("content-length").map_or(0, |length| length.parse().unwrap())];
    reader.read_exact(&mut body).ok()?;
    Some(Asked { method, path, headers, body: String::from_utf8(body).ok()? })
}

pub const CSDL: &str = r#"<?xml version="1.0" encoding="utf-8"?>
<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices>
 <Schema Namespace="Microsoft.NAV" xmlns="http://docs.oasis-open.org/odata/ns/edm">
  <EntityType Name="item"><Key><PropertyRef Name="id"/></Key>
   <Property Name="id" Type="Edm.Guid" Nullable="false"/><Property Name="number" Type="Edm.String" MaxLength="20"/>
   <Property Name="displayName" Type="Edm.String" MaxLength="100"/><Property Name="unitPrice" Type="Edm.Decimal" Scale="Variable"/>
   <Property Name="lastModifiedDateTime" Type="Edm.DateTimeOffset"/></EntityType>
  <EntityContainer Name="NAV"><EntitySet Name="items" EntityType="Microsoft.NAV.item"/></EntityContainer>
 </Schema></edmx:DataServices></edmx:Edmx>"#;

/// Items as Business Central keeps them: by a GUID of its own, with an ETag and the time of their last change.
#[derive(Default)]
struct Central {
    items: BTreeMap<String, Json>,
    changes: u32,
    tokens: u32,
    /// Answers the next page with 429.
    busy: bool,
    /// Takes the next batch, and loses the answer.
    loses: bool,
}

impl Central {
    fn put(&mut self, id: &str, columns: &Json) {
        self.changes += 1;
        let changes = self.changes;
        let item = self.items.entry(id.to_owned()).or_insert_with(|| json!({ "id": id }));
        for (name, value) in columns.as_object().unwrap() {
            item[name] = value.clone();
        }
        item["@odata.etag"] = json!(format!("W/\"{changes}\""));
        item["lastModifiedDateTime"] = json!(format!("2026-01-01T00:00:{changes:02}.000Z"));
    }

    fn answer(&mut self, asked: &Asked, url: &str) -> Answer {
        if asked.path == "/token" {
            assert!(asked.body.contains("grant_type=client_credentials") && asked.body.contains("client_id=hub"));
            self.tokens += 1;
            return ok(
                json!({ "token_type": "Bearer", "expires_in": 3600, "access_token": format!("t{}", self.tokens) }),
            );
        }
        // The first token ends before its time.
        if self.tokens < 2 || asked.header("authorization") != format!("Bearer t{}", self.tokens) {
            return (401, String::new(), String::new());
        }
        let path = asked.path.split('?').next().unwrap();
        match (asked.method.as_str(), path) {
            ("GET", "/v2.0/$metadata") => (200, "Content-Type: application/xml\r\n".into(), CSDL.to_owned()),
            ("GET", "/v2.0/items") if std::mem::take(&mut self.busy) => {
                (429, "Retry-After: 1\r\n".into(), String::new())
            }
            ("GET", "/v2.0/items") => self.page(asked, url),
            ("POST", "/v2.0/$batch") => {
                let answer = self.batch(asked);
                if std::mem::take(&mut self.loses) { (502, String::new(), String::new()) } else { answer }
            }
            _ => (
                404,
                String::new(),
                json!({ "error": { "code": "BadRequest_NotFound", "message": asked.path } }).to_string(),
            ),
        }
    }

    fn page(&self, asked: &Asked, url: &str) -> Answer {
        let filter = asked.parameter("$filter").unwrap_or_default();
        let filter = filter.trim_matches(['(', ')']);
        let since = filter.strip_prefix("lastModifiedDateTime ge ").unwrap_or_default().to_owned();
        let all: Vec<&Json> =
            self.items.values().filter(|item| *item["lastModifiedDateTime"].as_str().unwrap() >= *since).collect();
        let skip: usize = asked.parameter("$skiptoken").map_or(0, |text| text.parse().unwrap());
        let mut page = json!({ "value": all.iter().skip(skip).take(2).collect::<Vec<_>>() });
        if all.len() > skip + 2 {
            let before = asked.path.split("&$skiptoken").next().unwrap();
            page["@odata.nextLink"] = json!(format!("{url}{before}&$skiptoken={}", skip + 2));
        }
        ok(page)
    }

    fn batch(&mut self, asked: &Asked) -> Answer {
        let boundary = asked.header("content-type").split("boundary=").nth(1).unwrap().trim_matches('"');
        let mut out = String::new();
        for part in asked.body.split(&format!("--{boundary}")).filter(|part| part.contains("HTTP/1.1")) {
            let request = part.split_once("\r\n\r\n").unwrap().1;
            let (head, body) = request.split_once("\r\n\r\n").unwrap();
            let mut words = head.split(' ');
            let (method, target) = (words.next().unwrap().trim(), words.next().unwrap());
            let columns: Json = serde_json::from_str(body.trim()).unwrap_or_default();
            let id = target.split_once('(').map(|(_, id)| id.trim_end_matches(')').to_owned());
            let (status, answer) = match (method, id) {
                ("POST", _) => {
                    let id = format!("00000000-0000-0000-0000-{:012}", self.changes + 1);
                    self.put(&id, &columns);
                    ("201 Created", self.items[&id].to_string())
                }
                ("PATCH", Some(id))
                    if head.contains("If-Match: *")
                        || head.contains(self.items[&id]["@odata.etag"].as_str().unwrap()) =>
                {
                    self.put(&id, &columns);
                    ("200 OK", self.items[&id].to_string())
                }
                ("PATCH", Some(_)) => ("412 Precondition Failed", String::new()),
                other => panic!("{other:?}"),
            };
            out += &format!(
                "--a\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 {status}\r\nContent-Type: application/json\r\n\r\n{answer}\r\n"
            );
        }
        (200, "Content-Type: multipart/mixed; boundary=a\r\n".to_owned(), format!("{out}--a--\r\n"))
    }
}

/// A project of one entity, from a system to another, with a shop in SQLite.
pub fn project(entity: &str, from: &str, to: &str, systems: &[(&str, &str)]) -> World {
    let world = World::new(0);
    let write = |file: &str, text: &str| std::fs::write(world.dir.join(file), text).unwrap();
    write("entities/item.yaml", entity);
    for (name, text) in systems {
        write(&format!("systems/{name}.yaml"), text);
    }
    let integration = format!(
        "integration: items\npattern: batch\nentity: item\nfrom: {from}\nto: {to}\nschedule: every 15 minutes\nowner: finance-it\npurpose: The shop has what can be sold.\n"
    );
    write("integrations/items.yaml", &integration);
    world
}

pub const ITEM: &str = "\
entity: item
key: number
fields:
  number: { type: text, max_length: 20 }
  name: { type: text, max_length: 100 }
  price: { type: decimal, scale: 2 }
  changed_at: { type: datetime }
";

pub const SHOP: &str = "\
system: shop
kind: sqlite
owner: finance-it
connection: { file: shop.db }
entities:
  item:
    table: items
    alternate_key: number
    read: { number: number, name: name, price: price }
    write: { number: number, name: name, price: price }
";

pub fn shop(world: &World, sql: &str) -> Vec<String> {
    let connection = Connection::open(world.dir.join("shop.db")).unwrap();
    let make = "CREATE TABLE IF NOT EXISTS items (number TEXT PRIMARY KEY, name TEXT, price DECIMAL(14,2))";
    connection.execute_batch(&format!("{make}; {sql}")).unwrap();
    let mut rows =
        connection.prepare("SELECT number || ' ' || name || ' ' || price FROM items ORDER BY number").unwrap();
    rows.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

fn run(world: &World) -> Said {
    world.ironbridge(&["--format", "json", "run", "items"])
}

fn counts(world: &World) -> [u64; 4] {
    let run = run(world).ok().json();
    ["read", "created", "updated", "unchanged"].map(|name| run[name].as_u64().unwrap_or_else(|| panic!("{run:#}")))
}

/// What was sent, body by body.
type Bodies = Arc<Mutex<Vec<String>>>;

/// Business Central, for both directions.
fn central(to_central: bool) -> (World, Arc<Mutex<Central>>, Bodies) {
    let state = Arc::new(Mutex::new(Central::default()));
    let (inner, at) = (state.clone(), Arc::new(Mutex::new(String::new())));
    let own = at.clone();
    let (url, lines) = serve(move |asked| inner.lock().unwrap().answer(asked, &own.lock().unwrap()));
    at.lock().unwrap().clone_from(&url);
    let bc = format!(
        "system: bc\nkind: odata\nowner: finance-it\nconnection:\n  url: {url}/v2.0\n  page_rows: 2\n  oauth: {{ token_url: \"{url}/token\", client_id: hub, client_secret: \"${{file:bc.secret}}\" }}\n\
         entities:\n  item:\n    table: items\n    alternate_key: number\n    watermark: {{ column: lastModifiedDateTime, overlap: 0 seconds }}\n    \
         read: {{ number: number, name: displayName, price: unitPrice, changed_at: lastModifiedDateTime }}\n    write: {{ number: number, displayName: name, unitPrice: price }}\n"
    );
    let (from, to) = if to_central { ("shop", "bc") } else { ("bc", "shop") };
    let world = project(ITEM, from, to, &[("bc", &bc), ("shop", SHOP)]);
    std::fs::write(world.dir.join("bc.secret"), "sample").unwrap();
    (world, state, lines)
}

#[test]
fn items_of_business_central_reach_the_shop() {
    let (world, state, lines) = central(false);
    shop(&world, "");
    for number in 1..=5 {
        let columns = json!({ "number": format!("I-{number}"), "displayName": "Nail", "unitPrice": 0.1 });
        state.lock().unwrap().put(&format!("id-{number}"), &columns);
    }
    world.ironbridge(&["check", "--online"]).ok();
    let systems = world.ironbridge(&["systems", "check", "bc"]).ok();
    assert!(systems.out.contains("ready") && systems.out.contains("OData 4.0"), "{systems:?}");
    state.lock().unwrap().busy = true;
    assert_eq!(counts(&world), [5, 5, 0, 0], "a token that ended, a busy service, three pages");
    assert_eq!(shop(&world, "")[4], "I-5 Nail 0.1");
    state.lock().unwrap().put("id-3", &json!({ "displayName": "Nail, long" }));
    lines.lock().unwrap().clear();
    assert_eq!(counts(&world)[2], 1);
    let asked = lines.lock().unwrap().join("\n");
    assert!(asked.contains("lastModifiedDateTime%20ge%20202"), "{asked}");
    assert!(!asked.contains("skiptoken"), "only what changed is sent: {asked}");
    assert_eq!(shop(&world, "")[2], "I-3 Nail, long 0.1");
}

#[test]
fn items_of_the_shop_reach_business_central_once() {
    let (world, state, lines) = central(true);
    shop(&world, "INSERT INTO items VALUES ('I-1', 'Nail', 0.10), ('I-2', 'Screw', 12.5), ('I-3', 'Bolt', 7)");
    state.lock().unwrap().loses = true;
    world.ironbridge(&["check", "--online"]).ok();
    // The answer of the batch is lost: it is asked about, and no item is made twice.
    let run = run(&world).ok().json();
    assert_eq!(run["read"], 3, "{run:#}");
    let items = |state: &Central| -> Vec<String> {
        state
            .items
            .values()
            .map(|item| format!("{} {} {}", item["number"], item["displayName"], item["unitPrice"]))
            .collect()
    };
    assert_eq!(items(&state.lock().unwrap()), ["\"I-1\" \"Nail\" 0.1", "\"I-2\" \"Screw\" 12.5", "\"I-3\" \"Bolt\" 7"]);
    assert_eq!(counts(&world)[1..3], [0, 0], "again: nothing is written");
    shop(&world, "UPDATE items SET price = 8 WHERE number = 'I-3'");
    lines.lock().unwrap().clear();
    assert_eq!(counts(&world)[2], 1);
    assert_eq!(items(&state.lock().unwrap())[2], "\"I-3\" \"Bolt\" 8");
    let batches = lines.lock().unwrap().iter().filter(|line| line.contains("$batch")).count();
    assert_eq!(batches, 1, "{lines:?}");
}

/// An API with one list and four ways from page to page; it knows whether the list has changed.
fn api(items: Arc<Mutex<Vec<Json>>>) -> (String, Arc<Mutex<Vec<String>>>) {
    serve(move |asked| {
        let items = items.lock().unwrap();
        let etag = format!("\"{}\"", items.len());
        if asked.header("if-none-match") == etag {
            return (304, String::new(), String::new());
        }
        let number = |name: &str| asked.parameter(name).and_then(|text| text.parse::<usize>().ok());
        let way = asked.path.trim_start_matches('/').split('?').next().unwrap();
        let from = match way {
            "page" => (number("page").unwrap() - 1) * 2,
            _ => number("at").unwrap_or(0),
        };
        let mut body = json!({ "data": items.iter().skip(from).take(2).collect::<Vec<_>>() });
        if items.len() > from + 2 {
            body["next"] = match way {
                "link" => json!(format!("/link?at={}", from + 2)),
                _ => json!((from + 2).to_string()),
            };
        }
        (200, format!("Content-Type: application/json\r\nETag: {etag}\r\n"), body.to_string())
    })
}

#[test]
fn each_way_from_page_to_page_reads_every_row() {
    for (way, paging) in [
        ("link", "next: next"),
        ("cursor", "cursor: { path: next, parameter: at }"),
        ("page", "page: { parameter: page }"),
        ("offset", "offset: { parameter: at }"),
    ] {
        let item = |number: u32| json!({ "number": format!("I-{number}"), "name": "Nail", "price": 0.1 });
        let items = Arc::new(Mutex::new((1..=5).map(item).collect::<Vec<_>>()));
        let (url, lines) = api(items.clone());
        let rest = format!(
            "system: api\nkind: rest\nowner: finance-it\nconnection: {{ url: \"{url}\", requests_a_minute: 600 }}\n\
             entities:\n  item:\n    columns: {{ number: text, name: text, price: decimal }}\n    \
             list: {{ request: GET /{way}, rows: data, {paging}, size: {{ parameter: limit, rows: 2 }} }}\n    read: {{ number: number, name: name, price: price }}\n"
        );
        let entity = ITEM.replace("  changed_at: { type: datetime }\n", "");
        let world = project(&entity, "api", "shop", &[("api", &rest), ("shop", SHOP)]);
        shop(&world, "");
        world.ironbridge(&["check", "--online"]).ok();
        assert_eq!(counts(&world), [5, 5, 0, 0], "{way}");
        assert_eq!(shop(&world, "").len(), 5, "{way}");
        lines.lock().unwrap().clear();
        assert_eq!(counts(&world), [5, 0, 0, 5], "{way}");
        let asked = lines.lock().unwrap().clone();
        assert!(asked.len() >= 3, "{way}: an API that does not say what changed is read whole each time: {asked:?}");
        // On the first page, and behind the last one.
        items.lock().unwrap()[0]["price"] = json!(0.2);
        items.lock().unwrap().push(item(6));
        assert_eq!(counts(&world)[..3], [6, 1, 1], "{way}");
        assert_eq!(shop(&world, "")[0], "I-1 Nail 0.2", "{way}");
    }
}

#[test]
fn a_row_at_which_a_service_always_fails_holds_nobody_up() {
    let (is_down, taken) = (Arc::new(Mutex::new(true)), Arc::new(Mutex::new(Vec::new())));
    let (down, took) = (is_down.clone(), taken.clone());
    let (url, _) = serve(move |asked| {
        let row: Json = serde_json::from_str(&asked.body).unwrap_or_default();
        if *down.lock().unwrap() || row["no"] == "B" {
            return (500, String::new(), "{\"message\": \"NullPointerException\"}".to_owned());
        }
        took.lock().unwrap().push(row["no"].clone());
        ok(json!({ "id": row["no"] }))
    });
    let erp = format!(
        "system: erp\nkind: rest\nowner: finance-it\nconnection: {{ url: \"{url}\" }}\nentities:\n  item:\n    create: POST /items\n    update: PUT /items/{{id}}\n    idempotency_key: Idempotency-Key\n    returns: {{ id: id }}\n    alternate_key: no\n    write: {{ no: number, name: name, price: price }}\n"
    );
    let world = project(ITEM, "shop", "erp", &[("shop", SHOP), ("erp", &erp)]);
    shop(&world, "INSERT INTO items VALUES ('A', 'Anvil', 1), ('B', 'Bolt', 2), ('C', 'Clamp', 3)");
    let letters = || world.ironbridge(&["--format", "json", "dead-letters", "list"]).ok().json();
    // It fails at everything: that is no row's fault.
    let failed = run(&world).json();
    assert_eq!(failed["error"]["code"], "IB0508", "{failed:#}");
    assert_eq!(letters().as_array().unwrap().len(), 0);
    *is_down.lock().unwrap() = false;
    let second = run(&world).json();
    assert_eq!([&second["created"], &second["rejected"], &second["error"]], [&json!(2), &json!(1), &Json::Null]);
    assert_eq!(*taken.lock().unwrap(), ["A", "C"]);
    let told = letters();
    assert_eq!([&told[0]["key"], &told[0]["code"]], ["B", "IB0508"], "{told:#}");
    // The next row is not behind it.
    shop(&world, "INSERT INTO items VALUES ('D', 'Drill', 4)");
    assert_eq!(run(&world).json()["created"], 1);
}

#[test]
fn a_row_at_which_one_of_two_sides_always_fails_is_told_after_an_hour() {
    let items: Arc<Mutex<Vec<Json>>> = Arc::default();
    let (kept, fails) = (items.clone(), Arc::new(Mutex::new(true)));
    let still_fails = fails.clone();
    let (url, _) = serve(move |asked| {
        let mut kept = kept.lock().unwrap();
        let row: Json = serde_json::from_str(&asked.body).unwrap_or_default();
        match asked.method.as_str() {
            "POST" if row["number"] == "B" && *still_fails.lock().unwrap() => {
                return (500, String::new(), "{\"message\": \"Overflow\"}".to_owned());
            }
            "POST" => kept.push(row.clone()),
            _ => {
                let Some((_, wanted)) = asked.path.split_once("/items/") else { return ok(json!({ "data": *kept })) };
                return match kept.iter().find(|row| row["number"] == wanted) {
                    Some(row) => ok(row.clone()),
                    None => (404, String::new(), String::new()),
                };
            }
        }
        ok(row)
    });
    let api = format!(
        "system: api\nkind: rest\nowner: finance-it\nconnection: {{ url: \"{url}\" }}\nentities:\n  item:\n    columns: {{ number: text, name: text }}\n    list: {{ request: GET /items, rows: data }}\n    get: GET /items/{{number}}\n    exists: GET /items/{{number}}\n    create: POST /items\n    update: PATCH /items/{{number}}\n    alternate_key: number\n    both: {{ number: number, name: name }}\n"
    );
    let shop_yaml = "system: shop\nkind: sqlite\nowner: finance-it\nconnection: { file: shop.db }\nentities:\n  item:\n    table: items\n    alternate_key: number\n    both: { number: number, name: name }\n";
    let item = "entity: item\nkey: number\nfields:\n  number: { type: text, max_length: 20 }\n  name: { type: text, max_length: 100 }\n";
    let world = project(item, "shop", "api", &[("shop", shop_yaml), ("api", &api)]);
    world.edit(
        "integrations/items.yaml",
        "from: shop\nto: api",
        "between: [shop, api]\ncreates_in: [api]\nconflict: ask",
    );
    shop(&world, "INSERT INTO items VALUES ('A', 'Anvil', 1), ('B', 'Bolt', 2)");
    let letters = || world.ironbridge(&["--format", "json", "dead-letters", "list"]).ok().json();
    let first = run(&world).ok().json();
    assert_eq!((items.lock().unwrap().len(), letters().as_array().unwrap().len()), (1, 0), "{first:#}");
    let later = world.with_clock(&["--format", "json", "run", "items"], "", 3_700).json();
    let told = letters();
    assert_eq!([&told[0]["key"], &told[0]["code"]], ["B", "IB0508"], "{later:#} {told:#}");
    // It goes once it can, and nobody has to send it again.
    *fails.lock().unwrap() = false;
    let last = world.with_clock(&["--format", "json", "run", "items"], "", 3_800).json();
    assert_eq!((items.lock().unwrap().len(), letters().as_array().unwrap().len()), (2, 0), "{last:#}");
}
