//! An entity that is one system's table under another name: then a mapping to the next system is a mapping from system to
//! system, and every change of the first is a change of all.

use mapping::Expr;

use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::load::Draft;
use crate::model::{Project, SystemEntity};

/// Fewer fields than this may have the names of columns by chance.
const FIELDS_MIN: usize = 3;

pub(crate) fn check(draft: &Draft, project: &Project, diagnostics: &mut Vec<Diagnostic>) {
    for (group, entity) in draft.entities.iter().zip(&project.entities) {
        for (system, (written, _)) in project.systems.iter().zip(&draft.systems) {
            let Some(own) = system.entity(&entity.name).map(copied) else { continue };
            let foreign: Vec<&str> = own
                .iter()
                .filter(|(field, column)| field == column && is_technical(column, system.kind.name))
                .map(|(field, _)| *field)
                .collect();
            if foreign.len() < FIELDS_MIN || foreign.len() * 2 < entity.fields.len() {
                continue;
            }
            // The other system copies the same fields as they are: the entity adds nothing of its own.
            let other = project.systems.iter().filter(|other| other.name != system.name).find(|other| {
                other.entity(&entity.name).map(copied).is_some_and(|copies| {
                    foreign.iter().filter(|field| copies.iter().any(|(name, _)| name == *field)).count() >= FIELDS_MIN
                })
            });
            let Some(other) = other else { continue };
            let at = written.named("entities").iter().find(|entry| *entry.name == *entity.name);
            let mut diagnostic = Diagnostic::error(
                codes::VERBATIM,
                format!("the entity `{}` is a table of `{}`, copied into `{}`", entity.name, system.name, other.name),
            )
            .at(group.at("entity"), format!("its fields are columns there: {}", foreign[..FIELDS_MIN].join(", ")))
            .note(format!(
                "when `{}` renames a column or is replaced, every other mapping of `{}` has to change with it",
                system.name, entity.name
            ))
            .help("name the fields as the business does, and keep the names of columns in the file of their system");
            if let Some(at) = at {
                diagnostic = diagnostic.also(at.key, "copied name by name");
            }
            diagnostics.push(diagnostic);
            break;
        }
    }
}

/// Field and column of every rule that copies a value as it is.
fn copied(held: &SystemEntity) -> Vec<(&str, &str)> {
    let read = held.read.iter().filter_map(|rule| match &rule.expr {
        Expr::Source(column) => Some((rule.target.as_str(), column.as_str())),
        _ => None,
    });
    let write = held.write.iter().filter_map(|rule| match &rule.expr {
        Expr::Source(field) => Some((field.as_str(), rule.target.as_str())),
        _ => None,
    });
    let mut pairs: Vec<(&str, &str)> = read.chain(write).collect();
    pairs.sort_unstable();
    pairs.dedup();
    pairs
}

/// A name that nobody in the business would say: a publisher's prefix, a column of Dynamics, or capitals alone.
fn is_technical(name: &str, kind: &str) -> bool {
    if kind == "dataverse" {
        const PREFIXES: &[&str] = &["new_", "msdyn_", "adx_", "mspp_", "msdynmkt_"];
        const COLUMNS: &[&str] = &[
            "accountid",
            "accountnumber",
            "contactid",
            "creditlimit",
            "defaultuomid",
            "ordernumber",
            "ownerid",
            "parentaccountid",
            "parentcustomerid",
            "paymenttermscode",
            "pricelevelid",
            "productnumber",
            "salesorderid",
            "statecode",
            "statuscode",
            "totalamount",
            "transactioncurrencyid",
            "websiteurl",
        ];
        let drafted = name.strip_prefix("cr").and_then(|rest| rest.split_once('_'));
        let drafted = drafted.is_some_and(|(id, _)| id.len() >= 3 && id.chars().all(|c| c.is_ascii_hexdigit()));
        let numbered = ["address1_", "address2_", "address3_"].iter().any(|prefix| name.starts_with(prefix))
            || ["emailaddress", "telephone", "fax"].iter().any(|stem| {
                name.strip_prefix(stem).is_some_and(|rest| rest.len() == 1 && rest.bytes().all(|b| b.is_ascii_digit()))
            });
        return drafted
            || numbered
            || COLUMNS.contains(&name)
            || PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    }
    name.len() >= 4 && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}
