//! What a formula may use at most.

use crate::{check, refused, run};

#[test]
fn depth_and_length_of_the_text() {
    refused(&"(".repeat(100_000));
    refused(&format!("{}1{}", "(".repeat(60_000), ")".repeat(4_000)));
    refused(&"-".repeat(5_000));
    refused(&"!".repeat(5_000));
    refused(&format!("{}1", "2^".repeat(5_000)));
    refused(&format!("{}1", "1+".repeat(5_000)));
    refused(&"Abs(".repeat(1_000));
    refused(&"{a:".repeat(1_000));
    refused(&"$\"{".repeat(1_000));
    refused(&format!("x{}", ".a".repeat(1_000)));
    refused(&format!("\"{}\"", "a".repeat(70_000)));
    check(&format!("{}1{}", "(".repeat(45), ")".repeat(45)), "1");
    check(&format!("Len({}\"a\")", "\"a\" & ".repeat(5_000)), "5001");
    check(&format!("{}true", "true && ".repeat(5_000)), "true");
}

#[test]
fn rows_steps_and_bytes() {
    let quota = "Error({Kind:ErrorKind.QuotaExceeded})";
    check("Sequence(50001)", "Error({Kind:ErrorKind.InvalidArgument})");
    check("CountRows(ForAll(Sequence(5000), Sequence(5000)))", quota);
    check("Sum(ForAll(Sequence(2000) As a, Sum(Sequence(2000), Value * a.Value)), Value)", quota);
    check("Filter(Sequence(2000), CountIf(Sequence(2000), Value > 0) > 0)", quota);
    let grow = "Substitute(Substitute(Substitute(t, \"a\", t), \"a\", t), \"a\", t)";
    check(&format!("With({{t: Concat(Sequence(300), \"a\")}}, Len({grow}))"), quota);
    check("With({t: Concat(Sequence(50000), \"0123456789\")}, Len(Concat(Sequence(100), t)))", quota);
    check("With({t: Concat(Sequence(50000), \"0123456789\")}, CountRows(ForAll(Sequence(1000), t & t)))", quota);
}

#[test]
fn patterns_take_linear_time_and_bounded_memory() {
    refused("IsMatch(\"a\", \"(((a{100}){100}){100}){100}\")");
    let text = "a".repeat(30_000);
    assert_eq!(run(&format!("IsMatch(\"{text}\", \"^(a+)+$\" & \"b\")")), "false");
}

#[test]
fn json_is_as_deep_as_it_may_be() {
    let deep = format!("ParseJSON(\"{}{}\")", "[".repeat(10_000), "]".repeat(10_000));
    check(&deep, "Error({Kind:ErrorKind.InvalidJSON})");
}

#[test]
fn what_doubles_is_stopped() {
    // Checked once for each level, not twice.
    check(&format!("{}1{}", "Sum(".repeat(45), ")".repeat(45)), "1");
    check(&format!("{}1{}", "Max(1, ".repeat(45), ")".repeat(45)), "1");
    let records = format!("With({{a: 1}}, {}a{})", "With({a: {p: a, q: a}}, ".repeat(45), ")".repeat(45));
    refused(&records);
    refused(&records.replace("p: a, q: a", "p: [a], q: a"));
    let tables = format!("With({{a: [1]}}, {}CountRows(a){})", "With({a: [a, a]}, ".repeat(40), ")".repeat(40));
    check(&tables, "2");
    let quota = "Error({Kind:ErrorKind.QuotaExceeded})";
    check(&tables.replace("CountRows(a)", "JSON(a)"), quota);
    let cut = run(&tables.replace("CountRows(a)", "a"));
    assert!(cut.len() > 1 << 20 && cut.len() < 100 << 20, "printing stops at {} bytes", cut.len());
}
