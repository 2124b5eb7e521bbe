//! The number that an ERP gives, on its way home: when it is told once, when home is closed, when several are told.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value as Json, json};

use crate::services::{Answer, Asked, ok, serve};
use crate::stage::Stage;
use crate::support::http_with;

const SHOP: &str = "system: shop
kind: rest
owner: finance-it
connection: { url: \"URL\", timeout: 2 seconds }
webhooks: { header: x-hub-key, keys: [\"${env:HOOK_KEY}\"] }
entities:
  order:
    get: GET /shop/{number}
    update: PATCH /shop/{number}
    alternate_key: no
    columns: { no: text, total: decimal, erp: text }
    read: { number: no, total: total }
    write: { no: number, erp: erp_number }
";

const ERP: &str = "system: erp
kind: rest
owner: finance-it
connection: { url: \"URL\", timeout: 2 seconds }
entities:
  order:
    create:  POST /things
    update:  PUT /things/{erp_number}
    exists:  GET /things?ref={number}
    alternate_key: ref
    write:   { ref: number, total: total }
    returns: { erp_number: id }
";

const ORDER: &str = "entity: order
key: number
fields:
  number:     { type: text, max_length: 20 }
  total:      { type: decimal, scale: 2 }
  erp_number: { type: text, max_length: 30, master: erp }
";

const EVENTS: &str = "integration: buyers
pattern: event
entity: order
from: shop
to: [erp]
trigger: { rows: [created, updated] }
write_back: [erp_number]
sweep: off
without_sweep_because: A test.
because: The ERP ships within the minute.
owner: finance-it
purpose: A test.
";

/// What the shop and the ERP have.
#[derive(Default)]
struct There {
    shop: BTreeMap<String, Json>,
    /// The ERP's rows, their number being their place.
    things: Vec<Json>,
    /// What was created, by the key of the request.
    keys: BTreeMap<String, usize>,
    /// The shop takes nothing.
    closed: bool,
    /// Somebody deletes each order in the moment before it is written to.
    deletes: bool,
    /// The shop knows no order that it is to change.
    denies: bool,
    /// How often somebody wrote to the shop.
    written: usize,
}

impl There {
    fn answer(&mut self, asked: &Asked) -> Answer {
        let body = || serde_json::from_str::<Json>(&asked.body).unwrap();
        let last = asked.path.rsplit(['/', '=']).next().unwrap_or_default().to_owned();
        match (asked.method.as_str(), asked.path.starts_with("/shop/")) {
            ("GET", true) => self.shop.get(&last).map_or((404, String::new(), String::new()), |row| ok(row.clone())),
            (_, true) if self.closed => (503, String::new(), "closed".to_owned()),
            (_, true) if self.denies => (404, String::new(), "no such order".to_owned()),
            (_, true) if self.deletes => {
                self.shop.remove(&last);
                (404, String::new(), String::new())
            }
            (_, true) => {
                self.written += 1;
                let row = self.shop.get_mut(&last).unwrap();
                row["erp"] = body()["erp"].clone();
                ok(row.clone())
            }
            ("GET", false) => {
                let found = self.things.iter().enumerate().filter(|(_, row)| row["ref"] == last.as_str());
                ok(json!(found.map(|(at, row)| json!({ "id": at, "ref": row["ref"] })).collect::<Vec<_>>()))
            }
            ("POST", false) => {
                let key = asked.header("idempotency-key").to_owned();
                let at = *self.keys.entry(key).or_insert(self.things.len());
                if at == self.things.len() {
                    self.things.push(body());
                }
                (201, String::new(), json!({ "id": at }).to_string())
            }
            // It says its number once, when a row is made.
            (_, false) => {
                self.things[last.parse::<usize>().unwrap()] = body();
                (204, String::new(), String::new())
            }
        }
    }
}

/// A shop whose orders go to an ERP; neither has a row.
struct Street {
    stage: Stage,
    there: Arc<Mutex<There>>,
}

impl Street {
    fn new(events: &str) -> Street {
        let there: Arc<Mutex<There>> = Arc::default();
        let of = there.clone();
        let (url, _) = serve(move |asked| of.lock().unwrap().answer(asked));
        let stage = Stage::unregistered(events);
        let write = |file: &str, text: &str| std::fs::write(stage.world.dir.join(file), text).unwrap();
        write("systems/shop.yaml", &SHOP.replace("URL", &url));
        write("systems/erp.yaml", &ERP.replace("URL", &url));
        write("entities/order.yaml", ORDER);
        Street { stage, there }
    }

    fn there(&self) -> MutexGuard<'_, There> {
        self.there.lock().unwrap()
    }

    /// Somebody saves an order in the shop.
    fn save(&self, number: &str, total: u32) {
        let row = {
            let mut there = self.there();
            let row = there.shop.entry(number.to_owned()).or_insert(json!({ "no": number, "erp": null }));
            row["total"] = json!(total);
            row.clone()
        };
        self.tell(&row);
    }

    fn tell(&self, row: &Json) {
        let url = format!("http://{}", self.stage.address);
        assert_eq!(http_with(&url, "POST", "/webhooks/buyers", "x-hub-key: local-key\r\n", &row.to_string()), "");
    }

    fn erp_number(&self, number: &str) -> Option<String> {
        self.there().shop[number]["erp"].as_str().map(str::to_owned)
    }

    fn totals(&self) -> Vec<f64> {
        self.there().things.iter().map(|row| row["total"].as_f64().unwrap()).collect()
    }

    fn letters(&self) -> Vec<Json> {
        self.stage.json(&["dead-letters", "list"]).as_array().unwrap().clone()
    }
}

#[test]
fn a_number_that_is_told_once_is_not_missed_when_the_row_changes() {
    // With a question that tells it again, and with none.
    for asks in [true, false] {
        let mut street = Street::new(EVENTS);
        if !asks {
            let (from, to) = ("exists:  GET /things?ref={number}", "idempotency_key: Idempotency-Key");
            street.stage.world.edit("systems/erp.yaml", from, to);
        }
        street.stage.start();
        street.save("O-1", 10);
        street.stage.until("the number", || street.erp_number("O-1").as_deref() == Some("0"));
        street.save("O-1", 20);
        street.stage.until("the change", || street.totals() == [20.0] && street.stage.waiting_for("erp") == 0);
        assert_eq!((street.letters(), street.there().written), (Vec::new(), 1), "asks: {asks}");
        // Somebody takes it away at home: it is written once more, with the next change.
        street.there().shop.get_mut("O-1").unwrap()["erp"] = Json::Null;
        street.save("O-1", 30);
        street.stage.until("the number again", || street.erp_number("O-1").as_deref() == Some("0"));
        assert_eq!(street.letters(), Vec::<Json>::new());
    }
}

/// The ERP cannot be asked, and the order changes before its number is home: what it answered is not forgotten.
#[test]
fn an_order_is_not_made_twice_while_home_is_closed() {
    let mut street = Street::new(EVENTS);
    street.stage.world.edit(
        "systems/erp.yaml",
        "exists:  GET /things?ref={number}",
        "idempotency_key: Idempotency-Key",
    );
    street.there().closed = true;
    street.stage.start();
    street.save("O-1", 10);
    street.stage.until("the order", || street.totals() == [10.0]);
    street.stage.until("the outage", || street.stage.say(&["status"]).contains("shop down since"));
    let told = street.stage.say(&["trace", "order", "O-1"]);
    assert!(told.contains("`erp` has the row, and its number did not come home: `shop` takes nothing"), "{told}");
    street.there().shop.get_mut("O-1").unwrap()["total"] = json!(20);
    street.there().closed = false;
    street.stage.until("the number", || street.erp_number("O-1").as_deref() == Some("0"));
    street.stage.until("quiet", || street.stage.waiting_for("erp") == 0);
    assert_eq!(street.totals(), [20.0]);
}

#[test]
fn a_destination_that_gives_no_number_owes_none() {
    let mut street = Street::new(&EVENTS.replace("to: [erp]", "to: [erp, warehouse]"));
    let held =
        "  order:\n    table: buyers\n    alternate_key: code\n    write: { code: number, money: total }\n  customer:";
    street.stage.world.edit("systems/warehouse.yaml", "  customer:", held);
    street.stage.start();
    street.save("O-1", 10);
    street.stage.until("the number", || street.erp_number("O-1").as_deref() == Some("0"));
    street.stage.until("both", || street.stage.texts("SELECT code || ' ' || money FROM buyers") == ["O-1 10"]);
    street.stage.until("quiet", || street.stage.waiting() + street.stage.waiting_for("erp") == 0);
    assert_eq!(street.letters(), Vec::<Json>::new());
    // Where none gives it, nobody would.
    street.stage.world.edit("systems/erp.yaml", "    returns: { erp_number: id }\n", "    returns: { }\n");
    street.stage.world.edit("systems/erp.yaml", "PUT /things/{erp_number}", "PUT /things/{number}");
    let said = street.stage.run(&["check"]);
    assert!(said.code == Some(2) && said.err.contains("no destination returns it"), "{said:#?}");
    assert!(said.err.contains("say in systems/erp.yaml where its answer has it"), "{said:#?}");
}

#[test]
fn a_number_comes_home_of_what_was_delivered_before_anybody_wanted_it_and_through_a_formula() {
    let mut street = Street::new(&EVENTS.replace("write_back: [erp_number]\n", ""));
    street.stage.start();
    street.save("O-1", 10);
    street.stage.until("the order", || street.totals() == [10.0] && street.stage.waiting_for("erp") == 0);
    street.stage.kill();
    street.stage.world.edit("integrations/buyers.yaml", "sweep: off", "write_back: [erp_number]\nsweep: off");
    street.stage.world.edit("systems/shop.yaml", "erp: erp_number }", "erp: '=\"E-\" & erp_number' }");
    street.stage.start();
    street.save("O-1", 10);
    street.stage.until("the number", || street.erp_number("O-1").as_deref() == Some("E-0"));
    // From then on an event that says nothing new does nothing.
    street.save("O-1", 10);
    street.stage.until("quiet", || street.stage.waiting_for("erp") == 0);
    assert_eq!((street.totals(), street.there().written), (vec![10.0], 1));
    let told = street.stage.say(&["trace", "order", "O-1"]);
    assert!(told.contains("erp_number = 0"), "{told}");
}

/// Nothing misses the number of an order that is not there any more.
#[test]
fn an_order_that_is_deleted_just_before_its_number_comes_home_is_not_missed() {
    let mut street = Street::new(EVENTS);
    street.there().deletes = true;
    street.stage.start();
    street.save("O-1", 10);
    street.stage.until("the order", || street.totals() == [10.0] && street.stage.waiting_for("erp") == 0);
    assert_eq!((street.letters(), street.there().shop.len()), (Vec::new(), 0));
    // One that is there all the same is missed.
    street.there().denies = true;
    street.save("O-2", 20);
    let told = || street.stage.say(&["trace", "order", "O-2"]);
    let expected = "`erp` has the row, and its number did not come home: the row was deleted meanwhile";
    street.stage.until("what is wrong", || told().contains(expected) && told().contains("no such order"));
}
