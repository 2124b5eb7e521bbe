//! Operators, coercions, blanks, errors, records and tables.

use crate::{check, check_all, refused};

#[test]
fn precedence() {
    check_all(&[
        ("1 + 2 * 3", "7"),
        ("(1 + 2) * 3", "9"),
        ("-2 ^ 2", "-4"),
        ("2 ^ -1", "0.5"),
        ("10 - 3 - 2", "5"),
        ("50%", "0.5"),
        ("200 * 5%", "10"),
        ("1 + 2 & 3 + 4", "\"37\""),
        ("1 < 2 && 2 < 3", "true"),
        ("false && false || true", "true"),
        ("!true || true", "true"),
        ("Not true Or true", "true"),
        ("\"b\" in \"abc\" & \"d\"", "true"),
        ("1; 2; 3", "3"),
        ("1 /* one */ + // two\n 2", "3"),
    ]);
}

#[test]
fn decimals_are_exact_and_floats_are_not() {
    check_all(&[
        ("0.1 + 0.2", "0.3"),
        ("Float(0.1) + Float(0.2)", "0.30000000000000004"),
        ("1 / 3", "0.3333333333333333333333333333"),
        ("1.0000000000000000000000002 + 1", "2.0000000000000000000000002"),
        ("79228162514264337593543950335 + 1", "Error({Kind:ErrorKind.Numeric})"),
        ("Float(\"1e308\") * 10", "Error({Kind:ErrorKind.Numeric})"),
        ("1 / 0", "Error({Kind:ErrorKind.Div0})"),
        ("1E-100", "0"),
    ]);
    refused("1E100");
}

#[test]
fn coercions() {
    check_all(&[
        ("\"1\" + \"2\"", "3"),
        ("true + 1", "2"),
        ("\"x\" & 1.50 & true", "\"x1.5true\""),
        ("\"x\" + 1", "Error({Kind:ErrorKind.InvalidArgument})"),
        ("If(1, \"yes\", \"no\")", "\"yes\""),
        ("If(false, 1, \"2\")", "2"),
        ("[\"a\", 1]", "Table({Value:\"a\"},{Value:\"1\"})"),
        ("Date(2026,1,1) + 1", "Date(2026,1,2)"),
        ("Date(2026,1,2) - Date(2026,1,1)", "1"),
        ("Date(2026,1,1) + Time(1,0,0)", "DateTime(2026,1,1,1,0,0,0)"),
        ("Date(2026,1,31) & \"\"", "\"1/31/2026\""),
    ]);
    for text in
        ["1 = \"1\"", "true = 1", "\"a\" < \"b\"", "true > false", "Date(2026,1,1) + Date(2026,1,1)", "{a:1} & \"\""]
    {
        refused(text);
    }
}

#[test]
fn blanks() {
    check_all(&[
        ("Blank() + 1", "1"),
        ("Blank() & \"a\"", "\"a\""),
        ("Blank() = 0", "false"),
        ("Blank() = Blank()", "true"),
        ("Blank() < 1", "true"),
        ("Blank() && true", "false"),
        ("IsBlank(\"\")", "true"),
        ("Filter(Blank(), true)", "Blank()"),
        ("CountRows(Blank())", "0"),
        ("{a: 1, b: Blank()}.b", "Blank()"),
    ]);
}

#[test]
fn errors_travel_and_are_caught() {
    check_all(&[
        ("1 + 1/0", "Error({Kind:ErrorKind.Div0})"),
        ("Left(1/0, Sqrt(-1))", "Error(Table({Kind:ErrorKind.Div0},{Kind:ErrorKind.Numeric}))"),
        ("IfError(1/0, 5)", "5"),
        ("IfError(1, 5)", "1"),
        ("IfError(Error(\"sold out\"), FirstError.Message)", "\"sold out\""),
        ("If(true, 1, 1/0)", "1"),
        ("false && 1/0 > 0", "false"),
        ("IsError(1/0)", "true"),
        ("ForAll([1, 0, 2], IfError(10 / Value, -1))", "Table({Value:10},{Value:-1},{Value:5})"),
        ("Filter([1, 0], 1 / Value > 0)", "Table({Value:1},Error({Kind:ErrorKind.Div0}))"),
    ]);
}

#[test]
fn records_tables_and_scopes() {
    check_all(&[
        ("{b: 1, a: 2}", "{a:2,b:1}"),
        ("{'first name': \"x\"}.'first name'", "\"x\""),
        ("[1, 2]", "Table({Value:1},{Value:2})"),
        ("[{a: 1}, {b: 2}]", "Table({a:1,b:Blank()},{a:Blank(),b:2})"),
        ("If(false, {a: 1}, {b: 2})", "{a:Blank(),b:2}"),
        ("With({x: 2}, With({y: 3}, x * y))", "6"),
        ("With({x: 2}, With({x: 3}, x))", "3"),
        ("ForAll([1, 2] As outer, Sum([10, 20], Value * outer.Value))", "Table({Value:30},{Value:60})"),
        ("ForAll([{n: 1}], ThisRecord.n)", "Table({Value:1})"),
        ("2 in [1, 2]", "true"),
        ("\"A\" in [\"a\"]", "true"),
        ("\"A\" exactin [\"a\"]", "false"),
    ]);
    refused("{a: 1}.b");
    refused("{a: 1, a: 2}");
    refused("[1].Value");
}

#[test]
fn interpolation() {
    check_all(&[
        ("$\"a{1 + 1}b\"", "\"a2b\""),
        ("$\"{{}} \"\"q\"\"\"", "\"{} \"\"q\"\"\""),
        ("$\"{\"in\" & $\"{1}\"}\"", "\"in1\""),
        ("$\"\"", "\"\""),
    ]);
    refused("$\"{1\"");
    refused("$\"}\"");
}

#[test]
fn syntax_errors() {
    for text in ["1 +", "(1", "[1", "{a 1}", "\"a", "'a", "1 2", "Left(", "a.", "#", "/* never closed", "''", "$\"a"] {
        refused(text);
    }
    check("", "Blank()");
    check("  // only a comment", "Blank()");
}
