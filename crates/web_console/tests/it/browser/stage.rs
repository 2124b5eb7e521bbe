//! A hub that has something to show: of everything that a page can show, at least one.

use std::sync::Arc;
use std::time::Duration;

use hub::retries::Wanted;
use serde_json::{Value as Json, json};
use store::alerts::{self, NoticeKind, Opening, Saying, Severity};
use store::approvals::{Kind, Question};
use store::audit::Actor;
use store::dead_letters::{self, Rejection};
use store::flows;
use store::journal::{Note, What};
use store::queue::{self, Message, Problem};
use store::runs::State;
use store::{OpResult, Store, approvals, outages};

use crate::kinds;
use crate::lists::run;
use crate::support::Bench;
use crate::systems::Systems;

pub const PROJECT: &[(&str, &str)] = &[
    ("ironbridge.yaml", "hub: contoso\ntime_zone: Europe/London\n"),
    (
        "people.yaml",
        "people:\n  controller: { name: Controller (sample), email: controller@contoso.example }\n  cfo: { name: CFO (sample), email: cfo@contoso.example, time_zone: America/New_York }\n\
         groups:\n  it: { email: it@contoso.example }\n  crm-team: { email: crm-team@contoso.example }\n  finance: { members: [controller, cfo] }\n",
    ),
    (
        "entities/customer.yaml",
        "entity: customer\nkey: number\nfields:\n  number: { type: text, max_length: 20 }\n  name: { type: text, max_length: 160, required: true }\n  email: { type: text, max_length: 100, personal: true }\n  terms: { type: text, max_length: 5 }\n",
    ),
    (
        "entities/order.yaml",
        "entity: order\nkey: number\nfields:\n  number: { type: text, max_length: 20 }\n  terms: { type: text, max_length: 10 }\n  total: { type: decimal, scale: 2 }\n",
    ),
    (
        "entities/stock.yaml",
        "entity: stock\nkey: sku\nfields:\n  sku: { type: text, max_length: 5, pattern: \"P-[0-9]{3}\" }\n  label: { type: text, max_length: 40, required: true }\n  quantity: { type: whole_number }\n",
    ),
    (
        "systems/finance.yaml",
        "system: finance\nkind: postgres\nowner: it\nconnection: { url: \"${env:FINANCE}\" }\nentities:\n  customer:\n    table: customers\n    alternate_key: customer_no\n    read:\n      number: customer_no\n      name: =Trim(company_name)\n      email: =Lower(Trim(contact_email))\n      terms: terms_code\n    write: { customer_no: number, terms_code: terms }\n",
    ),
    (
        "systems/dynamics.yaml",
        "system: dynamics\nkind: dataverse\nowner: crm-team\nconnection: { url: \"https://contoso.example\" }\nwebhooks: { header: x-ironbridge-key, keys: [\"${file:hook.token}\"] }\nodata: { keys: [\"${file:odata.token}\"] }\nentities:\n  customer:\n    table: account\n    alternate_key: accountnumber\n    read: { number: accountnumber, name: name, terms: paymenttermscode }\n    write: { accountnumber: number, name: name, emailaddress1: email, paymenttermscode: terms }\n  order:\n    table: salesorder\n    alternate_key: ordernumber\n    read: { number: ordernumber, terms: paymentterms, total: totalamount }\n  stock: { virtual_table: new_stock, primary_name: label }\n",
    ),
    (
        "systems/erp.yaml",
        "system: erp\nkind: rest\nowner: it\nconnection: { url: \"https://erp.contoso.example\", bearer: \"${env:ERP}\" }\nentities:\n  order:\n    create: POST /orders\n    update: PUT /orders/{number}\n    exists: GET /orders?ref={number}\n    write: { ref: number, terms: terms, total: total }\n",
    ),
    (
        "systems/warehouse.yaml",
        "system: warehouse\nkind: postgres\nowner: it\nconnection: { url: \"${env:WAREHOUSE}\" }\nentities:\n  stock: { table: stock, read: { sku: sku, label: product, quantity: quantity } }\n",
    ),
    (
        "integrations/customers.yaml",
        "integration: customers\npattern: batch\nentity: customer\nfrom: finance\nto: dynamics\nschedule: every 15 minutes\nowner: it\npurpose: Sales see a new finance customer within half an hour.\n",
    ),
    (
        "integrations/orders.yaml",
        "integration: orders\npattern: event\nentity: order\nfrom: dynamics\nto: [erp]\ntrigger: { rows: [created, updated] }\npayload: as_sent\nsweep: off\nwithout_sweep_because: This is a test.\ndead_letters: { edit_and_retry: true }\nbecause: Stock is allocated at the moment the order is placed.\nowner: crm-team\npurpose: Orders reach the warehouse while the customer is on the phone.\n",
    ),
    (
        "integrations/stock.yaml",
        "integration: stock\npattern: virtual\nentity: stock\nfrom: warehouse\nto: dynamics\nowner: it\npurpose: Sales see what is there while the customer is on the phone.\n",
    ),
    (
        "integrations/terms.yaml",
        "integration: terms\npattern: flow\ntrigger: { entity: customer, in: dynamics, rows: [created], form: { wanted: { type: choice, values: [\"30\", \"60\"], required: true, label: Terms wanted }, amount: { type: money, currency: GBP, label: Expected a year }, until: { type: date }, urgent: { type: yes_no }, reason: { type: multiline, required: true, label: Why }, like: { type: reference, entity: customer, label: As for } } }\nvolume: { expected: 30 a day, ceiling: 200 a day }\nsteps:\n  - approve: decision\n    ask: =$\"May {number} have terms {terms}?\"\n    of: { one_of: [group:finance] }\n    remind: every 1 working day\n    deadline: { after: 5 working days, outcome: rejected }\n  - if: =decision.outcome = \"approved\"\n    then: [ { write: { entity: customer, to: finance, key: =number, set: { terms: =terms } } } ]\nowner: it\npurpose: Payment terms are agreed by people, not by code.\n",
    ),
];

/// What the walk looks at by name.
pub struct Stage {
    /// A rejected row, and a message that the destination refused.
    pub row: String,
    pub message: String,
    /// Their groups.
    pub rows: String,
    /// The retry of some rows, which waits for somebody.
    pub job: i64,
    /// An instance of a flow that cannot go on; the one after it neither, and the one before it asks.
    pub instance: i64,
}

/// A hub that a browser reaches, and where.
pub async fn set() -> (Bench, String, Stage) {
    let (bench, url) = Bench::listening(PROJECT).await;
    let stage = fill(&bench).await;
    (bench, url, stage)
}

async fn fill(bench: &Bench) -> Stage {
    let store = &bench.store;
    for n in 0..120_u64 {
        run(store, "customers", if n % 11 == 0 { State::Failed } else { State::Ok }, 40 + n % 17).await;
        bench.wait(Duration::from_secs(3600));
    }
    hub::events::prepare(&bench.console.project, store).await.unwrap();
    let mut row = String::new();
    for n in 1..=12 {
        row = reject(store, n).await;
    }
    bench.wait(Duration::from_secs(1800));
    let message = refuse(store).await;
    questions(store).await;
    let at = |what, system| Note {
        detail: "as finance has it".into(),
        ..Note::new("customer", "C-1001", what, "customers", system)
    };
    store
        .commit_one(store::journal::Op::Note(vec![at(What::Created, "dynamics"), at(What::Updated, "dynamics")]))
        .await
        .unwrap();
    outage(store).await;
    let rows = store.dead_letters_like(&row).unwrap()[0].cause.clone();
    // Somebody has begun a retry of some; nobody works on it here.
    let wanted = Wanted {
        group: rows.clone(),
        integration: "customers".into(),
        as_of: store.clock().now(),
        stop_after: Some(5),
        per_minute: Some(60),
        why: Some("finance has corrected the codes".into()),
    };
    let job = hub::retries::start(store, &wanted, &Actor::new("ola", "console")).await.unwrap().unwrap();
    for n in 0..5 {
        bench.step(job).await;
        // What is sent again fails again, or is written after all.
        if n == 0 {
            for number in ["C-1001", "C-1002"] {
                reject(store, number[4..].parse().unwrap()).await;
            }
            let keys = ["C-1003", "C-1004", "C-1005"].map(|n| record::Key::of(&[record::Value::text(n)]).unwrap());
            let (integration, entity) = ("customers".to_owned(), "customer".to_owned());
            store.commit_one(dead_letters::Op::Supersede { integration, entity, keys: keys.into() }).await.unwrap();
        }
    }
    let instance = instances(bench).await;
    alerts(store).await;
    bench.wait(Duration::from_secs(600));
    Stage { row, message, rows, job: job.0, instance }
}

async fn reject(store: &Store, n: u32) -> String {
    let number = format!("C-{}", 1000 + n);
    let detail = json!({
        "faults": [{
            "code": "IB0412", "what": format!("the terms of {number} are not known: 45"),
            "where": { "system": "finance", "table": "customers", "column": "terms_code" },
            "why": { "text": "`45` is none of 30, 60" }, "do": "add it to `choice:` in systems/finance.yaml, or correct it in finance",
        }],
        "fields": [
            { "field": "number", "formula": "customer_no", "value": number, "at": "systems/finance.yaml:9" },
            { "field": "name", "formula": "=Trim(company_name)", "value": "Adatum Ltd (sample)", "at": "systems/finance.yaml:10" },
            { "field": "email", "formula": "=Lower(Trim(contact_email))", "value": "***", "at": "systems/finance.yaml:11" },
            { "field": "terms", "formula": "terms_code", "value": { "error": "`45` is none of 30, 60" }, "at": "systems/finance.yaml:12" },
        ],
    });
    let record = json!({ "customer_no": number, "company_name": "Adatum Ltd (sample) ", "contact_email": "Info@Adatum.example", "terms_code": "45" });
    let rejection = Rejection {
        integration: "customers".into(),
        entity: "customer".into(),
        key: record::Key::of(&[record::Value::text(number.clone())]).unwrap(),
        record: record.to_string().into_bytes(),
        problem: problem(
            &format!("the terms of {number} are not known: 45"),
            "`45` is none of 30, 60",
            "system finance, column terms_code",
            &detail,
        ),
        run: None,
    };
    let done = store.commit_one(dead_letters::Op::Reject(Box::new(rejection))).await.unwrap();
    let OpResult::DeadLetter(id) = done else { panic!("a rejection opens a dead letter") };
    id.to_string()
}

fn problem(what: &str, why: &str, place: &str, detail: &Json) -> Problem {
    Problem {
        code: "IB0412".into(),
        what: what.into(),
        place: place.into(),
        why: why.into(),
        fix: "correct the value in its source".into(),
        detail: detail.to_string(),
    }
}

/// A message that its destination refused.
async fn refuse(store: &Store) -> String {
    let subscription = hub::events::subscription("orders", "erp");
    let body = json!({ "ordernumber": "SO-77", "paymentterms": "99", "totalamount": 120.50 });
    let message = Message {
        id: "SO-77".into(),
        session: Some("SO-77".into()),
        integration: Some("orders".into()),
        entity: Some("order".into()),
        key: record::Key::of(&[record::Value::text("SO-77")]).ok(),
        content_type: Some("application/json".into()),
        body: body.to_string().into_bytes(),
        ..Message::default()
    };
    let send = queue::Op::Send { queue: hub::events::topic("orders"), messages: vec![message.into()] };
    store.commit_one(send).await.unwrap();
    let accept = queue::Op::AcceptSession { queue: subscription.clone(), session: None };
    let OpResult::Session(Some(session)) = store.commit_one(accept).await.unwrap() else { panic!("it waits") };
    let receive = queue::Op::ReceiveInSession { queue: subscription.clone(), session: session.token, max: 1 };
    let OpResult::Messages(messages) = store.commit_one(receive).await.unwrap() else { panic!("it is delivered") };
    let detail = json!({
        "faults": [{
            "code": "IB0412", "what": "erp refused the order SO-77",
            "where": { "system": "erp", "table": "orders", "column": "terms" },
            "why": { "status": 422, "code": "TERMS_UNKNOWN", "text": "payment terms 99 do not exist", "request_id": "7f3a" },
            "do": "correct the terms in dynamics, or send a changed copy",
        }],
        "fields": [
            { "field": "number", "formula": "ordernumber", "value": "SO-77", "at": "systems/dynamics.yaml:16" },
            { "field": "terms", "formula": "paymentterms", "value": "99", "at": "systems/dynamics.yaml:16" },
            { "field": "total", "formula": "totalamount", "value": "120.50", "at": "systems/dynamics.yaml:16" },
        ],
    });
    let why = "422 TERMS_UNKNOWN: payment terms 99 do not exist";
    let problem = problem("erp refused the order SO-77", why, "system erp, column terms", &detail);
    let token = messages[0].token;
    let give_up = queue::Op::DeadLetter { queue: subscription.clone(), token, key: None, problem };
    let release = queue::Op::ReleaseSession { queue: subscription, session: session.token };
    store.commit(vec![give_up.into(), release.into()]).await.unwrap();
    let filter = dead_letters::Filter { integration: Some("orders".into()), ..dead_letters::Filter::default() };
    store.dead_letters(&filter, 1).unwrap()[0].id.to_string()
}

async fn questions(store: &Store) {
    for (subject, more) in [("changes", 2), ("first_load", 0), ("again", 0)] {
        let details = json!({
            "rows": [
                { "effect": "update", "entity": "customer", "key": "C-1001", "columns": { "name": { "old": "Adatum", "new": "Adatum Ltd (sample)" }, "paymenttermscode": { "old": "1", "new": "4" } } },
                { "effect": "create", "entity": "customer", "key": "C-2001", "columns": { "name": { "new": "Litware GmbH (sample)" } } },
            ],
            "more_rows": more,
            "starts": [{ "kind": "flow", "name": "Welcome a customer", "table": "account", "rows": 1 }],
        });
        let question = Question {
            integration: "customers".into(),
            kind: Kind::Run,
            subject: subject.into(),
            question: format!("May customers write {} changes to dynamics ({subject})?", 2 + more),
            details: details.to_string(),
            digest: subject.into(),
            proofs: Vec::new(),
            asked_of: "group:finance".into(),
            expires: None,
        };
        store.commit_one(approvals::Op::Ask(Box::new(question))).await.unwrap();
    }
}

pub async fn outage(store: &Store) {
    let note = outages::Op::Note {
        integration: "orders".into(),
        system: "erp".into(),
        at: "erp".into(),
        code: "IB0501".into(),
        what: "erp answers with 503: maintenance until 12:00".into(),
        fix: "look whether erp is down".into(),
        failures: 4,
    };
    store.commit_one(note).await.unwrap();
}

/// An instance of the flow that asks somebody, and two that failed; answers the first of these. The flow has been changed
/// since they began.
async fn instances(bench: &Bench) -> i64 {
    let (store, project) = (&bench.store, &bench.console.project);
    let flows = hub::flows::Flows::new(project.clone(), Arc::new(Systems), store.clone(), kinds::ALL.to_vec());
    assert_eq!(flows.keep("terms").await.unwrap(), 1);
    let definition = store.flow_version("terms", 1).unwrap().unwrap().definition;
    let version = flows::Op::Version { integration: "terms".into(), fingerprint: "changed".into(), definition };
    store.commit_one(version).await.unwrap();
    let mut last = 0;
    for (number, asks) in [("C-1001", true), ("C-1002", false), ("C-1003", false)] {
        let start = flows::Start {
            integration: "terms".into(),
            version: 1,
            entity: "customer".into(),
            key: record::Key::of(&[record::Value::text(number)]).unwrap(),
            cause: number.into(),
            state_of: None,
            heard: true,
            ceiling: u64::MAX,
            since: jiff::Timestamp::MAX,
            at: Some("steps[0]".into()),
            data: String::new(),
            steps: Vec::new(),
        };
        let OpResult::Instance(Some(id)) = store.commit_one(flows::Op::Start(Box::new(start))).await.unwrap() else {
            panic!("an instance begins")
        };
        let instance = store.flow_instance(id).unwrap().unwrap();
        let now = store.clock().now();
        let doing = match asks {
            true => {
                json!({ "asking": { "since": now.to_string(), "of": ["controller", "cfo"], "rule": "one", "deadline": "2025-12-30T17:00:00Z" } })
            }
            false => json!("ready"),
        };
        let at = if asks { "steps[0]" } else { "steps[1].then[0]" };
        let decided = json!({ "decision": { "outcome": "approved", "by": "cfo", "comment": "good for it", "at": now.to_string() } });
        let decisions = if asks { json!({}) } else { decided };
        let data = json!({ "at": at, "doing": doing, "set": {}, "decisions": decisions }).to_string();
        let problem = (!asks).then(|| json!({ "code": "IB0412", "what": format!("finance refused the customer {number}"), "do": "look whether finance has it" }).to_string());
        let state = if asks { flows::State::Running } else { flows::State::Failed };
        let note = |what: &str, person: Option<&str>| flows::NewStep {
            path: at.into(),
            what: what.into(),
            person: person.map(str::to_owned),
        };
        let steps =
            vec![note("begun", None), note(if asks { "asks controller, cfo" } else { "finance refused it" }, None)];
        let at = Some(at.to_owned());
        let to = flows::Move { state, at, data, problem, steps, wake: None, ..flows::Move::of(&instance) };
        store.commit_one(flows::Op::Move(Box::new(to))).await.unwrap();
        last = id.0;
    }
    last - 1
}

/// What rings: one matter, one that follows from it, one that is over, and a silence.
async fn alerts(store: &Store) {
    let now = store.clock().now();
    let opening = |kind: &str, of: &str, system: &str, severity, title: &str, command: &str| Opening {
        key: format!("{kind}/{of}"),
        kind: kind.into(),
        integration: of.into(),
        system: system.into(),
        saying: Saying {
            severity,
            title: title.into(),
            text: format!("{title}. Events wait in the queue, and none is lost."),
            facts: vec![("last error".into(), "503: maintenance until 12:00".into()), ("waiting".into(), "1".into())],
            command: command.into(),
            since: now,
        },
        cause: None,
    };
    let paused = opening(
        "destination-paused",
        "orders",
        "erp",
        Severity::Critical,
        "erp takes no orders",
        "ironbridge systems check erp",
    );
    let follows = Opening {
        cause: Some(paused.key.clone()),
        ..opening(
            "backlog",
            "orders",
            "erp",
            Severity::Warning,
            "Orders wait for 20 minutes",
            "ironbridge queue peek events/orders",
        )
    };
    let disk = opening("disk-low", "", "", Severity::Warning, "The disk of the hub has 800 MB left", "df -h");
    let over = opening(
        "few-rows",
        "customers",
        "finance",
        Severity::Warning,
        "customers read 3 rows, usual are 45",
        "ironbridge runs customers",
    );
    let told = |key: &str, route: &str, kind| alerts::Op::Told {
        key: key.into(),
        route: route.into(),
        kind,
        severity: Severity::Critical,
        about: key.into(),
    };
    let (key, route) = (paused.key.clone(), "crm-team/email".to_owned());
    let mut ops: Vec<store::Op> =
        [paused, follows, disk, over].into_iter().map(|one| alerts::Op::Open(Box::new(one)).into()).collect();
    ops.extend([
        told(&key, &route, NoticeKind::Opened).into(),
        alerts::Op::Delivered { about: key, route: route.clone(), kind: NoticeKind::Opened }.into(),
        alerts::Op::RouteWorked { route }.into(),
        alerts::Op::RouteFailed {
            route: "it/teams".into(),
            code: "IB1001".into(),
            what: "teams answers with 404".into(),
        }
        .into(),
        alerts::Op::Resolve { key: "few-rows/customers".into() }.into(),
    ]);
    let (subject, by, note) = ("warehouse".to_owned(), "ola".to_owned(), "the warehouse moves".to_owned());
    ops.push(alerts::Op::Silence { subject, by, note, until: now + jiff::SignedDuration::from_hours(5) }.into());
    store.commit(ops).await.unwrap();
}
