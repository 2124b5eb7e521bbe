//! Designs that are refused when the hub starts, whatever the files say; and what is refused or said by what was measured.

use std::path::Path;

use serde_json::Value as Json;

use crate::support::{Said, World, binary, said};

/// Runs `ironbridge` in the project with one variable of the environment.
fn with_env(world: &World, name: &str, value: &str, args: &[&str]) -> Said {
    let dir = world.dir.to_str().unwrap();
    said(binary().env(name, value).args(["-C", dir]).args(args).output().unwrap())
}

/// Each of these would read, write or start something.
const STARTS: &[&[&str]] =
    &[&["run", "customers"], &["plan", "customers"], &["up", "--listen", "127.0.0.1:0"], &["check"]];

#[test]
fn sql_to_dataverse_is_refused_when_the_environment_says_it() {
    let world = World::new(0);
    world.edit("systems/finance.yaml", "kind: sqlite", "kind: sqlserver");
    world.edit("systems/finance.yaml", "{ file: data/finance.db }", "{ url: \"${env:LEDGER}\" }");
    // Nobody can know it where the address is not there, and nothing runs without it.
    let unknown = world.ironbridge(&["check"]).ok();
    assert!(unknown.err.contains("IB0126") && !unknown.err.contains("IB0201"), "{unknown:#?}");
    for value in [
        "sqlserver://hub:hunter2@contoso.crm4.dynamics.com/contoso",
        "sqlserver://hub:hunter2@proxy.contoso.example:5558/x",
        "sqlserver://hub:hunter2@crm.contoso.example/orgb8fdd3be?database=orgb8fdd3be",
    ] {
        for args in STARTS {
            let refused = with_env(&world, "LEDGER", value, args).fails(2, "IB0201");
            assert!(refused.err.contains("what this refers to"), "{refused:#?}");
            assert!(!refused.err.contains("hunter2") && !refused.err.contains("contoso"), "it is shown: {refused:#?}");
        }
    }
    // The same from a file beside the project.
    world.edit("systems/finance.yaml", "${env:LEDGER}", "${file:ledger.url}");
    std::fs::write(world.dir.join("ledger.url"), "sqlserver://contoso.crm4.dynamics.com/contoso\n").unwrap();
    world.ironbridge(&["run", "customers"]).fails(2, "IB0201");
    std::fs::write(world.dir.join("ledger.url"), "sqlserver://hub:hunter2@ledger.contoso.example:1433/finance\n")
        .unwrap();
    let other = world.ironbridge(&["check"]).ok();
    assert!(!other.err.contains("IB0201"), "{other:#?}");
}

#[test]
fn a_dataverse_in_disguise_is_refused_when_the_environment_says_it() {
    let world = World::new(0);
    let ledger = "system: ledger\nkind: rest\nowner: finance-it\nconnection: { url: \"${env:LEDGER}\" }\nentities:\n  customer:\n    list: { request: GET /customers }\n    columns: { number: text, name: text }\n    read: { number: number, name: name }\n";
    std::fs::write(world.dir.join("systems/ledger.yaml"), ledger).unwrap();
    with_env(&world, "LEDGER", "https://ledger.contoso.example/api", &["check"]).ok();
    // By its host, and by being where the project's own Dynamics is.
    for value in ["https://contoso.api.crm11.dynamics.com/api/data/v9.2", &format!("{}/api", world.url)] {
        for args in STARTS {
            with_env(&world, "LEDGER", value, args).fails(2, "IB0217");
        }
    }
}

/// What SARIF would show of the project: the codes of its errors and warnings.
fn codes(dir: &Path) -> Vec<String> {
    let said = said(binary().args(["-C", dir.to_str().unwrap(), "--format", "json", "check"]).output().unwrap());
    let found = said.json();
    let found = found.as_array().unwrap().iter();
    found.map(|one| format!("{} {}", one["severity"].as_str().unwrap(), one["code"].as_str().unwrap())).collect()
}

#[test]
fn a_schedule_tighter_than_its_runs_is_refused_by_check_and_goes_on_running() {
    let world = World::new(12);
    world.edit("integrations/customers.yaml", "every 15 minutes", "every 1 second");
    world.ironbridge(&["run", "customers"]).ok();
    world.fault("slow:700ms@100%");
    for at in 0..5 {
        world.sql(&format!(
            "UPDATE customers SET credit_limit = '{at}00', updated_at = strftime('%Y-%m-%dT%H:%M:%SZ', 'now') WHERE customer_no = 'C-1001'"
        ));
        world.ironbridge(&["run", "customers"]).ok();
    }
    assert_eq!(codes(&world.dir), ["error IB0220"]);
    let refused = world.ironbridge(&["check"]).fails(2, "IB0220");
    assert!(refused.err.contains("half of the last 5 runs took more than"), "{refused:#?}");
    // It is a matter for whoever changes the files: what runs goes on.
    world.ironbridge(&["run", "customers"]).ok();
    world.edit("integrations/customers.yaml", "every 1 second", "every 30 minutes");
    assert_eq!(codes(&world.dir), Vec::<String>::new());
}

#[test]
fn a_review_looks_at_what_was_measured() {
    const RUNS: usize = 22;
    let world = World::new(400);
    let findings = || -> Vec<String> {
        let review: Json = world.ironbridge(&["--format", "json", "advise", "review"]).ok().json();
        review.as_array().unwrap().iter().map(|one| one["seen"].as_str().unwrap().to_owned()).collect()
    };
    // The first load is no usual day.
    world.ironbridge(&["run", "customers"]).ok();
    assert_eq!(findings(), ["nobody wrote down why it is like this"]);
    for _ in 1..RUNS {
        world.ironbridge(&["run", "customers"]).ok();
    }
    let idle = format!("{} runs in 1 day had nothing to write", RUNS - 1);
    assert_eq!(findings(), [&idle, "nobody wrote down why it is like this"]);
    world.sql("UPDATE customers SET credit_limit = '77', updated_at = strftime('%Y-%m-%dT%H:%M:%SZ', 'now') WHERE customer_no LIKE 'C-1%'");
    world.ironbridge(&["run", "customers"]).ok();
    let seen = findings();
    assert_eq!(seen.len(), 3, "{seen:#?}");
    assert_eq!(
        seen[0],
        format!("{} of {RUNS} runs had nothing to write, and nobody said when the result is needed", RUNS - 1)
    );
    assert!(
        seen[1].ends_with(
            "rows a day are copied, and nothing in this project refers to `customer` or reads it in `dynamics`"
        ),
        "{seen:#?}"
    );
}
