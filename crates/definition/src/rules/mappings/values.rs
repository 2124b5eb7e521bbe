//! What a line of a mapping gives, as far as it can be known without a row: fixed values, choices, lengths.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use mapping::{Columns, fit};
use record::{Catalog, Type, Value};

use super::Table;
use crate::codes;
use crate::decoded::{RuleAt, Rules};
use crate::diagnostic::Diagnostic;
use crate::model::{System, SystemEntity};
use crate::suggest;

impl Table<'_> {
    /// A fixed value fits what it is written to.
    pub(super) fn constants(&self, rules: &Rules, columns: &Columns, diagnostics: &mut Vec<Diagnostic>) {
        let of_field = |at: &RuleAt| self.entity.field(&at.rule.target).map(|field| field.ty.clone());
        let of_column = |at: &RuleAt| columns.type_of(&at.rule.target);
        let read = rules.read.iter().map(|at| (at, of_field(at)));
        for (at, ty) in read.chain(rules.write.iter().map(|at| (at, of_column(at)))) {
            let (mapping::Expr::Constant(value), Some(ty)) = (&at.rule.expr, ty) else { continue };
            if let Err(misfit) = mapping::fit::fit(value.as_ref(), &ty, None) {
                diagnostics.push(
                    Diagnostic::error(codes::TYPE, format!("`{}` {}", at.rule.target, misfit.why))
                        .at(at.source, format!("`{}` is {}", at.rule.target, ty.word()))
                        .help("write a value of this type; a name of a column or field is a plain word"),
                );
            }
        }
    }

    /// The names of a choice are those of its field, each of them.
    pub(super) fn choices(&self, rules: &[RuleAt], read: bool, diagnostics: &mut Vec<Diagnostic>) {
        for at in rules {
            let mapping::Expr::Choice { source, names } = &at.rule.expr else { continue };
            let field = self.entity.field(if read { &at.rule.target } else { source });
            let Some(Type::Choice { values }) = field.map(|field| &field.ty) else { continue };
            let field = if read { &at.rule.target } else { source };
            let mut missing: Vec<&str> = values
                .iter()
                .map(String::as_str)
                .filter(|value| !names.iter().any(|(name, _)| name == value))
                .collect();
            for ((name, _), place) in names.iter().zip(&at.names) {
                if values.contains(name) {
                    continue;
                }
                // A misspelt name is one mistake, not an unknown name and a missing one.
                let meant = suggest::nearest(name, missing.iter().copied()).or(missing.first().copied());
                missing.retain(|value| Some(*value) != meant);
                let diagnostic = Diagnostic::error(codes::CHOICE, format!("the field `{field}` has no value `{name}`"))
                    .at(*place, "no name of this choice")
                    .note(format!("its values are: {}", suggest::list(values.iter().map(String::as_str))))
                    .maybe_help(suggest::did_you_mean(name, values.iter().map(String::as_str)))
                    .or_help(match meant {
                        Some(meant) => {
                            format!("write `{meant}`, which is missing here; or add `{name}` to `values:` of the field")
                        }
                        None => format!("remove it, or add `{name}` to `values:` of the field"),
                    });
                push_once(diagnostics, diagnostic);
            }
            if missing.is_empty() {
                continue;
            }
            let diagnostic = Diagnostic::error(
                codes::CHOICE,
                format!(
                    "the choice does not cover {}",
                    missing.iter().map(|value| format!("`{value}`")).collect::<Vec<_>>().join(", ")
                ),
            )
            .at(at.source, format!("`{field}` may be {}", missing.join(" or ")))
            .note("a record with a value that the choice does not know is rejected")
            .help(format!("add `{}: …` to `choice:`, with the system's value", missing[0]));
            push_once(diagnostics, diagnostic);
        }
    }

    /// What a line copies as it is: a type of which no value fits, and a column that may hold more than its field takes.
    ///
    /// The length is a warning, since such a row may never come; a field that is longer than the column it is written to
    /// is an error.
    pub(super) fn copies(&self, rules: &Rules, columns: &Columns, diagnostics: &mut Vec<Diagnostic>) {
        for at in &rules.read {
            let mapping::Expr::Source(column) = &at.rule.expr else { continue };
            let Some(field) = self.entity.field(&at.rule.target) else { continue };
            let Some(holds) = columns.type_of(column) else { continue };
            if never_fits(&of_system(&holds), &field.ty) {
                let title = format!(
                    "the column `{column}` is {}, and the field `{}` is {}",
                    holds.word(),
                    field.name,
                    field.ty.word()
                );
                push_once(diagnostics, misfit(title, at));
            } else if holds == Type::LocalDateTime && field.ty == Type::DateTime && self.system.time_zone.is_none() {
                let system = &self.system.name;
                diagnostics.push(
                    Diagnostic::error(
                        codes::TYPE,
                        format!("`{column}` is a time without a zone, and `{system}` does not say which one is meant"),
                    )
                    .at(at.source, format!("the field `{}` is a point in time", field.name))
                    .note("every row with a value here would be set aside as a dead letter")
                    .help(format!("add `time_zone:` to systems/{system}.yaml, for example `time_zone: Europe/London`")),
                );
            } else if let (Some(has), Some(takes)) = (length(&holds), length(&field.ty))
                && has > takes
            {
                diagnostics.push(
                    Diagnostic::warning(
                        codes::TYPE,
                        format!("`{column}` may hold {has} characters, and the field `{}` takes {takes}", field.name),
                    )
                    .at(at.source, "a longer text would not fit")
                    .note("such a row is set aside as a dead letter, and nothing of it is cut off")
                    .help(format!(
                        "cut it on purpose: `{}: =Left({column}, {takes})`, or raise `max_length` of the field",
                        field.name
                    )),
                );
            }
        }
        for at in &rules.write {
            let mapping::Expr::Source(name) = &at.rule.expr else { continue };
            let Some(field) = self.entity.field(name) else { continue };
            let Some(takes) = columns.type_of(&at.rule.target) else { continue };
            if never_fits(&of_field(&field.ty), &takes) {
                let title = format!(
                    "the field `{name}` is {}, and the column `{}` is {}",
                    field.ty.word(),
                    at.rule.target,
                    takes.word()
                );
                push_once(diagnostics, misfit(title, at));
            }
        }
    }
}

impl Table<'_> {
    /// Digits after the point that a source may give and a column here does not hold.
    pub(super) fn digits(
        &self,
        rules: &Rules,
        columns: &Columns,
        catalogs: &BTreeMap<String, Catalog>,
        diagnostics: &mut Vec<Diagnostic>,
    ) {
        let name = &*self.entity.name;
        let feeds = |from: &&System| {
            from.name != self.system.name
                && self.project.integrations.iter().any(|integration| {
                    let systems = integration.systems();
                    integration.entities().contains(&name)
                        && [&*self.system.name, &*from.name].iter().all(|one| systems.contains(one))
                })
        };
        for at in &rules.write {
            let mapping::Expr::Source(field) = &at.rule.expr else { continue };
            let Some(takes) = columns.type_of(&at.rule.target).as_ref().and_then(scale) else { continue };
            for from in self.project.systems.iter().filter(feeds) {
                let Some((held, column)) = from.entity(name).and_then(|held| Some((held, copied(held, field)?))) else {
                    continue;
                };
                let table = catalogs.get(&from.name).and_then(|catalog| catalog.table(held.table.as_deref()?));
                let gives = table.and_then(|table| Columns::of_table(table).type_of(column));
                let Some(has) = gives.as_ref().and_then(scale).filter(|has| *has > takes) else { continue };
                let (target, system) = (&at.rule.target, &from.name);
                diagnostics.push(
                    Diagnostic::warning(
                        codes::TYPE,
                        format!("`{column}` of `{system}` may have {has} digits after the point, and `{target}` holds {takes}"),
                    )
                    .at(at.source, "more digits would not fit")
                    .note("such a row is set aside as a dead letter, and nothing of it is rounded")
                    .help(format!("round it on purpose in systems/{system}.yaml: `{field}: =Round({column}, {takes})`")),
                );
            }
        }
    }
}

/// The column that a field is copied from as it is.
fn copied<'e>(held: &'e SystemEntity, field: &str) -> Option<&'e str> {
    held.read.iter().find(|rule| rule.target == field).and_then(|rule| match &rule.expr {
        mapping::Expr::Source(column) => Some(&**column),
        _ => None,
    })
}

fn scale(ty: &Type) -> Option<u32> {
    match ty {
        Type::Decimal { scale } => *scale,
        _ => None,
    }
}

fn misfit(title: String, at: &RuleAt) -> Diagnostic {
    Diagnostic::error(codes::TYPE, title)
        .at(at.source, "no value of the one is a value of the other")
        .note("every row with a value here would be set aside as a dead letter")
        .help("convert it with a formula, or change the type of one of the two")
}

fn length(ty: &Type) -> Option<u32> {
    match ty {
        Type::Text { max_length } | Type::Multiline { max_length } => *max_length,
        _ => None,
    }
}

/// Values as a field of this type holds them; none where they may be anything.
fn of_field(ty: &Type) -> Vec<Value> {
    let noon = jiff::civil::date(2026, 1, 15).at(12, 0, 0, 0);
    match ty {
        Type::WholeNumber => [0, 1, 7].map(Value::Int).into(),
        Type::Decimal { .. } | Type::Money => [0, 1].map(|number| Value::Decimal(number.into())).into(),
        Type::Float => vec![Value::Float(1.0)],
        Type::YesNo => vec![Value::Bool(true)],
        Type::Date => vec![Value::Date(noon.date())],
        Type::Time => vec![Value::Time(noon.time())],
        Type::DateTime => vec![Value::Instant(jiff::Timestamp::UNIX_EPOCH)],
        Type::LocalDateTime => vec![Value::LocalDateTime(noon)],
        Type::Guid => vec![Value::Guid(Default::default())],
        Type::Bytes => vec![Value::Bytes(vec![1])],
        _ => Vec::new(),
    }
}

/// The same for a column, which a system may give in more than one form.
fn of_system(ty: &Type) -> Vec<Value> {
    let also: &[&Type] = match ty {
        Type::YesNo => &[&Type::WholeNumber],
        Type::Decimal { .. } | Type::Money | Type::Float => &[&Type::WholeNumber, &Type::Money],
        Type::DateTime | Type::LocalDateTime => &[&Type::DateTime, &Type::LocalDateTime],
        _ => &[],
    };
    also.iter().copied().chain([ty]).flat_map(of_field).collect()
}

/// Whether none of these values fits: the engine's own answer to each of them.
fn never_fits(values: &[Value], ty: &Type) -> bool {
    // A pointer to a row is made from the key of the row, whatever its type is.
    let made = matches!(ty, Type::Reference { .. } | Type::Lines(_) | Type::Unknown);
    let fits = |value: &Value| match fit::fit(value.as_ref(), ty, Some(&TimeZone::UTC)) {
        Ok(_) => true,
        Err(misfit) => misfit.code != fit::NOT_OF_THE_TYPE,
    };
    !made && !values.is_empty() && !values.iter().any(fits)
}

/// A line of `both:` is two rules, and its mistakes are one.
fn push_once(diagnostics: &mut Vec<Diagnostic>, diagnostic: Diagnostic) {
    let known =
        |have: &Diagnostic| have.code == diagnostic.code && have.title == diagnostic.title && near(have, &diagnostic);
    if !diagnostics.iter().any(known) {
        diagnostics.push(diagnostic);
    }
}

/// On one line of `both:`, the column and the field are two places.
fn near(a: &Diagnostic, b: &Diagnostic) -> bool {
    match (a.span, b.span) {
        (Some(a), Some(b)) => a.file == b.file && a.start.abs_diff(b.start) < 200,
        _ => false,
    }
}
