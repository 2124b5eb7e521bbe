//! Alerts from the fact to the mail in somebody's box, by the real `up`.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value as Json;

use crate::post::Post;
use crate::support::{World, binary};

/// `up` in the project, ended with the test.
pub struct Up(Child);

impl Up {
    pub fn start(world: &World, environment: &[(&str, &str)]) -> Up {
        let args = ["-C", world.dir.to_str().unwrap(), "up", "--listen", "127.0.0.1:0"];
        let file = std::fs::File::create(world.dir.join("up.log")).unwrap();
        let mut command = binary();
        command.args(args).envs(environment.iter().copied()).stdout(Stdio::null()).stderr(file);
        Up(command.spawn().unwrap())
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// A project whose mails go to a server of the test, with what is late after a few seconds.
fn late_soon(mail: &Post) -> World {
    let world = World::new(10);
    let server = format!("smtp://{}", mail.address);
    world.edit("ironbridge.yaml", "file:mails", &server);
    // What is late is the matter here, and not the system that makes it late.
    world.edit("systems/finance.yaml", "kind: sqlite", "kind: sqlite\nhealth: off");
    world.edit("integrations/customers.yaml", "every 15 minutes", "every 1 second");
    world.edit(
        "integrations/customers.yaml",
        "schedule:",
        "needed_by: 4 seconds\nretry_run: every 1 second\nschedule:",
    );
    world
}

pub fn list(world: &World) -> Vec<Json> {
    let all = world.ironbridge(&["--format", "json", "alerts", "list", "--all"]).ok().json();
    all["alerts"].as_array().unwrap().clone()
}

fn late(world: &World) -> Option<Json> {
    list(world).into_iter().find(|alert| alert["key"] == "late/customers")
}

pub fn until(world: &World, what: &str, done: impl Fn() -> bool) {
    let begun = Instant::now();
    while !done() {
        let log = || std::fs::read_to_string(world.dir.join("up.log")).unwrap_or_default();
        assert!(begun.elapsed() < Duration::from_secs(90), "{what} did not come: {:#?}\n{}", list(world), log());
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn has_run(world: &World) -> bool {
    let runs = world.ironbridge(&["--format", "json", "runs"]).ok().json();
    runs.as_array().unwrap().iter().any(|run| run["state"].as_str().unwrap().starts_with("ok"))
}

/// Of mails in quoted-printable, as lettre writes them: the text that a reader sees.
fn readable(mail: &str) -> String {
    let joined = mail.replace("=\r\n", "");
    let mut bytes = Vec::new();
    let mut rest = joined.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.filter(|_| byte == b'=').and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(decoded) => {
                bytes.push(decoded);
                rest = &after[2..];
            }
            None => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn a_late_result_is_one_mail_and_its_end_another() {
    let mail = Post::smtp();
    let world = late_soon(&mail);
    let _up = Up::start(&world, &[]);
    until(&world, "a good run", || has_run(&world));
    assert!(late(&world).is_none());
    let (finance, away) = (world.finance(), world.dir.join("data/away.db"));
    std::fs::rename(&finance, &away).unwrap();

    let opened = readable(&mail.until("the mail", |mail| mail.contains("customers is late")));
    for part in [
        "Subject: [critical] contoso: customers is late",
        "To: finance-it@contoso.example",
        "Auto-Submitted: auto-generated",
        "Its result was needed by ",
        "What it is for: Sales see",
        &world.typed("runs customers"),
        &world.typed("runbook customers"),
    ] {
        assert!(opened.contains(part), "no `{part}` in {opened}");
    }
    let alert = late(&world).unwrap();
    let id = alert["id"].to_string();
    assert_eq!((&alert["severity"], &alert["state"]), (&"critical".into(), &"open".into()));
    let shown = world.ironbridge(&["alerts", "show", &id]).ok();
    assert!(shown.out.contains("finance-it/email told that it began: taken at "), "{shown:?}");
    let listed = world.ironbridge(&["alerts", "list"]).ok();
    assert!(listed.out.contains("contoso") || listed.out.contains("customers is late"), "{listed:?}");
    assert!(!listed.err.contains("does not run"), "{listed:?}");

    world.ironbridge(&["alerts", "ack", &id, "--by", "controller", "--note", "the server moves"]).ok();
    assert_eq!(late(&world).unwrap()["state"], "controller looks at it");
    std::fs::rename(&away, &finance).unwrap();
    let over = readable(&mail.until("its end", |mail| mail.contains("[over] contoso: customers is late")));
    let of = |mail: &str, header: &str| mail.lines().find_map(|line| line.strip_prefix(header).map(str::to_owned));
    assert_eq!(of(&opened, "Message-ID: "), of(&over, "In-Reply-To: "), "one matter is one thread");
    until(&world, "the end in the list", || late(&world).is_some_and(|alert| alert["state"] == "over"));
    world.ironbridge(&["alerts", "ack", &id]).fails(2, "IB1005");
    let about_late = mail.taken().iter().filter(|mail| mail.contains("customers is late")).count();
    assert_eq!(about_late, 2, "{:#?}", mail.taken());
}

#[test]
fn who_is_not_reached_is_told_another_way_and_nothing_is_lost() {
    let (mail, posted, pager) = (Post::smtp(), Post::http(), Post::http());
    let world = late_soon(&mail);
    world.edit(
        "people.yaml",
        "finance-it: { email: finance-it@contoso.example, warnings: always }",
        "finance-it: { email: finance-it@contoso.example, warnings: always, teams: \"${env:TEAMS}\", slack: \"${env:SLACK}\", webhook: \"${env:HOOK}\", pagerduty: \"${env:PAGER}\" }",
    );
    world.edit(
        "ironbridge.yaml",
        "hub: contoso",
        "hub: contoso\nheartbeat: { url: \"${env:BEAT}\", every: 1 second }\naddress: https://hub.contoso.example/",
    );
    let at = |path: &str| format!("http://{}/{path}", posted.address);
    let (teams, slack, hook, beat) = (at("teams"), at("slack"), at("hook"), at("beat"));
    let pager_url = format!("http://{}/v2/enqueue", pager.address);
    let environment = [
        ("TEAMS", teams.as_str()),
        ("SLACK", &slack),
        ("HOOK", &hook),
        ("BEAT", &beat),
        ("PAGER", "sample-key"),
        ("IRONBRIDGE_PAGERDUTY", &pager_url),
    ];
    mail.refuse(Some("451 not now"));
    let _up = Up::start(&world, &environment);
    until(&world, "a good run", || has_run(&world));
    posted.until("the heartbeat", |taken| taken == "/beat");
    std::fs::rename(world.finance(), world.dir.join("data/away.db")).unwrap();
    let webhook: Json = serde_json::from_str(
        &posted.until("the webhook", |body| body.contains("\"kind\":\"opened\"") && body.contains("customers is late")),
    )
    .unwrap();
    assert_eq!(webhook["severity"], "critical");
    assert_eq!(webhook["link"], "https://hub.contoso.example/integrations/customers/runbook#late");
    let card: Json = serde_json::from_str(&posted.until("the card", |body| body.contains("AdaptiveCard"))).unwrap();
    let first = &card["attachments"][0]["content"]["body"][0];
    assert!(first["text"].as_str().unwrap().contains("customers is late"), "{card:#}");
    let blocks: Json = serde_json::from_str(&posted.until("the blocks", |body| body.contains("\"blocks\""))).unwrap();
    assert!(blocks["text"].as_str().unwrap().contains("customers is late"), "{blocks:#}");
    let event: Json =
        serde_json::from_str(&pager.until("the pager", |body| body.contains("customers is late"))).unwrap();
    assert_eq!((&event["event_action"], &event["payload"]["severity"]), (&"trigger".into(), &"critical".into()));
    // The mail is tried again, and comes when the server takes it.
    assert_eq!(mail.taken().len(), 0);
    mail.refuse(None);
    mail.until("the mail, late", |mail| mail.contains("customers is late"));

    mail.refuse(Some("550 nobody here"));
    let tried = said_with(&world, &["alerts", "test"], &environment);
    assert!(tried.contains("finance-it/email: not taken") && tried.contains("finance-it/slack: taken"), "{tried}");
    assert!(tried.contains("IB1001"), "{tried}");
}

fn said_with(world: &World, args: &[&str], environment: &[(&str, &str)]) -> String {
    let dir = world.dir.to_str().unwrap();
    let output = binary().args(["-C", dir]).args(args).envs(environment.iter().copied()).output().unwrap();
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn silence_coverage_and_runbook_as_people_type_them() {
    let world = World::new(10);
    let coverage = world.ironbridge(&["alerts", "coverage"]).ok().out;
    for part in ["customers (batch), owner finance-it", "late ", "finance-it/email", "the hub itself", "disk-low"] {
        assert!(coverage.contains(part), "no `{part}` in {coverage}");
    }
    world.ironbridge(&["alerts", "test"]).ok();
    let mails: Vec<_> = std::fs::read_dir(world.dir.join("mails")).unwrap().flatten().collect();
    assert_eq!(mails.len(), 2, "one for each owner: {mails:?}");
    let mail = readable(&std::fs::read_to_string(mails[0].path()).unwrap());
    assert!(mail.contains("[test] contoso: this is a test"), "{mail}");

    world.ironbridge(&["alerts", "silence", "nothing", "--for", "1 hour", "--note", "x"]).fails(2, "IB0002");
    world.ironbridge(&["alerts", "silence", "customers", "--for", "1 hour", "--note", "they move"]).ok();
    let list = world.ironbridge(&["alerts", "list"]).ok();
    assert!(list.err.contains("nobody is told of customers until") && list.err.contains("they move"), "{list:?}");
    assert!(list.err.contains("` does not run on this folder"), "{list:?}");
    // Another word about the same is the same silence, until the later end.
    world.ironbridge(&["alerts", "silence", "customers", "--for", "8 hours", "--note", "still"]).ok();
    let again = world.ironbridge(&["alerts", "silence", "customers", "--for", "1 hour", "--note", "nearly"]).ok();
    assert!(again.err.contains("has said so until then already (still)"), "{again:?}");
    let list = world.ironbridge(&["--format", "json", "alerts", "list"]).ok().json();
    assert_eq!((list["silences"].as_array().unwrap().len(), &list["silences"][0]["note"]), (1, &"nearly".into()));
    world.ironbridge(&["alerts", "unsilence", "1"]).ok();
    world.ironbridge(&["alerts", "unsilence", "1"]).fails(2, "IB1005");
    world.ironbridge(&["alerts", "show", "7"]).fails(2, "IB1005");
    let audit = world.ironbridge(&["--format", "json", "audit", "list", "--action", "alerts"]).ok().json();
    let done: Vec<&str> = audit.as_array().unwrap().iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    let silenced = ["alerts silence"; 3];
    assert_eq!(done, [&["alerts unsilence"], &silenced[..], &["alerts test"]].concat(), "{audit:#}");

    std::fs::create_dir_all(world.dir.join("runbooks")).unwrap();
    let notes = world.dir.join("runbooks/customers.md");
    std::fs::write(&notes, "Ask the desk (sample).\n\n## Alert: late\n\nRing the bell.\n").unwrap();
    world.run();
    let page = world.ironbridge(&["runbook", "customers"]).ok().out;
    let section = page.split("### The result is late {#late}").nth(1).unwrap().split("\n### ").next().unwrap();
    assert!(section.contains("Ring the bell.") && section.contains(&world.typed("runs customers")), "{section}");
    assert!(page.contains("Ask the desk (sample).") && page.contains("## Whom to call"), "{page}");
    assert!(page.contains("A run reads about ") && page.contains("finance-it@contoso.example"), "{page}");
    let html = world.ironbridge(&["runbook", "customers", "--html"]).ok().out;
    assert!(html.starts_with("<!doctype html>") && html.contains("<h3 id=\"late\">The result is late</h3>"), "{html}");
    world.ironbridge(&["check"]).ok();
    std::fs::write(&notes, "## Alert: lateness\n\nRing the bell.\n").unwrap();
    let found = world.ironbridge(&["check"]).fails(2, "IB1003");
    assert!(found.err.contains("runbooks/customers.md:1:1"), "it is found where it stands: {found:?}");
    let sarif = world.ironbridge(&["--format", "sarif", "check"]).out;
    let sarif: Json = serde_json::from_str(&sarif).unwrap();
    let result = &sarif["runs"][0]["results"][0];
    let place = &result["locations"][0]["physicalLocation"];
    assert_eq!(result["ruleId"], "IB1003", "{sarif:#}");
    assert!(place["artifactLocation"]["uri"].as_str().unwrap().ends_with("runbooks/customers.md"), "{place:#}");
    std::fs::remove_file(&notes).unwrap();

    // Without a mail server nobody hears of anything: a warning where one works alone, an error where it matters.
    let hub = std::fs::read_to_string(world.dir.join("ironbridge.yaml")).unwrap();
    let without: String =
        hub.lines().filter(|line| !line.starts_with("mail:")).map(|line| format!("{line}\n")).collect();
    std::fs::write(world.dir.join("ironbridge.yaml"), without).unwrap();
    let warned = world.ironbridge(&["check"]).ok();
    assert!(warned.err.contains("IB1002") && warned.err.contains("no mail leaves this hub"), "{warned:?}");
    let silent = world.ironbridge(&["alerts", "coverage"]);
    assert!(silent.code == Some(1) && silent.out.contains("NOBODY HEARS OF IT"), "{silent:?}");
    world.ironbridge(&["alerts", "test"]).fails(2, "IB1006");
    std::fs::create_dir_all(world.dir.join("environments")).unwrap();
    std::fs::write(world.dir.join("environments/production.yaml"), "protected: true\n").unwrap();
    world.ironbridge(&["--env", "production", "check"]).fails(2, "IB1002");
}

#[test]
fn a_system_that_does_not_answer_is_seen_though_nothing_has_to_go_there() {
    let world = World::new(10);
    world.edit("systems/dynamics.yaml", "kind: dataverse", "kind: dataverse\nhealth: every 1 second");
    world.run();
    let _up = Up::start(&world, &[]);
    let status = || world.ironbridge(&["--format", "json", "status"]).ok().json();
    let silent = || status()[0]["systems_silent"].as_array().unwrap().len();
    world.fault("down");
    until(&world, "the silence", || silent() == 1);
    let shown = world.ironbridge(&["status"]).ok();
    assert!(shown.out.contains(", but dynamics does not answer"), "{shown:?}");
    for part in ["dynamics does not answer since ", &world.typed("systems check dynamics")] {
        assert!(shown.err.contains(part), "no `{part}` in {shown:?}");
    }
    let page = world.ironbridge(&["runbook", "customers"]).ok().out;
    assert!(page.contains("- dynamics does not answer since "), "{page}");
    assert_eq!(status()[0]["state"], "ok_with_dead_letters", "the run is what it was");
    world.fault("");
    until(&world, "its end", || silent() == 0);
    let told = list(&world).into_iter().filter(|alert| alert["kind"] == "system-down").count();
    assert_eq!(told, 0, "and nobody was told of so short a time");
}

#[test]
fn a_system_that_a_run_has_written_to_is_not_said_to_be_silent_until_it_is_asked_again() {
    let world = World::new(10);
    world.edit("systems/dynamics.yaml", "kind: dataverse", "kind: dataverse\nhealth: every 1 hour");
    world.run();
    world.fault("down");
    let _up = Up::start(&world, &[]);
    let silent = || world.ironbridge(&["--format", "json", "status"]).ok().json()[0]["systems_silent"].clone();
    until(&world, "the silence", || silent() == serde_json::json!(["dynamics"]));
    world.fault("");
    world
        .sql("UPDATE customers SET credit_limit = credit_limit + 1, updated_at = strftime('%Y-%m-%d %H:%M:%S', 'now')");
    assert!(world.run()["updated"].as_u64().unwrap() > 0);
    assert_eq!(silent(), serde_json::json!([]));
    assert_eq!(world.run()["updated"], 0);
    assert_eq!(silent(), serde_json::json!([]), "the next run had nothing to write, and that says nothing");
}
