//! What a virtual table needs of its source: fields that exist, and a key that is found again by its GUID.

use mapping::Expr;
use record::Type;
use record::guid::{Scheme, can_be_hashed};

use super::Seen;
use crate::codes;
use crate::decoded::Group;
use crate::diagnostic::Diagnostic;
use crate::files::Span;
use crate::model::set_of;

/// Two sets below one root cannot have one name: the second would be answered by the first.
pub(super) fn own_name(seen: &Seen<'_>, diagnostics: &mut Vec<Diagnostic>) {
    let Some(name) = seen.group.text("integration") else { return };
    let is_before = seen.draft.integrations.iter().take_while(|other| !std::ptr::eq(*other, seen.group));
    let shares = |other: &&Group| {
        let same = |key: &str| other.text(key).is_some() && other.text(key) == seen.group.text(key);
        other.text("pattern") == Some("virtual") && (same("from") || same("to"))
    };
    for other in is_before.filter(shares) {
        let Some(known) = other.text("integration").filter(|known| *known != name && set_of(known) == set_of(name))
        else {
            continue;
        };
        let what = format!("`{known}` and `{name}` would both be the entity set `{}`", set_of(name));
        diagnostics.push(
            Diagnostic::error(codes::VIRTUAL_CANNOT, what)
                .at(seen.group.at("integration"), "the same, but for what a name in a query cannot have")
                .also(other.at("integration"), "as this one")
                .help("give one of them another name"),
        );
    }
}

/// A table of Dynamics has the rows of one source, and an address leads to one thing.
pub(super) fn own_place(seen: &Seen<'_>, diagnostics: &mut Vec<Diagnostic>) {
    let Some(name) = seen.group.text("integration") else { return };
    let is_before = seen.draft.integrations.iter().take_while(|other| !std::ptr::eq(*other, seen.group));
    let same = |other: &Group, key: &str| other.text(key).is_some() && other.text(key) == seen.group.text(key);
    let is_other =
        |other: &&Group| other.text("pattern") == Some("virtual") && same(other, "entity") && same(other, "to");
    if let Some(other) = is_before.filter(is_other).last() {
        let (entity, to) = (seen.group.text("entity").unwrap_or_default(), seen.group.text("to").unwrap_or_default());
        let known = other.text("integration").unwrap_or_default();
        let what = format!("`{known}` and `{name}` are one virtual table in `{to}`");
        diagnostics.push(
            Diagnostic::warning(codes::VIRTUAL_CANNOT, what)
                .at(seen.group.at("entity"), "published, it shows these rows instead of those")
                .also(other.at("integration"), "published before")
                .help(format!("publish one of them, or give one an entity of its own instead of `{entity}`")),
        );
    }
    let mut ends = ["from", "to"].into_iter().filter_map(|key| seen.group.text(key));
    if let Some(system) = ends.find(|system| *system == set_of(name)) {
        diagnostics.push(
            Diagnostic::warning(codes::VIRTUAL_CANNOT, format!("`{name}` is the name of a system too"))
                .at(seen.group.at("integration"), format!("`/odata/{system}` is every table of `{system}`"))
                .help(format!("give it another name, or ask for `/odata/{system}/{}`", set_of(name))),
        );
    }
}

/// The fields of `expose:` are fields of the entity.
pub(super) fn exposed(seen: &Seen<'_>, entity: &str, diagnostics: &mut Vec<Diagnostic>) {
    let Some(known) = seen.entity(entity) else { return };
    for (name, at) in seen.group.texts("expose") {
        if known.field(name).is_none() {
            diagnostics.push(
                Diagnostic::error(codes::NO_SUCH_FIELD, format!("the entity `{entity}` has no field `{name}`"))
                    .at(at, "nothing to show")
                    .help(format!(
                        "name fields of `{entity}`, or leave `expose` out to show all that are not personal"
                    )),
            );
        }
        let field = known.field(name).filter(|field| matches!(field.ty, Type::Lines(_) | Type::Choices { .. }));
        if let Some(field) = field {
            diagnostics.push(
                Diagnostic::error(codes::VIRTUAL_CANNOT, format!("a virtual table cannot show `{name}`"))
                    .at(at, format!("it is {}, and no column of a virtual table holds that", field.ty.word()))
                    .help(
                        "leave it out; or give the lines an entity of their own, and show it as a second virtual table",
                    ),
            );
        }
    }
}

/// What stands beside `virtual_table:` and has no meaning for rows that are stored nowhere.
pub(super) fn beside(seen: &Seen<'_>, entity: &str, diagnostics: &mut Vec<Diagnostic>) {
    for (to, _) in seen.group.texts("to") {
        let Some((group, _)) = seen.draft.systems.iter().find(|(group, _)| group.text("system") == Some(to)) else {
            continue;
        };
        let held = group.named("entities").iter().find(|entry| &*entry.name == entity);
        let Some(held) = held.and_then(|entry| entry.value.group()).filter(|held| held.says("virtual_table")) else {
            continue;
        };
        for key in ["alternate_key", "match_existing", "watermark"].iter().filter(|key| held.says(key)) {
            diagnostics.push(
                Diagnostic::error(codes::VIRTUAL_CANNOT, format!("a virtual table has no `{key}`"))
                    .at(held.key_at(key), "it has no rows of its own, which could have one")
                    .help(format!("remove `{key}`: rows are found by the key of the entity `{entity}`")),
            );
        }
    }
}

/// A virtual table is read where its rows are.
pub(super) fn only_shown(
    seen: &Seen<'_>,
    system: &str,
    entity: &str,
    at: Span,
    label: &str,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let source = seen.project.integrations.iter().find_map(|integration| match &integration.pattern {
        crate::model::Pattern::Virtual(shown) if shown.entity == entity && shown.to == system => Some(&shown.from),
        _ => None,
    });
    let help = match source {
        Some(source) => format!("read it from `{source}`, which holds the rows"),
        None => "read it from the system that holds the rows".to_owned(),
    };
    diagnostics.push(
        Diagnostic::error(codes::VIRTUAL_CANNOT, format!("`{entity}` is a virtual table in `{system}`"))
            .at(at, label)
            .note("a virtual table shows what another system holds: it has no rows of its own, tracks no changes and gives at most 1,000 rows")
            .help(help),
    );
}

/// Nothing happens in a virtual table that anybody could be told of.
pub(super) fn tells_nobody(
    seen: &Seen<'_>,
    trigger: &Group,
    system: &str,
    entity: &str,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let at = if trigger.says("in") { trigger.at("in") } else { seen.group.at("from") };
    only_shown(seen, system, entity, at, "no event ever comes from it", diagnostics);
}

/// Dynamics asks for a row by its GUID. Where that is a hash, the source has to compute the same one.
pub(super) fn key(seen: &Seen<'_>, name: &str, diagnostics: &mut Vec<Diagnostic>) {
    let Some(entity) = seen.entity(name).filter(|entity| Scheme::of(entity) == Scheme::Hashed) else { return };
    for (from, at) in seen.group.texts("from") {
        let Some(system) = seen.project.system(from).filter(|_| !seen.entity_is_broken(from, name)) else { continue };
        let Some(held) = system.entity(name) else { continue };
        let refuse = |why: String| {
            Diagnostic::error(codes::KEY_LOST, format!("the key of `{name}` cannot be found again by its GUID"))
                .at(at, why)
                .note("a virtual table has no store: a GUID is the key itself, or a hash that the source computes too")
                .help("give the texts of the key a `pattern:`, such as \"[A-Z0-9]{8,22}\", so that it fits into a GUID; or read it from a column that holds a GUID")
        };
        if !system.kind.has_catalog {
            let why = format!("a system of the kind {} computes no hashes", system.kind.name);
            diagnostics.push(refuse(why));
            continue;
        }
        let unfit = entity.key.iter().find(|field| {
            let plain = held.read.iter().any(|rule| rule.target == **field && matches!(rule.expr, Expr::Source(_)));
            !plain || !entity.field(field).is_some_and(|field| can_be_hashed(&field.ty))
        });
        if let Some(field) = unfit {
            let why =
                format!("`{field}` is no plain column of text, whole numbers or dates, which the source could hash");
            diagnostics.push(refuse(why));
        }
    }
}
