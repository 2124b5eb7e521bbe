//! One system on its own: what its kind asks for, and what no system may do.

use record::{Entity, Kind};

use crate::codes;
use crate::decoded::{Data, Entry, Group};
use crate::diagnostic::Diagnostic;
use crate::load::{Draft, LoadOptions};
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

/// A Dataverse is reached by its own kind alone: its SQL endpoint cannot be written, passes by its rules and fails under
/// load; and a REST system knows nothing of its limits, keys and batches.
pub(super) fn dataverse_by_another_way(
    group: &Group,
    kind: &Kind,
    options: &LoadOptions<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let Some(connection) = group.group("connection").filter(|_| kind.name != "dataverse") else { return };
    let is_sql = kind.entity.iter().any(|field| field.name == "query");
    for entry in &connection.entries {
        let Data::Text(text) = &entry.value.data else { continue };
        // What the environment says is looked at too, and never shown.
        let said = resolved(text, options).to_ascii_lowercase();
        let by_reference = if text.contains("${") { "what this refers to" } else { "this" };
        if is_sql && (said.contains(".dynamics.com") || is_dataverse(&said)) {
            diagnostics.push(
                Diagnostic::error(codes::SQL_TO_DATAVERSE, "SQL directly to Dataverse")
                    .at(entry.value.at, format!("{by_reference} is the SQL endpoint of a Dataverse environment"))
                    .note("it is read-only, passes by business rules and change tracking, and times out after two minutes")
                    .help("use `kind: dataverse` with `connection: { url: https://…crm.dynamics.com, … }`"),
            );
        } else if is_dataverse(&said) {
            diagnostics.push(
                Diagnostic::error(codes::DISGUISED, format!("a Dataverse behind the kind `{}`", kind.name))
                    .at(entry.value.at, format!("{by_reference} is a Dataverse environment"))
                    .note("another kind knows nothing of its protection limits, alternate keys, choices and lookups, nor of what this hub wrote there before")
                    .help("use `kind: dataverse` with `connection: { url: https://…crm.dynamics.com, … }`"),
            );
        }
    }
}

/// A host like `contoso.crm11.dynamics.com`, of the public cloud and the others, or the path of its Web API. Business
/// Central and Finance have hosts of their own.
fn is_dataverse(text: &str) -> bool {
    let of_cloud = |host: &str| {
        host.split('.').skip(1).any(|part| {
            let number = part.strip_prefix("crm");
            number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
        })
    };
    let hosts = text.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-')));
    let clouds = [".dynamics.com", ".dynamics.cn", ".microsoftdynamics.us", ".appsplatform.us"];
    text.contains("/api/data/v9") || hosts.filter(|host| clouds.iter().any(|end| host.ends_with(end))).any(of_cloud)
}

/// The text with its references filled in, as far as they can be here.
fn resolved(text: &str, options: &LoadOptions<'_>) -> String {
    let Some(secrets) = options.secrets else { return text.to_owned() };
    let mut whole = String::new();
    let mut rest = text;
    while let Some((before, reference)) = rest.split_once("${") {
        let Some((inner, after)) = reference.split_once('}') else { break };
        whole.push_str(before);
        let value = inner.split_once(':').and_then(|(provider, name)| secrets.resolve(provider, name).ok());
        whole.push_str(value.as_ref().map_or("", |secret| secret.reveal()));
        rest = after;
    }
    whole + rest
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
