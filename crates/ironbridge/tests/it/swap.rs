//! The tutorial that swaps a system, with its own files: one changed file, and nothing that is right already is written
//! again.

use serde_json::{Value as Json, json};

use crate::design::{block, committed, git};
use crate::postgres::Database;
use crate::support::{Said, World, binary, said};

const TUTORIAL: &str = "docs/tutorial/swap-a-system.md";

/// Puts the new file of the tutorial in the place of the old one, and looks that it is the only change.
fn swap(world: &World, fence: &str) {
    std::fs::write(world.dir.join("systems/finance.yaml"), block(TUTORIAL, fence)).unwrap();
    assert_eq!(git(&world.dir, &["status", "--porcelain"]).ok().out, " M systems/finance.yaml\n");
}

/// A real PostgreSQL with the tables of the tutorial, in a database of its own; `None` without a server.
struct Ledger(Database);

impl Ledger {
    fn new(database: &str) -> Option<Ledger> {
        let made = Ledger(Database::new(database)?);
        made.sql(&block(TUTORIAL, "sql ledger"));
        Some(made)
    }

    fn sql(&self, sql: &str) {
        self.0.sql(sql);
    }

    /// Takes over the customers of the old database that Dynamics has, as the people of finance would.
    fn takes_over(&self, world: &World) {
        let good = world.expected();
        let conn = rusqlite::Connection::open(world.finance()).unwrap();
        let read =
            "SELECT customer_no, company_name, contact_email, credit_limit, terms_code, updated_at FROM customers";
        let mut statement = conn.prepare(read).unwrap();
        let rows = statement
            .query_map([], |row| (0..6).map(|at| row.get::<_, Option<String>>(at)).collect::<Result<Vec<_>, _>>())
            .unwrap()
            .map(Result::unwrap)
            .filter(|row| row[0].as_ref().is_some_and(|no| good.contains_key(no)));
        let text = |text: &Option<String>| {
            text.as_ref().map_or("NULL".to_owned(), |text| format!("'{}'", text.replace('\'', "''")))
        };
        let values = rows.map(|row| {
            let days = match row[4].as_deref() {
                Some("PP") => "0",
                Some(days) => days,
                None => "NULL",
            };
            let [no, name, mail, limit] = [0, 1, 2, 3].map(|at| text(&row[at]));
            format!("({no}, {name}, {mail}, {limit}::numeric, {days}::smallint, {}::timestamptz)", text(&row[5]))
        });
        let values: Vec<String> = values.collect();
        self.sql(&format!(
            "INSERT INTO ledger.debtor (account_code, legal_name, invoice_mail, credit, terms_days, modified_at) VALUES {}",
            values.join(",\n")
        ));
        for (no, account) in good.iter().filter(|(_, account)| account.parent.is_some()) {
            let parent = account.parent.as_deref().unwrap_or_default();
            self.sql(&format!(
                "UPDATE ledger.debtor SET head_office = (SELECT debtor_id FROM ledger.debtor WHERE account_code = '{parent}')
                 WHERE account_code = '{no}'"
            ));
        }
    }

    /// Runs `ironbridge` in the project, with the address in its environment as the tutorial says.
    fn ironbridge(&self, world: &World, args: &[&str]) -> Said {
        let dir = world.dir.to_str().unwrap();
        said(binary().env("FINANCE_URL", &self.0.url).args(["-C", dir]).args(args).output().unwrap())
    }
}

#[test]
fn finance_moves_from_one_database_to_another_by_one_changed_file() {
    const CUSTOMERS: usize = 120;
    let Some(ledger) = Ledger::new("swapped") else { return };
    let world = World::new(CUSTOMERS);
    world.ironbridge(&["run", "customers"]).ok();
    let before = world.accounts();
    assert_eq!(before, world.expected());
    assert!(before.values().any(|account| account.parent.is_some()), "some have a head office");
    ledger.takes_over(&world);
    committed(&world);

    let touched = world.ironbridge(&["impact", "finance"]).ok().out;
    assert!(touched.contains("customers") && !touched.contains("dynamics.customer"), "{touched}");
    swap(&world, "yaml systems/finance.yaml");

    // Without the address `check` says what is missing, and no more.
    let missing = world.ironbridge(&["check"]).ok();
    assert!(missing.err.contains("IB0126") && missing.err.contains("FINANCE_URL"), "{missing:#?}");
    let online = ledger.ironbridge(&world, &["check", "--online"]).ok();
    assert!(online.out.contains("customers: fits its systems"), "{online:#?}");

    let diff = ledger.ironbridge(&world, &["--format", "json", "diff", "HEAD"]).ok().json();
    let kind = diff.as_array().unwrap().iter().find(|change| change["path"] == "kind").unwrap();
    assert_eq!(kind["effect"], "full re-read");
    let means = kind["means"].as_str().unwrap();
    assert!(means.contains(&format!("up to {} rows of customer in dynamics", before.len())), "{means}");
    assert!(diff.as_array().unwrap().iter().all(|change| change["name"] == "finance"), "{diff:#}");

    world.reset_stats();
    let plan = ledger.ironbridge(&world, &["plan", "customers"]).ok();
    let run = ledger.ironbridge(&world, &["--format", "json", "run", "customers"]).ok().json();
    assert_eq!(run["read"].as_u64(), Some(before.len() as u64), "the position of the old one means nothing: {run:#}");
    assert_eq!(world.rows_written(), 0, "what is right already is not written again: {plan:#?} {run:#}");
    assert_eq!(world.accounts(), before);

    // From now on what changes there arrives, and is all that is read but for the overlap.
    ledger.sql("UPDATE ledger.debtor SET modified_at = modified_at - interval '1 day'");
    ledger.ironbridge(&world, &["run", "customers"]).ok();
    ledger.sql("UPDATE ledger.debtor SET credit = 4321.50, modified_at = now() WHERE account_code = 'C-1002'");
    let run = ledger.ironbridge(&world, &["--format", "json", "run", "customers"]).ok().json();
    assert_eq!((&run["updated"], &run["created"]), (&json!(1), &json!(0)), "{run:#}");
    assert_eq!(world.accounts()["C-1002"].credit_limit.as_deref(), Some("4321.5"));
}

#[test]
fn finance_moves_to_files_by_one_changed_file() {
    let world = World::new(0);
    world.sql(
        "DELETE FROM customers;
         INSERT INTO customers (customer_no, company_name, contact_email, credit_limit, terms_code, parent_no, updated_at) VALUES
           ('C-1', ' Acme (sample) ', 'A@Acme.example', '1000.00', '30', NULL, '2026-11-01T08:00:00Z'),
           ('C-2', 'Globex (sample)', NULL, '250.5', 'PP', 'C-1', '2026-11-02T09:30:00Z');",
    );
    world.ironbridge(&["run", "customers"]).ok();
    let before = world.accounts();
    assert_eq!(before.len(), 2);
    committed(&world);

    let folder = world.dir.join("data/in");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(
        folder.join("customers_1.csv"),
        "CustomerNo;Company;Mail;Limit;Terms;ParentNo;Changed\n\
         C-1; Acme (sample) ;A@Acme.example;1000.00;30;;2026-11-01 08:00:00\n\
         C-2;Globex (sample);;250.5;PP;C-1;2026-11-02 09:30:00\n",
    )
    .unwrap();
    swap(&world, "yaml systems/finance.yaml as files");
    world.ironbridge(&["check"]).ok();
    let diff: Json = world.ironbridge(&["--format", "json", "diff", "HEAD"]).ok().json();
    let kind = diff.as_array().unwrap().iter().find(|change| change["path"] == "kind").unwrap();
    assert_eq!(kind["effect"], "full re-read");

    std::thread::sleep(std::time::Duration::from_millis(1_200));
    world.reset_stats();
    world.ironbridge(&["run", "customers"]).ok();
    assert_eq!(world.rows_written(), 0, "what is right already is not written again");
    assert_eq!(world.accounts(), before);
}
