//! What a change touches, and the picture, on the examples.

use definition::{impact, mermaid, subjects, svg};

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
            "test a customer with an unknown term is set aside",
            "integration customers-two-way",
        ],
    );
    check(
        "finance.terms_code",
        &[
            "mapping finance.customer",
            "integration customers-and-contacts",
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
fn a_formula_mentions_names_and_no_texts() {
    let project = super::examples::contoso(None).project.unwrap();
    assert!(subjects(&project, "finance.company_name").len() == 1, "=Trim(company_name)");
    assert!(subjects(&project, "Trim").is_empty());
}

#[test]
fn the_picture_has_every_system_and_integration() {
    let project = super::examples::contoso(None).project.unwrap();
    let (text, drawn) = (mermaid(&project), svg(&project));
    for name in ["finance", "dynamics", "customers-two-way (batch)", "orders (event)", "tracking (virtual)"] {
        assert!(text.contains(name) && drawn.contains(name), "{name}\n{text}\n{drawn}");
    }
    assert!(text.starts_with("flowchart LR\n") && text.contains("<-->|\"customers-two-way (batch)\"|"), "{text}");
    assert_eq!(drawn.matches("<rect").count(), project.systems.len());
}
