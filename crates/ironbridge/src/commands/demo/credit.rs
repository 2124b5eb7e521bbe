//! The fourth part of the demo: somebody asks for a higher credit limit in Dynamics, and a person decides.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use definition::Project;
use emulator::samples::finance;
use hub::decide::{Answer, decide};
use serde_json::{Value as Json, json};
use store::Store;
use store::approvals::{Approval, State};
use tokio::runtime::Handle;

use super::orders::{Seen, until};
use super::web::request;
use super::{CUSTOMER, address, not_done, number_of_now};
use crate::commands::init::{LOCAL_TOKEN, write};
use crate::failure::Failure;
use crate::{say, talk};

pub const INTEGRATION: &str = "credit-limit";
/// Who asks where nobody says otherwise; no person of the sample decides about their own request.
pub const REQUESTER: &str = "sales@contoso.example";
const ENTITIES: &str = "entities:\n";
const API: &str = "/api/data/v9.2/";

const EXAMPLE: &[(&str, &str)] = &[
    ("entities/credit_request.yaml", include_str!("../../../../../examples/credit-limit/entities/credit_request.yaml")),
    (
        "integrations/credit-limit.yaml",
        include_str!("../../../../../examples/credit-limit/integrations/credit-limit.yaml"),
    ),
];
const DYNAMICS: &str = include_str!("../../../../../examples/credit-limit/systems/dynamics.yaml");
const FINANCE: &str = include_str!("../../../../../examples/credit-limit/systems/finance.yaml");
const PEOPLE: &str = include_str!("../../../../../examples/credit-limit/people.yaml");
const HUB: &str = include_str!("../../../../../examples/credit-limit/ironbridge.yaml");

/// The table of the requests, as an administrator would define it in Dynamics.
const TABLE: &str = r#"{"@odata.type":"Microsoft.Dynamics.CRM.EntityMetadata","SchemaName":"new_CreditRequest",
  "DisplayName":{"LocalizedLabels":[{"Label":"Credit request","LanguageCode":1033}]},
  "OwnershipType":"UserOwned","HasActivities":false,"HasNotes":false,"ChangeTrackingEnabled":true,
  "Attributes":[
    {"@odata.type":"Microsoft.Dynamics.CRM.StringAttributeMetadata","SchemaName":"new_Number","IsPrimaryName":true,"MaxLength":20},
    {"@odata.type":"Microsoft.Dynamics.CRM.MoneyAttributeMetadata","SchemaName":"new_Requested","Precision":2},
    {"@odata.type":"Microsoft.Dynamics.CRM.StringAttributeMetadata","SchemaName":"new_RequestedBy","MaxLength":100},
    {"@odata.type":"Microsoft.Dynamics.CRM.StringAttributeMetadata","SchemaName":"new_Outcome","MaxLength":20}
  ]}"#;
const KEY: &str = r#"{"SchemaName":"new_NumberKey","KeyAttributes":["new_number"],"DisplayName":{"LocalizedLabels":[{"Label":"Number","LanguageCode":1033}]}}"#;
const CUSTOMER_OF: &str = r#"{"@odata.type":"Microsoft.Dynamics.CRM.OneToManyRelationshipMetadata","SchemaName":"new_account_creditrequest",
  "ReferencedEntity":"account","ReferencingEntity":"new_creditrequest","Lookup":{"SchemaName":"new_CustomerId"}}"#;

/// Adds the flow to the project of the demo, unless it is there.
pub fn add(dir: &Path) -> Result<(), Failure> {
    finance::open_to_writers(&dir.join("data/finance.db")).map_err(anyhow::Error::from)?;
    if dir.join("integrations/credit-limit.yaml").exists() {
        return Ok(());
    }
    let line = |text: &'static str, with: &str| {
        text.lines().find(|line| line.trim_start().starts_with(with)).expect("the example has this line")
    };
    let dynamics = dir.join("systems/dynamics.yaml");
    let before = std::fs::read_to_string(&dynamics)?;
    let key = "    alternate_key: accountnumber\n";
    let read = before.replacen(key, &format!("{key}{}\n", line(DYNAMICS, "read: { number: accountnumber")), 1);
    let (_, request) = DYNAMICS.split_once("  credit_request:\n").expect("the example has the requests");
    write(&dynamics, &read.replacen(ENTITIES, &format!("{ENTITIES}  credit_request:\n{request}"), 1))?;
    let finance = dir.join("systems/finance.yaml");
    let before = std::fs::read_to_string(&finance)?;
    write(&finance, &format!("{}\n{}\n", before.trim_end(), line(FINANCE, "write:")))?;
    let people = dir.join("people.yaml");
    let before = std::fs::read_to_string(&people)?;
    let (_, example) = PEOPLE.split_once("people:\n").expect("the example has people");
    let (persons, groups) = example.split_once("groups:\n").expect("the example has groups");
    let groups: String =
        groups.lines().filter(|line| line.contains("members:")).map(|line| format!("{line}\n")).collect();
    write(&people, &before.replacen("groups:\n", &format!("people:\n{persons}groups:\n{groups}"), 1))?;
    let hub = dir.join("ironbridge.yaml");
    let before = std::fs::read_to_string(&hub)?;
    // Links in mails lead to the console of the demo.
    let address = format!("address: http://{}", super::HUB);
    write(&hub, &format!("{}\n{}\n{address}\n", before.trim_end(), line(HUB, "calendar:")))?;
    for (file, text) in EXAMPLE {
        write(&dir.join(file), &format!("# yaml-language-server: $schema=../schema.json\n{text}"))?;
    }
    Ok(())
}

/// Makes the table of the requests in Dynamics, unless it is there.
pub fn table(dynamics: SocketAddr) -> std::io::Result<()> {
    let post = |path: &str, body: &str| request(dynamics, "POST", &format!("{API}{path}"), LOCAL_TOKEN, body);
    let there = format!("{API}EntityDefinitions?$select=LogicalName&$filter=LogicalName eq 'new_creditrequest'");
    let found = request(dynamics, "GET", &there, LOCAL_TOKEN, "")?;
    if found["value"].as_array().is_none_or(Vec::is_empty) {
        post("EntityDefinitions", TABLE)?;
        post("EntityDefinitions(LogicalName='new_creditrequest')/Keys", KEY)?;
        post("RelationshipDefinitions", CUSTOMER_OF)?;
    }
    Ok(())
}

/// Asks for a limit in Dynamics, as a salesperson would.
fn ask(dynamics: SocketAddr, number: &str, customer: &str, amount: u32, by: &str) -> std::io::Result<()> {
    let path = format!("{API}new_creditrequests(new_number='{number}')");
    let body = json!({
        "new_requested": amount, "new_requestedby": by,
        "new_CustomerId@odata.bind": format!("/accounts(accountnumber='{customer}')"),
    });
    request(dynamics, "PATCH", &path, LOCAL_TOKEN, &body.to_string()).map(drop)
}

/// `demo credit [AMOUNT]`: a request in Dynamics, and how somebody decides about it.
pub fn credit(dir: &Path, amount: u32, customer: &str, by: &str) -> Result<u8, Failure> {
    let dynamics = address(dir, "dynamics")?;
    let number = number_of_now("CR");
    ask(dynamics, &number, customer, amount, by).map_err(|why| not_done(dir, why))?;
    say!("{number} in Dynamics: {by} asks for a credit limit of {amount} for {customer}");
    let at = format!("ironbridge -C {}", dir.display());
    if amount <= 5_000 {
        talk!("Up to 5,000 nobody is asked. What becomes of it: {at} trace credit_request {number}");
    } else {
        talk!("Credit control is asked: {at} approvals list");
        // Nobody decides about their own request.
        let who = if by == "controller@contoso.example" { "deputy" } else { "controller" };
        talk!("Then, with the number that stands there: {at} approvals approve NUMBER --by {who}");
    }
    Ok(0)
}

fn outcome(dynamics: SocketAddr, number: &str) -> Option<String> {
    let path = format!("{API}new_creditrequests(new_number='{number}')?$select=new_outcome");
    let row = request(dynamics, "GET", &path, LOCAL_TOKEN, "").ok()?;
    row["new_outcome"].as_str().map(str::to_owned)
}

/// The credit limit of a customer in Dynamics, in whole pounds.
fn limit_in_dynamics(dynamics: SocketAddr, customer: &str) -> Option<i64> {
    let path = format!("{API}accounts(accountnumber='{customer}')?$select=creditlimit");
    let row: Json = request(dynamics, "GET", &path, LOCAL_TOKEN, "").ok()?;
    row["creditlimit"].as_f64().map(|limit| limit as i64)
}

fn open(store: &Store) -> Option<Approval> {
    let mine = |approval: &Approval| approval.integration == INTEGRATION && approval.state == State::Open;
    store.approvals(false, 100).ok()?.into_iter().find(mine)
}

/// Everything that the credit demo shows, checked. Blocks: for a thread of its own.
pub fn round(dir: &Path, project: &Arc<Project>, dynamics: SocketAddr, store: &Store) -> Result<Vec<Seen>, Failure> {
    let mut seen = Vec::new();
    let mut see = |what, told: String, good| seen.push(Seen { what, told, good });
    let database = dir.join("data/finance.db");
    let in_finance = || finance::credit_limit(&database, CUSTOMER).map_err(anyhow::Error::from);
    let answer = |approval: &Approval, by: &str, approve: bool, why: Option<&str>| {
        let answer = Answer { by, approve, comment: why, fields: &[] };
        let systems = crate::wiring::OpenSystems::new(project.clone());
        Handle::current().block_on(decide(project, &systems, store, approval, &answer, Vec::new()))
    };

    ask(dynamics, "CR-1", CUSTOMER, 4_000, REQUESTER)?;
    let came = until(|| outcome(dynamics, "CR-1").is_some());
    let told = format!("CR-1 over 4000 is {}, nobody was asked", outcome(dynamics, "CR-1").unwrap_or_default());
    see("a small request is granted at once", told, came && open(store).is_none());

    ask(dynamics, "CR-2", CUSTOMER, 25_000, REQUESTER)?;
    let asked = until(|| open(store).is_some());
    let Some(approval) = open(store) else {
        see("a large one waits for a person", "nobody was asked".to_owned(), false);
        return Ok(seen);
    };
    let nothing_yet = outcome(dynamics, "CR-2").is_none() && in_finance()?.as_deref() != Some("25000");
    see(
        "a large one waits for a person",
        format!("{} ({})", approval.question, approval.asked_of),
        asked && nothing_yet,
    );

    let stranger = answer(&approval, "director", true, None)?;
    see("somebody who was not asked cannot decide", format!("{} is refused", "director"), stranger.is_err());

    let taken = answer(&approval, "controller", true, Some("pays on time"))?;
    let late = answer(&approval, "deputy", false, None)?;
    let came = until(|| outcome(dynamics, "CR-2").as_deref() == Some("approved"));
    let in_both = until(|| limit_in_dynamics(dynamics, CUSTOMER) == Some(25_000));
    let told = format!(
        "CR-2 is {}; {CUSTOMER} has {} in finance and {} in Dynamics; a second answer came too late",
        outcome(dynamics, "CR-2").unwrap_or_default(),
        in_finance()?.unwrap_or_default(),
        limit_in_dynamics(dynamics, CUSTOMER).unwrap_or_default(),
    );
    see("approved: written to finance, and from there", told, came && in_both && taken.is_ok() && late.is_err());

    ask(dynamics, "CR-3", CUSTOMER, 90_000, REQUESTER)?;
    until(|| open(store).is_some());
    let refused = open(store).map(|approval| answer(&approval, "deputy", false, Some("too much"))).transpose()?;
    let came = until(|| outcome(dynamics, "CR-3").as_deref() == Some("rejected"));
    let unchanged = in_finance()?.is_some_and(|limit| limit.starts_with("25000"));
    let told = format!("CR-3 over 90000 is {}", outcome(dynamics, "CR-3").unwrap_or_default());
    see("rejected: nothing but the outcome is written", told, came && unchanged && refused.is_some_and(|r| r.is_ok()));
    Ok(seen)
}
