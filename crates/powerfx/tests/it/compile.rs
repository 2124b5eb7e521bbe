//! What a caller sees of a formula: slots, types, shapes, diagnostics.

use crate::context;
use powerfx::{ChoiceSet, DiagnosticKind, Expect, Scope, Shape, Type, Value, compile, literal};
use std::sync::Arc;

fn scope() -> Scope {
    let terms = ChoiceSet::of_names("terms", ["net30", "net60"]);
    let mut scope = Scope::new();
    scope.add("name", Type::Text);
    scope.add("credit", Type::Number);
    scope.add("terms", Type::Choice(terms));
    scope.add("customer.name", Type::Text);
    scope.add("customer.credit_limit", Type::Number);
    scope.add("parent", Type::Reference("customer".into()));
    scope.add("raw", Type::Unknown);
    scope
}

fn problems(text: &str) -> Vec<(usize, usize, String)> {
    let found = compile(text, &scope(), &Expect::Any).unwrap_err();
    found.into_iter().map(|d| (d.start, d.end, d.help.unwrap_or(d.message))).collect()
}

#[test]
fn slots_and_types() {
    let formula = compile("customer.name & name & customer.name", &scope(), &Expect::Any).unwrap();
    let names: Vec<&str> = formula.slots().iter().map(|s| &*s.name).collect();
    assert_eq!(names, ["customer.name", "name"]);
    assert_eq!(formula.slots()[0].slot, 3);
    assert_eq!(*formula.ty(), Type::Text);
    assert!(!formula.is_volatile());
    assert!(compile("DateDiff(Today(), Date(2026,1,1))", &scope(), &Expect::Any).unwrap().is_volatile());
    assert!(!compile("GUID(name)", &scope(), &Expect::Any).unwrap().is_volatile());
}

#[test]
fn values_come_from_slots() {
    let row = [
        Value::text(" Ada "),
        Value::Number(250.into()),
        Value::text("net30"),
        Value::text("Acme"),
        Value::Number(5.into()),
        Value::Blank,
        Value::text("12.5"),
    ];
    let check = |text: &str, expected: &str| {
        let formula = compile(text, &scope(), &Expect::Any).unwrap();
        assert_eq!(literal(&formula.eval(&row, &context())), expected, "{text}");
    };
    check("Trim(name)", "\"Ada\"");
    check("credit > customer.credit_limit", "true");
    check("Switch(terms, \"net30\", 30, \"net60\", 60)", "30");
    check("customer", "{credit_limit:5,name:\"Acme\"}");
    check("raw + 1", "13.5");
    check("raw = 12.5", "true");
    check("raw > 12", "true");
    check("Max(raw, 1)", "12.5");
    check("Sum(raw, 1)", "13.5");
    check("Text(raw)", "\"12.5\"");
    check("IsBlank(parent)", "true");
    check("With({name: \"x\"}, name & customer.name)", "\"xAcme\"");
}

#[test]
fn shapes() {
    let check = |text: &str, shape: Shape| {
        assert_eq!(compile(text, &scope(), &Expect::Any).unwrap().shape(), shape, "{text}");
    };
    check("name", Shape::Slot(0));
    check("Trim(name)", Shape::Trim(0));
    check("Lower(raw)", Shape::Lower(6));
    check("Upper(customer.name)", Shape::Upper(3));
    check("\"EUR\"", Shape::Constant);
    check("name & \"x\"", Shape::Other);
}

#[test]
fn an_open_scope_takes_names_in() {
    let formula = compile("a.b & c & name & a.b", &scope().open(), &Expect::Any).unwrap();
    let found: Vec<(usize, &str)> = formula.slots().iter().map(|s| (s.slot, &*s.name)).collect();
    assert_eq!(found, [(7, "a.b"), (8, "c"), (0, "name")]);
}

#[test]
fn a_wanted_type_is_checked() {
    let want = |text: &str, ty: Type| compile(text, &scope(), &Expect::Type(ty));
    assert_eq!(*want("credit", Type::Text).unwrap().ty(), Type::Text);
    assert!(want("raw", Type::Date).is_ok());
    let problem = &want("customer", Type::Text).unwrap_err()[0];
    assert_eq!(problem.kind, DiagnosticKind::Type);
    assert_eq!(problem.message, "expected Text, found Record");
}

#[test]
fn every_problem_is_reported_with_its_place() {
    assert_eq!(
        problems("nmae & Uper(terms) & creditt"),
        [
            (0, 4, "did you mean `name`?".to_owned()),
            (7, 11, "did you mean `Upper`?".to_owned()),
            (21, 28, "did you mean `credit`?".to_owned())
        ]
    );
    assert_eq!(problems("terms = \"net3\""), [(6, 7, "did you mean `net30`?".to_owned())]);
    assert_eq!(problems("customer.nme"), [(9, 12, "did you mean `name`?".to_owned())]);
    assert_eq!(problems("TimeUnit.Dayz"), [(9, 13, "did you mean `Days`?".to_owned())]);
    assert!(problems("Patch(name)")[0].2.contains("changes nothing"));
    assert!(problems("Left(name)")[0].2.contains("Left(text, count)"));
    let mut odd = scope();
    odd.add("E-Mail", Type::Text);
    let found = compile("Lower(E-Mail)", &odd, &Expect::Any).unwrap_err();
    assert!(found[0].help.as_deref().unwrap().ends_with("stands in single quotes: 'E-Mail'"), "{found:?}");
    assert!(problems("name == \"x\"")[0].2.contains("stands once"));
    assert!(problems("concat(name, \"x\")")[0].2.contains("here it is `Concatenate(…)`"));
    let positions = compile("'é' & nmae", &scope(), &Expect::Any).unwrap_err();
    assert_eq!((positions[1].start, positions[1].end), (7, 11), "spans count bytes");
}

#[test]
fn the_batch_line() {
    let check = |line: &str, expected: &str| assert_eq!(powerfx::answer_line(line, &context()), expected);
    check(
        "{\"expr\": \"x & y.z\", \"context\": {\"x\": \"a\", \"y\": {\"z\": 12.50}}}",
        "{\"value\":\"\\\"a12.5\\\"\"}",
    );
    check("{\"expr\": \"CountRows(t)\", \"context\": {\"t\": [1, 2]}}", "{\"value\":\"2\"}");
    check("{\"expr\": \"Sum(t, a)\", \"context\": {\"t\": [{\"a\": 1}, {\"a\": 2}]}}", "{\"value\":\"3\"}");
    check("{\"expr\": \"1/0\"}", "{\"error\":{\"kind\":\"Div0\",\"message\":\"division by zero\"}}");
    check(
        "{\"expr\": \"x\"}",
        "{\"error\":{\"kind\":\"Compile\",\"message\":\"there is no column or field `x` here\",\"span\":[0,1]}}",
    );
    check("nonsense", "{\"error\":{\"kind\":\"Input\",\"message\":\"the line is no JSON\",\"span\":[0,0]}}");
}

#[test]
fn a_formula_is_shared_between_threads() {
    fn shared<T: Send + Sync + 'static>(_: &T) {}
    let formula = Arc::new(compile("Upper(name)", &scope(), &Expect::Any).unwrap());
    shared(&formula);
}
