//! Every design that is refused, both ways: one change of the examples by which exactly this rule is broken and nothing
//! else is reported, and one beside it that is allowed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use definition::{ACCEPTABLE, History, LoadOptions, Loaded, Measured, codes, load_files};
use jiff::civil::date;

/// The examples with these changes: `FILE: OLD => NEW`, `FILE := CONTENT`, joined by ` ;; `; `\n` is a new line.
fn load_with(edits: &str, options: &LoadOptions<'_>) -> Loaded {
    let mut files: BTreeMap<String, String> = super::mutation::fixture().into_iter().collect();
    edits.split(" ;; ").filter(|edit| !edit.is_empty()).for_each(|edit| super::messages::apply(&mut files, edit));
    let given = files.iter().map(|(path, text)| (path.as_str(), text.as_str()));
    load_files(given, options)
}

fn options<'a>() -> LoadOptions<'a> {
    LoadOptions { kinds: super::kinds::KINDS, ..LoadOptions::default() }
}

/// The rule, what breaks it, and something near it that is allowed.
const CASES: &[(&str, &str, &str)] = &[
    (
        "IB0201",
        "systems/finance.yaml: kind: postgres => kind: sqlserver ;; systems/finance.yaml: \"${env:FINANCE_URL}\" => \"sqlserver://finance.contoso.example:5558/ledger\"",
        "systems/finance.yaml: kind: postgres => kind: sqlserver ;; systems/finance.yaml: \"${env:FINANCE_URL}\" => \"sqlserver://finance.contoso.example:1433/ledger\"",
    ),
    (
        "IB0202",
        "integrations/prices.yaml: from: supplier => from: dynamics ;; systems/dynamics.yaml: write: { productid => read: { product: productid.productnumber, price_list: pricelevelid.name, unit: uomid.name, amount: amount }\\n    write: { productid",
        "integrations/prices.yaml: from: supplier => from: finance ;; systems/finance.yaml: \\n  contact: => \\n  price:\\n    table: prices\\n    read: { product: product, price_list: list, unit: unit, amount: amount }\\n  contact:",
    ),
    (
        "IB0203",
        "integrations/orders.yaml: because: Stock is allocated at the moment the order is placed.\\n => ",
        "integrations/orders.yaml: at the moment the order is placed => in the minute of the order",
    ),
    (
        "IB0204",
        "integrations/orders.yaml: for: 30 minutes => for: 8 days",
        "integrations/orders.yaml: for: 30 minutes => for: 7 days",
    ),
    (
        "IB0205",
        "integrations/credit-limit.yaml: 30 a day => 190 a day",
        "integrations/credit-limit.yaml: 30 a day => 160 a day",
    ),
    (
        "IB0206",
        "integrations/credit-limit.yaml: criticality: normal => criticality: business_critical",
        "integrations/credit-limit.yaml: criticality: normal => criticality: low",
    ),
    (
        "IB0207",
        "entities/order.yaml: total:      { type: money, currency: =currency } => total:      { type: money, currency: =currency, master: erp }",
        "entities/order.yaml: total:      { type: money, currency: =currency } => total:      { type: money, currency: =currency, master: dynamics }",
    ),
    (
        "IB0208",
        "systems/erp.yaml:     exists:  GET /orders?ref={number}                                # asked before a POST with a lost answer is repeated\\n => ",
        "systems/erp.yaml: exists:  GET /orders?ref={number} => idempotency_key: Idempotency-Key",
    ),
    (
        "IB0209",
        "systems/dynamics.yaml: alternate_key: new_number\\n    match_existing => match_existing",
        "systems/dynamics.yaml: alternate_key: new_number\\n    match_existing => alternate_key: [new_number]\\n    match_existing",
    ),
    (
        "IB0210",
        "ironbridge.yaml: { to: finance-it, severity: [warning, critical] } => { to: finance-it, severity: [critical] }",
        "ironbridge.yaml: severity: critical, between: \"18:00-08:00\" => severity: critical, between: \"17:00-09:00\"",
    ),
    (
        "IB0211",
        "integrations/orders.yaml: because: Stock is allocated at the moment the order is placed. => because: Real time",
        "integrations/orders.yaml: because: Stock is allocated at the moment the order is placed. => because: Pickers start within a minute",
    ),
    (
        "IB0212",
        "integrations/tracking.yaml: pattern: virtual => pattern: batch\\nschedule: every 1 hour ;; integrations/tracking.yaml: without_filter: empty                # empty | refuse, where the source cannot list\\n =>  ;; integrations/tracking.yaml: timeout: 5 seconds\\ncache: 30 seconds\\n => ",
        "integrations/tracking.yaml: cache: 30 seconds => cache: 60 seconds",
    ),
    (
        "IB0213",
        "systems/dynamics.yaml: primary_name: consignment => primary_name: consignment\\n    alternate_key: consignment",
        "systems/dynamics.yaml: primary_name: consignment => primary_name: status",
    ),
    (
        "IB0214",
        "runbooks/order.md := # Orders\\n\\nCall the warehouse.\\n",
        "runbooks/orders.md := # Orders\\n\\nCall the warehouse.\\n",
    ),
    (
        "IB0215",
        "runbooks/orders.md := # Orders\\n\\nConnect with Server=erp;User=hub;Password=correcthorse and look.\\n",
        "runbooks/orders.md := # Orders\\n\\nConnect with the password of the vault and look.\\n",
    ),
    (
        "IB0216",
        "integrations/orders.yaml: sweep: every 15 minutes => sweep: off",
        "integrations/orders.yaml: sweep: every 15 minutes => sweep: off\\nwithout_sweep_because: The form sends an order until it has its number.",
    ),
    (
        "IB0217",
        "systems/courier.yaml: https://api.courier.example => https://contoso-dev.crm11.dynamics.com/api",
        "systems/courier.yaml: https://api.courier.example => https://api.businesscentral.dynamics.com/v2.0",
    ),
    (
        "IB0218",
        "entities/price.yaml := entity: price\\nkey: [productnumber, new_list, new_unit]\\nfields: { productnumber: { type: text }, new_list: { type: text }, new_unit: { type: text }, new_amount: { type: money, currency: GBP } }\\n ;; systems/supplier.yaml: read: { product: Artikel, price_list: Liste, unit: ME, amount: Preis } => read: { productnumber: Artikel, new_list: Liste, new_unit: ME, new_amount: Preis } ;; systems/dynamics.yaml: alternate_key: [productid, pricelevelid, uomid] => alternate_key: [productnumber, new_list, new_unit] ;; systems/dynamics.yaml: write: { productid: '=Row(\"product\", {productnumber: product})', pricelevelid: '=Row(\"pricelevel\", {name: price_list})', uomid: '=Row(\"uom\", {name: unit})', amount: amount } => write: { productnumber: productnumber, new_list: new_list, new_unit: new_unit, new_amount: new_amount }",
        "systems/dynamics.yaml: alternate_key: [productid, pricelevelid, uomid] => alternate_key: [product, price_list, unit] ;; systems/dynamics.yaml: write: { productid: '=Row(\"product\", {productnumber: product})', pricelevelid: '=Row(\"pricelevel\", {name: price_list})', uomid: '=Row(\"uom\", {name: unit})', amount: amount } => write: { product: product, price_list: price_list, unit: unit, amount: amount }",
    ),
    (
        "IB0219",
        "integrations/credit-limit.yaml: - { set: { outcome: =decision.outcome } } => - { http: { url: \"https://erp.contoso.example/limits\" } }",
        "integrations/credit-limit.yaml: - { set: { outcome: =decision.outcome } } => - { set: { outcome: =Lower(decision.outcome) } }",
    ),
    (
        "IB0220",
        "integrations/prices.yaml: schedule: daily at 04:00 => schedule: every 5 minutes",
        "integrations/prices.yaml: schedule: daily at 04:00 => schedule: every 30 minutes",
    ),
    (
        "IB0221",
        "systems/erp.yaml: total: total, => total: total, contact: contact_mail, ;; entities/order.yaml: total:      { type: => contact_mail: { type: text, personal: true }\\n  total:      { type:",
        "systems/erp.yaml: total: total, => total: total, contact: contact_mail, ;; entities/order.yaml: total:      { type: => contact_mail: { type: text, personal: true }\\n  total:      { type: ;; systems/erp.yaml: returns: => personal_because: The driver calls before the delivery.\\n    returns:",
    ),
    (
        "IB0222",
        "integrations/orders.yaml: retry: => accept: { IB0203: { because: It was agreed with sales. } }\\nretry:",
        "integrations/orders.yaml: retry: => accept: { IB0220: { because: It is shorter from spring on., until: 2027-03-31 } }\\nretry:",
    ),
    (
        "IB0223",
        "decisions/customers-and-contacts.yaml: in_three_years: 200 => in_three_years: 60",
        "decisions/customers-and-contacts.yaml: a_day: 50 => a_day: 60",
    ),
    (
        "IB0224",
        "decisions/customers-and-contacts.yaml: chosen: batch => chosen: event\\nagainst_advice_because: Sales wanted it at once.",
        "decisions/customers-and-contacts.yaml: reason: Half => reason: About half",
    ),
    (
        "IB0225",
        "entities/customer.yaml: changed_at:   { type: datetime } => changed_at:   { type: datetime }\\n  sites: { type: lines, key: site, fields: { site: { type: whole_number }, town: { type: text } } }",
        "entities/customer.yaml: changed_at:   { type: datetime } => changed_at:   { type: datetime }\\n  sites: { type: text }",
    ),
    // Those that are found as mistakes of form or of a mapping.
    (
        "IB0112",
        "integrations/orders.yaml: owner: erp-team => # nobody",
        "integrations/orders.yaml: owner: erp-team => owner: controller",
    ),
    (
        "IB0112",
        "integrations/prices.yaml: purpose: Quotes use today's prices. => # nothing",
        "integrations/prices.yaml: purpose: Quotes use today's prices. => purpose: Quotes are right.",
    ),
    ("IB0304", "systems/courier.yaml: eta: date => eta: whole_number", "systems/courier.yaml: eta: date => eta: text"),
    (
        "IB0307",
        "systems/finance.yaml: name: =Trim(company_name),  => ",
        "systems/finance.yaml: name: =Trim(company_name),  =>  ;; entities/customer.yaml: max_length: 160, required: true => max_length: 160",
    ),
];

fn measured() -> Measured {
    let of = |seconds, written| History {
        days: 10,
        runs: 40,
        idle_runs: 0,
        usual_run: Some(Duration::from_secs(seconds)),
        long_run: Some(Duration::from_secs(seconds * 2)),
        read: written,
        written,
    };
    Measured([("prices".to_owned(), of(400, 9_000)), ("customers-and-contacts".to_owned(), of(20, 4_000))].into())
}

#[test]
fn each_rule_is_broken_once_and_nothing_else_is_reported() {
    let measured = measured();
    let options = LoadOptions { measured: Some(&measured), ..options() };
    let before = load_with("", &options);
    assert!(before.diagnostics.is_empty(), "{}", before.render(false, 140));
    let mut wrong = Vec::new();
    for (code, broken, allowed) in CASES {
        let loaded = load_with(broken, &options);
        let found: BTreeSet<&str> = loaded.diagnostics.iter().map(|diagnostic| diagnostic.code.0).collect();
        if found != BTreeSet::from([*code]) || loaded.diagnostics.len() != 1 {
            wrong.push(format!("{code} is broken, and found is:\n{}", loaded.render(false, 140)));
        }
        let loaded = load_with(allowed, &options);
        if !loaded.diagnostics.is_empty() {
            wrong.push(format!("{code} is kept, and found is:\n{}", loaded.render(false, 140)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// What people read when a rule is broken stands in `rules.txt`. `UPDATE_MESSAGES=1 cargo test -p definition` writes it
/// anew, to be read aloud before it is committed.
#[test]
fn each_rule_says_what_was_read_aloud() {
    let measured = measured();
    let options = LoadOptions { measured: Some(&measured), ..options() };
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/rules.txt");
    let said: String = CASES
        .iter()
        .map(|(code, broken, _)| {
            let title = codes::ALL.iter().find(|(known, _)| known.0 == *code).map_or("", |(_, title)| title);
            format!("## {title}\n{}\n\n", load_with(broken, &options).render(false, 120))
        })
        .collect();
    if std::env::var_os("UPDATE_MESSAGES").is_some() {
        std::fs::write(&path, &said).unwrap();
    }
    let read = std::fs::read_to_string(&path).unwrap_or_default();
    for (now, before) in said.split("\n\n").zip(read.split("\n\n")) {
        assert_eq!(now, before);
    }
    assert_eq!(said.len(), read.len(), "rules.txt has other cases");
}

#[test]
fn no_rule_is_without_its_two_cases() {
    let tried: BTreeSet<&str> = CASES.iter().map(|(code, ..)| *code).filter(|code| code.starts_with("IB02")).collect();
    let rules = codes::ALL.iter().map(|(code, _)| code.0).filter(|code| code.starts_with("IB02"));
    assert_eq!(rules.collect::<BTreeSet<_>>(), tried);
}

#[test]
fn what_is_accepted_is_listed_and_ends_on_its_day() {
    let accepted = "integrations/credit-limit.yaml: 30 a day => 190 a day ;; integrations/credit-limit.yaml: steps: => accept: { IB0205: { because: A second controller starts in spring., until: 2027-03-31 } }\\nsteps:";
    let on = |day| load_with(accepted, &LoadOptions { today: day, ..options() });
    for day in [None, Some(date(2027, 3, 31))] {
        let loaded = on(day);
        assert!(loaded.diagnostics.is_empty(), "{}", loaded.render(false, 140));
        assert_eq!(
            loaded.accepted[0].to_string(),
            "IB0205 accepted until 2027-03-31: this flow expects more than 80 % of what it may take (integrations/credit-limit.yaml:6): A second controller starts in spring."
        );
        let project = loaded.project.clone().unwrap();
        assert_eq!(project.accepted.len(), 1);
        let shown = definition::show(&project, "credit-limit");
        assert!(shown.iter().any(|line| line.value.as_deref() == Some("A second controller starts in spring.")));
        let json = loaded.to_json();
        assert_eq!(json[0]["severity"], "accepted");
        assert_eq!(json[0]["accepted"]["until"], "2027-03-31");
        let sarif = loaded.to_sarif(&definition::Report { prefix: "", page: &|_| None });
        let result = &sarif["runs"][0]["results"][0];
        assert_eq!(result["suppressions"][0]["status"], "accepted");
        assert!(result["suppressions"][0]["justification"].as_str().unwrap().contains("until 2027-03-31"));
    }
    let over = on(Some(date(2027, 4, 1)));
    assert!(over.has_errors() && over.accepted.is_empty());
    let text = over.render(false, 140);
    assert!(text.contains("it was accepted until 2027-03-31: A second controller starts in spring."), "{text}");
}

#[test]
fn an_acceptance_says_what_it_is_for_and_is_not_left_behind() {
    let check = |accept: &str, expected: &str| {
        let edit = format!("integrations/orders.yaml: retry: => accept: {{ {accept} }}\\nretry:");
        let text = load_with(&edit, &options()).render(false, 140);
        assert!(text.contains(expected), "{expected}\n{text}");
    };
    check("IB0999: { because: So it was said. }", "there is no rule `IB0999`");
    check("IB0208: { because: The warehouse drops a second one. }", "nothing here breaks IB0208 any more");
    check("IB0205: { because: A second controller starts soon. }", "IB0205 is accepted without an end");
    check("IB0208: { because: tbd }", "`because` says nothing");
    for (code, _) in ACCEPTABLE {
        assert!(codes::ALL.iter().any(|(known, _)| known == code), "{code}");
    }
}

/// An acceptance of one integration does not cover another in the same file.
#[test]
fn an_acceptance_holds_where_it_stands() {
    let sends = "system: copy\\nkind: rest\\nconnection: { url: https://copy.contoso.example }\\nentities:\\n  order:\\n    create: POST /orders\\n    write: { ref: number }\\n";
    let two = |accept: &str| {
        format!(
            "systems/copy.yaml := {sends} ;; integrations/orders.yaml: to: [erp] => to: [erp, copy] ;; integrations/orders.yaml: retry: => {accept}retry:"
        )
    };
    assert_eq!(load_with(&two(""), &options()).diagnostics.len(), 1);
    let here = "accept: { IB0208: { because: The copy drops a second order by itself. } }\\n";
    let loaded = load_with(&two(here), &options());
    assert!(loaded.diagnostics.is_empty(), "{}", loaded.render(false, 140));
    let elsewhere = format!("{} ;; integrations/prices.yaml: min_rows => {here}min_rows", two(""));
    let text = load_with(&elsewhere, &options()).render(false, 140);
    assert!(text.contains("error[IB0208]"), "{text}");
}

/// What a reference holds is looked at where it is known, and shown nowhere.
#[test]
fn a_system_behind_a_reference_is_found() {
    struct One(&'static str, &'static str);
    impl record::Secrets for One {
        fn resolve(&self, _: &str, name: &str) -> Result<record::Secret, String> {
            if name == self.0 { Ok(record::Secret::new(self.1)) } else { Err(format!("set {name}")) }
        }
    }
    let check = |edits: &str, name, value: &'static str, code: &str| {
        let secrets = One(name, value);
        let text = load_with(edits, &LoadOptions { secrets: Some(&secrets), ..options() }).render(false, 140);
        let found = text.contains(&format!("error[{code}]"));
        assert!(!text.contains(value), "{text}");
        (found, text.matches("error[").count())
    };
    let group = "people.yaml: { email: finance-it@contoso.example } => { email: finance-it@contoso.example, webhook: \"${env:ALERT_URL}\" }";
    assert_eq!(check(group, "ALERT_URL", "https://erp.contoso.example/hooks/1", "IB0219"), (true, 1));
    assert_eq!(check(group, "ALERT_URL", "https://alerts.contoso.example/hooks/1", "IB0219"), (false, 0));
    let sql = "systems/finance.yaml: kind: postgres => kind: sqlserver";
    for found in [
        "mssql://user@10.0.0.5:5558/x",
        "mssql://user@crm.contoso.example/orgb8fdd3be?encrypt=true&database=orgb8fdd3be",
        "Driver={CData ODBC Driver for Dynamics 365};Server=crm",
        "mssql://contoso.crm4.dynamics.com/x",
    ] {
        assert_eq!(check(sql, "FINANCE_URL", found, "IB0201"), (true, 1), "{found}");
    }
    for fine in ["mssql://user@10.0.0.5:15558/x", "mssql://ledger.contoso.example/organisation?database=organisation"] {
        assert_eq!(check(sql, "FINANCE_URL", fine, "IB0201"), (false, 0), "{fine}");
    }
    // A second system at the address of the first one is the first one.
    let same = "systems/courier.yaml: https://api.courier.example => \"${env:COURIER_URL}\"";
    let dynamics = " ;; systems/dynamics.yaml: https://contoso-dev.crm11.dynamics.com => http://127.0.0.1:7799";
    let both = format!("{same}{dynamics}");
    assert_eq!(check(&both, "COURIER_URL", "http://127.0.0.1:7799/api", "IB0217"), (true, 1));
    assert_eq!(check(&both, "COURIER_URL", "http://127.0.0.1:7798/api", "IB0217"), (false, 0));
}

#[test]
fn a_linked_server_leads_nowhere() {
    let edit = "systems/finance.yaml: table: customers                                                 # or query: (SQL of a view of theirs)\\n => query: \"select * from openquery([contoso.crm11.dynamics.com], 'select * from account')\"\\n";
    let text = load_with(edit, &options()).render(false, 140);
    assert!(text.contains("error[IB0201]") && text.contains("through another database"), "{text}");
}

/// `in:` of a flow reads the record, by `read:` or by `both:`, with what its formulas follow; and writes what it sets.
#[test]
fn a_flow_reads_and_sets_its_record_where_it_happens() {
    let both = "both: { new_number: number, new_customerid: customer, new_requested: requested, new_requestedby: requested_by, new_outcome: outcome }";
    let read = "read: { number: new_number, customer: new_customerid, requested: new_requested, requested_by: new_requestedby, outcome: new_outcome }";
    let write = "write: { new_number: number, new_outcome: outcome }";
    let said = |new: &str| load_with(&format!("systems/dynamics.yaml: {both} => {new}"), &options()).render(false, 140);
    assert_eq!(said(both), "");
    assert_eq!(said(&format!("{read}\\n    {write}")), "");
    let unread = said("write: { new_number: number, new_outcome: outcome, new_requested: requested }");
    assert!(unread.contains("error[IB0311]: `dynamics` does not say how `credit_request` is read"), "{unread}");
    assert_eq!(unread.matches("error[").count(), 1, "{unread}");
    let unset = said(read);
    assert_eq!(unset.matches("`dynamics` has no column for `outcome`").count(), 2, "{unset}");
    let computed = said(&format!("{}\\n    {write}", read.replace("number: new_number", "number: =Upper(new_number)")));
    assert!(computed.contains("cannot be found by its key in `dynamics`"), "{computed}");
    let no_limit = load_with("systems/dynamics.yaml: creditlimit: credit_limit,  => ", &options()).render(false, 140);
    assert!(no_limit.contains("`dynamics` does not say how `credit_limit` of `customer` is read"), "{no_limit}");
}

/// A system that sends nothing and has no watermark starts nothing.
#[test]
fn a_flow_needs_to_hear_of_its_records() {
    let home = "integrations/credit-limit.yaml: entity: credit_request, in: dynamics, rows: [created] => entity: customer, in: finance, rows: [created]TOO";
    let mark = "systems/finance.yaml: \\n    watermark: { column: updated_at, overlap: 5 minutes } =>  ";
    let said = |edits: &str| load_with(edits, &options()).render(false, 140);
    for (more, severity) in [("", "error"), (", call: true", "warning")] {
        let all = said(&format!("{} ;; {mark}", home.replace("TOO", more)));
        assert!(
            all.contains(&format!("{severity}[IB0112]: nothing says which rows of `customer` in `finance` are new")),
            "{all}"
        );
        let marked = said(&home.replace("TOO", more));
        assert!(!marked.contains("nothing says which rows"), "{marked}");
    }
    // An event is asked for in the same way.
    let event = format!(
        "{mark} ;; integrations/orders.yaml: from: dynamics => from: finance ;; integrations/orders.yaml: entity: order => entity: customer"
    );
    assert!(said(&event).contains("warning[IB0112]: nothing says which rows"), "{}", said(&event));
}

/// The steps of a flow, and what is said of them: one finding, or none.
const WAYS: &[(&str, &str)] = &[
    (
        "  - parallel:\n      legal: [ APPROVE(legal) ]\n      credit: [ APPROVE(credit) ]\n  - if: =legal.outcome = \"approved\" && credit.outcome = \"approved\"\n    then: [ { set: { outcome: =\"approved\" } } ]\n",
        "",
    ),
    (
        "  - scope: telling\n    steps: [ { write: { entity: customer, to: finance, key: =customer.number, set: { credit_limit: =requested } } } ]\n    if_failed: [ { notify: { to: controller, text: =telling.comment } } ]\n  - switch: =telling.outcome\n    cases: { done: [ { wait: 1 day } ], failed: [ { terminate: =\"It could not be told.\" } ] }\n",
        "",
    ),
    (
        "  - wait_for: =outcome = \"paid\"\n    at_most: 10 working days\n    as: payment\n  - delay_until: =DateAdd(Today(), 3)\n  - if: =payment.outcome = \"timed_out\"\n    then: [ { terminate: =\"Nobody paid.\" } ]\n",
        "",
    ),
    (
        "  - switch: =customer.terms\n    cases: { net30: [ APPROVE(decision) ], net60: [ APPROVE(other) ] }\n  - { set: { outcome: =decision.outcome } }\n  - { set: { outcome: =other.outcome } }\n",
        "IB1207",
    ),
    ("  - APPROVE(decision)\n  - { set: { outcome: =\"approved\" } }\n", "IB1207"),
    (
        "  - if: =requested > 5\n    then: [ APPROVE(decision) ]\n  - { set: { outcome: =decision.outcome } }\n",
        "IB1207",
    ),
    ("  - { terminate: =\"No.\" }\n  - { set: { outcome: =\"x\" } }\n", "IB1208"),
    (
        "  - if: =requested > 5\n    then: [ { terminate: =\"a\" } ]\n    else: [ { terminate: =\"b\" } ]\n  - { wait: 1 day }\n",
        "IB1208",
    ),
    ("  - if: =false\n    then: [ { wait: 1 day } ]\n", "IB1208"),
    ("  - APPROVE(decision)\n  - switch: =decision.outcome\n    cases: { approved: [ { wait: 1 day } ] }\n", "IB1209"),
    (
        "  - APPROVE(decision)\n  - switch: =decision.outcome\n    cases: { approved: [ { wait: 1 day } ] }\n    default: [ { wait: 2 days } ]\n",
        "",
    ),
    (
        "  - APPROVE(decision)\n  - switch: =decision.outcome\n    cases: { approved: [ { wait: 1 day } ], rejected: [ { wait: 1 day } ] }\n    default: [ { wait: 2 days } ]\n",
        "IB1208",
    ),
    ("  - APPROVE(decision)\n  - if: =decision.outcome = \"aproved\"\n    then: [ { wait: 1 day } ]\n", "IB1209"),
    ("  - switch: =customer.terms\n    cases: { net31: [ { wait: 1 day } ] }\n", "IB1209"),
    ("  - { child_flow: credit-limit, key: =number }\n", "IB1210"),
    ("  - { child_flow: orders, key: =number }\n", "IB1210"),
    ("  - { apply_to_each: outcome, do: [ { wait: 1 day } ] }\n", "IB1211"),
    ("  - { apply_to_each: outcom, do: [ { wait: 1 day } ] }\n", "IB0301"),
    ("  - { wait_for: =payed, at_most: 1 day }\n", "IB0303"),
    (
        "  - ASKS({ granted: { type: money, required: true, default: =requested, with: approved }, of: { type: reference, entity: customer } })\n  - if: =decision.outcome = \"approved\" && decision.granted > 5\n    then: [ { write: { entity: customer, to: finance, key: =decision.of, set: { credit_limit: =decision.granted } } } ]\n",
        "",
    ),
    (
        "  - { read: account, entity: customer, from: finance, key: =customer.number }\n  - if: =account.outcome = \"found\" && account.credit_limit > 5\n    then: [ { wait: 1 day }, { set: { outcome: =account.name } } ]\n",
        "",
    ),
    (
        "  - if: =requested > 5\n    then: [ { read: account, entity: customer, from: finance, key: =number }, { set: { outcome: =account.name } } ]\n    else: [ { set: { outcome: =account.name } } ]\n",
        "IB1207",
    ),
    (
        "  - { read: account, entity: customer, from: finance, key: [=number, =number] }\n  - { set: { outcome: =account.name } }\n",
        "IB0306",
    ),
    (
        "  - { read: account, entity: customer, from: finance, key: =number }\n  - { set: { outcome: =account.nme } }\n",
        "IB0303",
    ),
    (
        "  - { read: account, entity: customer, from: finance, key: =number }\n  - if: =account.outcome = \"gone\"\n    then: [ { set: { outcome: =\"x\" } } ]\n",
        "IB1209",
    ),
    (
        "  - { read: customer, entity: customer, from: finance, key: =number }\n  - { set: { outcome: =\"x\" } }\n",
        "IB0121",
    ),
    ("  - ASKS({ outcome: { type: text } })\n  - { set: { outcome: =decision.outcome } }\n", "IB1214"),
    (
        "  - ASKS({ kind: { type: choice, values: [a, b], default: c } })\n  - { set: { outcome: =decision.outcome } }\n",
        "IB1214",
    ),
    ("  - ASKS({ kind: { type: choice } })\n  - { set: { outcome: =decision.outcome } }\n", "IB0112"),
    ("  - ASKS({ granted: { type: money, values: [a] } })\n  - { set: { outcome: =decision.outcome } }\n", "IB0118"),
    (
        "  - ASKS({ granted: { type: money, default: =outcom } })\n  - { set: { outcome: =decision.outcome } }\n",
        "IB0303",
    ),
    (
        "  - if: =requested > 5\n    then: [ ASKS({ granted: { type: money } }), { set: { outcome: =decision.outcome } } ]\n  - if: =decision.granted > 5\n    then: [ { wait: 1 day } ]\n",
        "IB1207",
    ),
    (
        "  - ASKS({ granted: { type: money } })\n  - { set: { outcome: =decision.outcome & decision.granded } }\n",
        "IB0303",
    ),
];

#[test]
fn every_way_through_a_flow_is_checked() {
    let files: BTreeMap<String, String> = super::mutation::fixture().into_iter().collect();
    let flow = &files["integrations/credit-limit.yaml"];
    let (head, _) = flow.split_once("  - if: =requested").unwrap();
    let (_, tail) = flow.split_once("owner:").unwrap();
    let approve = "{ approve: NAME, ask: =\"Well?\", of: { one_of: [group:credit-control] }, deadline: { after: 1 working day, outcome: rejected } }";
    let mut wrong = Vec::new();
    for (steps, expected) in WAYS {
        let mut steps = (*steps).to_owned();
        while let Some((before, rest)) = steps.split_once("APPROVE(") {
            let (name, after) = rest.split_once(')').unwrap();
            steps = format!("{before}{}{after}", approve.replace("NAME", name));
        }
        while let Some((before, rest)) = steps.split_once("ASKS(") {
            let (form, after) = rest.split_once(")").unwrap();
            let asks =
                approve.replace("NAME", "decision").replace("of: { one_of", &format!("form: {form}, of: {{ one_of"));
            steps = format!("{before}{asks}{after}");
        }
        let mut files = files.clone();
        files.insert("integrations/credit-limit.yaml".to_owned(), format!("{head}{steps}owner:{tail}"));
        let given = files.iter().map(|(path, text)| (path.as_str(), text.as_str()));
        let loaded = load_files(given, &options());
        let found: BTreeSet<&str> = loaded.diagnostics.iter().map(|diagnostic| diagnostic.code.0).collect();
        let wanted: BTreeSet<&str> = std::iter::once(*expected).filter(|code| !code.is_empty()).collect();
        if found != wanted {
            wrong.push(format!("{steps}\nwanted {expected}:\n{}", loaded.render(false, 140)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// What a form that starts a flow may hold.
#[test]
fn a_form_starts_a_flow() {
    let trigger = "{ entity: credit_request, in: dynamics, rows: [created] }";
    let mut wrong = Vec::new();
    for (with, expected) in [
        ("{ entity: credit_request, in: dynamics, form: { why: { type: multiline, required: true } } }", ""),
        ("{ entity: credit_request, in: dynamics, form: {} }", ""),
        (
            "{ entity: credit_request, in: dynamics, form: { of: { type: reference, entity: customer } }, started_by: [group:credit-control] }",
            "",
        ),
        ("{ entity: credit_request, in: dynamics }", "IB0112"),
        ("{ entity: credit_request, in: dynamics, rows: [created], started_by: [group:credit-control] }", "IB0118"),
        ("{ entity: credit_request, in: dynamics, form: { by: { type: text } } }", "IB1214"),
        ("{ entity: credit_request, in: dynamics, form: { of: { type: reference, entity: price } } }", "IB1214"),
        ("{ entity: credit_request, in: dynamics, form: { sum: { type: money, default: =requested } } }", "IB1214"),
        ("{ entity: credit_request, in: dynamics, form: { sum: { type: money, currency: JPY } } }", ""),
        ("{ entity: credit_request, in: dynamics, form: { sum: { type: money, currency: pounds } } }", "IB0114"),
        ("{ entity: credit_request, in: dynamics, form: { sum: { type: money, currency: =\"GBP\" } } }", "IB1214"),
        ("{ entity: credit_request, in: dynamics, form: { sum: { type: text, currency: GBP } } }", "IB0118"),
        ("{ entity: credit_request, in: dynamics, form: { sum: { type: lines } } }", "IB0115"),
        ("{ entity: credit_request, in: dynamics, form: { sum: { type: text, with: approved } } }", "IB0110"),
        (
            "{ entity: credit_request, in: dynamics, form: { sum: { type: text } }, started_by: [group:credit-controll] }",
            "IB0120",
        ),
    ] {
        let edit = format!("integrations/credit-limit.yaml: trigger: {trigger} => trigger: {with}");
        let loaded = load_with(&edit, &options());
        let found: BTreeSet<&str> = loaded.diagnostics.iter().map(|diagnostic| diagnostic.code.0).collect();
        let wanted: BTreeSet<&str> = std::iter::once(expected).filter(|code| !code.is_empty()).collect();
        if found != wanted {
            wrong.push(format!("{with}\nwanted {expected}:\n{}", loaded.render(false, 140)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
