//! Text to tree and back, as whoever uses the crate sees it.

use odata::{Expr, Literal, Options, Problem, expression, resource_path, transformations};
use proptest::prelude::*;

/// What parses prints as `printed`, which parses to the same tree again.
fn check(text: &str, printed: &str) {
    let tree = expression(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    assert_eq!(tree.to_string(), printed, "{text}");
    assert_eq!(expression(printed), Ok(tree), "{printed}");
}

#[test]
fn expressions_print_as_they_mean() {
    for (text, printed) in [
        ("name eq 'O''Brien'", "name eq 'O''Brien'"),
        ("a eq 1 and b ne 2 or not (c lt 3)", "a eq 1 and b ne 2 or not (c lt 3)"),
        ("(a eq 1 or b eq 2) and c eq 3", "(a eq 1 or b eq 2) and c eq 3"),
        ("a and (b and c)", "a and (b and c)"),
        ("((a))  eq   ( 1 )", "a eq 1"),
        ("a sub (b sub c) gt 0", "a sub (b sub c) gt 0"),
        ("(a add b) mul c le 1.50", "(a add b) mul c le 1.50"),
        ("-a lt -5", "-a lt -5"),
        ("statuscode in (1, 2,3)", "statuscode in (1,2,3)"),
        ("a has Ns.Colour'Red'", "a has Ns.Colour'Red'"),
        ("contains(name,'x') and startswith(a/b,'y')", "contains(name,'x') and startswith(a/b,'y')"),
        ("contact_customer_accounts/any(c:c/firstname eq 'x')", "contact_customer_accounts/any(c:c/firstname eq 'x')"),
        ("a/all(x:x/b gt 2) or c/any()", "a/all(x:x/b gt 2) or c/any()"),
        (
            "Microsoft.Dynamics.CRM.In(PropertyName='x',PropertyValues=['a',\"b\"])",
            "Microsoft.Dynamics.CRM.In(PropertyName='x',PropertyValues=['a','b'])",
        ),
        ("name eq @p1", "name eq @p1"),
        ("a/$count gt 2", "a/$count gt 2"),
        ("nullable eq null and trueish eq true", "nullable eq null and trueish eq true"),
        ("year(createdon) eq 2026", "year(createdon) eq 2026"),
        ("name eq ''", "name eq ''"),
        ("eq eq 'and'", "eq eq 'and'"),
        ("not eq 'a' and in in (1,2)", "not eq 'a' and in in (1,2)"),
        ("not not in ('a')", "not not in ('a')"),
        ("not eq eq true", "not eq eq true"),
    ] {
        check(text, printed);
    }
}

#[test]
fn literals_of_every_type() {
    let literal = |text: &str| match expression(text).unwrap() {
        Expr::Literal(literal) => literal,
        other => panic!("{text}: {other:?}"),
    };
    for text in [
        "null",
        "true",
        "5",
        "-9223372036854775808",
        "5.00",
        "-0.0001",
        "1e3",
        "-INF",
        "NaN",
        "'a b'",
        "a1b2c3d4-0000-0000-0000-00000000000f",
        "2026-01-31",
        "10:15:00",
        "2026-01-31T10:00:00Z",
        "9999-12-31T23:59:59.9999999Z",
        "9999-12-31T00:00:00Z",
        "duration'PT5M'",
        "binary'AQID'",
        "Microsoft.Dynamics.CRM.OwnershipTypes'UserOwned'",
    ] {
        assert_eq!(literal(text).to_string(), text);
    }
    assert_eq!(literal("2026-01-31T12:00:00+02:00").to_string(), "2026-01-31T10:00:00Z");
    assert!(matches!(literal("9999-12-31T23:59:59Z"), Literal::Late(_)));
    assert_eq!(literal("9999-12-31T01:00:00+02:00").to_string(), "9999-12-30T23:00:00Z");
    assert_eq!(literal("9999-12-31T01:00:00-02:00").to_string(), "9999-12-31T03:00:00Z");
    for none in ["9999-12-31T23:00:00-02:00", "9999-12-31T24:00:01Z", "2026-02-30T00:00:00Z", "9999-12-31T00:00:00"] {
        assert!(expression(none).is_err(), "{none}");
    }
    assert!(matches!(literal("123456789012345678901234567890.5"), Literal::Double(_)));
    for (text, number) in
        [("12.50M", "12.50"), ("-5L", "-5"), ("400l", "400"), ("1e3D", "1e3"), ("2.5f", "2.5"), ("7d", "7")]
    {
        assert_eq!(literal(text).to_string(), number);
    }
    for none in ["5LL", "1eD", "M", "5X", "2026-01-31D", "10:15:00M"] {
        assert!(expression(none).is_err() || matches!(expression(none), Ok(Expr::Path(_))), "{none}");
    }
    assert_eq!(literal("A1B2C3D4-0000-0000-0000-00000000000F").to_string(), "a1b2c3d4-0000-0000-0000-00000000000f");
}

#[test]
fn options_of_a_url() {
    let text = "$select=name,primarycontactid&$expand=primarycontactid($select=fullname,emailaddress1;$expand=a/$ref),\
                Account_Tasks($filter=subject eq 'a;b)';$top=2;$orderby=subject desc)&$orderby=name desc,createdon\
                &$top=5&$count=true&$apply=groupby((statuscode,a/b),aggregate(revenue with sum as total,$count as n))\
                &@p1='x'&tag=loop%26back&$skiptoken=%3Ccookie%20a=%22(;)%22%20/%3E";
    let options = Options::parse(text).unwrap();
    assert_eq!(options.expand[1].options.top, Some(2));
    assert_eq!(options.custom, [("tag".to_owned(), "loop&back".to_owned())]);
    assert_eq!(options.skiptoken.as_deref(), Some("<cookie a=\"(;)\" />"));
    assert_eq!(Options::parse(&options.to_string()).unwrap(), options);
}

#[test]
fn aggregations() {
    for text in [
        "aggregate(revenue with sum as total)",
        "filter(statecode eq 0)/groupby((statuscode),aggregate($count as n,revenue with countdistinct as d))",
        "groupby((a/b,c))",
        "identity",
    ] {
        let steps = transformations(text).unwrap();
        let printed: Vec<String> = steps.iter().map(ToString::to_string).collect();
        assert_eq!(printed.join("/"), text);
    }
}

#[test]
fn paths_of_a_url() {
    let path = resource_path(
        "accounts(accountnumber='a%2Fb/c',n=1)/contact_customer_accounts(00000000-0000-0000-0000-000000000001)/$ref",
    );
    let path = path.unwrap();
    assert_eq!(path.len(), 3);
    let key = path[0].arguments.as_deref().unwrap();
    assert_eq!(key[0].name.as_deref(), Some("accountnumber"));
    assert_eq!(key[0].value, Expr::Literal(Literal::String("a/b/c".into())));
    assert_eq!(path[1].arguments.as_ref().unwrap()[0].name, None);
    assert_eq!(resource_path("").unwrap(), []);
    assert_eq!(resource_path("WhoAmI()").unwrap()[0].arguments, Some(vec![]));
}

#[test]
fn errors_say_what_and_where() {
    for (text, problem, at) in [
        ("name eq 'O'Brien'", Problem::UnterminatedLiteral, 17),
        ("name eq", Problem::Expected("a column, a function or a value"), 7),
        ("name foo 1", Problem::Trailing, 5),
        ("(a eq 1", Problem::Expected(")"), 7),
        ("a eq 2026-99-01", Problem::BadLiteral("date"), 5),
        ("a eq 12abc", Problem::BadLiteral("number"), 5),
        ("a/all()", Problem::Expected("a variable name"), 6),
        ("", Problem::Expected("a column, a function or a value"), 0),
    ] {
        let error = expression(text).unwrap_err();
        assert_eq!((&error.problem, error.at), (&problem, at), "{text}: {error}");
    }
    let unknown = Options::parse("$filtre=a").unwrap_err();
    assert_eq!(unknown.problem, Problem::UnknownOption("$filtre".into()));
    let twice = Options::parse("$top=1&$top=2").unwrap_err();
    assert_eq!(twice.problem, Problem::DuplicateOption("$top".into()));
}

#[test]
fn depth_and_size_are_bounded() {
    let too_deep = ["(".repeat(5000), "not ".repeat(5000), "-".repeat(5000), "a add ".repeat(5000), "f(".repeat(5000)];
    for text in too_deep {
        assert_eq!(expression(&format!("{text}a")).unwrap_err().problem, Problem::TooDeep);
    }
    let many = vec!["a eq 1"; 3000].join(" or ");
    assert_eq!(expression(&many).unwrap().to_string(), many);
    let too_many = format!("a in ({})", vec!["1"; 50_000].join(","));
    assert_eq!(expression(&too_many).unwrap_err().problem, Problem::TooLarge);
    assert!(Options::parse(&format!("$expand={}", "a($expand=".repeat(3000))).is_err());
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,60}") {
        let _ = expression(&text);
        let _ = Options::parse(&text);
        let _ = resource_path(&text);
        let _ = transformations(&text);
    }

    #[test]
    fn no_odata_like_text_makes_it_panic(
        words in prop::collection::vec(
            prop::sample::select(vec![
                "a", "/", "(", ")", "'", " eq ", " and ", "not ", "any", ":", ",", ";", "$filter=", "$expand=", "&",
                "-", "5", ".", "e", "@p", "in", "[", "]", "null", "2026-01-31", "T", "%27", "%", "é", "$count", "\"",
            ]),
            0..40,
        )
    ) {
        let text = words.concat();
        if let Ok(tree) = expression(&text) {
            prop_assert_eq!(expression(&tree.to_string()).unwrap(), tree);
        }
        let _ = Options::parse(&text);
        let _ = resource_path(&text);
        let _ = transformations(&text);
    }
}
