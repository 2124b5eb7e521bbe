//! Formulas outside of mappings: triggers, conditions, questions.

use powerfx::{Expect, Scope, Type as Fx};
use record::{Entity, Type};

use super::Seen;
use crate::codes;
use crate::decoded::Formula;
use crate::diagnostic::Diagnostic;
use crate::model::Project;
use crate::rules::mappings::within;

/// The fields of an entity, the fields of what it refers to (`customer.name`), and the decisions made so far.
pub(crate) fn scope_of(entity: &Entity, project: &Project, decisions: &[String]) -> Scope {
    let mut scope = Scope::new();
    for field in &entity.fields {
        scope.add(&field.name, fx(&field.name, &field.ty));
        let Type::Reference { to } = &field.ty else { continue };
        for other in to.iter().filter_map(|name| project.entity(name)) {
            for inner in &other.fields {
                scope.add(&format!("{}.{}", field.name, inner.name), fx(&inner.name, &inner.ty));
            }
        }
    }
    for name in decisions {
        for part in ["outcome", "by", "comment"] {
            scope.add(&format!("{name}.{part}"), Fx::Text);
        }
    }
    scope
}

/// What `approve: { when: … }` of a batch may name.
pub(crate) fn changes() -> Scope {
    ["count", "created", "updated", "deleted", "percent"]
        .iter()
        .map(|name| (format!("changes.{name}"), Fx::Number))
        .fold(Scope::new(), |mut scope, (name, ty)| {
            scope.add(&name, ty);
            scope
        })
}

fn fx(name: &str, ty: &Type) -> Fx {
    match ty {
        // A condition may follow a reference to the fields of its entity; a mapping uses its key.
        Type::Reference { to } => Fx::Reference(to.first().map_or("", String::as_str).into()),
        other => mapping::formula_type(name, other),
    }
}

pub(crate) fn wanted(ty: &Type) -> Expect {
    match fx("", ty) {
        Fx::Unknown | Fx::Reference(_) => Expect::Any,
        other => Expect::Type(other),
    }
}

pub(super) fn check(formula: &Formula, scope: &Scope, wanted: Fx, seen: &Seen<'_>, diagnostics: &mut Vec<Diagnostic>) {
    check_as(formula, scope, &Expect::Type(wanted), seen, diagnostics);
}

pub(super) fn check_as(
    formula: &Formula,
    scope: &Scope,
    wanted: &Expect,
    seen: &Seen<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) {
    for problem in powerfx::compile(&formula.text, scope, wanted).err().unwrap_or_default() {
        let span = within(seen.files, formula, problem.start, problem.end);
        // The language says that a reference is no record; people asked for a field that the other entity does not have.
        let referred =
            problem.message.split_once("reference to ").and_then(|(_, name)| seen.project.entity(name.trim()));
        if let Some(entity) = referred
            && problem.message.starts_with("`.")
            && let Some(name) = formula.text.get(problem.start..problem.end)
        {
            super::field_exists(entity, name.trim_start_matches('.'), span, diagnostics);
            continue;
        }
        let mut diagnostic = Diagnostic::error(codes::FORMULA, problem.message).at(span, "here");
        diagnostic.help = problem.help;
        diagnostics.push(diagnostic);
    }
}
