//! Personal values are masked by field, wherever people look.
//!
//! What the mapping knows is masked where it is made. Two ways are left by which a value gets through, and both end here:
//! the body of a message, which nobody has mapped yet ([`body`]), and the other system's own words, which may repeat what
//! we have sent it ([`sink`]).

mod sink;

use std::collections::BTreeSet;

use definition::Project;
use mapping::Expr;
use serde_json::{Map, Value as Json, json};

pub(crate) use sink::masking;

/// What stands for a personal value.
pub const MASK: &str = "***";

/// The names that personal values of an entity have: of its fields, and of columns of any system that they are read from
/// or written to. *Shape*: in small letters.
pub fn personal_names(project: &Project, entity: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let Some(entity) = project.entity(entity) else { return names };
    let personal: BTreeSet<&str> = entity.fields.iter().filter(|f| f.personal).map(|f| &*f.name).collect();
    if personal.is_empty() {
        return names;
    }
    names.extend(personal.iter().map(|name| name.to_lowercase()));
    for held in project.systems.iter().filter_map(|system| system.entity(&entity.name)) {
        for rule in held.read.iter().filter(|rule| personal.contains(&*rule.target)) {
            names.extend(words(&rule.expr));
        }
        for rule in &held.write {
            if words(&rule.expr).iter().any(|word| personal.iter().any(|field| field.eq_ignore_ascii_case(word))) {
                names.extend(parts(&rule.target));
            }
        }
    }
    names
}

/// The names that an expression is made of. Those of functions are among them, which no column has.
fn words(expr: &Expr) -> Vec<String> {
    match expr {
        Expr::Source(name) | Expr::Choice { source: name, .. } => parts(name),
        Expr::Formula(formula) => {
            let named = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.');
            formula.split(|c| !named(c)).filter(|word| word.chars().any(char::is_alphabetic)).flat_map(parts).collect()
        }
        Expr::Constant(_) | Expr::Lines(_) => Vec::new(),
    }
}

/// `customer.email` is met as that, and as `email` of a nested object.
fn parts(name: &str) -> Vec<String> {
    let name = name.trim_matches('.').to_lowercase();
    let last = name.rsplit('.').next().unwrap_or_default().to_owned();
    if last == name { vec![name] } else { vec![name, last] }
}

/// The body of a message about an entity, as people may see it. What is no JSON is not shown where the entity has personal
/// fields.
pub fn body(project: &Project, integration: &str, entity: &str, body: &[u8]) -> Json {
    let entity = match (entity, project.integration(integration)) {
        ("", Some(integration)) => integration.entities().first().copied().unwrap_or_default(),
        _ => entity,
    };
    let names = personal_names(project, entity);
    match serde_json::from_slice::<Json>(body) {
        Ok(json) => masked(json, &names),
        Err(_) if names.is_empty() => json!(String::from_utf8_lossy(body)),
        Err(_) => json!(format!("({} bytes that are not JSON: not shown)", body.len())),
    }
}

/// JSON with every value under one of these names masked.
pub fn masked(json: Json, names: &BTreeSet<String>) -> Json {
    match json {
        Json::Array(items) => items.into_iter().map(|item| masked(item, names)).collect(),
        Json::Object(members) => {
            // Dataverse sends `{ "key": "emailaddress1", "value": … }`.
            let named =
                ["key", "Key"].iter().find_map(|name| members.get(*name)?.as_str()).is_some_and(|name| is(name, names));
            let hide = |name: &str| is(name, names) || named && name.eq_ignore_ascii_case("value");
            let member = |(name, value): (String, Json)| {
                let value = if hide(&name) { hidden(value) } else { masked(value, names) };
                (name, value)
            };
            Json::Object(members.into_iter().map(member).collect::<Map<_, _>>())
        }
        other => other,
    }
}

/// Whether a member's name is a personal column's, also as Dynamics decorates it.
fn is(name: &str, names: &BTreeSet<String>) -> bool {
    let name = name.to_lowercase();
    let bare = name.split('@').next().unwrap_or_default();
    let looked_up = bare.strip_prefix('_').and_then(|bare| bare.strip_suffix("_value"));
    names.contains(bare) || looked_up.is_some_and(|bare| names.contains(bare))
}

fn hidden(value: Json) -> Json {
    match value {
        Json::Null => Json::Null,
        Json::String(text) if text.is_empty() => json!(""),
        _ => json!(MASK),
    }
}

/// A text without these values, whatever their capitals. *Shape*: values of one or two letters are left: they are in
/// every text.
pub fn without(text: &str, values: &[String]) -> String {
    let mut text = text.to_owned();
    for value in values.iter().filter(|value| value.chars().count() > 2) {
        let (mut out, mut rest) = (String::new(), text.as_str());
        // Small letters of ASCII alone, so that places in the one text are places in the other.
        let wanted = value.to_ascii_lowercase();
        while let Some(at) = rest.to_ascii_lowercase().find(&wanted) {
            out.push_str(&rest[..at]);
            out.push_str(MASK);
            rest = &rest[at + wanted.len()..];
        }
        out.push_str(rest);
        text = out;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn personal_values_of_a_body_are_masked_wherever_they_stand() {
        let check =
            |body: Json, expected: Json| assert_eq!(masked(body, &names(&["emailaddress1", "email"])), expected);
        check(json!({ "Email": "a@b.example", "n": 1 }), json!({ "Email": "***", "n": 1 }));
        check(json!({ "rows": [{ "email": ["a", "b"] }] }), json!({ "rows": [{ "email": "***" }] }));
        check(json!({ "email": null, "emails": "" }), json!({ "email": null, "emails": "" }));
        check(
            json!({ "Attributes": [{ "key": "emailaddress1", "value": "a@b" }, { "key": "name", "value": "n" }] }),
            json!({ "Attributes": [{ "key": "emailaddress1", "value": "***" }, { "key": "name", "value": "n" }] }),
        );
        check(json!({ "_email_value@x": "1" }), json!({ "_email_value@x": "***" }));
    }

    #[test]
    fn a_formula_names_its_columns() {
        let expr = Expr::Formula("Lower(Trim(contact.Mail)) & [x_y]".into());
        let found = words(&expr);
        for name in ["contact.mail", "mail", "x_y"] {
            assert!(found.contains(&name.to_owned()), "{name} in {found:?}");
        }
    }

    #[test]
    fn values_are_taken_out_of_a_text() {
        let values = ["Zoë@b.example".to_owned(), "No".to_owned()];
        let text = "zoë@B.example is taken; Zoë@b.example. No.";
        assert_eq!(without(text, &values), "*** is taken; ***. No.");
    }
}
