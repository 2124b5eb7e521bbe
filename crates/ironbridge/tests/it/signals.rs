//! What an event says beyond the row's id: that it is gone, what it held, which others keep their order with it; and how
//! Dynamics is told to say it.

use serde_json::{Value as Json, json};

use crate::stage::{EVENTS, Stage};
use crate::support::{binary, http_with, said};

/// Runs `dataverse register`; answers its exit code and what it said.
pub fn register(stage: &Stage, more: &[&str]) -> (i32, String) {
    let dir = stage.world.dir.to_str().unwrap();
    let args = ["-C", dir, "dataverse", "register", "buyers"].into_iter().chain(more.iter().copied());
    let said = said(binary().args(args).env("HOOK_KEY", "local-key").output().unwrap());
    (said.code.unwrap(), said.out + &said.err)
}

#[test]
fn dynamics_is_told_what_to_send_and_only_what_is_different() {
    let stage = Stage::unregistered(&EVENTS.replace("[created, updated]", "[created, updated, deleted]"));
    let (code, told) = register(&stage, &[]);
    assert!(code == 1 && told.contains("IB0804") && told.contains("--url"), "{told}");
    let url = format!("http://{}", stage.address);
    let (code, told) = register(&stage, &["--url", &url]);
    assert_eq!(code, 3, "{told}");
    for expected in [
        "+ webhook `ironbridge buyers` to http://",
        "+ step `ironbridge buyers: Create of account`",
        "+ step `ironbridge buyers: Update of account`, when one of creditlimit,emailaddress1,name is written",
        "+ step `ironbridge buyers: Delete of account`, with accountnumber",
        "Nothing is written yet",
    ] {
        assert!(told.contains(expected), "`{expected}` is not in:\n{told}");
    }
    assert_eq!(register(&stage, &["--url", &url]).1, told, "nothing was written");
    let (code, told) = register(&stage, &["--url", &url, "--yes"]);
    assert!(code == 0 && told.contains("is told"), "{told}");
    let (code, told) = register(&stage, &[]);
    assert!(code == 0 && !told.contains("\n+") && told.matches("= ").count() == 4, "{told}");
    // Another trigger, and a step that somebody has switched off.
    stage.world.edit(
        "integrations/buyers.yaml",
        "[created, updated, deleted], columns: [name,",
        "[updated], columns: [",
    );
    let (code, told) = register(&stage, &[]);
    assert_eq!(code, 3, "{told}");
    assert!(
        told.contains("~ step `ironbridge buyers: Update of account`, when one of creditlimit,emailaddress1 is"),
        "{told}"
    );
    assert!(told.contains("- step `ironbridge buyers: Create of account`"), "{told}");
    assert_eq!(register(&stage, &["--yes"]).0, 0);
    let (code, told) = register(&stage, &[]);
    assert!(code == 0 && told.matches("= ").count() == 2, "{told}");
    let steps = stage.dynamics("GET", "sdkmessageprocessingsteps?$select=name", "");
    assert_eq!(steps["value"].as_array().unwrap().len(), 1, "{steps:#}");
}

#[test]
fn a_row_that_is_deleted_there_is_deleted_here_if_the_hub_wrote_it() {
    let events = EVENTS.replace("[created, updated]", "[created, updated, deleted]");
    let mut stage = Stage::unregistered(&format!("{events}sweep: every 1 second\n"));
    assert_eq!(register(&stage, &["--url", &format!("http://{}", stage.address), "--yes"]).0, 0);
    stage.start();
    stage.until("the first sweep", || !stage.sweeps().is_empty());
    stage.sql("INSERT INTO buyers (code, title, money) VALUES ('C-9', 'Its own', '9')");
    for (number, limit) in [("C-1", 1), ("C-2", 2), ("C-3", 3), ("C-9", 0)] {
        stage.account(number, "Buyer", limit);
    }
    stage.until("the rows", || stage.buyers() == ["C-1 Buyer 1", "C-2 Buyer 2", "C-3 Buyer 3", "C-9 Its own 9"]);
    for number in ["C-1", "C-9"] {
        stage.dynamics("DELETE", &format!("accounts(accountnumber='{number}')"), "");
    }
    stage.until("the deletion", || stage.buyers() == ["C-2 Buyer 2", "C-3 Buyer 3", "C-9 Its own 9"]);
    stage.until("the other event", || stage.waiting() == 0);
    // Nobody hears of the next one; change tracking does.
    stage.kill();
    stage.dynamics("DELETE", "accounts(accountnumber='C-2')", "");
    stage.start();
    stage.until("what was not heard", || stage.buyers() == ["C-3 Buyer 3", "C-9 Its own 9"]);
    let told = stage.say(&["trace", "customer", "C-2"]);
    assert!(told.contains("found by the sweep") && told.contains("deleted"), "{told}");
    assert!(stage.say(&["trace", "customer", "C-9"]).contains("not the hub's to delete"));
    // It comes back under its number: a new row.
    stage.account("C-1", "Again", 4);
    stage.until("the new one", || stage.buyers().contains(&"C-1 Again 4".to_owned()));
}

/// Nobody hears that it is gone, and the destination never had it.
#[test]
fn a_dead_letter_of_a_row_that_is_gone_is_closed_by_the_sweep() {
    let events = EVENTS.replace("[created, updated]", "[created, updated, deleted]");
    let events = events.replace("after_dead_letter: hold_key", "after_dead_letter: continue");
    let mut stage = Stage::unregistered(&format!("{events}sweep: every 1 second\n"));
    stage.world.edit("systems/warehouse.yaml", "title: name", "title: '=If(name = \"Bad\", Error(\"no\"), name)'");
    stage.sql(
        "CREATE TRIGGER refuse BEFORE INSERT ON buyers WHEN new.title = 'Poison' BEGIN SELECT raise(ABORT, 'no'); END;",
    );
    assert_eq!(register(&stage, &["--url", &format!("http://{}", stage.address), "--yes"]).0, 0);
    stage.start();
    stage.until("the first sweep", || !stage.sweeps().is_empty());
    for (number, name) in [("C-1", "Poison"), ("C-2", "Bad"), ("C-3", "Poison")] {
        stage.account(number, name, 1);
    }
    let letters = || stage.json(&["dead-letters", "list"]).as_array().unwrap().len();
    stage.until("the dead letters", || letters() == 3);
    stage.kill();
    for number in ["C-1", "C-2"] {
        stage.dynamics("DELETE", &format!("accounts(accountnumber='{number}')"), "");
    }
    stage.start();
    let letters = || stage.json(&["dead-letters", "list"]).as_array().unwrap().len();
    stage.until("the end of two", || letters() == 1);
    assert!(stage.say(&["dead-letters", "list"]).contains("C-3"));
}

/// The hub dies with the deletion in its hands, before or after it was done. A new row of the same key, whose events are
/// in nobody's way, comes meanwhile; the deletion comes again once its lock has run out.
#[test]
fn a_deletion_that_comes_late_leaves_the_row_that_came_after_it() {
    let events = EVENTS.replace("[created, updated]", "[created, updated, deleted]");
    for point in ["sink.before", "sink.after"] {
        let mut stage = Stage::unregistered(&format!("{events}sweep: every 1 second\n"));
        assert_eq!(register(&stage, &["--url", &format!("http://{}", stage.address), "--yes"]).0, 0);
        stage.start();
        stage.until("the first sweep", || !stage.sweeps().is_empty());
        stage.account("C-1", "Acme", 1);
        stage.until("the row", || stage.buyers() == ["C-1 Acme 1"] && stage.waiting() == 0);
        stage.kill();
        stage.start_with(&format!("{point}@1=abort"));
        stage.dynamics("DELETE", "accounts(accountnumber='C-1')", "");
        while stage.up.as_mut().unwrap().try_wait().unwrap().is_none() {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        stage.kill();
        stage.account("C-1", "Acme", 1);
        stage.start();
        stage.until("the end", || stage.waiting() == 0 && stage.say(&["trace", "customer", "C-1"]).contains("try 2"));
        assert_eq!(stage.buyers(), ["C-1 Acme 1"], "{point}: {}", stage.say(&["trace", "customer", "C-1"]));
    }
}

#[test]
fn what_an_event_does_not_say_is_left_alone() {
    let events = EVENTS.replace(", columns: [name, creditlimit, emailaddress1], if: '=credit_limit > 0'", "");
    let mut stage = Stage::with(&format!("{events}payload: as_sent\n"));
    stage.start();
    stage.account("C-1", "Acme", 100);
    stage.until("the new row", || stage.buyers() == ["C-1 Acme 100"]);
    // Somebody there keeps an address of their own, and a limit.
    stage.sql("UPDATE buyers SET mail = 'by hand', money = '7'");
    stage.dynamics("PATCH", "accounts(accountnumber='C-1')", r#"{"name": "Acme Ltd"}"#);
    stage.until("the change", || stage.buyers() == ["C-1 Acme Ltd 7"]);
    assert_eq!(stage.texts("SELECT mail FROM buyers"), ["by hand"]);
    // A blank that is said is one.
    stage.dynamics("PATCH", "accounts(accountnumber='C-1')", r#"{"emailaddress1": null, "creditlimit": 12.5}"#);
    stage.until("the second change", || stage.buyers() == ["C-1 Acme Ltd 12.5"]);
    stage.until("quiet", || stage.waiting() == 0);
    assert_eq!(stage.texts("SELECT coalesce(mail, 'none') FROM buyers"), ["none"]);
    assert_eq!(stage.json(&["dead-letters", "list"]), serde_json::json!([]));
}

#[test]
fn events_that_share_an_order_wait_for_each_other() {
    let mut stage = Stage::with(&format!("{EVENTS}order_by: name\n"));
    stage.sql(
        "CREATE TRIGGER refuse BEFORE INSERT ON buyers WHEN new.title = 'Poison' BEGIN SELECT raise(ABORT, 'no'); END;",
    );
    stage.start();
    stage.account("C-1", "Poison", 1);
    stage.until("the dead letter", || stage.json(&["dead-letters", "list"]).as_array().unwrap().len() == 1);
    stage.account("C-2", "Behind it", 2);
    stage.until("the other row, held", || stage.json(&["queue", "list"]).to_string().contains(r#""deferred":1"#));
    let id = stage.json(&["dead-letters", "list"])[0]["id"].as_str().unwrap().to_owned();
    stage.say(&["dead-letters", "discard", &id]);
    stage.until("the other row", || stage.buyers() == ["C-2 Behind it 2"]);
}

#[test]
fn a_context_that_was_too_large_is_fetched() {
    let mut stage = Stage::with(&format!("{EVENTS}payload: as_sent\n"));
    let column = r#"{"@odata.type": "Microsoft.Dynamics.CRM.MemoAttributeMetadata", "SchemaName": "new_Story", "MaxLength": 1048576,
        "RequiredLevel": {"Value": "None"}, "DisplayName": {"LocalizedLabels": [{"Label": "Story", "LanguageCode": 1033}]}}"#;
    stage.dynamics("POST", "EntityDefinitions(LogicalName='account')/Attributes", column);
    stage.start();
    let story = "x".repeat(300 * 1024);
    let body = format!(r#"{{"name": "Long", "creditlimit": 5, "new_story": "{story}"}}"#);
    stage.dynamics("PATCH", "accounts(accountnumber='C-1')", &body);
    stage.until("the row", || stage.buyers() == ["C-1 Long 5"]);
}

/// A door before the hub: answers each request with the next status of a plan, and lets it through where that is 202.
fn door(hub: &str, plan: &'static [u16]) -> String {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, hub) = (listener.local_addr().unwrap().to_string(), hub.to_owned());
    std::thread::spawn(move || {
        for (stream, status) in listener.incoming().zip(plan) {
            let mut stream = stream.unwrap();
            let (mut request, mut part) = (Vec::new(), [0; 65536]);
            loop {
                let read = stream.read(&mut part).unwrap();
                request.extend_from_slice(&part[..read]);
                let text = String::from_utf8_lossy(&request).to_lowercase();
                let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()).unwrap();
                if body.len() >= length.trim().parse().unwrap() {
                    break;
                }
            }
            if *status == 202 {
                let mut through = TcpStream::connect(&hub).unwrap();
                through.write_all(&request).unwrap();
                assert!(through.read(&mut part).unwrap() > 0);
            }
            write!(stream, "HTTP/1.1 {status} Told\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
        }
    });
    address
}

#[test]
fn dynamics_tries_once_more_after_a_gateway_error_and_after_nothing_else() {
    let mut stage = Stage::unregistered(EVENTS);
    let door = door(&stage.address, &[503, 202, 500, 502, 504, 202]);
    assert_eq!(register(&stage, &["--url", &format!("http://{door}"), "--yes"]).0, 0);
    stage.start();
    stage.account("C-1", "Second try", 1);
    stage.account("C-2", "Lost at once", 2);
    stage.account("C-3", "Lost at the second try", 3);
    stage.account("C-4", "First try", 4);
    stage.until("those that came", || stage.buyers() == ["C-1 Second try 1", "C-4 First try 4"]);
    let failed = stage.dynamics("GET", "asyncoperations?$select=message&$filter=statuscode eq 31", "");
    assert_eq!(failed["value"].as_array().unwrap().len(), 2, "{failed:#}");
}

fn post(stage: &Stage, event: &Json) {
    let url = format!("http://{}", stage.address);
    assert_eq!(http_with(&url, "POST", "/webhooks/buyers", "x-hub-key: local-key\r\n", &event.to_string()), "");
}

/// What Dynamics would post of an account, as far as a hub looks at it.
fn context(message: &str, id: &str, more: &Json) -> Json {
    let mut context = json!({ "MessageName": message, "PrimaryEntityName": "account", "PrimaryEntityId": id });
    context.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    context
}

/// Days, and clocks without a zone, come as points in time: a day is none, and such a clock is not shifted by the zone of
/// its system.
#[test]
fn a_day_and_a_clock_of_dynamics_are_written_as_they_are_read() {
    let column = |stage: &Stage, name: &str, behaviour: &str, format: &str| {
        let body = json!({
            "@odata.type": "Microsoft.Dynamics.CRM.DateTimeAttributeMetadata", "SchemaName": name, "Format": format,
            "DateTimeBehavior": { "Value": behaviour },
        });
        stage.dynamics("POST", "EntityDefinitions(LogicalName='account')/Attributes", &body.to_string());
    };
    for payload in ["fetch", "as_sent"] {
        let mut stage = Stage::with(&format!("{EVENTS}payload: {payload}\n"));
        for (name, behaviour, format) in [
            ("new_since", "DateOnly", "DateOnly"),
            ("new_opens", "TimeZoneIndependent", "DateAndTime"),
            ("new_seen", "UserLocal", "DateAndTime"),
        ] {
            column(&stage, name, behaviour, format);
        }
        let fields = "fields:\n  since: { type: date }\n  opens: { type: datetime }\n  seen: { type: datetime }";
        stage.world.edit("entities/customer.yaml", "fields:", fields);
        let read = "read: { since: new_since, opens: new_opens, seen: new_seen }\n    both:";
        stage.world.edit("systems/dynamics.yaml", "both:", read);
        stage.world.edit("systems/dynamics.yaml", "owner:", "time_zone: America/New_York\nowner:");
        stage.world.edit(
            "systems/warehouse.yaml",
            "code: number,",
            "code: number, since: since, opens: opens, seen: seen,",
        );
        stage.sql("ALTER TABLE buyers ADD COLUMN since TEXT; ALTER TABLE buyers ADD COLUMN opens TEXT; ALTER TABLE buyers ADD COLUMN seen TEXT;");
        stage.start();
        let body = r#"{"name": "Acme", "creditlimit": 1, "new_since": "2026-07-01", "new_opens": "2026-07-01T08:00:00Z", "new_seen": "2026-07-01T08:00:00Z"}"#;
        stage.dynamics("PATCH", "accounts(accountnumber='C-1')", body);
        stage.until("the row", || stage.buyers() == ["C-1 Acme 1"]);
        let times = stage.texts("SELECT since || ' ' || opens || ' ' || seen FROM buyers");
        assert_eq!(times, ["2026-07-01 2026-07-01T12:00:00Z 2026-07-01T08:00:00Z"], "{payload}");
    }
}

/// A copy of an environment keeps its webhooks, with their keys. What somebody tries there is not so here.
#[test]
fn what_another_environment_says_of_a_row_is_not_written() {
    let mut stage = Stage::unregistered(&format!("{EVENTS}payload: as_sent\n"));
    stage.account("C-1", "Acme", 1);
    let id = stage.id_of("accounts", "accountid", "accountnumber eq 'C-1'");
    stage.start();
    let said = |organization: &str, name: &str| {
        let attributes = json!([{ "key": "name", "value": name }, { "key": "creditlimit", "value": { "Value": 5 } }]);
        let target = json!([{ "key": "Target", "value": { "Attributes": attributes } }]);
        context("Update", &id, &json!({ "InputParameters": target, "OrganizationId": organization }))
    };
    post(&stage, &said("0a0a0a0a-0000-4000-8000-00000000000a", "Tried in a copy"));
    stage.until("the row as it is here", || stage.buyers() == ["C-1 Acme 1"]);
    let here = stage.dynamics("GET", "WhoAmI", "")["OrganizationId"].as_str().unwrap().to_uppercase();
    post(&stage, &said(&here, "Said here"));
    stage.until("the row as it was sent", || stage.buyers() == ["C-1 Said here 5"]);
}

/// A step for another message than those three, such as one that somebody has registered by hand.
#[test]
fn whatever_was_done_with_a_row_it_is_looked_at_and_holds_nothing_up() {
    let mut stage = Stage::with(EVENTS);
    stage.start();
    stage.account("C-1", "Acme", 1);
    stage.until("the new row", || stage.buyers() == ["C-1 Acme 1"]);
    let id = stage.id_of("accounts", "accountid", "accountnumber eq 'C-1'");
    let moniker = json!([{ "key": "EntityMoniker", "value": { "Id": id, "LogicalName": "account" } }]);
    post(&stage, &context("SetStateDynamicEntity", &id, &json!({ "InputParameters": moniker })));
    stage.account("C-1", "Acme Ltd", 2);
    stage.until("its next event", || stage.buyers() == ["C-1 Acme Ltd 2"]);
    assert_eq!(stage.json(&["dead-letters", "list"]), json!([]));
    // One that names no row says what to register instead.
    post(&stage, &context("CreateMultiple", "00000000-0000-0000-0000-000000000000", &json!({})));
    stage.until("its dead letter", || stage.say(&["dead-letters", "list"]).contains("`CreateMultiple` names no row"));
}

/// A website that nobody can ask.
const WEBSITE: &str = "system: website
kind: rest
owner: finance-it
connection: { url: \"http://127.0.0.1:9\" }
webhooks: { header: x-hub-key, keys: [\"${env:HOOK_KEY}\"] }
entities:
  customer:
    columns: { no: text, name: text, mail: text, limit: decimal, open: yes_no }
    read: { number: no, name: name, email: mail, credit_limit: limit }
    where: =open
";

/// A stage whose events the website posts.
fn of_website(website: &str) -> Stage {
    let events = EVENTS
        .replace("from: dynamics", "from: website")
        .replace(", columns: [name, creditlimit, emailaddress1], if: '=credit_limit > 0'", "");
    let more = "payload: as_sent\nsweep: off\nwithout_sweep_because: The website sends again until it is heard.\n";
    let mut stage = Stage::unregistered(&format!("{events}{more}"));
    std::fs::write(stage.world.dir.join("systems/website.yaml"), website).unwrap();
    stage.start();
    stage
}

#[test]
fn a_refused_row_holds_no_other_where_a_formula_makes_their_keys() {
    let website = WEBSITE.replace("number: no,", "number: =Upper(Trim(no)),");
    let stage = of_website(&website);
    stage.sql(
        "CREATE TRIGGER refuse BEFORE INSERT ON buyers WHEN new.title = 'Poison' BEGIN SELECT raise(ABORT, 'no'); END",
    );
    let row = |no: &str, name: &str| json!({ "no": no, "name": name, "limit": 5, "open": true });
    post(&stage, &row(" w-1", "Poison"));
    stage.until("the dead letter", || stage.json(&["dead-letters", "list"]).as_array().unwrap().len() == 1);
    post(&stage, &row("w-2", "Another"));
    stage.until("the other row", || stage.buyers() == ["W-2 Another 5"]);
    // It is the same row, whatever it looks like before.
    post(&stage, &row("W-1 ", "Better"));
    stage.until("what waits behind it", || stage.json(&["queue", "list"]).to_string().contains(r#""deferred":1"#));
    let waits = stage.say(&["queue", "peek", "buyers"]);
    assert!(waits.contains("W-1") && !waits.contains("W-2"), "{waits}");
}

#[test]
fn what_a_website_does_not_say_is_left_alone() {
    let stage = of_website(WEBSITE);
    post(&stage, &json!({ "no": "W-1", "name": "First", "limit": 10.50, "open": true }));
    stage.until("the row", || stage.texts("SELECT title FROM buyers") == ["First"]);
    stage.sql("UPDATE buyers SET mail = 'by hand'");
    post(&stage, &json!({ "no": "W-1", "limit": 12.75, "open": true }));
    stage.until("its part", || stage.buyers() == ["W-1 First 12.75"]);
    post(&stage, &json!({ "no": "W-1", "mail": null, "open": true }));
    // A blank that is said is one.
    stage.until("what is said to be blank", || stage.texts("SELECT coalesce(mail, 'none') FROM buyers") == ["none"]);
    assert_eq!(stage.json(&["dead-letters", "list"]), json!([]));
    // Whether it is of those that are wanted, nobody knows.
    post(&stage, &json!({ "no": "W-2", "name": "Second" }));
    stage.until("its dead letter", || stage.say(&["dead-letters", "list"]).contains("has no `mail`, `limit`, `open`"));
    post(&stage, &json!({ "name": "Nobody", "open": true }));
    stage.until("one without a key", || stage.say(&["dead-letters", "list"]).contains("has no `no`, `mail`, `limit`"));
}
