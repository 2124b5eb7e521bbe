//! What a virtual table needs of its source: fields that exist, and a key that is found again by its GUID.

use mapping::Expr;
use record::guid::{Scheme, can_be_hashed};

use super::Seen;
use crate::codes;
use crate::diagnostic::Diagnostic;

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
    }
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
