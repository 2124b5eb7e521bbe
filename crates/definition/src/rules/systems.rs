//! One system on its own: what its kind asks for, and what no system may do.

use record::{Entity, Kind};

use crate::codes;
use crate::decoded::{Data, Entry, Group};
use crate::diagnostic::Diagnostic;
use crate::files::Span;
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
    draft: &Draft,
    options: &LoadOptions<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) {
    if kind.name == "dataverse" {
        return;
    }
    let is_sql = kind.entity.iter().any(|field| field.name == "query");
    let mut texts = Vec::new();
    if let Some(connection) = group.group("connection") {
        gather(connection, &mut texts);
    }
    let of_dataverse = addresses_of_dataverse(draft, options);
    for (key, text, at) in &texts {
        // What the environment says is looked at too, and never shown.
        let said = resolved(text, options).to_ascii_lowercase();
        let by_reference = if text.contains("${") { "what this refers to" } else { "this" };
        if is_sql && (said.contains(".dynamics.com") || is_dataverse(&said) || is_sql_of_dataverse(kind, key, &said)) {
            diagnostics.push(sql(*at, format!("{by_reference} is the SQL endpoint of a Dataverse environment")));
        } else if is_dataverse(&said) || address(&said).is_some_and(|address| of_dataverse.contains(&address)) {
            diagnostics.push(
                Diagnostic::error(codes::DISGUISED, format!("a Dataverse behind the kind `{}`", kind.name))
                    .at(*at, format!("{by_reference} is a Dataverse environment"))
                    .note("another kind knows nothing of its protection limits, alternate keys, choices and lookups, nor of what this hub wrote there before")
                    .help("use `kind: dataverse` with `connection: { url: https://…crm.dynamics.com, … }`"),
            );
        }
    }
    // By way of another database: a linked server, or an external table that is named with its host.
    for held in group.named("entities").iter().filter_map(|entry| entry.value.group()) {
        for (text, at) in ["query", "table"].iter().flat_map(|key| held.texts(key)) {
            let said = text.to_ascii_lowercase();
            if is_sql && (is_dataverse(&said) || said.contains(".dynamics.com")) {
                diagnostics.push(sql(at, "this asks a Dataverse environment through another database".to_owned()));
            }
        }
    }
}

fn sql(at: Span, label: String) -> Diagnostic {
    Diagnostic::error(codes::SQL_TO_DATAVERSE, "SQL directly to Dataverse")
        .at(at, label)
        .note(
            "it is read-only, knows neither business rules nor change tracking, and ends each query after two minutes",
        )
        .help("use `kind: dataverse` with `connection: { url: https://…crm.dynamics.com, … }`")
}

/// Every text and number of a connection, with the key that it stands under.
fn gather<'g>(group: &'g Group, found: &mut Vec<(&'g str, String, Span)>) {
    fn one<'g>(key: &'g str, value: &'g crate::decoded::Value, found: &mut Vec<(&'g str, String, Span)>) {
        match &value.data {
            Data::Text(text) => found.push((key, text.clone(), value.at)),
            Data::Number(number) => found.push((key, number.to_string(), value.at)),
            Data::Group(inner) => gather(inner, found),
            Data::Named(entries) => entries.iter().for_each(|entry| one(&entry.name, &entry.value, found)),
            Data::List(values) => values.iter().for_each(|item| one(key, item, found)),
            _ => {}
        }
    }
    group.entries.iter().for_each(|entry| one(&entry.name, &entry.value, found));
}

/// What only the SQL endpoint of Dataverse has, whatever name its host goes by: its second port, a driver made for it, and
/// the names that its databases get.
fn is_sql_of_dataverse(kind: &Kind, key: &str, said: &str) -> bool {
    let number = |rest: &str| rest.split(|c: char| !c.is_ascii_digit()).next() == Some("5558");
    let port = (key == "port" && said == "5558")
        || said.match_indices([':', ',']).any(|(at, _)| number(&said[at + 1..]))
        || said.match_indices("port=").any(|(at, found)| number(&said[at + found.len()..]));
    let driver = (key == "driver" || said.contains("driver="))
        && ["dynamics", "dataverse", "cds"].iter().any(|w| said.contains(w));
    let is_id = |name: &str| name.len() == 8 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    let named = |name: &str| {
        ["org", "unq"].iter().any(|stem| {
            name.strip_prefix(stem).is_some_and(|id| is_id(id) && id.bytes().any(|byte| byte.is_ascii_digit()))
        })
    };
    let database = (key == "database" && named(said))
        || ["database=", "catalog="].iter().any(|word| {
            said.match_indices(word).any(|(at, found)| {
                named(said[at + found.len()..].split([';', '&', '"']).next().unwrap_or_default().trim())
            })
        });
    // The port is not that of another database's address.
    (port && kind.name == "sqlserver") || driver || database
}

/// Host and port of a web address.
fn address(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://").filter(|(scheme, _)| matches!(*scheme, "http" | "https"))?;
    let host = rest.split(['/', '?', '#']).next()?.rsplit('@').next()?;
    let port = if scheme == "https" { ":443" } else { ":80" };
    Some(if host.rsplit(']').next().is_some_and(|end| end.contains(':')) {
        host.to_owned()
    } else {
        format!("{host}{port}")
    })
    .filter(|host| host.len() > port.len())
}

/// Where the project's own Dataverse systems are: a second system at the same place is one of them.
fn addresses_of_dataverse(draft: &Draft, options: &LoadOptions<'_>) -> Vec<String> {
    let dataverse = draft.systems.iter().filter(|(_, kind)| kind.name == "dataverse");
    let urls = dataverse.filter_map(|(group, _)| group.group("connection")?.text("url"));
    urls.filter_map(|url| address(&resolved(url, options).to_ascii_lowercase())).collect()
}

/// A group of people whose webhook is a system of the project: a flow would call the system by its address, past its
/// mapping, its keys and its limits.
pub(super) fn called_by_address(draft: &Draft, options: &LoadOptions<'_>, diagnostics: &mut Vec<Diagnostic>) {
    let systems: Vec<(&str, String)> = draft
        .systems
        .iter()
        .filter_map(|(group, _)| {
            let mut texts = Vec::new();
            gather(group.group("connection")?, &mut texts);
            let name = group.text("system")?;
            texts.iter().find_map(|(_, text, _)| Some((name, address(&resolved(text, options).to_ascii_lowercase())?)))
        })
        .collect();
    for entry in draft.people.named("groups") {
        let Some(group) = entry.value.group() else { continue };
        for (text, at) in ["webhook", "teams", "slack"].iter().flat_map(|way| group.texts(way)) {
            let Some(called) = address(&resolved(text, options).to_ascii_lowercase()) else { continue };
            let Some((system, _)) = systems.iter().find(|(_, address)| *address == called) else { continue };
            diagnostics.push(
                Diagnostic::error(codes::BY_ADDRESS, format!("the group `{}` is the system `{system}`", entry.name))
                    .at(at, "whoever notifies this group calls the system by its address")
                    .note("a call past the mapping has no key, no retry that is safe, and no place in `impact` and `trace`")
                    .help(format!("use a step `write: {{ entity: …, to: {system}, … }}`, and give people an address of their own")),
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
