//! One entity on its own: its key, and which keys belong to which type of field.

use crate::codes;
use crate::decoded::{Data, Group};
use crate::diagnostic::Diagnostic;
use crate::load::Draft;
use crate::suggest;
use crate::tables::entity::BY_TYPE;

pub(crate) fn check(draft: &Draft, diagnostics: &mut Vec<Diagnostic>) {
    for entity in &draft.entities {
        fields(entity, diagnostics);
        key(entity, diagnostics);
        version(entity, diagnostics);
    }
}

/// The names in `key:` are fields of a type that can name a record.
fn key(entity: &Group, diagnostics: &mut Vec<Diagnostic>) {
    let fields = entity.named("fields");
    if !matches!(entity.get("fields"), Some(Data::Named(_))) {
        return;
    }
    for (name, at) in entity.texts("key") {
        let Some(field) = fields.iter().find(|field| &*field.name == name) else {
            diagnostics.push(
                Diagnostic::error(
                    codes::NO_SUCH_FIELD,
                    format!("the key names a field `{name}`, which does not exist"),
                )
                .at(at, "no field has this name")
                .note(format!("the fields are: {}", suggest::list(fields.iter().map(|field| &*field.name))))
                .maybe_help(suggest::did_you_mean(name, fields.iter().map(|field| &*field.name)))
                .or_help(format!("add it under `fields:`, for example `{name}: {{ type: text, max_length: 20 }}`")),
            );
            continue;
        };
        let ty = field.value.group().and_then(|field| field.text("type")).unwrap_or("text");
        if matches!(ty, "lines" | "choices" | "multiline" | "person") {
            diagnostics.push(
                Diagnostic::error(codes::TYPE, format!("the field `{name}` is {ty}, and cannot be part of a key"))
                    .at(at, "used as a key here")
                    .also(field.key, "defined here")
                    .help(
                        "use a field that names one record everywhere: a text, number, date, choice, guid or reference",
                    ),
            );
        }
    }
}

fn version(entity: &Group, diagnostics: &mut Vec<Diagnostic>) {
    let (Some(name), Some(Data::Named(fields))) = (entity.text("version"), entity.get("fields")) else { return };
    let Some(field) = fields.iter().find(|field| &*field.name == name) else {
        diagnostics.push(
            Diagnostic::error(codes::NO_SUCH_FIELD, format!("`version` names a field `{name}`, which does not exist"))
                .at(entity.at("version"), "no field has this name")
                .maybe_help(suggest::did_you_mean(name, fields.iter().map(|field| &*field.name)))
                .or_help(format!("add it under `fields:`, for example `{name}: {{ type: datetime }}`")),
        );
        return;
    };
    let ty = field.value.group().and_then(|field| field.text("type")).unwrap_or("datetime");
    if !matches!(ty, "datetime" | "date" | "whole_number" | "decimal") {
        diagnostics.push(
            Diagnostic::error(codes::TYPE, format!("the field `{name}` is {ty}, and cannot order versions"))
                .at(entity.at("version"), "what orders versions grows with each change")
                .also(field.key, "defined here")
                .help("use a datetime or a number that grows"),
        );
    }
}

fn fields(group: &Group, diagnostics: &mut Vec<Diagnostic>) {
    if let Some(Data::Named(fields)) = group.get("fields")
        && fields.is_empty()
    {
        diagnostics.push(
            Diagnostic::error(codes::MISSING_KEY, format!("{} has no fields", group.table))
                .at(group.at("fields"), "nothing is in here")
                .help("add at least the key, for example `number: { type: text, max_length: 20 }`"),
        );
    }
    for entry in group.named("fields") {
        let Some(field) = entry.value.group() else { continue };
        let Some(ty) = field.text("type") else { continue };
        for (key, types, needed) in BY_TYPE {
            let belongs = types.contains(&ty);
            if field.says(key) && !belongs {
                diagnostics.push(
                    Diagnostic::error(codes::KEYS_TOGETHER, format!("`{key}` does not go with the type {ty}"))
                        .at(
                            field.key_at(key),
                            format!(
                                "only {} {} it",
                                types.join(" and "),
                                if types.len() == 1 { "has" } else { "have" }
                            ),
                        )
                        .help(format!("remove `{key}`, or change the type of `{}`", entry.name)),
                );
            } else if *needed && belongs && field.entry(key).is_none() {
                let example = crate::tables::entity::FIELD
                    .fields()
                    .find(|field| field.name == *key)
                    .map_or("", |field| field.example);
                diagnostics.push(
                    Diagnostic::error(codes::MISSING_KEY, format!("`{key}` is missing"))
                        .at(entry.key, format!("a field of the type {ty} needs it"))
                        .help(format!("add it, for example `{key}: {example}`")),
                );
            }
        }
        if ty == "money" && !field.says("currency") {
            diagnostics.push(
                Diagnostic::error(codes::MISSING_KEY, "`currency` is missing")
                    .at(entry.key, "a field of the type money needs it")
                    .help("add it, for example `currency: GBP`, or `currency: =currency` where a field says it"),
            );
        }
        currency(field, "write it like `currency: GBP`, or `currency: =currency` where a field says it", diagnostics);
        if let Some(Data::List(values)) = field.get("values")
            && values.is_empty()
        {
            diagnostics.push(
                Diagnostic::error(codes::BAD_VALUE, "a choice has no names")
                    .at(field.at("values"), "nothing is in here")
                    .help("write it like `values: [net30, net60, prepaid]`"),
            );
        }
        if ty == "lines" {
            let lines = field;
            fields(lines, diagnostics);
            key(lines, diagnostics);
        }
    }
}

/// A fixed currency has the shape of a code.
pub(super) fn currency(field: &Group, help: &str, diagnostics: &mut Vec<Diagnostic>) {
    let is_code = |code: &str| code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase());
    if let Some(code) = field.text("currency").filter(|code| !is_code(code)) {
        diagnostics.push(
            Diagnostic::error(codes::BAD_VALUE, format!("`{code}` is no currency"))
                .at(field.at("currency"), "a currency has a code of three capital letters")
                .help(help.to_owned()),
        );
    }
}
