//! `ironbridge test`: cases pass, fail with a diff, and say what cannot run yet.

use std::path::{Path, PathBuf};

use crate::support::{Said, binary, said};

/// A new project, without its sample data and without the secret of its Dynamics: a case needs neither.
struct Project {
    dir: PathBuf,
    _temporary: tempfile::TempDir,
}

impl Project {
    fn new() -> Project {
        let temporary = tempfile::tempdir().unwrap();
        let dir = temporary.path().join("project");
        said(binary().args(["init", dir.to_str().unwrap()]).output().unwrap()).ok();
        std::fs::remove_file(dir.join("dynamics.token")).unwrap();
        std::fs::remove_dir_all(dir.join("data")).unwrap();
        Project { dir, _temporary: temporary }
    }

    fn test(&self, args: &[&str]) -> Said {
        let dir = self.dir.to_str().unwrap();
        said(binary().args(["-C", dir]).args(args).output().unwrap())
    }

    fn path(&self, file: &str) -> PathBuf {
        self.dir.join(file)
    }

    fn write(&self, file: &str, text: &str) {
        std::fs::write(self.path(file), text).unwrap();
    }

    fn edit(&self, file: &str, from: &str, to: &str) {
        let before = read(&self.path(file));
        assert!(before.contains(from), "{file} has no `{from}`:\n{before}");
        self.write(file, &before.replace(from, to));
    }
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

const CASES: &str = "tests/customers.yaml";

#[test]
fn a_new_project_passes_its_own_cases() {
    let project = Project::new();
    let out = project.test(&["test"]).ok().out;
    assert!(out.contains("ok      a customer with an unknown term is set aside\n"), "{out}");
    assert!(out.ends_with("3 cases: 3 passed, 0 failed\n"), "{out}");
    assert!(!project.path(".ironbridge").exists(), "the project's own state is not touched");
    let one = project.test(&["--format", "json", "test", "unknown term"]).ok().json();
    assert_eq!((&one["passed"], &one["failed"], one["cases"].as_array().unwrap().len()), (&1.into(), &0.into(), 1));
    project.test(&["test", "nonsense"]).fails(2, "IB0002");
}

#[test]
fn a_mapping_that_changes_its_mind_is_found() {
    let project = Project::new();
    project.edit("systems/finance.yaml", "=Lower(Trim(contact_email))", "=Trim(contact_email)");
    let failed = project.test(&["test"]);
    assert_eq!(failed.code, Some(1));
    assert!(
        failed.out.contains(r#"`emailaddress1` should be "sales@acme.example" and is "Sales@Acme.example""#),
        "{failed:#?}"
    );
    assert!(failed.out.ends_with("3 cases: 2 passed, 1 failed\n"), "{failed:#?}");
}

#[test]
fn what_did_not_come_true_is_told_as_sentences() {
    let project = Project::new();
    project.write(
        CASES,
        r#"test: everything is expected otherwise
given:
  finance: { customers: [{ customer_no: C-1, company_name: Acme, terms_code: "60" }, { customer_no: C-2, terms_code: "30" }] }
  dynamics: { account: [{ accountnumber: C-9, name: Old, parentaccountid: C-8 }, { accountnumber: C-8, name: Older }] }
when: { run: customers }
then:
  - dynamics.account:
      - { accountnumber: C-1, name: Acme Ltd, paymenttermscode: 1 }
      - { accountnumber: C-9, parentaccountid: C-7 }
      - { accountnumber: C-5, name: Nobody, paymenttermscode: 1 }
  - dead_letters: none
  - counts: { written: 2, rejected: 1 }
  - state: ok
"#,
    );
    let failed = project.test(&["test"]);
    assert_eq!(failed.code, Some(1));
    let expected = r#"FAILED  everything is expected otherwise  tests/customers.yaml:1
          dynamics.account
            {"accountnumber":"C-1","name":"Acme Ltd","paymenttermscode":1}: `name` should be "Acme Ltd" and is "Acme"
            {"accountnumber":"C-1","name":"Acme Ltd","paymenttermscode":1}: `paymenttermscode` should be 1 and is 4
            {"accountnumber":"C-9","parentaccountid":"C-7"}: `parentaccountid` should be "C-7" and is "C-8"
            {"accountnumber":"C-5","name":"Nobody","paymenttermscode":1} was expected, and is not there
            {"accountnumber":"C-8","name":"Older"} is there, and was not expected
          dead_letters
            no row was expected, and there is {"key":"C-2","code":"IB0413","entity":"customer","what":"`name` is required and is blank"}
          counts
            `written` should be 2 and is 1
          state
            should be "ok" and is "ok_with_dead_letters"
1 case: 0 passed, 1 failed
"#;
    assert_eq!(failed.out, expected);
    let json = project.test(&["--format", "json", "test"]).json();
    assert_eq!(json["cases"][0]["result"], "failed");
    assert_eq!(json["cases"][0]["failures"][2]["differences"][0], "`written` should be 2 and is 1");
}

#[test]
fn a_case_that_cannot_begin_says_why() {
    let project = Project::new();
    let case = |given: &str| {
        format!("test: it begins\ngiven: {given}\nwhen: {{ run: customers }}\nthen: [{{ counts: {{ read: 0 }} }}]\n")
    };
    let check = |given: &str, expected: &str| {
        project.write(CASES, &case(given));
        let failed = project.test(&["test"]);
        assert_eq!(failed.code, Some(1));
        assert!(failed.out.contains(expected), "no `{expected}` in {failed:#?}");
    };
    check("{ finance: { custmers: [{ customer_no: C-1 }] } }", "`finance` has no table `custmers`; it has: customers");
    check("{ dynamics: { acount: [{ name: A }] } }", "IB0504: the local Dataverse has no table `acount`");
    check("{ dynamics: { account: [{ nmae: A }] } }", "IB0603: the local Dataverse has no column `nmae` in `account`");
    check("{ dynamics: { account: [{ name: A, parentaccountid: C-1 }] } }", "IB0515");
    project.write(CASES, "test: it begins\nwhen: { run: custmers }\nthen: [{ counts: { read: 0 } }]\n");
    project.test(&["test"]).fails(2, "did you mean `customers`?");
}

#[test]
fn a_case_asks_nobody() {
    let project = Project::new();
    project.edit("integrations/customers.yaml", "schedule:", "first_load: { approve: finance-it }\nschedule:");
    let said = project.test(&["test"]).ok();
    assert!(said.out.ends_with("3 cases: 3 passed, 0 failed\n"), "{said:#?}");
}

#[test]
fn other_systems_are_tables_in_memory_as_sources_and_as_destinations() {
    let project = Project::new();
    project.edit("systems/finance.yaml", "    read:", "    alternate_key: customer_no\n    write: { company_name: name, parent_no: parent, terms_code: { field: terms, choice: { net30: \"30\", net60: \"60\", prepaid: PP } } }\n    read:");
    project.edit("systems/dynamics.yaml", "    write:", "    read: { number: accountnumber, name: name, parent: parentaccountid, terms: { column: paymenttermscode, choice: { net30: 1, net60: 4, prepaid: 10 } } }\n    write:");
    project.write(
        "integrations/back.yaml",
        "integration: back\npattern: batch\nentity: customer\nfrom: dynamics\nto: finance\nschedule: every 15 minutes\nowner: finance-it\npurpose: Finance sees new accounts.\n",
    );
    project.write(
        CASES,
        r#"test: an account reaches finance, and one that is there is changed
given:
  dynamics: { account: [{ accountnumber: C-1, name: Acme, parentaccountid: C-2, paymenttermscode: 4 }, { accountnumber: C-2, name: Group }] }
  finance: { customers: [{ customer_no: C-2, company_name: Old name, region: north }] }
when: { run: back, at: "2026-03-02T09:00" }
then:
  - finance.customers:
      - { customer_no: C-1, company_name: Acme, parent_no: C-2, terms_code: "60" }
      - { customer_no: C-2, company_name: Group, parent_no: null, region: north }
  - counts: { created: 1, updated: 1 }
"#,
    );
    project.test(&["test"]).ok();
    project.edit(CASES, "company_name: Acme,", "company_name: Acme Ltd,");
    let failed = project.test(&["test"]);
    assert!(failed.out.contains(r#"`company_name` should be "Acme Ltd" and is "Acme""#), "{failed:#?}");
}

#[test]
fn a_run_that_fails_fails_its_case_unless_that_is_expected() {
    let project = Project::new();
    project.edit(
        "integrations/customers.yaml",
        "schedule:",
        "stop_after: { rejected: 1, or: 100 %, first_rows_alike: 10 }\nschedule:",
    );
    let case = |then: &str| {
        format!(
            "test: it stops\ngiven: {{ finance: {{ customers: [{{ customer_no: C-1 }}, {{ customer_no: C-2 }}] }} }}\nwhen: {{ run: customers }}\nthen: [{then}]\n"
        )
    };
    project.write(CASES, &case("{ dynamics.account: none }"));
    let failed = project.test(&["test"]);
    assert_eq!(failed.code, Some(1), "{failed:#?}");
    assert!(failed.out.contains("the run\n            IB0701: 2 rows were rejected"), "{failed:#?}");
    project.write(CASES, &case("{ error: IB0701 }, { state: failed }, { dynamics.account: none }"));
    project.test(&["test"]).ok();
}

#[test]
fn an_update_writes_what_happened_and_touches_nothing_else() {
    let project = Project::new();
    let right = read(&project.path(CASES));
    project.edit(
        CASES,
        "name: Acme Ltd, emailaddress1: sales@acme.example",
        "name: Acme, emailaddress1: sales@acme.example",
    );
    project.edit(CASES, "  - dead_letters: [{ key: C-1, code: IB0412 }]", "  - dead_letters: none   # so far");
    project.edit(CASES, "creditlimit: 7500 }", "creditlimit: 1 }");
    project.edit(CASES, "updated: 1, unchanged: 1 }", "updated: 2, unchanged: 0 }");
    let updated = project.test(&["test", "--update"]).ok();
    assert!(updated.out.ends_with("3 cases: 0 passed, 0 failed, 3 updated\n"), "{updated:#?}");
    assert!(project.test(&["test"]).ok().out.ends_with("3 cases: 3 passed, 0 failed\n"));
    let expected = right
        .replace("C-2, name: Acme Group, emailaddress1: null, paymenttermscode: 10 }", "C-2, name: Acme Group, emailaddress1: null, creditlimit: null, paymenttermscode: 10, parentaccountid: null }")
        .replace("  - dead_letters: [{ key: C-1, code: IB0412 }]", "  - dead_letters:\n      - { key: C-1, code: IB0412 }");
    assert_eq!(read(&project.path(CASES)), expected);

    project.edit(CASES, "  - dynamics.account: none\n  - dead_letters:", "  - dynamics.account: 1\n  - dead_letters:");
    project.edit(
        CASES,
        "finance: { customers: [{ customer_no: C-1, company_name: Acme Ltd, terms",
        "finance: { custmers: [{ customer_no: C-1, company_name: Acme Ltd, terms",
    );
    let before = read(&project.path(CASES));
    let said = project.test(&["test", "--update"]);
    assert_eq!(said.code, Some(1), "{said:#?}");
    assert!(
        said.out.contains("not updated\n            given went wrong: there is nothing to expect instead"),
        "{said:#?}"
    );
    assert_eq!(read(&project.path(CASES)), before);
}

#[test]
fn a_column_of_ones_own_is_explained() {
    let project = Project::new();
    project.write(
        "tests/own.yaml",
        "test: own column\ngiven: { dynamics: { account: [ { accountnumber: C-1, new_rank: 1 } ] } }\n\
         when: { run: customers }\nthen: [ { dynamics.account: 1 } ]\n",
    );
    let said = project.test(&["test", "own column"]);
    let text = format!("{}{}", said.out, said.err);
    assert!(text.contains("a column of your own (`new_…`) is not in the local Dataverse"), "{text}");
}

#[test]
fn a_change_is_seen_before_it_is_made() {
    let project = Project::new();
    let json = project.test(&["--format", "json", "impact", "customer.credit_limit"]).ok().json();
    let touches = json[0]["touches"].as_array().unwrap();
    let of = |what: &str| touches.iter().filter(|one| one["what"] == what).count();
    assert_eq!((of("mapping"), of("integration"), of("test")), (2, 1, 3), "{json:#}");
    let text = project.test(&["impact", "finance"]).ok().out;
    assert!(text.contains("a change of the system finance touches 5 things"), "{text}");
    project.test(&["impact", "nothing"]).fails(2, "IB0002");
    assert!(project.test(&["graph"]).ok().out.contains("customers<br/>batch: customer"));
    assert!(project.test(&["graph", "--as", "svg"]).ok().out.ends_with("</svg>\n"));
}

#[test]
fn findings_are_sarif_for_a_code_review() {
    let project = Project::new();
    let before = project.test(&["--format", "sarif", "check"]).ok().json();
    let codes = |json: &serde_json::Value| -> Vec<String> {
        let results = json["runs"][0]["results"].as_array().unwrap();
        results.iter().map(|result| format!("{} {}", result["level"], result["ruleId"])).collect()
    };
    assert_eq!(codes(&before), [r#""warning" "IB0126""#], "its secret was taken away: {before:#}");
    project.edit("integrations/customers.yaml", "owner:", "ownr:");
    let found = binary().args(["-C", project.dir.to_str().unwrap(), "--format", "sarif", "check"]).output().unwrap();
    let said = said(found);
    let json = said.json();
    assert!(codes(&json).contains(&r#""error" "IB0110""#.to_owned()), "{json:#}");
    let other = binary().args(["-C", project.dir.to_str().unwrap(), "--format", "sarif", "show", "finance"]).output();
    assert_eq!(other.unwrap().status.code(), Some(2));
}

#[test]
fn a_mapping_sheet_can_be_read_and_signed() {
    let project = Project::new();
    let into = project.path("sheets");
    project.test(&["export", "--to", "sheets", "--into", into.to_str().unwrap()]).ok();
    let csv = read(&into.join("customer.csv"));
    assert!(csv.starts_with("system,table,way,from,how,to,type,notes,examples\n"), "{csv}");
    let line = "finance,customers,read,company_name,company_name without spaces around it,name,text,required,";
    assert!(csv.contains(line), "{csv}");
    let page = read(&into.join("customer.md"));
    assert!(page.contains("| credit_limit | as it is | creditlimit | money |"), "{page}");
    assert!(page.contains("Read and agreed:"), "{page}");
}

#[test]
fn a_change_of_the_files_is_told_in_words() {
    let (old, new) = (Project::new(), Project::new());
    let dirs = [old.dir.to_str().unwrap(), new.dir.to_str().unwrap()];
    assert_eq!(old.test(&["diff", dirs[0], dirs[0]]).ok().out, "nothing changes\n");
    new.edit("systems/finance.yaml", "=Trim(company_name)", "company_name");
    new.edit("integrations/customers.yaml", "purpose: ", "purpose: Indeed, ");
    let json = old.test(&["--format", "json", "diff", dirs[0], dirs[1]]).ok().json();
    let changes = json.as_array().unwrap();
    let of = |name: &str| changes.iter().filter(|change| change["name"] == name).collect::<Vec<_>>();
    assert_eq!((of("customers").len(), of("finance").len(), changes.len()), (1, 1, 2), "{json:#}");
    assert_eq!(of("customers")[0]["effect"], "safe", "{json:#}");
    assert!(of("finance")[0]["means"].as_str().unwrap().contains("`customers` reads everything once"), "{json:#}");
}
