//! What a folder can be like: empty, unreadable, not text, laid over by an environment, short of secrets.

use std::path::Path;

use definition::{Code, LoadOptions, Loaded, Origin, Severity, load, load_files, show};
use record::catalog::{Catalog, Table, TableColumn, TableKey};
use record::{Column, Secret, Secrets, Type};

#[track_caller]
fn check(loaded: &Loaded, code: &str, part: &str) {
    let text = loaded.render(false, 120);
    let found = loaded.diagnostics.iter().any(|d| d.code.0 == code);
    assert!(found && text.contains(part), "{code} and `{part}` are not in:\n{text}");
}

fn load_dir(dir: &Path) -> Loaded {
    load(dir, &LoadOptions { kinds: super::kinds::KINDS, ..LoadOptions::default() })
}

#[test]
fn a_folder_that_is_no_project_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    check(&load_dir(&dir.path().join("nothing")), "IB0101", "does not exist");
    check(&load_dir(dir.path()), "IB0101", "is empty");
    std::fs::write(dir.path().join("notes.txt"), "x").unwrap();
    check(&load_dir(dir.path()), "IB0101", "has no ironbridge.yaml");
    check(&load_dir(&dir.path().join("notes.txt")), "IB0101", "is not a folder");
}

#[test]
fn a_file_that_cannot_be_read_does_not_hide_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let at = |path: &str| dir.path().join(path);
    for folder in ["systems", "entities", "integrations", "environments"] {
        std::fs::create_dir(at(folder)).unwrap();
    }
    std::fs::write(at("ironbridge.yaml"), "hub: contoso\ncolour: blue\n").unwrap();
    std::fs::write(at("systems/latin.yaml"), b"system: latin\nvendor: { name: Z\xFCrich }\n").unwrap();
    std::fs::write(at("systems/wide.yaml"), b"\xFF\xFEs\0y\0").unwrap();
    std::fs::write(at("systems/large.yaml"), "# filler\n".repeat(120_000)).unwrap();
    std::fs::write(at("systems/old.yml"), "system: old\n").unwrap();
    std::fs::create_dir(at("systems/folder.yaml")).unwrap();
    std::fs::write(at("systems/bom.yaml"), "\u{feff}system: bom\r\nkind: nothing\r\n").unwrap();
    let loaded = load_dir(dir.path());
    check(&loaded, "IB0103", "`systems/latin.yaml` is not UTF-8");
    check(&loaded, "IB0103", "the first byte that is not UTF-8 is on line 2");
    check(&loaded, "IB0103", "`systems/wide.yaml` is UTF-16");
    check(&loaded, "IB0104", "`systems/large.yaml` is larger than 1024 KB");
    check(&loaded, "IB0107", "rename it to `systems/old.yaml`");
    check(&loaded, "IB0102", "`systems/folder.yaml` is not a file");
    check(&loaded, "IB0110", "unknown key `colour`");
    check(&loaded, "IB0122", "there is no kind of system `nothing`");
    assert!(loaded.project.is_none());
}

#[test]
fn an_environment_is_laid_over_and_show_says_where_each_value_comes_from() {
    let loaded = super::examples::contoso(Some("production"));
    let project = loaded.project.unwrap();
    let dynamics = project.system("dynamics").unwrap();
    assert_eq!(dynamics.connection.text("url"), Some("https://contoso.crm11.dynamics.com"));
    assert_eq!(dynamics.connection.text("tenant"), Some("${env:TENANT}"));
    let lines = show(&project, "dynamics");
    let url = lines.iter().find(|line| line.key == "url").unwrap();
    assert_eq!(url.origin, Origin::Environment("environments/production.yaml:2".into()));

    let lines: Vec<String> = show(&project, "prices")
        .iter()
        .map(|line| {
            format!(
                "{}{}: {}  ({})",
                "  ".repeat(line.depth),
                line.key,
                line.value.as_deref().unwrap_or(""),
                line.origin
            )
        })
        .collect();
    assert_eq!(
        lines.join("\n"),
        "\
integration: prices  (integrations/prices.yaml:1)
pattern: batch  (integrations/prices.yaml:2)
owner: finance-it  (integrations/prices.yaml:11)
purpose: \"Quotes use today's prices.\"  (integrations/prices.yaml:12)
dead_letters:   (default)
  reviewed_within: 2 days  (default)
  edit_and_retry: false  (default)
  discarded_for: 30 days  (default)
entity: price  (integrations/prices.yaml:3)
from: supplier  (integrations/prices.yaml:4)
to: dynamics  (integrations/prices.yaml:5)
schedule: daily at 04:00  (integrations/prices.yaml:6)
missed: run_once  (default)
overlap: skip  (default)
retry_run: every 10 minutes  (default)
needed_by: \"06:00\"  (integrations/prices.yaml:10)
deletes: deactivate  (integrations/prices.yaml:8)
max_deletes: 5 %  (default)
returns_active: true  (integrations/prices.yaml:7)
min_rows: 80 % of usual  (integrations/prices.yaml:9)
stop_after:   (default)
  rejected: 1000  (default)
  or: 10 %  (default)
  first_rows_alike: 50  (default)
compare_live: off  (default)
drift: report  (default)"
    );
    assert!(show(&project, "nobody").is_empty());
}

#[test]
fn an_environment_that_does_not_exist_is_named() {
    check(&super::examples::contoso(Some("produktion")), "IB0125", "did you mean `production`?");
}

struct OnlyTenant;
impl Secrets for OnlyTenant {
    fn resolve(&self, provider: &str, name: &str) -> Result<Secret, String> {
        match name {
            "TENANT" => Ok(Secret::new("t")),
            _ => Err(format!("set the environment variable {name} ({provider})")),
        }
    }
}

#[test]
fn secrets_without_a_value_are_warnings_at_their_place() {
    let files = super::mutation::fixture();
    let given = files.iter().map(|(path, text)| (path.as_str(), text.as_str()));
    let loaded = load_files(
        given,
        &LoadOptions { kinds: super::kinds::KINDS, secrets: Some(&OnlyTenant), ..LoadOptions::default() },
    );
    assert!(loaded.project.is_some());
    check(&loaded, "IB0126", "set the environment variable CLIENT_SECRET (env)");
    assert!(loaded.diagnostics.iter().all(|d| d.severity == Severity::Warning));
    assert!(!loaded.render(false, 120).contains("TENANT}` has no value"));
}

#[test]
fn a_secret_in_plain_text_is_shown_nowhere() {
    let mut files = super::mutation::fixture();
    for (path, text) in &mut files {
        if path == "systems/dynamics.yaml" {
            *text = text.replace("\"${env:CLIENT_SECRET}\"", "hunter2").replace("tenant:", "tenat:");
        }
    }
    let given = files.iter().map(|(path, text)| (path.as_str(), text.as_str()));
    let loaded = load_files(given, &LoadOptions { kinds: super::kinds::KINDS, ..LoadOptions::default() });
    check(&loaded, "IB0215", "client_secret: *******");
    check(&loaded, "IB0110", "did you mean `tenant`?");
    assert!(!format!("{}{}", loaded.render(true, 120), loaded.to_json()).contains("hunter2"));
}

#[test]
fn a_live_catalogue_knows_tables_columns_and_lengths() {
    let column = |name: &str, ty: Type| TableColumn {
        column: Column { name: name.into(), ty },
        required: false,
        writable: true,
        labels: Vec::new(),
    };
    let text = |max: u32| Type::Text { max_length: Some(max) };
    let account = Table {
        name: "account".into(),
        columns: vec![
            column("accountnumber", text(20)),
            column("name", text(100)),
            column("emailaddress1", text(100)),
            column("creditlimit", Type::Money),
            column(
                "paymenttermscode",
                Type::Choice { values: ["1".to_owned(), "4".to_owned(), "10".to_owned()].into() },
            ),
            TableColumn { required: true, ..column("industrycode", Type::WholeNumber) },
            column("parentaccountid", Type::Reference { to: ["account".to_owned()].into() }),
        ],
        keys: vec![TableKey { columns: vec!["accountnumber".into()], primary: false, active: false }],
    };
    let catalogs = [("dynamics".to_owned(), Catalog { tables: vec![account] })].into();
    let files = super::mutation::fixture();
    let given = files.iter().map(|(path, text)| (path.as_str(), text.as_str()));
    let loaded = load_files(given, &LoadOptions { kinds: super::kinds::KINDS, catalogs, ..LoadOptions::default() });
    check(&loaded, "IB0302", "there is no column `ownerid`");
    check(&loaded, "IB0304", "`name` may have 160 characters, and the column `name` holds 100");
    check(&loaded, "IB0302", "`dynamics` has no table `salesorder`");
    check(&loaded, "IB0209", "the alternate key of `account` is not active");
    check(&loaded, "IB0307", "nothing fills the column `industrycode`, which `account` requires");
}

/// From the source to the entity, as from the entity to the destination: what never fits is refused, and what may be too
/// long is warned of.
#[test]
fn types_and_lengths_are_checked_from_the_source_on() {
    let found = |limit: Type, name: Type, changed: Type| {
        let columns = [
            ("customer_no", Type::WholeNumber),
            ("company_name", name),
            ("contact_email", Type::Text { max_length: None }),
            ("contact_name", Type::Text { max_length: None }),
            ("credit_limit", limit),
            ("terms_code", Type::Text { max_length: Some(2) }),
            ("parent_no", Type::WholeNumber),
            ("updated_at", changed),
        ];
        let columns = columns.map(|(name, ty)| TableColumn {
            column: Column { name: name.into(), ty },
            required: false,
            writable: true,
            labels: Vec::new(),
        });
        let keys = vec![TableKey { columns: vec!["customer_no".into()], primary: true, active: true }];
        let customers = Table { name: "customers".into(), columns: columns.into(), keys };
        let catalogs = [("finance".to_owned(), Catalog { tables: vec![customers] })].into();
        let mut files: std::collections::BTreeMap<String, String> = super::mutation::fixture().into_iter().collect();
        super::messages::apply(&mut files, "systems/finance.yaml: name: =Trim(company_name) => name: company_name");
        super::messages::apply(
            &mut files,
            "systems/finance.yaml:     table: customers   =>     alternate_key: customer_no\n    table: customers   ",
        );
        let given = files.iter().map(|(path, text)| (path.as_str(), text.as_str()));
        let loaded = load_files(given, &LoadOptions { kinds: super::kinds::KINDS, catalogs, ..LoadOptions::default() });
        loaded.diagnostics.iter().map(|found| format!("{} {}", found.code, found.title)).collect::<Vec<_>>()
    };
    let text = |max: u32| Type::Text { max_length: Some(max) };
    let none: [&str; 0] = [];
    assert_eq!(found(Type::Money, text(160), Type::DateTime), none);
    assert_eq!(found(text(20), text(100), Type::LocalDateTime), none, "a text may be a number");
    assert_eq!(
        found(Type::Money, text(200), Type::DateTime),
        ["IB0304 `company_name` may hold 200 characters, and the field `name` takes 160"]
    );
    assert_eq!(
        found(Type::Date, text(160), Type::WholeNumber),
        [
            "IB0304 the column `credit_limit` is date, and the field `credit_limit` is money",
            "IB0304 the column `updated_at` is whole_number, and the field `changed_at` is datetime",
            "IB0304 the field `credit_limit` is money, and the column `credit_limit` is date",
        ]
    );
}

#[test]
fn digits_are_checked_from_system_to_system_and_times_for_their_zone() {
    let table = |name: &str, key: &str, columns: Vec<(&str, Type)>| Table {
        name: name.into(),
        columns: columns
            .into_iter()
            .map(|(name, ty)| TableColumn {
                column: Column { name: name.into(), ty },
                required: false,
                writable: true,
                labels: Vec::new(),
            })
            .collect(),
        keys: vec![TableKey { columns: vec![key.into()], primary: true, active: true }],
    };
    let text = || Type::Text { max_length: Some(20) };
    let found_with = |has: u32, edit: &str| {
        let customers = [
            ("customer_no", text()),
            ("company_name", text()),
            ("contact_email", text()),
            ("contact_name", text()),
            ("credit_limit", Type::Decimal { scale: Some(has) }),
            ("terms_code", text()),
            ("parent_no", text()),
            ("updated_at", Type::LocalDateTime),
        ];
        let account = [
            ("accountnumber", text()),
            ("name", Type::Text { max_length: Some(160) }),
            ("emailaddress1", Type::Text { max_length: Some(100) }),
            ("creditlimit", Type::Decimal { scale: Some(2) }),
            ("paymenttermscode", Type::Choice { values: ["1", "4", "10"].map(str::to_owned).into() }),
            ("parentaccountid", Type::Reference { to: ["account".to_owned()].into() }),
            ("ownerid", Type::Reference { to: ["systemuser".to_owned()].into() }),
        ];
        let catalogs = [
            ("finance".to_owned(), Catalog { tables: vec![table("customers", "customer_no", customers.into())] }),
            ("dynamics".to_owned(), Catalog { tables: vec![table("account", "accountnumber", account.into())] }),
        ]
        .into();
        let mut files: std::collections::BTreeMap<String, String> = super::mutation::fixture().into_iter().collect();
        super::messages::apply(&mut files, "systems/finance.yaml: time_zone: Europe/London => ");
        super::messages::apply(&mut files, edit);
        let given = files.iter().map(|(path, text)| (path.as_str(), text.as_str()));
        let loaded = load_files(given, &LoadOptions { kinds: super::kinds::KINDS, catalogs, ..LoadOptions::default() });
        let of_types = loaded.diagnostics.iter().filter(|found| found.code.0 == "IB0304");
        of_types.map(|found| found.title.clone()).collect::<Vec<_>>()
    };
    let found = |has: u32| found_with(has, "systems/finance.yaml: overlap: 5 minutes => overlap: 6 minutes");
    let zone = "`updated_at` is a time without a zone, and `finance` does not say which one is meant";
    let digits = "`credit_limit` of `finance` may have 3 digits after the point, and `creditlimit` holds 2";
    assert_eq!(found(2), [zone]);
    let unread = found_with(2, "systems/finance.yaml: , changed_at: updated_at => ");
    assert_eq!(unread, [zone], "nothing is read from it, and what is read goes by it");
    let by_name = found_with(2, "systems/finance.yaml: column: updated_at => column: company_name");
    assert!(by_name.contains(&"the watermark `company_name` is a text".to_owned()), "{by_name:?}");
    let both = found(3);
    assert!(both.len() == 2 && [zone, digits].iter().all(|one| both.iter().any(|title| title == one)), "{both:#?}");
}

/// The columns that Dynamics computes, and the view of which a database does not know whether it takes rows.
#[test]
fn what_the_system_fills_by_itself_is_not_written() {
    let found = |columns: &[(&str, bool)]| {
        let columns = columns.iter().map(|(name, writable)| TableColumn {
            column: Column { name: (*name).into(), ty: Type::Text { max_length: Some(200) } },
            required: false,
            writable: *writable,
            labels: Vec::new(),
        });
        let table = Table { name: "contact".into(), columns: columns.collect(), keys: Vec::new() };
        let catalogs = [("dynamics".to_owned(), Catalog { tables: vec![table] })].into();
        let files = super::mutation::fixture();
        let given = files.iter().map(|(path, text)| (path.as_str(), text.as_str()));
        let loaded = load_files(given, &LoadOptions { kinds: super::kinds::KINDS, catalogs, ..LoadOptions::default() });
        let titles = loaded.diagnostics.iter().map(|found| found.title.clone());
        titles.filter(|title| title.contains("written into")).collect::<Vec<_>>()
    };
    let refused = ["nothing can be written into `fullname` of `contact`"];
    assert_eq!(found(&[("new_number", false), ("fullname", false), ("lastname", true)]), refused);
    assert_eq!(found(&[("new_number", true), ("fullname", true)]), [""; 0]);
    assert_eq!(found(&[("new_number", false), ("fullname", false)]), [""; 0], "a view");
}

/// The options of a choice of Dynamics, and the labels of an enumeration of a database.
#[test]
fn a_choice_names_what_its_column_holds() {
    let found = |system: &str, table: &str, name: &str, ty: &Type, labels: &[&str]| {
        let column = TableColumn {
            column: Column { name: name.into(), ty: ty.clone() },
            required: false,
            writable: true,
            labels: labels.iter().map(|label| (*label).to_owned()).collect(),
        };
        let table = Table { name: table.into(), columns: vec![column], keys: Vec::new() };
        let catalogs = [(system.to_owned(), Catalog { tables: vec![table] })].into();
        let files = super::mutation::fixture();
        let given = files.iter().map(|(path, text)| (path.as_str(), text.as_str()));
        let loaded = load_files(given, &LoadOptions { kinds: super::kinds::KINDS, catalogs, ..LoadOptions::default() });
        let of_choices = loaded.diagnostics.iter().filter(|found| found.code.0 == "IB0305");
        of_choices.map(|found| format!("{:?}: {}", found.severity, found.title)).collect::<Vec<_>>()
    };
    let read = |ty: &Type, labels: &[&str]| found("finance", "customers", "terms_code", ty, labels);
    let write = |ty: &Type| found("dynamics", "account", "paymenttermscode", ty, &[]);
    let choice = |values: &[&str]| Type::Choice { values: values.iter().map(|value| (*value).to_owned()).collect() };
    let (text, none): (_, [&str; 0]) = (Type::Text { max_length: None }, []);
    assert_eq!(read(&text, &[]), none, "any text may come");
    assert_eq!(read(&text, &["30", "60", "PP"]), none);
    let more = "Warning: `terms_code` may be `90` or `120`, which the choice does not name";
    assert_eq!(read(&text, &["30", "60", "90", "PP", "120"]), [more]);
    let more = "Warning: `terms_code` may be `90`, which the choice does not name";
    assert_eq!(read(&choice(&["30", "60", "PP", "90"]), &[]), [more]);
    assert_eq!(write(&choice(&["1", "4", "10"])), none);
    assert_eq!(write(&choice(&["1", "4"])), ["Error: `paymenttermscode` is never `10`"]);
}

#[test]
fn a_live_catalogue_knows_what_triggers_watch_and_lines_hold() {
    let table = |name: &str, columns: &[&str]| Table {
        name: name.into(),
        columns: columns
            .iter()
            .map(|name| TableColumn {
                column: Column { name: (*name).into(), ty: Type::Text { max_length: None } },
                // Nobody makes orders: the event writes the number of the ERP into rows that are there.
                required: *name == "totalamount",
                writable: true,
                labels: Vec::new(),
            })
            .collect(),
        keys: Vec::new(),
    };
    let tables = vec![
        table("salesorder", &["ordernumber", "statuscode", "totalamount"]),
        table("salesorderdetail", &["lineitemnumber", "productid.productnumber", "quantity_sold"]),
    ];
    let mut files = super::mutation::fixture();
    let load_now = |files: &[(String, String)]| {
        let catalogs = [("dynamics".to_owned(), Catalog { tables: tables.clone() })].into();
        let given = files.iter().map(|(path, text)| (path.as_str(), text.as_str()));
        load_files(given, &LoadOptions { kinds: super::kinds::KINDS, catalogs, ..LoadOptions::default() })
    };
    let before = load_now(&files);
    check(&before, "IB0302", "there is no column `quantity`");
    let said = before.render(false, 120);
    assert!(!said.contains("to watch") && !said.contains("nothing fills the column `totalamount`"), "{said}");
    for (_, text) in &mut files {
        *text = text.replace("columns: [statuscode]", "columns: [status]");
    }
    let after = load_now(&files);
    check(&after, "IB0302", "there is no column `status` to watch");
    check(&after, "IB0302", "`status` is the field: write its column, `statuscode`");
}

#[test]
fn a_dataverse_is_found_behind_a_reference() {
    struct One(&'static str);
    impl Secrets for One {
        fn resolve(&self, _: &str, _: &str) -> Result<Secret, String> {
            Ok(Secret::new(self.0))
        }
    }
    let load_with = |value: &'static str| {
        let mut files = super::mutation::fixture();
        for (path, text) in &mut files {
            if path == "systems/erp.yaml" {
                *text = text.replace("https://erp.contoso.example/api", "\"${env:ERP_URL}\"");
            }
        }
        let given = files.iter().map(|(path, text)| (path.as_str(), text.as_str()));
        let secrets = One(value);
        let loaded = load_files(
            given,
            &LoadOptions { kinds: super::kinds::KINDS, secrets: Some(&secrets), ..LoadOptions::default() },
        );
        assert!(!loaded.render(false, 120).contains(value), "the value is shown nowhere");
        loaded
    };
    let hidden = load_with("https://contoso.crm11.dynamics.com/api/data/v9.2");
    check(&hidden, "IB0217", "what this refers to is a Dataverse environment");
    check(&hidden, "IB0201", "what this refers to is the SQL endpoint");
    for fine in ["https://api.businesscentral.dynamics.com/v2.0", "https://contoso.example/crm/orders"] {
        assert!(!load_with(fine).render(false, 120).contains("IB0217"), "{fine}");
    }
}

#[test]
fn diagnostics_are_json_too() {
    let loaded = load_files([("ironbridge.yaml", "hub: contoso\ntimezone: UTC\n")], &LoadOptions::default());
    assert_eq!(
        loaded.to_json(),
        serde_json::json!([{
            "code": "IB0110", "severity": "error", "title": "unknown key `timezone`",
            "place": { "file": "ironbridge.yaml", "line": 2, "column": 1, "start": 13, "end": 21 },
            "label": "the hub has no such key",
            "notes": ["allowed: hub, time_zone, calendar, alerts, mail, heartbeat, address, retention, accept"],
            "help": "did you mean `time_zone`?",
            "secondary": [],
        }])
    );
    let _: Code = loaded.diagnostics[0].code;
}

/// Three hundred integrations of the examples, each with entities and systems of its own.
pub fn three_hundred() -> Vec<(String, String)> {
    let fixture = super::mutation::fixture();
    let mut files: Vec<(String, String)> = fixture.iter().filter(|(path, _)| !path.contains('/')).cloned().collect();
    for number in 0..50 {
        for (path, text) in fixture.iter().filter(|(path, _)| path.contains('/') && !path.starts_with("environments")) {
            let mut text = text.clone();
            for name in ["finance", "dynamics", "erp", "supplier", "courier"] {
                text = text
                    .replace(&format!("system: {name}\n"), &format!("system: {name}-{number}\n"))
                    .replace(&format!("from: {name}\n"), &format!("from: {name}-{number}\n"))
                    .replace(&format!("to: {name}\n"), &format!("to: {name}-{number}\n"))
                    .replace(&format!("to: {name},"), &format!("to: {name}-{number},"))
                    .replace(&format!("to: [{name}]"), &format!("to: [{name}-{number}]"))
                    .replace(&format!("in: {name},"), &format!("in: {name}-{number},"))
                    .replace(&format!("master: {name} "), &format!("master: {name}-{number} "))
                    .replace(&format!("{{ {name}: {{ customers"), &format!("{{ {name}-{number}: {{ customers"))
                    .replace(&format!("{name}.account"), &format!("{name}-{number}.account"));
            }
            text = text.replace("[finance, dynamics]", &format!("[finance-{number}, dynamics-{number}]"));
            for name in ["customer", "contact", "order", "price", "tracking", "credit_request"] {
                if path.starts_with("entities/") {
                    text = text.replace(&format!("entity: {name}\n"), &format!("entity: {name}_{number}\n"));
                }
                text = text
                    .replace(&format!("entity: {name}\n"), &format!("entity: {name}_{number}\n"))
                    .replace(&format!("entity: {name} }}"), &format!("entity: {name}_{number} }}"))
                    .replace(&format!("entity: {name},"), &format!("entity: {name}_{number},"));
                if path.starts_with("systems/") {
                    text = text.replace(&format!("\n  {name}:"), &format!("\n  {name}_{number}:"));
                }
            }
            text = text
                .replace("entities: [customer, contact]", &format!("entities: [customer_{number}, contact_{number}]"));
            for name in ["customers-and-contacts", "customers-two-way", "prices", "orders", "tracking", "credit-limit"]
            {
                text = text
                    .replace(&format!("integration: {name}\n"), &format!("integration: {name}-{number}\n"))
                    .replace(&format!("decision: {name}\n"), &format!("decision: {name}-{number}\n"))
                    .replace(&format!("run: {name} "), &format!("run: {name}-{number} "));
            }
            text = text.replace("test: a customer", &format!("test: {number}, a customer"));
            files.push((path.replace(".yaml", &format!("-{number}.yaml")), text));
        }
    }
    files
}

#[test]
fn three_hundred_integrations_load() {
    let files = three_hundred();
    let given = files.iter().map(|(path, text)| (path.as_str(), text.as_str()));
    let start = std::time::Instant::now();
    let loaded = load_files(given, &LoadOptions { kinds: super::kinds::KINDS, ..LoadOptions::default() });
    let took = start.elapsed();
    assert!(loaded.diagnostics.is_empty(), "{}", loaded.diagnostics[0].render(&loaded.files, false, 120));
    assert_eq!(loaded.project.unwrap().integrations.len(), 300);
    // Under a second when built for release; a debug build on a busy machine gets more.
    let limit = if cfg!(debug_assertions) { 10 } else { 1 };
    assert!(took.as_secs() < limit, "{took:?}");
}

#[test]
fn diagnostics_are_sarif_too() {
    let text = "hub: contoso\ntimezone: UTC\nalerts: []\nhub: again\n";
    let page = |code: record::Code| {
        (code.0 == "IB0110").then(|| {
            "# IB0110: A key\n\n## What happened\n\nIt is not there.\n\n## What to do\n\nCorrect it.\n".to_owned()
        })
    };
    let report = definition::Report { prefix: "hub of (sample)/", page: &page };
    let sarif = load_files([("ironbridge.yaml", text)], &LoadOptions::default()).to_sarif(&report);
    assert_eq!((&sarif["version"], sarif["runs"].as_array().unwrap().len()), (&"2.1.0".into(), 1));
    let results = sarif["runs"][0]["results"].as_array().unwrap();
    let unknown = results.iter().find(|result| result["ruleId"] == "IB0110").unwrap();
    assert_eq!(unknown["level"], "error");
    assert_eq!(
        unknown["locations"][0]["physicalLocation"],
        serde_json::json!({
            "artifactLocation": { "uri": "hub%20of%20%28sample%29/ironbridge.yaml" },
            "region": { "startLine": 2, "startColumn": 1, "endColumn": 9 },
        })
    );
    let twice = results.iter().find(|result| result["ruleId"] == "IB0111").unwrap();
    assert_eq!(twice["relatedLocations"].as_array().unwrap().len(), 1);
    let rules = sarif["runs"][0]["tool"]["driver"]["rules"].as_array().unwrap();
    for result in results {
        let rule = &rules[result["ruleIndex"].as_u64().unwrap() as usize];
        assert_eq!(rule["id"], result["ruleId"], "each result names a rule of the file");
        assert!(result["locations"][0]["physicalLocation"]["region"]["startLine"].is_u64(), "{result}");
    }
    let rule = rules.iter().find(|rule| rule["id"] == "IB0110").unwrap();
    assert_eq!(rule["name"], "AKeyThatDoesNotExist");
    assert_eq!(rule["fullDescription"]["text"], "It is not there.");
    let help = rule["help"]["markdown"].as_str().unwrap();
    assert!(help.starts_with("## What happened\n\n") && help.ends_with("`ironbridge explain IB0110`"), "{help}");
    let prints: std::collections::BTreeSet<&str> =
        results.iter().map(|result| result["partialFingerprints"]["finding/v1"].as_str().unwrap()).collect();
    assert_eq!(prints.len(), results.len(), "two findings are two");
    // What moves down a line is the finding that it was.
    let moved = load_files([("ironbridge.yaml", &*format!("# moved\n{text}"))], &LoadOptions::default());
    for result in moved.to_sarif(&report)["runs"][0]["results"].as_array().unwrap() {
        assert!(prints.contains(result["partialFingerprints"]["finding/v1"].as_str().unwrap()), "{result}");
    }
}
