//! The reference pages, out of the table of functions.

use crate::enums;
use crate::functions::{FAMILIES, Function, NOT_THERE, POWER_AUTOMATE};
use crate::types::ChoiceValue;
use std::fmt::Write;

/// Every function with its signature, what it does, its examples and its differences, as Markdown.
pub fn reference() -> String {
    let mut out = String::from(
        "# Formulas: every function\n\n\
         Generated from the functions themselves; each example is run by a test.\n\
         What Power Fx has and this does not is in [formulas-not-there.md](formulas-not-there.md).\n\n",
    );
    for (family, functions) in FAMILIES {
        let links: Vec<String> =
            functions.iter().map(|f| format!("[{}](#{})", f.name, f.name.to_lowercase())).collect();
        // Writing into a String cannot fail.
        let _ = writeln!(out, "- {family}: {}", links.join(", "));
    }
    for (family, functions) in FAMILIES {
        let _ = write!(out, "\n## {family}\n");
        for function in *functions {
            write_function(&mut out, function);
        }
    }
    out.push_str("\n## Sets of values\n\n");
    for set in enums::all() {
        let names: Vec<&str> = set.members.iter().map(|(name, _)| &**name).collect();
        let kind = match set.members.first() {
            Some((_, ChoiceValue::Number(_))) => "numbers",
            _ => "texts",
        };
        let _ = writeln!(out, "- `{}` ({kind}): {}", set.name, names.join(", "));
    }
    out
}

fn write_function(out: &mut String, f: &Function) {
    let _ = write!(out, "\n### {}\n\n`{}`\n\n{}\n\n", f.name, f.signature, f.does.replace(". ", ".\n"));
    for (expression, value) in f.examples {
        let _ = writeln!(out, "- `{expression}` gives `{value}`");
    }
    if f.volatile {
        out.push_str("\nIt may differ from run to run, so a batch that writes refuses it.\n");
    }
    if !f.differs.is_empty() {
        let _ = write!(out, "\nDifference: {}\n", f.differs.replace(". ", ".\n"));
    }
}

/// What Power Fx has and formulas here do not, and where the two differ, as Markdown.
pub fn not_there() -> String {
    let mut out = String::from("# Formulas: what is not there\n\n## Functions\n\n");
    for (names, why) in NOT_THERE {
        let names: Vec<String> = names.split(' ').map(|n| format!("`{n}`")).collect();
        let _ = writeln!(out, "- {}: {why}.", names.join(", "));
    }
    out.push_str("\n## What Power Automate calls otherwise\n\n");
    for (names, here) in POWER_AUTOMATE {
        let names: Vec<String> = names.split(' ').map(|n| format!("`{n}`")).collect();
        let _ = writeln!(out, "- {}: {here}.", names.join(", "));
    }
    out.push_str("\n## The language\n\n");
    for (what, why) in LANGUAGE {
        let _ = writeln!(out, "- {what}: {why}.");
    }
    out.push_str("\n## The same, with a difference\n\n");
    for (what, difference) in DIFFERENCES {
        let _ = writeln!(out, "- {what}: {difference}.");
    }
    for function in FAMILIES.iter().flat_map(|(_, functions)| functions.iter()).filter(|f| !f.differs.is_empty()) {
        let _ = writeln!(out, "- `{}`: {}", function.name, function.differs);
    }
    out.push_str("\n## Limits\n\n");
    for (what, limit) in LIMITS {
        let _ = writeln!(out, "- {what}: {limit}.");
    }
    out
}

const LANGUAGE: &[(&str, &str)] = &[
    (
        "`Self`, `Parent`, `ThisItem`, controls, collections, global variables",
        "a formula sees its row and nothing else",
    ),
    ("`record!field` and `Table[@field]`", "write `record.field`, and name rows with `As` where two meet"),
    ("User-defined functions and types, `Type(…)`", "a mapping is one expression"),
    ("Locales whose formulas use `;` for `,`", "formulas are written as in English everywhere"),
    ("A column of a table with a dot (`table.column`)", "Power Fx has retired it; write ShowColumns"),
    ("Colours, images, media, dynamic schemas", "rows have none"),
];

const DIFFERENCES: &[(&str, &str)] = &[
    ("A column of an unknown type", "fits everywhere, and is coerced when the formula runs; Power Fx knows all types"),
    ("A choice of an entity", "is a text, and compares with a text in quotes; a text that it does not have is refused"),
    ("A reference to an entity", "compares with the value of its key"),
    ("Dates and times", "are kept to the microsecond, and come out of numbers to the millisecond"),
    ("`AM/PM` and the names of days and months", "are English in every language"),
    ("`FirstError` and `AllErrors` without some of their columns", "may get columns; Power Fx refuses it"),
    ("A character outside of the basic plane", "counts as two, as in Power Fx, but is never cut in two"),
    ("A member of an enumeration", "prints as the text or number behind it"),
    ("Float numbers", "print with the fewest digits that read back the same, with exponents as `1E+100`"),
    ("`;` between expressions", "gives the last of them; Power Fx allows it in behaviours only"),
];

const LIMITS: &[(&str, &str)] = &[
    (
        "Text of a formula",
        "64 KB, nested at most 50 deep, at most 100 operators of one kind in a row except `&`, `&&` and `||`",
    ),
    ("One text", "1 MB"),
    ("One table", "50,000 rows"),
    ("Turns of all loops of one run", "1,000,000"),
    ("Everything that one run makes", "64 MB"),
    ("A pattern", "1 MB when compiled; matching takes time in proportion to the text"),
];
