//! Money, dates, owners and states on their way into Dynamics, as the Web API keeps them; and back again unchanged.

use serde_json::{Value as Json, json};

use crate::support::{World, http};

const ENTITY: &str = "
entity: deal
key: number
fields:
  number:   { type: text, max_length: 20 }
  name:     { type: text, max_length: 100 }
  amount:   { type: money, currency: =currency }
  currency: { type: text, max_length: 3 }
  team:     { type: text, max_length: 50 }
  due:      { type: date }
  seen:     { type: datetime }
  opens:    { type: datetime }
  closed:   { type: yes_no }
";

const FINANCE: &str = "
system: finance
kind: sqlite
owner: finance-it
connection: { file: data/finance.db }
time_zone: America/New_York
entities:
  deal:
    table: deals
    read:
      number: deal_no
      name: name
      amount: amount
      currency: currency
      team: team
      due: due
      seen: seen
      opens: opens
      closed: closed
";

const WRITES: &str = "  deal:
    table: account
    alternate_key: accountnumber
    write:
      accountnumber: number
      name: name
      creditlimit: amount
      transactioncurrencyid: '=Row(\"transactioncurrency\", {isocurrencycode: currency})'
      ownerid: '=Row(\"team\", {name: team})'
      new_due: due
      new_seen: seen
      new_opens: opens
      statecode: '=If(closed, 1, 0)'
      statuscode: '=If(closed, 2, 1)'
";

const INTEGRATION: &str = "
integration: deals
pattern: batch
entity: deal
from: finance
to: dynamics
compare_live: every 1 second
drift: report
schedule: every 15 minutes
owner: finance-it
purpose: Deals (sample).
";

fn column(world: &World, name: &str, behaviour: &str, format: &str) {
    let body = json!({
        "@odata.type": "Microsoft.Dynamics.CRM.DateTimeAttributeMetadata", "SchemaName": name, "Format": format,
        "DateTimeBehavior": { "Value": behaviour },
    });
    let path = "/api/data/v9.2/EntityDefinitions(LogicalName='account')/Attributes";
    let answer = http(&world.url, "POST", path, &body.to_string());
    assert!(!answer.contains("\"error\""), "{answer}");
}

fn world() -> World {
    let world = World::new(1);
    for gone in ["integrations/customers.yaml", "entities/customer.yaml"] {
        std::fs::remove_file(world.dir.join(gone)).unwrap();
    }
    let _ = std::fs::remove_dir_all(world.dir.join("tests"));
    let write = |file: &str, text: &str| std::fs::write(world.dir.join(file), text.trim_start()).unwrap();
    write("entities/deal.yaml", ENTITY);
    write("systems/finance.yaml", FINANCE);
    write("integrations/deals.yaml", INTEGRATION);
    let system = format!(
        "system: dynamics\nkind: dataverse\nowner: crm-team\ntime_zone: Europe/London\n\
         connection: {{ url: \"{}\", token: \"${{file:dynamics.token}}\" }}\nentities:\n{WRITES}",
        world.url
    );
    write("systems/dynamics.yaml", &system);
    column(&world, "new_due", "DateOnly", "DateOnly");
    column(&world, "new_seen", "UserLocal", "DateAndTime");
    column(&world, "new_opens", "TimeZoneIndependent", "DateAndTime");
    world.sql(
        "DROP TABLE customers;
         CREATE TABLE deals (deal_no TEXT PRIMARY KEY, name TEXT, amount TEXT, currency TEXT, team TEXT, due TEXT,
           seen TEXT, opens TEXT, closed INTEGER);
         INSERT INTO deals VALUES
           ('D-1', 'Euros (sample)', '1234.50', 'EUR', 'Sales UK', '2026-03-29', '2026-07-01 20:30:00.75', '2026-07-01T12:00:00Z', 0),
           ('D-2', 'Pounds (sample)', '0.25', 'GBP', 'Sales UK', '2026-01-31', '2026-01-31T23:30:00-05:00', '2026-01-31 12:00:00', 1),
           ('D-3', 'Too fine (sample)', '1.125', 'GBP', 'Sales UK', NULL, NULL, NULL, 0),
           ('D-4', 'Nobody (sample)', '1', 'GBP', 'No such team', NULL, NULL, NULL, 0),
           ('D-5', 'No such money (sample)', '1', 'XXX', 'Sales UK', NULL, NULL, NULL, 0),
           ('D-6', 'An hour that is not (sample)', '1', 'GBP', 'Sales UK', NULL, '2026-03-08 02:30:00', NULL, 0);",
    );
    world
}

fn run(world: &World) -> Json {
    world.ironbridge(&["--format", "json", "run", "deals"]).json()
}

fn account(world: &World, number: &str) -> Json {
    let path = format!(
        "/api/data/v9.2/accounts(accountnumber='{number}')?$expand=transactioncurrencyid($select=isocurrencycode),owningteam($select=name)"
    );
    serde_json::from_str(&http(&world.url, "GET", &path, "")).unwrap()
}

#[test]
fn money_dates_owners_and_states_arrive_as_they_are() {
    let world = world();
    world.ironbridge(&["check", "--online"]).ok();
    // One euro is worth 0.8 of the organisation's own money.
    let euro =
        "/api/data/v9.2/transactioncurrencies?$filter=isocurrencycode%20eq%20'EUR'&$select=transactioncurrencyid";
    let page: Json = serde_json::from_str(&http(&world.url, "GET", euro, "")).unwrap();
    let id = page["value"][0]["transactioncurrencyid"].as_str().unwrap();
    http(&world.url, "PATCH", &format!("/api/data/v9.2/transactioncurrencies({id})"), r#"{"exchangerate": 1.25}"#);

    let plan = world.ironbridge(&["--format", "json", "plan", "deals"]).json();
    let first = run(&world);
    assert_eq!((&first["created"], &first["rejected"]), (&json!(2), &json!(4)), "{first:#}");
    assert_eq!((&plan["create"], &plan["reject"]), (&first["created"], &first["rejected"]), "{plan:#}");
    let letters = world.ironbridge(&["--format", "json", "dead-letters", "list"]).ok().json();
    let mut codes: Vec<(&str, &str)> =
        letters.as_array().unwrap().iter().map(|l| (l["key"].as_str().unwrap(), l["code"].as_str().unwrap())).collect();
    codes.sort_unstable();
    assert_eq!(codes, [("D-3", "IB0414"), ("D-4", "IB0515"), ("D-5", "IB0515"), ("D-6", "IB0415")], "{letters:#}");

    let d1 = account(&world, "D-1");
    assert_eq!(d1["creditlimit"].to_string().trim_end_matches('0'), "1234.5", "{d1:#}");
    assert_eq!(d1["creditlimit_base"].to_string().trim_end_matches('0'), "987.6", "{d1:#}");
    assert_eq!(d1["transactioncurrencyid"]["isocurrencycode"], "EUR", "{d1:#}");
    assert_eq!(d1["owningteam"]["name"], "Sales UK", "{d1:#}");
    assert!(d1["_owninguser_value"].is_null(), "{d1:#}");
    // A date is a date, wherever people are; a moment is in UTC; a time on the wall is that of London.
    assert_eq!(d1["new_due"], "2026-03-29", "{d1:#}");
    assert_eq!(d1["new_seen"], "2026-07-02T00:30:00Z", "{d1:#}");
    assert_eq!(d1["new_opens"], "2026-07-01T13:00:00Z", "{d1:#}");
    assert_eq!((&d1["statecode"], &d1["statuscode"]), (&json!(0), &json!(1)), "{d1:#}");
    let d2 = account(&world, "D-2");
    assert_eq!(d2["creditlimit"].to_string().trim_end_matches('0'), "0.25", "{d2:#}");
    assert_eq!(d2["new_seen"], "2026-02-01T04:30:00Z", "{d2:#}");
    assert_eq!(d2["new_opens"], "2026-01-31T17:00:00Z", "{d2:#}");
    assert_eq!((&d2["statecode"], &d2["statuscode"]), (&json!(1), &json!(2)), "{d2:#}");

    // What is there is what is wanted: nothing differs when it is compared, or when nothing is remembered.
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    world.reset_stats();
    let compared = run(&world);
    assert!(compared["rejected_by_code"].get("IB0708").is_none(), "{compared:#}");
    world.ironbridge(&["state", "reset", "deals"]).ok();
    let again = run(&world);
    assert_eq!((&again["updated"], &again["created"]), (&json!(0), &json!(0)), "{again:#}");
    assert_eq!(world.rows_written(), 0);

    // A closed row takes a change all the same, and another currency takes its amount along.
    world.sql("UPDATE deals SET currency = 'EUR', amount = '10', name = 'Now euros (sample)' WHERE deal_no = 'D-2'");
    world.sql("UPDATE deals SET closed = 1 WHERE deal_no = 'D-1'");
    let changed = run(&world);
    assert_eq!(changed["updated"], 2, "{changed:#}");
    let d2 = account(&world, "D-2");
    assert_eq!(d2["creditlimit_base"].to_string().trim_end_matches('0').trim_end_matches('.'), "8", "{d2:#}");
    assert_eq!(d2["statecode"], 1, "{d2:#}");
    assert_eq!(account(&world, "D-1")["statecode"], 1);
}

#[test]
fn a_wall_clock_without_a_place_asks_for_one_and_what_has_no_state_is_not_deactivated() {
    let world = world();
    world.edit("systems/dynamics.yaml", "time_zone: Europe/London\n", "");
    let plan = world.ironbridge(&["--format", "json", "plan", "deals"]).json();
    assert_eq!(plan["create"], 0, "{plan:#}");
    let run = run(&world);
    assert_eq!(run["created"], 0, "{run:#}");
    let letters = world.ironbridge(&["--format", "json", "dead-letters", "list", "--code", "IB0415"]).ok().json();
    let asks = |letter: &Json| letter["do"].as_str().is_some_and(|fix| fix.contains("add `time_zone:`"));
    assert!(letters.as_array().unwrap().iter().any(asks), "{letters:#}");

    // A table without a state: said before a row is read.
    world.edit("systems/dynamics.yaml", "table: account", "table: uom");
    world.edit("systems/dynamics.yaml", "alternate_key: accountnumber", "alternate_key: name");
    let text = std::fs::read_to_string(world.dir.join("systems/dynamics.yaml")).unwrap();
    let rules = text.split("    write:\n").next().unwrap();
    std::fs::write(world.dir.join("systems/dynamics.yaml"), format!("{rules}    write:\n      name: number\n"))
        .unwrap();
    world.edit("integrations/deals.yaml", "schedule:", "deletes: deactivate\nschedule:");
    let key = json!({ "SchemaName": "new_NameKey", "KeyAttributes": ["name"] }).to_string();
    let answer = http(&world.url, "POST", "/api/data/v9.2/EntityDefinitions(LogicalName='uom')/Keys", &key);
    assert!(!answer.contains("\"error\""), "{answer}");
    let said = world.ironbridge(&["check", "--online"]).fails(1, "IB0706");
    assert!(said.err.contains("cannot be deactivated") && said.err.contains("statecode"), "{said:#?}");
    world.ironbridge(&["run", "deals"]).fails(1, "IB0706");
}

#[test]
fn an_amount_may_have_the_digits_of_its_currency() {
    let world = world();
    let money = |name: &str, source: u8| {
        let label = json!({ "LocalizedLabels": [{ "Label": name, "LanguageCode": 1033 }] });
        let body = json!({
            "@odata.type": "Microsoft.Dynamics.CRM.MoneyAttributeMetadata", "SchemaName": name, "DisplayName": label,
            "Precision": 4, "PrecisionSource": source,
        });
        let path = "/api/data/v9.2/EntityDefinitions(LogicalName='account')/Attributes";
        let answer = http(&world.url, "POST", path, &body.to_string());
        assert!(!answer.contains("\"error\""), "{answer}");
    };
    money("new_amount", 2);
    money("new_price", 1);
    let yen = json!({ "currencyname": "Yen", "isocurrencycode": "JPY", "currencysymbol": "Y", "currencyprecision": 0, "exchangerate": 150 });
    http(&world.url, "POST", "/api/data/v9.2/transactioncurrencies", &yen.to_string());
    world.edit("systems/dynamics.yaml", "creditlimit: amount", "new_amount: amount");
    world.edit("integrations/deals.yaml", "compare_live: every 1 second\ndrift: report\n", "");
    world.sql(
        "DELETE FROM deals;
         INSERT INTO deals (deal_no, name, amount, currency, team) VALUES
           ('D-1', 'Pounds (sample)', '1.25', 'GBP', 'Sales UK'), ('D-2', 'Too fine for pounds (sample)', '1.125', 'GBP', 'Sales UK'),
           ('D-3', 'Yen (sample)', '120', 'JPY', 'Sales UK'), ('D-4', 'Too fine for yen (sample)', '120.5', 'JPY', 'Sales UK'),
           ('D-5', 'The same digits, of pounds (sample)', '120.5', 'GBP', 'Sales UK')",
    );
    let exact = |what: &str| {
        let plan = world.ironbridge(&["--format", "json", "plan", "deals"]).json();
        let run = run(&world);
        let of = |json: &Json, names: [&str; 3]| names.map(|name| json[name].clone());
        assert_eq!(
            of(&plan, ["create", "update", "reject"]),
            of(&run, ["created", "updated", "rejected"]),
            "{what}: {plan:#} {run:#}"
        );
        run
    };
    let first = exact("new rows");
    assert_eq!((&first["created"], &first["rejected"]), (&json!(3), &json!(2)), "{first:#}");
    let letters = world.ironbridge(&["--format", "json", "dead-letters", "list"]).ok().out;
    assert!(letters.contains("IB0414") && letters.contains("120.5") && letters.contains("JPY"), "{letters}");
    assert_eq!(account(&world, "D-1")["new_amount"].to_string().trim_end_matches('0'), "1.25");

    // Only the amount is sent: which currency the row has is asked for.
    world.sql("UPDATE deals SET amount = '121.5' WHERE deal_no = 'D-3'; UPDATE deals SET amount = '121.5' WHERE deal_no = 'D-5'");
    let changed = exact("changed rows");
    assert_eq!(
        (&changed["updated"], &changed["rejected"]),
        (&json!(1), &json!(1)),
        "D-3; the two from before are dead letters already: {changed:#}"
    );
    assert_eq!(
        account(&world, "D-3")["new_amount"].to_string().trim_end_matches(['0', '.']),
        "12",
        "120 yen as before"
    );

    // Prices have the digits of the organisation, and that is known before any row is read.
    world.edit("systems/dynamics.yaml", "new_amount: amount", "new_price: amount");
    let prices = exact("prices");
    assert_eq!(prices["rejected"], json!(1), "D-2 has three digits: {prices:#}");
}

/// A reason that is none of its state is refused each time, and the state alone is not sent where the reason stands there
/// already.
#[test]
fn a_state_takes_its_reason_along() {
    let world = world();
    run(&world);
    let file = world.dir.join("systems/dynamics.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("'=If(closed, 2, 1)'", "=1")).unwrap();
    world.sql("UPDATE deals SET closed = 1 WHERE deal_no = 'D-1'");
    for _ in 0..2 {
        run(&world);
        let letters = world.ironbridge(&["--format", "json", "dead-letters", "list"]).ok().json();
        let of_it = letters.as_array().unwrap().iter().find(|letter| letter["key"] == "D-1");
        assert_eq!(of_it.map(|letter| letter["code"].as_str().unwrap()), Some("IB0512"), "{letters:#}");
        let d1 = account(&world, "D-1");
        assert_eq!((&d1["statecode"], &d1["statuscode"]), (&json!(0), &json!(1)), "{d1:#}");
    }
}
