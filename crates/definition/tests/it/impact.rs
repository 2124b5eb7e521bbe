//! What a change touches, and the picture, on the examples.

use definition::{Effect, Marked, compare, impact, mermaid, subjects, svg};

/// What the change of everything with this name touches: `what name place`.
#[track_caller]
fn check(name: &str, expected: &[&str]) {
    let project = super::examples::contoso(None).project.unwrap();
    let mut found: Vec<String> = Vec::new();
    for subject in subjects(&project, name) {
        for touched in impact(&project, &subject) {
            let line = format!("{} {}", touched.what, touched.name);
            if !found.contains(&line) {
                found.push(line);
            }
        }
    }
    assert_eq!(found, expected, "{name}");
}

#[test]
fn a_change_touches_what_uses_it_and_nothing_else() {
    check("courier", &["mapping courier.tracking", "integration tracking", "virtual table new_tracking"]);
    check(
        "customer.credit_limit",
        &[
            "mapping dynamics.customer",
            "mapping finance.customer",
            "flow credit-limit",
            "integration customers-and-contacts",
            "decision customers-and-contacts",
            "test a customer with an unknown term is set aside",
            "integration customers-two-way",
        ],
    );
    check(
        "finance.terms_code",
        &[
            "mapping finance.customer",
            "integration customers-and-contacts",
            "decision customers-and-contacts",
            "test a customer with an unknown term is set aside",
            "integration customers-two-way",
            "mapping dynamics.customer",
        ],
    );
    check("Preis", &["mapping supplier.price", "integration prices", "mapping dynamics.price"]);
    check("erp_number", &["mapping dynamics.order", "integration orders"]);
    check("nothing", &[]);
}

#[test]
fn a_runbook_is_touched_with_its_integration() {
    let mut files = super::mutation::fixture();
    files.push(("runbooks/orders.md".to_owned(), "# Orders\n\nCall the warehouse.\n".to_owned()));
    let given = files.iter().map(|(path, text)| (path.as_str(), text.as_str()));
    let options = definition::LoadOptions { kinds: super::kinds::KINDS, ..Default::default() };
    let project = definition::load_files(given, &options).project.unwrap();
    let touched = impact(&project, &definition::Subject::System("erp".to_owned()));
    let runbook = touched.iter().find(|touched| touched.what == "runbook").unwrap();
    assert_eq!((&*runbook.name, &*runbook.place), ("orders", "runbooks/orders.md"));
    assert_eq!(runbook.to_json()["what"], "runbook");
}

#[test]
fn a_formula_mentions_names_and_no_texts() {
    let project = super::examples::contoso(None).project.unwrap();
    assert!(subjects(&project, "finance.company_name").len() == 1, "=Trim(company_name)");
    assert!(subjects(&project, "Trim").is_empty());
}

#[test]
fn the_picture_has_the_hub_in_the_middle_and_every_system_and_integration() {
    let project = super::examples::contoso(None).project.unwrap();
    let (text, drawn) = (mermaid(&project, None), svg(&project, None));
    for name in ["finance", "dynamics", "customers-two-way", "orders", "tracking", "event: order", "contoso"] {
        assert!(text.contains(name) && drawn.contains(name), "{name}\n{text}\n{drawn}");
    }
    assert!(text.starts_with("flowchart LR\n") && text.contains("  subgraph hub[\"contoso\"]\n"), "{text}");
    assert_eq!(drawn.matches("class=\"system\"").count(), project.systems.len());
    assert_eq!(drawn.matches("class=\"integration\"").count(), project.integrations.len());
    // Finance both gives and takes; the courier only answers, live.
    let node = |name: &str| project.systems.iter().position(|system| system.name == name).unwrap();
    let row = |name: &str| project.integrations.iter().position(|one| one.name == name).unwrap();
    for line in [
        format!("s{} <--> i{}", node("finance"), row("customers-two-way")),
        format!("s{} -.-> i{}", node("courier"), row("tracking")),
        format!("i{} --> s{}", row("orders"), node("erp")),
    ] {
        assert!(text.contains(&line), "{line}\n{text}");
    }
}

#[test]
fn the_picture_of_an_impact_marks_what_is_touched() {
    let project = super::examples::contoso(None).project.unwrap();
    let found: Vec<_> = subjects(&project, "courier").into_iter().map(|s| (s.clone(), impact(&project, &s))).collect();
    let marked = Marked::of(&found);
    let (text, drawn) = (mermaid(&project, Some(&marked)), svg(&project, Some(&marked)));
    let tracking = project.integrations.iter().position(|one| one.name == "tracking").unwrap();
    assert!(
        text.contains(&format!(",i{tracking} touched")) && text.contains("%% virtual table new_tracking"),
        "{text}"
    );
    assert!(
        drawn.contains("A change of the system courier") && drawn.contains("virtual table new_tracking"),
        "{drawn}"
    );
    assert_eq!(drawn.matches("fill=\"#fde7c3\"").count(), 2, "the courier and the integration");
}

/// What a change of the examples means: `name: path` with its effect and words.
#[track_caller]
fn changed(edit: &str, expected: &[(&str, Effect, &str)]) {
    let old = super::examples::contoso(None).project.unwrap();
    let mut files: std::collections::BTreeMap<String, String> = super::mutation::fixture().into_iter().collect();
    edit.split(" ;; ").for_each(|edit| super::messages::apply(&mut files, edit));
    let given = files.iter().map(|(path, text)| (path.as_str(), text.as_str()));
    let options = definition::LoadOptions { kinds: super::kinds::KINDS, ..Default::default() };
    let loaded = definition::load_files(given, &options);
    let new = loaded.project.clone().unwrap_or_else(|| panic!("{}", loaded.render(false, 120)));
    let written = |system: &str, entity: &str| (system == "dynamics" && entity == "customer").then_some(12_000);
    let changes = compare(&old, &new, &written);
    let found: Vec<(String, Effect)> =
        changes.iter().map(|change| (format!("{}: {}", change.name, change.path), change.effect)).collect();
    let wanted: Vec<(String, Effect)> = expected.iter().map(|(at, effect, _)| ((*at).to_owned(), *effect)).collect();
    assert_eq!(found, wanted, "{changes:#?}");
    for (change, (_, _, words)) in changes.iter().zip(expected) {
        assert!(change.means.contains(words), "{words}\n{}", change.means);
    }
}

#[test]
fn a_change_of_the_files_is_told_by_what_it_does() {
    changed(
        "systems/finance.yaml: =Trim(company_name) => =Upper(company_name)",
        &[("finance: entities.customer.read.name", Effect::Rewrites, "up to 12,000 rows of customer in dynamics")],
    );
    changed(
        "integrations/prices.yaml: schedule: daily at 04:00 => schedule: daily at 05:00",
        &[("prices: schedule", Effect::Safe, "it holds from the next start")],
    );
    changed(
        "systems/finance.yaml: kind: postgres => kind: mysql",
        &[("finance: kind", Effect::FullRead, "up to 12,000 rows of customer in dynamics")],
    );
    changed(
        "systems/finance.yaml: time_zone: Europe/London => time_zone: Europe/Paris",
        &[("finance: time_zone", Effect::FullRead, "its times are other moments")],
    );
    changed(
        "systems/supplier.yaml: encoding: windows-1252 => encoding: utf-8",
        &[("supplier: entities.price.format.encoding", Effect::FullRead, "`prices` reads everything once")],
    );
    changed(
        "integrations/credit-limit.yaml: one_of: [group:credit-control] => one_of: [group:finance-directors]",
        &[("credit-limit: steps.1.else.1.of.one_of", Effect::Safe, "runs that began before end as they began")],
    );
    changed(
        "integrations/prices.yaml: deletes: deactivate => deletes: delete",
        &[("prices: deletes", Effect::Look, "rows may go")],
    );
    // Runs that wait for an answer will write the limit into finance.
    changed(
        "systems/finance.yaml: write: { credit_limit: credit_limit, contact_email: email } => write: { contact_email: email } ;; integrations/credit-limit.yaml: then: [ { write: { entity: customer, to: finance, key: =customer.number, set: { credit_limit: =requested } } } ] => then: [ { notify: { to: =requested_by, text: =\"Yes.\" } } ]",
        &[
            ("credit-limit: steps.2.then.1.notify.text", Effect::Safe, ""),
            ("credit-limit: steps.2.then.1.notify.to", Effect::Safe, ""),
            ("credit-limit: steps.2.then.1.write.entity", Effect::Safe, ""),
            ("credit-limit: steps.2.then.1.write.key", Effect::Safe, ""),
            ("credit-limit: steps.2.then.1.write.set.credit_limit", Effect::Safe, ""),
            ("credit-limit: steps.2.then.1.write.to", Effect::Safe, ""),
            ("finance: entities.customer.write.credit_limit", Effect::BreaksFlows, "let them end"),
        ],
    );
}
