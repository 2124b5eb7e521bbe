//! One entity that finance and Dynamics both change: the example of docs/guides/two-way.md, run for real.

use std::collections::BTreeMap;

use rusqlite::Connection;
use serde_json::{Value as Json, json};

use crate::support::{World, http, root};

/// The example's two systems, with nothing in them yet.
pub struct Pair {
    pub world: World,
}

/// A row as either system holds it: name, mail, credit, terms, in plain texts.
pub type Customer = [Option<String>; 4];

impl Pair {
    pub fn new() -> Pair {
        Pair::within(World::new(10))
    }

    /// The example, in the place of what this world's project has.
    pub fn within(world: World) -> Pair {
        for gone in ["integrations/customers.yaml", "entities/customer.yaml"] {
            std::fs::remove_file(world.dir.join(gone)).unwrap();
        }
        let _ = std::fs::remove_dir_all(world.dir.join("tests"));
        std::fs::remove_file(world.finance()).unwrap();
        let guide = std::fs::read_to_string(root().join("docs/guides/two-way.md")).unwrap();
        for block in guide.split("```").skip(1).step_by(2) {
            if let Some(file) = block.strip_prefix("yaml\n# ") {
                let (path, _) = file.split_once('\n').unwrap();
                let text = file.replace("http://127.0.0.1:7702", &world.url);
                std::fs::write(world.dir.join(path), format!("# {text}")).unwrap();
            }
            if let Some(sql) = block.strip_prefix("sql\n") {
                world.sql(sql);
            }
        }
        Pair { world }
    }

    /// With other words in the integration's file.
    pub fn with(from: &str, to: &str) -> Pair {
        let pair = Pair::new();
        pair.world.edit("integrations/customers-two-way.yaml", from, to);
        pair
    }

    pub fn sql(&self, sql: &str) {
        self.world.sql(sql);
    }

    pub fn client(&self, number: &str, name: &str, mail: &str, credit: &str, terms: &str) {
        let text = |text: &str| if text.is_empty() { "NULL".to_owned() } else { format!("'{text}'") };
        self.sql(&format!(
            "INSERT INTO clients (client_no, company, mail, credit, terms) VALUES ('{number}', '{name}', {}, {}, {})",
            text(mail),
            text(credit),
            text(terms)
        ));
    }

    /// Creates or changes an account by its number.
    pub fn account(&self, number: &str, columns: &Json) {
        let path = format!("/api/data/v9.2/accounts(accountnumber='{number}')");
        let answer = http(&self.world.url, "PATCH", &path, &columns.to_string());
        assert!(!answer.contains("\"error\""), "{answer}");
    }

    pub fn lose_account(&self, number: &str) {
        http(&self.world.url, "DELETE", &format!("/api/data/v9.2/accounts(accountnumber='{number}')"), "");
    }

    pub fn finance(&self) -> BTreeMap<String, Customer> {
        let conn = Connection::open(self.world.finance()).unwrap();
        let mut statement = conn.prepare("SELECT client_no, company, mail, credit, terms FROM clients").unwrap();
        let row = |row: &rusqlite::Row<'_>| {
            let text = |at| row.get::<_, Option<String>>(at).unwrap();
            Ok((text(0).unwrap(), [text(1), text(2), text(3).map(|money| plain(&money)), text(4)]))
        };
        statement.query_map([], row).unwrap().map(Result::unwrap).collect()
    }

    /// The accounts in finance's words.
    pub fn dynamics(&self) -> BTreeMap<String, Customer> {
        let terms = |code: Option<i64>| match code {
            None => None,
            Some(1) => Some("30".to_owned()),
            Some(4) => Some("60".to_owned()),
            Some(10) => Some("PP".to_owned()),
            Some(other) => panic!("terms {other}"),
        };
        let accounts = self.world.accounts().into_iter();
        accounts.map(|(number, a)| (number, [a.name, a.email, a.credit_limit, terms(a.terms)])).collect()
    }

    pub fn run(&self) -> Json {
        self.world.ironbridge(&["--format", "json", "run", "customers-two-way"]).json()
    }

    /// A run that ends well, and whose counts add up.
    pub fn good_run(&self) -> Json {
        let run = self.run();
        assert!(run["error"].is_null(), "{run:#}");
        let count = |name: &str| run[name].as_u64().unwrap();
        let ends = ["created", "updated", "deleted", "unchanged", "rejected", "skipped"];
        assert_eq!(count("read"), ends.iter().map(|name| count(name)).sum::<u64>(), "{run:#}");
        run
    }

    /// A further run writes nothing.
    pub fn rests(&self) {
        self.world.reset_stats();
        let before = self.finance();
        let run = self.good_run();
        assert_eq!(self.world.rows_written(), 0, "Dynamics is written again: {run:#}");
        assert_eq!(self.finance(), before, "finance is written again: {run:#}");
        assert_eq!(run["created"].as_u64().unwrap() + run["updated"].as_u64().unwrap(), 0, "{run:#}");
    }

    /// What a plan says, and then a run does: the same writes.
    pub fn planned_run(&self) -> Json {
        let plan = self.world.ironbridge(&["--format", "json", "plan", "customers-two-way"]).json();
        let run = self.good_run();
        for (planned, done) in
            [("create", "created"), ("update", "updated"), ("delete", "deleted"), ("reject", "rejected")]
        {
            assert_eq!(plan[planned], run[done], "{planned}: {plan:#}\n{run:#}");
        }
        plan
    }

    pub fn letters(&self) -> Vec<Json> {
        let letters = self.world.ironbridge(&["--format", "json", "dead-letters", "list", "customers-two-way"]).json();
        letters.as_array().unwrap().clone()
    }

    fn show(&self, id: &str) -> Json {
        self.world.ironbridge(&["--format", "json", "dead-letters", "show", id]).json()
    }
}

fn plain(number: &str) -> String {
    number.parse::<record::Decimal>().unwrap().normalize().to_string()
}

fn customer(name: &str, mail: &str, credit: &str, terms: &str) -> Customer {
    [name, mail, credit, terms].map(|text| Some(text.to_owned()).filter(|text| !text.is_empty()))
}

#[test]
fn each_side_gets_what_the_other_has_and_then_it_rests() {
    let pair = Pair::new();
    pair.world.ironbridge(&["check", "--online"]).ok();
    pair.client("C-1", "Only finance (sample)", "Bob@Sample.example", "1000.00", "30");
    pair.account(
        "C-2",
        &json!({"name": "Only Dynamics (sample)", "emailaddress1": "two@sample.example",
                                "creditlimit": 500, "paymenttermscode": 4}),
    );
    pair.client("C-3", "Both (sample)", "old@sample.example", "300", "PP");
    pair.account(
        "c-3",
        &json!({"name": "Both (sample)", "emailaddress1": "new@sample.example",
                                "creditlimit": 999, "paymenttermscode": 10}),
    );
    let plan = pair.planned_run();
    assert_eq!((&plan["create"], &plan["update"]), (&json!(2), &json!(2)), "{plan:#}");
    let finance = pair.finance();
    // Dynamics masters the address, finance the limit; a master that has never said anything takes nothing away.
    assert_eq!(finance["C-1"], customer("Only finance (sample)", "Bob@Sample.example", "1000", "30"));
    assert_eq!(finance["C-2"], customer("Only Dynamics (sample)", "two@sample.example", "", "60"));
    assert_eq!(finance["C-3"], customer("Both (sample)", "new@sample.example", "300", "PP"));
    let dynamics = pair.dynamics();
    assert_eq!(dynamics["C-1"], customer("Only finance (sample)", "", "1000", "30"));
    assert_eq!(dynamics["C-2"], customer("Only Dynamics (sample)", "two@sample.example", "500", "60"));
    assert_eq!(dynamics["c-3"], customer("Both (sample)", "new@sample.example", "300", "PP"));
    pair.rests();
    pair.rests();

    // One person on each side, two fields of one row: neither is in the other's way.
    pair.sql("UPDATE clients SET company = 'Renamed (sample)', credit = '750' WHERE client_no = 'C-3'");
    pair.account("C-3", &json!({"paymenttermscode": 1, "emailaddress1": "third@sample.example"}));
    pair.planned_run();
    let both = customer("Renamed (sample)", "third@sample.example", "750", "30");
    assert_eq!((&pair.finance()["C-3"], &pair.dynamics()["c-3"]), (&both, &both));
    pair.rests();

    // What is written on the wrong side does not last.
    pair.account("C-3", &json!({"creditlimit": 1_000_000}));
    pair.sql("UPDATE clients SET mail = 'wrong@sample.example' WHERE client_no = 'C-3'");
    pair.planned_run();
    assert_eq!((&pair.finance()["C-3"], &pair.dynamics()["c-3"]), (&both, &both));
    pair.rests();

    // The master says something for the first time, and takes it back.
    for (mail, held) in [(json!("first@sample.example"), "first@sample.example"), (Json::Null, "")] {
        pair.account("C-1", &json!({"emailaddress1": mail}));
        pair.planned_run();
        assert_eq!(pair.finance()["C-1"][1].as_deref().unwrap_or_default(), held);
        pair.rests();
    }
    assert_eq!(pair.letters(), Vec::<Json>::new());
}

#[test]
fn two_people_change_one_field_and_one_of_them_is_asked() {
    let pair = Pair::new();
    pair.client("C-1", "Both (sample)", "a@sample.example", "300", "30");
    pair.account(
        "C-1",
        &json!({"name": "Both (sample)", "emailaddress1": "a@sample.example",
                                "creditlimit": 300, "paymenttermscode": 1}),
    );
    pair.good_run();
    pair.sql("UPDATE clients SET company = 'Finance says (sample)', credit = '400' WHERE client_no = 'C-1'");
    pair.account("C-1", &json!({"name": "Dynamics says (sample)", "emailaddress1": "b@sample.example"}));
    let before = (pair.finance(), pair.dynamics());
    let plan = pair.planned_run();
    assert_eq!((&plan["reject"], &plan["update"]), (&json!(1), &json!(0)), "{plan:#}");
    // The whole row stays as it is on both sides, also what is not in dispute.
    assert_eq!((pair.finance(), pair.dynamics()), before);
    pair.rests();
    let letters = pair.letters();
    assert_eq!((letters.len(), &letters[0]["code"], &letters[0]["count"]), (1, &json!("IB0720"), &json!(1)));
    let id = &letters[0]["id"].as_str().unwrap()[..8];
    let versions = pair.show(id)["detail"]["versions"].clone();
    let field = |name: &str| {
        let fields = versions["fields"].as_array().unwrap();
        fields.iter().find(|field| field["field"] == name).unwrap().clone()
    };
    assert_eq!(field("name")["finance"], "Finance says (sample)");
    assert_eq!(field("name")["dynamics"], "Dynamics says (sample)");
    assert_eq!(
        (field("name")["disputed"].clone(), field("credit_limit")["disputed"].clone()),
        (json!(true), json!(false))
    );
    assert_eq!(field("email")["dynamics"], "***", "a personal field is shown: {versions:#}");
    assert!(versions["changed"][0].is_string() && versions["changed"][1].is_string(), "{versions:#}");
    let people = pair.world.ironbridge(&["dead-letters", "show", id]).ok();
    assert!(people.out.contains("! name") && !people.out.contains("b@sample.example"), "{}", people.out);
    assert!(people.err.contains(&format!("dead-letters decide {id} --take finance")), "{}", people.err);

    pair.world.ironbridge(&["dead-letters", "decide", id, "--take", "sales"]).fails(2, "IB0002");
    pair.world.ironbridge(&["dead-letters", "decide", id, "--take", "finance", "--note", "by phone"]).ok();
    // What was decided was about these two versions; now there is another one.
    pair.account("C-1", &json!({"name": "Dynamics says more (sample)"}));
    pair.good_run();
    assert_eq!(pair.letters()[0]["state"], "open");
    assert_eq!(pair.dynamics()["C-1"][0].as_deref(), Some("Dynamics says more (sample)"));
    pair.world.ironbridge(&["dead-letters", "decide", id, "--take", "finance"]).ok();
    pair.planned_run();
    let both = customer("Finance says (sample)", "b@sample.example", "400", "30");
    assert_eq!((&pair.finance()["C-1"], &pair.dynamics()["C-1"]), (&both, &both));
    assert_eq!(pair.letters(), Vec::<Json>::new());
    pair.rests();

    // Made equal by hand: nothing is to be decided any more.
    pair.sql("UPDATE clients SET company = 'One (sample)' WHERE client_no = 'C-1'");
    pair.account("C-1", &json!({"name": "Other (sample)"}));
    pair.good_run();
    assert_eq!(pair.letters().len(), 1);
    pair.sql("UPDATE clients SET company = 'Other (sample)' WHERE client_no = 'C-1'");
    pair.good_run();
    assert_eq!(pair.letters(), Vec::<Json>::new());
    pair.rests();
}

#[test]
fn the_newest_change_wins_where_the_integration_says_so() {
    let pair = Pair::with("conflict: ask", "conflict: newest");
    pair.client("C-1", "Same (sample)", "", "", "30");
    pair.account("C-1", &json!({"name": "Same (sample)", "paymenttermscode": 1}));
    pair.good_run();
    pair.account("C-1", &json!({"name": "Dynamics, earlier (sample)"}));
    pair.sql("UPDATE clients SET company = 'Finance, later (sample)', updated_at = '2099-01-01 00:00:00' WHERE client_no = 'C-1'");
    pair.planned_run();
    assert_eq!(pair.dynamics()["C-1"][0].as_deref(), Some("Finance, later (sample)"));
    pair.rests();
    pair.account("C-1", &json!({"name": "Dynamics, later (sample)"}));
    pair.sql("UPDATE clients SET company = 'Finance, earlier (sample)', updated_at = '2001-01-01 00:00:00' WHERE client_no = 'C-1'");
    pair.planned_run();
    assert_eq!(pair.finance()["C-1"][0].as_deref(), Some("Dynamics, later (sample)"));
    assert_eq!(pair.letters(), Vec::<Json>::new());
}

#[test]
fn newest_needs_to_know_when() {
    let pair = Pair::with("conflict: ask", "conflict: newest");
    pair.world.edit("systems/finance.yaml", "    watermark: { column: updated_at, overlap: 5 minutes }\n", "");
    pair.world.ironbridge(&["plan", "customers-two-way"]).fails(1, "IB0721");
}

#[test]
fn rows_are_created_where_the_integration_says_so_and_never_again_once_they_were_deleted() {
    let pair = Pair::with("creates_in: [finance, dynamics]", "creates_in: [dynamics]");
    pair.client("C-1", "From finance (sample)", "", "", "");
    pair.account("C-2", &json!({"name": "Stays in Dynamics (sample)"}));
    pair.planned_run();
    assert_eq!(pair.finance().keys().collect::<Vec<_>>(), ["C-1"]);
    assert_eq!(pair.dynamics().len(), 2);
    pair.rests();
    pair.lose_account("C-1");
    pair.sql("UPDATE clients SET company = 'Changed since (sample)' WHERE client_no = 'C-1'");
    pair.planned_run();
    assert_eq!(pair.dynamics().keys().collect::<Vec<_>>(), ["C-2"], "a deleted row has come back");
    assert_eq!(pair.finance().len(), 1);
    pair.rests();
    // Somebody makes it again: the two are one row as before, and both have changed.
    pair.account("C-1", &json!({"name": "Made again (sample)"}));
    pair.good_run();
    assert_eq!(pair.letters()[0]["code"], "IB0720");
    pair.sql("UPDATE clients SET company = 'Made again (sample)' WHERE client_no = 'C-1'");
    pair.good_run();
    assert_eq!(pair.letters(), Vec::<Json>::new());
    pair.rests();
}

#[test]
fn what_is_gone_goes_on_the_other_side_too_and_what_was_changed_there_is_asked_about() {
    let pair = Pair::with("conflict: ask", "conflict: ask\ndeletes: delete\nmax_deletes: 30 %");
    for number in 1..=10 {
        pair.client(&format!("C-{number}"), &format!("Number {number} (sample)"), "", "", "30");
    }
    pair.good_run();
    pair.rests();
    pair.sql("DELETE FROM clients WHERE client_no = 'C-1'");
    pair.lose_account("C-2");
    pair.lose_account("C-3");
    pair.sql("UPDATE clients SET company = 'Still needed (sample)' WHERE client_no = 'C-3'");
    let plan = pair.planned_run();
    assert_eq!((&plan["delete"], &plan["reject"]), (&json!(2), &json!(1)), "{plan:#}");
    assert!(!pair.dynamics().contains_key("C-1") && !pair.finance().contains_key("C-2"));
    assert!(pair.finance().contains_key("C-3"), "a row that was changed is gone");
    let letters = pair.letters();
    assert_eq!((letters.len(), &letters[0]["code"]), (1, &json!("IB0723")), "{letters:#?}");
    let id = &letters[0]["id"].as_str().unwrap()[..8];
    pair.world.ironbridge(&["dead-letters", "decide", id, "--take", "finance"]).ok();
    pair.good_run();
    assert_eq!(pair.dynamics()["C-3"][0].as_deref(), Some("Still needed (sample)"));
    assert_eq!(pair.letters(), Vec::<Json>::new());
    pair.rests();

    // A table that was emptied by mistake takes nothing with it, and neither do too many rows.
    let before = pair.dynamics();
    pair.sql("CREATE TABLE aside AS SELECT * FROM clients; DELETE FROM clients");
    pair.world.ironbridge(&["run", "customers-two-way"]).fails(1, "IB0705");
    pair.sql("INSERT INTO clients SELECT * FROM aside WHERE client_no IN ('C-4', 'C-5')");
    pair.world.ironbridge(&["run", "customers-two-way"]).fails(1, "IB0704");
    assert_eq!(pair.dynamics(), before);
    pair.sql("INSERT INTO clients SELECT * FROM aside WHERE client_no NOT IN ('C-4', 'C-5')");
    pair.good_run();
    assert_eq!(pair.finance(), pair.dynamics());
    pair.rests();
}

#[test]
fn what_a_formula_or_a_system_does_to_a_value_comes_to_rest_and_is_said() {
    let pair = Pair::new();
    // Finance cuts names by a formula; its trigger writes terms of its own whatever it is given.
    pair.world.edit("systems/finance.yaml", "      company: name\n", "");
    pair.world.edit("systems/finance.yaml", "email: =Lower(mail) }", "email: =Lower(mail), name: company }");
    pair.world.edit(
        "systems/finance.yaml",
        "write: { mail: email }",
        "write: { mail: =Upper(email), company: '=Left(name, 8)' }",
    );
    pair.sql(
        "CREATE TRIGGER own_terms AFTER INSERT ON clients WHEN new.terms = '60' BEGIN
                UPDATE clients SET terms = '30' WHERE client_no = new.client_no; END;
              CREATE TRIGGER own_mail AFTER UPDATE ON clients WHEN new.mail LIKE 'B%' BEGIN
                UPDATE clients SET mail = 'plug@in.example' WHERE client_no = new.client_no; END;",
    );
    pair.account(
        "C-1",
        &json!({"name": "A long name (sample)", "emailaddress1": "a@sample.example", "paymenttermscode": 4}),
    );
    let said = pair.world.ironbridge(&["run", "customers-two-way"]).ok();
    assert!(said.err.contains("IB0722") && said.err.contains("name"), "{}", said.err);
    pair.good_run();
    pair.rests();
    assert_eq!(pair.finance()["C-1"], customer("A long n", "A@SAMPLE.EXAMPLE", "", "30"));
    // Nobody masters the terms, so what finance made of them holds in both.
    assert_eq!(pair.dynamics()["C-1"], customer("A long name (sample)", "a@sample.example", "", "30"));
    // A master says the same once more, and then leaves it.
    pair.account("C-1", &json!({"emailaddress1": "b@sample.example"}));
    for _ in 0..3 {
        pair.good_run();
    }
    pair.rests();
    assert_eq!(pair.finance()["C-1"][1].as_deref(), Some("plug@in.example"));
    assert_eq!(pair.dynamics()["C-1"][1].as_deref(), Some("b@sample.example"));
    // An edit of the cut name goes back, and stays.
    pair.sql("UPDATE clients SET company = 'Short' WHERE client_no = 'C-1'");
    pair.good_run();
    assert_eq!(pair.dynamics()["C-1"][0].as_deref(), Some("Short"));
    pair.rests();
}

#[test]
fn a_row_that_does_not_fit_is_a_dead_letter_until_it_does() {
    let pair = Pair::new();
    pair.client("C-1", "Good (sample)", "", "", "30");
    pair.client("C-2", "Bad terms (sample)", "", "", "99");
    pair.account("C-2", &json!({"name": "Bad terms (sample)", "paymenttermscode": 1}));
    pair.client("c-3", "One (sample)", "", "", "30");
    pair.client("C-3", "Another (sample)", "", "", "30");
    let plan = pair.planned_run();
    assert_eq!(plan["reject"], 3, "{plan:#}");
    assert_eq!(pair.dynamics().len(), 2);
    let codes = |letters: &[Json]| {
        let mut codes: Vec<String> =
            letters.iter().map(|l| format!("{} {}", l["key"].as_str().unwrap(), l["code"].as_str().unwrap())).collect();
        codes.sort();
        codes
    };
    let letters = pair.letters();
    assert_eq!(codes(&letters), ["C-2 IB0412", "C-3 IB0402", "c-3 IB0402"]);
    pair.rests();
    pair.sql("UPDATE clients SET terms = 'PP' WHERE client_no = 'C-2'; DELETE FROM clients WHERE client_no = 'C-3'");
    pair.account("C-2", &json!({"paymenttermscode": 10}));
    let id = letters.iter().find(|l| l["key"] == "c-3").unwrap()["id"].as_str().unwrap()[..8].to_owned();
    pair.world.ironbridge(&["dead-letters", "decide", &id, "--take", "finance"]).fails(1, "IB0002");
    pair.world.ironbridge(&["dead-letters", "retry", &id]).ok();
    pair.good_run();
    assert_eq!(codes(&pair.letters()), ["C-3 IB0402"], "what is right now is still a dead letter");
    assert_eq!(pair.dynamics().len(), 3);
    assert_eq!(pair.finance(), pair.dynamics());
    pair.rests();
}

#[test]
fn an_amount_has_the_digits_of_its_rows_currency_both_ways_and_the_plan_knows() {
    let pair = Pair::new();
    let post = |path: &str, body: Json| {
        let answer = http(&pair.world.url, "POST", &format!("/api/data/v9.2/{path}"), &body.to_string());
        assert!(!answer.contains("\"error\""), "{answer}");
    };
    let label = json!({ "LocalizedLabels": [{ "Label": "Credit", "LanguageCode": 1033 }] });
    post(
        "EntityDefinitions(LogicalName='account')/Attributes",
        json!({
            "@odata.type": "Microsoft.Dynamics.CRM.MoneyAttributeMetadata", "SchemaName": "new_credit",
            "DisplayName": label, "Precision": 4, "PrecisionSource": 2,
        }),
    );
    let yen = "11111111-2222-4333-8444-555555555555";
    post(
        "transactioncurrencies",
        json!({
            "transactioncurrencyid": yen, "currencyname": "Yen", "isocurrencycode": "JPY", "currencysymbol": "Y",
            "currencyprecision": 0, "exchangerate": 150,
        }),
    );
    pair.world.edit("systems/dynamics.yaml", "creditlimit: credit_limit", "new_credit: credit_limit");
    pair.world.edit("entities/customer.yaml", ", master: finance", "");
    let yen = format!("/transactioncurrencies({yen})");
    let there = |number: &str| {
        let path = format!("/api/data/v9.2/accounts(accountnumber='{number}')?$select=new_credit");
        let row: Json = serde_json::from_str(&http(&pair.world.url, "GET", &path, "")).unwrap();
        plain(&row["new_credit"].to_string())
    };
    let here = |number: &str| pair.finance()[number][2].clone().unwrap();
    pair.account("C-1", &json!({ "name": "Yen (sample)", "new_credit": 120, "transactioncurrencyid@odata.bind": yen }));
    pair.client("C-2", "Of the hub (sample)", "", "120.25", "30");
    pair.client("C-3", "Too fine for any (sample)", "", "120.125", "30");
    let plan = pair.planned_run();
    assert_eq!((&plan["create"], &plan["reject"]), (&json!(2), &json!(1)), "{plan:#}");
    assert_eq!((here("C-1"), there("C-2")), ("120".to_owned(), "120.25".to_owned()));

    // Only the amount has changed: which currency the row has, Dynamics is asked.
    pair.sql("UPDATE clients SET credit = '120.5' WHERE client_no IN ('C-1', 'C-2')");
    let plan = pair.planned_run();
    assert_eq!((&plan["update"], &plan["reject"]), (&json!(1), &json!(1)), "{plan:#}");
    assert_eq!((there("C-1"), there("C-2")), ("120".to_owned(), "120.5".to_owned()));
    let letters = pair.letters();
    let yen = letters.iter().find(|letter| letter["key"] == "C-1").unwrap();
    assert_eq!(yen["code"], "IB0414", "{yen:#}");

    pair.sql("UPDATE clients SET credit = '121' WHERE client_no = 'C-1'; DELETE FROM clients WHERE client_no = 'C-3'");
    let plan = pair.planned_run();
    assert_eq!((&plan["update"], &plan["reject"]), (&json!(1), &json!(0)), "{plan:#}");
    assert_eq!(there("C-1"), "121");
    pair.rests();
}

#[test]
fn a_kill_at_any_step_is_completed_by_the_next_run() {
    let steps = [("sink.before", 1..=2), ("sink.after", 1..=2), ("commit.before", 2..=4), ("commit.after", 2..=4)];
    for (point, hit) in steps.into_iter().flat_map(|(point, hits)| hits.map(move |hit| (point, hit))) {
        let pair = Pair::new();
        pair.client("C-1", "Only finance (sample)", "", "100", "30");
        pair.account("C-2", &json!({"name": "Only Dynamics (sample)", "paymenttermscode": 4}));
        pair.client("C-3", "Both (sample)", "old@sample.example", "300", "PP");
        pair.account(
            "C-3",
            &json!({"name": "Both (sample)", "emailaddress1": "new@sample.example", "creditlimit": 999,
                    "paymenttermscode": 10}),
        );
        pair.world.with_failpoints(&["run", "customers-two-way"], &format!("{point}@{hit}=abort"));
        pair.good_run();
        assert_eq!(pair.finance(), pair.dynamics(), "{point}@{hit}");
        assert_eq!(pair.finance().len(), 3, "{point}@{hit}");
        assert_eq!(pair.letters(), Vec::<Json>::new(), "{point}@{hit}");
        pair.rests();
    }
}

/// A run that has written one side ends before it remembers that. What it wrote there is nobody's change: the other side,
/// where the value came from, may say something else by then, or what it said before.
#[test]
fn what_a_killed_run_wrote_is_nobodys_change() {
    for (end, then) in [("abort", "First (sample)"), ("abort", "Third (sample)"), ("error", "First (sample)")] {
        let pair = Pair::new();
        pair.client("C-1", "First (sample)", "", "100", "30");
        pair.good_run();
        let name = |name: &str| pair.sql(&format!("UPDATE clients SET company = '{name}' WHERE client_no = 'C-1'"));
        name("Second (sample)");
        let said = pair.world.with_failpoints(&["run", "customers-two-way"], &format!("sink.after@1={end}"));
        assert_ne!(said.code, Some(0), "{said:#?}");
        assert_eq!(pair.dynamics()["C-1"][0].as_deref(), Some("Second (sample)"), "it was written");
        name(then);
        pair.good_run();
        assert_eq!(pair.letters(), Vec::<Json>::new(), "{end}, {then}");
        assert_eq!(pair.finance()["C-1"][0].as_deref(), Some(then), "{end}");
        assert_eq!(pair.finance(), pair.dynamics(), "{end}, {then}");
        pair.rests();
    }
}

/// A run creates a row and ends before it remembers that. What stands there is nobody's change, and what finance says
/// meanwhile goes there; what somebody has changed there is for a person, since nobody can tell the row from another one
/// that was made under its number.
#[test]
fn what_a_killed_run_created_is_nobodys_change() {
    for (point, created) in [("sink.after@1=abort", true), ("sink.after@1=error", true), ("sink.before@1=abort", false)]
    {
        let pair = Pair::new();
        pair.client("C-1", "First (sample)", "old@sample.example", "100", "");
        let said = pair.world.with_failpoints(&["run", "customers-two-way"], point);
        assert_ne!(said.code, Some(0), "{said:#?}");
        assert_eq!(pair.dynamics().contains_key("C-1"), created, "{point}");
        pair.sql("UPDATE clients SET company = 'Second (sample)', credit = NULL, terms = '30' WHERE client_no = 'C-1'");
        let plan = pair.planned_run();
        assert_eq!(plan["reject"], 0, "{point}: {plan:#}");
        assert_eq!(pair.letters(), Vec::<Json>::new(), "{point}");
        // Dynamics masters the address, and has said nothing of it.
        assert_eq!(pair.finance()["C-1"], customer("Second (sample)", "old@sample.example", "", "30"), "{point}");
        assert_eq!(pair.dynamics()["C-1"], customer("Second (sample)", "", "", "30"), "{point}");
        pair.rests();
    }
    // Finance has lost the row meanwhile: it does not get it back from what it has given.
    for (deletes, there) in [("ignore", true), ("delete", false)] {
        let pair = Pair::with("conflict: ask", &format!("conflict: ask\ndeletes: {deletes}\nmax_deletes: 100 %"));
        pair.client("C-1", "First (sample)", "old@sample.example", "100", "");
        pair.client("C-2", "Second (sample)", "", "200", "30");
        pair.world.with_failpoints(&["run", "customers-two-way"], "sink.after@1=abort");
        pair.sql("DELETE FROM clients WHERE client_no = 'C-1'");
        pair.planned_run();
        assert_eq!(pair.finance().keys().collect::<Vec<_>>(), ["C-2"], "{deletes}");
        assert_eq!(pair.dynamics().contains_key("C-1"), there, "{deletes}");
        assert_eq!(pair.letters(), Vec::<Json>::new(), "{deletes}");
        pair.rests();
    }
    let pair = Pair::new();
    pair.client("C-1", "First (sample)", "", "100", "30");
    pair.world.with_failpoints(&["run", "customers-two-way"], "sink.before@1=abort");
    pair.account("C-1", &json!({ "name": "Made by hand (sample)", "creditlimit": 7 }));
    let plan = pair.planned_run();
    assert_eq!(plan["reject"], 1, "{plan:#}");
    assert_eq!(pair.finance()["C-1"][0].as_deref(), Some("First (sample)"));
}

#[test]
fn it_stands_in_status_runs_and_state_like_any_other() {
    let pair = Pair::new();
    pair.client("C-1", "One (sample)", "", "", "30");
    pair.good_run();
    let status = pair.world.ironbridge(&["--format", "json", "status"]).json();
    assert_eq!((&status[0]["state"], &status[0]["pattern"]), (&json!("ok"), &json!("batch")), "{status:#}");
    let state = pair.world.ironbridge(&["state", "show", "customers-two-way"]).json();
    let positions: Vec<&String> = state["positions"].as_object().unwrap().keys().collect();
    assert_eq!(positions, ["customer/dynamics", "customer/finance"]);
    let file = pair.world.dir.join("state.json");
    std::fs::write(&file, state.to_string()).unwrap();
    pair.world.ironbridge(&["state", "reset", "customers-two-way"]).ok();
    assert_eq!(pair.world.ironbridge(&["state", "show", "customers-two-way"]).json()["positions"], json!({}));
    pair.rests();
    pair.world.ironbridge(&["state", "set", "customers-two-way", file.to_str().unwrap()]).ok();
    pair.rests();
}

#[test]
fn a_row_that_was_there_before_the_hub_gets_its_key_and_is_joined() {
    let pair = Pair::new();
    pair.world.edit(
        "systems/dynamics.yaml",
        "alternate_key: accountnumber\n",
        "alternate_key: accountnumber\n    match_existing: [name, emailaddress1]\n",
    );
    let unkeyed = |columns: Json| {
        http(&pair.world.url, "POST", "/api/data/v9.2/accounts", &columns.to_string());
    };
    unkeyed(
        json!({"name": "Known (sample)", "emailaddress1": "k@sample.example", "creditlimit": 5, "paymenttermscode": 1}),
    );
    unkeyed(json!({"name": "Twins (sample)", "emailaddress1": "t@sample.example"}));
    unkeyed(json!({"name": "Twins (sample)", "emailaddress1": "t@sample.example"}));
    pair.client("C-1", "Known (sample)", "K@sample.example", "300", "30");
    pair.client("C-2", "Twins (sample)", "t@sample.example", "", "30");
    pair.client("C-3", "New (sample)", "", "", "30");
    let plan = pair.planned_run();
    assert_eq!((&plan["create"], &plan["update"], &plan["reject"]), (&json!(1), &json!(2), &json!(1)), "{plan:#}");
    let dynamics = pair.dynamics();
    assert_eq!(dynamics["C-1"], customer("Known (sample)", "k@sample.example", "300", "30"));
    assert_eq!(dynamics.keys().collect::<Vec<_>>(), ["C-1", "C-3"]);
    assert_eq!(pair.letters()[0]["code"], "IB0709");
    pair.rests();
}

#[test]
fn what_is_gone_from_finance_is_inactive_in_dynamics_until_it_comes_back() {
    let pair = Pair::with("conflict: ask", "conflict: ask\ndeletes: deactivate\nmax_deletes: 60 %");
    pair.client("C-1", "One (sample)", "", "", "30");
    pair.client("C-2", "Two (sample)", "", "", "30");
    pair.good_run();
    pair.sql("DELETE FROM clients WHERE client_no = 'C-1'");
    pair.lose_account("C-2");
    let plan = pair.planned_run();
    assert_eq!(plan["delete"], 1, "finance knows no inactive rows: {plan:#}");
    assert_eq!(pair.world.states()["C-1"], 1);
    pair.rests();
    pair.rests();
    assert_eq!(pair.finance().keys().collect::<Vec<_>>(), ["C-2"]);
    pair.client("C-1", "One again (sample)", "", "", "30");
    pair.planned_run();
    assert_eq!(pair.world.states()["C-1"], 0);
    assert_eq!(pair.dynamics()["C-1"][0].as_deref(), Some("One again (sample)"));
    pair.rests();
}

/// The hub makes a row inactive, or has not yet, and is killed before it remembers that; meanwhile finance has the row
/// again, as it was.
#[test]
fn a_row_that_returns_before_anybody_remembers_that_it_went_is_active() {
    for (point, states) in [("sink.after@1=abort", 1), ("sink.after@1=error", 1), ("sink.before@1=abort", 0)] {
        let pair = Pair::with("conflict: ask", "conflict: ask\ndeletes: deactivate\nmax_deletes: 60 %");
        pair.client("C-1", "One (sample)", "", "", "30");
        pair.client("C-2", "Two (sample)", "", "", "30");
        pair.good_run();
        pair.sql("CREATE TABLE aside AS SELECT * FROM clients; DELETE FROM clients WHERE client_no = 'C-1'");
        let said = pair.world.with_failpoints(&["run", "customers-two-way"], point);
        assert_ne!(said.code, Some(0), "{said:#?}");
        assert_eq!(pair.world.states()["C-1"], states, "{point}");
        pair.sql("INSERT INTO clients SELECT * FROM aside WHERE client_no = 'C-1'");
        pair.planned_run();
        assert_eq!(pair.world.states()["C-1"], 0, "{point}");
        assert_eq!(pair.finance(), pair.dynamics(), "{point}");
        pair.rests();
        // And it goes like any other, also where a run has begun with that.
        pair.sql("DELETE FROM clients WHERE client_no = 'C-1'");
        pair.world.with_failpoints(&["run", "customers-two-way"], "sink.before@1=abort");
        pair.planned_run();
        assert_eq!(pair.world.states()["C-1"], 1, "{point}");
        pair.rests();
    }
}

#[test]
fn a_row_that_where_leaves_out_is_gone_and_one_that_it_always_left_out_was_never_agreed_on() {
    let pair = Pair::with("conflict: ask", "conflict: ask\ndeletes: delete\nmax_deletes: 60 %");
    let table = "    table: clients";
    pair.world.edit("systems/finance.yaml", table, &format!("{table}\n    where: =company <> \"Closed (sample)\""));
    pair.client("C-1", "One (sample)", "", "", "30");
    pair.client("C-2", "Two (sample)", "", "", "30");
    pair.client("C-3", "Closed (sample)", "", "", "30");
    pair.account("C-3", &json!({ "name": "Three (sample)", "paymenttermscode": 4 }));
    pair.planned_run();
    assert_eq!(pair.dynamics().keys().collect::<Vec<_>>(), ["C-1", "C-2", "C-3"]);
    pair.rests();
    // It enters for the first time: what the two say differs, and nobody has changed it.
    let company = |number: &str, name: &str| {
        pair.sql(&format!("UPDATE clients SET company = '{name}' WHERE client_no = '{number}'"));
    };
    company("C-3", "Reopened (sample)");
    let plan = pair.planned_run();
    assert_eq!((&plan["reject"], &plan["update"]), (&json!(1), &json!(0)), "{plan:#}");
    assert_eq!(pair.dynamics()["C-3"][0].as_deref(), Some("Three (sample)"));
    pair.sql("UPDATE clients SET company = 'Three (sample)', terms = '60' WHERE client_no = 'C-3'");
    pair.good_run();
    pair.rests();
    // And it leaves.
    company("C-1", "Closed (sample)");
    let plan = pair.planned_run();
    assert_eq!(plan["delete"], 1, "{plan:#}");
    assert_eq!(pair.dynamics().keys().collect::<Vec<_>>(), ["C-2", "C-3"]);
    assert!(pair.finance().contains_key("C-1"), "it is only left out");
    pair.rests();
    company("C-1", "One again (sample)");
    pair.planned_run();
    assert_eq!(pair.finance()["C-1"], pair.dynamics()["C-1"]);
    assert_eq!(pair.letters(), Vec::<Json>::new());
    pair.rests();
}

#[test]
fn a_row_waits_for_the_one_that_it_points_to() {
    let pair = Pair::new();
    pair.world.edit(
        "entities/customer.yaml",
        "  terms: ",
        "  parent: { type: reference, entity: customer }\n  terms: ",
    );
    pair.world.edit("systems/finance.yaml", "      company: name\n", "      company: name\n      parent_no: parent\n");
    pair.world.edit("systems/dynamics.yaml", "      name: name\n", "      name: name\n      parentaccountid: parent\n");
    pair.sql("ALTER TABLE clients ADD COLUMN parent_no TEXT");
    // The child comes first, and its parent's parent last.
    for (number, parent) in [("C-1", "'C-2'"), ("C-2", "'C-3'"), ("C-3", "NULL"), ("C-4", "'C-9'")] {
        pair.sql(&format!(
            "INSERT INTO clients (client_no, company, terms, parent_no) VALUES ('{number}', '{number} (sample)', '30', {parent})"
        ));
    }
    let run = pair.good_run();
    assert_eq!((&run["created"], &run["waiting"]), (&json!(3), &json!(1)), "{run:#}");
    let parents = |accounts: BTreeMap<String, crate::support::Account>| -> Vec<(String, Option<String>)> {
        accounts.into_iter().map(|(number, account)| (number, account.parent)).collect()
    };
    let of = |parent: &str| Some(parent.to_owned());
    assert_eq!(
        parents(pair.world.accounts()),
        [("C-1".to_owned(), of("C-2")), ("C-2".to_owned(), of("C-3")), ("C-3".to_owned(), None)]
    );
    // It comes on the other side, and with it the row that waits.
    pair.account(
        "C-9",
        &json!({"name": "C-9 (sample)", "parentaccountid@odata.bind": "/accounts(accountnumber='C-1')"}),
    );
    pair.good_run();
    assert_eq!(pair.world.accounts()["C-4"].parent, of("C-9"));
    let conn = Connection::open(pair.world.finance()).unwrap();
    let parent: String =
        conn.query_row("SELECT parent_no FROM clients WHERE client_no = 'C-9'", [], |row| row.get(0)).unwrap();
    assert_eq!(parent, "C-1");
    pair.rests();
}

#[test]
fn a_window_of_time_is_merged_both_ways_and_nothing_is_taken_for_gone() {
    let pair = Pair::with("conflict: ask", "conflict: ask\ndeletes: delete\nmax_deletes: 100 %");
    for number in ["C-1", "C-2", "C-3"] {
        pair.client(number, "Before (sample)", "", "5", "30");
    }
    pair.good_run();
    pair.rests();
    let position = pair.world.ironbridge(&["state", "show", "customers-two-way"]).ok().out;
    // Changed behind both positions: with an old stamp there, and as if nothing had ever told of it here.
    pair.sql(
        "UPDATE clients SET company = 'Long ago (sample)', updated_at = '2025-03-29 12:00:00' WHERE client_no = 'C-1'",
    );
    pair.sql("DELETE FROM clients WHERE client_no = 'C-3'");
    let window = |from: &str, to: &str| ["--from".to_owned(), from.to_owned(), "--to".to_owned(), to.to_owned()];
    let run = |args: &[String]| {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        pair.world.ironbridge(&[&["--format", "json", "run", "customers-two-way"][..], &args].concat()).ok().json()
    };
    let plan = pair.world.ironbridge(&[
        "--format",
        "json",
        "plan",
        "customers-two-way",
        "--from",
        "2025-03-29",
        "--to",
        "2025-03-30",
    ]);
    assert_eq!((plan.code, &plan.json()["update"]), (Some(3), &json!(1)), "{plan:#?}");
    let before = run(&window("2025-03-01", "2025-03-29"));
    assert_eq!((&before["read"], &before["updated"]), (&json!(0), &json!(0)), "{before:#}");
    let then = run(&window("2025-03-29", "2025-03-30"));
    assert_eq!((&then["updated"], &then["deleted"]), (&json!(1), &json!(0)), "{then:#}");
    assert_eq!(pair.dynamics()["C-1"][0].as_deref(), Some("Long ago (sample)"));
    assert!(pair.dynamics().contains_key("C-3"), "nobody has looked for what is gone");
    assert_eq!(pair.world.ironbridge(&["state", "show", "customers-two-way"]).ok().out, position, "the position stays");
    // The other way as well: what Dynamics changed in the window, once more.
    pair.account("C-2", &json!({ "emailaddress1": "new@company.example" }));
    let today = run(&["--from".to_owned(), "2026-01-01".to_owned()]);
    assert_eq!(today["error"], Json::Null, "{today:#}");
    assert_eq!(pair.finance()["C-2"][1].as_deref(), Some("new@company.example"));
    // A side that does not know when its rows were changed says so.
    pair.world.edit("systems/finance.yaml", "    watermark: { column: updated_at, overlap: 5 minutes }\n", "");
    pair.world.ironbridge(&["run", "customers-two-way", "--from", "2026-01-01"]).fails(1, "IB0736");
}

#[test]
fn a_removal_that_is_refused_again_is_told_once() {
    let pair = Pair::with("conflict: ask", "conflict: ask\ndeletes: delete\nmax_deletes: 100 %");
    pair.client("C-1", "First (sample)", "", "100", "30");
    pair.client("C-2", "Second (sample)", "", "200", "30");
    pair.good_run();
    pair.sql("CREATE TRIGGER stays BEFORE DELETE ON clients BEGIN SELECT RAISE(ABORT, 'it is invoiced'); END");
    pair.lose_account("C-1");
    let everything = || {
        pair.world.ironbridge(&["state", "reset", "customers-two-way"]).ok();
        pair.good_run()
    };
    for rejected in [1, 0, 0] {
        let run = everything();
        let letters = pair.letters();
        assert_eq!(run["rejected"], rejected, "{run:#} {letters:#?}");
        assert_eq!((letters.len(), &letters[0]["count"]), (1, &json!(1)), "{letters:#?}");
    }
    pair.sql("DROP TRIGGER stays");
    let run = everything();
    assert_eq!(run["deleted"], 1, "{run:#} {:#?}", pair.letters());
    assert_eq!(pair.finance().keys().collect::<Vec<_>>(), ["C-2"]);
    assert_eq!(pair.letters(), Vec::<Json>::new());
}

/// What a run creates does not make room for what it removes.
#[test]
fn rows_that_got_other_keys_are_no_more_to_remove_than_a_plan_says() {
    let pair = Pair::with("conflict: ask", "conflict: ask\ndeletes: delete\nmax_deletes: 60 %");
    for number in ["C-1", "C-2", "C-3"] {
        pair.client(number, "A customer (sample)", "", "", "30");
    }
    pair.good_run();
    pair.sql("UPDATE clients SET client_no = 'X' || client_no WHERE client_no <> 'C-3'");
    for command in ["plan", "run"] {
        let said = pair.world.ironbridge(&["--format", "json", command, "customers-two-way"]);
        assert!(format!("{said:?}").contains("2 of 3 rows"), "{command}: {said:#?}");
    }
    assert_eq!(pair.dynamics().len(), 5, "nothing is removed");
}

/// What a killed run has written by another mapping, where nothing but reading everything shows it.
#[test]
fn a_mapping_that_is_taken_back_leaves_nothing_in_a_table_whose_watermark_stands_still() {
    let pair = Pair::new();
    let world = &pair.world;
    let crm = Connection::open(world.dir.join("data/crm.db")).unwrap();
    crm.execute_batch("CREATE TABLE accounts (code TEXT PRIMARY KEY, name TEXT, touched TEXT DEFAULT '2026-01-01')")
        .unwrap();
    let system = "system: dynamics\nkind: sqlite\nowner: crm-team\nconnection: { file: data/crm.db }\ntime_zone: UTC\n\
        entities:\n  customer:\n    table: accounts\n    alternate_key: code\n    watermark: { column: touched }\n    \
        both: { code: number, name: name }\n";
    std::fs::write(world.dir.join("systems/dynamics.yaml"), system).unwrap();
    let finance = |read: &str, write: &str| {
        let text = format!(
            "system: finance\nkind: sqlite\nowner: finance-it\nconnection: {{ file: data/finance.db }}\ntime_zone: UTC\n\
             entities:\n  customer:\n    table: clients\n    alternate_key: client_no\n    \
             watermark: {{ column: updated_at }}\n    read: {{ number: client_no, name: {read} }}\n    \
             write: {{ client_no: number, company: {write} }}\n"
        );
        std::fs::write(world.dir.join("systems/finance.yaml"), text).unwrap();
    };
    finance("company", "name");
    let name =
        || crm.query_row("SELECT name FROM accounts WHERE code = 'C-1'", [], |row| row.get::<_, String>(0)).unwrap();
    pair.client("C-1", "First (sample)", "", "", "30");
    pair.client("C-2", "Second (sample)", "", "", "30");
    pair.sql("UPDATE clients SET updated_at = '2026-01-0' || substr(client_no, 3) || ' 10:00:00.000'");
    pair.good_run();
    crm.execute_batch("UPDATE accounts SET touched = '2026-01-05' WHERE code = 'C-2'").unwrap();
    pair.good_run();
    finance("'=company & \"!\"'", "=Lower(name)");
    assert_eq!(world.with_failpoints(&["run", "customers-two-way"], "sink.after@1=abort").code, None);
    assert_eq!(name(), "First (sample)!");
    finance("company", "name");
    pair.good_run();
    assert_eq!((name().as_str(), pair.finance()["C-1"][0].as_deref()), ("First (sample)", Some("First (sample)")));
}

/// Dynamics says once what was deleted there.
#[test]
fn a_removal_that_was_refused_is_done_when_somebody_sends_it_again() {
    let pair = Pair::with("conflict: ask", "conflict: ask\ndeletes: delete\nmax_deletes: 100 %");
    pair.client("C-1", "First (sample)", "", "100", "30");
    pair.client("C-2", "Second (sample)", "", "200", "30");
    pair.good_run();
    pair.sql("CREATE TRIGGER stays BEFORE DELETE ON clients BEGIN SELECT RAISE(ABORT, 'it is invoiced'); END");
    pair.lose_account("C-1");
    assert_eq!(pair.good_run()["rejected"], 1);
    pair.good_run();
    pair.sql("DROP TRIGGER stays");
    let letter = pair.letters()[0]["id"].as_str().unwrap().to_owned();
    pair.world.ironbridge(&["dead-letters", "retry", &letter]).ok();
    assert_eq!(pair.planned_run()["delete"], 1, "{:#?}", pair.letters());
    assert_eq!(pair.finance().keys().collect::<Vec<_>>(), ["C-2"]);
    assert_eq!(pair.letters(), Vec::<Json>::new());
    pair.rests();
}

#[test]
fn two_spellings_of_one_key_far_apart_are_told_once() {
    let pair = Pair::new();
    pair.sql(
        "INSERT INTO clients (client_no, company, terms) VALUES ('C-7', 'First (sample)', '30');
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5100)
         INSERT INTO clients (client_no, company, terms)
         SELECT 'D-' || i, 'Number ' || i || ' (sample)', '30' FROM n;
         INSERT INTO clients (client_no, company, terms) VALUES ('c-7', 'Second (sample)', '30')",
    );
    for rejected in [1, 0, 0] {
        let run = pair.good_run();
        assert_eq!(run["rejected"], rejected, "{run:#} {:#?}", pair.letters());
        assert_eq!(pair.dynamics()["C-7"][0].as_deref(), Some("First (sample)"));
        let letters = pair.letters();
        let told = (letters.len(), &letters[0]["key"], &letters[0]["code"], &letters[0]["count"]);
        assert_eq!(told, (1, &json!("c-7"), &json!("IB0402"), &json!(1)), "{letters:#?}");
        pair.world.ironbridge(&["state", "reset", "customers-two-way"]).ok();
    }
}

#[test]
fn the_command_that_takes_a_new_type_of_a_column_is_one_that_there_is() {
    let pair = Pair::new();
    let credit = |ty: &str| {
        pair.sql(&format!("ALTER TABLE clients DROP COLUMN credit; ALTER TABLE clients ADD COLUMN credit {ty}"))
    };
    credit("NUMERIC");
    pair.good_run();
    credit("TEXT");
    let said = pair.world.ironbridge(&["run", "customers-two-way"]).fails(1, "IB0635");
    let command = said.err.split(" state reset ").nth(1).unwrap().split(',').next().unwrap();
    assert_eq!(command, "customers-two-way customer/finance");
    pair.world.ironbridge(&["state", "reset", "customers-two-way", "customer/finance"]).ok();
    pair.good_run();
}
