//! Whatever the text, there is an answer: no panic, no hang, no memory without a bound.

use crate::context;
use powerfx::{Context, Expect, Limits, Scope, Type, Value, compile, literal};
use proptest::prelude::*;

/// More with the environment variable that proptest has for it.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(600)
}

fn small() -> Context {
    let limits = Limits { text_bytes: 10_000, table_rows: 500, steps: 5_000, total_bytes: 1 << 20 };
    Context { limits, ..context() }
}

fn answer(text: &str) {
    let scope: Scope = [("name", Type::Text), ("n", Type::Number), ("raw", Type::Unknown), ("at", Type::DateTime)]
        .into_iter()
        .collect();
    for scope in [scope.clone(), scope.open()] {
        if let Ok(formula) = compile(text, &scope, &Expect::Any) {
            let row = [Value::text("Ada Lovelace"), Value::Number(12.into()), Value::text("2026-01-31"), Value::Blank];
            let value = formula.eval(&row, &small()).into_static();
            assert!(literal(&value).len() < 100 << 20);
        }
    }
}

/// Pieces of the language, to be put after each other at random.
fn piece() -> impl Strategy<Value = String> {
    let names: Vec<String> = powerfx::reference()
        .split("\n### ")
        .skip(1)
        .map(|section| format!("{}(", section.lines().next().unwrap_or_default()))
        .collect();
    prop_oneof![
        3 => proptest::sample::select(names),
        3 => proptest::sample::select(vec![
            "(", ")", "[", "]", "{", "}", ",", ";", ".", ":", "+", "-", "*", "/", "^", "%", "&", "&&", "||", "!", "=", "<>",
            "<", "<=", ">", ">=", " in ", " exactin ", " And ", " Or ", "Not ", " As ", "$\"", "\"", "'", "//", "/*", "*/",
        ]).prop_map(str::to_owned),
        3 => proptest::sample::select(vec![
            "name", "n", "raw", "at", "ThisRecord", "Value", "true", "false", "Blank()", "0", "1", "-1", "2.5", "1e28", "\"a\"",
            "\"\"", "[1,2]", "{a:1}", "TimeUnit.Months", "MatchOptions.Contains", "ParseJSON(\"[1]\")", "Date(2026,1,31)",
            "1/0", "Float(2)", "\"é😀\"", "\"yyyy-mm-dd\"", "\"#,##0.00\"", "\"\\d+\"", "a:", "x",
        ]).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
    ]
}

/// Expressions that are well formed, and mostly of fitting types.
fn expression() -> impl Strategy<Value = String> {
    let leaf = proptest::sample::select(vec![
        "name",
        "n",
        "raw",
        "at",
        "true",
        "Blank()",
        "0",
        "3",
        "-2.75",
        "79228162514264337593543950335",
        "\"ab c\"",
        "\"-1\"",
        "\"1/2/2026\"",
        "[3,1,2]",
        "[\"b\",\"a\"]",
        "[{a:1,b:\"x\"},{a:Blank(),b:\"y\"}]",
        "{a:1,b:\"x\"}",
        "Date(2026,1,31)",
        "Time(30,0,0)",
        "Float(0.1)",
        "1/0",
        "ParseJSON(\"{\"\"a\"\":[1,null,\"\"x\"\"]}\")",
        "Today()",
    ])
    .prop_map(str::to_owned);
    leaf.prop_recursive(5, 40, 4, |inner| {
        let two = (inner.clone(), inner.clone());
        let three = (inner.clone(), inner.clone(), inner.clone());
        let ops = vec!["+", "-", "*", "/", "^", "&", "=", "<>", "<", ">=", " in ", "&&", "||"];
        let one_arg = vec![
            "Abs",
            "Int",
            "Sqrt",
            "Exp",
            "Len",
            "Upper",
            "Trim",
            "Proper",
            "Value",
            "Text",
            "Boolean",
            "Float",
            "Char",
            "Year",
            "Hour",
            "Weekday",
            "ISOWeekNum",
            "DateValue",
            "IsBlank",
            "IsError",
            "First",
            "Last",
            "CountRows",
            "IsEmpty",
            "JSON",
            "ParseJSON",
            "Table",
            "Sequence",
            "PlainText",
            "EncodeHTML",
            "UniChar",
            "-",
            "Not",
            "Error",
        ];
        let two_args = vec![
            "Left",
            "Right",
            "Mid",
            "Find",
            "Split",
            "Round",
            "RoundUp",
            "Mod",
            "Power",
            "Log",
            "Text",
            "DateAdd",
            "DateDiff",
            "EDate",
            "WeekNum",
            "FirstN",
            "Index",
            "Filter",
            "ForAll",
            "Sort",
            "Distinct",
            "LookUp",
            "Concat",
            "Sum",
            "Max",
            "CountIf",
            "With",
            "If",
            "IfError",
            "Coalesce",
            "StartsWith",
            "Average",
        ];
        let three_args =
            vec!["Mid", "Substitute", "Switch", "If", "IfError", "Date", "Time", "Sequence", "LookUp", "Find"];
        prop_oneof![
            (two.clone(), proptest::sample::select(ops)).prop_map(|((a, b), op)| format!("({a}{op}{b})")),
            (inner.clone(), proptest::sample::select(one_arg)).prop_map(|(a, f)| format!("{f}({a})")),
            (two.clone(), proptest::sample::select(two_args)).prop_map(|((a, b), f)| format!("{f}({a}, {b})")),
            (three, proptest::sample::select(three_args)).prop_map(|((a, b, c), f)| format!("{f}({a}, {b}, {c})")),
            two.clone().prop_map(|(a, b)| format!("$\"{{{a}}}-{{{b}}}\"")),
            two.prop_map(|(a, b)| format!("{{p: {a}, q: {b}}}")),
            inner.prop_map(|a| format!("[{a}]")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text(text in "\\PC{0,60}") {
        answer(&text);
    }

    #[test]
    fn any_pieces(pieces in proptest::collection::vec(piece(), 1..16)) {
        answer(&pieces.concat());
    }

    #[test]
    fn any_expression(text in expression()) {
        answer(&text);
    }

    #[test]
    fn any_format(format in "[0#.,%eE+;:/ \"\\\\'ymdhsAMPap-]{0,14}", n in any::<f64>(), days in -800_000i64..3_000_000) {
        let format = format.replace('"', "\"\"");
        answer(&format!("With({{f: \"{format}\"}}, Text({n:?}, f) & Text({days}, f))"));
    }

    #[test]
    fn any_pattern(pattern in "[\\\\a-d0-9()\\[\\]{}?*+|^$.<>=!:,#-]{0,14}") {
        answer(&format!("MatchAll(name, \"{pattern}\")"));
    }

    #[test]
    fn any_date_text(text in "[0-9/: ,.TZtzapmPM+-]{0,24}") {
        answer(&format!("DateTimeValue(\"{text}\") & TimeValue(\"{text}\")"));
    }

    #[test]
    fn any_json(text in "[\\[\\]{}:,\"\\\\a-c0-9eE.+-]{0,24}") {
        let text = text.replace('"', "\"\"");
        answer(&format!("Text(ParseJSON(\"{text}\").a)"));
    }

    #[test]
    fn a_number_comes_back_from_its_text(n in any::<i64>(), scale in 0u32..18) {
        let number = rust_decimal::Decimal::new(n, scale).normalize();
        prop_assert_eq!(crate::run(&format!("Value(\"{number}\")")), crate::run(&format!("0 + {number}")));
    }
}
