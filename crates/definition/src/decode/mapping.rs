//! `read:`, `write:` and `both:`: each line one rule, or one for each direction.

use std::sync::Arc;

use ::mapping::{Expr, Lines, Rule};
use record::Value;

use super::Decoder;
use crate::codes;
use crate::decoded::{Data, Group, RuleAt, Rules};
use crate::diagnostic::Diagnostic;
use crate::files::Span;
use crate::table::{Field, Shape, Table};
use crate::tables::system as tables;
use crate::yaml::{self, Key, Node, Scalar};

/// Which way a mapping goes.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Read,
    Write,
    Both,
}

impl Decoder<'_> {
    pub(super) fn rules(&mut self, node: &Node, field: &Field) -> Data {
        let way = match field.shape {
            Shape::Read => Way::Read,
            Shape::Write => Way::Write,
            _ => Way::Both,
        };
        let Some(entries) = node.map() else { return self.wrong_shape(node, field, "a group of lines") };
        let mut rules = Rules::default();
        let before = self.diagnostics.len();
        let mut after_formula = false;
        for (key, node) in entries {
            self.rule(key, node, way, after_formula, &mut rules);
            after_formula = node.scalar().is_some_and(|scalar| scalar.text.starts_with('='));
        }
        rules.broken = self.diagnostics.len() > before;
        Data::Rules(rules)
    }

    fn rule(&mut self, key: &Key, node: &Node, way: Way, after_formula: bool, rules: &mut Rules) {
        match &node.data {
            yaml::Data::Null => {
                let what = if way == Way::Read { "a column" } else { "a field" };
                let comma =
                    "a formula that has a comma stands in quotes: `'=Left(name, 10)'`; a number has a point, `1.1`";
                self.diagnostics.push(
                    Diagnostic::error(codes::WRONG_SHAPE, format!("`{}` gets nothing", key.text))
                        .at(key.span, "nothing stands behind the colon")
                        .help(match after_formula {
                            true => comma.to_owned(),
                            false => format!("write {what} or a formula behind it, or remove the line"),
                        }),
                );
            }
            yaml::Data::List(_) => self.diagnostics.push(
                Diagnostic::error(codes::WRONG_SHAPE, format!("`{}` cannot get a list", key.text))
                    .at(super::head(node, self.files), "this is a list")
                    .help("name one column or field, or write a formula"),
            ),
            yaml::Data::Scalar(scalar) => self.plain_rule(key, node, scalar, way, rules),
            yaml::Data::Map(_) => self.group_rule(key, node, way, rules),
        }
    }

    /// `name: =Trim(company_name)`, `name: company_name`, `active: true`.
    fn plain_rule(&mut self, key: &Key, node: &Node, scalar: &Scalar, way: Way, rules: &mut Rules) {
        let text = &*scalar.text;
        let expr = if text.starts_with('=') {
            match self.formula(node, scalar) {
                Data::Formula(formula) => Expr::Formula(formula.text),
                _ => return,
            }
        } else if let Some(data) = self.constant(node) {
            match data {
                Data::YesNo(value) => Expr::Constant(Value::Bool(value)),
                Data::Number(number) => Expr::Constant(number_value(number)),
                _ => return,
            }
        } else if text.trim().is_empty() {
            self.diagnostics.push(
                Diagnostic::error(codes::BAD_VALUE, format!("`{}` gets nothing", key.text))
                    .at(node.span, "an empty text")
                    .help("write =\"\" for an empty text, or remove the line"),
            );
            return;
        } else {
            if scalar.plain() && is_a_call(text) {
                self.diagnostics.push(
                    Diagnostic::error(codes::FORMULA, "a formula begins with `=`")
                        .at(node.span, "without it this is the name of a column or a field")
                        .help(format!("write `={text}` for the formula, or `\"{text}\"` for the name")),
                );
                return;
            }
            if scalar.plain() && text.contains(' ') {
                self.diagnostics.push(
                    Diagnostic::error(codes::BAD_VALUE, "a name with spaces stands in quotes")
                        .at(node.span, "a plain word is a column or a field")
                        .help(format!(
                            "write `\"{text}\"` for the name, or `=\"{text}\"` for this text; a formula begins with `=`"
                        )),
                );
                return;
            }
            Expr::Source(text.to_owned())
        };
        let at = |target: &Key, source: Span, expr: Expr| {
            self.rule_at(target, source, Some(scalar.clone()), expr, Vec::new())
        };
        match (way, expr) {
            (Way::Read, expr) => rules.read.push(at(key, node.span, expr)),
            (Way::Write, expr) => rules.write.push(at(key, node.span, expr)),
            (Way::Both, Expr::Source(field)) => {
                let field = Key { text: field.into(), span: node.span };
                let read = self.rule_at(&field, key.span, None, Expr::Source(key.text.to_string()), Vec::new());
                rules.read.push(read);
                rules.write.push(self.rule_at(
                    key,
                    node.span,
                    Some(scalar.clone()),
                    Expr::Source(field.text.to_string()),
                    Vec::new(),
                ));
            }
            (Way::Both, other) => {
                let what = if matches!(other, Expr::Formula(_)) { "a formula" } else { "a fixed value" };
                self.diagnostics.push(
                    Diagnostic::error(codes::ONE_WAY, format!("`{}` cannot be turned round", key.text))
                        .at(node.span, format!("{what} goes one way only"))
                        .note("`both:` takes a field, or a field with a choice")
                        .help(format!(
                            "move the line to `write:`, and under `read:` say which field gets `{}`",
                            key.text
                        )),
                );
            }
        }
    }

    /// `{ column: …, choice: … }`, `{ field: …, choice: … }`, `{ value: …, only_on: create }`, and lines.
    fn group_rule(&mut self, key: &Key, node: &Node, way: Way, rules: &mut Rules) {
        let has = |name: &str| node.get(name).is_some();
        let table: &'static Table = if has("each") || has("table") || has("read") || has("write") {
            match way {
                Way::Write => &tables::LINES_WRITTEN,
                _ if has("each") => &tables::LINES_OF_LIST,
                _ => &tables::LINES_OF_TABLE,
            }
        } else if way != Way::Read && (has("value") || has("only_on")) {
            &tables::VALUE
        } else if way == Way::Read {
            &tables::CHOICE_OF_COLUMN
        } else {
            &tables::CHOICE_OF_FIELD
        };
        let before = self.diagnostics.len();
        let group = self.group(node, table.name, table.fields().copied(), key.span);
        if self.diagnostics.len() > before {
            return;
        }
        match table.name {
            name if name == tables::VALUE.name => self.value_rule(key, &group, way, rules),
            name if name == tables::CHOICE_OF_COLUMN.name || name == tables::CHOICE_OF_FIELD.name => {
                self.choice_rule(key, &group, way, rules)
            }
            _ => self.lines_rule(key, &group, way, rules),
        }
    }

    fn value_rule(&mut self, key: &Key, group: &Group, way: Way, rules: &mut Rules) {
        if way == Way::Both {
            self.diagnostics.push(
                Diagnostic::error(codes::ONE_WAY, format!("`{}` cannot be turned round", key.text))
                    .at(group.key_at("only_on"), "what is written once is not read back")
                    .help("move the line to `write:`"),
            );
            return;
        }
        let Some(Data::Anything(node)) = group.get("value") else { return };
        let mut inner = Rules::default();
        let node = node.clone();
        self.rule(key, &node, Way::Write, false, &mut inner);
        rules.write.extend(inner.write.into_iter().map(|mut at| {
            at.rule.only_on_create = true;
            at
        }));
    }

    fn choice_rule(&mut self, key: &Key, group: &Group, way: Way, rules: &mut Rules) {
        let Some(Data::Anything(choice)) = group.get("choice") else { return };
        let Some(entries) = choice.map() else {
            let field = Field::new("choice", Shape::Anything, "", "{ net30: 1, net60: 4 }");
            self.wrong_shape(&choice.clone(), &field, "a group of names with the system's values");
            return;
        };
        let mut names: Vec<(String, Value)> = Vec::new();
        let mut places: Vec<Span> = Vec::new();
        let mut name_places: Vec<Span> = Vec::new();
        for (name, node) in entries {
            let value = match self.constant(node) {
                Some(Data::Number(number)) => number_value(number),
                Some(Data::YesNo(value)) => Value::Bool(value),
                // It was reported, and its name still counts as covered.
                Some(_) => Value::Blank,
                None => match node.scalar() {
                    Some(scalar) if !scalar.text.starts_with('=') => Value::text(&*scalar.text),
                    _ => {
                        self.diagnostics.push(
                            Diagnostic::error(
                                codes::WRONG_SHAPE,
                                format!("`{}` must have one value of the system", name.text),
                            )
                            .at(
                                if node.span.is_empty() { name.span } else { super::head(node, self.files) },
                                format!("this is {}", node.what()),
                            )
                            .help(format!("write it like `{}: 1`, or `{}: \"30\"` for a text", name.text, name.text)),
                        );
                        Value::Blank
                    }
                },
            };
            if let Some(first) = names.iter().position(|(_, have)| *have == value && !value.is_blank()) {
                self.diagnostics.push(
                    Diagnostic::error(
                        codes::CHOICE,
                        format!("`{}` and `{}` are one value in the system", names[first].0, name.text),
                    )
                    .at(node.span, "the second one")
                    .also(places[first], "the first one")
                    .help("give each name its own value: on the way back nobody could tell them apart"),
                );
            }
            names.push((name.text.to_string(), value));
            places.push(node.span);
            name_places.push(name.span);
        }
        let name = if way == Way::Read { "column" } else { "field" };
        let Some(source) = group.text(name) else { return };
        let at = group.at(name);
        let expr = |source: &str| Expr::Choice { source: source.to_owned(), names: names.clone() };
        if way != Way::Write {
            let (target, column, column_at) = match way {
                Way::Both => (Key { text: source.into(), span: at }, key.text.to_string(), key.span),
                _ => (key.clone(), source.to_owned(), at),
            };
            let mut rule = self.rule_at(&target, column_at, None, expr(&column), Vec::new());
            rule.names = name_places.clone();
            rules.read.push(rule);
        }
        if way != Way::Read {
            let mut rule = self.rule_at(key, at, None, expr(source), Vec::new());
            rule.names = name_places;
            rules.write.push(rule);
        }
    }

    fn lines_rule(&mut self, key: &Key, group: &Group, way: Way, rules: &mut Rules) {
        if way == Way::Both {
            self.diagnostics.push(
                Diagnostic::error(codes::ONE_WAY, format!("the lines of `{}` cannot be turned round", key.text))
                    .at(group.at, "lines go one way")
                    .help("write them under `read:` and under `write:`"),
            );
            return;
        }
        let name = if group.says("table") { "table" } else { "each" };
        let Some(of) = group.text(name).map(str::to_owned) else { return };
        let inner = match way {
            Way::Read => group.rules("read").map(|rules| rules.read.clone()),
            _ => group.rules("write").map(|rules| rules.write.clone()),
        };
        let inner = inner.unwrap_or_default();
        let lines = Lines {
            of,
            parent: group.text("parent").map(str::to_owned),
            rules: inner.iter().map(|at| at.rule.clone()).collect(),
        };
        let at = group.at(name);
        let rule = self.rule_at(key, at, None, Expr::Lines(lines), inner);
        if way == Way::Read { rules.read.push(rule) } else { rules.write.push(rule) }
    }

    fn rule_at(&self, target: &Key, source: Span, scalar: Option<Scalar>, expr: Expr, lines: Vec<RuleAt>) -> RuleAt {
        let origin = self.files.line_of(target.span);
        let target_name: &Arc<str> = &target.text;
        RuleAt {
            rule: Rule { target: target_name.to_string(), expr, only_on_create: false, origin },
            target: target.span,
            source,
            scalar,
            lines,
            names: Vec::new(),
        }
    }
}

fn number_value(number: record::Decimal) -> Value {
    match i64::try_from(number) {
        Ok(whole) if number.is_integer() => Value::Int(whole),
        _ => Value::Decimal(number),
    }
}

/// Whether a word calls a function: `Trim(company_name)`.
fn is_a_call(text: &str) -> bool {
    text.ends_with(')') && text.split_once('(').is_some_and(|(name, _)| powerfx::is_function(name.trim_end()))
}
