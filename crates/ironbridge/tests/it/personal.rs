//! A personal value and a secret are planted, and every output is searched for them.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::stage::{EVENTS, Stage};
use crate::support::{World, binary, said};

const PLANTED: &str = "planted.person@private.example";

/// Everything that a person can have printed of a project.
fn outputs(world: &World, entity: &str, key: &str) -> String {
    let mut all = String::new();
    let commands: [&[&str]; 17] = [
        &["status"],
        &["runs"],
        &["plan", "customers", "--detailed"],
        &["--format", "json", "plan", "customers", "--detailed"],
        &["-vv", "run", "customers"],
        &["--log-format", "json", "-vv", "run", "customers"],
        &["--format", "json", "run", "customers"],
        &["dead-letters", "list", "--all"],
        &["--format", "json", "dead-letters", "list", "--all"],
        &["--format", "csv", "dead-letters", "list", "--all"],
        &["dead-letters", "groups"],
        &["--format", "json", "dead-letters", "groups"],
        &["dead-letters", "weekly"],
        &["queue", "list"],
        &["trace", entity, key],
        &["--format", "json", "trace", entity, key],
        &["audit", "export", "-"],
    ];
    for command in commands {
        let said = world.ironbridge(command);
        all += &format!("\n$ {command:?}\n{}{}", said.out, said.err);
    }
    let letters = world.ironbridge(&["--format", "json", "dead-letters", "list", "--all"]).json();
    for letter in letters.as_array().unwrap() {
        for format in ["human", "json"] {
            let said = world.ironbridge(&["--format", format, "dead-letters", "show", letter["id"].as_str().unwrap()]);
            all += &format!("\n$ show {}\n{}{}", letter["key"], said.out, said.err);
        }
    }
    all
}

#[test]
fn a_personal_value_that_cannot_be_read_or_that_another_field_is_made_of_is_in_no_output() {
    let world = World::new(5);
    // The amount is personal here, and one is no number; a name is made of the address.
    let entity = std::fs::read_to_string(world.dir.join("entities/customer.yaml")).unwrap();
    let amount = entity.lines().find(|line| line.trim_start().starts_with("credit_limit:")).unwrap().to_owned();
    world.edit("entities/customer.yaml", &amount, &amount.replacen(" }", ", personal: true }", 1));
    world.edit("systems/finance.yaml", "name: =Trim(company_name)", "name: =Text(Value(contact_email))");
    world.sql(&format!(
        "UPDATE customers SET credit_limit = '{PLANTED}' WHERE customer_no = 'C-1003';
         UPDATE customers SET contact_email = '{PLANTED}' WHERE customer_no = 'C-1004'"
    ));
    let all = outputs(&world, "customer", "C-1004");
    assert!(all.contains("IB0410") && all.contains("its value is not shown"), "nothing was shown:\n{all}");
    assert!(!all.contains("private.example"), "{}", lines_with(&all, "private.example"));
}

#[test]
fn a_personal_value_of_a_bad_row_is_in_no_output() {
    let world = World::new(20);
    // One row is bad by its e-mail itself, one by something else; both have a planted one.
    let long = format!("{}{PLANTED}", "x".repeat(150));
    world.sql(&format!(
        "UPDATE customers SET contact_email = '{long}' WHERE customer_no = 'C-1003';
         UPDATE customers SET contact_email = '{PLANTED}', terms_code = '77' WHERE customer_no = 'C-1004'"
    ));
    let all = outputs(&world, "customer", "C-1003");
    assert!(all.contains("C-1004") && all.contains("***"), "nothing was shown:\n{all}");
    assert!(!all.contains("private.example"), "{}", lines_with(&all, "private.example"));
}

fn lines_with(text: &str, part: &str) -> String {
    text.lines().filter(|line| line.contains(part) || line.starts_with("$ ")).collect::<Vec<_>>().join("\n")
}

#[test]
fn what_the_other_side_repeats_and_what_waits_in_the_queue_is_masked() {
    let mut stage = Stage::with(&EVENTS.replace("columns: [name, creditlimit, emailaddress1]", "columns: [name]"));
    stage.start();
    // The warehouse refuses, and repeats what it was sent.
    stage.sql(
        "CREATE TRIGGER no BEFORE INSERT ON buyers BEGIN SELECT raise(ABORT, 'this mail is taken: planted.person@private.example'); END",
    );
    let body = format!(r#"{{"name": "Somebody", "creditlimit": 5, "emailaddress1": "{PLANTED}"}}"#);
    stage.dynamics("PATCH", "accounts(accountnumber='C-1')", &body);
    stage.until("the dead letter", || stage.json(&["dead-letters", "list"]).as_array().unwrap().len() == 1);
    // Another event of the row waits behind it, and holds the row as it was sent.
    stage.dynamics("PATCH", "accounts(accountnumber='C-1')", &body.replace("Somebody", "Somebody else"));
    stage.until("the held event", || stage.waiting() == 1);
    let id = stage.json(&["dead-letters", "list"])[0]["id"].as_str().unwrap().to_owned();
    let mut all = String::new();
    for command in [
        &["dead-letters", "show", &id][..],
        &["dead-letters", "list"],
        &["dead-letters", "groups"],
        &["trace", "customer", "C-1"],
        &["queue", "peek", "buyers"],
        &["status"],
    ] {
        all += &stage.say(command);
        all += &stage.json(command).to_string();
    }
    assert!(all.contains("this mail is taken"), "{all}");
    assert!(!all.contains("private.example"), "{}", lines_with(&all, "private.example"));
    let metrics = get(&stage.address, "/metrics");
    assert!(metrics.contains("ironbridge_dead_letters{integration=\"buyers\"} 1"), "{metrics}");
    assert!(!metrics.contains("private.example") && !metrics.contains("C-1\""), "{metrics}");

    // It is forgotten: nothing of it is in any file of the state.
    stage.kill();
    let look = stage.run(&["forget", "customer", "C-1"]).fails(1, "IB1033");
    assert!(look.out.contains("would be removed:") && look.out.contains("kept:"), "{look:#?}");
    let done = stage.run(&["forget", "customer", "C-1", "--yes", "--note", "asked for"]).ok();
    for part in ["1 dead letter,", "1 message that waits", "of what happened", "the audit log"] {
        assert!(done.out.contains(part), "no {part} in {}", done.out);
    }
    assert!(stage.say(&["trace", "customer", "C-1"]).contains("Nothing is known of customer C-1"));
    assert_eq!(stage.json(&["queue", "list"])[1]["deferred"], 0);
    let audit = stage.say(&["audit", "list"]);
    assert!(audit.contains("forget") && audit.contains("asked for") && !audit.contains("C-1"), "{audit}");
    let state = std::fs::read_dir(stage.world.dir.join(".ironbridge")).unwrap().map(|entry| entry.unwrap().path());
    for file in state.filter(|path| path.is_file()) {
        let bytes = std::fs::read(&file).unwrap();
        let found = bytes.windows(PLANTED.len()).any(|window| window == PLANTED.as_bytes());
        assert!(!found, "{} still holds the address", file.display());
    }
    assert!(stage.run(&["forget", "customer", "C-1"]).ok().err.contains("keeps nothing"));
    stage.run(&["forget", "custmer", "C-1"]).fails(2, "IB0002");
    // The next event of the row is delivered: nothing holds it back any more.
    stage.sql("DROP TRIGGER no");
    stage.start();
    stage.account("C-1", "Somebody new", 6);
    stage.until("the next event", || stage.buyers() == ["C-1 Somebody new 6"]);
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_support_bundle_holds_no_secret_and_no_person() {
    let world = World::new(20);
    let secret = "planted-secret-4711";
    std::fs::write(world.dir.join("dynamics.token"), secret).unwrap();
    world.edit("ironbridge.yaml", "hub: contoso", &format!("# call {PLANTED}, or use {secret}\nhub: contoso"));
    world.sql(&format!(
        "UPDATE customers SET contact_email = '{PLANTED}', terms_code = '77' WHERE customer_no = 'C-1003'"
    ));
    let dir = world.dir.to_str().unwrap();
    let bundle = world.dir.join("bundle.zip");
    // It cannot be read without the right token; the run and its fault are in the bundle all the same.
    said(binary().args(["-C", dir, "run", "customers"]).output().unwrap());
    let made = world.ironbridge(&["support-bundle", bundle.to_str().unwrap()]).ok();
    assert!(made.out.contains("runs.json") && made.out.contains("project/systems/finance.yaml"), "{made:#?}");
    let mut zip = zip::ZipArchive::new(std::fs::File::open(&bundle).unwrap()).unwrap();
    let (mut all, mut names) = (String::new(), Vec::new());
    for at in 0..zip.len() {
        let mut file = zip.by_index(at).unwrap();
        names.push(file.name().unwrap().into_owned());
        file.read_to_string(&mut all).unwrap();
    }
    assert!(all.contains("IB0") && all.contains("integration: customers") && all.contains("ironbridge_runs_total"));
    assert!(!names.iter().any(|name| name.contains("people") || name.contains("tests")), "{names:?}");
    for planted in [PLANTED, secret, "C-1003"] {
        assert!(!all.contains(planted), "{planted} is in the bundle:\n{}", lines_with(&all, planted));
    }
    world.ironbridge(&["support-bundle", "/nowhere/bundle.zip"]).fails(2, "IB1035");
}

#[test]
fn health_and_readiness_and_metrics_say_what_is() {
    let mut stage = Stage::new();
    stage.start();
    for (path, check) in [("/healthz", "schedule"), ("/readyz", "disk")] {
        let answer = get(&stage.address, path);
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(&format!("\"{check}\":\"ok\"")), "{answer}");
    }
    let metrics = get(&stage.address, "/metrics");
    for part in [
        "ironbridge_build_info{version=",
        "ironbridge_destination_down{integration=\"buyers\",system=\"warehouse\"} 0",
        "ironbridge_queue_messages{queue=\"events/buyers/subscriptions/warehouse\",state=\"ready\"} 0",
        "ironbridge_http_requests_total{route=\"/healthz\",status=\"200\"} 1",
        "# TYPE ironbridge_http_request_duration_seconds histogram",
    ] {
        assert!(metrics.contains(part), "no {part} in {metrics}");
    }
    // Whatever is asked for, the number of labels stays.
    for n in 0..20 {
        get(&stage.address, &format!("/nothing/{n}"));
    }
    let again = get(&stage.address, "/metrics");
    assert!(again.contains("ironbridge_http_requests_total{route=\"other\",status=\"404\"} 20"), "{again}");
    // A state folder that takes no file: not ready, and still alive.
    let folder = stage.world.dir.join(".ironbridge/ready.probe");
    std::fs::create_dir(&folder).unwrap();
    let answer = get(&stage.address, "/readyz");
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("\"status\":\"failed\""), "{answer}");
    assert!(get(&stage.address, "/healthz").starts_with("HTTP/1.1 200"));
}

#[test]
fn a_changed_copy_is_sent_where_that_is_allowed() {
    let sent = "integration: buyers
pattern: event
entity: customer
from: website
to: [warehouse]
trigger: { rows: [created, updated] }
payload: as_sent
because: The warehouse ships within the minute.
after_dead_letter: continue
sweep: off
without_sweep_because: The website sends every event again until it is acknowledged.
owner: finance-it
purpose: A test.
";
    let mut stage = Stage::unregistered(sent);
    let website = "system: website
kind: rest
owner: finance-it
connection: { url: \"http://127.0.0.1:9\" }
webhooks: { header: x-hub-key, keys: [\"${env:HOOK_KEY}\"] }
entities:
  customer: { columns: { no: text, name: text, mail: text, limit: decimal }, read: { number: no, name: name, email: mail, credit_limit: limit } }
";
    std::fs::write(stage.world.dir.join("systems/website.yaml"), website).unwrap();
    stage.sql(
        "CREATE TRIGGER no BEFORE INSERT ON buyers WHEN new.title = 'Wrong' BEGIN SELECT raise(ABORT, 'closed'); END",
    );
    stage.start();
    let event = stage.world.dir.join("event.json");
    std::fs::write(&event, r#"{"no": "W-1", "name": "Wrong", "mail": "a@b.example", "limit": 10.50}"#).unwrap();
    stage.say(&["queue", "send", "buyers", event.to_str().unwrap()]);
    stage.until("the dead letter", || stage.json(&["dead-letters", "list"]).as_array().unwrap().len() == 1);
    let id = stage.json(&["dead-letters", "list"])[0]["id"].as_str().unwrap()[..8].to_owned();
    let edit = |set: &str| stage.run(&["dead-letters", "edit", &id, "--set", set, "--note", "agreed"]);
    edit("name=Right").fails(2, "IB1031").err.contains("does not allow");
    stage.world.edit("integrations/buyers.yaml", "sweep: off", "dead_letters: { edit_and_retry: true }\nsweep: off");
    for (set, why) in
        [("no=W-2", "part of the key"), ("mail=x@y.example", "personal data"), ("what=x", "no value `what`")]
    {
        let refused = edit(set).fails(2, "IB1031");
        assert!(refused.err.contains(why), "{refused:#?}");
    }
    // Of two copies that are on their way at once, the second one would be sent to nobody.
    stage.say(&["pause", "buyers", "--note", "a test"]);
    edit("name=Right").ok();
    let refused = edit("name=Better").fails(2, "IB1031");
    assert!(refused.err.contains("on its way again"), "{refused:#?}");
    stage.say(&["resume", "buyers"]);
    stage.until("the copy", || stage.buyers() == ["W-1 Right 10.50"] || stage.buyers() == ["W-1 Right 10.5"]);
    stage.until("its end", || stage.json(&["dead-letters", "show", &id])["state"] == "resolved");
    let shown = stage.say(&["dead-letters", "show", &id]);
    for part in ["A changed copy", "name: \"Wrong\" -> \"Right\"", "agreed"] {
        assert!(shown.contains(part), "no {part} in {shown}");
    }
    assert!(!shown.contains("a@b.example"), "{shown}");
}
