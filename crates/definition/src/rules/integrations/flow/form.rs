//! Forms: what may stand in them, and what formulas read of them.

use mapping::formula_type;
use powerfx::Type as Fx;
use record::{Entity, Type};

use super::super::Seen;
use crate::codes;
use crate::decoded::{Data, Entry, Group};
use crate::diagnostic::Diagnostic;
use crate::model::FormField;
use crate::rules::entities;
use crate::tables::entity::BY_TYPE;

/// Which form it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    Trigger,
    Answer,
}

impl Of {
    /// What formulas read beside its fields.
    fn taken(self) -> &'static [&'static str] {
        match self {
            Of::Trigger => &["by"],
            Of::Answer => &["outcome", "by", "comment"],
        }
    }
}

/// A field as formulas see it: a reference is the key that was filled in.
pub(super) fn fx(field: &FormField) -> Fx {
    match &field.ty {
        Type::Reference { .. } => Fx::Text,
        ty => formula_type(&field.name, ty),
    }
}

pub(super) fn check(group: &Group, of: Of, entity: &Entity, seen: &Seen<'_>, diagnostics: &mut Vec<Diagnostic>) {
    if of == Of::Trigger && group.says("form") && entity.field("form").is_some() {
        diagnostics.push(
            Diagnostic::error(codes::DEFINED_TWICE, format!("`{}` has a field `form`", entity.name))
                .at(group.key_at("form"), "formulas could not tell it from what was filled in")
                .help("give the field of the entity another name"),
        );
    }
    for entry in group.named("form") {
        let Some(field) = entry.value.group() else { continue };
        name(entry, of, diagnostics);
        keys(entry, field, diagnostics);
        refers(field, seen, diagnostics);
        currency(field, of, diagnostics);
        default(field, of, diagnostics);
    }
}

fn name(entry: &Entry, of: Of, diagnostics: &mut Vec<Diagnostic>) {
    if of.taken().contains(&&*entry.name) {
        diagnostics.push(
            Diagnostic::error(codes::FORM, format!("a field of a form cannot have the name `{}`", entry.name))
                .at(entry.key, "formulas read something else by it")
                .help("give it another name"),
        );
    }
}

/// Which keys go with which type, as for the fields of an entity.
fn keys(entry: &Entry, field: &Group, diagnostics: &mut Vec<Diagnostic>) {
    let Some(ty) = field.text("type") else { return };
    for (key, types, needed) in BY_TYPE {
        let belongs = types.contains(&ty);
        if field.says(key) && !belongs {
            diagnostics.push(
                Diagnostic::error(codes::KEYS_TOGETHER, format!("`{key}` does not go with the type {ty}"))
                    .at(field.key_at(key), format!("it belongs to {}", types.join(" and ")))
                    .help(format!("remove `{key}`, or change the type of `{}`", entry.name)),
            );
        } else if *needed && belongs && field.entry(key).is_none() && !field.strange {
            let example = if *key == "values" { "[new, more]" } else { "customer" };
            diagnostics.push(
                Diagnostic::error(codes::MISSING_KEY, format!("`{key}` is missing"))
                    .at(entry.key, format!("a field of the type {ty} needs it"))
                    .help(format!("add it, for example `{key}: {example}`")),
            );
        }
    }
    if matches!(field.get("values"), Some(Data::List(values)) if values.is_empty()) {
        diagnostics.push(
            Diagnostic::error(codes::BAD_VALUE, "a choice has no names")
                .at(field.at("values"), "nothing is in here")
                .help("write it like `values: [new, more]`"),
        );
    }
}

/// People fill in one value, so that the key of the other entity is one field.
fn refers(field: &Group, seen: &Seen<'_>, diagnostics: &mut Vec<Diagnostic>) {
    let Some(entity) = field.text("entity").and_then(|name| seen.entity(name)) else { return };
    if entity.key.len() != 1 {
        let parts = entity.key.len();
        diagnostics.push(
            Diagnostic::error(codes::FORM, format!("`{}` is named by {parts} fields, and a form has one", entity.name))
                .at(field.at("entity"), format!("its key is: {}", entity.key.join(", ")))
                .help("ask for each part of the key in a field of its own"),
        );
        return;
    }
    let is_read = |system: &crate::model::System| {
        system.entity(&entity.name).is_some_and(|held| held.key_columns(entity).is_some())
    };
    if !seen.project.systems.iter().any(is_read) {
        diagnostics.push(
            Diagnostic::error(codes::NO_MAPPING, format!("no system can say whether a `{}` is there", entity.name))
                .at(field.at("entity"), "what is filled in is looked up")
                .help(format!("add its key under `read:` of `{}` in the file of a system", entity.name)),
        );
    }
}

fn currency(field: &Group, of: Of, diagnostics: &mut Vec<Diagnostic>) {
    computes_nothing(field, "currency", of, "write a code such as `GBP`, or leave it out", diagnostics);
    entities::currency(field, "write it like `currency: GBP`", diagnostics);
}

fn computes_nothing(field: &Group, key: &str, of: Of, help: &str, diagnostics: &mut Vec<Diagnostic>) {
    if of == Of::Trigger && matches!(field.get(key), Some(Data::Formula(_))) {
        diagnostics.push(
            Diagnostic::error(codes::FORM, "a form that starts a flow has no record to compute from")
                .at(field.at(key), "whoever fills it in names the record")
                .help(help.to_owned()),
        );
    }
}

fn default(field: &Group, of: Of, diagnostics: &mut Vec<Diagnostic>) {
    computes_nothing(field, "default", of, "write a fixed text, or leave it out", diagnostics);
    let (Some(text), Some(Data::List(_))) = (field.text("default"), field.get("values")) else { return };
    let values = field.strings("values");
    if !values.iter().any(|value| value == text) {
        diagnostics.push(
            Diagnostic::error(codes::FORM, format!("`{text}` is none of the choice"))
                .at(field.at("default"), format!("it is one of: {}", values.join(", ")))
                .help("write one of them, or leave it out"),
        );
    }
}
