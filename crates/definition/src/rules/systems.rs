//! One system on its own: what its kind asks for, and what no system may do.

use record::{Entity, Kind};

use crate::codes;
use crate::decoded::{Data, Entry, Group};
use crate::diagnostic::Diagnostic;
use crate::load::Draft;
use crate::model::SystemEntity;

pub(super) fn columns_are_declared(
    entry: &Entry,
    held: &Group,
    kind: &Kind,
    model: &SystemEntity,
    diagnostics: &mut Vec<Diagnostic>,
) {
    if kind.has_catalog && held.says("columns") && model.query.is_none() {
        diagnostics.push(
            Diagnostic::warning(
                codes::KEYS_TOGETHER,
                format!("`columns` is not needed for a system of the kind {}", kind.name),
            )
            .at(held.key_at("columns"), "the system says itself which columns it has")
            .help("remove `columns`; `ironbridge check --online` asks the system"),
        );
    }
    let reads = held.all_rules().read;
    if !kind.has_catalog && !reads.is_empty() && !held.says("columns") {
        diagnostics.push(
            Diagnostic::error(codes::MISSING_KEY, "`columns` is missing")
                .at(entry.key, format!("a system of the kind {} cannot say which columns it has", kind.name))
                .help("declare them, for example `columns: { number: text, amount: decimal }`; `ironbridge init --from-sample FILE` drafts them"),
        );
    }
}

/// Dataverse's SQL endpoint cannot be written, skips its rules, and fails under load.
pub(super) fn sql_to_dataverse(group: &Group, kind: &Kind, diagnostics: &mut Vec<Diagnostic>) {
    let is_sql = kind.name != "dataverse" && kind.entity.iter().any(|field| field.name == "query");
    let Some(connection) = group.group("connection").filter(|_| is_sql) else { return };
    for entry in &connection.entries {
        let Data::Text(text) = &entry.value.data else { continue };
        if text.to_ascii_lowercase().contains(".dynamics.com") {
            diagnostics.push(
                Diagnostic::error(codes::SQL_TO_DATAVERSE, "SQL directly to Dataverse")
                    .at(entry.value.at, "this is the SQL endpoint of a Dataverse environment")
                    .note("it is read-only, passes by business rules and change tracking, and times out after two minutes")
                    .help("use `kind: dataverse` with `connection: { url: https://…crm.dynamics.com, … }`"),
            );
        }
    }
}

/// A mapping speaks of one system and one entity, never of a second system.
pub(super) fn system_to_system(
    held: &Group,
    model: &SystemEntity,
    entity: &Entity,
    draft: &Draft,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let rules = held.all_rules();
    for at in rules.read.iter().chain(&rules.write) {
        let mapping::Expr::Source(source) = &at.rule.expr else { continue };
        let Some((head, rest)) = source.split_once('.') else { continue };
        let known = entity.field(head).is_some() || model.columns.iter().any(|(name, _)| name == head);
        if !known && draft.names.systems.contains(head) {
            diagnostics.push(
                Diagnostic::error(codes::SYSTEM_TO_SYSTEM, format!("a system is mapped to the system `{head}`"))
                    .at(at.source, "a mapping goes between one system and the entity")
                    .note(format!("when `{head}` changes, only its own file should have to change"))
                    .help(format!(
                        "read `{rest}` into a field of the entity in systems/{head}.yaml, and name that field here"
                    )),
            );
        }
    }
}
