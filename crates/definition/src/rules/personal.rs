//! Personal fields go where somebody said what they are needed for.

use mapping::Expr;
use record::Entity;

use crate::codes;
use crate::decoded::{Entry, RuleAt};
use crate::diagnostic::Diagnostic;
use crate::impact::mentions;
use crate::load::Draft;
use crate::model::Project;

/// Dynamics is where people are looked after, a master owns the field, and who gives it has it already; any other system
/// says why.
pub(crate) fn check(draft: &Draft, project: &Project, diagnostics: &mut Vec<Diagnostic>) {
    for ((group, kind), system) in draft.systems.iter().zip(&project.systems) {
        if kind.name == "dataverse" {
            continue;
        }
        for entry in group.named("entities") {
            let Some(entity) = project.entity(&entry.name) else { continue };
            one(entry, entity, &system.name, diagnostics);
        }
    }
}

fn one(entry: &Entry, entity: &Entity, system: &str, diagnostics: &mut Vec<Diagnostic>) {
    let Some(held) = entry.value.group().filter(|held| !held.says("personal_because")) else { return };
    let rules = held.all_rules();
    let has = |field: &str| rules.read.iter().any(|at| at.rule.target == field);
    let personal = entity.fields.iter().filter(|field| field.personal);
    for field in personal.filter(|field| field.master.as_deref() != Some(system) && !has(&field.name)) {
        let Some(at) = rules.write.iter().find(|at| carries(at, &field.name)) else { continue };
        diagnostics.push(
            Diagnostic::error(
                codes::PERSONAL,
                format!("nobody said why `{system}` gets the personal field `{}` of `{}`", field.name, entity.name),
            )
            .at(at.target, "written here")
            .note("whoever asks what is known of them, or to be forgotten, asks for this copy too")
            .help(format!(
                "take the line out, or add `personal_because:` to `{}` with what they do with it",
                entry.name
            )),
        );
        return;
    }
}

fn carries(at: &RuleAt, field: &str) -> bool {
    match &at.rule.expr {
        Expr::Source(source) | Expr::Choice { source, .. } => {
            source == field || source.strip_prefix(field).is_some_and(|rest| rest.starts_with('.'))
        }
        Expr::Formula(text) => mentions(text, field),
        Expr::Constant(_) | Expr::Lines(_) => false,
    }
}
